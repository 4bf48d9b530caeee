/* SPDX-License-Identifier: Apache-2.0 */
#include "api/run_log.h"

#include "base/clock.h"
#include "base/cpu.h"
#include "base/file.h"
#include "format/yaml.h"

#include <stdlib.h>
#include <string.h>

NbStatus nb_run_log_open(NbRunLog *log, NbJob *job, const char *folder, NbError *err) {
    *log = (NbRunLog){.job = job, .folder = folder};
    log->events = nb_path_join(&job->arena, folder, "events.jsonl");
    log->text = nb_path_join(&job->arena, folder, "train.log");
    return log->events && log->text ? NB_OK : nb_fail_memory(err, folder);
}

static void append(NbRunLog *log, const char *path, const char *line) {
    if (log->status == NB_OK)
        log->status = nb_file_append(path, line, strlen(line), &log->error);
}

void nb_run_log_event(NbRunLog *log, const char *event, json_t *object) {
    json_t *const line =
        json_pack("{s:i, s:f, s:s}", "schema", 1, "t", nb_clock_unix(), "ev", event);
    char *text = NULL;
    if (line && object && json_object_update(line, object) == 0)
        text = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(15));
    if (text && log->job->hooks.on_event)
        log->job->hooks.on_event(log->job->hooks.user, text);
    char *const ended = text ? nb_arena_printf(&log->job->arena, "%s\n", text) : NULL;
    if (ended)
        append(log, log->events, ended);
    free(text);
    json_decref(line);
    json_decref(object);
}

void nb_run_log_line(NbRunLog *log, const char *text) {
    char *const ended = nb_arena_printf(&log->job->arena, "%s\n", text);
    if (ended)
        append(log, log->text, ended);
    nb_job_say(log->job, "%s", text);
}

/* A scalar that YAML reads back as this text. */
static void put_scalar(NbText *t, const char *value) {
    nb_text_put(t, "'", 1);
    for (; *value; value++) {
        nb_text_put(t, value, 1);
        if (*value == '\'')
            nb_text_put(t, value, 1);
    }
    nb_text_put(t, "'", 1);
}

NbStatus nb_read_args(NbJob *job, const char *folder, const char *const *keys, size_t n,
                      NbError *err) {
    NbBytes bytes;
    const NbYaml *root = NULL;
    char *const path = nb_path_join(&job->arena, folder, "args.yaml");
    if (!path)
        return nb_fail_memory(err, "a path");
    if (!nb_path_exists(path))
        return NB_OK;
    NB_TRY(nb_file_read(path, 1U << 20, &job->arena, &bytes, err));
    NB_TRY(nb_yaml_parse(path, bytes, &job->arena, &root, err));
    for (int i = 0; root->kind == NB_YAML_MAP && i < root->count; i++) {
        const NbYaml *const value = root->item[i];
        for (size_t k = 0; k < n; k++)
            if (strcmp(root->key[i]->text, keys[k]) == 0 && value->kind == NB_YAML_SCALAR &&
                *value->text)
                NB_TRY_IN(nb_job_set_from(job, keys[k], value->text, NB_FROM_MODEL, err), err, "%s",
                          path);
    }
    return NB_OK;
}

NbStatus nb_write_args(const NbJob *job, const char *folder, NbError *err) {
    NbArena arena = {0};
    NbText t = {0};
    char *const path = nb_path_join(&arena, folder, "args.yaml");
    nb_text_printf(&t, "# nibble %s, %s, %d threads\n", nb_version(), nb_isa_name(nb_isa_detect()),
                   nb_pool_threads(job->pool));
    for (int i = 0; i < NB_OPTION_COUNT; i++) {
        nb_text_printf(&t, "%s: ", nb_option_names[i]);
        put_scalar(&t, nb_job_str(job, (NbOptionId)i));
        nb_text_put(&t, "\n", 1);
    }
    NbStatus status = path && !t.failed ? NB_OK : nb_fail_memory(err, "args.yaml");
    if (status == NB_OK)
        status = nb_file_write(path, t.data, t.size, err);
    nb_text_release(&t);
    nb_arena_release(&arena);
    return status;
}
