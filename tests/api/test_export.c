/* SPDX-License-Identifier: Apache-2.0
 *
 * What export says about the files it made: files that compute what the model computes pass, in
 * every form, and files that do not are found out. */
#include "api/export_reference.h"
#include "graph/help.h"
#include "lower/float/fold.h"

#include <math.h>

typedef struct Case {
    NbArena arena;
    NbModel model;
    NbGraph graph; /* folded */
    NbOnnxOptions options;
    NbOnnxModel onnx;
} Case;

/* Weights that make scores differ, so that detections say something. */
static void spread(NbGraph *g) {
    NbRandom r = nb_random(9, NB_RANDOM_TEST, 0, 0);
    for (NbNodeId id = 0; id < g->n_nodes; id++) {
        const NbNode *node = &g->node[id];
        if (node->op != NB_OP_PARAM)
            continue;
        if (node->attr.param.role == NB_PARAM_BIAS || node->attr.param.role == NB_PARAM_BETA)
            fill(g, id, &r, -1, 1);
        if (node->attr.param.role == NB_PARAM_VAR)
            fill(g, id, &r, 0.1, 1);
    }
}

static void open_case(Case *c, const char *yaml, NbOnnxForm form) {
    NbError err = {0};
    *c = (Case){.options = {.opset = 13 + 4 * ((int)form % 3),
                            .batch = 1,
                            .height = 64,
                            .width = 64,
                            .form = form,
                            .max_det = 50,
                            .version = "0"}};
    must(nb_model_from_yaml_file(yaml, &(NbModelOptions){0}, &c->model, &err), &err);
    must(nb_model_init(&c->model, 1, &err), &err);
    spread(&c->model.graph);
    NbGraph view = c->model.graph;
    view.output += nb_head_first(&c->model.head);
    view.n_outputs = c->model.head.levels;
    must(nb_fold(&view, &c->arena, &c->graph, &err), &err);
    infer(&c->graph, 1, 64, 64);
}

static NbStatus verify(Case *c, NbExportCount *count, NbError *err) {
    NbBytes file;
    *count = (NbExportCount){0};
    must(nb_onnx_pack(&c->onnx, &c->arena, &file, err), err);
    return nb_export_verify(&c->model, &c->options, "x.onnx", file, NULL, count, err);
}

static void export(Case *c) {
    NbError err = {0};
    must(nb_onnx_export(&c->graph, &c->model.head, &c->options, &c->arena, &c->onnx, &err), &err);
}

static void close_case(Case *c) {
    nb_model_release(&c->model);
    nb_arena_release(&c->arena);
}

static const struct {
    const char *yaml;
    NbOnnxForm form;
    int64_t values;
} forms[] = {
    {"lpyolo-float.yaml", NB_ONNX_DETECT, 12 * 6}, {"lpyolo-float.yaml", NB_ONNX_LEVELS, 18 * 4},
    {"yolov8n.yaml", NB_ONNX_DETECT, 84 * 84},     {"yolov8n.yaml", NB_ONNX_LOGITS, 144 * 84},
    {"yolov10n.yaml", NB_ONNX_DETECT, 50 * 6},     {"yolov10n.yaml", NB_ONNX_BOXES, 84 * 84},
    {"yolov10n.yaml", NB_ONNX_LEVELS, 144 * 84},
};

static void good_files_pass(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        static Case c;
        NbError err = {0};
        NbExportCount count;
        open_case(&c, forms[i].yaml, forms[i].form);
        c.options.dynamic = i % 2;
        c.options.half = i % 4 == 1;
        export(&c);
        must(verify(&c, &count, &err), &err);
        if (count.mismatches || count.values != forms[i].values * (c.options.dynamic ? 2 : 1))
            fail_msg("%s, form %d: %d of %d values differ, by up to %g", forms[i].yaml,
                     (int)forms[i].form, (int)count.mismatches, (int)count.values, count.max_abs);
        close_case(&c);
    }
}

/* A number of an initializer that is a little off. */
static void wrong_files_are_found_out(void **state) {
    (void)state;
    static const char *const spoiled[] = {"model.23.one2one_cv3.1.2.bias", "head/centres",
                                          "head/dfl/bins", "model.5.cv2.conv.bias"};
    for (size_t i = 0; i < sizeof spoiled / sizeof *spoiled; i++) {
        static Case c;
        NbError err = {0};
        NbExportCount count;
        open_case(&c, "yolov10n.yaml", NB_ONNX_DETECT);
        export(&c);
        int found = 0;
        for (size_t k = 0; k < c.onnx.graph.n_initializers; k++) {
            NbOnnxTensor *const t = &c.onnx.graph.initializer[k];
            if (strcmp(t->name, spoiled[i]) != 0)
                continue;
            float *const copy = NB_NEW(&c.arena, float, t->size / sizeof(float));
            memcpy(copy, t->data, t->size);
            for (size_t n = 0; n < t->size / sizeof(float); n++)
                copy[n] += 0.05F;
            t->data = copy;
            found++;
        }
        assert_int_equal(found, 1);
        must(verify(&c, &count, &err), &err);
        if (count.mismatches == 0)
            fail_msg("nobody saw that '%s' is wrong", spoiled[i]);
        close_case(&c);
    }
}

/* ---- detections ---- */

/* Two cells, two classes; max_det 3. Cell 1, class 0 and cell 0, class 1 score the same. */
static const float candidates[12] = {0, 0, 10, 10, 0.9F, 0.5F, 5, 5, 20, 20, 0.5F, 0.1F};
static const float best[18] = {0, 0, 10, 10, 0.9F, 0, 0, 0, 10, 10, 0.5F, 1, 5, 5, 20, 20, 0.5F, 0};

static int64_t mismatches(const float *found) {
    float want[18];
    NbError err = {0};
    NbExportCount count = {0};
    memcpy(want, best, sizeof want);
    const NbExportOutputs expected = {
        .n = 1,
        .tensor = {{.dtype = NB_F32, .shape = {3, {1, 3, 6}}, .data = want}},
        .candidates = candidates,
        .cells = 2,
        .nc = 2};
    must(nb_export_compare(&expected, 0, found, 1e-4, &count, &err), &err);
    assert_int_equal(count.values, 18);
    return count.mismatches;
}

static void detections_are_compared_by_what_they_are(void **state) {
    (void)state;
    float found[18];
    memcpy(found, best, sizeof found);
    assert_int_equal(mismatches(found), 0);
    memcpy(found + 6, best + 12, 6 * sizeof *found); /* equal scores in the other order */
    memcpy(found + 12, best + 6, 6 * sizeof *found);
    assert_int_equal(mismatches(found), 0);
    memcpy(found + 12, best + 12, 6 * sizeof *found); /* the same one twice */
    assert_true(mismatches(found) > 0);
    static const struct {
        int at;
        float value;
    } rows[] = {{0, 0.1F}, {4, 0.8F}, {5, 1},   {5, 2},  {5, -1},
                {5, 0.5F}, {3, NAN},  {4, NAN}, {5, NAN}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        memcpy(found, best, sizeof found);
        found[rows[i].at] = rows[i].value;
        if (mismatches(found) == 0)
            fail_msg("number %d may be %g", rows[i].at, (double)rows[i].value);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_files_pass),
        cmocka_unit_test(wrong_files_are_found_out),
        cmocka_unit_test(detections_are_compared_by_what_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
