/* SPDX-License-Identifier: Apache-2.0
 *
 * usage: peer_export random MODEL SEED OUT.safetensors
 *        peer_export pictures SEED COUNT SIDE OUT.npy
 *        peer_export outputs MODEL PICTURES.npy FORM FOLDER
 *        peer_export again OPSET IN.onnx OUT.onnx
 *
 * For comparing exported files with ONNX Runtime: a model whose weights, norms and biases are drawn
 * so that every layer says something; pictures uint8 [count, side, side, 3]; and the outputs that a
 * file of the model must have (api/export_reference.h) as FOLDER/output0.npy, ... FORM: detect,
 * boxes, logits, levels. `again` writes the graph of a file anew; it exits with 4 where the file
 * has something that is not imported or not written. */
#include "api/export_reference.h"
#include "base/random.h"
#include "format/npy.h"
#include "model/checkpoint.h"
#include "model/onnx/import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void spread(NbNode *node, NbRandom *r) {
    float *const x = nb_f32(&node->param);
    const size_t n = nb_tensor_count(&node->param);
    for (size_t i = 0; i < n; i++)
        switch (node->attr.param.role) {
        case NB_PARAM_WEIGHT: x[i] *= 1.7F; break;
        case NB_PARAM_GAMMA: x[i] = (float)nb_random_range(r, 0.5, 1.5); break;
        case NB_PARAM_VAR: x[i] = (float)nb_random_range(r, 0.3, 1.5); break;
        case NB_PARAM_BIAS:
        case NB_PARAM_BETA:
        case NB_PARAM_MEAN: x[i] = (float)nb_random_range(r, -0.5, 0.5); break;
        case NB_PARAM_QUANT:
        case NB_PARAM_CONST: break;
        }
}

static NB_FALLIBLE make_model(char **argument, NbError *err) {
    NbModel m;
    const uint64_t seed = strtoull(argument[1], NULL, 10);
    NbRandom r = nb_random(seed, NB_RANDOM_TEST, 7, 0);
    NB_TRY(nb_model_read(argument[0], NULL, seed, &m, err));
    for (NbNodeId id = 0; id < m.graph.n_nodes; id++)
        if (m.graph.node[id].op == NB_OP_PARAM && m.graph.node[id].param.dtype == NB_F32)
            spread(&m.graph.node[id], &r);
    const NbStatus status = nb_model_write(argument[2], &m, err);
    nb_model_release(&m);
    return status;
}

static NB_FALLIBLE make_pictures(char **argument, NbArena *arena, NbError *err) {
    const int count = (int)strtol(argument[1], NULL, 10);
    const int side = (int)strtol(argument[2], NULL, 10);
    NbTensor t;
    const NbShape shape = nb_shape(4, (const int64_t[]){count, side, side, 3});
    NB_TRY(nb_tensor_new(arena, NB_U8, &shape, &t, err));
    nb_export_pictures(strtoull(argument[0], NULL, 10), count, side, side, t.data);
    return nb_npy_write(argument[3], &t, err);
}

static NB_FALLIBLE form_of(const char *text, NbOnnxForm *form, NbError *err) {
    static const char *const names[] = {"detect", "boxes", "logits", "levels"};
    for (int i = 0; i < 4; i++)
        if (strcmp(names[i], text) == 0) {
            *form = (NbOnnxForm)i;
            return NB_OK;
        }
    return nb_fail(NB_ERR_ARGUMENT, err, "no form '%s'", text);
}

static NB_FALLIBLE write_outputs(char **argument, NbArena *arena, NbError *err) {
    NbTensor pictures;
    NbModel m;
    NbOnnxOptions options = {.opset = 17, .max_det = 300};
    NbExportOutputs outputs;
    NB_TRY(form_of(argument[2], &options.form, err));
    NB_TRY(nb_npy_read_file(argument[1], arena, &pictures, err));
    if (pictures.dtype != NB_U8 || pictures.shape.rank != 4)
        return nb_fail(NB_ERR_ARGUMENT, err, "pictures: expected uint8 [n, height, width, 3]");
    options.height = (int)pictures.shape.dim[1];
    options.width = (int)pictures.shape.dim[2];
    NB_TRY(nb_model_read(argument[0], NULL, 0, &m, err));
    NbStatus status = nb_export_reference(&m, &options, pictures.data, (int)pictures.shape.dim[0],
                                          NULL, arena, &outputs, err);
    for (int i = 0; status == NB_OK && i < outputs.n; i++) {
        const char *const path = nb_arena_printf(arena, "%s/output%d.npy", argument[3], i);
        status = path ? nb_npy_write(path, &outputs.tensor[i], err) : nb_fail_memory(err, "path");
    }
    nb_model_release(&m);
    return status;
}

static NB_FALLIBLE write_again(char **argument, NbArena *arena, NbError *err) {
    NbOnnxModel m;
    NbOnnxNet net;
    const NbOnnxImportOptions import = {0};
    const NbOnnxOptions export = {
        .opset = (int)strtol(argument[0], NULL, 10), .batch = 1, .version = "0"};
    NB_TRY(nb_onnx_read_file(argument[1], arena, &m, err));
    NB_TRY(nb_onnx_import(argument[1], &m, &import, arena, &net, err));
    NB_TRY(nb_graph_infer(&net.graph, 1, 640, 640, err));
    NB_TRY(nb_onnx_export(&net.graph, NULL, &export, arena, &m, err));
    return nb_onnx_write(&m, argument[2], err);
}

int main(int argc, char **argv) {
    NbError err = {0};
    NbArena arena = {0};
    NbStatus status = NB_ERR_ARGUMENT;
    if (argc == 5 && strcmp(argv[1], "random") == 0)
        status = make_model(argv + 2, &err);
    else if (argc == 6 && strcmp(argv[1], "pictures") == 0)
        status = make_pictures(argv + 2, &arena, &err);
    else if (argc == 6 && strcmp(argv[1], "outputs") == 0)
        status = write_outputs(argv + 2, &arena, &err);
    else if (argc == 5 && strcmp(argv[1], "again") == 0)
        status = write_again(argv + 2, &arena, &err);
    else
        nb_note(&err, "the head of peer_export.c says how it is used");
    if (status != NB_OK)
        fprintf(stderr, "peer_export: %s\n", err.message);
    nb_arena_release(&arena);
    return status == NB_ERR_UNSUPPORTED ? 4 : status != NB_OK;
}
