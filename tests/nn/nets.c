/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/nets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static void must(NbStatus status, const NbError *err) {
    if (status != NB_OK)
        fail_msg("%s", err->message);
}

void net_init(Net *net, uint64_t seed, bool quantized) {
    memset(net, 0, sizeof *net);
    net->random = nb_random(seed, NB_RANDOM_TEST, 0, 0);
    net->quantized = quantized;
    nb_graph_init(&net->g, &net->arena);
}

void net_release(Net *net) { nb_arena_release(&net->arena); }

NbNodeId net_node(Net *net, NbOp op, int n_in, const NbNodeId *in, const NbAttr *attr) {
    char name[32];
    NbNodeId id = -1;
    NbError err = {{0}};
    snprintf(name, sizeof name, "n%d", net->names++);
    must(nb_graph_add(&net->g, op, name, n_in, in, attr, &id, &err), &err);
    return id;
}

static NbNodeId param(Net *net, NbParamRole role, int rank, const int64_t *dim, double lo,
                      double hi) {
    char name[32];
    NbNodeId id = -1;
    NbError err = {{0}};
    const NbShape shape = nb_shape(rank, dim);
    snprintf(name, sizeof name, "p%d", net->names++);
    must(nb_graph_add_param(&net->g, name, role, NB_F32, &shape, &id, &err), &err);
    float *const data = nb_f32(&net->g.node[id].param);
    for (size_t i = 0; i < nb_shape_count(&shape); i++)
        data[i] = (float)nb_random_range(&net->random, lo, hi);
    return id;
}

NbNodeId net_input(Net *net, int channels) {
    return net_node(net, NB_OP_INPUT, 0, NULL,
                    &(NbAttr){.input = {.scale = 1.0F / 255.0F, .channels = channels}});
}

static NbNodeId quantized_weights(Net *net, NbNodeId w, int bits, int oc) {
    const bool learned = nb_random_below(&net->random, 3) == 0;
    const bool per_channel = nb_random_below(&net->random, 2) == 0;
    const NbAttr attr = {.quant = {.grid = {.bits = bits, .is_signed = true, .narrow = true},
                                   .round = net->round,
                                   .scale_from = learned ? NB_SCALE_PARAMETER : NB_SCALE_STATS,
                                   .per_channel = per_channel,
                                   .ste_clamp = !learned,
                                   .lsq_gradient = learned,
                                   .scale_min = 1e-10F}};
    if (!learned)
        return net_node(net, NB_OP_QUANT, 1, &w, &attr);
    const int64_t n = per_channel ? oc : 1;
    const NbNodeId in[] = {w, param(net, NB_PARAM_QUANT, 1, &n, 0.2, 0.5)};
    return net_node(net, NB_OP_QUANT, 2, in, &attr);
}

NbNodeId net_conv(Net *net, NbNodeId x, int ic, ConvSpec s) {
    const int groups = s.groups ? s.groups : 1;
    const int dilation = s.dilation ? s.dilation : 1;
    const int64_t dim[4] = {s.oc, ic / groups, s.kernel, s.kernel};
    const int64_t oc = s.oc;
    NbNodeId in[3] = {x, param(net, NB_PARAM_WEIGHT, 4, dim, -0.5, 0.5), -1};
    if (net->quantized)
        in[1] = quantized_weights(net, in[1], s.bits ? s.bits : 4, s.oc);
    if (s.bias)
        in[2] = param(net, NB_PARAM_BIAS, 1, &oc, -0.3, 0.3);
    const NbAttr attr = {.conv = {.kernel = {s.kernel, s.kernel},
                                  .stride = {s.stride, s.stride},
                                  .pad = {s.pad, s.pad, s.pad, s.pad},
                                  .dilation = {dilation, dilation},
                                  .groups = groups}};
    return net_node(net, NB_OP_CONV, s.bias ? 3 : 2, in, &attr);
}

NbNodeId net_norm(Net *net, NbNodeId x, int channels) {
    const int64_t c = channels;
    const NbNodeId in[5] = {x, param(net, NB_PARAM_GAMMA, 1, &c, -1.5, 1.5),
                            param(net, NB_PARAM_BETA, 1, &c, -0.5, 0.8),
                            param(net, NB_PARAM_MEAN, 1, &c, -0.5, 0.5),
                            param(net, NB_PARAM_VAR, 1, &c, 0.3, 2.0)};
    return net_node(net, NB_OP_BATCHNORM, 5, in,
                    &(NbAttr){.batchnorm = {.eps = 1e-3F, .momentum = 0.1F}});
}

NbNodeId net_unary(Net *net, NbOp op, NbNodeId x) {
    NbAttr attr = {0};
    if (op == NB_OP_LEAKY_RELU)
        attr.leaky_relu.slope = 0.1F;
    if (op == NB_OP_SCALE)
        attr.scale.factor = 0.75F;
    return net_node(net, op, 1, &x, &attr);
}

NbNodeId net_quant(Net *net, NbNodeId x, int bits, bool is_signed, bool learned) {
    const NbGrid grid = {.bits = bits, .is_signed = is_signed};
    const int zero = nb_random_below(&net->random, 3) == 0 ? (int)nb_grid_lo(grid) + 1 : 0;
    const NbAttr attr = {.quant = {.grid = grid,
                                   .zero = (float)zero,
                                   .round = net->round,
                                   .scale_from = learned ? NB_SCALE_PARAMETER : NB_SCALE_CONST,
                                   .restrict_to = learned ? NB_RESTRICT_LOG_FP : NB_RESTRICT_FP,
                                   .lsq_gradient = learned,
                                   .init = 1.7F,
                                   .scale_min = 1e-10F}};
    const int64_t one = 1;
    NbNodeId in[2] = {x, -1};
    if (learned)
        in[1] = param(net, NB_PARAM_QUANT, 1, &one, 0.2, 1.2);
    return net_node(net, NB_OP_QUANT, learned ? 2 : 1, in, &attr);
}

NbNodeId net_pool(Net *net, NbNodeId x, int kernel, int stride, int pad) {
    const NbAttr attr = {.pool = {.kernel = {kernel, kernel},
                                  .stride = {stride, stride},
                                  .pad = {pad, pad, pad, pad}}};
    return net_node(net, NB_OP_MAXPOOL, 1, &x, &attr);
}

void net_outputs(Net *net, int n, const NbNodeId *id) {
    NbError err = {{0}};
    must(nb_graph_set_outputs(&net->g, n, id, &err), &err);
}

/* The growing graph: activations so far. */
typedef struct Growth {
    Net *net;
    NbNodeId id[256];
    int n;
    int height;
    int width;
    NbNodeId rows; /* a value that is no picture; -1: none yet */
} Growth;

static unsigned below(Growth *w, unsigned n) { return nb_random_below(&w->net->random, n); }

/* The shape of a node, through a full inference: slow and simple. */
static NbShape shape_of(Growth *w, NbNodeId id) {
    NbError err = {{0}};
    net_outputs(w->net, 1, &id);
    must(nb_graph_infer(&w->net->g, 1, w->height, w->width, &err), &err);
    return w->net->g.node[id].shape;
}

static NbNodeId any(Growth *w) { return w->id[below(w, (unsigned)w->n)]; }

static bool coded(const Growth *w, NbNodeId id) {
    return w->net->g.node[id].kind == NB_VALUE_CODED;
}

static NbNodeId grow_activation(Growth *w, NbNodeId x) {
    static const NbOp op[] = {NB_OP_RELU,    NB_OP_LEAKY_RELU, NB_OP_SILU,
                              NB_OP_SIGMOID, NB_OP_HARDTANH,   NB_OP_SCALE};
    return net_unary(w->net, op[below(w, sizeof op / sizeof *op)], x);
}

static NbNodeId grow_quant(Growth *w, NbNodeId x) {
    return net_quant(w->net, x, 2 + (int)below(w, 5), below(w, 2) == 0, below(w, 2) == 0);
}

static NbNodeId grow_conv(Growth *w, NbNodeId x) {
    if (w->net->quantized && !coded(w, x))
        x = grow_quant(w, x);
    const NbShape in = shape_of(w, x);
    const int ic = (int)in.dim[1];
    ConvSpec s = {.oc = 1 + (int)below(w, 20), .stride = 1, .bias = below(w, 2) == 0};
    s.kernel = 1 + 2 * (int)below(w, 2);
    s.pad = (int)below(w, 2) * (s.kernel / 2);
    if (below(w, 4) == 0) { /* depthwise */
        s.groups = ic;
        s.oc = ic * (1 + (int)below(w, 2));
    }
    if (below(w, 5) == 0 && s.kernel == 3)
        s.dilation = s.pad = 2;
    if (below(w, 4) == 0 && in.dim[2] > 6 && in.dim[3] > 6)
        s.stride = 2;
    if (s.kernel > in.dim[2] || s.kernel > in.dim[3])
        s.pad = s.kernel / 2 * (s.dilation ? s.dilation : 1);
    NbNodeId y = net_conv(w->net, x, ic, s);
    if (below(w, 4))
        y = net_norm(w->net, y, s.oc);
    if (below(w, 4))
        y = grow_activation(w, y);
    if (below(w, 2))
        y = grow_quant(w, y);
    const NbShape out = shape_of(w, y);
    if (below(w, 2) && out.dim[2] >= 4 && out.dim[3] >= 4)
        y = net_pool(w->net, y, 2, 2, 0);
    return y;
}

/* Another activation of the same height and width (and channels, when asked). */
static NbNodeId partner(Growth *w, NbNodeId x, bool same_channels) {
    const NbShape want = shape_of(w, x);
    for (int tries = 0; tries < 8; tries++) {
        const NbNodeId y = any(w);
        const NbShape s = shape_of(w, y);
        if (s.dim[2] == want.dim[2] && s.dim[3] == want.dim[3] &&
            (!same_channels || s.dim[1] == want.dim[1]))
            return y;
    }
    return x;
}

static NbNodeId grow_join(Growth *w, NbNodeId x) {
    const bool add = below(w, 2) == 0;
    NbNodeId in[2] = {x, partner(w, x, add)};
    const bool mixed =
        coded(w, in[0]) && coded(w, in[1]) && !nb_graph_same_scale(&w->net->g, in[0], in[1]);
    if (mixed && !add)
        in[1] = net_unary(w->net, NB_OP_SCALE, in[1]);
    return net_node(w->net, add ? NB_OP_ADD : NB_OP_CONCAT, 2, in,
                    &(NbAttr){.concat = {.axis = 1}});
}

static NbNodeId grow_layout(Growth *w, NbNodeId x) {
    const NbShape s = shape_of(w, x);
    const unsigned what = below(w, 3);
    if (what == 0 && s.dim[2] >= 3 && s.dim[3] >= 3)
        return net_pool(w->net, x, 2 + (int)below(w, 2), 1 + (int)below(w, 2), (int)below(w, 2));
    if (what == 1 && s.dim[2] <= 8)
        return net_node(w->net, NB_OP_UPSAMPLE, 1, &x, &(NbAttr){.upsample = {.factor = 2}});
    return net_node(w->net, NB_OP_PAD, 1, &x, &(NbAttr){.pad = {.pad = {1, 0, 0, 2}}});
}

static NbNodeId grow_slice(Growth *w, NbNodeId x, int axis, bool one) {
    const int64_t n = shape_of(w, x).dim[axis];
    NbSliceAttr a = {.axis = axis, .start = (int64_t)below(w, (unsigned)n), .step = 1};
    a.stop = one ? a.start + 1 : a.start + 1 + (int64_t)below(w, (unsigned)(n - a.start));
    if (!one)
        a.step = 1 + (int64_t)below(w, 2);
    return net_node(w->net, NB_OP_SLICE, 1, &x, &(NbAttr){.slice = a});
}

/* x and something that may have to be broadcast: a part of it, or a constant. */
static NbNodeId grow_arithmetic(Growth *w, NbNodeId x) {
    static const NbOp op[] = {NB_OP_ADD, NB_OP_SUB, NB_OP_MUL, NB_OP_DIV};
    const NbOp chosen = op[below(w, 4)];
    NbNodeId in[2] = {x, x};
    if (below(w, 4) == 0) {
        const int64_t dim[3] = {shape_of(w, x).dim[1], 1, 1};
        in[1] = param(w->net, NB_PARAM_CONST, 3, dim, 0.5, 1.5);
    } else {
        for (int axis = 1; axis < 4; axis++)
            if (below(w, 2))
                in[1] = grow_slice(w, in[1], axis, true);
        in[1] = net_unary(w->net, chosen == NB_OP_DIV ? NB_OP_SIGMOID : NB_OP_HARDTANH, in[1]);
        if (below(w, 2) && chosen != NB_OP_DIV) {
            const NbNodeId first = in[0];
            in[0] = in[1];
            in[1] = first;
        }
    }
    if (coded(w, x) && chosen == NB_OP_ADD)
        in[0] = net_unary(w->net, NB_OP_SCALE, in[0]);
    return net_node(w->net, chosen, 2, in, NULL);
}

static NbNodeId grow_transpose(Growth *w, NbNodeId x, int rank, int a, int b) {
    NbAttr attr = {0};
    for (int d = 0; d < rank; d++)
        attr.transpose.perm[d] = d == a ? b : d == b ? a : d;
    return net_node(w->net, NB_OP_TRANSPOSE, 1, &x, &attr);
}

static NbNodeId grow_reshape(Growth *w, NbNodeId x, NbNodeId like, NbReshapeAttr a) {
    const NbNodeId in[2] = {x, like};
    return net_node(w->net, NB_OP_RESHAPE, like < 0 ? 1 : 2, in, &(NbAttr){.reshape = a});
}

static NbNodeId maybe_quant(Growth *w, NbNodeId x) {
    return w->net->quantized && below(w, 2) ? grow_quant(w, x) : x;
}

/* As PSA does: heads, query and key from the first channels, values from all. */
static NbNodeId grow_attention(Growth *w, NbNodeId x) {
    const NbShape s = shape_of(w, x);
    const int64_t heads = s.dim[1] % 2 ? 1 : 2;
    const NbNodeId all =
        grow_reshape(w, x, -1, (NbReshapeAttr){.n = 4, .dim = {0, heads, s.dim[1] / heads, -1}});
    NbNodeId q = maybe_quant(w, grow_slice(w, all, 2, true));
    NbNodeId k = maybe_quant(w, grow_slice(w, all, 2, true));
    if (coded(w, q) && !coded(w, x) && below(w, 2))
        k = q;
    NbNodeId in[2] = {grow_transpose(w, q, 4, 2, 3), k};
    NbNodeId y = net_node(w->net, NB_OP_MATMUL, 2, in, NULL);
    y = net_unary(w->net, NB_OP_SCALE, y);
    y = net_node(w->net, NB_OP_SOFTMAX, 1, &y, &(NbAttr){.softmax = {.axis = 3}});
    w->rows = y = maybe_quant(w, y);
    in[0] = maybe_quant(w, all);
    in[1] = grow_transpose(w, y, 4, 2, 3);
    y = net_node(w->net, NB_OP_MATMUL, 2, in, NULL);
    return grow_reshape(w, y, x, (NbReshapeAttr){.n = 4, .dim = {0, s.dim[1], 0, 0}});
}

/* There and back through shapes that have no factors in common, and a product with one vector. */
static NbNodeId grow_rows(Growth *w, NbNodeId x) {
    const NbShape s = shape_of(w, x);
    const int64_t c = s.dim[1];
    NbNodeId y = grow_reshape(w, x, -1, (NbReshapeAttr){.n = 3, .dim = {0, s.dim[3], -1}});
    const int64_t dim[2] = {c * s.dim[2], 1};
    const NbNodeId in[2] = {y, param(w->net, NB_PARAM_CONST, 2, dim, -0.5, 0.5)};
    w->rows = net_node(w->net, NB_OP_MATMUL, 2, in, NULL);
    y = below(w, 2) ? grow_activation(w, y) : y;
    const int64_t back[4] = {0, below(w, 2) ? c : -1, s.dim[2], s.dim[3]};
    return grow_reshape(w, y, -1,
                        (NbReshapeAttr){.n = 4, .dim = {back[0], back[1], back[2], back[3]}});
}

/* What is neither convolution nor layout of pictures. */
static NbNodeId grow_general(Growth *w, NbNodeId x) {
    const NbShape s = shape_of(w, x);
    switch (below(w, 8)) {
    case 0: return net_node(w->net, NB_OP_DETACH, 1, &x, NULL);
    case 1: return grow_slice(w, x, 1 + (int)below(w, 3), false);
    case 2: return grow_transpose(w, x, 4, 1 + (int)below(w, 3), 1 + (int)below(w, 3));
    case 3:
        return net_node(w->net, NB_OP_SOFTMAX, 1, &x,
                        &(NbAttr){.softmax = {.axis = 1 + (int)below(w, 3)}});
    case 4: return s.dim[2] * s.dim[3] <= 120 ? grow_attention(w, x) : grow_arithmetic(w, x);
    case 5: return grow_rows(w, x);
    default: return grow_arithmetic(w, x);
    }
}

void net_random(Net *net, int height, int width, int layers) {
    Growth w = {.net = net, .height = height, .width = width, .rows = -1};
    w.id[w.n++] = net_input(net, 1 + (int)nb_random_below(&net->random, 4));
    w.id[w.n] = grow_conv(&w, w.id[0]);
    w.n++;
    for (int i = 0; i < layers; i++) {
        const NbNodeId x = below(&w, 3) ? w.id[w.n - 1] : any(&w);
        const unsigned what = below(&w, 11);
        w.id[w.n] = what < 4   ? grow_conv(&w, x)
                    : what < 6 ? grow_join(&w, x)
                    : what < 7 ? grow_layout(&w, x)
                    : what < 8 ? grow_activation(&w, x)
                               : grow_general(&w, x);
        w.n++;
    }
    const NbNodeId out[] = {w.id[w.n - 1], w.id[w.n / 2], w.id[w.n - 2], w.rows};
    net_outputs(net, w.rows < 0 ? 3 : 4, out);
}
