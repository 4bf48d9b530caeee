/* SPDX-License-Identifier: Apache-2.0 */
#include "api/common.h"
#include "api/verbs/verbs.h"

#include "model/zoo.h"

#include <string.h>

static NbStatus list_models(NbJob *job) {
    json_t *const models = json_array();
    int n = 0;
    const NbZooFile *const files = nb_zoo(&n);
    for (int i = 0; i < n; i++) {
        const char *const scales = nb_zoo_scales(&files[i], &job->arena);
        json_array_append_new(models, json_string(files[i].name));
        nb_job_print(job, "%s%s%s%s\n", files[i].name, scales && *scales ? " (scales " : "",
                     scales ? scales : "", scales && *scales ? ")" : "");
    }
    nb_job_put(job, "models", models);
    return NB_OK;
}

static NbStatus list_settings(NbJob *job) {
    static const char *const origins[] = {"default", "checkpoint", "settings file", "command line"};
    json_t *const settings = json_object();
    for (int i = 0; i < NB_OPTION_COUNT; i++) {
        const char *const value = nb_job_str(job, (NbOptionId)i);
        const char *const origin = origins[job->setting[i].origin];
        json_object_set_new(settings, nb_option_names[i],
                            json_pack("{s:s, s:s}", "value", value, "origin", origin));
        nb_job_print(job, "%-18s %-24s %s\n", nb_option_names[i], *value ? value : "-", origin);
    }
    nb_job_put(job, "settings", settings);
    return NB_OK;
}

static NbStatus run(NbJob *job, NbError *err) {
    const char *const action = nb_job_str(job, NB_OPT_action);
    if (strcmp(action, "models") == 0)
        return list_models(job);
    if (!*action || strcmp(action, "settings") == 0)
        return list_settings(job);
    return nb_fail(NB_ERR_ARGUMENT, err, "action: expected models or settings, found '%s'", action);
}

const NbVerb nb_verb_cfg = {
    .info = {.name = "cfg",
             .aliases = "copy-cfg",
             .help = "lists settings with their origin, or the built-in models",
             .example = "nibble cfg models",
             .keys = "action settings json progress verbose"},
    .run = run};
