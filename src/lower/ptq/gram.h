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

/* Dot product with a fixed order of additions (eight partial sums). */
double nb_gram_dot(const double *a, const double *b, size_t n);

/* order [2 n]: its first n become the identity, or indices by falling diagonal (equal ones by
 * index); the rest is scratch. */
void nb_gram_order(const double *gram, size_t n, bool by_diagonal, size_t *order);

/* Upper triangular u with u^T u = h^-1, from symmetric h, which is destroyed.
 * False when h is not positive definite. */
bool nb_gram_inverse_factor(double *h, size_t n, double *u);

#endif
