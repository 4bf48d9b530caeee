/* SPDX-License-Identifier: Apache-2.0
 *
 * Codes that fall and rise again (SiLU) are an ADD of two THRESHOLDs, the second behind the negated
 * convolution of the first. Both look at the same sum: one convolution is enough. */
#include "engine/plan.h"

#include <string.h>

/* Same input, same window, and every channel's weights negated or unused. */
static bool is_negated(const NbGraph *g, const NbNode *up, const NbNode *down,
                       const NbTensor *thresholds) {
    const NbTensor *a = &g->node[up->in[1]].param;
    const NbTensor *b = &g->node[down->in[1]].param;
    if (up->in[0] != down->in[0] || !nb_shape_equal(&a->shape, &b->shape) ||
        memcmp(&up->attr.conv, &down->attr.conv, sizeof up->attr.conv) != 0)
        return false;
    const size_t channels = (size_t)a->shape.dim[0];
    const size_t n = nb_shape_count(&a->shape) / channels;
    const int32_t *t = thresholds->data;
    for (size_t c = 0; c < channels; c++) {
        if (t[c * (size_t)thresholds->shape.dim[1]] == INT32_MAX)
            continue;
        const int8_t *x = (const int8_t *)a->data + c * n;
        const int8_t *y = (const int8_t *)b->data + c * n;
        for (size_t i = 0; i < n; i++)
            if (x[i] != -y[i])
                return false;
    }
    return true;
}

/* How many entries of an ascending row are below `value`. */
static int count_below(const int32_t *row, int64_t n, int32_t value) {
    int count = 0;
    while (count < n && row[count] < value)
        count++;
    return count;
}

/* Whether the second part is 0 wherever the first one has begun to rise; *most gets the largest
 * count of both together where the second is not 0. */
static bool is_apart(const NbTensor *up, const NbTensor *down, int *most) {
    const int64_t levels = up->shape.dim[1];
    const int64_t falls = down->shape.dim[1];
    for (int64_t c = 0; c < up->shape.dim[0]; c++) {
        const int32_t *rise = (const int32_t *)up->data + c * levels;
        const int32_t *fall = (const int32_t *)down->data + c * falls;
        const int n = count_below(fall, falls, INT32_MAX);
        const int always = count_below(rise, levels, INT32_MIN + 1);
        if (n == 0)
            continue;
        if (fall[0] == INT32_MIN ||
            (always < levels && rise[always] != INT32_MAX && -(int64_t)fall[0] >= rise[always]))
            return false;
        *most = always + n > *most ? always + n : *most;
    }
    return true;
}

bool nb_plan_curve(const NbGraph *g, NbNodeId add, NbCurve *out) {
    const NbNode *node = &g->node[add];
    if (node->op != NB_OP_ADD || node->n_in != 2)
        return false;
    *out = (NbCurve){.up = node->in[0], .down = node->in[1]};
    const NbNode *part[2] = {&g->node[out->up], &g->node[out->down]};
    for (int i = 0; i < 2; i++)
        if (part[i]->op != NB_OP_THRESHOLD || nb_graph_readers(g, node->in[i]) != 1 ||
            g->node[part[i]->in[0]].op != NB_OP_CONV)
            return false;
    if (part[1]->attr.threshold.grid.is_signed)
        return false;
    const NbTensor *down = &g->node[part[1]->in[1]].param;
    int most = 0;
    if (!is_negated(g, &g->node[part[0]->in[0]], &g->node[part[1]->in[0]], down) ||
        !is_apart(&g->node[part[0]->in[1]].param, down, &most))
        return false;
    const NbLevels levels = nb_plan_levels(g, part[0]);
    out->lo = levels.lo;
    out->hi = levels.lo + levels.count;
    const int top = levels.lo - levels.first + most;
    out->hi = top > out->hi ? top : out->hi;
    return true;
}

bool nb_plan_in_curve(const NbGraph *g, NbNodeId threshold) {
    NbCurve curve;
    for (NbNodeId id = threshold + 1; id < g->n_nodes; id++)
        for (int i = 0; i < g->node[id].n_in; i++)
            if (g->node[id].in[i] == threshold)
                return nb_plan_curve(g, id, &curve);
    return false;
}
