/* SPDX-License-Identifier: Apache-2.0
 *
 * What stands between an integer sum and a code: the float expression of one quantizer, evaluated
 * step by step as the interpreter and the executor evaluate it, and the search for its steps. */
#ifndef NB_LOWER_INTEGER_CHAIN_H
#define NB_LOWER_INTEGER_CHAIN_H

#include "graph/graph.h"
#include "quant/bound.h"

enum { NB_CHAIN_MAX = 16 };

typedef struct NbChainStep {
    NbOp op;        /* BATCHNORM, SCALE, RELU, LEAKY_RELU, HARDTANH, SILU or SIGMOID */
    float factor;   /* SCALE: factor; LEAKY_RELU: slope (>= 0) */
    const float *a; /* BATCHNORM: [channels], y = fl(fl(x * a) + b) */
    const float *b;
} NbChainStep;

/* code = codes(spec, steps(fl(fl(sum) * scale[c]) [+ bias[c]])) */
typedef struct NbChain {
    size_t channels;
    const float *scale; /* [channels] */
    const float *bias;  /* [channels] or NULL */
    int n;
    NbChainStep step[NB_CHAIN_MAX];
    const char *curved; /* name of a SILU in it, which is not monotone; or NULL */
    NbQuantSpec spec;
    float quant_scale;
    int64_t lo; /* codes lie in [lo, hi] */
    int64_t hi;
} NbChain;

/* Adds a float node to the front of the chain (nodes are met walking backwards). Parameters are
 * read from `g`; memory comes from `arena`. NB_ERR_UNSUPPORTED for an operator that is not a
 * function of one number. */
NB_FALLIBLE nb_chain_prepend(NbChain *chain, const NbGraph *g, NbNodeId id, NbArena *arena,
                             NbError *err);

/* codes[i] of channel c for n sums; codes is also the work space. */
void nb_chain_codes(const NbChain *chain, size_t c, const int64_t *sums, size_t n, float *codes);

/* What the last step of the chain is applied to. */
float nb_chain_before(const NbChain *chain, size_t c, int64_t sum);

/* The thresholds of channel c for all sums in `range` (within int32, its ends excluded):
 * threshold[j] (j < hi - lo) is the smallest sum whose code is at least lo + 1 + j, INT32_MIN when
 * every sum of the range reaches it, INT32_MAX when none does. *falling gets true when the code
 * falls as the sum grows: the thresholds are then those of the negated sum. NB_ERR_FORMAT when a
 * code is not a number. */
NB_FALLIBLE nb_chain_thresholds(const NbChain *chain, size_t c, NbRange range, int32_t *threshold,
                                bool *falling, NbError *err);

/* Whether these thresholds give the code of every sum of a short range: for what is not known to be
 * monotone. */
bool nb_chain_check(const NbChain *chain, size_t c, NbRange range, const int32_t *threshold);

#endif
