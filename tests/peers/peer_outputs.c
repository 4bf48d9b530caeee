/* SPDX-License-Identifier: Apache-2.0
 *
 * usage: peer_outputs CHECKPOINT PICTURE.npy OUT.npy
 *
 * Writes the raw outputs of a one-level model (engine=sim, running statistics) for one picture,
 * uint8 [height, width, 3], as float32 [rows, columns, channels]. */
#include "format/npy.h"
#include "model/checkpoint.h"
#include "nn/executor.h"

#include <stdio.h>

static NB_FALLIBLE run(NbModel *model, const NbTensor *picture, const char *out, NbError *err) {
    const int64_t *const dim = picture->shape.dim;
    if (picture->dtype != NB_U8 || picture->shape.rank != 3 || dim[2] != 3)
        return nb_fail(NB_ERR_ARGUMENT, err, "the picture: expected uint8 [height, width, 3]");
    const NbExecutorOptions options = {
        .batch = 1, .height = (int)dim[0], .width = (int)dim[1], .quantizers = true};
    NbExecutor *x = NULL;
    NB_TRY(nb_executor_new(&model->graph, &options, &x, err));
    NbStatus status = nb_executor_forward(x, picture->data, 1, false, err);
    if (status == NB_OK) {
        const NbShape *const nchw = &model->graph.node[model->graph.output[0]].shape;
        float *const values = (float *)(uintptr_t)nb_executor_output(x, 0);
        const NbTensor t = {.dtype = NB_F32,
                            .shape = {3, {nchw->dim[2], nchw->dim[3], nchw->dim[1]}},
                            .data = values};
        status = nb_npy_write(out, &t, err);
    }
    nb_executor_free(x);
    return status;
}

static NB_FALLIBLE read_and_run(char **path, NbArena *arena, NbError *err) {
    NbTensor picture;
    NbModel model;
    NB_TRY(nb_npy_read_file(path[2], arena, &picture, err));
    NB_TRY(nb_model_read(path[1], NULL, 0, &model, err));
    const NbStatus status = run(&model, &picture, path[3], err);
    nb_model_release(&model);
    return status;
}

int main(int argc, char **argv) {
    NbError err = {0};
    NbArena arena = {0};
    if (argc != 4) {
        fprintf(stderr, "usage: peer_outputs CHECKPOINT PICTURE.npy OUT.npy\n");
        return 2;
    }
    const NbStatus status = read_and_run(argv, &arena, &err);
    if (status != NB_OK)
        fprintf(stderr, "peer_outputs: %s\n", err.message);
    nb_arena_release(&arena);
    return status != NB_OK;
}
