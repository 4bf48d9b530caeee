/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs pictures through every representation of a quantized model and compares tensor by tensor
 * with the reference interpreter: codes of every activation quantizer, bits of every output. */
#ifndef NB_API_PARITY_H
#define NB_API_PARITY_H

#include "base/cpu.h"
#include "base/parallel.h"
#include "model/model.h"

typedef struct NbParityCount {
    const char *name; /* "sim", "int" */
    int tensors;      /* compared in each picture */
    int64_t values;
    int64_t mismatches;
    double max_diff;          /* in codes; of outputs in units of the value */
    const char *first_tensor; /* NULL: all equal */
    int first_image;
    int64_t first_index; /* NHWC */
} NbParityCount;

enum { NB_PARITY_REPRESENTATIONS = 2 };

typedef struct NbParity NbParity;

/* The model must outlive it. */
NB_FALLIBLE nb_parity_new(NbModel *model, int height, int width, NbIsa isa, NbPool *pool,
                          NbParity **out, NbError *err);
void nb_parity_free(NbParity *p);

/* Compares on `count` more pictures [count, height, width, 3]. */
NB_FALLIBLE nb_parity_add(NbParity *p, const uint8_t *images, int count, NbError *err);

/* [NB_PARITY_REPRESENTATIONS] */
const NbParityCount *nb_parity_counts(const NbParity *p, int *images);

#endif
