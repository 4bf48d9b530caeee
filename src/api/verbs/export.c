/* SPDX-License-Identifier: Apache-2.0 */
#include "api/common.h"
#include "api/export_reference.h"
#include "api/verbs/verbs.h"

#include "base/file.h"
#include "lower/float/fold.h"
#include "model/onnx/export.h"
#include "nibble/nibble.h"

#include <string.h>
#include <strings.h>

/* out=, or the name of the model with the suffix .onnx beside it. */
static NbStatus target(NbJob *job, const char **out, NbError *err) {
    const char *path = NULL;
    NB_TRY(nb_job_need(job, NB_OPT_model, &path, err));
    const char *const folder = nb_path_folder(&job->arena, path);
    const char *const stem = nb_path_stem(&job->arena, path);
    *out = nb_job_str(job, NB_OPT_out);
    if (!**out && folder && stem)
        *out = nb_path_join(&job->arena, folder, nb_arena_printf(&job->arena, "%s.onnx", stem));
    if (!folder || !stem || !*out)
        return nb_fail_memory(err, "path");
    if (strcmp(nb_path_suffix(*out), ".onnx") != 0)
        return nb_fail(NB_ERR_ARGUMENT, err, "out: expected a name that ends in .onnx, found '%s'",
                       *out);
    if (strcmp(*out, path) == 0)
        return nb_fail(NB_ERR_ARGUMENT, err, "out: expected another file than the model '%s'",
                       path);
    return NB_OK;
}

/* raw=: what the outputs are. YOLOv5's raw outputs are its levels. */
static NbStatus read_form(const NbJob *job, const NbHead *head, NbOnnxForm *out, NbError *err) {
    static const struct {
        const char *text;
        NbOnnxForm form;
    } rows[] = {{"", NB_ONNX_DETECT},       {"0", NB_ONNX_DETECT},   {"false", NB_ONNX_DETECT},
                {"1", NB_ONNX_BOXES},       {"true", NB_ONNX_BOXES}, {"boxes", NB_ONNX_BOXES},
                {"logits", NB_ONNX_LOGITS}, {"144", NB_ONNX_LOGITS}, {"levels", NB_ONNX_LEVELS}};
    const char *const text = nb_job_str(job, NB_OPT_raw);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcasecmp(text, rows[i].text) == 0) {
            *out = rows[i].form;
            if (*out == NB_ONNX_BOXES && head->kind == NB_HEAD_YOLOV5)
                *out = NB_ONNX_LEVELS;
            return NB_OK;
        }
    return nb_fail(NB_ERR_ARGUMENT, err, "raw: expected 1, boxes, logits or levels, found '%s'",
                   text);
}

static NbStatus check_format(const NbJob *job, NbError *err) {
    const char *const format = nb_job_str(job, NB_OPT_format);
    if (!*format || strcmp(format, "onnx") == 0)
        return NB_OK;
    return nb_fail(NB_ERR_UNSUPPORTED, err, "format: this build writes onnx, found '%s'", format);
}

static NbStatus read_options(NbJob *job, const NbModel *m, NbOnnxOptions *o, NbError *err) {
    const char *const stem = nb_path_stem(&job->arena, nb_job_str(job, NB_OPT_model));
    int side = 0;
    NB_TRY(nb_job_imgsz(job, m, &side, err));
    *o = (NbOnnxOptions){.opset = nb_job_int(job, NB_OPT_opset, 17),
                         .half = nb_job_bool(job, NB_OPT_half, false),
                         .dynamic = nb_job_bool(job, NB_OPT_dynamic, false),
                         .batch = job->setting[NB_OPT_batch].origin == NB_FROM_DEFAULT
                                      ? 1
                                      : nb_job_int(job, NB_OPT_batch, 1),
                         .height = side,
                         .width = side,
                         .max_det = nb_job_int(job, NB_OPT_max_det, 300),
                         .version = nb_version(),
                         .class_names = m->names};
    NB_TRY(read_form(job, &m->head, &o->form, err));
    if (o->batch < 1 || o->batch > 4096)
        return nb_fail(NB_ERR_ARGUMENT, err, "batch: expected 1 to 4096, found %d", o->batch);
    o->description = stem ? nb_arena_printf(&job->arena, "%s, exported by nibble", stem) : NULL;
    return o->description ? NB_OK : nb_fail_memory(err, "description");
}

/* The outputs that inference reads, folded and inferred. */
static NbStatus fold(NbModel *m, const NbOnnxOptions *o, NbArena *arena, NbGraph *out,
                     NbError *err) {
    NbGraph view = m->graph;
    view.output += nb_head_first(&m->head);
    view.n_outputs = m->head.levels;
    NB_TRY(nb_fold(&view, arena, out, err));
    return nb_graph_infer(out, o->dynamic ? 1 : o->batch, o->height, o->width, err);
}

/* Nothing is written when the file does not compute what the model computes. */
static NbStatus verify(NbJob *job, NbModel *m, const NbOnnxOptions *o, const char *path,
                       NbBytes file, NbError *err) {
    NbExportCount count = {0};
    NbPool *pool = NULL;
    NB_TRY(nb_job_pool(job, &pool, err));
    NB_TRY(nb_export_verify(m, o, path, file, pool, &count, err));
    nb_job_put(job, "verified",
               json_pack("{s:I, s:I, s:o}", "values", (json_int_t)count.values, "mismatches",
                         (json_int_t)count.mismatches, "max_abs", nb_json_real(count.max_abs)));
    nb_job_print(job, "executed: %lld values, %lld differ, largest difference %.2g\n",
                 (long long)count.values, (long long)count.mismatches, count.max_abs);
    if (count.mismatches == 0 && count.values > 0)
        return NB_OK;
    return nb_fail(NB_ERR_CHECK, err,
                   "%s: %lld of %lld values differ from the model's (by up to %g): not written",
                   path, (long long)count.mismatches, (long long)count.values, count.max_abs);
}

static NbStatus write_onnx(NbJob *job, NbModel *m, const char *path, NbArena *arena, NbError *err) {
    NbOnnxOptions options;
    NbGraph graph;
    NbOnnxModel onnx;
    NbBytes bytes;
    NB_TRY(read_options(job, m, &options, err));
    NB_TRY(fold(m, &options, arena, &graph, err));
    NB_TRY(nb_onnx_export(&graph, &m->head, &options, arena, &onnx, err));
    NB_TRY(nb_onnx_pack(&onnx, arena, &bytes, err));
    NB_TRY(verify(job, m, &options, path, bytes, err));
    NB_TRY(nb_file_write(path, bytes.data, bytes.size, err));
    nb_job_put(job, "opset", json_integer(options.opset));
    nb_job_put(job, "bytes", json_integer((json_int_t)bytes.size));
    nb_job_put(job, "nodes", json_integer((json_int_t)onnx.graph.n_nodes));
    nb_job_print(job, "%s: %zu nodes, opset %d, %.1f MB\n", path, onnx.graph.n_nodes, options.opset,
                 (double)bytes.size / 1e6);
    return NB_OK;
}

static NbStatus run(NbJob *job, NbError *err) {
    const char *out = NULL;
    NbModel model;
    NbArena arena = {0};
    NB_TRY(check_format(job, err));
    NB_TRY(target(job, &out, err));
    NB_TRY(nb_job_model(job, 0, &model, err));
    const NbStatus status = write_onnx(job, &model, out, &arena, err);
    nb_arena_release(&arena);
    nb_model_release(&model);
    nb_job_put(job, "out", nb_json_text(out));
    nb_job_put(job, "format", json_string("onnx"));
    return status;
}

const NbVerb nb_verb_export = {
    .info = {.name = "export",
             .aliases = "",
             .help = "writes a model as ONNX that other programs run",
             .example = "nibble export model=yolov5n.pt format=onnx imgsz=640",
             .keys =
                 "model format out opset imgsz batch dynamic half raw max_det simplify quantize "
                 "hardtanh compat seed settings json progress verbose"},
    .run = run};
