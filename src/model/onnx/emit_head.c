/* SPDX-License-Identifier: Apache-2.0 */
#include "model/onnx/emit_head.h"

#include <string.h>

typedef struct Head {
    NbEmit *e;
    const NbHead *head;
    const NbOnnxOptions *options;
    const char *level[NB_MAX_LEVELS];
    const int64_t (*size)[2];
    int64_t cells; /* of all levels */
} Head;

static float *floats(Head *h, int64_t n) {
    float *const data = NB_NEW(h->e->arena, float, (size_t)n);
    if (!data)
        (void)nb_emit_fail(h->e, NB_ERR_NOMEM, "out of memory for an ONNX graph");
    return data;
}

/* Values of a constant; data NULL: memory failed before. */
static const char *constant(Head *h, const char *name, int rank, const int64_t *dim,
                            const float *data) {
    const NbShape shape = nb_shape(rank, dim);
    return data ? nb_emit_floats(h->e, name, &shape, data) : "";
}

static const char *slice(Head *h, const char *name, const char *x, int axis, int64_t start,
                         int64_t stop) {
    const NbSliceAttr attr = {.axis = axis, .start = start, .stop = stop, .step = 1};
    return nb_emit_slice(h->e, name, x, &attr);
}

static const char *times(Head *h, const char *name, const char *x, float factor) {
    return nb_emit_binary(h->e, "Mul", name, x,
                          nb_emit_float(h->e, nb_emit_name(h->e, "%s/factor", name), factor));
}

/* ---- YOLOv5 ---- */

/* (offset of x, y) * stride for every cell: [1, 1, cells, 2] */
static const char *grid_of(Head *h, int l, float offset) {
    const int64_t ny = h->size[l][0];
    const int64_t nx = h->size[l][1];
    const float stride = h->head->stride[l];
    float *const data = floats(h, ny * nx * 2);
    for (int64_t y = 0; data && y < ny; y++)
        for (int64_t x = 0; x < nx; x++) {
            data[2 * (y * nx + x)] = ((float)x + offset) * stride;
            data[2 * (y * nx + x) + 1] = ((float)y + offset) * stride;
        }
    return constant(h, nb_emit_name(h->e, "head.%d/grid", l), 4,
                    (const int64_t[]){1, 1, ny * nx, 2}, data);
}

/* Sides of the anchors: [1, anchors, 1, 2] */
static const char *anchors_of(Head *h, int l, float factor) {
    const int n = h->head->anchors;
    float *const data = floats(h, (int64_t)2 * n);
    for (int i = 0; data && i < 2 * n; i++)
        data[i] = h->head->anchor[l][i / 2][i % 2] * factor;
    return constant(h, nb_emit_name(h->e, "head.%d/anchors", l), 4, (const int64_t[]){1, n, 1, 2},
                    data);
}

/* sigmoid: xy = (2 s - 0.5 + cell) * stride, wh = (2 s)^2 * anchor; HardTanh outputs, which stand
 * for 2 s - 1: xy = (t + 0.5 + cell) * stride, wh = (t + 1)^2 * anchor. */
static const char *yolov5_level(Head *h, int l) {
    NbEmit *const e = h->e;
    const int64_t no = 5 + h->head->nc;
    const int64_t na = h->head->anchors;
    const int64_t cells = h->size[l][0] * h->size[l][1];
    const bool hardtanh = h->head->hardtanh;
    const float stride = h->head->stride[l];
#define NAME(part) nb_emit_name(e, "head.%d/" part, l)
    const char *x =
        nb_emit_reshape(e, NAME("view"), h->level[l], 4, (const int64_t[]){0, na, no, cells});
    x = nb_emit_transpose(e, NAME("rows"), x, 4, (const int[]){0, 1, 3, 2});
    if (!hardtanh)
        x = nb_emit_unary(e, "Sigmoid", NAME("sigmoid"), x);
    const char *xy = slice(h, NAME("raw_xy"), x, 3, 0, 2);
    const char *wh = slice(h, NAME("raw_wh"), x, 3, 2, 4);
    const char *const rest = slice(h, NAME("scores"), x, 3, 4, no);
    xy = times(h, NAME("shift"), xy, hardtanh ? stride : 2.0F * stride);
    xy = nb_emit_binary(e, "Add", NAME("xy"), xy, grid_of(h, l, hardtanh ? 0.5F : -0.5F));
    if (hardtanh)
        wh = nb_emit_binary(e, "Add", NAME("plus_one"), wh, nb_emit_float(e, NAME("one"), 1.0F));
    wh = nb_emit_binary(e, "Mul", NAME("square"), wh, wh);
    wh = nb_emit_binary(e, "Mul", NAME("wh"), wh, anchors_of(h, l, hardtanh ? 1.0F : 4.0F));
    const char *const parts[3] = {xy, wh, rest};
    x = nb_emit_concat(e, NAME("concat"), 3, 3, parts);
    return nb_emit_reshape(e, NAME("boxes"), x, 3, (const int64_t[]){0, na * cells, no});
#undef NAME
}

static const char *yolov5(Head *h, NbShape *shape) {
    const char *level[NB_MAX_LEVELS];
    for (int l = 0; l < h->head->levels; l++)
        level[l] = yolov5_level(h, l);
    *shape = nb_shape(3, (const int64_t[]){1, h->head->anchors * h->cells, 5 + h->head->nc});
    return nb_emit_concat(h->e, "head/output", 1, (size_t)h->head->levels, level);
}

/* ---- YOLOv8 and YOLOv10 ---- */

static int64_t channels(const Head *h) { return 4 * h->head->reg_max + h->head->nc; }

/* All levels: [N, channels, cells] */
static const char *logits(Head *h, NbShape *shape) {
    const char *level[NB_MAX_LEVELS];
    for (int l = 0; l < h->head->levels; l++) {
        const int64_t cells = h->size[l][0] * h->size[l][1];
        level[l] = nb_emit_reshape(h->e, nb_emit_name(h->e, "head.%d/view", l), h->level[l], 3,
                                   (const int64_t[]){0, channels(h), cells});
    }
    *shape = nb_shape(3, (const int64_t[]){1, channels(h), h->cells});
    return nb_emit_concat(h->e, "head/logits", 2, (size_t)h->head->levels, level);
}

/* Distances of the sides in cells: the expectation over the bins, [N, 4, cells] */
static const char *distances(Head *h, const char *x) {
    const int64_t bins = h->head->reg_max;
    x = slice(h, "head/distributions", x, 1, 0, 4 * bins);
    if (bins == 1)
        return x;
    x = nb_emit_reshape(h->e, "head/dfl/view", x, 4, (const int64_t[]){0, 4, bins, h->cells});
    const NbOnnxAttr axis = nb_attr_int("axis", 2);
    x = nb_emit_list(h->e, "Softmax", "head/dfl/softmax", 1, &x, &axis);
    const float *const bin = nb_head_bins(h->head);
    float *const data = floats(h, bins);
    for (int64_t i = 0; data && i < bins; i++)
        data[i] = bin ? bin[i] : (float)i;
    const char *const w = constant(h, "head/dfl/bins", 4, (const int64_t[]){1, 1, 1, bins}, data);
    x = nb_emit_binary(h->e, "MatMul", "head/dfl/mean", w, x);
    return nb_emit_reshape(h->e, "head/distances", x, 3, (const int64_t[]){0, 4, h->cells});
}

/* Centres of the cells in cells [1, 2, cells] and pixels a cell [1, 1, cells]. */
static void places(Head *h, const char **centres, const char **strides) {
    float *const centre = floats(h, 2 * h->cells);
    float *const stride = floats(h, h->cells);
    int64_t at = 0;
    for (int l = 0; centre && stride && l < h->head->levels; l++)
        for (int64_t y = 0; y < h->size[l][0]; y++)
            for (int64_t x = 0; x < h->size[l][1]; x++, at++) {
                centre[at] = (float)x + 0.5F;
                centre[h->cells + at] = (float)y + 0.5F;
                stride[at] = h->head->stride[l];
            }
    *centres = constant(h, "head/centres", 3, (const int64_t[]){1, 2, h->cells}, centre);
    *strides = constant(h, "head/strides", 3, (const int64_t[]){1, 1, h->cells}, stride);
}

/* Boxes in pixels, [N, 4, cells]: corners, or centre and size. */
static const char *boxes(Head *h, const char *x, bool corners) {
    NbEmit *const e = h->e;
    const char *centres = NULL;
    const char *strides = NULL;
    const char *const d = distances(h, x);
    places(h, &centres, &strides);
    const char *const near = slice(h, "head/left_top", d, 1, 0, 2);
    const char *const far = slice(h, "head/right_bottom", d, 1, 2, 4);
    const char *const lo = nb_emit_binary(e, "Sub", "head/low", centres, near);
    const char *const hi = nb_emit_binary(e, "Add", "head/high", centres, far);
    const char *parts[2] = {lo, hi};
    if (!corners) {
        parts[0] = times(h, "head/centre", nb_emit_binary(e, "Add", "head/both", lo, hi), 0.5F);
        parts[1] = nb_emit_binary(e, "Sub", "head/size", hi, lo);
    }
    const char *const cells = nb_emit_concat(e, "head/boxes_in_cells", 1, 2, parts);
    return nb_emit_binary(e, "Mul", "head/boxes", cells, strides);
}

static const char *scores(Head *h, const char *x) {
    const int64_t first = (int64_t)4 * h->head->reg_max;
    x = slice(h, "head/class_logits", x, 1, first, first + h->head->nc);
    return nb_emit_unary(h->e, "Sigmoid", "head/class_scores", x);
}

static const char *decoded(Head *h, NbShape *shape) {
    const char *const x = logits(h, shape);
    const char *parts[2];
    parts[0] = boxes(h, x, false);
    parts[1] = scores(h, x);
    *shape = nb_shape(3, (const int64_t[]){1, 4 + h->head->nc, h->cells});
    return nb_emit_concat(h->e, "head/output", 1, 2, parts);
}

/* ---- YOLOv10: the best, without suppression ---- */

/* The k largest along axis 1 of [N, n]; indices (int64) are the second output. */
static const char *top(Head *h, const char *name, const char *x, int64_t k) {
    const NbEmitNode node = {
        .op = "TopK",
        .name = name,
        .n_in = 2,
        .in = {x, nb_emit_ints(h->e, nb_emit_name(h->e, "%s/k", name), 1, &k)},
        .n_attrs = 3,
        .attr = {nb_attr_int("axis", 1), nb_attr_int("largest", 1), nb_attr_int("sorted", 1)},
        .n_out = 2};
    (void)nb_emit_node(h->e, &node);
    return nb_emit_name(h->e, "%s:1", name);
}

/* [N, n] to [N, n, 1] */
static const char *column(Head *h, const char *name, const char *x) {
    const int64_t axis = 2;
    return nb_emit_binary(h->e, "Unsqueeze", name, x,
                          nb_emit_ints(h->e, nb_emit_name(h->e, "%s/axes", name), 1, &axis));
}

/* Rows `index` [N, k, 1] of x [N, n, width]: [N, k, width] */
static const char *rows(Head *h, const char *name, const char *x, const char *index,
                        int64_t width) {
    const char *const shape =
        nb_emit_ints(h->e, nb_emit_name(h->e, "%s/shape", name), 3, (const int64_t[]){1, 1, width});
    const char *const in[2] = {
        x, nb_emit_binary(h->e, "Expand", nb_emit_name(h->e, "%s/index", name), index, shape)};
    const NbOnnxAttr axis = nb_attr_int("axis", 1);
    return nb_emit_list(h->e, "GatherElements", name, 2, in, &axis);
}

/* Largest along the last axis of [N, n, nc]; where the axes stand changed with opset 18. */
static const char *best_class(Head *h, const char *x) {
    const int64_t axis = 2;
    NbEmitNode node = {.op = "ReduceMax",
                       .name = "head/best_score",
                       .n_in = 1,
                       .in = {x},
                       .n_attrs = 1,
                       .attr = {nb_attr_int("keepdims", 0)}};
    if (h->e->opset >= 18)
        node.in[node.n_in++] = nb_emit_ints(h->e, "head/best_score/axes", 1, &axis);
    else
        node.attr[node.n_attrs++] = nb_attr_ints(h->e, "axes", 1, &axis);
    return nb_emit_node(h->e, &node);
}

static int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }

/* First the cells with the best class scores, then the best of all their scores. */
static const char *detections(Head *h, NbShape *shape) {
    NbEmit *const e = h->e;
    const int64_t nc = h->head->nc;
    const int64_t first = at_most(h->options->max_det, h->cells);
    const int64_t last = at_most(h->options->max_det, first * nc);
    const char *const x = logits(h, shape);
    const int turn[3] = {0, 2, 1};
    const char *box = nb_emit_transpose(e, "head/box_rows", boxes(h, x, true), 3, turn);
    const char *score = nb_emit_transpose(e, "head/score_rows", scores(h, x), 3, turn);
    const char *index = top(h, "head/top_cells", best_class(h, score), first);
    index = column(h, "head/cells", index);
    box = rows(h, "head/top_boxes", box, index, 4);
    score = rows(h, "head/top_scores", score, index, nc);
    score = nb_emit_reshape(e, "head/flat", score, 2, (const int64_t[]){0, first * nc});
    index = top(h, "head/top", score, last);
    const char *const classes = nb_emit_int(e, "head/nc", nc);
    const char *row = nb_emit_binary(e, "Div", "head/row", index, classes);
    box = rows(h, "head/final_boxes", box, column(h, "head/rows", row), 4);
    const char *label = nb_emit_binary(e, "Mod", "head/label", index, classes);
    label = nb_emit_cast(e, "head/label_real", label, e->real);
    const char *parts[3] = {box};
    parts[1] = column(h, "head/scores", "head/top");
    parts[2] = column(h, "head/labels", label);
    *shape = nb_shape(3, (const int64_t[]){1, last, 6});
    return nb_emit_concat(e, "head/output", 2, 3, parts);
}

/* ---- all of them ---- */

typedef const char *Form(Head *h, NbShape *shape);

/* NULL: this head has no such form. */
static Form *form_of(const NbHead *head, NbOnnxForm form) {
    const bool anchors = head->kind == NB_HEAD_YOLOV5;
    switch (form) {
    case NB_ONNX_DETECT:
        if (anchors)
            return yolov5;
        return head->kind == NB_HEAD_YOLOV10 ? detections : decoded;
    case NB_ONNX_BOXES: return anchors ? NULL : decoded;
    case NB_ONNX_LOGITS: return anchors ? NULL : logits;
    case NB_ONNX_LEVELS: break;
    }
    return NULL;
}

static void emit_levels(Head *h, NbOnnxOutputs *out) {
    out->n = h->head->levels;
    for (int l = 0; l < out->n; l++) {
        out->value[l] = h->level[l];
        out->shape[l] = nb_shape(
            4, (const int64_t[]){1, nb_head_channels(h->head), h->size[l][0], h->size[l][1]});
    }
}

void nb_emit_head(NbEmit *e, const NbHead *head, const NbOnnxOptions *options,
                  const char *const *level, const int64_t (*size)[2], NbOnnxOutputs *out) {
    Head h = {.e = e, .head = head, .options = options, .size = size};
    Form *const form = form_of(head, options->form);
    for (int l = 0; l < head->levels; l++) {
        h.level[l] = level[l];
        h.cells += size[l][0] * size[l][1];
    }
    if (options->form == NB_ONNX_LEVELS) {
        emit_levels(&h, out);
        return;
    }
    if (!form) {
        (void)nb_emit_fail(e, NB_ERR_UNSUPPORTED,
                           "a %s head has no such output: its decoded boxes or its levels can be "
                           "exported",
                           nb_head_name(head->kind));
        return;
    }
    const int real = e->real;
    e->real = NB_ONNX_FLOAT;
    for (int l = 0; real != NB_ONNX_FLOAT && l < head->levels; l++)
        h.level[l] = nb_emit_cast(e, nb_emit_name(e, "head.%d/cast", l), level[l], NB_ONNX_FLOAT);
    out->n = 1;
    out->value[0] = form(&h, &out->shape[0]);
    if (real != NB_ONNX_FLOAT)
        out->value[0] = nb_emit_cast(e, "head/cast", out->value[0], real);
    e->real = real;
}
