/* SPDX-License-Identifier: Apache-2.0 */
#include "api/common.h"
#include "api/eval_yolo.h"
#include "api/verbs/verbs.h"

#include "eval/voc.h"
#include "eval/widerface.h"
#include "format/coco.h"

#include <string.h>

/* What is scored: detections= against annotations=. */
typedef struct Files {
    const char *detections, *annotations;
} Files;

static void put_counts(NbJob *job, size_t images, size_t labels, size_t detections) {
    nb_job_put(job, "images", json_integer((json_int_t)images));
    nb_job_put(job, "annotations", json_integer((json_int_t)labels));
    nb_job_put(job, "detections", json_integer((json_int_t)detections));
    nb_job_print(job, "%zu pictures, %zu boxes, %zu detections\n", images, labels, detections);
}

static NbStatus score_coco(NbJob *job, const Files *files, NbError *err) {
    NbCocoSet set;
    NbCocoDetection *found = NULL;
    size_t n = 0;
    NbCocoScore score;
    NB_TRY(nb_coco_read_file(files->annotations, &job->arena, &set, err));
    NB_TRY(nb_coco_results_read_file(files->detections, &set, &job->arena, &found, &n, err));
    NB_TRY(nb_coco_score(set.image_id, set.n_images, set.category_id, set.n_categories, set.truth,
                         set.n_truth, found, n, &job->arena, &score, err));
    put_counts(job, set.n_images, set.n_truth, n);
    nb_job_put(job, "coco", nb_json_coco(&score));
    nb_job_print_coco(job, &score);
    return NB_OK;
}

static void put_voc(NbJob *job, const NbVocSet *set, const NbVocScore *score, double iou) {
    json_t *const classes = json_array();
    for (int c = 0; c < set->nc; c++) {
        const NbVocClass *const k = &score->per_class[c];
        (void)json_array_append_new(
            classes, json_pack("{s:s, s:f, s:I, s:I, s:I}", "name", set->class_name[c], "ap", k->ap,
                               "labels", (json_int_t)k->labels, "found", (json_int_t)k->found,
                               "wrong", (json_int_t)k->wrong));
        nb_job_print(job, "%-20s %8.4f  %lld labels, %lld found, %lld wrong\n", set->class_name[c],
                     k->ap, (long long)k->labels, (long long)k->found, (long long)k->wrong);
    }
    nb_job_put(job, "voc",
               json_pack("{s:f, s:f, s:o}", "map", score->map, "iou", iou, "per_class", classes));
    nb_job_print(job, "%-20s %8.4f  at IoU %g\n", "mAP", score->map, iou);
}

static NbStatus score_voc(NbJob *job, const Files *files, NbError *err) {
    NbVocSet set;
    NbVocScore score;
    const NbVocOptions options = {.iou = nb_job_real(job, NB_OPT_iou, 0.5)};
    if (!(options.iou > 0.0))
        return nb_fail(NB_ERR_ARGUMENT, err, "iou: expected more than 0, found %g", options.iou);
    NB_TRY(nb_voc_read_folders(files->annotations, files->detections, &job->arena, &set, err));
    NB_TRY(nb_voc_score(set.image, set.n_images, set.nc, &options, &job->arena, &score, err));
    size_t labels = 0;
    size_t detections = 0;
    for (size_t i = 0; i < set.n_images; i++) {
        labels += set.image[i].n_labels;
        detections += set.image[i].n_detections;
    }
    put_counts(job, set.n_images, labels, detections);
    put_voc(job, &set, &score, options.iou);
    return NB_OK;
}

static NbStatus score_widerface(NbJob *job, const Files *files, NbError *err) {
    NbFaceSet set;
    NbFaceScore score;
    NB_TRY(nb_widerface_read_truth(files->annotations, &job->arena, &set, err));
    NB_TRY(nb_widerface_read_detections(files->detections, &job->arena, &set, err));
    NB_TRY(nb_widerface_score(&set, &job->arena, &score, err));
    size_t faces = 0;
    size_t detections = 0;
    for (size_t i = 0; i < set.n_images; i++) {
        faces += set.image[i].n_faces;
        detections += set.image[i].n_found;
    }
    put_counts(job, set.n_images, faces, detections);
    json_t *const ap = json_object();
    json_t *const counted = json_object();
    for (int i = 0; i < NB_FACE_LEVELS; i++) {
        const char *const name = nb_face_level_names[i];
        (void)json_object_set_new(ap, name, json_real(score.ap[i]));
        (void)json_object_set_new(counted, name, json_integer((json_int_t)score.faces[i]));
        nb_job_print(job, "%-8s %8.4f  %lld faces\n", name, score.ap[i], (long long)score.faces[i]);
    }
    nb_job_put(job, "widerface", ap);
    nb_job_put(job, "faces", counted);
    nb_job_put(job, "missing", json_integer((json_int_t)set.n_missing));
    if (set.n_missing)
        nb_job_say(job, "%zu of %zu pictures have no file of detections and count as such without",
                   set.n_missing, set.n_images);
    return NB_OK;
}

static NbStatus score_yolo(NbJob *job, const Files *files, NbError *err) {
    return nb_job_eval_yolo(job, files->detections, files->annotations, err);
}

static NbStatus run(NbJob *job, NbError *err) {
    static const struct {
        const char *protocol;
        NbStatus (*score)(NbJob *job, const Files *files, NbError *err);
    } rows[] = {{"coco", score_coco},
                {"voc", score_voc},
                {"widerface", score_widerface},
                {"yolo", score_yolo}};
    const char *const protocol = nb_job_str(job, NB_OPT_protocol);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].protocol, protocol) == 0) {
            Files files;
            NB_TRY(nb_job_need(job, NB_OPT_detections, &files.detections, err));
            NB_TRY(nb_job_need(job, NB_OPT_annotations, &files.annotations, err));
            return rows[i].score(job, &files, err);
        }
    return nb_fail(NB_ERR_ARGUMENT, err,
                   "protocol: expected coco, yolo, voc or widerface, found '%s'", protocol);
}

const NbVerb nb_verb_eval = {
    .info = {.name = "eval",
             .aliases = "",
             .help = "scores detections in files",
             .example = "nibble eval detections=predictions.json annotations=instances.json",
             .keys = "detections annotations protocol iou split ids images_limit single_cls compat "
                     "threads settings json progress verbose"},
    .run = run};
