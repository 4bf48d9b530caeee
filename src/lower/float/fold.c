/* SPDX-License-Identifier: Apache-2.0
 *
 * One walk in topological order. Convolutions that something is folded into are not written where
 * they stand but kept as a Kernel, changed by what follows, and written in place of the last node
 * that went into them. */
#include "lower/float/fold.h"

#include "lower/ptq/fold_norm.h"

#include <string.h>

/* A convolution that is still being changed. */
typedef struct Kernel {
    NbNodeId conv; /* of `in` */
    NbConvAttr attr;
    NbShape shape; /* of the weights */
    float *w;
    float *bias;
} Kernel;

typedef struct Fold {
    const NbGraph *in;
    NbGraph *out;
    NbArena *arena;
    bool twin;        /* quantizers go */
    bool *live;       /* [in->n_nodes] what outputs need */
    int *readers;     /* of live nodes and outputs */
    NbNodeId *source; /* the node whose value this one passes on unchanged: itself, mostly */
    NbNodeId *map;    /* id in `out`; -1: not written */
    Kernel **kernel;  /* not yet written */
} Fold;

static bool is_passed_on(const Fold *f, const NbNode *node) {
    return node->op == NB_OP_DETACH || (f->twin && node->op == NB_OP_QUANT);
}

static void find_sources(Fold *f) {
    for (NbNodeId id = 0; id < f->in->n_nodes; id++) {
        const NbNode *node = &f->in->node[id];
        f->map[id] = -1;
        f->source[id] = is_passed_on(f, node) ? f->source[node->in[0]] : id;
    }
}

/* After find_sources: marks and counts what is read once passing nodes are gone. */
static void find_live(Fold *f) {
    const NbGraph *g = f->in;
    for (int i = 0; i < g->n_outputs; i++) {
        const NbNodeId id = f->source[g->output[i]];
        f->live[id] = true;
        f->readers[id]++;
    }
    for (NbNodeId id = g->n_nodes - 1; id >= 0; id--) {
        const NbNode *node = &g->node[id];
        f->live[id] |= node->op == NB_OP_INPUT;
        for (int i = 0; f->live[id] && i < node->n_in; i++) {
            f->live[f->source[node->in[i]]] = true;
            f->readers[f->source[node->in[i]]]++;
        }
    }
}

/* The node behind input i. */
static NbNodeId source_of(const Fold *f, NbNodeId id, int i) {
    return f->source[f->in->node[id].in[i]];
}

static bool is_float_param(const Fold *f, NbNodeId id) {
    const NbNode *node = &f->in->node[id];
    return node->op == NB_OP_PARAM && node->param.dtype == NB_F32 && node->param.data;
}

/* A CONV that only one node reads and that can be changed. */
static bool is_open_conv(const Fold *f, NbNodeId id) {
    const NbNode *node = &f->in->node[id];
    if (node->op != NB_OP_CONV || f->readers[id] != 1)
        return false;
    for (int i = 1; i < node->n_in; i++)
        if (!is_float_param(f, source_of(f, id, i)))
            return false;
    return true;
}

static bool is_folded_norm(const Fold *f, NbNodeId id) {
    const NbNode *node = &f->in->node[id];
    if (node->op != NB_OP_BATCHNORM || !is_open_conv(f, source_of(f, id, 0)))
        return false;
    for (int i = 1; i < node->n_in; i++)
        if (!is_float_param(f, source_of(f, id, i)))
            return false;
    return true;
}

/* The convolution that input i of an addition comes from, perhaps through a batch norm; -1: none
 * that may be merged. */
static NbNodeId branch_of(const Fold *f, NbNodeId id, int i) {
    const NbNodeId at = source_of(f, id, i);
    if (f->readers[at] != 1)
        return -1;
    if (is_folded_norm(f, at))
        return source_of(f, at, 0);
    return is_open_conv(f, at) ? at : -1;
}

/* Whether kernel b, padded with zeros, gives what a's window sees. */
static bool fits(const NbConvAttr *a, const NbConvAttr *b) {
    for (int i = 0; i < 2; i++) {
        const int before = a->pad[i] - b->pad[i];
        const int after = a->pad[i + 2] - b->pad[i + 2];
        if (a->stride[i] != b->stride[i] || a->dilation[i] != 1 || b->dilation[i] != 1 ||
            before < 0 || after < 0 || before + b->kernel[i] + after != a->kernel[i])
            return false;
    }
    return a->groups == b->groups;
}

/* CONV(x) + CONV(x) that can be one; *large and *small get the input numbers of the addition. */
static bool is_merged(const Fold *f, NbNodeId id, int *large, int *small) {
    const NbNode *node = &f->in->node[id];
    if (node->op != NB_OP_ADD || node->n_in != 2)
        return false;
    const NbNodeId a = branch_of(f, id, 0);
    const NbNodeId b = branch_of(f, id, 1);
    if (a < 0 || b < 0 || a == b || source_of(f, a, 0) != source_of(f, b, 0))
        return false;
    const NbNode *x = &f->in->node[a];
    const NbNode *y = &f->in->node[b];
    const NbShape *v = &f->in->node[source_of(f, a, 1)].param.shape;
    const NbShape *w = &f->in->node[source_of(f, b, 1)].param.shape;
    if (v->dim[0] != w->dim[0] || v->dim[1] != w->dim[1])
        return false; /* one is broadcast */
    *large = fits(&x->attr.conv, &y->attr.conv) ? 0 : 1;
    *small = 1 - *large;
    return *large == 0 || fits(&y->attr.conv, &x->attr.conv);
}

/* A name for `out` that nothing there has. */
static const char *free_name(Fold *f, const char *wish) {
    const char *name = wish;
    for (int i = 2; name && nb_graph_find(f->out, name) >= 0; i++)
        name = nb_arena_printf(f->arena, "%s.%d", wish, i);
    return name;
}

static NB_FALLIBLE write_node(Fold *f, NbNodeId id, NbError *err) {
    const NbNode *node = &f->in->node[id];
    NbNodeId *in = NB_NEW(f->arena, NbNodeId, (size_t)node->n_in);
    const char *name = free_name(f, node->name);
    if (!in || !name)
        return nb_fail_memory(err, node->name);
    for (int i = 0; i < node->n_in; i++)
        in[i] = f->map[f->source[node->in[i]]];
    NbNodeId to = -1;
    NB_TRY(nb_graph_add(f->out, node->op, name, node->n_in, in, &node->attr, &to, err));
    f->out->node[to].shape = node->shape;
    f->out->node[to].layer = node->layer;
    f->map[id] = to;
    return NB_OK;
}

static NB_FALLIBLE write_param(Fold *f, NbNodeId id, NbError *err) {
    const NbNode *node = &f->in->node[id];
    NbTensor copy = node->param;
    if (node->param.data) {
        NB_TRY(nb_tensor_new(f->arena, copy.dtype, &copy.shape, &copy, err));
        memcpy(copy.data, node->param.data, nb_tensor_count(&copy) * nb_dtype_size(copy.dtype));
    }
    NB_TRY(write_node(f, id, err));
    f->out->node[f->map[id]].param = copy;
    nb_graph_set_kind(f->out, f->map[id]);
    return NB_OK;
}

static NB_FALLIBLE open_kernel(Fold *f, NbNodeId id, NbError *err) {
    const NbNode *node = &f->in->node[id];
    const NbTensor *w = &f->in->node[source_of(f, id, 1)].param;
    const size_t count = nb_tensor_count(w);
    const size_t outputs = (size_t)w->shape.dim[0];
    Kernel *k = NB_NEW(f->arena, Kernel, 1);
    float *weights = NB_NEW(f->arena, float, count);
    float *bias = NB_NEW(f->arena, float, outputs);
    if (!k || !weights || !bias)
        return nb_fail_memory(err, node->name);
    memcpy(weights, w->data, count * sizeof *weights);
    if (node->n_in > 2)
        memcpy(bias, f->in->node[source_of(f, id, 2)].param.data, outputs * sizeof *bias);
    *k = (Kernel){
        .conv = id, .attr = node->attr.conv, .shape = w->shape, .w = weights, .bias = bias};
    f->kernel[id] = k;
    return NB_OK;
}

static void fold_norm(Fold *f, NbNodeId id) {
    const NbNode *node = &f->in->node[id];
    Kernel *k = f->kernel[source_of(f, id, 0)];
    const float *p[4];
    for (int i = 0; i < 4; i++)
        p[i] = nb_f32(&f->in->node[source_of(f, id, i + 1)].param);
    const NbNorm norm = {
        .gamma = p[0], .beta = p[1], .mean = p[2], .var = p[3], .eps = node->attr.batchnorm.eps};
    const size_t outputs = (size_t)k->shape.dim[0];
    const NbChannels w = {.data = k->w,
                          .outer = 1,
                          .channels = outputs,
                          .inner = nb_shape_count(&k->shape) / outputs};
    nb_ptq_fold_norm(&norm, &w, k->bias);
    f->kernel[id] = k;
}

/* Adds kernel b, laid in by the difference of the paddings. */
static void merge(Kernel *a, const Kernel *b) {
    const int64_t planes = a->shape.dim[0] * a->shape.dim[1];
    const int top = a->attr.pad[0] - b->attr.pad[0];
    const int left = a->attr.pad[1] - b->attr.pad[1];
    for (int64_t p = 0; p < planes; p++)
        for (int y = 0; y < b->attr.kernel[0]; y++)
            for (int x = 0; x < b->attr.kernel[1]; x++)
                a->w[(p * a->attr.kernel[0] + y + top) * a->attr.kernel[1] + x + left] +=
                    b->w[(p * b->attr.kernel[0] + y) * b->attr.kernel[1] + x];
    for (int64_t o = 0; o < a->shape.dim[0]; o++)
        a->bias[o] += b->bias[o];
}

static NB_FALLIBLE add_values(Fold *f, const char *name, NbParamRole role, const NbShape *shape,
                              float *data, NbNodeId *to, NbError *err) {
    const NbAttr attr = {.param = {.role = role}};
    const char *unique = free_name(f, name);
    if (!unique)
        return nb_fail_memory(err, name);
    NB_TRY(nb_graph_add(f->out, NB_OP_PARAM, unique, 0, NULL, &attr, to, err));
    NbNode *node = &f->out->node[*to];
    node->param = (NbTensor){.dtype = NB_F32, .shape = *shape, .data = data};
    node->shape = *shape;
    nb_graph_set_kind(f->out, *to);
    return NB_OK;
}

/* "a.b" from "a.weight": the bias beside a weight. */
static const char *bias_name(Fold *f, const Kernel *k) {
    const NbNode *conv = &f->in->node[k->conv];
    static const char tail[] = ".weight";
    if (conv->n_in > 2)
        return f->in->node[source_of(f, k->conv, 2)].name;
    const char *weight = f->in->node[source_of(f, k->conv, 1)].name;
    const size_t n = strlen(weight);
    const size_t m = sizeof tail - 1;
    const bool stem = n > m && strcmp(weight + n - m, tail) == 0;
    return nb_arena_printf(f->arena, "%.*s.bias", (int)(stem ? n - m : n), weight);
}

/* Writes the kernel in place of node `id`. */
static NB_FALLIBLE write_kernel(Fold *f, const Kernel *k, NbNodeId id, NbError *err) {
    const NbNode *conv = &f->in->node[k->conv];
    const NbShape row = nb_shape(1, &k->shape.dim[0]);
    const char *bias = bias_name(f, k);
    NbNodeId in[3] = {f->map[source_of(f, k->conv, 0)], -1, -1};
    NbNodeId to = -1;
    if (!bias)
        return nb_fail_memory(err, conv->name);
    NB_TRY(add_values(f, f->in->node[source_of(f, k->conv, 1)].name, NB_PARAM_WEIGHT, &k->shape,
                      k->w, &in[1], err));
    NB_TRY(add_values(f, bias, NB_PARAM_BIAS, &row, k->bias, &in[2], err));
    const NbAttr attr = {.conv = k->attr};
    const char *name = free_name(f, conv->name);
    if (!name)
        return nb_fail_memory(err, conv->name);
    NB_TRY(nb_graph_add(f->out, NB_OP_CONV, name, 3, in, &attr, &to, err));
    f->out->node[to].shape = f->in->node[id].shape;
    f->out->node[to].layer = conv->layer;
    f->map[id] = to;
    return NB_OK;
}

/* The node that reads `id`, which has one reader; -1: an output reads it. */
static NbNodeId reader_of(const Fold *f, NbNodeId id) {
    for (NbNodeId at = id + 1; at < f->in->n_nodes; at++)
        for (int i = 0; f->live[at] && i < f->in->node[at].n_in; i++)
            if (source_of(f, at, i) == id)
                return at;
    return -1;
}

static bool is_taken_by_add(const Fold *f, NbNodeId id) {
    int large = 0;
    int small = 0;
    const NbNodeId reader = f->readers[id] == 1 ? reader_of(f, id) : -1;
    return reader >= 0 && is_merged(f, reader, &large, &small);
}

/* What becomes of a node. */
typedef enum Fate {
    STAYS,
    OPENS,  /* a CONV that something will be folded into */
    NORMS,  /* a BATCHNORM folded into a kernel */
    MERGES, /* an ADD of two kernels */
} Fate;

static Fate fate_of(const Fold *f, NbNodeId id) {
    int large = 0;
    int small = 0;
    if (is_folded_norm(f, id))
        return NORMS;
    if (is_merged(f, id, &large, &small))
        return MERGES;
    if (!is_open_conv(f, id))
        return STAYS;
    const NbNodeId reader = reader_of(f, id);
    return reader >= 0 && (is_folded_norm(f, reader) || is_taken_by_add(f, id)) ? OPENS : STAYS;
}

/* Writes the node and the parameters that nobody has written yet. */
static NB_FALLIBLE keep(Fold *f, NbNodeId id, NbError *err) {
    for (int i = 0; i < f->in->node[id].n_in; i++) {
        const NbNodeId p = source_of(f, id, i);
        if (f->in->node[p].op == NB_OP_PARAM && f->map[p] < 0)
            NB_TRY(write_param(f, p, err));
    }
    return write_node(f, id, err);
}

static NB_FALLIBLE visit(Fold *f, NbNodeId id, NbError *err) {
    int large = 0;
    int small = 0;
    Kernel *k = NULL;
    switch (fate_of(f, id)) {
    case STAYS: return keep(f, id, err);
    case OPENS: return open_kernel(f, id, err);
    case NORMS:
        fold_norm(f, id);
        return is_taken_by_add(f, id) ? NB_OK : write_kernel(f, f->kernel[id], id, err);
    case MERGES:
        (void)is_merged(f, id, &large, &small);
        k = f->kernel[source_of(f, id, large)];
        merge(k, f->kernel[source_of(f, id, small)]);
        return write_kernel(f, k, id, err);
    }
    return NB_OK;
}

static NB_FALLIBLE fold(const NbGraph *in, bool twin, NbArena *arena, NbGraph *out, NbError *err) {
    const size_t n = (size_t)in->n_nodes;
    Fold f = {.in = in, .out = out, .arena = arena, .twin = twin};
    f.live = NB_NEW(arena, bool, n);
    f.readers = NB_NEW(arena, int, n);
    f.source = NB_NEW(arena, NbNodeId, n);
    f.map = NB_NEW(arena, NbNodeId, n);
    f.kernel = NB_NEW(arena, Kernel *, n);
    NbNodeId *output = NB_NEW(arena, NbNodeId, (size_t)in->n_outputs);
    if (!f.live || !f.readers || !f.source || !f.map || !f.kernel || !output)
        return nb_fail_memory(err, "folding");
    nb_graph_init(out, arena);
    find_sources(&f);
    find_live(&f);
    for (NbNodeId id = 0; id < in->n_nodes; id++) {
        if (f.live[id] && in->node[id].op != NB_OP_PARAM)
            NB_TRY(visit(&f, id, err));
    }
    for (int i = 0; i < in->n_outputs; i++)
        output[i] = f.map[f.source[in->output[i]]];
    return nb_graph_set_outputs(out, in->n_outputs, output, err);
}

NbStatus nb_fold(const NbGraph *in, NbArena *arena, NbGraph *out, NbError *err) {
    return fold(in, false, arena, out, err);
}

NbStatus nb_fold_twin(const NbGraph *in, NbArena *arena, NbGraph *out, NbError *err) {
    return fold(in, true, arena, out, err);
}
