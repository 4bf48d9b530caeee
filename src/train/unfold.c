/* SPDX-License-Identifier: Apache-2.0 */
#include "train/unfold.h"

#include "nn/executor.h"

#include <math.h>

enum { AT_ONCE = 2 }; /* pictures: every activation is kept */

static bool is_folded(const NbGraph *g, const NbNode *norm) {
    const float *const gamma = nb_f32(&g->node[norm->in[1]].param);
    const float *const mean = nb_f32(&g->node[norm->in[3]].param);
    const float *const var = nb_f32(&g->node[norm->in[4]].param);
    const size_t n = nb_tensor_count(&g->node[norm->in[1]].param);
    for (size_t c = 0; c < n; c++)
        if (gamma[c] != 1.0F || mean[c] != 0.0F || var[c] + norm->attr.batchnorm.eps != 1.0F)
            return false;
    return true;
}

static bool is_folded_norm(const NbGraph *g, NbNodeId id) {
    return g->node[id].op == NB_OP_BATCHNORM && is_folded(g, &g->node[id]);
}

int nb_folded_norms(const NbGraph *g) {
    int n = 0;
    for (NbNodeId id = 0; id < g->n_nodes; id++)
        n += is_folded_norm(g, id);
    return n;
}

typedef struct Unfold {
    NbModel *model;
    NbArena arena;
    NbExecutor *x;
    double **sum; /* [nodes]: of what a norm reads, [2][channels]: values, squares; NULL: others */
    double *count;
    float *value; /* room for what a norm reads */
} Unfold;

static NB_FALLIBLE make(Unfold *u, const NbBatch *batch, NbPool *pool, NbError *err) {
    NbGraph *const g = &u->model->graph;
    const NbExecutorOptions options = {.batch = AT_ONCE,
                                       .height = batch->imgsz,
                                       .width = batch->imgsz,
                                       .keep = true,
                                       .pool = pool};
    size_t most = 0;
    NB_TRY(nb_executor_new(g, &options, &u->x, err));
    u->sum = NB_NEW(&u->arena, double *, (size_t)g->n_nodes);
    u->count = NB_NEW(&u->arena, double, (size_t)g->n_nodes);
    for (NbNodeId id = 0; u->sum && u->count && id < g->n_nodes; id++) {
        if (!is_folded_norm(g, id))
            continue;
        const size_t n = nb_shape_count(&g->node[id].shape);
        u->sum[id] = NB_NEW(&u->arena, double, 2 * (size_t)g->node[id].shape.dim[1]);
        if (!u->sum[id])
            return nb_fail_memory(err, g->node[id].name);
        most = n > most ? n : most;
    }
    u->value = NB_NEW(&u->arena, float, most);
    return u->sum && u->count && u->value ? NB_OK : nb_fail_memory(err, "batch norms");
}

static NB_FALLIBLE measure(Unfold *u, const uint8_t *images, int count, NbError *err) {
    const NbGraph *const g = &u->model->graph;
    NB_TRY(nb_executor_forward(u->x, images, count, false, err));
    for (NbNodeId id = 0; id < g->n_nodes; id++) {
        const NbShape *const s = &g->node[id].shape;
        bool coded = false;
        if (!u->sum[id])
            continue;
        NB_TRY(nb_executor_tap(u->x, g->node[id].in[0], u->value, &coded, err));
        const size_t channels = (size_t)s->dim[1];
        const size_t pixels = (size_t)count * (size_t)s->dim[2] * (size_t)s->dim[3];
        for (size_t p = 0; p < pixels; p++)
            for (size_t c = 0; c < channels; c++) {
                const double v = (double)u->value[p * channels + c];
                u->sum[id][c] += v;
                u->sum[id][channels + c] += v * v;
            }
        u->count[id] += (double)pixels;
    }
    return NB_OK;
}

/* y = x + shift stays what it is: ((x - mean) / sqrt(var + eps)) * sqrt(var + eps) + mean + shift.
 */
static void set_norm(NbGraph *g, NbNodeId id, const double *sum, double count) {
    const NbNode *const norm = &g->node[id];
    float *part[4];
    for (int i = 0; i < 4; i++)
        part[i] = nb_f32(&g->node[norm->in[i + 1]].param);
    const size_t channels = nb_tensor_count(&g->node[norm->in[1]].param);
    for (size_t c = 0; c < channels; c++) {
        const double mean = sum[c] / count;
        const double var = fmax(sum[channels + c] / count - mean * mean, 0.0);
        part[0][c] = (float)sqrt(var + (double)norm->attr.batchnorm.eps);
        part[1][c] = (float)((double)part[1][c] + mean);
        part[2][c] = (float)mean;
        part[3][c] = (float)var;
    }
}

static NB_FALLIBLE unfold(Unfold *u, NbLoader *loader, int batches, NbPool *pool, NbError *err) {
    NbGraph *const g = &u->model->graph;
    for (int i = 0; i < batches; i++) {
        NbBatch batch;
        NB_TRY(nb_loader_next(loader, &batch, err));
        if (!u->x)
            NB_TRY(make(u, &batch, pool, err));
        for (int k = 0; k < batch.count; k += AT_ONCE)
            NB_TRY(measure(u, batch.images + (size_t)k * batch.imgsz * batch.imgsz * 3,
                           batch.count - k < AT_ONCE ? batch.count - k : AT_ONCE, err));
    }
    for (NbNodeId id = 0; id < g->n_nodes; id++)
        if (u->sum && u->sum[id] && u->count[id] > 0.0)
            set_norm(g, id, u->sum[id], u->count[id]);
    return NB_OK;
}

NbStatus nb_train_unfold(NbModel *model, NbLoader *loader, int batches, NbPool *pool,
                         NbError *err) {
    Unfold u = {.model = model};
    const NbStatus status = unfold(&u, loader, batches, pool, err);
    nb_executor_free(u.x);
    nb_arena_release(&u.arena);
    return status == NB_OK ? NB_OK : nb_fail_in(status, err, "statistics of folded batch norms");
}
