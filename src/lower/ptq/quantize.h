/* SPDX-License-Identifier: Apache-2.0
 *
 * Post-training quantization of a graph that was built with given steps (model/model.h, `steps`):
 * from the float weights it holds and some pictures to steps, zero points, rounded weights and
 * corrected biases. Nothing depends on the number of threads; memory does not depend on the number
 * of pictures.
 *
 *   1. Norms are folded (layers.h). One pass of the float network takes a histogram of every
 *      activation that is quantized, and the mean of what each weight is multiplied with.
 *   2. Steps and zero points of activations are chosen from the histograms.
 *   3. Convolutions are quantized in the order of their depth, some depths at a time: a pass of the
 *      network as quantized so far gives the Gram matrices of their inputs, from which come the
 *      steps of the weights, their rounding (GPTQ) and the shift of the bias.
 *   4. On the first pictures the quantized network is compared with the float one.
 *
 * Sources: Frantar et al., ICLR 2023 (GPTQ); Nagel et al., ICCV 2019 (bias correction). */
#ifndef NB_LOWER_PTQ_QUANTIZE_H
#define NB_LOWER_PTQ_QUANTIZE_H

#include "base/parallel.h"
#include "graph/graph.h"
#include "lower/ptq/histogram.h"

enum { NB_PTQ_MOST_PIXELS = 4096 };

/* Where pictures come from; the same ones in every pass. */
typedef struct NbPtqPictures {
    void *user;
    int count; /* in all */
    int batch; /* in one call */
    int height, width;
    /* Pictures [first, first + *n) as uint8 [n, height, width, 3], valid until the next call;
     * first is 0 or follows the call before. */
    NbStatus (*read)(void *user, int first, const uint8_t **images, int *n, NbError *err);
} NbPtqPictures;

typedef enum NbPtqRound {
    NB_PTQ_GPTQ,    /* each column's error is made up for by those that follow */
    NB_PTQ_NEAREST, /* to the nearest code */
} NbPtqRound;

typedef struct NbPtqOptions {
    NbPtqMethod method; /* of activations */
    double percentile;  /* NB_PTQ_PERCENTILE: 99.99 */
    NbPtqRound round;
    double damp; /* GPTQ: 0.01 */
    bool bias_correction;
    bool adapt; /* weights first follow what quantizing did to their inputs: the ones that give the
                 * float network's outputs best from the quantized inputs */
    double adapt_damp; /* share of the mean diagonal that holds them to what they were: 0.02 */
    int pixels;        /* of a layer's output that are looked at in each picture: 256 */
    int passes; /* of the quantized network over the pictures: depths are cut into so many parts; 0:
                 * one for each depth, 8 when all weights have 8 bits */
    uint64_t seed;
    NbPool *pool; /* NULL: the calling thread */
    /* NULL, or told of progress; true ends the run with NB_ERR_STOPPED. */
    bool (*on_progress)(void *user, int done, int all);
    void *user;
} NbPtqOptions;

NbPtqOptions nb_ptq_defaults(void);

typedef struct NbPtqLayerReport {
    const char *name;      /* of the convolution, the model's */
    int weight_bits;       /* 0: float */
    int input_bits;        /* 0: float */
    double weight_sqnr_db; /* of its output for the inputs that it gets, weights rounded or not */
    double sqnr_db;        /* of its output in the quantized network against the float one */
} NbPtqLayerReport;

typedef struct NbPtqActReport {
    const char *name; /* of the quantizer */
    int bits;
    NbPtqScale scale;
    double stability; /* range of the first half of the pictures over that of all; 1: no news */
} NbPtqActReport;

typedef struct NbPtqReport {
    NbPtqLayerReport *layer; /* in the order of the graph, those that outputs need */
    size_t n_layers;
    NbPtqActReport *act;
    size_t n_acts;
} NbPtqReport;

/* g (with the outputs that inference reads) is changed: data of its parameters and the zero points
 * of its quantizers. The report lies in the arena. Errors: pictures that calibration cannot work
 * with, NaN in the network, memory. */
NB_FALLIBLE nb_ptq_quantize(NbGraph *g, const NbPtqPictures *pictures, const NbPtqOptions *options,
                            NbArena *arena, NbPtqReport *report, NbError *err);

#endif
