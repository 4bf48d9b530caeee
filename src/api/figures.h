/* SPDX-License-Identifier: Apache-2.0
 *
 * Files that several verbs write from a scored result: curves, confusion matrices, sample
 * pictures, detections as text and JSON. */
#ifndef NB_API_FIGURES_H
#define NB_API_FIGURES_H

#include "data/loader.h"
#include "model/model.h"
#include "train/validate.h"

/* P, R, F1 and PR curves (P_curve.png and BoxP_curve.png, ...), both confusion matrices,
 * val_batch0..2_{labels,pred}.jpg. */
NB_FALLIBLE nb_write_score_figures(const char *folder, const NbModel *model,
                                   const NbSamples *samples, const NbValResult *r, NbError *err);

/* labels.jpg of the training labels. */
NB_FALLIBLE nb_write_label_figure(const char *folder, const NbSamples *samples, char *const *names,
                                  int nc, NbError *err);

/* train_batchN.jpg: what the network really sees. */
NB_FALLIBLE nb_write_batch_figure(const char *path, const NbBatch *batch, char *const *names,
                                  int nc, NbError *err);

/* predictions.json: a COCO result list, unrounded; image_id is that of the COCO set, else the
 * number in the file name when it is one, else the name without suffix. category_id: of each class;
 * those below 0 are left out; NULL: the class. */
NB_FALLIBLE nb_write_predictions(const char *folder, const NbSamples *samples, const NbValResult *r,
                                 const int64_t *category_id, NbError *err);

/* labels/NAME.txt: class xc yc w h [conf], normalized, for one picture. */
NB_FALLIBLE nb_write_label_file(const char *folder, const char *picture, int width, int height,
                                const NbDetection *d, size_t n, bool conf, NbError *err);
NB_FALLIBLE nb_write_label_files(const char *folder, const NbSamples *samples, const NbValResult *r,
                                 bool conf, NbError *err);

#endif
