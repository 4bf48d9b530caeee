/* SPDX-License-Identifier: Apache-2.0 */
#include "api/batch_size.h"

#include "base/clock.h"
#include "nn/executor.h"

enum {
    MOST = 64,
    SMALL = 2, /* pictures in the batches that are measured: one and two shards */
    LARGE = 4,
    PREPARED = 4 /* batches of pictures that the loader holds */
};

static NB_FALLIBLE bytes_with(NbJob *job, NbModel *model, int imgsz, int batch, double *out,
                              NbError *err) {
    NbExecutorOptions options = {.batch = batch,
                                 .height = imgsz,
                                 .width = imgsz,
                                 .training = true,
                                 .quantizers = model->bits.quantized};
    NB_TRY(nb_job_pool(job, &options.pool, err));
    NbExecutor *x = NULL;
    NB_TRY(nb_executor_new(&model->graph, &options, &x, err));
    *out = (double)nb_executor_bytes(x);
    nb_executor_free(x);
    return NB_OK;
}

NbStatus nb_job_batch_from_memory(NbJob *job, NbModel *model, int imgsz, int pictures, int *out,
                                  NbError *err) {
    double small = 0.0;
    double large = 0.0;
    NB_TRY(bytes_with(job, model, imgsz, SMALL, &small, err));
    NB_TRY(bytes_with(job, model, imgsz, LARGE, &large, err));
    const double prepared = 3.0 * PREPARED * imgsz * imgsz;
    const double each = (large - small) / (LARGE - SMALL) + prepared;
    const double fixed = small - (large - small) / (LARGE - SMALL) * SMALL;
    const double budget = 0.6 * nb_free_memory_mb() * 1048576.0;
    const double fit = each > 0.0 ? (budget - fixed) / each : MOST;
    const int most = pictures < MOST ? pictures : MOST;
    *out = fit < 1.0 ? 1 : fit < most ? (int)fit : most;
    nb_job_say(job, "batch: %d pictures (%.1f MiB each, 60 %% of the free memory are %.0f MiB)",
               *out, each / 1048576.0, budget / 1048576.0);
    return NB_OK;
}
