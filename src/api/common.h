/* SPDX-License-Identifier: Apache-2.0
 *
 * What several verbs do: open the model, open the data, sizes, tables of scores. */
#ifndef NB_API_COMMON_H
#define NB_API_COMMON_H

#include "api/job.h"
#include "data/dataset.h"
#include "model/checkpoint.h"
#include "train/validate.h"

/* A number, or null when it is not finite. */
json_t *nb_json_real(double value);

/* Text of the file system, which need not be UTF-8: bytes that JSON cannot hold are shown as
 * replacement characters. */
json_t *nb_json_text(const char *text);

/* model=: a checkpoint or PyTorch file as it is (with other bits when quantize= is given), or a
 * YAML with start weights of seed=. nc > 0 replaces the class count of a YAML. */
NB_FALLIBLE nb_job_model(NbJob *job, int nc, NbModel *out, NbError *err);
/* The same, and what became of the tensors of the file, in the job's arena. Other classes (nc) than
 * those of a checkpoint are no error then: what fits by name and shape is taken. */
NB_FALLIBLE nb_job_import(NbJob *job, int nc, NbLoadReport *report, NbModel *out, NbError *err);

/* The same for post-training quantization: quantizers hold given steps (model/model.h). */
NB_FALLIBLE nb_job_import_steps(NbJob *job, NbLoadReport *report, NbModel *out, NbError *err);

/* imgsz= rounded up to a multiple of the largest stride (said when it changes); 0 in the checkpoint
 * and no imgsz=: 416, or 640 for heads of YOLOv8 and YOLOv10. */
NB_FALLIBLE nb_job_imgsz(NbJob *job, const NbModel *model, int *out, NbError *err);

/* data=, and one split of it. */
NB_FALLIBLE nb_job_dataset(NbJob *job, NbDataset *out, NbError *err);
NB_FALLIBLE nb_job_samples(NbJob *job, const NbDataset *d, NbSplit split, NbSamples *out,
                           NbError *err);
NB_FALLIBLE nb_job_split(const NbJob *job, NbSplit *out, NbError *err);

/* project=/name= (name: what the verb is called unless given), numbered when it exists. */
NB_FALLIBLE nb_job_run_folder(NbJob *job, const char *name, char **out, NbError *err);

/* {precision, recall, map50, map50_95, per_class[]} and {AP, ...}. */
json_t *nb_json_metrics(const NbYoloScore *score, char *const *names);
json_t *nb_json_coco(const NbCocoScore *score);
void nb_job_print_metrics(NbJob *job, const NbYoloScore *score, char *const *names, int images);
void nb_job_print_coco(NbJob *job, const NbCocoScore *score);

/* Options of a validation from conf=, iou=, ..., by default those of nb_head_options; samples and
 * size still to be set. */
NbValOptions nb_job_val_options(const NbJob *job, const NbModel *model, bool scoring);

#endif
