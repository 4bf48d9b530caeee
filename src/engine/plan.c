/* SPDX-License-Identifier: Apache-2.0
 *
 * From the integer graph to steps. CONV and ADD are not steps: whoever reads their sums computes
 * them. A 2x2 maximum behind a convolution joins its step unless values are kept. */
#include "engine/plan.h"

#include "base/size.h"

#include <string.h>

enum {
    ITEMS_PER_THREAD = 4,
    SMALL_WORK = 200000, /* products or bytes that are not worth a hand-over to another thread */
};

typedef struct Planner {
    NbEngine *e;
    const NbGraph *g;
    NbArena *scratch;
    bool *needed;     /* [n_nodes] */
    NbPlane **planes; /* in order of their first use */
    int n_planes;
} Planner;

static void mark_needed(const NbGraph *g, bool *needed) {
    for (int i = 0; i < g->n_outputs; i++)
        needed[g->output[i]] = true;
    for (NbNodeId id = g->n_nodes - 1; id >= 0; id--)
        for (int i = 0; needed[id] && i < g->node[id].n_in; i++)
            needed[g->node[id].in[i]] = true;
}

/* Whether threshold k is `what` in every channel. */
static bool all_are(const NbTensor *t, int k, int32_t what) {
    const int32_t *threshold = t->data;
    for (int64_t c = 0; c < t->shape.dim[0]; c++)
        if (threshold[c * t->shape.dim[1] + k] != what)
            return false;
    return true;
}

NbLevels nb_plan_levels(const NbGraph *g, const NbNode *threshold) {
    const NbTensor *t = &g->node[threshold->in[1]].param;
    const int lo = (int)nb_grid_lo(threshold->attr.threshold.grid);
    const int all = (int)t->shape.dim[1];
    NbLevels levels = {.count = all};
    while (levels.count > 1 && levels.first < -lo && all_are(t, levels.first, INT32_MIN)) {
        levels.first++;
        levels.count--;
    }
    while (levels.count > 1 && all_are(t, levels.first + levels.count - 1, INT32_MAX))
        levels.count--;
    levels.lo = lo + levels.first;
    return levels;
}

static bool reads(const NbNode *node, NbNodeId id) {
    for (int i = 0; i < node->n_in; i++)
        if (node->in[i] == id)
            return true;
    return false;
}

/* A new plane for node `id`, written by the step that is being made. */
static NB_FALLIBLE add_plane(Planner *p, NbNodeId id, int lo, int hi, NbError *err) {
    const NbNode *node = &p->g->node[id];
    NbPlane *plane = NB_NEW(&p->e->arena, NbPlane, 1);
    if (!plane)
        return nb_fail_memory(err, "an activation");
    hi = hi < 0 ? 0 : hi; /* the border is a code, too */
    if (hi - lo > UINT8_MAX)
        return nb_fail(NB_ERR_UNSUPPORTED, err,
                       "codes from %d to %d do not fit one byte; use fewer activation bits", lo,
                       hi);
    for (int i = 1; i < 4; i++)
        if (node->shape.dim[i] > 1 << 16)
            return nb_fail(NB_ERR_UNSUPPORTED, err, "a side of more than %d", 1 << 16);
    *plane = (NbPlane){.channels = (int)node->shape.dim[1],
                       .height = (int)node->shape.dim[2],
                       .width = (int)node->shape.dim[3],
                       .lo = lo,
                       .hi = hi,
                       .zero = -lo,
                       .first = p->e->n_steps,
                       .last = p->e->n_steps};
    plane->pixel = node->op == NB_OP_INPUT
                       ? plane->channels
                       : (int)nb_ceil_div(plane->channels, NB_PLANE_CHANNELS) * NB_PLANE_CHANNELS;
    p->e->plane[id] = plane;
    p->planes[p->n_planes++] = plane;
    return NB_OK;
}

static NbStep *new_step(Planner *p, NbPoolWork *work, NbNodeId id) {
    NbStep *s = &p->e->step[p->e->n_steps];
    *s = (NbStep){.work = work,
                  .engine = p->e,
                  .node = id,
                  .conv = -1,
                  .attr = p->g->node[id].attr,
                  .height = (int)p->g->node[id].shape.dim[2]};
    return s;
}

static NB_FALLIBLE set_inputs(Planner *p, NbStep *s, const NbNodeId *in, int n, NbError *err) {
    s->in = NB_NEW(&p->e->arena, NbPlane *, (size_t)n);
    s->n_in = n;
    if (!s->in)
        return nb_fail_memory(err, "a step");
    for (int i = 0; i < n; i++) {
        s->in[i] = p->e->plane[in[i]];
        if (!s->in[i])
            return nb_fail(NB_ERR_UNSUPPORTED, err,
                           "it reads %s '%s', whose value is no byte; put a threshold in between",
                           nb_op_name(p->g->node[in[i]].op), p->g->node[in[i]].name);
        s->in[i]->last = p->e->n_steps;
    }
    return NB_OK;
}

/* Cuts `work` (products or bytes) into items of whole rows; blocks: of output channels. */
static void cut(NbStep *s, double work, int blocks) {
    int64_t chunks = 1;
    if (s->engine->threads > 1 && work > SMALL_WORK) {
        const int64_t wanted = nb_ceil_div((int64_t)s->engine->threads * ITEMS_PER_THREAD, blocks);
        const double most = work / SMALL_WORK < s->height ? work / SMALL_WORK : s->height;
        chunks = most < (double)wanted ? (int64_t)most : wanted;
    }
    s->rows = (int)nb_ceil_div(s->height, chunks);
    s->items = (int)nb_ceil_div(s->height, s->rows) * blocks;
}

static void end_step(Planner *p, NbStep *s) {
    const NbShape *shape = &p->g->node[s->node].shape;
    if (s->conv < 0)
        cut(s, 4.0 * (double)nb_shape_count(shape), 1);
    p->e->n_steps++;
}

/* The MAXPOOL that can join the step of THRESHOLD `id`; -1: none. */
static NbNodeId pool_behind(const Planner *p, NbNodeId id) {
    if (p->e->keep || nb_graph_readers(p->g, id) != 1)
        return -1;
    for (NbNodeId i = id + 1; i < p->g->n_nodes; i++) {
        const NbNode *node = &p->g->node[i];
        if (!reads(node, id))
            continue;
        const NbPoolAttr *a = &node->attr.pool;
        const bool fits = node->op == NB_OP_MAXPOOL && p->needed[i] && a->kernel[0] == 2 &&
                          a->kernel[1] == 2 && a->stride[0] == 2 && a->stride[1] == 2 &&
                          !(a->pad[0] | a->pad[1] | a->pad[2] | a->pad[3]);
        return fits ? i : -1;
    }
    return -1;
}

/* A convolution's input needs as much border as its padding. */
static void want_border(NbPlane *in, const NbConvAttr *a) {
    for (int i = 0; i < 4; i++)
        in->border[i] = a->pad[i] > in->border[i] ? a->pad[i] : in->border[i];
}

/* The convolution in front of `after`, whose codes become those of `written`: `after` itself, a
 * pool or a curve; or `real` numbers. */
static NB_FALLIBLE add_conv(Planner *p, NbNodeId after, NbNodeId written, const NbCurve *curve,
                            float *real, NbError *err) {
    const NbNodeId conv = p->g->node[after].in[0];
    const NbNode *node = &p->g->node[conv];
    NbStep *s = new_step(p, nb_step_conv, written);
    s->conv = conv;
    s->pool = written != after && !curve;
    s->real = real;
    NB_TRY(set_inputs(p, s, node->in, 1, err));
    want_border(s->in[0], &node->attr.conv);
    if (curve)
        NB_TRY(add_plane(p, written, curve->lo, curve->hi, err));
    else if (!real) {
        const NbLevels levels = nb_plan_levels(p->g, &p->g->node[after]);
        NB_TRY(add_plane(p, written, levels.lo, levels.lo + levels.count, err));
    }
    s->out = p->e->plane[written];
    NB_TRY(nb_pack_conv(p->e, s, after, curve ? curve->down : -1, err));
    const NbShape *w = &p->g->node[node->in[1]].shape;
    cut(s, (double)nb_shape_count(w) * (double)(node->shape.dim[2] * node->shape.dim[3]),
        s->n_blocks);
    end_step(p, s);
    return NB_OK;
}

/* For every channel, which byte each sum of input bytes becomes. */
static NB_FALLIBLE fill_table(Planner *p, NbStep *s, NbNodeId id, NbError *err) {
    const NbNode *node = &p->g->node[id];
    const NbTensor *t = &p->g->node[node->in[1]].param;
    const int32_t *threshold = t->data;
    const int levels = (int)t->shape.dim[1];
    const int first = nb_plan_levels(p->g, node).first;
    int zero = 0;
    for (int i = 0; i < s->n_in; i++)
        zero += s->in[i]->zero;
    s->table_size = s->n_in * UINT8_MAX + 1;
    uint8_t *table =
        NB_NEW(&p->e->arena, uint8_t, (size_t)s->out->channels * (size_t)s->table_size);
    if (!table)
        return nb_fail_memory(err, "a table");
    s->table = table;
    for (int c = 0; c < s->out->channels; c++)
        for (int i = 0; i < s->table_size; i++) {
            int reached = -first;
            for (int k = 0; k < levels; k++)
                reached +=
                    threshold[c * levels + k] != INT32_MAX && i - zero >= threshold[c * levels + k];
            *table++ = (uint8_t)reached;
        }
    return NB_OK;
}

/* The nodes whose bytes are added to give the codes of `id`: itself, or the inputs of an ADD that
 * has no plane of its own. */
static int addends(const Planner *p, const NbNodeId *id, const NbNodeId **in) {
    const NbNode *node = &p->g->node[*id];
    const bool sum = node->op == NB_OP_ADD && !p->e->plane[*id];
    *in = sum ? node->in : id;
    return sum ? node->n_in : 1;
}

static NB_FALLIBLE add_threshold(Planner *p, NbNodeId id, NbError *err) {
    const NbNode *node = &p->g->node[id];
    if (p->g->node[node->in[0]].op == NB_OP_CONV) {
        const NbNodeId pool = pool_behind(p, id);
        if (nb_plan_in_curve(p->g, id)) /* the ADD computes it */
            return NB_OK;
        return add_conv(p, id, pool < 0 ? id : pool, NULL, NULL, err);
    }
    NbStep *s = new_step(p, nb_step_threshold, id);
    const NbNodeId *in = NULL;
    const int n = addends(p, &node->in[0], &in);
    NB_TRY(set_inputs(p, s, in, n, err));
    const NbLevels levels = nb_plan_levels(p->g, node);
    NB_TRY(add_plane(p, id, levels.lo, levels.lo + levels.count, err));
    s->out = p->e->plane[id];
    NB_TRY(fill_table(p, s, id, err));
    end_step(p, s);
    return NB_OK;
}

/* One float for each channel, from a parameter of one or C. */
static NB_FALLIBLE spread(Planner *p, NbNodeId param, size_t channels, const float **out,
                          NbError *err) {
    const NbTensor *t = &p->g->node[param].param;
    const size_t n = nb_tensor_count(t);
    float *to = NB_NEW(&p->e->arena, float, channels);
    if (!to)
        return nb_fail_memory(err, "scales");
    for (size_t c = 0; c < channels; c++)
        to[c] = nb_f32(t)[n == 1 ? 0 : c];
    *out = to;
    return NB_OK;
}

static NB_FALLIBLE add_dequant(Planner *p, NbNodeId id, NbError *err) {
    const NbNode *node = &p->g->node[id];
    float *real = NB_NEW(&p->e->arena, float, nb_shape_count(&node->shape));
    if (!real)
        return nb_fail_memory(err, "an output");
    for (int i = 0; i < p->g->n_outputs; i++)
        if (p->g->output[i] == id)
            p->e->output[i] = (NbOutput){
                .real = real, .dim = {node->shape.dim[2], node->shape.dim[3], node->shape.dim[1]}};
    if (p->g->node[node->in[0]].op == NB_OP_CONV)
        return add_conv(p, id, id, NULL, real, err);
    NbStep *s = new_step(p, nb_step_dequant, id);
    const NbNodeId *in = NULL;
    const int n = addends(p, &node->in[0], &in);
    NB_TRY(set_inputs(p, s, in, n, err));
    s->real = real;
    NB_TRY(spread(p, node->in[1], (size_t)node->shape.dim[1], &s->scale, err));
    if (node->n_in == 3)
        NB_TRY(spread(p, node->in[2], (size_t)node->shape.dim[1], &s->bias, err));
    end_step(p, s);
    return NB_OK;
}

/* The codes that can occur when planes are joined, or added. */
static void joined_codes(const NbStep *s, bool sum, int *lo, int *hi) {
    *lo = 0;
    *hi = 0;
    for (int i = 0; i < s->n_in; i++) {
        const NbPlane *in = s->in[i];
        *lo = sum ? *lo + in->lo : in->lo < *lo ? in->lo : *lo;
        *hi = sum ? *hi + in->hi : in->hi > *hi ? in->hi : *hi;
    }
}

/* MAXPOOL, UPSAMPLE, CONCAT, PAD, ADD: planes in, a plane out. */
static NB_FALLIBLE add_moved(Planner *p, NbNodeId id, NbPoolWork *work, NbError *err) {
    const NbNode *node = &p->g->node[id];
    NbStep *s = new_step(p, work, id);
    int lo = 0;
    int hi = 0;
    NB_TRY(set_inputs(p, s, node->in, node->n_in, err));
    joined_codes(s, node->op == NB_OP_ADD, &lo, &hi);
    NB_TRY(add_plane(p, id, lo, hi, err));
    s->out = p->e->plane[id];
    end_step(p, s);
    return NB_OK;
}

/* An ADD gets a plane only when something reads its codes that cannot add by itself. */
static NB_FALLIBLE add_sum(Planner *p, NbNodeId id, NbError *err) {
    NbCurve curve;
    if (nb_plan_curve(p->g, id, &curve))
        return add_conv(p, curve.up, id, &curve, NULL, err);
    for (NbNodeId i = id + 1; i < p->g->n_nodes; i++) {
        const NbNode *node = &p->g->node[i];
        if (p->needed[i] && reads(node, id) && node->op != NB_OP_THRESHOLD &&
            node->op != NB_OP_DEQUANT)
            return add_moved(p, id, nb_step_add, err);
    }
    return NB_OK;
}

static NB_FALLIBLE add_input(Planner *p, NbNodeId id, NbError *err) {
    if (p->e->n_steps > 0)
        return nb_fail(NB_ERR_UNSUPPORTED, err, "the first node must be the only INPUT");
    NbStep *s = new_step(p, nb_step_input, id);
    NB_TRY(add_plane(p, id, 0, UINT8_MAX, err));
    s->out = p->e->plane[id];
    end_step(p, s);
    return NB_OK;
}

static NB_FALLIBLE add_param(Planner *p, NbNodeId id, NbError *err) {
    return p->g->node[id].param.data ? NB_OK : nb_fail(NB_ERR_ARGUMENT, err, "it has no data");
}

/* Steps of convolutions are those of what reads their sums. */
static NB_FALLIBLE check_conv(Planner *p, NbNodeId id, NbError *err) {
    return p->g->node[id].kind == NB_VALUE_SUM
               ? NB_OK
               : nb_fail(NB_ERR_UNSUPPORTED, err, "its weights are not integers; lower first");
}

static NB_FALLIBLE add_maxpool(Planner *p, NbNodeId id, NbError *err) {
    return add_moved(p, id, nb_step_maxpool, err);
}

static NB_FALLIBLE add_upsample(Planner *p, NbNodeId id, NbError *err) {
    return add_moved(p, id, nb_step_upsample, err);
}

static NB_FALLIBLE add_concat(Planner *p, NbNodeId id, NbError *err) {
    return add_moved(p, id, nb_step_concat, err);
}

static NB_FALLIBLE add_pad(Planner *p, NbNodeId id, NbError *err) {
    return add_moved(p, id, nb_step_pad, err);
}

/* What integer graphs are made of. */
static NbStatus (*const add_op[NB_OP_COUNT])(Planner *p, NbNodeId id, NbError *err) = {
    [NB_OP_PARAM] = add_param,       [NB_OP_INPUT] = add_input,
    [NB_OP_CONV] = check_conv,       [NB_OP_THRESHOLD] = add_threshold,
    [NB_OP_DEQUANT] = add_dequant,   [NB_OP_MAXPOOL] = add_maxpool,
    [NB_OP_UPSAMPLE] = add_upsample, [NB_OP_CONCAT] = add_concat,
    [NB_OP_PAD] = add_pad,           [NB_OP_ADD] = add_sum,
};

static NB_FALLIBLE add_node(Planner *p, NbNodeId id, NbError *err) {
    const NbNode *node = &p->g->node[id];
    if (!p->needed[id] || p->e->plane[id]) /* made already: a pool in a convolution's step */
        return NB_OK;
    if (add_op[node->op])
        return add_op[node->op](p, id, err);
    if (node->kind == NB_VALUE_CODED && node->scale_source != id) /* it passes codes on */
        return nb_fail(NB_ERR_UNSUPPORTED, err, "the integer engine does not move codes this way");
    return nb_fail(NB_ERR_UNSUPPORTED, err, "it computes with real numbers; lower the graph first");
}

static NB_FALLIBLE add_nodes(Planner *p, NbError *err) {
    const NbGraph *g = p->g;
    for (NbNodeId id = 0; id < g->n_nodes; id++)
        NB_TRY_IN(add_node(p, id, err), err, "node %d (%s '%s')", id, nb_op_name(g->node[id].op),
                  g->node[id].name);
    for (int i = 0; i < g->n_outputs; i++)
        if (!p->e->output[i].real)
            return nb_fail(NB_ERR_UNSUPPORTED, err, "output %d ('%s') is %s, DEQUANT expected", i,
                           g->node[g->output[i]].name, nb_op_name(g->node[g->output[i]].op));
    return NB_OK;
}

NbStatus nb_plan_build(NbEngine *e, NbArena *scratch, NbError *err) {
    const size_t n = (size_t)e->graph.n_nodes;
    Planner p = {.e = e, .g = &e->graph, .scratch = scratch};
    p.needed = NB_NEW(scratch, bool, n);
    p.planes = NB_NEW(scratch, NbPlane *, n);
    e->plane = NB_NEW(&e->arena, NbPlane *, n);
    e->step = NB_NEW(&e->arena, NbStep, n);
    e->n_outputs = e->graph.n_outputs;
    e->output = NB_NEW(&e->arena, NbOutput, (size_t)e->n_outputs);
    if (!p.needed || !p.planes || !e->plane || !e->step || !e->output)
        return nb_fail_memory(err, "the plan");
    mark_needed(&e->graph, p.needed);
    NB_TRY(add_nodes(&p, err));
    for (int i = 0; e->keep && i < p.n_planes; i++)
        p.planes[i]->last = e->n_steps;
    NB_TRY(nb_plan_memory(e, p.planes, p.n_planes, err));
    for (int i = 0; i < e->n_steps; i++)
        if (e->step[i].conv >= 0)
            nb_pack_place(&e->step[i], e);
    return NB_OK;
}
