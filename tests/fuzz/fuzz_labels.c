/* SPDX-License-Identifier: Apache-2.0
 *
 * The first byte chooses the rules and the number of classes, the rest is the file. */
#include "fuzz.h"

#include "data/labels.h"

#include <math.h>
#include <string.h>

static void look(const NbLabels *l, NbLabelRules rules, int nc) {
    const float slack = rules == NB_LABELS_ULTRALYTICS ? 0.01F : 0.0F;
    for (int i = 0; i < l->n; i++) {
        const NbTarget *const t = &l->label[i];
        NB_FUZZ_ASSERT(t->image == 0 && t->cls >= 0 && (!nc || t->cls < nc));
        for (int k = 0; k < 4; k++)
            NB_FUZZ_ASSERT(t->xywh[k] >= -slack && t->xywh[k] <= 1.0F + slack);
        if (i && rules == NB_LABELS_YOLOV5)
            NB_FUZZ_ASSERT(t->cls >= l->label[i - 1].cls);
        if (!l->polygon)
            continue;
        NB_FUZZ_ASSERT(l->polygon[i].n >= 1);
        for (int k = 0; k < l->polygon[i].n; k++)
            NB_FUZZ_ASSERT(isfinite(l->polygon[i].point[k][0]) &&
                           isfinite(l->polygon[i].point[k][1]));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    const NbLabelRules rules = (NbLabelRules)(data[0] % 3);
    const int nc = data[0] / 3 % 3 * 2; /* any, 2 or 4 */
    NbArena arena = {.limit = NB_FUZZ_LIMIT};
    NbError err = {0};
    NbLabels labels;
    const NbBytes bytes = {data + 1, size - 1};
    const NbStatus status = nb_labels_parse(bytes, rules, nc, &arena, &labels, &err);
    NB_FUZZ_ASSERT(status == NB_OK || status == NB_ERR_NOMEM);
    if (status == NB_OK) {
        NB_FUZZ_ASSERT((labels.status == NB_LABELS_OK) == (labels.n > 0));
        NB_FUZZ_ASSERT((labels.status == NB_LABELS_CORRUPT) <= (labels.text[0] != '\0'));
        look(&labels, rules, nc);
    }
    nb_arena_release(&arena);
    return 0;
}
