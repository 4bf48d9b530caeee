/* SPDX-License-Identifier: Apache-2.0 */
#include "format/coco.h"

#include "format/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An element of a list in a file, for messages. */
typedef struct Place {
    const char *path, *list;
    size_t index;
} Place;

#define PLACE_FORMAT "%s: %s[%zu]"
#define PLACE_ARGS(p) (p)->path, (p)->list, (p)->index

static const char *kind_of(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "a list";
    case JSON_STRING: return "a string";
    case JSON_INTEGER:
    case JSON_REAL: return "a number";
    case JSON_TRUE:
    case JSON_FALSE: return "a boolean";
    case JSON_NULL: break;
    }
    return "null";
}

static NB_FALLIBLE expect_object(const Place *at, const json_t *value, NbError *err) {
    return json_is_object(value)
               ? NB_OK
               : nb_fail(NB_ERR_FORMAT, err, PLACE_FORMAT ": %s, expected an object",
                         PLACE_ARGS(at), kind_of(value));
}

/* A whole number; some writers put 42.0. */
static NB_FALLIBLE get_id(const Place *at, const json_t *object, const char *key, int64_t *out,
                          NbError *err) {
    const json_t *const value = json_object_get(object, key);
    if (!value)
        return nb_fail(NB_ERR_FORMAT, err, PLACE_FORMAT ": no '%s'", PLACE_ARGS(at), key);
    if (json_is_integer(value)) {
        *out = json_integer_value(value);
        return NB_OK;
    }
    const double real = json_real_value(value); /* 0 for what is no real */
    if (!json_is_real(value))
        return nb_fail(NB_ERR_FORMAT, err, PLACE_FORMAT ": '%s' is %s, expected a whole number",
                       PLACE_ARGS(at), key, kind_of(value));
    if (real != floor(real) || fabs(real) > 0x1p53)
        return nb_fail(NB_ERR_FORMAT, err, PLACE_FORMAT ": '%s' is %g, expected a whole number",
                       PLACE_ARGS(at), key, real);
    *out = (int64_t)real;
    return NB_OK;
}

static NB_FALLIBLE get_number(const Place *at, const json_t *object, const char *key, double *out,
                              NbError *err) {
    const json_t *const value = json_object_get(object, key);
    if (!json_is_number(value))
        return nb_fail(NB_ERR_FORMAT, err, PLACE_FORMAT ": '%s' is %s, expected a number",
                       PLACE_ARGS(at), key, value ? kind_of(value) : "missing");
    *out = json_number_value(value);
    return NB_OK;
}

static NB_FALLIBLE get_box(const Place *at, const json_t *object, double xywh[4], NbError *err) {
    const json_t *const box = json_object_get(object, "bbox");
    if (!json_is_array(box) || json_array_size(box) != 4)
        return nb_fail(NB_ERR_FORMAT, err,
                       PLACE_FORMAT ": 'bbox' is %s of %zu, expected [left, top, width, height]",
                       PLACE_ARGS(at), box ? kind_of(box) : "missing, a list",
                       json_array_size(box));
    for (size_t i = 0; i < 4; i++) {
        const json_t *const value = json_array_get(box, i);
        if (!json_is_number(value))
            return nb_fail(NB_ERR_FORMAT, err, PLACE_FORMAT ": bbox[%zu] is %s, expected a number",
                           PLACE_ARGS(at), i, kind_of(value));
        xywh[i] = json_number_value(value);
    }
    return NB_OK;
}

static NB_FALLIBLE get_list(const char *path, const json_t *root, const char *name,
                            const json_t **out, NbError *err) {
    *out = json_object_get(root, name);
    if (!json_is_array(*out))
        return nb_fail(NB_ERR_FORMAT, err, "%s: '%s' is %s, expected a list", path, name,
                       *out ? kind_of(*out) : "missing");
    return NB_OK;
}

/* ---- ids that may come once only ---- */

typedef struct Numbered {
    int64_t id;
    size_t index;
} Numbered;

static int by_id(const void *a, const void *b) {
    const Numbered *const x = a;
    const Numbered *const y = b;
    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static NB_FALLIBLE sort_numbered(const int64_t *id, size_t n, NbArena *arena, Numbered **out,
                                 NbError *err) {
    Numbered *const list = NB_NEW(arena, Numbered, n);
    if (!list)
        return nb_fail_memory(err, "ids");
    for (size_t i = 0; i < n; i++)
        list[i] = (Numbered){id[i], i};
    qsort(list, n, sizeof *list, by_id);
    *out = list;
    return NB_OK;
}

static NB_FALLIBLE each_once(const char *path, const char *list, const int64_t *id, size_t n,
                             NbArena *arena, NbError *err) {
    const NbArenaMark mark = nb_arena_mark(arena);
    Numbered *sorted = NULL;
    NB_TRY(sort_numbered(id, n, arena, &sorted, err));
    for (size_t i = 1; i < n; i++)
        if (sorted[i].id == sorted[i - 1].id)
            return nb_fail(NB_ERR_FORMAT, err, "%s: %s[%zu] and %s[%zu] both have id %lld", path,
                           list, sorted[i - 1].index, list, sorted[i].index,
                           (long long)sorted[i].id);
    nb_arena_rewind(arena, mark);
    return NB_OK;
}

/* ---- the data set ---- */

static int size_or_0(const json_t *object, const char *key) {
    const json_int_t v = json_integer_value(json_object_get(object, key));
    return v > 0 && v <= INT32_MAX ? (int)v : 0;
}

/* A copy of a string value; "" when there is none. NULL: out of memory. */
static const char *text_of(const json_t *object, const char *key, NbArena *arena) {
    const char *const text = json_string_value(json_object_get(object, key));
    return nb_arena_string(arena, text ? text : "");
}

static NB_FALLIBLE read_images(const char *path, const json_t *root, NbArena *arena, NbCocoSet *out,
                               NbError *err) {
    const json_t *list = NULL;
    NB_TRY(get_list(path, root, "images", &list, err));
    out->n_images = json_array_size(list);
    out->image_id = NB_NEW(arena, int64_t, out->n_images);
    out->image = NB_NEW(arena, NbCocoImage, out->n_images);
    if (!out->image_id || !out->image)
        return nb_fail_memory(err, path);
    for (size_t i = 0; i < out->n_images; i++) {
        const Place at = {path, "images", i};
        const json_t *const item = json_array_get(list, i);
        NB_TRY(expect_object(&at, item, err));
        NB_TRY(get_id(&at, item, "id", &out->image_id[i], err));
        out->image[i].width = size_or_0(item, "width");
        out->image[i].height = size_or_0(item, "height");
        out->image[i].file_name = text_of(item, "file_name", arena);
        if (!out->image[i].file_name)
            return nb_fail_memory(err, path);
    }
    return each_once(path, "images", out->image_id, out->n_images, arena, err);
}

static NB_FALLIBLE read_categories(const char *path, const json_t *root, NbArena *arena,
                                   NbCocoSet *out, NbError *err) {
    const json_t *list = NULL;
    NB_TRY(get_list(path, root, "categories", &list, err));
    out->n_categories = json_array_size(list);
    out->category_id = NB_NEW(arena, int64_t, out->n_categories);
    out->category_name = NB_NEW(arena, const char *, out->n_categories);
    if (!out->category_id || !out->category_name)
        return nb_fail_memory(err, path);
    for (size_t i = 0; i < out->n_categories; i++) {
        const Place at = {path, "categories", i};
        const json_t *const item = json_array_get(list, i);
        NB_TRY(expect_object(&at, item, err));
        NB_TRY(get_id(&at, item, "id", &out->category_id[i], err));
        out->category_name[i] = text_of(item, "name", arena);
        if (!out->category_name[i])
            return nb_fail_memory(err, path);
    }
    return each_once(path, "categories", out->category_id, out->n_categories, arena, err);
}

static NB_FALLIBLE read_truth(const Place *at, const json_t *item, NbCocoTruth *out, NbError *err) {
    NB_TRY(expect_object(at, item, err));
    NB_TRY(get_id(at, item, "image_id", &out->image, err));
    NB_TRY(get_id(at, item, "category_id", &out->category, err));
    NB_TRY(get_box(at, item, out->xywh, err));
    out->area = out->xywh[2] * out->xywh[3];
    if (json_object_get(item, "area"))
        NB_TRY(get_number(at, item, "area", &out->area, err));
    if (!isfinite(out->area))
        return nb_fail(NB_ERR_FORMAT, err, PLACE_FORMAT ": the area is not finite", PLACE_ARGS(at));
    const json_t *const crowd = json_object_get(item, "iscrowd");
    out->crowd = json_is_true(crowd) || json_number_value(crowd) != 0.0;
    return NB_OK;
}

static NB_FALLIBLE read_set(const char *path, const json_t *root, NbArena *arena, NbCocoSet *out,
                            NbError *err) {
    if (!json_is_object(root))
        return nb_fail(NB_ERR_FORMAT, err,
                       "%s: %s, expected an object with images, annotations and categories", path,
                       kind_of(root));
    NB_TRY(read_images(path, root, arena, out, err));
    NB_TRY(read_categories(path, root, arena, out, err));
    const json_t *list = NULL;
    NB_TRY(get_list(path, root, "annotations", &list, err));
    out->n_truth = json_array_size(list);
    out->truth = NB_NEW(arena, NbCocoTruth, out->n_truth);
    if (!out->truth)
        return nb_fail_memory(err, path);
    for (size_t i = 0; i < out->n_truth; i++) {
        const Place at = {path, "annotations", i};
        NB_TRY(read_truth(&at, json_array_get(list, i), &out->truth[i], err));
    }
    return NB_OK;
}

NbStatus nb_coco_read(const char *path, NbBytes bytes, NbArena *arena, NbCocoSet *out,
                      NbError *err) {
    *out = (NbCocoSet){0};
    json_t *root = NULL;
    NB_TRY(nb_json_read(path, bytes, 0, &root, err));
    const NbStatus status = read_set(path, root, arena, out, err);
    json_decref(root);
    return status;
}

NbStatus nb_coco_read_file(const char *path, NbArena *arena, NbCocoSet *out, NbError *err) {
    NbBytes bytes;
    *out = (NbCocoSet){0};
    NB_TRY(nb_file_map(path, &bytes, err));
    const NbStatus status = nb_coco_read(path, bytes, arena, out, err);
    nb_file_unmap(bytes);
    return status;
}

/* ---- result lists ---- */

/* The elements of the one list that a document is. */
typedef struct Elements {
    const char *path;
    const char *text;
    size_t size, at;
    size_t index; /* of the next element */
} Elements;

static char next_char(Elements *e) {
    while (e->at < e->size && strchr(" \t\r\n", e->text[e->at]) && e->text[e->at] != '\0')
        e->at++;
    return e->at < e->size ? e->text[e->at] : '\0';
}

static NB_FALLIBLE open_list(Elements *e, NbError *err) {
    if (next_char(e) != '[')
        return nb_fail(NB_ERR_FORMAT, err, "%s: expected a list of detections", e->path);
    e->at++;
    return NB_OK;
}

/* Behind the closing bracket only blanks may stand. */
static NB_FALLIBLE close_list(Elements *e, NbError *err) {
    e->at++;
    (void)next_char(e);
    if (e->at < e->size)
        return nb_fail(NB_ERR_FORMAT, err, "%s: byte %zu: text after the list", e->path, e->at);
    return NB_OK;
}

/* *out: the next element, owned by the caller; NULL at the end of the list. */
static NB_FALLIBLE next_element(Elements *e, json_t **out, NbError *err) {
    *out = NULL;
    const char c = next_char(e);
    if (c == ']' && e->index == 0)
        return close_list(e, err);
    if (e->index > 0) {
        if (c == ']')
            return close_list(e, err);
        if (c != ',')
            return nb_fail(NB_ERR_FORMAT, err, "%s: byte %zu: expected ',' or ']' after [%zu]",
                           e->path, e->at, e->index - 1);
        e->at++;
    }
    json_error_t why;
    json_t *const value = json_loadb(e->text + e->at, e->size - e->at,
                                     JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, &why);
    if (!value && json_error_code(&why) == json_error_out_of_memory)
        return nb_fail_memory(err, e->path);
    if (!value)
        return nb_fail(NB_ERR_FORMAT, err, "%s: [%zu]: byte %zu: %s", e->path, e->index,
                       e->at + (size_t)(why.position > 0 ? why.position : 0), why.text);
    e->at += (size_t)why.position; /* bytes read, on success */
    e->index++;
    *out = value;
    return NB_OK;
}

static NB_FALLIBLE read_result(const Place *at, const json_t *item, NbCocoDetection *out,
                               NbError *err) {
    NB_TRY(expect_object(at, item, err));
    NB_TRY(get_id(at, item, "image_id", &out->image, err));
    NB_TRY(get_id(at, item, "category_id", &out->category, err));
    NB_TRY(get_box(at, item, out->xywh, err));
    return get_number(at, item, "score", &out->score, err);
}

typedef struct Results {
    NbCocoDetection *list;
    size_t n, room;
    const Numbered *known; /* pictures by id; NULL: any */
    size_t n_known;
} Results;

/* Makes room for one more; false: out of memory. */
static bool grow(Results *r, NbArena *arena) {
    if (r->list && r->n < r->room)
        return true;
    const size_t room = r->room ? 2 * r->room : 256;
    NbCocoDetection *const list = NB_NEW(arena, NbCocoDetection, room);
    if (!list)
        return false;
    if (r->n)
        memcpy(list, r->list, r->n * sizeof *list);
    r->list = list;
    r->room = room;
    return true;
}

static bool is_known(const Results *r, int64_t image) {
    size_t lo = 0;
    size_t hi = r->n_known;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (r->known[mid].id < image)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < r->n_known && r->known[lo].id == image;
}

static NB_FALLIBLE add_result(Results *r, const Place *at, const json_t *item, NbArena *arena,
                              NbError *err) {
    NbCocoDetection d = {0};
    NB_TRY(read_result(at, item, &d, err));
    if (r->known && !is_known(r, d.image))
        return nb_fail(NB_ERR_FORMAT, err,
                       PLACE_FORMAT ": image_id %lld is not among the %zu pictures of the data set",
                       PLACE_ARGS(at), (long long)d.image, r->n_known);
    if (!grow(r, arena))
        return nb_fail_memory(err, "detections");
    r->list[r->n++] = d;
    return NB_OK;
}

NbStatus nb_coco_results_read(const char *path, NbBytes bytes, const NbCocoSet *set, NbArena *arena,
                              NbCocoDetection **out, size_t *count, NbError *err) {
    *out = NULL;
    *count = 0;
    Results r = {0};
    if (set) {
        Numbered *known = NULL;
        NB_TRY(sort_numbered(set->image_id, set->n_images, arena, &known, err));
        r.known = known;
        r.n_known = set->n_images;
    }
    Elements e = {.path = path, .text = (const char *)bytes.data, .size = bytes.size};
    NB_TRY(open_list(&e, err));
    for (;;) {
        json_t *item = NULL;
        NB_TRY(next_element(&e, &item, err));
        if (!item)
            break;
        const Place at = {path, "", e.index - 1};
        const NbStatus status = add_result(&r, &at, item, arena, err);
        json_decref(item);
        NB_TRY(status);
    }
    *out = r.list;
    *count = r.n;
    return NB_OK;
}

NbStatus nb_coco_results_read_file(const char *path, const NbCocoSet *set, NbArena *arena,
                                   NbCocoDetection **out, size_t *count, NbError *err) {
    NbBytes bytes;
    *out = NULL;
    *count = 0;
    NB_TRY(nb_file_map(path, &bytes, err));
    const NbStatus status = nb_coco_results_read(path, bytes, set, arena, out, count, err);
    nb_file_unmap(bytes);
    return status;
}

/* ---- writing ---- */

typedef struct Number {
    char text[32];
} Number;

/* The fewest digits, from 6 on, that bring back the same double. */
static Number number(double v) {
    Number n;
    for (int digits = 6; digits <= 17; digits++) {
        (void)snprintf(n.text, sizeof n.text, "%.*g", digits, v);
        if (strtod(n.text, NULL) == v)
            break;
    }
    return n;
}

static NB_FALLIBLE put_result(NbWriter *w, const NbCocoDetection *d, const char *image, bool first,
                              NbError *err) {
    Number n[5];
    char id[32];
    (void)snprintf(id, sizeof id, "%lld", (long long)d->image);
    for (int i = 0; i < 4; i++)
        n[i] = number(d->xywh[i]);
    n[4] = number(d->score);
    return nb_writer_printf(w, err,
                            "%s{\"image_id\":%s,\"category_id\":%lld,\"bbox\":[%s,%s,%s,%s],"
                            "\"score\":%s}",
                            first ? "[" : ",\n", image ? image : id, (long long)d->category,
                            n[0].text, n[1].text, n[2].text, n[3].text, n[4].text);
}

static NB_FALLIBLE put_results(NbWriter *w, const char *path, const NbCocoDetection *d,
                               size_t count, const char *const *image_text, NbError *err) {
    for (size_t i = 0; i < count; i++) {
        bool finite = isfinite(d[i].score);
        for (int k = 0; k < 4; k++)
            finite = finite && isfinite(d[i].xywh[k]);
        if (!finite)
            return nb_fail(NB_ERR_ARGUMENT, err, "%s: detection %zu is not finite", path, i);
        NB_TRY(put_result(w, &d[i], image_text ? image_text[d[i].image] : NULL, i == 0, err));
    }
    return nb_writer_printf(w, err, "%s]\n", count ? "" : "[");
}

NbStatus nb_coco_results_write(const char *path, const NbCocoDetection *detection, size_t count,
                               const char *const *image_text, NbError *err) {
    NbWriter *w = NULL;
    NB_TRY(nb_writer_open(path, &w, err));
    const NbStatus status = put_results(w, path, detection, count, image_text, err);
    if (status != NB_OK) {
        nb_writer_cancel(w);
        return status;
    }
    return nb_writer_commit(w, err);
}

/* ---- writing a set ---- */

/* The text as JSON writes it, in quotes; NULL: not UTF-8, or out of memory. */
static char *quoted(const char *text) {
    json_t *const value = json_string(text);
    char *const out = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
    json_decref(value);
    return out;
}

static NB_FALLIBLE put_image(NbWriter *w, const char *path, const NbCocoSet *set, size_t i,
                             NbError *err) {
    const NbCocoImage *const image = &set->image[i];
    char *const name = quoted(image->file_name);
    if (!name)
        return nb_fail(NB_ERR_ARGUMENT, err, "%s: images[%zu]: the name is not UTF-8", path, i);
    const NbStatus status = nb_writer_printf(
        w, err, "%s\n{\"id\":%lld,\"file_name\":%s,\"width\":%d,\"height\":%d}", i ? "," : "",
        (long long)set->image_id[i], name, image->width, image->height);
    free(name);
    return status;
}

static NB_FALLIBLE put_truth(NbWriter *w, const char *path, const NbCocoTruth *t, size_t i,
                             NbError *err) {
    Number n[5];
    bool finite = isfinite(t->area);
    for (int k = 0; k < 4; k++) {
        finite = finite && isfinite(t->xywh[k]);
        n[k] = number(t->xywh[k]);
    }
    n[4] = number(t->area);
    if (!finite)
        return nb_fail(NB_ERR_ARGUMENT, err, "%s: annotation %zu is not finite", path, i);
    return nb_writer_printf(
        w, err,
        "%s\n{\"id\":%zu,\"image_id\":%lld,\"category_id\":%lld,\"bbox\":[%s,%s,%s,%s],"
        "\"area\":%s,\"iscrowd\":%d}",
        i ? "," : "", i + 1, (long long)t->image, (long long)t->category, n[0].text, n[1].text,
        n[2].text, n[3].text, n[4].text, t->crowd ? 1 : 0);
}

static NB_FALLIBLE put_category(NbWriter *w, const char *path, const NbCocoSet *set, size_t i,
                                NbError *err) {
    char *const name = quoted(set->category_name[i]);
    if (!name)
        return nb_fail(NB_ERR_ARGUMENT, err, "%s: categories[%zu]: the name is not UTF-8", path, i);
    const NbStatus status = nb_writer_printf(w, err, "%s\n{\"id\":%lld,\"name\":%s}", i ? "," : "",
                                             (long long)set->category_id[i], name);
    free(name);
    return status;
}

static NB_FALLIBLE put_set(NbWriter *w, const char *path, const NbCocoSet *set, NbError *err) {
    NB_TRY(nb_writer_printf(w, err, "{\"images\":["));
    for (size_t i = 0; i < set->n_images; i++)
        NB_TRY(put_image(w, path, set, i, err));
    NB_TRY(nb_writer_printf(w, err, "],\n\"annotations\":["));
    for (size_t i = 0; i < set->n_truth; i++)
        NB_TRY(put_truth(w, path, &set->truth[i], i, err));
    NB_TRY(nb_writer_printf(w, err, "],\n\"categories\":["));
    for (size_t i = 0; i < set->n_categories; i++)
        NB_TRY(put_category(w, path, set, i, err));
    return nb_writer_printf(w, err, "]}\n");
}

NbStatus nb_coco_write(const char *path, const NbCocoSet *set, NbError *err) {
    NbWriter *w = NULL;
    NB_TRY(nb_writer_open(path, &w, err));
    const NbStatus status = put_set(w, path, set, err);
    if (status != NB_OK) {
        nb_writer_cancel(w);
        return status;
    }
    return nb_writer_commit(w, err);
}
