/* SPDX-License-Identifier: Apache-2.0 */
#include "api/hyper_options.h"

#include "train/recipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct Place {
    NbOptionId id;
    size_t at; /* in NbHyper */
} Place;

#define PLACE(name, member)                                                                        \
    { NB_OPT_##name, offsetof(NbHyper, member) }

static const Place reals[] = {
    PLACE(lr0, lr0),
    PLACE(lrf, lrf),
    PLACE(momentum, momentum),
    PLACE(weight_decay, weight_decay),
    PLACE(warmup_epochs, warmup_epochs),
    PLACE(warmup_momentum, warmup_momentum),
    PLACE(warmup_bias_lr, warmup_bias_lr),
    PLACE(clip_norm, clip_norm),
    PLACE(quant_lr, quant_lr),
    PLACE(ema_decay, ema_decay),
    PLACE(ema_tau, ema_tau),
    PLACE(box, box),
    PLACE(obj, obj),
    PLACE(cls, cls),
    PLACE(dfl, dfl),
    PLACE(cls_pw, cls_pw),
    PLACE(obj_pw, obj_pw),
    PLACE(anchor_t, anchor_t),
    PLACE(fl_gamma, fl_gamma),
    PLACE(label_smoothing, label_smoothing),
    PLACE(hsv_h, augment.hsv_h),
    PLACE(hsv_s, augment.hsv_s),
    PLACE(hsv_v, augment.hsv_v),
    PLACE(degrees, augment.degrees),
    PLACE(translate, augment.translate),
    PLACE(scale, augment.scale),
    PLACE(shear, augment.shear),
    PLACE(perspective, augment.perspective),
    PLACE(flipud, augment.flipud),
    PLACE(fliplr, augment.fliplr),
    PLACE(mosaic, augment.mosaic),
    PLACE(mixup, augment.mixup),
    PLACE(calibrate, calibrate),
    PLACE(dampen, dampen),
    PLACE(time, hours),
};

static const Place ints[] = {
    PLACE(epochs, epochs),
    PLACE(batch, batch),
    PLACE(nbs, nbs),
    PLACE(warmup_iters, warmup_min),
    PLACE(close_mosaic, close_mosaic),
    PLACE(patience, patience),
    PLACE(save_period, save_period),
    PLACE(val_period, val_period),
};

/* adam=1 is how quantized-yolov5 asks for Adam. */
static const char *asked_optimizer(const NbJob *job) {
    return nb_job_bool(job, NB_OPT_adam, false) ? nb_optimizer_names[NB_ADAM]
                                                : nb_job_str(job, NB_OPT_optimizer);
}

static bool is_auto(const NbJob *job) { return strcasecmp(asked_optimizer(job), "auto") == 0; }

/* Rates of Adam make no sense for the others; Ultralytics has one set for all. */
static void rates_for(NbHyper *h) {
    const NbHyper sgd = nb_hyper_default(true);
    if (h->recipe == NB_RECIPE_ULTRALYTICS)
        return;
    if (h->optimizer == NB_SGD) {
        h->lr0 = sgd.lr0;
        h->lrf = sgd.lrf;
        h->momentum = sgd.momentum;
        h->weight_decay = sgd.weight_decay;
        h->warmup_bias_lr = sgd.warmup_bias_lr;
    } else if (h->optimizer >= NB_NADAM && h->recipe == NB_RECIPE_NIBBLE) {
        h->weight_decay = sgd.weight_decay; /* it is part of the gradient */
        h->lr0 = h->optimizer == NB_RMSPROP ? h->lr0 * (1.0 - h->momentum) : h->lr0;
    }
}

static NbStatus choose_optimizer(const NbJob *job, NbHyper *h, NbError *err) {
    const char *const name = asked_optimizer(job);
    if (is_auto(job))
        return NB_OK;
    for (int i = 0; i < NB_OPTIMIZER_COUNT; i++) {
        if (strcasecmp(name, nb_optimizer_names[i]) != 0)
            continue;
        h->optimizer = (NbOptimizerKind)i;
        rates_for(h);
        return NB_OK;
    }
    return nb_fail(NB_ERR_ARGUMENT, err,
                   "optimizer: expected auto, SGD, Adam, AdamW, NAdam, RAdam, RMSProp or Adamax, "
                   "found '%s'",
                   name);
}

static NbStatus keep_real(NbJob *job, const char *key, double value, NbError *err) {
    char text[40];
    (void)snprintf(text, sizeof text, "%.15g", value);
    if (strtod(text, NULL) != value) /* the short form names another number */
        (void)snprintf(text, sizeof text, "%.17g", value);
    return nb_job_set_from(job, key, text, NB_FROM_CALLER, err);
}

static NbStatus decide_optimizer(NbJob *job, int nc, int pictures, NbHyper *h, NbError *err) {
    const bool ignored = nb_job_has(job, NB_OPT_lr0) || nb_job_has(job, NB_OPT_momentum);
    nb_recipe_auto(h, nc, pictures);
    nb_job_say(job, "optimizer: %s with lr0=%g and momentum=%g%s", nb_optimizer_names[h->optimizer],
               h->lr0, h->momentum,
               ignored ? "; with optimizer=auto lr0= and momentum= do not count" : "");
    NB_TRY(
        nb_job_set_from(job, "optimizer", nb_optimizer_names[h->optimizer], NB_FROM_CALLER, err));
    NB_TRY(keep_real(job, "lr0", h->lr0, err));
    NB_TRY(keep_real(job, "momentum", h->momentum, err));
    return keep_real(job, "warmup_bias_lr", h->warmup_bias_lr, err);
}

static NbHyper defaults(const NbJob *job, const NbModel *model) {
    if (model->head.kind != NB_HEAD_YOLOV5)
        return nb_hyper_ultralytics();
    return nb_hyper_default(nb_job_has(job, NB_OPT_compat));
}

/* What the settings say, over the defaults in h; checked. */
static NbStatus read_settings(const NbJob *job, NbHyper *h, NbError *err) {
    NB_TRY(choose_optimizer(job, h, err));
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        double *const value = (double *)((char *)h + reals[i].at);
        *value = nb_job_real(job, reals[i].id, *value);
    }
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++) {
        int *const value = (int *)((char *)h + ints[i].at);
        *value = nb_job_int(job, ints[i].id, *value);
    }
    if (h->batch == -1)
        h->batch = 16;
    if (nb_job_has(job, NB_OPT_safeguards))
        NB_TRY(nb_safeguards_parse(nb_job_str(job, NB_OPT_safeguards), &h->guard, err));
    NB_TRY(nb_layers_parse(nb_job_str(job, NB_OPT_freeze), &h->freeze, err));
    if (strcmp(nb_job_str(job, NB_OPT_o2o), "weighted") == 0)
        h->o2o = NB_O2O_WEIGHTED;
    h->seed = (uint64_t)nb_job_int(job, NB_OPT_seed, 0);
    h->cos_lr =
        nb_job_bool(job, NB_OPT_cos_lr, h->cos_lr) && !nb_job_bool(job, NB_OPT_linear_lr, false);
    h->val = nb_job_bool(job, NB_OPT_val, true) && !nb_job_bool(job, NB_OPT_noval, false);
    h->multi_scale = nb_job_bool(job, NB_OPT_multi_scale, false);
    h->single_cls = nb_job_bool(job, NB_OPT_single_cls, false);
    h->autoanchor = nb_job_bool(job, NB_OPT_autoanchor, h->autoanchor) &&
                    !nb_job_bool(job, NB_OPT_noautoanchor, false);
    return nb_hyper_check(h, err);
}

NbStatus nb_job_check_hyper(const NbJob *job, NbError *err) {
    NbHyper h = nb_hyper_default(false);
    return read_settings(job, &h, err);
}

NbStatus nb_job_hyper(NbJob *job, const NbModel *model, int pictures, NbHyper *out, NbError *err) {
    NbHyper h = defaults(job, model);
    if (nb_job_has(job, NB_OPT_compat) && model->head.kind != NB_HEAD_YOLOV5)
        return nb_fail(NB_ERR_ARGUMENT, err, "compat: %s has no heads of %s",
                       nb_job_str(job, NB_OPT_compat), nb_head_name(model->head.kind));
    NB_TRY(read_settings(job, &h, err));
    if (h.recipe == NB_RECIPE_ULTRALYTICS && is_auto(job))
        NB_TRY(decide_optimizer(job, model->head.nc, pictures, &h, err));
    *out = h;
    return NB_OK;
}
