/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON through jansson, with our limits and messages. Whoever reads a document works with
 * jansson's values; whoever writes one builds them and calls nb_json_write. */
#ifndef NB_FORMAT_JSON_H
#define NB_FORMAT_JSON_H

#include "base/file.h"
#include "base/status.h"

#include <jansson.h>

/* *out is owned by the caller (json_decref). Rejects duplicate keys, NaN, documents above `limit`
 * bytes (0: 1 GiB). The message is path:line:column. */
NB_FALLIBLE nb_json_read(const char *path, NbBytes bytes, size_t limit, json_t **out, NbError *err);
NB_FALLIBLE nb_json_read_file(const char *path, json_t **out, NbError *err);

/* Indented by two, keys in the order they were set, reals with 17 digits that round-trip;
 * atomically, with a final newline. */
NB_FALLIBLE nb_json_write(const char *path, const json_t *value, NbError *err);

#endif
