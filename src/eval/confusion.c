/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/confusion.h"

static const float conf_above = 0.25F;
static const float iou_above = 0.45F;

/* The best detection of a label so far. */
typedef struct Best {
    float iou; /* 0: none */
    size_t detection;
} Best;

/* The label that a detection overlaps most, and how much; the later of equal ones. */
static float best_label(const NbYoloImage *image, const NbDetection *d, size_t *label) {
    float best = 0.0F;
    for (size_t i = 0; i < image->n_labels; i++) {
        const float iou = nb_box_iou(image->label[i].xyxy, d->xyxy);
        if (iou > iou_above && iou >= best) {
            best = iou;
            *label = i;
        }
    }
    return best;
}

/* A box that was kept for several classes overlaps a label equally often: the surest one counts. */
static bool better(const NbYoloImage *image, float iou, size_t detection, const Best *than) {
    if (iou > than->iou || iou < than->iou)
        return iou > than->iou;
    return image->detection[detection].conf > image->detection[than->detection].conf;
}

NbStatus nb_confusion_add(const NbYoloImage *image, int nc, NbArena *scratch, int64_t *matrix,
                          NbError *err) {
    const NbArenaMark mark = nb_arena_mark(scratch);
    const size_t side = (size_t)nc + 1;
    Best *const best = NB_NEW(scratch, Best, image->n_labels);
    bool *const matched = NB_NEW(scratch, bool, image->n_detections);
    if (!best || !matched)
        return nb_fail_memory(err, "confusion matrix");
    for (size_t i = 0; i < image->n_detections; i++) {
        size_t label = 0;
        if (!(image->detection[i].conf > conf_above))
            continue;
        const float iou = best_label(image, &image->detection[i], &label);
        if (iou > 0.0F && better(image, iou, i, &best[label]))
            best[label] = (Best){iou, i};
    }
    for (size_t i = 0; i < image->n_labels; i++) {
        const size_t column = (size_t)image->label[i].cls;
        if (best[i].iou > 0.0F) {
            matched[best[i].detection] = true;
            matrix[(size_t)image->detection[best[i].detection].cls * side + column]++;
        } else {
            matrix[(size_t)nc * side + column]++;
        }
    }
    for (size_t i = 0; i < image->n_detections; i++)
        if (image->detection[i].conf > conf_above && !matched[i])
            matrix[(size_t)image->detection[i].cls * side + (size_t)nc]++;
    nb_arena_rewind(scratch, mark);
    return NB_OK;
}
