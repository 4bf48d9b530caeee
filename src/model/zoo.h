/* SPDX-License-Identifier: Apache-2.0
 *
 * The model files of models/, built into the library. */
#ifndef NB_MODEL_ZOO_H
#define NB_MODEL_ZOO_H

#include "base/arena.h"

#include <stddef.h>

typedef struct NbZooFile {
    const char *name; /* "lpyolo.yaml" */
    const char *text;
    size_t size;
} NbZooFile;

/* Sorted by name. */
const NbZooFile *nb_zoo(int *count);

/* The file of this name, with or without ".yaml", or that of its family (model/scale.h:
 * "yolov8n.yaml" is in "yolov8.yaml"); NULL when there is none. */
const NbZooFile *nb_zoo_find(const char *name);

/* The letters of the scales that a file of a family describes ("nsmlx"), "" of others. The string
 * lives in `arena`; NULL: no memory. */
const char *nb_zoo_scales(const NbZooFile *file, NbArena *arena);

#endif
