/* SPDX-License-Identifier: Apache-2.0 */
#include "api/common.h"
#include "api/figures.h"
#include "api/run_report.h"
#include "api/runner.h"
#include "api/train_run.h"

#include "base/file.h"
#include "model/checkpoint.h"
#include "report/figures.h"

static NbStatus write_figures(NbTrainRun *run, const NbModel *best, NbEngineKind kind,
                              const NbValResult *result, NbError *err) {
    if (!nb_job_bool(run->job, NB_OPT_plots, true))
        return NB_OK;
    char *const csv = nb_path_join(&run->job->arena, run->folder, "results.csv");
    char *const png = nb_path_join(&run->job->arena, run->folder, "results.png");
    if (!csv || !png)
        return nb_fail_memory(err, "a path");
    NB_TRY(nb_figure_results(csv, png, err));
    NB_TRY(nb_write_score_figures(run->folder, best, &run->val, result, err));
    const char *const engine = nb_engine_name(kind);
    const char *const bits = nb_bits_text(&best->bits, &run->job->arena);
    const NbRunReport page = {.folder = run->folder,
                              .title = nb_path_name(run->folder),
                              .subtitle = nb_arena_printf(&run->job->arena,
                                                          "%s, %s, %d pictures of %d pixels",
                                                          best->yaml_path, bits ? bits : "",
                                                          run->train.n, run->hyper.imgsz),
                              .engine = &engine,
                              .score = &result->score,
                              .engines = 1,
                              .names = best->names};
    return nb_write_run_report(&page, err);
}

static void put_result(NbTrainRun *run, const char *best, const char *last, NbEngineKind kind,
                       const NbYoloScore *score) {
    NbJob *const job = run->job;
    const NbTrainSummary *const s = &run->summary;
    nb_job_put(job, "run", nb_json_text(run->folder));
    nb_job_put(job, "epochs", json_integer(s->epochs));
    nb_job_put(job, "images_per_second", nb_json_real(s->images_per_second));
    nb_job_put(job, "loader_share", nb_json_real(s->loader_share));
    nb_job_put(job, "seconds", nb_json_real(s->seconds));
    nb_job_put(job, "best_epoch", json_integer(s->best_epoch));
    nb_job_put(job, "stopped_early", json_boolean(s->stopped_early));
    nb_job_put(job, "best",
               json_pack("{s:s, s:s, s:o}", "weights", best, "engine", nb_engine_name(kind),
                         "metrics", nb_json_metrics(score, run->model.names)));
    nb_job_put(job, "last", nb_json_text(last));
    nb_job_print(job, "%d epochs in %.0f s, %.1f pictures/s (%.1f %% of it waiting for pictures)\n",
                 s->epochs, s->seconds, s->images_per_second, 100.0 * s->loader_share);
    nb_job_print(job, "best: epoch %d, engine=%s\n", s->best_epoch, nb_engine_name(kind));
    nb_job_print_metrics(job, score, run->model.names, run->val.n);
    nb_job_print(job, "files are in %s\n", run->folder);
}

NbStatus nb_train_run_report(NbTrainRun *run, NbError *err) {
    char *const path = nb_path_join(&run->job->arena, run->folder, "weights/best.safetensors");
    char *const last = nb_path_join(&run->job->arena, run->folder, "weights/last.safetensors");
    if (!path || !last)
        return nb_fail_memory(err, "a path");
    NbModel best;
    const NbModelOptions options = {0};
    NB_TRY(nb_model_read(path, &options, 0, &best, err));
    const NbEngineKind kind = nb_job_usual_engine(run->job, &best);
    NbValResult result = {0};
    /* once more, quantized models with integers: the number that counts */
    NbStatus status =
        nb_job_score(run->job, &best, kind, run->hyper.imgsz, &run->val, &result, err);
    if (status == NB_OK)
        status = write_figures(run, &best, kind, &result, err);
    if (status == NB_OK) {
        put_result(run, path, last, kind, &result.score);
        nb_run_log_event(&run->log, "end",
                         json_pack("{s:s, s:s, s:o, s:o}", "weights", path, "engine",
                                   nb_engine_name(kind), "map50", nb_json_real(result.score.map50),
                                   "map50_95", nb_json_real(result.score.map50_95)));
    }
    nb_val_result_release(&result);
    nb_model_release(&best);
    return status;
}
