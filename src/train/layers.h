/* SPDX-License-Identifier: Apache-2.0
 *
 * Which layers of a model are not trained, as freeze= says it. */
#ifndef NB_TRAIN_LAYERS_H
#define NB_TRAIN_LAYERS_H

#include "model/model.h"

#include <stdbool.h>
#include <stdint.h>

enum { NB_LAYERS_MAX = 256 };

typedef struct NbLayers {
    uint64_t word[NB_LAYERS_MAX / 64];
} NbLayers;

bool nb_layers_has(const NbLayers *layers, int layer);

/* "10": the first ten layers; "0,2,5" or "[0, 2, 5]": those. "" and "0": none; "[0]": layer 0. */
NB_FALLIBLE nb_layers_parse(const char *text, NbLayers *out, NbError *err);

/* Freezes the parameters of these layers, and always those whose name contains ".dfl", which are
 * constants of the head. Errors: a layer that the model does not have; nothing is left to train.
 * Source: Ultralytics engine/trainer.py _setup_train; YOLOv5's lists are the same. */
NB_FALLIBLE nb_layers_freeze(NbModel *model, const NbLayers *layers, NbError *err);

#endif
