/* SPDX-License-Identifier: Apache-2.0 */
#include "api/common.h"
#include "api/parity.h"
#include "api/run_report.h"
#include "api/runner.h"
#include "api/train_run.h"
#include "api/verbs/verbs.h"

#include "base/clock.h"
#include "base/file.h"
#include "data/synth.h"
#include "model/checkpoint.h"

#include <stdlib.h>

enum { PARITY_PICTURES = 16 };

static const double wanted_map50 = 0.85;

typedef struct Demo {
    NbJob *job;
    NbTrainRun train;
    NbModel best;
    NbValResult result[3]; /* by NbEngineKind */
    int64_t mismatches;
    double started;
} Demo;

/* Everything the demo needs that the caller did not say. */
static NbStatus set_defaults(NbJob *job, NbError *err) {
    static const char *const values[][2] = {
        {"model", "lpyolo.yaml"}, {"quantize", "w4a4"},   {"imgsz", "160"}, {"epochs", "60"},
        {"batch", "16"},          {"close_mosaic", "15"}, {"name", "demo"},
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        NB_TRY(nb_job_set_from(job, values[i][0], values[i][1], NB_FROM_MODEL, err));
    return NB_OK;
}

static NbStatus make_data(Demo *d, NbError *err) {
    NbJob *const job = d->job;
    char *folder = NULL;
    NbPool *pool = NULL;
    NB_TRY(nb_job_pool(job, &pool, err));
    NB_TRY(nb_job_run_folder(job, "demo", &folder, err));
    NB_TRY(nb_job_set_from(job, "exist_ok", "1", NB_FROM_CALLER, err));
    NB_TRY(nb_job_set_from(job, "name", nb_path_name(folder), NB_FROM_CALLER, err));
    char *const data = nb_path_join(&job->arena, folder, "data");
    char *const yaml = nb_path_join(&job->arena, folder, "data/data.yaml");
    if (!data || !yaml)
        return nb_fail_memory(err, "a path");
    const NbSynthOptions options = {.train = nb_job_int(job, NB_OPT_train_images, 480),
                                    .val = nb_job_int(job, NB_OPT_val_images, 96),
                                    .imgsz = nb_job_int(job, NB_OPT_imgsz, 160),
                                    .seed = (uint64_t)nb_job_int(job, NB_OPT_seed, 0),
                                    .quality = 95};
    nb_job_say(job, "drawing %d training and %d validation pictures", options.train, options.val);
    NB_TRY(nb_synth_write(data, &options, pool, err));
    return nb_job_set_from(job, "data", yaml, NB_FROM_CALLER, err);
}

static NbStatus score_engines(Demo *d, NbError *err) {
    char *const path = nb_path_join(&d->job->arena, d->train.folder, "weights/best.safetensors");
    if (!path)
        return nb_fail_memory(err, "a path");
    const NbModelOptions options = {0};
    NB_TRY(nb_model_read(path, &options, 0, &d->best, err));
    for (int kind = NB_ENGINE_FLOAT; kind <= NB_ENGINE_INT; kind++)
        NB_TRY(nb_job_score(d->job, &d->best, (NbEngineKind)kind, d->train.hyper.imgsz,
                            &d->train.val, &d->result[kind], err));
    return NB_OK;
}

static NbStatus check_parity(Demo *d, NbError *err) {
    const int side = d->train.hyper.imgsz;
    NbIsa isa = NB_ISA_C;
    NB_TRY(nb_isa_choose(nb_job_str(d->job, NB_OPT_isa), &isa, err));
    NbParity *parity = NULL;
    NB_TRY(nb_parity_new(&d->best, side, side, isa, d->train.pool, &parity, err));
    const NbLoaderOptions loading = {
        .samples = &d->train.val, .batch = PARITY_PICTURES, .imgsz = side};
    NbLoader *loader = NULL;
    NbBatch batch;
    NbStatus status = nb_loader_new(&loading, &loader, err);
    if (status == NB_OK)
        status = nb_loader_next(loader, &batch, err);
    if (status == NB_OK)
        status = nb_parity_add(parity, batch.images, batch.count, err);
    int images = 0;
    const NbParityCount *const counts = nb_parity_counts(parity, &images);
    for (int i = 0; i < NB_PARITY_REPRESENTATIONS; i++)
        d->mismatches += counts[i].mismatches;
    nb_loader_free(loader);
    nb_parity_free(parity);
    return status;
}

static NbStatus report(Demo *d, NbError *err) {
    static const char *const engines[] = {"float", "sim", "int"};
    NbJob *const job = d->job;
    const NbYoloScore scores[3] = {d->result[0].score, d->result[1].score, d->result[2].score};
    const bool passed =
        d->mismatches == 0 && scores[2].map50 >= wanted_map50 && scores[1].map50 == scores[2].map50;
    char *const verdict = nb_arena_printf(
        &job->arena, "mAP50 %.3f with integers, %.3f in simulation, %lld values differ",
        scores[2].map50, scores[1].map50, (long long)d->mismatches);
    char *const path = nb_path_join(&job->arena, d->train.folder, "report.html");
    if (!verdict || !path)
        return nb_fail_memory(err, "the report");
    const NbRunReport page = {.folder = d->train.folder,
                              .title = "nibble demo",
                              .subtitle = "synthetic pictures, 4-bit weights and activations",
                              .checked = true,
                              .passed = passed,
                              .verdict = verdict,
                              .engine = engines,
                              .score = scores,
                              .engines = 3,
                              .names = d->best.names};
    NB_TRY(nb_write_run_report(&page, err));
    const double seconds = nb_clock_seconds() - d->started;
    nb_job_put(job, "map50",
               json_pack("{s:o, s:o, s:o}", "float", nb_json_real(scores[0].map50), "sim",
                         nb_json_real(scores[1].map50), "int", nb_json_real(scores[2].map50)));
    nb_job_put(job, "parity", json_pack("{s:I}", "mismatches", (json_int_t)d->mismatches));
    nb_job_put(job, "seconds", nb_json_real(seconds));
    nb_job_put(job, "report", json_string(path));
    nb_job_print(job, "demo: %s, %.0f s\nreport: %s\n", verdict, seconds, path);
    if (!passed)
        return nb_fail(NB_ERR_CHECK, err,
                       "expected mAP50 of at least %.2f, equal in int and sim, "
                       "and no differing value: %s",
                       wanted_map50, verdict);
    return NB_OK;
}

static NbStatus run_all(Demo *d, NbError *err) {
    NB_TRY(set_defaults(d->job, err));
    NB_TRY(make_data(d, err));
    NB_TRY(nb_train_run_open(&d->train, err));
    NB_TRY(nb_train_run_go(&d->train, err));
    NB_TRY(nb_train_run_report(&d->train, err));
    NB_TRY(score_engines(d, err));
    NB_TRY(check_parity(d, err));
    return report(d, err);
}

static NbStatus run(NbJob *job, NbError *err) {
    Demo d = {.job = job, .train = {.job = job}, .started = nb_clock_seconds()};
    const NbStatus status = run_all(&d, err);
    for (int i = 0; i < 3; i++)
        nb_val_result_release(&d.result[i]);
    nb_model_release(&d.best);
    nb_train_run_close(&d.train);
    return status;
}

const NbVerb nb_verb_demo = {
    .info = {.name = "demo",
             .aliases = "",
             .help = "draws pictures, trains a 4-bit detector on them, runs it on integers",
             .example = "nibble demo",
             .keys = "epochs imgsz batch quantize model seed train_images val_images threads "
                     "workers isa project name exist_ok plots settings json progress verbose"},
    .run = run};
