/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/args.h"

#include <stdio.h>
#include <string.h>

const char *nb_args_verb(int argc, char **argv, int *at) {
    *at = 1;
    /* "detect" is also an alias of predict: only in front of another word is it a task */
    if (argc > 2 && strcmp(argv[1], "detect") == 0 && argv[2][0] != '-' && !strchr(argv[2], '='))
        *at = 2;
    if (*at >= argc || argv[*at][0] == '-')
        return NULL;
    return argv[(*at)++];
}

static bool same_key(const char *name, const char *key) {
    for (; *name && *key; name++, key++)
        if (*name != (*key == '-' ? '_' : *key))
            return false;
    return !*name && !*key;
}

/* One of the blank-separated words? */
static bool is_alias(const char *words, const char *key) {
    while (*words) {
        char word[64];
        const size_t n = strcspn(words, " ");
        (void)snprintf(word, sizeof word, "%.*s", (int)n, words);
        if (same_key(word, key))
            return true;
        words += n + (words[n] == ' ');
    }
    return false;
}

static bool is_switch(const char *key) {
    const NbOptionInfo *info;
    const size_t n = nb_option_list(&info);
    for (size_t i = 0; i < n; i++)
        if (same_key(info[i].name, key) || is_alias(info[i].aliases, key))
            return strcmp(info[i].type, "bool") == 0;
    return false;
}

static bool is_switch_value(const char *text) {
    static const char *const values[] = {"0",  "1",  "true", "false", "yes",
                                         "no", "on", "off",  "True",  "False"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (strcmp(text, values[i]) == 0)
            return true;
    return false;
}

static NbStatus set_pair(NbJob *job, const char *pair, const char *equals, NbError *err) {
    char name[64];
    (void)snprintf(name, sizeof name, "%.*s", (int)(equals - pair), pair);
    return nb_job_set(job, name, equals + 1, err);
}

/* --key value, --key=value, --switch. *used: how many words it took. */
static NbStatus apply_dashed(NbJob *job, int left, char **words, int *used, NbError *err) {
    const char *const key = words[0] + (words[0][1] == '-' ? 2 : 1);
    const char *const equals = strchr(key, '=');
    *used = 1;
    if (equals)
        return set_pair(job, key, equals, err);
    const bool has_value = left > 1 && strncmp(words[1], "--", 2) != 0;
    if (is_switch(key) && !(has_value && is_switch_value(words[1])))
        return nb_job_set(job, key, "1", err);
    if (same_key("resume", key) && (!has_value || strchr(words[1], '=')))
        return nb_job_set(job, "resume", "1", err);
    if (!has_value)
        return nb_fail(NB_ERR_ARGUMENT, err, "%s: expected a value behind it", words[0]);
    *used = 2;
    return nb_job_set(job, key, words[1], err);
}

/* Not a path: "nibble data check data.yaml". */
static bool is_action(const char *word) { return !strpbrk(word, "./"); }

/* A bare word: what the verb looks at. */
static NbStatus apply_word(NbJob *job, const char *verb, const char *word, NbError *err) {
    if (strcmp(word, "resume") == 0 || is_switch(word))
        return nb_job_set(job, word, "1", err);
    if (strcmp(verb, "cfg") == 0 || (strcmp(verb, "data") == 0 && is_action(word)))
        return nb_job_set(job, "action", word, err);
    if (strcmp(verb, "data") == 0)
        return nb_job_set(job, "data", word, err);
    if (strcmp(verb, "predict") == 0)
        return nb_job_set(job, "source", word, err);
    return nb_job_set(job, "model", word, err);
}

NbStatus nb_args_apply(NbJob *job, const char *verb, int argc, char **argv, int at, bool *help,
                       NbError *err) {
    *help = false;
    while (at < argc) {
        char *const word = argv[at];
        const char *const equals = strchr(word, '=');
        int used = 1;
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
            *help = true;
        else if (word[0] == '-' && word[1])
            NB_TRY(apply_dashed(job, argc - at, argv + at, &used, err));
        else if (equals)
            NB_TRY(set_pair(job, word, equals, err));
        else
            NB_TRY(apply_word(job, verb, word, err));
        at += used;
    }
    return NB_OK;
}
