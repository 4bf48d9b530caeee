/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of modules, and how they read their arguments. */
#include "model/build.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NB_MODULE(symbol) extern const NbModule nb_module_##symbol;
#include "model/modules.def"
#undef NB_MODULE

static const NbModule *const table[] = {
#define NB_MODULE(symbol) &nb_module_##symbol,
#include "model/modules.def"
#undef NB_MODULE
};

const NbModule *const *nb_module_list(int *count) {
    *count = (int)(sizeof table / sizeof *table);
    return table;
}

const NbModule *nb_module_find(const char *name) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i]->name, name) == 0)
            return table[i];
    return NULL;
}

NbStatus nb_call_fail(NbStatus status, NbError *err, const NbBuild *b, const NbCall *call,
                      const char *format, ...) {
    char text[400];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (call->at)
        return nb_yaml_fail(status, err, b->names->path, call->at, "%s: %s", call->path, text);
    return nb_fail(status, err, "%s: %s", call->path, text);
}

/* The argument, or NULL when it is missing or None. */
static const NbArg *given(const NbCall *call, int i) {
    if (i >= call->n_args || call->arg[i].kind == NB_ARG_NONE)
        return NULL;
    return &call->arg[i];
}

static NB_FALLIBLE wrong(const NbBuild *b, const NbCall *call, int i, const char *expected,
                         NbError *err) {
    const NbArg *arg = &call->arg[i];
    char found[64];
    char near[128] = "";
    const char *names[64];
    int count = 0;
    for (; count < b->names->count && count < 64; count++)
        names[count] = b->names->name[count].name;
    if (arg->kind == NB_ARG_TEXT)
        nb_nearest_names(arg->text, names, (size_t)count, near, sizeof near);
    NbCall place = *call;
    if (arg->at)
        place.at = arg->at;
    return nb_call_fail(NB_ERR_FORMAT, err, b, &place, "argument %d: %s expected, found %s%s%s",
                        i + 1, expected, nb_arg_text(arg, found, sizeof found),
                        *near ? "; did you mean " : "", near);
}

NbStatus nb_call_int(const NbBuild *b, const NbCall *call, int i, int64_t lo, int64_t hi,
                     int64_t *value, NbError *err) {
    const NbArg *arg = given(call, i);
    char expected[64];
    if (!arg)
        return NB_OK;
    (void)snprintf(expected, sizeof expected, "an integer of %" PRId64 " to %" PRId64, lo, hi);
    if (arg->kind != NB_ARG_INT || arg->integer < lo || arg->integer > hi)
        return wrong(b, call, i, expected, err);
    *value = arg->integer;
    return NB_OK;
}

NbStatus nb_call_bool(const NbBuild *b, const NbCall *call, int i, bool *value, NbError *err) {
    const NbArg *arg = given(call, i);
    if (!arg)
        return NB_OK;
    if (arg->kind != NB_ARG_BOOL &&
        !(arg->kind == NB_ARG_INT && arg->integer >= 0 && arg->integer <= 1))
        return wrong(b, call, i, "True or False", err);
    *value = arg->integer != 0;
    return NB_OK;
}

NbStatus nb_call_number(const NbBuild *b, const NbCall *call, int i, double *value, NbError *err) {
    const NbArg *arg = given(call, i);
    if (!arg)
        return NB_OK;
    if (arg->kind != NB_ARG_INT && arg->kind != NB_ARG_NUMBER)
        return wrong(b, call, i, "a number", err);
    *value = arg->number;
    return NB_OK;
}

enum { MAX_WINDOW = 1024 };

NbStatus nb_call_pair(const NbBuild *b, const NbCall *call, int i, int lo, int value[2],
                      NbError *err) {
    const NbArg *arg = given(call, i);
    char expected[80];
    if (!arg)
        return NB_OK;
    const NbArg *item[2] = {arg, arg};
    (void)snprintf(expected, sizeof expected, "an integer of %d to %d or two of them", lo,
                   MAX_WINDOW);
    if (arg->kind == NB_ARG_LIST && arg->count == 2) {
        item[0] = &arg->item[0];
        item[1] = &arg->item[1];
    }
    for (int k = 0; k < 2; k++) {
        if (item[k]->kind != NB_ARG_INT || item[k]->integer < lo || item[k]->integer > MAX_WINDOW)
            return wrong(b, call, i, expected, err);
        value[k] = (int)item[k]->integer;
    }
    return NB_OK;
}

NbConvShape nb_conv_shape(int c2, int kernel, int stride) {
    return (NbConvShape){.c2 = c2,
                         .kernel = {kernel, kernel},
                         .stride = {stride, stride},
                         .pad = {kernel / 2, kernel / 2},
                         .groups = 1};
}

NbStatus nb_call_conv_shape(const NbBuild *b, const NbCall *call, NbConvShape *out, NbError *err) {
    int64_t c2 = 0;
    int64_t groups = 1;
    NbConvShape shape = nb_conv_shape(1, 1, 1);
    NB_TRY(nb_call_int(b, call, 0, 1, 1 << 16, &c2, err));
    if (c2 == 0)
        return nb_call_fail(NB_ERR_FORMAT, err, b, call, "a channel count expected, found None");
    shape.c2 = (int)c2;
    NB_TRY(nb_call_pair(b, call, 1, 1, shape.kernel, err));
    NB_TRY(nb_call_pair(b, call, 2, 1, shape.stride, err));
    for (int i = 0; i < 2; i++)
        shape.pad[i] = shape.kernel[i] / 2;
    NB_TRY(nb_call_pair(b, call, 3, 0, shape.pad, err));
    NB_TRY(nb_call_int(b, call, 4, 1, 1 << 16, &groups, err));
    shape.groups = (int)groups;
    const int c1 = call->in[0].channels;
    if (c1 % shape.groups || shape.c2 % shape.groups)
        return nb_call_fail(NB_ERR_FORMAT, err, b, call,
                            "%d groups expected to divide %d input and %d output channels",
                            shape.groups, c1, shape.c2);
    *out = shape;
    return NB_OK;
}
