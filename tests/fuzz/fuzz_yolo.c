/* SPDX-License-Identifier: Apache-2.0
 *
 * Detections as YOLO's text: what is accepted can be scored. */
#include "fuzz.h"

#include "eval/yolo_text.h"

#include <math.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    NbArena arena = {.limit = NB_FUZZ_LIMIT};
    NbError err = {0};
    NbDetection *d = NULL;
    size_t n = 0;
    const NbStatus status = nb_yolo_detections_parse(
        "f", (NbBytes){data, size}, 3, (const double[]){64.0, 32.0}, &arena, &d, &n, &err);
    NB_FUZZ_ASSERT(status == NB_OK || status == NB_ERR_FORMAT || status == NB_ERR_NOMEM);
    if (status == NB_ERR_FORMAT)
        NB_FUZZ_ASSERT(strncmp(err.message, "f:", 2) == 0);
    if (status == NB_OK) {
        for (size_t i = 0; i < n; i++)
            NB_FUZZ_ASSERT(d[i].cls >= 0 && d[i].cls <= 3 && isfinite(d[i].conf));
        const NbYoloImage image = {.label = d, .n_labels = n, .detection = d, .n_detections = n};
        NbYoloScore score;
        const NbStatus scored = nb_yolo_score(&image, 1, 4, NB_MATCH_PER_IOU, &arena, &score, &err);
        NB_FUZZ_ASSERT(scored == NB_OK || scored == NB_ERR_NOMEM);
        if (scored == NB_OK)
            NB_FUZZ_ASSERT(score.map50 >= 0.0 && score.map50 <= 1.0);
    }
    nb_arena_release(&arena);
    return 0;
}
