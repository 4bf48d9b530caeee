/* SPDX-License-Identifier: Apache-2.0
 *
 * Everything a training run carries from one step to the next. What is here is what a checkpoint
 * holds; nothing that changes the numbers lives elsewhere. */
#ifndef NB_TRAIN_STATE_H
#define NB_TRAIN_STATE_H

#include "model/model.h"
#include "train/hyper.h"
#include "train/items.h"

/* Optimizer groups, in the order of quantized-yolov5. */
typedef enum NbGroup {
    NB_GROUP_NORM,   /* batch norm weights: no decay */
    NB_GROUP_WEIGHT, /* all other weights: decay */
    NB_GROUP_BIAS,   /* biases: no decay, warm-up of their own */
    NB_GROUP_QUANT,  /* learned values of quantizers: no decay */
    NB_GROUP_COUNT
} NbGroup;

/* One PARAM node that is trained or averaged. */
typedef struct NbTrainParam {
    NbNodeId node;
    const char *name;
    size_t n;
    float *value; /* the graph's own data */
    float *ema;
    bool trained;
    NbGroup group;
    float *sum;    /* gradients gathered since the last optimizer step; trained only */
    float *first;  /* SGD, RMSProp: momentum buffer; Adam: first moment; trained only */
    float *second; /* Adam, RMSProp: second moment; NULL with SGD */
    /* Quantized weights only, else NULL; see oscillation.h. */
    NbNodeId quant; /* their quantizer; -1: none */
    int8_t *code;   /* after the last step */
    int8_t *turn;   /* direction of the last change of code: -1, 1; 0: never changed */
    int8_t *frozen; /* 1: held at its code */
    float *rate;    /* of oscillations */
    float *mean_code;
} NbTrainParam;

typedef struct NbTrainState {
    NbArena arena;
    NbModel *model;
    NbTrainParam *param;
    int n_params;
    int64_t iteration;   /* the next one to run, over all epochs */
    int64_t last_step;   /* iteration of the last optimizer step; -1: none */
    int64_t updates;     /* optimizer steps taken */
    double best_fitness; /* -1: none yet */
    int best_epoch;
    int epochs_done;            /* validated and written to results.csv */
    double loss[NB_LOSS_ITEMS]; /* sums of this epoch */
    int64_t losses;             /* iterations in these sums */
    double lr_scale;            /* lowered when a step had to be taken back */
    int rollbacks;
    double balance[NB_MAX_LEVELS]; /* objectness balance (autobalance changes it) */
    float *codes, *scales;         /* room for one parameter's; nothing to keep */
} NbTrainState;

/* Takes memory for every parameter of the model; the averages start as the values. */
NB_FALLIBLE nb_train_state_new(NbModel *model, const NbHyper *h, NbTrainState *out, NbError *err);
void nb_train_state_release(NbTrainState *s);

/* Exchanges values and averages of all parameters: the model then computes with the averages.
 * Calling it twice changes nothing. */
void nb_train_state_swap_ema(NbTrainState *s);

/* Writes last.safetensors: values, ema/, optim/ and, as metadata, everything else. Atomic; equal
 * states give equal bytes. args: JSON text of the settings, may be NULL. */
NB_FALLIBLE nb_train_state_save(const NbTrainState *s, const NbHyper *h, const char *args,
                                const char *path, NbError *err);

/* Fills the state (made for the same model) from such a file. */
NB_FALLIBLE nb_train_state_load(NbTrainState *s, const NbHyper *h, const NbSafetensors *file,
                                const char *path, NbError *err);

/* Writes best.safetensors: the model as it computes now, the settings, and n more entries. */
NB_FALLIBLE nb_train_model_save(const NbModel *m, const char *args, const NbMetadata *extra, int n,
                                const char *path, NbError *err);

#endif
