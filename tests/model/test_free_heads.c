/* SPDX-License-Identifier: Apache-2.0
 *
 * Models without anchors: how they start, what quantize= does to their modules, families of scales,
 * the form of Ultralytics' files, and transfer between class counts. */
#include "model/help.h"

#include "base/file.h"
#include "model/checkpoint.h"

#include <math.h>
#include <unistd.h>

static const NbNode *node_named(const NbModel *m, const char *name) {
    const NbNodeId id = nb_graph_find(&m->graph, name);
    if (id < 0)
        fail_msg("no node '%s'", name);
    return &m->graph.node[id < 0 ? 0 : id];
}

static const float *param(const NbModel *m, const char *name) {
    return nb_f32(&node_named(m, name)->param);
}

static void open_model(const char *name, const char *bits, NbModel *m) {
    NbArena arena = {0};
    NbError err = {0};
    NbBits parsed = {0};
    if (bits)
        must(nb_bits_parse(bits, &arena, &parsed, &err), &err);
    const NbModelOptions o = {.bits = bits ? &parsed : NULL};
    must(nb_model_read(name, &o, 5, m, &err), &err);
    nb_arena_release(&arena);
}

/* ln(5 / 80 / (640 / stride)^2) for strides 8, 16, 32; boxes 1; the second head a copy. */
static void heads_start_as_published(void **state) {
    (void)state;
    static const char *const models[] = {"yolov10n.yaml", "yolov8n.yaml"};
    static const float want[3] = {-11.5366F, -10.1503F, -8.7641F};
    for (int i = 0; i < 2; i++) {
        NbModel m;
        int twins = 0;
        open_model(models[i], NULL, &m);
        assert_int_equal(m.graph.n_outputs, i ? 3 : 6);
        assert_true(m.head.stride[0] == 8.0F && m.head.stride[2] == 32.0F);
        for (int o = 0; o < m.graph.n_outputs; o++) {
            const NbNode *joined = &m.graph.node[m.graph.output[o]];
            for (int k = 0; k < 2; k++) {
                const NbNode *conv = &m.graph.node[joined->in[k]];
                const NbTensor *bias = &m.graph.node[conv->in[2]].param;
                const float start = k ? want[o % 3] : 1.0F;
                for (size_t c = 0; c < nb_tensor_count(bias); c++)
                    assert_float_equal(nb_f32(bias)[c], start, 1e-4F);
            }
        }
        for (NbNodeId id = 0; id < m.graph.n_nodes; id++) {
            const NbNode *node = &m.graph.node[id];
            const char *at = strstr(node->name, "one2one_");
            char name[128];
            if (node->op != NB_OP_PARAM || !at)
                continue;
            (void)snprintf(name, sizeof name, "%.*s%s", (int)(at - node->name), node->name, at + 8);
            assert_memory_equal(node->param.data, param(&m, name),
                                nb_tensor_count(&node->param) * sizeof(float));
            twins++;
        }
        assert_int_equal(twins, i ? 0 : 3 * (2 * 5 + 4 * 5 + 4));
        nb_model_release(&m);
    }
}

/* The one-to-one head teaches nothing to the neck. */
static void the_second_head_is_detached(void **state) {
    (void)state;
    NbModel m;
    open_model("yolov10n.yaml", NULL, &m);
    int detached = 0;
    for (NbNodeId id = 0; id < m.graph.n_nodes; id++) {
        const NbNode *node = &m.graph.node[id];
        for (int i = 0; i < node->n_in; i++) {
            const NbNode *from = &m.graph.node[node->in[i]];
            const bool enters = strstr(node->name, ".one2one_") && !strstr(from->name, "one2one_");
            if (enters && from->op != NB_OP_PARAM)
                assert_int_equal(from->op, NB_OP_DETACH);
        }
        detached += node->op == NB_OP_DETACH;
    }
    assert_int_equal(detached, 3);
    nb_model_release(&m);
}

typedef struct Bits {
    const char *quant; /* node */
    int bits;
} Bits;

static void patterns_reach_every_convolution(void **state) {
    (void)state;
    static const char text[] = "w4a6:model.22.*=w3a5:model.10.attn.qkv.conv=w2:"
                               "model.10.attn.softmax=a7:model.8.m.0.add=a8";
    static const Bits want[] = {
        {"model.0.conv.weight_quant", 8}, /* the first layer */
        {"model.2.m.0.cv1.conv.weight_quant", 4},
        {"model.5.cv2.act_quant", 6},
        {"model.8.m.0.add_quant", 8},
        {"model.10.attn.qkv.conv.weight_quant", 2},
        {"model.10.attn.qkv.act_quant", 6},
        {"model.10.attn.softmax_quant", 7},
        {"model.10.attn.pe.conv.weight_quant", 4},
        {"model.10.ffn.1.conv.weight_quant", 4},
        {"model.22.m.0.cv1.2.conv.conv.weight_quant", 3},
        {"model.22.m.0.cv1.2.act_quant", 5},
        {"model.23.cv3.0.0.0.conv.weight_quant", 4},
        {"model.23.one2one_cv2.1.2.weight_quant", 8}, /* the last layers stay at 8 */
        {"model.23.cv3.2.2.weight_quant", 8},
    };
    NbModel m;
    open_model("yolov10n.yaml", text, &m);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        const NbNode *q = node_named(&m, want[i].quant);
        if (q->op != NB_OP_QUANT || q->attr.quant.grid.bits != want[i].bits)
            fail_msg("%s: %d bits, %d expected", want[i].quant, q->attr.quant.grid.bits,
                     want[i].bits);
    }
    assert_false(node_named(&m, "model.10.attn.softmax_quant")->attr.quant.grid.is_signed);
    for (int o = 0; o < m.graph.n_outputs; o++) /* tails are real numbers */
        assert_int_equal(m.graph.node[m.graph.output[o]].kind, NB_VALUE_REAL);
    for (NbNodeId id = 0; id < m.graph.n_nodes; id++) {
        const NbNode *node = &m.graph.node[id];
        for (int i = 0; node->op == NB_OP_MATMUL && i < 2; i++)
            assert_int_equal(m.graph.node[node->in[i]].kind, NB_VALUE_CODED);
    }
    nb_model_release(&m);
}

/* As Ultralytics writes them: comments, strings in double quotes, no multiples, an activation. */
static const char family[] = "# Parameters\n"
                             "nc: 4 # number of classes\n"
                             "activation: nn.LeakyReLU(0.1)\n"
                             "scales: # model compound scaling constants\n"
                             "  # [depth, width, max_channels]\n"
                             "  n: [0.33, 0.25, 64]\n"
                             "  x: [1.00, 1.25, 32]\n"
                             "\n"
                             "backbone:\n"
                             "  # [from, repeats, module, args]\n"
                             "  - [-1, 1, Conv, [64, 3, 2]] # 0-P1/2\n"
                             "  - [-1, 6, C2f, [128, True]]\n"
                             "  - [-1, 1, SPPF, [128, 5]]\n"
                             "head:\n"
                             "  - [-1, 1, nn.Upsample, [None, 2, \"nearest\"]]\n"
                             "  - [-1, 1, Bottleneck, [4]]\n"
                             "  - [[2, 4], 1, Detect, [nc]] # Detect(P3, P4)\n";

static void names_pick_scales(void **state) {
    (void)state;
    static const struct {
        const char *path;
        int c0, c1, blocks;
    } rows[] = {{"yolov9n.yaml", 16, 16, 2},
                {"yolov9.yaml", 16, 16, 2}, /* the first */
                {"dir/yolo9x.yaml", 40, 40, 6},
                {"mine.yaml", 16, 16, 2}};
    NbError err = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbModel m;
        must(nb_model_from_yaml(rows[i].path, family, strlen(family), NULL, &m, &err), &err);
        assert_int_equal(node_named(&m, "model.0.conv.weight")->param.shape.dim[0], rows[i].c0);
        assert_int_equal(node_named(&m, "model.1.cv2.conv.weight")->param.shape.dim[0], rows[i].c1);
        assert_int_equal(node_named(&m, "model.1.cv2.conv.weight")->param.shape.dim[1],
                         rows[i].c1 / 2 * (2 + rows[i].blocks));
        assert_int_equal(node_named(&m, "model.0.act")->op, NB_OP_LEAKY_RELU);
        /* as many channels as classes are not scaled; kernels of 3 in both */
        assert_int_equal(node_named(&m, "model.4.cv2.conv.weight")->param.shape.dim[0], 4);
        assert_int_equal(node_named(&m, "model.4.cv1.conv.weight")->param.shape.dim[2], 3);
        assert_true(m.head.kind == NB_HEAD_YOLOV8 && m.head.reg_max == 16);
        assert_float_equal(m.head.stride[1], 1.0F, 0);
        nb_model_release(&m);
    }
    NbModel m;
    assert_int_equal(nb_model_from_yaml("yolov9s.yaml", family, strlen(family), NULL, &m, &err),
                     NB_ERR_FORMAT);
    assert_non_null(strstr(err.message, "yolov9s.yaml:6:3: no scale 's', the first is 'n'"));
}

/* The scale lies in the path that a checkpoint keeps. */
static void other_classes_are_transferred(void **state) {
    (void)state;
    char path[64];
    NbArena arena = {0};
    NbError err = {0};
    NbLoadReport report = {0};
    NbModel from;
    NbModel m;
    (void)snprintf(path, sizeof path, "/tmp/nb_test_%d_free.safetensors", (int)getpid());
    open_model("yolov8s.yaml", NULL, &from);
    must(nb_model_write(path, &from, &err), &err);
    must(nb_model_read(path, NULL, 0, &m, &err), &err);
    assert_int_equal(m.graph.n_nodes, from.graph.n_nodes);
    nb_model_release(&m);
    NbModelOptions o = {.nc = 3};
    assert_int_equal(nb_model_read(path, &o, 0, &m, &err), NB_ERR_ARGUMENT);
    assert_non_null(strstr(err.message, "the checkpoint has 80 classes, 3 asked for"));
    o.transfer = true;
    must(nb_model_import(path, &o, 0, &arena, &report, &m, &err), &err);
    assert_int_equal(m.head.nc, 3);
    assert_int_equal(report.n_mismatched, 6); /* weights and biases of three levels */
    assert_int_equal(report.n_missing + report.n_extra, 0);
    assert_memory_equal(param(&m, "model.4.cv1.conv.weight"),
                        param(&from, "model.4.cv1.conv.weight"), 128 * 128 * sizeof(float));
    assert_float_equal(param(&m, "model.22.cv3.0.2.bias")[1], (float)log(5.0 / 3 / 6400), 1e-4F);
    nb_model_release(&m);
    nb_model_release(&from);
    nb_arena_release(&arena);
    (void)unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_start_as_published),
        cmocka_unit_test(the_second_head_is_detached),
        cmocka_unit_test(patterns_reach_every_convolution),
        cmocka_unit_test(names_pick_scales),
        cmocka_unit_test(other_classes_are_transferred),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
