/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/head.h"

#include <string.h>

const char *nb_head_name(NbHeadKind kind) {
    switch (kind) {
    case NB_HEAD_YOLOV5: break;
    case NB_HEAD_YOLOV8: return "yolov8";
    case NB_HEAD_YOLOV10: return "yolov10";
    case NB_HEAD_END2END: return "end2end";
    case NB_HEAD_BOXES: return "boxes";
    case NB_HEAD_ROWS: return "rows";
    }
    return "yolov5";
}

const float *nb_head_bins(const NbHead *head) { return head->has_bins ? head->bin : NULL; }

void nb_head_set_bins(NbHead *head, const float *bin) {
    head->has_bins = false;
    for (int i = 0; bin && i < head->reg_max; i++)
        head->has_bins = head->has_bins || bin[i] != (float)i;
    if (head->has_bins)
        memcpy(head->bin, bin, (size_t)head->reg_max * sizeof *bin);
}

int nb_head_outputs(const NbHead *head) {
    return head->kind == NB_HEAD_YOLOV10 ? 2 * head->levels : head->levels;
}

int nb_head_first(const NbHead *head) { return head->kind == NB_HEAD_YOLOV10 ? head->levels : 0; }

bool nb_head_is_decoded(const NbHead *head) {
    return head->kind == NB_HEAD_END2END || head->kind == NB_HEAD_BOXES ||
           head->kind == NB_HEAD_ROWS;
}

int nb_head_channels(const NbHead *head) {
    switch (head->kind) {
    case NB_HEAD_YOLOV8:
    case NB_HEAD_YOLOV10: return 4 * head->reg_max + head->nc;
    case NB_HEAD_END2END: return 6;
    case NB_HEAD_BOXES: return 4 + head->nc;
    case NB_HEAD_ROWS: return 5 + head->nc;
    case NB_HEAD_YOLOV5: break;
    }
    return head->anchors * (5 + head->nc);
}
