/* SPDX-License-Identifier: Apache-2.0
 *
 * Decoded pictures in files: PICTURE.npy (uint8 [height, width, 3], RGB, full size) beside the
 * picture. A file older than its picture, or of another size, is written anew. Threads may share
 * it. */
#ifndef NB_DATA_DISK_CACHE_H
#define NB_DATA_DISK_CACHE_H

#include "data/dataset.h"
#include "format/image.h"

/* False: there is no usable file. The pixels live in the arena. */
bool nb_disk_cache_get(const NbSample *sample, NbArena *arena, NbImage *out);

/* A folder that cannot be written, or a full disk, is no error: the picture is decoded again next
 * time. */
void nb_disk_cache_put(const NbSample *sample, const NbImage *image, NbArena *arena);

#endif
