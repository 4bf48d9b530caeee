/* SPDX-License-Identifier: Apache-2.0
 *
 * Folders of text files, one a picture, as Object-Detection-Metrics reads them. */
#include "eval/voc.h"

#include "base/file.h"
#include "base/text.h"

#include <math.h>
#include <string.h>

enum { MAX_FILES = 10000000, MAX_WORDS = 7 };

/* Classes seen so far. */
typedef struct Names {
    const char **name;
    int n, room;
} Names;

/* One file: its lines as boxes. */
typedef struct Boxes {
    NbDetection *box;
    bool *difficult;
    size_t n;
} Boxes;

static NB_FALLIBLE class_of(Names *names, const char *word, NbArena *arena, int *cls,
                            NbError *err) {
    for (*cls = 0; *cls < names->n; ++*cls)
        if (strcmp(names->name[*cls], word) == 0)
            return NB_OK;
    if (names->n == names->room) {
        const int room = names->room ? 2 * names->room : 64;
        const char **const more = NB_NEW(arena, const char *, (size_t)room);
        if (!more)
            return nb_fail_memory(err, "class names");
        if (names->n)
            memcpy(more, names->name, (size_t)names->n * sizeof *more);
        names->name = more;
        names->room = room;
    }
    names->name[names->n] = nb_arena_string(arena, word);
    return names->name[names->n++] ? NB_OK : nb_fail_memory(err, "class names");
}

/* Splits a line, in place, at blanks; returns how many words there are (MAX_WORDS at most). */
static int split(char *line, char *word[MAX_WORDS]) {
    int n = 0;
    char *rest = line;
    while (n < MAX_WORDS) {
        rest += strspn(rest, " \t\r");
        if (*rest == '\0')
            break;
        word[n++] = rest;
        rest += strcspn(rest, " \t\r");
        if (*rest != '\0')
            *rest++ = '\0';
    }
    return n;
}

/* words: numbers of a line: [confidence] left top width height. */
static NB_FALLIBLE read_numbers(char *const *word, bool with_conf, NbDetection *d, NbError *err) {
    double v[5] = {1.0, 0, 0, 0, 0};
    for (int i = with_conf ? 0 : 1; i < 5; i++) {
        const char *const text = word[with_conf ? i : i - 1];
        if (!nb_parse_double(text, &v[i]) || !isfinite((float)v[i]))
            return nb_fail(NB_ERR_FORMAT, err, "'%s', expected a number", text);
    }
    d->conf = (float)v[0];
    d->xyxy[0] = (float)v[1];
    d->xyxy[1] = (float)v[2];
    d->xyxy[2] = (float)(v[1] + v[3]);
    d->xyxy[3] = (float)(v[2] + v[4]);
    return NB_OK;
}

static NB_FALLIBLE read_line(char *line, bool with_conf, Names *names, NbArena *arena, Boxes *out,
                             NbError *err) {
    char *word[MAX_WORDS];
    const int n = split(line, word);
    const int want = with_conf ? 6 : 5;
    const bool difficult = !with_conf && n == want + 1 && strcmp(word[want], "difficult") == 0;
    if (n == 0)
        return NB_OK;
    if (n != want && !difficult)
        return nb_fail(NB_ERR_FORMAT, err, "%d words, expected class%s left top width height", n,
                       with_conf ? " confidence" : "");
    NbDetection *const d = &out->box[out->n];
    NB_TRY(read_numbers(word + 1, with_conf, d, err));
    NB_TRY(class_of(names, word[0], arena, &d->cls, err));
    out->difficult[out->n++] = difficult;
    return NB_OK;
}

static NB_FALLIBLE read_file(const char *path, bool with_conf, Names *names, NbArena *arena,
                             Boxes *out, NbError *err) {
    NbBytes bytes;
    NB_TRY(nb_file_read(path, 0, arena, &bytes, err));
    char *const text = nb_arena_string_n(arena, (const char *)bytes.data, bytes.size);
    size_t lines = 1;
    for (size_t i = 0; i < bytes.size; i++)
        lines += bytes.data[i] == '\n';
    out->box = NB_NEW(arena, NbDetection, lines);
    out->difficult = NB_NEW(arena, bool, lines);
    if (!text || !out->box || !out->difficult)
        return nb_fail_memory(err, path);
    if (memchr(text, 0, bytes.size))
        return nb_fail(NB_ERR_FORMAT, err, "%s: a zero byte, expected text", path);
    char *line = text;
    for (size_t number = 1; line; number++) {
        char *const end = strchr(line, '\n');
        if (end)
            *end = '\0';
        NB_TRY_IN(read_line(line, with_conf, names, arena, out, err), err, "%s:%zu", path, number);
        line = end ? end + 1 : NULL;
    }
    return NB_OK;
}

static NB_FALLIBLE read_labels(char *const *path, NbArena *arena, Names *names, NbVocSet *out,
                               NbError *err) {
    for (size_t i = 0; i < out->n_images; i++) {
        Boxes boxes = {0};
        NB_TRY(read_file(path[i], false, names, arena, &boxes, err));
        out->image[i].label = boxes.box;
        out->image[i].difficult = boxes.difficult;
        out->image[i].n_labels = boxes.n;
        out->image_name[i] = nb_path_stem(arena, path[i]);
        if (!out->image_name[i])
            return nb_fail_memory(err, path[i]);
    }
    return NB_OK;
}

/* Both lists are sorted, so that one walk pairs them. */
static NB_FALLIBLE read_detections(char *const *path, size_t n, NbArena *arena, Names *names,
                                   NbVocSet *out, NbError *err) {
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        const char *const stem = nb_path_stem(arena, path[i]);
        if (!stem)
            return nb_fail_memory(err, path[i]);
        while (at < out->n_images && strcmp(out->image_name[at], stem) < 0)
            at++;
        if (at == out->n_images || strcmp(out->image_name[at], stem) != 0)
            return nb_fail(NB_ERR_FORMAT, err, "%s: no file of labels of that name", path[i]);
        Boxes boxes = {0};
        NB_TRY(read_file(path[i], true, names, arena, &boxes, err));
        out->image[at].detection = boxes.box;
        out->image[at].n_detections = boxes.n;
    }
    return NB_OK;
}

NbStatus nb_voc_read_folders(const char *labels, const char *detections, NbArena *arena,
                             NbVocSet *out, NbError *err) {
    char **label_path = NULL;
    char **found_path = NULL;
    size_t n_found = 0;
    *out = (NbVocSet){0};
    NB_TRY(nb_folder_list(labels, false, MAX_FILES, arena, &label_path, &out->n_images, err));
    NB_TRY(nb_folder_list(detections, false, MAX_FILES, arena, &found_path, &n_found, err));
    if (out->n_images == 0)
        return nb_fail(NB_ERR_FORMAT, err, "%s: no files, expected one for each picture", labels);
    out->image = NB_NEW(arena, NbVocImage, out->n_images);
    out->image_name = NB_NEW(arena, const char *, out->n_images);
    if (!out->image || !out->image_name)
        return nb_fail_memory(err, labels);
    Names names = {0};
    NB_TRY(read_labels(label_path, arena, &names, out, err));
    NB_TRY(read_detections(found_path, n_found, arena, &names, out, err));
    out->class_name = names.name;
    out->nc = names.n;
    return NB_OK;
}
