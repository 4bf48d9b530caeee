/* SPDX-License-Identifier: Apache-2.0 */
#include "train/finish.h"

#include "base/file.h"
#include "base/text.h"
#include "model/checkpoint.h"
#include "nn/executor.h"
#include "train/step.h"

#include <stdio.h>
#include <string.h>

enum { MOST_BATCHES = 32 }; /* statistics hardly move after that many */

static NB_FALLIBLE make_executor(const NbFinish *f, bool fixed_norm, NbExecutor **out,
                                 NbError *err) {
    const NbExecutorOptions options = {.batch = f->hyper->batch,
                                       .height = f->hyper->imgsz,
                                       .width = f->hyper->imgsz,
                                       .training = true,
                                       .fixed_norm = fixed_norm,
                                       .quantizers = true,
                                       .pool = f->pool};
    return nb_executor_new(&f->model->graph, &options, out, err);
}

/* ---- norm ---- */

static void set_momentum(NbGraph *g, float momentum) {
    for (NbNodeId id = 0; id < g->n_nodes; id++)
        if (g->node[id].op == NB_OP_BATCHNORM)
            g->node[id].attr.batchnorm.momentum = momentum;
}

static float momentum_of(const NbGraph *g) {
    for (NbNodeId id = 0; id < g->n_nodes; id++)
        if (g->node[id].op == NB_OP_BATCHNORM)
            return g->node[id].attr.batchnorm.momentum;
    return 0.0F;
}

static NB_FALLIBLE gather_statistics(const NbFinish *f, NbExecutor *x, int batches, NbError *err) {
    for (int i = 0; i < batches; i++) {
        NbBatch batch;
        NB_TRY(nb_loader_next(f->loader, &batch, err));
        set_momentum(&f->model->graph, 1.0F / (float)(i + 1)); /* the mean of all so far */
        NB_TRY(nb_executor_forward(x, batch.images, batch.count, true, err));
    }
    return NB_OK;
}

NbStatus nb_finish_norm(const NbFinish *f, int epoch, int batches, NbError *err) {
    NbExecutor *x = NULL;
    const float momentum = momentum_of(&f->model->graph);
    NB_TRY(nb_loader_seek(f->loader, epoch, 0, f->hyper->imgsz, 0.0, err));
    NB_TRY(make_executor(f, false, &x, err));
    const NbStatus status = gather_statistics(f, x, batches, err);
    set_momentum(&f->model->graph, momentum);
    nb_executor_free(x);
    return status;
}

/* ---- correct ---- */

/* Everything but scales and shifts of batch norms is fixed; was: what was fixed before. */
static void fix_others(NbGraph *g, bool *was) {
    for (NbNodeId id = 0; id < g->n_nodes; id++) {
        NbNode *const node = &g->node[id];
        if (node->op != NB_OP_PARAM)
            continue;
        const NbParamRole role = node->attr.param.role;
        was[id] = node->attr.param.frozen;
        node->attr.param.frozen = was[id] || (role != NB_PARAM_GAMMA && role != NB_PARAM_BETA);
    }
}

static void unfix(NbGraph *g, const bool *was) {
    for (NbNodeId id = 0; id < g->n_nodes; id++)
        if (g->node[id].op == NB_OP_PARAM)
            g->node[id].attr.param.frozen = was[id];
}

static NbHyper correction_hyper(const NbHyper *h) {
    NbHyper c = *h;
    c.epochs = 1;
    c.nbs = h->batch;
    c.optimizer = NB_ADAMW;
    c.lr0 = 3e-4;
    c.lrf = 0.01;
    c.momentum = 0.9;
    c.weight_decay = 0.0;
    c.clip_norm = 10.0;
    c.ema_decay = 0.0; /* the averages are the values */
    c.recipe = NB_RECIPE_NIBBLE;
    c.compat = false;
    return c;
}

static NB_FALLIBLE run_correction(const NbFinish *f, int batches, NbStepper *stepper,
                                  NbError *err) {
    for (int i = 0; i < batches; i++) {
        NbBatch batch;
        NbStepResult result;
        NB_TRY(nb_loader_next(f->loader, &batch, err));
        NB_TRY(nb_step_run(stepper, &batch, &result, err));
        if (f->should_stop(f->user))
            return nb_fail(NB_ERR_STOPPED, err, "stopped behind the last epoch; %s is what it left",
                           f->best);
    }
    return NB_OK;
}

static NB_FALLIBLE correct(const NbFinish *f, int epoch, NbExecutor *x, NbError *err) {
    const NbHyper hyper = correction_hyper(f->hyper);
    const int batches = nb_loader_batches(f->loader);
    NbTrainState state;
    NB_TRY(nb_loader_seek(f->loader, epoch, 0, hyper.imgsz, 0.0, err));
    NB_TRY(nb_train_state_new(f->model, &hyper, &state, err));
    NbStepper stepper = {.state = &state,
                         .hyper = &hyper,
                         .executor = x,
                         .schedule = {.epochs = 1,
                                      .batches = batches,
                                      .batch = hyper.batch,
                                      .nbs = hyper.nbs,
                                      .lr0 = hyper.lr0,
                                      .lrf = hyper.lrf,
                                      .momentum = hyper.momentum}};
    const NbStatus status = run_correction(f, batches, &stepper, err);
    nb_step_release(&stepper);
    nb_train_state_release(&state);
    return status;
}

NbStatus nb_finish_correct(const NbFinish *f, int epoch, NbError *err) {
    NbArena arena = {0};
    NbExecutor *x = NULL;
    bool *const was = NB_NEW(&arena, bool, (size_t)f->model->graph.n_nodes);
    if (!was)
        return nb_fail_memory(err, "the correction");
    fix_others(&f->model->graph, was);
    NbStatus status = make_executor(f, true, &x, err);
    if (status == NB_OK)
        status = correct(f, epoch, x, err);
    nb_executor_free(x);
    unfix(&f->model->graph, was);
    nb_arena_release(&arena);
    return status;
}

/* ---- keeping what is better ---- */

typedef struct Finishing {
    const NbFinish *f;
    NbArena arena;
    float **kept; /* [nodes]: parameters of the best so far */
    double fitness;
    NbText done; /* what was tried, and what came of it */
} Finishing;

static NB_FALLIBLE take_copies(Finishing *s, NbError *err) {
    const NbGraph *const g = &s->f->model->graph;
    s->kept = NB_NEW(&s->arena, float *, (size_t)g->n_nodes);
    for (NbNodeId id = 0; s->kept && id < g->n_nodes; id++) {
        const NbNode *const node = &g->node[id];
        if (node->op == NB_OP_PARAM &&
            !(s->kept[id] = NB_NEW(&s->arena, float, nb_tensor_count(&node->param))))
            return nb_fail_memory(err, node->name);
    }
    return s->kept ? NB_OK : nb_fail_memory(err, "the best weights");
}

/* The model's parameters to the copies, or back. */
static void move(const Finishing *s, bool back) {
    const NbGraph *const g = &s->f->model->graph;
    for (NbNodeId id = 0; id < g->n_nodes; id++) {
        if (g->node[id].op != NB_OP_PARAM)
            continue;
        float *const value = nb_f32(&g->node[id].param);
        const size_t bytes = nb_tensor_count(&g->node[id].param) * sizeof *value;
        memcpy(back ? value : s->kept[id], back ? s->kept[id] : value, bytes);
    }
}

static NB_FALLIBLE keep_if_better(Finishing *s, const char *what, NbError *err) {
    double fitness = 0.0;
    char text[160];
    NB_TRY(s->f->score(s->f->user, &fitness, err));
    const bool better = fitness > s->fitness;
    (void)snprintf(text, sizeof text, "%s: fitness %.4f, before %.4f: %s", what, fitness,
                   s->fitness, better ? "kept" : "dropped");
    s->f->say(s->f->user, text);
    nb_text_printf(&s->done, "%s%s", s->done.size ? "; " : "", text);
    if (better)
        s->fitness = fitness;
    move(s, !better);
    return NB_OK;
}

static NB_FALLIBLE save(Finishing *s, NbError *err) {
    char fitness[32];
    (void)snprintf(fitness, sizeof fitness, "%.17g", s->fitness);
    if (s->done.failed)
        return nb_fail_memory(err, "the best weights");
    const NbMetadata extra[] = {{"finished", s->done.data ? s->done.data : ""},
                                {"fitness", fitness}};
    return nb_train_model_save(s->f->model, s->f->args, extra, 2, s->f->best, err);
}

static NB_FALLIBLE finish(Finishing *s, NbError *err) {
    const NbFinish *const f = s->f;
    const int epoch = f->hyper->epochs; /* pictures that no epoch has shown */
    const int batches = nb_loader_batches(f->loader);
    NB_TRY(take_copies(s, err));
    move(s, false);
    NB_TRY(f->score(f->user, &s->fitness, err));
    if (f->hyper->guard.norm) {
        NB_TRY(nb_finish_norm(f, epoch, batches < MOST_BATCHES ? batches : MOST_BATCHES, err));
        NB_TRY(keep_if_better(s, "statistics gathered anew", err));
    }
    if (f->hyper->guard.correct) {
        NB_TRY(nb_finish_correct(f, epoch + 1, err));
        NB_TRY(keep_if_better(s, "scales and shifts corrected", err));
    }
    return save(s, err);
}

/* Loads the best weights; *finished: nothing is left to do. */
static NB_FALLIBLE load_best(const NbFinish *f, NbArena *arena, bool *finished, NbError *err) {
    NbBytes bytes;
    NbSafetensors file;
    NB_TRY(nb_file_read(f->best, 0, arena, &bytes, err));
    NB_TRY(nb_safetensors_read(f->best, bytes, arena, &file, err));
    *finished = nb_safetensors_metadata(&file, "finished") != NULL;
    return nb_model_load_tensors(f->model, &file, "", NB_LOAD_STRICT, arena, NULL, err);
}

NbStatus nb_finish(const NbFinish *f, NbError *err) {
    Finishing s = {.f = f};
    bool finished = false;
    NbStatus status = load_best(f, &s.arena, &finished, err);
    if (status == NB_OK && !finished)
        status = finish(&s, err);
    nb_text_release(&s.done);
    nb_arena_release(&s.arena);
    return status;
}

double nb_finish_fitness(const char *best) {
    NbArena arena = {0};
    NbBytes bytes;
    NbSafetensors file;
    NbError unused;
    double fitness = -1.0;
    if (nb_file_read(best, 0, &arena, &bytes, &unused) == NB_OK &&
        nb_safetensors_read(best, bytes, &arena, &file, &unused) == NB_OK) {
        const char *const text = nb_safetensors_metadata(&file, "fitness");
        if (text && nb_safetensors_metadata(&file, "finished") && !nb_parse_double(text, &fitness))
            fitness = -1.0;
    }
    nb_arena_release(&arena);
    return fitness;
}
