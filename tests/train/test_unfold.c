/* SPDX-License-Identifier: Apache-2.0
 *
 * Folded batch norms get statistics back, and the network computes what it did. */
#include "data/synth.h"
#include "support/scratch.h"
#include "train/tiny.h"
#include "train/unfold.h"

#include <math.h>
#include <string.h>

enum { SIDE = 64, BATCHES = 3 };

static NbNode *norm_of(NbGraph *g) {
    for (NbNodeId id = 0; id < g->n_nodes; id++)
        if (g->node[id].op == NB_OP_BATCHNORM)
            return &g->node[id];
    fail_msg("no batch norm");
    return NULL;
}

static float *part(NbGraph *g, const NbNode *norm, int i) {
    return nb_f32(&g->node[norm->in[i]].param);
}

/* As an importer leaves it. */
static void fold(NbGraph *g, const NbNode *norm) {
    for (size_t c = 0; c < nb_tensor_count(&g->node[norm->in[1]].param); c++) {
        part(g, norm, 1)[c] = 1.0F;
        part(g, norm, 2)[c] = 0.1F * (float)c - 0.3F;
        part(g, norm, 3)[c] = 0.0F;
        part(g, norm, 4)[c] = 1.0F - norm->attr.batchnorm.eps;
    }
}

/* What the norm reads in one picture, and what it makes of it. */
static const NbValue *run(NbModel *m, const uint8_t *nhwc, NbArena *arena) {
    NbError err = {0};
    uint8_t *const planes = NB_NEW(arena, uint8_t, 3 * SIDE * SIDE);
    for (size_t p = 0; p < SIDE * SIDE; p++)
        for (size_t c = 0; c < 3; c++)
            planes[c * SIDE * SIDE + p] = nhwc[p * 3 + c];
    NbValue *const v = NB_NEW(arena, NbValue, (size_t)m->graph.n_nodes);
    infer(&m->graph, 1, SIDE, SIDE);
    must(nb_interpret(&m->graph, planes, NB_RUN_EVAL, false, arena, v, &err), &err);
    return v;
}

static void statistics_come_back(void **unused) {
    (void)unused;
    NbError err = {0};
    Scratch s = scratch_new();
    NbDataset dataset;
    NbSamples samples;
    NbModel m;
    NbLoader *loader = NULL;
    NbBatch batch;
    const NbSynthOptions synth = {.train = 6, .val = 1, .imgsz = SIDE, .seed = 2};
    must(nb_synth_write(s.folder, &synth, NULL, &err), &err);
    must(nb_dataset_read(scratch_path(&s, "data.yaml"), &s.arena, &dataset, &err), &err);
    must(nb_dataset_scan(&dataset, NB_SPLIT_TRAIN, false, NULL, &s.arena, &samples, &err), &err);
    const NbLoaderOptions loading = {.samples = &samples, .batch = 3, .imgsz = SIDE};
    must(nb_loader_new(&loading, &loader, &err), &err);
    tiny_model(1, &m);
    NbNode *const norm = norm_of(&m.graph);
    const int kernel = norm->in[0];
    assert_int_equal(nb_folded_norms(&m.graph), 0);
    fold(&m.graph, norm);
    assert_int_equal(nb_folded_norms(&m.graph), 1);
    must(nb_loader_seek(loader, 0, 0, 0, -1.0, &err), &err);
    must(nb_train_unfold(&m, loader, 2, NULL, &err), &err); /* all six, as 2 and 1 at once */
    assert_int_equal(nb_folded_norms(&m.graph), 0);

    must(nb_loader_seek(loader, 0, 0, 0, -1.0, &err), &err);
    double sum = 0.0;
    double square = 0.0;
    double n = 0.0;
    const size_t area =
        (size_t)(m.graph.node[kernel].shape.dim[2] * m.graph.node[kernel].shape.dim[3]);
    for (int b = 0; b < 2; b++) {
        must(nb_loader_next(loader, &batch, &err), &err);
        for (int k = 0; k < batch.count; k++) {
            const NbValue *const v = run(&m, batch.images + (size_t)k * SIDE * SIDE * 3, &s.arena);
            const float *const x = nb_f32(&v[kernel].t) + area; /* channel 1 */
            const float *const y = nb_f32(&v[norm - m.graph.node].t) + area;
            for (size_t i = 0; i < area; i++) {
                sum += (double)x[i];
                square += (double)x[i] * (double)x[i];
                n += 1.0;
                assert_true(fabsf(y[i] - (x[i] - 0.2F)) < 1e-5F);
            }
        }
    }
    const double mean = sum / n;
    assert_true(fabs((double)part(&m.graph, norm, 3)[1] - mean) < 1e-6);
    assert_true(fabs((double)part(&m.graph, norm, 4)[1] - (square / n - mean * mean)) < 1e-6);
    nb_loader_free(loader);
    nb_model_release(&m);
    scratch_free(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(statistics_come_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
