/* SPDX-License-Identifier: Apache-2.0
 *
 * Folding batch norm. */
#include "lower/ptq/fold_norm.h"

#include <math.h>

void nb_ptq_fold_norm(const NbNorm *norm, const NbChannels *w, float *bias) {
    for (size_t c = 0; c < w->channels; c++) {
        const float factor = norm->gamma[c] / sqrtf(norm->var[c] + norm->eps);
        nb_channels_multiply(w, c, factor);
        const float moved = norm->mean[c] * factor;
        bias[c] = bias[c] * factor + (norm->beta[c] - moved);
    }
}
