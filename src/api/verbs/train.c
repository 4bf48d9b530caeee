/* SPDX-License-Identifier: Apache-2.0 */
#include "api/common.h"
#include "api/figures.h"
#include "api/hyper_options.h"
#include "api/run_log.h"
#include "api/runner.h"
#include "api/train_run.h"
#include "api/verbs/verbs.h"

static NbStatus run(NbJob *job, NbError *err) {
    NbTrainRun run = {.job = job};
    NbStatus status = nb_train_run_open(&run, err);
    if (status == NB_OK)
        status = nb_train_run_go(&run, err);
    if (status == NB_OK)
        status = nb_train_run_report(&run, err);
    nb_train_run_close(&run);
    return status;
}

const NbVerb nb_verb_train = {
    .info =
        {.name = "train",
         .aliases = "",
         .help = "trains a detector from a model file, with quantization in the loop",
         .example = "nibble train model=lpyolo.yaml data=data.yaml epochs=80 quantize=w4a4",
         .keys =
             "model cfg data images epochs time batch imgsz fraction quantize hardtanh pretrained "
             "resume seed device "
             "threads workers project name exist_ok settings compat optimizer adam lr0 lrf "
             "momentum weight_decay cos_lr linear_lr warmup_epochs warmup_iters warmup_momentum "
             "warmup_bias_lr "
             "nbs clip_norm quant_lr ema_decay ema_tau box obj cls dfl o2o cls_pw obj_pw anchor_t "
             "fl_gamma label_smoothing hsv_h hsv_s hsv_v degrees translate scale shear "
             "perspective flipud fliplr mosaic mixup close_mosaic multi_scale freeze "
             "single_cls val noval val_period patience save_period save_minutes amp deterministic "
             "autoanchor noautoanchor "
             "calibrate safeguards dampen "
             "cache cache_mb plots json progress verbose"},
    .run = run};
