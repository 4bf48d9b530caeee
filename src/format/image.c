/* SPDX-License-Identifier: Apache-2.0 */
#include "format/image.h"

#include "format/image_codec.h"

#include <string.h>
#include <strings.h>

typedef enum Kind { KIND_JPEG, KIND_PNG, KIND_OTHER } Kind;

/* First bytes of what pictures come in; `other` names what is recognized but not read. */
static const struct {
    Kind kind;
    const char *name;
    const char *magic;
    size_t size;
} kinds[] = {
    {KIND_JPEG, "JPEG", "\xff\xd8\xff", 3}, {KIND_PNG, "PNG", "\x89PNG\r\n\x1a\n", 8},
    {KIND_OTHER, "BMP", "BM", 2},           {KIND_OTHER, "GIF", "GIF8", 4},
    {KIND_OTHER, "WebP", "RIFF", 4},        {KIND_OTHER, "TIFF", "II\x2a\0", 4},
    {KIND_OTHER, "TIFF", "MM\0\x2a", 4},    {KIND_OTHER, "JPEG 2000", "\0\0\0\x0cjP", 6},
};

static NB_FALLIBLE find_kind(NbBytes bytes, Kind *kind, const char **name, NbError *err) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (bytes.size < kinds[i].size || memcmp(bytes.data, kinds[i].magic, kinds[i].size) != 0)
            continue;
        *kind = kinds[i].kind;
        *name = kinds[i].name;
        if (*kind == KIND_OTHER)
            return nb_fail(NB_ERR_UNSUPPORTED, err, "a %s picture, expected JPEG or PNG", *name);
        return NB_OK;
    }
    return nb_fail(NB_ERR_FORMAT, err, "neither JPEG nor PNG (%zu bytes)", bytes.size);
}

/* Kind, size as stored and orientation. */
static NB_FALLIBLE stored_info(NbBytes bytes, Kind *kind, NbImageInfo *out, NbError *err) {
    const char *name = NULL;
    NB_TRY(find_kind(bytes, kind, &name, err));
    if (*kind == KIND_JPEG)
        NB_TRY_IN(nb_jpeg_info(bytes, out, err), err, "%s", name);
    else
        NB_TRY_IN(nb_png_info(bytes, out, err), err, "%s", name);
    if ((int64_t)out->width * out->height > NB_IMAGE_MAX_PIXELS)
        return nb_fail(NB_ERR_FORMAT, err, "%s: %d x %d pixels, expected at most %d", name,
                       out->width, out->height, NB_IMAGE_MAX_PIXELS);
    return NB_OK;
}

NbStatus nb_image_info(const char *path, NbBytes bytes, NbImageInfo *out, NbError *err) {
    Kind kind = KIND_OTHER;
    NB_TRY_IN(stored_info(bytes, &kind, out, err), err, "%s", path);
    if (out->orientation >= 5) {
        const int width = out->width;
        out->width = out->height;
        out->height = width;
    }
    return NB_OK;
}

/* from: width x height as stored; to: upright. Source: Exif 2.32, 4.6.4, tag 0x0112. */
static void turn(const uint8_t *from, int width, int height, int orientation, const NbImage *to) {
    const ptrdiff_t pixel = 3;
    const ptrdiff_t row = pixel * width;
    const ptrdiff_t last = row - pixel;
    const ptrdiff_t end = row * (height - 1);
    /* where the upper left corner lies in `from`, and the steps to the right and down */
    const struct {
        ptrdiff_t start, right, down;
    } way[9] = {
        [1] = {0, pixel, row},
        [2] = {last, -pixel, row},
        [3] = {end + last, -pixel, -row},
        [4] = {end, pixel, -row},
        [5] = {0, row, pixel},
        [6] = {end, -row, pixel},
        [7] = {end + last, -row, -pixel},
        [8] = {last, row, -pixel},
    };
    uint8_t *out = to->rgb;
    for (int y = 0; y < to->height; y++) {
        const uint8_t *in = from + way[orientation].start + y * way[orientation].down;
        for (int x = 0; x < to->width; x++) {
            out[0] = in[0];
            out[1] = in[1];
            out[2] = in[2];
            out += 3;
            if (x + 1 < to->width)
                in += way[orientation].right;
        }
    }
}

static NB_FALLIBLE decode_stored(Kind kind, NbBytes bytes, const NbImageInfo *info, NbArena *arena,
                                 uint8_t *rgb, NbError *err) {
    if (kind == KIND_JPEG)
        NB_TRY_IN(nb_jpeg_decode(bytes, info, arena, rgb, err), err, "JPEG");
    else
        NB_TRY_IN(nb_png_decode(bytes, info, rgb, err), err, "PNG");
    return NB_OK;
}

static NB_FALLIBLE decode_all(NbBytes bytes, NbArena *arena, NbImage *out, NbError *err) {
    Kind kind = KIND_OTHER;
    NbImageInfo info;
    *out = (NbImage){0};
    NB_TRY(stored_info(bytes, &kind, &info, err));
    const bool sideways = info.orientation >= 5;
    const size_t pixels = (size_t)info.width * (size_t)info.height;
    const NbImage upright = {.width = sideways ? info.height : info.width,
                             .height = sideways ? info.width : info.height,
                             .rgb = nb_arena_take(arena, pixels, 3)};
    const NbArenaMark mark = nb_arena_mark(arena);
    uint8_t *const stored = info.orientation == 1 ? upright.rgb : nb_arena_take(arena, pixels, 3);
    if (!upright.rgb || !stored)
        return nb_fail_memory(err, "pixels");
    NB_TRY(decode_stored(kind, bytes, &info, arena, stored, err));
    if (info.orientation != 1)
        turn(stored, info.width, info.height, info.orientation, &upright);
    nb_arena_rewind(arena, mark);
    *out = upright;
    return NB_OK;
}

NbStatus nb_image_decode(const char *path, NbBytes bytes, NbArena *arena, NbImage *out,
                         NbError *err) {
    NB_TRY_IN(decode_all(bytes, arena, out, err), err, "%s", path);
    return NB_OK;
}

NbStatus nb_image_read(const char *path, NbArena *arena, NbImage *out, NbError *err) {
    NbBytes bytes;
    NB_TRY(nb_file_map(path, &bytes, err));
    const NbStatus status = nb_image_decode(path, bytes, arena, out, err);
    nb_file_unmap(bytes);
    return status;
}

NbStatus nb_image_write(const char *path, const NbImage *image, int quality, NbError *err) {
    const char *const suffix = nb_path_suffix(path);
    if (image->width < 1 || image->height < 1 || !image->rgb)
        return nb_fail(NB_ERR_ARGUMENT, err, "%s: a picture of %d x %d pixels", path, image->width,
                       image->height);
    if (strcasecmp(suffix, ".png") == 0)
        return nb_png_write(path, image, err);
    if (strcasecmp(suffix, ".jpg") != 0 && strcasecmp(suffix, ".jpeg") != 0)
        return nb_fail(NB_ERR_UNSUPPORTED, err, "%s: expected a name in .jpg, .jpeg or .png", path);
    if (quality < 1 || quality > 100)
        return nb_fail(NB_ERR_ARGUMENT, err, "%s: quality %d, expected 1 to 100", path, quality);
    return nb_jpeg_write(path, image, quality, err);
}
