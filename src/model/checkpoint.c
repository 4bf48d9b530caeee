/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing models, and the report of a load. Reading is in checkpoint_read.c. */
#include "model/checkpoint.h"

#include "base/text.h"
#include "format/json.h"

#include <stdlib.h>
#include <string.h>

/* Appends to lists that grow by doubling at powers of two: no capacity to keep. */
static void *grown(NbArena *arena, void *list, size_t n, size_t size) {
    if (n && (n & (n - 1)))
        return list; /* room up to the next power of two */
    void *more = nb_arena_take(arena, n ? 2 * n : 1, size);
    if (more && n)
        memcpy(more, list, n * size);
    return more;
}

NbStatus nb_checkpoint_add(NbSafetensors *file, NbArena *arena, const char *name,
                           const NbTensor *tensor, NbError *err) {
    NbNamedTensor *list = grown(arena, file->tensor, file->n_tensors, sizeof *list);
    if (!list)
        return nb_fail_memory(err, name);
    file->tensor = list;
    list[file->n_tensors++] = (NbNamedTensor){name, *tensor};
    return NB_OK;
}

NbStatus nb_checkpoint_add_metadata(NbSafetensors *file, NbArena *arena, const char *key,
                                    const char *value, NbError *err) {
    NbMetadata *list = grown(arena, file->metadata, file->n_metadata, sizeof *list);
    if (!list)
        return nb_fail_memory(err, key);
    file->metadata = list;
    list[file->n_metadata++] = (NbMetadata){key, value};
    return NB_OK;
}

NbStatus nb_model_to_tensors(const NbModel *m, const char *prefix, NbArena *arena,
                             NbSafetensors *file, NbError *err) {
    for (NbNodeId id = 0; id < m->graph.n_nodes; id++) {
        const NbNode *node = &m->graph.node[id];
        if (node->op != NB_OP_PARAM)
            continue;
        const char *name =
            *prefix ? nb_arena_printf(arena, "%s%s", prefix, node->name) : node->name;
        if (!name)
            return nb_fail_memory(err, node->name);
        NB_TRY(nb_checkpoint_add(file, arena, name, &node->param, err));
    }
    return NB_OK;
}

static json_t *names_json(const NbModel *m) {
    json_t *list = json_array();
    for (int i = 0; list && i < m->head.nc; i++)
        if (json_array_append_new(list, json_string(m->names[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *anchors_json(const NbHead *h) {
    json_t *levels = json_array();
    for (int l = 0; levels && l < h->levels; l++) {
        json_t *level = json_array();
        for (int i = 0; i < h->anchors; i++)
            for (int k = 0; k < 2; k++)
                (void)json_array_append_new(level, json_real((double)h->anchor[l][i][k]));
        (void)json_array_append_new(levels, level);
    }
    return levels;
}

static json_t *bins_json(const NbHead *h) {
    json_t *list = json_array();
    for (int i = 0; list && i < h->reg_max; i++)
        (void)json_array_append_new(list, json_real((double)h->bin[i]));
    return list;
}

static json_t *strides_json(const NbHead *h) {
    json_t *list = json_array();
    for (int l = 0; list && l < h->levels; l++)
        (void)json_array_append_new(list, json_real((double)h->stride[l]));
    return list;
}

static double input_scale(const NbGraph *g) {
    for (NbNodeId id = 0; id < g->n_nodes; id++)
        if (g->node[id].op == NB_OP_INPUT)
            return (double)g->node[id].attr.input.scale;
    return 1.0;
}

/* Zero points of quantizers; those of the builders are 0. */
static json_t *zeros_json(const NbGraph *g) {
    json_t *o = json_object();
    for (NbNodeId id = 0; o && id < g->n_nodes; id++) {
        const NbNode *node = &g->node[id];
        if (node->op == NB_OP_QUANT && node->attr.quant.zero != 0.0F)
            (void)json_object_set_new(o, node->name, json_real((double)node->attr.quant.zero));
    }
    return o;
}

static json_t *model_json(const NbModel *m, const char *bits) {
    json_t *o = json_object();
    int failed = !o;
    failed |= json_object_set_new(o, "schema", json_integer(1));
    failed |= json_object_set_new(o, "head", json_string(nb_head_name(m->head.kind)));
    failed |= json_object_set_new(o, "nc", json_integer(m->head.nc));
    failed |= json_object_set_new(o, "names", names_json(m));
    failed |= json_object_set_new(o, "strides", strides_json(&m->head));
    failed |= json_object_set_new(o, "anchors", anchors_json(&m->head));
    if (m->head.has_bins)
        failed |= json_object_set_new(o, "bins", bins_json(&m->head));
    failed |= json_object_set_new(o, "bits", json_string(bits));
    failed |= json_object_set_new(o, "bits_from_file", json_boolean(m->bits_from_file));
    if (m->steps) {
        failed |= json_object_set_new(o, "steps", json_true());
        failed |= json_object_set_new(o, "zeros", zeros_json(&m->graph));
    }
    failed |= json_object_set_new(o, "hardtanh", json_boolean(m->head.hardtanh));
    failed |= json_object_set_new(o, "compat", json_boolean(m->compat));
    failed |= json_object_set_new(o, "imgsz", json_integer(m->imgsz));
    failed |= json_object_set_new(o, "input_scale", json_real(input_scale(&m->graph)));
    failed |= json_object_set_new(o, "yaml_path", json_string(m->yaml_path));
    failed |= json_object_set_new(o, "yaml", json_string(m->yaml));
    if (!failed)
        return o;
    json_decref(o);
    return NULL;
}

NbStatus nb_model_to_metadata(const NbModel *m, NbArena *arena, NbSafetensors *file, NbError *err) {
    const char *bits = nb_bits_text(&m->bits, arena);
    json_t *o = bits ? model_json(m, bits) : NULL;
    char *text = o ? json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    const char *copy = text ? nb_arena_string(arena, text) : NULL;
    free(text);
    json_decref(o);
    if (!copy)
        return nb_fail(NB_ERR_FORMAT, err,
                       "the model cannot be described as JSON (a name or the YAML is not UTF-8, or "
                       "out of memory)");
    return nb_checkpoint_add_metadata(file, arena, "model", copy, err);
}

NbStatus nb_model_write(const char *path, const NbModel *m, NbError *err) {
    NbArena scratch = {0};
    NbSafetensors file = {0};
    NbStatus status = nb_model_to_tensors(m, "", &scratch, &file, err);
    if (status == NB_OK)
        status = nb_model_to_metadata(m, &scratch, &file, err);
    if (status == NB_OK)
        status = nb_safetensors_write(path, &file, err);
    nb_arena_release(&scratch);
    return status;
}

static void put_list(NbText *t, const char *what, const char *const *list, int n) {
    enum { SHOWN = 4 };
    if (n == 0)
        return;
    nb_text_printf(t, "; %d %s: ", n, what);
    for (int i = 0; i < n && i < SHOWN; i++)
        nb_text_printf(t, "%s%s", i ? ", " : "", list[i]);
    if (n > SHOWN)
        nb_text_printf(t, ", ...");
}

char *nb_load_report_text(const NbLoadReport *r, NbArena *arena) {
    NbText t = {0};
    nb_text_printf(&t, "%d parameters loaded", r->loaded);
    put_list(&t, "missing", r->missing, r->n_missing);
    put_list(&t, "of another shape", r->mismatched, r->n_mismatched);
    put_list(&t, "not in the model", r->extra, r->n_extra);
    char *copy = t.failed ? NULL : nb_arena_string(arena, t.data);
    nb_text_release(&t);
    return copy;
}
