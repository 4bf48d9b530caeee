/* SPDX-License-Identifier: Apache-2.0
 *
 * What an exported file has to compute, without ONNX: the model as it is (not folded), executed in
 * float32, decoded by detect/ and laid out as model/onnx/export.h says. And the comparison. */
#ifndef NB_API_EXPORT_REFERENCE_H
#define NB_API_EXPORT_REFERENCE_H

#include "base/parallel.h"
#include "model/model.h"
#include "model/onnx/export.h"

typedef struct NbExportOutputs {
    int n;
    NbTensor tensor[NB_MAX_LEVELS]; /* F32 */
    /* Of detections ([N, n, 6] in tensor[0]) what they were chosen from: for each picture `cells`
     * rows of x1, y1, x2, y2 and nc scores. Else NULL. */
    const float *candidates;
    int64_t cells;
    int nc;
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

/* Adds the comparison of output i with what was found, as many numbers. A value matches when it
 * differs by at most tolerance * (1 + |expected|).
 *
 * Detections with equal scores may stand in either order and take each other's place, and scores
 * that are equal within rounding are equal. So place k must have the k-th best score, and the row
 * must be one of the candidates, each at most once: its box and its score of its class. */
NB_FALLIBLE nb_export_compare(const NbExportOutputs *expected, int i, const float *found,
                              double tolerance, NbExportCount *count, NbError *err);

/* Reads the bytes of a file back, executes them with nothing but what they say, and compares with
 * nb_export_reference on drawn pictures. Cannot say anything about other runtimes; tests/peers
 * does. */
NB_FALLIBLE nb_export_verify(NbModel *m, const NbOnnxOptions *options, const char *path,
                             NbBytes file, NbPool *pool, NbExportCount *count, NbError *err);

#endif
