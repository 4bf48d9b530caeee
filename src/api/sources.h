/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NB_API_SOURCES_H
#define NB_API_SOURCES_H

#include "base/arena.h"
#include "base/status.h"

#include <stddef.h>

/* source=: a picture, a folder (everything below it), a glob or a .txt list (one path a line,
 * relative to the list) becomes paths, sorted within folders and globs. None at all is
 * NB_ERR_FORMAT. */
NB_FALLIBLE nb_find_sources(const char *source, NbArena *arena, char ***out, size_t *count,
                            NbError *err);

#endif
