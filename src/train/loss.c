/* SPDX-License-Identifier: Apache-2.0 */
#include "train/loss.h"

#include <math.h>

NbYolov5Loss nb_head_loss(const NbHead *head, const NbHyper *h, const double *balance) {
    const double share = 3.0 / head->levels;
    const double side = h->imgsz / 640.0;
    NbYolov5Loss loss = {
        .nc = head->nc,
        .levels = head->levels,
        .anchors = head->anchors,
        .box = h->box * share,
        .obj = h->obj * side * side * share,
        .cls = h->cls * head->nc / 80.0 * share,
        .obj_pw = h->obj_pw,
        .cls_pw = h->cls_pw,
        .anchor_t = h->anchor_t,
        .fl_gamma = h->fl_gamma,
        .label_smoothing = h->label_smoothing,
        .class_of_one = !h->compat,
        .autobalance = h->autobalance,
    };
    for (int i = 0; i < head->levels; i++) {
        loss.balance[i] = balance[i];
        if (fabsf(head->stride[i] - 16.0F) < 0.5F)
            loss.stride16_level = i;
        for (int a = 0; a < head->anchors; a++)
            for (int k = 0; k < 2; k++)
                loss.anchor[i][a][k] = head->anchor[i][a][k] / head->stride[i];
    }
    return loss;
}
