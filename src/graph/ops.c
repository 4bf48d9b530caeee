/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of operators, built from ops.def. */
#include "graph/op.h"

#define NB_OP(constant, symbol) extern const NbOpDef nb_op_##symbol;
#include "graph/ops.def"
#undef NB_OP

static const NbOpDef *const table[NB_OP_COUNT] = {
#define NB_OP(constant, symbol) [NB_OP_##constant] = &nb_op_##symbol,
#include "graph/ops.def"
#undef NB_OP
};

const NbOpDef *nb_op_def(NbOp op) { return table[op]; }
