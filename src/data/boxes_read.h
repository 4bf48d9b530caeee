/* SPDX-License-Identifier: Apache-2.0
 *
 * What the readers of boxes.h share. */
#ifndef NB_DATA_BOXES_READ_H
#define NB_DATA_BOXES_READ_H

#include "data/boxes.h"

/* A folder of XML files, or one of them. Pictures: images= or JPEGImages/ or images/ beside the
 * folder; by the name that the file gives, or the file's own with any suffix. */
NB_FALLIBLE nb_boxes_read_voc(const NbBoxSource *source, NbArena *arena, NbBoxSet *out,
                              NbError *err);

/* Adds a problem; a leading "path: " or "path:line:column: " of the text is taken off. */
NB_FALLIBLE nb_boxes_problem(NbBoxSet *set, NbProblemKind kind, const char *path, const char *text,
                             NbArena *arena, NbError *err);

/* -1: none of them. */
int nb_class_of_name(char *const *names, int nc, const char *name);

#endif
