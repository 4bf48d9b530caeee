/* SPDX-License-Identifier: Apache-2.0 */
#include "api/common.h"
#include "api/load_report.h"
#include "api/verbs/verbs.h"

#include "base/file.h"

#include <string.h>

/* out=, or the name of the model with another suffix beside it. */
static NbStatus target(NbJob *job, const char **out, NbError *err) {
    const char *path = NULL;
    NB_TRY(nb_job_need(job, NB_OPT_model, &path, err));
    const char *const folder = nb_path_folder(&job->arena, path);
    const char *const stem = nb_path_stem(&job->arena, path);
    *out = nb_job_str(job, NB_OPT_out);
    if (!**out && folder && stem)
        *out =
            nb_path_join(&job->arena, folder, nb_arena_printf(&job->arena, "%s.safetensors", stem));
    if (!folder || !stem || !*out)
        return nb_fail_memory(err, "path");
    if (strcmp(nb_path_suffix(*out), ".safetensors") != 0)
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "out: expected a name that ends in .safetensors, "
                       "found '%s'",
                       *out);
    if (strcmp(*out, path) == 0)
        return nb_fail(NB_ERR_ARGUMENT, err, "out: expected another file than the model '%s'",
                       path);
    return NB_OK;
}

static void report(NbJob *job, const char *out, int64_t params, const NbModel *m,
                   const NbLoadReport *r) {
    int counters = 0; /* of batches, in every norm: nothing here uses them */
    for (int i = 0; i < r->n_extra; i++) {
        static const char tail[] = ".num_batches_tracked";
        const size_t n = strlen(r->extra[i]);
        const bool counter =
            n >= sizeof tail - 1 && strcmp(r->extra[i] + n - (sizeof tail - 1), tail) == 0;
        counters += counter;
        if (!counter)
            nb_job_print(job, "skipped %s\n", r->extra[i]);
    }
    nb_job_print(job,
                 "%s: %lld parameters, %d classes; %d tensors skipped, %d of them batch "
                 "counters\n",
                 out, (long long)params, m->head.nc, r->n_extra, counters);
    nb_job_put(job, "out", json_string(out));
    nb_job_put(job, "params", json_integer(params));
    nb_job_put(job, "classes", json_integer(m->head.nc));
    nb_job_put_load(job, r);
}

static NbStatus run(NbJob *job, NbError *err) {
    const char *out = NULL;
    NbModel model;
    NbLoadReport loaded;
    NbModelCost cost;
    NB_TRY(target(job, &out, err));
    NB_TRY(nb_job_import(job, 0, &loaded, &model, err));
    NbStatus status = nb_model_cost(&model, 256, 256, &cost, err);
    if (status == NB_OK)
        status = nb_model_write(out, &model, err);
    if (status == NB_OK)
        report(job, out, cost.params, &model, &loaded);
    nb_model_release(&model);
    return status;
}

const NbVerb nb_verb_import = {
    .info = {.name = "import",
             .aliases = "",
             .help = "writes any readable model as a checkpoint",
             .example = "nibble import model=yolov5n.pt out=yolov5n.safetensors",
             .keys = "model out quantize hardtanh compat seed settings json progress verbose"},
    .run = run};
