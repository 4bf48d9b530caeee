/* SPDX-License-Identifier: Apache-2.0 */
#include "report/canvas.h"

#include "base/text.h"
#include "report/ink.h"

#include <cairo-svg.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef enum Kind { KIND_PNG, KIND_JPEG, KIND_SVG, KIND_MEMORY } Kind;

struct NbCanvas {
    NbArena arena; /* holds this struct's path and nothing else */
    Kind kind;
    const char *path;
    cairo_surface_t *surface;
    cairo_t *cairo;
    cairo_font_face_t *face[2]; /* regular, bold; NULL: no font on this system */
    NbText bytes;               /* what a stream wrote */
};

/* Ordered so that neighbours differ in hue and in lightness. */
static const NbColor palette[NB_PALETTE] = {
    0x2F6FDE, 0xE4572E, 0x1B9E5A, 0x9B4DCA, 0xF2A30F, 0x12A5B8, 0xD6247A,
    0x6B8E23, 0x8C564B, 0x3A3F8F, 0xFF7F7F, 0x00B894, 0xC39A00, 0x5E7CE2,
    0xB5179E, 0x2D6A4F, 0xE07BC8, 0x7F8C8D, 0xA23B2A, 0x4CC9F0,
};

NbColor nb_palette(int64_t index) {
    const int64_t at = index % NB_PALETTE;
    return palette[at < 0 ? at + NB_PALETTE : at];
}

NbColor nb_ink_on(NbColor background) {
    const double r = (double)(background >> 16 & 0xFF);
    const double g = (double)(background >> 8 & 0xFF);
    const double b = (double)(background & 0xFF);
    return 0.299 * r + 0.587 * g + 0.114 * b > 150.0 ? 0x101418 : 0xFFFFFF; /* Rec. 601 luma */
}

static bool kind_of(const char *path, Kind *kind) {
    static const struct {
        const char *suffix;
        Kind kind;
    } known[] = {{".png", KIND_PNG}, {".jpg", KIND_JPEG}, {".jpeg", KIND_JPEG}, {".svg", KIND_SVG}};
    const char *const suffix = nb_path_suffix(path);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcasecmp(suffix, known[i].suffix) == 0) {
            *kind = known[i].kind;
            return true;
        }
    }
    return false;
}

/* The font, when the system has one that can be measured; cairo would otherwise turn the whole
 * canvas into an error at the first text. */
static cairo_font_face_t *font_face(cairo_font_weight_t weight) {
    cairo_font_face_t *face =
        cairo_toy_font_face_create("DejaVu Sans", CAIRO_FONT_SLANT_NORMAL, weight);
    cairo_matrix_t size;
    cairo_matrix_t identity;
    cairo_matrix_init_scale(&size, 12.0, 12.0);
    cairo_matrix_init_identity(&identity);
    cairo_font_options_t *options = cairo_font_options_create();
    cairo_scaled_font_t *font = cairo_scaled_font_create(face, &size, &identity, options);
    cairo_text_extents_t extents = {0};
    cairo_scaled_font_text_extents(font, "x", &extents);
    const bool usable =
        cairo_scaled_font_status(font) == CAIRO_STATUS_SUCCESS && extents.x_advance > 0.0;
    cairo_scaled_font_destroy(font);
    cairo_font_options_destroy(options);
    if (usable)
        return face;
    cairo_font_face_destroy(face);
    return NULL;
}

static cairo_status_t keep_bytes(void *user, const unsigned char *data, unsigned length) {
    NbText *const bytes = user;
    nb_text_put(bytes, (const char *)data, length);
    return bytes->failed ? CAIRO_STATUS_NO_MEMORY : CAIRO_STATUS_SUCCESS;
}

static NB_FALLIBLE check(const NbCanvas *c, cairo_status_t status, NbError *err) {
    if (status == CAIRO_STATUS_SUCCESS)
        return NB_OK;
    return nb_fail(status == CAIRO_STATUS_NO_MEMORY ? NB_ERR_NOMEM : NB_ERR_ARGUMENT, err,
                   "%s: drawing failed: %s", c->path ? c->path : "picture",
                   cairo_status_to_string(status));
}

/* Everything of a canvas but its surface, which it takes over. */
static NB_FALLIBLE start(NbCanvas *c, double scale, NbCanvas **out, NbError *err) {
    NbStatus status = check(c, cairo_surface_status(c->surface), err);
    if (status == NB_OK) {
        c->cairo = cairo_create(c->surface);
        cairo_font_options_t *options = cairo_font_options_create();
        cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
        cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
        cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
        cairo_set_font_options(c->cairo, options);
        cairo_font_options_destroy(options);
        cairo_scale(c->cairo, scale, scale);
        c->face[0] = font_face(CAIRO_FONT_WEIGHT_NORMAL);
        c->face[1] = font_face(CAIRO_FONT_WEIGHT_BOLD);
        status = check(c, cairo_status(c->cairo), err);
    }
    if (status != NB_OK) {
        nb_canvas_cancel(c);
        return status;
    }
    *out = c;
    return NB_OK;
}

NbStatus nb_canvas_open(const char *path, double width, double height, double scale, NbCanvas **out,
                        NbError *err) {
    *out = NULL;
    Kind kind = KIND_PNG;
    if (!kind_of(path, &kind))
        return nb_fail(NB_ERR_ARGUMENT, err, "%s: expected a name in .png, .jpg or .svg", path);
    if (!(width >= 1.0 && width <= 20000.0 && height >= 1.0 && height <= 20000.0))
        return nb_fail(NB_ERR_ARGUMENT, err, "%s: a sheet of %g x %g, expected 1 to 20000", path,
                       width, height);
    NbCanvas *const c = calloc(1, sizeof *c);
    if (!c)
        return nb_fail_memory(err, path);
    c->kind = kind;
    c->path = nb_arena_string(&c->arena, path);
    if (!c->path) {
        nb_canvas_cancel(c);
        return nb_fail_memory(err, path);
    }
    if (scale <= 0.0)
        scale = 2.0;
    if (kind == KIND_SVG) {
        scale = 1.0;
        c->surface = cairo_svg_surface_create_for_stream(keep_bytes, &c->bytes, width, height);
        cairo_svg_surface_set_document_unit(c->surface, CAIRO_SVG_UNIT_PX);
    } else {
        c->surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)ceil(width * scale),
                                                (int)ceil(height * scale));
    }
    NB_TRY(start(c, scale, out, err));
    cairo_set_source_rgb(c->cairo, 1.0, 1.0, 1.0);
    cairo_paint(c->cairo);
    return NB_OK;
}

/* cairo numbers its groups through the life of the process; without that the same drawing is the
 * same file. */
static void drop_group_numbers(NbText *svg) {
    static const char mark[] = "<g id=\"surface";
    const size_t n = sizeof mark - 1;
    size_t out = 0;
    for (size_t i = 0; i < svg->size;) {
        if (svg->size - i > n && memcmp(svg->data + i, mark, n) == 0) {
            const char *const end = memchr(svg->data + i, '>', svg->size - i);
            if (end) {
                memmove(svg->data + out, "<g>", 3);
                out += 3;
                i = (size_t)(end - svg->data) + 1;
                continue;
            }
        }
        svg->data[out++] = svg->data[i++];
    }
    svg->size = out;
}

static NB_FALLIBLE write_file(NbCanvas *c, NbError *err) {
    NB_TRY(check(c, cairo_status(c->cairo), err));
    if (c->kind == KIND_JPEG) {
        NbImage image = {.width = cairo_image_surface_get_width(c->surface),
                         .height = cairo_image_surface_get_height(c->surface)};
        image.rgb = NB_NEW(&c->arena, uint8_t, (size_t)image.width * (size_t)image.height * 3);
        if (!image.rgb)
            return nb_fail_memory(err, c->path);
        nb_canvas_to_image(c, &image);
        return nb_image_write(c->path, &image, 92, err);
    }
    if (c->kind == KIND_PNG) {
        NB_TRY(check(c, cairo_surface_write_to_png_stream(c->surface, keep_bytes, &c->bytes), err));
    } else {
        cairo_surface_finish(c->surface);
        NB_TRY(check(c, cairo_surface_status(c->surface), err));
        if (!c->bytes.failed)
            drop_group_numbers(&c->bytes);
    }
    if (c->bytes.failed)
        return nb_fail_memory(err, c->path);
    return nb_file_write(c->path, c->bytes.data, c->bytes.size, err);
}

NbStatus nb_canvas_commit(NbCanvas *canvas, NbError *err) {
    const NbStatus status = write_file(canvas, err);
    nb_canvas_cancel(canvas);
    return status;
}

void nb_canvas_cancel(NbCanvas *canvas) {
    if (!canvas)
        return;
    for (int i = 0; i < 2; i++)
        if (canvas->face[i])
            cairo_font_face_destroy(canvas->face[i]);
    if (canvas->cairo)
        cairo_destroy(canvas->cairo);
    if (canvas->surface)
        cairo_surface_destroy(canvas->surface);
    nb_text_release(&canvas->bytes);
    nb_arena_release(&canvas->arena);
    free(canvas);
}

NbStatus nb_canvas_from_image(const NbImage *image, NbCanvas **out, NbError *err) {
    *out = NULL;
    NbCanvas *const c = calloc(1, sizeof *c);
    if (!c)
        return nb_fail_memory(err, "drawing on a picture");
    c->kind = KIND_MEMORY;
    c->surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, image->width, image->height);
    NB_TRY(start(c, 1.0, out, err));
    const size_t stride = (size_t)cairo_image_surface_get_stride(c->surface);
    unsigned char *const pixels = cairo_image_surface_get_data(c->surface);
    const uint8_t *rgb = image->rgb;
    for (int y = 0; y < image->height; y++) {
        for (int x = 0; x < image->width; x++, rgb += 3) {
            const uint32_t pixel = (uint32_t)rgb[0] << 16 | (uint32_t)rgb[1] << 8 | rgb[2];
            memcpy(pixels + (size_t)y * stride + (size_t)x * 4, &pixel, sizeof pixel);
        }
    }
    cairo_surface_mark_dirty(c->surface);
    return NB_OK;
}

void nb_canvas_to_image(NbCanvas *canvas, NbImage *image) {
    cairo_surface_flush(canvas->surface);
    const size_t stride = (size_t)cairo_image_surface_get_stride(canvas->surface);
    const unsigned char *const pixels = cairo_image_surface_get_data(canvas->surface);
    uint8_t *rgb = image->rgb;
    for (int y = 0; y < image->height; y++) {
        for (int x = 0; x < image->width; x++, rgb += 3) {
            uint32_t pixel = 0;
            memcpy(&pixel, pixels + (size_t)y * stride + (size_t)x * 4, sizeof pixel);
            rgb[0] = (uint8_t)(pixel >> 16 & 0xFF);
            rgb[1] = (uint8_t)(pixel >> 8 & 0xFF);
            rgb[2] = (uint8_t)(pixel & 0xFF);
        }
    }
}

cairo_t *nb_canvas_cairo(NbCanvas *canvas) { return canvas->cairo; }

cairo_font_face_t *nb_canvas_face(NbCanvas *canvas, bool bold) { return canvas->face[bold]; }
