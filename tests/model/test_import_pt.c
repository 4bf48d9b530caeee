/* SPDX-License-Identifier: Apache-2.0
 *
 * Models from files of torch.save: saved modules (the small ones of tests/fuzz/make_pt_corpus.py)
 * and the dicts of tensors that quantized-yolov5 writes, made here from a model of ours. */
#include "model/help.h"

#include "base/file.h"
#include "model/checkpoint.h"
#include "model/import_pt.h"

#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static NbStatus read_corpus(const char *name, const NbModelOptions *o, NbArena *arena,
                            NbLoadReport *report, NbModel *m, NbError *err) {
    NbBytes bytes = {0};
    must(nb_file_read(nb_arena_printf(arena, "tests/fuzz/corpus/pt/%s", name), 0, arena, &bytes,
                      err),
         err);
    return nb_model_from_pt("f", bytes, o, arena, report, m, err);
}

static const float *param(const NbModel *m, const char *name) {
    const NbNodeId id = nb_graph_find(&m->graph, name);
    if (id < 0)
        fail_msg("no parameter '%s'", name);
    return nb_f32(&m->graph.node[id].param);
}

static void a_module_is_built_from_the_file_it_carries(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    NbLoadReport report = {0};
    NbModel m;
    must(read_corpus("module", NULL, &arena, &report, &m, &err), &err);
    assert_int_equal(report.loaded, 7);
    assert_int_equal(report.n_extra, 1);
    assert_string_equal(report.extra[0], "model.0.bn.num_batches_tracked");
    assert_true(m.head.nc == 1 && m.head.levels == 1 && m.head.anchors == 2);
    assert_true(m.head.stride[0] == 2.0F);
    assert_true(m.head.anchor[0][0][0] == 10.0F && m.head.anchor[0][0][1] == 13.0F &&
                m.head.anchor[0][1][1] == 30.0F);
    assert_string_equal(m.names[0], "face");
    assert_string_equal(m.yaml_path, "tiny.yaml");
    assert_int_equal(m.imgsz, 640);
    for (int i = 0; i < 216; i++)
        assert_true(param(&m, "model.0.conv.weight")[i] == (float)((i * 7 + 1) % 13 - 6) / 16.0F);
    assert_true(param(&m, "model.0.bn.running_var")[7] == 1.5F);
    assert_true(param(&m, "model.1.m.0.bias")[0] == -1.0F / 16.0F);
    nb_model_release(&m);
    must(read_corpus("module_ema", NULL, &arena, NULL, &m, &err), &err);
    assert_string_equal(m.names[0], "mask");
    assert_int_equal(m.imgsz, 320);
    nb_model_release(&m);
    must(read_corpus("module_names_dict", NULL, &arena, NULL, &m, &err), &err);
    assert_string_equal(m.names[0], "x");
    nb_model_release(&m);
    nb_arena_release(&arena);
}

static int counters_in(const NbLoadReport *r) {
    int n = 0;
    for (int i = 0; i < r->n_extra; i++)
        n += strstr(r->extra[i], ".num_batches_tracked") != NULL;
    return n;
}

static int params_of(const NbModel *m) {
    int n = 0;
    for (NbNodeId id = 0; id < m->graph.n_nodes; id++)
        n += m->graph.node[id].op == NB_OP_PARAM;
    return n;
}

/* YOLOv10's layers: scale n of two, widths, both heads, bins that decoding knows. */
static void a_module_without_anchors_is_built(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    NbLoadReport report = {0};
    NbModel m;
    must(read_corpus("module10", NULL, &arena, &report, &m, &err), &err);
    assert_int_equal(report.loaded, params_of(&m));
    assert_int_equal(report.n_missing + report.n_mismatched, 0);
    assert_int_equal(counters_in(&report), report.n_extra); /* nothing else was passed over */
    assert_true(m.head.kind == NB_HEAD_YOLOV10 && m.head.nc == 2 && m.head.levels == 1);
    assert_true(m.head.reg_max == 2 && m.head.stride[0] == 4.0F && m.head.anchors == 0);
    assert_int_equal(m.graph.n_outputs, 2);
    assert_string_equal(m.names[1], "b");
    assert_string_equal(m.yaml_path, "small10n.yaml");
    assert_int_equal(m.imgsz, 640);
    for (int i = 0; i < 8 * 49; i++)
        assert_true(param(&m, "model.2.m.0.cv1.2.conv.conv.weight")[i] ==
                    (float)((i * 7 + 8 * 49) % 13 - 6) / 16.0F);
    assert_true(param(&m, "model.3.one2one_cv3.0.2.bias")[1] == 6.0F / 16.0F);
    nb_model_release(&m);
    nb_arena_release(&arena);
}

/* Three classes in place of two: only the last convolutions of classes start anew. */
static void other_classes_are_transferred(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    NbLoadReport report = {0};
    NbModel m;
    const NbModelOptions o = {.nc = 3, .transfer = true};
    must(read_corpus("module10", &o, &arena, &report, &m, &err), &err);
    assert_int_equal(m.head.nc, 3);
    assert_int_equal(report.n_mismatched, 4);
    assert_int_equal(report.loaded, params_of(&m) - 4);
    assert_string_equal(report.mismatched[0],
                        "model.3.cv3.0.2.weight: [2, 8, 1, 1] in the file, [3, 8, 1, 1] expected");
    assert_string_equal(m.names[2], "2");
    assert_true(param(&m, "model.0.bn.running_var")[0] == 1.5F);
    assert_true(param(&m, "model.3.cv3.0.2.bias")[0] < -5.0F); /* as a new head starts */
    nb_model_release(&m);
    const NbModelOptions same = {.nc = 2, .transfer = true};
    must(read_corpus("module10", &same, &arena, &report, &m, &err), &err);
    assert_int_equal(report.loaded, params_of(&m));
    nb_model_release(&m);
    nb_arena_release(&arena);
}

/* Bins 0 and 2 in the place of 0 and 1. */
static void bins_come_along(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    NbModel m;
    must(read_corpus("module10", NULL, &arena, NULL, &m, &err), &err);
    assert_null(nb_head_bins(&m.head));
    nb_model_release(&m);
    must(read_corpus("module10_bins", NULL, &arena, NULL, &m, &err), &err);
    assert_true(m.head.has_bins && m.head.bin[0] == 0.0F && m.head.bin[1] == 2.0F);
    nb_model_release(&m);
    nb_arena_release(&arena);
}

static void bits_may_be_asked_for(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    NbBits bits = {0};
    NbModel m;
    must(nb_bits_parse("w4a4", &arena, &bits, &err), &err);
    const NbModelOptions o = {.bits = &bits};
    must(read_corpus("module", &o, &arena, NULL, &m, &err), &err);
    assert_true(m.bits.quantized);
    assert_true(param(&m, "model.0.conv.weight")[0] == -5.0F / 16.0F);
    nb_model_release(&m);
    nb_arena_release(&arena);
}

static void what_differs_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *file;
        int nc;
        NbStatus status;
        const char *want;
    } rows[] = {
        {"module_hardswish", 0, NB_ERR_UNSUPPORTED,
         "f: model.0.act is Hardswish, its model file means SILU"},
        {"module_epsilon", 0, NB_ERR_UNSUPPORTED, "f: model.0.bn has an epsilon of 1e-05"},
        {"module_stride", 0, NB_ERR_FORMAT, "f: stride of level 0 is 4 of 1 in the file, 2 of 1"},
        {"module_unknown", 0, NB_ERR_UNSUPPORTED, "f: layer 1 is a module Segment"},
        {"module_no_anchors", 0, NB_ERR_FORMAT,
         "f: tiny.yaml:8:5: model.1: anchors for 1 levels expected"},
        {"module10", 3, NB_ERR_ARGUMENT, "f: the checkpoint has 2 classes, 3 asked for"},
        {"module", 3, NB_ERR_ARGUMENT, "f: the checkpoint has 1 classes, 3 asked for"},
        {"state", 0, NB_ERR_FORMAT, "f: 11 tensors without a model file: model.yaml expected"},
        {"hostile_call_system", 0, NB_ERR_UNSUPPORTED, "f: archive/data.pkl: byte 2: the name"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbArena arena = {0};
        NbError err = {0};
        NbModel m;
        const NbModelOptions o = {.nc = rows[i].nc};
        assert_int_equal(read_corpus(rows[i].file, &o, &arena, NULL, &m, &err), rows[i].status);
        assert_null(m.graph.node);
        if (strncmp(err.message, rows[i].want, strlen(rows[i].want)) != 0)
            fail_msg("%s: '%s', expected '%s'", rows[i].file, err.message, rows[i].want);
        nb_arena_release(&arena);
    }
}

/* ---- quantized-yolov5's dicts, written here ---- */

typedef struct Out {
    unsigned char *data;
    size_t n;
    size_t capacity;
} Out;

static void put(Out *o, const void *bytes, size_t n) {
    if (o->n + n > o->capacity)
        fail_msg("more than %zu bytes to write", o->capacity);
    if (n)
        memcpy(o->data + o->n, bytes, n);
    o->n += n;
}

static void put_number(Out *o, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++)
        put(o, &(unsigned char){(unsigned char)(value >> (8 * i))}, 1);
}

static void put_text(Out *o, const char *text) {
    put(o, "X", 1);
    put_number(o, strlen(text), 4);
    put(o, text, strlen(text));
}

static void put_int(Out *o, int64_t value) {
    put(o, "J", 1);
    put_number(o, (uint64_t)value, 4);
}

/* _rebuild_tensor_v2(storage, 0, sizes, strides, False) in half precision. */
static void put_tensor(Out *o, const char *key, const NbShape *shape) {
    int64_t stride = (int64_t)nb_shape_count(shape);
    static const char rebuild[] = "ctorch._utils\n_rebuild_tensor_v2\n((";
    put(o, rebuild, sizeof rebuild - 1);
    put_text(o, "storage");
    static const char half[] = "ctorch\nHalfStorage\n";
    put(o, half, sizeof half - 1);
    put_text(o, key);
    put_text(o, "cpu");
    put_int(o, stride);
    put(o, "tQK\0(", 5);
    for (int i = 0; i < shape->rank; i++)
        put_int(o, shape->dim[i]);
    put(o, "t(", 2);
    for (int i = 0; i < shape->rank; i++) {
        stride /= shape->dim[i] ? shape->dim[i] : 1;
        put_int(o, stride);
    }
    put(o, "t\x89tR", 4);
}

static void put_entry(Out *zip, Out *central, const char *name, const Out *content) {
    const size_t at = zip->n;
    const uint32_t crc = (uint32_t)crc32_z(0, content->data, content->n);
    Out *const both[2] = {zip, central};
    put(zip, "PK\3\4\x14\0", 6);
    put(central, "PK\1\2\x14\0\x14\0", 8);
    for (int k = 0; k < 2; k++) {
        put(both[k], "\0\0\0\0\0\0\0\0", 8);
        put_number(both[k], crc, 4);
        put_number(both[k], content->n, 4);
        put_number(both[k], content->n, 4);
        put_number(both[k], strlen(name), 2);
        put_number(both[k], 0, 2);
    }
    put(central, "\0\0\0\0\0\0\0\0\0\0", 10);
    put_number(central, at, 4);
    put(central, name, strlen(name));
    put(zip, name, strlen(name));
    put(zip, content->data, content->n);
}

static Out new_out(NbArena *arena, size_t capacity) {
    return (Out){.data = nb_arena_take(arena, capacity, 1), .capacity = capacity};
}

static void put_half(Out *zip, Out *central, NbArena *arena, int key, const NbTensor *t) {
    const size_t n = nb_tensor_count(t);
    Out content = new_out(arena, n * 2);
    nb_convert(t->data, t->dtype, content.data, NB_F16, n);
    content.n = n * 2;
    put_entry(zip, central, nb_arena_printf(arena, "best/data/%d", key), &content);
}

/* The parameters of m under the peer's names and its anchors in cells. */
static void write_peer_file(const NbModel *m, const char *path, NbArena *arena) {
    NbError err = {0};
    Out pickle = new_out(arena, 1 << 20);
    Out zip = new_out(arena, 12 << 20);
    Out central = new_out(arena, 1 << 20);
    char name[200];
    int key = 0;
    put(&pickle, "\x80\x02}", 3);
    for (NbNodeId id = 0; id < m->graph.n_nodes; id++) {
        const NbNode *const node = &m->graph.node[id];
        if (node->op != NB_OP_PARAM)
            continue;
        const NbShape none = {0};
        const bool clip = node->attr.param.role == NB_PARAM_QUANT; /* a scalar in the file */
        put_text(&pickle, peer_name(node->name, name, sizeof name));
        put_tensor(&pickle, nb_arena_printf(arena, "%d", key), clip ? &none : &node->param.shape);
        put(&pickle, "s", 1);
        put_half(&zip, &central, arena, key++, &node->param);
    }
    const bool free = m->head.kind != NB_HEAD_YOLOV5;
    const NbShape shape = free ? nb_shape(0, NULL) : nb_shape(3, (const int64_t[]){1, 3, 2});
    float cells[6] = {1, 2, 3, 4, 5, 6};
    /* of Brevitas' other quantizers nothing of ours remains: passed over */
    put_text(&pickle, free ? "model.0.conv.input_quant.fused_activation_quant_proxy.tensor_quant."
                             "scaling_impl.value"
                           : "model.15.anchors");
    put_tensor(&pickle, nb_arena_printf(arena, "%d", key), &shape);
    put(&pickle, "s.", 2);
    put_half(&zip, &central, arena, key++, &(NbTensor){NB_F32, shape, cells});
    put_entry(&zip, &central, "best/data.pkl", &pickle);
    const size_t at = zip.n;
    put(&zip, central.data, central.n);
    put(&zip, "PK\5\6\0\0\0\0", 8);
    put_number(&zip, (uint64_t)key + 1, 2);
    put_number(&zip, (uint64_t)key + 1, 2);
    put_number(&zip, central.n, 4);
    put_number(&zip, at, 4);
    put_number(&zip, 0, 2);
    must(nb_file_write(path, zip.data, zip.n, &err), &err);
}

static void same_as_half(const NbModel *a, const NbModel *b) {
    for (NbNodeId id = 0; id < b->graph.n_nodes; id++) {
        const NbNode *const node = &b->graph.node[id];
        if (node->op != NB_OP_PARAM)
            continue;
        const float *const from = param(a, node->name);
        for (size_t i = 0; i < nb_tensor_count(&node->param); i++)
            assert_true(nb_f32(&node->param)[i] == nb_f16_to_f32(nb_f32_to_f16(from[i])));
    }
}

typedef struct Peer {
    NbArena arena;
    NbModel m;
    char *folder, *weights, *path, *yaml;
} Peer;

static void make_peer(Peer *p, const char *model, int nc, bool compat) {
    NbError err = {0};
    *p = (Peer){0};
    const NbModelOptions o = {.nc = nc, .compat = compat};
    must(nb_model_read(model, &o, 3, &p->m, &err), &err);
    p->folder = nb_arena_printf(&p->arena, "/tmp/nb_test_%d_peer", (int)getpid());
    p->weights = nb_arena_printf(&p->arena, "%s/weights", p->folder);
    p->path = nb_arena_printf(&p->arena, "%s/best.pt", p->weights);
    p->yaml = nb_arena_printf(&p->arena, "%s/model.yaml", p->folder);
    must(nb_folder_make(p->weights, &err), &err);
    write_peer_file(&p->m, p->path, &p->arena);
}

static void drop_peer(Peer *p) {
    (void)unlink(p->path);
    (void)unlink(p->yaml);
    (void)rmdir(p->weights);
    (void)rmdir(p->folder);
    nb_model_release(&p->m);
    nb_arena_release(&p->arena);
}

static void a_dict_finds_its_model_in_the_zoo(void **state) {
    (void)state;
    NbError err = {0};
    NbLoadReport report = {0};
    NbModel m;
    Peer p;
    make_peer(&p, "lpyolo.yaml", 2, true);
    must(nb_model_import(p.path, NULL, 0, &p.arena, &report, &m, &err), &err);
    assert_string_equal(m.yaml_path, "lpyolo.yaml");
    assert_true(m.compat && m.bits.quantized && m.head.nc == 2 && m.imgsz == 0);
    assert_int_equal(report.n_extra + report.n_missing + report.n_mismatched, 0);
    assert_true(m.head.anchor[0][2][1] == 6.0F * 32.0F);
    assert_int_equal(m.graph.n_nodes, p.m.graph.n_nodes);
    same_as_half(&p.m, &m);
    nb_model_release(&m);
    const NbModelOptions three = {.nc = 3};
    assert_int_equal(nb_model_read(p.path, &three, 0, &m, &err), NB_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "the checkpoint has 2 classes, 3 asked for"));
    drop_peer(&p);
}

/* Names and shapes tell the model, and of a family the scale; classes are those of the file. */
static void a_dict_without_anchors_finds_its_scale(void **state) {
    (void)state;
    static const char *const models[] = {"yolov10n.yaml", "yolov8n.yaml"};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        NbError err = {0};
        NbLoadReport report = {0};
        NbModel m;
        Peer p;
        make_peer(&p, models[i], 7, false);
        must(nb_model_import(p.path, NULL, 0, &p.arena, &report, &m, &err), &err);
        assert_string_equal(m.yaml_path, models[i]);
        assert_true(!m.compat && !m.bits.quantized && m.head.nc == 7);
        assert_int_equal(report.loaded, params_of(&m));
        assert_int_equal(report.n_extra, 1);
        assert_string_equal(report.extra[0], "model.0.conv.input_quant.value");
        same_as_half(&p.m, &m);
        nb_model_release(&m);
        const NbModelOptions three = {.nc = 3, .transfer = true};
        must(nb_model_import(p.path, &three, 0, &p.arena, &report, &m, &err), &err);
        assert_true(m.head.nc == 3 && report.n_mismatched > 0 && report.loaded > 100);
        nb_model_release(&m);
        drop_peer(&p);
    }
}

/* Of weights/best.pt it is model.yaml beside weights/. */
static void the_model_file_beside_a_dict_comes_first(void **state) {
    (void)state;
    NbError err = {0};
    NbModel m;
    Peer p;
    make_peer(&p, "lpyolo.yaml", 1, true);
    char *const text = nb_arena_string(&p.arena, p.m.yaml);
    char *const bits = strstr(text, "[8, 4, 4, 8]");
    assert_non_null(bits);
    memcpy(bits, "[8, 2, 3, 8]", 12);
    must(nb_file_write(p.yaml, text, strlen(text), &err), &err);
    must(nb_model_read(p.path, NULL, 0, &m, &err), &err);
    assert_string_equal(m.yaml_path, p.yaml);
    assert_true(m.bits.activation == 3 && m.compat);
    same_as_half(&p.m, &m);
    nb_model_release(&m);
    static const char other[] = "nc: 1\ndepth_multiple: 1.0\nwidth_multiple: 1.0\nanchors: 3\n"
                                "backbone: [[-1, 1, Conv, [8]]]\nhead: [[0, 1, Detect, [nc, 3]]]\n";
    must(nb_file_write(p.yaml, other, sizeof other - 1, &err), &err);
    assert_int_equal(nb_model_read(p.path, NULL, 0, &m, &err), NB_ERR_FORMAT);
    assert_non_null(strstr(err.message, "of another shape: model.0.conv.weight"));
    drop_peer(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_module_is_built_from_the_file_it_carries),
        cmocka_unit_test(a_module_without_anchors_is_built),
        cmocka_unit_test(other_classes_are_transferred),
        cmocka_unit_test(bins_come_along),
        cmocka_unit_test(bits_may_be_asked_for),
        cmocka_unit_test(what_differs_is_refused),
        cmocka_unit_test(a_dict_finds_its_model_in_the_zoo),
        cmocka_unit_test(a_dict_without_anchors_finds_its_scale),
        cmocka_unit_test(the_model_file_beside_a_dict_comes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
