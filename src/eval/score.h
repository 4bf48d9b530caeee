/* SPDX-License-Identifier: Apache-2.0
 *
 * Scores of detections against labels, by two protocols: COCO's twelve numbers (pycocotools) and
 * YOLO's precision, recall, mAP50, mAP50-95 with curves and confusion matrix. All coordinates are
 * pixels of the original picture. Sees detections, never engines. */
#ifndef NB_EVAL_SCORE_H
#define NB_EVAL_SCORE_H

#include "base/arena.h"
#include "base/status.h"
#include "detect/box.h"
#include "format/coco.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- COCO ---- */

typedef struct NbCocoScore {
    /* AP, AP50, AP75, APs, APm, APl, AR1, AR10, AR100, ARs, ARm, ARl; -1: nothing to count */
    double value[12];
} NbCocoScore;

extern const char *const nb_coco_score_names[12];

/* images, categories: the sets to score (ids as in the data set; order does not matter).
 * Source: pycocotools 2.0 COCOeval, iouType bbox, default parameters. */
NB_FALLIBLE nb_coco_score(const int64_t *images, size_t n_images, const int64_t *categories,
                          size_t n_categories, const NbCocoTruth *truth, size_t n_truth,
                          const NbCocoDetection *detection, size_t n_detections, NbArena *arena,
                          NbCocoScore *out, NbError *err);

/* ---- YOLO ---- */

enum { NB_YOLO_IOUS = 10, NB_CURVE = 1000 };

/* One picture: labels and detections in xyxy pixels. Labels use NbDetection; conf is not read. */
typedef struct NbYoloImage {
    const NbDetection *label;
    size_t n_labels;
    const NbDetection *detection; /* any order */
    size_t n_detections;
} NbYoloImage;

typedef struct NbYoloClass {
    int cls;
    int64_t labels;
    double precision, recall, f1; /* at the confidence of the best mean F1 */
    double ap[NB_YOLO_IOUS];      /* at IoU 0.50:0.05:0.95 */
} NbYoloClass;

typedef struct NbYoloScore {
    double precision, recall, map50, map50_95; /* means over classes with labels; 0: none */
    double best_conf;                          /* of the best mean F1 */
    int n_classes;                             /* classes with labels */
    NbYoloClass *per_class;                    /* [n_classes] by class */
    /* [n_classes][NB_CURVE] over confidence 0..1 */
    double *p_curve, *r_curve, *f1_curve;
    /* [n_classes][NB_CURVE]: precision at IoU 0.5 over recall 0..1 */
    double *pr_curve;
    int64_t *confusion; /* [(nc+1)][(nc+1)] rows predicted, columns true, last: background */
} NbYoloScore;

typedef enum NbYoloMatching {
    NB_MATCH_ONCE,    /* quantized-yolov5: matched once, at IoU 0.5 */
    NB_MATCH_PER_IOU, /* newer YOLOv5 and Ultralytics: matched at each IoU level; F1 smoothed */
} NbYoloMatching;

/* Each detection goes to the label of its class that it overlaps most; of the detections of a
 * label the most confident one is right. Precision is made monotone and integrated over 101 recall
 * points by the trapezoid rule. Equal confidences keep the order of pictures and of detections.
 *
 * Confusion: detections with confidence > 0.25, IoU > 0.45 with any class, best IoU first. Missed
 * labels are in the last row; detections without a label in the last column, those of pictures
 * without labels only with NB_MATCH_PER_IOU (the older tool passes over such pictures).
 *
 * Everything in `out` lives in `arena`. NB_ERR_ARGUMENT: a class outside 0..nc-1, a confidence or
 * coordinate that is not finite.
 * Source: quantized-yolov5 and Ultralytics utils/metrics.py, val.py (behaviour). */
NB_FALLIBLE nb_yolo_score(const NbYoloImage *image, size_t n_images, int nc,
                          NbYoloMatching matching, NbArena *arena, NbYoloScore *out, NbError *err);

#endif
