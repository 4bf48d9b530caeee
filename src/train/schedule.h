/* SPDX-License-Identifier: Apache-2.0
 *
 * Learning rate, momentum and accumulation at each iteration.
 * Source: quantized-yolov5 and Ultralytics 8 trainers (behaviour). */
#ifndef NB_TRAIN_SCHEDULE_H
#define NB_TRAIN_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct NbSchedule {
    int epochs;
    int batches; /* in an epoch */
    int batch;   /* pictures in a batch */
    int nbs;     /* nominal batch */
    bool cosine;
    bool linear_reaches_end; /* linear: the last epoch has lrf itself (quantized-yolov5) */
    bool late; /* after warm-up, epoch e has the factor of epoch e - 1 (Ultralytics 8.1) */
    bool fixed_momentum; /* beta1 of Adam and its relatives: no warm-up */
    int warmup;          /* iterations 0..warmup are warm-up; 0: none */
    double lr0, lrf;
    double momentum, warmup_momentum, warmup_bias_lr;
} NbSchedule;

typedef struct NbRates {
    double lr;      /* weights, batch norm */
    double lr_bias; /* biases */
    double momentum;
    int accumulate; /* batches an optimizer step gathers */
} NbRates;

/* Factor of lr0 in an epoch, warm-up aside. */
double nb_schedule_factor(const NbSchedule *s, int epoch);

/* iteration counts from 0 over all epochs. */
NbRates nb_schedule_at(const NbSchedule *s, int64_t iteration);

#endif
