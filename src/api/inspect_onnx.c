/* SPDX-License-Identifier: Apache-2.0 */
#include "api/inspect_onnx.h"

#include "api/common.h"
#include "format/onnx.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static json_t *shape_json(const NbShape *shape) {
    json_t *const list = json_array();
    for (int i = 0; i < shape->rank; i++)
        json_array_append_new(list, json_integer(shape->dim[i]));
    return list;
}

/* Smallest and largest of a float tensor. */
static void measure(const NbOnnxTensor *t, double *lo, double *hi) {
    const float *const x = t->data;
    *lo = NAN;
    *hi = NAN;
    for (size_t i = 0; t->type == NB_ONNX_FLOAT && i < t->size / sizeof *x; i++) {
        *lo = i == 0 ? (double)x[i] : fmin(*lo, (double)x[i]);
        *hi = i == 0 ? (double)x[i] : fmax(*hi, (double)x[i]);
    }
}

static void add_initializers(NbJob *job, const NbOnnxGraph *g) {
    json_t *const list = json_array();
    int64_t params = 0;
    int64_t bytes = 0;
    char text[128];
    nb_job_print(job, "%zu initializers:\n", g->n_initializers);
    for (size_t i = 0; i < g->n_initializers; i++) {
        const NbOnnxTensor *const t = &g->initializer[i];
        double lo = NAN;
        double hi = NAN;
        measure(t, &lo, &hi);
        params += (int64_t)nb_shape_count(&t->shape);
        bytes += (int64_t)t->size;
        json_array_append_new(
            list, json_pack("{s:o, s:s, s:o, s:o, s:o}", "name", nb_json_text(t->name), "dtype",
                            nb_onnx_type_name(t->type), "shape", shape_json(&t->shape), "min",
                            nb_json_real(lo), "max", nb_json_real(hi)));
        nb_job_print(job, "  %-48s %-8s %-20s", t->name, nb_onnx_type_name(t->type),
                     nb_shape_text(&t->shape, text, sizeof text));
        if (isfinite(lo))
            nb_job_print(job, " %.4g .. %.4g", lo, hi);
        nb_job_print(job, "\n");
    }
    nb_job_put(job, "tensors", list);
    nb_job_put(job, "params", json_integer(params));
    nb_job_put(job, "weight_bytes", json_integer(bytes));
    nb_job_print(job, "%lld numbers in %lld bytes\n", (long long)params, (long long)bytes);
}

static json_t *names_json(const char *const *names, size_t n) {
    json_t *const list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, nb_json_text(names[i]));
    return list;
}

static void add_nodes(NbJob *job, const NbOnnxGraph *g) {
    json_t *const list = json_array();
    nb_job_print(job, "%zu nodes:\n", g->n_nodes);
    for (size_t i = 0; i < g->n_nodes; i++) {
        const NbOnnxNode *const node = &g->node[i];
        json_array_append_new(
            list, json_pack("{s:o, s:o, s:o, s:o, s:o}", "name", nb_json_text(node->name), "op",
                            nb_json_text(node->op), "domain", nb_json_text(node->domain), "inputs",
                            names_json(node->in, node->n_in), "outputs",
                            names_json(node->out, node->n_out)));
        nb_job_print(job, "  %-36s %s%s%s\n", node->name, node->domain, *node->domain ? "." : "",
                     node->op);
    }
    nb_job_put(job, "nodes", list);
}

/* How often each operator occurs, in the order of first use. */
static void add_operators(NbJob *job, const NbOnnxGraph *g) {
    json_t *const counts = json_object();
    for (size_t i = 0; i < g->n_nodes; i++) {
        const json_t *const before = json_object_get(counts, g->node[i].op);
        json_object_set_new(counts, g->node[i].op,
                            json_integer(before ? json_integer_value(before) + 1 : 1));
    }
    nb_job_put(job, "operators", counts);
}

static void add_values(NbJob *job, const char *key, const NbOnnxValue *value, size_t n) {
    json_t *const list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *const shape = json_array();
        nb_job_print(job, "%.*s %s: %s", (int)strlen(key) - 1, key, value[i].name,
                     nb_onnx_type_name(value[i].type));
        for (int d = 0; d < value[i].rank; d++) {
            const NbOnnxDim *const dim = &value[i].dim[d];
            const bool known = dim->value >= 0;
            json_array_append_new(shape, known         ? json_integer(dim->value)
                                         : *dim->param ? nb_json_text(dim->param)
                                                       : json_null());
            if (known)
                nb_job_print(job, " %lld", (long long)dim->value);
            else
                nb_job_print(job, " %s", *dim->param ? dim->param : "?");
        }
        nb_job_print(job, "\n");
        json_array_append_new(list,
                              json_pack("{s:o, s:s, s:o}", "name", nb_json_text(value[i].name),
                                        "dtype", nb_onnx_type_name(value[i].type), "shape", shape));
    }
    nb_job_put(job, key, list);
}

static void add_head(NbJob *job, const NbOnnxModel *m) {
    json_t *const opsets = json_object();
    json_t *const metadata = json_object();
    nb_job_print(job, "ONNX, IR version %lld, by %s %s\n", (long long)m->ir_version,
                 m->producer_name, m->producer_version);
    for (size_t i = 0; i < m->n_opsets; i++) {
        const char *const domain = *m->opset[i].domain ? m->opset[i].domain : "ai.onnx";
        json_object_set_new(opsets, domain, json_integer(m->opset[i].version));
        nb_job_print(job, "operator set %s %lld\n", domain, (long long)m->opset[i].version);
    }
    for (size_t i = 0; i < m->n_metadata; i++) {
        json_object_set_new(metadata, m->metadata[i].key, nb_json_text(m->metadata[i].value));
        nb_job_print(job, "%s: %s\n", m->metadata[i].key, m->metadata[i].value);
    }
    nb_job_put(job, "ir_version", json_integer(m->ir_version));
    nb_job_put(job, "producer", nb_json_text(m->producer_name));
    nb_job_put(job, "opsets", opsets);
    nb_job_put(job, "metadata", metadata);
}

NbStatus nb_inspect_onnx(NbJob *job, const char *path, NbError *err) {
    NbOnnxModel m;
    NB_TRY(nb_onnx_read_file(path, &job->arena, &m, err));
    add_head(job, &m);
    add_values(job, "inputs", m.graph.input, m.graph.n_inputs);
    add_values(job, "outputs", m.graph.output, m.graph.n_outputs);
    add_operators(job, &m.graph);
    add_nodes(job, &m.graph);
    add_initializers(job, &m.graph);
    return NB_OK;
}
