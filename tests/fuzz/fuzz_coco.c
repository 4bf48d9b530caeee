/* SPDX-License-Identifier: Apache-2.0
 *
 * COCO's files: a data set, or a list of detections, or both with a zero byte between. What is
 * accepted is scored; a list must survive writing and reading. */
#include "fuzz.h"

#include "data/boxes.h"
#include "eval/score.h"
#include "format/coco.h"

#include <string.h>

static void round_trip(const NbCocoDetection *d, size_t n, NbArena *arena) {
    NbError err = {0};
    char path[64];
    NbCocoDetection *back = NULL;
    size_t count = 0;
    (void)nb_fuzz_scratch(".json", path, sizeof path);
    NB_FUZZ_ASSERT(nb_coco_results_write(path, d, n, NULL, &err) == NB_OK);
    NB_FUZZ_ASSERT(nb_coco_results_read_file(path, NULL, arena, &back, &count, &err) == NB_OK);
    (void)unlink(path);
    NB_FUZZ_ASSERT(count == n);
    for (size_t i = 0; i < n; i++) {
        NB_FUZZ_ASSERT(back[i].image == d[i].image && back[i].category == d[i].category);
        NB_FUZZ_ASSERT(!(back[i].score < d[i].score) && !(back[i].score > d[i].score));
        for (int k = 0; k < 4; k++)
            NB_FUZZ_ASSERT(!(back[i].xywh[k] < d[i].xywh[k]) && !(back[i].xywh[k] > d[i].xywh[k]));
    }
}

static void score(const NbCocoSet *set, const NbCocoDetection *d, size_t n, NbArena *arena) {
    NbError err = {0};
    NbCocoScore out;
    const NbStatus status =
        nb_coco_score(set->image_id, set->n_images, set->category_id, set->n_categories, set->truth,
                      set->n_truth, d, n, arena, &out, &err);
    NB_FUZZ_ASSERT(status == NB_OK || status == NB_ERR_NOMEM);
    for (int i = 0; status == NB_OK && i < 12; i++)
        NB_FUZZ_ASSERT(out.value[i] >= -1.0 && out.value[i] <= 1.0 + 1e-12);
}

/* The set as labels: every box that stays lies in its picture. */
static void as_boxes(const NbCocoSet *set, NbArena *arena) {
    NbError err = {0};
    NbBoxSet boxes;
    NbBoxCounts counts;
    const NbBoxRules rules = {.keep_crowd = true};
    if (nb_boxes_from_coco("f", set, NULL, 0, arena, &boxes, &err) != NB_OK)
        return;
    nb_boxes_check(&boxes, &rules, &counts);
    size_t all = counts.boxes;
    for (int i = 0; i < NB_SKIPS; i++)
        all += counts.skipped[i];
    NB_FUZZ_ASSERT(all == set->n_truth);
    for (size_t i = 0; i < boxes.n; i++) {
        const NbBoxImage *const image = &boxes.image[i];
        NB_FUZZ_ASSERT(nb_picture_name_is_safe(image->name));
        for (size_t k = 0; k < image->n; k++) {
            const double *const b = image->box[k].xyxy;
            NB_FUZZ_ASSERT(image->box[k].cls >= 0 && image->box[k].cls < boxes.nc);
            NB_FUZZ_ASSERT(b[0] < b[2] && b[1] < b[3]);
            NB_FUZZ_ASSERT(!image->width || !image->height ||
                           (b[0] >= 0 && b[2] <= image->width && b[3] <= image->height));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *const cut = size ? memchr(data, 0, size) : NULL;
    const size_t first = cut ? (size_t)(cut - data) : 0;
    const NbBytes list = cut ? (NbBytes){cut + 1, size - first - 1} : (NbBytes){data, size};
    NbArena arena = {.limit = NB_FUZZ_LIMIT};
    NbError err = {0};
    NbCocoSet set = {0};
    NbCocoDetection *d = NULL;
    size_t n = 0;
    bool has_set =
        nb_coco_read("f", (NbBytes){data, cut ? first : size}, &arena, &set, &err) == NB_OK;
    NB_FUZZ_ASSERT(has_set || strncmp(err.message, "f:", 2) == 0);
    if (nb_coco_results_read("f", list, has_set && cut ? &set : NULL, &arena, &d, &n, &err) ==
        NB_OK)
        round_trip(d, n, &arena);
    else
        NB_FUZZ_ASSERT(strncmp(err.message, "f:", 2) == 0);
    if (has_set)
        score(&set, d, n, &arena);
    if (has_set)
        as_boxes(&set, &arena);
    nb_arena_release(&arena);
    return 0;
}
