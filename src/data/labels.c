/* SPDX-License-Identifier: Apache-2.0 */
#include "data/labels.h"

#include "base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BOX_NUMBERS = 5, CLASS_MAX = 1 << 20, NUMBER_MAX = 127 };

typedef struct Line {
    const char *begin;
    const char *end;
    int number; /* in the file, from 1 */
    int words;
} Line;

typedef struct Row {
    float cls;
    float xywh[4];
    int line;
    NbPolygon polygon;
} Row;

typedef struct Parser {
    NbLabelRules rules;
    int nc;
    NbArena *arena;
    NbLabels *out;
    NbError *err;
    bool corrupt;
} Parser;

/* What Python's str.splitlines and str.split take for a line break and for a blank. */
static bool is_break(char c) { return (c >= '\n' && c <= '\r') || (c >= 0x1c && c <= 0x1e); }
static bool is_blank(char c) { return is_break(c) || c == ' ' || c == '\t' || c == 0x1f; }

__attribute__((format(printf, 3, 0))) static void remark(Parser *p, int line, const char *format,
                                                         va_list args) {
    p->out->line = line;
    (void)vsnprintf(p->out->text, sizeof p->out->text, format, args);
}

__attribute__((format(printf, 3, 4))) static void corrupt(Parser *p, int line, const char *format,
                                                          ...) {
    if (p->corrupt)
        return;
    p->corrupt = true;
    p->out->status = NB_LABELS_CORRUPT;
    va_list args;
    va_start(args, format);
    remark(p, line, format, args);
    va_end(args);
}

__attribute__((format(printf, 3, 4))) static void note(Parser *p, int line, const char *format,
                                                       ...) {
    va_list args;
    va_start(args, format);
    remark(p, line, format, args);
    va_end(args);
}

static int count_words(const char *at, const char *end) {
    int n = 0;
    while (at < end) {
        while (at < end && is_blank(*at))
            at++;
        if (at < end)
            n++;
        while (at < end && !is_blank(*at))
            at++;
    }
    return n;
}

/* The end of the line that starts at `at`; *next: where the next one starts. */
static const char *line_end(const char *at, const char *end, const char **next) {
    while (at < end && !is_break(*at))
        at++;
    *next = at < end ? at + 1 : end;
    if (at + 1 < end && at[0] == '\r' && at[1] == '\n')
        *next = at + 2;
    return at;
}

/* Lines between the first and the last word of the file that are not empty. NULL: no memory. */
static Line *split(Parser *p, const char *at, const char *end, int *n) {
    while (end > at && is_blank(end[-1]))
        end--;
    size_t capacity = 1;
    for (const char *c = at; c < end; c++)
        capacity += is_break(*c);
    Line *const line = NB_NEW(p->arena, Line, capacity);
    *n = 0;
    bool begun = false; /* blanks before the first word do not count */
    for (int number = 1; line && at < end; number++) {
        const char *next;
        const char *const stop = line_end(at, end, &next);
        const int words = count_words(at, stop);
        begun = begun || words > 0;
        if (stop > at && begun && (words || p->rules != NB_LABELS_ULTRALYTICS))
            line[(*n)++] = (Line){at, stop, number, words};
        at = next;
    }
    return line;
}

/* Reads the next number of the line as float32; false: p is marked. */
static bool read_number(Parser *p, Line *line, float *out) {
    while (line->begin < line->end && is_blank(*line->begin))
        line->begin++;
    const char *const word = line->begin;
    while (line->begin < line->end && !is_blank(*line->begin))
        line->begin++;
    const size_t n = (size_t)(line->begin - word);
    char text[NUMBER_MAX + 1];
    const size_t keep = n < NUMBER_MAX ? n : NUMBER_MAX;
    memcpy(text, word, keep);
    text[keep] = '\0';
    double value;
    if (keep != n || strlen(text) != n || !nb_parse_double(text, &value) ||
        fabs(value) > (double)CLASS_MAX) {
        for (char *c = text; *c; c++) /* the message is for a terminal */
            *c = *c >= ' ' && *c <= '~' ? *c : '?';
        corrupt(p, line->number, "expected a number, found '%.40s'", text);
        return false;
    }
    *out = (float)value;
    return true;
}

static void check_class(Parser *p, const Row *row) {
    if (row->cls < 0.0F)
        corrupt(p, row->line, "class %g is negative", (double)row->cls);
    else if (row->cls != floorf(row->cls))
        corrupt(p, row->line, "class %g is not whole", (double)row->cls);
    else if (p->nc && row->cls >= (float)p->nc)
        corrupt(p, row->line, "class %g, but the data set has %d classes (0 to %d)",
                (double)row->cls, p->nc, p->nc - 1);
}

static void check_box(Parser *p, const Row *row) {
    static const char *const name[] = {"centre x", "centre y", "width", "height"};
    const float slack = p->rules == NB_LABELS_ULTRALYTICS ? 0.01F : 0.0F;
    for (int k = 0; k < 4; k++)
        if (!(row->xywh[k] >= -slack && row->xywh[k] <= 1.0F + slack))
            corrupt(p, row->line, "%s is %g, expected 0 to 1 (relative to the picture)", name[k],
                    (double)row->xywh[k]);
}

static void read_box(Parser *p, Line *line, Row *row) {
    if (line->words != BOX_NUMBERS) {
        corrupt(p, line->number, "%d numbers, expected 5: class, centre x, centre y, width, height",
                line->words);
        return;
    }
    if (!read_number(p, line, &row->cls))
        return;
    for (int k = 0; k < 4; k++)
        if (!read_number(p, line, &row->xywh[k]))
            return;
    check_class(p, row);
    check_box(p, row);
}

static NbStatus read_polygon(Parser *p, Line *line, Row *row) {
    if (line->words < 3 || line->words % 2 == 0) {
        corrupt(p, line->number,
                "%d numbers in a file of polygons, expected class, x1, y1, x2, "
                "y2 and so on",
                line->words);
        return NB_OK;
    }
    const int n = line->words / 2;
    float(*const point)[2] = nb_arena_take(p->arena, (size_t)n, sizeof *point);
    if (!point)
        return nb_fail_memory(p->err, "a polygon");
    if (!read_number(p, line, &row->cls))
        return NB_OK;
    float lo[2] = {INFINITY, INFINITY};
    float hi[2] = {-INFINITY, -INFINITY};
    for (int i = 0; i < 2 * n; i++) {
        float v;
        if (!read_number(p, line, &v))
            return NB_OK;
        point[i / 2][i % 2] = v;
        lo[i % 2] = fminf(lo[i % 2], v);
        hi[i % 2] = fmaxf(hi[i % 2], v);
    }
    for (int k = 0; k < 2; k++) {
        row->xywh[k] = (lo[k] + hi[k]) / 2.0F;
        row->xywh[2 + k] = hi[k] - lo[k];
    }
    row->polygon = (NbPolygon){.point = (const float(*)[2])point, .n = n};
    check_class(p, row);
    check_box(p, row);
    return NB_OK;
}

static int compare_values(const Row *a, const Row *b) {
    if (a->cls != b->cls)
        return a->cls < b->cls ? -1 : 1;
    for (int k = 0; k < 4; k++)
        if (a->xywh[k] != b->xywh[k])
            return a->xywh[k] < b->xywh[k] ? -1 : 1;
    return 0;
}

static int compare_rows(const void *a, const void *b) {
    const Row *const x = a;
    const Row *const y = b;
    const int order = compare_values(x, y);
    return order ? order : x->line - y->line;
}

/* Sorts a copy, drops equal rows, and keeps the copy where the rules say so. */
static NbStatus drop_duplicates(Parser *p, Row **row, int *n, bool polygons) {
    Row *const sorted = NB_NEW(p->arena, Row, (size_t)*n);
    if (!sorted)
        return nb_fail_memory(p->err, "labels");
    memcpy(sorted, *row, (size_t)*n * sizeof *sorted);
    qsort(sorted, (size_t)*n, sizeof *sorted, compare_rows);
    int kept = 1;
    bool ragged = false;
    for (int i = 1; i < *n; i++) {
        ragged = ragged || sorted[i].polygon.n != sorted[0].polygon.n;
        if (compare_values(&sorted[i], &sorted[kept - 1]) != 0)
            sorted[kept++] = sorted[i];
    }
    p->out->duplicates = *n - kept;
    if (kept < *n && polygons && ragged && p->rules == NB_LABELS_YOLOV5)
        corrupt(p, 0, "%d equal polygons in a file of polygons of unequal lengths", *n - kept);
    if (kept < *n || p->rules == NB_LABELS_YOLOV5)
        *row = sorted;
    *n = kept;
    return NB_OK;
}

static NbStatus hand_out(Parser *p, const Row *row, int n, bool polygons) {
    NbLabels *const out = p->out;
    out->n = n;
    out->label = NB_NEW(p->arena, NbTarget, (size_t)n);
    if (polygons)
        out->polygon = NB_NEW(p->arena, NbPolygon, (size_t)n);
    if (!out->label || (polygons && !out->polygon))
        return nb_fail_memory(p->err, "labels");
    for (int i = 0; i < n; i++) {
        out->label[i].cls = (int)row[i].cls;
        memcpy(out->label[i].xywh, row[i].xywh, sizeof row[i].xywh);
        if (polygons)
            out->polygon[i] = row[i].polygon;
    }
    return NB_OK;
}

/* Whether the file holds polygons; remarks box lines among them. */
static bool has_polygons(Parser *p, const Line *line, int n) {
    const int limit = p->rules == NB_LABELS_YOLOV5 ? 8 : 6;
    int longest = 0;
    int box = 0; /* line number of one */
    for (int i = 0; i < n; i++) {
        longest = line[i].words > longest ? line[i].words : longest;
        if (line[i].words <= 6 && !box)
            box = line[i].number;
    }
    if (longest <= limit)
        return false;
    if (box && p->rules == NB_LABELS_ULTRALYTICS)
        corrupt(p, box, "a box among polygons");
    else if (box)
        note(p, box, "a box line in a file of polygons is read as a polygon: its box is wrong");
    return true;
}

NbStatus nb_labels_parse(NbBytes bytes, NbLabelRules rules, int nc, NbArena *arena, NbLabels *out,
                         NbError *err) {
    *out = (NbLabels){.status = NB_LABELS_OK};
    Parser p = {.rules = rules, .nc = nc, .arena = arena, .out = out, .err = err};
    const char *at = bytes.size ? (const char *)bytes.data : "";
    const char *const end = at + bytes.size;
    if (bytes.size >= 3 && memcmp(at, "\xEF\xBB\xBF", 3) == 0) {
        if (rules != NB_LABELS_ULTRALYTICS)
            corrupt(&p, 1, "starts with a byte order mark");
        at += 3;
    }
    int n;
    Line *const line = split(&p, at, end, &n);
    Row *row = line ? NB_NEW(arena, Row, (size_t)n) : NULL;
    if (!row)
        return nb_fail_memory(err, "labels");
    if (n == 0 && !p.corrupt) {
        out->status = NB_LABELS_EMPTY;
        return NB_OK;
    }
    const bool polygons = has_polygons(&p, line, n);
    for (int i = 0; i < n && !p.corrupt; i++) {
        row[i].line = line[i].number;
        if (line[i].words == 0)
            corrupt(&p, line[i].number, "a line of blanks");
        else if (polygons)
            NB_TRY(read_polygon(&p, &line[i], &row[i]));
        else
            read_box(&p, &line[i], &row[i]);
    }
    if (!p.corrupt)
        NB_TRY(drop_duplicates(&p, &row, &n, polygons));
    return p.corrupt ? NB_OK : hand_out(&p, row, n, polygons);
}
