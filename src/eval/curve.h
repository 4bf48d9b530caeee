/* SPDX-License-Identifier: Apache-2.0
 *
 * Curves of precision over recall and their area, and interpolation as numpy's interp does it. */
#ifndef NB_EVAL_CURVE_H
#define NB_EVAL_CURVE_H

#include <stddef.h>

/* Value at x of the line through (xs[i], ys[i]), xs rising, n >= 1; `left` before the first point,
 * the last value behind the last. Of equal xs the last counts. */
double nb_interpolate(double x, const double *xs, const double *ys, size_t n, double left);

/* Precision that is reached at a recall or later, from recall 0 (precision 1) to 1 (precision 0).
 * The caller gives both arrays room for n + 2. */
typedef struct NbEnvelope {
    double *recall;
    double *precision;
    size_t n;
} NbEnvelope;

/* recall, precision: after each of n detections, best first. */
void nb_envelope_fill(NbEnvelope *e, const double *recall, const double *precision, size_t n);

double nb_envelope_at(const NbEnvelope *e, double recall);

/* Area by the trapezoid rule over 101 recalls. */
double nb_envelope_area(const NbEnvelope *e);

/* Mean over a window of a tenth of the points on both sides together (n / 10, made odd), the ends
 * continued. in and out must not overlap; n >= 1. */
void nb_curve_smooth(const double *in, int n, double *out);

#endif
