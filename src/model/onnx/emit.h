/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing ONNX graphs node by node (for export.c, its table of operators and its heads).
 *
 * The first failure stays in the NbEmit; everything further does nothing and gives the name "".
 * Whoever is done looks at `status`. Names of values are made by the caller and must be new. */
#ifndef NB_MODEL_ONNX_EMIT_H
#define NB_MODEL_ONNX_EMIT_H

#include "format/onnx.h"
#include "graph/graph.h"

typedef struct NbEmit {
    NbArena *arena;
    NbOnnxGraph graph; /* nodes, initializers and value infos so far */
    size_t node_capacity;
    size_t initializer_capacity;
    size_t value_capacity;
    int opset;
    int real;           /* NbOnnxType of real numbers that are written now: FLOAT or FLOAT16 */
    const NbGraph *g;   /* what is written */
    const char **value; /* [g->n_nodes] the name of the value of a node; NULL: not yet */
    NbStatus status;
    NbError *err;
} NbEmit;

/* Fails once; further calls do nothing. Returns "". */
const char *nb_emit_fail(NbEmit *e, NbStatus status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* printf of a name. */
const char *nb_emit_name(NbEmit *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- attributes: values, to be listed in calls of nb_emit_node ---- */

NbOnnxAttr nb_attr_int(const char *name, int64_t i);
NbOnnxAttr nb_attr_float(const char *name, float f);
NbOnnxAttr nb_attr_text(const char *name, const char *text);
/* Copies up to NB_MAX_RANK numbers into the arena. */
NbOnnxAttr nb_attr_ints(NbEmit *e, const char *name, int n, const int64_t *ints);

typedef struct NbEmitNode {
    const char *op;
    const char *name; /* of the node and of its first output; of the others name + ":1", ... */
    int n_in;
    const char *in[6];
    int n_attrs;
    NbOnnxAttr attr[6];
    int n_out; /* 0: one */
} NbEmitNode;

/* Appends a node; its first output. */
const char *nb_emit_node(NbEmit *e, const NbEmitNode *node);

/* The same with any number of inputs. */
const char *nb_emit_list(NbEmit *e, const char *op, const char *name, size_t n,
                         const char *const *in, const NbOnnxAttr *attr);

/* Operators without attributes. */
const char *nb_emit_unary(NbEmit *e, const char *op, const char *name, const char *x);
const char *nb_emit_binary(NbEmit *e, const char *op, const char *name, const char *x,
                           const char *y);

/* Initializers. Floats are written as e->real; data is copied where it must be converted and must
 * else live as long as the model. */
const char *nb_emit_floats(NbEmit *e, const char *name, const NbShape *shape, const float *data);
const char *nb_emit_float(NbEmit *e, const char *name, float value); /* rank 0 */
const char *nb_emit_ints(NbEmit *e, const char *name, int n, const int64_t *values);
const char *nb_emit_int(NbEmit *e, const char *name, int64_t value); /* rank 0 */

/* Frequent ones; dims as ONNX has them: 0 keeps, -1 is what remains. */
const char *nb_emit_reshape(NbEmit *e, const char *name, const char *x, int n, const int64_t *dim);
const char *nb_emit_transpose(NbEmit *e, const char *name, const char *x, int n, const int *perm);
const char *nb_emit_slice(NbEmit *e, const char *name, const char *x, const NbSliceAttr *slice);
const char *nb_emit_concat(NbEmit *e, const char *name, int axis, size_t n, const char *const *in);
const char *nb_emit_cast(NbEmit *e, const char *name, const char *x, int type);

/* Writes type and shape of a value; batch: the name of dimension 0 ("": it is the number). */
NbOnnxValue nb_emit_info(const char *name, int type, const NbShape *shape, const char *batch);
void nb_emit_value(NbEmit *e, const NbOnnxValue *value);

/* Gives the value `from` the name `to` wherever it is made and read. */
void nb_emit_rename(NbEmit *e, const char *from, const char *to);

/* Writes node `id` of e->g and fills in e->value[id]; its inputs are written. An operator without
 * an entry in the table fails: NB_ERR_UNSUPPORTED. */
void nb_emit_operator(NbEmit *e, NbNodeId id);

/* Whether ONNX has this operator of ours. */
bool nb_onnx_has_operator(NbOp op);

#endif
