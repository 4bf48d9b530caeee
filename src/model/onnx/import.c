/* SPDX-License-Identifier: Apache-2.0 */
#include "model/onnx/builder.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Domains whose operators are known by name alone. */
static bool known_domain(const char *domain) {
    static const char *const names[] = {"", "onnx.brevitas", "qonnx.custom_op.general",
                                        "finn.custom_op.general"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(domain, names[i]) == 0)
            return true;
    return false;
}

static const NbOnnxOp *find_rule(const NbOnnxNode *node) {
    static const NbOnnxOp *const tables[] = {nb_onnx_math_ops, nb_onnx_shape_ops, nb_onnx_layer_ops,
                                             nb_onnx_quant_ops};
    for (size_t t = 0; t < sizeof tables / sizeof *tables && known_domain(node->domain); t++)
        for (const NbOnnxOp *op = tables[t]; *op->name; op++)
            if (strcmp(op->name, node->op) == 0)
                return op;
    return NULL;
}

static const NbOnnxTensor *bound_value(const NbOnnxBuilder *b, const char *name) {
    for (size_t i = 0; i < b->options.n_bind; i++)
        if (strcmp(b->options.bind[i].name, name) == 0)
            return &b->options.bind[i];
    return NULL;
}

static NB_FALLIBLE add_constant(NbOnnxBuilder *b, const char *name, const NbOnnxTensor *t,
                                NbOnnxVal *v, NbError *err) {
    NbTensor real;
    v->type = t->type;
    NB_TRY_IN(nb_onnx_real(t, b->arena, &real, err), err, "'%s'", name);
    NB_TRY(nb_ob_const(b, NULL, &(NbShape){.rank = 1}, &v->node, err));
    NbNode *node = &b->g.node[v->node];
    node->param = real;
    node->shape = real.shape;
    node->name = name;
    return NB_OK;
}

static NB_FALLIBLE add_initializers(NbOnnxBuilder *b, NbError *err) {
    const NbOnnxGraph *g = &b->model->graph;
    for (size_t i = 0; i < g->n_initializers; i++) {
        NbOnnxVal *v = NULL;
        NB_TRY_IN(nb_ob_define(b, g->initializer[i].name, &v, err), err, "initializer %zu", i);
        NB_TRY_IN(add_constant(b, v->name, &g->initializer[i], v, err), err, "initializer %zu", i);
    }
    return NB_OK;
}

/* The shape of an input: the value's own where the caller gave one, else the file's with open
 * dimensions filled in. */
static NB_FALLIBLE input_shape(const NbOnnxBuilder *b, const NbOnnxValue *value,
                               const NbOnnxTensor *given, NbShape *out, NbError *err) {
    if (!value->is_tensor)
        return nb_fail(NB_ERR_UNSUPPORTED, err, "not a tensor");
    out->rank = value->rank;
    for (int d = 0; d < value->rank; d++) {
        const int64_t size = value->dim[d].value;
        const bool side = value->rank == 4 && d >= 2;
        out->dim[d] = size > 0 ? size : d == 0 ? b->picture.dim[0] : side ? b->picture.dim[d] : 1;
    }
    if (!given)
        return NB_OK;
    for (int d = 0; d < value->rank && value->has_shape; d++)
        if (given->shape.rank != value->rank ||
            (value->dim[d].value > 0 && value->dim[d].value != given->shape.dim[d])) {
            char found[96];
            char wanted[96];
            return nb_fail(NB_ERR_ARGUMENT, err, "%s given, the model declares %s",
                           nb_shape_text(&given->shape, found, sizeof found),
                           nb_shape_text(out, wanted, sizeof wanted));
        }
    *out = given->shape;
    return NB_OK;
}

static NB_FALLIBLE add_input(NbOnnxBuilder *b, const NbOnnxValue *value, NbOnnxPort *port,
                             NbError *err) {
    const NbOnnxTensor *given = bound_value(b, value->name);
    NbOnnxVal *v = NULL;
    *port = (NbOnnxPort){.name = value->name, .type = value->type, .node = -1};
    NB_TRY(input_shape(b, value, given, &port->shape, err));
    NB_TRY(nb_ob_define(b, value->name, &v, err));
    v->type = value->type;
    if (value->type == NB_ONNX_STRING || (!nb_onnx_type_bits(value->type)))
        return nb_fail(NB_ERR_UNSUPPORTED, err, "element type %s", nb_onnx_type_name(value->type));
    if (given && (nb_shape_count(&given->shape) == 0 ||
                  (b->options.bind_integers &&
                   (nb_onnx_is_integer(value->type) || value->type == NB_ONNX_BOOL))))
        return add_constant(b, value->name, given, v, err);
    v->bound = given;
    const NbShape *s = &port->shape;
    const bool picture = b->options.pictures && s->rank == 4 && s->dim[1] == 3;
    NbAttr attr = {.input = {.real = !picture, .channels = 3, .scale = 1.0F / 255.0F}};
    NB_TRY(nb_graph_add(&b->g, NB_OP_INPUT, value->name, 0, NULL, &attr, &v->node, err));
    NbNode *node = &b->g.node[v->node];
    node->param = (NbTensor){.dtype = NB_F32, .shape = *s};
    if (value->rank > 1 && s->rank > 1 && value->dim[0].value <= 0)
        node->param.shape.dim[0] = -1;
    node->shape = *s;
    nb_graph_set_kind(&b->g, v->node);
    port->node = v->node;
    return NB_OK;
}

static NB_FALLIBLE add_inputs(NbOnnxBuilder *b, NbOnnxNet *net, NbError *err) {
    const NbOnnxGraph *g = &b->model->graph;
    net->input = NB_NEW(b->arena, NbOnnxPort, g->n_inputs);
    if (!net->input)
        return nb_fail_memory(err, "inputs");
    for (size_t i = 0; i < g->n_inputs; i++)
        if (!nb_ob_find(b, g->input[i].name))
            NB_TRY_IN(add_input(b, &g->input[i], &net->input[net->n_inputs++], err), err,
                      "input '%s'", g->input[i].name);
    return NB_OK;
}

static NB_FALLIBLE add_node(NbOnnxBuilder *b, const NbOnnxNode *node, NbError *err) {
    const NbOnnxOp *op = find_rule(node);
    if (!op)
        return nb_fail(NB_ERR_UNSUPPORTED, err, "the operator %s%s%s is not supported",
                       node->domain, *node->domain ? "." : "", node->op);
    if (!node->n_out || (!*node->out[0] && node->n_out == 1))
        return nb_fail(NB_ERR_FORMAT, err, "it has no output");
    b->node = node;
    b->fresh = 0;
    if (nb_ob_attr_i(b, "broadcast", 0))
        return nb_fail(NB_ERR_UNSUPPORTED, err,
                       "the attribute 'broadcast' of operator sets before 7 is not supported");
    const NbStatus status = op->rule(b, op->kind, err);
    /* what the graph refuses is a contradiction in the file */
    return status == NB_ERR_ARGUMENT ? NB_ERR_FORMAT : status;
}

static NB_FALLIBLE add_nodes(NbOnnxBuilder *b, NbError *err) {
    const NbOnnxGraph *g = &b->model->graph;
    for (size_t i = 0; i < g->n_nodes; i++)
        NB_TRY_IN(add_node(b, &g->node[i], err), err, "node %zu (%s '%s')", i, g->node[i].op,
                  *g->node[i].name   ? g->node[i].name
                  : g->node[i].n_out ? g->node[i].out[0]
                                     : "");
    b->node = NULL;
    return NB_OK;
}

/* Outputs compute something and hold real numbers. */
static NB_FALLIBLE add_outputs(NbOnnxBuilder *b, NbOnnxNet *net, NbNodeId *id, NbError *err) {
    const NbOnnxGraph *g = &b->model->graph;
    net->output = NB_NEW(b->arena, NbOnnxPort, g->n_outputs);
    if (!net->output)
        return nb_fail_memory(err, "outputs");
    if (!g->n_outputs)
        return nb_fail(NB_ERR_FORMAT, err, "the graph has no outputs");
    for (size_t i = 0; i < g->n_outputs; i++) {
        const NbOnnxVal *v = nb_ob_find(b, g->output[i].name);
        if (!v)
            return nb_fail(NB_ERR_FORMAT, err, "output '%s' comes from no node", g->output[i].name);
        const NbNode *node = &b->g.node[v->node];
        const bool plain = node->kind == NB_VALUE_REAL && node->op != NB_OP_PARAM;
        const NbAttr attr = {.map = {.kind = NB_MAP_IDENTITY}};
        const char *name = nb_arena_printf(b->arena, "%s#output%zu", v->name, i);
        id[i] = v->node;
        if (!name)
            return nb_fail_memory(err, "a name");
        if (!plain) /* not through nb_ob_add: it would become a constant again */
            NB_TRY(nb_graph_add(&b->g, NB_OP_MAP, name, 1, &v->node, &attr, &id[i], err));
        b->g.node[id[i]].shape = b->g.node[v->node].shape;
        net->output[i] = (NbOnnxPort){.name = g->output[i].name,
                                      .type = v->type,
                                      .shape = b->g.node[id[i]].shape,
                                      .node = id[i]};
    }
    net->n_outputs = g->n_outputs;
    return NB_OK;
}

/* The graph without what leads to no output; INPUT nodes stay. */
static NB_FALLIBLE sweep(NbOnnxBuilder *b, NbOnnxNet *net, NbNodeId *output, NbError *err) {
    const NbGraph *g = &b->g;
    bool *live = NB_NEW(&b->scratch, bool, (size_t)g->n_nodes);
    NbNodeId *to = NB_NEW(&b->scratch, NbNodeId, (size_t)g->n_nodes);
    NbNodeId *in = NB_NEW(&b->scratch, NbNodeId, (size_t)g->n_nodes);
    if (!live || !to || !in)
        return nb_fail_memory(err, "nodes");
    for (size_t i = 0; i < net->n_outputs; i++)
        live[output[i]] = true;
    for (NbNodeId id = g->n_nodes - 1; id >= 0; id--) {
        live[id] = live[id] || g->node[id].op == NB_OP_INPUT;
        for (int k = 0; live[id] && k < g->node[id].n_in; k++)
            live[g->node[id].in[k]] = true;
    }
    nb_graph_init(&net->graph, b->arena);
    for (NbNodeId id = 0; id < g->n_nodes; id++) {
        const NbNode *node = &g->node[id];
        if (!live[id])
            continue;
        for (int k = 0; k < node->n_in; k++)
            in[k] = to[node->in[k]];
        NB_TRY(nb_graph_add(&net->graph, node->op, node->name, node->n_in, in, &node->attr, &to[id],
                            err));
        NbNode *copy = &net->graph.node[to[id]];
        copy->param = node->param;
        copy->shape = node->shape;
        nb_graph_set_kind(&net->graph, to[id]);
        net->quantizers += node->op == NB_OP_QUANTIZE;
    }
    for (size_t i = 0; i < net->n_inputs; i++)
        if (net->input[i].node >= 0)
            net->input[i].node = to[net->input[i].node];
    for (size_t i = 0; i < net->n_outputs; i++)
        net->output[i].node = output[i] = to[output[i]];
    return nb_graph_set_outputs(&net->graph, (int)net->n_outputs, output, err);
}

static NB_FALLIBLE build(NbOnnxBuilder *b, NbOnnxNet *net, NbError *err) {
    const NbOnnxGraph *g = &b->model->graph;
    size_t values = g->n_initializers + g->n_inputs;
    for (size_t i = 0; i < g->n_nodes; i++)
        values += g->node[i].n_out;
    b->slots = 2 * values + 3;
    b->table = NB_NEW(&b->scratch, NbOnnxVal *, b->slots);
    NbNodeId *output = NB_NEW(b->arena, NbNodeId, g->n_outputs);
    if (!b->table || !output)
        return nb_fail_memory(err, "names");
    nb_graph_init(&b->g, b->arena);
    NB_TRY(add_initializers(b, err));
    NB_TRY(add_inputs(b, net, err));
    NB_TRY(add_nodes(b, err));
    NB_TRY(add_outputs(b, net, output, err));
    return sweep(b, net, output, err);
}

static int64_t opset_of(const NbOnnxModel *m) {
    int64_t version = 0;
    for (size_t i = 0; i < m->n_opsets; i++)
        if (!*m->opset[i].domain)
            version = m->opset[i].version;
    return version;
}

static NB_FALLIBLE import_once(const NbOnnxModel *model, const NbOnnxImportOptions *options,
                               NbArena *arena, NbOnnxNet *out, NbError *err) {
    NbOnnxBuilder b = {.arena = arena,
                       .model = model,
                       .options = *options,
                       .opset = opset_of(model),
                       .scratch = {.limit = arena->limit}};
    b.picture = nb_shape(4, (const int64_t[]){options->batch ? options->batch : 1, 0,
                                              options->height ? options->height : 640,
                                              options->width ? options->width : 640});
    *out = (NbOnnxNet){0};
    const NbStatus status = build(&b, out, err);
    nb_arena_release(&b.scratch);
    return status;
}

/* The picture input; NULL: there is none. */
static NbOnnxValue *picture_input(const NbOnnxModel *m) {
    for (size_t i = 0; i < m->graph.n_inputs; i++) {
        NbOnnxValue *v = &m->graph.input[i];
        bool weight = false;
        for (size_t k = 0; k < m->graph.n_initializers && !weight; k++)
            weight = strcmp(m->graph.initializer[k].name, v->name) == 0;
        if (!weight && v->rank == 4 && v->dim[2].value > 0 && v->dim[3].value > 0)
            return v;
    }
    return NULL;
}

/* Files are edited: when the shapes contradict each other, does the graph fit another size of its
 * input? Then that is what is wrong, and the sentence says so. */
static void explain(const NbOnnxModel *model, const NbOnnxImportOptions *options, NbError *err) {
    NbOnnxValue *v = picture_input(model);
    if (!v || options->n_bind)
        return;
    const int64_t declared[2] = {v->dim[2].value, v->dim[3].value};
    const char *imgsz = nb_onnx_metadata(model, "imgsz");
    int64_t side[4][2] = {
        {0, 0}, {2 * declared[0], 2 * declared[1]}, {declared[0] / 2, declared[1] / 2}, {640, 640}};
    char *end = NULL;
    if (imgsz && *imgsz == '[') {
        side[0][0] = strtoll(imgsz + 1, &end, 10);
        side[0][1] = end && *end == ',' ? strtoll(end + 1, NULL, 10) : side[0][0];
    }
    for (int i = 0; i < 4; i++) {
        NbArena arena = {.limit = (size_t)1 << 31};
        NbOnnxNet net;
        NbError ignored = {0};
        if (side[i][0] < 1 || side[i][1] < 1 || side[i][0] > 8192 || side[i][1] > 8192)
            continue;
        v->dim[2].value = side[i][0];
        v->dim[3].value = side[i][1];
        const NbStatus status = import_once(model, options, &arena, &net, &ignored);
        v->dim[2].value = declared[0];
        v->dim[3].value = declared[1];
        nb_arena_release(&arena);
        if (status != NB_OK)
            continue;
        (void)nb_fail_in(status, err,
                         "the input '%s' is declared %" PRId64 " x %" PRId64
                         ", but the constants of the graph are for %" PRId64 " x %" PRId64,
                         v->name, declared[0], declared[1], side[i][0], side[i][1]);
        return;
    }
}

NbStatus nb_onnx_import(const char *path, const NbOnnxModel *model,
                        const NbOnnxImportOptions *options, NbArena *arena, NbOnnxNet *out,
                        NbError *err) {
    if (model->n_functions)
        return nb_fail(NB_ERR_UNSUPPORTED, err, "%s: a model with functions of its own", path);
    const NbStatus status = import_once(model, options, arena, out, err);
    if (status == NB_ERR_FORMAT)
        explain(model, options, err);
    return status == NB_OK ? NB_OK : nb_fail_in(status, err, "%s", path);
}
