/* SPDX-License-Identifier: Apache-2.0
 *
 * Jobs as a library: tables that fit together, settings and who wins, hooks, stopping. */
#include "nibble/job.h"

#include "support/scratch.h"
#include "train/tiny.h"

#include <jansson.h>
#include <stdio.h>

static void must_run(NbStatus status, const NbError *err) {
    if (status != NB_OK)
        fail_msg("status %d: %s", (int)status, err->message);
}

static NbJob *job_new(const char *verb) {
    NbError err = {0};
    NbJob *job = NULL;
    must_run(nb_job_new(verb, &job, &err), &err);
    return job;
}

static void set(NbJob *job, const char *key, const char *value) {
    NbError err = {0};
    must_run(nb_job_set(job, key, value, &err), &err);
}

/* How often `word` is a word of the blank-separated list. */
static int count_word(const char *list, const char *word) {
    int n = 0;
    const size_t size = strlen(word);
    while (*list) {
        const size_t here = strcspn(list, " ");
        n += here == size && strncmp(list, word, size) == 0;
        list += here + (list[here] == ' ');
    }
    return n;
}

static void tables_fit_together(void **unused) {
    (void)unused;
    const NbOptionInfo *option;
    const size_t n = nb_option_list(&option);
    const NbVerbInfo *verb;
    for (size_t i = 0; i < n; i++) {
        assert_true(*option[i].help);
        int names = 0;
        for (size_t k = 0; k < n; k++)
            names += (strcmp(option[k].name, option[i].name) == 0) +
                     count_word(option[k].aliases, option[i].name);
        if (names != 1)
            fail_msg("option %s is there %d times", option[i].name, names);
    }
    for (size_t v = 0; (verb = nb_verb_get(v)); v++) {
        char start[64];
        (void)snprintf(start, sizeof start, "nibble %s", verb->name);
        assert_int_equal(strncmp(verb->example, start, strlen(start)), 0);
        assert_true(*verb->help);
        char keys[4096];
        (void)snprintf(keys, sizeof keys, "%s", verb->keys);
        char *rest = NULL;
        for (char *key = strtok_r(keys, " ", &rest); key; key = strtok_r(NULL, " ", &rest)) {
            int found = 0;
            for (size_t i = 0; i < n; i++)
                found += strcmp(option[i].name, key) == 0;
            if (found != 1 || count_word(verb->keys, key) != 1)
                fail_msg("verb %s: key %s", verb->name, key);
        }
    }
}

/* A verb without any setting says what it needs or does something; it never breaks. */
static void bare_verbs_answer(void **unused) {
    (void)unused;
    const NbVerbInfo *verb;
    for (size_t v = 0; (verb = nb_verb_get(v)); v++) {
        NbError err = {0};
        if (strcmp(verb->name, "demo") == 0)
            continue;
        NbJob *const job = job_new(verb->name);
        const NbStatus status = nb_job_run(job, NULL, &err);
        if (status != NB_OK && (status != NB_ERR_ARGUMENT || !*err.message))
            fail_msg("%s: status %d: %s", verb->name, (int)status, err.message);
        json_t *const answer = json_loads(nb_job_json(job), JSON_REJECT_DUPLICATES, NULL);
        assert_true(json_is_object(answer));
        json_decref(answer);
        nb_job_free(job);
    }
}

static void verbs_have_names(void **unused) {
    (void)unused;
    static const struct {
        const char *verb;
        NbStatus status;
        const char *says;
    } rows[] = {{"predict", NB_OK, ""},
                {"detect", NB_OK, ""},
                {"trian", NB_ERR_ARGUMENT, "did you mean 'train'?"},
                {"", NB_ERR_ARGUMENT, "unknown command ''"},
                {"serve", NB_ERR_UNSUPPORTED, "not in this build"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbError err = {0};
        NbJob *job = NULL;
        assert_int_equal(nb_job_new(rows[i].verb, &job, &err), rows[i].status);
        assert_non_null(strstr(err.message, rows[i].says));
        assert_true((job != NULL) == (rows[i].status == NB_OK));
        nb_job_free(job);
    }
}

/* The value of a setting as cfg shows it. */
static void expect_setting(NbJob *job, const char *key, const char *value, const char *origin) {
    NbError err = {0};
    must_run(nb_job_run(job, NULL, &err), &err);
    json_t *const answer = json_loads(nb_job_json(job), 0, NULL);
    const json_t *const setting = json_object_get(json_object_get(answer, "settings"), key);
    assert_string_equal(json_string_value(json_object_get(setting, "value")), value);
    assert_string_equal(json_string_value(json_object_get(setting, "origin")), origin);
    json_decref(answer);
}

static void settings_have_an_order(void **unused) {
    (void)unused;
    Scratch s = scratch_new();
    NbError err = {0};
    const char *const file = scratch_path(&s, "settings.yaml");
    must_run(nb_file_write(file, "epochs: 7\nlr0: 0.5\n", 19, &err), &err);
    NbJob *const job = job_new("cfg");
    expect_setting(job, "epochs", "100", "default");
    set(job, "settings", file);
    expect_setting(job, "epochs", "7", "settings file");
    set(job, "batch-size", "3"); /* an alias, with a dash */
    expect_setting(job, "batch", "3", "command line");
    set(job, "epochs", "8");
    set(job, "epochs", "9");
    expect_setting(job, "epochs", "9", "command line");
    expect_setting(job, "lr0", "0.5", "settings file");
    static const char *const wrong[][2] = {
        {"epochs", "x"}, {"epochs", "1.5"}, {"lr0", "inf"}, {"cos_lr", "2"}, {"nosuch", "1"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(nb_job_set(job, wrong[i][0], wrong[i][1], &err), NB_ERR_ARGUMENT);
    expect_setting(job, "epochs", "9", "command line");
    nb_job_free(job);
    scratch_free(&s);
}

typedef struct Seen {
    NbJob *job;
    int messages, progress, events, epochs;
    bool stop;
} Seen;

static void on_message(void *user, const char *text) {
    assert_true(*text);
    ((Seen *)user)->messages++;
}

static void on_progress(void *user, const NbJobProgress *p) {
    assert_true(p->done >= 1 && p->done <= p->total);
    ((Seen *)user)->progress++;
}

static void on_event(void *user, const char *line) {
    Seen *const seen = user;
    json_t *const event = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    assert_int_equal(json_integer_value(json_object_get(event, "schema")), 1);
    const char *const name = json_string_value(json_object_get(event, "ev"));
    assert_non_null(name);
    seen->events++;
    if (strcmp(name, "epoch") == 0 && ++seen->epochs == 2 && seen->stop)
        nb_job_stop(seen->job);
    json_decref(event);
}

static NbStatus train(Scratch *s, const char *name, bool stop, Seen *seen, NbError *err) {
    NbJob *const job = job_new("train");
    const struct {
        const char *key, *value;
    } keys[] = {{"model", scratch_path(s, "tiny.yaml")},
                {"data", scratch_path(s, "data/data.yaml")},
                {"project", s->folder},
                {"name", name},
                {"epochs", "4"},
                {"imgsz", "32"},
                {"batch", "4"},
                {"plots", "0"},
                {"threads", "1"}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        set(job, keys[i].key, keys[i].value);
    *seen = (Seen){.job = job, .stop = stop};
    const NbJobHooks hooks = {
        .user = seen, .on_message = on_message, .on_progress = on_progress, .on_event = on_event};
    const NbStatus status = nb_job_run(job, &hooks, err);
    nb_job_free(job);
    return status;
}

static void draw_data(Scratch *s) {
    NbError err = {0};
    NbJob *const job = job_new("data");
    set(job, "action", "synth");
    set(job, "out", scratch_path(s, "data"));
    set(job, "train_images", "8");
    set(job, "val_images", "4");
    set(job, "imgsz", "32");
    must_run(nb_job_run(job, NULL, &err), &err);
    nb_job_free(job);
    must_run(nb_file_write(scratch_path(s, "tiny.yaml"), tiny_yaml, sizeof tiny_yaml - 1, &err),
             &err);
}

static void runs_report_and_stop(void **unused) {
    (void)unused;
    Scratch s = scratch_new();
    NbError err = {0};
    Seen seen;
    draw_data(&s);
    must_run(train(&s, "whole", false, &seen, &err), &err);
    assert_int_equal(seen.epochs, 4);
    assert_true(seen.messages > 4 && seen.progress >= 8 && seen.events >= 6);
    assert_int_equal(train(&s, "stopped", true, &seen, &err), NB_ERR_STOPPED);
    assert_int_equal(seen.epochs, 2);
    assert_non_null(strstr(err.message, "stopped/weights/last.safetensors continues it"));
    NbJob *const job = job_new("train");
    set(job, "resume", scratch_path(&s, "stopped"));
    must_run(nb_job_run(job, NULL, &err), &err);
    nb_job_free(job);
    const NbBytes one = scratch_read(&s, scratch_path(&s, "whole/weights/last.safetensors"));
    const NbBytes two = scratch_read(&s, scratch_path(&s, "stopped/weights/last.safetensors"));
    assert_int_equal(one.size, two.size);
    assert_memory_equal(one.data, two.data, one.size);
    scratch_free(&s);
}

static void a_stopped_validation_says_so(void **unused) {
    (void)unused;
    Scratch s = scratch_new();
    NbError err = {0};
    draw_data(&s);
    NbJob *const job = job_new("val");
    set(job, "model", scratch_path(&s, "tiny.yaml"));
    set(job, "data", scratch_path(&s, "data/data.yaml"));
    set(job, "imgsz", "32");
    set(job, "batch", "1");
    set(job, "plots", "0");
    nb_job_stop(job);
    assert_int_equal(nb_job_run(job, NULL, &err), NB_ERR_STOPPED);
    assert_string_equal(err.message, "stopped after 1 of 4 batches");
    nb_job_free(job);
    scratch_free(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_fit_together),  cmocka_unit_test(bare_verbs_answer),
        cmocka_unit_test(verbs_have_names),     cmocka_unit_test(settings_have_an_order),
        cmocka_unit_test(runs_report_and_stop), cmocka_unit_test(a_stopped_validation_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
