/* SPDX-License-Identifier: Apache-2.0 */
#include "api/common.h"
#include "api/inspect_onnx.h"
#include "api/verbs/verbs.h"

#include "base/file.h"
#include "format/safetensors.h"

#include <math.h>
#include <string.h>

/* Smallest, largest and mean of a float tensor; false when it holds none. */
static bool measure(const NbTensor *t, double *lo, double *hi, double *mean) {
    const size_t n = nb_tensor_count(t);
    if (t->dtype != NB_F32 || n == 0)
        return false;
    const float *const x = nb_f32(t);
    double sum = 0.0;
    *lo = INFINITY;
    *hi = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        *lo = (double)x[i] < *lo ? (double)x[i] : *lo;
        *hi = (double)x[i] > *hi ? (double)x[i] : *hi;
        sum += (double)x[i];
    }
    *mean = sum / (double)n;
    return true;
}

static void add_tensor(NbJob *job, json_t *list, const char *name, const NbTensor *t) {
    char text[128];
    double lo = NAN;
    double hi = NAN;
    double mean = NAN;
    json_t *const shape = json_array();
    for (int i = 0; i < t->shape.rank; i++)
        json_array_append_new(shape, json_integer(t->shape.dim[i]));
    (void)measure(t, &lo, &hi, &mean);
    json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "name", name, "dtype",
                                          nb_dtype_name(t->dtype), "shape", shape, "min",
                                          nb_json_real(lo), "max", nb_json_real(hi), "mean",
                                          nb_json_real(mean)));
    nb_job_print(job, "  %-48s %-5s %-20s", name, nb_dtype_name(t->dtype),
                 nb_shape_text(&t->shape, text, sizeof text));
    if (isfinite(mean))
        nb_job_print(job, " %.4g .. %.4g, mean %.4g", lo, hi, mean);
    nb_job_print(job, "\n");
}

static NbStatus inspect_file(NbJob *job, const char *path, json_t *tensors, NbError *err) {
    NbBytes bytes;
    NbSafetensors file;
    NB_TRY(nb_file_read(path, 0, &job->arena, &bytes, err));
    NB_TRY(nb_safetensors_read(path, bytes, &job->arena, &file, err));
    for (size_t i = 0; i < file.n_tensors; i++)
        add_tensor(job, tensors, file.tensor[i].name, &file.tensor[i].tensor);
    json_t *const metadata = json_object();
    for (size_t i = 0; i < file.n_metadata; i++) {
        json_object_set_new(metadata, file.metadata[i].key, json_string(file.metadata[i].value));
        nb_job_print(job, "%s: %s\n", file.metadata[i].key, file.metadata[i].value);
    }
    nb_job_put(job, "metadata", metadata);
    return NB_OK;
}

static void add_node(NbJob *job, json_t *nodes, const NbGraph *g, NbNodeId id) {
    const NbNode *const node = &g->node[id];
    char text[128];
    json_t *const inputs = json_array();
    json_t *const shape = json_array();
    for (int i = 0; i < node->n_in; i++)
        json_array_append_new(inputs, json_string(g->node[node->in[i]].name));
    for (int i = 0; i < node->shape.rank; i++)
        json_array_append_new(shape, json_integer(node->shape.dim[i]));
    json_t *const entry =
        json_pack("{s:s, s:s, s:i, s:o, s:o}", "name", node->name, "op", nb_op_name(node->op),
                  "layer", node->layer, "inputs", inputs, "shape", shape);
    nb_job_print(job, "  %-36s %-10s %s", node->name, nb_op_name(node->op),
                 nb_shape_text(&node->shape, text, sizeof text));
    if (node->op == NB_OP_QUANT) {
        const NbQuantSpec *const q = &node->attr.quant;
        json_object_set_new(entry, "bits", json_integer(q->grid.bits));
        json_object_set_new(entry, "signed", json_boolean(q->grid.is_signed));
        json_object_set_new(entry, "per_channel", json_boolean(q->per_channel));
        nb_job_print(job, " %d bit%s%s", q->grid.bits, q->grid.is_signed ? " signed" : "",
                     q->per_channel ? " per channel" : "");
    }
    nb_job_print(job, "\n");
    json_array_append_new(nodes, entry);
}

static NbStatus inspect_model(NbJob *job, NbModel *model, bool params, json_t *tensors,
                              NbError *err) {
    int side = 0;
    NbModelCost cost;
    NB_TRY(nb_job_imgsz(job, model, &side, err));
    NB_TRY(nb_model_cost(model, side, side, &cost, err));
    NB_TRY(nb_graph_infer(&model->graph, 1, side, side, err));
    json_t *const nodes = json_array();
    nb_job_print(job, "nodes at %dx%d:\n", side, side);
    for (NbNodeId id = 0; id < model->graph.n_nodes; id++)
        if (model->graph.node[id].op != NB_OP_PARAM)
            add_node(job, nodes, &model->graph, id);
    for (NbNodeId id = 0; params && id < model->graph.n_nodes; id++)
        if (model->graph.node[id].op == NB_OP_PARAM)
            add_tensor(job, tensors, model->graph.node[id].name, &model->graph.node[id].param);
    nb_job_put(job, "nodes", nodes);
    nb_job_put(job, "params", json_integer(cost.params));
    nb_job_put(job, "macs", json_integer(cost.macs));
    nb_job_put(job, "classes", json_integer(model->head.nc));
    nb_job_print(job, "%lld parameters, %lld MACs, %d classes\n", (long long)cost.params,
                 (long long)cost.macs, model->head.nc);
    return NB_OK;
}

static NbStatus run(NbJob *job, NbError *err) {
    const char *path = NULL;
    NB_TRY(nb_job_need(job, NB_OPT_model, &path, err));
    if (strcmp(nb_path_suffix(path), ".onnx") == 0)
        return nb_inspect_onnx(job, path, err);
    json_t *const tensors = json_array();
    const bool file = strcmp(nb_path_suffix(path), ".safetensors") == 0;
    NbStatus status = file ? inspect_file(job, path, tensors, err) : NB_OK;
    NbModel model;
    if (status == NB_OK)
        status = nb_job_model(job, 0, &model, err);
    if (status == NB_OK) {
        status = inspect_model(job, &model, !file, tensors, err);
        nb_model_release(&model);
    }
    nb_job_put(job, "tensors", tensors);
    return status;
}

const NbVerb nb_verb_inspect = {
    .info = {.name = "inspect",
             .aliases = "",
             .help = "shows what a model, checkpoint or ONNX file holds",
             .example = "nibble inspect model=best.safetensors",
             .keys = "model imgsz quantize hardtanh compat settings json progress verbose"},
    .run = run};
