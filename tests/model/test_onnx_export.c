/* SPDX-License-Identifier: Apache-2.0
 *
 * What exported files hold: names, shapes, metadata, no loose ends; and what is refused. (That they
 * compute the same is shown by executing them: export does, and tests/peers with ONNX Runtime.) */
#include "graph/help.h"
#include "lower/float/fold.h"
#include "model/model.h"
#include "model/onnx/export.h"

#include <stdlib.h>

typedef struct Case {
    NbArena arena;
    NbModel model;
    NbGraph graph; /* folded */
    NbOnnxOptions options;
    NbOnnxModel onnx;
} Case;

static void open_case(Case *c, const char *yaml, NbOnnxForm form) {
    NbError err = {0};
    *c = (Case){.options = {.opset = 17,
                            .batch = 1,
                            .height = 64,
                            .width = 64,
                            .form = form,
                            .max_det = 300,
                            .description = "a test",
                            .version = "1.2.3"}};
    must(nb_model_from_yaml_file(yaml, &(NbModelOptions){0}, &c->model, &err), &err);
    must(nb_model_init(&c->model, 1, &err), &err);
    NbGraph view = c->model.graph;
    view.output += nb_head_first(&c->model.head);
    view.n_outputs = c->model.head.levels;
    must(nb_fold(&view, &c->arena, &c->graph, &err), &err);
    infer(&c->graph, 1, 64, 64);
    c->options.class_names = c->model.names;
}

static void export(Case *c) {
    NbError err = {0};
    must(nb_onnx_export(&c->graph, &c->model.head, &c->options, &c->arena, &c->onnx, &err), &err);
}

static void close_case(Case *c) {
    nb_model_release(&c->model);
    nb_arena_release(&c->arena);
}

/* Where a value comes from: times that it is an input, an initializer or an output of a node. */
static int sources(const NbOnnxGraph *g, const char *name, size_t before) {
    int n = 0;
    for (size_t i = 0; i < g->n_inputs; i++)
        n += strcmp(g->input[i].name, name) == 0;
    for (size_t i = 0; i < g->n_initializers; i++)
        n += strcmp(g->initializer[i].name, name) == 0;
    for (size_t i = 0; i < before; i++)
        for (size_t k = 0; k < g->node[i].n_out; k++)
            n += strcmp(g->node[i].out[k], name) == 0;
    return n;
}

static bool is_read(const NbOnnxGraph *g, const char *name) {
    for (size_t i = 0; i < g->n_nodes; i++)
        for (size_t k = 0; k < g->node[i].n_in; k++)
            if (strcmp(g->node[i].in[k], name) == 0)
                return true;
    for (size_t i = 0; i < g->n_outputs; i++)
        if (strcmp(g->output[i].name, name) == 0)
            return true;
    return false;
}

/* Every value is made once, before it is read; every initializer and node is needed. */
static void is_sound(const NbOnnxGraph *g) {
    for (size_t i = 0; i < g->n_nodes; i++) {
        bool needed = false;
        for (size_t k = 0; k < g->node[i].n_in; k++)
            if (*g->node[i].in[k] && sources(g, g->node[i].in[k], i) != 1)
                fail_msg("node '%s' reads '%s'", g->node[i].name, g->node[i].in[k]);
        for (size_t k = 0; k < g->node[i].n_out; k++) {
            needed |= is_read(g, g->node[i].out[k]);
            assert_int_equal(sources(g, g->node[i].out[k], g->n_nodes), 1);
        }
        if (!needed)
            fail_msg("nobody reads node '%s'", g->node[i].name);
    }
    for (size_t i = 0; i < g->n_initializers; i++)
        if (!is_read(g, g->initializer[i].name))
            fail_msg("nobody reads '%s'", g->initializer[i].name);
    for (size_t i = 0; i < g->n_values; i++)
        assert_int_equal(sources(g, g->value[i].name, g->n_nodes), 1);
}

static void outputs_have_the_shapes_users_know(void **state) {
    (void)state;
    static const struct {
        const char *yaml;
        NbOnnxForm form;
        int outputs, rank;
        int64_t dim[4]; /* of the first */
    } rows[] = {
        {"yolov5n.yaml", NB_ONNX_DETECT, 1, 3, {1, 252, 85}},
        {"yolov5n.yaml", NB_ONNX_LEVELS, 3, 4, {1, 255, 8, 8}},
        {"lpyolo-float.yaml", NB_ONNX_DETECT, 1, 3, {1, 12, 6}},
        {"yolov8n.yaml", NB_ONNX_DETECT, 1, 3, {1, 84, 84}},
        {"yolov8n.yaml", NB_ONNX_LOGITS, 1, 3, {1, 144, 84}},
        {"yolov10n.yaml", NB_ONNX_DETECT, 1, 3, {1, 300, 6}},
        {"yolov10n.yaml", NB_ONNX_BOXES, 1, 3, {1, 84, 84}},
        {"yolov10n.yaml", NB_ONNX_LOGITS, 1, 3, {1, 144, 84}},
        {"yolov10n.yaml", NB_ONNX_LEVELS, 3, 4, {1, 144, 8, 8}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        static Case c;
        open_case(&c, rows[i].yaml, rows[i].form);
        c.options.opset = 13 + (int)i;
        c.options.dynamic = i % 3 == 1;
        c.options.half = i % 2 == 1;
        export(&c);
        const NbOnnxGraph *g = &c.onnx.graph;
        is_sound(g);
        assert_string_equal(g->input[0].name, "images");
        assert_int_equal(g->input[0].type, i % 2 ? NB_ONNX_FLOAT16 : NB_ONNX_FLOAT);
        assert_int_equal(g->n_outputs, rows[i].outputs);
        assert_string_equal(g->output[0].name, "output0");
        assert_int_equal(g->output[0].type, g->input[0].type);
        assert_int_equal(g->output[0].rank, rows[i].rank);
        for (int d = 0; d < rows[i].rank; d++)
            assert_int_equal(g->output[0].dim[d].value,
                             d == 0 && c.options.dynamic ? -1 : rows[i].dim[d]);
        assert_string_equal(g->output[0].dim[0].param, c.options.dynamic ? "batch" : "");
        assert_int_equal(c.onnx.opset[0].version, 13 + (int)i);
        close_case(&c);
    }
}

static void metadata_are_those_of_ultralytics(void **state) {
    (void)state;
    static Case c;
    open_case(&c, "lpyolo-float.yaml", NB_ONNX_DETECT);
    NbError err = {0};
    const char *const name = "it's \\ \"caf\xc3\xa9\"\n";
    must(nb_model_set_names(&c.model, &name, 1, &err), &err);
    c.options.class_names = c.model.names;
    c.options.batch = 4;
    infer(&c.graph, 4, 64, 64);
    export(&c);
    const struct {
        const char *key, *value;
    } rows[] = {{"description", "a test"},
                {"author", "nibble"},
                {"version", "1.2.3"},
                {"task", "detect"},
                {"stride", "32"},
                {"batch", "4"},
                {"imgsz", "[64, 64]"},
                {"channels", "3"},
                {"names", "{0: 'it\\'s \\\\ \"caf\xc3\xa9\"\\x0a'}"},
                {"end2end", "False"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(nb_onnx_metadata(&c.onnx, rows[i].key), rows[i].value);
    assert_int_equal(c.onnx.graph.input[0].dim[0].value, 4);
    assert_int_equal(c.onnx.graph.output[0].dim[0].value, 4);
    close_case(&c);
}

static void refuses(Case *c, NbStatus status, const char *message) {
    NbError err = {0};
    assert_int_equal(
        nb_onnx_export(&c->graph, &c->model.head, &c->options, &c->arena, &c->onnx, &err), status);
    assert_string_equal(err.message, message);
}

static void what_cannot_be_written_is_refused(void **state) {
    (void)state;
    static Case c;
    open_case(&c, "yolov5n.yaml", NB_ONNX_BOXES);
    refuses(&c, NB_ERR_UNSUPPORTED,
            "a yolov5 head has no such output: its decoded boxes or its levels can be exported");
    c.options.form = NB_ONNX_DETECT;
    c.options.opset = 12;
    refuses(&c, NB_ERR_ARGUMENT, "opset: expected 13 to 21, found 12");
    c.options.opset = 22;
    refuses(&c, NB_ERR_ARGUMENT, "opset: expected 13 to 21, found 22");
    close_case(&c);
    open_case(&c, "lpyolo.yaml", NB_ONNX_DETECT);
    refuses(&c, NB_ERR_UNSUPPORTED,
            "format=onnx carries no quantizers, found 'model.0.conv.weight_quant': export with "
            "quantize=none for the float network (formats for quantizers, qcdq and qonnx, are not "
            "in this build)");
    close_case(&c);
}

/* Nodes of graphs from elsewhere may have the names that exported files use. */
static void names_do_not_collide(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    NbGraph g;
    NbOnnxModel onnx;
    nb_graph_init(&g, &arena);
    const NbNodeId x = add(&g, NB_OP_INPUT, "x", 0, NULL,
                           (NbAttr){.input = {.scale = 1.0F / 255.0F, .channels = 2}});
    const NbNodeId y = add(&g, NB_OP_RELU, "images", 1, &x, (NbAttr){0});
    const NbNodeId z = add(&g, NB_OP_DETACH, "output1", 1, &y, (NbAttr){0});
    const NbNodeId in[2] = {z, y};
    const NbNodeId sum = add(&g, NB_OP_ADD, "output0", 2, in, (NbAttr){0});
    const NbNodeId twice[3] = {y, sum, y};
    must(nb_graph_set_outputs(&g, 3, twice, &err), &err);
    infer(&g, 1, 4, 4);
    const NbOnnxOptions options = {.opset = 13, .batch = 1, .height = 4, .width = 4};
    must(nb_onnx_export(&g, NULL, &options, &arena, &onnx, &err), &err);
    is_sound(&onnx.graph);
    assert_int_equal(onnx.graph.n_outputs, 3);
    assert_string_equal(onnx.graph.input[0].name, "x");
    assert_string_equal(onnx.graph.output[1].name, "output1");
    nb_arena_release(&arena);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    static Case c;
    open_case(&c, "yolov10n.yaml", NB_ONNX_DETECT);
    NbStatus status = NB_ERR_NOMEM;
    NbError err = {0};
    size_t takes = 0;
    while (status == NB_ERR_NOMEM) {
        NbArena arena = {.fail_at = takes += 1 + takes / 7};
        status = nb_onnx_export(&c.graph, &c.model.head, &c.options, &arena, &c.onnx, &err);
        nb_arena_release(&arena);
    }
    assert_int_equal(status, NB_OK);
    assert_true(takes > 1000);
    close_case(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outputs_have_the_shapes_users_know),
        cmocka_unit_test(metadata_are_those_of_ultralytics),
        cmocka_unit_test(what_cannot_be_written_is_refused),
        cmocka_unit_test(names_do_not_collide),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
