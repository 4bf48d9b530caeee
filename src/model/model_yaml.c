/* SPDX-License-Identifier: Apache-2.0
 *
 * The parser of model files: keys, layer lines, channel and repeat rules. Modules are a table
 * (modules.def). */
#include "model/build.h"
#include "model/scale.h"

#include "base/file.h"
#include "base/text.h"
#include "detect/dfl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_LAYERS = 1000, MAX_NUMBER = 1000, N_NAMES = 16, MAX_FROM = 64 };
static const size_t most_memory = (size_t)3 << 30;

typedef struct File {
    const char *path;
    const NbYaml *root;
    NbArena *arena;
    int64_t nc;
    bool anchor_free; /* Ultralytics' form: no anchors */
    double depth;
    double width;
    double most; /* channels before they are scaled */
    NbAct act;   /* `activation`; else SiLU */
    int64_t reg_max;
    int64_t channels; /* of the picture */
    int64_t no;       /* what is never scaled: anchors * (nc + 5), without anchors nc */
    int bits[4];      /* bit_width; 0: none */
    NbArg anchors;
    NbName name[N_NAMES];
    NbNames names;
    int n_layers;
    const NbYaml *layer[MAX_LAYERS];
    bool feeds_head[MAX_LAYERS];
} File;

static NB_FALLIBLE check_keys(const File *f, NbError *err) {
    static const char *const known[] = {"nc",       "depth_multiple", "width_multiple", "anchors",
                                        "backbone", "head",           "use_hardtanh",   "bit_width",
                                        "ch",       "inplace",        "names",          "scales",
                                        "scale",    "reg_max",        "activation",     "yaml_file",
                                        "task",     "end2end"};
    const size_t count = sizeof known / sizeof *known;
    if (f->root->kind != NB_YAML_MAP)
        return nb_yaml_fail(NB_ERR_FORMAT, err, f->path, f->root,
                            "a model file is a map with nc, anchors, backbone, head, ...");
    for (int i = 0; i < f->root->count; i++) {
        bool found = false;
        char near[96] = "";
        for (size_t k = 0; k < count; k++)
            found = found || strcmp(f->root->key[i]->text, known[k]) == 0;
        if (found)
            continue;
        nb_nearest_names(f->root->key[i]->text, known, count, near, sizeof near);
        return nb_yaml_fail(NB_ERR_FORMAT, err, f->path, f->root->key[i], "unknown key '%.60s'%s%s",
                            f->root->key[i]->text, *near ? "; did you mean " : "", near);
    }
    return NB_OK;
}

static NB_FALLIBLE need(const File *f, const char *key, const NbYaml **out, NbError *err) {
    *out = nb_yaml_get(f->root, key);
    if (!*out)
        return nb_yaml_fail(NB_ERR_FORMAT, err, f->path, f->root, "the key '%s' is missing", key);
    return NB_OK;
}

static void name_value(File *f, const char *name, NbArg value) {
    f->name[f->names.count++] = (NbName){name, value};
}

static NB_FALLIBLE read_factor(const File *f, const char *key, double *out, NbError *err) {
    const NbYaml *y = NULL;
    *out = 1.0;
    if (f->anchor_free && !nb_yaml_get(f->root, key))
        return NB_OK;
    NB_TRY(need(f, key, &y, err));
    NB_TRY(nb_yaml_double(f->path, y, out, err));
    if (!(*out > 0.0 && *out <= 100.0))
        return nb_yaml_fail(NB_ERR_FORMAT, err, f->path, y,
                            "%s is %g, above 0 and at most 100 expected", key, *out);
    return NB_OK;
}

/* bit_width: [[first, weights, activations, last]]; further elements are ignored. */
static NB_FALLIBLE read_bit_width(File *f, NbError *err) {
    static const char *const names[4] = {"in_weight_bit_width", "weight_bit_width", "act_bit_width",
                                         "out_weight_bit_width"};
    const NbYaml *y = nb_yaml_get(f->root, "bit_width");
    if (!y)
        return NB_OK;
    const NbYaml *four = y->kind == NB_YAML_LIST && y->count > 0 ? y->item[0] : y;
    if (four->kind != NB_YAML_LIST || four->count != 4)
        return nb_yaml_fail(NB_ERR_FORMAT, err, f->path, four,
                            "bit_width: [[first, weights, activations, last]] expected");
    for (int i = 0; i < 4; i++) {
        int64_t bits = 0;
        NB_TRY(nb_yaml_int(f->path, four->item[i], &bits, err));
        if (bits < 1 || bits > 8)
            return nb_yaml_fail(NB_ERR_FORMAT, err, f->path, four->item[i],
                                "1 to 8 bits expected, found %s", four->item[i]->text);
        f->bits[i] = (int)bits;
        name_value(f, names[i], nb_arg_int(bits));
    }
    return NB_OK;
}

static NB_FALLIBLE read_hardtanh(File *f, const NbModelOptions *o, NbError *err) {
    const NbYaml *y = nb_yaml_get(f->root, "use_hardtanh");
    bool value = false;
    if (o->hardtanh && strcmp(o->hardtanh, "0") != 0 && strcmp(o->hardtanh, "1") != 0)
        return nb_fail(NB_ERR_ARGUMENT, err, "hardtanh='%s', 0 or 1 expected", o->hardtanh);
    if (!y)
        return NB_OK;
    NB_TRY(nb_yaml_bool(f->path, y, &value, err));
    if (o->hardtanh)
        value = *o->hardtanh == '1';
    name_value(f, "use_hardtanh", nb_arg_bool(value));
    return NB_OK;
}

/* Anchors of a level; with a number or a list of levels, or none at all. */
static NB_FALLIBLE read_anchors(File *f, int64_t *na, NbError *err) {
    const NbYaml *y = nb_yaml_get(f->root, "anchors");
    f->anchor_free = !y;
    f->no = f->nc;
    *na = 0;
    if (f->anchor_free)
        return NB_OK;
    NB_TRY(nb_arg_from_yaml(&f->names, y, f->arena, &f->anchors, err));
    *na = f->anchors.integer;
    if (f->anchors.kind == NB_ARG_LIST && f->anchors.count > 0)
        *na = f->anchors.item[0].count / 2;
    if ((f->anchors.kind != NB_ARG_LIST && f->anchors.kind != NB_ARG_INT) || *na < 1 ||
        *na > NB_MAX_ANCHORS)
        return nb_yaml_fail(NB_ERR_FORMAT, err, f->path, y,
                            "anchors: a list of levels, each w, h, w, h, ..., or the number of "
                            "anchors a level (1 to %d) expected",
                            NB_MAX_ANCHORS);
    f->no = *na * (f->nc + 5);
    return NB_OK;
}

/* depth_multiple and width_multiple, or a line of `scales`. */
static NB_FALLIBLE read_multiples(File *f, NbError *err) {
    f->most = INFINITY;
    if (nb_yaml_get(f->root, "scales"))
        return nb_scale_read(f->path, f->root, &f->depth, &f->width, &f->most, err);
    NB_TRY(read_factor(f, "depth_multiple", &f->depth, err));
    return read_factor(f, "width_multiple", &f->width, err);
}

/* What act=True means, and the bins of an anchor-free head. */
static NB_FALLIBLE read_defaults(File *f, NbError *err) {
    const NbYaml *act = nb_yaml_get(f->root, "activation");
    const NbYaml *bins = nb_yaml_get(f->root, "reg_max");
    f->act = (NbAct){.kind = NB_ACT_SILU};
    if (act && (act->kind != NB_YAML_SCALAR || !nb_act_from_text(act->text, &f->act)))
        return nb_yaml_fail(NB_ERR_UNSUPPORTED, err, f->path, act,
                            "activation: nn.SiLU(), nn.ReLU(), nn.LeakyReLU(x), nn.Sigmoid(), "
                            "nn.Hardtanh() or nn.Identity() expected");
    if (!bins)
        return NB_OK;
    NB_TRY(nb_yaml_int(f->path, bins, &f->reg_max, err));
    if (f->reg_max < 1 || f->reg_max > NB_DFL_MAX_BINS)
        return nb_yaml_fail(NB_ERR_FORMAT, err, f->path, bins, "reg_max: 1 to %d expected",
                            NB_DFL_MAX_BINS);
    return NB_OK;
}

/* nc, anchors and everything that layer arguments may name. */
static NB_FALLIBLE read_names(File *f, const NbModelOptions *o, NbError *err) {
    const NbYaml *y = NULL;
    f->names = (NbNames){.path = f->path, .name = f->name};
    name_value(f, "None", (NbArg){.kind = NB_ARG_NONE});
    name_value(f, "True", nb_arg_bool(true));
    name_value(f, "False", nb_arg_bool(false));
    NB_TRY(need(f, "nc", &y, err));
    NB_TRY(nb_yaml_int(f->path, y, &f->nc, err));
    if (o->nc > 0)
        f->nc = o->nc;
    if (f->nc < 1 || f->nc > 100000)
        return nb_yaml_fail(NB_ERR_FORMAT, err, f->path, y, "nc: 1 to 100000 classes expected");
    int64_t na = 0;
    NB_TRY(read_anchors(f, &na, err));
    NB_TRY(read_multiples(f, err));
    NB_TRY(read_defaults(f, err));
    name_value(f, "nc", nb_arg_int(f->nc));
    if (!f->anchor_free) {
        name_value(f, "anchors", f->anchors);
        name_value(f, "na", nb_arg_int(na));
        name_value(f, "no", nb_arg_int(f->no));
    }
    name_value(f, "gd", (NbArg){.kind = NB_ARG_NUMBER, .number = f->depth});
    name_value(f, "gw", (NbArg){.kind = NB_ARG_NUMBER, .number = f->width});
    NB_TRY(read_hardtanh(f, o, err));
    return read_bit_width(f, err);
}

static NB_FALLIBLE read_layers(File *f, NbError *err) {
    static const char *const keys[2] = {"backbone", "head"};
    for (int k = 0; k < 2; k++) {
        const NbYaml *list = NULL;
        NB_TRY(need(f, keys[k], &list, err));
        if (list->kind != NB_YAML_LIST)
            return nb_yaml_fail(NB_ERR_FORMAT, err, f->path, list, "%s: a list of layers expected",
                                keys[k]);
        for (int i = 0; i < list->count; i++) {
            const NbYaml *line = list->item[i];
            if (line->kind != NB_YAML_LIST || line->count != 4 ||
                line->item[2]->kind != NB_YAML_SCALAR || line->item[3]->kind != NB_YAML_LIST)
                return nb_yaml_fail(NB_ERR_FORMAT, err, f->path, line,
                                    "[from, number, module, [arguments]] expected");
            if (f->n_layers == MAX_LAYERS)
                return nb_yaml_fail(NB_ERR_FORMAT, err, f->path, line, "more than %d layers",
                                    MAX_LAYERS);
            f->layer[f->n_layers++] = line;
        }
    }
    if (f->n_layers == 0)
        return nb_yaml_fail(NB_ERR_FORMAT, err, f->path, f->root, "the model has no layers");
    return NB_OK;
}

/* The layers that line `i` reads: indices, -1 for the picture (layer 0 only). */
static NB_FALLIBLE read_from(const File *f, int i, int from[MAX_FROM], int *count, NbError *err) {
    const NbYaml *y = f->layer[i]->item[0];
    const int n = y->kind == NB_YAML_LIST ? y->count : 1;
    if (n < 1 || n > MAX_FROM)
        return nb_yaml_fail(NB_ERR_FORMAT, err, f->path, y, "from: 1 to %d layers expected",
                            MAX_FROM);
    for (int k = 0; k < n; k++) {
        const NbYaml *one = y->kind == NB_YAML_LIST ? y->item[k] : y;
        int64_t value = 0;
        NB_TRY(nb_yaml_int(f->path, one, &value, err));
        const int64_t at = value < 0 ? i + value : value;
        if (at >= i || at < (i == 0 ? -1 : 0) || value < -MAX_LAYERS)
            return nb_yaml_fail(NB_ERR_FORMAT, err, f->path, one,
                                "layer %d reads layer %s, one of 0 to %d or -1 to -%d expected", i,
                                one->text, i - 1, i ? i : 1);
        from[k] = (int)at;
    }
    *count = n;
    return NB_OK;
}

static bool is_detect(const NbYaml *line) {
    return strcmp(line->item[2]->text, "Detect") == 0 ||
           strcmp(line->item[2]->text, "v10Detect") == 0;
}

/* Marks the layers that a Detect without convolutions takes as outputs. */
static NB_FALLIBLE mark_outputs(File *f, NbError *err) {
    for (int i = 0; i < f->n_layers; i++) {
        const NbYaml *args = f->layer[i]->item[3];
        NbArg in_conv = {0};
        int from[MAX_FROM];
        int n = 0;
        if (!is_detect(f->layer[i]))
            continue;
        if (i != f->n_layers - 1)
            return nb_yaml_fail(NB_ERR_FORMAT, err, f->path, f->layer[i],
                                "Detect is layer %d of %d, it must be the last one", i,
                                f->n_layers);
        if (args->count < 4)
            return NB_OK;
        NB_TRY(nb_arg_from_yaml(&f->names, args->item[2], f->arena, &in_conv, err));
        NB_TRY(read_from(f, i, from, &n, err));
        for (int k = 0; k < n && in_conv.kind == NB_ARG_BOOL && !in_conv.integer; k++)
            if (from[k] >= 0)
                f->feeds_head[from[k]] = true;
        return NB_OK;
    }
    return nb_yaml_fail(NB_ERR_FORMAT, err, f->path, f->layer[f->n_layers - 1],
                        "the last layer is %s, Detect expected",
                        f->layer[f->n_layers - 1]->item[2]->text);
}

static NB_FALLIBLE read_number(const File *f, int i, int *out, NbError *err) {
    const NbYaml *y = f->layer[i]->item[1];
    int64_t n = 0;
    NB_TRY(nb_yaml_int(f->path, y, &n, err));
    if (n < 1 || n > MAX_NUMBER)
        return nb_yaml_fail(NB_ERR_FORMAT, err, f->path, y, "number: 1 to %d expected, found %s",
                            MAX_NUMBER, y->text);
    if (n > 1) {
        const double scaled = rint((double)n * f->depth); /* halves to even, as Python's round */
        n = scaled < 1.0 ? 1 : (int64_t)scaled;
    }
    if (n > MAX_NUMBER)
        return nb_yaml_fail(NB_ERR_FORMAT, err, f->path, y, "more than %d copies", MAX_NUMBER);
    *out = (int)n;
    return NB_OK;
}

static NB_FALLIBLE find_module(const File *f, int i, const NbModule **out, NbError *err) {
    const NbYaml *y = f->layer[i]->item[2];
    int count = 0;
    const NbModule *const *list = nb_module_list(&count);
    const char *names[64];
    char near[128] = "";
    *out = nb_module_find(y->text);
    if (*out)
        return NB_OK;
    for (int k = 0; k < count && k < 64; k++)
        names[k] = list[k]->name;
    nb_nearest_names(y->text, names, (size_t)count, near, sizeof near);
    return nb_yaml_fail(NB_ERR_UNSUPPORTED, err, f->path, y, "unknown module '%.60s'%s%s", y->text,
                        *near ? "; did you mean " : "", near);
}

/* Arguments of line i with the channel rule applied. */
static NB_FALLIBLE read_args(const File *f, int i, const NbModule *module, NbCall *call,
                             NbError *err) {
    const NbYaml *y = f->layer[i]->item[3];
    NbArg all = {0};
    if (y->count < module->min_args || y->count > module->max_args)
        return nb_yaml_fail(NB_ERR_FORMAT, err, f->path, y, "%s takes %d to %d arguments, found %d",
                            module->name, module->min_args, module->max_args, y->count);
    NB_TRY(nb_arg_from_yaml(&f->names, y, f->arena, &all, err));
    NbArg *arg = NB_NEW(f->arena, NbArg, (size_t)all.count);
    if (!arg)
        return nb_fail_memory(err, "arguments");
    if (all.count)
        memcpy(arg, all.item, (size_t)all.count * sizeof *arg);
    if (module->channels == NB_CHANNELS_SCALED && arg[0].integer != f->no &&
        (arg[0].kind == NB_ARG_INT || arg[0].kind == NB_ARG_NUMBER)) {
        const NbYaml *at = arg[0].at;
        const double scaled = ceil(fmin(arg[0].number, f->most) * f->width / 8.0) * 8.0;
        if (!(scaled >= 1.0 && scaled <= 65536.0))
            return nb_yaml_fail(NB_ERR_FORMAT, err, f->path, y, "%g channels, 1 to 65536 expected",
                                scaled);
        arg[0] = nb_arg_int((int64_t)scaled);
        arg[0].at = at;
    }
    call->arg = arg;
    call->n_args = all.count;
    return NB_OK;
}

/* Builds one module; whatever fails is said with the place of its line. */
static NB_FALLIBLE build_one(const File *f, NbBuild *b, const NbModule *module, const NbCall *call,
                             NbTap *out, NbError *err) {
    NbError inner = {0};
    const NbStatus status = module->build(b, call, out, &inner);
    if (status == NB_OK)
        return NB_OK;
    if (strncmp(inner.message, f->path, strlen(f->path)) == 0)
        return nb_fail(status, err, "%s", inner.message);
    return nb_yaml_fail(status, err, f->path, call->at, "%s", inner.message);
}

static NB_FALLIBLE build_layer(const File *f, NbBuild *b, int i, const NbTap *tap, NbTap picture,
                               NbTap *out, NbError *err) {
    const NbModule *module = NULL;
    int from[MAX_FROM];
    NbTap in[MAX_FROM];
    char path[64];
    int n = 0;
    NbCall call = {.path = path, .in = in, .at = f->layer[i], .repeats = 1};
    NB_TRY(read_from(f, i, from, &call.n_in, err));
    NB_TRY(read_number(f, i, &n, err));
    NB_TRY(find_module(f, i, &module, err));
    NB_TRY(read_args(f, i, module, &call, err));
    if (call.n_in > module->max_in)
        return nb_yaml_fail(NB_ERR_FORMAT, err, f->path, f->layer[i]->item[0],
                            "%s reads at most %d layers, found %d", module->name, module->max_in,
                            call.n_in);
    for (int k = 0; k < call.n_in; k++)
        in[k] = from[k] < 0 ? picture : tap[from[k]];
    if (module->repeats_inside) {
        call.repeats = n;
        n = 1;
    }
    for (int k = 0; k < n; k++) {
        (void)snprintf(path, sizeof path, n > 1 ? "model.%d.%d" : "model.%d", i, k);
        call.feeds_head = f->feeds_head[i] && k == n - 1;
        NB_TRY(build_one(f, b, module, &call, out, err));
        in[0] = *out;
        call.n_in = 1;
    }
    return NB_OK;
}

static NB_FALLIBLE build_layers(const File *f, NbBuild *b, NbError *err) {
    const NbAttr attr = {.input = {.scale = 1.0F / 255.0F, .channels = (int)f->channels}};
    NbTap picture = {.channels = (int)f->channels};
    NbTap *tap = NB_NEW(f->arena, NbTap, (size_t)f->n_layers);
    if (!tap)
        return nb_fail_memory(err, "layers");
    NB_TRY(nb_graph_add(b->g, NB_OP_INPUT, "images", 0, NULL, &attr, &picture.node, err));
    for (int i = 0; i < f->n_layers; i++) {
        const int first = b->g->n_nodes;
        NB_TRY(build_layer(f, b, i, tap, picture, &tap[i], err));
        for (int id = first; id < b->g->n_nodes; id++)
            b->g->node[id].layer = i;
    }
    return NB_OK;
}

/* A file without bit_width may still name bits in its layers: the last of each kind stand for all.
 */
static void note_bits(NbModel *m) {
    for (NbNodeId id = 0; id < m->graph.n_nodes && !m->bits.n_rules; id++) {
        const NbNode *node = &m->graph.node[id];
        if (node->op != NB_OP_QUANT)
            continue;
        const bool weight = m->graph.node[node->in[0]].op == NB_OP_PARAM;
        *(weight ? &m->bits.weight : &m->bits.activation) = node->attr.quant.grid.bits;
        m->bits.quantized = true;
    }
    if (m->bits.quantized && !m->bits.activation)
        m->bits.activation = m->bits.weight;
    if (m->bits.quantized && !m->bits.weight)
        m->bits.weight = m->bits.activation;
}

static bool keep_always(const NbNode *node) {
    (void)node;
    return true;
}

static void flip_levels(NbHead *h) {
    for (int a = 0, z = h->levels - 1; a < z; a++, z--)
        for (int i = 0; i < h->anchors; i++)
            for (int k = 0; k < 2; k++) {
                const float kept = h->anchor[a][i][k];
                h->anchor[a][i][k] = h->anchor[z][i][k];
                h->anchor[z][i][k] = kept;
            }
}

/* Strides from a picture of 256 x 256, and anchors in the order of the strides. */
static NB_FALLIBLE measure(const File *f, NbModel *m, NbError *err) {
    enum { SIDE = 256 };
    NbHead *h = &m->head;
    NB_TRY_IN(nb_graph_infer(&m->graph, 1, SIDE, SIDE, err), err, "%s", f->path);
    for (int l = 0; l < h->levels; l++)
        h->stride[l] = (float)SIDE / (float)m->graph.node[m->graph.output[l]].shape.dim[2];
    if (h->kind != NB_HEAD_YOLOV5)
        return NB_OK;
    float(*last)[2] = h->anchor[h->levels - 1];
    const float size =
        last[h->anchors - 1][0] * last[h->anchors - 1][1] - h->anchor[0][0][0] * h->anchor[0][0][1];
    const float stride = h->stride[h->levels - 1] - h->stride[0];
    if ((size > 0.0F) - (size < 0.0F) != (stride > 0.0F) - (stride < 0.0F))
        flip_levels(h);
    return NB_OK;
}

static NB_FALLIBLE copy_bits(const File *f, const NbModelOptions *o, NbModel *m, NbError *err) {
    char text[32];
    m->bits_from_file = !o->bits;
    if (o->bits) {
        const char *as_text = nb_bits_text(o->bits, &m->arena);
        if (!as_text)
            return nb_fail_memory(err, "bits");
        return nb_bits_parse(as_text, &m->arena, &m->bits, err);
    }
    m->bits = (NbBits){0};
    if (!f->bits[0])
        return NB_OK;
    (void)snprintf(text, sizeof text, "%d,%d,%d,%d", f->bits[0], f->bits[1], f->bits[2],
                   f->bits[3]);
    return nb_bits_parse(text, &m->arena, &m->bits, err);
}

static NB_FALLIBLE build_graph(File *f, const NbModelOptions *o, NbModel *m, NbError *err) {
    NbTap output[NB_MAX_HEAD_OUTPUTS];
    NbNodeId id[NB_MAX_HEAD_OUTPUTS];
    NbBuild b = {.g = &m->graph,
                 .head = &m->head,
                 .names = &f->names,
                 .bits = o->bits ? &m->bits : NULL,
                 .compat = o->compat,
                 .steps = o->steps,
                 .bias_at_output = !o->compat,
                 .anchor_free = f->anchor_free,
                 .reg_max = (int)f->reg_max,
                 .act = &f->act,
                 .output = output};
    nb_graph_init(&m->graph, &m->arena);
    NB_TRY(build_layers(f, &b, err));
    for (int l = 0; l < b.n_outputs; l++)
        id[l] = output[l].node;
    NB_TRY_IN(nb_graph_set_outputs(&m->graph, b.n_outputs, id, err), err, "%s", f->path);
    NB_TRY(nb_build_sweep(&m->graph, o->compat ? keep_always : NULL, err));
    return measure(f, m, err);
}

static NB_FALLIBLE read_class_names(const File *f, NbModel *m, NbError *err) {
    const NbYaml *y = nb_yaml_get(f->root, "names");
    if (!y || y->count != m->head.nc || y->kind == NB_YAML_SCALAR)
        return nb_model_set_names(m, NULL, m->head.nc, err);
    const char **names = NB_NEW(f->arena, const char *, (size_t)y->count);
    if (!names)
        return nb_fail_memory(err, "names");
    for (int i = 0; i < y->count; i++) {
        if (y->item[i]->kind != NB_YAML_SCALAR)
            return nb_yaml_fail(NB_ERR_FORMAT, err, f->path, y->item[i], "a name expected");
        names[i] = y->item[i]->text;
    }
    return nb_model_set_names(m, names, y->count, err);
}

static NB_FALLIBLE build_model(File *f, NbBytes bytes, const NbModelOptions *o, NbModel *m,
                               NbError *err) {
    const NbYaml *ch = NULL;
    NB_TRY(nb_yaml_parse(f->path, bytes, f->arena, &f->root, err));
    NB_TRY(check_keys(f, err));
    NB_TRY(read_names(f, o, err));
    NB_TRY(read_layers(f, err));
    NB_TRY(mark_outputs(f, err));
    f->channels = 3;
    ch = nb_yaml_get(f->root, "ch");
    if (ch)
        NB_TRY(nb_yaml_int(f->path, ch, &f->channels, err));
    if (f->channels < 1 || f->channels > 64)
        return nb_yaml_fail(NB_ERR_FORMAT, err, f->path, ch, "ch: 1 to 64 channels expected");
    NB_TRY(copy_bits(f, o, m, err));
    NB_TRY(build_graph(f, o, m, err));
    if (m->bits_from_file)
        note_bits(m);
    NB_TRY(read_class_names(f, m, err));
    m->compat = o->compat;
    m->steps = o->steps;
    m->yaml = nb_arena_string_n(&m->arena, (const char *)bytes.data, bytes.size);
    m->yaml_path = nb_arena_string(&m->arena, f->path);
    return m->yaml && m->yaml_path ? NB_OK : nb_fail_memory(err, "model");
}

NbStatus nb_model_from_yaml(const char *path, const char *text, size_t size,
                            const NbModelOptions *options, NbModel *out, NbError *err) {
    static const NbModelOptions none = {0};
    NbArena scratch = {0};
    const NbModelOptions *o = options ? options : &none;
    *out = (NbModel){.arena = {.limit = o->memory_limit ? o->memory_limit : most_memory}};
    File *f = NB_NEW(&scratch, File, 1);
    if (!f)
        return nb_fail_memory(err, "model file");
    f->path = path;
    f->arena = &scratch;
    const NbBytes bytes = {(const unsigned char *)text, size};
    const NbStatus status = build_model(f, bytes, o, out, err);
    nb_arena_release(&scratch);
    if (status != NB_OK)
        nb_model_release(out);
    return status;
}
