/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/picture.h"

#include <string.h>

_Static_assert((int)NB_MAX_LEVELS == (int)NB_LOSS_MAX_LEVELS, "a head fits a decoder");
_Static_assert((int)NB_MAX_ANCHORS == (int)NB_LOSS_MAX_ANCHORS, "a head fits a decoder");

NbDecode nb_head_decode(const NbHead *head) {
    return head->hardtanh ? NB_DECODE_HARDTANH_F : NB_DECODE_SIGMOID;
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
    const ptrdiff_t no = 5 + head->nc;
    const ptrdiff_t channels = head->anchors * no;
    return (NbHeadLevel){.raw = raw,
                         .grad = grad,
                         .ny = ny,
                         .nx = nx,
                         .sb = channels * nx * ny,
                         .sa = no,
                         .sy = channels * nx,
                         .sx = channels,
                         .sc = 1};
}

NbStatus nb_detect_picture(const NbHead *head, const NbHeadLevel *level, int b,
                           const NbDetectOptions *o, const NbDetectPlace *place, NbArena *arena,
                           NbDetections *out, NbError *err) {
    NbYolov5Head decoder = {
        .mode = o->decode, .levels = head->levels, .anchors = head->anchors, .nc = head->nc};
    memcpy(decoder.anchor_px, head->anchor, sizeof decoder.anchor_px);
    memcpy(decoder.stride, head->stride, sizeof decoder.stride);
    *out = (NbDetections){0};
    float *row = NULL;
    size_t rows = 0;
    NB_TRY(nb_yolov5_candidates(&decoder, level, b, o->conf, arena, &row, &rows, err));
    if (head->nc == 1 && !o->class_of_one)
        for (size_t i = 0; i < rows; i++)
            row[i * 6 + 5] = 1.0F;
    const NbNmsOptions nms = {.conf = o->conf,
                              .iou = o->iou,
                              .max_det = o->max_det,
                              .multi_label = head->nc > 1,
                              .agnostic = o->agnostic,
                              .classes = o->classes,
                              .has_obj = true};
    NB_TRY(nb_nms(row, rows, head->nc, &nms, arena, &out->item, &out->count, err));
    for (size_t i = 0; i < out->count; i++)
        nb_box_unletterbox(out->item[i].xyxy, place->gain, place->pad, place->width, place->height);
    return NB_OK;
}
