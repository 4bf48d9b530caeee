/* SPDX-License-Identifier: Apache-2.0
 *
 * Which of the literature's remedies against unstable low-bit training a run takes. */
#ifndef NB_TRAIN_SAFEGUARDS_H
#define NB_TRAIN_SAFEGUARDS_H

#include "base/status.h"

#include <stdbool.h>

typedef struct NbSafeguards {
    bool norm;    /* after training, batch norm statistics are gathered anew (finish.h) */
    bool correct; /* after training, an epoch for scales and shifts alone (finish.h) */
    bool dampen;  /* weights are drawn to the middle of their bins (oscillation.h) */
    bool freeze;  /* weights that flip to and fro are fixed to a code (oscillation.h) */
    bool stages;  /* the first epochs have more bits (stages.h) */
} NbSafeguards;

/* "none", "all", or words with commas: norm, correct, dampen, freeze, stages. */
NB_FALLIBLE nb_safeguards_parse(const char *text, NbSafeguards *out, NbError *err);

#endif
