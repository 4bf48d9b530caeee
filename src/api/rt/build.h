/* SPDX-License-Identifier: Apache-2.0
 *
 * The way from a model to the engine that computes it with integers, up to the levels of its head.
 */
#ifndef NB_API_RT_BUILD_H
#define NB_API_RT_BUILD_H

#include "engine/engine.h"
#include "model/model.h"

/* What integers compute of a model: nb_model_inference, but an output that only joins real numbers
 * (box and class branch of a level of YOLOv8) is given in its parts, since joining is no work for
 * integers. */
typedef struct NbParts {
    NbGraph graph; /* a view: nodes are the model's, outputs lie in the arena given */
    int first[NB_MAX_LEVELS + 1]; /* outputs of the graph that make level i: first[i]..first[i+1] */
} NbParts;
NB_FALLIBLE nb_model_parts(NbModel *m, NbArena *arena, NbParts *out, NbError *err);

/* An engine whose outputs are the levels of a head. */
typedef struct NbHeadEngine {
    NbEngine *engine;
    int levels;
    int first[NB_MAX_LEVELS + 1];
    int64_t dim[NB_MAX_LEVELS][3]; /* height, width, channels */
    float *joined[NB_MAX_LEVELS];  /* NULL: a level of one part is the engine's own output */
    NbArena arena;
} NbHeadEngine;

/* Infers the graph of `m` for one picture of that size, lowers and packs it. The model is not
 * needed afterwards. NB_ERR_UNSUPPORTED: it has no quantizers (`name` is what the message calls the
 * model), or what nb_lower_integer and nb_engine_new say. Release in every case. */
NB_FALLIBLE nb_head_engine_new(NbModel *m, const char *name, const NbEngineOptions *options,
                               NbHeadEngine *out, NbError *err);
void nb_head_engine_release(NbHeadEngine *e);

/* One picture, as nb_engine_run. */
NB_FALLIBLE nb_head_engine_run(NbHeadEngine *e, const uint8_t *image, NbError *err);

/* [e->dim[level]] of the picture that ran last. */
const float *nb_head_engine_output(const NbHeadEngine *e, int level);

#endif
