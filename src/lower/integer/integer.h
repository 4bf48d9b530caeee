/* SPDX-License-Identifier: Apache-2.0
 *
 * A trained graph becomes a graph of integers that computes the same function.
 *
 * The result holds INPUT (uint8 codes), CONV with I8 weights (int32 sums), THRESHOLD, MAXPOOL,
 * UPSAMPLE, CONCAT, PAD on codes, and DEQUANT in front of the outputs. From sum to code the float
 * expression (scale, batch norm, activation, divide, round, clamp), evaluated by the very routines
 * the trainer calls, is a monotone function of one integer per channel; its steps are found by
 * bisection over all sums that can occur. Channels on which it falls have their weights negated, so
 * that thresholds are always ">=". Nothing is added, dropped or re-scaled.
 *
 * SiLU falls before it rises. Behind a convolution its codes are the sum (ADD) of a rising and a
 * falling part, each with thresholds of its own, the second behind the negated convolution; where
 * the falling side loses no code the second part is left out. Behind codes it must not fall (an
 * unsigned quantizer). */
#ifndef NB_LOWER_INTEGER_INTEGER_H
#define NB_LOWER_INTEGER_INTEGER_H

#include "graph/graph.h"

/* `g` must have been inferred. What cannot be lowered (a float convolution, an activation without a
 * quantizer behind it, ...) is NB_ERR_UNSUPPORTED and names node, reason and remedy. Nodes of the
 * result keep the name of the node of `g` whose value they compute, so that tensors can be compared
 * by name; sums are named after their convolution with ".sum" behind, a DEQUANT of codes after the
 * codes with ".real" behind. */
NB_FALLIBLE nb_lower_integer(const NbGraph *g, NbArena *arena, NbGraph *out, NbError *err);

#endif
