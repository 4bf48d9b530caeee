/* SPDX-License-Identifier: Apache-2.0
 *
 * Which layer gets how many bits: the grammar of quantize=.
 *
 *     8 | w4a4 | w4a8:first=w8a8:last=w8 | w4a4:model.4.*=w8a8 | none
 *
 * also a file with a YAML map of globs, and LPYOLO's list of four numbers [first weight, weight,
 * activation, last weight]. Later rules win. The weights of the first and the last layer are 8 bit
 * unless said; the activations behind the first layer are like all others. What the first item does
 * not say (w4, a4) is 8; a16 means that activations have no quantizer (w4a16: they stay real
 * numbers). A name is that of a convolution: model.4.conv. */
#ifndef NB_MODEL_BITS_H
#define NB_MODEL_BITS_H

#include "base/arena.h"
#include "base/status.h"

#include <stdbool.h>

typedef struct NbBitsRule {
    const char *glob; /* over node names; "first", "last" are words of their own */
    int weight;       /* 1 to 8; 0: not said by this rule */
    int activation;   /* 1 to 8, 16: real numbers; 0: not said by this rule */
} NbBitsRule;

typedef struct NbBits {
    bool quantized; /* false: no quantizers at all */
    int weight;     /* everywhere else */
    int activation;
    int n_rules;
    NbBitsRule *rule;
} NbBits;

/* `text` as above (not a file). The message names the column and what was expected. */
NB_FALLIBLE nb_bits_parse(const char *text, NbArena *arena, NbBits *out, NbError *err);

/* The same, or from a YAML file when one has this name: a map from "default", "first", "last" or a
 * glob to bits (8, w4a8). Without "default": 8. */
NB_FALLIBLE nb_bits_read(const char *text, NbArena *arena, NbBits *out, NbError *err);

/* Bits of one convolution and of the activation behind it; both 0 when nothing is quantized. */
void nb_bits_for(const NbBits *bits, const char *name, bool first, bool last, int *weight,
                 int *activation);

/* The short form that nb_bits_parse reads back. NULL: out of memory. */
char *nb_bits_text(const NbBits *bits, NbArena *arena);

#endif
