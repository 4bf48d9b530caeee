/* SPDX-License-Identifier: Apache-2.0
 *
 * Cross-layer equalization. */
#include "lower/ptq/equalize.h"

#include "quant/statistics.h"

#include <math.h>

static const float NEGLIGIBLE = 1e-9F;

NbEqualizeOptions nb_ptq_equalize_defaults(void) {
    return (NbEqualizeOptions){.sweeps = 20, .alpha = 0.5, .stop = 0.05, .merge_bias = true};
}

/* Sizes of biases relative to the weights beside them, [channels * inner]; a source's weights seen
 * by output channel have outer = 1 unless the convolution is a transposed one. */
static size_t ratios(const NbEqualizeEnd *source, float *out) {
    const NbChannels *const w = &source->w;
    size_t n = 0;
    for (size_t o = 0; o < w->outer; o++)
        for (size_t c = 0; c < w->channels; c++)
            for (size_t i = 0; i < w->inner; i++) {
                const float size = fabsf(w->data[(o * w->channels + c) * w->inner + i]);
                out[n++] = fabsf(source->bias[c]) / (size < NEGLIGIBLE ? NEGLIGIBLE : size);
            }
    return n;
}

/* The rule of the "vaiq" shrinkage; out is scratch for as many numbers as there are weights. */
static float shrink_of(const NbEqualizeEnd *source, float *out) {
    const NbChannels *const w = &source->w;
    const size_t n = ratios(source, out);
    const double median = (double)nb_stat_kth(out, n, (n + 1) / 2, false);
    const double mean = (double)nb_stat_mean(out, n);
    const float bias = nb_stat_max(source->bias, w->channels);
    const float weight = nb_stat_max(w->data, n);
    if (bias < 10.0F && bias / (weight < NEGLIGIBLE ? NEGLIGIBLE : weight) < 20.0F)
        return median > 100.0 || mean > 1000.0 ? 5.0F : 2.0F;
    if (median > 30.0 || mean > 500.0)
        return 20.0F;
    return median > 15.0 || mean > 250.0 ? 10.0F : 5.0F;
}

/* Raises top[channel] to the sizes of this layer. */
static void raise(const NbEqualizeEnd *end, float shrink, float *top) {
    for (size_t c = 0; c < end->w.channels; c++) {
        float size = nb_channels_max(&end->w, c);
        if (shrink > 0.0F && end->bias) {
            const float bias = fabsf(end->bias[c] / shrink);
            size = size < NEGLIGIBLE ? NEGLIGIBLE : size;
            size = bias > size ? bias : size;
        }
        float *const at = top + end->first + c;
        *at = size > *at ? size : *at;
    }
}

typedef struct Sides {
    float *source; /* [channels] */
    float *sink;
    float *scratch; /* as many as the largest source has weights */
} Sides;

static void measure(const NbEqualizeRegion *r, const NbEqualizeOptions *options, Sides *s) {
    for (size_t c = 0; c < r->channels; c++)
        s->source[c] = s->sink[c] = 0.0F;
    for (size_t i = 0; i < r->n_sources; i++) {
        const NbEqualizeEnd *const source = &r->source[i];
        float shrink = 0.0F;
        if (options->merge_bias && source->bias)
            shrink = options->shrink > 0.0F ? options->shrink : shrink_of(source, s->scratch);
        raise(source, shrink, s->source);
    }
    for (size_t i = 0; i < r->n_sinks; i++)
        raise(&r->sink[i], 0.0F, s->sink);
}

static float factor_of(double alpha, float source, float sink) {
    if (source <= NEGLIGIBLE || sink <= NEGLIGIBLE)
        return 1.0F;
    return (float)(pow((double)sink, 1.0 - alpha) / pow((double)source, alpha));
}

/* Returns the largest |1 - f|. */
static double apply(const NbEqualizeRegion *r, double alpha, const Sides *s) {
    double largest = 0.0;
    for (size_t c = 0; c < r->channels; c++)
        largest = fmax(largest, fabs(1.0 - (double)factor_of(alpha, s->source[c], s->sink[c])));
    for (size_t i = 0; i < r->n_sources; i++) {
        const NbEqualizeEnd *const e = &r->source[i];
        for (size_t c = 0; c < e->w.channels; c++) {
            const size_t at = e->first + c;
            const float f = factor_of(alpha, s->source[at], s->sink[at]);
            nb_channels_multiply(&e->w, c, f);
            if (e->bias)
                e->bias[c] *= f;
        }
    }
    for (size_t i = 0; i < r->n_sinks; i++) {
        const NbEqualizeEnd *const e = &r->sink[i];
        for (size_t c = 0; c < e->w.channels; c++) {
            const size_t at = e->first + c;
            nb_channels_multiply(&e->w, c, 1.0F / factor_of(alpha, s->source[at], s->sink[at]));
        }
    }
    return largest;
}

static NB_FALLIBLE check(const NbEqualizeRegion *r, size_t index, NbError *err) {
    for (size_t i = 0; i < r->n_sources + r->n_sinks; i++) {
        const bool is_source = i < r->n_sources;
        const NbEqualizeEnd *const e = is_source ? &r->source[i] : &r->sink[i - r->n_sources];
        if (e->first + e->w.channels > r->channels)
            return nb_fail(NB_ERR_ARGUMENT, err,
                           "equalization region %zu: %s with channels %zu to %zu of %zu", index,
                           is_source ? "source" : "sink", e->first, e->first + e->w.channels,
                           r->channels);
    }
    return NB_OK;
}

static NB_FALLIBLE take_sides(const NbEqualizeRegion *region, size_t n_regions, NbArena *arena,
                              Sides *out, NbError *err) {
    size_t channels = 0;
    size_t weights = 0;
    for (size_t k = 0; k < n_regions; k++) {
        const NbEqualizeRegion *const r = &region[k];
        NB_TRY(check(r, k, err));
        channels = r->channels > channels ? r->channels : channels;
        for (size_t i = 0; i < r->n_sources; i++) {
            const NbChannels *const w = &r->source[i].w;
            const size_t n = w->outer * w->channels * w->inner;
            weights = n > weights ? n : weights;
        }
    }
    *out = (Sides){NB_NEW(arena, float, channels), NB_NEW(arena, float, channels),
                   NB_NEW(arena, float, weights)};
    if (!out->source || !out->sink || !out->scratch)
        return nb_fail_memory(err, "equalization");
    return NB_OK;
}

NbStatus nb_ptq_equalize(const NbEqualizeRegion *region, size_t n_regions,
                         const NbEqualizeOptions *options, NbArena *arena, int *sweeps,
                         NbError *err) {
    Sides sides = {0};
    NB_TRY(take_sides(region, n_regions, arena, &sides, err));
    int done = 0;
    double largest = HUGE_VAL;
    while (done < options->sweeps && largest >= options->stop) {
        largest = 0.0;
        for (size_t k = 0; k < n_regions; k++) {
            measure(&region[k], options, &sides);
            largest = fmax(largest, apply(&region[k], options->alpha, &sides));
        }
        done++;
    }
    if (sweeps)
        *sweeps = done;
    return NB_OK;
}
