/* SPDX-License-Identifier: Apache-2.0
 *
 * What dataset.c and scan.c need for splits that are COCO's JSON. */
#ifndef NB_DATA_DATASET_COCO_H
#define NB_DATA_DATASET_COCO_H

#include "data/boxes.h"
#include "data/dataset.h"

bool nb_is_coco_name(const char *path); /* ".json", any case; NULL: no */

/* The JSON is every split. */
NB_FALLIBLE nb_dataset_read_coco(const char *path, const char *images, NbArena *arena,
                                 NbDataset *out, NbError *err);

/* Reads the splits that are JSON; without names yet, the first one gives them. */
NB_FALLIBLE nb_dataset_read_coco_splits(NbDataset *d, const char *images, NbArena *arena,
                                        NbError *err);

/* Labels for training of picture `index`, whose width and height are set: no crowds, clipped, each
 * once. counts: what was left out and clipped is added. */
NB_FALLIBLE nb_coco_sample_labels(const NbBoxSet *set, size_t index, bool single_cls,
                                  NbArena *arena, NbSample *out, NbBoxCounts *counts, NbError *err);

/* Its id and annotations, for COCO's score. */
NB_FALLIBLE nb_coco_sample_truth(const NbBoxSet *set, size_t index, bool single_cls, NbArena *arena,
                                 NbSample *out, NbError *err);

#endif
