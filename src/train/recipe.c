/* SPDX-License-Identifier: Apache-2.0 */
#include "train/recipe.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ALWAYS_SCORED = 10,   /* epochs at the end */
    SHORT_RUN_MAX = 10000 /* iterations that AdamW gets */
};

/* Python's round(value, 6). */
static double round_to_six(double value) {
    char text[64];
    (void)snprintf(text, sizeof text, "%.6f", value);
    return strtod(text, NULL);
}

void nb_recipe_auto(NbHyper *h, int nc, int pictures) {
    const int nominal = h->batch > h->nbs ? h->batch : h->nbs;
    const double iterations = ceil((double)pictures / nominal) * h->epochs;
    const bool is_long = iterations > SHORT_RUN_MAX;
    h->optimizer = is_long ? NB_SGD : NB_ADAMW;
    h->lr0 = is_long ? 0.01 : round_to_six(0.01 / (4 + nc));
    if (!is_long || h->warmup_epochs <= 0.0)
        h->momentum = 0.9;
    h->warmup_bias_lr = 0.0;
}

static bool has_momentum(NbOptimizerKind kind) { return kind == NB_SGD || kind == NB_RMSPROP; }

NbSchedule nb_recipe_schedule(const NbHyper *h, int batches) {
    const double wanted = rint(h->warmup_epochs * batches); /* half to even, as Python rounds */
    const int warmup = wanted > h->warmup_min ? (int)wanted : h->warmup_min;
    return (NbSchedule){.epochs = h->epochs,
                        .batches = batches,
                        .batch = h->batch,
                        .nbs = h->nbs,
                        .cosine = h->cos_lr,
                        .linear_reaches_end = h->recipe == NB_RECIPE_QUANTIZED_YOLOV5,
                        .late = h->recipe != NB_RECIPE_NIBBLE,
                        .fixed_momentum = !has_momentum(h->optimizer),
                        .warmup = h->warmup_epochs > 0.0 ? warmup : 0,
                        .lr0 = h->lr0,
                        .lrf = h->lrf,
                        .momentum = h->momentum,
                        .warmup_momentum = h->warmup_momentum,
                        .warmup_bias_lr = h->warmup_bias_lr};
}

bool nb_recipe_drops_rest(const NbHyper *h) { return h->recipe != NB_RECIPE_NIBBLE; }

bool nb_recipe_mosaic_closed(const NbHyper *h, int epoch) {
    const int first = h->epochs - h->close_mosaic;
    if (h->close_mosaic <= 0 || epoch < first)
        return false;
    return first >= 0 || h->recipe != NB_RECIPE_ULTRALYTICS;
}

bool nb_recipe_scores(const NbHyper *h, int epoch) {
    const int left = h->epochs - epoch; /* this one included */
    return left <= 1 || (h->val && ((epoch + 1) % h->val_period == 0 || left <= ALWAYS_SCORED));
}

bool nb_recipe_is_better(const NbHyper *h, double fitness, double best) {
    /* a run that finds nothing at first takes the later one in any case */
    return fitness > best || (fitness == best && (h->recipe != NB_RECIPE_NIBBLE || fitness <= 0.0));
}

void nb_recipe_group_rates(const NbHyper *h, const NbRates *r, double out[3]) {
    const bool bias_first = h->recipe == NB_RECIPE_ULTRALYTICS;
    out[0] = bias_first ? r->lr_bias : r->lr;
    out[1] = r->lr;
    out[2] = bias_first ? r->lr : r->lr_bias;
}

int nb_recipe_epochs_in_time(const NbHyper *h, double seconds, int done) {
    if (h->hours <= 0.0 || done <= 0 || seconds <= 0.0)
        return h->epochs;
    const double fit = ceil(3600.0 * h->hours / (seconds / done));
    return fit < done ? done : fit < 1e6 ? (int)fit : 1000000;
}
