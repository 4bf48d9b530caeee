/* SPDX-License-Identifier: Apache-2.0
 *
 * Resizing 8-bit pictures with the bytes of OpenCV 4 (cv::resize). Same size: a copy. scratch:
 * what is taken from it is given back. Errors: memory only, unless said. */
#ifndef NB_DATA_RESIZE_H
#define NB_DATA_RESIZE_H

#include "base/arena.h"
#include "base/status.h"
#include "data/pixels.h"

/* INTER_LINEAR: weights in 1/2048, sums in fixed point; exactly half size in both directions is the
 * rounded mean of 2x2 pixels instead. Any sizes. */
NB_FALLIBLE nb_resize_linear(NbPixels from, NbPixels to, NbArena *scratch, NbError *err);

/* INTER_AREA: each output pixel is the mean of the area it covers, in float32. `to` must not be
 * larger than `from` in either direction (NB_ERR_ARGUMENT). */
NB_FALLIBLE nb_resize_area(NbPixels from, NbPixels to, NbArena *scratch, NbError *err);

#endif
