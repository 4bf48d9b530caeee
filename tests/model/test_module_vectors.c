/* SPDX-License-Identifier: Apache-2.0
 *
 * Modules of quantized-yolov5, built by our builders and run by the interpreter: training forward,
 * gradients, running statistics, evaluation. */
#include "model/help.h"

#include "model/build.h"
#include "support/vectors.h"

enum { MAX_X = 8 };

typedef struct Run {
    const NbCase *c;
    NbArena arena;
    NbGraph g;
    NbHead head;
    NbTap in[MAX_X];
    int n_in;
    NbTap output[NB_MAX_LEVELS];
    int n_outputs;
    bool detect;
} Run;

static NbArg arg_of(const json_t *json, NbArena *arena) {
    if (json_is_integer(json))
        return nb_arg_int(json_integer_value(json));
    if (json_is_real(json))
        return (NbArg){.kind = NB_ARG_NUMBER, .number = json_real_value(json)};
    if (json_is_boolean(json))
        return nb_arg_bool(json_is_true(json));
    if (json_is_string(json))
        return (NbArg){.kind = NB_ARG_TEXT, .text = json_string_value(json)};
    if (!json_is_array(json))
        return (NbArg){.kind = NB_ARG_NONE};
    const size_t n = json_array_size(json);
    NbArg *item = NB_NEW(arena, NbArg, n);
    for (size_t i = 0; i < n; i++)
        item[i] = arg_of(json_array_get(json, i), arena);
    return (NbArg){.kind = NB_ARG_LIST, .count = (int)n, .item = item};
}

/* The peers' constructors also take channels of the input (first; Detect: third) and, where it goes
 * inside, the repeat count (third). */
static void arguments(Run *r, const NbModule *module, NbCall *call) {
    const json_t *json = json_object_get(r->c->params, "args");
    const NbArg all = arg_of(json, &r->arena);
    NbArg *arg = NB_NEW(&r->arena, NbArg, (size_t)all.count);
    call->repeats = 1;
    for (int i = 0; i < all.count; i++) {
        const bool scaled = module->channels == NB_CHANNELS_SCALED;
        if ((scaled && i == 0) || (r->detect && i == 2))
            continue;
        if (module->repeats_inside && i == 2)
            call->repeats = (int)all.item[i].integer;
        else
            arg[call->n_args++] = all.item[i];
    }
    call->arg = arg;
}

static void add_inputs(Run *r) {
    for (int i = 0; i < MAX_X; i++) {
        char name[8];
        (void)snprintf(name, sizeof name, i == 0 && nb_case_has(r->c, "x") ? "x" : "x%d", i);
        if (!nb_case_has(r->c, name))
            return;
        const NbTensor x = nb_case_array(r->c, name);
        const NbNodeId id = add_param(&r->g, name, NB_PARAM_WEIGHT, NB_F32, 4, x.shape.dim);
        memcpy(r->g.node[id].param.data, x.data, nb_tensor_count(&x) * sizeof(float));
        char copy[16]; /* a parameter cannot be an output, a node can */
        (void)snprintf(copy, sizeof copy, "in%d", i);
        const NbNodeId node = add(&r->g, NB_OP_SCALE, copy, 1, &id, (NbAttr){.scale = {1.0F}});
        r->in[r->n_in++] = (NbTap){node, (int)x.shape.dim[1]};
    }
}

static void fill_state(Run *r) {
    char peer[160];
    char key[200];
    for (NbNodeId id = 0; id < r->g.n_nodes; id++) {
        NbNode *node = &r->g.node[id];
        if (node->op != NB_OP_PARAM || node->name[0] != 'p')
            continue;
        (void)snprintf(key, sizeof key, "state.%s", peer_name(node->name + 2, peer, sizeof peer));
        size_t n = 0;
        const float *from = nb_case_f32(r->c, key, &n);
        assert_int_equal(n, nb_tensor_count(&node->param));
        memcpy(node->param.data, from, n * sizeof *from);
    }
}

static bool build(Run *r, const NbModule *module) {
    NbError err = {0};
    const NbNames names = {.path = "vectors"};
    NbBuild b = {
        .g = &r->g, .head = &r->head, .names = &names, .compat = true, .output = r->output};
    NbCall call = {.path = "p", .in = r->in};
    r->detect = strcmp(module->name, "Detect") == 0;
    nb_graph_init(&r->g, &r->arena);
    add_inputs(r);
    call.n_in = r->n_in;
    arguments(r, module, &call);
    NbTap out = {0};
    const NbStatus status = module->build(&b, &call, &out, &err);
    if (status == NB_ERR_UNSUPPORTED) {
        print_message("%s: not built: %s\n", r->c->id, err.message);
        return false;
    }
    must(status, &err);
    r->n_outputs = r->detect ? b.n_outputs : 1;
    if (!r->detect)
        r->output[0] = out;
    NbNodeId ids[NB_MAX_LEVELS];
    for (int i = 0; i < r->n_outputs; i++)
        ids[i] = r->output[i].node;
    must(nb_graph_set_outputs(&r->g, r->n_outputs, ids, &err), &err);
    fill_state(r);
    infer(&r->g, 1, 1, 1);
    for (NbNodeId id = 0; id < r->g.n_nodes; id++) /* the vectors hold the gradients of clips */
        if (r->g.node[id].op == NB_OP_PARAM && r->g.node[id].attr.param.role == NB_PARAM_QUANT)
            r->g.node[id].attr.param.frozen = false;
    return true;
}

/* Values of an output as the vectors lay them out. */
static float *laid_out(Run *r, const float *x, const NbShape *s, bool back) {
    const size_t n = nb_shape_count(s);
    float *out = NB_NEW(&r->arena, float, n);
    for (size_t i = 0; i < n; i++) {
        const size_t at = r->detect ? head_place(s, r->head.anchors, i) : i;
        if (back)
            out[i] = x[at];
        else
            out[at] = x[i];
    }
    return out;
}

static const char *key_of(const Run *r, const char *stem, int i) {
    static char key[32];
    (void)snprintf(key, sizeof key, r->detect ? "%s.%d" : "%s", stem, i);
    return key;
}

static int compare(const Run *r, const char *key, const float *got, size_t n) {
    return nb_case_compare(r->c, key, got, n) ? 0 : 1;
}

static int compare_outputs(Run *r, const NbValue *v, const char *stem) {
    NbError err = {0};
    int bad = 0;
    for (int i = 0; i < r->n_outputs; i++) {
        const NbValue *out = &v[r->output[i].node];
        const float *real = NULL;
        must(nb_value_real(out, &r->arena, &real, &err), &err);
        bad += compare(r, key_of(r, stem, i), laid_out(r, real, &out->t.shape, false),
                       nb_tensor_count(&out->t));
    }
    return bad;
}

static int compare_params(Run *r, const NbTensor *d) {
    char peer[160];
    char key[200];
    int bad = 0;
    for (NbNodeId id = 0; id < r->g.n_nodes; id++) {
        const NbNode *node = &r->g.node[id];
        if (node->op != NB_OP_PARAM)
            continue;
        const bool inner = node->name[0] == 'p';
        const size_t n = nb_tensor_count(&node->param);
        if (inner)
            (void)peer_name(node->name + 2, peer, sizeof peer);
        (void)snprintf(key, sizeof key, inner ? "grad.%s" : "grad_%s", inner ? peer : node->name);
        if (nb_case_has(r->c, key))
            bad += d[id].data ? compare(r, key, nb_f32(&d[id]), n) : 1;
        (void)snprintf(key, sizeof key, "after.%s", inner ? peer : "");
        if (inner && nb_case_has(r->c, key))
            bad += compare(r, key, nb_f32(&node->param), n);
    }
    return bad;
}

static int check(Run *r) {
    NbError err = {0};
    NbValue *v = NB_NEW(&r->arena, NbValue, (size_t)r->g.n_nodes);
    NbTensor *d = NB_NEW(&r->arena, NbTensor, (size_t)r->g.n_nodes);
    NbTensor dy[NB_MAX_LEVELS];
    must(nb_interpret(&r->g, NULL, NB_RUN_TRAIN, true, &r->arena, v, &err), &err);
    int bad = compare_outputs(r, v, "y");
    for (int i = 0; i < r->n_outputs; i++) {
        const NbShape *s = &r->g.node[r->output[i].node].shape;
        const float *g = nb_case_f32(r->c, key_of(r, "g", i), NULL);
        dy[i] = (NbTensor){NB_F32, *s, laid_out(r, g, s, true)};
    }
    must(nb_interpret_backward(&r->g, v, true, dy, &r->arena, d, &err), &err);
    bad += compare_params(r, d);
    if (!nb_case_has(r->c, "y_eval"))
        return bad;
    must(nb_interpret(&r->g, NULL, NB_RUN_EVAL, true, &r->arena, v, &err), &err);
    return bad + compare_outputs(r, v, "y_eval");
}

static void modules_equal_the_peer(void **state) {
    (void)state;
    NbCases *cases = nb_cases_open("modules");
    int bad = 0;
    int checked = 0;
    for (int i = 0; i < cases->count; i++) {
        const NbCase c = nb_cases_get(cases, i);
        const NbModule *module = nb_module_find(nb_case_string(&c, "class", ""));
        if (!module || strcmp(nb_case_string(&c, "source", ""), "q") != 0)
            continue;
        Run r = {.c = &c};
        if (build(&r, module)) {
            bad += check(&r);
            checked++;
        }
        nb_arena_release(&r.arena);
    }
    nb_cases_close(cases);
    print_message("%d modules compared, %d arrays differ\n", checked, bad);
    assert_int_equal(bad, 0);
    assert_true(checked > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(modules_equal_the_peer)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
