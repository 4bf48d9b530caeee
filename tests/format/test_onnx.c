/* SPDX-License-Identifier: Apache-2.0
 *
 * The ONNX reader on the small files of the fuzz corpus, made by hand (make_onnx_corpus.py). */
#include "format/onnx.h"
#include "format/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static NbStatus open_file(const char *name, NbArena *arena, NbOnnxModel *m, NbError *err) {
    char path[256];
    (void)snprintf(path, sizeof path, "tests/fuzz/corpus/onnx/%s", name);
    return nb_onnx_read_file(path, arena, m, err);
}

static void a_model_comes_in(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    NbOnnxModel m;
    assert_int_equal(open_file("conv", &arena, &m, &err), NB_OK);
    assert_int_equal(m.ir_version, 8);
    assert_int_equal(m.n_opsets, 1);
    assert_int_equal(m.opset[0].version, 17);
    assert_string_equal(nb_onnx_metadata(&m, "names"), "{0: 'a'}");
    assert_null(nb_onnx_metadata(&m, "stride"));
    assert_int_equal(m.graph.n_nodes, 1);
    const NbOnnxNode *n = &m.graph.node[0];
    assert_string_equal(n->op, "Conv");
    assert_string_equal(n->domain, "");
    assert_string_equal(n->in[1], "w");
    const NbOnnxAttr *strides = nb_onnx_attr(n, "strides");
    const NbOnnxAttr *pads = nb_onnx_attr(n, "pads"); /* packed */
    assert_int_equal(strides->n, 2);
    assert_int_equal(strides->ints[1], 1);
    assert_int_equal(pads->n, 4);
    const NbOnnxTensor *w = &m.graph.initializer[0];
    assert_int_equal(w->shape.rank, 4);
    assert_true(((const float *)w->data)[1] == -2.0F);
    assert_int_equal(m.graph.input[0].dim[0].value, -1);
    assert_string_equal(m.graph.input[0].dim[0].param, "N");
    assert_int_equal(m.graph.input[0].dim[1].value, 1);
    nb_arena_release(&arena);
}

static void typed_fields_become_dense_data(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    NbOnnxModel m;
    assert_int_equal(open_file("typed", &arena, &m, &err), NB_OK);
    const int64_t *v = m.graph.initializer[0].data;
    assert_int_equal(v[0], 1);
    assert_int_equal(v[1], -1);
    assert_int_equal(v[2], 9);
    const uint8_t *four = m.graph.initializer[1].data;
    assert_int_equal(m.graph.initializer[1].size, 2);
    assert_int_equal(four[0], 0x21);
    assert_int_equal(four[1], 3);
    assert_int_equal(open_file("strings", &arena, &m, &err), NB_OK);
    assert_int_equal(m.graph.initializer[0].string[0].size, 3);
    assert_memory_equal(m.graph.initializer[0].string[0].data, "a\0b", 4);
    assert_int_equal(open_file("annotated", &arena, &m, &err), NB_OK);
    assert_string_equal(m.graph.annotation[0].entry[0].value, "INT2");
    nb_arena_release(&arena);
}

static void damage_is_named(void **state) {
    (void)state;
    static const struct {
        const char *file;
        NbStatus status;
        const char *says;
    } rows[] = {
        {"cut", NB_ERR_FORMAT, "bytes announced"},
        {"short_raw", NB_ERR_FORMAT, "initializer 0: "},
        {"wrong_count", NB_ERR_FORMAT, "'t': 1 numbers in int64_data, 4 expected"},
        {"rank9", NB_ERR_UNSUPPORTED, "9 dimensions, at most 8 expected"},
        {"huge", NB_ERR_FORMAT, "no tensor can have the shape"},
        {"negative", NB_ERR_FORMAT, "no tensor can have the shape"},
        {"outside", NB_ERR_FORMAT, "in the folder of the model expected"},
        {"type99", NB_ERR_UNSUPPORTED, "element type 99"},
        {"wire", NB_ERR_FORMAT, "node has wire type 0, 2 expected"},
        {"group", NB_ERR_FORMAT, "wire type 3"},
        {"empty", NB_ERR_FORMAT, "an empty file"},
        {"text", NB_ERR_FORMAT, "byte "},
        {"deep", NB_ERR_FORMAT, "nest more than 24 deep"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbArena arena = {0};
        NbError err = {0};
        NbOnnxModel m;
        assert_int_equal(open_file(rows[i].file, &arena, &m, &err), rows[i].status);
        if (!strstr(err.message, rows[i].says))
            fail_msg("%s: '%s' does not say '%s'", rows[i].file, err.message, rows[i].says);
        assert_non_null(strstr(err.message, rows[i].file));
        nb_arena_release(&arena);
    }
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    NbStatus status = NB_ERR_NOMEM;
    for (size_t takes = 1; status == NB_ERR_NOMEM; takes++) {
        NbArena arena = {.fail_at = takes};
        NbError err = {0};
        NbOnnxModel m;
        status = open_file("conv", &arena, &m, &err);
        nb_arena_release(&arena);
        assert_true(takes < 200);
    }
    assert_int_equal(status, NB_OK);
}

/* A tensor whose data lies in a file beside the model, or beyond a link out of the folder. */
static void external_data_stays_in_the_folder(void **state) {
    (void)state;
    static const char message[] = "\x08\x02\x10\x01\x42\x01t\x6a\x11\x0a\x08location\x12\x05"
                                  "w.bin\x6a\x0b\x0a\x06offset\x12\x01\x34\x70\x01";
    char folder[512];
    char path[600];
    char data[600];
    (void)snprintf(folder, sizeof folder, "%s", nb_scratch("external"));
    (void)snprintf(path, sizeof path, "%s/t.pb", folder);
    (void)snprintf(data, sizeof data, "%s/w.bin", folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    NbArena arena = {0};
    NbError err = {0};
    NbOnnxTensor t;
    const NbBytes bytes = {(const unsigned char *)message, sizeof message - 1};
    assert_int_equal(nb_file_write(data, (float[]){1.0F, 2.0F, 3.0F}, 12, &err), NB_OK);
    assert_int_equal(nb_onnx_read_tensor(path, bytes, &arena, &t, &err), NB_OK);
    assert_true(((const float *)t.data)[1] == 3.0F);
    assert_int_equal(nb_file_write(data, "short", 5, &err), NB_OK);
    assert_int_equal(nb_onnx_read_tensor(path, bytes, &arena, &t, &err), NB_ERR_FORMAT);
    assert_non_null(strstr(err.message, "which has 5 bytes"));
    assert_int_equal(unlink(data), 0);
    assert_int_equal(symlink("/etc/hostname", data), 0);
    assert_int_equal(nb_onnx_read_tensor(path, bytes, &arena, &t, &err), NB_ERR_FORMAT);
    assert_non_null(strstr(err.message, "in the folder of the model expected"));
    (void)unlink(data);
    (void)rmdir(folder);
    nb_arena_release(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_comes_in),
        cmocka_unit_test(typed_fields_become_dense_data),
        cmocka_unit_test(damage_is_named),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(external_data_stays_in_the_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
