/* SPDX-License-Identifier: Apache-2.0 */
#include "train/sizes.h"

#include "base/random.h"
#include "detect/picture.h"

static int last_side(const NbTrainSizes *s) { return s->hyper->imgsz * 3 / 2 + s->stride; }

int nb_train_side(const NbTrainSizes *s, int epoch, int batch) {
    const int imgsz = s->hyper->imgsz;
    if (!s->hyper->multi_scale)
        return imgsz;
    NbRandom random = nb_random(s->hyper->seed, NB_RANDOM_SIZE, (uint32_t)epoch, (uint32_t)batch);
    const int first = imgsz / 2;
    const uint32_t drawn = nb_random_below(&random, (uint32_t)(last_side(s) - first));
    const int side = (first + (int)drawn) / s->stride * s->stride;
    return side > s->stride ? side : s->stride;
}

NbStatus nb_train_executor(NbTrainSizes *s, int side, NbExecutor **out, NbError *err) {
    NbExecutor **const slot = &s->executor[side / s->stride];
    if (!*slot) {
        NbExecutorOptions options = s->options;
        options.height = side;
        options.width = side;
        NB_TRY_IN(nb_executor_new(&s->model->graph, &options, slot, err), err, "imgsz %d", side);
    }
    *out = *slot;
    return NB_OK;
}

NbStatus nb_train_sizes_init(NbTrainSizes *s, NbModel *model, const NbHyper *hyper,
                             const NbExecutorOptions *options, NbError *err) {
    *s = (NbTrainSizes){.model = model,
                        .hyper = hyper,
                        .options = *options,
                        .stride = nb_head_side(&model->head, 1)};
    s->n = last_side(s) / s->stride + 1;
    s->executor = NB_NEW(&s->arena, NbExecutor *, (size_t)s->n);
    if (!s->executor)
        return nb_fail_memory(err, "executors");
    NbExecutor *first = NULL;
    return nb_train_executor(s, hyper->imgsz, &first, err);
}

void nb_train_sizes_release(NbTrainSizes *s) {
    for (int i = 0; s->executor && i < s->n; i++)
        nb_executor_free(s->executor[i]);
    nb_arena_release(&s->arena);
    *s = (NbTrainSizes){0};
}
