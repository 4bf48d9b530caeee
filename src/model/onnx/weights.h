/* SPDX-License-Identifier: Apache-2.0
 *
 * A network of the zoo, back from the ONNX file it was exported to. Layers are found by the names
 * that PyTorch's exporter gives its nodes ("/model.2/cv1/conv/Conv"), or else by those of their
 * weights ("model.2.cv1.conv.weight"); of all models of the zoo the one is taken whose every
 * convolution is in the file with the same shape, and nothing else is.
 *
 * Exporters fold batch norms into convolutions. Such a norm comes back as one that adds the bias
 * and changes nothing else (gamma 1, mean 0, sqrt(var + eps) 1): the same function, but not a norm
 * that can be trained; nb_train_unfold gives it statistics. RepVGGDW comes back with its small
 * convolution 0. A file with YOLOv10's one-to-one head alone gives its weights to both heads, as
 * training starts them. Bins of distributions come along where they are not 0, 1, 2, ... 8-bit
 * weights behind DequantizeLinear come back as the real numbers they stand for; quantizers of
 * activations are passed over. */
#ifndef NB_MODEL_ONNX_WEIGHTS_H
#define NB_MODEL_ONNX_WEIGHTS_H

#include "format/onnx.h"
#include "model/checkpoint.h"

/* `file` was read from `path`. options as for nb_model_from_pt. The report (may be NULL) lies in
 * the arena. NB_ERR_UNSUPPORTED: no model of the zoo has these layers. */
NB_FALLIBLE nb_model_from_onnx_weights(const char *path, const NbOnnxModel *file,
                                       const NbModelOptions *options, NbArena *arena,
                                       NbLoadReport *report, NbModel *out, NbError *err);

#endif
