/* SPDX-License-Identifier: Apache-2.0 */
#include "api/common.h"
#include "api/verbs/verbs.h"

/* What one convolution costs on one picture. */
typedef struct Cost {
    int64_t params, macs, bops;
    double bytes;                     /* weights at their width */
    int weight_bits, activation_bits; /* 32: not quantized */
} Cost;

/* Bits a value travels with: those of the quantizer behind pools and the like. */
static int bits_of(const NbGraph *g, NbNodeId id) {
    for (;;) {
        const NbNode *const node = &g->node[id];
        if (node->op == NB_OP_QUANT)
            return node->attr.quant.kind == NB_QUANT_BINARY ? 1 : node->attr.quant.grid.bits;
        if (node->op == NB_OP_INPUT)
            return 8;
        const bool passes = node->op == NB_OP_MAXPOOL || node->op == NB_OP_UPSAMPLE ||
                            node->op == NB_OP_CONCAT || node->op == NB_OP_PAD;
        if (!passes)
            return 32;
        id = node->in[0];
    }
}

static Cost cost_of(const NbGraph *g, const NbNode *conv) {
    const NbShape *const out = &conv->shape;
    NbNodeId w = conv->in[1];
    if (g->node[w].op == NB_OP_QUANT)
        w = g->node[w].in[0];
    const NbShape *const weight = &g->node[w].param.shape;
    const int64_t fan_in = weight->dim[1] * weight->dim[2] * weight->dim[3];
    Cost c = {.params = weight->dim[0] * fan_in,
              .macs = out->dim[1] * out->dim[2] * out->dim[3] * fan_in,
              .weight_bits = bits_of(g, conv->in[1]),
              .activation_bits = bits_of(g, conv->in[0])};
    c.bops = c.macs * c.weight_bits * c.activation_bits;
    c.bytes = (double)c.params * c.weight_bits / 8.0;
    return c;
}

static void add_layer(NbJob *job, json_t *layers, const NbNode *node, const Cost *c) {
    json_array_append_new(layers,
                          json_pack("{s:s, s:i, s:[I, I, I], s:I, s:I, s:I, s:i, s:i, s:f}", "name",
                                    node->name, "layer", node->layer, "output",
                                    (json_int_t)node->shape.dim[1], (json_int_t)node->shape.dim[2],
                                    (json_int_t)node->shape.dim[3], "params", (json_int_t)c->params,
                                    "macs", (json_int_t)c->macs, "bops", (json_int_t)c->bops,
                                    "weight_bits", c->weight_bits, "activation_bits",
                                    c->activation_bits, "weight_bytes", c->bytes));
    nb_job_print(job, "%-28s %5lldx%lldx%-6lld W%-2d A%-2d %12lld %16lld %12.0f\n", node->name,
                 (long long)node->shape.dim[1], (long long)node->shape.dim[2],
                 (long long)node->shape.dim[3], c->weight_bits, c->activation_bits,
                 (long long)c->params, (long long)c->macs, c->bytes);
}

static NbStatus report(NbJob *job, NbModel *model, NbError *err) {
    int side = 0;
    NbModelCost all;
    NB_TRY(nb_job_imgsz(job, model, &side, err));
    NB_TRY(nb_model_cost(model, side, side, &all, err));
    NB_TRY(nb_graph_infer(&model->graph, 1, side, side, err));
    json_t *const layers = json_array();
    double bytes = 0.0;
    int64_t bops = 0;
    nb_job_print(job, "%-28s %-16s %-8s %10s %16s %12s\n", "convolution", "output", "bits",
                 "weights", "MACs", "bytes");
    for (NbNodeId id = 0; id < model->graph.n_nodes; id++) {
        const NbNode *const node = &model->graph.node[id];
        if (node->op != NB_OP_CONV)
            continue;
        const Cost c = cost_of(&model->graph, node);
        bytes += c.bytes;
        bops += c.bops;
        add_layer(job, layers, node, &c);
    }
    nb_job_put(job, "imgsz", json_integer(side));
    nb_job_put(job, "params", json_integer(all.params));
    nb_job_put(job, "macs", json_integer(all.macs));
    nb_job_put(job, "deploy_params", json_integer(all.deploy_params));
    nb_job_put(job, "deploy_macs", json_integer(all.deploy_macs));
    nb_job_put(job, "bops", json_integer(bops));
    nb_job_put(job, "weight_bytes", nb_json_real(bytes));
    nb_job_put(job, "layers", layers);
    nb_job_print(job,
                 "deployed (norms folded, heads that only teach left out): %lld parameters, %lld "
                 "MACs\n",
                 (long long)all.deploy_params, (long long)all.deploy_macs);
    nb_job_print(job, "%lld parameters, %lld MACs at %dx%d, %lld BOPs, %.0f bytes of weights\n",
                 (long long)all.params, (long long)all.macs, side, side, (long long)bops, bytes);
    return NB_OK;
}

static NbStatus run(NbJob *job, NbError *err) {
    NbModel model;
    NB_TRY(nb_job_model(job, 0, &model, err));
    const NbStatus status = report(job, &model, err);
    nb_model_release(&model);
    return status;
}

const NbVerb nb_verb_cost = {
    .info = {.name = "cost",
             .aliases = "",
             .help = "counts parameters, multiply-adds, bit operations and bytes",
             .example = "nibble cost model=lpyolo.yaml imgsz=416",
             .keys = "model imgsz quantize hardtanh compat settings json progress verbose"},
    .run = run};
