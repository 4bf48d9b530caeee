/* SPDX-License-Identifier: Apache-2.0
 *
 * What steps do, a range of output rows at a time. Whoever writes rows of a plane also writes the
 * border beside them: planes share memory, so that a border does not last. */
#include "engine/plan.h"

#include <string.h>

/* Rows [row, end) of the output that an item computes. */
typedef struct Rows {
    int row;
    int end;
} Rows;

static Rows rows_of(const NbStep *s, int chunk) {
    const int row = chunk * s->rows;
    return (Rows){.row = row, .end = row + s->rows < s->height ? row + s->rows : s->height};
}

static void fill_rows(const NbPlane *p, int row, int end) {
    if (row < end)
        memset(nb_plane_at(p, row, -p->border[1]), p->zero, (size_t)(end - row) * nb_plane_row(p));
}

/* The border beside the rows, and above or below when they are the first or last ones. */
static void fill_border(const NbPlane *p, Rows r) {
    const size_t left = (size_t)p->border[1] * (size_t)p->pixel;
    const size_t right = (size_t)p->border[3] * (size_t)p->pixel;
    if (r.row == 0)
        fill_rows(p, -p->border[0], 0);
    if (r.end == p->height)
        fill_rows(p, p->height, p->height + p->border[2]);
    for (int y = r.row; y < r.end && left + right > 0; y++) {
        memset(nb_plane_at(p, y, -p->border[1]), p->zero, left);
        memset(nb_plane_at(p, y, p->width), p->zero, right);
    }
}

void nb_step_input(void *user, int item, int worker) {
    (void)worker;
    const NbStep *s = user;
    const Rows r = rows_of(s, item);
    const size_t bytes = (size_t)s->out->width * (size_t)s->out->pixel;
    fill_border(s->out, r);
    for (int y = r.row; y < r.end; y++)
        memcpy(nb_plane_at(s->out, y, 0), s->engine->image + (size_t)y * bytes, bytes);
}

void nb_step_conv(void *user, int item, int worker) {
    (void)worker;
    const NbStep *s = user;
    const int chunks = s->items / s->n_blocks;
    const Rows r = rows_of(s, item % chunks);
    if (item < chunks && s->out)
        fill_border(s->out, r);
    s->engine->kernels->conv_rows(&s->block[item / chunks], r.row, r.end);
}

/* The maximum over one window of rows and columns, cut where it leaves the plane. */
static void maximum(const NbPlane *in, const NbPoolAttr *a, int y, int x, uint8_t *to) {
    const int top = y * a->stride[0] - a->pad[0];
    const int left = x * a->stride[1] - a->pad[1];
    const int bottom = top + a->kernel[0] < in->height ? top + a->kernel[0] : in->height;
    const int right = left + a->kernel[1] < in->width ? left + a->kernel[1] : in->width;
    memset(to, 0, (size_t)in->channels);
    for (int v = top < 0 ? 0 : top; v < bottom; v++)
        for (int u = left < 0 ? 0 : left; u < right; u++)
            nb_bytes_max(to, nb_plane_at(in, v, u), (size_t)in->channels);
}

void nb_step_maxpool(void *user, int item, int worker) {
    (void)worker;
    const NbStep *s = user;
    const Rows r = rows_of(s, item);
    fill_border(s->out, r);
    for (int y = r.row; y < r.end; y++)
        for (int x = 0; x < s->out->width; x++)
            maximum(s->in[0], &s->attr.pool, y, x, nb_plane_at(s->out, y, x));
}

void nb_step_upsample(void *user, int item, int worker) {
    (void)worker;
    const NbStep *s = user;
    const Rows r = rows_of(s, item);
    const int factor = s->attr.upsample.factor;
    fill_border(s->out, r);
    for (int y = r.row; y < r.end; y++)
        for (int x = 0; x < s->out->width; x++)
            memcpy(nb_plane_at(s->out, y, x), nb_plane_at(s->in[0], y / factor, x / factor),
                   (size_t)s->out->channels);
}

static void shift_bytes(uint8_t *to, const uint8_t *from, int n, int delta) {
    for (int i = 0; i < n; i++)
        to[i] = (uint8_t)(from[i] + delta);
}

/* Copies what an input holds of output row y to where it belongs in the joined plane. */
static void join_row(const NbStep *s, const NbPlane *in, const int at[3], int y) {
    if (y < at[1] || y >= at[1] + in->height)
        return;
    for (int x = 0; x < in->width; x++)
        shift_bytes(nb_plane_at(s->out, y, at[2] + x) + at[0], nb_plane_at(in, y - at[1], x),
                    in->channels, s->out->zero - in->zero);
}

void nb_step_concat(void *user, int item, int worker) {
    (void)worker;
    const NbStep *s = user;
    const Rows r = rows_of(s, item);
    fill_border(s->out, r);
    for (int y = r.row; y < r.end; y++) {
        int at[3] = {0}; /* channel, row, column of the next input */
        for (int i = 0; i < s->n_in; i++) {
            const int size[3] = {s->in[i]->channels, s->in[i]->height, s->in[i]->width};
            join_row(s, s->in[i], at, y);
            at[s->attr.concat.axis - 1] += size[s->attr.concat.axis - 1];
        }
    }
}

void nb_step_pad(void *user, int item, int worker) {
    (void)worker;
    const NbStep *s = user;
    const NbPlane *in = s->in[0];
    const Rows r = rows_of(s, item);
    const int *pad = s->attr.pad.pad;
    fill_border(s->out, r);
    for (int y = r.row; y < r.end; y++) {
        memset(nb_plane_at(s->out, y, 0), s->out->zero,
               (size_t)s->out->width * (size_t)s->out->pixel);
        for (int x = 0; x < in->width && y >= pad[0] && y < pad[0] + in->height; x++)
            memcpy(nb_plane_at(s->out, y, pad[1] + x), nb_plane_at(in, y - pad[0], x),
                   (size_t)in->channels);
    }
}

/* The sum of the input bytes of one number. */
static int sum_at(const NbStep *s, int y, int x, int c) {
    int sum = 0;
    for (int i = 0; i < s->n_in; i++)
        sum += nb_plane_at(s->in[i], y, x)[c];
    return sum;
}

void nb_step_threshold(void *user, int item, int worker) {
    (void)worker;
    const NbStep *s = user;
    const Rows r = rows_of(s, item);
    fill_border(s->out, r);
    for (int y = r.row; y < r.end; y++)
        for (int x = 0; x < s->out->width; x++)
            for (int c = 0; c < s->out->channels; c++)
                nb_plane_at(s->out, y, x)[c] =
                    s->table[(size_t)c * (size_t)s->table_size + (size_t)sum_at(s, y, x, c)];
}

void nb_step_add(void *user, int item, int worker) {
    (void)worker;
    const NbStep *s = user;
    const Rows r = rows_of(s, item);
    fill_border(s->out, r);
    for (int y = r.row; y < r.end; y++)
        for (int x = 0; x < s->out->width; x++)
            for (int c = 0; c < s->out->channels; c++)
                nb_plane_at(s->out, y, x)[c] = (uint8_t)sum_at(s, y, x, c);
}

void nb_step_dequant(void *user, int item, int worker) {
    (void)worker;
    const NbStep *s = user;
    const Rows r = rows_of(s, item);
    const int channels = s->in[0]->channels;
    int zero = 0;
    for (int i = 0; i < s->n_in; i++)
        zero += s->in[i]->zero;
    float *to = s->real + (size_t)r.row * (size_t)s->in[0]->width * (size_t)channels;
    for (int y = r.row; y < r.end; y++)
        for (int x = 0; x < s->in[0]->width; x++)
            for (int c = 0; c < channels; c++) {
                const float product = (float)(sum_at(s, y, x, c) - zero) * s->scale[c];
                *to++ = s->bias ? product + s->bias[c] : product;
            }
}
