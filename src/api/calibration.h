/* SPDX-License-Identifier: Apache-2.0
 *
 * Pictures for calibration, as validation sees them: letterboxed, not augmented. */
#ifndef NB_API_CALIBRATION_H
#define NB_API_CALIBRATION_H

#include "api/job.h"
#include "data/dataset.h"
#include "data/loader.h"
#include "lower/ptq/quantize.h"

typedef struct NbCalibration {
    NbPtqPictures pictures; /* user is this struct, which must not be moved */
    NbSamples samples;
    NbLoader *loader;
} NbCalibration;

/* calib= (a folder, glob or list), else the training pictures of the data set (may be NULL when
 * there is calib=), at most calib_limit of them, evenly chosen. Refuses sets that cannot work: no
 * readable pictures, or nothing but flat ones. */
NB_FALLIBLE nb_calibration_open(NbJob *job, const NbDataset *dataset, int imgsz, NbCalibration *out,
                                NbError *err);
void nb_calibration_close(NbCalibration *c);

#endif
