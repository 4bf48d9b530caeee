/* SPDX-License-Identifier: Apache-2.0
 *
 * Arguments of model files: YAML scalars and lists become values. Texts are expressions of
 * integers,
 * + - * / // ( ) and names; nothing else is ever evaluated. A single unknown name stays text, as
 * 'nearest' does. */
#ifndef NB_MODEL_ARGUMENT_H
#define NB_MODEL_ARGUMENT_H

#include "base/arena.h"
#include "base/status.h"
#include "format/yaml.h"

typedef enum NbArgKind {
    NB_ARG_NONE,
    NB_ARG_BOOL,   /* integer is 0 or 1 */
    NB_ARG_INT,    /* integer, and number the same */
    NB_ARG_NUMBER, /* number */
    NB_ARG_TEXT,
    NB_ARG_LIST,
} NbArgKind;

typedef struct NbArg NbArg;
struct NbArg {
    NbArgKind kind;
    int64_t integer;
    double number;
    const char *text;
    int count; /* LIST */
    const NbArg *item;
    const NbYaml *at; /* its place in the file; NULL: none */
};

typedef struct NbName {
    const char *name;
    NbArg value;
} NbName;

typedef struct NbNames {
    const char *path; /* for messages */
    const NbName *name;
    int count;
} NbNames;

/* The value of a YAML node. The message is path:line:column. */
NB_FALLIBLE nb_arg_from_yaml(const NbNames *names, const NbYaml *y, NbArena *arena, NbArg *out,
                             NbError *err);

/* An expression alone; NB_ERR_FORMAT when it is none (also for an unknown name). */
NB_FALLIBLE nb_expression(const NbNames *names, const char *text, NbArg *out, NbError *err);

NbArg nb_arg_int(int64_t value);
NbArg nb_arg_bool(bool value);

/* "'nq'", "3", "a list": for messages, into out (truncated); returns out. */
const char *nb_arg_text(const NbArg *arg, char *out, size_t size);

#endif
