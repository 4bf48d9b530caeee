/* SPDX-License-Identifier: Apache-2.0
 *
 * Modules of quantized-yolov5 and of YOLOv10, built by our builders and run by the interpreter:
 * training forward, gradients, running statistics, evaluation, and folded for deployment. */
#include "model/help.h"

#include "detect/yolov5_decode.h"
#include "detect/yolov8_decode.h"
#include "lower/float/fold.h"
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
    NbTap output[NB_MAX_HEAD_OUTPUTS];
    int n_outputs;
    bool v10;    /* of YOLOv10's repository: no anchors, Bottleneck with kernels */
    bool detect; /* a head, with or without anchors */
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

/* Where our modules have what the peers' calls name. */
static int place_of(const char *module, const char *key) {
    static const struct {
        const char *module, *key;
        int place;
    } known[] = {{"Conv", "act", 5},
                 {"Attention", "num_heads", 1},
                 {"Attention", "attn_ratio", 2},
                 {"C2f", "shortcut", 1},
                 {"C2fCIB", "shortcut", 1},
                 {"C2fCIB", "lk", 2},
                 {"CIB", "shortcut", 1},
                 {"CIB", "e", 2},
                 {"CIB", "lk", 3}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].module, module) == 0 && strcmp(known[i].key, key) == 0)
            return known[i].place;
    fail_msg("%s: no argument '%s'", module, key);
    return 0;
}

/* {"act": false} at the end of the arguments. */
static void named_arguments(Run *r, const NbModule *module, json_t *map, NbArg *arg, int *n) {
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(map, key, value) {
        const int place = place_of(module->name, key);
        arg[place] = arg_of(value, &r->arena);
        *n = place >= *n ? place + 1 : *n;
    }
}

/* The peers' constructors also take channels of the input (first; Detect: last but for options)
 * and, where it goes inside, the repeat count (third). */
static void arguments(Run *r, const NbModule *module, json_t *json, NbCall *call) {
    enum { MOST = 12 };
    NbArg *arg = NB_NEW(&r->arena, NbArg, MOST); /* all None */
    call->repeats = 1;
    const NbArg all = arg_of(json, &r->arena);
    for (int i = 0; i < all.count; i++) {
        const bool scaled = module->channels == NB_CHANNELS_SCALED;
        if (json_is_object(json_array_get(json, (size_t)i))) {
            named_arguments(r, module, json_array_get(json, (size_t)i), arg, &call->n_args);
            continue;
        }
        if ((scaled && i == 0) || (r->detect && i == (r->v10 ? 1 : 2)))
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

static const NbModule *module_named(const char *name) {
    char torch[64];
    const NbModule *module = nb_module_find(name);
    (void)snprintf(torch, sizeof torch, "nn.%s", name);
    return module ? module : nb_module_find(torch);
}

/* The modules of a case: one class with its arguments, or nn.Sequential(Name(arguments), ...). */
typedef struct Part {
    const NbModule *module;
    json_t *args;
} Part;

enum { MAX_PARTS = 8 };

/* "Name(1, [2])" at text: the module and its arguments; returns what follows, or NULL. */
static const char *read_part(const char *text, Part *out) {
    const size_t n = strcspn(text, "(");
    char name[64] = {0};
    char args[128] = {0};
    int depth = 0;
    size_t end = n;
    if (!text[n] || n >= sizeof name)
        return NULL;
    memcpy(name, text, n);
    for (; text[end]; end++) {
        depth += (text[end] == '(') - (text[end] == ')');
        if (depth == 0)
            break;
    }
    if (!text[end])
        return NULL;
    (void)snprintf(args, sizeof args, "[%.*s]", (int)(end - n - 1), text + n + 1);
    *out = (Part){module_named(name), json_loads(args, 0, NULL)};
    return text + end + 1;
}

static int read_parts(const NbCase *c, Part part[MAX_PARTS]) {
    static const char sequence[] = "nn.Sequential(";
    const char *class = nb_case_string(c, "class", "");
    int n = 0;
    if (strncmp(class, sequence, sizeof sequence - 1) != 0) {
        part[0] = (Part){module_named(class), json_incref(json_object_get(c->params, "args"))};
        return part[0].module ? 1 : 0;
    }
    class += sizeof sequence - 1;
    while (class && n < MAX_PARTS && *class && *class != ')') {
        class = read_part(class, &part[n]);
        if (!class || !part[n].module)
            return 0;
        n++;
        class += strspn(class, ", ");
    }
    return n;
}

/* Builds the parts one after the other; the first reads the inputs. */
static NbStatus build_parts(Run *r, NbBuild *b, const Part *part, int n, NbTap *out, NbError *err) {
    NbTap at = {0};
    for (int i = 0; i < n; i++) {
        char path[16] = "p";
        NbCall call = {.path = path, .in = i ? &at : r->in, .n_in = i ? 1 : r->n_in};
        if (n > 1)
            (void)snprintf(path, sizeof path, "p.%d", i);
        r->detect = strstr(part[i].module->name, "Detect") != NULL;
        arguments(r, part[i].module, part[i].args, &call);
        const NbStatus status = part[i].module->build(b, &call, out, err);
        if (status != NB_OK)
            return status;
        at = *out;
    }
    return NB_OK;
}

static bool build(Run *r, const Part *part, int n) {
    NbError err = {0};
    const NbNames names = {.path = "vectors"};
    r->v10 = strcmp(nb_case_string(r->c, "source", ""), "y10") == 0;
    NbBuild b = {.g = &r->g,
                 .head = &r->head,
                 .names = &names,
                 .compat = !r->v10,
                 .anchor_free = r->v10,
                 .output = r->output};
    nb_graph_init(&r->g, &r->arena);
    add_inputs(r);
    NbTap out = {0};
    const NbStatus status = build_parts(r, &b, part, n, &out, &err);
    if (status == NB_ERR_UNSUPPORTED) {
        print_message("%s: not built: %s\n", r->c->id, err.message);
        return false;
    }
    must(status, &err);
    r->n_outputs = r->detect ? b.n_outputs : 1;
    if (!r->detect)
        r->output[0] = out;
    NbNodeId ids[NB_MAX_HEAD_OUTPUTS];
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
        const size_t at = r->head.anchors ? head_place(s, r->head.anchors, i) : i;
        if (back)
            out[i] = x[at];
        else
            out[at] = x[i];
    }
    return out;
}

static const char *key_of(const Run *r, const char *stem, int i) {
    static char key[48];
    const bool raw = strcmp(stem, "y_eval") == 0; /* in evaluation the decoded ones come first */
    (void)snprintf(key, sizeof key, r->detect ? "%s%s.%d" : "%s", stem, raw ? ".1" : "", i);
    if (r->head.kind == NB_HEAD_YOLOV10)
        (void)snprintf(key, sizeof key, "%s.%s%s.%d", stem,
                       i < r->head.levels ? "one2many" : "one2one", raw ? ".1" : "",
                       i % r->head.levels);
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

/* One level of one picture, decoded to rows; returns how many. */
static size_t decode_level(const Run *r, const NbTensor *t, int64_t picture, int l, float *out) {
    const NbHead *h = &r->head;
    const int64_t *dim = t->shape.dim;
    const ptrdiff_t cells = (ptrdiff_t)(dim[2] * dim[3]);
    const json_t *strides = json_object_get(r->c->params, "stride");
    const float stride = (float)json_number_value(json_array_get(strides, (size_t)l));
    if (h->kind == NB_HEAD_YOLOV5) {
        const NbHeadLevel level = {.raw = nb_f32(t),
                                   .ny = (int)dim[2],
                                   .nx = (int)dim[3],
                                   .sb = (ptrdiff_t)dim[1] * cells,
                                   .sa = (5 + h->nc) * cells,
                                   .sc = cells,
                                   .sy = (ptrdiff_t)dim[3],
                                   .sx = 1};
        nb_yolov5_decode(h->hardtanh ? NB_DECODE_HARDTANH_Q : NB_DECODE_SIGMOID, &level,
                         (int)picture, h->anchors, h->nc, h->anchor[l], stride, out);
        return (size_t)h->anchors * (size_t)cells;
    }
    const NbDflLevel level = {.raw = nb_f32(t) + picture * dim[1] * cells,
                              .ny = (int)dim[2],
                              .nx = (int)dim[3],
                              .sc = cells,
                              .sy = (ptrdiff_t)dim[3],
                              .sx = 1,
                              .stride = stride};
    nb_yolov8_decode(&level, h->reg_max, h->nc, false, out);
    return (size_t)cells;
}

/* Boxes and scores of all levels from output `first` on: [N, rows, 5 + nc]; without anchors [N, 4 +
 * nc, rows]. */
static int compare_decoded(Run *r, const NbValue *v, const char *key, int first) {
    const NbHead *h = &r->head;
    if (!r->detect || !nb_case_has(r->c, key))
        return 0;
    const NbTensor want = nb_case_array(r->c, key);
    const bool free = h->kind != NB_HEAD_YOLOV5;
    const size_t numbers = (size_t)(free ? 4 + h->nc : 5 + h->nc);
    const size_t rows = (size_t)want.shape.dim[free ? 2 : 1];
    float *all = NB_NEW(&r->arena, float, nb_tensor_count(&want));
    float *out = NB_NEW(&r->arena, float, rows *numbers);
    for (int64_t b = 0; b < want.shape.dim[0]; b++) {
        size_t done = 0;
        for (int l = 0; l < h->levels; l++)
            done += decode_level(r, &v[r->output[first + l].node].t, b, l, out + done * numbers);
        assert_int_equal(done, rows);
        for (size_t i = 0; i < rows * numbers; i++) {
            const size_t at = free ? i % numbers * rows + i / numbers : i;
            all[(size_t)b * rows * numbers + at] = out[i];
        }
    }
    return compare(r, key, all, nb_tensor_count(&want));
}

/* Folded for deployment: one convolution with a bias, and the same function. */
static int compare_folded(Run *r) {
    NbError err = {0};
    NbGraph g;
    int bad = 0;
    int convs = 0;
    must(nb_fold(&r->g, &r->arena, &g, &err), &err);
    for (NbNodeId id = 0; id < g.n_nodes; id++) {
        const NbNode *node = &g.node[id];
        if (node->op != NB_OP_CONV)
            continue;
        assert_int_equal(node->n_in, 3);
        const bool inner = nb_case_has(r->c, "fused.conv.weight");
        const NbTensor *w = &g.node[node->in[1]].param;
        const NbTensor *bias = &g.node[node->in[2]].param;
        bad +=
            compare(r, inner ? "fused.conv.weight" : "fused.weight", nb_f32(w), nb_tensor_count(w));
        bad += compare(r, inner ? "fused.conv.bias" : "fused.bias", nb_f32(bias),
                       nb_tensor_count(bias));
        convs++;
    }
    assert_int_equal(convs, 1);
    NbValue *v = NB_NEW(&r->arena, NbValue, (size_t)g.n_nodes);
    must(nb_interpret(&g, NULL, NB_RUN_EVAL, true, &r->arena, v, &err), &err);
    const NbTensor *y = &v[g.output[0]].t;
    return bad + compare(r, "fused.y", nb_f32(y), nb_tensor_count(y));
}

static int check(Run *r) {
    NbError err = {0};
    NbValue *v = NB_NEW(&r->arena, NbValue, (size_t)r->g.n_nodes);
    NbTensor *d = NB_NEW(&r->arena, NbTensor, (size_t)r->g.n_nodes);
    NbTensor dy[NB_MAX_HEAD_OUTPUTS];
    must(nb_interpret(&r->g, NULL, NB_RUN_TRAIN, true, &r->arena, v, &err), &err);
    int bad = compare_outputs(r, v, "y");
    for (int i = 0; i < r->n_outputs; i++) {
        const NbShape *s = &r->g.node[r->output[i].node].shape;
        const float *g = nb_case_f32(r->c, key_of(r, "g", i), NULL);
        dy[i] = (NbTensor){NB_F32, *s, laid_out(r, g, s, true)};
    }
    must(nb_interpret_backward(&r->g, v, true, dy, &r->arena, d, &err), &err);
    bad += compare_params(r, d);
    if (nb_case_has(r->c, key_of(r, "y_eval", 0))) {
        must(nb_interpret(&r->g, NULL, NB_RUN_EVAL, true, &r->arena, v, &err), &err);
        if (!r->head.hardtanh) /* the peer decodes these in place */
            bad += compare_outputs(r, v, "y_eval");
        bad += compare_decoded(r, v, "y_eval.0", 0);
        bad += compare_decoded(r, v, "y_eval.one2many.0", 0);
        bad += compare_decoded(r, v, "y_eval.one2one.0", r->head.levels);
    }
    return bad + (nb_case_has(r->c, "fused.y") ? compare_folded(r) : 0);
}

static void modules_equal_the_peer(void **state) {
    (void)state;
    NbCases *cases = nb_cases_open("modules");
    int bad = 0;
    int checked = 0;
    for (int i = 0; i < cases->count; i++) {
        const NbCase c = nb_cases_get(cases, i);
        Part part[MAX_PARTS] = {{0}};
        const int n = read_parts(&c, part);
        if (n == 0)
            fail_msg("%s: no module '%s'", c.id, nb_case_string(&c, "class", ""));
        Run r = {.c = &c};
        if (build(&r, part, n)) {
            bad += check(&r);
            checked++;
        }
        for (int k = 0; k < n; k++)
            json_decref(part[k].args);
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
