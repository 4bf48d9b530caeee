/* SPDX-License-Identifier: Apache-2.0
 *
 * The detector of nibble/nibble.h: a pool of threads, an engine and what post-processing needs. The
 * model itself is dropped once the engine has packed it. */
#include "api/rt/build.h"
#include "api/rt/options.h"

#include "base/file.h"
#include "data/letterbox.h"
#include "detect/picture.h"
#include "model/checkpoint.h"

#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 3, MOST_PICTURE_SIDE = 65535, STANDARD_SIDE = 416 };

struct NbDetector {
    NbArena arena; /* lives as long as the detector */
    NbArena scratch;
    NbPool *pool;
    NbHeadEngine engine;
    NbIsa isa;
    NbHead head;
    NbDetectOptions options;
    int side;
    char **names;
    uint8_t *input; /* [side, side, 3] */
    NbBox *box;     /* [options.max_det] */
    bool ran;
};

/* ---- opening ---- */

static NB_FALLIBLE check_input(const NbModel *m, NbError *err) {
    for (NbNodeId id = 0; id < m->graph.n_nodes; id++) {
        const NbNode *const node = &m->graph.node[id];
        if (node->op == NB_OP_INPUT && node->attr.input.channels != CHANNELS)
            return nb_fail(NB_ERR_UNSUPPORTED, err,
                           "the network takes pictures of %d channels, only 3 (RGB) are supported",
                           node->attr.input.channels);
    }
    return NB_OK;
}

static NB_FALLIBLE set_classes(NbDetector *d, const NbDetectorOptions *o, NbError *err) {
    if (!o->classes)
        return NB_OK;
    bool *const wanted = NB_NEW(&d->arena, bool, (size_t)d->head.nc);
    if (!wanted)
        return nb_fail_memory(err, "classes");
    for (size_t i = 0; i < o->n_classes; i++) {
        if (o->classes[i] < 0 || o->classes[i] >= d->head.nc)
            return nb_fail(NB_ERR_ARGUMENT, err,
                           "options: classes[%zu]: 0 to %d expected, found %d", i, d->head.nc - 1,
                           o->classes[i]);
        wanted[o->classes[i]] = true;
    }
    d->options.classes = wanted;
    return NB_OK;
}

static NB_FALLIBLE copy_names(NbDetector *d, const NbModel *m, NbError *err) {
    d->names = NB_NEW(&d->arena, char *, (size_t)m->head.nc);
    if (!d->names)
        return nb_fail_memory(err, "names");
    for (int i = 0; i < m->head.nc; i++) {
        d->names[i] = nb_arena_string(&d->arena, m->names[i]);
        if (!d->names[i])
            return nb_fail_memory(err, "names");
    }
    return NB_OK;
}

/* Everything that is taken from the model. */
static NB_FALLIBLE take_model(NbDetector *d, NbModel *m, const char *name,
                              const NbDetectorOptions *o, NbError *err) {
    NB_TRY_IN(check_input(m, err), err, "%s", name);
    const int asked = o->imgsz > 0 ? o->imgsz : m->imgsz;
    d->side = nb_head_side(&m->head, asked > 0 ? asked : STANDARD_SIDE);
    d->head = m->head;
    d->options = nb_head_options(&m->head, false);
    d->options.conf = (float)o->conf;
    d->options.iou = o->iou;
    d->options.max_det = o->max_det;
    d->options.agnostic = o->agnostic != 0;
    d->options.class_of_one = m->compat;
    NB_TRY(set_classes(d, o, err));
    NB_TRY(copy_names(d, m, err));
    const NbEngineOptions options = {
        .height = d->side, .width = d->side, .isa = d->isa, .pool = d->pool};
    return nb_head_engine_new(m, name, &options, &d->engine, err);
}

static NB_FALLIBLE fill(NbDetector *d, const char *name, NbBytes bytes,
                        const NbDetectorOptions *given, NbError *err) {
    NbDetectorOptions o;
    NbModel model;
    NB_TRY(nb_detector_options_read(given, &o, err));
    NB_TRY_IN(nb_isa_choose(o.isa, &d->isa, err), err, "options: isa");
    NB_TRY(nb_model_from_checkpoint(name, bytes, NULL, &model, err));
    NbStatus status = nb_pool_new(o.threads, &d->pool, err);
    if (status == NB_OK)
        status = take_model(d, &model, name, &o, err);
    nb_model_release(&model);
    NB_TRY(status);
    d->input = NB_NEW(&d->arena, uint8_t, (size_t)d->side * (size_t)d->side * CHANNELS);
    d->box = NB_NEW(&d->arena, NbBox, (size_t)o.max_det);
    return d->input && d->box ? NB_OK : nb_fail_memory(err, "a detector");
}

static NB_FALLIBLE open_bytes(const char *name, NbBytes bytes, const NbDetectorOptions *options,
                              NbDetector **out, NbError *err) {
    NbDetector *const d = calloc(1, sizeof *d);
    if (!d)
        return nb_fail_memory(err, "a detector");
    const NbStatus status = fill(d, name, bytes, options, err);
    if (status == NB_OK)
        *out = d;
    else
        nb_detector_free(d);
    return status;
}

NbStatus nb_detector_open(const char *path, const NbDetectorOptions *options, NbDetector **out,
                          NbError *err) {
    if (!out)
        return nb_fail(NB_ERR_ARGUMENT, err, "out is NULL: there is no place for the detector");
    *out = NULL;
    if (!path)
        return nb_fail(NB_ERR_ARGUMENT, err, "path is NULL");
    NbBytes bytes;
    NB_TRY(nb_file_map(path, &bytes, err));
    const NbStatus status = open_bytes(path, bytes, options, out, err);
    nb_file_unmap(bytes);
    return status;
}

NbStatus nb_detector_open_memory(const void *data, size_t size, const NbDetectorOptions *options,
                                 NbDetector **out, NbError *err) {
    if (!out)
        return nb_fail(NB_ERR_ARGUMENT, err, "out is NULL: there is no place for the detector");
    *out = NULL;
    if (!data)
        return nb_fail(NB_ERR_ARGUMENT, err, "data is NULL");
    return open_bytes("checkpoint in memory", (NbBytes){data, size}, options, out, err);
}

void nb_detector_free(NbDetector *d) {
    if (!d)
        return;
    nb_head_engine_release(&d->engine);
    nb_pool_free(d->pool);
    nb_arena_release(&d->scratch);
    nb_arena_release(&d->arena);
    free(d);
}

/* ---- asking ---- */

static NB_FALLIBLE need_detector(const NbDetector *d, NbError *err) {
    return d ? NB_OK : nb_fail(NB_ERR_ARGUMENT, err, "the detector is NULL");
}

NbStatus nb_detector_info(const NbDetector *d, NbDetectorInfo *out, NbError *err) {
    NB_TRY(need_detector(d, err));
    if (!out || out->size < sizeof out->size)
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "info: a structure whose size is sizeof(NbDetectorInfo) expected, found %s",
                       out ? "a smaller size" : "NULL");
    const size_t size = out->size;
    const NbDetectorInfo all = {.size = size,
                                .width = d->side,
                                .height = d->side,
                                .classes = d->head.nc,
                                .outputs = d->head.levels,
                                .threads = nb_pool_threads(d->pool),
                                .isa = nb_isa_name(d->isa),
                                .bytes = sizeof *d + d->arena.total + d->scratch.total +
                                         d->engine.arena.total + nb_engine_bytes(d->engine.engine)};
    memset(out, 0, size);
    memcpy(out, &all, size < sizeof all ? size : sizeof all);
    return NB_OK;
}

const char *nb_detector_class_name(const NbDetector *d, int cls) {
    return d && cls >= 0 && cls < d->head.nc ? d->names[cls] : NULL;
}

NbStatus nb_detector_set_thresholds(NbDetector *d, double conf, double iou, NbError *err) {
    NB_TRY(need_detector(d, err));
    NB_TRY(nb_detector_thresholds_check(&conf, &iou, err));
    d->options.conf = (float)conf;
    d->options.iou = iou;
    return NB_OK;
}

/* ---- running ---- */

NbStatus nb_detector_run(NbDetector *d, const uint8_t *input, size_t bytes, NbError *err) {
    NB_TRY(need_detector(d, err));
    const size_t wanted = (size_t)d->side * (size_t)d->side * CHANNELS;
    if (!input || bytes != wanted)
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "input: %d x %d x 3 = %zu bytes expected, found %zu at %s", d->side, d->side,
                       wanted, bytes, input ? "the address given" : "NULL");
    NB_TRY(nb_head_engine_run(&d->engine, input, err));
    d->ran = true;
    return NB_OK;
}

const float *nb_detector_output(const NbDetector *d, int i, int dim[3]) {
    if (!d || !d->ran || i < 0 || i >= d->head.levels)
        return NULL;
    for (int k = 0; dim && k < 3; k++)
        dim[k] = (int)d->engine.dim[i][k];
    return nb_head_engine_output(&d->engine, i);
}

/* A view that is only read from: NbPixels serves both. */
static NbPixels readable(const uint8_t *rgb, int width, int height, size_t stride) {
    return (NbPixels){(uint8_t *)(uintptr_t)rgb, width, height, stride};
}

static NB_FALLIBLE find_boxes(NbDetector *d, const NbLetterbox *plan, int width, int height,
                              NbDetections *out, NbError *err) {
    NbHeadLevel level[NB_MAX_LEVELS];
    for (int i = 0; i < d->head.levels; i++) {
        const int64_t *const dim = d->engine.dim[i];
        const float *const raw = nb_head_engine_output(&d->engine, i);
        level[i] = nb_head_level_nhwc(&d->head, raw, NULL, (int)dim[0], (int)dim[1]);
    }
    const NbDetectPlace place = {.gain = (float)plan->gain[0],
                                 .pad = {(float)plan->half[0], (float)plan->half[1]},
                                 .width = width,
                                 .height = height};
    return nb_detect_picture(&d->head, level, 0, &d->options, &place, &d->scratch, out, err);
}

static NB_FALLIBLE check_picture(const uint8_t *rgb, int width, int height, size_t *stride,
                                 NbError *err) {
    if (!rgb)
        return nb_fail(NB_ERR_ARGUMENT, err, "the picture is NULL");
    if (width < 1 || height < 1 || width > MOST_PICTURE_SIDE || height > MOST_PICTURE_SIDE)
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "the picture: 1 x 1 to %d x %d pixels expected, found %d x %d",
                       MOST_PICTURE_SIDE, MOST_PICTURE_SIDE, width, height);
    const size_t dense = (size_t)width * CHANNELS;
    if (*stride == 0)
        *stride = dense;
    if (*stride < dense)
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "the picture: rows of %d pixels are %zu bytes apart, at least %zu expected",
                       width, *stride, dense);
    return NB_OK;
}

NbStatus nb_detector_detect(NbDetector *d, const uint8_t *rgb, int width, int height, size_t stride,
                            const NbBox **boxes, size_t *count, NbError *err) {
    NB_TRY(need_detector(d, err));
    if (!boxes || !count)
        return nb_fail(NB_ERR_ARGUMENT, err, "boxes or count is NULL: there is no place for them");
    NB_TRY(check_picture(rgb, width, height, &stride, err));
    const NbArenaMark mark = nb_arena_mark(&d->scratch);
    const NbLetterboxOptions how = {.height = d->side, .width = d->side};
    const NbLetterbox plan = nb_letterbox_plan(width, height, &how);
    NbDetections found = {0};
    NbStatus status = nb_letterbox(readable(rgb, width, height, stride), &plan,
                                   nb_pixels(d->input, d->side, d->side), &d->scratch, err);
    if (status == NB_OK)
        status = nb_detector_run(d, d->input, (size_t)d->side * (size_t)d->side * CHANNELS, err);
    if (status == NB_OK)
        status = find_boxes(d, &plan, width, height, &found, err);
    for (size_t i = 0; i < found.count; i++) {
        const NbDetection *const f = &found.item[i];
        d->box[i] = (NbBox){f->xyxy[0], f->xyxy[1], f->xyxy[2], f->xyxy[3], f->conf, f->cls};
    }
    nb_arena_rewind(&d->scratch, mark);
    NB_TRY(status);
    *boxes = d->box;
    *count = found.count;
    return NB_OK;
}
