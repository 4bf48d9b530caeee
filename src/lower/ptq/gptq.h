/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights quantized column by column; the error of each column is spread over the columns that
 * follow. The scale stays what it was. Rows (output channels) are independent of each other, so
 * they may be handed out to threads; groups of a convolution are solved one by one.
 *
 * GPTQ: Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
 * Transformers", ICLR 2023. GPFQ: Zhang, Zhou, Saab, "Post-training Quantization for Neural
 * Networks with Provable Guarantees", 2023. Both as in Brevitas 0.12.1. */
#ifndef NB_LOWER_PTQ_GPTQ_H
#define NB_LOWER_PTQ_GPTQ_H

#include "base/arena.h"
#include "base/status.h"
#include "quant/quantizer.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct NbGptqOptions {
    double damp;    /* share of the mean diagonal that is added to the diagonal; 0.01 */
    bool act_order; /* columns with the most energy first */
} NbGptqOptions;

/* What all rows share; lives in the arena it was made in. */
typedef struct NbGptq {
    size_t columns;
    size_t *order;
    double *u;  /* [columns][columns], rows and columns in that order */
    bool *dead; /* [columns]: the input is always 0 */
} NbGptq;

/* gram [columns][columns]: sums of products of the layer's inputs (nb_gram_add of x with x), in the
 * order of the weight's columns; any positive factor is as good. NB_ERR_ARGUMENT when it is not
 * positive definite even with damping: the layer is better left as it is. */
NB_FALLIBLE nb_ptq_gptq_prepare(const double *gram, size_t columns, const NbGptqOptions *options,
                                NbArena *arena, NbGptq *out, NbError *err);

/* w [rows][columns] becomes the quantized values (code * scale); scale [rows]. */
NB_FALLIBLE nb_ptq_gptq_rows(const NbGptq *g, const NbQuantSpec *spec, const float *scale,
                             size_t rows, float *w, NbArena *arena, NbError *err);

/* What GPFQ needs: h sums quantized inputs with quantized ones, cross [t][j] quantized input t with
 * float input j. */
typedef struct NbGpfq {
    size_t columns;
    const double *h;
    const double *cross;
    bool act_order;
} NbGpfq;

/* w [rows][columns] becomes the quantized values; columns without energy become 0. */
NB_FALLIBLE nb_ptq_gpfq_rows(const NbGpfq *g, const NbQuantSpec *spec, const float *scale,
                             size_t rows, float *w, NbArena *arena, NbError *err);

#endif
