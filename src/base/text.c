/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include "base/size.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool make_room(NbText *t, size_t more) {
    size_t need;
    if (t->failed || !nb_add_size(t->size, more, &need) || !nb_add_size(need, 1, &need)) {
        t->failed = true;
        return false;
    }
    if (need <= t->capacity)
        return true;
    size_t capacity = t->capacity ? t->capacity : 256;
    while (capacity < need) {
        if (!nb_mul_size(capacity, 2, &capacity)) {
            t->failed = true;
            return false;
        }
    }
    char *const data = realloc(t->data, capacity);
    if (!data) {
        t->failed = true;
        return false;
    }
    t->data = data;
    t->capacity = capacity;
    return true;
}

void nb_text_put(NbText *t, const char *bytes, size_t n) {
    if (!make_room(t, n))
        return;
    memcpy(t->data + t->size, bytes, n);
    t->size += n;
    t->data[t->size] = '\0';
}

void nb_text_printf(NbText *t, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0 || !make_room(t, (size_t)n))
        return;
    va_start(args, format);
    (void)vsnprintf(t->data + t->size, (size_t)n + 1, format, args);
    va_end(args);
    t->size += (size_t)n;
}

void nb_text_release(NbText *t) {
    free(t->data);
    *t = (NbText){0};
}

bool nb_parse_i64(const char *text, int64_t *out) {
    if (!*text || isspace((unsigned char)*text))
        return false;
    char *end;
    errno = 0;
    const long long value = strtoll(text, &end, 10);
    if (errno || *end)
        return false;
    *out = value;
    return true;
}

bool nb_parse_double(const char *text, double *out) {
    if (!*text || isspace((unsigned char)*text))
        return false;
    if (strpbrk(text, "xXnN")) /* hexadecimal, nan, inf */
        return false;
    char *end;
    errno = 0;
    const double value = strtod(text, &end);
    if (*end || !isfinite(value) || (errno == ERANGE && fabs(value) > 1.0))
        return false;
    *out = value;
    return true;
}

enum { MAX_NAME = 64 };

/* Edit distance of two names, blind to case. */
static size_t distance(const char *a, const char *b) {
    size_t row[MAX_NAME + 1];
    const size_t n = strlen(b);
    if (n > MAX_NAME || strlen(a) > MAX_NAME)
        return SIZE_MAX;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            const bool same = tolower((unsigned char)a[i]) == tolower((unsigned char)b[j]);
            size_t best = diagonal + (same ? 0 : 1);
            diagonal = row[j + 1];
            best = row[j] + 1 < best ? row[j] + 1 : best;
            best = diagonal + 1 < best ? diagonal + 1 : best;
            row[j + 1] = best;
        }
    }
    return row[n];
}

void nb_nearest_names(const char *name, const char *const *names, size_t count, char *out,
                      size_t size) {
    const size_t limit = strlen(name) / 2;
    size_t used = 0;
    int found = 0;
    if (size)
        out[0] = '\0';
    for (size_t want = 0; want <= limit && found < 3; want++) {
        for (size_t i = 0; i < count && found < 3; i++) {
            if (distance(name, names[i]) != want || used >= size)
                continue;
            const int n = snprintf(out + used, size - used, "%s'%s'", found ? ", " : "", names[i]);
            used += n > 0 ? (size_t)n : 0;
            found++;
        }
    }
}

bool nb_has_word(const char *words, const char *word) {
    const size_t n = strlen(word);
    for (const char *at = words; n && (at = strstr(at, word)); at += n)
        if ((at == words || at[-1] == ' ') && (at[n] == ' ' || !at[n]))
            return true;
    return false;
}

bool nb_glob_match(const char *pattern, const char *text) {
    const char *star = NULL; /* the last '*', and what it has swallowed up to */
    const char *swallowed = NULL;
    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            swallowed = text;
        } else if (*pattern == '?' || *pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++swallowed;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return !*pattern;
}
