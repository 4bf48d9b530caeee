/* SPDX-License-Identifier: Apache-2.0
 *
 * Small help with text: growing strings, number parsing that says no, nearest names for hints. */
#ifndef NB_BASE_TEXT_H
#define NB_BASE_TEXT_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A string that grows on the heap. Zero-initialise. After a failed take everything further is
 * dropped and `failed` stays true: check once at the end. data is always terminated or NULL. */
typedef struct NbText {
    char *data;
    size_t size;
    size_t capacity;
    bool failed;
} NbText;

void nb_text_put(NbText *t, const char *bytes, size_t n);
void nb_text_printf(NbText *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void nb_text_release(NbText *t);

/* The whole text must be the number; false otherwise (also for NaN, infinity, overflow, blanks). */
bool nb_parse_i64(const char *text, int64_t *out);
bool nb_parse_double(const char *text, double *out);

/* Appends ", did you mean 'x'?" candidates: the up to three names nearest to `name` (edit distance,
 * at most half its length), as "'a', 'b'"; "" when none is near. Truncated to size. */
void nb_nearest_names(const char *name, const char *const *names, size_t count, char *out,
                      size_t size);

/* Is `word` one of the words that single blanks separate? The empty word is none. */
bool nb_has_word(const char *words, const char *word);

/* Shell-like match of the whole text: '*' any run, '?' any one character. */
bool nb_glob_match(const char *pattern, const char *text);

#endif
