/* SPDX-License-Identifier: Apache-2.0
 *
 * Fusion for deployment: the same function of a graph with fewer nodes. For inference only: what
 * comes out cannot be trained as what went in (running statistics are gone).
 *
 *     CONV -> BATCHNORM             one CONV with a bias (ptq/fold_norm.h says how)
 *     CONV(x) + CONV(x)             one CONV: the smaller kernel is laid into the larger one where
 *                                   padding puts it, kernels and biases are added (RepVGGDW: 7x7
 *                                   and 3x3 depthwise, each with its batch norm)
 *     DETACH                        gone
 *     what no output needs          gone (INPUT nodes stay)
 *
 * A CONV is changed only when nobody else reads its sums and its weights are float parameters:
 * weights with a quantizer keep their batch norm, since folding would change what is quantized.
 * Results differ by float rounding only.
 * Source: Ding et al., "RepVGG", CVPR 2021; Wang et al., "YOLOv10", NeurIPS 2024. */
#ifndef NB_LOWER_FLOAT_FOLD_H
#define NB_LOWER_FLOAT_FOLD_H

#include "graph/graph.h"

/* `in` is not changed; everything of `out` is copied into the arena. Outputs of `out` are those of
 * `in`, in order; for some of them pass a view:
 *
 *     NbGraph view = *in;
 *     view.output += first, view.n_outputs = count;
 *
 * Names: a CONV with a folded norm keeps its own and those of its parameters (P.weight, P.bias),
 * a sum of two those of the larger one. Shapes are taken over. Errors: memory. */
NB_FALLIBLE nb_fold(const NbGraph *in, NbArena *arena, NbGraph *out, NbError *err);

/* The same for the float twin of a graph: QUANT nodes are gone too, so that batch norms of
 * quantized convolutions are folded as well. */
NB_FALLIBLE nb_fold_twin(const NbGraph *in, NbArena *arena, NbGraph *out, NbError *err);

#endif
