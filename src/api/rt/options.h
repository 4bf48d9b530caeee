/* SPDX-License-Identifier: Apache-2.0
 *
 * Structures of callers that were compiled with another version of nibble/nibble.h. */
#ifndef NB_API_RT_OPTIONS_H
#define NB_API_RT_OPTIONS_H

#include "base/status.h"
#include "nibble/nibble.h"

/* What the caller asked for, in today's form, with the defaults filled in and ranges checked; only
 * isa and the class numbers are not. given: NULL takes the defaults. NB_ERR_ARGUMENT also when a
 * member is set that this version does not know. */
NB_FALLIBLE nb_detector_options_read(const NbDetectorOptions *given, NbDetectorOptions *out,
                                     NbError *err);

/* Defaults for 0, and the ranges. */
NB_FALLIBLE nb_detector_thresholds_check(double *conf, double *iou, NbError *err);

#endif
