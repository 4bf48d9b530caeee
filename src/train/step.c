/* SPDX-License-Identifier: Apache-2.0 */
#include "train/step.h"

#include "detect/picture.h"
#include "nn/optimizer.h"
#include "train/loss.h"
#include "train/oscillation.h"
#include "train/recipe.h"

#include <math.h>
#include <string.h>

void nb_step_release(NbStepper *s) { nb_arena_release(&s->scratch); }

/* Forward and loss; gradients of the outputs go to memory of the scratch arena. */
static NbStatus run_forward(NbStepper *s, const NbBatch *batch, NbStepResult *out, NbError *err) {
    NbTrainState *const state = s->state;
    NbHead *const head = &state->model->head;
    NB_TRY(nb_executor_forward(s->executor, batch->images, batch->count, true, err));
    const int epoch = (int)(state->iteration / s->schedule.batches);
    NbLoss loss = nb_head_loss(head, s->hyper, state->balance, epoch);
    NbHeadLevel level[NB_MAX_HEAD_OUTPUTS];
    for (int i = 0; i < nb_head_outputs(head); i++) {
        const int cells = nb_head_cells(head, i % head->levels, batch->imgsz);
        const size_t n =
            (size_t)batch->count * (size_t)cells * (size_t)cells * (size_t)nb_head_channels(head);
        s->d_output[i] = NB_NEW(&s->scratch, float, n);
        if (!s->d_output[i])
            return nb_fail_memory(err, "output gradients");
        level[i] = nb_head_level_nhwc(head, nb_executor_output(s->executor, i), s->d_output[i],
                                      cells, cells);
    }
    const NbLossBatch targets = {batch->count, batch->target, batch->n_targets};
    NB_TRY(nb_loss_run(&loss, level, &targets, &s->scratch, out->items, &out->total, err));
    for (int i = 0; i < head->levels && loss.kind == NB_HEAD_YOLOV5; i++)
        state->balance[i] = loss.yolov5.balance[i];
    return NB_OK;
}

/* Running statistics before the step: a forward pass that overflows would leave them broken. */
static NbStatus keep_statistics(NbStepper *s, NbError *err) {
    size_t n = 0;
    for (int i = 0; i < s->state->n_params; i++)
        n += s->state->param[i].group == NB_GROUP_COUNT ? s->state->param[i].n : 0;
    s->kept = NB_NEW(&s->scratch, float, n);
    if (!s->kept)
        return nb_fail_memory(err, "running statistics");
    float *at = s->kept;
    for (int i = 0; i < s->state->n_params; i++) {
        const NbTrainParam *const p = &s->state->param[i];
        if (p->group != NB_GROUP_COUNT)
            continue;
        memcpy(at, p->value, p->n * sizeof *at);
        at += p->n;
    }
    return NB_OK;
}

/* A broken step changes nothing but the rate: statistics go back, gathered gradients are dropped
 * and the batch is passed over. Values are untouched, since a step is only taken with finite
 * gradients. */
static void take_back(NbStepper *s) {
    NbTrainState *const state = s->state;
    const float *at = s->kept;
    for (int i = 0; i < state->n_params; i++) {
        NbTrainParam *const p = &state->param[i];
        if (p->group == NB_GROUP_COUNT) {
            memcpy(p->value, at, p->n * sizeof *at);
            at += p->n;
        }
        if (p->sum)
            memset(p->sum, 0, p->n * sizeof *p->sum);
    }
    state->last_step = state->iteration;
    state->iteration++;
    state->rollbacks++;
    state->lr_scale *= 0.5;
}

/* Epochs of the peers begin without gradients: what the last batches of an epoch left is dropped.
 */
static void drop_left_over(NbTrainState *state) {
    for (int i = 0; i < state->n_params; i++)
        if (state->param[i].sum)
            memset(state->param[i].sum, 0, state->param[i].n * sizeof(float));
}

/* Adds this batch's gradients to the gathered ones. */
static void gather(NbStepper *s) {
    for (int i = 0; i < s->state->n_params; i++) {
        NbTrainParam *const p = &s->state->param[i];
        const float *const grad = p->trained ? nb_executor_grad(s->executor, p->node) : NULL;
        for (size_t k = 0; grad && k < p->n; k++)
            p->sum[k] += grad[k];
    }
}

/* Norm over all gathered gradients; names the first that is not finite. */
static double measure(const NbTrainState *state, const char **broken) {
    double sum = 0.0;
    for (int i = 0; i < state->n_params; i++) {
        const NbTrainParam *const p = &state->param[i];
        if (!p->trained)
            continue;
        const double part = nb_square_sum(p->sum, p->n);
        if (!isfinite(part) && !*broken)
            *broken = p->name;
        sum += part;
    }
    return sqrt(sum);
}

static void step_param(const NbStepper *s, NbTrainParam *p, const NbRates *r) {
    const NbHyper *const h = s->hyper;
    const double full = rint((double)h->nbs / h->batch);
    const double gathered = full > 1.0 ? full : 1.0;
    double lr = p->group == NB_GROUP_BIAS ? r->lr_bias : r->lr;
    if (p->group == NB_GROUP_QUANT)
        lr *= h->quant_lr;
    lr *= s->state->lr_scale;
    const double decay =
        p->group == NB_GROUP_WEIGHT ? h->weight_decay * h->batch * gathered / h->nbs : 0.0;
    const NbSgd sgd = {.lr = lr, .momentum = r->momentum, .decay = decay, .nesterov = true};
    const NbAdam adam = {.lr = lr,
                         .beta1 = h->momentum,
                         .beta2 = 0.999,
                         .epsilon = 1e-8,
                         .decay = decay,
                         .decoupled = h->optimizer == NB_ADAMW};
    const int64_t step = s->state->updates + 1;
    switch (h->optimizer) {
    case NB_SGD: nb_sgd_step(&sgd, p->value, p->sum, p->first, p->n, step == 1); break;
    case NB_ADAM:
    case NB_ADAMW: nb_adam_step(&adam, p->value, p->sum, p->first, p->second, p->n, step); break;
    case NB_NADAM: nb_nadam_step(&adam, p->value, p->sum, p->first, p->second, p->n, step); break;
    case NB_RADAM: nb_radam_step(&adam, p->value, p->sum, p->first, p->second, p->n, step); break;
    case NB_ADAMAX: nb_adamax_step(&adam, p->value, p->sum, p->first, p->second, p->n, step); break;
    case NB_RMSPROP: nb_rmsprop_step(&sgd, p->value, p->sum, p->first, p->second, p->n); break;
    case NB_OPTIMIZER_COUNT: break;
    }
}

/* How much of the run lies behind, in [0, 1]. */
static double progress_of(const NbStepper *s) {
    const double all = (double)s->schedule.epochs * s->schedule.batches;
    return fmin((double)s->state->iteration / all, 1.0);
}

static void take_step(NbStepper *s, const NbRates *r, double norm) {
    NbTrainState *const state = s->state;
    const NbHyper *const h = s->hyper;
    const double factor = h->clip_norm / (norm + 1e-6);
    const double decay = h->ema_decay * (1.0 - exp(-(double)(state->updates + 1) / h->ema_tau));
    for (int i = 0; i < state->n_params; i++) {
        NbTrainParam *const p = &state->param[i];
        const bool has_grad = p->trained && nb_executor_grad(s->executor, p->node);
        if (has_grad && h->clip_norm > 0.0 && factor < 1.0) {
            for (size_t k = 0; k < p->n; k++)
                p->sum[k] *= (float)factor;
        }
        if (has_grad)
            step_param(s, p, r);
        if (p->sum)
            memset(p->sum, 0, p->n * sizeof *p->sum);
    }
    if (state->codes)
        nb_oscillation_track(state, h->guard.freeze ? nb_freeze_at(progress_of(s)) : 0.0);
    for (int i = 0; i < state->n_params; i++)
        nb_ema_update(state->param[i].ema, state->param[i].value, state->param[i].n, decay);
    state->updates++;
}

/* Backward, gather and, when enough is gathered, an optimizer step. */
static NbStatus run_backward(NbStepper *s, NbStepResult *out, NbError *err) {
    NbTrainState *const state = s->state;
    NB_TRY(nb_executor_backward(s->executor, (const float *const *)s->d_output, err));
    gather(s);
    const bool due = state->iteration - state->last_step >= out->rates.accumulate;
    if (!due)
        return NB_OK;
    if (state->codes && s->hyper->guard.dampen)
        nb_oscillation_dampen(state,
                              s->hyper->dampen * nb_dampen_at(progress_of(s)) * s->hyper->batch);
    out->grad_norm = measure(state, &out->broken);
    if (out->broken)
        return NB_OK;
    take_step(s, &out->rates, out->grad_norm);
    state->last_step = state->iteration;
    out->stepped = true;
    return NB_OK;
}

NbStatus nb_step_run(NbStepper *s, const NbBatch *batch, NbStepResult *out, NbError *err) {
    NbTrainState *const state = s->state;
    *out = (NbStepResult){.rates = nb_schedule_at(&s->schedule, state->iteration)};
    nb_arena_release(&s->scratch);
    if (nb_recipe_drops_rest(s->hyper) && state->iteration % s->schedule.batches == 0)
        drop_left_over(state);
    NB_TRY(keep_statistics(s, err));
    NB_TRY(run_forward(s, batch, out, err));
    if (!isfinite(out->total))
        out->broken = "loss";
    else
        NB_TRY(run_backward(s, out, err));
    if (out->broken) {
        take_back(s);
        return NB_OK;
    }
    for (int i = 0; i < NB_LOSS_ITEMS; i++)
        state->loss[i] += out->items[i];
    state->losses++;
    state->iteration++;
    return NB_OK;
}
