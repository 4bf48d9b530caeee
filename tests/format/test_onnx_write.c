/* SPDX-License-Identifier: Apache-2.0
 *
 * What nb_onnx_write writes is what nb_onnx_read reads, and nothing appears when it fails. */
#include "format/onnx.h"
#include "format/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const float reals[6] = {1.0F, -2.5F, 0.0F, 3e38F, 1e-40F, -0.0F};
static const int64_t numbers[3] = {-1, 0, INT64_MAX};
static const uint8_t nibbles[2] = {0x21, 0x03};
static const NbOnnxString words[2] = {{"a\0b", 3}, {"", 0}};

/* Everything that can be written, once. */
typedef struct Sample {
    NbOnnxTensor tensor[3];
    NbOnnxTensor text;
    NbOnnxAttr attr[7];
    const char *in[3];
    const char *out[2];
    NbOnnxNode node[2];
    NbOnnxNode inner_node;
    NbOnnxGraph inner;
    NbOnnxValue value[2];
    NbOnnxEntry entry[2];
    NbOnnxAnnotation annotation;
    NbOnnxOpset opset[2];
    NbOnnxModel model;
} Sample;

static void fill_graph(Sample *s) {
    s->node[0] = (NbOnnxNode){.name = "first",
                              .op = "Thing",
                              .domain = "my.own",
                              .n_in = 3,
                              .in = s->in,
                              .n_out = 2,
                              .out = s->out,
                              .n_attrs = 7,
                              .attr = s->attr,
                              .doc = "a note"};
    s->node[1] = (NbOnnxNode){.name = "",
                              .op = "Relu",
                              .domain = "",
                              .n_in = 1,
                              .in = s->out,
                              .n_out = 1,
                              .out = s->in + 2,
                              .doc = ""};
    s->model.graph = (NbOnnxGraph){.name = "g",
                                   .doc = "",
                                   .n_nodes = 2,
                                   .node = s->node,
                                   .n_initializers = 3,
                                   .initializer = s->tensor,
                                   .n_inputs = 1,
                                   .input = s->value,
                                   .n_outputs = 1,
                                   .output = s->value + 1,
                                   .n_values = 2,
                                   .value = s->value,
                                   .n_annotations = 1,
                                   .annotation = &s->annotation};
}

static void fill(Sample *s) {
    *s = (Sample){.in = {"x", "", "z"}, .out = {"y", "y:1"}};
    s->tensor[0] = (NbOnnxTensor){"w", NB_ONNX_FLOAT, {2, {2, 3}}, reals, sizeof reals, NULL, ""};
    s->tensor[1] = (NbOnnxTensor){"i", NB_ONNX_INT64, {1, {3}}, numbers, sizeof numbers, NULL, ""};
    s->tensor[2] = (NbOnnxTensor){"n", NB_ONNX_INT4, {1, {3}}, nibbles, 2, NULL, "packed"};
    s->text = (NbOnnxTensor){"", NB_ONNX_STRING, {1, {2}}, NULL, 0, words, ""};
    s->inner_node = (NbOnnxNode){.name = "in", .op = "Neg", .domain = "", .doc = ""};
    s->inner = (NbOnnxGraph){.name = "body", .doc = "", .n_nodes = 1, .node = &s->inner_node};
    s->attr[0] = (NbOnnxAttr){.name = "f", .ref = "", .kind = NB_ONNX_ATTR_FLOAT, .f = 0.25F};
    s->attr[1] = (NbOnnxAttr){.name = "i", .ref = "", .kind = NB_ONNX_ATTR_INT, .i = INT64_MIN};
    s->attr[2] = (NbOnnxAttr){.name = "s", .ref = "", .kind = NB_ONNX_ATTR_STRING, .s = words[0]};
    s->attr[3] = (NbOnnxAttr){.name = "t", .ref = "", .kind = NB_ONNX_ATTR_TENSOR, .t = &s->text};
    s->attr[4] = (NbOnnxAttr){.name = "g", .ref = "", .kind = NB_ONNX_ATTR_GRAPH, .g = &s->inner};
    s->attr[5] =
        (NbOnnxAttr){.name = "fs", .ref = "", .kind = NB_ONNX_ATTR_FLOATS, .n = 6, .floats = reals};
    s->attr[6] =
        (NbOnnxAttr){.name = "is", .ref = "", .kind = NB_ONNX_ATTR_INTS, .n = 3, .ints = numbers};
    s->value[0] = (NbOnnxValue){.name = "x",
                                .type = NB_ONNX_FLOAT16,
                                .is_tensor = true,
                                .has_shape = true,
                                .rank = 3,
                                .dim = {{-1, "batch"}, {3, ""}, {-1, ""}},
                                .doc = ""};
    s->value[1] = (NbOnnxValue){.name = "z", .type = NB_ONNX_FLOAT, .is_tensor = true, .doc = ""};
    s->entry[0] = (NbOnnxEntry){"finn_datatype", "INT4"};
    s->entry[1] = (NbOnnxEntry){"names", "{0: 'caf\xc3\xa9'}"};
    s->annotation = (NbOnnxAnnotation){"w", 1, s->entry};
    s->opset[0] = (NbOnnxOpset){"", 17};
    s->opset[1] = (NbOnnxOpset){"my.own", 1};
    s->model = (NbOnnxModel){.ir_version = 8,
                             .producer_name = "nibble",
                             .producer_version = "1",
                             .domain = "",
                             .doc = "",
                             .n_opsets = 2,
                             .opset = s->opset,
                             .n_metadata = 2,
                             .metadata = s->entry};
    fill_graph(s);
}

static void same_tensor(const NbOnnxTensor *a, const NbOnnxTensor *b) {
    assert_string_equal(a->name, b->name);
    assert_string_equal(a->doc, b->doc);
    assert_int_equal(a->type, b->type);
    assert_true(nb_shape_equal(&a->shape, &b->shape));
    assert_int_equal(a->size, b->size);
    if (a->size)
        assert_memory_equal(a->data, b->data, a->size);
}

static void same_value(const NbOnnxValue *a, const NbOnnxValue *b) {
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->has_shape, b->has_shape);
    assert_int_equal(a->rank, b->rank);
    for (int i = 0; i < a->rank; i++) {
        assert_int_equal(a->dim[i].value, b->dim[i].value);
        assert_string_equal(a->dim[i].param, b->dim[i].param);
    }
}

static void same_attributes(const NbOnnxNode *a, const NbOnnxNode *b) {
    const NbOnnxAttr *p = b->attr;
    assert_int_equal(a->n_attrs, b->n_attrs);
    for (size_t i = 0; i < a->n_attrs; i++) {
        assert_string_equal(a->attr[i].name, p[i].name);
        assert_int_equal(a->attr[i].kind, p[i].kind);
    }
    assert_true(p[0].f == 0.25F && p[1].i == INT64_MIN);
    assert_int_equal(p[2].s.size, 3);
    assert_memory_equal(p[2].s.data, "a\0b", 3);
    assert_int_equal(p[3].t->string[0].size, 3);
    assert_int_equal(p[3].t->string[1].size, 0);
    assert_string_equal(p[4].g->node[0].op, "Neg");
    assert_memory_equal(p[5].floats, reals, sizeof reals);
    assert_memory_equal(p[6].ints, numbers, sizeof numbers);
}

static void same_graph(const NbOnnxGraph *a, const NbOnnxGraph *b) {
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->n_nodes, b->n_nodes);
    for (size_t i = 0; i < a->n_nodes; i++) {
        assert_string_equal(a->node[i].name, b->node[i].name);
        assert_string_equal(a->node[i].op, b->node[i].op);
        assert_string_equal(a->node[i].domain, b->node[i].domain);
        assert_int_equal(a->node[i].n_in, b->node[i].n_in);
        assert_int_equal(a->node[i].n_out, b->node[i].n_out);
        for (size_t k = 0; k < a->node[i].n_in; k++)
            assert_string_equal(a->node[i].in[k], b->node[i].in[k]);
        for (size_t k = 0; k < a->node[i].n_out; k++)
            assert_string_equal(a->node[i].out[k], b->node[i].out[k]);
    }
    same_attributes(&a->node[0], &b->node[0]);
    assert_int_equal(a->n_initializers, b->n_initializers);
    for (size_t i = 0; i < a->n_initializers; i++)
        same_tensor(&a->initializer[i], &b->initializer[i]);
    assert_int_equal(b->n_inputs, 1);
    assert_int_equal(b->n_outputs, 1);
    assert_int_equal(b->n_values, 2);
    same_value(&a->input[0], &b->input[0]);
    same_value(&a->output[0], &b->output[0]);
    assert_int_equal(b->n_annotations, 1);
    assert_string_equal(b->annotation[0].tensor, "w");
    assert_string_equal(b->annotation[0].entry[0].value, "INT4");
}

static void what_is_written_is_read(void **state) {
    (void)state;
    static Sample s;
    NbArena arena = {0};
    NbError err = {0};
    NbOnnxModel back;
    NbBytes packed;
    NbBytes file;
    const char *const path = nb_scratch("write.onnx");
    fill(&s);
    if (nb_onnx_write(&s.model, path, &err) != NB_OK)
        fail_msg("%s", err.message);
    assert_int_equal(nb_onnx_pack(&s.model, &arena, &packed, &err), NB_OK);
    assert_int_equal(nb_file_read(path, 0, &arena, &file, &err), NB_OK);
    assert_int_equal(packed.size, file.size);
    assert_memory_equal(packed.data, file.data, file.size);
    if (nb_onnx_read(path, file, &arena, &back, &err) != NB_OK)
        fail_msg("%s", err.message);
    assert_int_equal(back.ir_version, 8);
    assert_string_equal(back.producer_name, "nibble");
    assert_int_equal(back.n_opsets, 2);
    assert_string_equal(back.opset[1].domain, "my.own");
    assert_int_equal(back.opset[0].version, 17);
    assert_string_equal(nb_onnx_metadata(&back, "names"), "{0: 'caf\xc3\xa9'}");
    same_graph(&s.model.graph, &back.graph);
    (void)remove(path);
    nb_arena_release(&arena);
}

/* No file, and a message that says where. */
static void refuses(Sample *s, NbStatus status, const char *message) {
    NbError err = {0};
    NbBytes packed;
    NbArena arena = {0};
    const char *const path = nb_scratch("refused.onnx");
    char want[600];
    (void)snprintf(want, sizeof want, "%s: %s", path, message);
    assert_int_equal(nb_onnx_write(&s->model, path, &err), status);
    assert_string_equal(err.message, want);
    assert_false(nb_path_exists(path));
    assert_int_equal(nb_onnx_pack(&s->model, &arena, &packed, &err), status);
    assert_string_equal(err.message, message);
    nb_arena_release(&arena);
}

static void what_does_not_fit_is_refused(void **state) {
    (void)state;
    static Sample s;
    fill(&s);
    s.tensor[2].size = 1;
    refuses(&s, NB_ERR_ARGUMENT, "n: the tensor's data do not have the size of its shape");
    fill(&s);
    s.tensor[0].data = NULL;
    refuses(&s, NB_ERR_ARGUMENT, "w: the tensor's data do not have the size of its shape");
    fill(&s);
    s.attr[3].t = NULL;
    refuses(&s, NB_ERR_ARGUMENT, "first: a tensor is missing");
    fill(&s);
    s.attr[1].kind = NB_ONNX_ATTR_OTHER;
    refuses(&s, NB_ERR_UNSUPPORTED, "first: an attribute of a kind that is not kept");
}

static void a_folder_that_is_not_there(void **state) {
    (void)state;
    static Sample s;
    NbError err = {0};
    fill(&s);
    assert_int_equal(nb_onnx_write(&s.model, "/nowhere/at/all/x.onnx", &err), NB_ERR_IO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(a_folder_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
