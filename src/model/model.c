/* SPDX-License-Identifier: Apache-2.0 */
#include "model/model.h"

#include "base/random.h"
#include "base/size.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void nb_model_release(NbModel *m) {
    nb_arena_release(&m->arena);
    *m = (NbModel){0};
}

NbStatus nb_model_set_names(NbModel *m, const char *const *names, int count, NbError *err) {
    if (count != m->head.nc)
        return nb_fail(NB_ERR_ARGUMENT, err, "%d names for %d classes", count, m->head.nc);
    char **copy = NB_NEW(&m->arena, char *, (size_t)count);
    if (!copy)
        return nb_fail_memory(err, "names");
    for (int i = 0; i < count; i++) {
        copy[i] =
            names ? nb_arena_string(&m->arena, names[i]) : nb_arena_printf(&m->arena, "%d", i);
        if (!copy[i])
            return nb_fail_memory(err, "names");
    }
    m->names = copy;
    return NB_OK;
}

static void fill(NbTensor *t, float value) {
    for (size_t i = 0; i < nb_tensor_count(t); i++)
        nb_f32(t)[i] = value;
}

/* Uniform in +-1 / sqrt(fan in): what kaiming_uniform with a = sqrt(5) comes to. */
static void draw(NbTensor *t, int64_t fan_in, uint64_t seed, uint32_t number) {
    const double bound = 1.0 / sqrt((double)fan_in);
    NbRandom r = nb_random(seed, NB_RANDOM_INIT, number, 0);
    for (size_t i = 0; i < nb_tensor_count(t); i++)
        nb_f32(t)[i] = (float)nb_random_range(&r, -bound, bound);
}

/* Weights of one convolution, found through its quantizer. */
static NbNodeId weight_of(const NbGraph *g, const NbNode *conv) {
    const NbNodeId id = conv->in[1];
    return g->node[id].op == NB_OP_QUANT ? g->node[id].in[0] : id;
}

static int64_t fan_in_of(const NbTensor *weight) {
    const NbShape *s = &weight->shape;
    return nb_max_i64(1, s->rank == 4 ? s->dim[1] * s->dim[2] * s->dim[3] : 1);
}

/* A bias is drawn with the fan-in of the convolution that it belongs to. */
static int64_t fan_in_of_bias(const NbGraph *g, NbNodeId bias) {
    for (NbNodeId id = bias; id < g->n_nodes; id++) {
        const NbNode *node = &g->node[id];
        if (node->op == NB_OP_CONV && node->n_in == 3 && node->in[2] == bias)
            return fan_in_of(&g->node[weight_of(g, node)].param);
    }
    return 1;
}

static float start_value(const NbModel *m, NbNodeId value) {
    for (NbNodeId id = value; id < m->graph.n_nodes; id++) {
        const NbNode *node = &m->graph.node[id];
        if (node->op != NB_OP_QUANT || node->n_in != 2 || node->in[1] != value)
            continue;
        const float v = nb_quant_value_of(&node->attr.quant, node->attr.quant.init);
        return m->compat ? nb_f16_to_f32(nb_f32_to_f16(v)) : v;
    }
    return 0.0F;
}

static void init_param(NbModel *m, NbNodeId id, uint64_t seed, uint32_t *number) {
    NbNode *node = &m->graph.node[id];
    switch (node->attr.param.role) {
    case NB_PARAM_WEIGHT: draw(&node->param, fan_in_of(&node->param), seed, (*number)++); break;
    case NB_PARAM_BIAS: draw(&node->param, fan_in_of_bias(&m->graph, id), seed, (*number)++); break;
    case NB_PARAM_GAMMA: fill(&node->param, 1.0F); break;
    case NB_PARAM_BETA:
    case NB_PARAM_MEAN: fill(&node->param, 0.0F); break;
    /* the peer measures strides with a zero picture in training mode: 0.9 * 1 + 0.1 * 0 */
    case NB_PARAM_VAR: fill(&node->param, m->compat ? 0.9F : 1.0F); break;
    case NB_PARAM_QUANT: fill(&node->param, start_value(m, id)); break;
    case NB_PARAM_CONST: break;
    }
}

/* The bias of the convolution that an output comes from, -1 when it has none. */
static NbNodeId head_bias(const NbGraph *g, NbNodeId output) {
    NbNodeId id = output;
    while (g->node[id].op == NB_OP_QUANT || g->node[id].op == NB_OP_HARDTANH ||
           g->node[id].op == NB_OP_SCALE)
        id = g->node[id].in[0];
    return g->node[id].op == NB_OP_CONV && g->node[id].n_in == 3 ? g->node[id].in[2] : -1;
}

/* About eight objects in a 640-pixel picture, and classes at 0.6 / nc. Source: Lin et al., "Focal
 * loss", 2017, section 3.3, with YOLOv5's numbers. */
static void init_head(NbModel *m) {
    const NbHead *h = &m->head;
    for (int l = 0; l < h->levels; l++) {
        const NbNodeId id = head_bias(&m->graph, m->graph.output[l]);
        if (id < 0)
            continue;
        float *bias = nb_f32(&m->graph.node[id].param);
        const double cells = 640.0 / (double)h->stride[l];
        const float object = (float)log(8.0 / (cells * cells));
        const float cls = (float)log(0.6 / ((double)h->nc - 0.99));
        for (int a = 0; a < h->anchors; a++)
            for (int c = 4; c < 5 + h->nc; c++)
                bias[a * (5 + h->nc) + c] += c == 4 ? object : cls;
    }
}

/* Boxes one bin wide to each side, and five objects in a 640-pixel picture. Source: the start
 * biases of YOLOv8. */
static void init_free_head(NbModel *m) {
    const NbHead *h = &m->head;
    for (int o = 0; o < nb_head_outputs(h); o++) {
        const NbNode *joined = &m->graph.node[m->graph.output[o]];
        for (int branch = 0; branch < joined->n_in; branch++) {
            const NbNodeId id = head_bias(&m->graph, joined->in[branch]);
            const double cells = 640.0 / (double)h->stride[o % h->levels];
            if (id >= 0)
                fill(&m->graph.node[id].param,
                     branch ? (float)log(5.0 / h->nc / (cells * cells)) : 1.0F);
        }
    }
}

/* The one-to-one head starts as a copy of the one-to-many head. */
static void copy_twins(NbGraph *g) {
    static const char prefix[] = "one2one_";
    char name[256];
    for (NbNodeId id = 0; id < g->n_nodes; id++) {
        const char *at = strstr(g->node[id].name, prefix);
        if (g->node[id].op != NB_OP_PARAM || !at)
            continue;
        (void)snprintf(name, sizeof name, "%.*s%s", (int)(at - g->node[id].name), g->node[id].name,
                       at + sizeof prefix - 1);
        const NbNodeId twin = nb_graph_find(g, name);
        const NbTensor *to = &g->node[id].param;
        if (twin >= 0 && nb_shape_equal(&g->node[twin].param.shape, &to->shape))
            memcpy(to->data, g->node[twin].param.data, nb_tensor_count(to) * sizeof(float));
    }
}

NbStatus nb_model_init(NbModel *m, uint64_t seed, NbError *err) {
    uint32_t number = 0;
    for (NbNodeId id = 0; id < m->graph.n_nodes; id++) {
        const NbNode *node = &m->graph.node[id];
        if (node->op != NB_OP_PARAM)
            continue;
        if (node->param.dtype != NB_F32)
            return nb_fail(NB_ERR_ARGUMENT, err, "'%s' is %s, only float models are initialised",
                           node->name, nb_dtype_name(node->param.dtype));
        init_param(m, id, seed, &number);
    }
    if (m->head.kind == NB_HEAD_YOLOV5)
        init_head(m);
    else
        init_free_head(m);
    if (m->head.kind == NB_HEAD_YOLOV10)
        copy_twins(&m->graph);
    for (NbNodeId id = 0; id < m->graph.n_nodes; id++)
        nb_graph_set_kind(&m->graph, id); /* frozen clips are equal from here on */
    return NB_OK;
}

NbGraph nb_model_inference(NbModel *m) {
    NbGraph view = m->graph;
    view.output += nb_head_first(&m->head);
    view.n_outputs = m->head.levels;
    return view;
}
