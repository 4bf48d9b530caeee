/* SPDX-License-Identifier: Apache-2.0
 *
 * A graph as text, one line a node, for people and for comparing. */
#ifndef NB_GRAPH_PRINT_H
#define NB_GRAPH_PRINT_H

#include "base/text.h"
#include "graph/graph.h"

/* "12 CONV model.0.conv (0, 11) 3x3 stride 1x1 pad 1,1,1,1 -> [1, 8, 416, 416] real". Shapes as of
 * the last nb_graph_infer. Check out->failed. */
void nb_graph_print(const NbGraph *g, NbText *out);

#endif
