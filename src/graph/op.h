/* SPDX-License-Identifier: Apache-2.0
 *
 * What one operator is: a line in ops.def and an NbOpDef. The table is keyed by NbOp; a line of
 * ops.def without a definition does not link. */
#ifndef NB_GRAPH_OP_H
#define NB_GRAPH_OP_H

#include "graph/graph.h"
#include "graph/interpret.h"

/* One run of the interpreter (see run.h). */
typedef struct NbRun NbRun;

enum { NB_ANY_INPUTS = -1 };

typedef struct NbOpDef {
    const char *name; /* as in dumps and messages: the constant of ops.def */
    int min_in;
    int max_in; /* NB_ANY_INPUTS: no bound */
    /* Shape of the output; checks attributes, shapes and parameters. *out comes in as
     * [batch, 0, height, width], which INPUT completes and every other operator replaces. */
    NB_FALLIBLE (*infer)(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err);
    /* Fills run->value[id]; the shape is known. */
    NB_FALLIBLE (*forward)(NbRun *run, NbNodeId id, NbError *err);
    /* ADDS d loss / d input i to dx[i] (real space); NULL entries are not wanted. dy is d loss / d
     * output. NULL: no gradient passes (INPUT, PARAM and operators of integer graphs). */
    NB_FALLIBLE(*backward)
    (NbRun *run, NbNodeId id, const float *dy, float *const dx[], NbError *err);
} NbOpDef;

const NbOpDef *nb_op_def(NbOp op);

/* For shape rules: the shape of input i. */
static inline const NbShape *nb_in_shape(const NbGraph *g, const NbNode *node, int i) {
    return &g->node[node->in[i]].shape;
}

/* For shape rules: fails unless input i is a PARAM of `dtype` with exactly this shape (count 0:
 * any element count). */
NB_FALLIBLE nb_infer_param(const NbGraph *g, const NbNode *node, int i, NbDtype dtype,
                           int64_t count, NbError *err);

/* For shape rules: fails unless input i has rank 4. */
NB_FALLIBLE nb_infer_rank4(const NbGraph *g, const NbNode *node, int i, NbError *err);

/* For shape rules: fails unless input i is real numbers or codes with one scale. */
NB_FALLIBLE nb_infer_numbers(const NbGraph *g, const NbNode *node, int i, NbError *err);

/* For shape rules: fails unless 0 <= axis < rank of input 0. */
NB_FALLIBLE nb_infer_axis(const NbGraph *g, const NbNode *node, int axis, NbError *err);

/* One output side of a window: floor((in + before + after - dilation*(kernel-1) - 1) / stride) + 1;
 * fails when nothing remains or an attribute is out of range. */
NB_FALLIBLE nb_infer_window(int64_t in, const int pads[2], int kernel, int stride, int dilation,
                            int64_t *out, NbError *err);

#endif
