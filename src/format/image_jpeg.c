/* SPDX-License-Identifier: Apache-2.0
 *
 * JPEG through TurboJPEG, which keeps its errors to itself. Source of the marker layout: ITU-T
 * T.81, annex B. */
#include "format/image_codec.h"

#include <string.h>
#include <turbojpeg.h>

enum {
    MARKER_TEM = 0x01,
    MARKER_RST0 = 0xd0,
    MARKER_SOI = 0xd8,
    MARKER_EOI = 0xd9,
    MARKER_SOS = 0xda,
    MARKER_APP1 = 0xe1,
};

/* ---- markers ---- */

typedef struct Segment {
    int marker;
    const unsigned char *body; /* behind the length */
    size_t size;
} Segment;

/* The next marker and its segment. Bytes before it that are no marker are skipped, as libjpeg does.
 * false: the file ends. */
static bool next_segment(NbBytes bytes, size_t *at, Segment *out) {
    const unsigned char *const p = bytes.data;
    for (;;) {
        while (*at < bytes.size && p[*at] != 0xff)
            (*at)++;
        while (*at < bytes.size && p[*at] == 0xff)
            (*at)++;
        if (*at >= bytes.size)
            return false;
        if (p[*at] != 0)
            break;
    }
    *out = (Segment){.marker = p[(*at)++]};
    if (out->marker == MARKER_TEM || (out->marker >= MARKER_RST0 && out->marker <= MARKER_EOI))
        return true;
    if (bytes.size - *at < 2)
        return false;
    const size_t length = (size_t)p[*at] << 8 | p[*at + 1];
    if (length < 2 || length > bytes.size - *at)
        return false;
    out->body = p + *at + 2;
    out->size = length - 2;
    *at += length;
    return true;
}

/* A start of frame: C0 to CF without DHT (C4), JPG (C8), DAC (CC). */
static bool is_frame(int marker) {
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

static NB_FALLIBLE frame_size(const Segment *s, NbImageInfo *out, NbError *err) {
    if (s->size < 6)
        return nb_fail(NB_ERR_FORMAT, err, "frame header of %zu bytes, expected at least 6",
                       s->size);
    if (s->body[0] != 8)
        return nb_fail(NB_ERR_UNSUPPORTED, err, "%d bits a sample, expected 8", s->body[0]);
    out->height = s->body[1] << 8 | s->body[2];
    out->width = s->body[3] << 8 | s->body[4];
    return NB_OK;
}

NbStatus nb_jpeg_info(NbBytes bytes, NbImageInfo *out, NbError *err) {
    static const char exif[6] = "Exif\0";
    size_t at = 2; /* SOI */
    bool oriented = false;
    Segment s;
    *out = (NbImageInfo){.orientation = 1, .jpeg = true};
    out->truncated_jpeg =
        bytes.data[bytes.size - 2] != 0xff || bytes.data[bytes.size - 1] != MARKER_EOI;
    while (next_segment(bytes, &at, &s) && s.marker != MARKER_SOS && s.marker != MARKER_EOI) {
        if (is_frame(s.marker) && out->width == 0)
            NB_TRY(frame_size(&s, out, err));
        if (s.marker == MARKER_APP1 && !oriented && s.size >= sizeof exif &&
            memcmp(s.body, exif, sizeof exif) == 0) {
            oriented = true;
            out->orientation =
                nb_exif_orientation((NbBytes){s.body + sizeof exif, s.size - sizeof exif});
        }
    }
    if (out->width == 0 || out->height == 0)
        return nb_fail(NB_ERR_FORMAT, err, "no frame header with a size before the picture data");
    return NB_OK;
}

/* ---- decoding ---- */

/* Inverted CMYK, as Adobe stores it, to RGB with the integers OpenCV uses. */
static void cmyk_to_rgb(const uint8_t *cmyk, size_t pixels, uint8_t *rgb) {
    for (size_t i = 0; i < pixels; i++) {
        const int k = cmyk[4 * i + 3];
        for (int c = 0; c < 3; c++)
            rgb[3 * i + c] = (uint8_t)(k - ((255 - cmyk[4 * i + c]) * k >> 8));
    }
}

/* Warnings (truncated or damaged data) leave a picture, the rest does not. */
static NB_FALLIBLE decompress(tjhandle handle, NbBytes bytes, const NbImageInfo *info, int format,
                              uint8_t *pixels, NbError *err) {
    const int failed = tjDecompress2(handle, bytes.data, bytes.size, pixels, info->width, 0,
                                     info->height, format, TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS);
    if (failed && tjGetErrorCode(handle) != TJERR_WARNING)
        return nb_fail(NB_ERR_FORMAT, err, "%s", tjGetErrorStr2(handle));
    return NB_OK;
}

static NB_FALLIBLE decode_with(tjhandle handle, NbBytes bytes, const NbImageInfo *info,
                               NbArena *arena, uint8_t *rgb, NbError *err) {
    int width = 0;
    int height = 0;
    int subsampling = 0;
    int space = -1;
    /* Fails for unusual subsampling, which decoding can do; what counts is size and colours. */
    (void)tjDecompressHeader3(handle, bytes.data, bytes.size, &width, &height, &subsampling,
                              &space);
    if (space < 0)
        return nb_fail(NB_ERR_FORMAT, err, "%s", tjGetErrorStr2(handle));
    if (width != info->width || height != info->height)
        return nb_fail(NB_ERR_FORMAT, err,
                       "%d x %d pixels in the frame header, decoder finds %d x "
                       "%d",
                       info->width, info->height, width, height);
    if (space != TJCS_CMYK && space != TJCS_YCCK)
        return decompress(handle, bytes, info, TJPF_RGB, rgb, err);
    const size_t pixels = (size_t)width * (size_t)height;
    uint8_t *const cmyk = nb_arena_take(arena, pixels, 4);
    if (!cmyk)
        return nb_fail_memory(err, "CMYK pixels");
    NB_TRY(decompress(handle, bytes, info, TJPF_CMYK, cmyk, err));
    cmyk_to_rgb(cmyk, pixels, rgb);
    return NB_OK;
}

NbStatus nb_jpeg_decode(NbBytes bytes, const NbImageInfo *info, NbArena *arena, uint8_t *rgb,
                        NbError *err) {
    tjhandle handle = tjInitDecompress();
    if (!handle)
        return nb_fail_memory(err, "decoder");
    const NbStatus status = decode_with(handle, bytes, info, arena, rgb, err);
    (void)tjDestroy(handle);
    return status;
}

/* ---- writing ---- */

NbStatus nb_jpeg_write(const char *path, const NbImage *image, int quality, NbError *err) {
    tjhandle handle = tjInitCompress();
    if (!handle)
        return nb_fail_memory(err, "encoder");
    unsigned char *bytes = NULL;
    unsigned long size = 0;
    NbStatus status = NB_OK;
    if (tjCompress2(handle, image->rgb, image->width, 0, image->height, TJPF_RGB, &bytes, &size,
                    TJSAMP_420, quality, TJFLAG_ACCURATEDCT))
        status = nb_fail(NB_ERR_ARGUMENT, err, "%s: %s", path, tjGetErrorStr2(handle));
    if (status == NB_OK)
        status = nb_file_write(path, bytes, size, err);
    tjFree(bytes);
    (void)tjDestroy(handle);
    return status;
}
