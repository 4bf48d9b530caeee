/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of a job: settings by name, where messages go, and the result as it is built. Verbs (one
 * file each in verbs/) see this header. */
#ifndef NB_API_JOB_H
#define NB_API_JOB_H

#include "base/arena.h"
#include "base/parallel.h"
#include "base/status.h"
#include "base/text.h"
#include "nibble/job.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>

/* Where a value comes from; later wins. */
typedef enum NbOrigin {
    NB_FROM_DEFAULT,
    NB_FROM_MODEL,    /* checkpoint of the model, or of the run that is resumed */
    NB_FROM_SETTINGS, /* settings= file */
    NB_FROM_CALLER,   /* nb_job_set */
} NbOrigin;

typedef enum NbOptionId {
#define NB_OPTION(name, type, standard, aliases, help) NB_OPT_##name,
#include "api/options.def"
#undef NB_OPTION
    NB_OPTION_COUNT
} NbOptionId;

typedef struct NbSetting {
    const char *text;
    NbOrigin origin;
} NbSetting;

typedef struct NbVerb {
    NbVerbInfo info;
    NbStatus (*run)(NbJob *job, NbError *err);
} NbVerb;

struct NbJob {
    NbArena arena;
    const NbVerb *verb;
    NbSetting setting[NB_OPTION_COUNT];
    json_t *result;
    char *json;  /* result as text */
    NbText text; /* result for people */
    NbJobHooks hooks;
    atomic_bool stop;
    NbPool *pool; /* made by nb_job_pool */
};

/* ---- settings ---- */

/* NB_FROM_... of a value; NB_ERR_ARGUMENT with the nearest names when there is no such key. */
NB_FALLIBLE nb_job_set_from(NbJob *job, const char *key, const char *value, NbOrigin origin,
                            NbError *err);
/* settings_file.c: every key of the YAML becomes a setting. Also takes the files of the peers:
 * keys of theirs that change nothing here are passed over (and said), lists become text. */
NB_FALLIBLE nb_job_read_settings(NbJob *job, const char *path, NbError *err);
/* cfg=: a model, or settings. */
NB_FALLIBLE nb_job_resolve_cfg(NbJob *job, NbError *err);
/* {"epochs": "80", ...} of every setting that is not a default, and back. */
NB_FALLIBLE nb_job_settings_json(const NbJob *job, json_t **out, NbError *err);
NB_FALLIBLE nb_job_settings_from_json(NbJob *job, const json_t *settings, NbOrigin origin,
                                      NbError *err);

/* Says which value is out of range; types were checked when values were set. */
NB_FALLIBLE nb_job_check_settings(const NbJob *job, NbError *err);

/* Values were checked when they were set; a key whose text is "" has none. */
bool nb_job_has(const NbJob *job, NbOptionId id);
const char *nb_job_str(const NbJob *job, NbOptionId id);
int nb_job_int(const NbJob *job, NbOptionId id, int otherwise);
double nb_job_real(const NbJob *job, NbOptionId id, double otherwise);
bool nb_job_bool(const NbJob *job, NbOptionId id, bool otherwise);
/* The value, or an error that says what is missing and gives the verb's example. */
NB_FALLIBLE nb_job_need(const NbJob *job, NbOptionId id, const char **out, NbError *err);
extern const char *const nb_option_names[NB_OPTION_COUNT];

typedef enum NbCacheKind { NB_CACHE_NONE, NB_CACHE_RAM, NB_CACHE_DISK } NbCacheKind;
NbCacheKind nb_job_cache(const NbJob *job);
size_t nb_job_cache_limit(const NbJob *job); /* bytes of cache=ram; 0 with the others */

/* ---- while running ---- */

NB_FALLIBLE nb_job_pool(NbJob *job, NbPool **out, NbError *err);
int nb_job_workers(const NbJob *job);
void nb_job_say(NbJob *job, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool nb_job_stopped(const NbJob *job);

/* ---- result; a failed allocation shows at the end of the run ---- */

void nb_job_put(NbJob *job, const char *key, json_t *value); /* takes the reference */
void nb_job_print(NbJob *job, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The table of verbs. */
extern const NbVerb *const nb_verb_table[];
extern const size_t nb_verb_count;

#endif
