/* SPDX-License-Identifier: Apache-2.0
 *
 * Where no multiplication counts thresholds exactly (8-bit codes, whose float32 steps are not quite
 * even), one may still come so near that a single comparison makes it exact:
 *
 *     k = clamp((sum * mul + add) >> shift, 0, levels);   code = k + (sum >= T_{k+1})
 *
 * with T_{levels+1} never reached. This holds for every sum when k is the code or the code less
 * one; k grows with the sum, so that it is enough to look at both sides of every threshold. */
#ifndef NB_ENGINE_NEAR_H
#define NB_ENGINE_NEAR_H

#include "quant/bound.h"
#include "quant/requant.h"

/* As nb_requant_solve with 64 bits; k instead of the code. */
bool nb_near_solve(const int32_t *threshold, int levels, int64_t min, int64_t max, NbRequant *out);

/* The same for curved functions. The sums between the first and the last threshold are cut into
 * `rows` even pieces, row = clamp((sum * mul + add) >> shift, 0, rows - 1); base[row * stride] gets
 * the code with which a row begins. True when no row holds more than one threshold. */
bool nb_near_table(const int32_t *threshold, int levels, NbRange sums, int rows, int stride,
                   uint8_t *base, NbRequant *out);

#endif
