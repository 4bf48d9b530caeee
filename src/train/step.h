/* SPDX-License-Identifier: Apache-2.0
 *
 * One iteration of training: forward, loss, backward, gather; and an optimizer step when enough
 * batches are gathered. A batch whose loss or gradient is not finite is passed over: it changes
 * nothing but the rate, which it halves, and says which layer it came from. */
#ifndef NB_TRAIN_STEP_H
#define NB_TRAIN_STEP_H

#include "nn/executor.h"
#include "train/schedule.h"
#include "train/state.h"

typedef struct NbStepper {
    NbTrainState *state;
    const NbHyper *hyper;
    NbSchedule schedule;
    NbExecutor *executor; /* for the side of the batch; owned by the caller */
    float *d_output[NB_MAX_HEAD_OUTPUTS];
    NbArena scratch;
    float *kept; /* running statistics before the step */
} NbStepper;

typedef struct NbStepResult {
    double items[NB_LOSS_ITEMS]; /* of this batch */
    double total;
    double grad_norm; /* of the gathered gradient before clipping; 0 when not stepped */
    NbRates rates;
    bool stepped;
    const char *broken; /* name of the first parameter whose gradient is not finite, or "loss" */
} NbStepResult;

/* images [count, imgsz, imgsz, 3], imgsz being the side of the executor. Advances state->iteration.
 */
NB_FALLIBLE nb_step_run(NbStepper *s, const NbBatch *batch, NbStepResult *out, NbError *err);
void nb_step_release(NbStepper *s);

#endif
