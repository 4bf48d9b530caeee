/* SPDX-License-Identifier: Apache-2.0
 *
 * What a recipe decides, each in one place:
 *
 *                          nibble          quantized-yolov5     Ultralytics 8.1 (YOLOv10)
 *   linear schedule ends   behind the run  at the last epoch    behind the run
 *   behind warm-up, epoch  its own factor  that of e - 1        that of e - 1
 *     e has
 *   gradients left at the  go on           dropped              dropped
 *     end of an epoch
 *   close_mosaic           also in runs    (off)                only in runs at least as long
 *                          shorter than it
 *   equal fitness          the first       the last is best     the last is best
 *   order of rates         norm, weight,   norm, weight, bias   bias, weight, norm
 *                          bias
 *   optimizer=auto         AdamW           SGD                  by length of the run
 *
 * Source: quantized-yolov5 train.py; Ultralytics 8.1.34 engine/trainer.py (behaviour). */
#ifndef NB_TRAIN_RECIPE_H
#define NB_TRAIN_RECIPE_H

#include "train/hyper.h"
#include "train/schedule.h"

/* Ultralytics' optimizer=auto: ceil(pictures / max(batch, nbs)) * epochs iterations; above 10000 of
 * them SGD with rate 0.01 and momentum 0.9, else AdamW with rate 0.01 / (4 + nc) rounded to six
 * digits and beta1 0.9. Biases warm up from 0. What was in lr0 is lost; momentum is, too, but for
 * SGD with a warm-up, which ends at it (the source interpolates towards the setting). */
void nb_recipe_auto(NbHyper *h, int nc, int pictures);

/* For `batches` in an epoch; the warm-up has round(warmup_epochs * batches) iterations, warmup_min
 * at least. */
NbSchedule nb_recipe_schedule(const NbHyper *h, int batches);

/* Gradients that no step has used are dropped at the start of an epoch. */
bool nb_recipe_drops_rest(const NbHyper *h);

/* Mosaic, mixup and with them copies of pictures end with this epoch (from 0). */
bool nb_recipe_mosaic_closed(const NbHyper *h, int epoch);

/* Is an epoch (from 0) scored? */
bool nb_recipe_scores(const NbHyper *h, int epoch);

/* Does a fitness replace the best so far (-1: none)? */
bool nb_recipe_is_better(const NbHyper *h, double fitness, double best);

/* The columns lr/pg0, lr/pg1 and lr/pg2. */
void nb_recipe_group_rates(const NbHyper *h, const NbRates *r, double out[3]);

/* With h->hours: the epochs that fit into it, going by `done` epochs in `seconds`; at least
 * `done`. Source: ceil(hours / mean time of an epoch), asked after every epoch. */
int nb_recipe_epochs_in_time(const NbHyper *h, double seconds, int done);

#endif
