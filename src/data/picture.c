/* SPDX-License-Identifier: Apache-2.0
 *
 * The order of steps is that of quantized-yolov5 utils/datasets.py LoadImagesAndLabels: mosaic and
 * affine step (or letterbox and affine step), mixup, HSV, flips. The draws are our own. */
#include "data/picture.h"

#include "base/random.h"
#include "base/size.h"
#include "data/disk_cache.h"
#include "data/hsv.h"
#include "data/letterbox.h"
#include "data/mosaic.h"
#include "data/warp.h"
#include "format/image.h"

#include <assert.h>
#include <string.h>

enum { TILES = 4 };

/* One picture that is being made. */
typedef struct Making {
    const NbPictureSource *source;
    NbPictureScratch *scratch;
    NbArena *arena;
    NbRandom random;
    NbPicture *out;
    int height, width; /* of the picture that is made */
    NbError *err;
} Making;

NbStatus nb_picture_scratch_init(NbPictureScratch *s, const NbPictureSource *source, NbError *err) {
    const size_t side = (size_t)source->imgsz;
    *s = (NbPictureScratch){0};
    s->canvas = NB_NEW(&s->fixed, uint8_t, 4 * side * side * 3);
    s->second =
        source->augmentation.mixup > 0.0 ? NB_NEW(&s->fixed, uint8_t, side * side * 3) : s->canvas;
    return s->canvas && s->second ? NB_OK : nb_fail_memory(err, "a loader's canvas");
}

void nb_picture_scratch_release(NbPictureScratch *s) {
    nb_arena_release(&s->fixed);
    nb_arena_release(&s->arena);
}

/* The sample as it is. */
static NbStatus decode(Making *m, const NbSample *s, NbImage *out) {
    NbArena *const arena = &m->scratch->arena;
    if (m->source->disk_cache && nb_disk_cache_get(s, arena, out))
        return NB_OK;
    NB_TRY(nb_image_read(s->path, arena, out, m->err));
    if (out->width != s->width || out->height != s->height)
        return nb_fail(NB_ERR_FORMAT, m->err,
                       "%s: %d x %d pixels, but it was %d x %d when the data set was checked",
                       s->path, out->width, out->height, s->width, s->height);
    if (m->source->disk_cache)
        nb_disk_cache_put(s, out, arena);
    return NB_OK;
}

/* The sample, decoded and with its longer side imgsz. Lives until the scratch is rewound. */
static NbStatus load(Making *m, int sample, NbPixels *out) {
    const NbSample *const s = &m->source->samples->sample[sample];
    const NbLoadRule rule = m->source->compat     ? NB_LOAD_YOLOV5
                            : m->source->one_step ? NB_LOAD_ROUNDED
                                                  : NB_LOAD_ULTRALYTICS;
    int size[2];
    nb_load_size(s->width, s->height, m->source->imgsz, rule, size);
    uint8_t *const kept = nb_picture_cache_get(m->source->cache, sample);
    if (kept) {
        *out = nb_pixels(kept, size[0], size[1]);
        return NB_OK;
    }
    NbImage image;
    NB_TRY(decode(m, s, &image));
    const size_t bytes = (size_t)size[0] * (size_t)size[1] * 3;
    uint8_t *const pixels = NB_NEW(&m->scratch->arena, uint8_t, bytes);
    if (!pixels)
        return nb_fail_memory(m->err, s->path);
    *out = nb_pixels(pixels, size[0], size[1]);
    NB_TRY(nb_load_resize(nb_pixels(image.rgb, image.width, image.height), *out, rule,
                          m->source->augment, &m->scratch->arena, m->err));
    nb_picture_cache_put(m->source->cache, sample, pixels, bytes);
    return NB_OK;
}

/* Where a sample's relative coordinates lie: x * width + dx. */
typedef struct Place {
    float width, height;
    float dx, dy;
    int limit[2]; /* width and height of the canvas: boxes are clipped to it */
} Place;

static float clip(float v, int hi) { return v < 0.0F ? 0.0F : v > (float)hi ? (float)hi : v; }

static void add_target(Making *m, int cls, const float xyxy[4]) {
    NbTarget *const t = &m->out->target[m->out->n_targets++];
    *t = (NbTarget){.cls = cls};
    nb_box_relative(xyxy, m->width, m->height, m->source->ultralytics ? 0.0F : NB_BOX_MARGIN,
                    t->xywh);
}

/* Takes the polygon to the canvas; NULL: out of memory. */
static float (*place_polygon(Making *m, const NbPolygon *p, const Place *at))[2] {
    float(*const point)[2] = nb_arena_take(&m->scratch->arena, (size_t)p->n, sizeof *point);
    for (int i = 0; point && i < p->n; i++) {
        point[i][0] = clip(p->point[i][0] * at->width + at->dx, at->limit[0]);
        point[i][1] = clip(p->point[i][1] * at->height + at->dy, at->limit[1]);
    }
    return point;
}

/* Adds what the warp (NULL: none) leaves of the sample's labels. */
static NbStatus add_labels(Making *m, int sample, const Place *at, const NbWarp *warp) {
    const NbSample *const s = &m->source->samples->sample[sample];
    const int side = m->source->imgsz;
    const double max_aspect = m->source->compat ? 20.0 : 100.0;
    for (int i = 0; i < s->n_labels; i++) {
        float box[4];
        nb_box_place(s->label[i].xywh, at->width, at->height, at->dx, at->dy, box);
        for (int k = 0; k < 4; k++)
            box[k] = clip(box[k], at->limit[k % 2]);
        bool keep = true;
        if (warp && s->polygon && s->polygon[i].n) {
            const NbPolygon *const p = &s->polygon[i];
            float(*const point)[2] = place_polygon(m, p, at);
            if (!point)
                return nb_fail_memory(m->err, s->path);
            keep = nb_warp_polygon(warp, (const float(*)[2])point, (size_t)p->n, box, side, side,
                                   max_aspect, box);
        } else if (warp) {
            keep = nb_warp_box(warp, box, side, side, max_aspect, box);
        }
        if (keep)
            add_target(m, s->label[i].cls, box);
    }
    return NB_OK;
}

static NbWarp draw_warp(Making *m, int from_side) {
    const NbAugment *const a = &m->source->augmentation;
    const NbWarpRanges ranges = {.degrees = a->degrees,
                                 .translate = a->translate,
                                 .scale = a->scale,
                                 .shear = a->shear,
                                 .perspective = a->perspective};
    double unit[NB_WARP_DRAWS];
    for (int i = 0; i < NB_WARP_DRAWS; i++)
        unit[i] = nb_random_unit(&m->random);
    const int side = m->source->imgsz;
    return nb_warp_draw(unit, &ranges, from_side, from_side, side, side);
}

/* More room for labels; those that are there stay. */
static NbStatus reserve(Making *m, const int *sample, int n) {
    size_t room = (size_t)m->out->n_targets;
    for (int i = 0; i < n; i++)
        room += (size_t)m->source->samples->sample[sample[i]].n_labels;
    NbTarget *const target = NB_NEW(m->arena, NbTarget, room);
    if (!target)
        return nb_fail_memory(m->err, "labels");
    if (m->out->n_targets)
        memcpy(target, m->out->target, (size_t)m->out->n_targets * sizeof *target);
    m->out->target = target;
    return NB_OK;
}

/* Fills only the part of the canvas that the warp reads. */
static NbStatus fill_canvas(Making *m, const int sample[TILES], const int centre[2],
                            const NbWarp *warp, NbPixels canvas) {
    const int side = m->source->imgsz;
    int part[4];
    nb_warp_reads(warp, canvas.width, canvas.height, side, side, part);
    if (part[2] == 0 || part[3] == 0)
        part[2] = part[3] = 0;
    else
        nb_pixels_fill(nb_pixels_part(canvas, part[0], part[1], part[2], part[3]), NB_PIXEL_PAD);
    for (int k = 0; k < TILES; k++) {
        NbPixels picture = {0};
        NB_TRY(load(m, sample[k], &picture));
        const NbTile tile =
            nb_mosaic_tile(k, side, centre[0], centre[1], picture.width, picture.height);
        nb_mosaic_copy(&tile, picture, canvas, part);
        const Place at = {.width = (float)picture.width,
                          .height = (float)picture.height,
                          .dx = (float)(tile.x - tile.from_x),
                          .dy = (float)(tile.y - tile.from_y),
                          .limit = {2 * side, 2 * side}};
        NB_TRY(add_labels(m, sample[k], &at, warp));
    }
    return NB_OK;
}

/* Draws the centre, three more samples, the order, and the warp, in this order. */
static NbStatus make_mosaic(Making *m, int first, uint8_t *pixels) {
    const int side = m->source->imgsz;
    const uint32_t n = (uint32_t)m->source->samples->n;
    int centre[2];
    centre[1] = (int)nb_random_range(&m->random, side / 2.0, 1.5 * side);
    centre[0] = (int)nb_random_range(&m->random, side / 2.0, 1.5 * side);
    int chosen[TILES] = {first};
    for (int k = 1; k < TILES; k++)
        chosen[k] = (int)nb_random_below(&m->random, n);
    uint32_t order[TILES];
    if (m->source->ultralytics)
        for (uint32_t k = 0; k < TILES; k++)
            order[k] = k;
    else
        nb_random_permutation(&m->random, order, TILES);
    int sample[TILES];
    for (int k = 0; k < TILES; k++)
        sample[k] = chosen[order[k]];
    const NbWarp warp = draw_warp(m, 2 * side);
    NB_TRY(reserve(m, sample, TILES));
    const NbPixels canvas = nb_pixels(m->scratch->canvas, 2 * side, 2 * side);
    NB_TRY(fill_canvas(m, sample, centre, &warp, canvas));
    return nb_warp_pixels(canvas, &warp, nb_pixels(pixels, side, side), &m->scratch->arena, m->err);
}

static NbStatus make_letterbox(Making *m, int sample, uint8_t *pixels) {
    const int side = m->source->imgsz;
    const NbSample *const s = &m->source->samples->sample[sample];
    NbPixels picture = {0};
    NB_TRY(load(m, sample, &picture));
    const NbLetterboxOptions options = {
        .height = m->height, .width = m->width, .no_upscale = !m->source->augment};
    const NbLetterbox plan = nb_letterbox_plan(picture.width, picture.height, &options);
    const bool exact = !m->source->compat; /* the source keeps half pixels here */
    const Place at = {.width = exact ? (float)plan.size[0] : (float)(plan.gain[0] * picture.width),
                      .height =
                          exact ? (float)plan.size[1] : (float)(plan.gain[1] * picture.height),
                      .dx = exact ? (float)plan.left : (float)plan.half[0],
                      .dy = exact ? (float)plan.top : (float)plan.half[1],
                      .limit = {m->width, m->height}};
    m->out->gain = (float)((double)picture.height / s->height);
    if (m->source->one_step) /* what was asked for, before sides were rounded */
        m->out->gain = (float)((double)side / (s->width > s->height ? s->width : s->height));
    if (!m->source->augment) /* a rounded side may not quite fit a rectangle */
        m->out->gain *= (float)plan.gain[1];
    m->out->pad[0] = at.dx;
    m->out->pad[1] = at.dy;
    NB_TRY(reserve(m, &sample, 1));
    const NbPixels out = nb_pixels(pixels, m->width, m->height);
    NbWarp warp;
    bool moved = false;
    if (m->source->augment) {
        warp = draw_warp(m, side);
        moved = !nb_warp_is_identity(&warp);
    }
    NB_TRY(add_labels(m, sample, &at, m->source->augment ? &warp : NULL));
    if (!moved)
        return nb_letterbox(picture, &plan, out, &m->scratch->arena, m->err);
    const NbPixels canvas = nb_pixels(m->scratch->canvas, side, side);
    NB_TRY(nb_letterbox(picture, &plan, canvas, &m->scratch->arena, m->err));
    return nb_warp_pixels(canvas, &warp, out, &m->scratch->arena, m->err);
}

/* Mosaic, or letterbox and affine step. */
static NbStatus make_plain(Making *m, int sample, double mosaic, bool *is_mosaic, uint8_t *pixels) {
    *is_mosaic = nb_random_unit(&m->random) < mosaic;
    return *is_mosaic ? make_mosaic(m, sample, pixels) : make_letterbox(m, sample, pixels);
}

/* Blends in a second picture: a mosaic, or whatever the draw says where mixup is for all. */
static NbStatus mix(Making *m, double mosaic, uint8_t *pixels) {
    const int side = m->source->imgsz;
    const int sample = (int)nb_random_below(&m->random, (uint32_t)m->source->samples->n);
    bool is_mosaic;
    if (m->source->ultralytics)
        NB_TRY(make_plain(m, sample, mosaic, &is_mosaic, m->scratch->second));
    else
        NB_TRY(make_mosaic(m, sample, m->scratch->second));
    const double r = nb_random_beta(&m->random, 32.0, 32.0);
    nb_pixels_blend(nb_pixels(pixels, side, side), nb_pixels(m->scratch->second, side, side), r);
    return NB_OK;
}

static void change_colours(Making *m, NbPixels p) {
    const NbAugment *const a = &m->source->augmentation;
    const double gain[3] = {a->hsv_h, a->hsv_s, a->hsv_v};
    double change[3];
    for (int k = 0; k < 3; k++)
        change[k] = nb_random_range(&m->random, -1.0, 1.0) * gain[k];
    if (gain[0] == 0.0 && gain[1] == 0.0 && gain[2] == 0.0)
        return;
    NbHsvTables tables;
    nb_hsv_tables(change, NB_HSV_YOLOV5, &tables);
    nb_hsv_adjust(p, &tables);
}

static void flip(Making *m, NbPixels p) {
    const NbAugment *const a = &m->source->augmentation;
    const bool ud = nb_random_unit(&m->random) < a->flipud;
    const bool lr = nb_random_unit(&m->random) < a->fliplr;
    if (ud)
        nb_pixels_flip_ud(p);
    if (lr)
        nb_pixels_flip_lr(p);
    for (int i = 0; i < m->out->n_targets; i++) {
        if (ud)
            nb_box_flip(m->out->target[i].xywh, 1);
        if (lr)
            nb_box_flip(m->out->target[i].xywh, 0);
    }
}

static NbStatus make(Making *m, const NbPictureRequest *r, uint8_t *pixels) {
    const int side = m->source->imgsz;
    if (!m->source->augment)
        return make_letterbox(m, r->sample, pixels);
    bool is_mosaic = false;
    NB_TRY(make_plain(m, r->sample, r->mosaic, &is_mosaic, pixels));
    if ((is_mosaic || m->source->ultralytics) && nb_random_unit(&m->random) < r->mixup)
        NB_TRY(mix(m, r->mosaic, pixels));
    change_colours(m, nb_pixels(pixels, side, side));
    flip(m, nb_pixels(pixels, side, side));
    return NB_OK;
}

NbStatus nb_picture_make(const NbPictureSource *source, const NbPictureRequest *r,
                         NbPictureScratch *scratch, uint8_t *pixels, NbArena *arena, NbPicture *out,
                         NbError *err) {
    *out = (NbPicture){0};
    Making m = {.source = source,
                .scratch = scratch,
                .arena = arena,
                .random = nb_random(source->seed, NB_RANDOM_AUGMENT, (uint32_t)r->epoch,
                                    (uint32_t)r->place),
                .out = out,
                .height = r->height ? r->height : source->imgsz,
                .width = r->width ? r->width : source->imgsz,
                .err = err};
    const NbArenaMark mark = nb_arena_mark(&scratch->arena);
    const NbStatus status = make(&m, r, pixels);
    nb_arena_rewind(&scratch->arena, mark);
    return status;
}
