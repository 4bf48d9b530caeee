/* SPDX-License-Identifier: Apache-2.0
 *
 * The one intermediate representation. A graph is a list of nodes in topological order; each node
 * has one operator, inputs that are earlier nodes, attributes, and one output: NCHW where pictures
 * flow, any rank up to NB_MAX_RANK elsewhere.
 * Weights and other state are PARAM nodes that carry their tensor. Everything integers do is a
 * node: quantizers are QUANT nodes on activations and on weights, never hidden in another one.
 *
 * Whether a value is real or coded (interpret.h) is a property of the graph: NbNode.kind tells.
 *
 * A graph lives in an arena; it belongs to one thread while it is changed. */
#ifndef NB_GRAPH_GRAPH_H
#define NB_GRAPH_GRAPH_H

#include "base/arena.h"
#include "base/status.h"
#include "quant/quantizer.h"
#include "tensor/tensor.h"

typedef enum NbOp {
#define NB_OP(constant, symbol) NB_OP_##constant,
#include "graph/ops.def"
#undef NB_OP
    NB_OP_COUNT
} NbOp;

typedef int NbNodeId; /* index into NbGraph.node; -1: none */

/* What a PARAM node is, for optimizer groups, EMA and files. */
typedef enum NbParamRole {
    NB_PARAM_WEIGHT, /* convolution weights [O, I/groups, kh, kw]; decayed */
    NB_PARAM_BIAS,   /* convolution bias [O] */
    NB_PARAM_GAMMA,  /* batch norm weight [C] */
    NB_PARAM_BETA,   /* batch norm bias [C] */
    NB_PARAM_MEAN,   /* running mean [C]: state, not trained */
    NB_PARAM_VAR,    /* running variance [C]: state, not trained */
    NB_PARAM_QUANT,  /* learned value of a quantizer [channels or 1] */
    NB_PARAM_CONST,  /* anything that never changes: integer weights, thresholds, scales */
} NbParamRole;

/* CONV: x [N,C,H,W], w [O,C/groups,kh,kw], optional bias [O]. Zero padding. When x or w is coded
 * (see NbValue), the sum runs over codes and is scaled once: see interpret.h. */
typedef struct NbConvAttr {
    int kernel[2]; /* height, width */
    int stride[2];
    int pad[4]; /* top, left, bottom, right */
    int dilation[2];
    int groups;
} NbConvAttr;

/* SLICE: elements start, start + step, ... below stop along one axis. */
#define NB_SLICE_END INT64_MAX /* stop: to the end of the axis, whatever its length */
typedef struct NbSliceAttr {
    int axis;
    int64_t start; /* 0 <= start < stop <= dimension */
    int64_t stop;  /* or NB_SLICE_END */
    int64_t step;  /* at least 1 */
} NbSliceAttr;

/* RESHAPE: x [, like]: the same numbers in the same order in another shape. A dimension of 0 keeps
 * that of x, -1 (at most one) is what remains. With `like` [N, C, H, W] there are four dimensions,
 * and 2 and 3 are those of `like`, whatever dim says; only its shape is read. */
typedef struct NbReshapeAttr {
    int n;
    int64_t dim[NB_MAX_RANK];
} NbReshapeAttr;

/* MAXPOOL: floor mode; what lies in the padding is never the maximum. */
typedef struct NbPoolAttr {
    int kernel[2];
    int stride[2];
    int pad[4];
} NbPoolAttr;

typedef union NbAttr {
    struct {
        float scale; /* real value = code * scale; codes are uint8 */
        int channels;
    } input;
    struct {
        NbParamRole role;
        bool frozen;
    } param;
    NbQuantSpec quant; /* QUANT: x [, value (PARAM)] */
    NbConvAttr conv;
    struct {
        float eps;
        float momentum; /* of the new value, as PyTorch: running += momentum * (new - running) */
    } batchnorm;        /* BATCHNORM: x, gamma, beta, mean, var */
    struct {
        float slope;
    } leaky_relu;
    struct {
        float factor;
    } scale; /* SCALE: y = x * factor */
    NbPoolAttr pool;
    struct {
        int factor;
    } upsample; /* UPSAMPLE: nearest, the same factor in both directions */
    struct {
        int axis;
    } concat; /* CONCAT: any number of inputs; coded inputs share one scale */
    struct {
        int pad[4]; /* top, left, bottom, right; real zero */
    } pad;
    struct {
        int axis;
    } softmax; /* SOFTMAX: along one axis, nb_softmax (activation.h) */
    NbSliceAttr slice;
    struct {
        int perm[NB_MAX_RANK]; /* dimension d of the output is dimension perm[d] of x */
    } transpose;
    NbReshapeAttr reshape;
    struct {
        NbGrid grid; /* THRESHOLD: x (int32 sums), thresholds PARAM I32 [C, levels], ascending;
                      * code = lo(grid) + number of thresholds t with x >= t. INT32_MIN is always
                      * reached and INT32_MAX, by definition, never. */
        float scale; /* real value = code * scale */
    } threshold;
    /* DEQUANT: x (int32 sums or codes), scale PARAM F32 [C or 1] [, bias PARAM F32 [C]];
     * y = fl(fl((float)x * scale[c]) + bias[c]), without bias y = fl((float)x * scale[c]) */
} NbAttr;

/* What a node's value is, as far as the graph tells (with quantizers on). */
typedef enum NbValueKind {
    NB_VALUE_REAL,  /* real numbers */
    NB_VALUE_CODED, /* integer codes with a scale: INPUT, QUANT, THRESHOLD, and what passes codes
                     * on: MAXPOOL, UPSAMPLE, PAD, SLICE, TRANSPOSE, RESHAPE, DETACH, CONCAT of
                     * coded inputs, ADD of inputs that share one scale */
    NB_VALUE_SUM,   /* integers without a scale: CONV with I8 weights; integer PARAMs */
} NbValueKind;

typedef struct NbNode {
    NbOp op;
    const char *name; /* unique; of a PARAM: its name in checkpoints */
    int layer;        /* line of the model file it comes from; -1: none */
    int n_in;
    NbNodeId *in;
    NbAttr attr;
    NbTensor param; /* PARAM: the tensor (data may be NULL until it is initialised) */
    NbShape shape;  /* of the output; nb_graph_infer fills it in */

    /* Kept by nb_graph_add and, after a node was changed in place, by nb_graph_infer. */
    NbValueKind kind;
    NbNodeId scale_source; /* coded: the INPUT, QUANT or THRESHOLD that gives the scale; else -1 */
    NbGrid grid;           /* coded: the range of the codes */
} NbNode;

typedef struct NbGraph {
    NbArena *arena;
    NbNode *node;
    int n_nodes;
    int capacity;
    NbNodeId *output;
    int n_outputs;
} NbGraph;

void nb_graph_init(NbGraph *g, NbArena *arena);

/* Appends a node (name and inputs are copied, attributes too when attr is not NULL); *id gets its
 * number. Inputs must be earlier nodes, the name must be new. g->node may move: hold ids, not
 * pointers. The node's layer is -1 until the caller sets it. */
NB_FALLIBLE nb_graph_add(NbGraph *g, NbOp op, const char *name, int n_in, const NbNodeId *in,
                         const NbAttr *attr, NbNodeId *id, NbError *err);

/* Appends a PARAM node; its data is zeroed memory of the arena. */
NB_FALLIBLE nb_graph_add_param(NbGraph *g, const char *name, NbParamRole role, NbDtype dtype,
                               const NbShape *shape, NbNodeId *id, NbError *err);

NB_FALLIBLE nb_graph_set_outputs(NbGraph *g, int n, const NbNodeId *output, NbError *err);

/* -1 when there is none. */
NbNodeId nb_graph_find(const NbGraph *g, const char *name);

/* Fills every node's shape for `batch` pictures of height x width and checks everything a graph
 * must hold: order, input counts, attributes, shapes, parameter shapes, shared scales. Names the
 * node in the message. */
NB_FALLIBLE nb_graph_infer(NbGraph *g, int64_t batch, int64_t height, int64_t width, NbError *err);

/* A copy in another arena; parameter data is copied too. */
NB_FALLIBLE nb_graph_copy(const NbGraph *from, NbArena *arena, NbGraph *to, NbError *err);

/* How many nodes read this one (outputs of the graph count once more; a node that reads it twice
 * counts twice). */
int nb_graph_readers(const NbGraph *g, NbNodeId id);

/* Whether two coded values have the same scale and zero by construction: the same source, or two
 * QUANT nodes with equal specs that are constant, read the same value or frozen equal ones, or two
 * THRESHOLD nodes (or INPUTs) of equal scale. */
bool nb_graph_same_scale(const NbGraph *g, NbNodeId a, NbNodeId b);

/* The range of the codes that a quantizer gives: spec.grid for NB_QUANT_INT, -1 .. 1 else. */
NbGrid nb_quant_code_grid(const NbQuantSpec *spec);

/* Fills in kind, scale_source and grid of a node from its inputs and attributes. Of a CONCAT or ADD
 * of coded inputs the source is that of the first; the grid of an ADD holds every sum. */
void nb_graph_set_kind(NbGraph *g, NbNodeId id);

/* Whether a PARAM node is changed by training: F32, not frozen, not a statistic or constant. */
bool nb_param_trained(const NbNode *node);

const char *nb_op_name(NbOp op);

#endif
