/* SPDX-License-Identifier: Apache-2.0
 *
 * Staged bit widths: the first eighth of the epochs has at least 8 bits everywhere, the second at
 * least 6, the rest what was asked for. Learned thresholds and weights carry over. Only epochs with
 * the asked widths can be the best. */
#ifndef NB_TRAIN_STAGES_H
#define NB_TRAIN_STAGES_H

#include "model/model.h"
#include "train/hyper.h"

typedef struct NbStages {
    NbModel *model; /* not owned */
    NbArena arena;
    NbQuantSpec *target; /* [nodes]: what was asked for */
    int least;           /* bits in force; 0: what was asked for */
} NbStages;

NB_FALLIBLE nb_stages_init(NbStages *s, NbModel *model, NbError *err);
void nb_stages_release(NbStages *s);

/* Least bits in an epoch; 0: what was asked for. Always 0 without the safeguard. */
int nb_stage_least(const NbHyper *h, int epoch);

/* The first epoch with what was asked for. */
int nb_stage_last_change(const NbHyper *h);

/* Sets the model's quantizers; executors made before must be made anew. */
NB_FALLIBLE nb_stages_set(NbStages *s, int least, int imgsz, NbError *err);

#endif
