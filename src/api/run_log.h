/* SPDX-License-Identifier: Apache-2.0
 *
 * What a run says while it goes: events.jsonl (one JSON object a line) and train.log in its folder,
 * and the caller's hooks. */
#ifndef NB_API_RUN_LOG_H
#define NB_API_RUN_LOG_H

#include "api/job.h"

typedef struct NbRunLog {
    NbJob *job;
    const char *folder;
    char *events;    /* path */
    char *text;      /* path */
    NbStatus status; /* the first failure to write; what follows is not tried */
    NbError error;
} NbRunLog;

NB_FALLIBLE nb_run_log_open(NbRunLog *log, NbJob *job, const char *folder, NbError *err);

/* Takes the object; "schema", "t" (Unix time) and "ev" are added in front. */
void nb_run_log_event(NbRunLog *log, const char *event, json_t *object);
void nb_run_log_line(NbRunLog *log, const char *text);

/* args.yaml: every setting with its value, and what ran it. */
NB_FALLIBLE nb_write_args(const NbJob *job, const char *folder, NbError *err);

/* Takes these keys of an args.yaml into settings that nobody has given; no such file is fine. */
NB_FALLIBLE nb_read_args(NbJob *job, const char *folder, const char *const *keys, size_t n,
                         NbError *err);

#endif
