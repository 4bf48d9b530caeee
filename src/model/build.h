/* SPDX-License-Identifier: Apache-2.0
 *
 * How modules of model files become nodes. A module is one line in modules.def and one builder; the
 * parser (model_yaml.c) knows none of them. Builders work on taps: a node and its channels.
 *
 * Names: a module at path P ("model.4.cv1") makes the parameters that its PyTorch original has
 * (P.conv.weight, P.bn.running_mean, ...); quantizers are P.conv.weight_quant and P.act_quant, with
 * the learned number in P.act_quant.value (P.act_quant.step, P.conv.weight_quant.step of models
 * with given steps). */
#ifndef NB_MODEL_BUILD_H
#define NB_MODEL_BUILD_H

#include "model/argument.h"
#include "model/model.h"

typedef struct NbTap {
    NbNodeId node;
    int channels;
} NbTap;

typedef enum NbActKind {
    NB_ACT_NONE,
    NB_ACT_RELU,
    NB_ACT_SILU,
    NB_ACT_LEAKY_RELU,
    NB_ACT_SIGMOID,
    NB_ACT_HARDTANH,
} NbActKind;

typedef struct NbAct {
    NbActKind kind;
    float slope; /* LEAKY_RELU */
} NbAct;

/* What modules build into. */
typedef struct NbBuild {
    NbGraph *g;
    NbHead *head; /* Detect fills it in */
    const NbNames *names;
    const NbBits *bits;  /* NULL: what the arguments say */
    bool compat;         /* as quantized-yolov5 builds */
    bool steps;          /* quantizers with given steps: see NbModelOptions */
    bool bias_at_output; /* the convolution whose sums are the outputs gets a bias */
    bool anchor_free;    /* a file of Ultralytics' form: no anchors; Bottleneck means theirs */
    int reg_max;         /* bins of an anchor-free head; 0: 16 */
    const NbAct *act;    /* what act=True means; NULL: SiLU */
    NbTap *output;       /* Detect fills it in: [NB_MAX_HEAD_OUTPUTS] */
    int n_outputs;
} NbBuild;

/* One module of a layer line. */
typedef struct NbCall {
    const char *path; /* "model.4", of a repeated one "model.4.1" */
    int n_in;
    const NbTap *in;
    int n_args;
    const NbArg *arg; /* the file's; of NB_CHANNELS_SCALED the first is the scaled channel count */
    int repeats;      /* NB_REPEATS_INSIDE: how often the inner part is chained; else 1 */
    const NbYaml *at; /* for messages; NULL: none */
    bool feeds_head;  /* Detect takes this layer's values as outputs */
} NbCall;

typedef enum NbChannelRule {
    NB_CHANNELS_SCALED, /* the first argument is a channel count: ceil(min(c, most) * width / 8) *
                         * 8, but what equals `no` (files without anchors: nc) stays */
    NB_CHANNELS_GIVEN,  /* arguments as they are */
} NbChannelRule;

typedef struct NbModule {
    const char *name;
    NbChannelRule channels;
    bool repeats_inside; /* the number of the line goes into the module */
    int min_args;
    int max_args;
    int max_in;
    NB_FALLIBLE (*build)(NbBuild *b, const NbCall *call, NbTap *out, NbError *err);
} NbModule;

/* NULL: no such module. */
const NbModule *nb_module_find(const char *name);
/* All of them, for hints and manuals. */
const NbModule *const *nb_module_list(int *count);

/* Fails at the call's place in the file. */
NbStatus nb_call_fail(NbStatus status, NbError *err, const NbBuild *b, const NbCall *call,
                      const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Argument i; missing and None give `otherwise`. They fail, naming place and what was expected. */
NB_FALLIBLE nb_call_int(const NbBuild *b, const NbCall *call, int i, int64_t lo, int64_t hi,
                        int64_t *value, NbError *err); /* *value comes in as the default */
NB_FALLIBLE nb_call_bool(const NbBuild *b, const NbCall *call, int i, bool *value, NbError *err);
NB_FALLIBLE nb_call_number(const NbBuild *b, const NbCall *call, int i, double *value,
                           NbError *err);
/* An integer or a list of two; comes in as the default. */
NB_FALLIBLE nb_call_pair(const NbBuild *b, const NbCall *call, int i, int lo, int value[2],
                         NbError *err);

/* "nn.ReLU()", "nn.LeakyReLU(0.1)", ...; false: not known. */
bool nb_act_from_text(const char *text, NbAct *out);

/* The arguments that convolution modules share. */
typedef struct NbConvShape {
    int c2;
    int kernel[2];
    int stride[2];
    int pad[2]; /* rows, columns; of both sides */
    int groups;
} NbConvShape;

/* k -> k // 2 of each side. */
NbConvShape nb_conv_shape(int c2, int kernel, int stride);

/* Arguments [c2, k=1, s=1, p=None, g=1] from index 0. */
NB_FALLIBLE nb_call_conv_shape(const NbBuild *b, const NbCall *call, NbConvShape *out,
                               NbError *err);

/* Bits come in as the arguments say (0: none) and go out as the build wants them for the
 * convolution at `path` that reads x. */
void nb_build_bits(const NbBuild *b, const char *path, NbTap x, bool last, int *weight,
                   int *activation);

/* [QUANT(weight)] -> CONV, named `path`, with parameters path.weight and path.bias. */
typedef struct NbConvOptions {
    int weight_bits; /* 0: no quantizer */
    bool bias;
} NbConvOptions;
NB_FALLIBLE nb_build_conv(NbBuild *b, const char *path, NbTap x, const NbConvShape *shape,
                          NbConvOptions options, NbTap *out, NbError *err);

NB_FALLIBLE nb_build_batchnorm(NbBuild *b, const char *path, NbTap x, NbTap *out, NbError *err);

NB_FALLIBLE nb_build_act(NbBuild *b, const char *path, NbAct act, NbTap x, NbTap *out,
                         NbError *err);

/* QUANT named `path` with a learned clip path.value that starts at 6; bits 0: x itself. */
NB_FALLIBLE nb_build_act_quant(NbBuild *b, const char *path, int bits, bool is_signed, NbTap x,
                               NbTap *out, NbError *err);

/* conv -> bn -> act -> act_quant, as Conv and QuantConv are made. */
typedef struct NbBlock {
    NbConvShape shape;
    bool batchnorm;
    NbAct act;
    int weight_bits; /* as the arguments say; 0: none */
    int act_bits;
    bool last; /* its sums are the outputs of the model */
    bool raw;  /* never a quantizer behind it, whatever the bits say */
} NbBlock;
NB_FALLIBLE nb_build_block(NbBuild *b, const char *path, NbTap x, const NbBlock *block, NbTap *out,
                           NbError *err);

/* x * 0.5 -> clamp to -1 .. 1 (compat: left to the quantizer) -> signed 8-bit narrow codes with
 * scale 1/127, at `path`. */
NB_FALLIBLE nb_build_hardtanh_quant(NbBuild *b, const char *path, NbTap x, NbTap *out,
                                    NbError *err);

NB_FALLIBLE nb_build_concat(NbBuild *b, const char *path, int n, const NbTap *in, NbTap *out,
                            NbError *err);

/* x + y; with codes on both sides a quantizer (bits) follows, so that the sum is codes again. */
NB_FALLIBLE nb_build_add(NbBuild *b, const char *path, int bits, NbTap x, NbTap y, NbTap *out,
                         NbError *err);

NB_FALLIBLE nb_build_maxpool(NbBuild *b, const char *path, NbPoolAttr pool, NbTap x, NbTap *out,
                             NbError *err);

/* Makes coded values share one scale: their quantizers get one learned value and one grid (the
 * widest). Values that are not coded by a learned quantizer are left alone. */
NB_FALLIBLE nb_build_share(NbBuild *b, int n, const NbTap *in, NbError *err);

/* Removes nodes that no output needs, of parameters only those that `keep` (NULL: none) does not
 * want; ids change. */
NB_FALLIBLE nb_build_sweep(NbGraph *g, bool (*keep)(const NbNode *node), NbError *err);

#endif
