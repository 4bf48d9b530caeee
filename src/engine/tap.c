/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking at values after a run. Sums have no memory of their own: they are computed again, the
 * slow way, from the codes that were kept. */
#include "engine/plan.h"

#include <string.h>

static int32_t code_at(const NbPlane *p, int y, int x, int c) {
    return nb_plane_at(p, y, x)[c] - p->zero;
}

/* One sum of a convolution, from the definition; what lies outside is the code 0. */
static int32_t conv_at(const NbEngine *e, const NbNode *node, int y, int x, int o) {
    const NbConvAttr *a = &node->attr.conv;
    const NbNode *weight = &e->graph.node[node->in[1]];
    const NbPlane *in = e->plane[node->in[0]];
    const int channels = (int)weight->shape.dim[1];
    const int group = o / ((int)weight->shape.dim[0] / a->groups);
    const int8_t *w =
        (const int8_t *)weight->param.data + (ptrdiff_t)o * channels * a->kernel[0] * a->kernel[1];
    int32_t sum = 0;
    for (int c = 0; c < channels; c++)
        for (int ky = 0; ky < a->kernel[0]; ky++)
            for (int kx = 0; kx < a->kernel[1]; kx++, w++) {
                const int v = y * a->stride[0] - a->pad[0] + ky * a->dilation[0];
                const int u = x * a->stride[1] - a->pad[1] + kx * a->dilation[1];
                if (v >= 0 && v < in->height && u >= 0 && u < in->width)
                    sum += *w * code_at(in, v, u, group * channels + c);
            }
    return sum;
}

static int32_t threshold_at(const NbEngine *e, const NbNode *node, int c, int32_t x) {
    const NbTensor *t = &e->graph.node[node->in[1]].param;
    int32_t code = (int32_t)nb_grid_lo(node->attr.threshold.grid);
    for (int64_t k = 0; k < t->shape.dim[1]; k++) {
        const int32_t threshold = ((const int32_t *)t->data)[c * t->shape.dim[1] + k];
        code += threshold != INT32_MAX && x >= threshold;
    }
    return code;
}

static int32_t integer_at(const NbEngine *e, NbNodeId id, int y, int x, int c) {
    const NbNode *node = &e->graph.node[id];
    if (e->plane[id])
        return code_at(e->plane[id], y, x, c);
    if (node->op == NB_OP_CONV)
        return conv_at(e, node, y, x, c);
    if (node->op == NB_OP_THRESHOLD)
        return threshold_at(e, node, c, integer_at(e, node->in[0], y, x, c));
    int32_t sum = 0; /* ADD */
    for (int i = 0; i < node->n_in; i++)
        sum += integer_at(e, node->in[i], y, x, c);
    return sum;
}

/* Whether a value was kept or can be computed from those that were. */
static bool is_known(const NbEngine *e, NbNodeId id) {
    const NbNode *node = &e->graph.node[id];
    if (e->plane[id])
        return true;
    if (node->op == NB_OP_CONV)
        return e->plane[node->in[0]] != NULL;
    if (node->op == NB_OP_THRESHOLD)
        return is_known(e, node->in[0]);
    for (int i = 0; node->op == NB_OP_ADD && i < node->n_in; i++)
        if (!is_known(e, node->in[i]))
            return false;
    return node->op == NB_OP_ADD;
}

static NB_FALLIBLE find(const NbEngine *e, const char *name, NbNodeId *id, NbError *err) {
    if (!e->keep)
        return nb_fail(NB_ERR_UNSUPPORTED, err, "the engine was made without keeping values");
    if (!e->ran)
        return nb_fail(NB_ERR_ARGUMENT, err, "the engine has not run yet");
    *id = nb_graph_find(&e->graph, name);
    if (*id < 0)
        return nb_fail(NB_ERR_ARGUMENT, err, "the integer graph has no node '%s'", name);
    const NbNode *node = &e->graph.node[*id];
    if (!is_known(e, *id))
        return nb_fail(NB_ERR_UNSUPPORTED, err, "the value of %s '%s' is no integers or not needed",
                       nb_op_name(node->op), name);
    return NB_OK;
}

NbStatus nb_engine_tap(const NbEngine *e, const char *name, int32_t *out, size_t capacity,
                       size_t *count, NbError *err) {
    NbNodeId id = -1;
    NB_TRY(find(e, name, &id, err));
    const NbShape *shape = &e->graph.node[id].shape;
    *count = nb_shape_count(shape);
    if (capacity < *count)
        return nb_fail(NB_ERR_ARGUMENT, err, "'%s' has %zu values, there is room for %zu", name,
                       *count, capacity);
    for (int y = 0; y < shape->dim[2]; y++)
        for (int x = 0; x < shape->dim[3]; x++)
            for (int c = 0; c < shape->dim[1]; c++)
                *out++ = integer_at(e, id, y, x, c);
    return NB_OK;
}
