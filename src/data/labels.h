/* SPDX-License-Identifier: Apache-2.0
 *
 * YOLO label files: one object a line, "class cx cy w h" or "class x1 y1 x2 y2 ...", relative to
 * the picture. The three sources disagree about what they accept; each can be had. Everywhere:
 * numbers as Python reads them (without "_"), no NaN or infinity, classes whole and not negative,
 * equal rows count once, a file that breaks a rule is not used at all.
 *
 *                            YOLOv5 (default)    YOLOv10 (8.1)       Ultralytics 8.4
 *   polygons when a line has more than 8 numbers more than 6         more than 6
 *   a box line among them    a polygon           a polygon           not accepted
 *   order of the rows        sorted              sorted if some were dropped (both)
 *   coordinates              0 to 1              0 to 1              -0.01 to 1.01
 *   blank line of spaces     not accepted        not accepted        skipped
 *   byte order mark          not accepted        not accepted        skipped
 *   equal polygons of a file
 *   with unequal lengths     not accepted        dropped             dropped
 *
 * Unlike YOLOv5, polygons stay with their rows when rows are sorted. */
#ifndef NB_DATA_LABELS_H
#define NB_DATA_LABELS_H

#include "base/arena.h"
#include "base/file.h"
#include "base/status.h"
#include "detect/box.h"

typedef enum NbLabelRules {
    NB_LABELS_YOLOV5, /* quantized-yolov5 utils/datasets.py verify_image_label */
    NB_LABELS_YOLOV10,
    NB_LABELS_ULTRALYTICS,
} NbLabelRules;

typedef struct NbPolygon {
    const float (*point)[2]; /* relative to the picture; may lie outside of it */
    int n;                   /* 0: the label is a plain box */
} NbPolygon;

typedef enum NbLabelStatus { NB_LABELS_OK, NB_LABELS_EMPTY, NB_LABELS_CORRUPT } NbLabelStatus;

typedef struct NbLabels {
    NbLabelStatus status;
    int n;
    NbTarget *label;    /* [n], image = 0 */
    NbPolygon *polygon; /* [n]; NULL when the file has plain boxes */
    int duplicates;     /* rows that were dropped */
    int line;           /* of the fault or, when OK, of the remark; 0: the whole file */
    char text[160];     /* corrupt: what is wrong; OK: a remark, or "" */
} NbLabels;

/* nc: classes must be below; 0: any. Fails only when memory is out: a file that breaks the rules is
 * a result (NB_LABELS_CORRUPT), not an error. */
NB_FALLIBLE nb_labels_parse(NbBytes bytes, NbLabelRules rules, int nc, NbArena *arena,
                            NbLabels *out, NbError *err);

#endif
