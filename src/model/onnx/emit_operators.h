/* SPDX-License-Identifier: Apache-2.0
 *
 * Between the table of operators (emit_operators.c) and the file of those that mostly come from
 * ONNX files themselves (emit_general.c). Values of the graph are real numbers: truth is written as
 * Cast to and from BOOL, indices as Cast to and from INT64. */
#ifndef NB_MODEL_ONNX_EMIT_OPERATORS_H
#define NB_MODEL_ONNX_EMIT_OPERATORS_H

#include "model/onnx/emit.h"

/* Writes node `id` and fills in e->value[id]. */
typedef void NbEmitRule(NbEmit *e, NbNodeId id);

NbEmitRule nb_emit_map, nb_emit_combine, nb_emit_where, nb_emit_reduce, nb_emit_pool;
NbEmitRule nb_emit_conv_transpose, nb_emit_resize, nb_emit_gather, nb_emit_expand, nb_emit_pad_nd;
NbEmitRule nb_emit_topk, nb_emit_cast_op;

#endif
