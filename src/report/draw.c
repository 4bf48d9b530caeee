/* SPDX-License-Identifier: Apache-2.0 */
#include "report/draw.h"

#include "report/ink.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* How large lines and text are on this picture. */
typedef struct Style {
    double line; /* an even number of pixels: with corners on whole pixels the edges are sharp */
    NbFont font;
} Style;

static Style style_for(double side) {
    const double line = fmax(2.0, 2.0 * round(side * 0.001));
    return (Style){.line = line, .font = {.size = fmax(11.0, side * 0.011), .bold = true}};
}

static void box_text(const NbDrawBox *box, const char *const *names, size_t n_names, char *out,
                     size_t size) {
    char number[16];
    (void)snprintf(number, sizeof number, "%d", box->class_index);
    const bool named = names && box->class_index >= 0 && (size_t)box->class_index < n_names;
    const char *const name = named ? names[box->class_index] : number;
    if (box->confidence < 0.0F)
        (void)snprintf(out, size, "%s", name);
    else
        (void)snprintf(out, size, "%s %.2f", name, (double)box->confidence);
}

static void draw_label(NbCanvas *canvas, NbRect area, const NbRect *box, Style style, NbColor color,
                       const char *text) {
    const double width = nb_ink_text_width(canvas, style.font, text);
    if (width == 0.0)
        return;
    const double height = ceil(style.font.size * 1.35);
    NbRect bar = {box->x - style.line / 2.0, box->y - height, width + style.font.size * 0.6,
                  height};
    if (bar.y < area.y) /* no room above: inside */
        bar.y = fmax(box->y, area.y);
    bar.x = fmax(area.x, fmin(bar.x, area.x + area.w - bar.w));
    nb_ink_fill(canvas, bar, color, 1.0);
    style.font.color = nb_ink_on(color);
    nb_ink_text(canvas, bar.x + style.font.size * 0.3, bar.y + height - style.font.size * 0.33,
                NB_LEFT, style.font, text);
}

/* The boxes of one picture that is shown in `area`, `scale` times its size. Frames first, then
 * names, so that no name is crossed by a line. */
static void draw_all(NbCanvas *canvas, NbRect area, double scale, Style style,
                     const NbDrawTile *tile, const char *const *names, size_t n_names) {
    cairo_t *const cr = nb_canvas_cairo(canvas);
    cairo_save(cr);
    cairo_rectangle(cr, area.x, area.y, area.w, area.h);
    cairo_clip(cr);
    for (int label = 0; label < 2; label++) {
        for (size_t i = 0; i < tile->n; i++) {
            const NbDrawBox *const b = &tile->boxes[i];
            if (!isfinite(b->x1) || !isfinite(b->y1) || !isfinite(b->x2) || !isfinite(b->y2))
                continue;
            const double left = round(area.x + (double)b->x1 * scale);
            const double top = round(area.y + (double)b->y1 * scale);
            const NbRect box = {left, top, round(area.x + (double)b->x2 * scale) - left,
                                round(area.y + (double)b->y2 * scale) - top};
            const NbColor color = nb_palette(b->class_index);
            if (label == 0) {
                nb_ink_frame(canvas, box, color, style.line);
                continue;
            }
            char text[200];
            box_text(b, names, n_names, text, sizeof text);
            draw_label(canvas, area, &box, style, color, text);
        }
    }
    cairo_restore(cr);
}

NbStatus nb_draw_boxes(NbImage *image, const NbDrawBox *boxes, size_t n, const char *const *names,
                       size_t n_names, NbError *err) {
    NbCanvas *canvas = NULL;
    NB_TRY(nb_canvas_from_image(image, &canvas, err));
    const NbRect area = {0.0, 0.0, image->width, image->height};
    const NbDrawTile tile = {.boxes = boxes, .n = n};
    draw_all(canvas, area, 1.0, style_for(fmax(area.w, area.h)), &tile, names, n_names);
    nb_canvas_to_image(canvas, image);
    nb_canvas_cancel(canvas);
    return NB_OK;
}

/* The mean of the pixels in [x0, x1) x [y0, y1), not empty, rounded. */
static void mean_pixel(const NbImage *image, int x0, int x1, int y0, int y1, uint8_t out[3]) {
    int64_t sum[3] = {0};
    for (int y = y0; y < y1; y++) {
        const uint8_t *p = image->rgb + ((size_t)y * (size_t)image->width + (size_t)x0) * 3;
        for (int x = x0; x < x1; x++, p += 3)
            for (int k = 0; k < 3; k++)
                sum[k] += p[k];
    }
    const int64_t n = (int64_t)(x1 - x0) * (y1 - y0);
    for (int k = 0; k < 3; k++)
        out[k] = (uint8_t)((sum[k] + n / 2) / n);
}

/* Where pixel i of `to` begins among `from` pixels. */
static int source(int i, int from, int to) { return (int)((int64_t)i * from / to); }

/* Copies a picture into its cell, at most as large as it is, each pixel the mean of those it
 * covers. */
static void place(const NbImage *from, int width, int height, NbImage *to, int left, int top) {
    for (int y = 0; y < height; y++) {
        uint8_t *out = to->rgb + ((size_t)(top + y) * (size_t)to->width + (size_t)left) * 3;
        for (int x = 0; x < width; x++, out += 3)
            mean_pixel(from, source(x, from->width, width), source(x + 1, from->width, width),
                       source(y, from->height, height), source(y + 1, from->height, height), out);
    }
}

typedef struct Grid {
    int columns, rows;
    int cell_w, cell_h;
    double scale;
} Grid;

static Grid plan_grid(const NbDrawTile *tiles, int n) {
    Grid g = {.columns = (int)ceil(sqrt(n)), .cell_w = 1, .cell_h = 1, .scale = 1.0};
    g.rows = (n + g.columns - 1) / g.columns;
    for (int i = 0; i < n; i++) {
        g.cell_w = tiles[i].image.width > g.cell_w ? tiles[i].image.width : g.cell_w;
        g.cell_h = tiles[i].image.height > g.cell_h ? tiles[i].image.height : g.cell_h;
    }
    g.scale = fmin(1.0, fmin(NB_GRID_SIDE / ((double)g.cell_w * g.columns),
                             NB_GRID_SIDE / ((double)g.cell_h * g.rows)));
    g.cell_w = (int)fmax(1.0, floor(g.cell_w * g.scale));
    g.cell_h = (int)fmax(1.0, floor(g.cell_h * g.scale));
    return g;
}

static void caption(NbCanvas *canvas, NbRect area, const char *text) {
    const NbFont font = {.size = 13.0, .color = 0xFFFFFF};
    char fit[200];
    nb_ink_fit_text(canvas, font, text, area.w - 12.0, fit, sizeof fit);
    const double width = nb_ink_text_width(canvas, font, fit);
    if (width == 0.0)
        return;
    nb_ink_fill(canvas, (NbRect){area.x, area.y + area.h - 19.0, width + 10.0, 19.0}, 0x000000,
                0.6);
    nb_ink_text(canvas, area.x + 5.0, area.y + area.h - 5.5, NB_LEFT, font, fit);
}

NbStatus nb_draw_grid(const NbDrawTile *tiles, size_t n, const char *const *names, size_t n_names,
                      NbArena *arena, NbImage *out, NbError *err) {
    const int shown = n < NB_GRID_TILES ? (int)n : NB_GRID_TILES;
    if (shown == 0)
        return nb_fail(NB_ERR_ARGUMENT, err, "a grid of no pictures");
    const Grid g = plan_grid(tiles, shown);
    *out = (NbImage){.width = g.cell_w * g.columns, .height = g.cell_h * g.rows};
    const size_t size = (size_t)out->width * (size_t)out->height * 3;
    out->rgb = NB_NEW(arena, uint8_t, size);
    if (!out->rgb)
        return nb_fail_memory(err, "a grid of pictures");
    memset(out->rgb, 114, size); /* the grey that letterboxing pads with */
    for (int i = 0; i < shown; i++)
        place(&tiles[i].image, (int)fmax(1.0, floor(tiles[i].image.width * g.scale)),
              (int)fmax(1.0, floor(tiles[i].image.height * g.scale)), out, i % g.columns * g.cell_w,
              i / g.columns * g.cell_h);
    NbCanvas *canvas = NULL;
    NB_TRY(nb_canvas_from_image(out, &canvas, err));
    const Style style = {.line = 2.0, .font = {.size = 11.0, .bold = true}};
    for (int i = 0; i < shown; i++) {
        const int left = i % g.columns * g.cell_w;
        const int top = i / g.columns * g.cell_h;
        const NbRect cell = {left, top, g.cell_w, g.cell_h};
        draw_all(canvas, cell, g.scale, style, &tiles[i], names, n_names);
        if (tiles[i].caption)
            caption(canvas, cell, tiles[i].caption);
        nb_ink_frame(canvas, cell, 0xFFFFFF, 2.0);
    }
    nb_canvas_to_image(canvas, out);
    nb_canvas_cancel(canvas);
    return NB_OK;
}
