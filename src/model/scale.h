/* SPDX-License-Identifier: Apache-2.0
 *
 * Model files that describe a family: `scales` maps letters to [depth, width, most channels], and
 * the name of the file picks one. "yolov8n.yaml" is "yolov8.yaml" at scale n, "yolov5n6.yaml" is
 * "yolov5-p6.yaml" at scale n. */
#ifndef NB_MODEL_SCALE_H
#define NB_MODEL_SCALE_H

#include "base/arena.h"
#include "base/status.h"
#include "format/yaml.h"

/* Where the letter of a scale stands in the last part of a path (the n of "models/yolov8n.yaml");
 * 0: nowhere. */
size_t nb_scale_letter(const char *path);

/* The path of the family: without the letter, or (dashed) with "-p" in its place where a digit
 * follows. NULL: no letter, or no memory. */
const char *nb_scale_family(const char *path, bool dashed, NbArena *arena);

/* The other way: "yolov8.yaml" and 'n' give "yolov8n.yaml". NULL: no place for it, or no memory. */
const char *nb_scale_member(const char *path, char letter, NbArena *arena);

/* The line of `scales` that the key `scale` names, else the letter in the path, else the first. */
NB_FALLIBLE nb_scale_read(const char *path, const NbYaml *root, double *depth, double *width,
                          double *most, NbError *err);

#endif
