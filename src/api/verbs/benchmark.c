/* SPDX-License-Identifier: Apache-2.0 */
#include "api/common.h"
#include "api/runner.h"
#include "api/verbs/verbs.h"

#include "base/clock.h"

#include <stdlib.h>

enum { LEAST_RUNS = 10, MOST_RUNS = 100000, WARM_UP = 2 };
static const double SECONDS = 2.0; /* of measuring, when runs= does not say */

typedef struct Benchmark {
    NbJob *job;
    NbRunner runner;
    NbRunnerOptions options;
    uint8_t *images;
    double *ms; /* [runs] */
    int runs;
    int all_runs;    /* with the first one and warming up */
    double start_ms; /* from the start of the program to the first outputs */
    double seconds;  /* of all runs */
} Benchmark;

/* Something that is neither flat nor regular; not worth the time of a better generator. */
static NbStatus make_images(Benchmark *b, NbError *err) {
    const size_t n =
        (size_t)b->options.batch * (size_t)b->options.height * (size_t)b->options.width * 3;
    b->images = NB_NEW(&b->job->arena, uint8_t, n);
    if (!b->images)
        return nb_fail_memory(err, "pictures");
    for (size_t i = 0; i < n; i++)
        b->images[i] = (uint8_t)((uint32_t)i * 2654435761U >> 24);
    return NB_OK;
}

static NbStatus run_once(Benchmark *b, double *seconds, NbError *err) {
    NbHeadLevel level[NB_MAX_LEVELS];
    const double start = nb_clock_seconds();
    NB_TRY(nb_runner_run(&b->runner, b->images, b->options.batch, level, err));
    *seconds = nb_clock_seconds() - start;
    b->all_runs++;
    return NB_OK;
}

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

static NbStatus measure(Benchmark *b, NbError *err) {
    double seconds = 0.0;
    for (int i = 0; i < WARM_UP; i++)
        NB_TRY(run_once(b, &seconds, err));
    b->runs = nb_job_int(b->job, NB_OPT_runs, 0);
    if (b->runs == 0) {
        const double fit = SECONDS / (seconds > 1e-5 ? seconds : 1e-5);
        b->runs = fit < LEAST_RUNS ? LEAST_RUNS : (int)fit;
    }
    b->ms = NB_NEW(&b->job->arena, double, (size_t)b->runs);
    if (!b->ms)
        return nb_fail_memory(err, "times");
    for (int i = 0; i < b->runs; i++) {
        NB_TRY(run_once(b, &seconds, err));
        b->ms[i] = 1e3 * seconds;
        b->seconds += seconds;
        if (nb_job_stopped(b->job))
            return nb_fail(NB_ERR_STOPPED, err, "stopped after %d of %d runs", i + 1, b->runs);
    }
    qsort(b->ms, (size_t)b->runs, sizeof *b->ms, by_size);
    return NB_OK;
}

static void report_layers(Benchmark *b) {
    json_t *const layers = json_array();
    NbRunnerProfile p;
    nb_job_print(b->job, "%-44s %-12s %9s %9s\n", "layer", "computed as", "ms", "GMAC/s");
    for (int i = 0; nb_runner_profile(&b->runner, i, &p); i++) {
        const double ms = 1e3 * p.seconds / b->all_runs;
        const double rate = p.seconds > 0.0 && p.macs > 0.0
                                ? 1e-9 * p.macs * b->options.batch * b->all_runs / p.seconds
                                : 0.0;
        json_t *const layer =
            json_pack("{s:s, s:s, s:f}", "name", p.node, "kind", p.what, "ms", ms);
        if (p.macs > 0.0)
            json_object_set_new(layer, "macs", json_integer((json_int_t)p.macs));
        json_array_append_new(layers, layer);
        if (rate > 0.0)
            nb_job_print(b->job, "%-44s %-12s %9.3f %9.1f\n", p.node, p.what, ms, rate);
        else
            nb_job_print(b->job, "%-44s %-12s %9.3f\n", p.node, p.what, ms);
    }
    nb_job_put(b->job, "layers", layers);
}

static void report(Benchmark *b) {
    NbJob *const job = b->job;
    const double p50 = b->ms[b->runs / 2];
    const double p95 = b->ms[(size_t)b->runs * 95 / 100];
    const double rate = b->options.batch * b->runs / (b->seconds > 0.0 ? b->seconds : 1e-9);
    const int threads = nb_pool_threads(b->options.pool);
    const char *const engine = nb_engine_name(b->options.kind);
    report_layers(b);
    nb_job_put(job, "engine", json_string(engine));
    nb_job_put(job, "imgsz", json_integer(b->options.height));
    nb_job_put(job, "batch", json_integer(b->options.batch));
    nb_job_put(job, "runs", json_integer(b->runs));
    nb_job_put(job, "threads", json_integer(threads));
    nb_job_put(job, "isa", json_string(nb_isa_name(b->options.isa)));
    nb_job_put(job, "latency_ms",
               json_pack("{s:f, s:f, s:f}", "min", b->ms[0], "p50", p50, "p95", p95));
    nb_job_put(job, "images_per_second", nb_json_real(rate));
    nb_job_put(job, "peak_rss_mb", nb_json_real(nb_peak_memory_mb()));
    nb_job_put(job, "start_ms", nb_json_real(b->start_ms));
    nb_job_print(job,
                 "%s, %s, %d threads, %d of %dx%d: %.2f ms at best, %.2f median, %.2f at 95 %%\n",
                 engine, nb_isa_name(b->options.isa), threads, b->options.batch, b->options.width,
                 b->options.height, b->ms[0], p50, p95);
    nb_job_print(job, "%.1f pictures a second, %.0f MiB, first result after %.0f ms\n", rate,
                 nb_peak_memory_mb(), b->start_ms);
}

/* Loading the program is known as processor time only; from here on the clock counts. */
static NbStatus start(Benchmark *b, NbModel *model, double before, double begin, NbError *err) {
    NbJob *const job = b->job;
    const int runs = nb_job_int(job, NB_OPT_runs, 0);
    if (runs < 0 || runs > MOST_RUNS)
        return nb_fail(NB_ERR_ARGUMENT, err, "runs: expected 0 to %d, found %d", MOST_RUNS, runs);
    b->options = (NbRunnerOptions){.batch = 1, .profile = true};
    if (job->setting[NB_OPT_batch].origin != NB_FROM_DEFAULT)
        b->options.batch = nb_job_int(job, NB_OPT_batch, 1);
    NB_TRY(nb_job_engine(job, model, &b->options.kind, err));
    NB_TRY(nb_job_pool(job, &b->options.pool, err));
    NB_TRY(nb_isa_choose(nb_job_str(job, NB_OPT_isa), &b->options.isa, err));
    NB_TRY(nb_job_imgsz(job, model, &b->options.height, err));
    b->options.width = b->options.height;
    NB_TRY(make_images(b, err));
    NB_TRY(nb_runner_new(model, &b->options, &b->runner, err));
    double seconds = 0.0;
    NB_TRY(run_once(b, &seconds, err));
    b->start_ms = 1e3 * (before + nb_clock_seconds() - begin);
    return NB_OK;
}

static NbStatus run(NbJob *job, NbError *err) {
    const double before = nb_clock_process_seconds();
    const double begin = nb_clock_seconds();
    NbModel model;
    Benchmark b = {.job = job};
    NB_TRY(nb_job_model(job, 0, &model, err));
    NbStatus status = start(&b, &model, before, begin, err);
    if (status == NB_OK)
        status = measure(&b, err);
    if (status == NB_OK)
        report(&b);
    nb_runner_release(&b.runner);
    nb_model_release(&model);
    return status;
}

const NbVerb nb_verb_benchmark = {
    .info = {.name = "benchmark",
             .aliases = "bench",
             .help = "measures latency, throughput, memory, and the time of each layer",
             .example = "nibble benchmark model=yolov10n.yaml imgsz=640 threads=2",
             .keys = "model engine imgsz batch threads device isa runs quantize seed settings json "
                     "progress verbose"},
    .run = run};
