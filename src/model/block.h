/* SPDX-License-Identifier: Apache-2.0
 *
 * What the composed modules (Bottleneck, C3, SPPF and their quantized forms) share. */
#ifndef NB_MODEL_BLOCK_H
#define NB_MODEL_BLOCK_H

#include "model/build.h"

/* How the convolutions inside a composed module are made. */
typedef struct NbStyle {
    NbActKind act;
    int weight_bits; /* 0: float */
    int act_bits;
} NbStyle;

/* Argument i as bits: 1 to 8, None: 0. *bits comes in as the default. */
NB_FALLIBLE nb_call_bits(const NbBuild *b, const NbCall *call, int i, int *bits, NbError *err);

/* conv k x k, stride 1, padding k // 2 -> bn -> act at path.part. */
NB_FALLIBLE nb_build_part(NbBuild *b, const NbStyle *style, const char *path, const char *part,
                          const NbConvShape *shape, NbTap x, NbTap *out, NbError *err);

typedef struct NbBottleneck {
    int c2;
    bool shortcut;
    int groups;
    double expansion; /* hidden channels = trunc(c2 * expansion) */
} NbBottleneck;

NB_FALLIBLE nb_build_bottleneck(NbBuild *b, const NbStyle *style, const char *path,
                                const NbBottleneck *shape, NbTap x, NbTap *out, NbError *err);

#endif
