/* SPDX-License-Identifier: Apache-2.0
 *
 * Checkpoints: what is written is read, by name, under groups, in other types, and between models
 * that are only alike. */
#include "model/help.h"

#include "base/file.h"
#include "model/checkpoint.h"

#include <math.h>
#include <unistd.h>

static const char *scratch(const char *name) {
    static char path[64];
    (void)snprintf(path, sizeof path, "/tmp/nb_test_%d_%s", (int)getpid(), name);
    return path;
}

static void build(const char *name, const char *bits, uint64_t seed, NbModel *m) {
    NbArena arena = {0};
    NbError err = {0};
    NbBits parsed = {0};
    if (bits)
        must(nb_bits_parse(bits, &arena, &parsed, &err), &err);
    const NbModelOptions o = {.nc = 3, .bits = bits ? &parsed : NULL};
    must(nb_model_read(name, &o, seed, m, &err), &err);
    nb_arena_release(&arena);
}

static void same_parameters(const NbModel *a, const NbModel *b) {
    assert_int_equal(a->graph.n_nodes, b->graph.n_nodes);
    for (NbNodeId id = 0; id < a->graph.n_nodes; id++) {
        const NbNode *x = &a->graph.node[id];
        const NbNode *y = &b->graph.node[id];
        assert_string_equal(x->name, y->name);
        assert_int_equal(x->op, y->op);
        if (x->op == NB_OP_PARAM)
            assert_memory_equal(x->param.data, y->param.data,
                                nb_tensor_count(&x->param) * sizeof(float));
        if (x->op == NB_OP_QUANT)
            assert_true(x->grid.bits == y->grid.bits && x->grid.is_signed == y->grid.is_signed);
    }
}

static void a_model_survives_the_file(void **state) {
    (void)state;
    static const char *const bits[] = {NULL, "w2a3:first=w8:last=w6", "none"};
    static const char *const names[] = {"cat", "a \"dog\"", "\xc3\xa9t\xc3\xa9"};
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++) {
        NbError err = {0};
        NbModel a;
        NbModel b;
        build("lpyolo.yaml", bits[i], 7, &a);
        must(nb_model_set_names(&a, names, 3, &err), &err);
        a.head.anchor[0][1][0] = 19.37F; /* as autoanchor leaves them */
        nb_f32(&a.graph.node[nb_graph_find(&a.graph, "model.2.bn.running_mean")].param)[0] = 0.3F;
        must(nb_model_write(scratch("a.safetensors"), &a, &err), &err);
        must(nb_model_read(scratch("a.safetensors"), NULL, 0, &b, &err), &err);
        same_parameters(&a, &b);
        assert_string_equal(b.names[2], names[2]);
        assert_string_equal(b.yaml, a.yaml);
        assert_memory_equal(&a.head, &b.head, sizeof a.head);
        assert_int_equal(a.bits_from_file, b.bits_from_file);
        assert_int_equal(a.bits.weight, b.bits.weight);
        nb_model_release(&a);
        nb_model_release(&b);
    }
    (void)remove(scratch("a.safetensors"));
}

/* The averaged weights are what is read; float16 and an optimizer's tensors are no obstacle. */
static void groups_and_types(void **state) {
    (void)state;
    NbError err = {0};
    NbArena arena = {0};
    NbModel raw;
    NbModel ema;
    NbModel got;
    NbSafetensors file = {0};
    build("lpyolo.yaml", NULL, 1, &raw);
    build("lpyolo.yaml", NULL, 2, &ema);
    must(nb_model_to_tensors(&raw, "", &arena, &file, &err), &err);
    const size_t first = file.n_tensors;
    must(nb_model_to_tensors(&ema, "ema/", &arena, &file, &err), &err);
    for (size_t i = first; i < file.n_tensors; i++) { /* ema in half precision */
        NbTensor *t = &file.tensor[i].tensor;
        NbTensor half = {.dtype = NB_F16, .shape = t->shape};
        must(nb_tensor_new(&arena, NB_F16, &t->shape, &half, &err), &err);
        nb_convert(t->data, NB_F32, half.data, NB_F16, nb_tensor_count(t));
        nb_convert(half.data, NB_F16, t->data, NB_F32, nb_tensor_count(t));
        *t = half;
    }
    must(nb_checkpoint_add(&file, &arena, "optim/momentum/model.0.conv.weight",
                           &file.tensor[0].tensor, &err),
         &err);
    must(nb_checkpoint_add_metadata(&file, &arena, "epoch", "7", &err), &err);
    must(nb_model_to_metadata(&raw, &arena, &file, &err), &err);
    must(nb_safetensors_write(scratch("b.safetensors"), &file, &err), &err);
    must(nb_model_read(scratch("b.safetensors"), NULL, 0, &got, &err), &err);
    same_parameters(&ema, &got);
    NbLoadReport report = {0}; /* the group without a prefix is only the plain names */
    must(nb_model_load_tensors(&got, &file, "", NB_LOAD_STRICT, &arena, &report, &err), &err);
    same_parameters(&raw, &got);
    assert_int_equal(report.loaded, (int)first);
    assert_int_equal(report.n_extra + report.n_missing + report.n_mismatched, 0);
    (void)remove(scratch("b.safetensors"));
    nb_model_release(&raw);
    nb_model_release(&ema);
    nb_model_release(&got);
    nb_arena_release(&arena);
}

static void a_float_model_becomes_a_quantized_one(void **state) {
    (void)state;
    NbError err = {0};
    NbArena arena = {0};
    NbModel plain;
    NbModel quantized;
    NbBits bits = {0};
    build("yolov3-tiny.yaml", NULL, 5, &plain);
    must(nb_model_write(scratch("c.safetensors"), &plain, &err), &err);
    must(nb_bits_parse("w4a4", &arena, &bits, &err), &err);
    const NbModelOptions o = {.bits = &bits};
    must(nb_model_read(scratch("c.safetensors"), &o, 0, &quantized, &err), &err);
    assert_false(quantized.bits_from_file);
    const NbNodeId w = nb_graph_find(&quantized.graph, "model.4.conv.weight");
    const NbNodeId clip = nb_graph_find(&quantized.graph, "model.4.act_quant.value");
    assert_true(w >= 0 && clip >= 0);
    assert_memory_equal(
        quantized.graph.node[w].param.data,
        plain.graph.node[nb_graph_find(&plain.graph, "model.4.conv.weight")].param.data, 64);
    assert_float_equal(nb_f32(&quantized.graph.node[clip].param)[0], log2f(6.0F), 1e-6F);
    (void)remove(scratch("c.safetensors"));
    nb_model_release(&plain);
    nb_model_release(&quantized);
    nb_arena_release(&arena);
}

static void transfer_takes_what_fits(void **state) {
    (void)state;
    NbError err = {0};
    NbArena arena = {0};
    NbModel from;
    NbModel to;
    NbSafetensors file = {0};
    NbLoadReport report = {0};
    build("lpyolo-float.yaml", NULL, 5, &from);
    const NbModelOptions o = {.nc = 1};
    must(nb_model_read("lpyolo.yaml", &o, 6, &to, &err), &err);
    must(nb_model_to_tensors(&from, "", &arena, &file, &err), &err);
    must(nb_checkpoint_add(&file, &arena, "module.other", &file.tensor[0].tensor, &err), &err);
    assert_int_equal(nb_model_load_tensors(&to, &file, "", NB_LOAD_STRICT, &arena, NULL, &err),
                     NB_ERR_FORMAT);
    assert_non_null(strstr(err.message, "2 tensors of another shape: model.14.conv.weight: [24, "
                                        "104, 3, 3] in the file, [18, 104, 3, 3] expected, ..."));
    must(nb_model_load_tensors(&to, &file, "", NB_LOAD_TRANSFER, &arena, &report, &err), &err);
    assert_int_equal(report.loaded, 9 + 9 * 4);
    assert_int_equal(report.n_missing, 9); /* the clips */
    assert_int_equal(report.n_mismatched, 2);
    assert_int_equal(report.n_extra, 1);
    assert_string_equal(report.extra[0], "other");
    assert_non_null(strstr(nb_load_report_text(&report, &arena),
                           "45 parameters loaded; 9 missing: model.0.act_quant.value, "));
    nb_model_release(&from);
    nb_model_release(&to);
    nb_arena_release(&arena);
}

static void broken_files_change_nothing(void **state) {
    (void)state;
    NbError err = {0};
    NbArena arena = {0};
    NbModel m;
    NbModel other;
    NbSafetensors file = {0};
    build("lpyolo.yaml", NULL, 1, &m);
    build("lpyolo.yaml", NULL, 1, &other);
    must(nb_model_to_tensors(&other, "", &arena, &file, &err), &err);
    NbTensor *last = &file.tensor[file.n_tensors - 1].tensor;
    nb_f32(&file.tensor[0].tensor)[0] = 77.0F;
    nb_f32(last)[1] = NAN;
    assert_int_equal(nb_model_load_tensors(&m, &file, "", NB_LOAD_STRICT, &arena, NULL, &err),
                     NB_ERR_FORMAT);
    assert_non_null(strstr(err.message, "holds NaN or infinity at element 1"));
    nb_f32(last)[1] = 0.0F;
    file.n_tensors--; /* a bias is missing */
    assert_int_equal(nb_model_load_tensors(&m, &file, "", NB_LOAD_STRICT, &arena, NULL, &err),
                     NB_ERR_FORMAT);
    assert_non_null(strstr(err.message, "1 of the model's tensors are missing: model.14.conv"));
    const NbNodeId first = nb_graph_find(&m.graph, file.tensor[0].name);
    assert_true(nb_f32(&m.graph.node[first].param)[0] < 1.0F);
    nb_model_release(&m);
    assert_int_equal(nb_model_read("/none/x.onnx", NULL, 0, &m, &err), NB_ERR_FORMAT);
    nb_model_release(&other);
    nb_arena_release(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_survives_the_file),
        cmocka_unit_test(groups_and_types),
        cmocka_unit_test(a_float_model_becomes_a_quantized_one),
        cmocka_unit_test(transfer_takes_what_fits),
        cmocka_unit_test(broken_files_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
