/* SPDX-License-Identifier: Apache-2.0
 *
 * The integer run time: plans an integer graph (see lower/integer/) once, packs its weights, and
 * then runs pictures with integers only, up to the DEQUANT nodes in front of the outputs.
 *
 * Codes are bytes, NHWC. Where it is proved equal for every sum that can occur, thresholds are
 * replaced by (sum * m + b) >> s; convolution, requantization and pooling run fused. Sums cannot
 * overflow: the bound is checked while packing. Results are identical for every ISA and number of
 * threads. Nothing is allocated while running. An engine belongs to one thread at a time; several
 * engines are independent. */
#ifndef NB_ENGINE_ENGINE_H
#define NB_ENGINE_ENGINE_H

#include "base/cpu.h"
#include "base/parallel.h"
#include "graph/graph.h"

typedef struct NbEngine NbEngine;

typedef struct NbEngineOptions {
    int height;
    int width;
    NbIsa isa;    /* as nb_isa_choose gives it */
    NbPool *pool; /* shared, must outlive the engine; NULL: the calling thread */
    bool keep;    /* keep every node's value for nb_engine_tap (fuses nothing away) */
    bool profile; /* measure every step, for nb_engine_profile */
} NbEngineOptions;

/* The graph is not needed afterwards. */
NB_FALLIBLE nb_engine_new(const NbGraph *integer_graph, const NbEngineOptions *options,
                          NbEngine **out, NbError *err);
void nb_engine_free(NbEngine *e); /* NULL is allowed */

/* One picture: uint8 [height, width, channels] (RGB). */
NB_FALLIBLE nb_engine_run(NbEngine *e, const uint8_t *image, NbError *err);

/* Output i after a run: [height, width, channels] float32; dim gets the three. */
const float *nb_engine_output(const NbEngine *e, int i, int64_t dim[3]);

/* keep only: the integers of the node with this name (as the integer graph names it), NHWC int32,
 * into out (capacity: count of elements); *count gets how many there are. */
NB_FALLIBLE nb_engine_tap(const NbEngine *e, const char *name, int32_t *out, size_t capacity,
                          size_t *count, NbError *err);

/* One step of the plan, with options.profile. */
typedef struct NbEngineProfile {
    const char *node; /* whose value it computes, as the integer graph names it */
    const char *what; /* "conv", "pool", ... */
    double seconds;   /* since the engine was made */
} NbEngineProfile;

/* Step i in the order of execution; false: there are no more. */
bool nb_engine_profile(const NbEngine *e, int i, NbEngineProfile *out);

size_t nb_engine_bytes(const NbEngine *e);

#endif
