/* SPDX-License-Identifier: Apache-2.0 */
#include "lower/ptq/weight_step.h"

#include <float.h>
#include <math.h>

static double loss_of(const float *w, size_t n, const double *energy, float step, float lo,
                      float hi) {
    const float shift = 0x1.8p23F; /* rounds to the nearest even integer */
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        float q = w[i] / step;
        q = q < lo ? lo : q > hi ? hi : q;
        q = (q + shift) - shift;
        const double off = (double)(w[i] - q * step);
        sum += off * off * (energy ? energy[i] : 1.0);
    }
    return sum;
}

float nb_ptq_weight_step(const NbQuantSpec *spec, const float *w, size_t columns,
                         const double *energy) {
    enum { TRIES = 100, FIRST = 25 };
    const float lo = (float)nb_grid_lo(spec->grid);
    const float hi = (float)nb_grid_hi(spec->grid);
    float full = 0.0F; /* the step with which every weight fits */
    for (size_t i = 0; i < columns; i++)
        full = fmaxf(full, w[i] > 0.0F ? w[i] / fmaxf(hi, 1.0F) : w[i] / fminf(lo, -1.0F));
    if (!(full >= FLT_MIN))
        return 1.0F;
    float best = full;
    double least = loss_of(w, columns, energy, full, lo, hi);
    for (int i = TRIES - 1; i >= FIRST; i--) {
        const float step = full * (float)i / (float)TRIES;
        const double loss = step >= FLT_MIN ? loss_of(w, columns, energy, step, lo, hi) : HUGE_VAL;
        if (loss < least) {
            least = loss;
            best = step;
        }
    }
    return best;
}

void nb_ptq_weight_round(const NbQuantSpec *spec, float step, float *w, size_t columns) {
    nb_quant_codes(spec, w, 1, columns, &step, NULL, w);
    nb_quant_values(w, 1, columns, &step, NULL, w);
}
