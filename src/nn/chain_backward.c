/* SPDX-License-Identifier: Apache-2.0
 *
 * Gradients of chains. Everything between the input and the gradient is computed again, tile by
 * tile. A batch norm needs two passes: one for its sums over the batch, one for the input. */
#include "nn/internal.h"

#include <math.h>
#include <string.h>

/* What is at hand for one tile. */
typedef struct Work {
    float *in[NB_NN_MAX_STAGES + 1]; /* input of each stage; the last: what goes into the pool */
    float *slope[NB_NN_MAX_STAGES];  /* of SILU and SIGMOID */
    float *g;
} Work;

static Work work_at(const NbNnTask *task, const NbNnChain *chain) {
    float *const base = (float *)(void *)task->x->scratch[task->worker];
    const size_t size = nb_nn_tile_floats(chain);
    Work w = {.g = base};
    for (int s = 0; s <= chain->n_stages; s++)
        w.in[s] = base + (size_t)(s + 1) * size;
    for (int s = 0; s < chain->n_stages; s++)
        w.slope[s] = base + (size_t)(chain->n_stages + 2 + s) * size;
    return w;
}

static void quant_backward(const NbNnTask *task, NbNnStage *stage, const float *in, size_t n,
                           float *g) {
    const NbExecutor *const x = task->x;
    const NbQuantSpec *const spec = &x->g->node[stage->node].attr.quant;
    const double d_scale =
        stage->fast_quant
            ? x->k->quant_back(in, &stage->quant, n, g)
            : nb_quant_backward_row(spec, in, n, stage->quant.scale, spec->zero, g, g).scale;
    stage->scale_sum[task->shard] += d_scale;
}

/* g becomes the gradient of the stage's input. */
static void stage_backward(const NbNnTask *task, NbNnChain *chain, int index, const Work *w,
                           size_t n) {
    const NbExecutor *const x = task->x;
    NbNnStage *const stage = &chain->stage[index];
    const NbAttr *const attr = &x->g->node[stage->node].attr;
    const float *const in = w->in[index];
    if (stage->op == NB_OP_RELU)
        x->k->leaky_back(in, 0.0F, n, w->g);
    else if (stage->op == NB_OP_LEAKY_RELU)
        x->k->leaky_back(in, attr->leaky_relu.slope, n, w->g);
    else if (stage->op == NB_OP_HARDTANH)
        x->k->hardtanh_back(in, n, w->g);
    else if (stage->op == NB_OP_SCALE)
        x->k->scale(w->g, attr->scale.factor, n, w->g);
    else if (stage->op == NB_OP_QUANT)
        quant_backward(task, stage, in, n, w->g);
    else if (stage->op == NB_OP_SILU || stage->op == NB_OP_SIGMOID)
        x->k->times(w->slope[index], n, w->g);
}

/* Stage `s` forward, and its slope where the two share most of the work. The output of the last
 * stage is wanted in front of a pool only. */
static void stage_again(const NbNnTask *task, const NbNnChain *chain, int s, size_t n, bool output,
                        const Work *w) {
    const NbNnKernels *const k = task->x->k;
    const NbOp op = chain->stage[s].op;
    const bool exact = task->x->options.fixed_norm; /* as the forward was */
    if (op == NB_OP_SILU || op == NB_OP_SIGMOID) {
        float *const y = output && !exact ? w->in[s + 1] : NULL;
        (op == NB_OP_SILU ? k->silu_quick : k->sigmoid_quick)(w->in[s], n, y, w->slope[s]);
    }
    if (output && (exact || (op != NB_OP_SILU && op != NB_OP_SIGMOID)))
        nb_nn_stage_forward(task, chain, s, w->in[s], n, w->in[s + 1]);
}

/* From the input w->in[0] through all stages, so that w holds what stages_backward reads. */
static void stages_again(const NbNnTask *task, const NbNnChain *chain, size_t n, bool output,
                         const Work *w) {
    for (int s = 0; s < chain->n_stages; s++)
        stage_again(task, chain, s, n, output || s < chain->n_stages - 1, w);
}

/* w->g: from the gradient of the output to that of the input of stage `down_to`. */
static void stages_backward(const NbNnTask *task, NbNnChain *chain, size_t n, int down_to,
                            const Work *w) {
    for (int s = chain->n_stages - 1; s >= down_to; s--)
        stage_backward(task, chain, s, w, n);
}

static void clear_sums(NbNnChain *chain, int shard) {
    for (int s = 0; s < chain->n_stages; s++)
        if (chain->stage[s].op == NB_OP_QUANT)
            chain->stage[s].scale_sum[shard] = 0.0;
}

/* The sums that a batch norm needs. With a pool only the largest of each four get a gradient, and
 * `top` has their inputs: a quarter of the work. The gradient of the batch norm's output takes the
 * place of that of the chain's output. */
void nb_nn_chain_sums(const NbNnTask *task, const NbNnStep *step) {
    NbExecutor *const x = task->x;
    NbNnChain *const chain = &x->chain[step->unit];
    double *const stat = chain->stat + (size_t)task->shard * 2 * chain->period;
    float *const d = nb_nn_at(task, x->value[chain->tail].grad);
    const float *const from = nb_nn_at(task, chain->pool ? chain->top : x->value[chain->x].value);
    const size_t all = x->value[chain->tail].count;
    const size_t run = nb_nn_tile_floats(chain) / (size_t)chain->c * (size_t)chain->c;
    Work w = work_at(task, chain);
    if (task->first) {
        memset(stat, 0, 2 * chain->period * sizeof *stat);
        clear_sums(chain, task->shard);
    }
    const bool norm_silu = nb_nn_chain_is_norm_silu(x, chain);
    for (size_t at = 0; at < all; at += run) {
        const size_t n = all - at < run ? all - at : run;
        w.g = d + at;
        if (norm_silu) {
            x->k->norm_silu_back(from + at, chain->affine[0], chain->affine[1], chain->period, n,
                                 w.g);
            x->k->products(w.g, from + at, chain->period, n, stat, stat + chain->period);
            continue;
        }
        if (chain->pool)
            memcpy(w.in[0], from + at, n * sizeof *from);
        else
            nb_nn_tile_load(task, chain, from, &(NbNnTile){.at = at, .n = n}, w.in[0]);
        stages_again(task, chain, n, false, &w);
        stages_backward(task, chain, n, 1, &w);
        x->k->products(w.g, w.in[0], chain->period, n, stat, stat + chain->period);
    }
}

NbStatus nb_nn_chain_reduce_sums(NbExecutor *x, int unit, NbError *err) {
    (void)err;
    NbNnChain *const chain = &x->chain[unit];
    const NbNode *const node = &x->g->node[chain->norm];
    const float *const gamma = nb_f32(&x->g->node[node->in[1]].param);
    const double n = (double)x->count * chain->h * chain->w;
    const bool fixed = x->options.fixed_norm; /* statistics do not move with the input */
    float *const d_gamma = x->grad[node->in[1]];
    float *const d_beta = x->grad[node->in[2]];
    for (size_t c = 0; c < (size_t)chain->c; c++) {
        const double mean = chain->moment[0][c];
        const double inverse = chain->moment[1][c];
        const double sum = nb_nn_chain_sum(x, chain, 0, c);
        const double product = inverse * (nb_nn_chain_sum(x, chain, 1, c) - mean * sum);
        if (d_gamma)
            d_gamma[c] += (float)product;
        if (d_beta)
            d_beta[c] += (float)sum;
        chain->narrow[0][c] = (float)((double)gamma[c] * inverse);
        chain->narrow[1][c] = (float)mean;
        chain->narrow[2][c] = fixed ? 0.0F : (float)(sum / n);
        chain->narrow[3][c] = fixed ? 0.0F : (float)(product / n * inverse);
    }
    for (int i = 0; i < 4; i++)
        nb_nn_widen(chain, chain->narrow[i], chain->back[i]);
    return NB_OK;
}

/* Writes or adds what the tile holds; planes go back to their rows. */
static void give(const NbNnTask *task, const NbNnChain *chain, const NbNnTile *t, bool add,
                 float *g, float *row, float *to) {
    const NbNnKernels *const k = task->x->k;
    const size_t c = (size_t)chain->c;
    for (size_t r = 0; chain->pool && r < 2; r++) {
        float *const target = to + (r == 0 ? t->at : t->lower);
        k->join(g + 2 * r * t->n, g + (2 * r + 1) * t->n, c, t->n / c, add ? row : target);
        if (add)
            k->add(row, 2 * t->n, target);
    }
    if (!chain->pool && add)
        k->add(g, t->n, to + t->at);
    else if (!chain->pool)
        memcpy(to + t->at, g, t->n * sizeof *g);
}

/* Behind nb_nn_chain_sums: through the batch norm. */
static void norm_backward(const NbNnTask *task, NbNnChain *chain, const NbNnTile *t,
                          const Work *w) {
    const NbExecutor *const x = task->x;
    const float *const d = (const float *)nb_nn_at(task, x->value[chain->tail].grad) + t->out;
    const float *const par[4] = {chain->back[0], chain->back[1], chain->back[2], chain->back[3]};
    if (chain->pool)
        x->k->pick_norm_back(d, (const uint8_t *)nb_nn_at(task, chain->which) + t->out, w->in[0],
                             par, chain->period, t->n, w->g);
    else
        x->k->norm_back(d, w->in[0], par, chain->period, t->n, w->g);
}

static void plain_backward(const NbNnTask *task, NbNnChain *chain, const NbNnTile *t,
                           const Work *w) {
    const NbExecutor *const x = task->x;
    const float *const d = (const float *)nb_nn_at(task, x->value[chain->tail].grad) + t->out;
    stages_again(task, chain, t->all, chain->pool, w);
    if (chain->pool)
        x->k->pool_back(w->in[chain->n_stages], t->n, d, w->g);
    else
        memcpy(w->g, d, t->n * sizeof *d);
    stages_backward(task, chain, t->all, 0, w);
}

void nb_nn_chain_norm_rows(const NbNnTask *task, NbNnChain *chain, const int rows[2], float *to) {
    const float *const from = nb_nn_at(task, task->x->value[chain->x].value);
    const size_t base = (size_t)rows[0] * (size_t)chain->w * (size_t)chain->c;
    const Work w = work_at(task, chain);
    NbNnTile t;
    for (size_t i = 0; nb_nn_tile(chain, rows, i, &t); i++) {
        nb_nn_tile_load(task, chain, from, &t, w.in[0]);
        norm_backward(task, chain, &t, &w);
        t.at -= base;
        t.lower -= base;
        give(task, chain, &t, false, w.g, w.in[0], to);
    }
}

void nb_nn_chain_backward(const NbNnTask *task, const NbNnStep *step) {
    NbExecutor *const x = task->x;
    NbNnChain *const chain = &x->chain[step->unit];
    const float *const from = nb_nn_at(task, x->value[chain->x].value);
    float *const to = step->b >= 0 ? nb_nn_at(task, step->b) : NULL;
    const Work w = work_at(task, chain);
    const bool norm = chain->norm >= 0;
    const int rows[2] = {0, chain->h};
    NbNnTile t;
    if (norm && !to)
        return; /* only the batch norm's own parameters want gradients */
    if (!norm && task->first)
        clear_sums(chain, task->shard);
    if (norm && !step->add && nb_nn_chain_reads_as_is(x, chain)) {
        const float *const par[4] = {chain->back[0], chain->back[1], chain->back[2],
                                     chain->back[3]};
        x->k->norm_back(nb_nn_at(task, x->value[chain->tail].grad), from, par, chain->period,
                        x->value[chain->x].count, to);
        return;
    }
    for (size_t i = 0; nb_nn_tile(chain, rows, i, &t); i++) {
        nb_nn_tile_load(task, chain, from, &t, w.in[0]);
        if (norm)
            norm_backward(task, chain, &t, &w);
        else
            plain_backward(task, chain, &t, &w);
        if (to)
            give(task, chain, &t, step->add, w.g, w.in[0], to);
    }
}

/* d loss / d value of a learned quantizer of activations, as nb_quant_backward. */
static void finish_stage(const NbExecutor *x, const NbNnChain *chain, const NbNnStage *stage) {
    const NbNode *const node = &x->g->node[stage->node];
    const NbQuantSpec *const spec = &node->attr.quant;
    if (stage->op != NB_OP_QUANT || node->n_in != 2 || !x->grad[node->in[1]])
        return;
    double sum = 0.0;
    for (int s = 0; s < nb_nn_shards(x); s++)
        sum += stage->scale_sum[s];
    const float value = nb_f32(&x->g->node[node->in[1]].param)[0];
    const int64_t hi = spec->kind == NB_QUANT_INT ? nb_grid_hi(spec->grid) : 1;
    const double n = (double)x->count * chain->h * chain->w * chain->c;
    const double factor = spec->lsq_gradient ? 1.0 / sqrt(n * (double)(hi > 0 ? hi : 1)) : 1.0;
    x->grad[node->in[1]][0] += (float)(sum / (double)nb_quant_int_threshold(spec) *
                                       nb_quant_threshold_slope(spec, value) * factor);
}

void nb_nn_chains_finish(NbExecutor *x) {
    for (int i = 0; i < x->n_chains; i++)
        for (int s = 0; s < x->chain[i].n_stages && x->value[x->chain[i].tail].needs_grad; s++)
            finish_stage(x, &x->chain[i], &x->chain[i].stage[s]);
}
