/* SPDX-License-Identifier: Apache-2.0
 *
 * Batch norms that exporters folded away (model/onnx/weights.h) become norms that can be trained:
 * mean and variance are measured at the convolution in front, scale and shift chosen so that the
 * network computes what it did. In training a norm uses the statistics of the batch; left at mean 0
 * and variance 1, the first step would throw the trained function away. */
#ifndef NB_TRAIN_UNFOLD_H
#define NB_TRAIN_UNFOLD_H

#include "base/parallel.h"
#include "data/loader.h"
#include "model/model.h"

/* Norms that change nothing but for their shift: gamma 1, mean 0, fl(var + eps) 1 everywhere. */
int nb_folded_norms(const NbGraph *g);

/* Measures over `batches` batches of the loader, at the sizes it gives. Quantizers are off. */
NB_FALLIBLE nb_train_unfold(NbModel *model, NbLoader *loader, int batches, NbPool *pool,
                            NbError *err);

#endif
