/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/head.h"

const char *nb_head_name(NbHeadKind kind) {
    switch (kind) {
    case NB_HEAD_YOLOV5: break;
    case NB_HEAD_YOLOV8: return "yolov8";
    case NB_HEAD_YOLOV10: return "yolov10";
    }
    return "yolov5";
}

int nb_head_outputs(const NbHead *head) {
    return head->kind == NB_HEAD_YOLOV10 ? 2 * head->levels : head->levels;
}

int nb_head_first(const NbHead *head) { return head->kind == NB_HEAD_YOLOV10 ? head->levels : 0; }

int nb_head_channels(const NbHead *head) {
    return head->kind == NB_HEAD_YOLOV5 ? head->anchors * (5 + head->nc)
                                        : 4 * head->reg_max + head->nc;
}
