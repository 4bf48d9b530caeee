/* SPDX-License-Identifier: Apache-2.0
 *
 * The text files of a run folder: results.csv (Ultralytics' columns, ours behind them),
 * events.jsonl and train.log (one line an event). */
#ifndef NB_TRAIN_RUN_FILES_H
#define NB_TRAIN_RUN_FILES_H

#include "base/arena.h"
#include "base/status.h"
#include "train/items.h"

#include <stdbool.h>

/* One row of results.csv. */
typedef struct NbEpochRow {
    int epoch;                   /* from 1, as Ultralytics writes it */
    int epochs;                  /* of the run, as planned at this epoch; not in the file */
    double seconds;              /* since the start of the run, pauses left out */
    double train[NB_LOSS_ITEMS]; /* means */
    double precision, recall, map50, map50_95; /* NaN: the epoch was not scored */
    double val[NB_LOSS_ITEMS];                 /* the same */
    bool two_heads;        /* the one-to-one items are there: their cells are not empty */
    double lr[3];          /* norm, weight, bias groups */
    double quant_map50_95; /* of the model with quantizers on; NaN: no quantizers */
    double images_per_second;
    double oscillating; /* share of weights that flip to and fro; NaN: no quantizers */
} NbEpochRow;

/* The folder `project`/`name`; unless exist_ok, the first of name, name2, name3, ... that is not
 * there yet. It is made. */
NB_FALLIBLE nb_run_folder_make(const char *project, const char *name, bool exist_ok, NbArena *arena,
                               char **out, NbError *err);

/* The folder below `project` whose file `name` was written last. */
NB_FALLIBLE nb_run_folder_newest(const char *project, const char *name, NbArena *arena, char **out,
                                 NbError *err);

/* Rows of an earlier part of the run up to and including `epochs` stay, later ones go; a missing
 * file is begun with its head. *seconds: of the last row that stays. Atomic. */
NB_FALLIBLE nb_results_begin(const char *path, int epochs, double *seconds, NbError *err);

NB_FALLIBLE nb_results_add(const char *path, const NbEpochRow *row, NbError *err);

#endif
