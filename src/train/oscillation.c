/* SPDX-License-Identifier: Apache-2.0 */
#include "train/oscillation.h"

#include <math.h>
#include <string.h>

static const float momentum = 0.01F;

enum { RATES_PER_MILLE = 5 }; /* above it a weight counts as oscillating */

static const double pi = 3.141592653589793;

/* Half a cosine from 0 at `start` to 1 at the end. */
static double ramp(double progress, double start) {
    return 0.5 * (1.0 - cos(pi * (progress - start) / (1.0 - start)));
}

double nb_dampen_at(double progress) { return progress < 0.5 ? 0.0 : ramp(progress, 0.5); }

double nb_freeze_at(double progress) {
    return progress < 0.875 ? 0.0 : 0.01 + 0.03 * (1.0 - ramp(progress, 0.875));
}

/* The quantizer that reads a parameter as weights; -1: none. */
static NbNodeId quantizer_of(const NbGraph *g, NbNodeId param) {
    for (NbNodeId id = param + 1; id < g->n_nodes; id++)
        if (g->node[id].op == NB_OP_QUANT && g->node[id].in[0] == param)
            return id;
    return -1;
}

NbStatus nb_oscillation_new(NbTrainState *s, NbError *err) {
    const NbGraph *const g = &s->model->graph;
    size_t most = 0;
    for (int i = 0; i < s->n_params; i++) {
        NbTrainParam *const p = &s->param[i];
        p->quant = p->trained && p->group == NB_GROUP_WEIGHT ? quantizer_of(g, p->node) : -1;
        if (p->quant < 0)
            continue;
        most = p->n > most ? p->n : most;
        p->code = NB_NEW(&s->arena, int8_t, p->n);
        p->turn = NB_NEW(&s->arena, int8_t, p->n);
        p->frozen = NB_NEW(&s->arena, int8_t, p->n);
        p->rate = NB_NEW(&s->arena, float, p->n);
        p->mean_code = NB_NEW(&s->arena, float, p->n);
        if (!p->code || !p->turn || !p->frozen || !p->rate || !p->mean_code)
            return nb_fail_memory(err, p->name);
    }
    s->codes = NB_NEW(&s->arena, float, most);
    s->scales = NB_NEW(&s->arena, float, most);
    if (!s->codes || !s->scales)
        return nb_fail_memory(err, "the codes of weights");
    nb_oscillation_restart(s);
    return NB_OK;
}

/* Codes of now into s->codes, their scales into s->scales. Returns how many weights share a scale.
 */
static size_t quantize(NbTrainState *s, const NbTrainParam *p) {
    const NbGraph *const g = &s->model->graph;
    const NbNode *const node = &g->node[p->quant];
    const NbQuantSpec *const spec = &node->attr.quant;
    const size_t channels = spec->per_channel ? (size_t)g->node[p->node].param.shape.dim[0] : 1;
    const size_t n = p->n / channels;
    const float *const value = node->n_in == 2 ? nb_f32(&g->node[node->in[1]].param) : NULL;
    nb_quant_scale(spec, p->value, channels, n, value, s->scales);
    nb_quant_codes(spec, p->value, channels, n, s->scales, NULL, s->codes);
    return n;
}

void nb_oscillation_restart(NbTrainState *s) {
    for (int i = 0; i < s->n_params; i++) {
        NbTrainParam *const p = &s->param[i];
        if (!p->code)
            continue;
        (void)quantize(s, p);
        for (size_t k = 0; k < p->n; k++) {
            p->code[k] = (int8_t)s->codes[k];
            p->mean_code[k] = s->codes[k];
        }
        memset(p->turn, 0, p->n);
        memset(p->frozen, 0, p->n);
        memset(p->rate, 0, p->n * sizeof *p->rate);
    }
}

void nb_oscillation_dampen(NbTrainState *s, double strength) {
    const float twice = (float)(2.0 * strength);
    for (int i = 0; i < s->n_params; i++) {
        NbTrainParam *const p = &s->param[i];
        if (!p->code || strength <= 0.0)
            continue;
        const size_t n = quantize(s, p);
        for (size_t k = 0; k < p->n; k++) {
            const float scale = s->scales[k / n];
            const float off = p->value[k] - s->codes[k] * scale;
            if (fabsf(off) <= 0.5F * scale) /* further out it is clipped, not quantized */
                p->sum[k] += twice * off;
        }
    }
}

static void track_weight(NbTrainParam *p, size_t k, float code, float freeze_above) {
    const int8_t step = (int8_t)((code > (float)p->code[k]) - (code < (float)p->code[k]));
    const bool back = step != 0 && step == -p->turn[k];
    p->turn[k] = step ? step : p->turn[k];
    p->code[k] = (int8_t)code;
    p->rate[k] += momentum * ((back ? 1.0F : 0.0F) - p->rate[k]);
    p->mean_code[k] += momentum * (code - p->mean_code[k]);
    if (freeze_above > 0.0F && p->rate[k] > freeze_above) {
        p->frozen[k] = 1;
        p->code[k] = (int8_t)rintf(p->mean_code[k]);
    }
}

void nb_oscillation_track(NbTrainState *s, double freeze_above) {
    for (int i = 0; i < s->n_params; i++) {
        NbTrainParam *const p = &s->param[i];
        if (!p->code)
            continue;
        const size_t n = quantize(s, p);
        for (size_t k = 0; k < p->n; k++) {
            if (!p->frozen[k])
                track_weight(p, k, s->codes[k], (float)freeze_above);
            if (p->frozen[k])
                p->value[k] = (float)p->code[k] * s->scales[k / n];
        }
    }
}

double nb_oscillation_share(const NbTrainState *s) {
    size_t all = 0;
    size_t moving = 0;
    for (int i = 0; i < s->n_params; i++) {
        const NbTrainParam *const p = &s->param[i];
        for (size_t k = 0; p->code && k < p->n; k++)
            moving += p->rate[k] > RATES_PER_MILLE / 1000.0F;
        all += p->code ? p->n : 0;
    }
    return all ? (double)moving / (double)all : 0.0;
}
