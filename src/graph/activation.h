/* SPDX-License-Identifier: Apache-2.0
 *
 * The one routine for each activation that is not piecewise linear. Interpreter, executor and the
 * tables of the integer engine call these, so that they agree bit for bit: computed in double,
 * rounded once to float32. */
#ifndef NB_GRAPH_ACTIVATION_H
#define NB_GRAPH_ACTIVATION_H

#include <math.h>

static inline float nb_sigmoid(float x) { return (float)(1.0 / (1.0 + exp(-(double)x))); }

/* x * sigmoid(x); Elfwing, Uchibe, Doya, 2018. -0 below the range of exp. */
static inline float nb_silu(float x) { return (float)((double)x / (1.0 + exp(-(double)x))); }

#endif
