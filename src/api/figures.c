/* SPDX-License-Identifier: Apache-2.0 */
#include "api/figures.h"

#include "base/file.h"
#include "eval/curve.h"
#include "report/draw.h"
#include "report/figures.h"

#include <stdio.h>
#include <string.h>

enum { SAMPLE_BATCHES = 3, LABEL_QUALITY = 90 };

static NbStatus path_in(NbArena *arena, const char *folder, const char *name, char **out,
                        NbError *err) {
    *out = nb_path_join(arena, folder, name);
    return *out ? NB_OK : nb_fail_memory(err, "a path");
}

/* ---- curves ---- */

typedef struct CurveFile {
    const char *file, *title, *x, *y;
    const double *values; /* [classes][NB_CURVE] */
} CurveFile;

/* "all classes 0.62 at 0.345": the best of the smoothed mean and its confidence, as Ultralytics has
 * them in the legend. */
static char *best_of(const double *values, int classes, NbArena *arena) {
    double mean[NB_CURVE] = {0};
    double smooth[NB_CURVE];
    int best = 0;
    for (int c = 0; c < classes; c++)
        for (int i = 0; i < NB_CURVE; i++)
            mean[i] += values[(size_t)c * NB_CURVE + (size_t)i] / classes;
    nb_curve_smooth(mean, NB_CURVE, smooth);
    for (int i = 1; i < NB_CURVE; i++)
        if (smooth[i] > smooth[best])
            best = i;
    return nb_arena_printf(arena, "all classes %.2f at %.3f", smooth[best],
                           best / (NB_CURVE - 1.0));
}

/* Each under the name of Ultralytics' newer releases, and under that of YOLOv5 and older ones. */
static NbStatus write_curves(const char *folder, const NbYoloScore *s, const char *const *names,
                             NbArena *arena, NbError *err) {
    double *const x = NB_NEW(arena, double, NB_CURVE);
    double *const ap = NB_NEW(arena, double, (size_t)s->n_classes);
    if (!x || !ap)
        return nb_fail_memory(err, "curves");
    for (int i = 0; i < NB_CURVE; i++)
        x[i] = i / (NB_CURVE - 1.0);
    for (int i = 0; i < s->n_classes; i++)
        ap[i] = s->per_class[i].ap[0];
    const CurveFile files[] = {
        {"P_curve.png", "Precision-Confidence Curve", "Confidence", "Precision", s->p_curve},
        {"R_curve.png", "Recall-Confidence Curve", "Confidence", "Recall", s->r_curve},
        {"F1_curve.png", "F1-Confidence Curve", "Confidence", "F1", s->f1_curve},
        {"PR_curve.png", "Precision-Recall Curve", "Recall", "Precision", s->pr_curve}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const bool pr = files[i].values == s->pr_curve;
        char *const mean = pr ? nb_arena_printf(arena, "all classes %.3f mAP@0.5", s->map50)
                              : best_of(files[i].values, s->n_classes, arena);
        char *const box_name = nb_arena_printf(arena, "Box%s", files[i].file);
        if (!mean || !box_name)
            return nb_fail_memory(err, "curves");
        const NbCurves curves = {.title = files[i].title,
                                 .x_label = files[i].x,
                                 .y_label = files[i].y,
                                 .x = x,
                                 .y = files[i].values,
                                 .n = NB_CURVE,
                                 .classes = (size_t)s->n_classes,
                                 .names = names,
                                 .values = pr ? ap : NULL,
                                 .mean_name = mean};
        char *path = NULL;
        char *box_path = NULL;
        NB_TRY(path_in(arena, folder, files[i].file, &path, err));
        NB_TRY(path_in(arena, folder, box_name, &box_path, err));
        NB_TRY(nb_figure_curves(path, &curves, err));
        NB_TRY(nb_file_copy(path, box_path, err));
    }
    return NB_OK;
}

static NbStatus write_confusion(const char *folder, const NbYoloScore *s, const NbModel *model,
                                NbArena *arena, NbError *err) {
    for (int i = 0; i < 2; i++) {
        char *path = NULL;
        NB_TRY(path_in(arena, folder,
                       i ? "confusion_matrix_normalized.png" : "confusion_matrix.png", &path, err));
        NB_TRY(nb_figure_confusion(path, s->confusion, (size_t)model->head.nc,
                                   (const char *const *)model->names, i == 1, err));
    }
    return NB_OK;
}

/* ---- sample pictures ---- */

static NbDrawBox *to_boxes(const NbDetection *d, size_t n, bool conf, float least, NbArena *arena,
                           size_t *count) {
    NbDrawBox *const boxes = NB_NEW(arena, NbDrawBox, n);
    *count = 0;
    for (size_t i = 0; boxes && i < n; i++) {
        if (conf && d[i].conf < least)
            continue;
        boxes[(*count)++] = (NbDrawBox){.x1 = d[i].xyxy[0],
                                        .y1 = d[i].xyxy[1],
                                        .x2 = d[i].xyxy[2],
                                        .y2 = d[i].xyxy[3],
                                        .class_index = d[i].cls,
                                        .confidence = conf ? d[i].conf : -1.0F};
    }
    return boxes;
}

/* Sixteen pictures of the set from `first` on, with labels or with detections above 0.25. */
static NbStatus write_sample(const char *path, const NbModel *model, const NbSamples *samples,
                             const NbValResult *r, int first, bool labels, NbError *err) {
    NbArena arena = {0};
    NbDrawTile tiles[NB_GRID_TILES];
    memset(tiles, 0, sizeof tiles);
    size_t n = 0;
    NbStatus status = NB_OK;
    for (; status == NB_OK && n < NB_GRID_TILES && first + (int)n < samples->n; n++) {
        const NbSample *const s = &samples->sample[first + (int)n];
        const NbYoloImage *const image = &r->image[first + (int)n];
        NbDrawTile *const tile = &tiles[n];
        tile->caption = nb_path_name(s->path);
        tile->boxes = to_boxes(labels ? image->label : image->detection,
                               labels ? image->n_labels : image->n_detections, !labels, 0.25F,
                               &arena, &tile->n);
        status = tile->boxes ? nb_image_read(s->path, &arena, &tile->image, err)
                             : nb_fail_memory(err, "boxes");
    }
    NbImage grid;
    const char *const *const names = (const char *const *)model->names;
    if (status == NB_OK)
        status = nb_draw_grid(tiles, n, names, (size_t)model->head.nc, &arena, &grid, err);
    if (status == NB_OK)
        status = nb_image_write(path, &grid, LABEL_QUALITY, err);
    nb_arena_release(&arena);
    return status;
}

NbStatus nb_write_score_figures(const char *folder, const NbModel *model, const NbSamples *samples,
                                const NbValResult *r, NbError *err) {
    NbArena arena = {0};
    const char **const names = NB_NEW(&arena, const char *, (size_t)r->score.n_classes);
    NbStatus status = names ? NB_OK : nb_fail_memory(err, "names");
    for (int i = 0; status == NB_OK && i < r->score.n_classes; i++)
        names[i] = model->names[r->score.per_class[i].cls];
    if (status == NB_OK)
        status = write_curves(folder, &r->score, names, &arena, err);
    if (status == NB_OK)
        status = write_confusion(folder, &r->score, model, &arena, err);
    for (int i = 0; status == NB_OK && i < SAMPLE_BATCHES && i * NB_GRID_TILES < samples->n; i++) {
        for (int labels = 0; status == NB_OK && labels < 2; labels++) {
            char *const path = nb_arena_printf(&arena, "%s/val_batch%d_%s.jpg", folder, i,
                                               labels ? "labels" : "pred");
            status =
                path ? write_sample(path, model, samples, r, i * NB_GRID_TILES, labels == 1, err)
                     : nb_fail_memory(err, "a path");
        }
    }
    nb_arena_release(&arena);
    return status;
}

NbStatus nb_write_label_figure(const char *folder, const NbSamples *samples, char *const *names,
                               int nc, NbError *err) {
    NbArena arena = {0};
    NbFigureLabel *const labels = NB_NEW(&arena, NbFigureLabel, (size_t)samples->n_labels);
    char *const path = nb_path_join(&arena, folder, "labels.jpg");
    if (!labels || !path) {
        nb_arena_release(&arena);
        return nb_fail_memory(err, "labels");
    }
    size_t n = 0;
    for (int i = 0; i < samples->n; i++) {
        const NbSample *const s = &samples->sample[i];
        for (int k = 0; k < s->n_labels && n < (size_t)samples->n_labels; k++) {
            const float *const b = s->label[k].xywh;
            labels[n++] = (NbFigureLabel){s->label[k].cls, b[0], b[1], b[2], b[3]};
        }
    }
    const NbStatus status =
        nb_figure_labels(path, labels, n, (size_t)nc, (const char *const *)names, err);
    nb_arena_release(&arena);
    return status;
}

NbStatus nb_write_batch_figure(const char *path, const NbBatch *batch, char *const *names, int nc,
                               NbError *err) {
    NbArena arena = {0};
    const size_t n = batch->count < NB_GRID_TILES ? (size_t)batch->count : NB_GRID_TILES;
    const size_t picture = (size_t)batch->imgsz * (size_t)batch->imgsz * 3;
    const float side = (float)batch->imgsz;
    NbDrawTile tiles[NB_GRID_TILES];
    memset(tiles, 0, sizeof tiles);
    NbStatus status = NB_OK;
    for (size_t i = 0; i < n && status == NB_OK; i++) {
        NbDrawBox *const boxes = NB_NEW(&arena, NbDrawBox, batch->n_targets);
        tiles[i].image = (NbImage){
            .width = batch->imgsz, .height = batch->imgsz, .rgb = NB_NEW(&arena, uint8_t, picture)};
        tiles[i].boxes = boxes;
        if (!boxes || !tiles[i].image.rgb) {
            status = nb_fail_memory(err, "sample pictures");
            break;
        }
        memcpy(tiles[i].image.rgb, batch->images + i * picture, picture);
        for (size_t k = 0; k < batch->n_targets; k++) {
            const NbTarget *const t = &batch->target[k];
            if (t->image == (int)i)
                boxes[tiles[i].n++] = (NbDrawBox){.x1 = (t->xywh[0] - t->xywh[2] / 2) * side,
                                                  .y1 = (t->xywh[1] - t->xywh[3] / 2) * side,
                                                  .x2 = (t->xywh[0] + t->xywh[2] / 2) * side,
                                                  .y2 = (t->xywh[1] + t->xywh[3] / 2) * side,
                                                  .class_index = t->cls,
                                                  .confidence = -1.0F};
        }
    }
    NbImage grid;
    if (status == NB_OK)
        status = nb_draw_grid(tiles, n, (const char *const *)names, (size_t)nc, &arena, &grid, err);
    if (status == NB_OK)
        status = nb_image_write(path, &grid, LABEL_QUALITY, err);
    nb_arena_release(&arena);
    return status;
}
