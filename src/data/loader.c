/* SPDX-License-Identifier: Apache-2.0
 *
 * Batches are numbered from the last seek on. Threads take single pictures, in order, of the
 * batches from the next one that is handed out to `ahead` later ones; batch k lives in slot
 * k % n_slots, and there is one slot more than `ahead`, for the batch that the caller holds. Who
 * makes a picture, and when, changes nothing about it. Everything in NbLoader below `lock` is only
 * touched with it, except what belongs to a picture being made. */
#include "data/loader.h"

#include "base/clock.h"
#include "base/random.h"
#include "base/size.h"
#include "base/thread.h"
#include "data/letterbox.h"
#include "data/picture.h"
#include "data/rect.h"
#include "data/resize.h"

#include <stdlib.h>
#include <string.h>

enum {
    SIDE_MIN = 32,
    SIDE_MAX = 8192,
    WORKERS_MAX = 256,
    BATCH_MAX = 1 << 20,
    ARENA_KEEP = 1 << 20
};

typedef struct Slot {
    int epoch;
    int batch; /* of the epoch */
    int count; /* pictures */
    int done;
    int *sample;        /* [batch] */
    int height, width;  /* of the pictures */
    uint8_t *images;    /* [batch, height, width, 3] */
    NbPicture *picture; /* [batch] */
    NbArena *arena;     /* [batch]: labels of each */
    int failed;         /* the first picture that failed; count: none */
    NbStatus status;
    NbError error;
} Slot;

/* A finished batch that is brought to another size, picture by picture. */
typedef struct Resizing {
    const Slot *slot; /* NULL: nothing to do */
    int side;
    int next;
    int done;
    uint8_t *out;
    NbStatus status;
} Resizing;

typedef struct Worker {
    NbLoader *loader;
    NbThread thread;
    NbPictureScratch scratch;
} Worker;

struct NbLoader {
    NbLoaderOptions options;
    NbPictureSource source;
    NbArena arena;      /* what lives as long as the loader */
    int batches;        /* in an epoch */
    NbRectShape *shape; /* [batches]; NULL: all are square */
    size_t most_bytes;  /* of one picture */
    int ahead;
    int n_slots;
    Slot *slot;
    Worker *worker;  /* [workers + 1]: the last one is the caller */
    int n_scratches; /* how many of them are initialised */
    int n_threads;   /* how many run */
    double waited;
    int side;      /* of the batches that are handed out */
    NbArena sized; /* their pictures, when that is not the options' side */
    size_t sized_bytes;
    uint8_t *sized_images;
    NbArena handed; /* of the batch that was handed out last */

    NbMutex lock;
    NbCondition work;     /* there may be something to do */
    NbCondition progress; /* a picture is done */
    int locks_ready;      /* how many of the three above */
    bool quit;
    bool held;  /* nothing new is begun */
    int active; /* pictures being made */
    double mosaic;
    bool closed;                  /* a seek has put an end to mosaics: no mixup either */
    int start_epoch, start_batch; /* of batch number 0 */
    int64_t read_number;          /* the next to hand out */
    int64_t make_number;          /* the one pictures are taken from */
    int make_picture;             /* the next picture of it */
    uint32_t *order;              /* [samples] of order_epoch */
    int order_epoch;
    Resizing resizing;
};

/* Empties an arena and keeps its memory, unless it has grown out of proportion. */
static void empty(NbArena *arena) {
    if (arena->total > ARENA_KEEP)
        nb_arena_release(arena);
    nb_arena_rewind(arena, (NbArenaMark){.chunk = arena->chunks, .used = 0});
}

static size_t side_bytes(int side) { return (size_t)side * (size_t)side * 3; }

/* The epoch and batch of a number. */
static void position(const NbLoader *l, int64_t number, int *epoch, int *batch) {
    const int64_t at = l->start_batch + number;
    *epoch = l->start_epoch + (int)(at / l->batches);
    *batch = (int)(at % l->batches);
}

static void order_for(NbLoader *l, int epoch) {
    if (l->order_epoch == epoch || l->shape)
        return;
    const uint32_t n = (uint32_t)l->options.samples->n;
    NbRandom r = nb_random(l->options.seed, NB_RANDOM_SHUFFLE, (uint32_t)epoch, 0);
    if (l->options.shuffle)
        nb_random_permutation(&r, l->order, n);
    else
        for (uint32_t i = 0; i < n; i++)
            l->order[i] = i;
    l->order_epoch = epoch;
}

static Slot *slot_of(NbLoader *l, int64_t number) { return &l->slot[number % l->n_slots]; }

static void begin_slot(NbLoader *l, Slot *s) {
    position(l, l->make_number, &s->epoch, &s->batch);
    order_for(l, s->epoch);
    const int first = s->batch * l->options.batch;
    const int left = l->options.samples->n - first;
    s->count = left < l->options.batch ? left : l->options.batch;
    s->height = l->shape ? l->shape[s->batch].height : l->options.imgsz;
    s->width = l->shape ? l->shape[s->batch].width : l->options.imgsz;
    s->done = 0;
    s->failed = s->count;
    s->status = NB_OK;
    for (int i = 0; i < s->count; i++)
        s->sample[i] = (int)l->order[first + i];
}

static bool picture_waits(const NbLoader *l) {
    return !l->held && l->make_number < l->read_number + l->ahead;
}

/* Takes the next picture; lock held. */
static Slot *take_picture(NbLoader *l, int *picture) {
    Slot *const s = slot_of(l, l->make_number);
    if (l->make_picture == 0)
        begin_slot(l, s);
    *picture = l->make_picture++;
    if (l->make_picture == s->count) {
        l->make_number++;
        l->make_picture = 0;
    }
    l->active++;
    return s;
}

/* Takes, makes and notes one picture; the lock is held before and after. */
static void make_one(NbLoader *l, NbPictureScratch *scratch) {
    int i;
    Slot *const s = take_picture(l, &i);
    const NbPictureRequest request = {.epoch = s->epoch,
                                      .place = s->batch * l->options.batch + i,
                                      .sample = s->sample[i],
                                      .height = s->height,
                                      .width = s->width,
                                      .mosaic = l->mosaic,
                                      .mixup = l->closed ? 0.0 : l->options.augmentation.mixup};
    nb_mutex_unlock(&l->lock);
    NbError err = {0};
    NbArena *const arena = &s->arena[i];
    empty(arena);
    const NbStatus status =
        nb_picture_make(&l->source, &request, scratch,
                        s->images + (size_t)i * (size_t)s->height * (size_t)s->width * 3, arena,
                        &s->picture[i], &err);
    nb_mutex_lock(&l->lock);
    if (status != NB_OK && i < s->failed) { /* the same error for any number of threads */
        s->failed = i;
        s->status = status;
        s->error = err;
    }
    s->done++;
    l->active--;
    nb_condition_wake_all(&l->progress);
}

/* The same for one picture of a batch that changes its size. */
static void resize_one(NbLoader *l, NbPictureScratch *scratch) {
    Resizing *const r = &l->resizing;
    const int i = r->next++;
    const Slot *const slot = r->slot;
    const int side = r->side;
    const int from_side = l->source.imgsz;
    uint8_t *const out = r->out + (size_t)i * side_bytes(side);
    nb_mutex_unlock(&l->lock);
    NbError err = {0};
    const NbStatus status = nb_resize_linear(
        nb_pixels(slot->images + (size_t)i * side_bytes(from_side), from_side, from_side),
        nb_pixels(out, side, side), &scratch->arena, &err);
    nb_mutex_lock(&l->lock);
    if (status != NB_OK)
        r->status = status;
    r->done++;
    nb_condition_wake_all(&l->progress);
}

static bool resize_waits(const NbLoader *l) {
    return l->resizing.slot && l->resizing.next < l->resizing.slot->count;
}

static void *work(void *user) {
    Worker *const w = user;
    NbLoader *const l = w->loader;
    nb_mutex_lock(&l->lock);
    while (!l->quit) {
        if (resize_waits(l))
            resize_one(l, &w->scratch);
        else if (picture_waits(l))
            make_one(l, &w->scratch);
        else
            nb_condition_wait(&l->work, &l->lock);
    }
    nb_mutex_unlock(&l->lock);
    return NULL;
}

static NbStatus check_options(const NbLoaderOptions *o, NbError *err) {
    if (o->samples->n < 1)
        return nb_fail(NB_ERR_ARGUMENT, err, "the data set has no usable picture");
    if (o->batch < 1 || o->batch > BATCH_MAX)
        return nb_fail(NB_ERR_ARGUMENT, err, "batch is %d, expected 1 to %d", o->batch, BATCH_MAX);
    if (o->imgsz < SIDE_MIN || o->imgsz > SIDE_MAX || o->imgsz % 2 != 0)
        return nb_fail(NB_ERR_ARGUMENT, err, "imgsz is %d, expected an even number from %d to %d",
                       o->imgsz, SIDE_MIN, SIDE_MAX);
    if (o->workers < 0 || o->workers > WORKERS_MAX)
        return nb_fail(NB_ERR_ARGUMENT, err, "workers is %d, expected 0 to %d", o->workers,
                       WORKERS_MAX);
    if (o->rect_stride > 0 &&
        (o->augment || o->shuffle || o->drop_last || !(o->rect_pad >= 0.0 && o->rect_pad <= 1.0)))
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "rectangular batches are for all pictures in order, without augmentation");
    if (o->drop_last && o->samples->n < o->batch)
        return nb_fail(NB_ERR_ARGUMENT, err, "%d pictures do not fill one batch of %d",
                       o->samples->n, o->batch);
    return NB_OK;
}

static NbStatus new_slot(NbLoader *l, Slot *s, NbError *err) {
    const size_t n = (size_t)l->options.batch;
    size_t bytes;
    if (!nb_mul_size(n, l->most_bytes, &bytes))
        return nb_fail_memory(err, "a batch");
    s->sample = NB_NEW(&l->arena, int, n);
    s->images = NB_NEW(&l->arena, uint8_t, bytes);
    s->picture = NB_NEW(&l->arena, NbPicture, n);
    s->arena = NB_NEW(&l->arena, NbArena, n);
    if (!s->sample || !s->images || !s->picture || !s->arena)
        return nb_fail_memory(err, "a batch");
    return NB_OK;
}

static NbStatus plan_shapes(NbLoader *l, NbError *err) {
    const NbLoaderOptions *const o = &l->options;
    l->most_bytes = side_bytes(o->imgsz);
    if (o->rect_stride <= 0)
        return NB_OK;
    l->shape = NB_NEW(&l->arena, NbRectShape, (size_t)l->batches);
    if (!l->shape)
        return nb_fail_memory(err, "rectangular batches");
    NbArena scratch = {0};
    const NbRectOptions rect = {o->batch, o->imgsz, o->rect_stride, o->rect_pad};
    const NbStatus status = nb_rect_plan(o->samples, &rect, &scratch, l->order, l->shape, err);
    nb_arena_release(&scratch);
    for (int i = 0; i < l->batches && status == NB_OK; i++) {
        const size_t bytes = (size_t)l->shape[i].height * (size_t)l->shape[i].width * 3;
        l->most_bytes = bytes > l->most_bytes ? bytes : l->most_bytes;
    }
    return status;
}

static NbStatus new_memory(NbLoader *l, NbError *err) {
    const NbLoaderOptions *const o = &l->options;
    const int rows = (o->samples->n + o->batch - 1) / o->batch;
    l->batches = o->drop_last ? o->samples->n / o->batch : rows;
    l->ahead = o->workers ? 2 + 2 * o->workers / o->batch : 1;
    l->n_slots = o->workers ? l->ahead + 1 : 1;
    l->slot = NB_NEW(&l->arena, Slot, (size_t)l->n_slots);
    l->order = NB_NEW(&l->arena, uint32_t, (size_t)o->samples->n);
    l->worker = NB_NEW(&l->arena, Worker, (size_t)o->workers + 1);
    if (!l->slot || !l->order || !l->worker)
        return nb_fail_memory(err, "a loader");
    NB_TRY(plan_shapes(l, err));
    for (int i = 0; i < l->n_slots; i++)
        NB_TRY(new_slot(l, &l->slot[i], err));
    NB_TRY(nb_picture_cache_new(o->cache_limit, o->samples->n, &l->source.cache, err));
    for (int i = o->workers ? 0 : o->workers; i <= o->workers; i++, l->n_scratches++) {
        l->worker[i].loader = l;
        NB_TRY(nb_picture_scratch_init(&l->worker[i].scratch, &l->source, err));
    }
    return NB_OK;
}

static NbStatus start(NbLoader *l, NbError *err) {
    NB_TRY(nb_mutex_init(&l->lock, err));
    l->locks_ready = 1;
    NB_TRY(nb_condition_init(&l->work, err));
    l->locks_ready = 2;
    NB_TRY(nb_condition_init(&l->progress, err));
    l->locks_ready = 3;
    for (int i = 0; i < l->options.workers; i++, l->n_threads++)
        NB_TRY_IN(nb_thread_start(&l->worker[i].thread, work, &l->worker[i], err), err,
                  "loader thread %d of %d", i + 1, l->options.workers);
    return NB_OK;
}

NbStatus nb_loader_new(const NbLoaderOptions *o, NbLoader **out, NbError *err) {
    *out = NULL;
    NB_TRY(check_options(o, err));
    NbLoader *const l = calloc(1, sizeof *l);
    if (!l)
        return nb_fail_memory(err, "a loader");
    l->options = *o;
    l->source = (NbPictureSource){.samples = o->samples,
                                  .imgsz = o->imgsz,
                                  .augment = o->augment,
                                  .compat = o->compat,
                                  .ultralytics = o->ultralytics,
                                  .one_step = o->one_step,
                                  .disk_cache = o->disk_cache,
                                  .augmentation = o->augmentation,
                                  .seed = o->seed};
    l->side = o->imgsz;
    l->mosaic = o->augmentation.mosaic;
    l->order_epoch = -1;
    NbStatus status = new_memory(l, err);
    if (status == NB_OK)
        status = start(l, err);
    if (status != NB_OK) {
        nb_loader_free(l);
        return status;
    }
    *out = l;
    return NB_OK;
}

static void stop(NbLoader *l) {
    if (l->n_threads) {
        nb_mutex_lock(&l->lock);
        l->quit = true;
        nb_condition_wake_all(&l->work);
        nb_mutex_unlock(&l->lock);
    }
    for (int i = 0; i < l->n_threads; i++)
        nb_thread_join(&l->worker[i].thread);
    if (l->locks_ready > 2)
        nb_condition_release(&l->progress);
    if (l->locks_ready > 1)
        nb_condition_release(&l->work);
    if (l->locks_ready > 0)
        nb_mutex_release(&l->lock);
}

void nb_loader_free(NbLoader *l) {
    if (!l)
        return;
    stop(l);
    for (int i = 0; l->slot && i < l->n_slots; i++)
        for (int k = 0; l->slot[i].arena && k < l->options.batch; k++)
            nb_arena_release(&l->slot[i].arena[k]);
    for (int i = 0; l->worker && i <= l->options.workers; i++)
        nb_picture_scratch_release(&l->worker[i].scratch);
    nb_picture_cache_free(l->source.cache);
    nb_arena_release(&l->sized);
    nb_arena_release(&l->handed);
    nb_arena_release(&l->arena);
    free(l);
}

int nb_loader_batches(const NbLoader *l) { return l->batches; }

double nb_loader_waited(const NbLoader *l) { return l->waited; }

NbStatus nb_loader_seek(NbLoader *l, int epoch, int batch, int imgsz, double mosaic, NbError *err) {
    const int side = imgsz ? imgsz : l->options.imgsz;
    if (epoch < 0 || batch < 0 || batch >= l->batches)
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "no batch %d of epoch %d: an epoch has batches 0 to %d", batch, epoch,
                       l->batches - 1);
    if (side < SIDE_MIN || side > SIDE_MAX)
        return nb_fail(NB_ERR_ARGUMENT, err, "imgsz is %d, expected %d to %d", side, SIDE_MIN,
                       SIDE_MAX);
    if (l->shape && side != l->options.imgsz)
        return nb_fail(NB_ERR_ARGUMENT, err, "rectangular batches have one imgsz, %d",
                       l->options.imgsz);
    const double wanted = mosaic < 0.0 ? l->options.augmentation.mosaic : mosaic;
    const bool closed = !(mosaic < 0.0) && wanted <= 0.0;
    nb_mutex_lock(&l->lock);
    l->side = side;
    int at_epoch;
    int at_batch;
    position(l, l->read_number, &at_epoch, &at_batch);
    if (epoch != at_epoch || batch != at_batch || wanted != l->mosaic || closed != l->closed) {
        l->held = true;
        while (l->active)
            nb_condition_wait(&l->progress, &l->lock);
        l->mosaic = wanted;
        l->closed = closed;
        l->start_epoch = epoch;
        l->start_batch = batch;
        l->read_number = l->make_number = 0;
        l->make_picture = 0;
        l->held = false;
        nb_condition_wake_all(&l->work);
    }
    nb_mutex_unlock(&l->lock);
    return NB_OK;
}

/* Waits for the next batch, or makes it; lock held. */
static Slot *finish_next(NbLoader *l) {
    const int64_t number = l->read_number;
    Slot *const s = slot_of(l, number);
    if (l->options.workers == 0)
        while (l->make_number == number)
            make_one(l, &l->worker[0].scratch);
    while (l->make_number <= number || s->done < s->count)
        nb_condition_wait(&l->progress, &l->lock);
    l->read_number++;
    nb_condition_wake_all(&l->work);
    return s;
}

static NbStatus room_for_size(NbLoader *l, int count, NbError *err) {
    const size_t bytes = (size_t)count * side_bytes(l->side);
    if (bytes <= l->sized_bytes)
        return NB_OK;
    nb_arena_release(&l->sized);
    l->sized_bytes = 0;
    l->sized_images = NB_NEW(&l->sized, uint8_t, bytes);
    if (!l->sized_images)
        return nb_fail_memory(err, "a batch of another size");
    l->sized_bytes = bytes;
    return NB_OK;
}

/* Brings the batch to l->side with everybody's help; lock held. */
static NbStatus change_size(NbLoader *l, const Slot *s, NbError *err) {
    NB_TRY(room_for_size(l, s->count, err));
    Resizing *const r = &l->resizing;
    *r = (Resizing){.slot = s, .side = l->side, .out = l->sized_images, .status = NB_OK};
    nb_condition_wake_all(&l->work);
    while (resize_waits(l))
        resize_one(l, &l->worker[l->options.workers].scratch);
    while (r->done < s->count)
        nb_condition_wait(&l->progress, &l->lock);
    r->slot = NULL;
    return r->status == NB_OK ? NB_OK : nb_fail_memory(err, "resizing a batch");
}

/* Collects labels and placement of the pictures. */
static NbStatus collect(NbLoader *l, const Slot *s, NbBatch *out, NbError *err) {
    empty(&l->handed);
    size_t n = 0;
    for (int i = 0; i < s->count; i++)
        n += (size_t)s->picture[i].n_targets;
    NbTarget *const target = NB_NEW(&l->handed, NbTarget, n);
    float *const gain = NB_NEW(&l->handed, float, (size_t)s->count);
    float(*const pad)[2] = nb_arena_take(&l->handed, (size_t)s->count, sizeof *pad);
    if (!target || !gain || !pad)
        return nb_fail_memory(err, "the labels of a batch");
    size_t used = 0;
    const float scale = (float)l->side / (float)l->options.imgsz;
    for (int i = 0; i < s->count; i++) {
        const NbPicture *const p = &s->picture[i];
        for (int k = 0; k < p->n_targets; k++) {
            target[used] = p->target[k];
            target[used++].image = i;
        }
        gain[i] = p->gain * scale;
        pad[i][0] = p->pad[0] * scale;
        pad[i][1] = p->pad[1] * scale;
    }
    *out = (NbBatch){.count = s->count,
                     .imgsz = l->side,
                     .height = l->shape ? s->height : l->side,
                     .width = l->shape ? s->width : l->side,
                     .images = l->side == l->options.imgsz ? s->images : l->sized_images,
                     .target = target,
                     .n_targets = used,
                     .sample = s->sample,
                     .gain = gain,
                     .pad = (const float(*)[2])pad};
    return NB_OK;
}

NbStatus nb_loader_next(NbLoader *l, NbBatch *out, NbError *err) {
    *out = (NbBatch){0};
    const double begin = nb_clock_seconds();
    nb_mutex_lock(&l->lock);
    const Slot *const s = finish_next(l);
    NbStatus status = s->status;
    if (status != NB_OK && err)
        *err = s->error;
    if (status == NB_OK && l->side != l->options.imgsz)
        status = change_size(l, s, err);
    nb_mutex_unlock(&l->lock);
    l->waited += nb_clock_seconds() - begin;
    return status == NB_OK ? collect(l, s, out, err) : status;
}
