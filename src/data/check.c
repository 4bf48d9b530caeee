/* SPDX-License-Identifier: Apache-2.0
 *
 * A second look at a data set: at the whole of it. */
#include "base/file.h"
#include "data/tools.h"
#include "format/image.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *nb_problem_name(NbProblemKind kind) {
    static const char *const name[] = {"corrupt", "duplicate", "missing", "empty", "warning"};
    return name[kind];
}

/* A usable picture. */
typedef struct Look {
    const NbSample *sample;
    int split;
    uint64_t hash;
    size_t bytes;
    bool readable;
    const char *fault; /* why it does not decode; NULL: it does, or was not asked for */
} Look;

typedef struct Worker {
    NbArena keep;
    NbArena scratch;
    bool out_of_memory;
} Worker;

typedef struct Check {
    const NbDataset *dataset;
    const NbDataCheckOptions *options;
    NbArena *arena;
    NbDataCheck *out;
    NbError *err;
    Look *look;
    int n_looks;
    Worker *worker;
    int capacity; /* of out->problem */
} Check;

/* FNV-1a over eight bytes at a time: only to find candidates for being equal. */
static uint64_t hash_bytes(NbBytes bytes) {
    uint64_t h = 14695981039346656037ULL;
    size_t i = 0;
    for (; i + 8 <= bytes.size; i += 8) {
        uint64_t word;
        memcpy(&word, bytes.data + i, sizeof word);
        h = (h ^ word) * 1099511628211ULL;
        h ^= h >> 32;
    }
    for (; i < bytes.size; i++)
        h = (h ^ bytes.data[i]) * 1099511628211ULL;
    return h;
}

static void look_at(void *user, int index, int worker) {
    const Check *const c = user;
    Worker *const w = &c->worker[worker];
    Look *const look = &c->look[index];
    const char *const path = look->sample->path;
    NbError err = {0};
    NbBytes bytes;
    if (nb_file_map(path, &bytes, &err) != NB_OK)
        return; /* it was there a moment ago; the loader will name it */
    look->readable = true;
    look->bytes = bytes.size;
    look->hash = hash_bytes(bytes);
    if (c->options->decode) {
        const NbArenaMark mark = nb_arena_mark(&w->scratch);
        NbImage image;
        if (nb_image_decode(path, bytes, &w->scratch, &image, &err) != NB_OK) {
            const size_t n = strlen(path); /* the problem names the path already */
            const bool named = strncmp(err.message, path, n) == 0 && err.message[n] == ':';
            look->fault = nb_arena_string(&w->keep, err.message + (named ? n + 2 : 0));
            w->out_of_memory |= !look->fault;
        }
        nb_arena_rewind(&w->scratch, mark);
    }
    nb_file_unmap(bytes);
}

__attribute__((format(printf, 4, 5))) static NbStatus
report(Check *c, NbProblemKind kind, const char *path, const char *format, ...) {
    NbDataCheck *const out = c->out;
    if (out->n_problems == c->capacity) {
        const int capacity = c->capacity ? 2 * c->capacity : 64;
        NbProblem *const grown = NB_NEW(c->arena, NbProblem, (size_t)capacity);
        if (!grown)
            return nb_fail_memory(c->err, "checking the data set");
        if (out->n_problems)
            memcpy(grown, out->problem, (size_t)out->n_problems * sizeof *grown);
        out->problem = grown;
        c->capacity = capacity;
    }
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    NbProblem *const p = &out->problem[out->n_problems];
    *p = (NbProblem){.kind = kind,
                     .path = nb_arena_string(c->arena, path),
                     .text = nb_arena_string(c->arena, text)};
    if (!p->path || !p->text)
        return nb_fail_memory(c->err, "checking the data set");
    out->n_problems++;
    return NB_OK;
}

static NbStatus take_problems(Check *c, const NbSamples *s) {
    for (int i = 0; i < s->n_problems; i++) {
        NB_TRY(report(c, s->problem[i].kind, s->problem[i].path, "%s", s->problem[i].text));
        c->out->problem[c->out->n_problems - 1].line = s->problem[i].line;
    }
    return NB_OK;
}

static int compare_looks(const void *a, const void *b) {
    const Look *const x = a;
    const Look *const y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? -1 : 1;
    if (x->split != y->split)
        return x->split - y->split;
    return strcmp(x->sample->path, y->sample->path);
}

/* The same bytes in two splits: what is trained on must not be tested on. */
static NbStatus find_leaks(Check *c) {
    qsort(c->look, (size_t)c->n_looks, sizeof *c->look, compare_looks);
    for (int i = 1, first = 0; i < c->n_looks; i++) {
        const Look *const a = &c->look[first];
        const Look *const b = &c->look[i];
        if (!b->readable || a->hash != b->hash || a->bytes != b->bytes) {
            first = i;
            continue;
        }
        if (a->split != b->split)
            NB_TRY(report(c, NB_PROBLEM_WARNING, b->sample->path, "the same picture is in %s: %s",
                          nb_split_name((NbSplit)a->split), a->sample->path));
    }
    return NB_OK;
}

static NbStatus find_undecodable(Check *c) {
    for (int i = 0; i < c->n_looks; i++)
        if (c->look[i].fault)
            NB_TRY(report(c, NB_PROBLEM_CORRUPT, c->look[i].sample->path, "%s", c->look[i].fault));
    return NB_OK;
}

static NbStatus find_empty_classes(Check *c) {
    const NbDataset *const d = c->dataset;
    if (!c->out->given[NB_SPLIT_TRAIN])
        return NB_OK;
    const NbSamples *const train = &c->out->split[NB_SPLIT_TRAIN];
    if (train->n_labels == 0)
        return report(c, NB_PROBLEM_WARNING, d->file, "train has no label: nothing can be learned");
    NbDataStats stats;
    NB_TRY(nb_data_stats(train, d->nc, c->arena, &stats, c->err));
    for (int k = 0; k < d->nc && !c->options->single_cls; k++)
        if (stats.per_class[k].labels == 0)
            NB_TRY(report(c, NB_PROBLEM_WARNING, d->file, "class %d (%s) has no box in train", k,
                          d->names[k]));
    return NB_OK;
}

static NbStatus scan_splits(Check *c, NbPool *pool) {
    for (int k = 0; k < 3; k++) {
        NbBoxSet *const *const coco = c->dataset->coco;
        if (!c->dataset->split_path[k])
            continue;
        if (coco[k] && k != NB_SPLIT_VAL && coco[k] == coco[NB_SPLIT_VAL])
            continue; /* one JSON for all */
        NbSamples *const s = &c->out->split[k];
        NB_TRY(nb_dataset_scan(c->dataset, (NbSplit)k, c->options->single_cls, pool, c->arena, s,
                               c->err));
        c->out->given[k] = true;
        c->out->images += s->n;
        c->out->labels += s->n_labels;
        NB_TRY(take_problems(c, s));
    }
    return NB_OK;
}

static NbStatus look_closer(Check *c, NbPool *pool, NbArena *local) {
    const int threads = pool ? nb_pool_threads(pool) : 1;
    c->look = NB_NEW(local, Look, (size_t)c->out->images);
    c->worker = NB_NEW(local, Worker, (size_t)threads);
    if (!c->look || !c->worker)
        return nb_fail_memory(c->err, "checking the data set");
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < c->out->split[k].n; i++)
            c->look[c->n_looks++] = (Look){.sample = &c->out->split[k].sample[i], .split = k};
    nb_pool_run(pool, c->n_looks, look_at, c);
    NbStatus status = NB_OK;
    for (int i = 0; i < threads; i++)
        if (c->worker[i].out_of_memory)
            status = nb_fail_memory(c->err, "checking the data set");
    if (status == NB_OK)
        status = find_undecodable(c);
    if (status == NB_OK)
        status = find_leaks(c);
    for (int i = 0; i < threads; i++) {
        nb_arena_release(&c->worker[i].keep);
        nb_arena_release(&c->worker[i].scratch);
    }
    return status;
}

NbStatus nb_data_check(const NbDataset *d, const NbDataCheckOptions *options, NbPool *pool,
                       NbArena *arena, NbDataCheck *out, NbError *err) {
    *out = (NbDataCheck){0};
    NbArena local = {0};
    Check c = {.dataset = d, .options = options, .arena = arena, .out = out, .err = err};
    NbStatus status = scan_splits(&c, pool);
    if (status == NB_OK)
        status = look_closer(&c, pool, &local);
    if (status == NB_OK)
        status = find_empty_classes(&c);
    for (int i = 0; i < out->n_problems; i++)
        out->errors += out->problem[i].kind == NB_PROBLEM_CORRUPT;
    nb_arena_release(&local);
    return status;
}
