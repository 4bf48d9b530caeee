/* SPDX-License-Identifier: Apache-2.0
 *
 * NMS: ONNX NonMaxSuppression 11. */
#include "base/size.h"
#include "graph/run.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static NB_FALLIBLE infer(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    const NbShape *b = nb_in_shape(g, node, 0);
    const NbShape *s = nb_in_shape(g, node, 1);
    NB_TRY(nb_infer_numbers(g, node, 0, err));
    NB_TRY(nb_infer_numbers(g, node, 1, err));
    if (b->rank != 3 || s->rank != 3 || b->dim[2] != 4 || b->dim[0] != s->dim[0] ||
        b->dim[1] != s->dim[2])
        return nb_fail(NB_ERR_ARGUMENT, err, "boxes [N, B, 4] and scores [N, C, B] expected");
    int64_t rows = s->dim[0] * s->dim[1];
    const int64_t each = nb_min_i64(nb_max_i64(node->attr.nms.limit, 0), b->dim[1]);
    if (__builtin_mul_overflow(rows, each, &rows))
        return nb_fail(NB_ERR_ARGUMENT, err, "more boxes than fit");
    *out = nb_shape(2, (const int64_t[]){rows, 3});
    return NB_OK;
}

typedef struct Scored {
    float score;
    int64_t at;
} Scored;

static int better(const void *a, const void *b) {
    const Scored *p = a;
    const Scored *q = b;
    if (p->score != q->score)
        return p->score > q->score ? -1 : 1;
    return p->at < q->at ? -1 : p->at > q->at;
}

/* lo y, lo x, hi y, hi x. */
static void corners(const NbNmsAttr *a, const float *box, float out[4]) {
    if (a->centre) {
        out[0] = box[1] - box[3] / 2.0F;
        out[1] = box[0] - box[2] / 2.0F;
        out[2] = box[1] + box[3] / 2.0F;
        out[3] = box[0] + box[2] / 2.0F;
        return;
    }
    for (int k = 0; k < 2; k++) {
        out[k] = box[k] < box[k + 2] ? box[k] : box[k + 2];
        out[k + 2] = box[k] < box[k + 2] ? box[k + 2] : box[k];
    }
}

static bool overlap(const NbNmsAttr *a, const float *p, const float *q) {
    float x[4];
    float y[4];
    corners(a, p, x);
    corners(a, q, y);
    const float lo[2] = {x[0] > y[0] ? x[0] : y[0], x[1] > y[1] ? x[1] : y[1]};
    const float hi[2] = {x[2] < y[2] ? x[2] : y[2], x[3] < y[3] ? x[3] : y[3]};
    if (!(hi[0] > lo[0]) || !(hi[1] > lo[1]))
        return false;
    const float shared = (hi[0] - lo[0]) * (hi[1] - lo[1]);
    const float both = (x[2] - x[0]) * (x[3] - x[1]) + (y[2] - y[0]) * (y[3] - y[1]) - shared;
    return both > 0.0F && shared / both > a->iou;
}

/* The boxes of one picture and class that stay, best first, into kept; returns how many. */
static int64_t suppress(const NbNmsAttr *a, const float *boxes, const float *scores, int64_t n,
                        Scored *order, int64_t *kept) {
    size_t candidates = 0;
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        if (a->any_score || scores[i] > a->score)
            order[candidates++] = (Scored){scores[i], i};
    qsort(order, candidates, sizeof *order, better);
    for (size_t c = 0; c < candidates && count < a->limit; c++) {
        bool stays = true;
        for (int64_t k = 0; stays && k < count; k++)
            stays = !overlap(a, boxes + 4 * order[c].at, boxes + 4 * kept[k]);
        if (stays)
            kept[count++] = order[c].at;
    }
    return count;
}

static NB_FALLIBLE forward(NbRun *run, NbNodeId id, NbError *err) {
    const NbNode *node = &run->g->node[id];
    const NbNmsAttr *a = &node->attr.nms;
    const NbShape *s = nb_in_shape(run->g, node, 1);
    const int64_t n = s->dim[2];
    const float *boxes = NULL;
    const float *scores = NULL;
    NB_TRY(nb_run_real(run, id, 0, &boxes, err));
    NB_TRY(nb_run_real(run, id, 1, &scores, err));
    NB_TRY(nb_run_new(run, id, NB_F32, err));
    Scored *order = NB_NEW(run->arena, Scored, (size_t)n);
    int64_t *kept = NB_NEW(run->arena, int64_t, (size_t)n);
    if (!order || !kept)
        return nb_fail_memory(err, "boxes");
    float *y = nb_f32(&run->value[id].t);
    int64_t rows = 0;
    for (int64_t i = 0; i < s->dim[0] * s->dim[1]; i++) {
        const int64_t picture = i / s->dim[1];
        const int64_t count = suppress(a, boxes + picture * n * 4, scores + i * n, n, order, kept);
        for (int64_t k = 0; k < count; k++, rows++) {
            y[3 * rows] = (float)picture;
            y[3 * rows + 1] = (float)(i % s->dim[1]);
            y[3 * rows + 2] = (float)kept[k];
        }
    }
    run->value[id].t.shape.dim[0] = rows;
    return NB_OK;
}

const NbOpDef nb_op_nms = {
    .name = "NMS", .min_in = 2, .max_in = 2, .infer = infer, .forward = forward};
