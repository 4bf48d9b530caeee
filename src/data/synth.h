/* SPDX-License-Identifier: Apache-2.0
 *
 * A data set that is drawn: circles, squares and triangles of random size and colour, some of them
 * overlapping, on textured noisy backgrounds, and a few backgrounds alone. Easy enough that a small
 * detector learns it in minutes on a CPU, hard enough that one that is broken does not.
 *
 * A picture depends on (seed, split, number) and the side alone, whatever the number of threads;
 * only the four arithmetic operations are used, so that its pixels are the same on every machine
 * (PNG files keep them; JPEG files are as equal as the encoders are). */
#ifndef NB_DATA_SYNTH_H
#define NB_DATA_SYNTH_H

#include "base/arena.h"
#include "base/parallel.h"
#include "base/status.h"
#include "detect/box.h"

#include <stdint.h>

enum { NB_SYNTH_CLASSES = 3, NB_SYNTH_OBJECTS = 5 };

typedef struct NbSynthOptions {
    int train, val; /* pictures of each split, 1 to 1000000 */
    int imgsz;      /* side, 32 to 4096 */
    uint64_t seed;
    int quality; /* JPEG quality 1 to 100; 0: PNG */
} NbSynthOptions;

/* Writes folder/data.yaml, images/{train,val}/NNNNNN.jpg (or .png) and
 * labels/{train,val}/NNNNNN.txt. Files of the same names are replaced, others stay. pool may be
 * NULL. */
NB_FALLIBLE nb_synth_write(const char *folder, const NbSynthOptions *options, NbPool *pool,
                           NbError *err);

/* One picture: rgb [side, side, 3]; target: its objects (image = 0). Returns how many. */
int nb_synth_draw(uint64_t seed, int split, int number, int side, uint8_t *rgb,
                  NbTarget target[NB_SYNTH_OBJECTS]);

/* "circle", "square", "triangle". */
const char *nb_synth_class(int cls);

#endif
