/* SPDX-License-Identifier: Apache-2.0 */
#include "lower/ptq/quantize.h"

#include "lower/ptq/gptq.h"
#include "lower/ptq/gram.h"
#include "lower/ptq/pass.h"
#include "lower/ptq/weight_step.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROW_ALIGN = 16 };

NbPtqOptions nb_ptq_defaults(void) {
    return (NbPtqOptions){.method = NB_PTQ_MSE,
                          .percentile = 99.99,
                          .round = NB_PTQ_GPTQ,
                          .damp = 0.01,
                          .bias_correction = true,
                          .adapt = true,
                          .adapt_damp = 0.02,
                          .pixels = 256,
                          .passes = 0};
}

/* ---- preparation ---- */

static NB_FALLIBLE share_data(const NbGraph *from, NbArena *arena, NbGraph *to, NbError *err) {
    NB_TRY(nb_graph_copy(from, arena, to, err));
    for (NbNodeId id = 0; id < to->n_nodes; id++)
        to->node[id].param.data = from->node[id].param.data;
    return NB_OK;
}

/* Convolutions read their weights without quantizers: data of the weights is rounded instead. */
static void bypass(NbGraph *g) {
    for (NbNodeId id = 0; id < g->n_nodes; id++) {
        NbNode *const node = &g->node[id];
        if (node->op == NB_OP_CONV && g->node[node->in[1]].op == NB_OP_QUANT)
            node->in[1] = g->node[node->in[1]].in[0];
    }
}

static int by_depth(const void *a, const void *b) {
    const NbPtqLayer *const x = &((const NbPtqWork *)a)->layer;
    const NbPtqLayer *const y = &((const NbPtqWork *)b)->layer;
    if (x->depth != y->depth)
        return x->depth < y->depth ? -1 : 1;
    return (x->conv > y->conv) - (x->conv < y->conv);
}

static void set_view(const NbPtqRun *run, NbPtqWork *w) {
    const NbNode *const conv = &run->real.node[w->layer.conv];
    const NbShape *const in = &run->real.node[w->layer.x].shape;
    w->view = (NbPtqColumns){.conv = &conv->attr.conv,
                             .height = (int)in->dim[2],
                             .width = (int)in->dim[3],
                             .channels = (int)in->dim[1],
                             .out_height = (int)conv->shape.dim[2],
                             .out_width = (int)conv->shape.dim[3],
                             .groups = (int)w->layer.groups,
                             .columns = w->layer.columns,
                             .stride = (w->layer.columns + ROW_ALIGN - 1) / ROW_ALIGN * ROW_ALIGN};
    w->out_pixels = (size_t)w->view.out_height * (size_t)w->view.out_width;
    w->pixels = (size_t)run->options->pixels;
    w->pixels = w->pixels < w->out_pixels ? w->pixels : w->out_pixels;
}

static NB_FALLIBLE list_layers(NbPtqRun *run, NbError *err) {
    NbPtqLayer *layer = NULL;
    size_t n = 0;
    NB_TRY(nb_ptq_layers(run->g, run->arena, &layer, &n, err));
    run->work = NB_NEW(run->arena, NbPtqWork, n);
    if (!run->work)
        return nb_fail_memory(err, "layers");
    for (size_t i = 0; i < n; i++)
        if (layer[i].live)
            run->work[run->n_work++].layer = layer[i];
    qsort(run->work, run->n_work, sizeof *run->work, by_depth);
    for (size_t i = 0; i < run->n_work; i++)
        set_view(run, &run->work[i]);
    return NB_OK;
}

static bool is_given_act(const NbGraph *g, NbNodeId id) {
    const NbNode *const node = &g->node[id];
    return node->op == NB_OP_QUANT && node->n_in == 2 && g->node[node->in[0]].op != NB_OP_PARAM &&
           node->attr.quant.restrict_to == NB_RESTRICT_STEP;
}

static NB_FALLIBLE list_acts(NbPtqRun *run, NbError *err) {
    const size_t nodes = (size_t)run->g->n_nodes;
    bool *const live = NB_NEW(run->arena, bool, nodes);
    run->act = NB_NEW(run->arena, NbPtqAct, nodes);
    if (!live || !run->act)
        return nb_fail_memory(err, "quantizers");
    for (int i = 0; i < run->g->n_outputs; i++)
        live[run->g->output[i]] = true;
    for (NbNodeId id = run->g->n_nodes - 1; id >= 0; id--)
        for (int i = 0; live[id] && i < run->g->node[id].n_in; i++)
            live[run->g->node[id].in[i]] = true;
    for (NbNodeId id = 0; id < run->g->n_nodes; id++) {
        if (!live[id] || !is_given_act(run->g, id))
            continue;
        NbPtqAct *const a = &run->act[run->n_acts++];
        a->quant = id;
        NB_TRY(nb_ptq_histogram_new(run->arena, &a->seen, err));
    }
    return NB_OK;
}

static NB_FALLIBLE take_taps(NbPtqRun *run, NbError *err) {
    const int threads = run->options->pool ? nb_pool_threads(run->options->pool) : 1;
    size_t most = 0;
    for (NbNodeId id = 0; id < run->real.n_nodes; id++) {
        const NbNode *const node = &run->real.node[id];
        const size_t n = node->op == NB_OP_PARAM ? 0 : nb_shape_count(&node->shape);
        most = n > most ? n : most;
    }
    run->tap = NB_NEW(run->arena, float *, (size_t)threads);
    if (!run->tap)
        return nb_fail_memory(err, "calibration");
    for (int i = 0; i < threads; i++) {
        run->tap[i] = NB_NEW(run->arena, float, most);
        if (!run->tap[i])
            return nb_fail_memory(err, "calibration");
    }
    return NB_OK;
}

static NB_FALLIBLE prepare(NbPtqRun *run, NbError *err) {
    const NbPtqPictures *const p = run->pictures;
    if (p->count < 1)
        return nb_fail(NB_ERR_ARGUMENT, err, "calibration: expected pictures, found none");
    if (run->options->pixels < 1 || run->options->pixels > NB_PTQ_MOST_PIXELS ||
        run->options->passes < 0)
        return nb_fail(
            NB_ERR_ARGUMENT, err,
            "calibration: expected 1 to %d pixels and no less than 0 passes, found %d and "
            "%d",
            NB_PTQ_MOST_PIXELS, run->options->pixels, run->options->passes);
    nb_ptq_fold(run->g);
    NB_TRY(nb_graph_copy(run->g, run->arena, &run->real, err));
    NB_TRY(nb_graph_infer(&run->real, p->batch, p->height, p->width, err));
    NB_TRY(list_layers(run, err));
    NB_TRY(list_acts(run, err));
    return take_taps(run, err);
}

/* ---- activations ---- */

static NB_FALLIBLE check_seen(const NbPtqRun *run, const NbPtqAct *a, NbError *err) {
    const char *const name = run->g->node[a->quant].name;
    if (a->seen.odd)
        return nb_fail(NB_ERR_FORMAT, err,
                       "calibration: %llu values at '%s' are NaN or infinite, none expected",
                       (unsigned long long)a->seen.odd, name);
    return NB_OK;
}

/* Quantizers that share their step get one histogram: that of all. */
static NB_FALLIBLE merge_shared(NbPtqRun *run, NbError *err) {
    for (size_t i = 0; i < run->n_acts; i++) {
        NB_TRY(check_seen(run, &run->act[i], err));
        const NbNodeId value = run->g->node[run->act[i].quant].in[1];
        for (size_t k = 0; k < i; k++)
            if (run->g->node[run->act[k].quant].in[1] == value) {
                nb_ptq_histogram_merge(&run->act[k].seen, &run->act[i].seen);
                break;
            }
    }
    return NB_OK;
}

typedef struct Choice {
    NbPtqRun *run;
    NbStatus *status;
    NbError *error;
} Choice;

/* The first one that has the same step. */
static size_t leader_of(const NbPtqRun *run, size_t i) {
    size_t k = 0;
    while (run->g->node[run->act[k].quant].in[1] != run->g->node[run->act[i].quant].in[1])
        k++;
    return k;
}

static void choose_work(void *user, int index, int worker) {
    const Choice *const c = user;
    NbPtqRun *const run = c->run;
    NbPtqAct *const a = &run->act[index];
    NbArena arena = {0};
    (void)worker;
    if (leader_of(run, (size_t)index) == (size_t)index)
        c->status[index] = nb_ptq_histogram_scale(&a->seen, run->g->node[a->quant].attr.quant.grid,
                                                  run->options->method, run->options->percentile,
                                                  &arena, &a->scale, &c->error[index]);
    nb_arena_release(&arena);
}

static NB_FALLIBLE choose_scales(NbPtqRun *run, NbError *err) {
    Choice c = {.run = run,
                .status = NB_NEW(run->arena, NbStatus, run->n_acts),
                .error = NB_NEW(run->arena, NbError, run->n_acts)};
    if (!c.status || !c.error)
        return nb_fail_memory(err, "calibration");
    NB_TRY(merge_shared(run, err));
    nb_pool_run(run->options->pool, (int)run->n_acts, choose_work, &c);
    for (size_t i = 0; i < run->n_acts; i++) {
        NbPtqAct *const a = &run->act[i];
        if (c.status[i] != NB_OK) {
            *err = c.error[i];
            return c.status[i];
        }
        a->scale = run->act[leader_of(run, i)].scale;
        NbNode *const quant = &run->g->node[a->quant];
        quant->attr.quant.zero = a->scale.zero;
        nb_f32(&run->g->node[quant->in[1]].param)[0] = a->scale.step;
    }
    for (NbNodeId id = 0; id < run->g->n_nodes; id++)
        nb_graph_set_kind(run->g, id);
    return NB_OK;
}

/* ---- weights ---- */

typedef struct Solve {
    NbPtqRun *run;
    size_t first;
    NbStatus *status;
    NbError *error;
} Solve;

/* What rounding took from the mean of one output. */
static double lost_by_rounding(const float *before, const float *now, const double *mean,
                               size_t n) {
    double lost = 0.0;
    for (size_t c = 0; c < n; c++)
        lost += ((double)before[c] - (double)now[c]) * mean[c];
    return lost;
}

/* The mean of the float network's outputs, through the bias; of layers that do not lead, the mean
 * that their own rounding changed. */
static void correct_bias(const NbPtqRun *run, const NbPtqWork *w) {
    const NbPtqLayer *const l = &w->layer;
    const size_t each = l->rows / l->groups;
    const float *const now = nb_f32(&run->g->node[l->weight].param);
    const float *const before = nb_f32(&run->real.node[l->weight].param);
    float *const bias = l->bias >= 0 ? nb_f32(&run->g->node[l->bias].param) : NULL;
    const bool inside = l->bias >= 0 && run->g->node[l->conv].n_in == 3; /* the target has it */
    for (size_t r = 0; bias && r < l->rows; r++) {
        const double *const mean = w->mean + r / each * l->columns;
        double lost = w->target[r] - (inside ? (double)bias[r] : 0.0);
        for (size_t c = 0; c < l->columns; c++)
            lost -= (double)now[r * l->columns + c] * mean[c];
        if (!w->leads)
            lost =
                lost_by_rounding(before + r * l->columns, now + r * l->columns, mean, l->columns);
        bias[r] = (float)((double)bias[r] + lost);
    }
}

/* w += (cross - w gram) (gram + damping)^-1: the weights that give the float outputs best. */
static NB_FALLIBLE adapt(const NbPtqRun *run, const NbPtqWork *w, size_t group, NbArena *arena,
                         NbError *err) {
    const NbPtqLayer *const l = &w->layer;
    const size_t n = l->columns;
    const size_t each = l->rows / l->groups;
    float *const weight = nb_f32(&run->g->node[l->weight].param) + group * each * n;
    const double *const gram = w->gram + group * n * n;
    const NbGptqOptions options = {.damp = run->options->adapt_damp};
    double *const part = NB_NEW(arena, double, 3 * n);
    NbGptq h;
    NbError why = {0};
    if (!part)
        return nb_fail_memory(err, "rounding");
    if (nb_ptq_gptq_prepare(gram, n, &options, arena, &h, &why) != NB_OK)
        return NB_OK; /* nothing to learn from these inputs */
    for (size_t r = 0; r < each; r++) {
        float *const row = weight + r * n;
        double *const before = part;
        double *const t = part + n;
        double *const change = part + 2 * n;
        for (size_t c = 0; c < n; c++)
            before[c] = (double)row[c];
        for (size_t c = 0; c < n; c++)
            t[c] = w->cross[(group * each + r) * n + c] - nb_gram_dot(gram + c * n, before, n);
        memset(change, 0, n * sizeof *change);
        for (size_t i = 0; i < n; i++) { /* u^T (u t), u upper triangular */
            const double v = nb_gram_dot(h.u + i * n + i, t + i, n - i);
            for (size_t c = i; c < n; c++)
                change[c] += v * h.u[i * n + c];
        }
        for (size_t c = 0; c < n; c++)
            row[c] = h.dead[c] ? row[c] : (float)(before[c] + change[c]);
    }
    return NB_OK;
}

static NB_FALLIBLE round_group(const NbPtqRun *run, const NbPtqWork *w, size_t group,
                               NbArena *arena, NbError *err) {
    const NbPtqLayer *const l = &w->layer;
    const size_t n = l->columns;
    const size_t each = l->rows / l->groups;
    const NbQuantSpec *const spec = &run->g->node[l->quant].attr.quant;
    float *const step = nb_f32(&run->g->node[l->step].param) + group * each;
    float *const weight = nb_f32(&run->g->node[l->weight].param) + group * each * n;
    const double *const gram = w->gram + group * n * n;
    double *const energy = NB_NEW(arena, double, n);
    if (!energy)
        return nb_fail_memory(err, "rounding");
    double sum = 0.0;
    if (run->options->adapt && w->leads)
        NB_TRY(adapt(run, w, group, arena, err));
    for (size_t c = 0; c < n; c++)
        sum += energy[c] = gram[c * (n + 1)];
    for (size_t r = 0; r < each; r++)
        step[r] = nb_ptq_weight_step(spec, weight + r * n, n, sum > 0.0 ? energy : NULL);
    NbGptq gptq;
    const NbGptqOptions options = {.damp = run->options->damp, .act_order = true};
    NbError why = {0};
    if (run->options->round == NB_PTQ_GPTQ && sum > 0.0 &&
        nb_ptq_gptq_prepare(gram, n, &options, arena, &gptq, &why) == NB_OK)
        return nb_ptq_gptq_rows(&gptq, spec, step, each, weight, arena, err);
    for (size_t r = 0; r < each; r++)
        nb_ptq_weight_round(spec, step[r], weight + r * n, n);
    return NB_OK;
}

/* Energy of the outputs before rounding over that of what rounding adds. */
static double weight_sqnr(const NbPtqRun *run, const NbPtqWork *w, double *off) {
    const NbPtqLayer *const l = &w->layer;
    const size_t n = l->columns;
    const float *const now = nb_f32(&run->g->node[l->weight].param);
    const float *const before = nb_f32(&run->real.node[l->weight].param);
    double energy[2] = {0.0, 0.0};
    for (size_t r = 0; r < l->rows; r++) {
        const double *const gram = w->gram + r * l->groups / l->rows * n * n;
        for (size_t part = 0; part < 2; part++) {
            for (size_t c = 0; c < n; c++)
                off[c] = (double)before[r * n + c] - (part ? (double)now[r * n + c] : 0.0);
            for (size_t c = 0; c < n; c++)
                energy[part] += off[c] * nb_gram_dot(gram + c * n, off, n);
        }
    }
    return energy[0] > 0.0 && energy[1] > 0.0 ? 10.0 * log10(energy[0] / energy[1]) : 0.0;
}

static NB_FALLIBLE solve_layer(const NbPtqRun *run, NbPtqWork *w, NbArena *arena, NbError *err) {
    const NbPtqLayer *const l = &w->layer;
    for (size_t g = 0; l->quant >= 0 && g < l->groups; g++) {
        const NbArenaMark mark = nb_arena_mark(arena);
        NB_TRY(round_group(run, w, g, arena, err));
        nb_arena_rewind(arena, mark);
    }
    double *const off = NB_NEW(arena, double, l->columns);
    if (!off)
        return nb_fail_memory(err, "rounding");
    w->weight_sqnr_db = l->quant >= 0 ? weight_sqnr(run, w, off) : 0.0;
    if (run->options->bias_correction)
        correct_bias(run, w);
    return NB_OK;
}

static void solve_work(void *user, int index, int worker) {
    const Solve *const s = user;
    NbArena arena = {0};
    (void)worker;
    s->status[index] =
        solve_layer(s->run, &s->run->work[s->first + (size_t)index], &arena, &s->error[index]);
    nb_arena_release(&arena);
}

static NB_FALLIBLE solve(NbPtqRun *run, size_t first, size_t end, NbArena *arena, NbError *err) {
    const size_t n = end - first;
    Solve s = {.run = run,
               .first = first,
               .status = NB_NEW(arena, NbStatus, n),
               .error = NB_NEW(arena, NbError, n)};
    if (!s.status || !s.error)
        return nb_fail_memory(err, "rounding");
    /* What the layers before this pass lost is made up for once, by those that come first: if all
     * did so, each would add the whole correction. */
    for (size_t i = first; i < end; i++)
        run->work[i].leads = run->work[i].layer.depth == run->work[first].layer.depth;
    NB_TRY(nb_ptq_measure(run, first, end, arena, err));
    nb_pool_run(run->options->pool, (int)n, solve_work, &s);
    for (size_t i = first; i < end; i++) {
        run->work[i].gram = NULL; /* its memory goes with the arena */
        if (s.status[i - first] != NB_OK) {
            *err = s.error[i - first];
            return s.status[i - first];
        }
    }
    return NB_OK;
}

/* Eight bits leave little that later layers have to follow: fewer passes do. */
static int usual_passes(const NbPtqRun *run, int depths) {
    enum { PASSES_OF_8_BITS = 8 };
    for (size_t i = 0; i < run->n_work; i++) {
        const NbNodeId quant = run->work[i].layer.quant;
        if (quant >= 0 && run->g->node[quant].attr.quant.grid.bits < 8)
            return depths;
    }
    return PASSES_OF_8_BITS;
}

/* The layers whose depth lies in one part of all depths make one pass. */
static NB_FALLIBLE quantize_weights(NbPtqRun *run, NbError *err) {
    const int depths = run->n_work ? run->work[run->n_work - 1].layer.depth + 1 : 0;
    const int wanted = run->options->passes ? run->options->passes : usual_passes(run, depths);
    const int passes = wanted < depths ? wanted : depths;
    run->all += passes;
    NB_TRY(share_data(run->g, run->arena, &run->current, err));
    bypass(&run->current);
    for (NbNodeId id = 0; id < run->current.n_nodes; id++)
        nb_graph_set_kind(&run->current, id);
    size_t first = 0;
    for (int p = 0; p < passes; p++) {
        const int limit = depths * (p + 1) / passes;
        NbArena arena = {0};
        size_t end = first;
        while (end < run->n_work && run->work[end].layer.depth < limit)
            end++;
        const NbStatus status = end > first ? solve(run, first, end, &arena, err) : NB_OK;
        nb_arena_release(&arena);
        NB_TRY(status);
        first = end;
    }
    return NB_OK;
}

/* What no output needs (a head that only teaches) gets steps by its weights alone. */
static NB_FALLIBLE quantize_rest(NbPtqRun *run, NbError *err) {
    NbPtqLayer *layer = NULL;
    size_t n = 0;
    NB_TRY(nb_ptq_layers(run->g, run->arena, &layer, &n, err));
    for (size_t i = 0; i < n; i++) {
        const NbPtqLayer *const l = &layer[i];
        if (l->live || l->quant < 0)
            continue;
        const NbQuantSpec *const spec = &run->g->node[l->quant].attr.quant;
        for (size_t r = 0; r < l->rows; r++)
            nb_f32(&run->g->node[l->step].param)[r] = nb_ptq_weight_step(
                spec, nb_f32(&run->g->node[l->weight].param) + r * l->columns, l->columns, NULL);
    }
    return NB_OK;
}

/* ---- the report ---- */

static NB_FALLIBLE fill_report(const NbPtqRun *run, NbPtqReport *report, NbError *err) {
    *report = (NbPtqReport){.layer = NB_NEW(run->arena, NbPtqLayerReport, run->n_work),
                            .act = NB_NEW(run->arena, NbPtqActReport, run->n_acts)};
    if (!report->layer || !report->act)
        return nb_fail_memory(err, "report");
    for (size_t i = 0; i < run->n_work; i++) {
        const NbPtqLayer *const l = &run->work[i].layer;
        const NbNode *const x = &run->g->node[l->x];
        const NbNode *const q = l->quant >= 0 ? &run->g->node[l->quant] : NULL;
        report->layer[report->n_layers++] =
            (NbPtqLayerReport){.name = run->g->node[l->conv].name,
                               .weight_bits = q ? q->attr.quant.grid.bits : 0,
                               .input_bits = x->kind == NB_VALUE_CODED ? x->grid.bits : 0,
                               .weight_sqnr_db = run->work[i].weight_sqnr_db,
                               .sqnr_db = run->work[i].sqnr_db};
    }
    for (size_t i = 0; i < run->n_acts; i++) {
        const NbPtqAct *const a = &run->act[i];
        const NbNode *const q = &run->g->node[a->quant];
        const float range = run->act[i].seen.high - run->act[i].seen.low;
        report->act[report->n_acts++] = (NbPtqActReport){
            .name = q->name,
            .bits = q->attr.quant.grid.bits,
            .scale = a->scale,
            .stability = range > 0.0F ? fmin(1.0, (double)a->half_range / (double)range) : 1.0};
    }
    return NB_OK;
}

NbStatus nb_ptq_quantize(NbGraph *g, const NbPtqPictures *pictures, const NbPtqOptions *options,
                         NbArena *arena, NbPtqReport *report, NbError *err) {
    NbPtqRun run = {.g = g, .pictures = pictures, .options = options, .arena = arena, .all = 3};
    NB_TRY(prepare(&run, err));
    NB_TRY(nb_ptq_observe(&run, err));
    NB_TRY(choose_scales(&run, err));
    NB_TRY(quantize_weights(&run, err));
    NB_TRY(quantize_rest(&run, err));
    NB_TRY(nb_ptq_compare(&run, err));
    return fill_report(&run, report, err);
}
