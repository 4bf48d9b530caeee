/* SPDX-License-Identifier: Apache-2.0 */
#include "api/load_report.h"

#include <string.h>

static json_t *list_of(const char *const *text, int n) {
    json_t *const list = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(list, json_string(text[i]));
    return list;
}

void nb_job_put_load(NbJob *job, const NbLoadReport *r) {
    json_t *const skipped = list_of(r->extra, r->n_extra);
    for (int i = 0; i < r->n_mismatched; i++) {
        const char *const colon = strchr(r->mismatched[i], ':');
        const size_t n = colon ? (size_t)(colon - r->mismatched[i]) : strlen(r->mismatched[i]);
        json_array_append_new(skipped, json_stringn(r->mismatched[i], n));
    }
    nb_job_put(job, "loaded", json_integer(r->loaded));
    nb_job_put(job, "skipped", skipped);
    nb_job_put(job, "reshaped", list_of(r->mismatched, r->n_mismatched));
    nb_job_put(job, "fresh", list_of(r->missing, r->n_missing));
}

/* Batch counters of norms: nothing here uses them, nobody misses them. */
static bool is_counter(const char *name) {
    static const char tail[] = ".num_batches_tracked";
    const size_t n = strlen(name);
    return n >= sizeof tail - 1 && strcmp(name + n - (sizeof tail - 1), tail) == 0;
}

void nb_job_say_load(NbJob *job, const char *path, const NbLoadReport *r) {
    NbLoadReport rest = *r;
    rest.extra = NB_NEW(&job->arena, const char *, (size_t)r->n_extra);
    rest.n_extra = 0;
    for (int i = 0; rest.extra && i < r->n_extra; i++)
        if (!is_counter(r->extra[i]))
            rest.extra[rest.n_extra++] = r->extra[i];
    if (rest.n_extra + rest.n_missing + rest.n_mismatched == 0)
        return;
    const char *const text = nb_load_report_text(&rest, &job->arena);
    nb_job_say(job, "%s: %s", path, text ? text : "");
}
