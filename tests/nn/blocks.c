/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/blocks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

typedef struct At {
    NbNodeId id;
    int c;
} At;

static unsigned below(Net *net, unsigned n) { return nb_random_below(&net->random, n); }

static NbNodeId act(Net *net, NbNodeId x) {
    static const NbOp op[] = {NB_OP_SILU,     NB_OP_SILU,       NB_OP_SILU,
                              NB_OP_RELU,     NB_OP_LEAKY_RELU, NB_OP_SIGMOID,
                              NB_OP_HARDTANH, NB_OP_SCALE,      NB_OP_COUNT};
    const NbOp chosen = op[below(net, sizeof op / sizeof *op)];
    return chosen == NB_OP_COUNT ? x : net_unary(net, chosen, x);
}

/* Convolution, perhaps a batch norm, perhaps an activation. Weights shrink with their number. */
static At conv(Net *net, At x, int oc, int kernel, int stride, int groups) {
    const ConvSpec s = {.oc = oc,
                        .kernel = kernel,
                        .stride = stride,
                        .pad = kernel / 2,
                        .groups = groups,
                        .bias = below(net, 2) == 0};
    NbNodeId y = net_conv(net, x.id, x.c, s);
    const float gain = 2.0F / (float)(kernel * kernel * x.c / groups);
    NbTensor *const w = &net->g.node[net->g.node[y].in[1]].param;
    for (size_t i = 0; gain < 1.0F && i < nb_tensor_count(w); i++)
        nb_f32(w)[i] *= gain < 0.02F ? 0.15F : 2.0F * gain + 0.1F;
    if (below(net, 2))
        y = net_norm(net, y, oc);
    return (At){act(net, y), oc};
}

static At add(Net *net, At a, At b) {
    const NbNodeId in[2] = {a.id, b.id};
    const NbNodeId y = net_node(net, NB_OP_ADD, 2, in, NULL);
    return (At){below(net, 2) ? y : act(net, y), a.c};
}

static At join(Net *net, int n, const At *part) {
    NbNodeId in[8];
    int c = 0;
    for (int i = 0; i < n; i++) {
        in[i] = part[i].id;
        c += part[i].c;
    }
    return (At){net_node(net, NB_OP_CONCAT, n, in, &(NbAttr){.concat = {.axis = 1}}), c};
}

static At slice(Net *net, At x, int axis, int start, int stop) {
    const NbAttr attr = {.slice = {.axis = axis, .start = start, .stop = stop, .step = 1}};
    return (At){net_node(net, NB_OP_SLICE, 1, &x.id, &attr), stop - start};
}

static At split_block(Net *net, At x) {
    const int half = 8 * (1 + (int)below(net, 4));
    const At all = conv(net, x, 2 * half, 1, 1, 1);
    At part[8];
    int n = 2;
    part[0] = slice(net, all, 1, 0, half);
    part[1] = slice(net, all, 1, half, 2 * half);
    for (int i = 0; i < 2; i++, n++) {
        const At inner = conv(net, part[n - 1], half, 3, 1, 1);
        const At outer = conv(net, inner, half, 3, 1, 1);
        part[n] = below(net, 2) ? add(net, part[n - 1], outer) : outer;
    }
    if (below(net, 3) == 0)
        part[n++] = part[1]; /* one value twice */
    const At joined = join(net, n, part);
    return conv(net, joined, 16 + (int)below(net, 40), 1, 1, 1);
}

static At pool_block(Net *net, At x) {
    At part[4];
    part[0] = conv(net, x, 8 + (int)below(net, 20), 1, 1, 1);
    for (int i = 1; i < 4; i++)
        part[i] = (At){net_pool(net, part[i - 1].id, 5, 1, 2), part[0].c};
    return conv(net, join(net, 4, part), 16 * (1 + (int)below(net, 4)), 1, 1, 1);
}

static At narrow_block(Net *net, At x) {
    const At wide = conv(net, x, x.c, below(net, 3) ? 3 : 7, 1, x.c);
    const At mixed = conv(net, wide, 2 * x.c, 1, 1, 1);
    const At last = conv(net, mixed, x.c, 3, 1, below(net, 2) && x.c % 2 == 0 ? 2 : 1);
    return add(net, x, last);
}

static NbNodeId reshape(Net *net, NbNodeId x, NbNodeId like, int n, const int64_t *dim) {
    NbAttr attr = {.reshape = {.n = n}};
    for (int i = 0; i < n; i++)
        attr.reshape.dim[i] = dim[i];
    const NbNodeId in[2] = {x, like};
    return net_node(net, NB_OP_RESHAPE, like < 0 ? 1 : 2, in, &attr);
}

static NbNodeId turn(Net *net, NbNodeId x) {
    return net_node(net, NB_OP_TRANSPOSE, 1, &x, &(NbAttr){.transpose = {.perm = {0, 1, 3, 2}}});
}

static NbNodeId product(Net *net, NbNodeId a, NbNodeId b) {
    const NbNodeId in[2] = {a, b};
    return net_node(net, NB_OP_MATMUL, 2, in, NULL);
}

static At attention_block(Net *net, At x) {
    enum { HEADS = 2, KEY = 6, VALUE = 12 };
    const At all = conv(net, x, HEADS * (2 * KEY + VALUE), 1, 1, 1);
    const At rows = {reshape(net, all.id, -1, 4, (const int64_t[]){0, HEADS, 2 * KEY + VALUE, -1}),
                     0};
    const NbNodeId q = slice(net, rows, 2, 0, KEY).id;
    const NbNodeId k = slice(net, rows, 2, KEY, 2 * KEY).id;
    const NbNodeId v = slice(net, rows, 2, 2 * KEY, 2 * KEY + VALUE).id;
    const NbNodeId scores = net_unary(net, NB_OP_SCALE, product(net, turn(net, q), k));
    const NbNodeId soft =
        net_node(net, NB_OP_SOFTMAX, 1, &scores, &(NbAttr){.softmax = {.axis = 3}});
    const NbNodeId mixed = product(net, v, turn(net, soft));
    const At image = {reshape(net, mixed, x.id, 4, (const int64_t[]){0, HEADS * VALUE, 0, 0}),
                      HEADS * VALUE};
    const At place = {reshape(net, v, x.id, 4, (const int64_t[]){0, HEADS * VALUE, 0, 0}),
                      HEADS * VALUE};
    return conv(net, add(net, image, conv(net, place, place.c, 3, 1, place.c)), x.c, 1, 1, 1);
}

static NbNodeId constant(Net *net, int rank, const int64_t *dim) {
    char name[32];
    NbNodeId id = -1;
    NbError err = {{0}};
    const NbShape shape = nb_shape(rank, dim);
    snprintf(name, sizeof name, "k%d", net->names++);
    if (nb_graph_add_param(&net->g, name, NB_PARAM_CONST, NB_F32, &shape, &id, &err) != NB_OK)
        fail_msg("%s", err.message);
    for (size_t i = 0; i < nb_shape_count(&shape); i++)
        nb_f32(&net->g.node[id].param)[i] = (float)nb_random_range(&net->random, 0.5, 1.5);
    return id;
}

static At arithmetic_block(Net *net, At x) {
    static const NbOp op[] = {NB_OP_ADD, NB_OP_SUB, NB_OP_MUL, NB_OP_DIV};
    for (int i = 0; i < 4; i++) {
        const unsigned form = below(net, 4);
        NbNodeId other = form == 0   ? net_unary(net, NB_OP_SIGMOID, x.id)
                         : form == 1 ? constant(net, 0, NULL)
                         : form == 2 ? constant(net, 3, (const int64_t[]){x.c, 1, 1})
                                     : constant(net, 4, (const int64_t[]){1, x.c, 1, 1});
        const NbOp chosen = op[i];
        const bool swap = below(net, 3) == 0 && (chosen != NB_OP_DIV);
        const NbNodeId in[2] = {swap ? other : x.id, swap ? x.id : other};
        x.id = net_node(net, chosen, 2, in, NULL);
    }
    x.id = net_unary(net, NB_OP_SILU, net_norm(net, x.id, x.c));
    return x;
}

static At lookup_block(Net *net, At x) {
    const At up = {net_node(net, NB_OP_UPSAMPLE, 1, &x.id, &(NbAttr){.upsample = {.factor = 2}}),
                   x.c};
    const At down = conv(net, up, 8 + (int)below(net, 30), 3, 2, 1);
    return join(net, 2, (const At[]){down, x});
}

void net_blocks(Net *net, int blocks) {
    At x = {net_input(net, 3), 3};
    x = conv(net, x, 16, 3, 2, 1);
    const At first = x;
    for (int i = 0; i < blocks; i++) {
        const unsigned what = below(net, 7);
        x = what == 0   ? pool_block(net, x)
            : what == 1 ? narrow_block(net, x)
            : what == 2 ? attention_block(net, x)
            : what == 3 ? arithmetic_block(net, x)
            : what == 4 ? lookup_block(net, x)
                        : split_block(net, x);
        if (x.c > 100)
            x = conv(net, x, 48, 1, 1, 1);
    }
    const At joined = join(net, 2, (const At[]){x, conv(net, x, 18, 1, 1, 1)});
    const NbNodeId flat = reshape(net, x.id, -1, 3, (const int64_t[]){0, x.c, -1});
    const NbNodeId out[3] = {joined.id, flat, first.id};
    net_outputs(net, 3, out);
}
