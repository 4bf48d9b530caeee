/* SPDX-License-Identifier: Apache-2.0
 *
 * The convolutions of a graph as post-training quantization sees them: weights, what quantizes
 * them, and where the bias is that can take what quantizing does to the mean. */
#ifndef NB_LOWER_PTQ_LAYERS_H
#define NB_LOWER_PTQ_LAYERS_H

#include "graph/graph.h"

typedef struct NbPtqLayer {
    NbNodeId conv;
    NbNodeId x;      /* its input */
    NbNodeId weight; /* PARAM */
    NbNodeId quant;  /* QUANT of the weights with given steps; -1: they are not quantized so */
    NbNodeId step;   /* PARAM [rows] of quant; -1 */
    NbNodeId bias;   /* PARAM [rows], of the convolution or of the norm behind it; -1: none */
    bool live;       /* an output needs it */
    int depth;       /* most convolutions in front of it */
    size_t rows;     /* output channels */
    size_t groups;
    size_t columns; /* of a row */
} NbPtqLayer;

/* In the order of the graph, in the arena. live: of the outputs of g. */
NB_FALLIBLE nb_ptq_layers(const NbGraph *g, NbArena *arena, NbPtqLayer **out, size_t *n,
                          NbError *err);

/* Folds batch norms into the convolutions in front of them, in place: the norm stays as one that
 * only adds its beta (gamma / sqrt(var + eps) is 1, mean 0). Of two convolutions of the same input
 * that are added (RepVGGDW) the smaller one goes into the larger one and becomes 0. The function of
 * the graph with quantizers off stays the same up to rounding. */
void nb_ptq_fold(NbGraph *g);

#endif
