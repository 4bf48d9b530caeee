/* SPDX-License-Identifier: Apache-2.0 */
#include "train/loss.h"

#include <math.h>
#include <string.h>

const char *nb_loss_item_name(NbLossItem item) {
    static const char *const names[] = {"box", "obj", "cls", "dfl", "box_oo", "cls_oo", "dfl_oo"};
    _Static_assert(sizeof names / sizeof *names == NB_LOSS_ITEMS, "each item has a name");
    return names[item];
}

bool nb_loss_has_item(NbHeadKind kind, NbLossItem item) {
    switch (item) {
    case NB_LOSS_BOX:
    case NB_LOSS_CLS: return true;
    case NB_LOSS_OBJ: return kind == NB_HEAD_YOLOV5;
    case NB_LOSS_DFL: return kind != NB_HEAD_YOLOV5;
    case NB_LOSS_BOX_ONE:
    case NB_LOSS_CLS_ONE:
    case NB_LOSS_DFL_ONE: return kind == NB_HEAD_YOLOV10;
    case NB_LOSS_ITEMS: break;
    }
    return false;
}

static NbYolov5Loss yolov5_loss(const NbHead *head, const NbHyper *h, const double *balance) {
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

/* Exponents and topk are not settings with the authors either. */
static NbYolov8Loss yolov8_loss(const NbHead *head, const NbHyper *h) {
    NbYolov8Loss loss = {.nc = head->nc,
                         .levels = head->levels,
                         .reg_max = head->reg_max,
                         .box = h->box,
                         .cls = h->cls,
                         .dfl = h->dfl,
                         .alpha = 0.5,
                         .beta = 6.0,
                         .topk = 10,
                         .weight = 1.0};
    memcpy(loss.stride, head->stride, sizeof loss.stride);
    return loss;
}

NbLoss nb_head_loss(const NbHead *head, const NbHyper *h, const double *balance, int epoch) {
    NbLoss loss = {.kind = head->kind, .levels = head->levels};
    if (head->kind == NB_HEAD_YOLOV5) {
        loss.yolov5 = yolov5_loss(head, h, balance);
        return loss;
    }
    const NbYolov8Loss one = yolov8_loss(head, h);
    loss.yolov10 = h->o2o == NB_O2O_WEIGHTED && head->kind == NB_HEAD_YOLOV10
                       ? nb_yolov10_loss_weighted(&one, epoch, h->epochs)
                       : nb_yolov10_loss_sum(&one);
    return loss;
}

/* Box, class, distances: in this order with the losses of detect/, each where it belongs here. */
static void put_items(const double *from, const NbLossItem to[3], double *items) {
    for (int i = 0; i < 3; i++)
        items[to[i]] = from[i];
}

NbStatus nb_loss_run(NbLoss *loss, const NbHeadLevel *level, const NbLossBatch *batch,
                     NbArena *scratch, double items[NB_LOSS_ITEMS], double *total, NbError *err) {
    static const NbLossItem with_anchors[] = {NB_LOSS_BOX, NB_LOSS_OBJ, NB_LOSS_CLS};
    static const NbLossItem many[] = {NB_LOSS_BOX, NB_LOSS_CLS, NB_LOSS_DFL};
    static const NbLossItem one[] = {NB_LOSS_BOX_ONE, NB_LOSS_CLS_ONE, NB_LOSS_DFL_ONE};
    double found[6] = {0};
    memset(items, 0, NB_LOSS_ITEMS * sizeof *items);
    switch (loss->kind) {
    case NB_HEAD_YOLOV5:
        NB_TRY(nb_yolov5_loss(&loss->yolov5, level, batch->pictures, batch->target,
                              batch->n_targets, scratch, found, total, err));
        put_items(found, with_anchors, items);
        break;
    case NB_HEAD_YOLOV8:
        NB_TRY(nb_yolov8_loss(&loss->yolov10.many, level, batch, scratch, found, total, err));
        put_items(found, many, items);
        break;
    case NB_HEAD_END2END:
    case NB_HEAD_BOXES:
    case NB_HEAD_ROWS:
        return nb_fail(NB_ERR_UNSUPPORTED, err, "a decoded head (%s) has no loss",
                       nb_head_name(loss->kind));
    case NB_HEAD_YOLOV10:
        NB_TRY(nb_yolov10_loss(&loss->yolov10, level, level + loss->levels, batch, scratch, found,
                               total, err));
        put_items(found, many, items);
        put_items(found + 3, one, items);
        break;
    }
    return NB_OK;
}
