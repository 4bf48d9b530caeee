/* SPDX-License-Identifier: Apache-2.0
 *
 * Which values are codes, where their scale comes from, and which values share one. */
#include "graph/graph.h"

static bool all_coded(const NbGraph *g, const NbNode *node) {
    for (int i = 0; i < node->n_in; i++)
        if (g->node[node->in[i]].kind != NB_VALUE_CODED)
            return false;
    return true;
}

/* A sum of codes would have the sum of their zero points. */
static NbValueKind kind_of_add(const NbGraph *g, const NbNode *node) {
    if (!all_coded(g, node) || nb_graph_zero(g, node->in[0]) != 0.0F)
        return NB_VALUE_REAL;
    for (int i = 1; i < node->n_in; i++)
        if (!nb_graph_same_scale(g, node->in[0], node->in[i]))
            return NB_VALUE_REAL;
    return NB_VALUE_CODED;
}

static NbValueKind kind_of_input(const NbGraph *g, const NbNode *node) {
    (void)g;
    return node->attr.input.real ? NB_VALUE_REAL : NB_VALUE_CODED;
}

static NbValueKind kind_of_quantize(const NbGraph *g, const NbNode *node) {
    (void)g;
    return node->attr.quantize.real ? NB_VALUE_REAL : NB_VALUE_CODED;
}

static NbValueKind always_coded(const NbGraph *g, const NbNode *node) {
    (void)g;
    (void)node;
    return NB_VALUE_CODED;
}

static NbValueKind passed_on(const NbGraph *g, const NbNode *node) {
    return g->node[node->in[0]].kind;
}

static NbValueKind kind_of_concat(const NbGraph *g, const NbNode *node) {
    return all_coded(g, node) ? NB_VALUE_CODED : NB_VALUE_REAL;
}

static NbValueKind kind_of_param(const NbGraph *g, const NbNode *node) {
    (void)g;
    return node->param.dtype == NB_F32 ? NB_VALUE_REAL : NB_VALUE_SUM;
}

static NbValueKind kind_of_conv(const NbGraph *g, const NbNode *node) {
    return g->node[node->in[1]].kind == NB_VALUE_SUM ? NB_VALUE_SUM : NB_VALUE_REAL;
}

/* Operators that are not here give real numbers. */
static NbValueKind (*const rule[NB_OP_COUNT])(const NbGraph *g, const NbNode *node) = {
    [NB_OP_INPUT] = kind_of_input,
    [NB_OP_PARAM] = kind_of_param,
    [NB_OP_QUANT] = always_coded,
    [NB_OP_THRESHOLD] = always_coded,
    [NB_OP_QUANTIZE] = kind_of_quantize,
    [NB_OP_CONV] = kind_of_conv,
    [NB_OP_ADD] = kind_of_add,
    [NB_OP_CONCAT] = kind_of_concat,
    [NB_OP_MAXPOOL] = passed_on,
    [NB_OP_UPSAMPLE] = passed_on,
    [NB_OP_PAD] = passed_on,
    [NB_OP_SLICE] = passed_on,
    [NB_OP_TRANSPOSE] = passed_on,
    [NB_OP_RESHAPE] = passed_on,
    [NB_OP_DETACH] = passed_on,
};

static NbValueKind kind_of(const NbGraph *g, const NbNode *node) {
    return rule[node->op] ? rule[node->op](g, node) : NB_VALUE_REAL;
}

/* Two learned values: the same node, or both never trained and equal. */
static bool same_value(const NbNode *a, const NbNode *b) {
    if (a == b)
        return true;
    return a->attr.param.frozen && b->attr.param.frozen && a->param.data && b->param.data &&
           nb_tensor_count(&a->param) == 1 && nb_tensor_count(&b->param) == 1 &&
           nb_f32(&a->param)[0] == nb_f32(&b->param)[0];
}

static bool same_quantizer(const NbGraph *g, const NbNode *a, const NbNode *b) {
    const NbQuantSpec *p = &a->attr.quant;
    const NbQuantSpec *q = &b->attr.quant;
    if (p->scale_from != q->scale_from || p->kind != q->kind || p->restrict_to != q->restrict_to ||
        p->per_channel != q->per_channel || p->zero != q->zero || p->scale_min != q->scale_min ||
        p->log_int_threshold != q->log_int_threshold ||
        nb_quant_int_threshold(p) != nb_quant_int_threshold(q))
        return false;
    if (p->scale_from == NB_SCALE_CONST)
        return p->init == q->init;
    return p->scale_from == NB_SCALE_PARAMETER && a->n_in == 2 && b->n_in == 2 &&
           same_value(&g->node[a->in[1]], &g->node[b->in[1]]);
}

static bool same_codes(const NbGraph *g, const NbNode *a, const NbNode *b) {
    const NbTensor *p = &g->node[a->in[1]].param;
    const NbTensor *q = &g->node[b->in[1]].param;
    return a->attr.quantize.zero == b->attr.quantize.zero && p->data && q->data &&
           nb_tensor_count(p) == 1 && nb_tensor_count(q) == 1 && nb_f32(p)[0] == nb_f32(q)[0];
}

bool nb_graph_same_scale(const NbGraph *g, NbNodeId a, NbNodeId b) {
    const NbNodeId p = g->node[a].scale_source;
    const NbNodeId q = g->node[b].scale_source;
    if (p < 0 || q < 0)
        return false;
    const NbNode *x = &g->node[p];
    const NbNode *y = &g->node[q];
    if (p == q)
        return true;
    if (x->op != y->op)
        return false;
    if (x->op == NB_OP_QUANT)
        return same_quantizer(g, x, y);
    if (x->op == NB_OP_QUANTIZE)
        return same_codes(g, x, y);
    return x->op == NB_OP_THRESHOLD ? x->attr.threshold.scale == y->attr.threshold.scale
                                    : x->attr.input.scale == y->attr.input.scale;
}

float nb_graph_zero(const NbGraph *g, NbNodeId id) {
    const NbNodeId source = g->node[id].scale_source;
    return source >= 0 && g->node[source].op == NB_OP_QUANT ? g->node[source].attr.quant.zero
                                                            : 0.0F;
}

NbGrid nb_quant_code_grid(const NbQuantSpec *spec) {
    if (spec->kind == NB_QUANT_INT)
        return spec->grid;
    return (NbGrid){.bits = 2, .is_signed = true, .narrow = true};
}

/* The smallest full grid that holds lo .. hi. */
static NbGrid grid_around(int64_t lo, int64_t hi) {
    NbGrid grid = {.bits = 1, .is_signed = lo < 0};
    while (grid.bits < 32 && (nb_grid_lo(grid) > lo || nb_grid_hi(grid) < hi))
        grid.bits++;
    return grid;
}

static NbGrid joined_grid(const NbGraph *g, const NbNode *node) {
    const bool sum = node->op == NB_OP_ADD;
    int64_t lo = 0;
    int64_t hi = 0;
    for (int i = 0; i < node->n_in; i++) {
        const NbGrid grid = g->node[node->in[i]].grid;
        const int64_t a = nb_grid_lo(grid);
        const int64_t b = nb_grid_hi(grid);
        lo = i == 0 ? a : sum ? lo + a : a < lo ? a : lo;
        hi = i == 0 ? b : sum ? hi + b : b > hi ? b : hi;
    }
    return grid_around(lo, hi);
}

static NbGrid grid_of_concat(const NbGraph *g, const NbNode *node) {
    const NbGrid first = g->node[node->in[0]].grid;
    for (int i = 1; i < node->n_in; i++) {
        const NbGrid grid = g->node[node->in[i]].grid;
        if (grid.bits != first.bits || grid.is_signed != first.is_signed ||
            grid.narrow != first.narrow)
            return joined_grid(g, node);
    }
    return first;
}

static NbGrid grid_of(const NbGraph *g, const NbNode *node) {
    if (node->op == NB_OP_QUANTIZE)
        return node->attr.quantize.grid;
    if (node->op == NB_OP_QUANT)
        return nb_quant_code_grid(&node->attr.quant);
    if (node->op == NB_OP_THRESHOLD)
        return node->attr.threshold.grid;
    if (node->op == NB_OP_CONCAT)
        return grid_of_concat(g, node);
    if (node->op == NB_OP_ADD)
        return joined_grid(g, node);
    if (node->op == NB_OP_INPUT)
        return (NbGrid){.bits = 8};
    return g->node[node->in[0]].grid;
}

void nb_graph_set_kind(NbGraph *g, NbNodeId id) {
    NbNode *node = &g->node[id];
    node->kind = kind_of(g, node);
    node->scale_source = -1;
    node->grid = (NbGrid){0};
    if (node->kind != NB_VALUE_CODED)
        return;
    node->grid = grid_of(g, node);
    node->scale_source = node->op == NB_OP_INPUT || node->op == NB_OP_QUANT ||
                                 node->op == NB_OP_QUANTIZE || node->op == NB_OP_THRESHOLD
                             ? id
                             : g->node[node->in[0]].scale_source;
}
