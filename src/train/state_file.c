/* SPDX-License-Identifier: Apache-2.0
 *
 * Training states in safetensors files. Tensors: the model's own names (values), "ema/" (averages),
 * "optim/first/", "optim/second/", "optim/sum/" (moments and gathered gradients), "optim/code/",
 * "optim/turn/", "optim/frozen/", "optim/rate/", "optim/mean_code/" (oscillations). Metadata:
 * "model" (see model/checkpoint.h), "train" (counters, JSON) and "args" (settings, JSON). Reals are
 * written with 17 digits, which bring back the same double. */
#include "train/state.h"

#include "format/json.h"
#include "model/checkpoint.h"

#include <stdlib.h>
#include <string.h>

/* An array of the state with its prefix in files. */
typedef struct Group {
    const char *prefix;
    NbDtype dtype;
    void *(*of)(const NbTrainParam *p);
} Group;

static void *ema_of(const NbTrainParam *p) { return p->ema; }
static void *first_of(const NbTrainParam *p) { return p->first; }
static void *second_of(const NbTrainParam *p) { return p->second; }
static void *sum_of(const NbTrainParam *p) { return p->sum; }
static void *code_of(const NbTrainParam *p) { return p->code; }
static void *turn_of(const NbTrainParam *p) { return p->turn; }
static void *frozen_of(const NbTrainParam *p) { return p->frozen; }
static void *rate_of(const NbTrainParam *p) { return p->rate; }
static void *mean_code_of(const NbTrainParam *p) { return p->mean_code; }

static const Group groups[] = {{"ema/", NB_F32, ema_of},
                               {"optim/first/", NB_F32, first_of},
                               {"optim/second/", NB_F32, second_of},
                               {"optim/sum/", NB_F32, sum_of},
                               {"optim/code/", NB_I8, code_of},
                               {"optim/turn/", NB_I8, turn_of},
                               {"optim/frozen/", NB_I8, frozen_of},
                               {"optim/rate/", NB_F32, rate_of},
                               {"optim/mean_code/", NB_F32, mean_code_of}};

enum { GROUPS = sizeof groups / sizeof *groups };

static NbStatus add_group(const NbTrainState *s, const Group *group, NbArena *arena,
                          NbSafetensors *file, NbError *err) {
    for (int i = 0; i < s->n_params; i++) {
        const NbTrainParam *const p = &s->param[i];
        if (!group->of(p))
            continue;
        const char *const name = nb_arena_printf(arena, "%s%s", group->prefix, p->name);
        NbTensor tensor = s->model->graph.node[p->node].param;
        tensor.dtype = group->dtype;
        tensor.data = group->of(p);
        if (!name)
            return nb_fail_memory(err, p->name);
        NB_TRY(nb_checkpoint_add(file, arena, name, &tensor, err));
    }
    return NB_OK;
}

static char *counters_text(const NbTrainState *s, const NbHyper *h) {
    json_t *const loss = json_array();
    json_t *const balance = json_array();
    for (int i = 0; i < NB_LOSS_ITEMS; i++)
        json_array_append_new(loss, json_real(s->loss[i]));
    for (int i = 0; i < s->model->head.levels; i++)
        json_array_append_new(balance, json_real(s->balance[i]));
    json_t *const o = json_pack(
        "{s:i, s:I, s:I, s:I, s:i, s:f, s:i, s:I, s:i, s:f, s:o, s:o, s:I, s:i}", "schema", 1,
        "iteration", (json_int_t)s->iteration, "last_step", (json_int_t)s->last_step, "updates",
        (json_int_t)s->updates, "epochs_done", s->epochs_done, "best_fitness", s->best_fitness,
        "best_epoch", s->best_epoch, "losses", (json_int_t)s->losses, "rollbacks", s->rollbacks,
        "lr_scale", s->lr_scale, "loss", loss, "balance", balance, "seed", (json_int_t)h->seed,
        "optimizer", (int)h->optimizer);
    char *const text = o ? json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(o);
    return text;
}

static NbStatus collect(const NbTrainState *s, const char *counters, const char *args,
                        NbArena *arena, NbSafetensors *file, NbError *err) {
    NB_TRY(nb_model_to_tensors(s->model, "", arena, file, err));
    for (int i = 0; i < GROUPS; i++)
        NB_TRY(add_group(s, &groups[i], arena, file, err));
    NB_TRY(nb_model_to_metadata(s->model, arena, file, err));
    NB_TRY(nb_checkpoint_add_metadata(file, arena, "train", counters, err));
    return args ? nb_checkpoint_add_metadata(file, arena, "args", args, err) : NB_OK;
}

NbStatus nb_train_state_save(const NbTrainState *s, const NbHyper *h, const char *args,
                             const char *path, NbError *err) {
    NbArena arena = {0};
    NbSafetensors file = {0};
    char *const counters = counters_text(s, h);
    NbStatus status = counters ? collect(s, counters, args, &arena, &file, err)
                               : nb_fail_memory(err, "the training state");
    if (status == NB_OK)
        status = nb_safetensors_write(path, &file, err);
    free(counters);
    nb_arena_release(&arena);
    return status;
}

/* ---- reading ---- */

static NbStatus take_group(NbTrainState *s, const Group *group, const NbSafetensors *file,
                           NbError *err) {
    for (int i = 0; i < s->n_params; i++) {
        NbTrainParam *const p = &s->param[i];
        void *const to = group->of(p);
        char name[512];
        if (!to)
            continue;
        const int n = snprintf(name, sizeof name, "%s%s", group->prefix, p->name);
        const NbTensor *const from =
            n > 0 && (size_t)n < sizeof name ? nb_safetensors_find(file, name) : NULL;
        if (!from)
            return nb_fail(NB_ERR_FORMAT, err, "tensor %s%s is missing", group->prefix, p->name);
        if (from->dtype != group->dtype || nb_tensor_count(from) != p->n)
            return nb_fail(NB_ERR_FORMAT, err, "tensor %s: expected %s with %zu values", name,
                           nb_dtype_name(group->dtype), p->n);
        memcpy(to, from->data, p->n * nb_dtype_size(group->dtype));
    }
    return NB_OK;
}

static NbStatus take_counters(NbTrainState *s, const NbHyper *h, const json_t *o, NbError *err) {
    int seed = 0;
    int optimizer = 0;
    json_int_t iteration;
    json_int_t last_step;
    json_int_t updates;
    json_int_t losses;
    json_t *loss;
    json_t *balance;
    json_error_t problem;
    if (json_unpack_ex((json_t *)(uintptr_t)o, &problem, 0,
                       "{s:I, s:I, s:I, s:i, s:F, s:i, s:I, s:i, s:F, s:o, s:o, s:i, s:i}",
                       "iteration", &iteration, "last_step", &last_step, "updates", &updates,
                       "epochs_done", &s->epochs_done, "best_fitness", &s->best_fitness,
                       "best_epoch", &s->best_epoch, "losses", &losses, "rollbacks", &s->rollbacks,
                       "lr_scale", &s->lr_scale, "loss", &loss, "balance", &balance, "seed", &seed,
                       "optimizer", &optimizer) != 0)
        return nb_fail(NB_ERR_FORMAT, err, "training counters: %s", problem.text);
    if (iteration < 0 || updates < 0 || losses < 0 || s->epochs_done < 0)
        return nb_fail(NB_ERR_FORMAT, err, "training counters: expected no negative ones");
    if ((uint64_t)seed != h->seed || optimizer != (int)h->optimizer)
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "a run cannot be continued with another seed or optimizer");
    s->iteration = iteration;
    s->last_step = last_step;
    s->updates = updates;
    s->losses = losses;
    for (int i = 0; i < NB_LOSS_ITEMS; i++)
        s->loss[i] = json_number_value(json_array_get(loss, (size_t)i));
    for (int i = 0; i < s->model->head.levels; i++)
        s->balance[i] = json_number_value(json_array_get(balance, (size_t)i));
    return NB_OK;
}

static NbStatus load(NbTrainState *s, const NbHyper *h, const NbSafetensors *file, NbArena *arena,
                     NbError *err) {
    const char *const text = nb_safetensors_metadata(file, "train");
    if (!text)
        return nb_fail(NB_ERR_FORMAT, err, "expected a training state, found a model alone");
    json_t *const counters = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    NbStatus status = counters ? take_counters(s, h, counters, err)
                               : nb_fail(NB_ERR_FORMAT, err, "metadata train: not JSON");
    json_decref(counters);
    NB_TRY(status);
    NB_TRY(nb_model_load_tensors(s->model, file, "", NB_LOAD_STRICT, arena, NULL, err));
    for (int i = 0; i < GROUPS; i++)
        NB_TRY(take_group(s, &groups[i], file, err));
    return NB_OK;
}

NbStatus nb_train_state_load(NbTrainState *s, const NbHyper *h, const NbSafetensors *file,
                             const char *path, NbError *err) {
    NbArena arena = {0};
    const NbStatus status = load(s, h, file, &arena, err);
    nb_arena_release(&arena);
    if (status != NB_OK)
        return nb_fail_in(status, err, "%s", path);
    return NB_OK;
}

/* ---- the model alone ---- */

NbStatus nb_train_model_save(const NbModel *m, const char *args, const NbMetadata *extra, int n,
                             const char *path, NbError *err) {
    NbArena arena = {0};
    NbSafetensors file = {0};
    NbStatus status = nb_model_to_tensors(m, "", &arena, &file, err);
    if (status == NB_OK)
        status = nb_model_to_metadata(m, &arena, &file, err);
    if (status == NB_OK && args)
        status = nb_checkpoint_add_metadata(&file, &arena, "args", args, err);
    for (int i = 0; status == NB_OK && i < n; i++)
        status = nb_checkpoint_add_metadata(&file, &arena, extra[i].key, extra[i].value, err);
    if (status == NB_OK)
        status = nb_safetensors_write(path, &file, err);
    nb_arena_release(&arena);
    return status;
}
