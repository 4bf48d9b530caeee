/* SPDX-License-Identifier: Apache-2.0
 *
 * How well anchors fit the boxes of a data set, and better ones.
 * Source: quantized-yolov5 and YOLOv5 utils/autoanchor.py. Sizes are widths and heights in pixels
 * of a picture whose longer side is imgsz; an anchor and a box fit by the smallest of w/w', w'/w,
 * h/h', h'/h; they match when that is above 1 / threshold (the hyperparameter anchor_t, 4). */
#ifndef NB_DATA_ANCHORS_H
#define NB_DATA_ANCHORS_H

#include "base/arena.h"
#include "base/status.h"
#include "data/dataset.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct NbSizes {
    float (*wh)[2]; /* [n] */
    size_t n;
} NbSizes;

/* Sizes of all labels. factor: [samples] by which each picture's are multiplied; NULL: 1. */
NB_FALLIBLE nb_anchor_sizes(const NbSamples *samples, int imgsz, const float *factor,
                            NbArena *arena, NbSizes *out, NbError *err);

/* Those with width or height of at least `least` pixels. */
NB_FALLIBLE nb_anchor_sizes_above(NbSizes from, float least, NbArena *arena, NbSizes *out,
                                  NbError *err);

typedef struct NbAnchorFit {
    double bpr;     /* best possible recall: share of boxes that match some anchor */
    double aat;     /* anchors above threshold: mean number of anchors that a box matches */
    double fitness; /* mean over boxes of the best fit, 0 where nothing matches */
} NbAnchorFit;

/* best: [n] fit with the best anchor; NULL: not wanted. */
NbAnchorFit nb_anchor_fit(NbSizes sizes, const float (*anchor)[2], int count, double threshold,
                          float *best);

/* Population standard deviations of widths and heights. */
void nb_anchor_deviation(NbSizes sizes, double out[2]);

/* k-means on sizes divided by their deviations: `restarts` runs from random boxes (30 in the
 * source), the one with the smallest mean distance wins. anchor: [count], sorted by area.
 * NB_ERR_ARGUMENT: fewer different sizes than anchors. */
NB_FALLIBLE nb_anchor_kmeans(NbSizes sizes, int count, int restarts, uint64_t seed,
                             NbArena *scratch, float (*anchor)[2], NbError *err);

/* Evolution: `generations` mutations (1000 in the source), each kept if fitness rises. */
void nb_anchor_evolve(NbSizes sizes, int count, double threshold, int generations, uint64_t seed,
                      float (*anchor)[2]);

/* Anchors go from small to large as strides do: reverses the levels if they do not. anchor:
 * [levels, per_level]. True: the signs differed (for one level nothing can be changed then). */
bool nb_anchor_order(float (*anchor)[2], int levels, int per_level, const float *stride);

typedef struct NbAnchorOptions {
    int imgsz;
    double threshold;
    uint64_t seed;
    int levels, per_level; /* together at most NB_ANCHORS_MAX */
    const float *stride;   /* [levels] */
} NbAnchorOptions;

typedef struct NbAnchorCheck {
    NbAnchorFit before; /* on jittered sizes */
    NbAnchorFit after;  /* of the anchors that are now there */
    bool changed;       /* new ones were found, and recall is better */
    int tiny;           /* boxes with a side below 3 pixels */
} NbAnchorCheck;

enum { NB_ANCHORS_MAX = 64 };
#define NB_ANCHOR_BPR 0.98

/* Checks the anchors [levels, per_level] in pixels and, when bpr is below NB_ANCHOR_BPR, replaces
 * them by k-means and evolution if that is better; ends in the order of the strides. */
NB_FALLIBLE nb_anchor_check(const NbSamples *samples, const NbAnchorOptions *options,
                            float (*anchor)[2], NbAnchorCheck *out, NbError *err);

#endif
