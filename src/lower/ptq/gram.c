/* SPDX-License-Identifier: Apache-2.0
 *
 * Gram matrices and their triangular factors. */
#include "lower/ptq/gram.h"

#include <math.h>
#include <string.h>

enum { LANES = 8 };

void nb_gram_add(double *gram, const float *a, const float *b, size_t samples, size_t columns) {
    for (size_t s = 0; s < samples; s++) {
        const float *const left = a + s * columns;
        const float *const right = b + s * columns;
        for (size_t i = 0; i < columns; i++) {
            const double x = (double)left[i];
            double *const row = gram + i * columns;
            if (x == 0.0) /* activations behind a ReLU */
                continue;
            for (size_t j = 0; j < columns; j++)
                row[j] += x * (double)right[j];
        }
    }
}

enum { TILE_ROWS = 4, TILE = 16, FLOAT_SAMPLES = 512 };

/* Rows i to i + 3 and columns j to j + 15 of out [..][columns] += a^T b. */
static void add_tile(double *out, NbGramSide a, NbGramSide b, size_t samples, size_t i, size_t j) {
    float sum[TILE_ROWS][TILE] = {{0.0F}};
    for (size_t s = 0; s < samples; s++) {
        const float *const left = a.x + s * a.stride + i;
        const float *const right = b.x + s * b.stride + j;
        for (size_t r = 0; r < TILE_ROWS; r++)
            for (size_t k = 0; k < TILE; k++)
                sum[r][k] += left[r] * right[k];
    }
    for (size_t r = 0; r < TILE_ROWS && i + r < a.count; r++)
        for (size_t k = 0; k < TILE && j + k < b.count; k++)
            out[(i + r) * b.count + j + k] += (double)sum[r][k];
}

static void add_rows(double *out, NbGramSide a, NbGramSide b, size_t samples, size_t first,
                     size_t from) {
    for (size_t at = 0; at < samples; at += FLOAT_SAMPLES) {
        const size_t n = samples - at < FLOAT_SAMPLES ? samples - at : FLOAT_SAMPLES;
        const NbGramSide left = {a.x + at * a.stride, a.stride, a.count};
        const NbGramSide right = {b.x + at * b.stride, b.stride, b.count};
        for (size_t j = from; j < b.count; j += TILE)
            add_tile(out, left, right, n, first, j);
    }
}

void nb_gram_add_rows(double *gram, const float *x, size_t samples, size_t stride, size_t columns,
                      size_t first) {
    const NbGramSide side = {x, stride, columns};
    add_rows(gram, side, side, samples, first, first / TILE * TILE);
}

void nb_gram_add_cross(double *out, NbGramSide left, NbGramSide right, size_t samples,
                       size_t first) {
    add_rows(out, left, right, samples, first, 0);
}

void nb_gram_centre(double *gram, const double *a, size_t rows, const double *b, size_t columns,
                    double samples) {
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            gram[i * columns + j] -= samples * a[i] * b[j];
}

void nb_gram_mirror(double *gram, size_t columns) {
    for (size_t i = 0; i < columns; i++)
        for (size_t j = 0; j < i; j++)
            gram[i * columns + j] = gram[j * columns + i];
}

double nb_gram_dot(const double *a, const double *b, size_t n) {
    double lane[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t k = 0; k < LANES; k++)
            lane[k] += a[i + k] * b[i + k];
    double sum =
        ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
    for (; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* Merge sort of indices: stable, so that equal diagonals keep their order. */
static void merge(const double *gram, size_t n, const size_t *from, size_t *to, size_t width) {
    for (size_t start = 0; start < n; start += 2 * width) {
        const size_t middle = start + width < n ? start + width : n;
        const size_t end = start + 2 * width < n ? start + 2 * width : n;
        size_t left = start;
        size_t right = middle;
        for (size_t at = start; at < end; at++) {
            const bool take_left =
                left < middle &&
                (right >= end || gram[from[left] * (n + 1)] >= gram[from[right] * (n + 1)]);
            to[at] = take_left ? from[left++] : from[right++];
        }
    }
}

void nb_gram_order(const double *gram, size_t n, bool by_diagonal, size_t *order) {
    size_t *const spare = order + n;
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    if (!by_diagonal)
        return;
    for (size_t width = 1; width < n; width *= 2) {
        merge(gram, n, order, spare, width);
        memcpy(order, spare, n * sizeof *order);
    }
}

/* Lower triangular m with m m^T = h, in place; what lies above the diagonal stays. */
static bool cholesky(double *h, size_t n) {
    for (size_t i = 0; i < n; i++) {
        double *const row = h + i * n;
        for (size_t j = 0; j < i; j++)
            row[j] = (row[j] - nb_gram_dot(row, h + j * n, j)) / h[j * n + j];
        const double rest = row[i] - nb_gram_dot(row, row, i);
        if (!(rest > 0.0) || !isfinite(rest))
            return false;
        row[i] = sqrt(rest);
    }
    return true;
}

/* Turned round in both directions: element (i, j) becomes (n-1-i, n-1-j). */
static void reverse(double *h, size_t n) {
    for (size_t i = 0, j = n * n - 1; i < j; i++, j--) {
        const double t = h[i];
        h[i] = h[j];
        h[j] = t;
    }
}

/* The Cholesky factor m of the reversed h, reversed back, is an upper r with r r^T = h, hence
 * h^-1 = (r^-1)^T r^-1 and u = r^-1: no second factorisation, no full inverse. The inverse of m is
 * built row by row from rows already known. */
bool nb_gram_inverse_factor(double *h, size_t n, double *u) {
    reverse(h, n);
    if (!cholesky(h, n))
        return false;
    memset(u, 0, n * n * sizeof *u);
    for (size_t i = 0; i < n; i++) {
        double *const row = u + i * n;
        const double *const m = h + i * n;
        for (size_t k = 0; k < i; k++) {
            const double *const known = u + k * n;
            for (size_t j = 0; j <= k; j++)
                row[j] -= m[k] * known[j];
        }
        for (size_t j = 0; j < i; j++)
            row[j] /= m[i];
        row[i] = 1.0 / m[i];
    }
    reverse(u, n);
    return true;
}
