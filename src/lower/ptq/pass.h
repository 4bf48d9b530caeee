/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of quantize.c: the state of a run, and passes over the pictures. */
#ifndef NB_LOWER_PTQ_PASS_H
#define NB_LOWER_PTQ_PASS_H

#include "lower/ptq/columns.h"
#include "lower/ptq/layers.h"
#include "lower/ptq/quantize.h"
#include "nn/executor.h"

/* What is known of one convolution. */
typedef struct NbPtqWork {
    NbPtqLayer layer;
    NbPtqColumns view;
    size_t out_pixels;
    size_t pixels; /* looked at in each picture */

    /* while the layer is being quantized */
    bool leads; /* nothing in front of it is quantized in the same pass */
    double samples;
    double *mean;   /* [groups][columns]: of the quantized network's inputs */
    double *target; /* [rows]: mean of the float network's outputs, without the bias */
    double *gram;   /* [groups][columns][columns], about the mean */
    double *cross;  /* [rows][columns]: float outputs with quantized inputs, about the means */
    float *rows;    /* [groups][batch * pixels][view.stride] inputs */
    float *outputs; /* [groups][batch * pixels][out_stride] float outputs */
    size_t out_stride;
    size_t n_rows;

    double weight_sqnr_db, sqnr_db;
    float *kept; /* the float network's output for the first pictures */
} NbPtqWork;

typedef struct NbPtqAct {
    NbNodeId quant;
    NbPtqHistogram seen;
    float half_range;
    NbPtqScale scale;
} NbPtqAct;

typedef struct NbPtqRun {
    NbGraph *g;      /* the caller's */
    NbGraph real;    /* a copy with its own float weights, for passes without quantizers */
    NbGraph current; /* shares the caller's data; weights have no quantizers: they are rounded */
    const NbPtqPictures *pictures;
    const NbPtqOptions *options;
    NbArena *arena;
    NbPtqWork *work; /* [n_work] live convolutions */
    size_t n_work;
    NbPtqAct *act; /* [n_acts] live quantizers of activations */
    size_t n_acts;
    NbExecutor *reference; /* of real, during nb_ptq_measure */
    const uint8_t *images; /* of the batch that is visited */
    float **tap;           /* [threads]: a batch of any value */
    int done, all;
} NbPtqRun;

/* Called after each forward with the executor and the place of the first picture. */
typedef NbStatus NbPtqVisit(NbPtqRun *run, NbExecutor *x, int first, int n, NbError *err);

/* Runs g (real or current; quantizers: of activations) over the first `count` pictures. */
NB_FALLIBLE nb_ptq_pass(NbPtqRun *run, NbGraph *g, bool quantizers, int count, NbPtqVisit *visit,
                        NbError *err);

/* The value of a node for all pictures of the batch as real numbers. */
NB_FALLIBLE nb_ptq_tap(const NbGraph *g, NbExecutor *x, NbNodeId id, size_t count, float *out,
                       NbError *err);

/* First pass: histograms. */
NB_FALLIBLE nb_ptq_observe(NbPtqRun *run, NbError *err);

/* What is known of the layers [first, end) of run->work in the network as it is now. */
NB_FALLIBLE nb_ptq_measure(NbPtqRun *run, size_t first, size_t end, NbArena *arena, NbError *err);

/* sqnr_db of every layer, from the first pictures: the network as it is now against the float one.
 */
NB_FALLIBLE nb_ptq_compare(NbPtqRun *run, NbError *err);

#endif
