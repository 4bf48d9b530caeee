/* SPDX-License-Identifier: Apache-2.0 */
#include "train/validate.h"

#include "base/clock.h"

#include <string.h>

/* Labels of a sample as boxes in pixels of its picture. */
static NbStatus label_boxes(const NbSample *s, NbArena *arena, NbYoloImage *image, NbError *err) {
    NbDetection *const label = NB_NEW(arena, NbDetection, (size_t)s->n_labels);
    if (!label)
        return nb_fail_memory(err, "labels");
    for (int i = 0; i < s->n_labels; i++) {
        const float *const b = s->label[i].xywh;
        const float w = (float)s->width;
        const float h = (float)s->height;
        label[i] = (NbDetection){.xyxy = {(b[0] - b[2] / 2) * w, (b[1] - b[3] / 2) * h,
                                          (b[0] + b[2] / 2) * w, (b[1] + b[3] / 2) * h},
                                 .conf = 1.0F,
                                 .cls = s->label[i].cls};
    }
    image->label = label;
    image->n_labels = (size_t)s->n_labels;
    return NB_OK;
}

/* One pass over the loader. */
typedef struct Pass {
    const NbRawRun *run;
    const NbHead *head;
    const NbLoss *loss;
    const NbValOptions *options;
    NbValResult *out;
    NbArena scratch;
    int batches;
} Pass;

static NbStatus add_loss(Pass *p, const NbHeadLevel *level, const NbBatch *batch, NbError *err) {
    NbLoss loss = *p->loss;
    loss.yolov5.autobalance = false;
    double items[NB_LOSS_ITEMS];
    double total;
    const NbLossBatch targets = {batch->count, batch->target, batch->n_targets};
    NB_TRY(nb_loss_run(&loss, level, &targets, &p->scratch, items, &total, err));
    for (int i = 0; i < NB_LOSS_ITEMS; i++)
        p->out->loss[i] += items[i];
    return NB_OK;
}

static NbStatus keep_detections(Pass *p, const NbHeadLevel *level, const NbBatch *batch, int b,
                                NbError *err) {
    const int index = batch->sample[b];
    const NbSample *const s = &p->options->samples->sample[index];
    NbYoloImage *const image = &p->out->image[index];
    NB_TRY(label_boxes(s, &p->out->arena, image, err));
    const NbDetectPlace place = {.gain = batch->gain[b],
                                 .pad = {batch->pad[b][0], batch->pad[b][1]},
                                 .width = s->width,
                                 .height = s->height};
    NbDetections found;
    NB_TRY_IN(
        nb_detect_picture(p->head, level, b, &p->options->detect, &place, &p->scratch, &found, err),
        err, "%s", s->path);
    NbDetection *const kept = NB_NEW(&p->out->arena, NbDetection, found.count);
    if (!kept)
        return nb_fail_memory(err, "detections");
    if (found.count)
        memcpy(kept, found.item, found.count * sizeof *kept);
    image->detection = kept;
    image->n_detections = found.count;
    return NB_OK;
}

static NbStatus run_batch(Pass *p, NbLoader *loader, NbError *err) {
    NbHeadLevel level[NB_MAX_HEAD_OUTPUTS];
    const NbHeadLevel *const read = level + (p->run->all ? nb_head_first(p->head) : 0);
    NbBatch batch;
    const double start = nb_clock_seconds();
    NB_TRY(nb_loader_next(loader, &batch, err));
    const double loaded = nb_clock_seconds();
    if (p->options->rect_stride > 0)
        NB_TRY(p->run->resize(p->run->user, batch.height, batch.width, err));
    NB_TRY(p->run->run(p->run->user, batch.images, batch.count, level, err));
    const double computed = nb_clock_seconds();
    nb_arena_release(&p->scratch);
    if (p->loss)
        NB_TRY(add_loss(p, level, &batch, err));
    for (int b = 0; b < batch.count; b++)
        NB_TRY(keep_detections(p, read, &batch, b, err));
    if (p->options->on_batch)
        p->options->on_batch(p->options->user, &batch, p->out->image);
    p->out->preprocess_s += loaded - start;
    p->out->inference_s += computed - loaded;
    p->out->postprocess_s += nb_clock_seconds() - computed;
    p->batches++;
    return NB_OK;
}

NbStatus nb_validate(const NbRawRun *run, const NbHead *head, const NbLoss *loss,
                     const NbValOptions *options, NbValResult *out, NbError *err) {
    *out = (NbValResult){.n_images = options->samples->n};
    out->image = NB_NEW(&out->arena, NbYoloImage, (size_t)out->n_images);
    if (!out->image)
        return nb_fail_memory(err, "a validation result");
    const NbLoaderOptions loading = {.samples = options->samples,
                                     .batch = options->batch,
                                     .imgsz = options->imgsz,
                                     .workers = options->workers,
                                     .rect_stride = options->rect_stride,
                                     .rect_pad = options->rect_pad,
                                     .one_step =
                                         head->kind != NB_HEAD_YOLOV5 && options->rect_stride == 0,
                                     .cache_limit = options->cache_limit,
                                     .disk_cache = options->disk_cache};
    NbLoader *loader = NULL;
    NB_TRY(nb_loader_new(&loading, &loader, err));
    Pass pass = {.run = run, .head = head, .loss = loss, .options = options, .out = out};
    const int batches = nb_loader_batches(loader);
    NbStatus status = NB_OK;
    for (int i = 0; i < batches && status == NB_OK; i++) {
        status = run_batch(&pass, loader, err);
        if (status == NB_OK && options->should_stop && options->should_stop(options->user))
            status = nb_fail(NB_ERR_STOPPED, err, "stopped after %d of %d batches", i + 1, batches);
    }
    nb_loader_free(loader);
    nb_arena_release(&pass.scratch);
    NB_TRY(status);
    for (int i = 0; i < NB_LOSS_ITEMS && pass.batches; i++)
        out->loss[i] /= pass.batches;
    return nb_yolo_score(out->image, (size_t)out->n_images, head->nc, options->matching,
                         &out->arena, &out->score, err);
}

void nb_val_result_release(NbValResult *r) {
    NbArena arena = r->arena;
    nb_arena_release(&arena);
    *r = (NbValResult){0};
}

NbStatus nb_val_detections(const NbValResult *r, NbArena *arena, NbCocoDetection **out, size_t *n,
                           NbError *err) {
    *n = 0;
    for (int i = 0; i < r->n_images; i++)
        *n += r->image[i].n_detections;
    NbCocoDetection *at = NB_NEW(arena, NbCocoDetection, *n);
    *out = at;
    if (!at)
        return nb_fail_memory(err, "detections");
    for (int i = 0; i < r->n_images; i++) {
        for (size_t k = 0; k < r->image[i].n_detections; k++) {
            const NbDetection *const d = &r->image[i].detection[k];
            const double x = (double)d->xyxy[0];
            const double y = (double)d->xyxy[1];
            *at++ =
                (NbCocoDetection){.image = i,
                                  .category = d->cls,
                                  .xywh = {x, y, (double)d->xyxy[2] - x, (double)d->xyxy[3] - y},
                                  .score = (double)d->conf};
        }
    }
    return NB_OK;
}

static size_t count_truth(const NbValResult *r, const NbSamples *samples) {
    size_t n = 0;
    for (int i = 0; i < r->n_images; i++)
        n += samples->sample[i].truth ? (size_t)samples->sample[i].n_truth : r->image[i].n_labels;
    return n;
}

/* What a COCO set says, or labels without crowds whose area is the box's. */
static NbStatus collect_truth(const NbValResult *r, const NbSamples *samples, NbArena *arena,
                              NbCocoTruth **out, size_t *n, NbError *err) {
    *n = count_truth(r, samples);
    NbCocoTruth *at = NB_NEW(arena, NbCocoTruth, *n);
    *out = at;
    if (!at)
        return nb_fail_memory(err, "labels");
    for (int i = 0; i < r->n_images; i++) {
        const NbSample *const s = &samples->sample[i];
        for (int k = 0; s->truth && k < s->n_truth; k++)
            *at++ = s->truth[k];
        for (size_t k = 0; !s->truth && k < r->image[i].n_labels; k++) {
            const float *const b = r->image[i].label[k].xyxy;
            const double w = (double)b[2] - (double)b[0];
            const double h = (double)b[3] - (double)b[1];
            *at++ = (NbCocoTruth){.image = i,
                                  .category = r->image[i].label[k].cls,
                                  .xywh = {(double)b[0], (double)b[1], w, h},
                                  .area = w * h};
        }
    }
    return NB_OK;
}

static NbStatus score_coco(const NbValResult *r, const NbSamples *samples, int nc, NbArena *arena,
                           NbCocoScore *out, NbError *err) {
    NbCocoTruth *truth = NULL;
    NbCocoDetection *found = NULL;
    size_t labels = 0;
    size_t n = 0;
    NB_TRY(collect_truth(r, samples, arena, &truth, &labels, err));
    NB_TRY(nb_val_detections(r, arena, &found, &n, err));
    int64_t *const image = NB_NEW(arena, int64_t, (size_t)r->n_images);
    int64_t *const category = NB_NEW(arena, int64_t, (size_t)nc);
    if (!image || !category)
        return nb_fail_memory(err, "COCO scoring");
    for (int i = 0; i < r->n_images; i++)
        image[i] = samples->sample[i].truth ? samples->sample[i].id : i;
    for (int i = 0; i < nc; i++)
        category[i] = i;
    for (size_t i = 0; i < n; i++)
        found[i].image = image[found[i].image];
    return nb_coco_score(image, (size_t)r->n_images, category, (size_t)nc, truth, labels, found, n,
                         arena, out, err);
}

NbStatus nb_val_coco(const NbValResult *r, const NbSamples *samples, int nc, NbCocoScore *out,
                     NbError *err) {
    NbArena arena = {0};
    const NbStatus status = score_coco(r, samples, nc, &arena, out, err);
    nb_arena_release(&arena);
    return status;
}
