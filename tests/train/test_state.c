/* SPDX-License-Identifier: Apache-2.0
 *
 * Training states in files: what is written comes back, bit for bit; what does not fit is refused.
 */
#include "support/scratch.h"
#include "train/tiny.h"

#include "train/state.h"

static NbHyper hyper(NbOptimizerKind kind) {
    NbHyper h = nb_hyper_default(false);
    h.optimizer = kind;
    h.seed = 7;
    return h;
}

static void fill_randomly(NbTrainState *s) {
    NbRandom r = nb_random(3, NB_RANDOM_TEST, 0, 0);
    for (int i = 0; i < s->n_params; i++) {
        NbTrainParam *const p = &s->param[i];
        float *const arrays[] = {p->value, p->ema, p->sum, p->first, p->second};
        for (size_t k = 0; k < 5; k++)
            for (size_t j = 0; arrays[k] && j < p->n; j++)
                arrays[k][j] = (float)nb_random_normal(&r);
    }
    s->iteration = 1234567890123;
    s->last_step = s->iteration - 2;
    s->updates = 99;
    s->epochs_done = 12;
    s->best_fitness = 0.1 + 0.2;
    s->best_epoch = 11;
    s->losses = 5;
    s->rollbacks = 1;
    s->lr_scale = 1.0 / 3.0;
    s->loss[0] = 1e-17;
    s->loss[1] = 123.456789012345678;
    s->balance[0] = 4.0000000000000009;
}

static void compare(const NbTrainState *a, const NbTrainState *b) {
    assert_int_equal(a->n_params, b->n_params);
    for (int i = 0; i < a->n_params; i++) {
        const NbTrainParam *const p = &a->param[i];
        const NbTrainParam *const q = &b->param[i];
        const float *const left[] = {p->value, p->ema, p->sum, p->first, p->second};
        const float *const right[] = {q->value, q->ema, q->sum, q->first, q->second};
        for (size_t k = 0; k < 5; k++)
            if (left[k])
                assert_memory_equal(left[k], right[k], p->n * sizeof(float));
    }
    assert_true(a->iteration == b->iteration && a->last_step == b->last_step);
    assert_true(a->updates == b->updates && a->losses == b->losses);
    assert_true(a->epochs_done == b->epochs_done && a->best_epoch == b->best_epoch);
    assert_true(a->best_fitness == b->best_fitness && a->lr_scale == b->lr_scale);
    assert_true(a->rollbacks == b->rollbacks && a->balance[0] == b->balance[0]);
    assert_memory_equal(a->loss, b->loss, sizeof a->loss);
}

static void states_come_back(void **unused) {
    (void)unused;
    static const NbOptimizerKind kinds[] = {NB_SGD, NB_ADAM, NB_ADAMW};
    for (size_t k = 0; k < 3; k++) {
        Scratch s = scratch_new();
        NbError err = {0};
        NbModel first;
        NbModel second;
        NbTrainState a;
        NbTrainState b;
        NbSafetensors file;
        const NbHyper h = hyper(kinds[k]);
        const char *const path = scratch_path(&s, "a.safetensors");
        const char *const again = scratch_path(&s, "b.safetensors");
        tiny_model(1, &first);
        tiny_model(2, &second);
        must(nb_train_state_new(&first, &h, &a, &err), &err);
        must(nb_train_state_new(&second, &h, &b, &err), &err);
        fill_randomly(&a);
        must(nb_train_state_save(&a, &h, "{\"lr0\": \"1\"}", path, &err), &err);
        const NbBytes bytes = scratch_read(&s, path);
        must(nb_safetensors_read(path, bytes, &s.arena, &file, &err), &err);
        assert_string_equal(nb_safetensors_metadata(&file, "args"), "{\"lr0\": \"1\"}");
        must(nb_train_state_load(&b, &h, &file, path, &err), &err);
        compare(&a, &b);
        must(nb_train_state_save(&b, &h, "{\"lr0\": \"1\"}", again, &err), &err);
        const NbBytes copy = scratch_read(&s, again);
        assert_int_equal(bytes.size, copy.size);
        assert_memory_equal(bytes.data, copy.data, copy.size);
        nb_train_state_release(&a);
        nb_train_state_release(&b);
        nb_model_release(&first);
        nb_model_release(&second);
        scratch_free(&s);
    }
}

typedef struct Fault {
    const char *name; /* of a tensor that goes, or NULL */
    const char *from; /* in the counters, or NULL */
    const char *to;
    NbStatus status;
    const char *says;
} Fault;

static const Fault faults[] = {
    {"ema/model.0.bn.weight", NULL, NULL, NB_ERR_FORMAT, "tensor ema/model.0.bn.weight is missing"},
    {"model.0.conv.weight", NULL, NULL, NB_ERR_FORMAT, "model.0.conv.weight"},
    {"optim/second/model.0.bn.bias", NULL, NULL, NB_ERR_FORMAT, "optim/second/model.0.bn.bias"},
    {NULL, "\"seed\":7", "\"seed\":8", NB_ERR_ARGUMENT, "another seed or optimizer"},
    {NULL, "\"optimizer\":2", "\"optimizer\":0", NB_ERR_ARGUMENT, "another seed or optimizer"},
    {NULL, "\"updates\":99", "\"updates\":-1", NB_ERR_FORMAT, "no negative"},
    {NULL, "\"epochs_done\":12", "\"epochs_done\":-2", NB_ERR_FORMAT, "no negative"},
    {NULL, "\"iteration\"", "\"iteratoin\"", NB_ERR_FORMAT, "iteration"},
    {NULL, "\"updates\":99", "\"updates\":\"x\"", NB_ERR_FORMAT, "training counters"},
    {NULL, "{", "[", NB_ERR_FORMAT, "not JSON"},
};

/* The file with the fault in it. */
static NbSafetensors spoil(const NbSafetensors *file, const Fault *fault, NbArena *arena) {
    NbSafetensors out = *file;
    out.tensor = NB_NEW(arena, NbNamedTensor, file->n_tensors);
    out.metadata = NB_NEW(arena, NbMetadata, file->n_metadata);
    assert_true(out.tensor && out.metadata);
    out.n_tensors = 0;
    for (size_t i = 0; i < file->n_tensors; i++)
        if (!fault->name || strcmp(file->tensor[i].name, fault->name) != 0)
            out.tensor[out.n_tensors++] = file->tensor[i];
    for (size_t i = 0; i < file->n_metadata; i++) {
        out.metadata[i] = file->metadata[i];
        const char *const text = file->metadata[i].value;
        const char *const at = fault->from ? strstr(text, fault->from) : NULL;
        if (strcmp(file->metadata[i].key, "train") != 0 || !fault->from)
            continue;
        assert_non_null(at);
        out.metadata[i].value = nb_arena_printf(arena, "%.*s%s%s", (int)(at - text), text,
                                                fault->to, at + strlen(fault->from));
    }
    return out;
}

static void what_does_not_fit_is_refused(void **unused) {
    (void)unused;
    Scratch s = scratch_new();
    NbError err = {0};
    NbModel model;
    NbTrainState state;
    NbSafetensors file;
    const NbHyper h = hyper(NB_ADAMW);
    const char *const path = scratch_path(&s, "a.safetensors");
    tiny_model(1, &model);
    must(nb_train_state_new(&model, &h, &state, &err), &err);
    fill_randomly(&state);
    must(nb_train_state_save(&state, &h, NULL, path, &err), &err);
    must(nb_safetensors_read(path, scratch_read(&s, path), &s.arena, &file, &err), &err);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        const NbSafetensors bad = spoil(&file, &faults[i], &s.arena);
        assert_int_equal(nb_train_state_load(&state, &h, &bad, path, &err), faults[i].status);
        if (!strstr(err.message, faults[i].says) || !strstr(err.message, path))
            fail_msg("fault %zu: '%s'", i, err.message);
    }
    must(nb_train_model_save(&model, NULL, NULL, 0, path, &err), &err);
    must(nb_safetensors_read(path, scratch_read(&s, path), &s.arena, &file, &err), &err);
    assert_int_equal(nb_train_state_load(&state, &h, &file, path, &err), NB_ERR_FORMAT);
    assert_non_null(strstr(err.message, "found a model alone"));
    nb_train_state_release(&state);
    nb_model_release(&model);
    scratch_free(&s);
}

static void averages_change_places(void **unused) {
    (void)unused;
    NbError err = {0};
    NbModel model;
    NbTrainState s;
    const NbHyper h = hyper(NB_SGD);
    tiny_model(1, &model);
    must(nb_train_state_new(&model, &h, &s, &err), &err);
    assert_memory_equal(s.param[0].value, s.param[0].ema, s.param[0].n * sizeof(float));
    s.param[0].value[0] = 1.0F;
    s.param[0].ema[0] = 2.0F;
    nb_train_state_swap_ema(&s);
    assert_true(s.param[0].value[0] == 2.0F && s.param[0].ema[0] == 1.0F);
    nb_train_state_swap_ema(&s);
    assert_true(s.param[0].value[0] == 1.0F && s.param[0].ema[0] == 2.0F);
    nb_train_state_release(&s);
    nb_model_release(&model);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(states_come_back),
                                       cmocka_unit_test(what_does_not_fit_is_refused),
                                       cmocka_unit_test(averages_change_places)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
