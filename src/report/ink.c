/* SPDX-License-Identifier: Apache-2.0 */
#include "report/ink.h"

#include <math.h>
#include <string.h>

enum { TEXT_MAX = 512 };

void nb_ink_color(NbCanvas *canvas, NbColor color, double alpha) {
    cairo_set_source_rgba(nb_canvas_cairo(canvas), (double)(color >> 16 & 0xFF) / 255.0,
                          (double)(color >> 8 & 0xFF) / 255.0, (double)(color & 0xFF) / 255.0,
                          alpha);
}

void nb_ink_fill(NbCanvas *canvas, NbRect r, NbColor color, double alpha) {
    cairo_t *const cr = nb_canvas_cairo(canvas);
    nb_ink_color(canvas, color, alpha);
    cairo_rectangle(cr, r.x, r.y, r.w, r.h);
    cairo_fill(cr);
}

void nb_ink_frame(NbCanvas *canvas, NbRect r, NbColor color, double width) {
    cairo_t *const cr = nb_canvas_cairo(canvas);
    nb_ink_color(canvas, color, 1.0);
    cairo_set_line_width(cr, width);
    cairo_rectangle(cr, r.x, r.y, r.w, r.h);
    cairo_stroke(cr);
}

void nb_ink_line(NbCanvas *canvas, double x1, double y1, double x2, double y2, NbColor color,
                 double width) {
    cairo_t *const cr = nb_canvas_cairo(canvas);
    nb_ink_color(canvas, color, 1.0);
    cairo_set_line_width(cr, width);
    cairo_move_to(cr, x1, y1);
    cairo_line_to(cr, x2, y2);
    cairo_stroke(cr);
}

static bool use_font(NbCanvas *canvas, NbFont font) {
    cairo_font_face_t *const face = nb_canvas_face(canvas, font.bold);
    if (!face)
        return false;
    cairo_set_font_face(nb_canvas_cairo(canvas), face);
    cairo_set_font_size(nb_canvas_cairo(canvas), font.size);
    return true;
}

/* Bytes of the UTF-8 character at `at`, 0 when it is not one (RFC 3629). `at` is terminated. */
static size_t character(const unsigned char *at) {
    if (*at < 0x80)
        return 1;
    const size_t n = *at >= 0xF0 ? 4 : *at >= 0xE0 ? 3 : 2;
    if (*at < 0xC2 || *at > 0xF4)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    const bool too_long = (*at == 0xE0 && at[1] < 0xA0) || (*at == 0xF0 && at[1] < 0x90);
    const bool surrogate = *at == 0xED && at[1] >= 0xA0;
    const bool too_high = *at == 0xF4 && at[1] >= 0x90;
    return too_long || surrogate || too_high ? 0 : n;
}

/* As much of text as fits, with '?' for what is not UTF-8: cairo would turn the whole canvas into
 * an error. */
static void valid_text(const char *text, char *out, size_t size) {
    size_t n = 0;
    for (const unsigned char *at = (const unsigned char *)text; *at;) {
        const size_t length = character(at);
        const size_t room = length ? length : 1;
        if (n + room + 1 > size)
            break;
        if (length)
            memcpy(out + n, at, length);
        else
            out[n] = '?';
        n += room;
        at += room;
    }
    out[n] = '\0';
}

double nb_ink_text_width(NbCanvas *canvas, NbFont font, const char *text) {
    char valid[TEXT_MAX];
    if (!use_font(canvas, font))
        return 0.0;
    valid_text(text, valid, sizeof valid);
    cairo_text_extents_t extents = {0};
    cairo_text_extents(nb_canvas_cairo(canvas), valid, &extents);
    return extents.x_advance;
}

void nb_ink_text(NbCanvas *canvas, double x, double y, NbAlign align, NbFont font,
                 const char *text) {
    cairo_t *const cr = nb_canvas_cairo(canvas);
    char valid[TEXT_MAX];
    if (!use_font(canvas, font))
        return;
    valid_text(text, valid, sizeof valid);
    double left = x;
    if (align != NB_LEFT) {
        const double width = nb_ink_text_width(canvas, font, valid);
        left -= align == NB_CENTER ? width / 2.0 : width;
    }
    nb_ink_color(canvas, font.color, 1.0);
    cairo_move_to(cr, left, y);
    cairo_show_text(cr, valid);
    cairo_new_path(cr);
}

void nb_ink_text_up(NbCanvas *canvas, double x, double y, NbAlign align, NbFont font,
                    const char *text) {
    cairo_t *const cr = nb_canvas_cairo(canvas);
    cairo_save(cr);
    cairo_translate(cr, x, y);
    cairo_rotate(cr, -M_PI / 2.0);
    nb_ink_text(canvas, 0.0, 0.0, align, font, text);
    cairo_restore(cr);
}

void nb_ink_fit_text(NbCanvas *canvas, NbFont font, const char *text, double width, char *out,
                     size_t size) {
    static const char dots[] = "...";
    valid_text(text, out, size - sizeof dots);
    size_t n = strlen(out);
    if (strlen(text) == n && nb_ink_text_width(canvas, font, out) <= width)
        return;
    for (;;) {
        memcpy(out + n, dots, sizeof dots);
        if (n == 0 || nb_ink_text_width(canvas, font, out) <= width)
            return;
        do
            n--;
        while (n > 0 && ((unsigned char)out[n] & 0xC0) == 0x80);
    }
}
