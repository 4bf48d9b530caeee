/* SPDX-License-Identifier: Apache-2.0
 *
 * Resize (10 to 19) and Upsample. */
#include "model/onnx/rules_layer.h"

#include <math.h>
#include <string.h>

static NB_FALLIBLE choose(const char *word, const char *const *words, int n, int *out,
                          NbError *err) {
    for (*out = 0; *out < n; ++*out)
        if (strcmp(word, words[*out]) == 0)
            return NB_OK;
    return nb_fail(NB_ERR_UNSUPPORTED, err, "'%s'", word);
}

static NB_FALLIBLE read_words(NbOnnxBuilder *b, bool old, NbResizeAttr *a, NbError *err) {
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    static const char *const places[] = {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel",
                                         "align_corners", "asymmetric"};
    static const char *const nearest[] = {"floor", "ceil", "round_prefer_floor",
                                          "round_prefer_ceil"};
    int word[3];
    NB_TRY_IN(choose(nb_ob_attr_s(b, "mode", "nearest"), modes, 3, &word[0], err), err, "mode");
    NB_TRY_IN(
        choose(old ? "asymmetric" : nb_ob_attr_s(b, "coordinate_transformation_mode", "half_pixel"),
               places, 5, &word[1], err),
        err, "coordinate_transformation_mode");
    NB_TRY_IN(choose(old ? "floor" : nb_ob_attr_s(b, "nearest_mode", "round_prefer_floor"), nearest,
                     4, &word[2], err),
              err, "nearest_mode");
    memcpy(&a->mode, &word[0], sizeof a->mode);
    memcpy(&a->place, &word[1], sizeof a->place);
    memcpy(&a->nearest, &word[2], sizeof a->nearest);
    a->cubic = nb_ob_attr_f(b, "cubic_coeff_a", -0.75F);
    a->exclude_outside = nb_ob_attr_i(b, "exclude_outside", 0) != 0;
    if (nb_ob_attr_i(b, "antialias", 0))
        return nb_fail(NB_ERR_UNSUPPORTED, err, "antialias");
    return NB_OK;
}

static NB_FALLIBLE count_fits(size_t n, size_t expected, NbError *err) {
    return n == expected
               ? NB_OK
               : nb_fail(NB_ERR_FORMAT, err, "%zu scales or sizes, %zu expected", n, expected);
}

/* Scales of the axes that are resized; sizes follow. */
static NB_FALLIBLE by_scales(const float *scale, size_t n, const int *axis, const NbShape *s,
                             NbResizeAttr *a, NbError *err) {
    for (size_t i = 0; i < n; i++) {
        if (!(scale[i] > 0.0F) || !(scale[i] < 65536.0F))
            return nb_fail(NB_ERR_FORMAT, err, "a scale of %g", (double)scale[i]);
        a->scale[axis[i]] = scale[i];
        a->size[axis[i]] = (int64_t)floor((double)s->dim[axis[i]] * (double)scale[i]);
    }
    return NB_OK;
}

static NB_FALLIBLE by_sizes(NbOnnxBuilder *b, const int64_t *size, size_t n, const int *axis,
                            const NbShape *s, NbResizeAttr *a, NbError *err) {
    const char *policy = nb_ob_attr_s(b, "keep_aspect_ratio_policy", "stretch");
    float common = 0.0F;
    for (size_t i = 0; i < n; i++) {
        const int d = axis[i];
        if (size[i] < 1 || size[i] > (int64_t)1 << 31 || s->dim[d] < 1)
            return nb_fail(NB_ERR_FORMAT, err, "a size of %lld", (long long)size[i]);
        a->size[d] = size[i];
        a->scale[d] = (float)((double)size[i] / (double)s->dim[d]);
        const bool first = i == 0;
        if (first ||
            (policy[0] == 'n' &&
             (strcmp(policy, "not_larger") == 0 ? a->scale[d] < common : a->scale[d] > common)))
            common = a->scale[d];
    }
    for (size_t i = 0; i < n && policy[0] == 'n'; i++) {
        a->scale[axis[i]] = common;
        a->size[axis[i]] = (int64_t)floor((double)common * (double)s->dim[axis[i]] + 0.5);
    }
    return NB_OK;
}

/* UPSAMPLE keeps codes and is fast: whole factors, nearest, any place that means the same. */
static bool whole_factor(const NbResizeAttr *a, const NbShape *s, int *factor) {
    if (a->mode != NB_RESIZE_NEAREST || s->rank != 4 || a->size[0] != s->dim[0] ||
        a->size[1] != s->dim[1] || a->scale[2] != a->scale[3])
        return false;
    *factor = (int)a->scale[2];
    const bool even = a->place == NB_RESIZE_ASYMMETRIC   ? a->nearest == NB_RESIZE_FLOOR
                      : a->place == NB_RESIZE_HALF_PIXEL ? a->nearest == NB_RESIZE_PREFER_FLOOR ||
                                                               a->nearest == NB_RESIZE_PREFER_CEIL
                                                         : false;
    return even && (float)*factor == a->scale[2] && *factor >= 1 && *factor <= 64 &&
           a->size[2] == s->dim[2] * *factor && a->size[3] == s->dim[3] * *factor;
}

static NB_FALLIBLE resized_axes(NbOnnxBuilder *b, int rank, int *axis, size_t *n, NbError *err) {
    int64_t list[NB_MAX_RANK];
    NB_TRY(nb_ob_attr_ints(b, "axes", NB_MAX_RANK, list, n, err));
    for (size_t i = 0; i < *n; i++)
        NB_TRY(nb_ob_axis(list[i], rank, &axis[i], err));
    if (*n)
        return NB_OK;
    *n = (size_t)rank;
    for (int d = 0; d < rank; d++)
        axis[d] = d;
    return NB_OK;
}

NbStatus nb_onnx_resize_rule(NbOnnxBuilder *b, int upsample, NbError *err) {
    NbNodeId x = -1;
    NbAttr attr = {0};
    int axis[NB_MAX_RANK] = {0};
    size_t n_axes = 0;
    size_t n = 0;
    const float *scale = NULL;
    const bool old = upsample || b->opset < 11;
    NB_TRY(nb_ob_in(b, 0, &x, err));
    NB_TRY(read_words(b, old, &attr.resize, err));
    const NbShape s = nb_ob_shape(b, x);
    NB_TRY(resized_axes(b, s.rank, axis, &n_axes, err));
    for (int d = 0; d < s.rank; d++) {
        attr.resize.scale[d] = 1.0F;
        attr.resize.size[d] = s.dim[d];
    }
    const size_t at = old ? 1 : 2;
    const NbOnnxAttr *list = nb_onnx_attr(b->node, "scales");
    if (nb_ob_has(b, at))
        NB_TRY(nb_ob_numbers(b, at, &scale, &n, err));
    else if (list && list->kind == NB_ONNX_ATTR_FLOATS) {
        scale = list->floats;
        n = list->n;
    }
    if (n) {
        NB_TRY(count_fits(n, n_axes, err));
        NB_TRY(by_scales(scale, n, axis, &s, &attr.resize, err));
    } else {
        int64_t size[NB_MAX_RANK];
        NB_TRY(nb_ob_ints(b, 3, NB_MAX_RANK, size, &n, err));
        NB_TRY(count_fits(n, n_axes, err));
        NB_TRY(by_sizes(b, size, n, axis, &s, &attr.resize, err));
    }
    int factor = 0;
    if (whole_factor(&attr.resize, &s, &factor)) {
        const NbAttr plain = {.upsample = {.factor = factor}};
        NB_TRY(nb_ob_one(b, NB_OP_UPSAMPLE, &plain, x, &x, err));
        return nb_ob_out(b, 0, x, nb_ob_type(b, 0), err);
    }
    NB_TRY(nb_ob_real(b, x, &x, err));
    NB_TRY(nb_ob_one(b, NB_OP_RESIZE, &attr, x, &x, err));
    return nb_ob_out(b, 0, x, nb_ob_type(b, 0), err);
}
