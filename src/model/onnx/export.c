/* SPDX-License-Identifier: Apache-2.0 */
#include "model/onnx/export.h"

#include "base/text.h"
#include "model/onnx/emit.h"
#include "model/onnx/emit_head.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static NB_FALLIBLE check_options(const NbGraph *g, const NbHead *head, const NbOnnxOptions *o,
                                 NbError *err) {
    if (o->opset < NB_ONNX_OPSET_MIN || o->opset > NB_ONNX_OPSET_MAX)
        return nb_fail(NB_ERR_ARGUMENT, err, "opset: expected %d to %d, found %d",
                       NB_ONNX_OPSET_MIN, NB_ONNX_OPSET_MAX, o->opset);
    if (head && g->n_outputs != head->levels)
        return nb_fail(NB_ERR_ARGUMENT, err, "a graph with %d outputs, a head with %d levels",
                       g->n_outputs, head->levels);
    if (!head && o->dynamic) /* which first dimensions are the batch, only detectors tell */
        return nb_fail(NB_ERR_UNSUPPORTED, err, "dynamic: only for detectors");
    if (head && (o->max_det < 1 || o->max_det > 100000))
        return nb_fail(NB_ERR_ARGUMENT, err, "max_det: expected 1 to 100000, found %d", o->max_det);
    return NB_OK;
}

/* The first version of the file format that knows the opset. */
static int64_t ir_version(int opset) {
    static const struct {
        int opset;
        int64_t ir;
    } rows[] = {{21, 10}, {19, 9}, {15, 8}, {13, 7}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (opset >= rows[i].opset)
            return rows[i].ir;
    return 7;
}

/* ---- names ---- */

/* Names that the exporter gives itself. */
static bool is_reserved(const char *name) {
    const bool is_output =
        strncmp(name, "output", 6) == 0 && name[6] && !name[6 + strspn(name + 6, "0123456789")];
    return is_output || strcmp(name, "images") == 0 || strncmp(name, "head/", 5) == 0 ||
           strncmp(name, "head.", 5) == 0;
}

/* The graph with other names for nodes that would collide (graphs from ONNX files have such). */
static NB_FALLIBLE rename_nodes(const NbGraph *g, NbArena *arena, NbGraph *out, NbError *err) {
    *out = *g;
    out->node = NB_NEW(arena, NbNode, (size_t)g->n_nodes);
    if (!out->node)
        return nb_fail_memory(err, "an ONNX graph");
    memcpy(out->node, g->node, (size_t)g->n_nodes * sizeof *g->node);
    for (NbNodeId id = 0; id < g->n_nodes; id++) {
        const char *name = g->node[id].name;
        for (int i = 0;
             name && is_reserved(g->node[id].name) && (i == 0 || nb_graph_find(g, name) >= 0); i++)
            name = nb_arena_printf(arena, "graph.%d.%s", i, g->node[id].name);
        if (!name)
            return nb_fail_memory(err, "an ONNX graph");
        out->node[id].name = name;
    }
    return NB_OK;
}

/* ---- inputs and nodes ---- */

static const char *batch_name(const NbOnnxOptions *o) { return o->dynamic ? "batch" : ""; }

/* Pictures come as numbers from 0 to 1, as everywhere; our codes are 0 to 255. */
static void emit_input(NbEmit *e, NbNodeId id, const NbOnnxOptions *o, const char *name) {
    const NbNode *node = &e->g->node[id];
    const float scale = node->attr.input.scale;
    e->graph.input[e->graph.n_inputs++] = nb_emit_info(name, e->real, &node->shape, batch_name(o));
    e->value[id] = name;
    if (!node->attr.input.real && scale != 1.0F / 255.0F)
        e->value[id] = nb_emit_binary(
            e, "Mul", nb_emit_name(e, "%s/scaled", node->name), name,
            nb_emit_float(e, nb_emit_name(e, "%s/scale", node->name), scale * 255.0F));
}

static int count_inputs(const NbGraph *g) {
    int n = 0;
    for (NbNodeId id = 0; id < g->n_nodes; id++)
        n += g->node[id].op == NB_OP_INPUT;
    return n;
}

static void emit_nodes(NbEmit *e, const NbHead *head, const NbOnnxOptions *o) {
    const NbGraph *g = e->g;
    if (head && count_inputs(g) != 1)
        (void)nb_emit_fail(e, NB_ERR_UNSUPPORTED, "a detector with %d inputs, one expected",
                           count_inputs(g));
    for (NbNodeId id = 0; e->status == NB_OK && id < g->n_nodes; id++) {
        const NbNode *node = &g->node[id];
        if (node->op == NB_OP_INPUT) {
            emit_input(e, id, o, head ? "images" : node->name);
            continue;
        }
        nb_emit_operator(e, id);
        if (e->status != NB_OK || node->op == NB_OP_PARAM || node->op == NB_OP_DETACH || o->dynamic)
            continue;
        const NbOnnxValue info = nb_emit_info(e->value[id], e->real, &node->shape, "");
        nb_emit_value(e, &info);
    }
}

/* ---- outputs ---- */

static bool is_named(const NbEmit *e, const char *value) {
    for (size_t i = 0; i < e->graph.n_inputs; i++)
        if (strcmp(e->graph.input[i].name, value) == 0)
            return true;
    for (size_t i = 0; i < e->graph.n_outputs; i++)
        if (strcmp(e->graph.output[i].name, value) == 0)
            return true;
    for (size_t i = 0; i < e->graph.n_initializers; i++)
        if (strcmp(e->graph.initializer[i].name, value) == 0)
            return true;
    return false;
}

static void emit_output(NbEmit *e, const NbOnnxOptions *o, const char *value, const char *name,
                        const NbShape *shape) {
    if (e->status != NB_OK)
        return;
    if (is_named(e, value)) /* one value, several names */
        (void)nb_emit_unary(e, "Identity", name, value);
    else
        nb_emit_rename(e, value, name);
    e->graph.output[e->graph.n_outputs++] = nb_emit_info(name, e->real, shape, batch_name(o));
}

static void emit_detector(NbEmit *e, const NbHead *head, const NbOnnxOptions *o) {
    const char *level[NB_MAX_LEVELS];
    int64_t size[NB_MAX_LEVELS][2];
    NbOnnxOutputs outputs = {0};
    for (int l = 0; l < head->levels; l++) {
        const NbNode *node = &e->g->node[e->g->output[l]];
        level[l] = e->value[e->g->output[l]];
        size[l][0] = node->shape.dim[2];
        size[l][1] = node->shape.dim[3];
        if (node->shape.rank != 4 || node->shape.dim[1] != nb_head_channels(head)) {
            (void)nb_emit_fail(e, NB_ERR_ARGUMENT,
                               "output %d ('%s') has not the %d channels of "
                               "the head",
                               l, node->name, nb_head_channels(head));
            return;
        }
    }
    nb_emit_head(e, head, o, level, (const int64_t(*)[2])size, &outputs);
    for (int i = 0; i < outputs.n; i++) {
        outputs.shape[i].dim[0] = o->dynamic ? 1 : o->batch;
        emit_output(e, o, outputs.value[i], nb_emit_name(e, "output%d", i), &outputs.shape[i]);
    }
}

static void emit_outputs(NbEmit *e, const NbHead *head, const NbOnnxOptions *o) {
    if (e->status != NB_OK)
        return;
    if (head) {
        emit_detector(e, head, o);
        return;
    }
    for (int i = 0; i < e->g->n_outputs; i++) {
        const NbNode *node = &e->g->node[e->g->output[i]];
        emit_output(e, o, e->value[e->g->output[i]], nb_emit_name(e, "output%d", i), &node->shape);
    }
}

/* ---- metadata ---- */

enum { MAX_ENTRIES = 16 };

static void entry(NbEmit *e, NbOnnxModel *m, const char *key, const char *value) {
    char *const copy = value ? nb_arena_string(e->arena, value) : NULL;
    if (!copy)
        (void)nb_emit_fail(e, NB_ERR_NOMEM, "out of memory for an ONNX graph");
    else if (m->n_metadata < MAX_ENTRIES)
        m->metadata[m->n_metadata++] = (NbOnnxEntry){key, copy};
}

/* A text as Python writes it. */
static void python_text(NbText *out, const char *s) {
    nb_text_put(out, "'", 1);
    for (; *s; s++) {
        if (*s == '\'' || *s == '\\')
            nb_text_put(out, "\\", 1);
        if ((unsigned char)*s < ' ')
            nb_text_printf(out, "\\x%02x", (unsigned)(unsigned char)*s);
        else
            nb_text_put(out, s, 1);
    }
    nb_text_put(out, "'", 1);
}

static void names_entry(NbEmit *e, NbOnnxModel *m, const NbHead *head, char *const *names) {
    NbText text = {0};
    nb_text_put(&text, "{", 1);
    for (int i = 0; i < head->nc; i++) {
        nb_text_printf(&text, "%s%d: ", i ? ", " : "", i);
        python_text(&text, names[i]);
    }
    nb_text_put(&text, "}", 1);
    entry(e, m, "names", text.failed ? NULL : text.data);
    nb_text_release(&text);
}

static const char *python_bool(bool b) { return b ? "True" : "False"; }

/* What Ultralytics' and YOLOv5's programs read from the files that they run. */
static void detector_metadata(NbEmit *e, NbOnnxModel *m, const NbHead *head,
                              const NbOnnxOptions *o) {
    float stride = 0.0F;
    for (int l = 0; l < head->levels; l++)
        stride = fmaxf(stride, head->stride[l]);
    const bool end2end = head->kind == NB_HEAD_YOLOV10 && o->form == NB_ONNX_DETECT;
    entry(e, m, "task", "detect");
    entry(e, m, "stride", nb_emit_name(e, "%d", (int)stride));
    entry(e, m, "batch", nb_emit_name(e, "%d", o->dynamic ? 1 : o->batch));
    entry(e, m, "imgsz", nb_emit_name(e, "[%d, %d]", o->height, o->width));
    entry(e, m, "channels", "3");
    if (o->class_names)
        names_entry(e, m, head, o->class_names);
    entry(e, m, "end2end", python_bool(end2end));
    entry(e, m, "args",
          nb_emit_name(e,
                       "{'batch': %d, 'half': %s, 'dynamic': %s, 'simplify': True, 'opset': %d, "
                       "'nms': False}",
                       o->dynamic ? 1 : o->batch, python_bool(o->half), python_bool(o->dynamic),
                       o->opset));
    entry(e, m, "head", nb_head_name(head->kind));
}

static void emit_metadata(NbEmit *e, NbOnnxModel *m, const NbHead *head, const NbOnnxOptions *o) {
    m->metadata = NB_NEW(e->arena, NbOnnxEntry, MAX_ENTRIES);
    if (!m->metadata) {
        (void)nb_emit_fail(e, NB_ERR_NOMEM, "out of memory for an ONNX graph");
        return;
    }
    if (o->description && *o->description)
        entry(e, m, "description", o->description);
    entry(e, m, "author", "nibble");
    entry(e, m, "version", o->version ? o->version : "");
    if (head)
        detector_metadata(e, m, head, o);
}

/* ---- all of it ---- */

static NB_FALLIBLE prepare(NbEmit *e, const NbGraph *g, NbError *err) {
    NbGraph *const named = NB_NEW(e->arena, NbGraph, 1);
    e->value = NB_NEW(e->arena, const char *, (size_t)g->n_nodes);
    e->graph.input = NB_NEW(e->arena, NbOnnxValue, (size_t)count_inputs(g));
    e->graph.output = NB_NEW(e->arena, NbOnnxValue, (size_t)g->n_outputs + NB_MAX_LEVELS);
    if (!named || !e->value || !e->graph.input || !e->graph.output)
        return nb_fail_memory(err, "an ONNX graph");
    e->g = named;
    return rename_nodes(g, e->arena, named, err);
}

NbStatus nb_onnx_export(const NbGraph *g, const NbHead *head, const NbOnnxOptions *options,
                        NbArena *arena, NbOnnxModel *out, NbError *err) {
    NbError unused;
    NbEmit e = {.arena = arena, .opset = options->opset, .err = err ? err : &unused};
    e.real = options->half ? NB_ONNX_FLOAT16 : NB_ONNX_FLOAT;
    NB_TRY(check_options(g, head, options, err));
    NB_TRY(prepare(&e, g, err));
    NbOnnxOpset *const opset = NB_NEW(arena, NbOnnxOpset, 1);
    if (!opset)
        return nb_fail_memory(err, "an ONNX graph");
    *opset = (NbOnnxOpset){.domain = "", .version = options->opset};
    *out = (NbOnnxModel){.ir_version = ir_version(options->opset),
                         .producer_name = "nibble",
                         .producer_version = options->version ? options->version : "",
                         .domain = "",
                         .doc = "",
                         .n_opsets = 1,
                         .opset = opset};
    emit_nodes(&e, head, options);
    emit_outputs(&e, head, options);
    emit_metadata(&e, out, head, options);
    e.graph.name = "main_graph";
    e.graph.doc = options->description ? options->description : "";
    out->graph = e.graph;
    return e.status;
}
