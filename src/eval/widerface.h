/* SPDX-License-Identifier: Apache-2.0
 *
 * Average precision on WIDER FACE's validation set as its own evaluation counts it: easy, medium,
 * hard.
 * Source: Yang et al., "WIDER FACE: A Face Detection Benchmark", CVPR 2016, and its evaluation
 * tool; the Python form of it in github.com/biubug6/Pytorch_Retinaface (behaviour). */
#ifndef NB_EVAL_WIDERFACE_H
#define NB_EVAL_WIDERFACE_H

#include "base/arena.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum NbFaceLevel { NB_FACE_EASY, NB_FACE_MEDIUM, NB_FACE_HARD, NB_FACE_LEVELS } NbFaceLevel;

extern const char *const nb_face_level_names[NB_FACE_LEVELS];

typedef struct NbFaceBox {
    double box[4]; /* left, top, width, height in pixels */
    double score;
} NbFaceBox;

typedef struct NbFaceImage {
    const char *event, *name; /* folder and file without suffix */
    double (*face)[4];        /* left, top, width, height in pixels */
    size_t n_faces;
    bool *counts[NB_FACE_LEVELS]; /* [n_faces] to be found; others are neither right nor wrong */
    const NbFaceBox *found;       /* any order */
    size_t n_found;
} NbFaceImage;

typedef struct NbFaceSet {
    NbFaceImage *image;
    size_t n_images;
    size_t n_missing; /* pictures without a file of detections */
} NbFaceSet;

typedef struct NbFaceScore {
    double ap[NB_FACE_LEVELS];     /* -1: no faces */
    int64_t faces[NB_FACE_LEVELS]; /* to be found */
} NbFaceScore;

/* The ground truth: wider_face_val.mat, wider_easy_val.mat, wider_medium_val.mat and
 * wider_hard_val.mat of a folder. The set lives in `arena`. NB_ERR_UNSUPPORTED: not in this build
 * (format/mat.h). Messages name file and picture. */
NB_FALLIBLE nb_widerface_read_truth(const char *folder, NbArena *arena, NbFaceSet *out,
                                    NbError *err);

/* Detections of a set: FOLDER/EVENT/NAME.txt with the picture's name, the number of boxes and a
 * line "left top width height score" for each; an empty file is a picture without detections, and
 * so is one that is not there (counted; NB_ERR_IO when all are missing). */
NB_FALLIBLE nb_widerface_read_detections(const char *folder, NbArena *arena, NbFaceSet *set,
                                         NbError *err);

/* Scores are stretched to [0, 1] over the whole set. In each picture, best score first (equal ones
 * in their order), a detection goes to the face it overlaps most, sizes counting the last pixel (+
 * 1 in the overlap): a face that does not count takes it out of the count, one that is taken
 * already, or less than half of overlap, makes it wrong. Precision and recall are those of 1000
 * thresholds over all pictures; the area is that under the best precision at a recall or later.
 * NB_ERR_ARGUMENT: a number is not finite. */
NB_FALLIBLE nb_widerface_score(const NbFaceSet *set, NbArena *arena, NbFaceScore *out,
                               NbError *err);

#endif
