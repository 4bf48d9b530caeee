/* SPDX-License-Identifier: Apache-2.0
 *
 * Training steps of convolution, batch norm, ReLU and quantizer, every gradient included. */
#include "brevitas.h"

#include "plain_layers.h"
#include "quant/runtime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef struct Block {
    const NbCase *c;
    NbQuantSpec weight;
    NbRuntimeSpec act;
    NbRuntime state;
    PlainConv conv;
    PlainNorm norm;
    BrevitasRows w;
    float *w_values;
    size_t x_count, y_count;
    float *sums, *normal, *rectified, *y, *dy, *dz, *dx, *dw, *dw_values;
    float *d_affine[2];
    double *exact, *mean, *inv_std;
} Block;

static NbQuantSpec weight_spec(const NbCase *c) {
    const bool per_channel =
        strcmp(nb_case_string(c, "weight_granularity", "tensor"), "channel") == 0;
    return (NbQuantSpec){
        .grid = {.bits = (int)nb_case_number(c, "weight_bits", 8),
                 .is_signed = true,
                 .narrow = true},
        .scale_from = NB_SCALE_STATS,
        .per_channel = per_channel,
        .ste_clamp = true,
        .scale_min = 1e-10F,
    };
}

static NbRuntimeSpec act_spec(const NbCase *c) {
    return (NbRuntimeSpec){
        .quant = {.grid = {.bits = (int)nb_case_number(c, "act_bits", 8)}, .scale_min = 1e-10F},
        .collect = (int64_t)nb_case_number(c, "collect_stats_steps", 300),
        .momentum = 0.1,
        .percentile = 99.999,
    };
}

static PlainConv geometry(const NbCase *c) {
    const NbTensor x = nb_case_array(c, "x0");
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

static double *doubles(const NbCase *c, size_t n) {
    double *const out = NB_NEW(&c->all->arena, double, n);
    assert_non_null(out);
    return out;
}

static void take_buffers(Block *b) {
    const NbCase *const c = b->c;
    const size_t channels = (size_t)b->conv.o;
    b->x_count = (size_t)(b->conv.n * b->conv.c * b->conv.h * b->conv.w);
    b->y_count = plain_out_count(&b->conv);
    float **const like_y[] = {&b->sums, &b->normal, &b->rectified, &b->y, &b->dy, &b->dz};
    for (size_t i = 0; i < sizeof like_y / sizeof *like_y; i++)
        *like_y[i] = brevitas_floats(c, b->y_count);
    b->dx = brevitas_floats(c, b->x_count);
    b->dw = brevitas_floats(c, b->w.count);
    b->dw_values = brevitas_floats(c, b->w.count);
    b->w_values = brevitas_floats(c, b->w.count);
    b->d_affine[0] = brevitas_floats(c, channels);
    b->d_affine[1] = brevitas_floats(c, channels);
    b->exact = doubles(c, b->y_count);
    b->mean = doubles(c, channels);
    b->inv_std = doubles(c, channels);
    b->norm.running_mean = brevitas_floats(c, channels);
    b->norm.running_var = brevitas_floats(c, channels);
    for (size_t i = 0; i < channels; i++)
        b->norm.running_var[i] = 1.0F;
}

static void quantize_weights(Block *b) {
    float *const scale = brevitas_floats(b->c, b->w.rows);
    nb_quant_scale(&b->weight, b->w.x, b->w.rows, b->w.n, NULL, scale);
    nb_quant_codes(&b->weight, b->w.x, b->w.rows, b->w.n, scale, NULL, b->w_values);
    nb_quant_values(b->w_values, b->w.rows, b->w.n, scale, NULL, b->w_values);
}

static void convolve(Block *b, const float *x) {
    plain_conv(&b->conv, x, b->w_values, NULL, b->exact);
    for (size_t i = 0; i < b->y_count; i++)
        b->sums[i] = (float)b->exact[i];
}

static void activate(Block *b, const NbRuntimeStep *step) {
    nb_quant_codes(&b->act.quant, b->rectified, 1, b->y_count, &step->scale, NULL, b->y);
    nb_quant_values(b->y, 1, b->y_count, &step->scale, NULL, b->y);
}

static void rectify(Block *b) {
    for (size_t i = 0; i < b->y_count; i++)
        b->rectified[i] = b->normal[i] > 0.0F ? b->normal[i] : 0.0F;
}

static bool compare_backward(Block *b, int i, const float *d_values) {
    const NbCase *const c = b->c;
    const size_t channels = (size_t)b->conv.o;
    bool ok = nb_case_compare(c, brevitas_step("grad_x", i), b->dx, b->x_count);
    ok &= nb_case_compare(c, brevitas_step("grad_w", i), b->dw, b->w.count);
    ok &= nb_case_compare(c, brevitas_step("grad_gamma", i), b->d_affine[0], channels);
    ok &= nb_case_compare(c, brevitas_step("grad_beta", i), b->d_affine[1], channels);
    if (nb_case_has(c, brevitas_step("grad_value", i)))
        ok &= nb_case_compare(c, brevitas_step("grad_value", i), &d_values[0], 1);
    if (nb_case_has(c, brevitas_step("value", i)))
        ok &= nb_case_compare(c, brevitas_step("value", i), &b->state.value, 1);
    return ok;
}

static bool backward(Block *b, int i, const NbRuntimeStep *step, const float *x) {
    const float *const g = nb_case_f32(b->c, brevitas_step("g", i), NULL);
    float d_values[2] = {0};
    nb_runtime_backward(&b->act, &b->state, step, b->rectified, b->y_count, g, b->dy, d_values);
    for (size_t k = 0; k < b->y_count; k++)
        b->dy[k] = b->normal[k] > 0.0F ? b->dy[k] : 0.0F;
    plain_norm_backward(&b->norm, b->sums, b->mean, b->inv_std, b->dy, b->dz, b->d_affine);
    plain_conv_backward(&b->conv, x, b->w_values, b->dz, b->dx, b->dw_values);
    nb_quant_backward(&b->weight, b->w.x, b->w.rows, b->w.n, NULL, b->dw_values, b->dw, NULL);
    return compare_backward(b, i, d_values);
}

static bool train_step(Block *b, int i) {
    const NbCase *const c = b->c;
    const size_t channels = (size_t)b->conv.o;
    const float *const x = nb_case_f32(c, brevitas_step("x", i), NULL);
    quantize_weights(b);
    convolve(b, x);
    plain_norm_train(&b->norm, b->sums, b->normal, b->mean, b->inv_std);
    rectify(b);
    const NbRuntimeStep step = nb_runtime_train(&b->act, &b->state, b->rectified, b->y_count);
    activate(b, &step);
    bool ok = nb_case_compare(c, brevitas_step("conv", i), b->sums, b->y_count);
    ok &= nb_case_compare(c, brevitas_step("bn", i), b->normal, b->y_count);
    ok &= nb_case_compare(c, brevitas_step("scale", i), &step.scale, 1);
    ok &= brevitas_compare_codes(c, brevitas_step("y", i), b->y, b->y_count, (double)step.scale,
                                 0.005);
    ok &= nb_case_compare(c, brevitas_step("running_mean", i), b->norm.running_mean, channels);
    ok &= nb_case_compare(c, brevitas_step("running_var", i), b->norm.running_var, channels);
    return backward(b, i, &step, x) && ok;
}

static bool infer(Block *b) {
    convolve(b, nb_case_f32(b->c, "x_eval", NULL));
    plain_norm_infer(&b->norm, b->sums, b->normal);
    rectify(b);
    const NbRuntimeStep step = nb_runtime_infer(&b->act, &b->state);
    activate(b, &step);
    const bool ok = nb_case_compare(b->c, "scale_eval", &step.scale, 1);
    return brevitas_compare_codes(b->c, "y_eval", b->y, b->y_count, (double)step.scale, 0.005) &&
           ok;
}

bool brevitas_block(const NbCase *c) {
    Block b = {.c = c,
               .weight = weight_spec(c),
               .act = act_spec(c),
               .state = nb_runtime_start(),
               .conv = geometry(c)};
    b.w = brevitas_rows(c, "w", b.weight.per_channel);
    b.norm = (PlainNorm){.n = b.conv.n,
                         .c = b.conv.o,
                         .plane = plain_out_h(&b.conv) * plain_out_w(&b.conv),
                         .eps = nb_case_number(c, "bn_eps", 1e-5),
                         .momentum = nb_case_number(c, "bn_momentum", 0.1),
                         .gamma = nb_case_f32(c, "gamma", NULL),
                         .beta = nb_case_f32(c, "beta", NULL)};
    take_buffers(&b);
    bool ok = true;
    const int steps = (int)nb_case_number(c, "steps", 0);
    for (int i = 0; i < steps; i++)
        ok &= train_step(&b, i);
    return infer(&b) && ok;
}
