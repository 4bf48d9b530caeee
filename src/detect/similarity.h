/* SPDX-License-Identifier: Apache-2.0
 *
 * How much two boxes are alike, with the gradient that box losses need.
 * Source: Rezatofighi et al., "Generalized Intersection over Union", CVPR 2019; Zheng et al.,
 * "Distance-IoU Loss", AAAI 2020. Constants, order of operations and where the epsilon goes follow
 * quantized-yolov5 utils/metrics.py bbox_iou, so that results agree to float rounding. */
#ifndef NB_DETECT_SIMILARITY_H
#define NB_DETECT_SIMILARITY_H

typedef enum NbSimilarity { NB_IOU, NB_GIOU, NB_DIOU, NB_CIOU } NbSimilarity;

/* Similarity of two boxes given as centre x, centre y, width, height, with epsilon 1e-7 (added to
 * heights, union and enclosing box). At most 1; IoU >= 0, the others > -2.
 * grad1: d similarity / d box1, WRITTEN; NULL: not wanted. CIoU's trade-off factor alpha counts as
 * a constant. Where an edge of both boxes coincides, each gets half of the gradient. Cannot fail.
 */
float nb_box_similarity(NbSimilarity kind, const float box1[4], const float box2[4],
                        float grad1[4]);

/* The same for boxes given by their corners: left, top, right, bottom. */
float nb_box_similarity_xyxy(NbSimilarity kind, const float box1[4], const float box2[4],
                             float grad1[4]);

#endif
