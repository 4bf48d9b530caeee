/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums of products of layer inputs, on which GPTQ and GPFQ work, and the dense algebra they need.
 * Matrices are row-major, in double. */
#ifndef NB_LOWER_PTQ_GRAM_H
#define NB_LOWER_PTQ_GRAM_H

#include <stdbool.h>
#include <stddef.h>

/* gram [columns][columns] += a^T b for a, b [samples][columns]. */
void nb_gram_add(double *gram, const float *a, const float *b, size_t samples, size_t columns);

/* Rows [first, first + 4) of the same for b = a; what lies left of the diagonal is not to be used
 * before nb_gram_mirror. x [samples][stride], stride a multiple of 16 with zeros behind `columns`.
 * Sums of up to 512 samples are in float32. first is a multiple of 4. */
void nb_gram_add_rows(double *gram, const float *x, size_t samples, size_t stride, size_t columns,
                      size_t first);

typedef struct NbGramSide {
    const float *x; /* [samples][stride] */
    size_t stride;
    size_t count; /* columns that count */
} NbGramSide;

/* out rows [first, first + 4) of [left.count][right.count] += left^T right, in the same way;
 * left.stride is a multiple of 4. */
void nb_gram_add_cross(double *out, NbGramSide left, NbGramSide right, size_t samples,
                       size_t first);

/* gram less samples times the products of means: sums of products of what differs from the mean.
 * a mean [rows], b mean [columns]. */
void nb_gram_centre(double *gram, const double *a, size_t rows, const double *b, size_t columns,
                    double samples);

/* Copies what lies right of the diagonal to the left of it. */
void nb_gram_mirror(double *gram, size_t columns);

/* Dot product with a fixed order of additions (eight partial sums). */
double nb_gram_dot(const double *a, const double *b, size_t n);

/* order [2 n]: its first n become the identity, or indices by falling diagonal (equal ones by
 * index); the rest is scratch. */
void nb_gram_order(const double *gram, size_t n, bool by_diagonal, size_t *order);

/* Upper triangular u with u^T u = h^-1, from symmetric h, which is destroyed.
 * False when h is not positive definite. */
bool nb_gram_inverse_factor(double *h, size_t n, double *u);

#endif
