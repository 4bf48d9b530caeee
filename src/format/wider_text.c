/* SPDX-License-Identifier: Apache-2.0 */
#include "format/wider_text.h"

#include "base/text.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { COLUMNS = 10, INVALID = 7 };

/* The lines of a file, without blanks at their ends. */
typedef struct Lines {
    const char *path;
    const char *at, *end;
    int number; /* of the line that was read last */
    const char *text;
    size_t n;
} Lines;

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

/* false: there is none left. */
static bool next_line(Lines *l) {
    if (l->at >= l->end)
        return false;
    const char *stop = memchr(l->at, '\n', (size_t)(l->end - l->at));
    const char *const after = stop ? stop + 1 : l->end;
    stop = stop ? stop : l->end;
    const char *from = l->at;
    while (from < stop && is_blank(*from))
        from++;
    while (stop > from && is_blank(stop[-1]))
        stop--;
    l->text = from;
    l->n = (size_t)(stop - from);
    l->at = after;
    l->number++;
    return true;
}

/* The numbers of a line, at most `most`; -1: something else is there. */
static int numbers_of(const Lines *l, double *out, int most) {
    const char *at = l->text;
    const char *const end = at + l->n;
    int n = 0;
    while (at < end) {
        const char *stop = at;
        while (stop < end && !is_blank(*stop))
            stop++;
        char word[64];
        const size_t size = (size_t)(stop - at);
        if (n == most || size >= sizeof word)
            return -1;
        memcpy(word, at, size);
        word[size] = '\0';
        if (!nb_parse_double(word, &out[n++]))
            return -1;
        for (at = stop; at < end && is_blank(*at); at++) {
        }
    }
    return n;
}

static NbStatus read_face(Lines *l, const NbWiderImage *image, NbWiderFace *out, NbError *err) {
    double v[COLUMNS] = {0};
    if (!next_line(l))
        return nb_fail(NB_ERR_FORMAT, err, "%s:%d: the file ends before the faces of %.100s do",
                       l->path, l->number, image->name);
    const int n = numbers_of(l, v, COLUMNS);
    if (n < 4)
        return nb_fail(NB_ERR_FORMAT, err,
                       "%s:%d: '%.*s', expected a face: x y w h and up to six attributes", l->path,
                       l->number, (int)(l->n < 60 ? l->n : 60), l->text);
    *out = (NbWiderFace){
        .box = {v[0], v[1], v[2], v[3]}, .invalid = v[INVALID] != 0.0, .line = l->number};
    return NB_OK;
}

/* A picture without faces may be followed by one row of numbers, which says nothing. */
static void skip_empty_face(Lines *l) {
    Lines ahead = *l;
    double v[COLUMNS];
    if (next_line(&ahead) && ahead.n && numbers_of(&ahead, v, COLUMNS) >= 4)
        *l = ahead;
}

static NbStatus read_image(Lines *l, NbArena *arena, NbWiderImage *out, NbError *err) {
    double count = 0.0;
    *out = (NbWiderImage){.name = nb_arena_string_n(arena, l->text, l->n), .line = l->number};
    if (!out->name)
        return nb_fail_memory(err, l->path);
    if (strlen(out->name) != l->n)
        return nb_fail(NB_ERR_FORMAT, err, "%s:%d: a zero byte in a name", l->path, l->number);
    const bool there = next_line(l);
    if (!there || numbers_of(l, &count, 1) != 1 || count < 0.0 || count != floor(count))
        return nb_fail(NB_ERR_FORMAT, err, "%s:%d: '%.*s', expected the number of faces of %.100s",
                       l->path, l->number, there ? (int)(l->n < 60 ? l->n : 60) : 0,
                       there ? l->text : "", out->name);
    /* a row has at least seven bytes */
    if (count > (double)(l->end - l->at) / 7.0 + 1.0)
        return nb_fail(NB_ERR_FORMAT, err, "%s:%d: %.0f faces are more than the file has rows",
                       l->path, l->number, count);
    out->n = (size_t)count;
    out->face = NB_NEW(arena, NbWiderFace, out->n);
    if (!out->face)
        return nb_fail_memory(err, l->path);
    for (size_t i = 0; i < out->n; i++)
        NB_TRY(read_face(l, out, &out->face[i], err));
    if (out->n == 0)
        skip_empty_face(l);
    return NB_OK;
}

/* Pictures there can be at most: every line begins one. */
static size_t count_lines(NbBytes bytes) {
    size_t n = 1;
    for (size_t i = 0; i < bytes.size; i++)
        n += bytes.data[i] == '\n';
    return n;
}

NbStatus nb_wider_text_read(const char *path, NbBytes bytes, NbArena *arena, NbWiderText *out,
                            NbError *err) {
    *out = (NbWiderText){0};
    Lines l = {
        .path = path, .at = (const char *)bytes.data, .end = (const char *)bytes.data + bytes.size};
    if (bytes.size == 0)
        return nb_fail(NB_ERR_FORMAT, err, "%s: the file is empty", path);
    out->image = NB_NEW(arena, NbWiderImage, count_lines(bytes) / 2 + 1);
    if (!out->image)
        return nb_fail_memory(err, path);
    while (next_line(&l)) {
        if (l.n == 0)
            continue;
        NB_TRY(read_image(&l, arena, &out->image[out->n], err));
        out->n++;
    }
    return NB_OK;
}

NbStatus nb_wider_text_write(const char *path, const NbWiderText *text, NbError *err) {
    NbText t = {0};
    for (size_t i = 0; i < text->n; i++) {
        const NbWiderImage *const image = &text->image[i];
        nb_text_printf(&t, "%s\n%zu\n", image->name, image->n);
        for (size_t k = 0; k < image->n; k++) {
            const double *const b = image->face[k].box;
            nb_text_printf(&t, "%.0f %.0f %.0f %.0f 0 0 0 %d 0 0 \n", rint(b[0]) + 0.0,
                           rint(b[1]) + 0.0, rint(b[2]), rint(b[3]), image->face[k].invalid);
        }
        if (image->n == 0)
            nb_text_printf(&t, "0 0 0 0 0 0 0 0 0 0 \n");
    }
    const NbStatus status = t.failed ? nb_fail_memory(err, path)
                                     : nb_file_write(path, t.data ? t.data : "", t.size, err);
    nb_text_release(&t);
    return status;
}
