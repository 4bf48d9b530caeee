/* SPDX-License-Identifier: Apache-2.0
 *
 * The verb "import": what it writes is read again, what it says is promised. */
#include "base/file.h"
#include "model/checkpoint.h"
#include "nibble/job.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char model_path[64];
static char out_path[64];

/* The small saved module of the corpus, under a name that ends in .pt. */
static int make_model(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    NbBytes bytes = {0};
    (void)snprintf(model_path, sizeof model_path, "/tmp/nb_test_%d.pt", (int)getpid());
    (void)snprintf(out_path, sizeof out_path, "/tmp/nb_test_%d.safetensors", (int)getpid());
    const bool good =
        nb_file_read("tests/fuzz/corpus/pt/module", 0, &arena, &bytes, &err) == NB_OK &&
        nb_file_write(model_path, bytes.data, bytes.size, &err) == NB_OK;
    nb_arena_release(&arena);
    return good ? 0 : -1;
}

static int drop_model(void **state) {
    (void)state;
    (void)unlink(model_path);
    (void)unlink(out_path);
    return 0;
}

static NbStatus import(const char *out, json_t **result, NbError *err) {
    NbJob *job = NULL;
    NbStatus status = nb_job_new("import", &job, err);
    if (status == NB_OK)
        status = nb_job_set(job, "model", model_path, err);
    if (status == NB_OK && out)
        status = nb_job_set(job, "out", out, err);
    if (status == NB_OK)
        status = nb_job_run(job, NULL, err);
    *result = status == NB_OK ? json_loads(nb_job_json(job), 0, NULL) : NULL;
    nb_job_free(job);
    return status;
}

static void it_writes_a_checkpoint(void **state) {
    (void)state;
    const char *const outs[] = {out_path, NULL}; /* NULL: beside the model, under its name */
    for (size_t i = 0; i < sizeof outs / sizeof *outs; i++) {
        NbError err = {0};
        NbModel m;
        json_t *result = NULL;
        (void)unlink(out_path);
        if (import(outs[i], &result, &err) != NB_OK)
            fail_msg("%s", err.message);
        assert_string_equal(json_string_value(json_object_get(result, "out")), out_path);
        assert_int_equal(json_integer_value(json_object_get(result, "params")),
                         216 + 2 * 8 + 96 + 12);
        const json_t *const skipped = json_object_get(result, "skipped");
        assert_int_equal(json_array_size(skipped), 1);
        assert_string_equal(json_string_value(json_array_get(skipped, 0)),
                            "model.0.bn.num_batches_tracked");
        json_decref(result);
        assert_int_equal(nb_model_read(out_path, NULL, 0, &m, &err), NB_OK);
        assert_string_equal(m.names[0], "face");
        nb_model_release(&m);
    }
}

static void another_suffix_is_refused(void **state) {
    (void)state;
    NbError err = {0};
    json_t *result = NULL;
    assert_int_equal(import("/tmp/x.onnx", &result, &err), NB_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "ends in .safetensors, found '/tmp/x.onnx'"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_writes_a_checkpoint),
        cmocka_unit_test(another_suffix_is_refused),
    };
    return cmocka_run_group_tests(tests, make_model, drop_model);
}
