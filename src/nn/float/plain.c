/* SPDX-License-Identifier: Apache-2.0
 *
 * Steps over values in the row-major order of the graph: matrix products, softmax, slices and
 * transpositions. */
#include "nn/float/internal.h"

#include "graph/broadcast.h"

#include <string.h>

typedef struct Product {
    size_t m, k, n;
    size_t panels;
    size_t rows; /* of an item */
    size_t per_matrix;
    size_t *a, *b; /* [matrices] where each begins */
    size_t tap;
} Product;

/* B of matrix `item` as panels [n / 16][k][16], zeros behind its last column. */
static void run_pack(NbFloatEngine *x, const NbFloatStep *step, int item, int worker) {
    (void)x;
    (void)worker;
    const Product *const p = step->unit;
    const float *const b = step->in[0].data + p->b[item];
    float *to = step->out.data + (size_t)item * p->panels * p->k * NB_FLOAT_PANEL;
    for (size_t j = 0; j < p->n; j += NB_FLOAT_PANEL) {
        const size_t width = p->n - j < NB_FLOAT_PANEL ? p->n - j : NB_FLOAT_PANEL;
        for (size_t k = 0; k < p->k; k++, to += NB_FLOAT_PANEL) {
            memcpy(to, b + k * p->n + j, width * sizeof *to);
            memset(to + width, 0, (NB_FLOAT_PANEL - width) * sizeof *to);
        }
    }
}

static void multiply_tile(const NbFloatEngine *x, const Product *p, const NbFloatTile *tile,
                          size_t panels, size_t pixels, size_t column, float *out) {
    x->k->gemm[panels][pixels](tile);
    const size_t width = panels * NB_FLOAT_PANEL;
    const size_t n = p->n - column < width ? p->n - column : width;
    for (size_t i = 0; i < pixels; i++)
        memcpy(out + i * p->n + column, tile->c + i * width, n * sizeof *out);
}

static void run_product(NbFloatEngine *x, const NbFloatStep *step, int item, int worker) {
    (void)worker;
    const Product *const p = step->unit;
    const size_t matrix = (size_t)item / p->per_matrix;
    const size_t row = (size_t)item % p->per_matrix * p->rows;
    const size_t rows = p->m - row < p->rows ? p->m - row : p->rows;
    float sums[NB_FLOAT_MAX_PIXELS * NB_FLOAT_MAX_PANELS * NB_FLOAT_PANEL];
    NbFloatTile t = {.lda = p->k,
                     .tap = &p->tap,
                     .taps = 1,
                     .k = p->k,
                     .panel = p->k * NB_FLOAT_PANEL,
                     .c = sums};
    for (size_t j = 0; j < p->panels;) {
        const size_t panels = nb_float_group(x->k, p->panels - j);
        const NbFloatSplit split = nb_float_split(rows, (size_t)x->k->pixels[panels]);
        float *out = step->out.data + (matrix * p->m + row) * p->n;
        t.a = step->in[0].data + p->a[matrix] + row * p->k;
        t.w = step->in[1].data + (matrix * p->panels + j) * t.panel;
        t.ldc = panels * NB_FLOAT_PANEL;
        for (size_t i = 0; i < split.count; i++) {
            const size_t n = i < split.full ? split.size : split.size - 1;
            multiply_tile(x, p, &t, panels, n, j * NB_FLOAT_PANEL, out);
            t.a += n * p->k;
            out += n * p->n;
        }
        j += panels;
    }
}

static NB_FALLIBLE shape_product(NbFloatEngine *x, NbNodeId id, Product *p, size_t *matrices,
                                 NbError *err) {
    const NbNode *const node = &x->g->node[id];
    NbShape lead = node->shape;
    lead.rank -= 2;
    NbShape own[2] = {*nb_in_shape(x->g, node, 0), *nb_in_shape(x->g, node, 1)};
    *p = (Product){.m = (size_t)node->shape.dim[lead.rank],
                   .n = (size_t)node->shape.dim[lead.rank + 1],
                   .k = (size_t)own[0].dim[own[0].rank - 1]};
    *matrices = nb_shape_count(&lead);
    p->panels = (p->n + NB_FLOAT_PANEL - 1) / NB_FLOAT_PANEL;
    p->rows = p->m < 48 ? p->m : 48;
    p->per_matrix = (p->m + p->rows - 1) / p->rows;
    p->a = NB_NEW(&x->arena, size_t, 2 * *matrices);
    if (!p->a)
        return nb_fail_memory(err, "a matrix product");
    p->b = p->a + *matrices;
    for (int i = 0; i < 2; i++) {
        own[i].rank -= 2;
        const NbView view = nb_view_broadcast(&own[i], &lead);
        for (size_t j = 0; j < *matrices; j++)
            (i ? p->b : p->a)[j] = (size_t)nb_view_at(&view, j) * p->k * (i ? p->n : p->m);
    }
    return NB_OK;
}

NbStatus nb_float_add_matmul(NbFloatEngine *x, NbNodeId id, NbError *err) {
    const NbNode *const node = &x->g->node[id];
    NbFloatPlace in[2];
    Product p;
    size_t matrices;
    NB_TRY(shape_product(x, id, &p, &matrices, err));
    NB_TRY(nb_float_plain(x, node->in[0], &in[0], err));
    NB_TRY(nb_float_plain(x, node->in[1], &in[1], err));
    const int packed = nb_float_buffer(x, matrices * p.panels * p.k * NB_FLOAT_PANEL);
    NbFloatStep *const pack = nb_float_add_step(x, run_pack, "pack", id, 1, sizeof p);
    if (packed < 0 || !pack)
        return nb_fail_memory(err, "steps");
    *(Product *)pack->unit = p;
    pack->items = (int)matrices;
    pack->in[0] = in[1];
    pack->out = (NbFloatPlace){.buffer = packed};
    NbFloatStep *const s = nb_float_add_step(x, run_product, "matmul", id, 2, sizeof p);
    if (!s)
        return nb_fail_memory(err, "steps");
    *(Product *)s->unit = p;
    s->items = (int)(matrices * p.per_matrix);
    s->in[0] = in[0];
    s->in[1] = (NbFloatPlace){.buffer = packed};
    return nb_float_make_plain(x, id, &s->out, err);
}

typedef struct Softmax {
    size_t rows, n, lines;
} Softmax;

static void run_softmax(NbFloatEngine *x, const NbFloatStep *step, int item, int worker) {
    (void)worker;
    const Softmax *const u = step->unit;
    const size_t first = (size_t)item * u->lines;
    for (size_t r = first; r < u->rows && r < first + u->lines; r++)
        x->k->softmax(step->in[0].data + r * u->n, u->n, step->out.data + r * u->n);
}

NbStatus nb_float_add_softmax(NbFloatEngine *x, NbNodeId id, NbError *err) {
    const NbNode *const node = &x->g->node[id];
    if (node->attr.softmax.axis != node->shape.rank - 1)
        return nb_float_add_generic(x, id, err);
    NbFloatPlace in;
    NB_TRY(nb_float_plain(x, node->in[0], &in, err));
    NbFloatStep *const s = nb_float_add_step(x, run_softmax, "softmax", id, 1, sizeof(Softmax));
    if (!s)
        return nb_fail_memory(err, "steps");
    Softmax *const u = s->unit;
    u->n = (size_t)node->shape.dim[node->shape.rank - 1];
    u->rows = x->value[id].count / u->n;
    u->lines = u->n < 4096 ? 4096 / u->n : 1;
    s->items = (int)((u->rows + u->lines - 1) / u->lines);
    s->in[0] = in;
    return nb_float_make_plain(x, id, &s->out, err);
}

/* Elements of a view; the last two dimensions are inner loops, an item is one of the others. */
typedef struct Move {
    NbView outer;
    size_t rows, columns;
    int64_t row, column; /* strides */
} Move;

static void run_move(NbFloatEngine *x, const NbFloatStep *step, int item, int worker) {
    (void)worker;
    const Move *const v = step->unit;
    const float *from = step->in[0].data + nb_view_at(&v->outer, (size_t)item);
    float *to = step->out.data + (size_t)item * v->rows * v->columns;
    if (v->row == 1 && v->column > 0) {
        x->k->transpose(from, (size_t)v->column, v->columns, v->rows, to, v->columns);
        return;
    }
    for (size_t r = 0; r < v->rows; r++, from += v->row, to += v->columns) {
        if (v->column == 1)
            memcpy(to, from, v->columns * sizeof *to);
        for (size_t c = 0; v->column != 1 && c < v->columns; c++)
            to[c] = from[(int64_t)c * v->column];
    }
}

static NB_FALLIBLE add_move(NbFloatEngine *x, NbNodeId id, const char *what, const NbView *view,
                            NbError *err) {
    NbFloatPlace in;
    NB_TRY(nb_float_plain(x, x->g->node[id].in[0], &in, err));
    NbFloatStep *const s = nb_float_add_step(x, run_move, what, id, 1, sizeof(Move));
    if (!s)
        return nb_fail_memory(err, "steps");
    Move *const v = s->unit;
    *v = (Move){.outer = *view, .rows = 1, .columns = 1};
    if (v->outer.shape.rank > 0) {
        v->outer.shape.rank--;
        v->columns = (size_t)view->shape.dim[v->outer.shape.rank];
        v->column = view->stride[v->outer.shape.rank];
    }
    if (v->outer.shape.rank > 0) {
        v->outer.shape.rank--;
        v->rows = (size_t)view->shape.dim[v->outer.shape.rank];
        v->row = view->stride[v->outer.shape.rank];
    }
    s->items = (int)nb_shape_count(&v->outer.shape);
    s->in[0] = in;
    return nb_float_make_plain(x, id, &s->out, err);
}

NbStatus nb_float_add_slice(NbFloatEngine *x, NbNodeId id, NbError *err) {
    const NbNode *const node = &x->g->node[id];
    const NbSliceAttr *const a = &node->attr.slice;
    NbFloatValue *const v = &x->value[id];
    NbFloatValue *const from = nb_float_value(x, node->in[0]);
    if (v->image && a->axis == 1 && a->step == 1 && from->has_nhwc) {
        v->nhwc = from->nhwc; /* a range of its channels */
        v->nhwc.offset += (size_t)a->start;
        v->has_nhwc = true;
        return NB_OK;
    }
    const NbShape *const shape = nb_in_shape(x->g, node, 0);
    NbView view = nb_view_broadcast(shape, shape);
    view.shape = node->shape;
    view.first = a->start * view.stride[a->axis];
    view.stride[a->axis] *= a->step;
    return add_move(x, id, "slice", &view, err);
}

NbStatus nb_float_add_transpose(NbFloatEngine *x, NbNodeId id, NbError *err) {
    const NbNode *const node = &x->g->node[id];
    const NbShape *const shape = nb_in_shape(x->g, node, 0);
    const NbView dense = nb_view_broadcast(shape, shape);
    NbView view = dense;
    view.shape = node->shape;
    for (int d = 0; d < shape->rank; d++)
        view.stride[d] = dense.stride[node->attr.transpose.perm[d]];
    return add_move(x, id, "transpose", &view, err);
}
