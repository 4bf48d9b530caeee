/* SPDX-License-Identifier: Apache-2.0
 *
 * Chains of element-wise nodes: tiles, statistics of batch norms, and the forward. */
#include "nn/internal.h"

#include "graph/interpret.h"

#include <math.h>
#include <string.h>

static size_t tile_size(const NbNnChain *chain) {
    const size_t least = (size_t)chain->c * (chain->pool ? 4 : 1);
    return least > NB_NN_TILE ? least : NB_NN_TILE;
}

size_t nb_nn_tile_floats(const NbNnChain *chain) { return tile_size(chain); }

size_t nb_nn_chain_scratch(const NbNnChain *chain) {
    return (size_t)(2 * chain->n_stages + 3) * tile_size(chain) * sizeof(float);
}

static bool quant_is_fast(const NbQuantSpec *spec) {
    return spec->kind == NB_QUANT_INT && spec->round == NB_ROUND_HALF_EVEN &&
           nb_grid_lo(spec->grid) > -(1 << 22) && nb_grid_hi(spec->grid) <= (1 << 22) - 1;
}

static NB_FALLIBLE prepare_stage(NbExecutor *x, NbNnStage *stage, NbError *err) {
    if (stage->op != NB_OP_QUANT)
        return NB_OK;
    const NbQuantSpec *const spec = &x->g->node[stage->node].attr.quant;
    stage->fast_quant = quant_is_fast(spec);
    stage->quant = (NbNnQuant){.lo = (float)nb_grid_lo(spec->grid),
                               .hi = (float)nb_grid_hi(spec->grid),
                               .zero = spec->zero,
                               .ste = spec->ste_clamp};
    stage->scale_sum = NB_NEW(&x->arena, double, (size_t)x->shards);
    return stage->scale_sum ? NB_OK : nb_fail_memory(err, "a quantizer");
}

NbStatus nb_nn_chain_new(NbExecutor *x, NbNnChain *chain, NbError *err) {
    const size_t c = (size_t)chain->c;
    chain->period = nb_nn_period(c);
    for (int i = 0; i < chain->n_stages; i++)
        NB_TRY(prepare_stage(x, &chain->stage[i], err));
    const size_t scratch = nb_nn_chain_scratch(chain);
    x->scratch_bytes = scratch > x->scratch_bytes ? scratch : x->scratch_bytes;
    if (chain->norm < 0)
        return NB_OK;
    chain->stat = NB_NEW(&x->arena, double, (size_t)x->shards * 2 * chain->period);
    float *const wide = NB_NEW(&x->arena, float, 6 * chain->period);
    float *const narrow = NB_NEW(&x->arena, float, 4 * c);
    double *const moment = NB_NEW(&x->arena, double, 2 * c);
    if (!chain->stat || !wide || !narrow || !moment)
        return nb_fail_memory(err, "a batch norm");
    for (size_t i = 0; i < 2; i++) {
        chain->affine[i] = wide + i * chain->period;
        chain->moment[i] = moment + i * c;
    }
    for (size_t i = 0; i < 4; i++) {
        chain->back[i] = wide + (2 + i) * chain->period;
        chain->narrow[i] = narrow + i * c;
    }
    return NB_OK;
}

static const float *param_of(const NbExecutor *x, const NbNode *node, int i) {
    return nb_f32(&x->g->node[node->in[i]].param);
}

void nb_nn_widen(const NbNnChain *chain, const float *narrow, float *wide) {
    for (size_t i = 0; i < chain->period; i++)
        wide[i] = narrow[i % (size_t)chain->c];
}

static void set_affine(const NbExecutor *x, NbNnChain *chain, const float *mean, const float *var) {
    const NbNode *const node = &x->g->node[chain->norm];
    nb_batchnorm_affine(param_of(x, node, 1), param_of(x, node, 2), mean, var,
                        node->attr.batchnorm.eps, (size_t)chain->c, chain->narrow[0],
                        chain->narrow[1]);
    nb_nn_widen(chain, chain->narrow[0], chain->affine[0]);
    nb_nn_widen(chain, chain->narrow[1], chain->affine[1]);
}

/* Batch norms take running statistics: in inference, and in training with fixed ones. Then every
 * stage has the bits of the interpreter; with statistics of the batch, which are summed in another
 * order, that would be for nothing. */
static bool uses_running(const NbExecutor *x) { return !x->train || x->options.fixed_norm; }

static void set_running(const NbExecutor *x, NbNnChain *chain) {
    const NbNode *const node = &x->g->node[chain->norm];
    const float *const mean = param_of(x, node, 3);
    const float *const var = param_of(x, node, 4);
    set_affine(x, chain, mean, var);
    for (int c = 0; c < chain->c; c++) {
        chain->moment[0][c] = (double)mean[c];
        chain->moment[1][c] = 1.0 / sqrt((double)var[c] + (double)node->attr.batchnorm.eps);
    }
}

void nb_nn_chains_prepare(NbExecutor *x) {
    for (int i = 0; i < x->n_chains; i++) {
        NbNnChain *const chain = &x->chain[i];
        for (int s = 0; s < chain->n_stages; s++)
            chain->stage[s].quant.scale = x->value[chain->stage[s].node].scale;
        if (chain->norm >= 0 && uses_running(x))
            set_running(x, chain);
    }
}

bool nb_nn_tile(const NbNnChain *chain, const int rows[2], size_t index, NbNnTile *tile) {
    const size_t c = (size_t)chain->c;
    const size_t w = (size_t)chain->w;
    const size_t size = tile_size(chain);
    if (!chain->pool) {
        const size_t step = size / c * c;
        const size_t end = (size_t)rows[1] * w * c;
        const size_t at = (size_t)rows[0] * w * c + index * step;
        const size_t n = at < end ? (end - at < step ? end - at : step) : 0;
        *tile = (NbNnTile){.at = at, .out = at, .n = n, .all = n};
        return n > 0;
    }
    const size_t columns = size / (4 * c); /* of the output */
    const size_t in_row = (w / 2 + columns - 1) / columns;
    const size_t row = (size_t)(rows[0] / 2) + index / in_row;
    const size_t first = index % in_row * columns;
    const size_t n = w / 2 - first < columns ? w / 2 - first : columns;
    const size_t at = (2 * row * w + 2 * first) * c;
    *tile = (NbNnTile){.at = at,
                       .lower = at + w * c,
                       .out = (row * (w / 2) + first) * c,
                       .n = n * c,
                       .all = 4 * n * c};
    return row < (size_t)(rows[1] / 2);
}

/* From what is stored to real numbers. */
static void load_run(const NbExecutor *x, const NbNnChain *chain, const float *from, size_t n,
                     float *to) {
    const NbNnValue *const in = &x->value[chain->x];
    const NbNnConv *const conv = in->conv >= 0 ? &x->conv[in->conv] : NULL;
    if (conv && conv->lazy && conv->bias >= 0)
        x->k->affine(from, conv->out_scale, conv->out_bias, conv->period, n, to);
    else if (conv && conv->lazy)
        x->k->mul(from, conv->out_scale, conv->period, n, to);
    else if (in->coded && !chain->raw)
        x->k->scale(from, in->scale, n, to);
    else if (from != to)
        memcpy(to, from, n * sizeof *to);
}

bool nb_nn_chain_reads_as_is(const NbExecutor *x, const NbNnChain *chain) {
    const NbNnValue *const in = &x->value[chain->x];
    return !chain->pool && !(in->coded && !chain->raw) && (in->conv < 0 || !x->conv[in->conv].lazy);
}

bool nb_nn_chain_is_norm_silu(const NbExecutor *x, const NbNnChain *chain) {
    return chain->n_stages == 2 && chain->stage[0].op == NB_OP_BATCHNORM &&
           chain->stage[1].op == NB_OP_SILU && !uses_running(x) &&
           nb_nn_chain_reads_as_is(x, chain);
}

void nb_nn_tile_load(const NbNnTask *task, const NbNnChain *chain, const float *x,
                     const NbNnTile *tile, float *out) {
    if (!chain->pool) {
        load_run(task->x, chain, x + tile->at, tile->n, out);
        return;
    }
    const size_t c = (size_t)chain->c;
    const NbNnKernels *const k = task->x->k;
    k->split(x + tile->at, c, tile->n / c, out, out + tile->n);
    k->split(x + tile->lower, c, tile->n / c, out + 2 * tile->n, out + 3 * tile->n);
    load_run(task->x, chain, out, tile->all, out);
}

/* The statistics that a training forward needs: sums and sums of squares of the input. */
void nb_nn_chain_statistics(const NbNnTask *task, const NbNnStep *step) {
    NbExecutor *const x = task->x;
    if (uses_running(x))
        return;
    const NbNnChain *const chain = &x->chain[step->unit];
    const NbNnValue *const in = &x->value[chain->x];
    double *const stat = chain->stat + (size_t)task->shard * 2 * chain->period;
    float *const tile = (float *)(void *)x->scratch[task->worker];
    const size_t run = tile_size(chain) / (size_t)chain->c * (size_t)chain->c;
    if (task->first)
        memset(stat, 0, 2 * chain->period * sizeof *stat);
    const float *const from = nb_nn_at(task, in->value);
    const bool as_is = nb_nn_chain_reads_as_is(x, chain);
    for (size_t at = 0; at < in->count; at += run) {
        const size_t n = in->count - at < run ? in->count - at : run;
        if (!as_is)
            load_run(x, chain, from + at, n, tile);
        x->k->sums(as_is ? from + at : tile, chain->period, n, stat, stat + chain->period);
    }
}

double nb_nn_chain_sum(const NbExecutor *x, const NbNnChain *chain, int which, size_t c) {
    double sum = 0.0;
    for (int s = 0; s < nb_nn_shards(x); s++) {
        const double *const stat = chain->stat + ((size_t)s * 2 + (size_t)which) * chain->period;
        for (size_t i = c; i < chain->period; i += (size_t)chain->c)
            sum += stat[i];
    }
    return sum;
}

static void track(float *running, double batch, float momentum) {
    *running = (float)((1.0 - (double)momentum) * (double)*running + (double)momentum * batch);
}

NbStatus nb_nn_chain_reduce_statistics(NbExecutor *x, int unit, NbError *err) {
    (void)err;
    NbNnChain *const chain = &x->chain[unit];
    if (uses_running(x))
        return NB_OK;
    const NbNode *const node = &x->g->node[chain->norm];
    const float momentum = node->attr.batchnorm.momentum;
    const double n = (double)x->count * chain->h * chain->w;
    float *const running_mean = nb_f32(&x->g->node[node->in[3]].param);
    float *const running_var = nb_f32(&x->g->node[node->in[4]].param);
    for (size_t c = 0; c < (size_t)chain->c; c++) {
        const double mean = nb_nn_chain_sum(x, chain, 0, c) / n;
        const double square = nb_nn_chain_sum(x, chain, 1, c) / n;
        const double var = fmax(square - mean * mean, 0.0);
        chain->moment[0][c] = mean;
        chain->moment[1][c] = 1.0 / sqrt(var + (double)node->attr.batchnorm.eps);
        chain->narrow[2][c] = (float)mean;
        chain->narrow[3][c] = (float)var;
        track(&running_mean[c], mean, momentum);
        track(&running_var[c], n > 1.0 ? var * n / (n - 1.0) : var, momentum);
    }
    set_affine(x, chain, chain->narrow[2], chain->narrow[3]);
    return NB_OK;
}

static void quant_forward(const NbExecutor *x, const NbNnStage *stage, bool last, const float *in,
                          size_t n, float *out) {
    const NbQuantSpec *const spec = &x->g->node[stage->node].attr.quant;
    if (stage->fast_quant)
        x->k->quant(in, &stage->quant, n, out);
    else
        nb_quant_codes(spec, in, 1, n, &stage->quant.scale, NULL, out);
    for (size_t i = 0; !stage->fast_quant && spec->zero != 0.0F && i < n; i++)
        out[i] -= spec->zero;
    if (!last)
        x->k->scale(out, stage->quant.scale, n, out);
}

void nb_nn_stage_forward(const NbNnTask *task, const NbNnChain *chain, int index, const float *in,
                         size_t n, float *out) {
    const NbExecutor *const x = task->x;
    const NbNnStage *const stage = &chain->stage[index];
    const NbAttr *const attr = &x->g->node[stage->node].attr;
    if (stage->op == NB_OP_BATCHNORM)
        x->k->affine(in, chain->affine[0], chain->affine[1], chain->period, n, out);
    else if (stage->op == NB_OP_RELU)
        x->k->leaky(in, 0.0F, n, out);
    else if (stage->op == NB_OP_LEAKY_RELU)
        x->k->leaky(in, attr->leaky_relu.slope, n, out);
    else if (stage->op == NB_OP_HARDTANH)
        x->k->hardtanh(in, n, out);
    else if (stage->op == NB_OP_SCALE)
        x->k->scale(in, attr->scale.factor, n, out);
    else if (stage->op == NB_OP_QUANT)
        quant_forward(x, stage, index == chain->n_stages - 1, in, n, out);
    else if (stage->op == NB_OP_SILU && uses_running(x))
        x->k->silu(in, n, out);
    else if (stage->op == NB_OP_SILU)
        x->k->silu_quick(in, n, out, NULL);
    else if (stage->op == NB_OP_SIGMOID && uses_running(x))
        x->k->sigmoid(in, n, out);
    else if (stage->op == NB_OP_SIGMOID)
        x->k->sigmoid_quick(in, n, out, NULL);
}

/* A chain that is a batch norm, perhaps RELU or LEAKY_RELU, and a quantizer, which one loop does.
 */
static bool is_one_loop(const NbNnChain *chain) {
    const NbNnStage *const s = chain->stage;
    const int n = chain->n_stages;
    if (n < 2 || n > 3 || s[0].op != NB_OP_BATCHNORM || !s[n - 1].fast_quant)
        return false;
    return n == 2 || s[1].op == NB_OP_RELU || s[1].op == NB_OP_LEAKY_RELU;
}

static float slope_of(const NbExecutor *x, const NbNnChain *chain) {
    const NbNnStage *const s = &chain->stage[1];
    if (chain->n_stages == 2)
        return 1.0F;
    return s->op == NB_OP_RELU ? 0.0F : x->g->node[s->node].attr.leaky_relu.slope;
}

static void all_stages(const NbNnTask *task, const NbNnChain *chain, const float *in, size_t n,
                       float *tile, float *last) {
    const float *const par[2] = {chain->affine[0], chain->affine[1]};
    const int stages = chain->n_stages;
    if (is_one_loop(chain)) {
        task->x->k->norm_act_quant(in, par, chain->period, slope_of(task->x, chain),
                                   &chain->stage[stages - 1].quant, n, last);
        return;
    }
    for (int s = 0; s < stages; s++) {
        float *const out = s == stages - 1 ? last : tile;
        nb_nn_stage_forward(task, chain, s, in, n, out);
        in = out;
    }
}

/* Everything of one tile. kept: where the input stays, or the same memory as `tile`. */
static void forward_tile(const NbNnTask *task, const NbNnChain *chain, const NbNnTile *t,
                         float *kept, float *tile, float *to) {
    const NbNnKernels *const k = task->x->k;
    float *const last = chain->pool ? tile : to + t->out;
    const float *const in = chain->n_stages ? last : kept;
    all_stages(task, chain, kept, t->all, tile, last);
    if (chain->pool && kept != tile)
        k->pool_pick(in, kept, t->n, to + t->out, (float *)nb_nn_at(task, chain->top) + t->out,
                     (uint8_t *)nb_nn_at(task, chain->which) + t->out);
    else if (chain->pool)
        k->pool(in, t->n, to + t->out);
    else if (chain->n_stages == 0)
        memcpy(to + t->out, in, t->n * sizeof *to);
}

void nb_nn_chain_forward(const NbNnTask *task, const NbNnStep *step) {
    NbExecutor *const x = task->x;
    const NbNnChain *const chain = &x->chain[step->unit];
    float *const kept = (float *)(void *)x->scratch[task->worker];
    float *const tile = chain->pick && x->train ? kept + tile_size(chain) : kept;
    const float *const from = nb_nn_at(task, x->value[chain->x].value);
    float *const to = nb_nn_at(task, x->value[chain->tail].value);
    const int rows[2] = {0, chain->h};
    NbNnTile t;
    if (nb_nn_chain_is_norm_silu(x, chain)) {
        x->k->norm_silu(from, chain->affine[0], chain->affine[1], chain->period,
                        x->value[chain->x].count, to);
        return;
    }
    for (size_t i = 0; nb_nn_tile(chain, rows, i, &t); i++) {
        nb_nn_tile_load(task, chain, from, &t, kept);
        forward_tile(task, chain, &t, kept, tile, to);
    }
}
