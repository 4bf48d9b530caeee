/* SPDX-License-Identifier: Apache-2.0
 *
 * The float engine: computes a graph in float32 for inference only, quantizers off, as fast as this
 * CPU can. Built once for a size of picture: convolutions take in the batch norm, activation and
 * residual addition behind them; weights are packed (3x3 ones for Winograd's F(4x4, 3x3) where that
 * pays); pictures stay NHWC from end to end; what a concatenation joins is written in place; memory
 * is planned from the lifetimes of values. Running allocates nothing and starts no thread.
 *
 * Operators without a kernel here are computed by the interpreter's own definitions, so any graph
 * of real numbers runs (and only those allocate, in an arena kept between calls).
 *
 * The result does not depend on the number of threads, nor on how many pictures are computed in a
 * call: each number is the same sum in the same order. It equals the reference interpreter's up to
 * rounding, and may differ in the last bits between instruction sets. */
#ifndef NB_NN_FLOAT_FLOAT_H
#define NB_NN_FLOAT_FLOAT_H

#include "base/cpu.h"
#include "base/parallel.h"
#include "graph/graph.h"

typedef struct NbFloatEngine NbFloatEngine;

typedef struct NbFloatOptions {
    int batch; /* most pictures in one call; 0: 1. Outputs are kept for so many */
    int height;
    int width;
    int first_output; /* outputs of the graph that are wanted: these and nothing that leads only */
    int n_outputs;    /* to others is computed; 0: all */
    bool plain;       /* outputs row-major as the graph has them; else those of rank 4 are NHWC */
    bool profile;     /* measure every step, for nb_float_profile */
    NbIsa isa;        /* of nb_isa_choose */
    NbPool *pool;     /* shared, must outlive the engine; NULL: the calling thread */
} NbFloatOptions;

/* The graph must outlive the engine; its shapes are inferred anew, for one picture. Weights are
 * copied. Fold it first (lower/float/fold.h): the engine itself only takes batch norms into the
 * convolution before them. NB_ERR_UNSUPPORTED names a node of integers. */
NB_FALLIBLE nb_float_new(NbGraph *g, const NbFloatOptions *options, NbFloatEngine **out,
                         NbError *err);
void nb_float_free(NbFloatEngine *x); /* NULL is allowed */

/* images: uint8 [count, height, width, channels] (RGB); count <= batch. For graphs with one picture
 * INPUT. */
NB_FALLIBLE nb_float_run(NbFloatEngine *x, const uint8_t *images, int count, NbError *err);

/* The same from real numbers, scaled as the graph wants them: one array an INPUT node, in the order
 * of nodes, row-major as the graph has them (NCHW), `count` times in a row. */
NB_FALLIBLE nb_float_run_real(NbFloatEngine *x, const float *const *inputs, int count,
                              NbError *err);

/* Wanted output i after a run: `count` times its elements; owned by the engine, valid until the
 * next call. */
const float *nb_float_output(const NbFloatEngine *x, int i);

/* Its shape for one picture, as the graph has it. Operators that find out how much they give (NMS)
 * may fill fewer rows than the graph provides for: this is what the last picture gave. */
NbShape nb_float_output_shape(const NbFloatEngine *x, int i);

/* One step of the plan, with options.profile. */
typedef struct NbFloatProfile {
    const char *node; /* the node whose value it computes */
    const char *what; /* "winograd", "pointwise", "direct", ... */
    double seconds;   /* since the engine was made */
    double macs;      /* multiply-adds of one picture; 0: none to speak of */
} NbFloatProfile;

/* Step i in the order of execution; false: there are no more. */
bool nb_float_profile(const NbFloatEngine *x, int i, NbFloatProfile *out);

/* Bytes the engine holds: weights, values, scratch. */
size_t nb_float_bytes(const NbFloatEngine *x);

#endif
