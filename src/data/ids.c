/* SPDX-License-Identifier: Apache-2.0 */
#include "data/ids.h"

#include "base/text.h"
#include "data/dataset.h"

#include <stdlib.h>
#include <string.h>

enum { BYTES_MAX = 256 << 20 };

/* A picture by its number and by its name. */
typedef struct Entry {
    bool has_number;
    int64_t number;
    const char *stem;
    size_t index;
} Entry;

typedef struct Table {
    Entry *by_number; /* those that have one come first */
    Entry *by_stem;
    size_t n;
} Table;

static int compare_number(const void *a, const void *b) {
    const Entry *const x = a;
    const Entry *const y = b;
    if (x->has_number != y->has_number)
        return x->has_number ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}

static int compare_stem(const void *a, const void *b) {
    return strcmp(((const Entry *)a)->stem, ((const Entry *)b)->stem);
}

/* The name without folder, and without suffix when that is a picture's. */
static char *stem_of(NbArena *arena, const char *name) {
    const char *const last = nb_path_name(name);
    const size_t n = strlen(last);
    return nb_arena_string_n(arena, last,
                             nb_is_picture_name(last) ? n - strlen(nb_path_suffix(last)) : n);
}

static bool fill(Table *t, const NbIdKey *key, size_t n, NbArena *arena) {
    t->n = n;
    t->by_number = NB_NEW(arena, Entry, n);
    t->by_stem = NB_NEW(arena, Entry, n);
    if (!t->by_number || !t->by_stem)
        return false;
    for (size_t i = 0; i < n; i++) {
        Entry e = {.index = i, .stem = stem_of(arena, key[i].name), .number = key[i].id};
        if (!e.stem)
            return false;
        e.has_number = key[i].id >= 0 || nb_parse_i64(e.stem, &e.number);
        t->by_number[i] = t->by_stem[i] = e;
    }
    qsort(t->by_number, n, sizeof *t->by_number, compare_number);
    qsort(t->by_stem, n, sizeof *t->by_stem, compare_stem);
    return true;
}

/* Marks all entries equal to `wanted`; false: there is none. */
static bool mark(const Entry *list, size_t n, const Entry *wanted,
                 int (*compare)(const void *, const void *), bool *keep) {
    const Entry *const found = bsearch(wanted, list, n, sizeof *list, compare);
    if (!found)
        return false;
    const Entry *at = found;
    while (at > list && compare(at - 1, wanted) == 0)
        at--;
    for (; at < list + n && compare(at, wanted) == 0; at++)
        keep[at->index] = true;
    return true;
}

static bool take(const Table *t, const char *text, NbArena *scratch, bool *keep) {
    Entry wanted = {.has_number = true};
    if (nb_parse_i64(text, &wanted.number) &&
        mark(t->by_number, t->n, &wanted, compare_number, keep))
        return true;
    wanted.stem = stem_of(scratch, text);
    return wanted.stem && mark(t->by_stem, t->n, &wanted, compare_stem, keep);
}

/* The next line without blanks and remark; NULL: there is none left. */
static char *next_line(const char **at, const char *end, NbArena *arena, bool *failed) {
    if (*at >= end)
        return NULL;
    const char *stop = memchr(*at, '\n', (size_t)(end - *at));
    const char *from = *at;
    stop = stop ? stop : end;
    *at = stop + 1;
    const char *const remark = memchr(from, '#', (size_t)(stop - from));
    stop = remark ? remark : stop;
    while (from < stop && strchr(" \t\r", *from) && *from)
        from++;
    while (stop > from && strchr(" \t\r,", stop[-1]) && stop[-1])
        stop--;
    char *const line = nb_arena_string_n(arena, from, (size_t)(stop - from));
    *failed = !line;
    return line;
}

NbStatus nb_ids_select(const char *path, NbBytes bytes, const NbIdKey *key, size_t n,
                       NbArena *scratch, bool *keep, NbError *err) {
    Table table;
    memset(keep, 0, n * sizeof *keep);
    if (!fill(&table, key, n, scratch))
        return nb_fail_memory(err, path);
    const char *at = (const char *)bytes.data;
    const char *const end = at + bytes.size;
    bool failed = false;
    size_t named = 0;
    int number = 0;
    for (const char *line = NULL; (line = next_line(&at, end, scratch, &failed));) {
        number++;
        if (!*line)
            continue;
        named++;
        if (!take(&table, line, scratch, keep))
            return nb_fail(NB_ERR_FORMAT, err, "%s:%d: '%.100s' is none of the %zu pictures", path,
                           number, line, n);
    }
    if (failed)
        return nb_fail_memory(err, path);
    if (named == 0)
        return nb_fail(NB_ERR_FORMAT, err, "%s: the list names no picture", path);
    return NB_OK;
}

NbStatus nb_ids_select_file(const char *path, const NbIdKey *key, size_t n, NbArena *scratch,
                            bool *keep, NbError *err) {
    NbBytes bytes;
    NB_TRY(nb_file_read(path, BYTES_MAX, scratch, &bytes, err));
    return nb_ids_select(path, bytes, key, n, scratch, keep, err);
}
