/* SPDX-License-Identifier: Apache-2.0 */
#include "train/hyper.h"

#include <math.h>

const char *const nb_optimizer_names[NB_OPTIMIZER_COUNT] = {
    [NB_SGD] = "SGD",     [NB_ADAM] = "Adam",       [NB_ADAMW] = "AdamW",  [NB_NADAM] = "NAdam",
    [NB_RADAM] = "RAdam", [NB_RMSPROP] = "RMSProp", [NB_ADAMAX] = "Adamax"};

NbHyper nb_hyper_default(bool compat) {
    NbHyper h = {
        .recipe = compat ? NB_RECIPE_QUANTIZED_YOLOV5 : NB_RECIPE_NIBBLE,
        .epochs = 100,
        .batch = 16,
        .imgsz = 416,
        .nbs = compat ? 64 : 16,
        .optimizer = compat ? NB_SGD : NB_ADAMW,
        .lr0 = compat ? 0.01 : 0.003,
        .lrf = compat ? 0.1 : 0.01,
        .momentum = compat ? 0.937 : 0.9,
        .weight_decay = compat ? 0.0005 : 0.01,
        .cos_lr = true,
        .warmup_epochs = 3.0,
        .warmup_min = compat ? 1000 : 100,
        .warmup_momentum = 0.8,
        .warmup_bias_lr = compat ? 0.1 : 0.0,
        /* the peer clips nothing, and how its runs end hangs on the start: a loose bound */
        .clip_norm = compat ? 30.0 : 10.0,
        .quant_lr = 1.0,
        .ema_decay = 0.9999,
        .ema_tau = compat ? 2000.0 : 500.0,
        .box = 0.05,
        .obj = 1.0,
        .cls = 0.5,
        .dfl = 1.5,
        .cls_pw = 1.0,
        .obj_pw = 1.0,
        .anchor_t = 4.0,
        .augment = {.hsv_h = 0.015,
                    .hsv_s = 0.7,
                    .hsv_v = 0.4,
                    .degrees = 0.0,
                    .translate = 0.1,
                    .scale = 0.5,
                    .fliplr = 0.5,
                    .mosaic = 1.0},
        .close_mosaic = compat ? 0 : 10,
        .val = true,
        .val_period = 1,
        .patience = 100,
        .save_period = -1,
        .autoanchor = !compat,
        .calibrate = compat ? 0.0 : 99.9,
        .guard = {.norm = !compat},
        .dampen = 0.001,
        .compat = compat,
    };
    return h;
}

NbHyper nb_hyper_ultralytics(void) {
    NbHyper h = nb_hyper_default(false);
    h.recipe = NB_RECIPE_ULTRALYTICS;
    h.imgsz = 640;
    h.nbs = 64;
    h.optimizer = NB_SGD;
    h.lr0 = 0.01;
    h.momentum = 0.937;
    h.weight_decay = 0.0005;
    h.cos_lr = false;
    h.warmup_bias_lr = 0.1;
    h.ema_tau = 2000.0;
    h.box = 7.5;
    h.autoanchor = false; /* there are none */
    return h;
}

typedef struct Range {
    const char *name;
    double value, lo, hi;
} Range;

NbStatus nb_hyper_check(const NbHyper *h, NbError *err) {
    const NbAugment *const a = &h->augment;
    const Range ranges[] = {
        {"epochs", h->epochs, 1, 1e6},
        {"batch", h->batch, 1, 4096},
        {"imgsz", h->imgsz, 32, 8192},
        {"nbs", h->nbs, 1, 65536},
        {"lr0", h->lr0, 0, 10},
        {"lrf", h->lrf, 0, 10},
        {"momentum", h->momentum, 0, 0.999999},
        {"weight_decay", h->weight_decay, 0, 10},
        {"warmup_epochs", h->warmup_epochs, 0, 1e6},
        {"warmup_iters", h->warmup_min, 0, 1e9},
        {"warmup_momentum", h->warmup_momentum, 0, 0.999999},
        {"warmup_bias_lr", h->warmup_bias_lr, 0, 10},
        {"clip_norm", h->clip_norm, 0, 1e12},
        {"quant_lr", h->quant_lr, 0, 1e3},
        {"ema_decay", h->ema_decay, 0, 1},
        {"ema_tau", h->ema_tau, 1e-9, 1e12},
        {"box", h->box, 0, 1e6},
        {"obj", h->obj, 0, 1e6},
        {"cls", h->cls, 0, 1e6},
        {"dfl", h->dfl, 0, 1e6},
        {"time", h->hours, 0, 1e5},
        {"val_period", h->val_period, 1, 1e6},
        {"cls_pw", h->cls_pw, 1e-6, 1e6},
        {"obj_pw", h->obj_pw, 1e-6, 1e6},
        {"anchor_t", h->anchor_t, 1, 1e6},
        {"fl_gamma", h->fl_gamma, 0, 100},
        {"label_smoothing", h->label_smoothing, 0, 1},
        {"hsv_h", a->hsv_h, 0, 1},
        {"hsv_s", a->hsv_s, 0, 1},
        {"hsv_v", a->hsv_v, 0, 1},
        {"degrees", a->degrees, 0, 180},
        {"translate", a->translate, 0, 1},
        {"scale", a->scale, 0, 0.999},
        {"shear", a->shear, 0, 89},
        {"perspective", a->perspective, 0, 0.01},
        {"flipud", a->flipud, 0, 1},
        {"fliplr", a->fliplr, 0, 1},
        {"mosaic", a->mosaic, 0, 1},
        {"mixup", a->mixup, 0, 1},
        {"calibrate", h->calibrate, 0, 100},
        {"dampen", h->dampen, 0, 1e6},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        const Range *const r = &ranges[i];
        if (!isfinite(r->value) || r->value < r->lo || r->value > r->hi)
            return nb_fail(NB_ERR_ARGUMENT, err, "%s: expected %g to %g, found %g", r->name, r->lo,
                           r->hi, r->value);
    }
    return NB_OK;
}
