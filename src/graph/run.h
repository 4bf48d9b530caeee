/* SPDX-License-Identifier: Apache-2.0
 *
 * One run of the reference interpreter, as operators see it. */
#ifndef NB_GRAPH_RUN_H
#define NB_GRAPH_RUN_H

#include "graph/op.h"

struct NbRun {
    const NbGraph *g;
    const uint8_t *images;
    const NbTensor *inputs; /* one for each INPUT, instead of images; NULL: none */
    NbRunMode mode;
    bool quantizers;
    NbArena *arena;
    NbValue *value;     /* [n_nodes] */
    const float **real; /* [n_nodes]: real numbers of coded values, made when asked for */
};

/* Input i of a node as real numbers. */
NB_FALLIBLE nb_run_real(NbRun *run, NbNodeId id, int i, const float **out, NbError *err);

/* Makes the value of `id`: zeroed data of its shape, real (or I32: an integer sum). */
NB_FALLIBLE nb_run_new(NbRun *run, NbNodeId id, NbDtype dtype, NbError *err);

/* The same for a value that passes on what input 0 is: coded with the same scale, or real. */
NB_FALLIBLE nb_run_new_like(NbRun *run, NbNodeId id, NbError *err);

/* The value of input i of a node. */
static inline const NbValue *nb_run_in(const NbRun *run, NbNodeId id, int i) {
    return &run->value[run->g->node[id].in[i]];
}

/* The data that moving operators move: codes or real numbers. */
static inline const float *nb_run_data(const NbRun *run, NbNodeId id, int i) {
    return nb_f32(&nb_run_in(run, id, i)->t);
}

/* Whether all inputs are codes that this node passes on as codes. */
bool nb_run_coded(const NbRun *run, NbNodeId id);

#endif
