/* SPDX-License-Identifier: Apache-2.0 */
#include "brevitas.h"

#include "plain_layers.h"
#include "quant/bilinear.h"
#include "quant/truncate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef struct Layer {
    const NbCase *c;
    PlainConv conv;
    float x_scale;
    const float *w_scale; /* [o] */
    const float *b_scale; /* [o] */
    const float *x_q, *w_q, *b_q;
} Layer;

static PlainConv geometry(const NbCase *c) {
    const NbTensor x = nb_case_array(c, "x");
    const NbTensor w = nb_case_array(c, "w");
    return (PlainConv){
        .n = x.shape.dim[0],
        .c = x.shape.dim[1],
        .h = x.shape.dim[2],
        .w = x.shape.dim[3],
        .o = w.shape.dim[0],
        .kh = w.shape.dim[2],
        .kw = w.shape.dim[3],
        .stride = (int64_t)nb_case_number(c, "stride", 1),
        .pad = (int64_t)nb_case_number(c, "padding", 0),
    };
}

static bool inputs(Layer *l) {
    const NbCase *const c = l->c;
    const NbQuantSpec spec = {.grid = {.bits = (int)nb_case_number(c, "input_bits", 8),
                                       .is_signed = nb_case_bool(c, "input_signed", true)}};
    const BrevitasRows x = brevitas_rows(c, "x", false);
    float *const q = brevitas_floats(c, x.n);
    l->x_scale = nb_case_f32(c, "x_scale", NULL)[0];
    nb_quant_codes(&spec, x.x, 1, x.n, &l->x_scale, NULL, q);
    l->x_q = q;
    return nb_case_compare(c, "x_q", q, x.n);
}

static bool weights(Layer *l) {
    const NbCase *const c = l->c;
    const bool per_channel =
        strcmp(nb_case_string(c, "weight_granularity", "tensor"), "channel") == 0;
    const NbQuantSpec spec = {.grid = {.bits = (int)nb_case_number(c, "weight_bits", 8),
                                       .is_signed = true,
                                       .narrow = true},
                              .scale_from = NB_SCALE_STATS,
                              .per_channel = per_channel,
                              .scale_min = 1e-10F};
    const BrevitasRows w = brevitas_rows(c, "w", per_channel);
    float *const q = brevitas_floats(c, w.count);
    float *const scale = brevitas_floats(c, (size_t)l->conv.o);
    nb_quant_scale(&spec, w.x, w.rows, w.n, NULL, scale);
    nb_quant_codes(&spec, w.x, w.rows, w.n, scale, NULL, q);
    const bool ok = nb_case_compare(c, "w_scale", scale, w.rows);
    for (int64_t i = (int64_t)w.rows; i < l->conv.o; i++)
        scale[i] = scale[0];
    l->w_q = q;
    l->w_scale = scale;
    return nb_case_compare(c, "w_q", q, w.count) && ok;
}

static bool biases(Layer *l) {
    const NbCase *const c = l->c;
    const NbQuantSpec spec = {
        .grid = {.bits = (int)nb_case_number(c, "bias_bits", 32), .is_signed = true}};
    const size_t channels = (size_t)l->conv.o;
    float *const scale = brevitas_floats(c, channels);
    float *const q = brevitas_floats(c, channels);
    for (size_t i = 0; i < channels; i++)
        scale[i] = l->x_scale * l->w_scale[i];
    nb_quant_codes(&spec, nb_case_f32(c, "b", NULL), channels, 1, scale, NULL, q);
    l->b_scale = scale;
    l->b_q = q;
    size_t count;
    (void)nb_case_f32(c, "b_scale", &count);
    const bool ok = nb_case_compare(c, "b_scale", scale, count);
    return nb_case_compare(c, "b_q", q, channels) && ok;
}

bool brevitas_layer_conv(const NbCase *c) {
    Layer l = {.c = c, .conv = geometry(c)};
    bool ok = inputs(&l);
    ok &= weights(&l);
    ok &= biases(&l);
    const size_t n = plain_out_count(&l.conv);
    double *const sums = NB_NEW(&c->all->arena, double, n);
    float *const acc = brevitas_floats(c, n);
    float *const y = brevitas_floats(c, n);
    assert_non_null(sums);
    plain_conv(&l.conv, l.x_q, l.w_q, l.b_q, sums);
    const size_t plane = n / (size_t)(l.conv.n * l.conv.o);
    for (size_t i = 0; i < n; i++) {
        acc[i] = (float)sums[i];
        y[i] = (float)(sums[i] * (double)l.b_scale[i / plane % (size_t)l.conv.o]);
    }
    ok &= nb_case_compare(c, "acc", acc, n);
    return nb_case_compare(c, "y", y, n) && ok;
}

bool brevitas_trunc_avgpool(const NbCase *c) {
    const NbTensor x = nb_case_array(c, "x_q");
    const int64_t kernel = (int64_t)nb_case_number(c, "kernel", 2);
    NbTruncate spec = {
        .in_bits = nb_truncate_sum_bits((int)nb_case_number(c, "in_bits", 8), kernel * kernel),
        .out = {.bits = (int)nb_case_number(c, "out_bits", 8),
                .is_signed = nb_case_bool(c, "signed", false)}};
    assert_true(nb_round_parse(nb_case_string(c, "rounding", "round"), &spec.round));
    const size_t planes = (size_t)(x.shape.dim[0] * x.shape.dim[1]);
    const int64_t h = x.shape.dim[2];
    const int64_t w = x.shape.dim[3];
    const size_t n = planes * (size_t)((h / kernel) * (w / kernel));
    float *const q = brevitas_floats(c, n);
    nb_truncate_average(&spec, nb_case_f32(c, "x_q", NULL), planes, h, w, kernel, q);
    const float sum_scale = nb_case_f32(c, "x_scale", NULL)[0] / (float)(kernel * kernel);
    const float scale = nb_truncate_scale(&spec, sum_scale);
    bool ok = nb_case_compare(c, "scale", &scale, 1);
    ok &= nb_case_compare(c, "y_q", q, n);
    nb_quant_values(q, 1, n, &scale, NULL, q);
    return nb_case_compare(c, "y", q, n) && ok;
}

bool brevitas_upsample(const NbCase *c) {
    const NbTensor x = nb_case_array(c, "x");
    const int factor = (int)nb_case_number(c, "scale_factor", 2);
    size_t n;
    const float *const values = nb_case_f32(c, "x", &n);
    n *= (size_t)(factor * factor);
    float *const y = brevitas_floats(c, n);
    nb_bilinear_upsample(values, (size_t)(x.shape.dim[0] * x.shape.dim[1]), x.shape.dim[2],
                         x.shape.dim[3], factor, nb_case_bool(c, "align_corners", false), y);
    nb_bilinear_requantize(y, n, nb_case_f32(c, "x_scale", NULL)[0]);
    return nb_case_compare(c, "y", y, n);
}

bool brevitas_eltwise_add(const NbCase *c) {
    const NbQuantSpec spec = {.grid = {.bits = (int)nb_case_number(c, "bits", 8),
                                       .is_signed = nb_case_bool(c, "signed", true)}};
    const float in_scale = nb_case_f32(c, "in_scale", NULL)[0];
    const float out_scale = nb_case_f32(c, "out_scale", NULL)[0];
    const BrevitasRows a = brevitas_rows(c, "a", false);
    const BrevitasRows b = brevitas_rows(c, "b", false);
    nb_quant_codes(&spec, a.x, 1, a.n, &in_scale, NULL, a.x);
    nb_quant_codes(&spec, b.x, 1, b.n, &in_scale, NULL, b.x);
    nb_quant_values(a.x, 1, a.n, &in_scale, NULL, a.x);
    nb_quant_values(b.x, 1, b.n, &in_scale, NULL, b.x);
    for (size_t i = 0; i < a.n; i++)
        a.x[i] += b.x[i];
    nb_quant_codes(&spec, a.x, 1, a.n, &out_scale, NULL, a.x);
    nb_quant_values(a.x, 1, a.n, &out_scale, NULL, a.x);
    return nb_case_compare(c, "y", a.x, a.n);
}
