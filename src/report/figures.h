/* SPDX-License-Identifier: Apache-2.0
 *
 * The pictures of a run folder, each from plain arrays to one file (.png, .jpg or .svg by the
 * name). The same input gives the same bytes. */
#ifndef NB_REPORT_FIGURES_H
#define NB_REPORT_FIGURES_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* results.png: one panel for each quantity of a results.csv. Columns are named group/quantity as
 * in "train/box_loss"; the same quantity of several groups shares a panel ("(B)" is ignored), all
 * "lr/" columns share one, "epoch" is the x axis and "time" is left out. Empty or not finite cells
 * are gaps; columns with nothing but zeros are left out. NB_ERR_FORMAT: no "epoch" column, no rows,
 * or a row of another length. */
NB_FALLIBLE nb_figure_results(const char *csv_path, const char *out_path, NbError *err);

/* PR_curve.png and its like: a thin line a class (in the legend when there are at most 20) and
 * their mean. */
typedef struct NbCurves {
    const char *title;
    const char *x_label;
    const char *y_label;
    const double *x; /* [n] */
    const double *y; /* [classes][n] */
    size_t n;
    size_t classes;           /* 0: an empty chart that says so */
    const char *const *names; /* [classes] */
    const double *values;     /* [classes], shown behind the names, e.g. AP; NULL: none */
    const char *mean_name;    /* "all classes 0.613 mAP@0.5" */
} NbCurves;

NB_FALLIBLE nb_figure_curves(const char *path, const NbCurves *curves, NbError *err);

/* confusion_matrix.png. counts: [classes + 1][classes + 1], rows predicted, columns true, the last
 * of each is the background. normalized: every column sums to 1. */
NB_FALLIBLE nb_figure_confusion(const char *path, const int64_t *counts, size_t classes,
                                const char *const *names, bool normalized, NbError *err);

/* A label: centre and size as shares of the picture. */
typedef struct NbFigureLabel {
    int class_index;
    float x, y, w, h;
} NbFigureLabel;

/* labels.jpg: labels a class, the boxes laid over each other, where centres lie, how large boxes
 * are. Classes outside [0, classes) are NB_ERR_ARGUMENT. */
NB_FALLIBLE nb_figure_labels(const char *path, const NbFigureLabel *labels, size_t n,
                             size_t classes, const char *const *names, NbError *err);

#endif
