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

/* MAP: a function of one number, real to real; a and b are its parameters. */
typedef enum NbMapKind {
    NB_MAP_IDENTITY, /* codes become real numbers */
    NB_MAP_ABS,
    NB_MAP_NEG,
    NB_MAP_SIGN,
    NB_MAP_FLOOR,
    NB_MAP_CEIL,
    NB_MAP_ROUND, /* half to even */
    NB_MAP_TRUNC,
    NB_MAP_RECIPROCAL,
    NB_MAP_SQRT,
    NB_MAP_EXP,
    NB_MAP_LOG,
    NB_MAP_ERF,
    NB_MAP_SIN,
    NB_MAP_COS,
    NB_MAP_TANH,
    NB_MAP_CLIP,         /* min(max(x, a), b) */
    NB_MAP_ELU,          /* x >= 0 ? x : a (e^x - 1) */
    NB_MAP_SELU,         /* b (x > 0 ? x : a (e^x - 1)) */
    NB_MAP_CELU,         /* max(0, x) + min(0, a (e^(x / a) - 1)) */
    NB_MAP_SOFTPLUS,     /* log(1 + e^x) */
    NB_MAP_SOFTSIGN,     /* x / (1 + |x|) */
    NB_MAP_HARD_SIGMOID, /* clip(a x + b, 0, 1) */
    NB_MAP_HARD_SWISH,   /* x clip(x / 6 + 1/2, 0, 1) */
    NB_MAP_SWISH,        /* x sigmoid(a x) */
    NB_MAP_MISH,         /* x tanh(log(1 + e^x)) */
    NB_MAP_GELU,         /* x (1 + erf(x / sqrt 2)) / 2 */
    NB_MAP_GELU_TANH,    /* its approximation by tanh */
    NB_MAP_THRESHOLD,    /* x > a ? x : 0 */
    NB_MAP_NOT,          /* x == 0 */
    NB_MAP_IS_NAN,
    NB_MAP_COUNT
} NbMapKind;

/* COMBINE: a function of two numbers, broadcast; truth is 1 and 0. */
typedef enum NbCombineKind {
    NB_COMBINE_POW,
    NB_COMBINE_MIN, /* NaN when either is */
    NB_COMBINE_MAX,
    NB_COMBINE_MOD,       /* the sign of the divisor, as Python's % */
    NB_COMBINE_FMOD,      /* the sign of the dividend, as C's fmod */
    NB_COMBINE_TRUNC_DIV, /* of integers: rounded towards zero */
    NB_COMBINE_PRELU,     /* a >= 0 ? a : a * b */
    NB_COMBINE_EQUAL,
    NB_COMBINE_LESS,
    NB_COMBINE_LESS_EQUAL,
    NB_COMBINE_GREATER,
    NB_COMBINE_GREATER_EQUAL,
    NB_COMBINE_AND,
    NB_COMBINE_OR,
    NB_COMBINE_XOR,
    NB_COMBINE_COUNT
} NbCombineKind;

/* REDUCE: over the axes of a bit mask, sums in double in the order of x, rounded once. */
typedef enum NbReduceKind {
    NB_REDUCE_SUM,
    NB_REDUCE_MEAN,
    NB_REDUCE_PROD,
    NB_REDUCE_MIN, /* NaN when one is; of nothing: infinity */
    NB_REDUCE_MAX,
    NB_REDUCE_L1,
    NB_REDUCE_L2,
    NB_REDUCE_SQUARES,
    NB_REDUCE_ARGMIN, /* one axis; of equal ones the first, with `last` the last */
    NB_REDUCE_ARGMAX,
} NbReduceKind;

typedef struct NbReduceAttr {
    NbReduceKind kind;
    unsigned axes; /* bit d: dimension d */
    bool keep;     /* reduced dimensions stay as 1 */
    bool last;
} NbReduceAttr;

/* POOL: x [N, C, spatial...] with 1 to 6 spatial dimensions; the general form of MAXPOOL. */
typedef struct NbWindowAttr {
    bool average;       /* else the maximum; the padding never wins */
    bool indices;       /* the place of the maximum in x instead of its value */
    bool count_padding; /* the average divides by what the window covers of x and its padding */
    bool ceil;          /* the last window may reach over the end, but must start before it */
    bool by_column;     /* indices count column by column */
    int kernel[6], stride[6], dilation[6];
    int before[6], after[6];
} NbWindowAttr;

/* CONV_TRANSPOSE: x [N,C,H,W], w [C, O/groups, kh, kw] [, bias PARAM [O]]: the gradient of a
 * convolution; pad is cut off the result, extra is added at its end. */
typedef struct NbDeconvAttr {
    int stride[2];
    int pad[4]; /* top, left, bottom, right */
    int dilation[2];
    int extra[2]; /* bottom, right */
    int groups;
} NbDeconvAttr;

/* RESIZE: as ONNX Resize defines it (19). size is the output; scale maps coordinates. */
typedef struct NbResizeAttr {
    enum { NB_RESIZE_NEAREST, NB_RESIZE_LINEAR, NB_RESIZE_CUBIC } mode;
    enum {
        NB_RESIZE_HALF_PIXEL,
        NB_RESIZE_HALF_PIXEL_SYMMETRIC,
        NB_RESIZE_PYTORCH_HALF_PIXEL,
        NB_RESIZE_ALIGN_CORNERS,
        NB_RESIZE_ASYMMETRIC,
    } place;
    enum { NB_RESIZE_FLOOR, NB_RESIZE_CEIL, NB_RESIZE_PREFER_FLOOR, NB_RESIZE_PREFER_CEIL } nearest;
    float cubic; /* coefficient a of the cubic */
    bool exclude_outside;
    float scale[NB_MAX_RANK];
    int64_t size[NB_MAX_RANK];
} NbResizeAttr;

typedef enum NbGatherKind {
    NB_GATHER_SLICES,   /* ONNX Gather: indices replace the dimension `axis` */
    NB_GATHER_ELEMENTS, /* GatherElements: one index for each element of the output */
    NB_GATHER_ND,       /* GatherND without batch dimensions */
} NbGatherKind;

/* PAD_ND: any rank; a negative number cuts off. */
typedef struct NbPadAttr {
    enum { NB_PAD_CONSTANT, NB_PAD_EDGE, NB_PAD_REFLECT, NB_PAD_WRAP } mode;
    float value;
    int64_t before[NB_MAX_RANK], after[NB_MAX_RANK];
} NbPadAttr;

/* NMS: boxes [N, B, 4], scores [N, C, B]: rows (picture, class, box) of what stays, as ONNX
 * NonMaxSuppression orders them. How many is known only when it runs: the shape of the node is the
 * most, [N * C * min(limit, B), 3], and the value has its own; no other node may read it. */
typedef struct NbNmsAttr {
    bool centre;   /* boxes are x, y, w, h of the centre; else two opposite corners y, x, y, x */
    int64_t limit; /* boxes a class */
    float iou;     /* a box that overlaps a better one by more goes */
    float score;   /* a box that scores less or the same goes, unless without */
    bool any_score;
} NbNmsAttr;

/* CAST: rounds real numbers to what another type can hold; they stay real numbers. */
typedef struct NbCastAttr {
    enum {
        NB_CAST_INTEGER, /* towards zero; up to 32 bits the low bits stay, beyond it saturates */
        NB_CAST_BOOL,    /* 1 unless 0 */
        NB_CAST_FLOAT,   /* to nearest even */
    } kind;
    int bits;
    bool is_signed;
    /* of floats: bits of exponent and mantissa, the bias, what the largest exponent means */
    int exponent, mantissa, bias;
    enum { NB_CAST_IEEE, NB_CAST_NO_INFINITY, NB_CAST_UNSIGNED_ZERO, NB_CAST_FINITE } style;
    bool saturate;
    enum { NB_CAST_UP, NB_CAST_DOWN, NB_CAST_NEAREST } round; /* exponents without mantissa */
} NbCastAttr;

/* QUANTIZE: x, scale (PARAM F32, 1 or dimension 0 of x): codes with a scale and a zero that files
 * give, code = clamp(round half even(x / scale) + zero). With `codes` x holds codes already.
 * Without quantizers (nb_interpret) it is the identity, of codes their real value. */
typedef struct NbQuantizeAttr {
    NbGrid grid;
    float zero;
    bool codes;
    bool real; /* gives (code - zero) * scale as real numbers, with and without quantizers */
} NbQuantizeAttr;

typedef union NbAttr {
    struct {
        float scale; /* real value = code * scale; codes are uint8 */
        int channels;
        bool real; /* the caller gives float32; then the shape is that of NbNode.param, where a
                    * first dimension of -1 is the batch; scale and channels mean nothing */
    } input;
    struct {
        NbMapKind kind;
        float a, b;
    } map;
    struct {
        NbCombineKind kind;
    } combine;
    NbReduceAttr reduce;
    NbWindowAttr window; /* POOL */
    NbDeconvAttr deconv;
    NbResizeAttr resize;
    struct {
        NbGatherKind kind;
        int axis;
    } gather;             /* GATHER: x, indices (whole numbers; negative ones count from the end) */
    NbReshapeAttr expand; /* EXPAND: x is broadcast against a tensor of this shape; 0: one of 1 */
    NbPadAttr pad_nd;
    struct {
        int axis;
        int64_t k;
        bool smallest;
        bool indices; /* where they were instead of the values; of equal ones the first first */
    } topk;
    NbNmsAttr nms;
    NbCastAttr cast;
    NbQuantizeAttr quantize;
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
    NB_VALUE_CODED, /* integer codes with a scale: INPUT of pictures, QUANT, QUANTIZE, THRESHOLD,
                     * and what passes codes on: MAXPOOL, UPSAMPLE, PAD, SLICE, TRANSPOSE, RESHAPE,
                     * DETACH, CONCAT of coded inputs, ADD of inputs that share one scale */
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

/* The code of the real number 0; 0 for what is not coded. */
float nb_graph_zero(const NbGraph *g, NbNodeId id);

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
