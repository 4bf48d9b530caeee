/* SPDX-License-Identifier: Apache-2.0 */
#include "model/argument.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MAX_ITEMS = 1024 };

NbArg nb_arg_int(int64_t value) {
    return (NbArg){.kind = NB_ARG_INT, .integer = value, .number = (double)value};
}

NbArg nb_arg_bool(bool value) {
    return (NbArg){.kind = NB_ARG_BOOL, .integer = value, .number = (double)value};
}

const char *nb_arg_text(const NbArg *arg, char *out, size_t size) {
    switch (arg->kind) {
    case NB_ARG_NONE: (void)snprintf(out, size, "None"); break;
    case NB_ARG_BOOL: (void)snprintf(out, size, arg->integer ? "True" : "False"); break;
    case NB_ARG_INT: (void)snprintf(out, size, "%" PRId64, arg->integer); break;
    case NB_ARG_NUMBER: (void)snprintf(out, size, "%g", arg->number); break;
    case NB_ARG_TEXT: (void)snprintf(out, size, "'%.40s'", arg->text); break;
    case NB_ARG_LIST: (void)snprintf(out, size, "a list of %d", arg->count); break;
    }
    return out;
}

/* One word, as Python's NameError would leave it; or the name of a module such as nn.ReLU(). */
static bool stays_text(const char *text) {
    if (strncmp(text, "nn.", 3) == 0)
        return true;
    if (!isalpha((unsigned char)*text) && *text != '_')
        return *text == '\0';
    for (const char *c = text; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '_')
            return false;
    return true;
}

static NB_FALLIBLE from_scalar(const NbNames *names, const NbYaml *y, NbArg *out, NbError *err) {
    NbError ignored = {0};
    int64_t integer = 0;
    double number = 0.0;
    bool truth = false;
    if (!y->quoted && nb_yaml_is_null(y))
        *out = (NbArg){.kind = NB_ARG_NONE};
    else if (!y->quoted && nb_yaml_int(names->path, y, &integer, &ignored) == NB_OK)
        *out = nb_arg_int(integer);
    else if (!y->quoted && nb_yaml_double(names->path, y, &number, &ignored) == NB_OK)
        *out = (NbArg){.kind = NB_ARG_NUMBER, .number = number};
    else if (!y->quoted && nb_yaml_bool(names->path, y, &truth, &ignored) == NB_OK)
        *out = nb_arg_bool(truth);
    else if (nb_expression(names, y->text, out, &ignored) != NB_OK) {
        if (!stays_text(y->text))
            return nb_yaml_fail(NB_ERR_FORMAT, err, names->path, y, "%.400s", ignored.message);
        *out = (NbArg){.kind = NB_ARG_TEXT, .text = y->text};
    }
    out->at = y;
    return NB_OK;
}

NbStatus nb_arg_from_yaml(const NbNames *names, const NbYaml *y, NbArena *arena, NbArg *out,
                          NbError *err) {
    if (y->kind == NB_YAML_SCALAR)
        return from_scalar(names, y, out, err);
    if (y->kind != NB_YAML_LIST)
        return nb_yaml_fail(NB_ERR_FORMAT, err, names->path, y,
                            "a number, a text or a list expected, found a map");
    if (y->count > MAX_ITEMS)
        return nb_yaml_fail(NB_ERR_FORMAT, err, names->path, y, "more than %d items", MAX_ITEMS);
    NbArg *item = NB_NEW(arena, NbArg, (size_t)y->count);
    if (!item)
        return nb_fail_memory(err, "arguments");
    for (int i = 0; i < y->count; i++)
        NB_TRY(nb_arg_from_yaml(names, y->item[i], arena, &item[i], err));
    *out = (NbArg){.kind = NB_ARG_LIST, .count = y->count, .item = item, .at = y};
    return NB_OK;
}
