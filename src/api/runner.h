/* SPDX-License-Identifier: Apache-2.0
 *
 * One way to run a detector up to its raw outputs, whatever computes it: float (quantizers off),
 * sim (float arithmetic with quantizers, as trained) or int (integers only). */
#ifndef NB_API_RUNNER_H
#define NB_API_RUNNER_H

#include "api/job.h"
#include "api/rt/build.h"
#include "model/model.h"
#include "nn/executor.h"
#include "nn/float/float.h"
#include "train/validate.h"

typedef enum NbEngineKind { NB_ENGINE_FLOAT, NB_ENGINE_SIM, NB_ENGINE_INT } NbEngineKind;

typedef struct NbRunnerOptions {
    NbEngineKind kind;
    int batch; /* most pictures in one call */
    int height, width;
    NbIsa isa;
    NbPool *pool;
    bool profile; /* measure every step, for nb_runner_profile */
} NbRunnerOptions;

typedef struct NbRunner {
    NbModel *model; /* not owned */
    NbGraph graph;  /* what inference needs of it */
    NbRunnerOptions options;
    NbExecutor *executor; /* sim */
    NbFloatEngine *fast;  /* float: of `folded` */
    NbGraph folded;
    NbHeadEngine engine; /* int */
    NbArena arena;
    float *output[NB_MAX_LEVELS];  /* int: [batch, ny, nx, channels] */
    int64_t dim[NB_MAX_LEVELS][3]; /* height, width, channels of each output */
} NbRunner;

/* The model must outlive the runner, which must not be moved. */
NB_FALLIBLE nb_runner_new(NbModel *model, const NbRunnerOptions *options, NbRunner *out,
                          NbError *err);
void nb_runner_release(NbRunner *r);

/* Has the form of NbRawRun.run; user is the NbRunner. */
NbStatus nb_runner_run(void *user, const uint8_t *images, int count, NbHeadLevel *level,
                       NbError *err);

/* One step, with options.profile. */
typedef struct NbRunnerProfile {
    const char *node;
    const char *what; /* how it is computed */
    double seconds;   /* since the runner was made; sim: processor time of all threads */
    double macs;      /* multiply-adds of a picture, where they are known; else 0 */
} NbRunnerProfile;

/* Step i in the order of execution; false: there are no more. */
bool nb_runner_profile(const NbRunner *r, int i, NbRunnerProfile *out);

const char *nb_engine_name(NbEngineKind kind);

/* engine= of the job; by default nb_job_usual_engine. */
NB_FALLIBLE nb_job_engine(NbJob *job, NbModel *model, NbEngineKind *out, NbError *err);

/* Float for models without quantizers, else int; where integers cannot compute the model
 * (attention, say), sim, and the job says why. */
NbEngineKind nb_job_usual_engine(NbJob *job, NbModel *model);

/* Validates the model on the samples with that engine, at the thresholds of its head's authors
 * unless the job says otherwise. Release the result in every case. */
NB_FALLIBLE nb_job_score(NbJob *job, NbModel *model, NbEngineKind kind, int imgsz,
                         const NbSamples *samples, NbValResult *out, NbError *err);

#endif
