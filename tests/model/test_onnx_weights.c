/* SPDX-License-Identifier: Apache-2.0
 *
 * Exported networks come back as the models they were: same function, other classes on request. */
#include "base/random.h"
#include "graph/help.h"
#include "lower/float/fold.h"
#include "model/onnx/export.h"
#include "model/onnx/weights.h"
#include "support/scratch.h"

#include <math.h>

enum { SIDE = 64 };

/* Norms as after training, so that folding them has something to do. */
static void shake_norms(NbGraph *g) {
    NbRandom r = nb_random(5, NB_RANDOM_TEST, 0, 0);
    for (NbNodeId id = 0; id < g->n_nodes; id++) {
        const NbNode *const node = &g->node[id];
        const NbParamRole role = node->attr.param.role;
        if (node->op != NB_OP_PARAM || role < NB_PARAM_GAMMA || role > NB_PARAM_VAR)
            continue;
        const bool positive = role == NB_PARAM_GAMMA || role == NB_PARAM_VAR;
        for (size_t i = 0; i < nb_tensor_count(&node->param); i++)
            nb_f32(&node->param)[i] =
                (float)nb_random_range(&r, positive ? 0.7 : -0.2, positive ? 1.3 : 0.2);
    }
}

typedef struct Trip {
    NbArena arena;
    NbModel before, after;
    NbOnnxModel file;
} Trip;

static void export(Trip *t, const char *yaml, const float *bin) {
    NbError err = {0};
    NbGraph folded;
    NbOnnxModel made;
    NbBytes bytes;
    const NbOnnxOptions options = {.opset = 17,
                                   .batch = 1,
                                   .height = SIDE,
                                   .width = SIDE,
                                   .form = bin ? NB_ONNX_BOXES : NB_ONNX_LEVELS,
                                   .max_det = 300,
                                   .description = "",
                                   .version = "0"};
    *t = (Trip){0};
    must(nb_model_from_yaml_file(yaml, &(NbModelOptions){.nc = 3}, &t->before, &err), &err);
    must(nb_model_init(&t->before, 1, &err), &err);
    nb_head_set_bins(&t->before.head, bin);
    shake_norms(&t->before.graph);
    NbGraph view = t->before.graph;
    view.output += nb_head_first(&t->before.head);
    view.n_outputs = t->before.head.levels;
    must(nb_fold(&view, &t->arena, &folded, &err), &err);
    infer(&folded, 1, SIDE, SIDE);
    must(nb_onnx_export(&folded, &t->before.head, &options, &t->arena, &made, &err), &err);
    must(nb_onnx_pack(&made, &t->arena, &bytes, &err), &err);
    must(nb_onnx_read("trip.onnx", bytes, &t->arena, &t->file, &err), &err);
}

static void finish(Trip *t) {
    nb_model_release(&t->before);
    nb_model_release(&t->after);
    nb_arena_release(&t->arena);
}

static const NbValue *run(Trip *t, NbModel *m, const uint8_t *images) {
    NbError err = {0};
    NbValue *const v = NB_NEW(&t->arena, NbValue, (size_t)m->graph.n_nodes);
    infer(&m->graph, 1, SIDE, SIDE);
    must(nb_interpret(&m->graph, images, NB_RUN_EVAL, false, &t->arena, v, &err), &err);
    return v;
}

/* All outputs that inference reads. */
static void compare(Trip *t) {
    uint8_t *const images = NB_NEW(&t->arena, uint8_t, 3 * SIDE * SIDE);
    NbRandom r = nb_random(6, NB_RANDOM_TEST, 0, 0);
    for (size_t i = 0; i < 3 * SIDE * SIDE; i++)
        images[i] = (uint8_t)nb_random_below(&r, 256);
    const NbValue *const a = run(t, &t->before, images);
    const NbValue *const b = run(t, &t->after, images);
    for (int o = nb_head_first(&t->before.head); o < t->before.graph.n_outputs; o++) {
        const NbTensor *const x = &a[t->before.graph.output[o]].t;
        const NbTensor *const y = &b[t->after.graph.output[o]].t;
        const size_t n = nb_tensor_count(x);
        float top = 0.0F;
        assert_int_equal(n, nb_tensor_count(y));
        for (size_t i = 0; i < n; i++)
            top = fmaxf(top, fabsf(nb_f32(x)[i]));
        for (size_t i = 0; i < n; i++)
            if (!(fabsf(nb_f32(x)[i] - nb_f32(y)[i]) <= 2e-4F * top))
                fail_msg("output %d [%zu]: %g, %g expected", o, i, (double)nb_f32(y)[i],
                         (double)nb_f32(x)[i]);
    }
}

static void models_come_back(void **unused) {
    (void)unused;
    static const char *const zoo[] = {"lpyolo-float.yaml", "yolov5n.yaml", "yolov10n.yaml",
                                      "yolov8n.yaml"};
    for (size_t i = 0; i < sizeof zoo / sizeof *zoo; i++) {
        Trip t;
        NbError err = {0};
        NbLoadReport report = {0};
        export(&t, zoo[i], NULL);
        must(nb_model_from_onnx_weights("trip.onnx", &t.file, NULL, &t.arena, &report, &t.after,
                                        &err),
             &err);
        assert_int_equal(t.after.head.kind, t.before.head.kind);
        assert_int_equal(t.after.head.nc, 3);
        assert_int_equal(t.after.graph.n_nodes, t.before.graph.n_nodes);
        assert_int_equal(report.n_missing + report.n_mismatched + report.n_extra, 0);
        compare(&t);
        finish(&t);
    }
}

static void other_classes_take_what_fits(void **unused) {
    (void)unused;
    Trip t;
    NbError err = {0};
    NbLoadReport report = {0};
    NbModelOptions options = {.nc = 7};
    export(&t, "yolov5n.yaml", NULL);
    assert_int_equal(nb_model_from_onnx_weights("trip.onnx", &t.file, &options, &t.arena, &report,
                                                &t.after, &err),
                     NB_ERR_ARGUMENT);
    options.transfer = true;
    must(nb_model_from_onnx_weights("trip.onnx", &t.file, &options, &t.arena, &report, &t.after,
                                    &err),
         &err);
    assert_int_equal(t.after.head.nc, 7);
    assert_int_equal(report.n_mismatched, 6); /* weights and biases of three levels */
    finish(&t);
}

/* As they are in files that were rounded to 8 bits; on through a checkpoint. */
static void bins_come_along(void **unused) {
    (void)unused;
    Trip t;
    NbModel again;
    Scratch s = scratch_new();
    NbError err = {0};
    float bin[16];
    for (int i = 0; i < 16; i++)
        bin[i] = (float)i + (i % 2 ? 0.0551F : 0.0F);
    export(&t, "yolov8n.yaml", bin);
    must(nb_model_from_onnx_weights("trip.onnx", &t.file, NULL, &t.arena, NULL, &t.after, &err),
         &err);
    assert_true(t.after.head.has_bins);
    assert_memory_equal(t.after.head.bin, bin, sizeof bin);
    const char *const path = scratch_path(&s, "m.safetensors");
    must(nb_model_write(path, &t.after, &err), &err);
    must(nb_model_read(path, NULL, 0, &again, &err), &err);
    assert_true(again.head.has_bins);
    assert_memory_equal(again.head.bin, bin, sizeof bin);
    nb_model_release(&again);
    finish(&t);
    bin[3] = NAN;
    export(&t, "yolov8n.yaml", bin);
    assert_int_equal(
        nb_model_from_onnx_weights("trip.onnx", &t.file, NULL, &t.arena, NULL, &t.after, &err),
        NB_ERR_FORMAT);
    assert_non_null(strstr(err.message, "trip.onnx: head/dfl/bins: bin 3 stands for nan"));
    finish(&t);
    scratch_free(&s);
}

static void strangers_are_named(void **unused) {
    (void)unused;
    Trip t;
    NbError err = {0};
    export(&t, "yolov5n.yaml", NULL);
    for (size_t i = 0; i < t.file.graph.n_nodes; i++)
        if (strcmp(t.file.graph.node[i].op, "Conv") == 0) {
            t.file.graph.node[i].n_in = 1; /* one layer less */
            break;
        }
    assert_int_equal(
        nb_model_from_onnx_weights("trip.onnx", &t.file, NULL, &t.arena, NULL, &t.after, &err),
        NB_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "trip.onnx: no model of the zoo has the 59 layers"));
    finish(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models_come_back),
        cmocka_unit_test(other_classes_take_what_fits),
        cmocka_unit_test(bins_come_along),
        cmocka_unit_test(strangers_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
