/* SPDX-License-Identifier: Apache-2.0
 *
 * Real models with the outputs of ONNX Runtime beside them: below the data folder every
 * reference/PICTURE.MODEL[.OUTPUT].npy with PICTURE.png and ../MODEL.onnx, and every
 * reference/MODEL.input.npy with MODEL.output.npy. */
#include "base/file.h"
#include "format/image.h"
#include "format/npy.h"
#include "graph/interpret.h"
#include "model/onnx/detector.h"
#include "model/onnx/import.h"
#include "nn/float/float.h"
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

typedef struct Model {
    NbArena arena;
    NbOnnxModel onnx;
    NbOnnxNet net;
    NbTensor input;
} Model;

static NbStatus read_picture(const char *path, bool face, Model *m, NbError *err) {
    NbImage image;
    NB_TRY(nb_image_read(path, &m->arena, &image, err));
    const NbShape shape = nb_shape(4, (const int64_t[]){1, 3, image.height, image.width});
    NB_TRY(nb_tensor_new(&m->arena, NB_F32, &shape, &m->input, err));
    const size_t n = (size_t)image.height * (size_t)image.width;
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < 3; c++) {
            const float x = (float)image.rgb[3 * i + c];
            nb_f32(&m->input)[c * n + i] = face ? (x - 127.0F) / 128.0F : x / 255.0F;
        }
    return NB_OK;
}

static NbStatus run_model(Model *m, const char *path, NbTensor *output, NbError *err) {
    const NbOnnxImportOptions options = {.reals = true};
    NbFloatEngine *x = NULL;
    NB_TRY(nb_onnx_read_file(path, &m->arena, &m->onnx, err));
    NB_TRY(nb_onnx_import(path, &m->onnx, &options, &m->arena, &m->net, err));
    const NbFloatOptions fast = {.batch = 1, .height = 640, .width = 640, .plain = true};
    if (!nb_shape_equal(&m->net.input[0].shape, &m->input.shape))
        return nb_fail(NB_ERR_FORMAT, err, "%s: the input has another shape", path);
    NB_TRY(nb_float_new(&m->net.graph, &fast, &x, err));
    const float *const in[1] = {nb_f32(&m->input)};
    NbStatus status = nb_float_run_real(x, in, 1, err);
    for (size_t i = 0; i < m->net.n_outputs && status == NB_OK; i++) {
        status = nb_tensor_new(&m->arena, NB_F32, &m->net.output[i].shape, &output[i], err);
        if (status == NB_OK)
            memcpy(output[i].data, nb_float_output(x, (int)i),
                   nb_tensor_count(&output[i]) * sizeof(float));
    }
    nb_float_free(x);
    return status;
}

/* Numbers that are further off than 2e-3 of the largest. Quantizers turn rounding into whole steps,
 * so a few may be; *mean gets the mean difference, relative to the largest. */
static size_t count_far(const NbTensor *got, const NbTensor *want, double *mean) {
    double most = 0.0;
    size_t far = 0;
    const size_t n = nb_tensor_count(want);
    *mean = 0.0;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)nb_f32(want)[i]));
    for (size_t i = 0; i < n; i++) {
        const double d = fabs((double)nb_f32(got)[i] - (double)nb_f32(want)[i]) / most;
        far += !(d <= 2e-3);
        *mean += d / (double)n;
    }
    return far;
}

/* Rows x1 y1 x2 y2 score class, best first: near ties change places, so each confident row is
 * looked for. */
static size_t count_missing_rows(const NbTensor *got, const NbTensor *want, double slack) {
    size_t missing = 0;
    const size_t rows = nb_tensor_count(want) / 6;
    for (size_t i = 0; i < rows; i++) {
        const float *w = nb_f32(want) + 6 * i;
        bool found = w[4] < (slack > 0.01 ? 0.25F : 0.1F);
        for (size_t k = 0; k < rows && !found; k++) {
            const float *g = nb_f32(got) + 6 * k;
            found = g[5] == w[5] && fabs((double)g[4] - (double)w[4]) <= slack;
            for (int c = 0; c < 4 && found; c++)
                found = fabs((double)g[c] - (double)w[c]) <= 1000.0 * slack;
        }
        missing += !found;
    }
    return missing;
}

static bool is_rows(const NbTensor *t) { return t->shape.rank == 3 && t->shape.dim[2] == 6; }

/* Whether an output is what the reference says. */
static bool agrees(const char *what, const Model *m, const NbTensor *got, const NbTensor *want) {
    const bool quantized = m->net.quantizers > 0;
    double mean = 0.0;
    if (!nb_shape_equal(&got->shape, &want->shape)) {
        print_message("%s: another shape\n", what);
        return false;
    }
    const size_t n = nb_tensor_count(want);
    const size_t far = count_far(got, want, &mean);
    const size_t rows = is_rows(want) ? count_missing_rows(got, want, quantized ? 0.05 : 1e-3) : 0;
    print_message("%s: %zu numbers, %zu far off, mean %.2g, %zu confident rows missing\n", what, n,
                  far, mean, rows);
    return is_rows(want) ? rows == 0 : quantized ? mean < 2e-3 : far * 1000 <= n;
}

static const NbTensor *find_output(const Model *m, const NbTensor *output, const char *name) {
    for (size_t i = 0; i < m->net.n_outputs; i++)
        if (m->net.n_outputs == 1 || strcmp(m->net.output[i].name, name) == 0)
            return &output[i];
    return NULL;
}

/* FOLDER/reference/A.MODEL[.OUTPUT].npy or MODEL.output.npy; false: not such a file. */
static bool paths_of(const char *file, char model[1024], char input[1024], char output[128]) {
    char stem[512];
    const char *name = nb_path_name(file);
    const int folder = (int)(name - file) - 1;
    (void)snprintf(stem, sizeof stem, "%.*s", (int)(strlen(name) - 4), name);
    (void)snprintf(output, 128, "%s", "");
    char *dot = strstr(stem, ".output");
    if (dot) {
        *dot = 0;
        (void)snprintf(model, 1024, "%.*s/../%s.onnx", folder, file, stem);
        (void)snprintf(input, 1024, "%.*s/%s.input.npy", folder, file, stem);
        return nb_path_exists(model) && nb_path_exists(input);
    }
    dot = strchr(stem, '.');
    if (!dot)
        return false;
    *dot = 0;
    (void)snprintf(input, 1024, "%.*s/%s.png", folder, file, stem);
    (void)snprintf(model, 1024, "%.*s/../%s.onnx", folder, file, dot + 1);
    char *last = strrchr(dot + 1, '.');
    if (!nb_path_exists(model) && last) {
        *last = 0;
        (void)snprintf(output, 128, "%s", last + 1);
        (void)snprintf(model, 1024, "%.*s/../%s.onnx", folder, file, dot + 1);
    }
    return nb_path_exists(model) && nb_path_exists(input);
}

/* 1: agrees, 0: no reference of a model, -1: wrong. */
static int try_reference(const char *file) {
    char model[1024];
    char input[1024];
    char name[128];
    Model m = {0};
    NbError err = {0};
    NbTensor want;
    NbTensor output[16];
    if (!paths_of(file, model, input, name))
        return 0;
    const bool face = strstr(model, "face_models") != NULL; /* its SOURCE.md: (x - 127) / 128 */
    NbStatus status = strcmp(nb_path_suffix(input), ".png") == 0
                          ? read_picture(input, face, &m, &err)
                          : nb_npy_read_file(input, &m.arena, &m.input, &err);
    if (status == NB_OK)
        status = nb_npy_read_file(file, &m.arena, &want, &err);
    if (status == NB_OK)
        status = run_model(&m, model, output, &err);
    bool good = status == NB_OK;
    if (good) {
        const NbTensor *got = find_output(&m, output, name);
        good = got && agrees(file, &m, got, &want);
    } else {
        print_message("%s\n", err.message);
    }
    nb_arena_release(&m.arena);
    return good ? 1 : -1;
}

static void references_are_reproduced(void **state) {
    (void)state;
    NbArena names = {0};
    NbError err = {0};
    char **path = NULL;
    size_t n = 0;
    int count[3] = {0};
    assert_int_equal(nb_folder_list(nb_test_data("."), true, 1000000, &names, &path, &n, &err),
                     NB_OK);
    for (size_t i = 0; i < n; i++)
        if (strcmp(nb_path_suffix(path[i]), ".npy") == 0 && strstr(path[i], "/reference/"))
            count[1 + try_reference(path[i])]++;
    print_message("%d references reproduced, %d not\n", count[2], count[0]);
    assert_int_equal(count[0], 0);
    assert_true(count[2] > 0);
    nb_arena_release(&names);
}

/* Every model comes in, or one sentence says why not. */
static void models_come_in_or_say_why(void **state) {
    (void)state;
    NbArena names = {0};
    NbError err = {0};
    char **path = NULL;
    size_t n = 0;
    assert_int_equal(nb_folder_list(nb_test_data("."), true, 1000000, &names, &path, &n, &err),
                     NB_OK);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(nb_path_suffix(path[i]), ".onnx") != 0 || strstr(path[i], "onnx_node_tests"))
            continue;
        Model m = {0};
        const NbOnnxImportOptions options = {0};
        assert_int_equal(nb_onnx_read_file(path[i], &m.arena, &m.onnx, &err), NB_OK);
        const NbStatus status = nb_onnx_import(path[i], &m.onnx, &options, &m.arena, &m.net, &err);
        print_message("%s: %s\n", path[i], status == NB_OK ? "comes in" : err.message);
        assert_true(status == NB_OK || status == NB_ERR_FORMAT || status == NB_ERR_UNSUPPORTED);
        if (status != NB_OK)
            assert_non_null(strstr(err.message, path[i]));
        if (status == NB_ERR_FORMAT)
            assert_non_null(strstr(err.message, "but the constants of the graph are for"));
        nb_arena_release(&m.arena);
    }
    nb_arena_release(&names);
}

/* What opens as a detector says what its rows are and what its classes are called. */
static void detectors_are_recognized(void **state) {
    (void)state;
    NbArena names = {0};
    NbError err = {0};
    char **path = NULL;
    size_t n = 0;
    int kinds[2] = {0};
    assert_int_equal(nb_folder_list(nb_test_data("."), true, 1000000, &names, &path, &n, &err),
                     NB_OK);
    for (size_t i = 0; i < n; i++) {
        NbModel m;
        if (strcmp(nb_path_suffix(path[i]), ".onnx") != 0 || strstr(path[i], "onnx_node_tests"))
            continue;
        if (nb_model_from_onnx(path[i], &m, &err) != NB_OK) {
            assert_non_null(strstr(err.message, path[i]));
            continue;
        }
        print_message("%s: %s, %d classes, '%s', %d\n", path[i], nb_head_name(m.head.kind),
                      m.head.nc, m.names[0], m.imgsz);
        assert_true(nb_head_is_decoded(&m.head));
        assert_true(m.imgsz >= 32 && m.head.nc > 0);
        if (strstr(path[i], "yolov")) /* metadata of Ultralytics */
            assert_string_equal(m.names[0], "person");
        kinds[0] += m.head.kind == NB_HEAD_END2END;
        kinds[1] += m.head.kind == NB_HEAD_BOXES;
        nb_model_release(&m);
    }
    assert_true(kinds[0] > 0 && kinds[1] > 0);
    nb_arena_release(&names);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_are_reproduced),
        cmocka_unit_test(models_come_in_or_say_why),
        cmocka_unit_test(detectors_are_recognized),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
