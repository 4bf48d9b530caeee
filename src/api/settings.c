/* SPDX-License-Identifier: Apache-2.0 */
#include "api/job.h"

#include "base/text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef enum OptionType { INT, REAL, BOOL, TEXT } OptionType;

static const OptionType types[] = {
#define NB_OPTION(name, type, standard, aliases, help) type,
#include "api/options.def"
#undef NB_OPTION
};

const char *const nb_option_names[NB_OPTION_COUNT] = {
#define NB_OPTION(name, type, standard, aliases, help) #name,
#include "api/options.def"
#undef NB_OPTION
};

static const char *const expected[] = {
    [INT] = "a whole number", [REAL] = "a number", [BOOL] = "1 or 0 (yes, no)", [TEXT] = "text"};

#define TYPE_NAME_INT "int"
#define TYPE_NAME_REAL "real"
#define TYPE_NAME_BOOL "bool"
#define TYPE_NAME_TEXT "text"

static const NbOptionInfo infos[] = {
#define NB_OPTION(name, type, standard, aliases, help)                                             \
    {#name, aliases, TYPE_NAME_##type, standard, help},
#include "api/options.def"
#undef NB_OPTION
};

size_t nb_option_list(const NbOptionInfo **out) {
    *out = infos;
    return NB_OPTION_COUNT;
}

static int find_option(const char *key) {
    for (int i = 0; i < NB_OPTION_COUNT; i++)
        if (strcmp(nb_option_names[i], key) == 0 || nb_has_word(infos[i].aliases, key))
            return i;
    return -1;
}

static bool parse_bool(const char *text, bool *out) {
    static const char *const yes[] = {"1", "true", "yes", "on", "1.0"};
    static const char *const no[] = {"0", "false", "no", "off", "0.0"};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
            *out = strcasecmp(text, yes[i]) == 0;
            return true;
        }
    }
    return false;
}

static bool fits_type(OptionType type, const char *text) {
    int64_t i;
    double d;
    bool b;
    switch (type) {
    case INT: return nb_parse_i64(text, &i) && i >= INT32_MIN && i <= INT32_MAX;
    case REAL: return nb_parse_double(text, &d);
    case BOOL: return parse_bool(text, &b);
    case TEXT: return true;
    }
    return false;
}

NbStatus nb_job_set_from(NbJob *job, const char *key, const char *value, NbOrigin origin,
                         NbError *err) {
    char name[64];
    size_t n = 0;
    for (; key[n] && n + 1 < sizeof name; n++)
        name[n] = key[n] == '-' ? '_' : key[n];
    name[n] = '\0';
    const int id = find_option(name);
    if (id < 0) {
        char near[160];
        nb_nearest_names(name, nb_option_names, NB_OPTION_COUNT, near, sizeof near);
        return nb_fail(NB_ERR_ARGUMENT, err, "unknown key '%s'%s%s%s", key,
                       *near ? ", did you mean " : "", near, *near ? "?" : "");
    }
    if (*value && !fits_type(types[id], value))
        return nb_fail(NB_ERR_ARGUMENT, err, "%s: expected %s, found '%s'", nb_option_names[id],
                       expected[types[id]], value);
    if (origin < job->setting[id].origin)
        return NB_OK;
    const char *const copy = nb_arena_string(&job->arena, value);
    if (!copy)
        return nb_fail_memory(err, "a setting");
    job->setting[id] = (NbSetting){.text = copy, .origin = origin};
    return NB_OK;
}

typedef struct Limits {
    NbOptionId id;
    double lo, hi;
} Limits;

/* Of what a training run computes, NbHyper checks the rest. */
static const Limits limits[] = {
    {NB_OPT_workers, 0, 64},
    {NB_OPT_cache_mb, 0, 1 << 20},
    {NB_OPT_conf, 0, 1},
    {NB_OPT_iou, 0, 1},
    {NB_OPT_max_det, 1, 100000},
    {NB_OPT_line_width, 0, 100},
    {NB_OPT_images_limit, 0, INT32_MAX},
    {NB_OPT_save_minutes, 0, 1e6},
    {NB_OPT_fraction, 1e-9, 1},
    {NB_OPT_calib_limit, 0, INT32_MAX},
    {NB_OPT_percentile, 50, 100},
    {NB_OPT_passes, 0, 10000},
    {NB_OPT_pixels, 1, 4096},
    {NB_OPT_patience, 0, INT32_MAX},
    {NB_OPT_close_mosaic, 0, INT32_MAX},
};

typedef struct Choice {
    NbOptionId id;
    const char *words;   /* separated by blanks */
    const char *further; /* the same; other spellings, which messages leave out */
} Choice;

static const Choice choices[] = {
    {NB_OPT_cache, "ram disk 0", "none 1 true false True False"},
    {NB_OPT_progress, "auto bar line off", ""},
    {NB_OPT_o2o, "sum weighted", ""},
    {NB_OPT_round, "gptq nearest", ""},
};

/* batch=-1 is for those who train. */
static NbStatus check_batch(const NbJob *job, NbError *err) {
    const int batch = nb_job_int(job, NB_OPT_batch, 1);
    const bool from_memory = batch == -1 && strcmp(job->verb->info.name, "train") == 0;
    if ((batch >= 1 && batch <= 4096) || from_memory)
        return NB_OK;
    return nb_fail(NB_ERR_ARGUMENT, err, "batch: expected 1 to 4096%s, found %d",
                   batch == -1 ? "" : " (train: or -1)", batch);
}

NbStatus nb_job_check_settings(const NbJob *job, NbError *err) {
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        const Limits *const l = &limits[i];
        const double value = nb_job_real(job, l->id, l->lo);
        if (value < l->lo || value > l->hi)
            return nb_fail(NB_ERR_ARGUMENT, err, "%s: expected %.9g to %.9g, found %s",
                           nb_option_names[l->id], l->lo, l->hi, nb_job_str(job, l->id));
    }
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        const Choice *const c = &choices[i];
        const char *const found = nb_job_str(job, c->id);
        if (!nb_has_word(c->words, found) && !nb_has_word(c->further, found))
            return nb_fail(NB_ERR_ARGUMENT, err, "%s: expected one of %s, found '%s'",
                           nb_option_names[c->id], c->words, found);
    }
    return check_batch(job, err);
}

NbCacheKind nb_job_cache(const NbJob *job) {
    const char *const text = nb_job_str(job, NB_OPT_cache);
    bool on = true;
    if (strcmp(text, "disk") == 0)
        return NB_CACHE_DISK;
    return strcmp(text, "none") == 0 || (parse_bool(text, &on) && !on) ? NB_CACHE_NONE
                                                                       : NB_CACHE_RAM;
}

size_t nb_job_cache_limit(const NbJob *job) {
    return nb_job_cache(job) == NB_CACHE_RAM ? (size_t)nb_job_int(job, NB_OPT_cache_mb, 1024) << 20
                                             : 0;
}

NbStatus nb_job_settings_json(const NbJob *job, json_t **out, NbError *err) {
    *out = json_object();
    for (int i = 0; i < NB_OPTION_COUNT; i++) {
        const NbSetting *const s = &job->setting[i];
        if (s->origin != NB_FROM_DEFAULT &&
            json_object_set_new(*out, nb_option_names[i], json_string(s->text)) != 0) {
            json_decref(*out);
            *out = NULL;
            return nb_fail(NB_ERR_ARGUMENT, err, "%s: not UTF-8", nb_option_names[i]);
        }
    }
    return *out ? NB_OK : nb_fail_memory(err, "settings");
}

NbStatus nb_job_settings_from_json(NbJob *job, const json_t *settings, NbOrigin origin,
                                   NbError *err) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)settings, key, value) {
        if (!json_is_string(value))
            return nb_fail(NB_ERR_FORMAT, err, "setting %s: expected text", key);
        NB_TRY(nb_job_set_from(job, key, json_string_value(value), origin, err));
    }
    return NB_OK;
}

bool nb_job_has(const NbJob *job, NbOptionId id) { return *nb_job_str(job, id) != '\0'; }

const char *nb_job_str(const NbJob *job, NbOptionId id) {
    const char *const text = job->setting[id].text;
    return text ? text : infos[id].standard;
}

int nb_job_int(const NbJob *job, NbOptionId id, int otherwise) {
    int64_t value = otherwise;
    (void)(nb_job_has(job, id) && nb_parse_i64(nb_job_str(job, id), &value));
    return (int)value;
}

double nb_job_real(const NbJob *job, NbOptionId id, double otherwise) {
    double value = otherwise;
    (void)(nb_job_has(job, id) && nb_parse_double(nb_job_str(job, id), &value));
    return value;
}

bool nb_job_bool(const NbJob *job, NbOptionId id, bool otherwise) {
    bool value = otherwise;
    (void)(nb_job_has(job, id) && parse_bool(nb_job_str(job, id), &value));
    return value;
}

NbStatus nb_job_need(const NbJob *job, NbOptionId id, const char **out, NbError *err) {
    *out = nb_job_str(job, id);
    if (**out)
        return NB_OK;
    return nb_fail(NB_ERR_ARGUMENT, err, "%s needs %s=; for example: %s", job->verb->info.name,
                   nb_option_names[id], job->verb->info.example);
}
