/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of this folder share while one graph is lowered. */
#ifndef NB_LOWER_INTEGER_LOWERING_H
#define NB_LOWER_INTEGER_LOWERING_H

#include "graph/graph.h"
#include "lower/integer/chain.h"

typedef struct NbLowering {
    const NbGraph *g;
    NbGraph *out;
    NbArena *scratch;
    NbNodeId *codes; /* [g->n_nodes] node of `out` that holds the codes of a coded node; else -1 */
} NbLowering;

/* A convolution of codes, as integers. */
typedef struct NbCodedConv {
    NbNodeId id; /* the CONV of the float graph */
    size_t outputs;
    size_t fan_in;  /* weights of one output channel */
    int8_t *weight; /* [outputs][fan_in] */
    float *scale;   /* [outputs]: fl(scale of x * scale of w) */
    const float *bias;
    NbRange *range; /* [outputs]: of the sums */
} NbCodedConv;

/* The scale of a coded value of the float graph. */
NB_FALLIBLE nb_lowering_scale(const NbLowering *l, NbNodeId id, float *scale, NbError *err);

/* Codes the weights and finds the range of every sum. NB_ERR_UNSUPPORTED when the convolution is
 * not one of codes, a weight does not fit int8 or a sum int32. */
NB_FALLIBLE nb_lowering_conv(const NbLowering *l, NbNodeId id, NbCodedConv *conv, NbError *err);

/* Adds the CONV (named after the float one + ".sum") and its weights to `out`. */
NB_FALLIBLE nb_lowering_emit_conv(const NbLowering *l, const NbCodedConv *conv, NbNodeId *id,
                                  NbError *err);

/* Turns a QUANT of an activation into THRESHOLD (and the convolution in front of it). */
NB_FALLIBLE nb_lowering_quant(const NbLowering *l, NbNodeId id, NbError *err);

/* The same when there is a SILU between the convolution `source` and the quantizer. */
NB_FALLIBLE nb_lowering_curve(const NbLowering *l, NbNodeId quant, NbNodeId source, NbChain *chain,
                              NbError *err);

/* Codes of a THRESHOLD. */
typedef struct NbCodes {
    NbGrid grid;
    float scale;
} NbCodes;

/* Adds a THRESHOLD of x and its thresholds [channels of the quantizer][levels] to `out`. */
NB_FALLIBLE nb_lowering_emit_threshold(const NbLowering *l, NbNodeId quant, const char *name,
                                       const NbCodes *codes, NbNodeId x, const int32_t *thresholds,
                                       NbNodeId *id, NbError *err);

/* base + suffix, with a number behind when `out` has that name already; NULL: out of memory. */
const char *nb_lowering_name(const NbLowering *l, const char *base, const char *suffix);

#endif
