/* SPDX-License-Identifier: Apache-2.0
 *
 * Raw tensors in, raw tensors out: an ONNX model as it stands. */
#include "api/common.h"
#include "api/verbs/verbs.h"

#include "base/clock.h"
#include "base/file.h"
#include "format/npy.h"
#include "graph/interpret.h"
#include "model/onnx/import.h"
#include "nn/float/float.h"

#include <string.h>

typedef struct Run {
    NbJob *job;
    const char *model;
    const char *folder;
    NbArena arena;
    NbOnnxModel onnx;
    NbOnnxNet net;
    NbOnnxTensor *given; /* by name, in the order of the model's inputs */
    size_t n_given;
    NbTensor *output; /* [net.n_outputs], F32 */
    json_t *outputs;
    bool exact; /* by the interpreter */
} Run;

static int onnx_type(NbDtype dtype) {
    switch (dtype) {
    case NB_F32: return NB_ONNX_FLOAT;
    case NB_F64: return NB_ONNX_DOUBLE;
    case NB_F16: return NB_ONNX_FLOAT16;
    case NB_BF16: return NB_ONNX_BFLOAT16;
    case NB_I8: return NB_ONNX_INT8;
    case NB_U8: return NB_ONNX_UINT8;
    case NB_I16: return NB_ONNX_INT16;
    case NB_U16: return NB_ONNX_UINT16;
    case NB_I32: return NB_ONNX_INT32;
    case NB_U32: return NB_ONNX_UINT32;
    case NB_I64: return NB_ONNX_INT64;
    case NB_U64: return NB_ONNX_UINT64;
    case NB_BOOL: return NB_ONNX_BOOL;
    case NB_DTYPE_COUNT: break;
    }
    return NB_ONNX_UNDEFINED;
}

static bool is_initializer(const NbOnnxGraph *g, const char *name) {
    for (size_t i = 0; i < g->n_initializers; i++)
        if (strcmp(g->initializer[i].name, name) == 0)
            return true;
    return false;
}

/* Pictures for an input of floats become numbers from 0 to 1. */
static NbStatus as_picture(Run *r, NbTensor *t, NbError *err) {
    const NbTensor from = *t;
    NB_TRY(nb_tensor_new(&r->arena, NB_F32, &from.shape, t, err));
    const size_t n = nb_tensor_count(t);
    for (size_t i = 0; i < n; i++)
        nb_f32(t)[i] = (float)((const uint8_t *)from.data)[i] / 255.0F;
    return NB_OK;
}

static NbStatus read_input(Run *r, const NbOnnxValue *port, const char *path, NbOnnxTensor *out,
                           NbError *err) {
    NbTensor t;
    NB_TRY(nb_npy_read_file(path, &r->arena, &t, err));
    if (port->type == NB_ONNX_FLOAT && t.dtype == NB_U8 && t.shape.rank == 4)
        NB_TRY(as_picture(r, &t, err));
    *out = (NbOnnxTensor){.name = port->name,
                          .type = onnx_type(t.dtype),
                          .shape = t.shape,
                          .data = t.data,
                          .size = nb_tensor_count(&t) * nb_dtype_size(t.dtype)};
    return NB_OK;
}

/* input=: one file for each input, in the order of the model. */
static NbStatus read_inputs(Run *r, NbError *err) {
    const NbOnnxGraph *const g = &r->onnx.graph;
    const char *list = NULL;
    NB_TRY(nb_job_need(r->job, NB_OPT_input, &list, err));
    r->given = NB_NEW(&r->arena, NbOnnxTensor, g->n_inputs);
    if (!r->given)
        return nb_fail_memory(err, "inputs");
    size_t wanted = 0;
    for (size_t i = 0; i < g->n_inputs; i++) {
        if (is_initializer(g, g->input[i].name))
            continue;
        wanted++;
        if (!*list)
            continue;
        const size_t length = strcspn(list, ",");
        const char *const path = nb_arena_string_n(&r->arena, list, length);
        if (!path)
            return nb_fail_memory(err, "a path");
        list += length + (list[length] == ',');
        NB_TRY_IN(read_input(r, &g->input[i], path, &r->given[r->n_given++], err), err,
                  "input '%s'", g->input[i].name);
    }
    if (*list || r->n_given != wanted)
        return nb_fail(NB_ERR_ARGUMENT, err, "input: %s has %zu inputs, found %s", r->model, wanted,
                       *list ? "more files" : "fewer files");
    return NB_OK;
}

static NbStatus import(Run *r, NbError *err) {
    NbOnnxImportOptions options = {.bind = r->given,
                                   .n_bind = r->n_given,
                                   .off = strcmp(nb_job_str(r->job, NB_OPT_engine), "float") == 0};
    NbStatus status = nb_onnx_import(r->model, &r->onnx, &options, &r->arena, &r->net, err);
    if (status == NB_ERR_UNSUPPORTED && strstr(err->message, "is not constant")) {
        options.bind_integers = true;
        status = nb_onnx_import(r->model, &r->onnx, &options, &r->arena, &r->net, err);
    }
    return status;
}

/* The tensors of the INPUT nodes, as real numbers. */
static NbStatus real_inputs(Run *r, NbTensor **out, size_t *n, NbError *err) {
    *n = 0;
    *out = NB_NEW(&r->arena, NbTensor, r->net.n_inputs);
    if (!*out)
        return nb_fail_memory(err, "inputs");
    for (size_t i = 0; i < r->net.n_inputs; i++)
        if (r->net.input[i].node >= 0)
            NB_TRY_IN(nb_onnx_real(&r->given[i], &r->arena, &(*out)[(*n)++], err), err,
                      "input '%s'", r->net.input[i].name);
    return NB_OK;
}

static NbStatus interpret(Run *r, const NbTensor *in, NbError *err) {
    NbValue *const values = NB_NEW(&r->arena, NbValue, (size_t)r->net.graph.n_nodes);
    if (!values)
        return nb_fail_memory(err, "values");
    NB_TRY(nb_interpret_tensors(&r->net.graph, in, true, &r->arena, values, err));
    for (size_t i = 0; i < r->net.n_outputs; i++)
        r->output[i] = values[r->net.output[i].node].t;
    return NB_OK;
}

static NbStatus compute_fast(Run *r, const NbTensor *in, size_t n, NbError *err) {
    NbFloatOptions options = {.batch = 1, .height = 640, .width = 640, .plain = true};
    NbFloatEngine *x = NULL;
    const float **const data = NB_NEW(&r->arena, const float *, n);
    if (!data)
        return nb_fail_memory(err, "inputs");
    for (size_t i = 0; i < n; i++)
        data[i] = nb_f32(&in[i]);
    NB_TRY(nb_job_pool(r->job, &options.pool, err));
    NB_TRY(nb_isa_choose(nb_job_str(r->job, NB_OPT_isa), &options.isa, err));
    NB_TRY(nb_float_new(&r->net.graph, &options, &x, err));
    NbStatus status = nb_float_run_real(x, data, 1, err);
    for (size_t i = 0; i < r->net.n_outputs && status == NB_OK; i++) {
        const NbShape *const shape = &r->net.output[i].shape;
        status = nb_tensor_new(&r->arena, NB_F32, shape, &r->output[i], err);
        if (status == NB_OK && nb_shape_count(shape))
            memcpy(r->output[i].data, nb_float_output(x, (int)i),
                   nb_shape_count(shape) * sizeof(float));
    }
    nb_float_free(x);
    return status;
}

/* Codes, one picture's dimensions that are no batch, and outputs whose length only running tells
 * are the interpreter's. */
static bool needs_interpreter(const Run *r) {
    const NbGraph *const g = &r->net.graph;
    bool needs = r->net.quantizers > 0;
    for (NbNodeId id = 0; id < g->n_nodes; id++) {
        const NbNode *const node = &g->node[id];
        needs = needs || node->op == NB_OP_NMS || nb_shape_count(&node->shape) == 0 ||
                (node->op == NB_OP_INPUT && node->shape.rank > 0 && node->shape.dim[0] != 1);
    }
    return needs;
}

static NbStatus write_output(Run *r, size_t i, NbError *err) {
    const NbOnnxPort *const port = &r->net.output[i];
    const NbTensor *const from = &r->output[i];
    const NbDtype dtype = nb_onnx_npy_type(port->type);
    NbTensor t;
    NB_TRY(nb_tensor_new(&r->arena, dtype, &from->shape, &t, err));
    if (nb_tensor_count(&t))
        nb_convert(from->data, NB_F32, t.data, dtype, nb_tensor_count(&t));
    char *const name = nb_arena_printf(&r->arena, "%s.npy", port->name);
    for (char *at = name; at && *at; at++)
        if (*at == '/' || (unsigned char)*at < ' ' || (*at == '.' && at == name))
            *at = '_';
    char *const path = name ? nb_path_join(&r->arena, r->folder, name) : NULL;
    if (!path)
        return nb_fail_memory(err, "a path");
    NB_TRY(nb_npy_write(path, &t, err));
    json_t *const shape = json_array();
    for (int d = 0; d < t.shape.rank; d++)
        json_array_append_new(shape, json_integer(t.shape.dim[d]));
    char text[96];
    nb_job_print(r->job, "%s: %s %s\n", path, nb_dtype_name(dtype),
                 nb_shape_text(&t.shape, text, sizeof text));
    json_array_append_new(
        r->outputs, json_pack("{s:o, s:o, s:o, s:s}", "name", nb_json_text(port->name), "file",
                              nb_json_text(path), "shape", shape, "dtype", nb_dtype_name(dtype)));
    return NB_OK;
}

static NbStatus run_all(Run *r, NbError *err) {
    NbTensor *in = NULL;
    size_t n = 0;
    NB_TRY(nb_job_need(r->job, NB_OPT_model, &r->model, err));
    NB_TRY(nb_job_need(r->job, NB_OPT_out, &r->folder, err));
    if (strcmp(nb_path_suffix(r->model), ".onnx") != 0)
        return nb_fail(NB_ERR_UNSUPPORTED, err, "%s: run reads .onnx models", r->model);
    NB_TRY(nb_onnx_read_file(r->model, &r->arena, &r->onnx, err));
    NB_TRY(read_inputs(r, err));
    NB_TRY(import(r, err));
    NB_TRY(real_inputs(r, &in, &n, err));
    NB_TRY(nb_graph_infer(&r->net.graph, 1, 640, 640, err));
    r->output = NB_NEW(&r->arena, NbTensor, r->net.n_outputs);
    if (!r->output)
        return nb_fail_memory(err, "outputs");
    r->exact = needs_interpreter(r);
    const double start = nb_clock_seconds();
    NB_TRY_IN(r->exact ? interpret(r, in, err) : compute_fast(r, in, n, err), err, "%s", r->model);
    nb_job_put(r->job, "ms", json_real(1e3 * (nb_clock_seconds() - start)));
    nb_job_put(r->job, "engine", json_string(r->exact ? "interpreter" : "float"));
    NB_TRY(nb_folder_make(r->folder, err));
    for (size_t i = 0; i < r->net.n_outputs; i++)
        NB_TRY(write_output(r, i, err));
    return NB_OK;
}

static NbStatus run(NbJob *job, NbError *err) {
    Run r = {.job = job, .outputs = json_array()};
    const NbStatus status = r.outputs ? run_all(&r, err) : nb_fail_memory(err, "results");
    nb_job_put(job, "outputs", r.outputs ? r.outputs : json_null());
    nb_arena_release(&r.arena);
    return status;
}

const NbVerb nb_verb_run = {
    .info = {.name = "run",
             .aliases = "",
             .help = "runs an ONNX model on tensors from .npy files",
             .example = "nibble run model=model.onnx input=x.npy out=outputs",
             .keys = "model input out engine threads isa settings json progress verbose"},
    .run = run};
