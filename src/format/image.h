/* SPDX-License-Identifier: Apache-2.0
 *
 * Pictures: JPEG (libjpeg-turbo) and PNG (libpng) to 8-bit RGB and back, with the pixels of
 * OpenCV's IMREAD_COLOR: grey and CMYK become RGB, 16-bit samples keep their upper byte, alpha and
 * gamma are dropped, EXIF orientation is applied (PNG's eXIf as well). JPEG decoding uses the
 * accurate DCT and fancy upsampling. A JPEG that is cut off or damaged inside decodes as far as it
 * goes, a PNG fails. The kind is told by the first bytes, not by the name. */
#ifndef NB_FORMAT_IMAGE_H
#define NB_FORMAT_IMAGE_H

#include "base/arena.h"
#include "base/file.h"
#include "base/status.h"

#include <stdint.h>

typedef struct NbImage {
    int width;
    int height;
    uint8_t *rgb; /* [height][width][3] */
} NbImage;

typedef struct NbImageInfo {
    int width; /* after EXIF orientation */
    int height;
    int orientation; /* EXIF 1 to 8 */
    bool jpeg;
    bool truncated_jpeg; /* does not end with FF D9 */
} NbImageInfo;

enum { NB_IMAGE_MAX_PIXELS = 100 * 1000 * 1000 };

NB_FALLIBLE nb_image_decode(const char *path, NbBytes bytes, NbArena *arena, NbImage *out,
                            NbError *err);
NB_FALLIBLE nb_image_read(const char *path, NbArena *arena, NbImage *out, NbError *err);

/* Size and kind from the header alone. */
NB_FALLIBLE nb_image_info(const char *path, NbBytes bytes, NbImageInfo *out, NbError *err);

/* .jpg/.jpeg (quality 1 to 100) or .png by the name; atomically. */
NB_FALLIBLE nb_image_write(const char *path, const NbImage *image, int quality, NbError *err);

#endif
