/* SPDX-License-Identifier: Apache-2.0
 *
 * Trained PyTorch models (format/pt.h) as models of ours.
 *
 * A saved module (YOLOv5) is built from the model file that it carries, with its class names, and
 * checked against what was saved: strides, epsilons of the norms, activations. A dict of tensors
 * (quantized-yolov5) is built from model.yaml beside it (of weights/best.pt: the one beside
 * weights/), else from the file of the zoo that fits its names and shapes best. What
 * quantized-yolov5 trained is built with `compat`. Weights become float32. Anchors are taken from
 * the file, where they stand in cells. */
#ifndef NB_MODEL_IMPORT_PT_H
#define NB_MODEL_IMPORT_PT_H

#include "model/checkpoint.h"

/* options: as for nb_model_from_checkpoint. The report (may be NULL) lies in the arena, as does
 * all that is needed on the way; the model keeps nothing of it. A module that is not in modules.def
 * is NB_ERR_UNSUPPORTED, with its name. */
NB_FALLIBLE nb_model_from_pt(const char *path, NbBytes bytes, const NbModelOptions *options,
                             NbArena *arena, NbLoadReport *report, NbModel *out, NbError *err);

#endif
