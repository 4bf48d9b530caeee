/* SPDX-License-Identifier: Apache-2.0 */
#include "api/export_reference.h"

#include "model/onnx/import.h"
#include "nn/float/float.h"

/* Of 1 + |value|: sums in another order, and with float16 weights of 11 bits. */
static const double tolerance_float = 2e-4;
static const double tolerance_half = 2e-2;

typedef struct Verify {
    NbModel *m;
    const NbOnnxOptions *options;
    NbPool *pool;
    NbArena arena;
    uint8_t *images;
    int count;
    NbExportOutputs expected;
} Verify;

static NB_FALLIBLE import(Verify *v, const char *path, NbBytes file, NbOnnxNet *net, NbError *err) {
    NbOnnxModel onnx;
    const NbOnnxImportOptions options = {.pictures = true,
                                         .batch = v->count,
                                         .height = v->options->height,
                                         .width = v->options->width};
    NB_TRY(nb_onnx_read(path, file, &v->arena, &onnx, err));
    NB_TRY(nb_onnx_import(path, &onnx, &options, &v->arena, net, err));
    if (net->n_inputs != 1 || net->n_outputs != (size_t)v->expected.n)
        return nb_fail(NB_ERR_CHECK, err, "%s: %zu inputs and %zu outputs, expected 1 and %d", path,
                       net->n_inputs, net->n_outputs, v->expected.n);
    return NB_OK;
}

static NB_FALLIBLE compare(const Verify *v, const NbFloatEngine *x, const NbGraph *g,
                           NbExportCount *count, NbError *err) {
    const double tolerance = v->options->half ? tolerance_half : tolerance_float;
    for (int i = 0; i < v->expected.n; i++) {
        const NbShape one = g->node[g->output[i]].shape; /* of one picture */
        const size_t values = nb_shape_count(&one) * (size_t)v->count;
        if (values != nb_tensor_count(&v->expected.tensor[i]))
            return nb_fail(NB_ERR_CHECK, err, "output %d: %zu values, expected %zu", i, values,
                           nb_tensor_count(&v->expected.tensor[i]));
        NB_TRY(nb_export_compare(&v->expected, i, nb_float_output(x, i), tolerance, count, err));
    }
    return NB_OK;
}

static NB_FALLIBLE execute(Verify *v, NbGraph *g, NbExportCount *count, NbError *err) {
    NbFloatOptions options = {.batch = v->count,
                              .height = v->options->height,
                              .width = v->options->width,
                              .plain = true,
                              .pool = v->pool};
    NbFloatEngine *x = NULL;
    NB_TRY(nb_isa_choose(NULL, &options.isa, err));
    NB_TRY(nb_float_new(g, &options, &x, err));
    NbStatus status = nb_float_run(x, v->images, v->count, err);
    if (status == NB_OK)
        status = compare(v, x, g, count, err);
    nb_float_free(x);
    return status;
}

static NB_FALLIBLE verify(Verify *v, const char *path, NbBytes file, NbExportCount *count,
                          NbError *err) {
    const NbOnnxOptions *o = v->options;
    NbOnnxNet net;
    v->images =
        NB_NEW(&v->arena, uint8_t, (size_t)v->count * (size_t)o->height * (size_t)o->width * 3);
    if (!v->images)
        return nb_fail_memory(err, "pictures");
    nb_export_pictures(1, v->count, o->height, o->width, v->images);
    NB_TRY(
        nb_export_reference(v->m, o, v->images, v->count, v->pool, &v->arena, &v->expected, err));
    NB_TRY_IN(import(v, path, file, &net, err), err, "reading back what was made");
    return execute(v, &net.graph, count, err);
}

NbStatus nb_export_verify(NbModel *m, const NbOnnxOptions *options, const char *path, NbBytes file,
                          NbPool *pool, NbExportCount *count, NbError *err) {
    Verify v = {
        .m = m, .options = options, .pool = pool, .count = options->dynamic ? 2 : options->batch};
    const NbStatus status = verify(&v, path, file, count, err);
    nb_arena_release(&v.arena);
    return status;
}
