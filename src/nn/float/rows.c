/* SPDX-License-Identifier: Apache-2.0
 *
 * Steps that handle numbers one by one: over the pixels of NHWC values or over plain arrays. */
#include "nn/float/internal.h"

enum { CHUNK = 8192 }; /* numbers of an item, about */

/* `rows` rows of n numbers; plain arrays are cut into rows of CHUNK, the last one shorter. */
typedef struct Rows {
    size_t rows;
    size_t n;
    size_t lines; /* rows of an item */
    size_t count; /* plain: numbers in all; 0: NHWC */
    NbFloatPost post;
    NbFloatBinary op;
    bool scalar;   /* the second operand is one number */
    bool repeated; /* ... or one row for all */
    const float *a, *b;
} Rows;

typedef struct Span {
    size_t first, rows, n;
} Span;

static void shape_rows(Rows *r, NbFloatStep *s, size_t rows, size_t n) {
    r->rows = rows;
    r->n = n;
    r->lines = n < CHUNK ? CHUNK / n : 1;
    s->items = (int)((rows + r->lines - 1) / r->lines);
}

static void shape_plain(Rows *r, NbFloatStep *s, size_t count) {
    r->count = count;
    r->n = CHUNK;
    r->lines = 1;
    r->rows = (count + CHUNK - 1) / CHUNK;
    s->items = (int)r->rows;
    for (int i = 0; i < s->n_in; i++)
        s->in[i].ld = CHUNK;
    s->out.ld = CHUNK;
}

static Span span_of(const Rows *r, int item) {
    Span s = {.first = (size_t)item * r->lines, .rows = r->lines, .n = r->n};
    if (s.rows > r->rows - s.first)
        s.rows = r->rows - s.first;
    if (r->count && s.n > r->count - s.first * CHUNK)
        s.n = r->count - s.first * CHUNK;
    return s;
}

static void run_map(NbFloatEngine *x, const NbFloatStep *step, int item, int worker) {
    (void)worker;
    const Rows *const r = step->unit;
    const Span s = span_of(r, item);
    const NbFloatRows rows = {.in = step->in[0].data + s.first * step->in[0].ld,
                              .ld_in = step->in[0].ld,
                              .out = step->out.data + s.first * step->out.ld,
                              .ld_out = step->out.ld,
                              .rows = s.rows,
                              .n = s.n};
    x->k->finish(&r->post, &rows);
}

static void run_binary(NbFloatEngine *x, const NbFloatStep *step, int item, int worker) {
    (void)worker;
    const Rows *const r = step->unit;
    const Span s = span_of(r, item);
    const NbFloatPlace *const a = &step->in[0];
    const NbFloatPlace *const b = &step->in[1];
    for (size_t i = s.first; i < s.first + s.rows; i++) {
        const float *const second = r->scalar || r->repeated ? b->data : b->data + i * b->ld;
        x->k->binary(r->op, a->data + i * a->ld, second, r->scalar, s.n,
                     step->out.data + i * step->out.ld);
    }
}

static void run_affine(NbFloatEngine *x, const NbFloatStep *step, int item, int worker) {
    (void)worker;
    const Rows *const r = step->unit;
    const Span s = span_of(r, item);
    for (size_t i = s.first; i < s.first + s.rows; i++)
        x->k->affine(step->in[0].data + i * step->in[0].ld, r->a, r->b, s.n,
                     step->out.data + i * step->out.ld);
}

NbStatus nb_float_copy_rows(NbFloatEngine *x, NbNodeId node, const NbFloatPlace *from,
                            const NbFloatPlace *to, size_t rows, size_t n, NbError *err) {
    NbFloatStep *const s = nb_float_add_step(x, run_map, "copy", node, 1, sizeof(Rows));
    if (!s)
        return nb_fail_memory(err, "steps");
    s->in[0] = *from;
    s->out = *to;
    shape_rows(s->unit, s, rows, n);
    return NB_OK;
}

typedef struct Turn {
    size_t c, pixels;
    bool to_plain;
} Turn;

static void run_turn(NbFloatEngine *x, const NbFloatStep *step, int item, int worker) {
    (void)worker;
    const Turn *const t = step->unit;
    const size_t nhwc = (size_t)item * t->pixels;
    const size_t plain = nhwc * t->c;
    const NbFloatPlace *const in = &step->in[0];
    if (t->to_plain)
        x->k->transpose(in->data + nhwc * in->ld, in->ld, t->pixels, t->c, step->out.data + plain,
                        t->pixels);
    else
        x->k->transpose(in->data + plain, t->pixels, t->c, t->pixels,
                        step->out.data + nhwc * step->out.ld, step->out.ld);
}

NbStatus nb_float_convert(NbFloatEngine *x, NbNodeId node, bool to_plain, const NbFloatPlace *from,
                          const NbFloatPlace *to, NbError *err) {
    const NbFloatValue *const v = nb_float_value(x, node);
    NbFloatStep *const s = nb_float_add_step(x, run_turn, "reorder", node, 1, sizeof(Turn));
    if (!s)
        return nb_fail_memory(err, "steps");
    s->in[0] = *from;
    s->out = *to;
    s->items = (int)v->n;
    *(Turn *)s->unit = (Turn){.c = v->c, .pixels = v->h * v->w, .to_plain = to_plain};
    return NB_OK;
}

bool nb_float_act(const NbNode *node, NbFloatAct *act, float *slope) {
    static const NbFloatAct acts[NB_OP_COUNT] = {
        [NB_OP_RELU] = NB_ACT_RELU,         [NB_OP_LEAKY_RELU] = NB_ACT_LEAKY,
        [NB_OP_SILU] = NB_ACT_SILU,         [NB_OP_SIGMOID] = NB_ACT_SIGMOID,
        [NB_OP_HARDTANH] = NB_ACT_HARDTANH, [NB_OP_SCALE] = NB_ACT_SCALE};
    *act = acts[node->op];
    *slope = node->op == NB_OP_LEAKY_RELU ? node->attr.leaky_relu.slope
             : node->op == NB_OP_SCALE    ? node->attr.scale.factor
                                          : 0.0F;
    return *act != NB_ACT_NONE;
}

/* The layout of a value whose numbers are handled one by one: that of its first input. */
static bool in_nhwc(NbFloatEngine *x, NbNodeId id, NbNodeId first) {
    return x->value[id].image && nb_float_value(x, first)->has_nhwc;
}

/* Places of inputs and output in the one layout, and the cut into items. */
static NB_FALLIBLE shape_step(NbFloatEngine *x, NbNodeId id, NbFloatStep *s, bool nhwc,
                              NbError *err) {
    const NbFloatValue *const v = &x->value[id];
    if (!nhwc) {
        NB_TRY(nb_float_make_plain(x, id, &s->out, err));
        shape_plain(s->unit, s, v->count);
        return NB_OK;
    }
    NB_TRY(nb_float_make_nhwc(x, id, &s->out, err));
    shape_rows(s->unit, s, v->n * v->h * v->w, v->c);
    return NB_OK;
}

static NB_FALLIBLE get(NbFloatEngine *x, NbNodeId id, bool nhwc, NbFloatPlace *out, NbError *err) {
    return nhwc ? nb_float_nhwc(x, id, out, err) : nb_float_plain(x, id, out, err);
}

NbStatus nb_float_add_unary(NbFloatEngine *x, NbNodeId id, NbError *err) {
    const NbNode *const node = &x->g->node[id];
    const bool nhwc = in_nhwc(x, id, node->in[0]);
    NbFloatPlace in;
    NB_TRY(get(x, node->in[0], nhwc, &in, err));
    NbFloatStep *const s = nb_float_add_step(x, run_map, "map", id, 1, sizeof(Rows));
    if (!s)
        return nb_fail_memory(err, "steps");
    Rows *const r = s->unit;
    nb_float_act(node, &r->post.before, &r->post.before_slope);
    s->in[0] = in;
    return shape_step(x, id, s, nhwc, err);
}

/* How the second operand of a binary operator fits the output. */
typedef enum Fit { FIT_NOT, FIT_SAME, FIT_SCALAR, FIT_CHANNELS } Fit;

static Fit fit_of(NbFloatEngine *x, NbNodeId id, NbNodeId b, bool nhwc) {
    const NbShape *const out = &x->g->node[id].shape;
    const NbShape *const shape = &x->g->node[x->value[b].source].shape;
    if (nb_shape_equal(out, shape))
        return FIT_SAME;
    if (nb_shape_count(shape) == 1)
        return FIT_SCALAR;
    const bool tail =
        shape->rank >= 3 && shape->dim[shape->rank - 1] == 1 && shape->dim[shape->rank - 2] == 1;
    if (nhwc && tail && nb_shape_count(shape) == (size_t)out->dim[1] &&
        shape->dim[shape->rank - 3] == out->dim[1])
        return FIT_CHANNELS;
    return FIT_NOT;
}

static NB_FALLIBLE add_pair(NbFloatEngine *x, NbNodeId id, NbNodeId a, NbNodeId b, Fit fit,
                            bool nhwc, NbError *err) {
    static const NbFloatBinary ops[NB_OP_COUNT] = {
        [NB_OP_SUB] = NB_BINARY_SUB, [NB_OP_MUL] = NB_BINARY_MUL, [NB_OP_DIV] = NB_BINARY_DIV};
    NbFloatPlace in[2];
    NB_TRY(get(x, a, nhwc, &in[0], err));
    NB_TRY(get(x, b, nhwc && fit == FIT_SAME, &in[1], err));
    NbFloatStep *const s = nb_float_add_step(x, run_binary, "arithmetic", id, 2, sizeof(Rows));
    if (!s)
        return nb_fail_memory(err, "steps");
    s->in[0] = in[0];
    s->in[1] = in[1];
    Rows *const r = s->unit;
    r->op = ops[x->g->node[id].op];
    r->scalar = fit == FIT_SCALAR;
    r->repeated = fit == FIT_CHANNELS;
    return shape_step(x, id, s, nhwc, err);
}

NbStatus nb_float_add_binary(NbFloatEngine *x, NbNodeId id, NbError *err) {
    const NbNode *const node = &x->g->node[id];
    NbNodeId a = node->in[0];
    NbNodeId b = node->in[1];
    if (node->n_in != 2)
        return nb_float_add_generic(x, id, err);
    const bool turns = node->op == NB_OP_ADD || node->op == NB_OP_MUL;
    if (turns && !nb_shape_equal(&x->g->node[a].shape, &node->shape)) {
        a = node->in[1];
        b = node->in[0];
    }
    const bool nhwc = in_nhwc(x, id, a);
    const Fit fit = fit_of(x, id, b, nhwc);
    if (fit == FIT_NOT || !nb_shape_equal(&x->g->node[a].shape, &node->shape))
        return nb_float_add_generic(x, id, err);
    return add_pair(x, id, a, b, fit, nhwc, err);
}

NbStatus nb_float_add_norm(NbFloatEngine *x, NbNodeId id, NbError *err) {
    const NbNode *const node = &x->g->node[id];
    const size_t c = x->value[id].c;
    for (int i = 1; i < node->n_in; i++)
        if (!nb_float_is_param(x, node->in[i]))
            return nb_float_add_generic(x, id, err);
    NbFloatPlace in;
    NB_TRY(nb_float_nhwc(x, node->in[0], &in, err));
    NbFloatStep *const s = nb_float_add_step(x, run_affine, "norm", id, 1, sizeof(Rows));
    float *const a = NB_NEW(&x->arena, float, c);
    float *const b = NB_NEW(&x->arena, float, c);
    if (!s || !a || !b)
        return nb_fail_memory(err, "steps");
    nb_batchnorm_affine(nb_float_param(x, node->in[1]), nb_float_param(x, node->in[2]),
                        nb_float_param(x, node->in[3]), nb_float_param(x, node->in[4]),
                        node->attr.batchnorm.eps, c, a, b);
    Rows *const r = s->unit;
    r->a = a;
    r->b = b;
    s->in[0] = in;
    return shape_step(x, id, s, true, err);
}
