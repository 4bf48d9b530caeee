/* SPDX-License-Identifier: Apache-2.0
 *
 * Trained YOLOv5 checkpoints with reference outputs: every .pt of the folder against every
 * reference/NAME.{png,rows.npy,values.npy} beside it, as its SOURCE.md describes them. */
#include "model/help.h"

#include "base/file.h"
#include "detect/yolov5_decode.h"
#include "format/image.h"
#include "format/npy.h"
#include "lower/float/fold.h"
#include "model/checkpoint.h"
#include "nn/executor.h"
#include "nn/float/float.h"
#include "support/vectors.h"

#include <math.h>
#include <unistd.h>

/* All rows of a head, decoded: [rows][5 + nc], levels in order of stride. */
static float *decoded(const NbModel *m, const float *const *level, const NbImage *image,
                      NbArena *arena, size_t *rows) {
    const NbHead *const h = &m->head;
    const size_t numbers = (size_t)(5 + h->nc);
    size_t cells = 0;
    for (int l = 0; l < h->levels; l++)
        cells += (size_t)(image->height / (int)h->stride[l]) *
                 (size_t)(image->width / (int)h->stride[l]);
    *rows = cells * (size_t)h->anchors;
    float *const out = NB_NEW(arena, float, *rows *numbers);
    float *at = out;
    for (int l = 0; l < h->levels; l++) {
        const int ny = image->height / (int)h->stride[l];
        const int nx = image->width / (int)h->stride[l];
        const float *const raw = level[l];
        const size_t pixels = (size_t)ny * (size_t)nx;
        const size_t channels = (size_t)h->anchors * numbers;
        for (int a = 0; a < h->anchors; a++)
            for (size_t p = 0; p < pixels; p++, at += numbers)
                for (size_t k = 0; k < numbers; k++) {
                    const double v =
                        1.0 / (1.0 + exp(-(double)raw[p * channels + (size_t)a * numbers + k]));
                    const double cell =
                        k == 0 ? (double)(p % (size_t)nx) : (double)(p / (size_t)nx);
                    if (k < 2)
                        at[k] = (float)((2.0 * v - 0.5 + cell) * (double)h->stride[l]);
                    else if (k < 4)
                        at[k] = (float)(4.0 * v * v * (double)h->anchor[l][a][k - 2]);
                    else
                        at[k] = (float)v;
                }
    }
    return out;
}

static void compare(const char *stem, const char *engine, const NbModel *m, const float *got,
                    size_t rows, NbArena *arena) {
    NbError err = {0};
    NbTensor at = {0};
    NbTensor want = {0};
    const size_t numbers = (size_t)(5 + m->head.nc);
    must(nb_npy_read_file(nb_arena_printf(arena, "%s.rows.npy", stem), arena, &at, &err), &err);
    must(nb_npy_read_file(nb_arena_printf(arena, "%s.values.npy", stem), arena, &want, &err), &err);
    const size_t n = nb_tensor_count(&at);
    int32_t *const row = NB_NEW(arena, int32_t, n);
    nb_convert(at.data, at.dtype, row, NB_I32, n);
    assert_int_equal(nb_tensor_count(&want), n * numbers);
    double box = 0.0;
    double score = 0.0;
    size_t wanted = 0;
    for (size_t i = 0; i < n; i++) {
        assert_true(row[i] >= 0 && (size_t)row[i] < rows);
        for (size_t k = 0; k < numbers; k++) {
            const double d = fabs((double)got[(size_t)row[i] * numbers + k] -
                                  (double)nb_f32(&want)[i * numbers + k]);
            double *const worst = k < 4 ? &box : &score;
            *worst = d > *worst ? d : *worst;
        }
    }
    for (size_t i = 0; i < rows; i++)
        wanted += got[i * numbers + 4] > 0.1F;
    print_message("%s, %s: %zu rows, largest difference %.2g pixels, %.2g of scores\n",
                  nb_path_name(stem), engine, n, box, score);
    assert_true(n > 0 && wanted == n);
    /* the reference folds batch norms in double; both compute in float32 */
    assert_true(box < 2e-3 && score < 1e-5);
}

static void check_executor(const char *stem, NbModel *m, const NbImage *image, NbArena *arena) {
    NbError err = {0};
    NbExecutor *x = NULL;
    size_t rows = 0;
    const float *level[NB_MAX_LEVELS];
    const NbExecutorOptions o = {.batch = 1, .height = image->height, .width = image->width};
    must(nb_executor_new(&m->graph, &o, &x, &err), &err);
    must(nb_executor_forward(x, image->rgb, 1, false, &err), &err);
    for (int l = 0; l < m->head.levels; l++)
        level[l] = nb_executor_output(x, l);
    const float *const got = decoded(m, level, image, arena, &rows);
    compare(stem, "executor", m, got, rows, arena);
    nb_executor_free(x);
}

static void check_float(const char *stem, NbModel *m, const NbImage *image, NbArena *arena) {
    NbError err = {0};
    NbFloatEngine *x = NULL;
    NbGraph folded;
    size_t rows = 0;
    const float *level[NB_MAX_LEVELS];
    must(nb_fold_twin(&m->graph, arena, &folded, &err), &err);
    for (NbIsa isa = NB_ISA_C; isa <= nb_isa_detect(); isa++) {
        const NbFloatOptions o = {.height = image->height, .width = image->width, .isa = isa};
        must(nb_float_new(&folded, &o, &x, &err), &err);
        must(nb_float_run(x, image->rgb, 1, &err), &err);
        for (int l = 0; l < m->head.levels; l++)
            level[l] = nb_float_output(x, l);
        const float *const got = decoded(m, level, image, arena, &rows);
        compare(stem, nb_isa_name(isa), m, got, rows, arena);
        nb_float_free(x);
    }
}

static void check_picture(const char *stem, NbModel *m, NbArena *arena) {
    NbError err = {0};
    NbImage image = {0};
    must(nb_image_read(nb_arena_printf(arena, "%s.png", stem), arena, &image, &err), &err);
    must(nb_graph_infer(&m->graph, 1, image.height, image.width, &err), &err);
    check_executor(stem, m, &image, arena);
    check_float(stem, m, &image, arena);
}

/* Reads, compares; then through a checkpoint of ours, which must be the same model. */
static void check_model(const char *path, char **stem, size_t n, NbArena *arena) {
    NbError err = {0};
    NbModel m;
    NbModel again;
    char out[64];
    must(nb_model_read(path, NULL, 0, &m, &err), &err);
    assert_true(m.imgsz == 640 && !m.bits.quantized && !m.compat);
    for (int i = 0; i < m.head.nc; i++)
        assert_true(strlen(m.names[i]) > 0);
    for (size_t i = 0; i < n; i++)
        check_picture(stem[i], &m, arena);
    (void)snprintf(out, sizeof out, "/tmp/nb_test_%d_pt.safetensors", (int)getpid());
    must(nb_model_write(out, &m, &err), &err);
    must(nb_model_read(out, NULL, 0, &again, &err), &err);
    (void)remove(out);
    assert_memory_equal(&m.head, &again.head, sizeof m.head);
    for (NbNodeId id = 0; id < m.graph.n_nodes; id++)
        if (m.graph.node[id].op == NB_OP_PARAM)
            assert_memory_equal(m.graph.node[id].param.data, again.graph.node[id].param.data,
                                nb_tensor_count(&m.graph.node[id].param) * sizeof(float));
    assert_string_equal(m.names[m.head.nc - 1], again.names[m.head.nc - 1]);
    nb_model_release(&m);
    nb_model_release(&again);
}

static void real_checkpoints_give_the_reference(void **state) {
    (void)state;
    static const char tail[] = ".rows.npy";
    NbArena arena = {0};
    NbError err = {0};
    const char *const folder = nb_arena_string(&arena, nb_test_data("yolov5n"));
    char **path = NULL;
    size_t n = 0;
    size_t n_stems = 0;
    size_t models = 0;
    must(nb_folder_list(folder, true, 1000, &arena, &path, &n, &err), &err);
    char **const stem = NB_NEW(&arena, char *, n);
    for (size_t i = 0; i < n; i++) {
        const size_t length = strlen(path[i]);
        if (length > sizeof tail && strcmp(path[i] + length - (sizeof tail - 1), tail) == 0)
            stem[n_stems++] = nb_arena_string_n(&arena, path[i], length - (sizeof tail - 1));
    }
    assert_true(n_stems > 0);
    for (size_t i = 0; i < n; i++)
        if (strcmp(nb_path_suffix(path[i]), ".pt") == 0) {
            check_model(path[i], stem, n_stems, &arena);
            models++;
        }
    assert_true(models > 0);
    nb_arena_release(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(real_checkpoints_give_the_reference)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
