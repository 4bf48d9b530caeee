/* SPDX-License-Identifier: Apache-2.0
 *
 * Random small quantized networks that can be lowered: any bits from 1 to 8, falling, constant and
 * saturating channels, odd strides and paddings, pools, joins, adds, requantizers, one or more
 * outputs. */
#ifndef NB_TESTS_LOWER_RANDOM_NET_H
#define NB_TESTS_LOWER_RANDOM_NET_H

#include "base/random.h"
#include "graph/graph.h"

typedef struct RandomNet {
    NbGraph graph; /* inferred for one picture */
    int channels;
    int height;
    int width;
} RandomNet;

/* The network number `seed`. plain: only convolutions without groups and 2x2 pools, as LPYOLO has,
 * a little larger. Fails the running test when anything is refused. */
void random_net(uint32_t seed, bool plain, NbArena *arena, RandomNet *net);

/* Picture i of a network, NCHW: 0 is black, 1 is white, the others are random. */
const uint8_t *random_picture(const RandomNet *net, uint32_t seed, int i, NbArena *arena);

#endif
