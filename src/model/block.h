/* SPDX-License-Identifier: Apache-2.0
 *
 * What the composed modules (Bottleneck, C3, C2f, SPPF, PSA, ..., and the quantized forms) share.
 */
#ifndef NB_MODEL_BLOCK_H
#define NB_MODEL_BLOCK_H

#include "model/build.h"

/* How the convolutions inside a composed module are made. */
typedef struct NbStyle {
    NbAct act;
    int weight_bits; /* 0: float */
    int act_bits;
} NbStyle;

/* Argument i as bits: 1 to 8, None: 0. *bits comes in as the default. */
NB_FALLIBLE nb_call_bits(const NbBuild *b, const NbCall *call, int i, int *bits, NbError *err);

/* conv k x k, stride 1, padding k // 2 -> bn -> act at path.part. */
NB_FALLIBLE nb_build_part(NbBuild *b, const NbStyle *style, const char *path, const char *part,
                          const NbConvShape *shape, NbTap x, NbTap *out, NbError *err);

/* The float convolutions of this build: its activation (SiLU unless the file says otherwise), bits
 * only from quantize=. `act` false: none. */
NbStyle nb_style(const NbBuild *b, bool act);

typedef struct NbBottleneck {
    int c2;
    bool shortcut;
    int groups;
    double expansion; /* hidden channels = trunc(c2 * expansion) */
    int kernel;       /* of the first convolution: 1 in YOLOv5, 3 in YOLOv8; the second's is 3 */
} NbBottleneck;

/* x + y (nb_build_add) at `path`, with the bits that quantize= gives this path. */
NB_FALLIBLE nb_build_residual(NbBuild *b, const NbStyle *style, const char *path, NbTap x, NbTap y,
                              NbTap *out, NbError *err);

/* Channels [first, first + count) of x, named `path`. */
NB_FALLIBLE nb_build_channels(NbBuild *b, const char *path, NbTap x, int first, int count,
                              NbTap *out, NbError *err);

typedef struct NbTaps {
    int n;
    const NbTap *tap;
} NbTaps;

/* Results of blocks, as C2f, SPPF and PSA end: joined at path.concat, then the
 * 1x1 convolution path.part to c2 channels. */
NB_FALLIBLE nb_build_joined(NbBuild *b, const NbStyle *style, const char *path, const char *part,
                            int c2, NbTaps taps, NbTap *out, NbError *err);

/* Argument 0 as channels; fails when it is missing. */
NB_FALLIBLE nb_call_channels(const NbBuild *b, const NbCall *call, int *c2, NbError *err);

/* Argument i as an expansion: above 0, at most 16; comes in as the default. */
NB_FALLIBLE nb_call_expansion(const NbBuild *b, const NbCall *call, int i, double *value,
                              NbError *err);

/* The anchor-free Detect (YOLOv8): arguments (nc). */
NB_FALLIBLE nb_build_detect_free(NbBuild *b, const NbCall *call, NbTap *out, NbError *err);

NB_FALLIBLE nb_build_bottleneck(NbBuild *b, const NbStyle *style, const char *path,
                                const NbBottleneck *shape, NbTap x, NbTap *out, NbError *err);

#endif
