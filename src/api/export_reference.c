/* SPDX-License-Identifier: Apache-2.0 */
#include "api/export_reference.h"

#include "base/random.h"
#include "detect/picture.h"
#include "detect/yolov5_decode.h"
#include "detect/yolov8_decode.h"
#include "nn/float/float.h"

#include <string.h>

void nb_export_pictures(uint64_t seed, int count, int height, int width, uint8_t *out) {
    enum { BLOCK = 16 };
    for (int i = 0; i < count; i++) {
        NbRandom noise = nb_random(seed, NB_RANDOM_TEST, (uint32_t)i, 0);
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++) {
                NbRandom block = nb_random(seed, NB_RANDOM_TEST, (uint32_t)i,
                                           1 + (uint32_t)(y / BLOCK * 65536 + x / BLOCK));
                for (int c = 0; c < 3; c++) {
                    const int base = (int)nb_random_below(&block, 224);
                    *out++ = (uint8_t)(base + (int)nb_random_below(&noise, 32));
                }
            }
    }
}

/* ---- levels ---- */

typedef struct Reference {
    NbModel *m;
    const NbOnnxOptions *options;
    int count, levels;
    NbArena *arena;
    float *level[NB_MAX_LEVELS]; /* [count, channels, ny, nx] */
    int64_t channels, ny[NB_MAX_LEVELS], nx[NB_MAX_LEVELS];
    int64_t cells;
} Reference;

static float *floats(Reference *r, int64_t n) { return NB_NEW(r->arena, float, (size_t)n); }

static NB_FALLIBLE find_levels(Reference *r, NbError *err) {
    const NbHead *head = &r->m->head;
    const NbGraph *g = &r->m->graph;
    r->channels = nb_head_channels(head);
    r->levels = head->levels;
    for (int l = 0; l < r->levels; l++) {
        const NbShape *s = &g->node[g->output[nb_head_first(head) + l]].shape;
        r->ny[l] = s->dim[2];
        r->nx[l] = s->dim[3];
        r->cells += s->dim[2] * s->dim[3];
        r->level[l] = floats(r, r->count * r->channels * s->dim[2] * s->dim[3]);
        if (!r->level[l])
            return nb_fail_memory(err, "outputs");
    }
    return NB_OK;
}

static NB_FALLIBLE execute(Reference *r, const uint8_t *images, NbPool *pool, NbError *err) {
    NbFloatOptions options = {.batch = r->count,
                              .height = r->options->height,
                              .width = r->options->width,
                              .first_output = nb_head_first(&r->m->head),
                              .n_outputs = r->levels,
                              .plain = true,
                              .pool = pool};
    NbFloatEngine *x = NULL;
    NB_TRY(nb_isa_choose(NULL, &options.isa, err));
    NB_TRY(nb_float_new(&r->m->graph, &options, &x, err));
    const NbStatus status = nb_float_run(x, images, r->count, err);
    for (int l = 0; status == NB_OK && l < r->levels; l++)
        memcpy(r->level[l], nb_float_output(x, l),
               (size_t)r->count * (size_t)r->channels * (size_t)r->ny[l] * (size_t)r->nx[l] *
                   sizeof(float));
    nb_float_free(x);
    return status;
}

/* ---- decoding ---- */

static NB_FALLIBLE take_output(Reference *r, int i, int rank, const int64_t *dim,
                               NbExportOutputs *out, NbError *err) {
    const NbShape shape = nb_shape(rank, dim);
    return nb_tensor_new(r->arena, NB_F32, &shape, &out->tensor[i], err);
}

static NB_FALLIBLE give_levels(Reference *r, NbExportOutputs *out, NbError *err) {
    out->n = r->levels;
    for (int l = 0; l < r->levels; l++) {
        const int64_t dim[4] = {r->count, r->channels, r->ny[l], r->nx[l]};
        NB_TRY(take_output(r, l, 4, dim, out, err));
        memcpy(out->tensor[l].data, r->level[l], nb_tensor_count(&out->tensor[l]) * sizeof(float));
    }
    return NB_OK;
}

static NB_FALLIBLE give_logits(Reference *r, NbExportOutputs *out, NbError *err) {
    out->n = 1;
    NB_TRY(take_output(r, 0, 3, (const int64_t[]){r->count, r->channels, r->cells}, out, err));
    float *to = nb_f32(&out->tensor[0]);
    for (int64_t row = 0; row < r->count * r->channels; row++)
        for (int l = 0; l < r->levels; l++) {
            const int64_t area = r->ny[l] * r->nx[l];
            memcpy(to, r->level[l] + row * area, (size_t)area * sizeof *to);
            to += area;
        }
    return NB_OK;
}

static NB_FALLIBLE give_yolov5(Reference *r, NbExportOutputs *out, NbError *err) {
    const NbHead *head = &r->m->head;
    const int64_t no = 5 + head->nc;
    out->n = 1;
    NB_TRY(
        take_output(r, 0, 3, (const int64_t[]){r->count, head->anchors * r->cells, no}, out, err));
    float *to = nb_f32(&out->tensor[0]);
    for (int b = 0; b < r->count; b++)
        for (int l = 0; l < head->levels; l++) {
            const int64_t area = r->ny[l] * r->nx[l];
            const NbHeadLevel level = {.raw = r->level[l],
                                       .ny = (int)r->ny[l],
                                       .nx = (int)r->nx[l],
                                       .sb = r->channels * area,
                                       .sa = no * area,
                                       .sy = r->nx[l],
                                       .sx = 1,
                                       .sc = area};
            nb_yolov5_decode(nb_head_decode(head), &level, b, head->anchors, head->nc,
                             head->anchor[l], head->stride[l], to);
            to += head->anchors * area * no;
        }
    return NB_OK;
}

/* Rows [cells][4 + nc] of picture b. */
static void yolov8_rows(const Reference *r, int b, bool corners, float *to) {
    const NbHead *head = &r->m->head;
    for (int l = 0; l < head->levels; l++) {
        const int64_t area = r->ny[l] * r->nx[l];
        const NbDflLevel level = {.raw = r->level[l] + b * r->channels * area,
                                  .ny = (int)r->ny[l],
                                  .nx = (int)r->nx[l],
                                  .sc = area,
                                  .sy = r->nx[l],
                                  .sx = 1,
                                  .stride = head->stride[l],
                                  .bin = nb_head_bins(head)};
        nb_yolov8_decode(&level, head->reg_max, head->nc, corners, to);
        to += area * (4 + head->nc);
    }
}

static NB_FALLIBLE give_boxes(Reference *r, NbExportOutputs *out, NbError *err) {
    const int64_t no = 4 + r->m->head.nc;
    float *const rows = floats(r, r->cells * no);
    out->n = 1;
    NB_TRY(take_output(r, 0, 3, (const int64_t[]){r->count, no, r->cells}, out, err));
    if (!rows)
        return nb_fail_memory(err, "outputs");
    float *to = nb_f32(&out->tensor[0]);
    for (int b = 0; b < r->count; b++) {
        yolov8_rows(r, b, false, rows);
        for (int64_t c = 0; c < no; c++)
            for (int64_t i = 0; i < r->cells; i++)
                *to++ = rows[i * no + c];
    }
    return NB_OK;
}

static NB_FALLIBLE give_detections(Reference *r, NbExportOutputs *out, NbError *err) {
    const NbHead *head = &r->m->head;
    const int64_t all = r->cells * head->nc;
    const int64_t n = r->options->max_det < all ? r->options->max_det : all;
    const int64_t picture = r->cells * (4 + head->nc);
    float *const rows = floats(r, r->count * picture);
    *out = (NbExportOutputs){.n = 1, .candidates = rows, .cells = r->cells, .nc = head->nc};
    NB_TRY(take_output(r, 0, 3, (const int64_t[]){r->count, n, 6}, out, err));
    if (!rows)
        return nb_fail_memory(err, "outputs");
    float *to = nb_f32(&out->tensor[0]);
    for (int b = 0; b < r->count; b++) {
        NbDetection *found = NULL;
        size_t count = 0;
        yolov8_rows(r, b, true, rows + b * picture);
        NB_TRY(nb_yolov10_top(rows + b * picture, (size_t)r->cells, head->nc, r->options->max_det,
                              r->arena, &found, &count, err));
        for (size_t i = 0; i < count && (int64_t)i < n; i++, to += 6) {
            memcpy(to, found[i].xyxy, sizeof found[i].xyxy);
            to[4] = found[i].conf;
            to[5] = (float)found[i].cls;
        }
    }
    return NB_OK;
}

NbStatus nb_export_reference(NbModel *m, const NbOnnxOptions *options, const uint8_t *images,
                             int count, NbPool *pool, NbArena *arena, NbExportOutputs *out,
                             NbError *err) {
    Reference r = {.m = m, .options = options, .count = count, .arena = arena};
    *out = (NbExportOutputs){0};
    NB_TRY(nb_graph_infer(&m->graph, count, options->height, options->width, err));
    NB_TRY(find_levels(&r, err));
    NB_TRY(execute(&r, images, pool, err));
    switch (options->form) {
    case NB_ONNX_LEVELS: return give_levels(&r, out, err);
    case NB_ONNX_LOGITS: return give_logits(&r, out, err);
    case NB_ONNX_BOXES: return give_boxes(&r, out, err);
    case NB_ONNX_DETECT: break;
    }
    if (m->head.kind == NB_HEAD_YOLOV5)
        return give_yolov5(&r, out, err);
    return m->head.kind == NB_HEAD_YOLOV10 ? give_detections(&r, out, err)
                                           : give_boxes(&r, out, err);
}
