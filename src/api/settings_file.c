/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of settings: our own, YOLOv5's hyp and opt files, Ultralytics' cfg and args files. */
#include "api/job.h"

#include "base/file.h"
#include "format/yaml.h"

#include <string.h>
#include <strings.h>

/* What happens to a key of the peers that is no setting here. */
typedef enum PeerKey {
    PASS,     /* says nothing about detectors that are trained here */
    SAY_ON,   /* off by default; on, the run goes on without it and says so */
    REFUSE_ON /* off by default; on, the run would be another one */
} PeerKey;

static const struct {
    PeerKey kind;
    const char *keys;
} peer_keys[] = {
    /* quantized-yolov5 reads iou_t and never uses it */
    {PASS, "iou_t task mode save_dir tracker show show_labels show_conf show_boxes vid_stride "
           "stream_buffer visualize augment retina_masks embed keras optimize int8 half dynamic "
           "simplify opset workspace nms format dnn save_frames overlap_mask mask_ratio dropout "
           "pose kobj rle angle auto_augment erasing crop_fraction save_hybrid profile compile "
           "copy_paste_mode end2end boxes nosave bucket local_rank entity upload_dataset "
           "bbox_interval artifact_alias sync_bn noplots ndjson_console ndjson_file cls_remap"},
    {SAY_ON, "copy_paste bgr cutmix anchors cls_pw_auto"},
    {REFUSE_ON, "rect quad image_weights evolve"},
};

static bool is_off(const NbYaml *value) {
    static const char *const off[] = {"0", "false", "no", "off", "none"};
    double number = 1.0;
    if (value->kind != NB_YAML_SCALAR || nb_yaml_is_null(value))
        return value->kind == NB_YAML_SCALAR;
    for (size_t i = 0; i < sizeof off / sizeof *off; i++)
        if (strcasecmp(value->text, off[i]) == 0)
            return true;
    return nb_parse_double(value->text, &number) && number == 0.0;
}

/* *known: it is such a key, and has been dealt with. */
static NbStatus apply_peer_key(NbJob *job, const char *path, const NbYaml *key, const NbYaml *value,
                               bool *known, NbError *err) {
    *known = true;
    for (size_t i = 0; i < sizeof peer_keys / sizeof *peer_keys; i++) {
        if (!nb_has_word(peer_keys[i].keys, key->text))
            continue;
        if (peer_keys[i].kind == PASS || is_off(value))
            return NB_OK;
        if (peer_keys[i].kind == REFUSE_ON)
            return nb_fail(NB_ERR_FORMAT, err, "%s:%d: %s: expected 0, found %s: not in this build",
                           path, key->line, key->text,
                           value->kind == NB_YAML_SCALAR ? value->text : "a list");
        nb_job_say(job, "%s:%d: %s is not in this build: the run goes on without it", path,
                   key->line, key->text);
        return NB_OK;
    }
    *known = false;
    return NB_OK;
}

/* A list of scalars as "0,2,5". NULL: something else is in it, or memory is out. */
static const char *list_text(NbJob *job, const NbYaml *list) {
    const char *text = "";
    for (int i = 0; text && i < list->count; i++) {
        if (list->item[i]->kind != NB_YAML_SCALAR)
            return NULL;
        text = nb_arena_printf(&job->arena, "%s%s%s", text, i ? "," : "", list->item[i]->text);
    }
    return text;
}

/* The text of a value; NULL: it has none. */
static const char *value_text(NbJob *job, const NbYaml *root, const NbYaml *key,
                              const NbYaml *value) {
    if (value->kind == NB_YAML_SCALAR)
        return value->text;
    if (value->kind != NB_YAML_LIST || !nb_has_word("freeze classes", key->text))
        return NULL;
    /* YOLOv5's opt.yaml: one number in brackets is a number of layers */
    const bool layers =
        strcmp(key->text, "freeze") == 0 && !(value->count == 1 && nb_yaml_get(root, "weights"));
    const char *const text = list_text(job, value);
    return text && layers ? nb_arena_printf(&job->arena, "[%s]", text) : text;
}

static NbStatus apply(NbJob *job, const char *path, const NbYaml *root, int i, NbError *err) {
    const NbYaml *const key = root->key[i];
    const NbYaml *const value = root->item[i];
    bool known = false;
    NB_TRY(apply_peer_key(job, path, key, value, &known, err));
    if (known || (nb_yaml_is_null(value) && !value->quoted))
        return NB_OK;
    const char *const text = value_text(job, root, key, value);
    if (!text)
        return nb_fail(NB_ERR_FORMAT, err, "%s:%d:%d: %s: expected one value", path, value->line,
                       value->column, key->text);
    const NbStatus status = nb_job_set_from(job, key->text, text, NB_FROM_SETTINGS, err);
    return status == NB_OK ? NB_OK : nb_fail_in(NB_ERR_FORMAT, err, "%s:%d", path, key->line);
}

static NbStatus read_map(NbJob *job, const char *path, const NbYaml **out, NbError *err) {
    NbBytes bytes;
    NB_TRY(nb_file_read(path, 1U << 20, &job->arena, &bytes, err));
    NB_TRY(nb_yaml_parse(path, bytes, &job->arena, out, err));
    if ((*out)->kind != NB_YAML_MAP)
        return nb_fail(NB_ERR_FORMAT, err, "%s:%d:%d: expected keys and values", path, (*out)->line,
                       (*out)->column);
    return NB_OK;
}

NbStatus nb_job_read_settings(NbJob *job, const char *path, NbError *err) {
    const NbYaml *root = NULL;
    NB_TRY(read_map(job, path, &root, err));
    for (int i = 0; i < root->count; i++)
        NB_TRY(apply(job, path, root, i, err));
    return NB_OK;
}

/* A file of settings has no layers; what is no file may be a model of the zoo. */
static bool is_settings(NbJob *job, const char *path) {
    const NbYaml *root = NULL;
    NbError unused;
    return nb_path_exists(path) && !nb_path_is_folder(path) &&
           read_map(job, path, &root, &unused) == NB_OK && !nb_yaml_get(root, "backbone") &&
           !nb_yaml_get(root, "head");
}

NbStatus nb_job_resolve_cfg(NbJob *job, NbError *err) {
    if (!nb_job_has(job, NB_OPT_cfg))
        return NB_OK;
    const char *const cfg = nb_job_str(job, NB_OPT_cfg);
    if (is_settings(job, cfg))
        return nb_job_read_settings(job, cfg, err);
    const bool trains = nb_has_word(job->verb->info.keys, "pretrained");
    if (nb_job_has(job, NB_OPT_model) && trains && !nb_job_has(job, NB_OPT_pretrained))
        NB_TRY(
            nb_job_set_from(job, "pretrained", nb_job_str(job, NB_OPT_model), NB_FROM_CALLER, err));
    if (!nb_job_has(job, NB_OPT_model) || trains)
        return nb_job_set_from(job, "model", cfg, NB_FROM_CALLER, err);
    return NB_OK;
}
