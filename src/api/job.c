/* SPDX-License-Identifier: Apache-2.0 */
#include "api/job.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Promised verbs that this build does not have: a clear answer instead of a guess. */
static const char *const later[] = {"export", "sweep", "sensitivity", "benchmark",
                                    "check",  "fpga",  "serve",       "report"};

static bool is_named(const NbVerbInfo *info, const char *name) {
    return strcmp(info->name, name) == 0 || nb_has_word(info->aliases, name);
}

static NbStatus find_verb(const char *name, const NbVerb **out, NbError *err) {
    for (size_t i = 0; i < nb_verb_count; i++) {
        *out = nb_verb_table[i];
        if (*name && is_named(&(*out)->info, name))
            return NB_OK;
    }
    for (size_t i = 0; i < sizeof later / sizeof *later; i++)
        if (strcmp(later[i], name) == 0)
            return nb_fail(NB_ERR_UNSUPPORTED, err, "'%s' is not in this build", name);
    const char *names[64];
    size_t n = 0;
    for (; n < nb_verb_count && n < 64; n++)
        names[n] = nb_verb_table[n]->info.name;
    char near[160];
    nb_nearest_names(name, names, n, near, sizeof near);
    return nb_fail(NB_ERR_ARGUMENT, err, "unknown command '%s'%s%s%s", name,
                   *near ? ", did you mean " : "", near, *near ? "?" : "");
}

NbStatus nb_job_new(const char *verb, NbJob **out, NbError *err) {
    *out = NULL;
    const NbVerb *found = NULL;
    NB_TRY(find_verb(verb, &found, err));
    NbJob *const job = calloc(1, sizeof *job);
    if (!job)
        return nb_fail_memory(err, "a job");
    job->verb = found;
    job->result = json_object();
    if (!job->result) {
        nb_job_free(job);
        return nb_fail_memory(err, "a job");
    }
    *out = job;
    return NB_OK;
}

void nb_job_free(NbJob *job) {
    if (!job)
        return;
    nb_pool_free(job->pool);
    json_decref(job->result);
    free(job->json);
    nb_text_release(&job->text);
    nb_arena_release(&job->arena);
    free(job);
}

NbStatus nb_job_set(NbJob *job, const char *key, const char *value, NbError *err) {
    return nb_job_set_from(job, key, value, NB_FROM_CALLER, err);
}

static NbStatus run_verb(NbJob *job, NbError *err) {
    if (nb_job_has(job, NB_OPT_settings))
        NB_TRY(nb_job_read_settings(job, nb_job_str(job, NB_OPT_settings), err));
    NB_TRY(nb_job_resolve_cfg(job, err));
    NB_TRY(nb_job_check_settings(job, err));
    nb_job_put(job, "schema", json_integer(1));
    nb_job_put(job, "verb", json_string(job->verb->info.name));
    return job->verb->run(job, err);
}

NbStatus nb_job_run(NbJob *job, const NbJobHooks *hooks, NbError *err) {
    if (hooks)
        job->hooks = *hooks;
    const NbStatus status = run_verb(job, err);
    free(job->json);
    job->json = json_dumps(job->result, JSON_REAL_PRECISION(17));
    if (status == NB_OK && (!job->json || job->text.failed))
        return nb_fail_memory(err, "the result");
    return status;
}

void nb_job_stop(NbJob *job) { atomic_store(&job->stop, true); }

bool nb_job_stopped(const NbJob *job) { return atomic_load(&job->stop); }

const char *nb_job_json(const NbJob *job) { return job->json ? job->json : "{}"; }

const char *nb_job_text(const NbJob *job) { return job->text.data ? job->text.data : ""; }

NbStatus nb_job_pool(NbJob *job, NbPool **out, NbError *err) {
    if (!job->pool) {
        int threads = nb_job_int(job, NB_OPT_threads, 0);
        const char *const device = nb_job_str(job, NB_OPT_device);
        int64_t of_device = 0;
        if (strncmp(device, "cpu:", 4) == 0 && nb_parse_i64(device + 4, &of_device))
            threads = threads ? threads : (int)of_device;
        else if (strcmp(device, "cpu") != 0)
            return nb_fail(NB_ERR_UNSUPPORTED, err,
                           "device: expected cpu or cpu:N, found '%s' (not in this build)", device);
        NB_TRY(nb_pool_new(threads, &job->pool, err));
    }
    *out = job->pool;
    return NB_OK;
}

int nb_job_workers(const NbJob *job) {
    const int threads = nb_pool_threads(job->pool);
    const int workers = nb_job_int(job, NB_OPT_workers, threads);
    return workers < 0 ? 0 : workers > 64 ? 64 : workers;
}

void nb_job_say(NbJob *job, const char *format, ...) {
    if (!job->hooks.on_message)
        return;
    char text[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    job->hooks.on_message(job->hooks.user, text);
}

void nb_job_put(NbJob *job, const char *key, json_t *value) {
    if (json_object_set_new(job->result, key, value) != 0)
        job->text.failed = true;
}

void nb_job_print(NbJob *job, const char *format, ...) {
    char text[4096];
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n > 0)
        nb_text_put(&job->text, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}
