/* SPDX-License-Identifier: Apache-2.0
 *
 * Building small graphs in tests: every call must succeed. */
#ifndef NB_TESTS_GRAPH_HELP_H
#define NB_TESTS_GRAPH_HELP_H

#include "base/random.h"
#include "graph/interpret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static inline void must(NbStatus status, const NbError *err) {
    if (status != NB_OK)
        fail_msg("status %d: %s", (int)status, err->message);
}

static inline NbNodeId add(NbGraph *g, NbOp op, const char *name, int n_in, const NbNodeId *in,
                           NbAttr attr) {
    NbError err = {0};
    NbNodeId id = -1;
    must(nb_graph_add(g, op, name, n_in, in, &attr, &id, &err), &err);
    return id;
}

static inline NbNodeId add_param(NbGraph *g, const char *name, NbParamRole role, NbDtype dtype,
                                 int rank, const int64_t *dim) {
    NbError err = {0};
    NbNodeId id = -1;
    const NbShape shape = nb_shape(rank, dim);
    must(nb_graph_add_param(g, name, role, dtype, &shape, &id, &err), &err);
    return id;
}

/* Fills a float parameter with numbers of [lo, hi). */
static inline void fill(NbGraph *g, NbNodeId id, NbRandom *r, double lo, double hi) {
    float *x = nb_f32(&g->node[id].param);
    for (size_t i = 0; i < nb_tensor_count(&g->node[id].param); i++)
        x[i] = (float)nb_random_range(r, lo, hi);
}

static inline void outputs(NbGraph *g, NbNodeId id) {
    NbError err = {0};
    must(nb_graph_set_outputs(g, 1, &id, &err), &err);
}

static inline void infer(NbGraph *g, int64_t batch, int64_t height, int64_t width) {
    NbError err = {0};
    must(nb_graph_infer(g, batch, height, width, &err), &err);
}

#endif
