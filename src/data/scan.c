/* SPDX-License-Identifier: Apache-2.0
 *
 * Checks every picture and its labels, in parallel; what is found is put together in the order of
 * the paths. */
#include "base/file.h"
#include "data/dataset.h"
#include "data/dataset_coco.h"
#include "data/files.h"
#include "format/image.h"

#include <stdio.h>
#include <string.h>

enum {
    LABEL_BYTES_MAX = 64 << 20,
    SIDE_MIN = 10,
    PROBLEMS_EACH = 4, /* of one picture: the file, its size, duplicates, a remark */
};

typedef struct Item {
    NbSample sample;
    bool usable;
    int n_problems;
    NbProblem problem[PROBLEMS_EACH];
} Item;

/* What one thread owns. keep: results, until they are copied; scratch: one picture's. */
typedef struct Worker {
    NbArena keep;
    NbArena scratch;
    bool out_of_memory;
} Worker;

typedef struct Scan {
    char **path;
    const NbBoxSet *coco; /* NULL: labels are files */
    Item *item;
    Worker *worker;
    int nc; /* 0: any class */
    bool single_cls;
} Scan;

static void report(Worker *w, Item *item, NbProblemKind kind, const char *path, int line,
                   const char *text) {
    NbProblem *const p = &item->problem[item->n_problems];
    *p = (NbProblem){.kind = kind,
                     .path = nb_arena_string(&w->keep, path),
                     .line = line,
                     .text = nb_arena_string(&w->keep, text)};
    w->out_of_memory |= !p->path || !p->text;
    item->n_problems++;
}

/* Messages of other modules begin with the path; a problem has it already. */
static const char *without_path(const char *message, const char *path) {
    const size_t n = strlen(path);
    return strncmp(message, path, n) == 0 && strncmp(message + n, ": ", 2) == 0 ? message + n + 2
                                                                                : message;
}

static bool check_picture(Worker *w, Item *item, const char *path) {
    NbError err = {0};
    NbBytes bytes;
    NbImageInfo info = {0};
    NbStatus status = nb_file_map(path, &bytes, &err);
    if (status == NB_OK) {
        status = nb_image_info(path, bytes, &info, &err);
        nb_file_unmap(bytes);
    }
    if (status != NB_OK) {
        report(w, item, NB_PROBLEM_CORRUPT, path, 0, without_path(err.message, path));
        return false;
    }
    if (info.width < SIDE_MIN || info.height < SIDE_MIN) {
        char text[80];
        (void)snprintf(text, sizeof text, "%d x %d pixels, expected at least %d x %d", info.width,
                       info.height, SIDE_MIN, SIDE_MIN);
        report(w, item, NB_PROBLEM_CORRUPT, path, 0, text);
        return false;
    }
    item->sample.width = info.width;
    item->sample.height = info.height;
    if (info.truncated_jpeg)
        report(w, item, NB_PROBLEM_WARNING, path, 0,
               "the JPEG does not end as it should (FF D9): it may be cut off");
    return true;
}

static bool keep_polygons(Worker *w, NbSample *s, const NbLabels *labels) {
    NbPolygon *const polygon = NB_NEW(&w->keep, NbPolygon, (size_t)labels->n);
    if (!polygon)
        return false;
    for (int i = 0; i < labels->n; i++) {
        const size_t n = (size_t)labels->polygon[i].n;
        float(*const point)[2] = nb_arena_take(&w->keep, n, sizeof *point);
        if (!point)
            return false;
        memcpy(point, labels->polygon[i].point, n * sizeof *point);
        polygon[i] = (NbPolygon){.point = (const float(*)[2])point, .n = (int)n};
    }
    s->polygon = polygon;
    return true;
}

static bool keep_labels(Worker *w, NbSample *s, const NbLabels *labels, bool single_cls) {
    s->label = NB_NEW(&w->keep, NbTarget, (size_t)labels->n);
    if (!s->label)
        return false;
    s->n_labels = labels->n;
    memcpy(s->label, labels->label, (size_t)labels->n * sizeof *s->label);
    for (int i = 0; single_cls && i < labels->n; i++)
        s->label[i].cls = 0;
    return !labels->polygon || keep_polygons(w, s, labels);
}

/* Puts the labels into the sample; false: they are wrong. */
static bool check_labels(const Scan *scan, Worker *w, Item *item, const char *path) {
    char *const file = nb_label_path(&w->scratch, path);
    if (!file) {
        w->out_of_memory = true;
        return false;
    }
    if (!nb_path_exists(file)) {
        report(w, item, NB_PROBLEM_MISSING, file, 0, "no label file: a background picture");
        return true;
    }
    NbError err = {0};
    NbBytes bytes;
    NbLabels labels;
    if (nb_file_read(file, LABEL_BYTES_MAX, &w->scratch, &bytes, &err) != NB_OK) {
        report(w, item, NB_PROBLEM_CORRUPT, file, 0, without_path(err.message, file));
        return false;
    }
    const int nc = scan->single_cls ? 0 : scan->nc;
    if (nb_labels_parse(bytes, NB_LABELS_YOLOV5, nc, &w->scratch, &labels, &err) != NB_OK) {
        w->out_of_memory = true;
        return false;
    }
    if (labels.status == NB_LABELS_CORRUPT) {
        report(w, item, NB_PROBLEM_CORRUPT, file, labels.line, labels.text);
        return false;
    }
    if (labels.status == NB_LABELS_EMPTY) {
        report(w, item, NB_PROBLEM_EMPTY, file, 0, "an empty label file: a background picture");
        return true;
    }
    if (labels.duplicates) {
        char text[80];
        (void)snprintf(text, sizeof text, "%d duplicate labels removed", labels.duplicates);
        report(w, item, NB_PROBLEM_DUPLICATE, file, 0, text);
    }
    if (labels.text[0])
        report(w, item, NB_PROBLEM_WARNING, file, labels.line, labels.text);
    w->out_of_memory |= !keep_labels(w, &item->sample, &labels, scan->single_cls);
    return true;
}

/* The labels of a JSON, which need no file. */
static bool take_labels(const Scan *scan, Worker *w, Item *item, int index) {
    NbError err = {0};
    NbBoxCounts counts = {0};
    const NbBoxImage *const image = &scan->coco->image[index];
    char text[160];
    if (image->width > 0 &&
        (image->width != item->sample.width || image->height != item->sample.height)) {
        (void)snprintf(text, sizeof text, "%d x %d pixels, the JSON says %d x %d",
                       item->sample.width, item->sample.height, image->width, image->height);
        report(w, item, NB_PROBLEM_WARNING, item->sample.path, 0, text);
    }
    w->out_of_memory |= nb_coco_sample_labels(scan->coco, (size_t)index, scan->single_cls, &w->keep,
                                              &item->sample, &counts, &err) != NB_OK;
    const size_t bad = counts.skipped[NB_SKIP_EMPTY] + counts.skipped[NB_SKIP_OUTSIDE];
    if (bad) {
        (void)snprintf(text, sizeof text, "%zu boxes without an area in the picture left out", bad);
        report(w, item, NB_PROBLEM_WARNING, item->sample.path, 0, text);
    }
    if (counts.skipped[NB_SKIP_DUPLICATE]) {
        (void)snprintf(text, sizeof text, "%zu duplicate labels removed",
                       counts.skipped[NB_SKIP_DUPLICATE]);
        report(w, item, NB_PROBLEM_DUPLICATE, item->sample.path, 0, text);
    }
    return true;
}

/* A picture that the JSON names and nobody finds. */
static bool is_there(const Scan *scan, Worker *w, Item *item, int index) {
    if (!scan->coco || scan->coco->image[index].path)
        return true;
    report(w, item, NB_PROBLEM_CORRUPT, scan->path[index], 0,
           "no such picture in the folder of pictures (images=)");
    return false;
}

static void check(void *user, int index, int worker) {
    const Scan *const scan = user;
    Worker *const w = &scan->worker[worker];
    Item *const item = &scan->item[index];
    const char *const path = scan->path[index];
    const NbArenaMark mark = nb_arena_mark(&w->scratch);
    item->sample.path = path;
    item->usable =
        is_there(scan, w, item, index) && check_picture(w, item, path) &&
        (scan->coco ? take_labels(scan, w, item, index) : check_labels(scan, w, item, path));
    nb_arena_rewind(&w->scratch, mark);
}

/* Copies what workers hold into the caller's arena. */
static NbStatus copy_sample(NbArena *arena, const NbSample *from, NbSample *to, NbError *err) {
    *to = *from;
    to->label = NB_NEW(arena, NbTarget, (size_t)from->n_labels);
    if (!to->label)
        return nb_fail_memory(err, "labels");
    if (from->n_labels)
        memcpy(to->label, from->label, (size_t)from->n_labels * sizeof *to->label);
    if (!from->polygon)
        return NB_OK;
    NbPolygon *const polygon = NB_NEW(arena, NbPolygon, (size_t)from->n_labels);
    if (!polygon)
        return nb_fail_memory(err, "polygons");
    for (int i = 0; i < from->n_labels; i++) {
        const size_t n = (size_t)from->polygon[i].n;
        float(*const point)[2] = nb_arena_take(arena, n, sizeof *point);
        if (!point)
            return nb_fail_memory(err, "polygons");
        memcpy(point, from->polygon[i].point, n * sizeof *point);
        polygon[i] = (NbPolygon){.point = (const float(*)[2])point, .n = (int)n};
    }
    to->polygon = polygon;
    return NB_OK;
}

static void count(const Item *item, NbSamples *out) {
    out->n_labels += item->usable ? item->sample.n_labels : 0;
    for (int i = 0; i < item->n_problems; i++) {
        out->n_missing += item->problem[i].kind == NB_PROBLEM_MISSING;
        out->n_empty += item->problem[i].kind == NB_PROBLEM_EMPTY;
        out->n_corrupt += item->problem[i].kind == NB_PROBLEM_CORRUPT;
    }
}

static NbStatus gather(const Scan *scan, int n, NbArena *arena, NbSamples *out, NbError *err) {
    size_t problems = 0;
    for (int i = 0; i < n; i++)
        problems += (size_t)scan->item[i].n_problems;
    out->sample = NB_NEW(arena, NbSample, (size_t)n);
    out->problem = NB_NEW(arena, NbProblem, problems);
    if (!out->sample || !out->problem)
        return nb_fail_memory(err, "the data set");
    for (int i = 0; i < n; i++) {
        const Item *const item = &scan->item[i];
        count(item, out);
        if (item->usable) {
            NbSample *const s = &out->sample[out->n++];
            NB_TRY(copy_sample(arena, &item->sample, s, err));
            if (scan->coco)
                NB_TRY(
                    nb_coco_sample_truth(scan->coco, (size_t)i, scan->single_cls, arena, s, err));
        }
        for (int k = 0; k < item->n_problems; k++) {
            NbProblem *const p = &out->problem[out->n_problems++];
            *p = item->problem[k];
            p->path = nb_arena_string(arena, p->path);
            p->text = nb_arena_string(arena, p->text);
            if (!p->path || !p->text)
                return nb_fail_memory(err, "the data set");
        }
    }
    return NB_OK;
}

/* Where the pictures of the set are, or what they are called. */
static NbStatus coco_paths(const NbBoxSet *set, NbArena *arena, char ***out, size_t *n,
                           NbError *err) {
    *n = set->n;
    *out = NB_NEW(arena, char *, set->n);
    if (!*out)
        return nb_fail_memory(err, "names of pictures");
    for (size_t i = 0; i < set->n; i++) {
        const NbBoxImage *const image = &set->image[i];
        if (!((*out)[i] = nb_arena_string(arena, image->path ? image->path : image->name)))
            return nb_fail_memory(err, "names of pictures");
    }
    return NB_OK;
}

NbStatus nb_dataset_scan(const NbDataset *d, NbSplit split, bool single_cls, NbPool *pool,
                         NbArena *arena, NbSamples *out, NbError *err) {
    *out = (NbSamples){0};
    char **path;
    size_t n;
    const NbBoxSet *const coco = d->coco[split];
    NB_TRY(coco ? coco_paths(coco, arena, &path, &n, err)
                : nb_split_files(d, split, arena, &path, &n, err));
    if (n > 1U << 30)
        return nb_fail(NB_ERR_UNSUPPORTED, err, "%s: %zu pictures are too many", d->file, n);
    NbArena local = {0};
    const int threads = pool ? nb_pool_threads(pool) : 1;
    Scan scan = {.path = path,
                 .coco = coco,
                 .item = NB_NEW(&local, Item, n),
                 .worker = NB_NEW(&local, Worker, (size_t)threads),
                 .nc = d->nc,
                 .single_cls = single_cls};
    NbStatus status = NB_OK;
    bool out_of_memory = !scan.item || !scan.worker;
    if (!out_of_memory) {
        nb_pool_run(pool, (int)n, check, &scan);
        for (int i = 0; i < threads; i++)
            out_of_memory |= scan.worker[i].out_of_memory;
    }
    if (out_of_memory)
        status = nb_fail_memory(err, "checking the data set");
    else
        status = gather(&scan, (int)n, arena, out, err);
    for (int i = 0; scan.worker && i < threads; i++) {
        nb_arena_release(&scan.worker[i].keep);
        nb_arena_release(&scan.worker[i].scratch);
    }
    nb_arena_release(&local);
    return status;
}
