/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole models of the zoo against the peer's: parameters of every layer, raw outputs in training
 * mode, decoded outputs in evaluation mode. */
#include "model/help.h"

#include "model/zoo.h"
#include "support/vectors.h"

#include <math.h>

static const NbZooFile *zoo_file(const NbCase *init) {
    char name[64];
    const char *base = nb_case_string(init, "base_model", "");
    if (strcmp(nb_case_string(init, "source", ""), "q") != 0)
        return NULL;
    (void)snprintf(name, sizeof name, "%s.yaml",
                   strcmp(base, "yolov1-tiny-quant") == 0 ? "lpyolo" : base);
    return nb_zoo_find(name);
}

/* The text of the zoo with another width and depth. */
static char *with_multiples(const NbCase *init, const NbZooFile *file, NbArena *arena) {
    const char *const w = strstr(file->text, "\nwidth_multiple:");
    const char *const d = strstr(file->text, "\ndepth_multiple:");
    assert_non_null(w);
    assert_non_null(d);
    const char *end_d = strchr(d + 1, '\n');
    const char *end_w = strchr(w + 1, '\n');
    assert_true(d < w);
    return nb_arena_printf(arena, "%.*s\ndepth_multiple: %.17g%.*s\nwidth_multiple: %.17g%s",
                           (int)(d - file->text), file->text,
                           nb_case_number(init, "depth_multiple", 1), (int)(w - end_d), end_d,
                           nb_case_number(init, "width_multiple", 1), end_w);
}

static bool build(const NbCase *init, NbModel *m) {
    NbError err = {0};
    NbArena arena = {0};
    const NbModelOptions options = {.nc = (int)nb_case_number(init, "nc", 1), .compat = true};
    const NbZooFile *file = zoo_file(init);
    if (!file)
        return false;
    const char *text = with_multiples(init, file, &arena);
    must(nb_model_from_yaml("vectors.yaml", text, strlen(text), &options, m, &err), &err);
    must(nb_model_init(m, 1, &err), &err);
    nb_arena_release(&arena);
    return true;
}

static void check_layers(const NbCase *init, const NbModel *m) {
    const json_t *layers = json_object_get(init->params, "layers_index_from_type_params");
    const size_t n = json_array_size(layers);
    assert_true(n > 0);
    for (size_t l = 0; l < n; l++) {
        const json_t *row = json_array_get(layers, l);
        json_int_t params = 0;
        for (NbNodeId id = 0; id < m->graph.n_nodes; id++) {
            const NbNode *node = &m->graph.node[id];
            if (node->op == NB_OP_PARAM && node->layer == (int)l &&
                node->attr.param.role != NB_PARAM_MEAN && node->attr.param.role != NB_PARAM_VAR)
                params += (json_int_t)nb_tensor_count(&node->param);
        }
        if (params != json_integer_value(json_array_get(row, 3)))
            fail_msg("%s: layer %zu has %lld parameters, expected %lld", init->id, l,
                     (long long)params, (long long)json_integer_value(json_array_get(row, 3)));
    }
    const json_t *strides = json_object_get(init->params, "strides");
    for (size_t l = 0; l < json_array_size(strides); l++)
        assert_float_equal(m->head.stride[l], json_number_value(json_array_get(strides, l)), 0);
}

static void load(const NbCase *c, const char *prefix, NbModel *m, bool all) {
    char peer[160];
    char key[200];
    for (NbNodeId id = 0; id < m->graph.n_nodes; id++) {
        NbNode *node = &m->graph.node[id];
        if (node->op != NB_OP_PARAM)
            continue;
        (void)snprintf(key, sizeof key, "%s%s", prefix, peer_name(node->name, peer, sizeof peer));
        if (!all && !nb_case_has(c, key))
            continue;
        size_t n = 0;
        const float *from = nb_case_f32(c, key, &n);
        assert_int_equal(n, nb_tensor_count(&node->param));
        memcpy(node->param.data, from, n * sizeof *from);
    }
}

static int compare_raw(const NbCase *c, const NbModel *m, const NbValue *v, NbArena *arena) {
    int bad = 0;
    for (int l = 0; l < m->head.levels; l++) {
        char key[32];
        const NbTensor *t = &v[m->graph.output[l]].t;
        const size_t n = nb_tensor_count(t);
        float *out = NB_NEW(arena, float, n);
        for (size_t i = 0; i < n; i++)
            out[head_place(&t->shape, m->head.anchors, i)] = nb_f32(t)[i];
        (void)snprintf(key, sizeof key, "train%d", l);
        const NbTensor want = nb_case_array(c, key);
        assert_true(nb_tensor_count(&want) <= n); /* only the first pictures are stored */
        bad += !nb_case_compare(c, key, out, nb_tensor_count(&want));
    }
    return bad;
}

static double sigmoid(double t) { return 1.0 / (1.0 + exp(-t)); }

/* The numbers of one box: table of lpyolo's decode, sigmoid mode. */
static void decode_box(const NbHead *h, int l, int a, const int64_t cell[2], const float *raw,
                       size_t step, float *out) {
    for (int k = 0; k < 5 + h->nc; k++) {
        const double v = sigmoid((double)raw[(size_t)k * step]);
        if (k < 2)
            out[k] = (float)((2.0 * v - 0.5 + (double)cell[k]) * (double)h->stride[l]);
        else if (k < 4)
            out[k] = (float)(4.0 * v * v * (double)h->anchor[l][a][k - 2]);
        else
            out[k] = (float)v;
    }
}

static int compare_decoded(const NbCase *c, const NbModel *m, const NbValue *v, NbArena *arena) {
    const NbTensor want = nb_case_array(c, "eval");
    const NbHead *h = &m->head;
    const size_t numbers = (size_t)(5 + h->nc);
    float *out = NB_NEW(arena, float, nb_tensor_count(&want));
    size_t at = 0;
    for (int64_t b = 0; b < want.shape.dim[0]; b++)
        for (int l = 0; l < h->levels; l++) {
            const NbTensor *t = &v[m->graph.output[l]].t;
            const int64_t *dim = t->shape.dim;
            const size_t pixels = (size_t)(dim[2] * dim[3]);
            for (int64_t i = 0; i < h->anchors * dim[2] * dim[3]; i++, at += numbers) {
                const int64_t a = i / (dim[2] * dim[3]);
                const int64_t p = i % (dim[2] * dim[3]);
                const int64_t cell[2] = {p % dim[3], p / dim[3]};
                const float *raw = nb_f32(t) +
                                   ((size_t)b * (size_t)dim[1] + (size_t)a * numbers) * pixels +
                                   (size_t)p;
                decode_box(h, l, (int)a, cell, raw, pixels, out + at);
            }
        }
    assert_int_equal(at, nb_tensor_count(&want));
    return !nb_case_compare(c, "eval", out, at);
}

static NbCase case_named(NbCases *cases, const char *id, const char *kind) {
    for (int i = 0; i < cases->count; i++) {
        const NbCase c = nb_cases_get(cases, i);
        if (strcmp(id ? c.id : c.kind, id ? id : kind) == 0)
            return c;
    }
    fail_msg("no case %s", id ? id : kind);
    return (NbCase){0};
}

static int check_forward(NbCases *cases, const NbCase *c, const NbCase *init) {
    NbError err = {0};
    NbArena arena = {0};
    NbModel m;
    const NbCase batches = case_named(cases, NULL, "batches");
    const NbTensor images = nb_case_array(&batches, "image0");
    if (!build(init, &m))
        return 0;
    check_layers(init, &m);
    load(init, "init/", &m, true);
    must(nb_graph_infer(&m.graph, images.shape.dim[0], images.shape.dim[2], images.shape.dim[3],
                        &err),
         &err);
    NbValue *v = NB_NEW(&arena, NbValue, (size_t)m.graph.n_nodes);
    must(nb_interpret(&m.graph, images.data, NB_RUN_TRAIN, true, &arena, v, &err), &err);
    int bad = compare_raw(c, &m, v, &arena);
    load(init, "init/", &m, true); /* the statistics of the start */
    load(c, "stats/", &m, false);
    must(nb_interpret(&m.graph, images.data, NB_RUN_EVAL, true, &arena, v, &err), &err);
    bad += compare_decoded(c, &m, v, &arena);
    nb_model_release(&m);
    nb_arena_release(&arena);
    return bad;
}

static void models_equal_the_peer(void **state) {
    (void)state;
    NbCases *cases = nb_cases_open("train_steps");
    int bad = 0;
    int checked = 0;
    for (int i = 0; i < cases->count; i++) {
        const NbCase c = nb_cases_get(cases, i);
        if (strcmp(c.kind, "forward") != 0)
            continue;
        const NbCase init = case_named(cases, nb_case_string(&c, "init", ""), NULL);
        if (!zoo_file(&init))
            continue;
        bad += check_forward(cases, &c, &init);
        checked++;
    }
    nb_cases_close(cases);
    print_message("%d models compared, %d arrays differ\n", checked, bad);
    assert_int_equal(bad, 0);
    assert_true(checked > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(models_equal_the_peer)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
