/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/similarity.h"

#include <math.h>
#include <string.h>

static const float epsilon = 1e-7F;

/* One axis of both boxes: the edges, what they share and what encloses them. */
typedef struct Axis {
    float lo1, hi1, lo2, hi2;
    float inter; /* shared length, at least 0 */
    float hull;  /* length of the enclosing interval */
    float size1, size2;
} Axis;

/* Gradient with respect to the edges and the size of box 1 along one axis. */
typedef struct AxisGrad {
    float lo, hi, size;
} AxisGrad;

/* i: 0 across, 1 down; the boxes given by corners. */
static Axis axis(const float box1[4], const float box2[4], int i, float eps) {
    Axis a = {.lo1 = box1[i], .hi1 = box1[2 + i], .lo2 = box2[i], .hi2 = box2[2 + i]};
    a.inter = fmaxf(fminf(a.hi1, a.hi2) - fmaxf(a.lo1, a.lo2), 0.0F);
    a.hull = fmaxf(a.hi1, a.hi2) - fminf(a.lo1, a.lo2);
    a.size1 = a.hi1 - a.lo1 + eps;
    a.size2 = a.hi2 - a.lo2 + eps;
    return a;
}

/* Share of the gradient of min(x, y) that goes to x; 1 - share(x, y) is that of max. */
static float share(float x, float y) { return x < y ? 1.0F : x > y ? 0.0F : 0.5F; }

static void inter_backward(const Axis *a, float d, AxisGrad *g) {
    if (fminf(a->hi1, a->hi2) - fmaxf(a->lo1, a->lo2) < 0.0F)
        return; /* clamped */
    g->hi += d * share(a->hi1, a->hi2);
    g->lo -= d * share(a->lo2, a->lo1);
}

static void hull_backward(const Axis *a, float d, AxisGrad *g) {
    g->hi += d * share(a->hi2, a->hi1);
    g->lo -= d * share(a->lo1, a->lo2);
}

/* Returns the penalty of GIoU: the part of the enclosing box that the union leaves empty. */
static float giou_penalty(const Axis *x, const Axis *y, float all, float *d_union, AxisGrad *gx,
                          AxisGrad *gy) {
    const float area = x->hull * y->hull + epsilon;
    const float d_area = -(all / (area * area)); /* of -penalty = all / area - 1 */
    *d_union += 1.0F / area;
    hull_backward(x, d_area * y->hull, gx);
    hull_backward(y, d_area * x->hull, gy);
    return (area - all) / area;
}

/* Returns the penalty of DIoU: squared distance of the centres over the squared diagonal. */
static float diou_penalty(const Axis *x, const Axis *y, AxisGrad *gx, AxisGrad *gy) {
    const float diagonal = x->hull * x->hull + y->hull * y->hull + epsilon;
    const float dx = x->lo2 + x->hi2 - x->lo1 - x->hi1;
    const float dy = y->lo2 + y->hi2 - y->lo1 - y->hi1;
    const float distance = (dx * dx + dy * dy) / 4.0F;
    const float d_diagonal = distance / (diagonal * diagonal);
    hull_backward(x, d_diagonal * 2.0F * x->hull, gx);
    hull_backward(y, d_diagonal * 2.0F * y->hull, gy);
    /* both edges move the centre alike */
    gx->lo += dx / 2.0F / diagonal;
    gx->hi += dx / 2.0F / diagonal;
    gy->lo += dy / 2.0F / diagonal;
    gy->hi += dy / 2.0F / diagonal;
    return distance / diagonal;
}

/* Returns the further penalty of CIoU, for another aspect ratio. */
static float aspect_penalty(const Axis *x, const Axis *y, float iou, AxisGrad *gx, AxisGrad *gy) {
    const float scale = (float)(4.0 / (M_PI * M_PI));
    const float ratio = x->size1 / y->size1;
    const float difference = atanf(x->size2 / y->size2) - atanf(ratio);
    const float v = scale * (difference * difference);
    const float alpha = v / (v - iou + (1.0F + epsilon));
    const float d_ratio = alpha * scale * 2.0F * difference / (1.0F + ratio * ratio);
    gx->size += d_ratio / y->size1;
    gy->size -= d_ratio * ratio / y->size1;
    return v * alpha;
}

float nb_box_similarity_xyxy(NbSimilarity kind, const float box1[4], const float box2[4],
                             float grad1[4]) {
    const Axis x = axis(box1, box2, 0, 0.0F);
    const Axis y = axis(box1, box2, 1, epsilon);
    const float inter = x.inter * y.inter;
    const float all = x.size1 * y.size1 + x.size2 * y.size2 - inter + epsilon;
    const float iou = inter / all;
    AxisGrad gx = {0};
    AxisGrad gy = {0};
    float d_union = -(iou / all);
    float penalty = 0.0F;
    if (kind == NB_GIOU)
        penalty = giou_penalty(&x, &y, all, &d_union, &gx, &gy);
    if (kind == NB_DIOU || kind == NB_CIOU)
        penalty = diou_penalty(&x, &y, &gx, &gy);
    if (kind == NB_CIOU)
        penalty += aspect_penalty(&x, &y, iou, &gx, &gy);
    if (!grad1)
        return iou - penalty;

    const float d_inter = 1.0F / all - d_union;
    inter_backward(&x, d_inter * y.inter, &gx);
    inter_backward(&y, d_inter * x.inter, &gy);
    gx.size += d_union * y.size1;
    gy.size += d_union * x.size1;
    const AxisGrad *const g[2] = {&gx, &gy};
    for (int i = 0; i < 2; i++) {
        grad1[i] = g[i]->lo - g[i]->size;
        grad1[2 + i] = g[i]->hi + g[i]->size;
    }
    return iou - penalty;
}

static void corners(const float box[4], float xyxy[4]) {
    for (int i = 0; i < 2; i++) {
        xyxy[i] = box[i] - box[2 + i] / 2.0F;
        xyxy[2 + i] = box[i] + box[2 + i] / 2.0F;
    }
}

float nb_box_similarity(NbSimilarity kind, const float box1[4], const float box2[4],
                        float grad1[4]) {
    float xyxy1[4];
    float xyxy2[4];
    float edge[4];
    corners(box1, xyxy1);
    corners(box2, xyxy2);
    const float value = nb_box_similarity_xyxy(kind, xyxy1, xyxy2, grad1 ? edge : NULL);
    for (int i = 0; grad1 && i < 2; i++) {
        grad1[i] = edge[i] + edge[2 + i];
        grad1[2 + i] = (edge[2 + i] - edge[i]) / 2.0F;
    }
    return value;
}
