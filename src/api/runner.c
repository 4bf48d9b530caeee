/* SPDX-License-Identifier: Apache-2.0 */
#include "api/runner.h"

#include "api/common.h"
#include "detect/picture.h"
#include "lower/float/fold.h"

#include <string.h>

static const char *const engine_names[] = {"float", "sim", "int"};

const char *nb_engine_name(NbEngineKind kind) { return engine_names[kind]; }

/* The smallest picture tells: whether integers can compute a model does not depend on its size. */
NbEngineKind nb_job_usual_engine(NbJob *job, NbModel *model) {
    NbError why = {0};
    NbHeadEngine engine;
    NbEngineOptions options = {.height = nb_head_side(&model->head, 1)};
    if (!model->bits.quantized)
        return NB_ENGINE_FLOAT;
    options.width = options.height;
    NbStatus status = nb_isa_choose("", &options.isa, &why);
    if (status == NB_OK)
        status = nb_head_engine_new(model, "engine=int", &options, &engine, &why);
    if (status == NB_OK)
        nb_head_engine_release(&engine);
    if (status != NB_ERR_UNSUPPORTED)
        return NB_ENGINE_INT; /* other errors: int says them */
    nb_job_say(job, "engine=sim is used; %s", why.message);
    return NB_ENGINE_SIM;
}

NbStatus nb_job_engine(NbJob *job, NbModel *model, NbEngineKind *out, NbError *err) {
    const char *const name = nb_job_str(job, NB_OPT_engine);
    *out = NB_ENGINE_FLOAT;
    if (!*name)
        *out = nb_job_usual_engine(job, model);
    for (int i = 0; i < 3; i++) {
        if (strcmp(name, engine_names[i]) == 0) {
            *out = (NbEngineKind)i;
            break;
        }
        if (*name && i == 2)
            return nb_fail(NB_ERR_ARGUMENT, err, "engine: expected float, sim or int, found '%s'",
                           name);
    }
    if (!model->bits.quantized && *out != NB_ENGINE_FLOAT)
        return nb_fail(NB_ERR_UNSUPPORTED, err,
                       "engine=%s: the model has no quantizers; train it with quantize=, or use "
                       "engine=float",
                       engine_names[*out]);
    return NB_OK;
}

static NbStatus make_engine(NbRunner *r, NbError *err) {
    const NbRunnerOptions *const o = &r->options;
    const NbEngineOptions options = {.height = o->height,
                                     .width = o->width,
                                     .isa = o->isa,
                                     .pool = o->pool,
                                     .profile = o->profile};
    return nb_head_engine_new(r->model, "engine=int", &options, &r->engine, err);
}

static NbStatus make_executor(NbRunner *r, NbError *err) {
    const NbRunnerOptions *const o = &r->options;
    const NbExecutorOptions options = {.batch = o->batch,
                                       .height = o->height,
                                       .width = o->width,
                                       .quantizers = true,
                                       .profile = o->profile,
                                       .pool = o->pool};
    return nb_executor_new(&r->graph, &options, &r->executor, err);
}

static NbStatus make_fast(NbRunner *r, NbError *err) {
    const NbRunnerOptions *const o = &r->options;
    const NbFloatOptions options = {.batch = o->batch,
                                    .height = o->height,
                                    .width = o->width,
                                    .profile = o->profile,
                                    .isa = o->isa,
                                    .pool = o->pool};
    NB_TRY(nb_fold_twin(&r->graph, &r->arena, &r->folded, err));
    return nb_float_new(&r->folded, &options, &r->fast, err);
}

static NbStatus make(NbRunner *r, NbError *err) {
    switch (r->options.kind) {
    case NB_ENGINE_FLOAT: return make_fast(r, err);
    case NB_ENGINE_SIM: return make_executor(r, err);
    case NB_ENGINE_INT: break;
    }
    return make_engine(r, err);
}

static NbStatus note_outputs(NbRunner *r, NbError *err) {
    const NbGraph *const g = r->fast ? &r->folded : &r->graph;
    for (int i = 0; i < r->model->head.levels; i++) {
        const NbShape *const shape = &g->node[g->output[i]].shape; /* NCHW */
        r->dim[i][0] = shape->dim[2];
        r->dim[i][1] = shape->dim[3];
        r->dim[i][2] = shape->dim[1];
        if (nb_head_is_decoded(&r->model->head)) { /* rows, or columns of BOXES */
            const bool columns = r->model->head.kind == NB_HEAD_BOXES;
            r->dim[i][0] = shape->dim[columns ? 2 : 1];
            r->dim[i][1] = 1;
            r->dim[i][2] = shape->dim[columns ? 1 : 2];
        }
        if (r->options.kind != NB_ENGINE_INT)
            continue;
        const size_t n = (size_t)(r->dim[i][0] * r->dim[i][1] * r->dim[i][2]);
        r->output[i] = NB_NEW(&r->arena, float, n *(size_t)r->options.batch);
        if (!r->output[i])
            return nb_fail_memory(err, "outputs");
    }
    return NB_OK;
}

NbStatus nb_runner_new(NbModel *model, const NbRunnerOptions *options, NbRunner *out,
                       NbError *err) {
    *out = (NbRunner){.model = model, .graph = nb_model_inference(model), .options = *options};
    NbStatus status = make(out, err);
    if (status == NB_OK)
        status = note_outputs(out, err);
    if (status != NB_OK)
        nb_runner_release(out);
    return status;
}

void nb_runner_release(NbRunner *r) {
    nb_executor_free(r->executor);
    nb_head_engine_release(&r->engine);
    nb_float_free(r->fast);
    nb_arena_release(&r->arena);
    *r = (NbRunner){0};
}

static NbStatus run_integers(NbRunner *r, const uint8_t *images, int count, NbError *err) {
    const size_t picture = (size_t)r->options.height * (size_t)r->options.width * 3;
    for (int b = 0; b < count; b++) {
        NB_TRY(nb_head_engine_run(&r->engine, images + (size_t)b * picture, err));
        for (int i = 0; i < r->model->head.levels; i++) {
            const int64_t *const dim = r->engine.dim[i];
            const float *const from = nb_head_engine_output(&r->engine, i);
            const size_t n = (size_t)(dim[0] * dim[1] * dim[2]);
            memcpy(r->output[i] + (size_t)b * n, from, n * sizeof *from);
        }
    }
    return NB_OK;
}

NbStatus nb_runner_run(void *user, const uint8_t *images, int count, NbHeadLevel *level,
                       NbError *err) {
    NbRunner *const r = user;
    if (r->engine.engine)
        NB_TRY(run_integers(r, images, count, err));
    else if (r->fast)
        NB_TRY(nb_float_run(r->fast, images, count, err));
    else
        NB_TRY(nb_executor_forward(r->executor, images, count, false, err));
    for (int i = 0; i < r->model->head.levels; i++) {
        const float *const raw = r->engine.engine ? r->output[i]
                                 : r->fast        ? nb_float_output(r->fast, i)
                                                  : nb_executor_output(r->executor, i);
        level[i] =
            nb_head_level_nhwc(&r->model->head, raw, NULL, (int)r->dim[i][0], (int)r->dim[i][1]);
    }
    return NB_OK;
}

static bool profile_fast(const NbRunner *r, int i, NbRunnerProfile *out) {
    NbFloatProfile p;
    if (!nb_float_profile(r->fast, i, &p))
        return false;
    *out = (NbRunnerProfile){.node = p.node, .what = p.what, .seconds = p.seconds, .macs = p.macs};
    return true;
}

static bool profile_integers(const NbRunner *r, int i, NbRunnerProfile *out) {
    NbEngineProfile p;
    if (!nb_engine_profile(r->engine.engine, i, &p))
        return false;
    *out = (NbRunnerProfile){.node = p.node, .what = p.what, .seconds = p.seconds};
    return true;
}

bool nb_runner_profile(const NbRunner *r, int i, NbRunnerProfile *out) {
    NbExecutorProfile p;
    if (r->fast)
        return profile_fast(r, i, out);
    if (r->engine.engine)
        return profile_integers(r, i, out);
    if (!nb_executor_profile(r->executor, i, &p) || p.backward)
        return false;
    *out = (NbRunnerProfile){.node = p.node, .what = p.what, .seconds = p.seconds};
    return true;
}

/* The runner of the pictures' size. Rectangular batches are sorted, so that one at a time will do.
 */
static NbStatus resize(void *user, int height, int width, NbError *err) {
    NbRunner *const r = user;
    if (r->model && r->options.height == height && r->options.width == width)
        return NB_OK;
    NbModel *const model = r->model;
    NbRunnerOptions options = r->options;
    options.height = height;
    options.width = width;
    nb_runner_release(r);
    return nb_runner_new(model, &options, r, err);
}

static bool should_stop(void *user) { return nb_job_stopped(user); }

NbStatus nb_job_score(NbJob *job, NbModel *model, NbEngineKind kind, int imgsz,
                      const NbSamples *samples, NbValResult *out, NbError *err) {
    *out = (NbValResult){0};
    NbRunnerOptions options = {
        .kind = kind, .batch = nb_job_int(job, NB_OPT_batch, 16), .height = imgsz, .width = imgsz};
    NB_TRY(nb_job_pool(job, &options.pool, err));
    NB_TRY(nb_isa_choose(nb_job_str(job, NB_OPT_isa), &options.isa, err));
    NbRunner runner;
    NB_TRY(nb_runner_new(model, &options, &runner, err));
    NbValOptions val = nb_job_val_options(job, model, true);
    val.samples = samples;
    val.imgsz = imgsz;
    if (nb_job_bool(job, NB_OPT_rect, false)) {
        val.rect_stride = nb_head_side(&model->head, 1);
        val.rect_pad = 0.5;
    }
    val.should_stop = should_stop;
    val.user = job;
    const NbRawRun run = {.user = &runner, .run = nb_runner_run, .resize = resize};
    const NbStatus status = nb_validate(&run, &model->head, NULL, &val, out, err);
    nb_runner_release(&runner);
    return status;
}
