/* SPDX-License-Identifier: Apache-2.0 */
#include "lower/ptq/pass.h"

#include "lower/ptq/gram.h"

#include <math.h>
#include <string.h>

NbStatus nb_ptq_pass(NbPtqRun *run, NbGraph *g, bool quantizers, int count, NbPtqVisit *visit,
                     NbError *err) {
    const NbPtqPictures *const p = run->pictures;
    const NbExecutorOptions options = {.batch = p->batch,
                                       .height = p->height,
                                       .width = p->width,
                                       .shard = 1,
                                       .quantizers = quantizers,
                                       .keep = true,
                                       .pool = run->options->pool};
    NbExecutor *x = NULL;
    NbStatus status = nb_executor_new(g, &options, &x, err);
    for (int first = 0; status == NB_OK && first < count;) {
        const uint8_t *images = NULL;
        int n = 0;
        status = p->read(p->user, first, &images, &n, err);
        run->images = images;
        if (status == NB_OK)
            status = nb_executor_forward(x, images, n, false, err);
        if (status == NB_OK)
            status = visit(run, x, first, n, err);
        first += n;
    }
    nb_executor_free(x);
    run->done++;
    if (status == NB_OK && run->options->on_progress &&
        run->options->on_progress(run->options->user, run->done, run->all))
        return nb_fail(NB_ERR_STOPPED, err, "stopped");
    return status;
}

/* The scale of a coded value. */
static float scale_of(const NbGraph *g, NbNodeId id) {
    const NbNode *const source = &g->node[g->node[id].scale_source];
    float scale = 1.0F;
    if (source->op == NB_OP_INPUT)
        return source->attr.input.scale;
    if (source->op == NB_OP_QUANT)
        nb_quant_scale(&source->attr.quant, NULL, 1, 0,
                       source->n_in == 2 ? nb_f32(&g->node[source->in[1]].param) : NULL, &scale);
    return scale;
}

NbStatus nb_ptq_tap(const NbGraph *g, NbExecutor *x, NbNodeId id, size_t count, float *out,
                    NbError *err) {
    bool coded = false;
    NB_TRY(nb_executor_tap(x, id, out, &coded, err));
    if (!coded)
        return NB_OK;
    const float zero = nb_graph_zero(g, id);
    const float scale = scale_of(g, id);
    for (size_t i = 0; i < count; i++)
        out[i] = (out[i] - zero) * scale;
    return NB_OK;
}

/* Work on several nodes at once; the first error in their order counts. */
typedef struct Batch {
    NbPtqRun *run;
    const NbGraph *g;
    NbExecutor *x;
    int first, n;
    size_t begin; /* of run->work */
    NbStatus *status;
    NbError *error;
} Batch;

static NB_FALLIBLE start_batch(Batch *b, NbArena *arena, size_t items, NbError *err) {
    b->status = NB_NEW(arena, NbStatus, items);
    b->error = NB_NEW(arena, NbError, items);
    return b->status && b->error ? NB_OK : nb_fail_memory(err, "calibration");
}

static NB_FALLIBLE first_error(const Batch *b, size_t items, NbError *err) {
    for (size_t i = 0; i < items; i++)
        if (b->status[i] != NB_OK) {
            *err = b->error[i];
            return b->status[i];
        }
    return NB_OK;
}

static size_t values_of(const NbGraph *g, NbNodeId id) {
    const NbShape *const s = &g->node[id].shape;
    size_t n = 1;
    for (int d = 1; d < s->rank; d++)
        n *= (size_t)s->dim[d];
    return n;
}

/* Inputs and float outputs of one layer at some pixels of the batch. */
static NB_FALLIBLE take_rows(const Batch *b, NbPtqWork *w, float *tap, NbError *err) {
    const NbPtqRun *const run = b->run;
    const size_t each = values_of(b->g, w->layer.x);
    const size_t capacity = w->pixels * (size_t)run->pictures->batch;
    const size_t rows = w->layer.rows;
    const size_t group = rows / w->layer.groups;
    uint32_t pixel[NB_PTQ_MOST_PIXELS];
    w->n_rows = 0;
    NB_TRY(nb_ptq_tap(b->g, b->x, w->layer.x, each * (size_t)b->n, tap, err));
    for (int i = 0; i < b->n; i++) {
        const size_t n = nb_ptq_pixels(run->options->seed, (uint32_t)w->layer.conv,
                                       (uint32_t)(b->first + i), w->out_pixels, w->pixels, pixel);
        nb_ptq_columns(&w->view, tap + (size_t)i * each, pixel, n, w->n_rows, capacity, w->rows);
        w->n_rows += n;
    }
    NB_TRY(nb_ptq_tap(&run->real, run->reference, w->layer.conv,
                      w->out_pixels * rows * (size_t)b->n, tap, err));
    size_t at = 0;
    for (int i = 0; i < b->n; i++) {
        const size_t n = nb_ptq_pixels(run->options->seed, (uint32_t)w->layer.conv,
                                       (uint32_t)(b->first + i), w->out_pixels, w->pixels, pixel);
        for (size_t k = 0; k < n; k++, at++) {
            const float *const from = tap + ((size_t)i * w->out_pixels + pixel[k]) * rows;
            for (size_t r = 0; r < rows; r++)
                w->outputs[(r / group * capacity + at) * w->out_stride + r % group] = from[r];
        }
    }
    return NB_OK;
}

static void add_means(const NbPtqRun *run, NbPtqWork *w) {
    const size_t capacity = w->pixels * (size_t)run->pictures->batch;
    const size_t n = w->layer.columns;
    const size_t each = w->layer.rows / w->layer.groups;
    for (size_t g = 0; g < w->layer.groups; g++)
        for (size_t s = 0; s < w->n_rows; s++) {
            const float *const x = w->rows + (g * capacity + s) * w->view.stride;
            const float *const y = w->outputs + (g * capacity + s) * w->out_stride;
            for (size_t c = 0; c < n; c++)
                w->mean[g * n + c] += (double)x[c];
            for (size_t r = 0; r < each; r++)
                w->target[g * each + r] += (double)y[r];
        }
    w->samples += (double)w->n_rows;
}

/* ---- the float network ---- */

static void observe_act(Batch *b, size_t i, int worker) {
    NbPtqAct *const a = &b->run->act[i];
    const NbNodeId x = b->g->node[a->quant].in[0];
    const size_t n = values_of(b->g, x) * (size_t)b->n;
    float *const tap = b->run->tap[worker];
    b->status[i] = nb_ptq_tap(b->g, b->x, x, n, tap, &b->error[i]);
    if (b->status[i] == NB_OK)
        nb_ptq_histogram_add(&a->seen, tap, n);
    if (2 * (b->first + b->n) <= b->run->pictures->count || a->half_range == 0.0F)
        a->half_range = a->seen.high - a->seen.low;
}

static void observe_work(void *user, int index, int worker) {
    observe_act(user, (size_t)index, worker);
}

static NbStatus observe_batch(NbPtqRun *run, NbExecutor *x, int first, int n, NbError *err) {
    const NbArenaMark mark = nb_arena_mark(run->arena);
    Batch b = {.run = run, .g = &run->real, .x = x, .first = first, .n = n};
    NB_TRY(start_batch(&b, run->arena, run->n_acts, err));
    nb_pool_run(run->options->pool, (int)run->n_acts, observe_work, &b);
    const NbStatus status = first_error(&b, run->n_acts, err);
    nb_arena_rewind(run->arena, mark);
    return status;
}

NbStatus nb_ptq_observe(NbPtqRun *run, NbError *err) {
    return nb_ptq_pass(run, &run->real, false, run->pictures->count, observe_batch, err);
}

/* ---- the network as it is now ---- */

typedef struct Measure {
    Batch batch;
    size_t n;     /* layers */
    size_t *item; /* [n + 1]: where the items of each layer begin */
} Measure;

static void rows_work(void *user, int index, int worker) {
    Batch *const b = user;
    NbPtqWork *const w = &b->run->work[b->begin + (size_t)index];
    b->status[index] = take_rows(b, w, b->run->tap[worker], &b->error[index]);
    if (b->status[index] == NB_OK)
        add_means(b->run, w);
}

/* An item: four rows of the Gram matrix of a layer with one group, four rows of its cross products,
 * or one group with both. */
static size_t items_of(const NbPtqLayer *l) {
    return l->groups > 1 ? l->groups : (l->columns + 3) / 4 + (l->rows + 3) / 4;
}

static void add_group(const NbPtqRun *run, NbPtqWork *w, size_t group) {
    const size_t n = w->layer.columns;
    const size_t each = w->layer.rows / w->layer.groups;
    const size_t capacity = w->pixels * (size_t)run->pictures->batch;
    const float *const x = w->rows + group * capacity * w->view.stride;
    const float *const y = w->outputs + group * capacity * w->out_stride;
    for (size_t row = 0; row < n; row += 4)
        nb_gram_add_rows(w->gram + group * n * n, x, w->n_rows, w->view.stride, n, row);
    for (size_t row = 0; row < each; row += 4)
        nb_gram_add_cross(w->cross + group * each * n, (NbGramSide){y, w->out_stride, each},
                          (NbGramSide){x, w->view.stride, n}, w->n_rows, row);
}

static void gram_work(void *user, int index, int worker) {
    const Measure *const m = user;
    size_t i = 0;
    (void)worker;
    while ((size_t)index >= m->item[i + 1])
        i++;
    NbPtqWork *const w = &m->batch.run->work[m->batch.begin + i];
    const size_t at = (size_t)index - m->item[i];
    const size_t n = w->layer.columns;
    if (w->layer.groups > 1)
        add_group(m->batch.run, w, at);
    else if (4 * at < n)
        nb_gram_add_rows(w->gram, w->rows, w->n_rows, w->view.stride, n, 4 * at);
    else
        nb_gram_add_cross(w->cross, (NbGramSide){w->outputs, w->out_stride, w->layer.rows},
                          (NbGramSide){w->rows, w->view.stride, n}, w->n_rows,
                          4 * (at - (n + 3) / 4));
}

typedef struct Range {
    size_t first, end;
} Range;

static Range current_range(const NbPtqRun *run) {
    Range r = {0, 0};
    while (r.first < run->n_work && !run->work[r.first].gram)
        r.first++;
    for (r.end = r.first; r.end < run->n_work && run->work[r.end].gram; r.end++)
        ;
    return r;
}

static NbStatus measure_batch(NbPtqRun *run, NbExecutor *x, int first, int n, NbError *err) {
    const NbArenaMark mark = nb_arena_mark(run->arena);
    const Range r = current_range(run);
    const size_t layers = r.end - r.first;
    Measure m = {
        .batch = {.run = run, .g = &run->current, .x = x, .first = first, .n = n, .begin = r.first},
        .n = layers,
        .item = NB_NEW(run->arena, size_t, layers + 1)};
    NB_TRY(start_batch(&m.batch, run->arena, layers, err));
    if (!m.item)
        return nb_fail_memory(err, "calibration");
    for (size_t i = 0; i < layers; i++)
        m.item[i + 1] = m.item[i] + items_of(&run->work[r.first + i].layer);
    NB_TRY(nb_executor_forward(run->reference, run->images, n, false, err));
    nb_pool_run(run->options->pool, (int)layers, rows_work, &m.batch);
    const NbStatus status = first_error(&m.batch, layers, err);
    if (status == NB_OK)
        nb_pool_run(run->options->pool, (int)m.item[layers], gram_work, &m);
    nb_arena_rewind(run->arena, mark);
    return status;
}

static NB_FALLIBLE take_memory(NbPtqRun *run, NbPtqWork *w, NbArena *arena, NbError *err) {
    const NbPtqLayer *const l = &w->layer;
    const size_t capacity = w->pixels * (size_t)run->pictures->batch;
    w->samples = 0.0;
    w->out_stride = (l->rows / l->groups + 3) / 4 * 4;
    w->mean = NB_NEW(arena, double, l->groups * l->columns);
    w->target = NB_NEW(arena, double, l->rows);
    w->gram = NB_NEW(arena, double, l->groups * l->columns * l->columns);
    w->cross = NB_NEW(arena, double, l->rows * l->columns);
    w->rows = NB_NEW(arena, float, l->groups *capacity * w->view.stride);
    w->outputs = NB_NEW(arena, float, l->groups *capacity * w->out_stride);
    return w->mean && w->target && w->gram && w->cross && w->rows && w->outputs
               ? NB_OK
               : nb_fail_memory(err, "Gram matrices");
}

/* Sums become means, and products those about the mean. */
static void finish(NbPtqWork *w) {
    const NbPtqLayer *const l = &w->layer;
    const size_t n = l->columns;
    const size_t each = l->rows / l->groups;
    for (size_t k = 0; k < l->groups * n; k++)
        w->mean[k] /= w->samples;
    for (size_t k = 0; k < l->rows; k++)
        w->target[k] /= w->samples;
    for (size_t g = 0; g < l->groups; g++) {
        const double *const mean = w->mean + g * n;
        nb_gram_mirror(w->gram + g * n * n, n);
        nb_gram_centre(w->gram + g * n * n, mean, n, mean, n, w->samples);
        nb_gram_centre(w->cross + g * each * n, w->target + g * each, each, mean, n, w->samples);
    }
}

static NB_FALLIBLE measure(NbPtqRun *run, NbGraph *now, NbGraph *reference, NbError *err) {
    const NbPtqPictures *const p = run->pictures;
    const NbExecutorOptions options = {.batch = p->batch,
                                       .height = p->height,
                                       .width = p->width,
                                       .shard = 1,
                                       .keep = true,
                                       .pool = run->options->pool};
    NB_TRY(nb_executor_new(reference, &options, &run->reference, err));
    const NbStatus status = nb_ptq_pass(run, now, true, p->count, measure_batch, err);
    nb_executor_free(run->reference);
    run->reference = NULL;
    return status;
}

NbStatus nb_ptq_measure(NbPtqRun *run, size_t first, size_t end, NbArena *arena, NbError *err) {
    NbGraph now = run->current;
    NbGraph reference = run->real;
    now.n_outputs = reference.n_outputs = (int)(end - first);
    now.output = NB_NEW(arena, NbNodeId, end - first);
    reference.output = NB_NEW(arena, NbNodeId, end - first);
    if (!now.output || !reference.output)
        return nb_fail_memory(err, "calibration");
    for (size_t i = first; i < end; i++) {
        now.output[i - first] = run->work[i].layer.x;
        reference.output[i - first] = run->work[i].layer.conv;
        NB_TRY(take_memory(run, &run->work[i], arena, err));
    }
    NB_TRY(measure(run, &now, &reference, err));
    for (size_t i = first; i < end; i++)
        finish(&run->work[i]);
    return NB_OK;
}
