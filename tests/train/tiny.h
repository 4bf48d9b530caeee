/* SPDX-License-Identifier: Apache-2.0
 *
 * A small detector with quantizers. */
#ifndef NB_TESTS_TRAIN_TINY_H
#define NB_TESTS_TRAIN_TINY_H

#include "base/random.h"
#include "graph/help.h"
#include "model/model.h"

static const char tiny_yaml[] =
    "nc: 3\n"
    "depth_multiple: 1.0\n"
    "width_multiple: 1.0\n"
    "use_hardtanh: false\n"
    "anchors:\n"
    "  - [10, 10, 30, 30]\n"
    "bit_width:\n"
    "  - [8, 4, 4, 8]\n"
    "backbone:\n"
    "  - [-1, 1, QuantConv, [8, 3, 2, None, 1, True, True, in_weight_bit_width, act_bit_width]]\n"
    "  - [-1, 1, nn.MaxPool2d, [4, 4, 0]]\n"
    "head:\n"
    "  - [-1, 1, QuantSimpleConv, [(nc + 5) * na, 1, 1, None, 1, out_weight_bit_width, "
    "act_bit_width, use_hardtanh]]\n"
    "  - [[2], 1, Detect, [nc, anchors, False, use_hardtanh]]\n";

static inline void tiny_model(uint64_t seed, NbModel *out) {
    NbError err = {0};
    const NbModelOptions options = {0};
    must(nb_model_from_yaml("tiny.yaml", tiny_yaml, sizeof tiny_yaml - 1, &options, out, &err),
         &err);
    must(nb_model_init(out, seed, &err), &err);
}

#endif
