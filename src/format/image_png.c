/* SPDX-License-Identifier: Apache-2.0
 *
 * PNG through libpng. Its errors come back by longjmp: everything that lives across one is in a
 * struct, and no function that sets a jump holds a resource. Source: PNG specification, third
 * edition. */
#include "format/image_codec.h"

#include <png.h>
#include <stdio.h>
#include <string.h>

enum {
    SIGNATURE = 8,
    MAX_SIDE = 1 << 20,
    MAX_CHUNKS = 1000, /* text and the like that libpng may keep */
    MAX_CHUNK_BYTES = 8 * 1000 * 1000,
};

static uint32_t big_endian(const unsigned char *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* ---- header ---- */

NbStatus nb_png_info(NbBytes bytes, NbImageInfo *out, NbError *err) {
    *out = (NbImageInfo){.orientation = 1};
    const unsigned char *const p = bytes.data;
    if (bytes.size < 33 || memcmp(p + SIGNATURE, "\0\0\0\x0dIHDR", 8) != 0)
        return nb_fail(NB_ERR_FORMAT, err, "does not begin with an IHDR chunk");
    const uint32_t width = big_endian(p + 16);
    const uint32_t height = big_endian(p + 20);
    if (width == 0 || height == 0 || width > MAX_SIDE || height > MAX_SIDE)
        return nb_fail(NB_ERR_FORMAT, err, "%u x %u pixels, expected 1 to %d each", width, height,
                       MAX_SIDE);
    out->width = (int)width;
    out->height = (int)height;
    for (size_t at = SIGNATURE; bytes.size - at >= 12;) {
        const size_t length = big_endian(p + at);
        if (length > bytes.size - at - 12)
            break;
        if (memcmp(p + at + 4, "eXIf", 4) == 0) {
            out->orientation = nb_exif_orientation((NbBytes){p + at + 8, length});
            break;
        }
        at += length + 12;
    }
    return NB_OK;
}

/* ---- reading ---- */

typedef struct Reader {
    png_structp png;
    png_infop info;
    NbBytes bytes;
    size_t at;
    const NbImageInfo *want;
    uint8_t *rgb;
    char problem[128];
} Reader;

static void on_error(png_structp png, png_const_charp text) {
    Reader *const r = png_get_error_ptr(png);
    (void)snprintf(r->problem, sizeof r->problem, "%s", text);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text) {
    (void)png;
    (void)text;
}

static void take(png_structp png, png_bytep out, size_t n) {
    Reader *const r = png_get_io_ptr(png);
    if (n > r->bytes.size - r->at)
        png_error(png, "the file ends too early");
    memcpy(out, r->bytes.data + r->at, n);
    r->at += n;
}

/* Any kind of pixel to 8-bit RGB: upper byte of 16, grey three times, no alpha, no gamma. */
static void set_transformations(Reader *r) {
    const int colour = png_get_color_type(r->png, r->info);
    if (png_get_bit_depth(r->png, r->info) == 16)
        png_set_strip_16(r->png);
    if (colour == PNG_COLOR_TYPE_PALETTE)
        png_set_palette_to_rgb(r->png);
    if (colour == PNG_COLOR_TYPE_GRAY || colour == PNG_COLOR_TYPE_GRAY_ALPHA) {
        png_set_expand_gray_1_2_4_to_8(r->png);
        png_set_gray_to_rgb(r->png);
    }
    png_set_strip_alpha(r->png);
}

static bool read_rows(Reader *r) {
    if (setjmp(png_jmpbuf(r->png)))
        return false;
    png_set_user_limits(r->png, MAX_SIDE, MAX_SIDE);
    png_set_chunk_cache_max(r->png, MAX_CHUNKS);
    png_set_chunk_malloc_max(r->png, MAX_CHUNK_BYTES);
    png_set_read_fn(r->png, r, take);
    png_read_info(r->png, r->info);
    set_transformations(r);
    const int passes = png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    const size_t row = 3 * (size_t)r->want->width;
    if (png_get_rowbytes(r->png, r->info) != row ||
        png_get_image_height(r->png, r->info) != (png_uint_32)r->want->height)
        png_error(r->png, "rows are not as long as the header says");
    for (int pass = 0; pass < passes; pass++)
        for (int y = 0; y < r->want->height; y++)
            png_read_row(r->png, r->rgb + (size_t)y * row, NULL);
    return true;
}

NbStatus nb_png_decode(NbBytes bytes, const NbImageInfo *info, uint8_t *rgb, NbError *err) {
    Reader r = {.bytes = bytes, .want = info, .rgb = rgb};
    r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning);
    r.info = r.png ? png_create_info_struct(r.png) : NULL;
    const bool ready = r.info != NULL;
    const bool done = ready && read_rows(&r);
    png_destroy_read_struct(&r.png, &r.info, NULL);
    if (!ready)
        return nb_fail_memory(err, "decoder");
    return done ? NB_OK : nb_fail(NB_ERR_FORMAT, err, "%s", r.problem);
}

/* ---- writing ---- */

typedef struct Output {
    png_structp png;
    png_infop info;
    NbWriter *writer;
    const NbImage *image;
    NbStatus status;
    NbError *err;
} Output;

static void on_write_error(png_structp png, png_const_charp text) {
    Output *const o = png_get_error_ptr(png);
    if (o->status == NB_OK)
        o->status = nb_fail(NB_ERR_ARGUMENT, o->err, "PNG: %s", text);
    png_longjmp(png, 1);
}

static void put(png_structp png, png_bytep data, size_t n) {
    Output *const o = png_get_io_ptr(png);
    o->status = nb_writer_put(o->writer, data, n, o->err);
    if (o->status != NB_OK)
        png_error(png, "write");
}

static void flush(png_structp png) { (void)png; }

static void write_rows(Output *o) {
    if (setjmp(png_jmpbuf(o->png)))
        return;
    png_set_write_fn(o->png, o, put, flush);
    png_set_IHDR(o->png, o->info, (png_uint_32)o->image->width, (png_uint_32)o->image->height, 8,
                 PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(o->png, o->info);
    for (int y = 0; y < o->image->height; y++)
        png_write_row(o->png, o->image->rgb + 3 * (size_t)o->image->width * (size_t)y);
    png_write_end(o->png, NULL);
}

NbStatus nb_png_write(const char *path, const NbImage *image, NbError *err) {
    Output o = {.image = image, .err = err, .status = NB_OK};
    NB_TRY(nb_writer_open(path, &o.writer, err));
    o.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &o, on_write_error, on_warning);
    o.info = o.png ? png_create_info_struct(o.png) : NULL;
    if (o.info)
        write_rows(&o);
    else
        o.status = nb_fail_memory(err, path);
    png_destroy_write_struct(&o.png, &o.info);
    if (o.status != NB_OK) {
        nb_writer_cancel(o.writer);
        return o.status;
    }
    return nb_writer_commit(o.writer, err);
}
