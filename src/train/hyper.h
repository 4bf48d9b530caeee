/* SPDX-License-Identifier: Apache-2.0
 *
 * Everything that decides what a training run computes. Two runs with the same NbHyper, model and
 * data end in the same bytes, whatever the threads. Names as users of YOLOv5 and Ultralytics know
 * them; defaults in hyper.c. */
#ifndef NB_TRAIN_HYPER_H
#define NB_TRAIN_HYPER_H

#include "base/status.h"
#include "data/loader.h"
#include "train/layers.h"
#include "train/safeguards.h"

#include <stdbool.h>
#include <stdint.h>

/* Checkpoints hold the number: append only. */
typedef enum NbOptimizerKind {
    NB_SGD,
    NB_ADAM,
    NB_ADAMW,
    NB_NADAM,
    NB_RADAM,
    NB_RMSPROP,
    NB_ADAMAX,
    NB_OPTIMIZER_COUNT
} NbOptimizerKind;

/* "SGD", "Adam", "AdamW", "NAdam", "RAdam", "RMSProp", "Adamax". */
extern const char *const nb_optimizer_names[NB_OPTIMIZER_COUNT];

/* Whose rules a run follows where they differ; recipe.h lists them. */
typedef enum NbRecipe {
    NB_RECIPE_NIBBLE,           /* heads of YOLOv5 */
    NB_RECIPE_QUANTIZED_YOLOV5, /* the same with compat */
    NB_RECIPE_ULTRALYTICS,      /* heads of YOLOv8 and YOLOv10: Ultralytics 8.1 as YOLOv10 has it */
} NbRecipe;

/* How the one-to-one head of YOLOv10 learns beside the one-to-many head. */
typedef enum NbOneToOne {
    NB_O2O_SUM,      /* THU-MIG: both losses count in full */
    NB_O2O_WEIGHTED, /* Ultralytics from 8.4: nb_yolov10_loss_weighted */
} NbOneToOne;

typedef struct NbHyper {
    NbRecipe recipe;
    int epochs;
    double hours; /* time the run may take; epochs are fitted to it; 0: epochs as they are */
    int batch;
    int imgsz;
    int nbs; /* nominal batch: gradients are accumulated up to it */
    uint64_t seed;

    NbOptimizerKind optimizer;
    double lr0, lrf; /* start rate; final rate as a fraction of it */
    double momentum; /* SGD momentum, Adam's beta1 */
    double weight_decay;
    bool cos_lr;
    double warmup_epochs;
    int warmup_min; /* iterations a warm-up takes at least */
    double warmup_momentum, warmup_bias_lr;
    double clip_norm; /* global gradient norm; 0: off */
    double quant_lr;  /* rate of quantizer values relative to the others */
    double ema_decay, ema_tau;

    double box, obj, cls; /* gains; those of YOLOv5 before scaling by levels, classes and size */
    double dfl;           /* gain of the distributions of sides (YOLOv8, YOLOv10) */
    NbOneToOne o2o;       /* YOLOv10 */
    double cls_pw, obj_pw, anchor_t, fl_gamma, label_smoothing;
    bool autobalance;

    NbAugment augment;
    int close_mosaic; /* epochs at the end without mosaic and mixup */
    bool multi_scale; /* side in 0.5 to 1.5 imgsz, per batch */
    bool single_cls;
    NbLayers freeze; /* layers that are not trained */
    bool val;        /* false: only the last epoch is scored */
    int val_period;  /* epochs from one score to the next; the last ten are always scored */
    int patience;    /* epochs without a better fitness; 0: never stop */
    int save_period;
    bool autoanchor;
    double calibrate; /* share of an activation its start threshold covers, in percent; 0: keep */
    NbSafeguards guard;
    double dampen; /* largest weight of the dampening term */
    bool compat;   /* quantized-yolov5's ways; see docs */
} NbHyper;

/* For heads of YOLOv5: defaults of nibble, or with compat quantized-yolov5's hyp.widerface. */
NbHyper nb_hyper_default(bool compat);

/* Those of Ultralytics' cfg/default.yaml (8.1) with SGD; nb_recipe_auto chooses the optimizer. */
NbHyper nb_hyper_ultralytics(void);

/* Says which value is out of range, what was expected and found. */
NB_FALLIBLE nb_hyper_check(const NbHyper *h, NbError *err);

#endif
