/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the executor share.
 *
 * A graph becomes a list of steps, forward and backward, in one order. A step is run for one
 * picture. Steps are grouped into phases: each shard runs the steps of a phase for one picture
 * after the other, then the phase's reductions run once (statistics of batch norms, sums of weight
 * gradients), then the next phase starts. Values that live within one phase lie in the memory of
 * the worker; all others lie in one block for the whole batch, in which places are reused
 * (memory.c).
 *
 * A conv (NbNnConv) is a CONV node with its weights' quantizer. A chain (NbNnChain) is a run of
 * element-wise nodes, each the only reader of the one before, with a 2x2 pool at its end perhaps:
 * computed tile by tile in cache, and recomputed in backward, so that only its input is kept. */
#ifndef NB_NN_INTERNAL_H
#define NB_NN_INTERNAL_H

#include "base/arena.h"
#include "nn/dnnl/conv_dnnl.h"
#include "nn/executor.h"
#include "nn/kernels/kernels.h"

enum { NB_NN_TILE = 2048, NB_NN_MAX_STAGES = 12 };

typedef int NbNnBuffer; /* index; -1: none */

typedef enum NbNnCopies {
    NB_NN_PER_PICTURE,
    NB_NN_PER_SHARD,
} NbNnCopies;

typedef struct NbNnMemory {
    size_t stride; /* bytes of one copy */
    NbNnCopies copies;
    int first; /* steps that use it */
    int last;
    bool pinned; /* lives from `first` to the next call */
    bool local;  /* in the worker's memory */
    size_t offset;
} NbNnMemory;

/* What the executor knows of a node. */
typedef struct NbNnValue {
    int h, w, c;  /* not a picture: 1, count, 1 */
    size_t count; /* elements of one picture */
    bool live;    /* an ancestor of an output that is wanted */
    bool reached; /* the same, and no DETACH lies between */
    bool is_activation;
    bool image; /* rank 4, NHWC; else row-major */
    bool coded;
    bool needs_grad; /* of a DETACH, whose source may need one: false */
    NbNodeId source; /* itself, or the node whose value it is: identities */
    int readers;     /* live ones; an output counts once */
    int conv;        /* index of its conv; -1 */
    int chain;       /* index of the chain it belongs to; -1 */
    NbNnBuffer value;
    NbNnBuffer grad;
    bool grad_started; /* while planning: something was already written */
    float scale;       /* coded: of this forward (scale_source's) */
} NbNnValue;

/* Rows of the output of a convolution that are computed together, so that they stay in cache. */
typedef struct NbNnBand {
    int first; /* row of the output */
    int end;
    int in_first; /* row of the input where the band's input begins */
    int kind;     /* index of its primitives */
} NbNnBand;

enum { NB_NN_BAND_KINDS = 4 };

typedef struct NbNnConv {
    NbNodeId node;
    NbNodeId x;            /* source of the input */
    NbNodeId weight;       /* PARAM */
    NbNodeId weight_quant; /* QUANT of the weights; -1: real weights */
    NbNodeId bias;         /* PARAM; -1 */
    NbConvShape shape;
    size_t weights; /* count */
    bool coded;     /* sums of codes, scaled once */
    bool lazy;      /* the value is the bare sum: its only reader, a chain, scales it */
    size_t period;
    NbDnnlConv *forward;
    NbDnnlConv *back_data;    /* NULL: not wanted, or not possible: loops */
    NbDnnlConv *back_weights; /* the same */
    /* Coded sums that might leave 2^24: input channels are cut into parts, each with exact sums. */
    bool may_overflow;
    bool split;   /* in this forward they would */
    int n_chunks; /* 0: plain loops in double instead */
    int chunk_channels;
    NbDnnlConv *chunk[2]; /* of full and of last size */
    float **chunk_packed;
    /* Large maps whose input wants no gradient: band.c. */
    int n_bands; /* 0: not cut */
    NbNnBand *band;
    int n_band_kinds;
    NbConvShape band_shape[NB_NN_BAND_KINDS];
    NbDnnlConv *band_weights[NB_NN_BAND_KINDS];
    float *slice;                 /* weights of one part */
    float *code;                  /* [weights] of quantized weights */
    float *real;                  /* [weights] dequantized */
    const float *forward_weights; /* [O, I/groups, kh, kw] of this forward: codes or real */
    const float *real_weights;
    float *weight_scale; /* [oc] */
    float *packed;
    float *packed_back;
    float *out_scale;  /* [period] coded: scale_x * scale_w */
    float *out_bias;   /* [period] */
    float *grad;       /* [weights] gradient of the weights */
    float *value_grad; /* [oc] of the learned value of their quantizer */
    double *bias_sum;  /* [shards][period] */
    NbNnBuffer dw;     /* per shard, packed */
    bool weight_grad_wanted;
    bool input_grad_wanted;
} NbNnConv;

typedef struct NbNnStage {
    NbNodeId node;
    NbOp op;
    bool fast_quant;   /* NB_OP_QUANT that kernels.h can do */
    NbNnQuant quant;   /* its scale is that of this forward */
    double *scale_sum; /* [shards] d loss / d scale of a learned quantizer */
} NbNnStage;

typedef struct NbNnChain {
    NbNodeId x; /* source of the input */
    NbNodeId head;
    NbNodeId tail;
    int n_stages;
    NbNnStage stage[NB_NN_MAX_STAGES];
    bool input_grad_wanted;
    bool pool; /* ends with MAXPOOL 2x2 */
    bool raw;  /* passes codes on: nothing but a pool */
    bool pick; /* training, norm and pool: `which` and `top` are kept for backward */
    int h, w, c;
    size_t period;
    /* the batch norm, if there is one */
    NbNodeId norm;     /* -1: none. In training it is stage 0 */
    double *stat;      /* [shards][2][period] partial sums */
    float *affine[2];  /* [period] a, b of this forward */
    float *back[4];    /* [period] a, mean, mean of dz, mean of dz * normal * inverse deviation */
    float *narrow[4];  /* [c] any of these before it is widened */
    NbNnBuffer which;  /* uint8: which of the four was the largest */
    NbNnBuffer top;    /* and the chain's input there */
    double *moment[2]; /* [c] mean and inverse deviation of the batch */
} NbNnChain;

struct NbNnTask;
typedef struct NbNnStep NbNnStep;

typedef void NbNnRun(const struct NbNnTask *task, const NbNnStep *step);

struct NbNnStep {
    NbNnRun *run;
    NbNodeId node;
    int unit;     /* conv or chain */
    NbNnBuffer a; /* meaning by step */
    NbNnBuffer b;
    bool add; /* add to what is in the target instead of writing it */
};

typedef NbStatus NbNnReduce(NbExecutor *x, int unit, NbError *err);

typedef struct NbNnReduction {
    NbNnReduce *run;
    int unit; /* conv or chain */
} NbNnReduction;

typedef struct NbNnPhase {
    int end;           /* step after the last */
    int reduction_end; /* the same of reductions */
} NbNnPhase;

struct NbExecutor {
    NbArena arena;
    NbGraph *g;
    NbExecutorOptions options;
    int shards; /* most */
    int workers;
    const NbNnKernels *k;
    NbDnnl *dnnl;

    NbNnValue *value; /* [n_nodes] */
    NbNnConv *conv;
    int n_convs;
    NbNnChain *chain;
    int n_chains;

    NbNnStep *step;
    int n_steps;
    int step_capacity;
    NbNnPhase *phase;
    int n_phases;
    int n_forward_phases;
    int phase_capacity;
    NbNnReduction *reduction;
    int n_reductions;
    int reduction_capacity;
    size_t pending; /* planning: bytes of weight gradients in this phase */

    NbNnMemory *memory;
    int n_memories;
    int memory_capacity;
    unsigned char *batch_block;
    unsigned char **worker_block; /* [workers] */
    unsigned char **scratch;      /* [workers] for use within one step */
    size_t scratch_bytes;

    NbNodeId input;
    uint8_t *images;             /* training: a copy */
    const uint8_t *image_source; /* of this forward */
    NbNnBuffer *output;          /* [n_outputs]; -1: not wanted */
    float **grad;                /* [n_nodes] of PARAM nodes */

    int count; /* pictures of this forward */
    bool train;
    bool ready; /* a training forward has run */
    const float *const *d_output;
    double **seconds; /* [workers][n_steps]; NULL: not measured */
    NbStatus *status; /* [workers] first failure */
    NbError *error;   /* [workers] */
};

typedef struct NbNnTask {
    NbExecutor *x;
    int worker;
    int shard;
    int picture;
    bool first; /* the first picture of its shard: sums start */
} NbNnTask;

/* The data of this picture or of this shard. */
void *nb_nn_at(const NbNnTask *task, NbNnBuffer buffer);

/* Shards of this forward. */
static inline int nb_nn_shards(const NbExecutor *x) {
    return (x->count + x->options.shard - 1) / x->options.shard;
}

/* The first failure of any worker, if there was one. */
NB_FALLIBLE nb_nn_status(NbExecutor *x, NbError *err);

/* Remembers the first failure of this worker. */
void nb_nn_failed(const NbNnTask *task, NbStatus status, const NbError *err);

/* profile.c */
NB_FALLIBLE nb_nn_profile_new(NbExecutor *x, NbError *err);
double nb_nn_thread_seconds(void);

/* memory.c */
NbNnBuffer nb_nn_buffer(NbExecutor *x, size_t stride, NbNnCopies copies); /* -1: out of memory */
NB_FALLIBLE nb_nn_place(NbExecutor *x, NbError *err);

/* plan.c: which nodes matter, convs and chains */
NB_FALLIBLE nb_nn_analyse(NbExecutor *x, NbError *err);

/* How many of the first inputs are activations, or operands that are constants. */
int nb_nn_activations_in(const NbNode *node);

/* layouts.c: NHWC or row-major */
void nb_nn_choose_layouts(NbExecutor *x);

/* steps.c: the list of steps and phases */
NB_FALLIBLE nb_nn_make_steps(NbExecutor *x, NbError *err);

/* conv.c, conv_backward.c */
NB_FALLIBLE nb_nn_conv_new(NbExecutor *x, NbNnConv *conv, NbError *err);
void nb_nn_conv_free(NbNnConv *conv);
NB_FALLIBLE nb_nn_convs_prepare(NbExecutor *x, NbError *err);
NbNnRun nb_nn_conv_forward;
NbNnRun nb_nn_conv_backward;
NbNnReduce nb_nn_conv_reduce;
NB_FALLIBLE nb_nn_convs_finish(NbExecutor *x, NbError *err);
size_t nb_nn_conv_scratch(const NbNnConv *conv);
size_t nb_nn_conv_gradient_bytes(const NbNnConv *conv); /* packed gradient of the weights */

/* band.c */
NB_FALLIBLE nb_nn_bands_new(NbExecutor *x, NbNnConv *conv, NbError *err);
size_t nb_nn_band_scratch(const NbNnConv *conv, const NbNnChain *chain);
NbNnRun nb_nn_band_backward;

/* chain.c, chain_backward.c */
NB_FALLIBLE nb_nn_chain_new(NbExecutor *x, NbNnChain *chain, NbError *err);
void nb_nn_chains_prepare(NbExecutor *x);
NbNnRun nb_nn_chain_statistics;
NbNnReduce nb_nn_chain_reduce_statistics;
NbNnRun nb_nn_chain_forward;
NbNnRun nb_nn_chain_sums;
NbNnReduce nb_nn_chain_reduce_sums;
NbNnRun nb_nn_chain_backward;
void nb_nn_chains_finish(NbExecutor *x);
size_t nb_nn_chain_scratch(const NbNnChain *chain);
size_t nb_nn_tile_floats(const NbNnChain *chain);
/* [c] to [period] */
void nb_nn_widen(const NbNnChain *chain, const float *narrow, float *wide);
/* Channel c of partial sums `which` (0, 1) over all shards, in their order. */
double nb_nn_chain_sum(const NbExecutor *x, const NbNnChain *chain, int which, size_t c);

/* Input gradient of rows[0] to rows[1], of a chain with a batch norm, into `to`: these rows only.
 */
void nb_nn_chain_norm_rows(const NbNnTask *task, NbNnChain *chain, const int rows[2], float *to);

/* A tile: pixels in a row; or with a pool, the pixels of n elements of the output, in four planes:
 * upper left, upper right, lower left, lower right. */
typedef struct NbNnTile {
    size_t at;    /* first element of the (upper) row within the picture */
    size_t lower; /* pool: of the lower row */
    size_t out;   /* pool: first element in the output; else `at` */
    size_t n;     /* elements of the output */
    size_t all;   /* elements in the tile: n or 4 n */
} NbNnTile;

/* Tile `index` of rows[0] to rows[1] (even numbers with a pool); false: there is none. */
bool nb_nn_tile(const NbNnChain *chain, const int rows[2], size_t index, NbNnTile *tile);
/* The input of the chain, real. */
void nb_nn_tile_load(const NbNnTask *task, const NbNnChain *chain, const float *x,
                     const NbNnTile *tile, float *out);
/* Whether the input lies in memory as the real numbers it is: nothing to load. */
bool nb_nn_chain_reads_as_is(const NbExecutor *x, const NbNnChain *chain);
/* Whether this forward computes batch norm and SiLU, and nothing else, in one loop. */
bool nb_nn_chain_is_norm_silu(const NbExecutor *x, const NbNnChain *chain);
/* One stage; the output is real unless it is the last. */
void nb_nn_stage_forward(const NbNnTask *task, const NbNnChain *chain, int index, const float *in,
                         size_t n, float *out);

/* layout.c */
NbNnRun nb_nn_input_forward;
NbNnRun nb_nn_pool_forward;
NbNnRun nb_nn_pool_backward;
size_t nb_nn_pool_scratch(const NbNnValue *v); /* bytes it needs within one step */
NbNnRun nb_nn_upsample_forward;
NbNnRun nb_nn_upsample_backward;
NbNnRun nb_nn_pad_forward;
NbNnRun nb_nn_pad_backward;
NbNnRun nb_nn_add_forward;
NbNnRun nb_nn_add_backward;
NbNnRun nb_nn_real_forward;
NbNnRun nb_nn_seed_backward;

/* move.c. Strides, in elements, of the dimensions of a value (of those behind the first, of
 * activations) as it lies in memory. */
void nb_nn_strides(const NbExecutor *x, NbNodeId id, ptrdiff_t stride[NB_MAX_RANK]);
/* The value of this picture in rows, or NHWC when `image` and its rank is 4. */
void nb_nn_value_in_order(const NbNnTask *task, NbNodeId id, bool image, float *out);
NbNnRun nb_nn_move_forward; /* SLICE, TRANSPOSE, RESHAPE */
/* step.a of the backward of a SLICE: the rest of the gradient is written by others. */
enum { NB_NN_PART_OF_WHOLE = 1 };
NbNnRun nb_nn_move_backward;
NbNnRun nb_nn_concat_forward;

/* arithmetic.c: ADD, SUB, MUL, DIV with broadcasting */
NbNnRun nb_nn_arithmetic_forward;
NbNnRun nb_nn_arithmetic_backward;
size_t nb_nn_arithmetic_scratch(const NbNnValue *input);

/* product.c */
NbNnRun nb_nn_matmul_forward;
NbNnRun nb_nn_matmul_backward;
size_t nb_nn_matmul_scratch(const NbExecutor *x, NbNodeId id);
NbNnRun nb_nn_softmax_forward;
NbNnRun nb_nn_softmax_backward;
size_t nb_nn_softmax_scratch(const NbExecutor *x, NbNodeId id);

#endif
