/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs a trained detector with integers: a checkpoint in, boxes out. This header and status.h are
 * all that libnibble_rt offers; libnibble offers the same and job.h.
 *
 *     NbDetector *detector = NULL;
 *     NbError err = {{0}};
 *     const NbBox *box;
 *     size_t n;
 *     if (nb_detector_open("best.safetensors", NULL, &detector, &err) != NB_OK ||
 *         nb_detector_detect(detector, rgb, width, height, 0, &box, &n, &err) != NB_OK)
 *         puts(err.message);
 *     nb_detector_free(detector);
 *
 * Detections are those of `nibble predict engine=int`, to the bit, on every instruction set and for
 * any number of threads. Nothing is printed and no state is global. Detectors are independent of
 * each other; one detector serves one thread at a time.
 *
 * Structures that may grow begin with `size`, which the caller sets to sizeof of what it was
 * compiled with: programs keep running with newer libraries. The others never change. */
#ifndef NIBBLE_NIBBLE_H
#define NIBBLE_NIBBLE_H

#include "nibble/status.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct NbDetector NbDetector;

/* How to detect. Zero is the default of every member but `size`. */
typedef struct NbDetectorOptions {
    size_t size;        /* sizeof(NbDetectorOptions) */
    int imgsz;          /* side of the network's input, rounded up to a multiple of its stride;
                         * 0: as it was trained, or 416 where the file does not say */
    int threads;        /* that compute, the calling one included; 0: one per CPU; at most 256 */
    const char *isa;    /* "c", "avx2", "avx512" or "avx512vnni": no higher level than this; NULL:
                         * the environment variable NIBBLE_ISA, else whatever this CPU has */
    double conf;        /* confidences are above this, below 1; 0: 0.25 */
    double iou;         /* a box that overlaps a better one by more is dropped; 0: 0.45; 1: none */
    int max_det;        /* most boxes of a picture; 0: 300; at most 100000 */
    int agnostic;       /* not 0: boxes of different classes drop each other, too */
    const int *classes; /* [n_classes]: look for these only; NULL: for all */
    size_t n_classes;
} NbDetectorOptions;

typedef struct NbDetectorInfo {
    size_t size; /* sizeof(NbDetectorInfo) */
    int width;   /* of the network's input, pixels */
    int height;
    int classes;
    int outputs;     /* raw outputs of the network */
    int threads;     /* that compute */
    const char *isa; /* whose kernels are used: a constant */
    size_t bytes;    /* of memory: packed weights and what is computed between them */
} NbDetectorInfo;

/* Corners in pixels of the picture, inside it; x to the right, y down. Never grows. */
typedef struct NbBox {
    float x1, y1, x2, y2;
    float conf; /* (0, 1] */
    int cls;    /* 0 .. classes - 1 */
} NbBox;

/* Opens a checkpoint that nibble trained with quantizers. options: NULL takes the defaults; nothing
 * that they point to is needed afterwards. *out is NULL on failure.
 * NB_ERR_FORMAT: there is no such file, or it is no checkpoint, or damaged; NB_ERR_IO: the system
 * refuses to read it;
 * NB_ERR_UNSUPPORTED: the model has no quantizers, or layers that integers cannot compute yet (the
 * message names layer and remedy); NB_ERR_ARGUMENT: an option is out of range. */
NB_API NbStatus nb_detector_open(const char *path, const NbDetectorOptions *options,
                                 NbDetector **out, NbError *err);

/* The same from the bytes of such a file, which are not needed afterwards. */
NB_API NbStatus nb_detector_open_memory(const void *data, size_t size,
                                        const NbDetectorOptions *options, NbDetector **out,
                                        NbError *err);

NB_API void nb_detector_free(NbDetector *detector); /* NULL is allowed */

/* Fills in what fits into out->size bytes and zeroes the rest. */
NB_API NbStatus nb_detector_info(const NbDetector *detector, NbDetectorInfo *out, NbError *err);

/* NULL: there is no such class. Owned by the detector. */
NB_API const char *nb_detector_class_name(const NbDetector *detector, int cls);

/* Other thresholds than those it was opened with, in the same ranges (0: the default). */
NB_API NbStatus nb_detector_set_thresholds(NbDetector *detector, double conf, double iou,
                                           NbError *err);

/* Detects in a picture of any size up to 65535 x 65535. rgb: `height` rows of `width` times red,
 * green, blue, 8 bits each; stride: bytes from row to row, 0: 3 * width. The picture is resized to
 * fit and padded as in training. *boxes: best first, owned by the detector, valid until it is used
 * again; *boxes is not NULL, also when *count is 0. */
NB_API NbStatus nb_detector_detect(NbDetector *detector, const uint8_t *rgb, int width, int height,
                                   size_t stride, const NbBox **boxes, size_t *count, NbError *err);

/* Computes the raw outputs for a picture [height, width, 3] of the very size of the network's
 * input, without rows apart. `bytes`: of the picture, as a check. */
NB_API NbStatus nb_detector_run(NbDetector *detector, const uint8_t *input, size_t bytes,
                                NbError *err);

/* Raw output i of the last picture, after nb_detector_run or nb_detector_detect: float32
 * [dim[0], dim[1], dim[2]] = rows, columns, channels (anchors times x, y, w, h, objectness,
 * classes, not decoded). NULL: no such output, or nothing has run. Owned by the detector, valid
 * until it is used again. dim is [3] and may be NULL. */
NB_API const float *nb_detector_output(const NbDetector *detector, int i, int dim[3]);

/* A few words for a status: "bad input", ... Never NULL. */
NB_API const char *nb_status_text(NbStatus status);

#ifdef __cplusplus
}
#endif
#endif
