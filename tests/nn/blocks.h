/* SPDX-License-Identifier: Apache-2.0
 *
 * Random networks of the blocks that detectors are made of, wide enough for every kernel of the
 * float engine: residual bottlenecks, split and joined channels, pools in a row, attention,
 * depthwise and grouped convolutions, arithmetic with constants. */
#ifndef NB_TESTS_NN_BLOCKS_H
#define NB_TESTS_NN_BLOCKS_H

#include "nn/nets.h"

/* Three outputs, one of them not a picture. */
void net_blocks(Net *net, int blocks);

#endif
