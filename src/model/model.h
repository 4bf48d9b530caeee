/* SPDX-License-Identifier: Apache-2.0
 *
 * A detector: a graph, its head, its names; and where it comes from. A model owns its arena; the
 * graph points to it, so a model is never copied or moved. */
#ifndef NB_MODEL_MODEL_H
#define NB_MODEL_MODEL_H

#include "detect/head.h"
#include "format/safetensors.h"
#include "graph/graph.h"
#include "model/bits.h"

typedef struct NbModel {
    NbArena arena;
    NbGraph graph;
    NbHead head;
    char **names;        /* [head.nc] */
    NbBits bits;         /* what was asked for, or what the file says */
    bool bits_from_file; /* the modules' own arguments decided */
    bool steps;          /* quantizers hold given steps, see NbModelOptions */
    char *yaml;          /* text of the model file it was built from */
    char *yaml_path;     /* for messages */
    bool compat;         /* built as quantized-yolov5 builds it */
    int imgsz;           /* side it was trained at; 0: not known */
} NbModel;

typedef struct NbModelOptions {
    int nc;               /* > 0 replaces the file's */
    const NbBits *bits;   /* NULL: as the file says */
    const char *hardtanh; /* NULL: as the file says; "0", "1" */
    size_t memory_limit;  /* bytes a model may take; 0: 3 GiB */
    bool compat;          /* quantized-yolov5: clip 6 constant scales, no head bias, ... */
    bool steps;           /* quantizers as post-training quantization wants them: each has its step
                           * in a parameter of its own (P.weight_quant.step for every output
                           * channel, P.act_quant.step), activations are unsigned codes with a zero
                           * point */
    bool transfer;        /* a checkpoint of other classes than nc is no error: what fits by name
                           * and shape is taken from it, the rest starts anew */
} NbModelOptions;

/* Builds from the text of a model YAML. Weights are zero until nb_model_init or a checkpoint
 * fills them. Messages are path:line:column with the nearest valid names. */
NB_FALLIBLE nb_model_from_yaml(const char *path, const char *text, size_t size,
                               const NbModelOptions *options, NbModel *out, NbError *err);

/* The same from a file, or from the built-in zoo when no such file is there. */
NB_FALLIBLE nb_model_from_yaml_file(const char *path, const NbModelOptions *options, NbModel *out,
                                    NbError *err);

/* Names of the classes become copies of these; NULL: "0", "1", ... */
NB_FALLIBLE nb_model_set_names(NbModel *m, const char *const *names, int count, NbError *err);

/* Start weights as PyTorch draws them (uniform +-1/sqrt(fan_in)), batch norm 1, 0, 0, 1, head
 * biases of the paper where the head has biases, quantizer values from their specs. The same seed
 * draws the same weights with and without quantizers. compat: running variances of 0.9 and clips
 * rounded through float16, as the peer starts. */
NB_FALLIBLE nb_model_init(NbModel *m, uint64_t seed, NbError *err);

void nb_model_release(NbModel *m);

/* The graph with the outputs alone that inference reads, so that whoever computes only what outputs
 * need leaves out what only teaches. A view: nodes are the model's, which must outlive it. */
NbGraph nb_model_inference(NbModel *m);

/* What a model costs. Parameters are those of weights, norms and quantizers; like PyTorch, none of
 * the state, but (as the peers count) the reg_max bin numbers of an anchor-free head. Multiply-adds
 * are those of convolutions and matrix products for one picture. */
typedef struct NbModelCost {
    int64_t params; /* as trained: every head, every norm */
    int64_t macs;
    int64_t deploy_params; /* as deployed: only what inference reads, norms folded into biases, the
                            * two convolutions of RepVGGDW merged */
    int64_t deploy_macs;
} NbModelCost;
NB_FALLIBLE nb_model_cost(const NbModel *m, int height, int width, NbModelCost *out, NbError *err);

#endif
