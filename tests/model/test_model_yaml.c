/* SPDX-License-Identifier: Apache-2.0
 *
 * Model files: totals of the zoo, how modules become nodes, start values, and what is said about
 * files that are wrong. */
#include "model/help.h"

#include "model/zoo.h"

#include <math.h>

typedef struct Total {
    const char *model;
    const char *bits; /* NULL: the file's */
    bool compat;
    int side;
    int64_t params, macs;
} Total;

/* Published totals (compat: with the unused convolution of Detect and without output bias); the
 * others differ by what is said. */
static const Total totals[] = {
    {"lpyolo.yaml", NULL, true, 416, 352231, 153557456},
    {"lpyolo.yaml", NULL, true, 640, 352231, 363449600},
    {"lpyolo.yaml", NULL, false, 416, 352231 - 342 + 18, 153557456},
    {"lpyolo.yaml", "none", false, 416, 352231 - 342 + 18 - 9, 153557456},
    {"lpyolo-float.yaml", NULL, false, 416, 352231 - 342 + 18 - 9, 153557456},
    {"lpyolo-float", "w4a4", false, 416, 352231 - 342 + 18, 153557456},
    {"yolov3-tiny.yaml", NULL, false, 416, 8852366, 2782480896},
    {"yolov3-tiny.yaml", NULL, false, 640, 8852366, 6585753600},
    /* 11 activations, two of which meet in a concatenation and share one clip */
    {"yolov3-tiny.yaml", "w4a4", false, 416, 8852366 + 10, 2782480896},
    {"yolov5n.yaml", NULL, true, 640, 1872157, 2234060800},
    {"yolov5s.yaml", NULL, true, 640, 7235389, 0},
    {"yolov5m.yaml", NULL, true, 640, 21190557, 0},
    {"yolov5l.yaml", NULL, true, 640, 46563709, 0},
};

static void build_only(const char *name, const char *bits, bool compat, NbModel *m) {
    NbArena arena = {0};
    NbError err = {0};
    NbBits parsed = {0};
    if (bits)
        must(nb_bits_parse(bits, &arena, &parsed, &err), &err);
    const NbModelOptions o = {.bits = bits ? &parsed : NULL, .compat = compat};
    must(nb_model_from_yaml_file(name, &o, m, &err), &err);
    nb_arena_release(&arena);
}

static void build(const char *name, const char *bits, bool compat, NbModel *m) {
    NbError err = {0};
    build_only(name, bits, compat, m);
    must(nb_model_init(m, 1, &err), &err);
}

static void totals_are_the_published_ones(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof totals / sizeof *totals; i++) {
        const Total *t = &totals[i];
        NbError err = {0};
        NbModel m;
        NbModelCost cost;
        build_only(t->model, t->bits, t->compat, &m);
        must(nb_model_cost(&m, t->side, t->side, &cost, &err), &err);
        if (cost.params != t->params || (t->macs && cost.macs != t->macs))
            fail_msg("%s: %lld parameters, %lld multiply-adds", t->model, (long long)cost.params,
                     (long long)cost.macs);
        nb_model_release(&m);
    }
}

/* Published: parameters as trained and as deployed, billions of multiply-adds as deployed (or, of
 * YOLOv5 and YOLOv3, as trained), to the printed digit. */
typedef struct Published {
    const char *model;
    int64_t params, deploy_params; /* 0: not published */
    double gmacs;                  /* 0: not published */
    double unit;
} Published;

static const Published published[] = {
    {"yolov10n.yaml", 2775520, 2299264, 6.756 / 2, 0.001},
    {"yolov10s.yaml", 8128272, 7248960, 21.702 / 2, 0.001},
    {"yolov10m.yaml", 16576768, 15359488, 59.235 / 2, 0.001},
    {"yolov10b.yaml", 20574384, 19065792, 92.076 / 2, 0.001},
    {"yolov10l.yaml", 25888688, 24371008, 120.461 / 2, 0.001},
    {"yolov10x.yaml", 31808960, 29473568, 160.535 / 2, 0.001},
    {"yolov8n", 3157200, 0, 8.7 / 2, 0.1},
    {"yolov8s.yaml", 11166560, 0, 28.6 / 2, 0.1},
    {"yolov8m.yaml", 25902640, 0, 78.9 / 2, 0.1},
    {"yolov8l.yaml", 43691520, 0, 165.2 / 2, 0.1},
    {"yolov8x.yaml", 68229648, 0, 257.8 / 2, 0.1},
    {"yolov5n.yaml", 1872157, 0, 2.234, 0.001},
    {"yolov5s.yaml", 7235389, 0, 8.217, 0.001},
    {"yolov5m.yaml", 21190557, 0, 24.436, 0.001},
    {"yolov5l.yaml", 46563709, 0, 54.497, 0.001},
    {"yolov5x.yaml", 86749405, 0, 102.724, 0.001},
    {"yolov5n6.yaml", 3246940, 0, 2.280, 0.001},
    {"yolov5s6.yaml", 12626620, 0, 8.399, 0.001},
    {"yolov5m6", 35731932, 0, 24.956, 0.001},
    {"yolov5l-p6.yaml", 76770172, 0, 55.618, 0.001},
    {"yolov5x6.yaml", 140794780, 0, 104.782, 0.001},
    {"yolov3.yaml", 61949149, 0, 77.946, 0.001},
    {"yolov3-spp.yaml", 62998749, 0, 78.365, 0.001},
};

static void families_cost_what_is_published(void **state) {
    (void)state;
    int bad = 0;
    for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
        const Published *p = &published[i];
        NbError err = {0};
        NbModel m;
        NbModelCost cost;
        build_only(p->model, NULL, false, &m);
        must(nb_model_cost(&m, 640, 640, &cost, &err), &err);
        const bool same = cost.params == p->params &&
                          (!p->deploy_params || cost.deploy_params == p->deploy_params) &&
                          fabs((double)cost.deploy_macs * 1e-9 - p->gmacs) <= p->unit * 0.5001;
        if (!same)
            print_message("%s: %lld parameters, deployed %lld, %.4f billion multiply-adds\n",
                          p->model, (long long)cost.params, (long long)cost.deploy_params,
                          (double)cost.deploy_macs * 1e-9);
        bad += !same;
        nb_model_release(&m);
    }
    assert_int_equal(bad, 0);
}

/* Models of older releases, made from files of the zoo by changing words; totals as published. */
typedef struct Older {
    const char *base;
    const char *change[5][2]; /* every occurrence, in order */
    int64_t params;
    double gmacs; /* 0: not published */
} Older;

static const Older older[] = {
    {"yolov5s.yaml", /* release 5.0 */
     {{"Conv, [64, 6, 2, 2]", "Focus, [64, 3]"},
      {"6, C3, ", "9, C3, "},
      {"[-1, 3, C3, [1024]]\n", "[-1, 1, SPP, [1024, [5, 9, 13]]]\n"},
      {"[-1, 1, SPPF, [1024, 5]]", "[-1, 3, C3, [1024, False]]"}},
     7276605,
     0},
    {"yolov5l.yaml", /* yolov5-panet */
     {{"6, C3, ", "9, C3, "}, {" C3, ", " BottleneckCSP, "}},
     47818749,
     58.481},
    {"yolov5s.yaml", /* yolov5s-ghost */
     {{"6, C3, ", "9, C3, "},
      {" C3, ", " C3Ghost, "},
      {" Conv, ", " GhostConv, "},
      {"GhostConv, [64, 6", "Conv, [64, 6"}},
     3901045,
     4.374},
};

static char *changed(NbArena *arena, const char *text, const char *from, const char *to) {
    char *done = nb_arena_string(arena, "");
    for (const char *at = strstr(text, from); at; at = strstr(text, from)) {
        done = nb_arena_printf(arena, "%s%.*s%s", done, (int)(at - text), text, to);
        text = at + strlen(from);
    }
    return nb_arena_printf(arena, "%s%s", done, text);
}

static void older_modules_cost_what_is_published(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof older / sizeof *older; i++) {
        const Older *o = &older[i];
        NbArena arena = {0};
        NbError err = {0};
        NbModel m;
        NbModelCost cost;
        const char *text = nb_zoo_find(o->base)->text;
        for (int k = 0; k < 5 && o->change[k][0]; k++) {
            assert_non_null(strstr(text, o->change[k][0]));
            text = changed(&arena, text, o->change[k][0], o->change[k][1]);
        }
        must(nb_model_from_yaml("older.yaml", text, strlen(text), NULL, &m, &err), &err);
        must(nb_model_cost(&m, 640, 640, &cost, &err), &err);
        if (cost.params != o->params ||
            (o->gmacs > 0 && fabs((double)cost.macs * 1e-9 - o->gmacs) > 0.0005001))
            fail_msg("row %zu: %lld parameters, %lld multiply-adds", i, (long long)cost.params,
                     (long long)cost.macs);
        nb_model_release(&m);
        nb_arena_release(&arena);
    }
}

static void every_zoo_model_is_built_at_every_width(void **state) {
    (void)state;
    static const char *const widths[] = {"none", "w1a1", "w2a2", "w4a8", "8"};
    int count = 0;
    const NbZooFile *zoo = nb_zoo(&count);
    assert_true(count >= 4);
    for (int i = 0; i < count; i++)
        for (size_t k = 0; k < sizeof widths / sizeof *widths; k++) {
            NbError err = {0};
            NbModel m;
            assert_true(i == 0 || strcmp(zoo[i - 1].name, zoo[i].name) < 0);
            build_only(zoo[i].name, widths[k], false, &m);
            assert_int_equal(m.bits_from_file, false);
            must(nb_graph_infer(&m.graph, 1, 64, 128, &err), &err);
            for (NbNodeId id = 0; id < m.graph.n_nodes; id++) {
                const NbNode *node = &m.graph.node[id];
                const bool coded =
                    node->op != NB_OP_CONV || (m.graph.node[node->in[0]].kind == NB_VALUE_CODED &&
                                               m.graph.node[node->in[1]].kind == NB_VALUE_CODED);
                if (k > 0 && !coded) /* everything between input and output is codes */
                    fail_msg("%s %s: '%s' convolves real numbers", zoo[i].name, widths[k],
                             node->name);
                if (k == 0)
                    assert_int_not_equal(node->op, NB_OP_QUANT);
            }
            nb_model_release(&m);
        }
}

static const NbNode *node_named(const NbModel *m, const char *name) {
    const NbNodeId id = nb_graph_find(&m->graph, name);
    if (id < 0)
        fail_msg("no node '%s'", name);
    return &m->graph.node[id < 0 ? 0 : id];
}

static float clip_of(const NbModel *m, const char *quant) {
    const NbNode *q = node_named(m, quant);
    return nb_quant_threshold_of(&q->attr.quant, nb_f32(&m->graph.node[q->in[1]].param)[0]);
}

static void quantizers_are_as_specified(void **state) {
    (void)state;
    NbModel m;
    build("lpyolo.yaml", "w3a5", false, &m);
    const NbQuantSpec *w = &node_named(&m, "model.2.conv.weight_quant")->attr.quant;
    const NbQuantSpec *a = &node_named(&m, "model.2.act_quant")->attr.quant;
    assert_true(w->grid.bits == 3 && w->grid.is_signed && w->grid.narrow && w->per_channel);
    assert_true(w->scale_from == NB_SCALE_STATS && w->ste_clamp && w->scale_min == 2e-16F);
    assert_true(a->grid.bits == 5 && !a->grid.is_signed && !a->grid.narrow && a->lsq_gradient);
    assert_int_equal(node_named(&m, "model.0.conv.weight_quant")->attr.quant.grid.bits, 8);
    assert_int_equal(node_named(&m, "model.0.act_quant")->attr.quant.grid.bits, 5);
    assert_int_equal(node_named(&m, "model.14.conv.weight_quant")->attr.quant.grid.bits, 8);
    assert_true(nb_param_trained(node_named(&m, "model.2.act_quant.value")));
    assert_float_equal(clip_of(&m, "model.2.act_quant"), 6.0F, 1e-6F);
    nb_model_release(&m);
    build("lpyolo.yaml", NULL, true, &m); /* the peer: frozen, rounded through float16 */
    assert_false(nb_param_trained(node_named(&m, "model.2.act_quant.value")));
    assert_float_equal(clip_of(&m, "model.2.act_quant"), 6.0040563F, 1e-6F);
    assert_int_equal(node_named(&m, "model.14.conv")->n_in, 2);
    assert_float_equal(nb_f32(&node_named(&m, "model.2.bn.running_var")->param)[0], 0.9F, 0);
    nb_model_release(&m);
    build("lpyolo.yaml", "w1a1", false, &m);
    w = &node_named(&m, "model.2.conv.weight_quant")->attr.quant;
    assert_true(w->kind == NB_QUANT_BINARY && w->scale_from == NB_SCALE_MEAN && w->per_channel);
    assert_int_equal(node_named(&m, "model.2.act_quant")->grid.bits, 1);
    assert_false(node_named(&m, "model.2.act_quant")->grid.is_signed);
    nb_model_release(&m);
}

static void hardtanh_comes_from_the_option(void **state) {
    (void)state;
    NbError err = {0};
    NbModel m;
    const NbModelOptions o = {.hardtanh = "1"};
    must(nb_model_from_yaml_file("lpyolo.yaml", &o, &m, &err), &err);
    assert_true(m.head.hardtanh);
    const NbNode *out = &m.graph.node[m.graph.output[0]];
    assert_string_equal(out->name, "model.14.hardtanh_quant");
    assert_true(out->attr.quant.grid.bits == 8 && out->attr.quant.grid.narrow);
    assert_int_equal(m.graph.node[out->in[0]].op, NB_OP_HARDTANH);
    nb_model_release(&m);
}

static void starts_are_reproducible_and_alike(void **state) {
    (void)state;
    NbModel a;
    NbModel b;
    build("lpyolo.yaml", "w2a2", false, &a);
    build("lpyolo-float.yaml", NULL, false, &b);
    int compared = 0;
    for (NbNodeId id = 0; id < b.graph.n_nodes; id++) {
        const NbNode *node = &b.graph.node[id];
        if (node->op != NB_OP_PARAM)
            continue;
        const NbNode *twin = node_named(&a, node->name);
        assert_memory_equal(node->param.data, twin->param.data,
                            nb_tensor_count(&node->param) * sizeof(float));
        compared++;
    }
    assert_int_equal(compared, 10 + 9 * 4 + 1); /* weights, norms, output bias */
    const float *w = nb_f32(&node_named(&a, "model.11.conv.weight")->param);
    const size_t n = nb_tensor_count(&node_named(&a, "model.11.conv.weight")->param);
    const double bound = 1.0 / sqrt(104 * 9);
    double squares = 0.0;
    for (size_t i = 0; i < n; i++) {
        assert_true(fabs((double)w[i]) <= bound);
        squares += (double)w[i] * (double)w[i];
    }
    assert_true(fabs(squares / (double)n / (bound * bound / 3.0) - 1.0) < 0.02);
    const float *bias = nb_f32(&node_named(&a, "model.14.conv.bias")->param);
    for (int k = 0; k < 3; k++) { /* objectness about 8 / 400, class 0.6 / 0.01 of a picture */
        assert_float_equal(bias[6 * k + 4], -3.912F, 0.04F);
        assert_float_equal(bias[6 * k + 5], 4.094F, 0.04F);
        assert_true(fabsf(bias[6 * k]) <= 0.033F);
    }
    nb_model_release(&a);
    nb_model_release(&b);
}

static void concatenations_share_one_clip(void **state) {
    (void)state;
    NbModel m;
    build("yolov3-tiny.yaml", "w4a6", false, &m);
    const NbNode *cat = node_named(&m, "model.18");
    assert_int_equal(cat->kind, NB_VALUE_CODED);
    assert_int_equal(node_named(&m, "model.8.act_quant")->in[1],
                     node_named(&m, "model.16.act_quant")->in[1]);
    assert_int_equal(nb_graph_find(&m.graph, "model.16.act_quant.value"), -1);
    nb_model_release(&m);
}

/* A small model in which one line is replaced. */
static const char small[] = "nc: 2\n"
                            "depth_multiple: 0.5\n"
                            "width_multiple: 0.5\n"
                            "anchors: [[10, 13], [30, 61]]\n"
                            "use_hardtanh: false\n"
                            "bit_width: [[8, 4, 4, 8]]\n"
                            "backbone:\n"
                            "  - [-1, 1, Conv, [16, 3, 2]]\n"
                            "  - [-1, 3, Conv, [32, 3, 1]]\n"
                            "  - [-1, 1, Conv, [32, 3, 2]]\n"
                            "head:\n"
                            "  - [[1, 2], 1, Detect, [nc, anchors]]\n";

typedef struct Wrong {
    int line; /* from 1 */
    const char *text;
    NbStatus status;
    const char *says;
} Wrong;

static const Wrong wrong[] = {
    {1, "nc: 0", NB_ERR_FORMAT, "m.yaml:1:5: nc: 1 to 100000"},
    {1, "nv: 2", NB_ERR_FORMAT, "m.yaml:1:1: unknown key 'nv'"},
    {3, "widht_multiple: 1", NB_ERR_FORMAT, "did you mean 'width_multiple'"},
    {2, "depth_multiple: 0", NB_ERR_FORMAT, "m.yaml:2:17: depth_multiple is 0"},
    {4, "anchors: []", NB_ERR_FORMAT, "m.yaml:4:10: anchors"},
    {4, "anchors: [[10, 13]]", NB_ERR_FORMAT, "m.yaml:12:5: model.3: anchors for 2 levels"},
    {4, "anchors: [[10, 13], [30]]", NB_ERR_FORMAT, "level 1 of the anchors"},
    {4, "anchors: [[10, 13], [30, -1]]", NB_ERR_FORMAT, "positive sizes"},
    {5, "use_hardtanh: maybe", NB_ERR_FORMAT, "m.yaml:5:15"},
    {6, "bit_width: [[8, 4, 4]]", NB_ERR_FORMAT, "m.yaml:6:13: bit_width"},
    {6, "bit_width: [[8, 4, 9, 8]]", NB_ERR_FORMAT, "m.yaml:6:20: 1 to 8 bits"},
    {8, "  - [-1, 1, Conf, [16, 3, 2]]", NB_ERR_UNSUPPORTED,
     "m.yaml:8:13: unknown module 'Conf'; did you mean 'Conv'"},
    {8, "  - [-2, 1, Conv, [16, 3, 2]]", NB_ERR_FORMAT, "m.yaml:8:6: layer 0 reads layer -2"},
    {8, "  - [-1, 0, Conv, [16, 3, 2]]", NB_ERR_FORMAT, "m.yaml:8:10: number: 1 to"},
    {8, "  - [-1, 1, Conv, [16, 3, nq]]", NB_ERR_FORMAT,
     "m.yaml:8:27: model.0: argument 3: an integer of 1 to 1024 or two of them expected, found "
     "'nq'; did you mean 'nc'"},
    {8, "  - [-1, 1, Conv, [16, 3, 2 +]]", NB_ERR_FORMAT, "m.yaml:8:27: '2 +': a number"},
    {8, "  - [-1, 1, Conv, []]", NB_ERR_FORMAT,
     "m.yaml:8:19: Conv takes 1 to 6 arguments, found 0"},
    {8, "  - [-1, 1, Conv, [16, 3, 2, 1, 7]]", NB_ERR_FORMAT, "m.yaml:8:5: model.0: 7 groups"},
    {8, "  - [-1, 1, Conv, [16, 3, 2, None, 1, nn.Gelu()]]", NB_ERR_UNSUPPORTED,
     "activation 'nn.Gelu()'"},
    {8, "  - [-1, 1, Conv, [99999999, 3, 2]]", NB_ERR_FORMAT, "channels, 1 to 65536 expected"},
    {8, "  - [-1, 1, Conv]", NB_ERR_FORMAT, "m.yaml:8:5: [from, number, module, [arguments]]"},
    {8, "  - [-1, 1, QuantConv, [16, 3, 2, None, 1, 5]]", NB_ERR_FORMAT,
     "argument 6: True or False expected, found 5"},
    {9, "  - [[0, 0], 1, Conv, [32, 3, 1]]", NB_ERR_FORMAT, "Conv reads at most 1 layers, found 2"},
    {9, "  - [-1, 1, nn.Upsample, [None, 2, 'bilinear']]", NB_ERR_UNSUPPORTED, "mode 'nearest'"},
    {9, "  - [[0, 5], 1, Concat, [1]]", NB_ERR_FORMAT, "m.yaml:9:10: layer 1 reads layer 5"},
    {10, "  - [-1, 1, nn.MaxPool2d, [500, 500, 0]]", NB_ERR_ARGUMENT, "does not fit"},
    {12, "  - [[1, 2], 1, Detect, [nc, anchors, True]]", NB_ERR_FORMAT,
     "m.yaml:12:5: model.3: Detect takes 2, 4 or 6 arguments"},
    {12, "  - [[1, 2], 1, Detect, [nc, anchors, False, False]]", NB_ERR_FORMAT,
     "level 0 has 16 channels, 1 anchors of 7 numbers expected"},
    {12, "  - [-1, 1, Conv, [16, 3, 2]]", NB_ERR_FORMAT, "the last layer is Conv, Detect expected"},
    {11, "", NB_ERR_FORMAT, "m.yaml"},
};

static char *replaced(NbArena *arena, int line, const char *text) {
    const char *at = small;
    for (int i = 1; i < line; i++)
        at = strchr(at, '\n') + 1;
    return nb_arena_printf(arena, "%.*s%s%s", (int)(at - small), small, text, strchr(at, '\n'));
}

static void wrong_files_are_named_with_place(void **state) {
    (void)state;
    NbError err = {0};
    NbModel m;
    must(nb_model_from_yaml("m.yaml", small, strlen(small), NULL, &m, &err), &err);
    assert_int_equal(m.head.levels, 2);
    assert_float_equal(m.head.stride[1], 4.0F, 0);
    /* 3 * 0.5 = 1.5 rounds to 2 copies */
    assert_true(nb_graph_find(&m.graph, "model.1.1.conv") > 0);
    assert_int_equal(nb_graph_find(&m.graph, "model.1.2.conv"), -1);
    nb_model_release(&m);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        NbArena arena = {0};
        const char *text = replaced(&arena, wrong[i].line, wrong[i].text);
        err = (NbError){0};
        const NbStatus status = nb_model_from_yaml("m.yaml", text, strlen(text), NULL, &m, &err);
        if (status != wrong[i].status || !strstr(err.message, wrong[i].says))
            fail_msg("row %zu: status %d, \"%s\" does not say \"%s\"", i, (int)status, err.message,
                     wrong[i].says);
        nb_arena_release(&arena);
    }
}

static void anchors_follow_the_strides(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    NbModel m;
    const char *text = replaced(&arena, 4, "anchors: [[30, 61], [10, 13]]");
    must(nb_model_from_yaml("m.yaml", text, strlen(text), NULL, &m, &err), &err);
    assert_float_equal(m.head.anchor[0][0][0], 10.0F, 0);
    assert_float_equal(m.head.anchor[1][0][1], 61.0F, 0);
    nb_model_release(&m);
    text = replaced(&arena, 4, "anchors: 3"); /* placeholders */
    must(nb_model_from_yaml("m.yaml", text, strlen(text), NULL, &m, &err), &err);
    assert_int_equal(m.head.anchors, 3);
    assert_float_equal(m.head.anchor[1][2][1], 5.0F, 0);
    nb_model_release(&m);
    nb_arena_release(&arena);
}

static void missing_files_get_a_hint(void **state) {
    (void)state;
    NbError err = {0};
    NbModel m;
    const NbStatus status = nb_model_from_yaml_file("no-such-model.yaml", NULL, &m, &err);
    assert_int_equal(status, NB_ERR_FORMAT);
    assert_int_equal(nb_model_from_yaml_file("lpyolo-flout.yaml", NULL, &m, &err), NB_ERR_FORMAT);
    assert_non_null(strstr(err.message, "did you mean 'lpyolo-float.yaml'"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(totals_are_the_published_ones),
        cmocka_unit_test(families_cost_what_is_published),
        cmocka_unit_test(older_modules_cost_what_is_published),
        cmocka_unit_test(every_zoo_model_is_built_at_every_width),
        cmocka_unit_test(quantizers_are_as_specified),
        cmocka_unit_test(hardtanh_comes_from_the_option),
        cmocka_unit_test(starts_are_reproducible_and_alike),
        cmocka_unit_test(concatenations_share_one_clip),
        cmocka_unit_test(wrong_files_are_named_with_place),
        cmocka_unit_test(anchors_follow_the_strides),
        cmocka_unit_test(missing_files_get_a_hint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
