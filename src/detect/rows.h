/* SPDX-License-Identifier: Apache-2.0
 *
 * Outputs that a network has decoded itself: rows of boxes. */
#ifndef NB_DETECT_ROWS_H
#define NB_DETECT_ROWS_H

#include "detect/level.h"
#include "detect/picture.h"

/* Detections of picture b in pixels of the input; the head is one of END2END, BOXES and ROWS.
 * END2END: rows above conf, best first, the first max_det. The others go through nb_nms with what
 * the options say. out->item lives in `arena`. */
NB_FALLIBLE nb_rows_detect(const NbHead *head, const NbHeadLevel *level, int b,
                           const NbDetectOptions *options, NbArena *arena, NbDetections *out,
                           NbError *err);

#endif
