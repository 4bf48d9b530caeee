/* SPDX-License-Identifier: Apache-2.0 */
#include "train/schedule.h"

#include <math.h>

double nb_schedule_factor(const NbSchedule *s, int epoch) {
    if (s->cosine)
        return (1.0 - cos(epoch * 3.141592653589793 / s->epochs)) / 2.0 * (s->lrf - 1.0) + 1.0;
    const double last = s->linear_reaches_end ? s->epochs - 1 : s->epochs;
    const double left = last > 0.0 ? 1.0 - epoch / last : 1.0;
    return (left > 0.0 ? left : 0.0) * (1.0 - s->lrf) + s->lrf;
}

/* Straight line through (0, from) and (n, to). */
static double interpolate(double at, double n, double from, double to) {
    return from + (to - from) * (at / n);
}

NbRates nb_schedule_at(const NbSchedule *s, int64_t iteration) {
    const int epoch = (int)(iteration / s->batches);
    const double ratio = (double)s->nbs / s->batch;
    const double full = rint(ratio); /* half to even, as Python rounds */
    NbRates r = {.momentum = s->momentum, .accumulate = full > 1.0 ? (int)full : 1};
    if (s->warmup > 0 && iteration <= s->warmup) {
        const double at = (double)iteration;
        const double target = s->lr0 * nb_schedule_factor(s, epoch);
        const double gathered = rint(interpolate(at, s->warmup, 1.0, ratio));
        r.accumulate = gathered > 1.0 ? (int)gathered : 1;
        r.lr = interpolate(at, s->warmup, 0.0, target);
        r.lr_bias = interpolate(at, s->warmup, s->warmup_bias_lr, target);
        if (!s->fixed_momentum)
            r.momentum = interpolate(at, s->warmup, s->warmup_momentum, s->momentum);
        return r;
    }
    /* the epoch in which warm-up ends keeps its rate; in the sources the scheduler lags from there
     */
    const bool lags = s->late && epoch > s->warmup / s->batches;
    r.lr = s->lr0 * nb_schedule_factor(s, lags ? epoch - 1 : epoch);
    r.lr_bias = r.lr;
    return r;
}
