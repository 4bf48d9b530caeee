/* SPDX-License-Identifier: Apache-2.0
 *
 * Every step but SiLU is monotone in its argument for any float32 rounding (the sigmoid is computed
 * in double: where its float32 value changes, neighbouring arguments differ by more than its
 * error), so the code is a monotone function of the sum and bisection finds exactly where it
 * changes. */
#include "lower/integer/chain.h"

#include "graph/activation.h"
#include "graph/interpret.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum { MAX_LEVELS = 255 };

static NB_FALLIBLE set_batchnorm(NbChainStep *step, const NbGraph *g, const NbNode *node,
                                 size_t channels, NbArena *arena, NbError *err) {
    const float *p[4];
    for (int i = 0; i < 4; i++) {
        const NbNode *param = &g->node[node->in[i + 1]];
        if (!param->param.data)
            return nb_fail(NB_ERR_ARGUMENT, err, "parameter '%s' has no data", param->name);
        p[i] = nb_f32(&param->param);
    }
    float *a = NB_NEW(arena, float, channels);
    float *b = NB_NEW(arena, float, channels);
    if (!a || !b)
        return nb_fail_memory(err, "a batch norm");
    nb_batchnorm_affine(p[0], p[1], p[2], p[3], node->attr.batchnorm.eps, channels, a, b);
    step->a = a;
    step->b = b;
    return NB_OK;
}

NbStatus nb_chain_prepend(NbChain *chain, const NbGraph *g, NbNodeId id, NbArena *arena,
                          NbError *err) {
    const NbNode *node = &g->node[id];
    NbChainStep step = {.op = node->op};
    if (chain->n == NB_CHAIN_MAX)
        return nb_fail(NB_ERR_UNSUPPORTED, err,
                       "more than %d steps between a convolution and its quantizer", NB_CHAIN_MAX);
    if (node->op == NB_OP_BATCHNORM)
        NB_TRY(set_batchnorm(&step, g, node, (size_t)node->shape.dim[1], arena, err));
    else if (node->op == NB_OP_SCALE)
        step.factor = node->attr.scale.factor;
    else if (node->op == NB_OP_LEAKY_RELU)
        step.factor = node->attr.leaky_relu.slope;
    else if (node->op == NB_OP_SILU)
        chain->curved = node->name;
    else if (node->op != NB_OP_RELU && node->op != NB_OP_HARDTANH && node->op != NB_OP_SIGMOID)
        return nb_fail(NB_ERR_UNSUPPORTED, err,
                       "%s '%s' in front of a quantizer is not a function of one number",
                       nb_op_name(node->op), node->name);
    if (node->op == NB_OP_LEAKY_RELU && !(step.factor >= 0.0F))
        return nb_fail(NB_ERR_UNSUPPORTED, err,
                       "LEAKY_RELU '%s' with slope %g falls and rises; use a slope of at least 0",
                       node->name, (double)step.factor);
    memmove(chain->step + 1, chain->step, (size_t)chain->n * sizeof step);
    chain->step[0] = step;
    chain->n++;
    return NB_OK;
}

static float apply(const NbChainStep *step, size_t c, float x) {
    if (step->op == NB_OP_BATCHNORM) {
        const float product = x * step->a[c];
        return product + step->b[c];
    }
    if (step->op == NB_OP_SCALE)
        return x * step->factor;
    if (step->op == NB_OP_RELU)
        return x < 0.0F ? 0.0F : x; /* NaN stays, to be found */
    if (step->op == NB_OP_LEAKY_RELU)
        return x < 0.0F ? x * step->factor : x;
    if (step->op == NB_OP_SILU)
        return nb_silu(x);
    if (step->op == NB_OP_SIGMOID)
        return nb_sigmoid(x);
    assert(step->op == NB_OP_HARDTANH);
    const float low = x < -1.0F ? -1.0F : x;
    return low > 1.0F ? 1.0F : low;
}

/* The real number after the first `steps` steps. */
static float real_at(const NbChain *chain, size_t c, int64_t sum, int steps) {
    const float rounded = (float)sum;
    float x = rounded * chain->scale[c];
    if (chain->bias)
        x += chain->bias[c];
    for (int k = 0; k < steps; k++)
        x = apply(&chain->step[k], c, x);
    return x;
}

float nb_chain_before(const NbChain *chain, size_t c, int64_t sum) {
    return real_at(chain, c, sum, chain->n - 1);
}

void nb_chain_codes(const NbChain *chain, size_t c, const int64_t *sums, size_t n, float *codes) {
    for (size_t i = 0; i < n; i++)
        codes[i] = real_at(chain, c, sums[i], chain->n);
    nb_quant_codes(&chain->spec, codes, 1, n, &chain->quant_scale, NULL, codes);
}

static NB_FALLIBLE check_codes(const NbChain *chain, size_t c, const int64_t *sums, size_t n,
                               const float *codes, NbError *err) {
    for (size_t i = 0; i < n; i++)
        if (!(codes[i] >= (float)chain->lo && codes[i] <= (float)chain->hi))
            return nb_fail(NB_ERR_FORMAT, err,
                           "channel %zu: the sum %" PRId64 " gives the code %g, %" PRId64
                           " to %" PRId64 " expected: a parameter is not finite",
                           c, sums[i], (double)codes[i], chain->lo, chain->hi);
    return NB_OK;
}

/* Halves all intervals (below[j], above[j]] at once until each holds one sum. sign = -1: the sums
 * of the intervals are negated ones. */
static NB_FALLIBLE bisect(const NbChain *chain, size_t c, int64_t sign, size_t levels,
                          int64_t *below, int64_t *above, NbError *err) {
    int64_t sums[MAX_LEVELS];
    float codes[MAX_LEVELS];
    size_t level[MAX_LEVELS];
    for (;;) {
        size_t open = 0;
        for (size_t j = 0; j < levels; j++)
            if (above[j] - below[j] > 1) {
                sums[open] = sign * (below[j] + (above[j] - below[j]) / 2);
                level[open++] = j;
            }
        if (open == 0)
            return NB_OK;
        nb_chain_codes(chain, c, sums, open, codes);
        NB_TRY(check_codes(chain, c, sums, open, codes, err));
        for (size_t i = 0; i < open; i++) {
            const size_t j = level[i];
            if ((int64_t)codes[i] > chain->lo + (int64_t)j)
                above[j] = sign * sums[i];
            else
                below[j] = sign * sums[i];
        }
    }
}

NbStatus nb_chain_thresholds(const NbChain *chain, size_t c, NbRange range, int32_t *threshold,
                             bool *falling, NbError *err) {
    const size_t levels = (size_t)(chain->hi - chain->lo);
    assert(levels <= MAX_LEVELS && range.min <= range.max);
    float ends[2];
    NB_TRY((nb_chain_codes(chain, c, (const int64_t[]){range.min, range.max}, 2, ends),
            check_codes(chain, c, (const int64_t[]){range.min, range.max}, 2, ends, err)));
    *falling = ends[0] > ends[1];
    const int64_t sign = *falling ? -1 : 1;
    const int64_t first = *falling ? -range.max : range.min;
    const int64_t last = *falling ? -range.min : range.max;
    const int64_t lowest = (int64_t)ends[*falling ? 1 : 0];
    const int64_t highest = (int64_t)ends[*falling ? 0 : 1];
    int64_t below[MAX_LEVELS];
    int64_t above[MAX_LEVELS];
    for (size_t j = 0; j < levels; j++) {
        const int64_t code = chain->lo + 1 + (int64_t)j;
        /* first = above: reached from the start; an interval of one needs no search */
        above[j] = code <= lowest ? first : last;
        below[j] = code <= lowest || code > highest ? above[j] - 1 : first;
    }
    NB_TRY(bisect(chain, c, sign, levels, below, above, err));
    for (size_t j = 0; j < levels; j++) {
        const int64_t code = chain->lo + 1 + (int64_t)j;
        threshold[j] = code <= lowest ? INT32_MIN : code > highest ? INT32_MAX : (int32_t)above[j];
    }
    return NB_OK;
}

bool nb_chain_check(const NbChain *chain, size_t c, NbRange range, const int32_t *threshold) {
    for (int64_t sum = range.min; sum <= range.max; sum++) {
        float code = 0.0F;
        int64_t count = chain->lo;
        nb_chain_codes(chain, c, &sum, 1, &code);
        for (int64_t k = 0; k < chain->hi - chain->lo; k++)
            count += threshold[k] != INT32_MAX && sum >= threshold[k];
        if (code != (float)count)
            return false;
    }
    return true;
}
