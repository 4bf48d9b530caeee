/* SPDX-License-Identifier: Apache-2.0 */
#include "api/common.h"
#include "api/verbs/verbs.h"

#include "eval/coco_json.h"

#include <string.h>

static NbStatus run(NbJob *job, NbError *err) {
    const char *detections = NULL;
    const char *annotations = NULL;
    const char *const protocol = nb_job_str(job, NB_OPT_protocol);
    if (strcmp(protocol, "coco") != 0) {
        const bool known = strcmp(protocol, "yolo") == 0 || strcmp(protocol, "voc") == 0 ||
                           strcmp(protocol, "widerface") == 0;
        return nb_fail(known ? NB_ERR_UNSUPPORTED : NB_ERR_ARGUMENT, err,
                       known ? "protocol %s is not in this build"
                             : "protocol: expected coco, found '%s'",
                       protocol);
    }
    NB_TRY(nb_job_need(job, NB_OPT_detections, &detections, err));
    NB_TRY(nb_job_need(job, NB_OPT_annotations, &annotations, err));
    NbCocoSet set;
    NbCocoDetection *found = NULL;
    size_t n = 0;
    NbCocoScore score;
    NB_TRY(nb_coco_read_file(annotations, &job->arena, &set, err));
    NB_TRY(nb_coco_results_read_file(detections, &set, &job->arena, &found, &n, err));
    NB_TRY(nb_coco_score(set.image_id, set.n_images, set.category_id, set.n_categories, set.truth,
                         set.n_truth, found, n, &job->arena, &score, err));
    nb_job_put(job, "images", json_integer((json_int_t)set.n_images));
    nb_job_put(job, "annotations", json_integer((json_int_t)set.n_truth));
    nb_job_put(job, "detections", json_integer((json_int_t)n));
    nb_job_put(job, "coco", nb_json_coco(&score));
    nb_job_print(job, "%zu pictures, %zu boxes, %zu detections\n", set.n_images, set.n_truth, n);
    nb_job_print_coco(job, &score);
    return NB_OK;
}

const NbVerb nb_verb_eval = {
    .info = {.name = "eval",
             .aliases = "",
             .help = "scores a file of detections",
             .example = "nibble eval detections=predictions.json annotations=instances.json",
             .keys = "detections annotations protocol settings json progress verbose"},
    .run = run};
