/* SPDX-License-Identifier: Apache-2.0 */
#include "api/parity.h"
#include "api/common.h"
#include "api/sources.h"
#include "api/verbs/verbs.h"

#include "data/letterbox.h"
#include "format/image.h"

#include <stdlib.h>

enum { AT_ONCE = 16 }; /* pictures interpreted in parallel */

static NbStatus read_picture(const char *path, int side, uint8_t *input, NbError *err) {
    NbArena scratch = {0};
    NbImage image;
    const NbLetterboxOptions how = {.height = side, .width = side};
    NbStatus status = nb_image_read(path, &scratch, &image, err);
    if (status == NB_OK) {
        const NbLetterbox plan = nb_letterbox_plan(image.width, image.height, &how);
        status = nb_letterbox(nb_pixels(image.rgb, image.width, image.height), &plan,
                              nb_pixels(input, side, side), &scratch, err);
    }
    nb_arena_release(&scratch);
    return status;
}

static NbStatus add_pictures(NbJob *job, NbParity *parity, char *const *path, size_t n, int side,
                             NbError *err) {
    const size_t picture = (size_t)side * (size_t)side * 3;
    uint8_t *const input = NB_NEW(&job->arena, uint8_t, AT_ONCE * picture);
    if (!input)
        return nb_fail_memory(err, "the network's input");
    for (size_t at = 0; at < n; at += AT_ONCE) {
        const size_t count = n - at < AT_ONCE ? n - at : AT_ONCE;
        for (size_t i = 0; i < count; i++)
            NB_TRY(read_picture(path[at + i], side, input + i * picture, err));
        NB_TRY(nb_parity_add(parity, input, (int)count, err));
        const NbJobProgress progress = {
            .what = "parity", .done = (long)(at + count), .total = (long)n, .detail = "pictures"};
        if (job->hooks.on_progress)
            job->hooks.on_progress(job->hooks.user, &progress);
        if (nb_job_stopped(job))
            return nb_fail(NB_ERR_STOPPED, err, "stopped after %zu of %zu pictures", at + count, n);
    }
    return NB_OK;
}

/* source=, or the pictures of a split of data=. */
static NbStatus find_pictures(NbJob *job, char ***path, size_t *n, NbError *err) {
    if (nb_job_has(job, NB_OPT_source))
        return nb_find_sources(nb_job_str(job, NB_OPT_source), &job->arena, path, n, err);
    NbDataset dataset;
    NbSamples samples;
    NbSplit split = NB_SPLIT_VAL;
    NB_TRY(nb_job_split(job, &split, err));
    NB_TRY(nb_job_dataset(job, &dataset, err));
    NB_TRY(nb_job_samples(job, &dataset, split, &samples, err));
    *path = NB_NEW(&job->arena, char *, (size_t)samples.n);
    if (!*path)
        return nb_fail_memory(err, "paths");
    for (*n = 0; *n < (size_t)samples.n; (*n)++)
        (*path)[*n] = nb_arena_string(&job->arena, samples.sample[*n].path);
    return NB_OK;
}

static NbStatus report(NbJob *job, const NbParity *parity, NbError *err) {
    int images = 0;
    int64_t wrong = 0;
    const NbParityCount *const counts = nb_parity_counts(parity, &images);
    json_t *const list = json_array();
    for (int i = 0; i < NB_PARITY_REPRESENTATIONS; i++) {
        const NbParityCount *const c = &counts[i];
        wrong += c->mismatches;
        json_t *const first = c->first_tensor
                                  ? json_pack("{s:s, s:i, s:I}", "tensor", c->first_tensor, "image",
                                              c->first_image, "index", (json_int_t)c->first_index)
                                  : json_null();
        json_array_append_new(list,
                              json_pack("{s:s, s:i, s:I, s:I, s:o, s:o}", "name", c->name,
                                        "tensors", c->tensors, "values", (json_int_t)c->values,
                                        "mismatches", (json_int_t)c->mismatches, "max_code_diff",
                                        nb_json_real(c->max_diff), "first", first));
        nb_job_print(job, "%-4s %3d tensors, %lld values, %lld mismatches%s%s\n", c->name,
                     c->tensors, (long long)c->values, (long long)c->mismatches,
                     c->first_tensor ? ", first in " : "", c->first_tensor ? c->first_tensor : "");
    }
    nb_job_put(job, "images", json_integer(images));
    nb_job_put(job, "representations", list);
    if (wrong)
        return nb_fail(NB_ERR_CHECK, err, "%lld values differ from the reference interpreter",
                       (long long)wrong);
    return NB_OK;
}

static NbStatus compare(NbJob *job, NbModel *model, NbError *err) {
    if (!model->bits.quantized)
        return nb_fail(NB_ERR_UNSUPPORTED, err,
                       "the model has no quantizers: there is nothing to compare");
    NbPool *pool = NULL;
    NbIsa isa = NB_ISA_C;
    int side = 0;
    char **path = NULL;
    size_t n = 0;
    NB_TRY(nb_job_pool(job, &pool, err));
    NB_TRY(nb_isa_choose(nb_job_str(job, NB_OPT_isa), &isa, err));
    NB_TRY(nb_job_imgsz(job, model, &side, err));
    NB_TRY(find_pictures(job, &path, &n, err));
    const int limit = nb_job_int(job, NB_OPT_images_limit, 0);
    if (limit > 0 && n > (size_t)limit)
        n = (size_t)limit;
    NbParity *parity = NULL;
    NB_TRY(nb_parity_new(model, side, side, isa, pool, &parity, err));
    NbStatus status = add_pictures(job, parity, path, n, side, err);
    if (status == NB_OK)
        status = report(job, parity, err);
    nb_parity_free(parity);
    return status;
}

static NbStatus run(NbJob *job, NbError *err) {
    NbModel model;
    NB_TRY(nb_job_model(job, 0, &model, err));
    const NbStatus status = compare(job, &model, err);
    nb_model_release(&model);
    return status;
}

const NbVerb nb_verb_parity = {
    .info =
        {.name = "parity",
         .aliases = "",
         .help = "compares every representation of a model, tensor by tensor",
         .example = "nibble parity model=best.safetensors data=data.yaml",
         .keys =
             "model source data images split ids imgsz isa threads images_limit quantize settings "
             "json progress verbose"},
    .run = run};
