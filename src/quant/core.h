/* SPDX-License-Identifier: Apache-2.0
 *
 * What codes and gradients share inside this folder: dividing, adding the zero point and rounding a
 * run of numbers. */
#ifndef NB_QUANT_CORE_H
#define NB_QUANT_CORE_H

#include "quant/grid.h"

#include <stddef.h>

/* r[i] = clamp(round(fl(fl(x[i] / scale) + zero)), lo, hi); r may be x itself. lo and hi are
 * integers; NaN stays NaN. */
void nb_core_round(NbRound mode, const float *x, size_t n, float scale, float zero, float lo,
                   float hi, float *r);

#endif
