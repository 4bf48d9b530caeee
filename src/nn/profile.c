/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the time goes, step by step. */
#include "nn/internal.h"

#include <time.h>

NbStatus nb_nn_profile_new(NbExecutor *x, NbError *err) {
    x->seconds = NB_NEW(&x->arena, double *, (size_t)x->workers);
    if (!x->seconds)
        return nb_fail_memory(err, "a profile");
    for (int w = 0; w < x->workers; w++) {
        x->seconds[w] = NB_NEW(&x->arena, double, (size_t)x->n_steps);
        if (!x->seconds[w])
            return nb_fail_memory(err, "a profile");
    }
    return NB_OK;
}

double nb_nn_thread_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static const struct {
    NbNnRun *run;
    const char *name;
} kinds[] = {
    {nb_nn_input_forward, "input"},       {nb_nn_conv_forward, "conv"},
    {nb_nn_conv_backward, "conv"},        {nb_nn_chain_statistics, "statistics"},
    {nb_nn_chain_forward, "chain"},       {nb_nn_chain_sums, "sums"},
    {nb_nn_chain_backward, "chain"},      {nb_nn_band_backward, "bands"},
    {nb_nn_pool_forward, "pool"},         {nb_nn_pool_backward, "pool"},
    {nb_nn_upsample_forward, "upsample"}, {nb_nn_upsample_backward, "upsample"},
    {nb_nn_pad_forward, "pad"},           {nb_nn_pad_backward, "pad"},
    {nb_nn_concat_forward, "concat"},     {nb_nn_move_forward, "move"},
    {nb_nn_move_backward, "move"},        {nb_nn_arithmetic_forward, "arithmetic"},
    {nb_nn_matmul_forward, "matmul"},     {nb_nn_arithmetic_backward, "arithmetic"},
    {nb_nn_matmul_backward, "matmul"},    {nb_nn_softmax_forward, "softmax"},
    {nb_nn_softmax_backward, "softmax"},  {nb_nn_add_forward, "add"},
    {nb_nn_add_backward, "add"},          {nb_nn_real_forward, "output"},
    {nb_nn_seed_backward, "output"},
};

bool nb_executor_profile(const NbExecutor *x, int i, NbExecutorProfile *out) {
    if (!x->seconds || i < 0 || i >= x->n_steps)
        return false;
    const NbNnStep *const step = &x->step[i];
    *out = (NbExecutorProfile){.what = "step"};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        if (kinds[k].run == step->run)
            out->what = kinds[k].name;
    out->node = x->g->node[step->node].name;
    out->backward = i >= x->phase[x->n_forward_phases - 1].end;
    for (int w = 0; w < x->workers; w++)
        out->seconds += x->seconds[w][i];
    return true;
}
