/* SPDX-License-Identifier: Apache-2.0
 *
 * What image.c needs of each kind of picture; for the files image*.c only. Messages name neither
 * path nor kind: image.c puts both in front. */
#ifndef NB_FORMAT_IMAGE_CODEC_H
#define NB_FORMAT_IMAGE_CODEC_H

#include "format/image.h"

/* Size as stored (before orientation) and orientation (1 when the file says nothing valid). */
NB_FALLIBLE nb_jpeg_info(NbBytes bytes, NbImageInfo *out, NbError *err);
NB_FALLIBLE nb_png_info(NbBytes bytes, NbImageInfo *out, NbError *err);

/* Decodes width * height pixels, as info said, to rgb; scratch memory comes from the arena. */
NB_FALLIBLE nb_jpeg_decode(NbBytes bytes, const NbImageInfo *info, NbArena *arena, uint8_t *rgb,
                           NbError *err);
NB_FALLIBLE nb_png_decode(NbBytes bytes, const NbImageInfo *info, uint8_t *rgb, NbError *err);

/* Writes the file atomically. */
NB_FALLIBLE nb_jpeg_write(const char *path, const NbImage *image, int quality, NbError *err);
NB_FALLIBLE nb_png_write(const char *path, const NbImage *image, NbError *err);

/* Orientation 1 to 8 out of a TIFF block (Exif's body); 1 when there is none or it makes no sense.
 * Source: Exif 2.32, 4.6.2 and 4.6.4 (tag 0x0112 of the first directory). */
int nb_exif_orientation(NbBytes tiff);

#endif
