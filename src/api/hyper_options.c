/* SPDX-License-Identifier: Apache-2.0 */
#include "api/hyper_options.h"

#include <string.h>
#include <strings.h>

static NbStatus choose_optimizer(const NbJob *job, NbHyper *h, NbError *err) {
    static const char *const names[] = {"SGD", "Adam", "AdamW"};
    const char *const name = nb_job_str(job, NB_OPT_optimizer);
    if (strcasecmp(name, "auto") == 0)
        return NB_OK;
    for (int i = 0; i < 3; i++) {
        if (strcasecmp(name, names[i]) != 0)
            continue;
        h->optimizer = (NbOptimizerKind)i;
        if (h->optimizer == NB_SGD) { /* rates of Adam make no sense for it */
            const NbHyper sgd = nb_hyper_default(true);
            h->lr0 = sgd.lr0;
            h->lrf = sgd.lrf;
            h->momentum = sgd.momentum;
            h->weight_decay = sgd.weight_decay;
            h->warmup_bias_lr = sgd.warmup_bias_lr;
        }
        return NB_OK;
    }
    return nb_fail(NB_ERR_ARGUMENT, err, "optimizer: expected auto, SGD, Adam or AdamW, found '%s'",
                   name);
}

NbStatus nb_job_hyper(const NbJob *job, NbHyper *out, NbError *err) {
    NbHyper h = nb_hyper_default(nb_job_has(job, NB_OPT_compat));
    NB_TRY(choose_optimizer(job, &h, err));
    const struct {
        NbOptionId id;
        double *value;
    } reals[] = {
        {NB_OPT_lr0, &h.lr0},
        {NB_OPT_lrf, &h.lrf},
        {NB_OPT_momentum, &h.momentum},
        {NB_OPT_weight_decay, &h.weight_decay},
        {NB_OPT_warmup_epochs, &h.warmup_epochs},
        {NB_OPT_warmup_momentum, &h.warmup_momentum},
        {NB_OPT_warmup_bias_lr, &h.warmup_bias_lr},
        {NB_OPT_clip_norm, &h.clip_norm},
        {NB_OPT_quant_lr, &h.quant_lr},
        {NB_OPT_ema_decay, &h.ema_decay},
        {NB_OPT_ema_tau, &h.ema_tau},
        {NB_OPT_box, &h.box},
        {NB_OPT_obj, &h.obj},
        {NB_OPT_cls, &h.cls},
        {NB_OPT_cls_pw, &h.cls_pw},
        {NB_OPT_obj_pw, &h.obj_pw},
        {NB_OPT_anchor_t, &h.anchor_t},
        {NB_OPT_fl_gamma, &h.fl_gamma},
        {NB_OPT_label_smoothing, &h.label_smoothing},
        {NB_OPT_hsv_h, &h.augment.hsv_h},
        {NB_OPT_hsv_s, &h.augment.hsv_s},
        {NB_OPT_hsv_v, &h.augment.hsv_v},
        {NB_OPT_degrees, &h.augment.degrees},
        {NB_OPT_translate, &h.augment.translate},
        {NB_OPT_scale, &h.augment.scale},
        {NB_OPT_shear, &h.augment.shear},
        {NB_OPT_perspective, &h.augment.perspective},
        {NB_OPT_flipud, &h.augment.flipud},
        {NB_OPT_fliplr, &h.augment.fliplr},
        {NB_OPT_mosaic, &h.augment.mosaic},
        {NB_OPT_mixup, &h.augment.mixup},
        {NB_OPT_calibrate, &h.calibrate},
        {NB_OPT_dampen, &h.dampen},
    };
    const struct {
        NbOptionId id;
        int *value;
    } ints[] = {
        {NB_OPT_epochs, &h.epochs},
        {NB_OPT_batch, &h.batch},
        {NB_OPT_nbs, &h.nbs},
        {NB_OPT_warmup_iters, &h.warmup_min},
        {NB_OPT_close_mosaic, &h.close_mosaic},
        {NB_OPT_freeze, &h.freeze},
        {NB_OPT_patience, &h.patience},
        {NB_OPT_save_period, &h.save_period},
    };
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++)
        *reals[i].value = nb_job_real(job, reals[i].id, *reals[i].value);
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++)
        *ints[i].value = nb_job_int(job, ints[i].id, *ints[i].value);
    if (nb_job_has(job, NB_OPT_safeguards))
        NB_TRY(nb_safeguards_parse(nb_job_str(job, NB_OPT_safeguards), &h.guard, err));
    h.seed = (uint64_t)nb_job_int(job, NB_OPT_seed, 0);
    h.cos_lr = nb_job_bool(job, NB_OPT_cos_lr, h.cos_lr);
    h.multi_scale = nb_job_bool(job, NB_OPT_multi_scale, false);
    h.single_cls = nb_job_bool(job, NB_OPT_single_cls, false);
    h.autoanchor = nb_job_bool(job, NB_OPT_autoanchor, h.autoanchor) &&
                   !nb_job_bool(job, NB_OPT_noautoanchor, false);
    *out = h;
    return nb_hyper_check(&h, err);
}
