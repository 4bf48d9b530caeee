/* SPDX-License-Identifier: Apache-2.0 */
#include "lower/ptq/pass.h"

#include <math.h>

/* Values of a convolution's output for n pictures. */
static size_t outputs_of(const NbPtqWork *w, int n) {
    return w->out_pixels * w->layer.rows * (size_t)n;
}

static NbStatus keep(NbPtqRun *run, NbExecutor *x, int first, int n, NbError *err) {
    (void)first;
    for (size_t i = 0; i < run->n_work; i++) {
        NbPtqWork *const w = &run->work[i];
        w->kept = NB_NEW(run->arena, float, outputs_of(w, n));
        if (!w->kept)
            return nb_fail_memory(err, "comparing");
        NB_TRY(nb_ptq_tap(&run->real, x, w->layer.conv, outputs_of(w, n), w->kept, err));
    }
    return NB_OK;
}

/* The bias may lie in the norm behind: the mean of each channel is taken off both. */
static double sqnr_of(const float *real, const float *now, size_t pixels, size_t channels) {
    double signal = 0.0;
    double noise = 0.0;
    for (size_t c = 0; c < channels; c++) {
        double mean[2] = {0.0, 0.0};
        for (size_t p = 0; p < pixels; p++) {
            mean[0] += (double)real[p * channels + c] / (double)pixels;
            mean[1] += (double)now[p * channels + c] / (double)pixels;
        }
        for (size_t p = 0; p < pixels; p++) {
            const double a = (double)real[p * channels + c] - mean[0];
            const double b = (double)now[p * channels + c] - mean[1];
            signal += a * a;
            noise += (a - b) * (a - b);
        }
    }
    return signal > 0.0 && noise > 0.0 ? 10.0 * log10(signal / noise) : 0.0;
}

static NbStatus compare(NbPtqRun *run, NbExecutor *x, int first, int n, NbError *err) {
    (void)first;
    for (size_t i = 0; i < run->n_work; i++) {
        NbPtqWork *const w = &run->work[i];
        NB_TRY(nb_ptq_tap(&run->current, x, w->layer.conv, outputs_of(w, n), run->tap[0], err));
        w->sqnr_db = sqnr_of(w->kept, run->tap[0], w->out_pixels * (size_t)n, w->layer.rows);
    }
    return NB_OK;
}

NbStatus nb_ptq_compare(NbPtqRun *run, NbError *err) {
    const int n =
        run->pictures->count < run->pictures->batch ? run->pictures->count : run->pictures->batch;
    NB_TRY(nb_ptq_pass(run, &run->real, false, n, keep, err));
    return nb_ptq_pass(run, &run->current, true, n, compare, err);
}
