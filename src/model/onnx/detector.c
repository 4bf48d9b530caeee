/* SPDX-License-Identifier: Apache-2.0 */
#include "model/onnx/detector.h"

#include "model/onnx/import.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ROWS = 1000, MOST_CLASSES = 65536, USUAL_CLASSES = 80 };

/* The quoted text that starts at *at (a Python string, escapes as they stand); NULL: there is none.
 */
static char *quoted(NbArena *arena, const char **at) {
    const char quote = **at;
    const char *const start = *at + 1;
    const char *end = start;
    while (*end && *end != quote)
        end += *end == '\\' && end[1] ? 2 : 1;
    if (!*end)
        return NULL;
    *at = end + 1;
    return nb_arena_string_n(arena, start, (size_t)(end - start));
}

/* {0: 'person', 1: "bird"} or ['person', 'bird'], into *names; returns how many, 0 when the text is
 * neither. */
static int read_names(const char *text, NbArena *arena, char ***names) {
    const bool keyed = *text == '{';
    size_t most = 1;
    int n = 0;
    for (const char *c = text; *c; c++)
        most += *c == ',';
    *names = most > MOST_CLASSES ? NULL : NB_NEW(arena, char *, most);
    if (!*names || (!keyed && *text != '['))
        return 0;
    for (const char *at = text + 1; *at;) {
        at += strspn(at, " ,");
        if (*at == '}' || *at == ']')
            return n;
        if ((size_t)n == most)
            return 0;
        if (keyed) {
            char *end = NULL;
            if (strtol(at, &end, 10) != n || end == at || *end != ':')
                return 0;
            at = end + 1 + strspn(end + 1, " ");
        }
        if (*at != '\'' && *at != '"')
            return 0;
        (*names)[n] = quoted(arena, &at);
        if (!(*names)[n++])
            return 0;
    }
    return 0;
}

static NB_FALLIBLE check_input(const NbOnnxNet *net, int *side, NbError *err) {
    char text[96];
    if (net->n_inputs != 1)
        return nb_fail(NB_ERR_UNSUPPORTED, err, "%zu inputs, one of pictures expected",
                       net->n_inputs);
    const NbOnnxPort *p = &net->input[0];
    if (p->node < 0 || p->shape.rank != 4 || p->shape.dim[1] != 3 ||
        p->shape.dim[2] != p->shape.dim[3] || p->shape.dim[2] > 8192)
        return nb_fail(NB_ERR_UNSUPPORTED, err,
                       "the input '%s' is %s, [N, 3, side, side] expected of a detector", p->name,
                       nb_shape_text(&p->shape, text, sizeof text));
    *side = (int)p->shape.dim[2];
    return NB_OK;
}

/* Which head the shape of the output is, and its classes; named: how many names there are. */
static NB_FALLIBLE find_head(const NbOnnxNet *net, int named, NbHead *head, NbError *err) {
    char text[96];
    const NbShape *s = &net->output[0].shape;
    int64_t nc = 0;
    if (net->n_outputs == 1 && s->rank == 3 && s->dim[2] == 6 && s->dim[1] <= MOST_ROWS) {
        head->kind = NB_HEAD_END2END;
        nc = named ? named : USUAL_CLASSES;
    } else if (net->n_outputs == 1 && s->rank == 3 && s->dim[1] < s->dim[2]) {
        head->kind = NB_HEAD_BOXES;
        nc = s->dim[1] - 4;
    } else if (net->n_outputs == 1 && s->rank == 3) {
        head->kind = NB_HEAD_ROWS;
        nc = s->dim[2] - 5;
    }
    if (nc < 1 || nc > MOST_CLASSES)
        return nb_fail(NB_ERR_UNSUPPORTED, err,
                       "%zu outputs, the first %s: [N, rows, 6], [N, 4 + classes, cells] or [N, "
                       "cells, 5 + classes] expected of a detector",
                       net->n_outputs, nb_shape_text(s, text, sizeof text));
    head->nc = (int)nc;
    return NB_OK;
}

static NB_FALLIBLE describe(const NbOnnxModel *file, const NbOnnxNet *net, NbModel *m,
                            NbError *err) {
    const char *stride = nb_onnx_metadata(file, "stride");
    const char *text = nb_onnx_metadata(file, "names");
    char **names = NULL;
    const int named = text ? read_names(text, &m->arena, &names) : 0;
    const long pixels = stride ? strtol(stride, NULL, 10) : 0;
    NB_TRY(check_input(net, &m->imgsz, err));
    NB_TRY(find_head(net, named, &m->head, err));
    m->head.levels = 1;
    m->head.stride[0] = pixels > 0 && pixels <= 1024 ? (float)pixels : 32.0F;
    return nb_model_set_names(m, named == m->head.nc ? (const char *const *)names : NULL,
                              m->head.nc, err);
}

static NB_FALLIBLE build(const char *path, NbModel *m, NbError *err) {
    NbOnnxImportOptions options = {.pictures = true, .reals = true};
    NbOnnxModel file;
    NbOnnxNet net;
    NB_TRY(nb_onnx_read_file(path, &m->arena, &file, err));
    const char *side = nb_onnx_metadata(&file, "imgsz"); /* where the file leaves it open */
    if (side && *side == '[')
        options.height = options.width = strtol(side + 1, NULL, 10);
    if (options.height < 1 || options.height > 8192)
        options.height = options.width = 0;
    NB_TRY(nb_onnx_import(path, &file, &options, &m->arena, &net, err));
    m->graph = net.graph;
    m->yaml_path = nb_arena_string(&m->arena, path);
    m->yaml = nb_arena_string(&m->arena, "");
    if (!m->yaml_path || !m->yaml)
        return nb_fail_memory(err, path);
    NB_TRY_IN(describe(&file, &net, m, err), err, "%s", path);
    return NB_OK;
}

NbStatus nb_model_from_onnx(const char *path, NbModel *out, NbError *err) {
    *out = (NbModel){.arena = {.limit = (size_t)3 << 30}};
    const NbStatus status = build(path, out, err);
    if (status != NB_OK)
        nb_model_release(out);
    return status;
}
