/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/curve.h"

#include <math.h>
#include <string.h>

enum { RECALLS = 101 };

double nb_interpolate(double x, const double *xs, const double *ys, size_t n, double left) {
    if (x < xs[0])
        return left;
    size_t lo = 0; /* xs[lo] <= x */
    size_t hi = n; /* xs[hi] > x, or the end */
    while (hi - lo > 1) {
        const size_t mid = lo + (hi - lo) / 2;
        if (xs[mid] <= x)
            lo = mid;
        else
            hi = mid;
    }
    if (lo == n - 1 || !(xs[lo] < x))
        return ys[lo];
    return ys[lo] + (ys[lo + 1] - ys[lo]) / (xs[lo + 1] - xs[lo]) * (x - xs[lo]);
}

void nb_envelope_fill(NbEnvelope *e, const double *recall, const double *precision, size_t n) {
    e->n = n + 2;
    e->recall[0] = 0.0;
    e->precision[0] = 1.0;
    memcpy(e->recall + 1, recall, n * sizeof *recall);
    memcpy(e->precision + 1, precision, n * sizeof *precision);
    e->recall[n + 1] = 1.0;
    e->precision[n + 1] = 0.0;
    for (size_t i = e->n - 1; i > 0; i--)
        e->precision[i - 1] = fmax(e->precision[i - 1], e->precision[i]);
}

double nb_envelope_at(const NbEnvelope *e, double recall) {
    return nb_interpolate(recall, e->recall, e->precision, e->n, e->precision[0]);
}

double nb_envelope_area(const NbEnvelope *e) {
    double area = 0.0;
    double before = nb_envelope_at(e, 0.0);
    double x_before = 0.0;
    for (int i = 1; i < RECALLS; i++) {
        const double x = i == RECALLS - 1 ? 1.0 : i * 0.01;
        const double here = nb_envelope_at(e, x);
        area += (x - x_before) * (here + before) / 2.0;
        before = here;
        x_before = x;
    }
    return area;
}

void nb_curve_smooth(const double *in, int n, double *out) {
    const int window = (int)nearbyint(n * 0.2) / 2 + 1;
    const int half = window / 2;
    const double weight = 1.0 / (2 * half + 1);
    for (int i = 0; i < n; i++) {
        double sum = 0.0;
        for (int k = i - half; k <= i + half; k++)
            sum += in[k < 0 ? 0 : k >= n ? n - 1 : k] * weight;
        out[i] = sum;
    }
}
