/* SPDX-License-Identifier: Apache-2.0
 *
 * Annotations of many pictures, whatever form they come in or go to: COCO's JSON, PASCAL VOC's XML,
 * WIDER FACE's text, YOLO's labels. Boxes are doubles in pixels of the picture. */
#ifndef NB_DATA_BOXES_H
#define NB_DATA_BOXES_H

#include "base/arena.h"
#include "base/status.h"
#include "data/dataset.h"
#include "format/coco.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum NbBoxForm {
    NB_FORM_COCO,
    NB_FORM_VOC,
    NB_FORM_WIDERFACE,
    NB_FORM_YOLO,
    NB_FORMS
} NbBoxForm;

/* "coco", "voc", "widerface", "yolo". */
extern const char *const nb_box_form_names[NB_FORMS];

typedef struct NbLabelBox {
    int cls;        /* -1: a class that was not asked for */
    double xyxy[4]; /* left, top, right, bottom */
    double area;    /* as the source says: COCO's is that of the mask; < 0: it does not say */
    bool crowd;     /* COCO: a group, which detections may hit or not */
    bool difficult; /* VOC */
    bool invalid;   /* WIDER FACE */
    int line;       /* of the source; 0: none */
} NbLabelBox;

typedef struct NbBoxImage {
    const char *name;   /* below the folder of pictures: relative, without ".." */
    const char *path;   /* where the picture is; NULL: not found, or not looked for */
    int width, height;  /* 0: not known */
    int64_t id;         /* COCO; -1: none */
    const char *source; /* the file that annotates it */
    NbLabelBox *box;
    size_t n;
} NbBoxImage;

struct NbBoxSet {
    NbBoxImage *image; /* COCO: by id; else in the order of the source */
    size_t n;
    const char **class_name; /* [nc] */
    int64_t *class_id;       /* [nc] of COCO; NULL: none */
    int nc;
    size_t unlisted;    /* annotations of pictures or categories that the JSON does not list */
    NbProblem *problem; /* files that could not be used */
    size_t n_problems;
};
typedef struct NbBoxSet NbBoxSet;

typedef struct NbBoxSource {
    NbBoxForm form;
    const char *path;   /* COCO, WIDER FACE: the file. VOC: a file, or a folder of XML files at any
                           depth. YOLO: a data set YAML, or a folder with images/ and labels/ */
    const char *images; /* folder of pictures; "": where the form keeps them */
    NbSplit split;      /* of a data set YAML */
    char *const *names; /* classes wanted, in this order; NULL: the source's. COCO's are numbered by
                           their ids, VOC's by their names */
    int nc;             /* of names */
    int pixel_base;     /* VOC: what the leftmost pixel is called: 0, or 1 as in VOC's own data */
    bool by_picture;    /* sizes are those of the pictures where these are found */
    NbPool *pool;       /* may be NULL */
} NbBoxSource;

/* Everything in `out` lives in `arena`. A VOC file or picture that cannot be read becomes a problem
 * and its picture is left out; a COCO or WIDER FACE file that cannot be read is an error, and so
 * are names of pictures that leave their folder. */
NB_FALLIBLE nb_boxes_read(const NbBoxSource *source, NbArena *arena, NbBoxSet *out, NbError *err);

/* The same from a set in memory; names as above. The texts of `coco` are shared. */
NB_FALLIBLE nb_boxes_from_coco(const char *path, const NbCocoSet *coco, char *const *names, int nc,
                               NbArena *arena, NbBoxSet *out, NbError *err);

/* Looks for the pictures: below `images`, or below images/ beside the file, the file's own folder
 * and, as COCO has it, ../NAME and ../images/NAME of annotations/instances_NAME.json. */
NB_FALLIBLE nb_boxes_find_pictures(NbBoxSet *set, const char *file, const char *images,
                                   NbArena *arena, NbError *err);

/* false: the name is absolute, empty, or goes through "..". */
bool nb_picture_name_is_safe(const char *name);

/* Keeps the pictures that a file of ids names (data/ids.h; NULL: all) and of these the first so
 * many (0: all): COCO's by id, others by name. */
NB_FALLIBLE nb_boxes_select(NbBoxSet *set, const char *ids, int first, NbArena *arena,
                            NbError *err);

/* ---- what is kept ---- */

typedef enum NbSkip {
    NB_SKIP_UNLISTED,  /* picture or category is not in the JSON's lists */
    NB_SKIP_CLASS,     /* a class that was not asked for */
    NB_SKIP_CROWD,     /* COCO's iscrowd */
    NB_SKIP_DIFFICULT, /* VOC's difficult */
    NB_SKIP_INVALID,   /* WIDER FACE's invalid */
    NB_SKIP_EMPTY,     /* no width or no height, or not finite */
    NB_SKIP_OUTSIDE,   /* nothing of it lies in the picture */
    NB_SKIP_SMALL,     /* a side below the least one */
    NB_SKIP_DUPLICATE, /* class and box equal one before it */
    NB_SKIPS
} NbSkip;

extern const char *const nb_skip_names[NB_SKIPS]; /* "unlisted", "class", ... */

typedef struct NbBoxRules {
    bool keep_crowd, keep_difficult, keep_invalid;
    bool keep_overhang; /* boxes are not clipped to their picture */
    double least_side;  /* pixels, after clipping */
} NbBoxRules;

typedef struct NbBoxCounts {
    size_t boxes;             /* kept */
    size_t backgrounds;       /* pictures without any */
    size_t skipped[NB_SKIPS]; /* boxes */
    size_t clipped;           /* kept boxes that reached over the edge */
} NbBoxCounts;

/* Drops boxes from the set. Pictures of unknown size are not clipped to. */
void nb_boxes_check(NbBoxSet *set, const NbBoxRules *rules, NbBoxCounts *out);

/* One box against the rules, clipped to the picture where that is known (0: not); `kept` are those
 * before it. NB_SKIPS: it stays. */
NbSkip nb_box_check(NbLabelBox *box, int width, int height, const NbBoxRules *rules,
                    const NbLabelBox *kept, size_t n_kept, bool *clipped);

/* ---- writing ---- */

typedef enum NbPictureUse { NB_PICTURES_NONE, NB_PICTURES_LINK, NB_PICTURES_COPY } NbPictureUse;

typedef struct NbBoxTarget {
    NbBoxForm form;
    const char *out;       /* folder; COCO: or a .json, WIDER FACE: or a .txt */
    const char *split;     /* "train", ...: a folder or part of a name; "": one set only */
    NbPictureUse pictures; /* what is done with pictures that were found */
    int pixel_base;        /* VOC */
} NbBoxTarget;

/* Writes the set; *file: what `data=` or a reader of the form is given next, in `arena`.
 *   yolo       OUT/labels[/SPLIT]/NAME.txt ("class cx cy w h" with six digits; empty for pictures
 *              without boxes), pictures in OUT/images[/SPLIT]; OUT/data.yaml, which keeps the
 * splits that are there already when its classes are the same coco OUT/instances[_SPLIT].json,
 * OUT/images; ids are the source's, else the numbers that all names are, else 1, 2, ... voc
 * OUT/Annotations/NAME.xml, OUT/JPEGImages, OUT/ImageSets/Main/{SPLIT,all}.txt widerface
 * OUT/wider_face[_SPLIT]_bbx_gt.txt, OUT/images; all classes are faces Pictures of unknown size are
 * an error for all but widerface. */
NB_FALLIBLE nb_boxes_write(const NbBoxSet *set, const NbBoxTarget *target, NbArena *arena,
                           const char **file, NbError *err);

/* COCO's numbers of its 80 classes, when these are the names; else NULL. */
const int *nb_coco_category_ids(const char *const *names, int nc);

#endif
