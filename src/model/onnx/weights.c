/* SPDX-License-Identifier: Apache-2.0 */
#include "model/onnx/weights.h"

#include "model/scale.h"
#include "model/zoo.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_PATH = 256 };

/* A convolution or batch norm of the file, under the path of its module. */
typedef struct Layer {
    const char *path; /* "model.2.cv1.conv" */
    NbShape shape;    /* of the weights */
    int n;            /* values: weights and bias; or gamma, beta, mean, var */
    const float *value[4];
} Layer;

typedef struct Source {
    const NbOnnxModel *file;
    const NbModelOptions *options;
    NbArena *arena;
    Layer *layer;
    size_t n_layers;
    int nc;    /* classes; 0: not to be seen */
    Layer dfl; /* the fixed convolution of bin numbers, when there is one */
} Source;

static bool ends_in(const char *text, const char *end) {
    const size_t n = strlen(text);
    const size_t m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* ---- what the file holds ---- */

static const NbOnnxTensor *initializer(const Source *s, const char *name) {
    for (size_t i = 0; *name && i < s->file->graph.n_initializers; i++)
        if (strcmp(s->file->graph.initializer[i].name, name) == 0)
            return &s->file->graph.initializer[i];
    return NULL;
}

static const NbOnnxNode *maker_of(const Source *s, const char *value) {
    for (size_t i = 0; i < s->file->graph.n_nodes; i++)
        for (size_t k = 0; k < s->file->graph.node[i].n_out; k++)
            if (strcmp(s->file->graph.node[i].out[k], value) == 0)
                return &s->file->graph.node[i];
    return NULL;
}

static bool dtype_of(int onnx, NbDtype *out) {
    static const struct {
        int onnx;
        NbDtype dtype;
    } known[] = {{NB_ONNX_FLOAT, NB_F32},  {NB_ONNX_FLOAT16, NB_F16}, {NB_ONNX_BFLOAT16, NB_BF16},
                 {NB_ONNX_DOUBLE, NB_F64}, {NB_ONNX_INT8, NB_I8},     {NB_ONNX_UINT8, NB_U8},
                 {NB_ONNX_INT32, NB_I32}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].onnx == onnx) {
            *out = known[i].dtype;
            return true;
        }
    return false;
}

/* An initializer as float32. */
static NB_FALLIBLE numbers_of(const Source *s, const NbOnnxTensor *t, float **out, NbError *err) {
    NbDtype dtype = NB_F32;
    const size_t n = nb_shape_count(&t->shape);
    if (!dtype_of(t->type, &dtype))
        return nb_fail(NB_ERR_UNSUPPORTED, err, "initializer '%s' is %s, numbers expected", t->name,
                       nb_onnx_type_name(t->type));
    *out = NB_NEW(s->arena, float, n);
    if (!*out)
        return nb_fail_memory(err, t->name);
    nb_convert(t->data, dtype, *out, NB_F32, n);
    return NB_OK;
}

/* (code - zero) * scale of a DequantizeLinear over constants, one scale for each row or for all. */
static NB_FALLIBLE dequantized(const Source *s, const NbOnnxNode *node, const float **out,
                               NbShape *shape, NbError *err) {
    const NbOnnxTensor *const part[3] = {node->n_in > 0 ? initializer(s, node->in[0]) : NULL,
                                         node->n_in > 1 ? initializer(s, node->in[1]) : NULL,
                                         node->n_in > 2 ? initializer(s, node->in[2]) : NULL};
    const NbOnnxAttr *const axis = nb_onnx_attr(node, "axis");
    float *value[3] = {NULL, NULL, NULL};
    *out = NULL;
    if (!part[0] || !part[1] || part[0]->shape.rank < 1)
        return NB_OK;
    *shape = part[0]->shape;
    const size_t scales = nb_shape_count(&part[1]->shape);
    const bool by_row = scales > 1;
    if (by_row && ((axis && axis->i != 0) || (int64_t)scales != shape->dim[0]))
        return NB_OK;
    for (int i = 0; i < 3; i++)
        if (part[i])
            NB_TRY(numbers_of(s, part[i], &value[i], err));
    if (part[2] && nb_shape_count(&part[2]->shape) != scales)
        return NB_OK;
    const size_t n = nb_shape_count(shape) / scales;
    for (size_t r = 0; r < scales; r++)
        for (size_t i = r * n; i < (r + 1) * n; i++)
            value[0][i] = (value[0][i] - (value[2] ? value[2][r] : 0.0F)) * value[1][r];
    *out = value[0];
    return NB_OK;
}

/* Input i of a node when it is a constant; *out NULL: it is not. */
static NB_FALLIBLE constant(const Source *s, const NbOnnxNode *node, size_t i, const float **out,
                            NbShape *shape, NbError *err) {
    *out = NULL;
    if (i >= node->n_in || !*node->in[i])
        return NB_OK;
    const NbOnnxTensor *const t = initializer(s, node->in[i]);
    const NbOnnxNode *const maker = t ? NULL : maker_of(s, node->in[i]);
    float *value = NULL;
    if (maker && strcmp(maker->op, "DequantizeLinear") == 0)
        return dequantized(s, maker, out, shape, err);
    if (!t)
        return NB_OK;
    *shape = t->shape;
    NB_TRY(numbers_of(s, t, &value, err));
    *out = value;
    return NB_OK;
}

/* "/model.22/m.0/cv1/cv1.2/conv/Conv" is model.22.m.0.cv1.2.conv: a part repeats the name of the
 * list that it stands in. The last part is the operator. */
static const char *path_of_node(const Source *s, const char *name) {
    char path[MAX_PATH] = "";
    size_t size = 0;
    size_t last = 0; /* where the part before begins */
    for (const char *at = name; *at == '/';) {
        const char *const part = at + 1;
        const size_t n = strcspn(part, "/");
        at = part + n;
        if (*at != '/')
            break;
        const size_t before = size - last;
        const bool repeats = before > 0 && n > before && part[before] == '.' &&
                             strncmp(part, path + last, before) == 0;
        if (repeats)
            size = last;
        else if (size > 0)
            path[size++] = '.';
        last = size;
        if (size + n + 2 > sizeof path)
            return NULL;
        memcpy(path + size, part, n);
        size += n;
        path[size] = '\0';
    }
    return size ? nb_arena_string(s->arena, path) : NULL;
}

/* The node's own name tells its module, or that of its weights does. NULL: neither. */
static const char *module_of(const Source *s, const NbOnnxNode *node) {
    static const char tail[] = ".weight";
    const char *const path = *node->name == '/' ? path_of_node(s, node->name) : NULL;
    if (path || node->n_in < 2 || !ends_in(node->in[1], tail))
        return path;
    return nb_arena_string_n(s->arena, node->in[1], strlen(node->in[1]) - strlen(tail));
}

static NB_FALLIBLE add_layer(Source *s, const NbOnnxNode *node, NbError *err) {
    const bool norm = strcmp(node->op, "BatchNormalization") == 0;
    Layer layer = {.n = norm ? 4 : 2};
    if (!norm && strcmp(node->op, "Conv") != 0)
        return NB_OK;
    for (int i = 0; i < layer.n; i++) {
        NbShape shape = {0};
        NB_TRY(constant(s, node, (size_t)i + 1, &layer.value[i], &shape, err));
        if (i == 0)
            layer.shape = shape;
        const int64_t rows = layer.shape.rank > 0 ? layer.shape.dim[0] : 0;
        if (i > 0 && layer.value[i] && (int64_t)nb_shape_count(&shape) != rows)
            return nb_fail(NB_ERR_FORMAT, err, "node '%s': input %d has %zu values, %lld expected",
                           node->name, i + 1, nb_shape_count(&shape), (long long)rows);
        if (!layer.value[i] && (norm || i == 0))
            return NB_OK;
    }
    layer.path = module_of(s, node);
    if (layer.path && ends_in(layer.path, "dfl.conv"))
        s->dfl = layer;
    else if (layer.path)
        s->layer[s->n_layers++] = layer;
    return NB_OK;
}

static const Layer *find_layer(const Source *s, const char *path) {
    for (size_t i = 0; i < s->n_layers; i++)
        if (strcmp(s->layer[i].path, path) == 0)
            return &s->layer[i];
    return NULL;
}

/* From the last convolution of classes, or of anchors: three a level, 5 + nc outputs each. LPYOLO's
 * is the last of all. */
static int classes_of(const Source *s) {
    for (size_t i = 0; i < s->n_layers; i++) {
        const int64_t outputs = s->layer[i].shape.dim[0];
        if (outputs < 1 || outputs > 100000)
            continue;
        if (ends_in(s->layer[i].path, "cv3.0.2"))
            return (int)outputs;
        if (ends_in(s->layer[i].path, ".m.0") && outputs % 3 == 0 && outputs / 3 > 5)
            return (int)(outputs / 3 - 5);
    }
    const int64_t last = s->n_layers ? s->layer[s->n_layers - 1].shape.dim[0] : 0;
    return last % 3 == 0 && last / 3 > 5 && last <= 100000 ? (int)(last / 3 - 5) : 0;
}

/* ---- against a model ---- */

typedef struct Fill {
    const Source *s;
    NbModel *m;
    NbSafetensors state;
    bool *used; /* [n_layers] */
} Fill;

static NB_FALLIBLE give(Fill *f, NbNodeId param, const float *value, NbError *err) {
    NbTensor t = f->m->graph.node[param].param;
    t.data = (void *)(uintptr_t)value; /* only read */
    return nb_checkpoint_add(&f->state, f->s->arena, f->m->graph.node[param].name, &t, err);
}

static NB_FALLIBLE give_same(Fill *f, NbNodeId param, float value, NbError *err) {
    const size_t n = nb_tensor_count(&f->m->graph.node[param].param);
    float *const same = NB_NEW(f->s->arena, float, n);
    if (!same)
        return nb_fail_memory(err, f->m->graph.node[param].name);
    for (size_t i = 0; i < n; i++)
        same[i] = value;
    return give(f, param, same, err);
}

/* v with fl(v + eps) = 1. */
static float unit_variance(float eps) {
    float v = 1.0F - eps;
    while (v + eps > 1.0F)
        v = nextafterf(v, 0.0F);
    while (v + eps < 1.0F)
        v = nextafterf(v, 2.0F);
    return v;
}

/* The norm behind a convolution: its own, or one that adds the bias (NULL: 0). */
static NB_FALLIBLE fill_norm(Fill *f, const NbNode *norm, const float *bias, NbError *err) {
    char path[MAX_PATH];
    (void)snprintf(path, sizeof path, "%s", norm->name);
    const Layer *const own = find_layer(f->s, path);
    if (own && own->n == 4) {
        f->used[own - f->s->layer] = true;
        for (int i = 0; i < 4; i++)
            NB_TRY(give(f, norm->in[i + 1], own->value[i], err));
        return NB_OK;
    }
    NB_TRY(give_same(f, norm->in[1], 1.0F, err));
    NB_TRY(bias ? give(f, norm->in[2], bias, err) : give_same(f, norm->in[2], 0.0F, err));
    NB_TRY(give_same(f, norm->in[3], 0.0F, err));
    return give_same(f, norm->in[4], unit_variance(norm->attr.batchnorm.eps), err);
}

static const NbNode *norm_behind(const NbGraph *g, NbNodeId conv) {
    for (NbNodeId id = conv + 1; id < g->n_nodes; id++)
        if (g->node[id].op == NB_OP_BATCHNORM && g->node[id].in[0] == conv)
            return &g->node[id];
    return NULL;
}

/* The layer of a convolution's path. RepVGGDW is one convolution in the file: its large one has it,
 * its small one is nothing (*zero). The one-to-many head has that of the one-to-one head. */
static const Layer *layer_of(const Fill *f, const char *path, bool *zero) {
    static const char large[] = ".conv.conv";
    static const char small[] = ".conv1.conv";
    char other[MAX_PATH + 16];
    const Layer *layer = find_layer(f->s, path);
    *zero = false;
    if (layer)
        return layer;
    for (int i = 0; i < 2; i++)
        if (ends_in(path, i ? small : large)) {
            const int n = (int)(strlen(path) - strlen(i ? small : large));
            *zero = i == 1;
            (void)snprintf(other, sizeof other, "%.*s.conv", n, path);
            layer = find_layer(f->s, other);
            (void)snprintf(other, sizeof other, "%.*s%s", n, path, large);
            return layer ? layer : find_layer(f->s, other);
        }
    const char *const branch =
        strstr(path, ".cv2.") ? strstr(path, ".cv2.") : strstr(path, ".cv3.");
    if (!branch || f->m->head.kind != NB_HEAD_YOLOV10)
        return NULL;
    (void)snprintf(other, sizeof other, "%.*s.one2one_%s", (int)(branch - path), path, branch + 1);
    return find_layer(f->s, other);
}

static NbNodeId weight_of(const NbGraph *g, const NbNode *conv) {
    const NbNodeId w = conv->in[1];
    return g->node[w].op == NB_OP_QUANT ? g->node[w].in[0] : w;
}

/* *fits false: the file has no such layer, or one of another shape. */
static NB_FALLIBLE fill_conv(Fill *f, NbNodeId id, bool *fits, NbError *err) {
    const NbGraph *const g = &f->m->graph;
    const NbNode *const conv = &g->node[id];
    const NbNode *const norm = norm_behind(g, id);
    const NbNodeId w = weight_of(g, conv);
    char path[MAX_PATH];
    bool zero = false;
    const size_t n = strlen(g->node[w].name);
    *fits = false;
    if (n < 8 || n >= sizeof path)
        return NB_OK;
    (void)snprintf(path, sizeof path, "%.*s", (int)(n - 7), g->node[w].name); /* less ".weight" */
    const Layer *const layer = layer_of(f, path, &zero);
    if (!layer || layer->n != 2 ||
        (!zero && !nb_shape_equal(&layer->shape, &g->node[w].param.shape)))
        return NB_OK;
    *fits = true;
    f->used[layer - f->s->layer] = true;
    const float *const bias = zero ? NULL : layer->value[1];
    NB_TRY(zero ? give_same(f, w, 0.0F, err) : give(f, w, layer->value[0], err));
    if (norm)
        return fill_norm(f, norm, bias, err);
    if (conv->n_in < 3)
        return NB_OK;
    return bias ? give(f, conv->in[2], bias, err) : give_same(f, conv->in[2], 0.0F, err);
}

/* Collects the model's tensors; *fits: all are there, and every layer of the file has a place. */
static NB_FALLIBLE fill(Fill *f, bool *fits, NbError *err) {
    *fits = true;
    f->used = NB_NEW(f->s->arena, bool, f->s->n_layers);
    if (!f->used)
        return nb_fail_memory(err, "layers");
    for (NbNodeId id = 0; *fits && id < f->m->graph.n_nodes; id++)
        if (f->m->graph.node[id].op == NB_OP_CONV)
            NB_TRY(fill_conv(f, id, fits, err));
    for (size_t i = 0; *fits && i < f->s->n_layers; i++)
        *fits = f->used[i];
    return NB_OK;
}

/* ---- which model ---- */

/* Builds `name` for the classes of the file; *state: its tensors, when it fits. */
static NB_FALLIBLE try_model(const Source *s, const NbZooFile *zoo, const char *name, bool *fits,
                             NbSafetensors *state, NbError *err) {
    NbModel m;
    NbError ignored = {0};
    NbModelOptions o = *s->options;
    o.nc = s->nc;
    *fits = false;
    if (nb_model_from_yaml(name, zoo->text, zoo->size, &o, &m, &ignored) != NB_OK)
        return NB_OK;
    Fill f = {.s = s, .m = &m};
    const NbStatus status = fill(&f, fits, err);
    for (size_t i = 0; status == NB_OK && i < f.state.n_tensors; i++) { /* the model goes away */
        f.state.tensor[i].name = nb_arena_string(s->arena, f.state.tensor[i].name);
        if (!f.state.tensor[i].name) {
            nb_model_release(&m);
            return nb_fail_memory(err, name);
        }
    }
    nb_model_release(&m);
    *state = f.state;
    return status;
}

static NB_FALLIBLE take_bins(const Source *s, NbHead *head, NbError *err) {
    const size_t n = s->dfl.path ? nb_shape_count(&s->dfl.shape) : 0;
    if (n == 0 || head->reg_max == 0)
        return NB_OK;
    if (n != (size_t)head->reg_max)
        return nb_fail(NB_ERR_FORMAT, err, "%s: %zu bins, %d expected", s->dfl.path, n,
                       head->reg_max);
    for (size_t i = 0; i < n; i++)
        if (!isfinite(s->dfl.value[0][i]))
            return nb_fail(NB_ERR_FORMAT, err, "%s: bin %zu stands for %g", s->dfl.path, i,
                           (double)s->dfl.value[0][i]);
    nb_head_set_bins(head, s->dfl.value[0]);
    return NB_OK;
}

static NB_FALLIBLE build(const Source *s, const NbZooFile *zoo, const char *name,
                         const NbSafetensors *state, NbLoadReport *report, NbModel *out,
                         NbError *err) {
    NbModelOptions o = *s->options;
    if (o.nc == 0)
        o.nc = s->nc;
    if (o.nc != s->nc && !o.transfer)
        return nb_fail(NB_ERR_ARGUMENT, err, "the file has %d classes, %d asked for", s->nc, o.nc);
    NB_TRY(nb_model_from_yaml(name, zoo->text, zoo->size, &o, out, err));
    NB_TRY(nb_model_init(out, 0, err));
    out->imgsz = 640;
    NB_TRY(take_bins(s, &out->head, err));
    return nb_model_load_tensors(out, state, "", o.nc == s->nc ? NB_LOAD_STRICT : NB_LOAD_TRANSFER,
                                 s->arena, report, err);
}

static NB_FALLIBLE from_zoo(const Source *s, NbLoadReport *report, NbModel *out, NbError *err) {
    int count = 0;
    const NbZooFile *const zoo = nb_zoo(&count);
    for (int i = 0; i < count; i++) {
        const char *const letters = nb_zoo_scales(&zoo[i], s->arena);
        const size_t n = letters ? strlen(letters) : 0;
        for (size_t k = 0; k < (n ? n : 1); k++) {
            const char *const name =
                n ? nb_scale_member(zoo[i].name, letters[k], s->arena) : zoo[i].name;
            NbSafetensors state = {0};
            bool fits = false;
            if (!letters || !name)
                return nb_fail_memory(err, "zoo");
            NB_TRY(try_model(s, &zoo[i], name, &fits, &state, err));
            if (fits)
                return build(s, &zoo[i], name, &state, report, out, err);
        }
    }
    return nb_fail(NB_ERR_UNSUPPORTED, err,
                   "no model of the zoo has the %zu layers that are named here; to run the file as "
                   "it is needs no import",
                   s->n_layers);
}

/* As nb_onnx_export writes them. */
static NB_FALLIBLE take_own_bins(Source *s, NbError *err) {
    const NbOnnxTensor *const t = initializer(s, "head/dfl/bins");
    float *bin = NULL;
    if (!t)
        return NB_OK;
    NB_TRY(numbers_of(s, t, &bin, err));
    s->dfl = (Layer){.path = t->name, .shape = t->shape, .n = 1, .value = {bin}};
    return NB_OK;
}

static NB_FALLIBLE read_layers(Source *s, NbError *err) {
    const NbOnnxGraph *const g = &s->file->graph;
    s->layer = NB_NEW(s->arena, Layer, g->n_nodes);
    if (!s->layer)
        return nb_fail_memory(err, "layers");
    for (size_t i = 0; i < g->n_nodes; i++)
        NB_TRY(add_layer(s, &g->node[i], err));
    s->nc = classes_of(s);
    return take_own_bins(s, err);
}

NbStatus nb_model_from_onnx_weights(const char *path, const NbOnnxModel *file,
                                    const NbModelOptions *options, NbArena *arena,
                                    NbLoadReport *report, NbModel *out, NbError *err) {
    static const NbModelOptions plain = {0};
    Source s = {.file = file, .options = options ? options : &plain, .arena = arena};
    *out = (NbModel){0};
    NbStatus status = read_layers(&s, err);
    if (status == NB_OK)
        status = from_zoo(&s, report, out, err);
    if (status == NB_OK)
        return NB_OK;
    nb_model_release(out);
    return nb_fail_in(status, err, "%s", path);
}
