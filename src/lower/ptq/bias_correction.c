/* SPDX-License-Identifier: Apache-2.0
 *
 * Bias correction. */
#include "lower/ptq/bias_correction.h"

#include <assert.h>

void nb_ptq_bias_add(NbBiasCorrection *state, const NbChannels *real, const NbChannels *quantized) {
    assert(real->channels == quantized->channels);
    for (size_t c = 0; c < real->channels; c++)
        state->sum[c] += nb_channels_mean(real, c) - nb_channels_mean(quantized, c);
    state->batches++;
}

void nb_ptq_bias_correct(const NbBiasCorrection *state, size_t channels, float *bias) {
    if (state->batches == 0)
        return;
    for (size_t c = 0; c < channels; c++)
        bias[c] = (float)((double)bias[c] + state->sum[c] / (double)state->batches);
}
