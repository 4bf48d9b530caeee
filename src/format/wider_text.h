/* SPDX-License-Identifier: Apache-2.0
 *
 * WIDER FACE's own annotation as text (wider_face_train_bbx_gt.txt): for each picture its name, the
 * number of faces, then "x y w h blur expression illumination invalid occlusion pose" for each; a
 * picture without faces has one row of zeros all the same. Messages are path:line.
 * Source: shuoyang1213.me/WIDERFACE, the archive wider_face_split and its readme. */
#ifndef NB_FORMAT_WIDER_TEXT_H
#define NB_FORMAT_WIDER_TEXT_H

#include "base/arena.h"
#include "base/file.h"
#include "base/status.h"

#include <stdbool.h>

typedef struct NbWiderFace {
    double box[4]; /* left, top, width, height in pixels as written: finite */
    bool invalid;  /* marked as no face to be counted */
    int line;
} NbWiderFace;

typedef struct NbWiderImage {
    const char *name; /* "0--Parade/0_Parade_Parade_0_452.jpg" */
    NbWiderFace *face;
    size_t n;
    int line;
} NbWiderImage;

typedef struct NbWiderText {
    NbWiderImage *image; /* in file order */
    size_t n;
} NbWiderText;

/* Everything in `out` lives in `arena`. Rows have at least four numbers; attributes may be left
 * out from the right. */
NB_FALLIBLE nb_wider_text_read(const char *path, NbBytes bytes, NbArena *arena, NbWiderText *out,
                               NbError *err);

/* Writes such a file, atomically: whole pixels, as the form has them, and attributes of 0 but for
 * `invalid`. */
NB_FALLIBLE nb_wider_text_write(const char *path, const NbWiderText *text, NbError *err);

#endif
