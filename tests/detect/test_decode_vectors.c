/* SPDX-License-Identifier: Apache-2.0
 *
 * Decoding, suppression, top-k and back-scaling against the reference vectors. */
#include "detect/nms.h"
#include "detect/yolov5_decode.h"
#include "detect/yolov8_decode.h"
#include "support/vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

static float *take(const NbCase *c, size_t n) {
    float *const out = NB_NEW(&c->all->arena, float, n);
    assert_non_null(out);
    return out;
}

static const char *name(const char *stem, int i) {
    static char text[32];
    (void)snprintf(text, sizeof text, "%s%d", stem, i);
    return text;
}

static double at(const json_t *array, size_t i) {
    return json_number_value(json_array_get(array, i));
}

static NbDecode mode_of(const NbCase *c) {
    if (strcmp(nb_case_string(c, "source", ""), "f") == 0)
        return NB_DECODE_HARDTANH_F;
    /* the record does not name the mode of a q case: its id does */
    return strstr(c->id, "hardtanh") ? NB_DECODE_HARDTANH_Q : NB_DECODE_SIGMOID;
}

static NbYolov5Head head_of(const NbCase *c) {
    const json_t *const anchors = json_object_get(c->params, "anchors");
    const json_t *const strides = json_object_get(c->params, "strides");
    NbYolov5Head head = {.mode = mode_of(c),
                         .levels = (int)json_array_size(anchors),
                         .anchors = (int)json_array_size(json_array_get(anchors, 0)) / 2,
                         .nc = (int)nb_case_number(c, "nc", 0)};
    assert_in_range(head.levels, 1, NB_LOSS_MAX_LEVELS);
    assert_in_range(head.anchors, 1, NB_LOSS_MAX_ANCHORS);
    for (int i = 0; i < head.levels; i++) {
        head.stride[i] = (float)at(strides, (size_t)i);
        for (int k = 0; k < 2 * head.anchors; k++)
            head.anchor_px[i][k / 2][k % 2] =
                (float)at(json_array_get(anchors, (size_t)i), (size_t)k);
    }
    return head;
}

/* The rows of the full decode with objectness > conf must be the candidates, bit for bit. */
static int check_candidates(const NbCase *c, const NbYolov5Head *head, const NbHeadLevel *level,
                            int b, const float *rows, size_t n, float conf) {
    const size_t length = (size_t)(5 + head->nc);
    float *got = NULL;
    size_t count = 0;
    NbError err = {0};
    assert_int_equal(nb_yolov5_candidates(head, level, b, conf, &c->all->arena, &got, &count, &err),
                     NB_OK);
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(rows[i * length + 4] > conf))
            continue;
        if (k >= count || memcmp(rows + i * length, got + k * length, length * sizeof *rows) != 0) {
            print_error("%s: candidate %zu at conf %g differs\n", c->id, k, (double)conf);
            return 1;
        }
        k++;
    }
    return k != count;
}

static int check_yolov5(const NbCase *c) {
    const NbYolov5Head head = head_of(c);
    NbHeadLevel level[NB_LOSS_MAX_LEVELS];
    int batch = 0;
    size_t rows = 0;
    for (int i = 0; i < head.levels; i++) {
        const NbTensor raw = nb_case_array(c, name("raw", i));
        const int64_t *const d = raw.shape.dim;
        batch = (int)d[0];
        level[i] = (NbHeadLevel){.raw = nb_f32(&raw),
                                 .ny = (int)d[2],
                                 .nx = (int)d[3],
                                 .sx = 1,
                                 .sy = d[3],
                                 .sc = d[2] * d[3],
                                 .sa = (5 + head.nc) * d[2] * d[3],
                                 .sb = d[1] * d[2] * d[3]};
        rows += (size_t)head.anchors * (size_t)(d[2] * d[3]);
    }
    const size_t length = (size_t)(5 + head.nc);
    float *const out = take(c, (size_t)batch * rows * length);
    int bad = 0;
    float *to = out;
    for (int b = 0; b < batch; b++) {
        const float *const picture = to;
        for (int i = 0; i < head.levels; i++) {
            nb_yolov5_decode(head.mode, &level[i], b, head.anchors, head.nc, head.anchor_px[i],
                             head.stride[i], to);
            to += (size_t)(head.anchors * level[i].ny * level[i].nx) * length;
        }
        static const float conf[] = {-0.5F, 0.0F, 0.001F, 0.25F, 0.5F, 0.999F};
        for (size_t k = 0; k < sizeof conf / sizeof *conf; k++)
            bad += check_candidates(c, &head, level, b, picture, rows, conf[k]);
    }
    return bad + !nb_case_compare(c, "out", out, (size_t)batch * rows * length);
}

/* Rows [n][channels] of picture b of a (B, channels, n) array. */
static float *transposed(const NbCase *c, const NbTensor *t, int64_t b) {
    const size_t channels = (size_t)t->shape.dim[1];
    const size_t n = (size_t)t->shape.dim[2];
    float *const out = take(c, channels * n);
    const float *const from = nb_f32(t) + (size_t)b * channels * n;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < channels; k++)
            out[i * channels + k] = from[k * n + i];
    return out;
}

static int check_dfl(const NbCase *c) {
    const json_t *const strides = json_object_get(c->params, "strides");
    const int nc = (int)nb_case_number(c, "nc", 0);
    const int reg_max = (int)nb_case_number(c, "reg_max", 16);
    const bool xyxy = strstr(c->id, "xyxy") != NULL;
    const NbTensor want = nb_case_array(c, "out");
    const size_t batch = (size_t)want.shape.dim[0];
    const size_t channels = (size_t)want.shape.dim[1];
    const size_t n = (size_t)want.shape.dim[2];
    assert_int_equal(channels, 4 + nc);
    float *const rows = take(c, n * channels);
    float *const got = take(c, batch * n * channels);
    for (size_t b = 0; b < batch; b++) {
        float *to = rows;
        for (size_t i = 0; i < json_array_size(strides); i++) {
            const NbTensor raw = nb_case_array(c, name("raw", (int)i));
            const int64_t *const d = raw.shape.dim;
            const NbDflLevel level = {.raw = nb_f32(&raw) + (int64_t)b * d[1] * d[2] * d[3],
                                      .ny = (int)d[2],
                                      .nx = (int)d[3],
                                      .sx = 1,
                                      .sy = d[3],
                                      .sc = d[2] * d[3],
                                      .stride = (float)at(strides, i)};
            nb_yolov8_decode(&level, reg_max, nc, xyxy, to);
            to += (size_t)(d[2] * d[3]) * channels;
        }
        assert_int_equal(to - rows, n * channels);
        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; k < channels; k++)
                got[(b * channels + k) * n + i] = rows[i * channels + k];
    }
    return !nb_case_compare(c, "out", got, batch * n * channels);
}

static void put_detections(const NbDetection *d, size_t n, float *out) {
    for (size_t i = 0; i < n; i++, out += 6) {
        memcpy(out, d[i].xyxy, sizeof d[i].xyxy);
        out[4] = d[i].conf;
        out[5] = (float)d[i].cls;
    }
}

static int check_top(const NbCase *c) {
    const NbTensor raw = nb_case_array(c, "raw0");
    const int max_det = (int)nb_case_number(c, "max_det", 300);
    const size_t batch = (size_t)raw.shape.dim[0];
    float *const got = take(c, batch * (size_t)max_det * 6);
    for (size_t b = 0; b < batch; b++) {
        NbDetection *d = NULL;
        size_t n = 0;
        NbError err = {0};
        const NbStatus status =
            nb_yolov10_top(transposed(c, &raw, (int64_t)b), (size_t)raw.shape.dim[2],
                           (int)nb_case_number(c, "nc", 0), max_det, &c->all->arena, &d, &n, &err);
        if (status != NB_OK)
            fail_msg("case %s: %s", c->id, err.message);
        assert_int_equal(n, max_det);
        put_detections(d, n, got + b * (size_t)max_det * 6);
    }
    return !nb_case_compare(c, "out", got, batch * (size_t)max_det * 6);
}

static int check_decode(const NbCase *c) {
    if (strcmp(nb_case_string(c, "source", ""), "y10") != 0)
        return check_yolov5(c);
    return nb_case_number(c, "max_det", 0) > 0 ? check_top(c) : check_dfl(c);
}

static int check_nms(const NbCase *c, bool yolov5) {
    const NbTensor pred = nb_case_array(c, "pred");
    const int nc = (int)nb_case_number(c, "nc", 0);
    NbNmsOptions options = {.conf = (float)nb_case_number(c, "conf_thres", 0),
                            .iou = nb_case_number(c, "iou_thres", 0),
                            .max_det = (int)nb_case_number(c, "max_det", 300),
                            .multi_label = nb_case_bool(c, "multi_label", false),
                            .agnostic = nb_case_bool(c, "agnostic", false),
                            .class_offset = yolov5 ? 0.0F : 7680.0F,
                            .has_obj = yolov5};
    bool classes[256] = {false};
    const json_t *const filter = json_object_get(c->params, "classes");
    for (size_t i = 0; i < json_array_size(filter); i++)
        classes[json_integer_value(json_array_get(filter, i))] = true;
    if (json_is_array(filter))
        options.classes = classes;
    int bad = 0;
    for (int64_t b = 0; b < pred.shape.dim[0]; b++) {
        const size_t n = (size_t)pred.shape.dim[yolov5 ? 1 : 2];
        const size_t values = (size_t)(pred.shape.dim[1] * pred.shape.dim[2]);
        const float *const rows =
            yolov5 ? nb_f32(&pred) + (size_t)b * values : transposed(c, &pred, b);
        NbDetection *d = NULL;
        size_t count = 0;
        NbError err = {0};
        if (nb_nms(rows, n, nc, &options, &c->all->arena, &d, &count, &err) != NB_OK)
            fail_msg("case %s: %s", c->id, err.message);
        float *const got = take(c, 6 * count);
        put_detections(d, count, got);
        bad += !nb_case_compare(c, name("det", (int)b), got, 6 * count);
    }
    return bad;
}

static int check_scale_back(const NbCase *c) {
    const json_t *const from = json_object_get(c->params, "from_hw");
    const json_t *const to = json_object_get(c->params, "to_hw");
    const double gain = fmin(at(from, 0) / at(to, 0), at(from, 1) / at(to, 1));
    int bad = 0;
    for (int rounded = 0; rounded < 2; rounded++) {
        float pad[2];
        for (size_t i = 0; i < 2; i++) {
            const double half = (at(from, 1 - i) - at(to, 1 - i) * gain) / 2;
            pad[i] = (float)(rounded ? nearbyint(half - 0.1) : half);
        }
        size_t values = 0;
        float *const box = nb_case_f32(c, "boxes", &values);
        for (size_t i = 0; i < values; i += 4)
            nb_box_unletterbox(box + i, (float)gain, pad, (int)at(to, 1), (int)at(to, 0));
        bad += !nb_case_compare(c, rounded ? "y10.out" : "q.out", box, values);
    }
    return bad;
}

static int check(const NbCase *c) {
    if (strcmp(c->kind, "decode") == 0)
        return check_decode(c);
    if (strcmp(c->kind, "nms_v5") == 0 || strcmp(c->kind, "nms_ul") == 0)
        return check_nms(c, strcmp(c->kind, "nms_v5") == 0);
    if (strcmp(c->kind, "scale_back") == 0)
        return check_scale_back(c);
    fail_msg("case %s: unknown kind %s", c->id, c->kind);
    return 1;
}

static void decode_equals_the_reference(void **state) {
    (void)state;
    NbCases *const cases = nb_cases_open("decode");
    int bad = 0;
    for (int i = 0; i < cases->count; i++) {
        const NbCase c = nb_cases_get(cases, i);
        const int worse = check(&c);
        if (worse)
            print_error("case %s fell short\n", c.id);
        bad += worse;
    }
    nb_cases_close(cases);
    assert_int_equal(bad, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(decode_equals_the_reference)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
