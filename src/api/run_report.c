/* SPDX-License-Identifier: Apache-2.0 */
#include "api/run_report.h"

#include "base/arena.h"
#include "base/file.h"
#include "nibble/job.h"
#include "report/html.h"

enum { MAX_PICTURES = 8, CLASS_COLUMNS = 6, MAX_ENGINES = 3 };

typedef struct PictureFile {
    const char *file, *title;
    bool wide;
} PictureFile;

static size_t find_pictures(const char *folder, NbArena *arena, NbHtmlPicture *out) {
    static const PictureFile files[MAX_PICTURES] = {
        {"results.png", "Training", true},
        {"PR_curve.png", "Precision over recall", false},
        {"F1_curve.png", "F1 over confidence", false},
        {"confusion_matrix_normalized.png", "Confusion", false},
        {"labels.jpg", "Training labels", false},
        {"train_batch0.jpg", "A training batch", true},
        {"val_batch0_labels.jpg", "Validation: labels", false},
        {"val_batch0_pred.jpg", "Validation: detections", false}};
    size_t n = 0;
    for (int i = 0; i < MAX_PICTURES; i++) {
        char *const path = nb_path_join(arena, folder, files[i].file);
        if (path && nb_path_exists(path))
            out[n++] = (NbHtmlPicture){path, files[i].title, files[i].wide};
    }
    return n;
}

/* One row a class, by the last engine. */
static const char **class_cells(const NbRunReport *r, NbArena *arena) {
    const NbYoloScore *const s = &r->score[r->engines - 1];
    const char **const cells = NB_NEW(arena, const char *, CLASS_COLUMNS *(size_t)s->n_classes);
    for (int i = 0; cells && i < s->n_classes; i++) {
        const NbYoloClass *const c = &s->per_class[i];
        double mean = 0.0;
        for (int k = 0; k < NB_YOLO_IOUS; k++)
            mean += c->ap[k] / NB_YOLO_IOUS;
        const char **const row = cells + (ptrdiff_t)CLASS_COLUMNS * i;
        row[0] = r->names[c->cls];
        row[1] = nb_arena_printf(arena, "%lld", (long long)c->labels);
        row[2] = nb_arena_printf(arena, "%.3f", c->precision);
        row[3] = nb_arena_printf(arena, "%.3f", c->recall);
        row[4] = nb_arena_printf(arena, "%.3f", c->ap[0]);
        row[5] = nb_arena_printf(arena, "%.3f", mean);
    }
    return cells;
}

static NbStatus write(const NbRunReport *r, NbArena *arena, NbError *err) {
    static const char *const head[CLASS_COLUMNS] = {"class", "labels", "P",
                                                    "R",     "mAP50",  "mAP50-95"};
    NbHtmlFigure figures[2 * MAX_ENGINES];
    NbHtmlPicture pictures[MAX_PICTURES];
    size_t n = 0;
    for (int i = 0; i < r->engines && i < MAX_ENGINES; i++) {
        figures[n++] = (NbHtmlFigure){"mAP50", nb_arena_printf(arena, "%.3f", r->score[i].map50),
                                      r->engine[i]};
        figures[n++] = (NbHtmlFigure){
            "mAP50-95", nb_arena_printf(arena, "%.3f", r->score[i].map50_95), r->engine[i]};
    }
    const NbHtmlTable table = {.title = "Classes",
                               .head = head,
                               .cells = class_cells(r, arena),
                               .columns = CLASS_COLUMNS,
                               .rows = (size_t)r->score[r->engines - 1].n_classes};
    const NbHtmlSection sections[] = {
        {.title = "Score", .figures = figures, .n_figures = n, .tables = &table, .n_tables = 1},
        {.title = "Pictures",
         .pictures = pictures,
         .n_pictures = find_pictures(r->folder, arena, pictures)}};
    char *const path = nb_path_join(arena, r->folder, "report.html");
    char *const footer = nb_arena_printf(arena, "nibble %s", nb_version());
    if (!path || !footer || !table.cells)
        return nb_fail_memory(err, "the report");
    const NbHtmlReport report = {.title = r->title,
                                 .subtitle = r->subtitle,
                                 .verdict = !r->checked ? NB_VERDICT_NONE
                                            : r->passed ? NB_VERDICT_PASS
                                                        : NB_VERDICT_FAIL,
                                 .verdict_text = r->verdict,
                                 .sections = sections,
                                 .n_sections = 2,
                                 .footer = footer};
    return nb_html_write(path, &report, err);
}

NbStatus nb_write_run_report(const NbRunReport *report, NbError *err) {
    NbArena arena = {0};
    const NbStatus status = write(report, &arena, err);
    nb_arena_release(&arena);
    return status;
}
