/* SPDX-License-Identifier: Apache-2.0
 *
 * What an exported file has to compute, without ONNX: the model as it is (not folded), executed in
 * float32, decoded by detect/ and laid out as model/onnx_export.h says. And the comparison. */
#ifndef NB_API_EXPORT_REFERENCE_H
#define NB_API_EXPORT_REFERENCE_H

#include "base/parallel.h"
#include "model/model.h"
#include "model/onnx_export.h"

typedef struct NbExportOutputs {
    int n;
    NbTensor tensor[NB_MAX_LEVELS]; /* F32 */
} NbExportOutputs;

/* images: uint8 [count, height, width, 3]. The tensors lie in the arena. */
NB_FALLIBLE nb_export_reference(NbModel *m, const NbOnnxOptions *options, const uint8_t *images,
                                int count, NbPool *pool, NbArena *arena, NbExportOutputs *out,
                                NbError *err);

/* Pictures that say something to every layer: coarse blocks and noise. [count, height, width, 3] */
void nb_export_pictures(uint64_t seed, int count, int height, int width, uint8_t *out);

typedef struct NbExportCount {
    int64_t values;
    int64_t mismatches;
    double max_abs; /* largest difference */
} NbExportCount;

/* Adds the comparison of one output. A value matches when it differs by at most tolerance * (1 +
 * |expected|). detections: rows [n, 6] in the order of their scores are compared as sets, since
 * scores within the tolerance may stand in either order: a row matches when some row of the other
 * side has the same class and matching numbers, or when its score is within the tolerance of the
 * last one (another one may then have taken the place). Different shapes: everything mismatches. */
void nb_export_compare(const NbTensor *expected, const NbTensor *found, bool detections,
                       double tolerance, NbExportCount *count);

#endif
