/* SPDX-License-Identifier: Apache-2.0
 *
 * Small graphs for tests of the executor, built in one line a layer, and random ones. */
#ifndef NB_TESTS_NN_NETS_H
#define NB_TESTS_NN_NETS_H

#include "base/random.h"
#include "graph/graph.h"

typedef struct Net {
    NbArena arena;
    NbGraph g;
    NbRandom random;
    int names;
    bool quantized; /* weights of convolutions get quantizers */
    NbRound round;  /* of every quantizer */
} Net;

typedef struct ConvSpec {
    int oc;
    int kernel;
    int stride;
    int pad;
    int groups;
    int dilation;
    bool bias;
    int bits; /* of the weights; 0: 4 */
} ConvSpec;

void net_init(Net *net, uint64_t seed, bool quantized);
void net_release(Net *net);

/* Every function answers the new node; shapes are those of batch 1 until inferred again. */
NbNodeId net_input(Net *net, int channels);
NbNodeId net_conv(Net *net, NbNodeId x, int ic, ConvSpec spec);
NbNodeId net_norm(Net *net, NbNodeId x, int channels);
NbNodeId net_unary(Net *net, NbOp op, NbNodeId x);
NbNodeId net_quant(Net *net, NbNodeId x, int bits, bool is_signed, bool learned);
NbNodeId net_pool(Net *net, NbNodeId x, int kernel, int stride, int pad);
NbNodeId net_node(Net *net, NbOp op, int n_in, const NbNodeId *in, const NbAttr *attr);
void net_outputs(Net *net, int n, const NbNodeId *id);

/* A random directed graph over a picture of height x width; with net->quantized every convolution
 * multiplies codes. */
void net_random(Net *net, int height, int width, int layers);

#endif
