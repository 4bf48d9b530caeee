/* SPDX-License-Identifier: Apache-2.0
 *
 * Everything the program `nibble` does, as a library: a job is a verb with settings; running it
 * gives one JSON object and the same as text. The program itself is a thin user of this header.
 *
 *     NbJob *job;
 *     NbError err = {0};
 *     if (nb_job_new("val", &job, &err) == NB_OK && nb_job_set(job, "model", "best.safetensors",
 * &err) == NB_OK && nb_job_set(job, "data", "data.yaml", &err) == NB_OK && nb_job_run(job, NULL,
 * &err) == NB_OK) puts(nb_job_json(job)); nb_job_free(job);
 *
 * A job belongs to one thread, except for nb_job_stop. Nothing is printed and no state is global.
 */
#ifndef NIBBLE_JOB_H
#define NIBBLE_JOB_H

#include "nibble/status.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct NbJob NbJob;

typedef struct NbJobProgress {
    const char *what; /* "epoch 3/80", ... */
    long done, total;
    double per_second;   /* units (pictures) a second; 0: unknown */
    double seconds_left; /* 0: unknown */
    const char *detail;  /* losses and the like; may be "" */
} NbJobProgress;

/* All may be NULL. Called on the thread that runs the job. */
typedef struct NbJobHooks {
    void *user;
    void (*on_message)(void *user, const char *text);
    void (*on_progress)(void *user, const NbJobProgress *progress);
    void (*on_event)(void *user, const char *json_line); /* what events.jsonl gets */
} NbJobHooks;

/* NB_ERR_ARGUMENT: no such verb (names the nearest); NB_ERR_UNSUPPORTED: not in this build. */
NB_API NbStatus nb_job_new(const char *verb, NbJob **out, NbError *err);
NB_API void nb_job_free(NbJob *job); /* NULL is allowed */

/* Sets a key by any of its spellings. The value is checked against the key's type. */
NB_API NbStatus nb_job_set(NbJob *job, const char *key, const char *value, NbError *err);

NB_API NbStatus nb_job_run(NbJob *job, const NbJobHooks *hooks, NbError *err);

/* From any thread or signal handler: finish what must not be half done, save, return
 * NB_ERR_STOPPED. */
NB_API void nb_job_stop(NbJob *job);

/* After a run (also one that failed a check): one JSON object; the same for people. Owned by the
 * job. */
NB_API const char *nb_job_json(const NbJob *job);
NB_API const char *nb_job_text(const NbJob *job);

/* ---- what there is, for help, completion and manuals ---- */

typedef struct NbOptionInfo {
    const char *name;
    const char *aliases;  /* other spellings, separated by blanks */
    const char *type;     /* "int", "real", "bool", "text" */
    const char *standard; /* default, as text; "": none, or it depends */
    const char *help;
} NbOptionInfo;

typedef struct NbVerbInfo {
    const char *name;
    const char *aliases;
    const char *help;    /* one line */
    const char *example; /* a command line that works */
    const char *keys;    /* names of its options, separated by blanks */
} NbVerbInfo;

NB_API size_t nb_option_list(const NbOptionInfo **out);
NB_API const NbVerbInfo *nb_verb_get(size_t i); /* NULL: no more */

#ifdef __cplusplus
}
#endif
#endif
