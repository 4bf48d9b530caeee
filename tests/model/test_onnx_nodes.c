/* SPDX-License-Identifier: Apache-2.0
 *
 * ONNX's own test vectors: every folder below onnx_node_tests with a model.onnx and
 * test_data_set_0/input_N.pb, output_N.pb is imported, run by the interpreter and compared within
 * 1e-3 relative and 1e-7 absolute. What is refused must be refused as unsupported, for a reason
 * that stands in the table. */
#include "base/file.h"
#include "graph/interpret.h"
#include "model/onnx/import.h"
#include "support/vectors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_PORTS = 64 };

/* Why a case may be refused: what the sentence then says. */
static const char *const reasons[] = {
    "is not supported", /* an operator without a rule */
    "element type STRING", "not a tensor", "a cast from", "float32 does not hold",
};

typedef struct Case {
    NbArena arena;
    char folder[1024];
    NbOnnxModel model;
    NbOnnxTensor in[MAX_PORTS];
    size_t n_in;
    NbOnnxTensor out[MAX_PORTS];
    size_t n_out;
} Case;

static NbStatus read_set(Case *c, const char *what, const NbOnnxValue *port, NbOnnxTensor *t,
                         size_t *n, NbError *err) {
    for (*n = 0; *n < MAX_PORTS; ++*n) {
        char path[1200];
        NbBytes bytes;
        (void)snprintf(path, sizeof path, "%s/test_data_set_0/%s_%zu.pb", c->folder, what, *n);
        if (!nb_path_exists(path) || !port[*n].is_tensor)
            break;
        NB_TRY(nb_file_read(path, 0, &c->arena, &bytes, err));
        NB_TRY(nb_onnx_read_tensor(path, bytes, &c->arena, &t[*n], err));
    }
    return NB_OK;
}

static NbStatus open_case(Case *c, NbError *err) {
    char path[1200];
    (void)snprintf(path, sizeof path, "%s/model.onnx", c->folder);
    NB_TRY(nb_onnx_read_file(path, &c->arena, &c->model, err));
    NB_TRY(read_set(c, "input", c->model.graph.input, c->in, &c->n_in, err));
    NB_TRY(read_set(c, "output", c->model.graph.output, c->out, &c->n_out, err));
    for (size_t i = 0; i < c->n_in && i < c->model.graph.n_inputs; i++)
        c->in[i].name = c->model.graph.input[i].name;
    return NB_OK;
}

static NbStatus import_case(Case *c, NbOnnxNet *net, NbError *err) {
    NbOnnxImportOptions options = {.bind = c->in, .n_bind = c->n_in};
    NbStatus status = nb_onnx_import(c->folder, &c->model, &options, &c->arena, net, err);
    if (status == NB_ERR_UNSUPPORTED && strstr(err->message, "is not constant")) {
        options.bind_integers = true;
        status = nb_onnx_import(c->folder, &c->model, &options, &c->arena, net, err);
    }
    return status;
}

static NbStatus run_case(Case *c, NbOnnxNet *net, NbValue **values, NbError *err) {
    NbTensor in[MAX_PORTS];
    size_t n = 0;
    for (size_t i = 0; i < net->n_inputs; i++)
        if (net->input[i].node >= 0)
            for (size_t k = 0; k < c->n_in; k++)
                if (strcmp(c->in[k].name, net->input[i].name) == 0)
                    NB_TRY(nb_onnx_real(&c->in[k], &c->arena, &in[n++], err));
    *values = NB_NEW(&c->arena, NbValue, (size_t)net->graph.n_nodes);
    NB_TRY(nb_graph_infer(&net->graph, 1, 640, 640, err));
    return nb_interpret_tensors(&net->graph, in, true, &c->arena, *values, err);
}

static bool near(double got, double want) {
    if (isnan(got) || isnan(want) || isinf(want))
        return (isnan(got) && isnan(want)) || got == want;
    return fabs(got - want) <= 1e-7 + 1e-3 * fabs(want);
}

static bool compare_case(Case *c, const NbOnnxNet *net, const NbValue *values) {
    if (net->n_outputs != c->n_out) {
        print_message("%s: %zu outputs, %zu expected\n", c->folder, net->n_outputs, c->n_out);
        return false;
    }
    for (size_t k = 0; k < c->n_out; k++) {
        const NbTensor *got = &values[net->output[k].node].t;
        NbError err = {0};
        NbTensor want;
        char text[2][96];
        assert_int_equal(nb_onnx_real(&c->out[k], &c->arena, &want, &err), NB_OK);
        if (!nb_shape_equal(&got->shape, &want.shape) || net->output[k].type != c->out[k].type) {
            print_message("%s: output %zu is %s of type %d, %s of type %d expected\n", c->folder, k,
                          nb_shape_text(&got->shape, text[0], 96), net->output[k].type,
                          nb_shape_text(&want.shape, text[1], 96), c->out[k].type);
            return false;
        }
        for (size_t i = 0; i < nb_tensor_count(got); i++)
            if (!near((double)nb_f32(got)[i], (double)nb_f32(&want)[i])) {
                print_message("%s: output %zu[%zu] is %.9g, %.9g expected\n", c->folder, k, i,
                              (double)nb_f32(got)[i], (double)nb_f32(&want)[i]);
                return false;
            }
    }
    return true;
}

static bool excused(NbStatus status, const NbError *err) {
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (status == NB_ERR_UNSUPPORTED && strstr(err->message, reasons[i]))
            return true;
    return false;
}

/* 1: equal, 0: refused for a known reason, -1: wrong. */
static int try_case(const char *folder) {
    Case *c = calloc(1, sizeof *c);
    NbError err = {0};
    NbOnnxNet net;
    NbValue *values = NULL;
    assert_non_null(c);
    (void)snprintf(c->folder, sizeof c->folder, "%s", folder);
    NbStatus status = open_case(c, &err);
    if (status == NB_OK)
        status = import_case(c, &net, &err);
    if (status == NB_OK)
        status = run_case(c, &net, &values, &err);
    int result = status == NB_OK ? (compare_case(c, &net, values) ? 1 : -1) : 0;
    if (status != NB_OK) {
        print_message("%s: %s\n", excused(status, &err) ? "refused" : "WRONG", err.message);
        result = excused(status, &err) ? 0 : -1;
    }
    nb_arena_release(&c->arena);
    free(c);
    return result;
}

static void all_cases_give_their_outputs(void **state) {
    (void)state;
    NbArena names = {0};
    NbError err = {0};
    char **path = NULL;
    size_t n = 0;
    int count[3] = {0};
    assert_int_equal(
        nb_folder_list(nb_test_data("onnx_node_tests"), true, 1000000, &names, &path, &n, &err),
        NB_OK);
    for (size_t i = 0; i < n; i++)
        if (strcmp(nb_path_name(path[i]), "model.onnx") == 0)
            count[1 + try_case(nb_path_folder(&names, path[i]))]++;
    print_message("%d cases equal, %d refused, %d wrong\n", count[2], count[1], count[0]);
    assert_int_equal(count[0], 0);
    assert_true(count[2] > 0);
    assert_true(count[1] * 20 <= count[2]); /* refusals stay rare */
    nb_arena_release(&names);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_cases_give_their_outputs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
