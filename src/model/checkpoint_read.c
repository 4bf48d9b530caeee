/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading models from safetensors files, and from any file by its suffix. */
#include "model/checkpoint.h"

#include "base/text.h"
#include "format/json.h"
#include "model/import_pt.h"
#include "model/onnx/detector.h"

#include <math.h>
#include <string.h>

static const char module_prefix[] = "module.";

/* The name that a tensor of the group has in the model; NULL: it belongs to another group. */
static const char *name_in_group(const char *name, const char *prefix) {
    const size_t n = strlen(prefix);
    if (strncmp(name, prefix, n) != 0)
        return NULL;
    name += n;
    if (strchr(name, '/'))
        return NULL;
    if (strncmp(name, module_prefix, sizeof module_prefix - 1) == 0)
        name += sizeof module_prefix - 1;
    return name;
}

static bool has_group(const NbSafetensors *file, const char *prefix) {
    for (size_t i = 0; i < file->n_tensors; i++)
        if (name_in_group(file->tensor[i].name, prefix))
            return true;
    return false;
}

static NbNodeId param_named(const NbGraph *g, const char *name) {
    const NbNodeId id = nb_graph_find(g, name);
    return id >= 0 && g->node[id].op == NB_OP_PARAM ? id : -1;
}

/* A learned clip is one number: files write it as [] and as [1]. */
static bool fits(const NbTensor *from, const NbTensor *to) {
    const bool both_one = nb_tensor_count(from) == 1 && nb_tensor_count(to) == 1 &&
                          from->shape.rank <= 1 && to->shape.rank <= 1;
    return both_one || nb_shape_equal(&from->shape, &to->shape);
}

typedef struct Load {
    NbGraph *g;
    const NbTensor **from; /* [n_nodes] */
    NbArena *arena;
    NbLoadReport report;
} Load;

static NB_FALLIBLE check_type(const NbNamedTensor *t, const NbTensor *to, NbError *err) {
    const bool real = t->tensor.dtype == NB_F32 || t->tensor.dtype == NB_F16 ||
                      t->tensor.dtype == NB_BF16 || t->tensor.dtype == NB_F64;
    if (to->dtype == NB_F32 ? real : t->tensor.dtype == to->dtype)
        return NB_OK;
    return nb_fail(NB_ERR_FORMAT, err, "tensor '%s' is %s, %s expected", t->name,
                   nb_dtype_name(t->tensor.dtype), nb_dtype_name(to->dtype));
}

static NB_FALLIBLE note_mismatch(Load *load, const char *name, const NbTensor *from,
                                 const NbTensor *to, NbError *err) {
    char a[96];
    char b[96];
    NbLoadReport *r = &load->report;
    const char *text = nb_arena_printf(load->arena, "%s: %s in the file, %s expected", name,
                                       nb_shape_text(&from->shape, a, sizeof a),
                                       nb_shape_text(&to->shape, b, sizeof b));
    if (!text)
        return nb_fail_memory(err, name);
    r->mismatched[r->n_mismatched++] = text;
    return NB_OK;
}

/* Decides for every tensor of the group what becomes of it. */
static NB_FALLIBLE match(Load *load, const NbSafetensors *file, const char *prefix, NbError *err) {
    NbLoadReport *r = &load->report;
    bool *wrong = NB_NEW(load->arena, bool, (size_t)load->g->n_nodes);
    if (!wrong)
        return nb_fail_memory(err, "checkpoint");
    for (size_t i = 0; i < file->n_tensors; i++) {
        const NbNamedTensor *t = &file->tensor[i];
        const char *name = name_in_group(t->name, prefix);
        const NbNodeId id = name ? param_named(load->g, name) : -1;
        if (name && id < 0)
            r->extra[r->n_extra++] = name;
        if (id < 0)
            continue;
        const NbTensor *to = &load->g->node[id].param;
        NB_TRY(check_type(t, to, err));
        if (fits(&t->tensor, to)) {
            load->from[id] = &t->tensor;
            continue;
        }
        wrong[id] = true;
        NB_TRY(note_mismatch(load, name, &t->tensor, to, err));
    }
    for (NbNodeId id = 0; id < load->g->n_nodes; id++)
        if (load->g->node[id].op == NB_OP_PARAM && !load->from[id] && !wrong[id])
            r->missing[r->n_missing++] = load->g->node[id].name;
    return NB_OK;
}

static NB_FALLIBLE check_strict(const Load *load, NbError *err) {
    const NbLoadReport *r = &load->report;
    int missing = 0;
    const char *first = NULL;
    for (int i = 0; i < r->n_missing; i++) {
        const NbNode *node = &load->g->node[param_named(load->g, r->missing[i])];
        if (node->attr.param.role == NB_PARAM_QUANT)
            continue;
        first = missing++ ? first : node->name;
    }
    if (r->n_mismatched)
        return nb_fail(NB_ERR_FORMAT, err, "%d tensors of another shape: %s%s", r->n_mismatched,
                       r->mismatched[0], r->n_mismatched > 1 ? ", ..." : "");
    if (missing)
        return nb_fail(NB_ERR_FORMAT, err, "%d of the model's tensors are missing: %s%s", missing,
                       first, missing > 1 ? ", ..." : "");
    return NB_OK;
}

/* Converts one tensor; everything is checked before the model changes. */
static NB_FALLIBLE converted(const Load *load, NbNodeId id, void **out, NbError *err) {
    const NbTensor *from = load->from[id];
    const NbTensor *to = &load->g->node[id].param;
    const size_t count = nb_tensor_count(to);
    void *data = nb_arena_take(load->arena, count, nb_dtype_size(to->dtype));
    if (!data)
        return nb_fail_memory(err, load->g->node[id].name);
    nb_convert(from->data, from->dtype, data, to->dtype, count);
    for (size_t i = 0; to->dtype == NB_F32 && i < count; i++)
        if (!isfinite(((const float *)data)[i]))
            return nb_fail(NB_ERR_FORMAT, err, "tensor '%s' holds NaN or infinity at element %zu",
                           load->g->node[id].name, i);
    *out = data;
    return NB_OK;
}

static NB_FALLIBLE take_values(Load *load, NbError *err) {
    const int n = load->g->n_nodes;
    void **data = NB_NEW(load->arena, void *, (size_t)n);
    if (!data)
        return nb_fail_memory(err, "checkpoint");
    for (NbNodeId id = 0; id < n; id++)
        if (load->from[id])
            NB_TRY(converted(load, id, &data[id], err));
    for (NbNodeId id = 0; id < n; id++) {
        NbTensor *to = &load->g->node[id].param;
        if (data[id] && nb_tensor_count(to))
            memcpy(to->data, data[id], nb_tensor_count(to) * nb_dtype_size(to->dtype));
        load->report.loaded += data[id] != NULL;
    }
    for (NbNodeId id = 0; id < n; id++)
        nb_graph_set_kind(load->g, id);
    return NB_OK;
}

NbStatus nb_model_load_tensors(NbModel *m, const NbSafetensors *file, const char *prefix,
                               NbLoadMode mode, NbArena *arena, NbLoadReport *report,
                               NbError *err) {
    const size_t nodes = (size_t)m->graph.n_nodes;
    Load load = {.g = &m->graph,
                 .from = NB_NEW(arena, const NbTensor *, nodes),
                 .arena = arena,
                 .report = {.missing = NB_NEW(arena, const char *, nodes),
                            .mismatched = NB_NEW(arena, const char *, nodes + file->n_tensors),
                            .extra = NB_NEW(arena, const char *, file->n_tensors)}};
    if (!load.from || !load.report.missing || !load.report.mismatched || !load.report.extra)
        return nb_fail_memory(err, "checkpoint");
    NB_TRY(match(&load, file, prefix, err));
    if (mode == NB_LOAD_STRICT)
        NB_TRY(check_strict(&load, err));
    NB_TRY(take_values(&load, err));
    if (report)
        *report = load.report;
    return NB_OK;
}

/* ---- the metadata entry ---- */

static NB_FALLIBLE need_text(const json_t *o, const char *key, const char **out, NbError *err) {
    *out = json_string_value(json_object_get(o, key));
    return *out ? NB_OK : nb_fail(NB_ERR_FORMAT, err, "metadata 'model': no text '%s'", key);
}

static NB_FALLIBLE read_numbers(const json_t *list, float *out, int n, const char *what,
                                NbError *err) {
    if (!json_is_array(list) || json_array_size(list) != (size_t)n)
        return nb_fail(NB_ERR_FORMAT, err, "metadata 'model': %s: %d numbers expected", what, n);
    for (int i = 0; i < n; i++) {
        const json_t *value = json_array_get(list, (size_t)i);
        const double number = json_number_value(value);
        if (!json_is_number(value) || !(number > 0.0) || number > 1e6)
            return nb_fail(NB_ERR_FORMAT, err, "metadata 'model': %s: positive numbers expected",
                           what);
        out[i] = (float)number;
    }
    return NB_OK;
}

/* Anchors may have been fitted to the data set since the file was written. */
static NB_FALLIBLE read_anchors(const json_t *o, NbHead *h, NbError *err) {
    const json_t *levels = json_object_get(o, "anchors");
    float pair[2 * NB_MAX_ANCHORS];
    if (!levels)
        return NB_OK;
    if (!json_is_array(levels) || json_array_size(levels) != (size_t)h->levels)
        return nb_fail(NB_ERR_FORMAT, err, "metadata 'model': anchors for %d levels expected",
                       h->levels);
    for (int l = 0; l < h->levels; l++) {
        NB_TRY(
            read_numbers(json_array_get(levels, (size_t)l), pair, 2 * h->anchors, "anchors", err));
        for (int i = 0; i < 2 * h->anchors; i++)
            h->anchor[l][i / 2][i % 2] = pair[i];
    }
    return NB_OK;
}

static NB_FALLIBLE read_bins(const json_t *o, NbHead *h, NbError *err) {
    const json_t *const list = json_object_get(o, "bins");
    float bin[NB_DFL_MAX_BINS];
    if (!list)
        return NB_OK;
    if (!json_is_array(list) || json_array_size(list) != (size_t)h->reg_max)
        return nb_fail(NB_ERR_FORMAT, err, "metadata 'model': bins: %d numbers expected",
                       h->reg_max);
    for (int i = 0; i < h->reg_max; i++) {
        const json_t *const value = json_array_get(list, (size_t)i);
        bin[i] = (float)json_number_value(value);
        if (!json_is_number(value) || !isfinite(bin[i]))
            return nb_fail(NB_ERR_FORMAT, err, "metadata 'model': bins: numbers expected");
    }
    nb_head_set_bins(h, bin);
    return NB_OK;
}

static NB_FALLIBLE read_names(const json_t *o, NbModel *m, NbArena *scratch, NbError *err) {
    const json_t *list = json_object_get(o, "names");
    if (!list)
        return NB_OK;
    const size_t n = json_array_size(list);
    const char **names = NB_NEW(scratch, const char *, n);
    if (!names)
        return nb_fail_memory(err, "names");
    for (size_t i = 0; i < n; i++) {
        names[i] = json_string_value(json_array_get(list, i));
        if (!names[i])
            return nb_fail(NB_ERR_FORMAT, err, "metadata 'model': names: texts expected");
    }
    return nb_model_set_names(m, names, n < 1000000 ? (int)n : -1, err);
}

/* Zero points of the quantizers that the file names; an unknown name is an error: the file's codes
 * would mean something else. */
static NB_FALLIBLE read_zeros(const json_t *o, NbModel *m, NbError *err) {
    const char *name = NULL;
    json_t *value = NULL;
    json_t *const zeros = json_object_get(o, "zeros");
    if (!m->steps)
        return NB_OK;
    json_object_foreach(zeros, name, value) {
        const NbNodeId id = nb_graph_find(&m->graph, name);
        const double zero = json_number_value(value);
        if (id < 0 || m->graph.node[id].op != NB_OP_QUANT)
            return nb_fail(NB_ERR_FORMAT, err,
                           "metadata 'model': zeros: the model has no quantizer '%s'", name);
        NbQuantSpec *const spec = &m->graph.node[id].attr.quant;
        if (!json_is_number(value) || zero != floor(zero) ||
            zero < (double)nb_grid_lo(spec->grid) || zero > (double)nb_grid_hi(spec->grid))
            return nb_fail(NB_ERR_FORMAT, err,
                           "metadata 'model': zeros: '%s': an integer from %lld to %lld expected",
                           name, (long long)nb_grid_lo(spec->grid),
                           (long long)nb_grid_hi(spec->grid));
        spec->zero = (float)zero;
    }
    for (NbNodeId id = 0; id < m->graph.n_nodes; id++)
        nb_graph_set_kind(&m->graph, id);
    return NB_OK;
}

/* Whether quantizers have given steps: the file's do, and the caller wants no other bits. */
static bool has_steps(const json_t *o, const NbModelOptions *given, NbArena *scratch) {
    const char *const text = json_string_value(json_object_get(o, "bits"));
    const char *const wanted = given->bits ? nb_bits_text(given->bits, scratch) : text;
    return json_is_true(json_object_get(o, "steps")) && text && wanted && strcmp(text, wanted) == 0;
}

/* What the file says, unless the caller says something else. */
static NB_FALLIBLE read_options(const json_t *o, const NbModelOptions *given, NbArena *scratch,
                                NbModelOptions *out, NbError *err) {
    const char *text = NULL;
    NbBits *bits = NB_NEW(scratch, NbBits, 1);
    const json_int_t nc = json_integer_value(json_object_get(o, "nc"));
    if (!bits)
        return nb_fail_memory(err, "checkpoint");
    if (nc < 1 || nc > 100000)
        return nb_fail(NB_ERR_FORMAT, err, "metadata 'model': nc: 1 to 100000 expected");
    *out = given ? *given : (NbModelOptions){0};
    out->compat = json_is_true(json_object_get(o, "compat"));
    if (out->nc > 0 && out->nc != nc && !out->transfer)
        return nb_fail(NB_ERR_ARGUMENT, err, "the checkpoint has %d classes, %d asked for", (int)nc,
                       out->nc);
    if (out->nc == 0)
        out->nc = (int)nc;
    out->transfer = out->nc != nc;
    if (!out->hardtanh)
        out->hardtanh = json_is_true(json_object_get(o, "hardtanh")) ? "1" : "0";
    out->steps |= has_steps(o, out, scratch);
    if (out->bits || json_is_true(json_object_get(o, "bits_from_file")))
        return NB_OK;
    NB_TRY(need_text(o, "bits", &text, err));
    NB_TRY(nb_bits_parse(text, scratch, bits, err));
    out->bits = bits;
    return NB_OK;
}

/* *mode becomes NB_LOAD_TRANSFER when the model got other classes than the file has. */
static NB_FALLIBLE rebuild(const json_t *o, const NbModelOptions *given, NbArena *scratch,
                           NbLoadMode *mode, NbModel *out, NbError *err) {
    const char *yaml = NULL;
    const char *yaml_path = NULL;
    NbModelOptions options;
    *mode = NB_LOAD_STRICT;
    NB_TRY(need_text(o, "yaml", &yaml, err));
    NB_TRY(need_text(o, "yaml_path", &yaml_path, err));
    NB_TRY(read_options(o, given, scratch, &options, err));
    NB_TRY(nb_model_from_yaml(yaml_path, yaml, strlen(yaml), &options, out, err));
    const json_int_t imgsz = json_integer_value(json_object_get(o, "imgsz"));
    out->imgsz = imgsz > 0 && imgsz <= 65536 ? (int)imgsz : 0;
    NB_TRY(read_anchors(o, &out->head, err));
    NB_TRY(read_bins(o, &out->head, err));
    NB_TRY(read_zeros(o, out, err));
    if (!options.transfer)
        return read_names(o, out, scratch, err);
    *mode = NB_LOAD_TRANSFER;
    return NB_OK;
}

static NB_FALLIBLE from_file(const NbSafetensors *file, const NbModelOptions *options,
                             NbArena *scratch, NbLoadReport *report, NbModel *out, NbError *err) {
    const char *text = nb_safetensors_metadata(file, "model");
    json_t *o = NULL;
    NbLoadMode mode = NB_LOAD_STRICT;
    if (!text)
        return nb_fail(NB_ERR_FORMAT, err,
                       "no metadata 'model': the tensors are not a checkpoint of nibble");
    const NbBytes bytes = {(const unsigned char *)text, strlen(text)};
    NB_TRY(nb_json_read("metadata 'model'", bytes, 1 << 22, &o, err));
    const NbStatus status = rebuild(o, options, scratch, &mode, out, err);
    json_decref(o);
    if (status != NB_OK)
        return status;
    NB_TRY(nb_model_init(out, 0, err));
    return nb_model_load_tensors(out, file, has_group(file, "ema/") ? "ema/" : "", mode, scratch,
                                 report, err);
}

static NB_FALLIBLE from_checkpoint(const char *path, NbBytes bytes, const NbModelOptions *options,
                                   NbArena *arena, NbLoadReport *report, NbModel *out,
                                   NbError *err) {
    NbSafetensors file = {0};
    *out = (NbModel){0};
    NB_TRY(nb_safetensors_read(path, bytes, arena, &file, err));
    const NbStatus status = from_file(&file, options, arena, report, out, err);
    if (status == NB_OK)
        return NB_OK;
    nb_model_release(out);
    return nb_fail_in(status, err, "%s", path);
}

NbStatus nb_model_from_checkpoint(const char *path, NbBytes bytes, const NbModelOptions *options,
                                  NbModel *out, NbError *err) {
    NbArena scratch = {0};
    const NbStatus status = from_checkpoint(path, bytes, options, &scratch, NULL, out, err);
    nb_arena_release(&scratch);
    return status;
}

static NB_FALLIBLE from_yaml_file(const char *path, const NbModelOptions *options, uint64_t seed,
                                  NbModel *out, NbError *err) {
    NB_TRY(nb_model_from_yaml_file(path, options, out, err));
    const NbStatus status = nb_model_init(out, seed, err);
    if (status != NB_OK)
        nb_model_release(out);
    return status;
}

NbStatus nb_model_import(const char *path, const NbModelOptions *options, uint64_t seed,
                         NbArena *arena, NbLoadReport *report, NbModel *out, NbError *err) {
    const char *suffix = nb_path_suffix(path);
    const bool torch = strcmp(suffix, ".pt") == 0 || strcmp(suffix, ".pth") == 0;
    NbBytes bytes = {0};
    *out = (NbModel){0};
    if (report)
        *report = (NbLoadReport){0};
    if (strcmp(suffix, ".onnx") == 0)
        return nb_model_from_onnx(path, out, err);
    if (!torch && strcmp(suffix, ".safetensors") != 0)
        return from_yaml_file(path, options, seed, out, err);
    NB_TRY(nb_file_map(path, &bytes, err));
    const NbStatus status = torch ? nb_model_from_pt(path, bytes, options, arena, report, out, err)
                                  : from_checkpoint(path, bytes, options, arena, report, out, err);
    nb_file_unmap(bytes);
    return status;
}

NbStatus nb_model_read(const char *path, const NbModelOptions *options, uint64_t seed, NbModel *out,
                       NbError *err) {
    NbArena scratch = {0};
    const NbStatus status = nb_model_import(path, options, seed, &scratch, NULL, out, err);
    nb_arena_release(&scratch);
    return status;
}
