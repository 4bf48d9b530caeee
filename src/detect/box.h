/* SPDX-License-Identifier: Apache-2.0
 *
 * Boxes and detections. xyxy: left, top, right, bottom in pixels. */
#ifndef NB_DETECT_BOX_H
#define NB_DETECT_BOX_H

#include <stddef.h>

typedef struct NbDetection {
    float xyxy[4];
    float conf;
    int cls;
} NbDetection;

/* A labelled box: picture of the batch, class, centre x, y, width, height, all relative to the
 * picture, in [0, 1]. */
typedef struct NbTarget {
    int image;
    int cls;
    float xywh[4];
} NbTarget;

/* Intersection over union of two xyxy boxes, without +1; 0 when the union is empty. */
float nb_box_iou(const float a[4], const float b[4]);

/* Letterbox coordinates back to the original picture: (x - pad) / gain, clipped to the picture
 * (quantized-yolov5 utils/general.py scale_coords). pad: left, top. */
void nb_box_unletterbox(float xyxy[4], float gain, const float pad[2], int width, int height);

#endif
