/* SPDX-License-Identifier: Apache-2.0
 *
 * YAML as a tree of plain nodes with the place of each (libyaml's events underneath). Nothing is
 * interpreted: scalars stay text, so a class named "no" stays "no". Duplicate keys, keys that are
 * no scalars, merge keys, tags of other languages and second documents are errors; so are more than
 * 1 MiB, 64 levels, 100000 nodes (aliases count in full) and 100 aliases. An empty file is null. */
#ifndef NB_FORMAT_YAML_H
#define NB_FORMAT_YAML_H

#include "base/arena.h"
#include "base/file.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum NbYamlKind { NB_YAML_SCALAR, NB_YAML_LIST, NB_YAML_MAP } NbYamlKind;

typedef struct NbYaml NbYaml;
struct NbYaml {
    NbYamlKind kind;
    int line; /* from 1 */
    int column;
    const char *text;    /* scalar */
    bool quoted;         /* scalar in quotes, as a block or tagged !!str: always text */
    int count;           /* list: items; map: pairs */
    const NbYaml **item; /* list: items; map: values */
    const NbYaml **key;  /* map: keys, scalars */
};

NB_FALLIBLE nb_yaml_parse(const char *path, NbBytes bytes, NbArena *arena, const NbYaml **out,
                          NbError *err);

/* The value of `key` in a map; NULL when there is none or it is no map. */
const NbYaml *nb_yaml_get(const NbYaml *map, const char *key);

/* Scalars by YAML 1.1 rules as PyYAML resolves them, and 1e-2 as a number too. null: "", ~, null.
 * The message is path:line:column, expected and found. */
NB_FALLIBLE nb_yaml_int(const char *path, const NbYaml *y, int64_t *out, NbError *err);
NB_FALLIBLE nb_yaml_double(const char *path, const NbYaml *y, double *out, NbError *err);
NB_FALLIBLE nb_yaml_bool(const char *path, const NbYaml *y, bool *out, NbError *err);
bool nb_yaml_is_null(const NbYaml *y);

/* "path:line:column: " and the sentence into `err`; returns `status`. */
NbStatus nb_yaml_fail(NbStatus status, NbError *err, const char *path, const NbYaml *y,
                      const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
