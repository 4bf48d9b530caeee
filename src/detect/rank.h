/* SPDX-License-Identifier: Apache-2.0
 *
 * Order of scores, best first. */
#ifndef NB_DETECT_RANK_H
#define NB_DETECT_RANK_H

#include "base/arena.h"
#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* order[0..n) becomes the indices 0..n-1 by score, descending; equal scores (-0 equals 0) keep
 * their order. Scores may have any sign but must not be NaN. n < 2^32. Time is linear in n. What is
 * taken from `scratch` is given back. */
NB_FALLIBLE nb_rank_scores(const float *score, size_t n, uint32_t *order, NbArena *scratch,
                           NbError *err);

#endif
