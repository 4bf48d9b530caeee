/* SPDX-License-Identifier: Apache-2.0
 *
 * Models of the reference vectors "train_steps": built from the zoo's files with the widths,
 * anchors and bits of an "init" case, with its start state. */
#ifndef NB_TESTS_TRAIN_PEER_MODEL_H
#define NB_TESTS_TRAIN_PEER_MODEL_H

#include "detect/box.h"
#include "model/model.h"
#include "support/vectors.h"

/* The case of this id; without an id, the first of this kind. Fails the test when there is none. */
NbCase peer_case(NbCases *cases, const char *id, const char *kind);

/* False: the zoo has no such model. */
bool peer_model_known(const NbCase *init);

/* Built (quantized-yolov5's with compat) and filled with the start state. Learned clips get
 * gradients too. */
void peer_model_new(const NbCase *init, NbModel *out);

/* The PARAM node of a peer's name; -1: none. */
NbNodeId peer_param(const NbModel *m, const char *name);

/* Pictures of batch `i` (of as many as there are, then again) as [count, h, w, 3]. */
const uint8_t *peer_images(const NbCase *batches, int i, int *count, int *height, int *width);
const NbTarget *peer_targets(const NbCase *batches, int i, size_t *count);

#endif
