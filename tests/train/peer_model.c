/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/help.h"
#include "model/zoo.h"
#include "train/peer_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

NbCase peer_case(NbCases *cases, const char *id, const char *kind) {
    for (int i = 0; i < cases->count; i++) {
        const NbCase c = nb_cases_get(cases, i);
        if (strcmp(id ? c.id : c.kind, id ? id : kind) == 0)
            return c;
    }
    fail_msg("no case %s", id ? id : kind);
    return (NbCase){0};
}

static bool is_quantized_yolov5(const NbCase *init) {
    return strcmp(nb_case_string(init, "source", ""), "q") == 0;
}

static const NbZooFile *zoo_file(const NbCase *init) {
    const char *const base = nb_case_string(init, "base_model", "");
    return nb_zoo_find(strcmp(base, "yolov1-tiny-quant") == 0 ? "lpyolo" : base);
}

bool peer_model_known(const NbCase *init) { return zoo_file(init) != NULL; }

/* `text` with the `lines` lines from the one that begins with `key` on replaced by `with`. */
static char *replace(const char *text, const char *key, int lines, const char *with,
                     NbArena *arena) {
    const char *const begin = strstr(text, key);
    assert_non_null(begin);
    assert_true(begin == text || begin[-1] == '\n');
    const char *end = begin;
    for (int i = 0; i < lines; i++) {
        end = strchr(end, '\n') + 1;
        assert_true(end > begin);
    }
    char *const out = nb_arena_printf(arena, "%.*s%s\n%s", (int)(begin - text), text, with, end);
    assert_non_null(out);
    return out;
}

static char *yaml_text(const NbCase *init, NbArena *arena) {
    static const char *const numbers[] = {"depth_multiple", "width_multiple"};
    char *text = nb_arena_string(arena, zoo_file(init)->text);
    if (!is_quantized_yolov5(init)) {
        char *const line = nb_arena_printf(
            arena, "scales:\n  x: [%.17g, %.17g, %.17g]", nb_case_number(init, "depth_multiple", 1),
            nb_case_number(init, "width_multiple", 1), nb_case_number(init, "max_channels", 1024));
        return replace(text, "scales:", 2, line, arena);
    }
    for (size_t i = 0; i < 2; i++) {
        char line[64];
        (void)snprintf(line, sizeof line, "%s: %.17g", numbers[i],
                       nb_case_number(init, numbers[i], 1.0));
        text = replace(text, numbers[i], 1, line, arena);
    }
    const json_t *const bits = json_object_get(init->params, "bit_width");
    if (bits) {
        char *const list = json_dumps(bits, 0);
        char *const line = nb_arena_printf(arena, "bit_width:\n  - %s", list);
        free(list);
        text = replace(text, "bit_width:", 2, line, arena);
    }
    return text;
}

static void set_anchors(const NbCase *init, NbHead *head) {
    const json_t *const levels = json_object_get(init->params, "anchors");
    if (head->kind != NB_HEAD_YOLOV5)
        return;
    assert_int_equal(json_array_size(levels), head->levels);
    for (int i = 0; i < head->levels; i++) {
        const json_t *const row = json_array_get(levels, (size_t)i);
        assert_int_equal(json_array_size(row), 2 * head->anchors);
        for (int k = 0; k < 2 * head->anchors; k++)
            head->anchor[i][k / 2][k % 2] =
                (float)json_number_value(json_array_get(row, (size_t)k));
    }
}

void peer_model_new(const NbCase *init, NbModel *out) {
    NbError err = {0};
    NbArena arena = {0};
    const NbModelOptions options = {.nc = (int)nb_case_number(init, "nc", 1),
                                    .compat = is_quantized_yolov5(init)};
    const char *const text = yaml_text(init, &arena);
    must(nb_model_from_yaml("vectors.yaml", text, strlen(text), &options, out, &err), &err);
    nb_arena_release(&arena);
    set_anchors(init, &out->head);
    for (NbNodeId id = 0; id < out->graph.n_nodes; id++) {
        NbNode *const node = &out->graph.node[id];
        if (node->op != NB_OP_PARAM)
            continue;
        char peer[160];
        char key[200];
        (void)snprintf(key, sizeof key, "init/%s", peer_name(node->name, peer, sizeof peer));
        size_t n = 0;
        const float *const from = nb_case_f32(init, key, &n);
        assert_int_equal(n, nb_tensor_count(&node->param));
        memcpy(node->param.data, from, n * sizeof *from);
        node->attr.param.frozen = false;
    }
}

NbNodeId peer_param(const NbModel *m, const char *name) {
    for (NbNodeId id = 0; id < m->graph.n_nodes; id++) {
        char peer[160];
        const NbNode *const node = &m->graph.node[id];
        if (node->op == NB_OP_PARAM && strcmp(peer_name(node->name, peer, sizeof peer), name) == 0)
            return id;
    }
    return -1;
}

static const char *numbered(const NbCase *batches, const char *stem, int i) {
    static char name[32];
    int n = 0; /* the number of the last one */
    do
        (void)snprintf(name, sizeof name, "%s%d", stem, n + 1);
    while (nb_case_has(batches, name) && ++n < 1000);
    (void)snprintf(name, sizeof name, "%s%d", stem, i % (n + 1));
    return name;
}

const uint8_t *peer_images(const NbCase *batches, int i, int *count, int *height, int *width) {
    const NbTensor planes = nb_case_array(batches, numbered(batches, "image", i));
    assert_int_equal(planes.dtype, NB_U8);
    const size_t area = (size_t)(planes.shape.dim[2] * planes.shape.dim[3]);
    const size_t n = (size_t)planes.shape.dim[0];
    const uint8_t *const from = planes.data;
    uint8_t *const out = NB_NEW(&batches->all->arena, uint8_t, n * area * 3);
    assert_non_null(out);
    for (size_t b = 0; b < n; b++)
        for (size_t c = 0; c < 3; c++)
            for (size_t p = 0; p < area; p++)
                out[(b * area + p) * 3 + c] = from[(b * 3 + c) * area + p];
    *count = (int)n;
    *height = (int)planes.shape.dim[2];
    *width = (int)planes.shape.dim[3];
    return out;
}

const NbTarget *peer_targets(const NbCase *batches, int i, size_t *count) {
    size_t values = 0;
    const float *const row = nb_case_f32(batches, numbered(batches, "target", i), &values);
    *count = values / 6;
    NbTarget *const out = NB_NEW(&batches->all->arena, NbTarget, *count);
    assert_non_null(out);
    for (size_t k = 0; k < *count; k++) {
        out[k].image = (int)row[6 * k];
        out[k].cls = (int)row[6 * k + 1];
        memcpy(out[k].xywh, row + 6 * k + 2, sizeof out[k].xywh);
    }
    return out;
}
