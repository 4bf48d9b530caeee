/* SPDX-License-Identifier: Apache-2.0
 *
 * What tests of models and reference vectors share. */
#ifndef NB_TESTS_MODEL_HELP_H
#define NB_TESTS_MODEL_HELP_H

#include "graph/help.h"
#include "model/model.h"

/* The peers' name of a parameter: a learned clip lies deep inside their objects. */
static inline const char *peer_name(const char *name, char *out, size_t size) {
    static const char ours[] = "act_quant.value";
    const size_t n = strlen(name);
    const size_t tail = sizeof ours - 1;
    if (n >= tail && strcmp(name + n - tail, ours) == 0)
        (void)snprintf(out, size,
                       "%.*sact.act_quant.fused_activation_quant_proxy.tensor_quant."
                       "scaling_impl.value",
                       (int)(n - tail), name);
    else
        (void)snprintf(out, size, "%s", name);
    return out;
}

/* [B, na * no, ny, nx] and [B, na, ny, nx, no]: value i of the first is at this place in the
 * second. */
static inline size_t head_place(const NbShape *raw, int anchors, size_t i) {
    const size_t pixels = (size_t)(raw->dim[2] * raw->dim[3]);
    const size_t channels = (size_t)raw->dim[1];
    const size_t numbers = channels / (size_t)anchors;
    const size_t p = i % pixels;
    const size_t c = i / pixels % channels;
    const size_t b = i / pixels / channels;
    return ((b * (size_t)anchors + c / numbers) * pixels + p) * numbers + c % numbers;
}

#endif
