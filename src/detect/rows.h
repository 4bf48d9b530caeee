/* SPDX-License-Identifier: Apache-2.0
 *
 * Outputs that a network has decoded itself: rows of boxes. */
#ifndef NB_DETECT_ROWS_H
#define NB_DETECT_ROWS_H

#include "detect/level.h"
#include "detect/picture.h"

/* END2END: the rows of picture b above conf, of the wanted classes, best first, the first max_det;
 * in pixels of the input. out->item lives in `arena`. NB_ERR_FORMAT: a class that the head does not
 * have. */
NB_FALLIBLE nb_rows_finished(const NbHead *head, const NbHeadLevel *level, int b,
                             const NbDetectOptions *options, NbArena *arena, NbDetections *out,
                             NbError *err);

/* BOXES and ROWS: the rows of picture b that nb_nms would look at, in order. *rows: [*count][4 or
 * 5 + nc], in `arena`. */
NB_FALLIBLE nb_rows_candidates(const NbHead *head, const NbHeadLevel *level, int b, float conf,
                               NbArena *arena, float **rows, size_t *count, NbError *err);

#endif
