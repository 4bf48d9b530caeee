/* SPDX-License-Identifier: Apache-2.0 */
#include "lower/random_net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

enum { MOST_VALUES = 64 };

typedef struct Maker {
    NbRandom r;
    NbGraph *g;
    int names;
    NbNodeId value[MOST_VALUES]; /* coded values that may be read */
    int n_values;
    double rms[MOST_VALUES]; /* about how large they are */
    bool plain;
} Maker;

static int below(Maker *m, int n) { return (int)nb_random_below(&m->r, (uint32_t)n); }
static bool chance(Maker *m, int percent) { return below(m, 100) < percent; }

static NbNodeId add(Maker *m, NbOp op, const char *what, int n_in, const NbNodeId *in,
                    const NbAttr *attr) {
    char name[64];
    NbNodeId id = -1;
    NbError err = {0};
    (void)snprintf(name, sizeof name, "%s%d", what, m->names++);
    if (nb_graph_add(m->g, op, name, n_in, in, attr, &id, &err) != NB_OK)
        fail_msg("%s", err.message);
    return id;
}

static float *param(Maker *m, NbParamRole role, const NbShape *shape, NbNodeId *id) {
    char name[64];
    NbError err = {0};
    (void)snprintf(name, sizeof name, "param%d", m->names++);
    if (nb_graph_add_param(m->g, name, role, NB_F32, shape, id, &err) != NB_OK)
        fail_msg("%s", err.message);
    return nb_f32(&m->g->node[*id].param);
}

static void infer(Maker *m, const RandomNet *net) {
    NbError err = {0};
    if (nb_graph_infer(m->g, 1, net->height, net->width, &err) != NB_OK)
        fail_msg("%s", err.message);
}

/* A quantizer with a threshold of about `limit`. */
static NbQuantSpec any_spec(Maker *m, bool weight, double limit) {
    NbQuantSpec spec = {.init = (float)(limit * nb_random_range(&m->r, 0.3, 2.0))};
    spec.kind = chance(m, 80) ? NB_QUANT_INT : chance(m, 50) ? NB_QUANT_BINARY : NB_QUANT_TERNARY;
    spec.cut = (float)nb_random_range(&m->r, 0.1, 0.9);
    spec.grid.is_signed = weight || chance(m, 35);
    spec.grid.bits = 1 + below(m, 8);
    if (spec.grid.bits > 1)
        spec.grid.narrow = weight || (spec.grid.is_signed && chance(m, 50));
    spec.round = chance(m, 75) ? NB_ROUND_HALF_EVEN : (NbRound)below(m, 5);
    spec.scale_from = chance(m, 50) ? NB_SCALE_CONST : NB_SCALE_PARAMETER;
    if (weight && chance(m, 50))
        spec.scale_from = NB_SCALE_STATS;
    spec.restrict_to = (NbRestrict)below(m, 3);
    spec.per_channel = weight && chance(m, 60);
    return spec;
}

static NbNodeId quantize(Maker *m, NbNodeId x, const NbQuantSpec *spec, int64_t channels) {
    NbAttr attr = {.quant = *spec};
    NbNodeId in[2] = {x, -1};
    if (spec->scale_from == NB_SCALE_PARAMETER) {
        const NbShape shape = nb_shape(1, &channels);
        float *value = param(m, NB_PARAM_QUANT, &shape, &in[1]);
        for (int64_t c = 0; c < channels; c++)
            value[c] =
                nb_quant_value_of(spec, spec->init * (channels > 1 && chance(m, 20) ? 3 : 1));
    }
    return add(m, NB_OP_QUANT, "quant", in[1] < 0 ? 1 : 2, in, &attr);
}

static void remember(Maker *m, NbNodeId id, double rms) {
    if (m->n_values == MOST_VALUES)
        return;
    m->value[m->n_values] = id;
    m->rms[m->n_values++] = rms;
}

static NbConvAttr any_window(Maker *m, int channels) {
    NbConvAttr a = {.groups = 1};
    const int size = 1 + below(m, 3);
    for (int i = 0; i < 2; i++) {
        a.kernel[i] = chance(m, 80) ? size : 1 + below(m, 5);
        a.stride[i] = chance(m, 75) ? 1 : 1 + below(m, 3);
        a.dilation[i] = m->plain || chance(m, 85) ? 1 : 2;
        a.pad[i] = a.kernel[i] / 2;
        a.pad[i + 2] = a.kernel[i] / 2;
    }
    for (int i = 0; i < 4; i++)
        if (chance(m, 15))
            a.pad[i] = below(m, 4);
    for (int i = 0; i < 2; i++) /* the kernel must fit a single pixel */
        while (a.pad[i] + a.pad[i + 2] < a.dilation[i] * (a.kernel[i] - 1))
            a.pad[i]++;
    if (!m->plain && chance(m, 20))
        a.groups = chance(m, 50) ? channels : channels % 2 == 0 ? 2 : 1;
    return a;
}

/* CONV of codes; *rms gets about how large its values are. */
static NbNodeId convolve(Maker *m, int v, int outputs, bool bias, double *rms) {
    const int channels = (int)m->g->node[m->value[v]].shape.dim[1];
    NbAttr attr = {.conv = any_window(m, channels)};
    const int groups = attr.conv.groups;
    outputs = groups * ((outputs + groups - 1) / groups);
    const NbShape shape = nb_shape(
        4, (const int64_t[]){outputs, channels / groups, attr.conv.kernel[0], attr.conv.kernel[1]});
    NbNodeId in[3] = {m->value[v], -1, -1};
    const double spread = exp(nb_random_range(&m->r, -3, 1));
    float *w = param(m, NB_PARAM_WEIGHT, &shape, &in[1]);
    const size_t count = nb_shape_count(&shape);
    for (size_t i = 0; i < count; i++)
        w[i] = (float)(spread * nb_random_normal(&m->r));
    const NbQuantSpec spec = any_spec(m, true, 2 * spread);
    in[1] = quantize(m, in[1], &spec, spec.per_channel ? outputs : 1);
    *rms = spread * m->rms[v] * sqrt((double)count / outputs);
    if (bias) {
        const NbShape row = nb_shape(1, (const int64_t[]){outputs});
        float *b = param(m, NB_PARAM_BIAS, &row, &in[2]);
        for (int i = 0; i < outputs; i++)
            b[i] = (float)(*rms * nb_random_normal(&m->r));
    }
    return add(m, NB_OP_CONV, "conv", bias ? 3 : 2, in, &attr);
}

static NbNodeId normalize(Maker *m, NbNodeId x, int64_t channels, double rms) {
    NbAttr attr = {.batchnorm = {.eps = 1e-3F, .momentum = 0.03F}};
    NbNodeId in[5] = {x};
    const NbShape shape = nb_shape(1, &channels);
    float *p[4];
    for (int i = 0; i < 4; i++)
        p[i] = param(m, (NbParamRole)(NB_PARAM_GAMMA + i), &shape, &in[i + 1]);
    for (int64_t c = 0; c < channels; c++) {
        const double size = chance(m, 10) ? exp(nb_random_range(&m->r, -20, 20)) : 1.0;
        p[0][c] = chance(m, 8) ? 0.0F : (float)(size * nb_random_normal(&m->r));
        p[1][c] = (float)(0.7 * nb_random_normal(&m->r));
        p[2][c] = (float)(0.5 * rms * nb_random_normal(&m->r));
        p[3][c] = (float)(rms * rms * nb_random_range(&m->r, 0.2, 4));
    }
    return add(m, NB_OP_BATCHNORM, "bn", 5, in, &attr);
}

/* Batch norm, scale and activation, each there or not. */
static NbNodeId decorate(Maker *m, NbNodeId x, int64_t channels, double *rms) {
    NbAttr attr = {0};
    if (chance(m, 75)) {
        x = normalize(m, x, channels, *rms);
        *rms = 1.0;
    }
    if (chance(m, 25)) {
        attr.scale.factor = chance(m, 20) ? -0.7F : 0.5F;
        x = add(m, NB_OP_SCALE, "scale", 1, &x, &attr);
        *rms *= 0.5;
    }
    if (chance(m, 15) && *rms < 30) {
        *rms = *rms < 1.0 ? *rms : 1.0;
        return add(m, NB_OP_SIGMOID, "sigmoid", 1, &x, NULL);
    }
    if (chance(m, 30) && *rms < 30)
        return add(m, NB_OP_SILU, "silu", 1, &x, NULL);
    const int which = below(m, 4);
    if (which == 0)
        return add(m, NB_OP_RELU, "relu", 1, &x, NULL);
    if (which == 1 && *rms < 4)
        return add(m, NB_OP_HARDTANH, "tanh", 1, &x, NULL);
    attr.leaky_relu.slope = chance(m, 50) ? 0.1F : 0.125F;
    return which == 2 ? add(m, NB_OP_LEAKY_RELU, "leaky", 1, &x, &attr) : x;
}

static int any_outputs(Maker *m) { return m->plain ? 1 + below(m, 40) : 1 + below(m, 20); }

static void add_block(Maker *m, const RandomNet *net) {
    const int v = m->n_values - 1 - (chance(m, 30) ? below(m, m->n_values) : 0);
    double rms = 0;
    NbNodeId x = convolve(m, v, any_outputs(m), chance(m, 20), &rms);
    infer(m, net);
    x = decorate(m, x, m->g->node[x].shape.dim[1], &rms);
    const NbQuantSpec spec = any_spec(m, false, 2 * rms);
    x = quantize(m, x, &spec, 1);
    if (chance(m, 15)) { /* a second quantizer of the same sums */
        const NbQuantSpec other = any_spec(m, false, rms);
        remember(m, quantize(m, m->g->node[x].in[0], &other, 1), rms);
    }
    remember(m, x, rms);
}

static void add_pool(Maker *m) {
    NbAttr attr = {.pool = {.kernel = {2, 2}, .stride = {2, 2}}};
    const NbNode *x = &m->g->node[m->value[m->n_values - 1]];
    if (x->shape.dim[2] < 3 || x->shape.dim[3] < 3)
        return;
    if (!m->plain && chance(m, 50)) {
        const int size = 1 + 2 * below(m, 3);
        attr.pool = (NbPoolAttr){.kernel = {size, size},
                                 .stride = {1, 1},
                                 .pad = {size / 2, size / 2, size / 2, size / 2}};
    }
    const double rms = m->rms[m->n_values - 1];
    remember(m, add(m, NB_OP_MAXPOOL, "pool", 1, &m->value[m->n_values - 1], &attr), rms);
}

/* Two blocks with one constant quantizer, joined or added. */
static void add_pair(Maker *m, const RandomNet *net) {
    const int v = m->n_values - 1;
    const uint32_t state = m->r.counter[0];
    NbQuantSpec spec = {0};
    NbNodeId in[2];
    for (int i = 0; i < 2; i++) {
        NbAttr attr = {
            .conv = {.kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}, .groups = 1}};
        const int64_t channels = m->g->node[m->value[v]].shape.dim[1];
        const NbShape shape = nb_shape(4, (const int64_t[]){5 + state % 7, channels, 1, 1});
        NbNodeId operands[2] = {m->value[v], -1};
        float *w = param(m, NB_PARAM_WEIGHT, &shape, &operands[1]);
        for (size_t k = 0; k < nb_shape_count(&shape); k++)
            w[k] = (float)nb_random_normal(&m->r);
        const NbQuantSpec weights = any_spec(m, true, 2.0);
        operands[1] = quantize(m, operands[1], &weights, weights.per_channel ? shape.dim[0] : 1);
        const NbNodeId x = add(m, NB_OP_CONV, "pair", 2, operands, &attr);
        double rms = m->rms[v] * sqrt((double)channels);
        infer(m, net);
        if (i == 0) {
            spec = any_spec(m, false, 2 * rms);
            spec.scale_from = NB_SCALE_CONST;
        }
        in[i] = quantize(m, decorate(m, x, shape.dim[0], &rms), &spec, 1);
    }
    NbAttr attr = {.concat = {.axis = 1}};
    const double rms = m->rms[v];
    if (chance(m, 50)) {
        remember(m, add(m, NB_OP_CONCAT, "concat", 2, in, &attr), rms);
        return;
    }
    NbNodeId x = add(m, NB_OP_ADD, "add", 2, in, NULL);
    infer(m, net);
    if (m->g->node[x].grid.bits > 8 || chance(m, 60)) {
        const NbQuantSpec after = any_spec(m, false, 2 * rms);
        x = quantize(m, x, &after, 1);
    }
    remember(m, x, rms);
}

static void add_moved(Maker *m) {
    const NbNodeId x = m->value[m->n_values - 1];
    const double rms = m->rms[m->n_values - 1];
    NbAttr attr = {0};
    if (chance(m, 40)) {
        attr.upsample.factor = 2;
        remember(m, add(m, NB_OP_UPSAMPLE, "up", 1, &x, &attr), rms);
    } else if (chance(m, 50)) {
        for (int i = 0; i < 4; i++)
            attr.pad.pad[i] = below(m, 3);
        remember(m, add(m, NB_OP_PAD, "pad", 1, &x, &attr), rms);
    } else {
        static const NbOp ops[] = {NB_OP_RELU, NB_OP_SILU, NB_OP_SIGMOID, NB_OP_HARDTANH};
        const NbNodeId y = chance(m, 70) ? add(m, ops[below(m, 4)], "curve", 1, &x, NULL) : x;
        NbQuantSpec spec = any_spec(m, false, 2 * rms);
        if (m->g->node[y].op == NB_OP_SILU) { /* where it falls there is only the code 0 */
            spec.kind = NB_QUANT_INT;
            spec.round = NB_ROUND_HALF_EVEN;
            spec.grid = (NbGrid){.bits = 1 + below(m, 8)};
        }
        remember(m, quantize(m, y, &spec, 1), rms);
    }
}

void random_net(uint32_t seed, bool plain, NbArena *arena, RandomNet *net) {
    Maker m = {.r = nb_random(seed, NB_RANDOM_TEST, plain ? 1 : 2, 3), .plain = plain};
    net->channels = plain ? 3 : 1 + below(&m, 4);
    net->height = 6 + below(&m, plain ? 40 : 10);
    net->width = 6 + below(&m, plain ? 40 : 10);
    nb_graph_init(&net->graph, arena);
    m.g = &net->graph;
    const NbAttr attr = {.input = {.scale = 1.0F / 255.0F, .channels = net->channels}};
    remember(&m, add(&m, NB_OP_INPUT, "image", 0, NULL, &attr), 0.5);
    infer(&m, net);
    const int blocks = 1 + below(&m, plain ? 4 : 6);
    for (int i = 0; i < blocks; i++) {
        if (i == 0 || plain || chance(&m, 60))
            add_block(&m, net);
        else if (chance(&m, 50))
            add_pair(&m, net);
        else
            add_moved(&m);
        infer(&m, net);
        if (chance(&m, plain ? 60 : 30))
            add_pool(&m);
        infer(&m, net);
    }
    NbNodeId output[2];
    double rms = 0;
    output[0] = convolve(&m, m.n_values - 1, any_outputs(&m), chance(&m, 50), &rms);
    output[1] = m.value[m.n_values > 2 ? m.n_values - 2 : m.n_values - 1];
    NbError err = {0};
    assert_int_equal(nb_graph_set_outputs(m.g, chance(&m, 60) ? 2 : 1, output, &err), NB_OK);
    infer(&m, net);
}

const uint8_t *random_picture(const RandomNet *net, uint32_t seed, int i, NbArena *arena) {
    const size_t n = (size_t)net->channels * (size_t)net->height * (size_t)net->width;
    uint8_t *p = NB_NEW(arena, uint8_t, n);
    NbRandom r = nb_random(seed, NB_RANDOM_TEST, (uint32_t)i, 9);
    assert_non_null(p);
    for (size_t k = 0; k < n; k++)
        p[k] = i == 0 ? 0 : i == 1 ? 255 : (uint8_t)nb_random_u32(&r);
    return p;
}
