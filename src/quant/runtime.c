/* SPDX-License-Identifier: Apache-2.0
 *
 * Measure, then learn. */
#include "quant/runtime.h"

#include "quant/statistics.h"
#include "quant/zero.h"

#include <float.h>
#include <math.h>

NbRuntime nb_runtime_start(void) { return (NbRuntime){.running = 1.0F, .value = 1.0F}; }

NbRuntime nb_runtime_resume(const NbRuntimeSpec *spec, float value, float low_value) {
    NbRuntime state = nb_runtime_start();
    state.forwards = spec->collect + 1;
    state.value = value;
    state.low_value = low_value;
    return state;
}

static float at_least_tiny(float scale) { return scale < FLT_MIN ? FLT_MIN : scale; }

/* While measuring nothing is restricted: neither the threshold nor the integer that divides it. */
static float measured_divisor(const NbQuantSpec *quant) {
    NbQuantSpec plain = *quant;
    plain.log_int_threshold = false;
    return nb_quant_int_threshold(&plain);
}

static float merged(const NbRuntimeSpec *spec, int64_t forwards, float running, float fresh) {
    if (spec->momentum < 0.0) {
        const double count = (double)(forwards + 1);
        const float kept = running * (float)((double)forwards / count);
        return kept + fresh * (float)(1.0 / count);
    }
    if (forwards == 0)
        return fresh;
    const float kept = running * (float)(1.0 - spec->momentum);
    const float added = (float)spec->momentum * fresh;
    return kept + added;
}

/* The number of x whose size is `size`; the first one decides on its sign. */
static float holder_of(const float *x, size_t n, float size) {
    for (size_t i = 0; i < n; i++)
        if (fabsf(x[i]) == size)
            return x[i];
    return size;
}

static NbRuntimeStep measure(const NbRuntimeSpec *spec, NbRuntime *state, const float *x,
                             size_t n) {
    NbRuntimeStep step = {.measured = true};
    float threshold;
    if (spec->shifted) {
        const NbInterval ends = nb_stat_interval(x, n, spec->low_percentile, spec->percentile);
        step.top = ends.high;
        step.bottom = ends.low;
        threshold = fabsf(ends.high - ends.low);
    } else {
        threshold = nb_stat_percentile(x, n, spec->percentile);
        step.top = holder_of(x, n, threshold);
    }
    threshold = nb_quant_bound(threshold, spec->quant.scale_min);
    step.scale = at_least_tiny(threshold / measured_divisor(&spec->quant));
    state->running = merged(spec, state->forwards, state->running, threshold);
    state->running_low = merged(spec, state->forwards, state->running_low, step.bottom);
    return step;
}

NbRuntimeStep nb_runtime_train(const NbRuntimeSpec *spec, NbRuntime *state, const float *x,
                               size_t n) {
    NbRuntimeStep step = {0};
    if (state->forwards < spec->collect) {
        step = measure(spec, state, x, n);
    } else {
        if (state->forwards == spec->collect) {
            state->value = nb_quant_value_of(&spec->quant, state->running);
            state->low_value = state->running_low;
        }
        const float threshold = nb_quant_threshold_of(&spec->quant, state->value);
        step.scale = at_least_tiny(threshold / nb_quant_int_threshold(&spec->quant));
        step.bottom = state->low_value;
    }
    if (spec->shifted)
        step.zero = nb_zero_point(&spec->quant, step.bottom, step.scale);
    state->forwards++;
    return step;
}

NbRuntimeStep nb_runtime_infer(const NbRuntimeSpec *spec, const NbRuntime *state) {
    const bool learned = state->forwards > spec->collect;
    const float value = learned ? state->value : nb_quant_value_of(&spec->quant, state->running);
    NbQuantSpec unbound = spec->quant; /* here the bound is one of the scale, not the threshold */
    unbound.scale_min = 0.0F;
    const float scale =
        nb_quant_threshold_of(&unbound, value) / nb_quant_int_threshold(&spec->quant);
    NbRuntimeStep step = {
        .scale = at_least_tiny(nb_quant_bound(scale, spec->quant.scale_min)),
        .bottom = learned ? state->low_value : state->running_low,
    };
    if (spec->shifted)
        step.zero = nb_zero_point(&spec->quant, step.bottom, step.scale);
    return step;
}

static void add_to_first(const float *x, size_t n, float holder, double d, float *dx) {
    for (size_t i = 0; i < n; i++) {
        if (x[i] == holder) {
            dx[i] = (float)((double)dx[i] + d);
            return;
        }
    }
}

typedef struct Ends {
    double threshold; /* d loss / d threshold */
    double low;       /* d loss / d lower end, through the zero point */
} Ends;

static Ends ends_of(const NbRuntimeSpec *spec, const NbRuntimeStep *step, NbQuantGrad grad) {
    Ends d = {grad.scale, 0.0};
    if (spec->shifted && nb_zero_point_is_free(&spec->quant, step->bottom, step->scale)) {
        const double s = (double)step->scale;
        d.threshold -= grad.zero * fabs((double)step->bottom) / (s * s);
        d.low = step->bottom >= 0.0F ? grad.zero / s : -grad.zero / s;
    }
    const float divisor =
        step->measured ? measured_divisor(&spec->quant) : nb_quant_int_threshold(&spec->quant);
    d.threshold /= (double)divisor;
    return d;
}

void nb_runtime_backward(const NbRuntimeSpec *spec, const NbRuntime *state,
                         const NbRuntimeStep *step, const float *x, size_t n, const float *g,
                         float *dx, float *d_values) {
    const NbQuantGrad grad =
        nb_quant_backward_row(&spec->quant, x, n, step->scale, step->zero, g, dx);
    const Ends d = ends_of(spec, step, grad);
    if (!step->measured) {
        if (d_values) {
            const double slope = nb_quant_threshold_slope(&spec->quant, state->value);
            d_values[0] += (float)(d.threshold * slope);
            d_values[1] += (float)d.low;
        }
        return;
    }
    if (!spec->shifted) {
        const double sign = step->top > 0.0F ? 1.0 : step->top < 0.0F ? -1.0 : 0.0;
        add_to_first(x, n, step->top, sign * d.threshold, dx);
        return;
    }
    const double up = step->top > step->bottom ? d.threshold : 0.0;
    add_to_first(x, n, step->top, up, dx);
    add_to_first(x, n, step->bottom, d.low - up, dx);
}
