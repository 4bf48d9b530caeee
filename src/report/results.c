/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/file.h"
#include "base/text.h"
#include "report/figures.h"
#include "report/plot.h"

#include <math.h>
#include <string.h>

enum { SERIES = 8, PANELS = 64, CSV_MAX = 256 * 1024 * 1024 };

typedef struct Table {
    size_t columns;
    size_t rows;
    char **head;    /* [columns] */
    double *values; /* [columns][rows] */
} Table;

typedef struct Panel {
    const char *title;
    NbSeries series[SERIES];
    size_t n;
} Panel;

static size_t count(const char *text, char what) {
    size_t n = 0;
    for (; *text; text++)
        n += *text == what;
    return n;
}

/* Cuts text at the first `mark`; returns what follows it, NULL at the end. */
static char *cut(char *text, char mark) {
    char *const at = strchr(text, mark);
    if (at)
        *at = '\0';
    return at ? at + 1 : NULL;
}

static char *trim(char *text) {
    while (*text == ' ' || *text == '\t')
        text++;
    size_t n = strlen(text);
    while (n > 0 && strchr(" \t\r", text[n - 1]))
        text[--n] = '\0';
    return text;
}

static NB_FALLIBLE read_row(const char *path, char *line, Table *table, size_t capacity,
                            NbError *err) {
    size_t column = 0;
    for (char *cell = line, *next = NULL; cell; cell = next, column++) {
        next = cut(cell, ',');
        double value = NAN;
        if (column < table->columns) {
            if (!nb_parse_double(trim(cell), &value))
                value = NAN;
            table->values[column * capacity + table->rows] = value;
        }
    }
    if (column != table->columns)
        return nb_fail(NB_ERR_FORMAT, err, "%s: row %zu has %zu cells, expected %zu", path,
                       table->rows + 1, column, table->columns);
    table->rows++;
    return NB_OK;
}

/* table->values gets [columns][capacity]; *capacity >= rows. */
static NB_FALLIBLE read_table(const char *path, NbArena *arena, Table *table, size_t *capacity,
                              NbError *err) {
    NbBytes bytes = {0};
    NB_TRY(nb_file_read(path, CSV_MAX, arena, &bytes, err));
    char *const text = nb_arena_string_n(arena, (const char *)bytes.data, bytes.size);
    if (!text)
        return nb_fail_memory(err, path);
    *capacity = count(text, '\n') + 1;
    char *line = cut(text, '\n');
    table->columns = count(text, ',') + 1;
    table->head = NB_NEW(arena, char *, table->columns);
    table->values = NULL;
    if (table->columns <= 4096)
        table->values = NB_NEW(arena, double, table->columns **capacity);
    if (!table->head || !table->values)
        return nb_fail_memory(err, path);
    char *cell = text;
    for (size_t i = 0; i < table->columns; i++) {
        char *const next = cut(cell, ',');
        table->head[i] = trim(cell);
        cell = next;
    }
    while (line) {
        char *const next = cut(line, '\n');
        if (*trim(line))
            NB_TRY(read_row(path, line, table, *capacity, err));
        line = next;
    }
    if (table->rows == 0)
        return nb_fail(NB_ERR_FORMAT, err, "%s: no row below the head", path);
    return NB_OK;
}

static Panel *panel_named(Panel *panels, size_t *n, const char *title) {
    for (size_t i = 0; i < *n; i++)
        if (strcmp(panels[i].title, title) == 0)
            return &panels[i];
    if (*n == PANELS)
        return NULL;
    panels[*n].title = title;
    return &panels[(*n)++];
}

/* "train/box_loss" to "train" and "box_loss"; "lr/pg0" to "pg0" in "learning rate". */
static bool split_name(const char *head, NbArena *arena, const char **group, const char **name) {
    const char *const slash = strchr(head, '/');
    if (!slash) {
        *group = head;
        *name = head;
        return true;
    }
    size_t n = strlen(slash + 1);
    if (n > 3 && strcmp(slash + 1 + n - 3, "(B)") == 0)
        n -= 3;
    const bool rate = strncmp(head, "lr/", 3) == 0 || strncmp(head, "x/lr", 4) == 0;
    *group = rate ? nb_arena_string(arena, slash + 1)
                  : nb_arena_string_n(arena, head, (size_t)(slash - head));
    *name = rate ? "learning rate" : nb_arena_string_n(arena, slash + 1, n);
    return *group && *name;
}

/* Losses that a model does not have are columns of zeros. */
static bool has_values(const double *values, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (isfinite(values[i]) && values[i] != 0.0)
            return true;
    return false;
}

static NB_FALLIBLE make_panels(const char *path, const Table *table, size_t capacity,
                               NbArena *arena, Panel *panels, size_t *n, NbError *err) {
    const double *epoch = NULL;
    for (size_t i = 0; i < table->columns; i++)
        if (strcmp(table->head[i], "epoch") == 0)
            epoch = table->values + i * capacity;
    if (!epoch)
        return nb_fail(NB_ERR_FORMAT, err, "%s: no column named epoch", path);
    for (size_t i = 0; i < table->columns; i++) {
        const double *const values = table->values + i * capacity;
        if (values == epoch || strcmp(table->head[i], "time") == 0 ||
            !has_values(values, table->rows))
            continue;
        const char *group = NULL;
        const char *name = NULL;
        if (!split_name(table->head[i], arena, &group, &name))
            return nb_fail_memory(err, path);
        Panel *const panel = panel_named(panels, n, name);
        if (!panel || panel->n == SERIES)
            continue; /* more than a page can show */
        panel->series[panel->n] = (NbSeries){.name = group,
                                             .x = epoch,
                                             .y = values,
                                             .n = table->rows,
                                             .color = nb_palette((int64_t)panel->n),
                                             .width = 1.6,
                                             .marks = table->rows <= 40};
        panel->n++;
    }
    return NB_OK;
}

static NB_FALLIBLE draw(const char *out_path, const Panel *panels, size_t n, NbError *err) {
    enum { W = 290, H = 220, GAP = 14 };
    const size_t columns = n <= 3 ? (n ? n : 1) : n <= 8 ? 4 : 5;
    const size_t rows = n ? (n + columns - 1) / columns : 1;
    NbCanvas *canvas = NULL;
    NB_TRY(nb_canvas_open(out_path, (double)(columns * (W + GAP) + GAP),
                          (double)(rows * (H + GAP) + GAP), 2.0, &canvas, err));
    for (size_t i = 0; i < n; i++) {
        const Panel *const p = &panels[i];
        const size_t row = i / columns;
        const NbRect where = {(double)(GAP + i % columns * (W + GAP)),
                              (double)(GAP + row * (H + GAP)), W, H};
        const bool alone = p->n == 1 && strcmp(p->series[0].name, "metrics") == 0;
        nb_plot_lines(canvas, where,
                      &(NbLines){.title = p->title,
                                 .x_label = i + columns >= n ? "epoch" : NULL,
                                 .series = p->series,
                                 .n = p->n,
                                 .x_whole = true,
                                 .legend = alone ? NB_LEGEND_NONE : NB_LEGEND_TOP});
    }
    return nb_canvas_commit(canvas, err);
}

static NB_FALLIBLE figure(const char *csv_path, const char *out_path, NbArena *arena,
                          NbError *err) {
    Table table = {0};
    size_t capacity = 0;
    NB_TRY(read_table(csv_path, arena, &table, &capacity, err));
    Panel *const panels = NB_NEW(arena, Panel, PANELS);
    if (!panels)
        return nb_fail_memory(err, out_path);
    size_t n = 0;
    NB_TRY(make_panels(csv_path, &table, capacity, arena, panels, &n, err));
    return draw(out_path, panels, n, err);
}

NbStatus nb_figure_results(const char *csv_path, const char *out_path, NbError *err) {
    NbArena arena = {0};
    const NbStatus status = figure(csv_path, out_path, &arena, err);
    nb_arena_release(&arena);
    return status;
}
