/* SPDX-License-Identifier: Apache-2.0 */
#include "model/py_yaml.h"

#include "base/text.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_DEPTH = 16, MAX_TEXT = 1 << 20 };

static bool is_list(const NbPy *v) { return v->kind == NB_PY_LIST || v->kind == NB_PY_TUPLE; }

/* Whether a text may stand without quotes and stays text. */
static bool is_plain(const char *text) {
    static const char *const words[] = {"y",   "n",    "yes",   "no",  "on",
                                        "off", "true", "false", "null"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(text, words[i]) == 0)
            return false;
    if (!isalpha((unsigned char)*text))
        return false;
    for (const char *c = text; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("_.()", *c))
            return false;
    return true;
}

static NB_FALLIBLE put_text(NbText *t, const char *text, NbError *err) {
    if (is_plain(text)) {
        nb_text_printf(t, "%s", text);
        return NB_OK;
    }
    nb_text_put(t, "'", 1);
    for (const char *c = text; *c; c++) {
        if (iscntrl((unsigned char)*c))
            return nb_fail(NB_ERR_FORMAT, err, "a text of one line expected, found '%.32s'", text);
        nb_text_put(t, *c == '\'' ? "''" : c, *c == '\'' ? 2 : 1);
    }
    nb_text_put(t, "'", 1);
    return NB_OK;
}

/* The shortest digits that read back as the same number. */
static NB_FALLIBLE put_number(NbText *t, double value, NbError *err) {
    char text[40];
    if (!isfinite(value))
        return nb_fail(NB_ERR_FORMAT, err, "a finite number expected");
    for (int digits = 1; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    nb_text_printf(t, "%s%s", text, strpbrk(text, ".e") ? "" : ".0");
    return NB_OK;
}

static NB_FALLIBLE put(NbText *t, const NbPy *v, int depth, NbError *err);

/* {n: [0.33, 0.25, 1024]}: scales. */
static NB_FALLIBLE put_map(NbText *t, const NbPy *v, int depth, NbError *err) {
    nb_text_put(t, "{", 1);
    for (size_t i = 0; i < v->count; i++) {
        if (i)
            nb_text_put(t, ", ", 2);
        if (v->item[2 * i]->kind != NB_PY_TEXT)
            return nb_fail(NB_ERR_FORMAT, err, "texts as keys expected");
        NB_TRY(put_text(t, v->item[2 * i]->text, err));
        nb_text_put(t, ": ", 2);
        NB_TRY(put(t, v->item[2 * i + 1], depth + 1, err));
    }
    nb_text_put(t, "}", 1);
    return NB_OK;
}

/* In flow style. A value may contain itself or be shared a million times: depth and length end it.
 */
static NB_FALLIBLE put(NbText *t, const NbPy *v, int depth, NbError *err) {
    if (depth == MAX_DEPTH || t->size > MAX_TEXT)
        return nb_fail(NB_ERR_FORMAT, err, "more than %d levels or %d bytes", MAX_DEPTH, MAX_TEXT);
    if (is_list(v)) {
        nb_text_put(t, "[", 1);
        for (size_t i = 0; i < v->count; i++) {
            if (i)
                nb_text_put(t, ", ", 2);
            NB_TRY(put(t, v->item[i], depth + 1, err));
        }
        nb_text_put(t, "]", 1);
        return NB_OK;
    }
    if (v->kind == NB_PY_DICT)
        return put_map(t, v, depth, err);
    if (v->kind == NB_PY_TEXT)
        return put_text(t, v->text, err);
    if (v->kind == NB_PY_FLOAT)
        return put_number(t, v->number, err);
    if (v->kind == NB_PY_INT)
        nb_text_printf(t, "%" PRId64, v->integer);
    else if (v->kind == NB_PY_BOOL)
        nb_text_printf(t, "%s", v->integer ? "True" : "False");
    else if (v->kind == NB_PY_NONE)
        nb_text_printf(t, "None");
    else
        return nb_fail(NB_ERR_FORMAT, err, "numbers, texts, lists and maps of them expected");
    return NB_OK;
}

/* Layers one a line. */
static NB_FALLIBLE put_layers(NbText *t, const NbPy *list, NbError *err) {
    nb_text_printf(t, "\n");
    for (size_t i = 0; i < list->count; i++) {
        nb_text_printf(t, "  - ");
        NB_TRY(put(t, list->item[i], 1, err));
        nb_text_printf(t, "\n");
    }
    return NB_OK;
}

static NB_FALLIBLE put_key(NbText *t, const char *key, const NbPy *v, NbError *err) {
    const bool layers = strcmp(key, "backbone") == 0 || strcmp(key, "head") == 0;
    nb_text_printf(t, "%s:", key);
    if (layers && is_list(v) && v->count > 0)
        return put_layers(t, v, err);
    nb_text_printf(t, " ");
    NB_TRY(put(t, v, 1, err));
    nb_text_printf(t, "\n");
    return NB_OK;
}

NbStatus nb_py_model_yaml(const NbPy *dict, NbArena *arena, const char **out, NbError *err) {
    static const char *const keys[] = {
        "nc",       "ch",      "depth_multiple", "width_multiple", "scales",    "scale",
        "anchors",  "reg_max", "activation",     "use_hardtanh",   "bit_width", "inplace",
        "backbone", "head"};
    NbText t = {0};
    NbStatus status = NB_OK;
    for (size_t i = 0; i < sizeof keys / sizeof *keys && status == NB_OK; i++) {
        const NbPy *const v = nb_py_get(dict, keys[i]);
        const bool empty = v && v->kind == NB_PY_TEXT && !*v->text; /* a scale that is none */
        if (v && v->kind != NB_PY_NONE && !empty)
            status = put_key(&t, keys[i], v, err);
        if (status != NB_OK)
            status = nb_fail_in(status, err, "its model file: %s", keys[i]);
    }
    *out = status == NB_OK && !t.failed ? nb_arena_string(arena, t.data ? t.data : "") : NULL;
    nb_text_release(&t);
    if (status == NB_OK && !*out)
        return nb_fail_memory(err, "model file");
    return status;
}
