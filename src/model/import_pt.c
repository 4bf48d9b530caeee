/* SPDX-License-Identifier: Apache-2.0 */
#include "model/import_pt.h"

#include "detect/dfl.h"
#include "format/pt.h"
#include "model/build.h"
#include "model/py_yaml.h"
#include "model/scale.h"
#include "model/zoo.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_YAML = 1 << 20, MAX_PATH = 256 };

typedef struct Import {
    const char *path;
    NbArena *arena;
    NbPt pt;
    NbSafetensors state; /* the same tensors under our names */
    NbModelOptions options;
    int file_nc; /* classes of the file; 0: not to be seen */
    NbLoadReport report;
} Import;

static bool ends_in(const char *text, const char *end) {
    const size_t n = strlen(text);
    const size_t m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* ---- names ---- */

/* A learned value lies deep inside Brevitas' objects. MODULE.act is a quantized activation there;
 * its quantizer is ours of MODULE. Older files say act_quant_proxy and learned_value. */
static const char *our_name(const char *name, NbArena *arena) {
    static const char *const tails[] = {
        ".fused_activation_quant_proxy.tensor_quant.scaling_impl.value",
        ".fused_activation_quant_proxy.tensor_quant.scaling_impl.learned_value",
        ".tensor_quant.scaling_impl.value",
        ".tensor_quant.scaling_impl.learned_value",
    };
    static const struct {
        const char *theirs, *ours;
    } quantizers[] = {
        {".act.act_quant", ".act_quant"},   {".act.act_quant_proxy", ".act_quant"},
        {".act_quant", ".act_quant"},       {".act_quant_proxy", ".act_quant"},
        {".input_quant", ".input_quant"},   {".output_quant", ".output_quant"},
        {".weight_quant", ".weight_quant"},
    };
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        if (!ends_in(name, tails[i]))
            continue;
        const char *const head = nb_arena_string_n(arena, name, strlen(name) - strlen(tails[i]));
        for (size_t k = 0; head && k < sizeof quantizers / sizeof *quantizers; k++)
            if (ends_in(head, quantizers[k].theirs))
                return nb_arena_printf(arena, "%.*s%s.value",
                                       (int)(strlen(head) - strlen(quantizers[k].theirs)), head,
                                       quantizers[k].ours);
        return head ? name : NULL;
    }
    return name;
}

/* quantized-yolov5 keeps its clips in activations called act. */
static bool is_peer_clip(const char *name) {
    return strstr(name, ".act.act_quant.fused_") || strstr(name, ".act.act_quant_proxy.fused_");
}

/* Renames; the clips of quantized-yolov5 tell that it wrote the file. */
static NB_FALLIBLE rename_all(Import *im, NbError *err) {
    const NbSafetensors *const from = &im->pt.state;
    im->state.n_tensors = from->n_tensors;
    im->state.tensor = NB_NEW(im->arena, NbNamedTensor, from->n_tensors);
    if (!im->state.tensor)
        return nb_fail_memory(err, "tensor list");
    for (size_t i = 0; i < from->n_tensors; i++) {
        NbNamedTensor *const t = &im->state.tensor[i];
        *t = from->tensor[i];
        t->name = our_name(from->tensor[i].name, im->arena);
        if (!t->name)
            return nb_fail_memory(err, "tensor name");
        if (is_peer_clip(from->tensor[i].name))
            im->options.compat = true;
    }
    return NB_OK;
}

/* The buffer of Detect with the anchors in cells; its module's path ends in a dot. */
static const NbNamedTensor *find_anchors(const Import *im) {
    for (size_t i = 0; i < im->state.n_tensors; i++) {
        const NbNamedTensor *const t = &im->state.tensor[i];
        const NbShape *const s = &t->tensor.shape;
        if (ends_in(t->name, ".anchors") && s->rank == 3 && s->dim[2] == 2)
            return t;
    }
    return NULL;
}

/* ---- what was saved against what was built ---- */

static NB_FALLIBLE check_strides(const Import *im, const NbHead *h, NbError *err) {
    const NbPy *const stride = nb_py_get(im->pt.model, "stride");
    NbTensor t = {0};
    if (!stride || stride->kind != NB_PY_TENSOR)
        return NB_OK;
    NB_TRY_IN(nb_pt_tensor(&im->pt, stride, im->arena, &t, err), err, "stride");
    const size_t n = nb_tensor_count(&t);
    float value[NB_MAX_LEVELS] = {0.0F};
    if (n <= NB_MAX_LEVELS)
        nb_convert(t.data, t.dtype, value, NB_F32, n);
    for (int l = 0; l < h->levels; l++)
        if (n != (size_t)h->levels || value[l] != h->stride[l])
            return nb_fail(NB_ERR_FORMAT, err,
                           "stride of level %d is %g of %zu in the file, %g of %d in the model", l,
                           (double)value[l], n, (double)h->stride[l], h->levels);
    return NB_OK;
}

static NB_FALLIBLE check_norm(const Import *im, const NbNode *node, NbError *err) {
    const NbPy *const eps = nb_py_get(nb_pt_module(&im->pt, node->name), "eps");
    if (!eps || eps->kind != NB_PY_FLOAT || (float)eps->number == node->attr.batchnorm.eps)
        return NB_OK;
    return nb_fail(NB_ERR_UNSUPPORTED, err, "%s has an epsilon of %g, %g expected", node->name,
                   eps->number, (double)node->attr.batchnorm.eps);
}

/* The module "X.act" behind the convolution "X.conv". */
static NB_FALLIBLE check_act(const Import *im, const NbGraph *g, const NbNode *conv, NbError *err) {
    static const struct {
        const char *name;
        int op;
    } known[] = {
        {"SiLU", NB_OP_SILU},       {"ReLU", NB_OP_RELU},         {"LeakyReLU", NB_OP_LEAKY_RELU},
        {"Sigmoid", NB_OP_SIGMOID}, {"Hardtanh", NB_OP_HARDTANH}, {"Identity", -1}};
    char path[MAX_PATH];
    if (!ends_in(conv->name, ".conv"))
        return NB_OK;
    (void)snprintf(path, sizeof path, "%.*s.act", (int)strlen(conv->name) - 5, conv->name);
    const NbPy *const act = nb_pt_module(&im->pt, path);
    const NbNodeId id = nb_graph_find(g, path);
    const int op = id < 0 ? -1 : (int)g->node[id].op;
    for (size_t i = 0; act && i < sizeof known / sizeof *known; i++)
        if (strcmp(nb_py_class_name(act), known[i].name) == 0 && known[i].op == op)
            return NB_OK;
    if (!act)
        return NB_OK;
    return nb_fail(NB_ERR_UNSUPPORTED, err, "%s is %.40s, its model file means %s", path,
                   nb_py_class_name(act), op < 0 ? "none" : nb_op_name((NbOp)op));
}

static NB_FALLIBLE check_modules(const Import *im, const NbGraph *g, NbError *err) {
    for (NbNodeId id = 0; id < g->n_nodes; id++) {
        const NbNode *const node = &g->node[id];
        if (node->op == NB_OP_BATCHNORM)
            NB_TRY(check_norm(im, node, err));
        if (node->op == NB_OP_CONV)
            NB_TRY(check_act(im, g, node, err));
    }
    return NB_OK;
}

/* ---- what the graph does not hold ---- */

static NB_FALLIBLE take_anchors(const Import *im, NbHead *h, NbError *err) {
    const NbNamedTensor *const t = find_anchors(im);
    float value[NB_MAX_LEVELS * NB_MAX_ANCHORS * 2];
    if (!t)
        return NB_OK;
    const NbShape want = nb_shape(3, (const int64_t[]){h->levels, h->anchors, 2});
    char text[96];
    if (!nb_shape_equal(&t->tensor.shape, &want))
        return nb_fail(NB_ERR_FORMAT, err, "%s: shape %s, %d levels of %d anchors expected",
                       t->name, nb_shape_text(&t->tensor.shape, text, sizeof text), h->levels,
                       h->anchors);
    nb_convert(t->tensor.data, t->tensor.dtype, value, NB_F32, nb_tensor_count(&t->tensor));
    for (int l = 0; l < h->levels; l++)
        for (int i = 0; i < 2 * h->anchors; i++) {
            const float cells = value[l * 2 * h->anchors + i];
            if (!(cells > 0.0F && cells < 1e5F))
                return nb_fail(NB_ERR_FORMAT, err, "%s: positive sizes expected, found %g", t->name,
                               (double)cells);
            h->anchor[l][i / 2][i % 2] = cells * h->stride[l];
        }
    return NB_OK;
}

/* names: a list, or a dict from 0, 1, ... */
static NB_FALLIBLE take_names(const Import *im, NbModel *m, NbError *err) {
    const NbPy *const list = nb_py_get(im->pt.model, "names");
    const size_t nc = (size_t)m->head.nc;
    if (!list || (list->kind != NB_PY_LIST && list->kind != NB_PY_DICT) || list->count != nc)
        return NB_OK;
    const char **const name = NB_NEW(im->arena, const char *, nc);
    if (!name)
        return nb_fail_memory(err, "names");
    for (size_t i = 0; i < nc; i++) {
        const bool dict = list->kind == NB_PY_DICT;
        const NbPy *const key = dict ? list->item[2 * i] : NULL;
        const NbPy *const text = list->item[dict ? 2 * i + 1 : i];
        const size_t at = dict ? (size_t)key->integer : i;
        if ((dict && key->kind != NB_PY_INT) || at >= nc || text->kind != NB_PY_TEXT || name[at])
            return nb_fail(NB_ERR_FORMAT, err, "names: one text for each class expected");
        name[at] = text->text;
    }
    return nb_model_set_names(m, name, (int)nc, err);
}

/* The side it was trained at, where the trainer noted it. YOLOv5's is 640 unless told otherwise. */
static int trained_side(const Import *im) {
    static const char *const places[] = {"train_args", "opt"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const NbPy *const side = nb_py_get(nb_py_get(im->pt.root, places[i]), "imgsz");
        if (side && side->kind == NB_PY_INT && side->integer >= 32 && side->integer <= 8192)
            return (int)side->integer;
    }
    return im->pt.model->kind == NB_PY_RECORD ? 640 : 0;
}

/* ---- building ---- */

static NB_FALLIBLE build(Import *im, const char *path, const char *text, size_t size, NbModel *out,
                         NbError *err) {
    NB_TRY(nb_model_from_yaml(path, text, size, &im->options, out, err));
    NbStatus status = nb_model_init(out, 0, err);
    const bool other = im->options.transfer && im->file_nc && im->file_nc != out->head.nc;
    if (status == NB_OK)
        status =
            nb_model_load_tensors(out, &im->state, "", other ? NB_LOAD_TRANSFER : NB_LOAD_STRICT,
                                  im->arena, &im->report, err);
    if (status == NB_OK)
        status = take_anchors(im, &out->head, err);
    if (status != NB_OK)
        nb_model_release(out);
    return status;
}

/* A module that is not known, before the parser stumbles over it. */
static NB_FALLIBLE check_known(const NbPy *yaml, NbError *err) {
    static const char *const parts[] = {"backbone", "head"};
    size_t layer = 0;
    for (size_t k = 0; k < 2; k++) {
        const NbPy *const list = nb_py_get(yaml, parts[k]);
        for (size_t i = 0; list && list->kind == NB_PY_LIST && i < list->count; i++, layer++) {
            const NbPy *const line = list->item[i];
            if (line->kind != NB_PY_LIST || line->count < 3 || line->item[2]->kind != NB_PY_TEXT)
                continue; /* the parser says it better */
            if (!nb_module_find(line->item[2]->text))
                return nb_fail(NB_ERR_UNSUPPORTED, err,
                               "layer %zu is a module %.40s, which is not known", layer,
                               line->item[2]->text);
        }
    }
    return NB_OK;
}

static NB_FALLIBLE check_classes(const Import *im, NbError *err) {
    if (im->options.nc > 0 && im->file_nc > 0 && im->file_nc != im->options.nc &&
        !im->options.transfer)
        return nb_fail(NB_ERR_ARGUMENT, err, "the checkpoint has %d classes, %d asked for",
                       im->file_nc, im->options.nc);
    return NB_OK;
}

static NB_FALLIBLE from_module(Import *im, NbModel *out, NbError *err) {
    const NbPy *const yaml = nb_py_get(im->pt.model, "yaml");
    const NbPy *file = nb_py_get(im->pt.model, "yaml_file");
    const char *text = NULL;
    if (!yaml || yaml->kind != NB_PY_DICT)
        return nb_fail(NB_ERR_UNSUPPORTED, err, "a module %.60s without a model file inside",
                       nb_py_class_name(im->pt.model));
    if (!file)
        file = nb_py_get(yaml, "yaml_file"); /* where Ultralytics notes it */
    NB_TRY(check_known(yaml, err));
    NB_TRY(nb_py_model_yaml(yaml, im->arena, &text, err));
    const NbPy *const nc = nb_py_get(yaml, "nc");
    if (nc && nc->kind == NB_PY_INT && nc->integer > 0 && nc->integer <= 100000)
        im->file_nc = (int)nc->integer;
    NB_TRY(check_classes(im, err));
    NB_TRY(build(im, file && file->kind == NB_PY_TEXT ? nb_path_name(file->text) : "model.yaml",
                 text, strlen(text), out, err));
    NB_TRY(check_strides(im, &out->head, err));
    NB_TRY(check_modules(im, &out->graph, err));
    return take_names(im, out, err);
}

/* Of a head without anchors: what its last convolution of classes puts out. */
static int classes_of_free(const Import *im) {
    for (size_t i = 0; i < im->state.n_tensors; i++) {
        const NbNamedTensor *const t = &im->state.tensor[i];
        const bool found = ends_in(t->name, ".cv3.0.2.weight") && t->tensor.shape.rank == 4;
        if (found && t->tensor.shape.dim[0] <= 100000)
            return (int)t->tensor.shape.dim[0];
    }
    return 0;
}

/* Classes, from the convolutions of Detect: anchors * (5 + nc) outputs. 0: not to be seen. */
static int classes_of(const Import *im) {
    char name[MAX_PATH];
    const NbNamedTensor *const anchors = find_anchors(im);
    if (!anchors)
        return classes_of_free(im);
    if (strlen(anchors->name) >= sizeof name - 16)
        return 0;
    (void)snprintf(name, sizeof name, "%.*sm.0.weight", (int)strlen(anchors->name) - 7,
                   anchors->name);
    const NbTensor *const w = nb_safetensors_find(&im->state, name);
    const int64_t na = anchors->tensor.shape.dim[1];
    if (!w || w->shape.rank != 4 || na < 1 || w->shape.dim[0] % na)
        return 0;
    const int64_t nc = w->shape.dim[0] / na - 5;
    return nc >= 1 && nc <= 100000 ? (int)nc : 0;
}

/* Names that say nothing about which model it is. */
static int strangers(const NbLoadReport *r) {
    int n = r->n_missing;
    for (int i = 0; i < r->n_extra; i++)
        n += !ends_in(r->extra[i], ".num_batches_tracked") && !ends_in(r->extra[i], ".anchors") &&
             !ends_in(r->extra[i], ".anchor_grid") && !ends_in(r->extra[i], ".dfl.conv.weight");
    return n;
}

/* Whether a file of the zoo, under this name, has the names and shapes, and how many strangers
 * there are. */
static bool fits_zoo(Import *im, const NbZooFile *file, const char *name, size_t limit, int *n) {
    NbError ignored = {0};
    NbModel m;
    NbLoadReport report = {0};
    NbModelOptions o = im->options;
    o.memory_limit = limit;
    if (im->file_nc)
        o.nc = im->file_nc;
    if (nb_model_from_yaml(name, file->text, file->size, &o, &m, &ignored) != NB_OK)
        return false;
    const NbStatus status =
        nb_model_load_tensors(&m, &im->state, "", NB_LOAD_STRICT, im->arena, &report, &ignored);
    *n = strangers(&report);
    nb_model_release(&m);
    return status == NB_OK;
}

typedef struct Match {
    const NbZooFile *file; /* NULL: none yet */
    const char *name;      /* with the letter of its scale */
    int strangers;
    size_t limit;
} Match;

static void try_zoo(Import *im, const NbZooFile *file, const char *name, Match *best) {
    int n = 0;
    if (name && fits_zoo(im, file, name, best->limit, &n) && (!best->file || n < best->strangers)) {
        best->file = file;
        best->name = name;
        best->strangers = n;
    }
}

static NB_FALLIBLE from_zoo(Import *im, NbModel *out, NbError *err) {
    int count = 0;
    Match best = {.limit = (size_t)16 << 20}; /* larger models than the tensors do not fit anyway */
    const NbZooFile *const zoo = nb_zoo(&count);
    for (size_t i = 0; i < im->state.n_tensors; i++)
        best.limit += 2 * sizeof(float) * nb_tensor_count(&im->state.tensor[i].tensor);
    for (int i = 0; i < count; i++) {
        const char *const letters = nb_zoo_scales(&zoo[i], im->arena);
        if (!letters)
            return nb_fail_memory(err, "zoo");
        if (!*letters)
            try_zoo(im, &zoo[i], zoo[i].name, &best);
        for (const char *l = letters; *l; l++)
            try_zoo(im, &zoo[i], nb_scale_member(zoo[i].name, *l, im->arena), &best);
    }
    if (!best.file)
        return nb_fail(NB_ERR_FORMAT, err,
                       "%zu tensors without a model file: model.yaml expected beside them, and no "
                       "model of the zoo has their names and shapes",
                       im->state.n_tensors);
    return build(im, best.name, best.file->text, best.file->size, out, err);
}

static NB_FALLIBLE from_tensors(Import *im, NbModel *out, NbError *err) {
    const char *folder = nb_path_folder(im->arena, im->path);
    im->file_nc = classes_of(im);
    NB_TRY(check_classes(im, err));
    if (im->options.nc == 0)
        im->options.nc = im->file_nc;
    if (folder && strcmp(nb_path_name(folder), "weights") == 0)
        folder = nb_path_folder(im->arena, folder);
    const char *const yaml = folder ? nb_path_join(im->arena, folder, "model.yaml") : NULL;
    NbBytes text = {0};
    if (!yaml)
        return nb_fail_memory(err, "path");
    if (!nb_path_exists(yaml))
        return from_zoo(im, out, err);
    NB_TRY(nb_file_read(yaml, MAX_YAML, im->arena, &text, err));
    return build(im, yaml, (const char *)text.data, text.size, out, err);
}

static NB_FALLIBLE take_bins(const Import *im, NbHead *h, NbError *err) {
    for (size_t i = 0; i < im->state.n_tensors; i++) {
        const NbNamedTensor *const t = &im->state.tensor[i];
        float value[NB_DFL_MAX_BINS];
        if (!ends_in(t->name, ".dfl.conv.weight"))
            continue;
        const size_t n = nb_tensor_count(&t->tensor);
        if (n != (size_t)h->reg_max)
            return nb_fail(NB_ERR_FORMAT, err, "%s: %zu bins, %d expected", t->name, n, h->reg_max);
        nb_convert(t->tensor.data, t->tensor.dtype, value, NB_F32, n);
        for (size_t k = 0; k < n; k++)
            if (!isfinite(value[k]))
                return nb_fail(NB_ERR_FORMAT, err, "%s: bin %zu stands for %g", t->name, k,
                               (double)value[k]);
        nb_head_set_bins(h, value);
    }
    return NB_OK;
}

/* Anchors and bins were taken: not tensors that were passed over. */
static void forget_taken(NbLoadReport *r) {
    int n = 0;
    for (int i = 0; i < r->n_extra; i++)
        if (!ends_in(r->extra[i], ".anchors") && !ends_in(r->extra[i], ".dfl.conv.weight"))
            r->extra[n++] = r->extra[i];
    r->n_extra = n;
}

static NB_FALLIBLE import(Import *im, NbModel *out, NbError *err) {
    NB_TRY(rename_all(im, err));
    const bool module = im->pt.model->kind == NB_PY_RECORD;
    NB_TRY(module ? from_module(im, out, err) : from_tensors(im, out, err));
    out->imgsz = trained_side(im);
    NB_TRY(take_bins(im, &out->head, err));
    forget_taken(&im->report);
    return NB_OK;
}

NbStatus nb_model_from_pt(const char *path, NbBytes bytes, const NbModelOptions *options,
                          NbArena *arena, NbLoadReport *report, NbModel *out, NbError *err) {
    Import im = {.path = path, .arena = arena};
    *out = (NbModel){0};
    if (options)
        im.options = *options;
    NB_TRY(nb_pt_read(path, bytes, arena, &im.pt, err));
    const NbStatus status = import(&im, out, err);
    if (status != NB_OK) {
        nb_model_release(out);
        return nb_fail_in(status, err, "%s", path);
    }
    if (report)
        *report = im.report;
    return NB_OK;
}
