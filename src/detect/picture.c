/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/picture.h"

#include "detect/nms.h"
#include "detect/rows.h"
#include "detect/yolov8_decode.h"

#include <string.h>

_Static_assert((int)NB_MAX_LEVELS == (int)NB_LOSS_MAX_LEVELS, "a head fits a decoder");
_Static_assert((int)NB_MAX_ANCHORS == (int)NB_LOSS_MAX_ANCHORS, "a head fits a decoder");

NbDecode nb_head_decode(const NbHead *head) {
    return head->hardtanh ? NB_DECODE_HARDTANH_F : NB_DECODE_SIGMOID;
}

NbDetectOptions nb_head_options(const NbHead *head, bool scoring) {
    NbDetectOptions out = {
        .conf = scoring ? 0.001F : 0.25F, .max_det = 300, .decode = nb_head_decode(head)};
    switch (head->kind) {
    case NB_HEAD_YOLOV5:
    case NB_HEAD_ROWS: out.iou = scoring ? 0.6 : 0.45; break;
    case NB_HEAD_YOLOV8:
    case NB_HEAD_BOXES:
        out.iou = 0.7;
        out.single_label = !scoring;
        break;
    case NB_HEAD_YOLOV10:
    case NB_HEAD_END2END:
        out.iou = 0.7; /* read by nobody */
        if (scoring)
            out.conf = 0.0F;
        break;
    }
    return out;
}

int nb_head_side(const NbHead *head, int wanted) {
    int stride = 32;
    for (int i = 0; i < head->levels; i++)
        if (head->stride[i] > (float)stride)
            stride = (int)head->stride[i];
    return (wanted + stride - 1) / stride * stride;
}

int nb_head_cells(const NbHead *head, int level, int side) {
    return side / (int)head->stride[level];
}

NbHeadLevel nb_head_level_nhwc(const NbHead *head, const float *raw, float *grad, int ny, int nx) {
    const ptrdiff_t channels = nb_head_channels(head);
    if (head->kind == NB_HEAD_BOXES)
        return (NbHeadLevel){.raw = raw,
                             .ny = ny,
                             .nx = nx,
                             .sb = channels * ny * nx,
                             .sy = 1,
                             .sx = 1,
                             .sc = (ptrdiff_t)ny * nx};
    return (NbHeadLevel){.raw = raw,
                         .grad = grad,
                         .ny = ny,
                         .nx = nx,
                         .sb = channels * nx * ny,
                         .sa = head->kind == NB_HEAD_YOLOV5 ? 5 + head->nc : 0,
                         .sy = channels * nx,
                         .sx = channels,
                         .sc = 1};
}

/* Whether rows have an objectness in front of their classes. */
static bool has_objectness(const NbHead *head) {
    return head->kind == NB_HEAD_YOLOV5 || head->kind == NB_HEAD_ROWS;
}

static NbStatus suppress(const NbHead *head, const NbDetectOptions *o, float *row, size_t rows,
                         NbArena *arena, NbDetections *out, NbError *err) {
    const bool has_obj = has_objectness(head);
    if (has_obj && head->nc == 1 && !o->class_of_one)
        for (size_t i = 0; i < rows; i++)
            row[i * 6 + 5] = 1.0F;
    /* our own YOLOv5 as its authors, all else as Ultralytics keeps classes apart */
    const float class_offset = head->kind == NB_HEAD_YOLOV5 ? 0.0F : 7680.0F;
    const NbNmsOptions nms = {.conf = o->conf,
                              .iou = o->iou,
                              .max_det = o->max_det,
                              .multi_label = head->nc > 1 && !o->single_label,
                              .agnostic = o->agnostic,
                              .class_offset = class_offset,
                              .classes = o->classes,
                              .has_obj = has_obj};
    return nb_nms(row, rows, head->nc, &nms, arena, &out->item, &out->count, err);
}

static NbStatus yolov5_candidates(const NbHead *head, const NbHeadLevel *level, int b,
                                  const NbDetectOptions *o, NbArena *arena, float **row,
                                  size_t *rows, NbError *err) {
    NbYolov5Head decoder = {
        .mode = o->decode, .levels = head->levels, .anchors = head->anchors, .nc = head->nc};
    memcpy(decoder.anchor_px, head->anchor, sizeof decoder.anchor_px);
    memcpy(decoder.stride, head->stride, sizeof decoder.stride);
    return nb_yolov5_candidates(&decoder, level, b, o->conf, arena, row, rows, err);
}

/* A head without anchors, and its levels of one picture. */
typedef struct Dfl {
    NbDflHead head;
    NbDflLevel level[NB_MAX_LEVELS];
} Dfl;

static Dfl dfl_of(const NbHead *head, const NbHeadLevel *level, int b) {
    Dfl out = {.head = {.levels = head->levels, .reg_max = head->reg_max, .nc = head->nc}};
    for (int i = 0; i < head->levels; i++)
        out.level[i] = (NbDflLevel){.raw = level[i].raw + b * level[i].sb,
                                    .ny = level[i].ny,
                                    .nx = level[i].nx,
                                    .sc = level[i].sc,
                                    .sy = level[i].sy,
                                    .sx = level[i].sx,
                                    .stride = head->stride[i],
                                    .bin = nb_head_bins(head)};
    return out;
}

static NbStatus detect_yolov10(Dfl *dfl, const NbDetectOptions *o, NbArena *arena,
                               NbDetections *out, NbError *err) {
    float *row = NULL;
    size_t rows = 0;
    size_t found = 0;
    dfl->head.xyxy = true;
    NB_TRY(
        nb_yolov8_candidates(&dfl->head, dfl->level, o->conf, o->max_det, arena, &row, &rows, err));
    NB_TRY(nb_yolov10_top(row, rows, dfl->head.nc, o->max_det, arena, &out->item, &found, err));
    for (size_t i = 0; i < found; i++) {
        const NbDetection *const d = &out->item[i];
        if (d->conf > o->conf && (!o->classes || o->classes[d->cls]))
            out->item[out->count++] = *d;
    }
    return NB_OK;
}

/* In pixels of the input. */
static NbStatus detect(const NbHead *head, const NbHeadLevel *level, int b,
                       const NbDetectOptions *o, NbArena *arena, NbDetections *out, NbError *err) {
    float *row = NULL;
    size_t rows = 0;
    Dfl dfl;
    switch (head->kind) {
    case NB_HEAD_END2END: return nb_rows_finished(head, level, b, o, arena, out, err);
    case NB_HEAD_YOLOV10:
        dfl = dfl_of(head, level, b);
        return detect_yolov10(&dfl, o, arena, out, err);
    case NB_HEAD_YOLOV5:
        NB_TRY(yolov5_candidates(head, level, b, o, arena, &row, &rows, err));
        break;
    case NB_HEAD_YOLOV8:
        dfl = dfl_of(head, level, b);
        NB_TRY(nb_yolov8_candidates(&dfl.head, dfl.level, o->conf, 0, arena, &row, &rows, err));
        break;
    case NB_HEAD_BOXES:
    case NB_HEAD_ROWS:
        NB_TRY(nb_rows_candidates(head, level, b, o->conf, arena, &row, &rows, err));
        break;
    }
    return suppress(head, o, row, rows, arena, out, err);
}

NbStatus nb_detect_picture(const NbHead *head, const NbHeadLevel *level, int b,
                           const NbDetectOptions *o, const NbDetectPlace *place, NbArena *arena,
                           NbDetections *out, NbError *err) {
    *out = (NbDetections){0};
    NB_TRY(detect(head, level, b, o, arena, out, err));
    for (size_t i = 0; i < out->count; i++)
        nb_box_unletterbox(out->item[i].xyxy, place->gain, place->pad, place->width, place->height);
    return NB_OK;
}
