/* SPDX-License-Identifier: Apache-2.0
 *
 * Which layer gets how many bits: the grammar of quantize=.
 *
 *     8 | w4a4 | w4a8:first=w8a8:last=w8 | w4a4:model.4.*=w8a8 | none
 *
 * also a file with a YAML map of globs, and LPYOLO's list of four numbers [first weight, weight,
 * activation, last weight]. Later rules win. First and last layer are 8 bit unless said. */
#ifndef NB_MODEL_BITS_H
#define NB_MODEL_BITS_H

#include "base/arena.h"
#include "base/status.h"

#include <stdbool.h>

typedef struct NbBitsRule {
    const char *glob; /* over node names; "first", "last" are words of their own */
    int weight;       /* 1 to 8; 0: not said by this rule */
    int activation;   /* 1 to 8; 0: not said by this rule */
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

/* The short form that nb_bits_parse reads back. NULL: out of memory. */
char *nb_bits_text(const NbBits *bits, NbArena *arena);

#endif
