/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the float engine share.
 *
 * A graph becomes a list of steps. A step reads and writes places: parts of buffers, which are
 * given memory when all steps are known (memory.c). A value of rank 4 may have a place in NHWC,
 * one in the row-major order of the graph ("plain"), or both; steps that convert are added when a
 * reader wants the other one. In NHWC a value may be a range of channels of a wider buffer: that is
 * how concatenations and slices cost nothing (place.c). */
#ifndef NB_NN_FLOAT_INTERNAL_H
#define NB_NN_FLOAT_INTERNAL_H

#include "graph/run.h"
#include "nn/float/float.h"
#include "nn/float/kernels/kernels.h"

#include <stdint.h>

enum { NB_FLOAT_NOWHERE = -1, NB_FLOAT_FIXED = -2 };

typedef struct NbFloatPlace {
    int buffer;    /* index; NB_FLOAT_NOWHERE; NB_FLOAT_FIXED: data is set, no buffer */
    size_t offset; /* floats into the buffer */
    size_t ld;     /* NHWC: floats from pixel to pixel */
    float *data;   /* known when memory is planned */
} NbFloatPlace;

typedef struct NbFloatBuffer {
    size_t floats;
    int first; /* steps that use it */
    int last;
    bool pinned; /* to the end of the run: an output */
    size_t at;   /* floats into the block */
} NbFloatBuffer;

/* What the engine knows of a node. */
typedef struct NbFloatValue {
    bool live;       /* an ancestor of a wanted output, as a value and not only for its shape */
    bool wanted;     /* an output */
    NbNodeId source; /* itself, or the node whose value it is: identities */
    int readers;     /* live ones, of this source */
    NbNodeId reader; /* the last of them */
    bool constant;   /* made of parameters only; plain is fixed, and computed but for PARAMs */
    bool absorbed;   /* computed inside of another step and not there by itself */
    int conv;        /* index of the convolution whose result it is; -1 */
    size_t count;
    bool image; /* rank 4 */
    size_t n, c, h, w;
    NbFloatPlace nhwc;  /* may be decided before it is computed */
    bool has_nhwc;      /* computed there by the steps so far */
    NbFloatPlace plain; /* nowhere: not computed there */
} NbFloatValue;

typedef enum NbFloatAlgorithm {
    NB_FLOAT_POINTWISE, /* 1x1: pixels are rows of a matrix */
    NB_FLOAT_DIRECT,    /* rows with their border are copied, then summed tap by tap */
    NB_FLOAT_DEPTHWISE,
    NB_FLOAT_WINOGRAD,
    NB_FLOAT_ALGORITHMS
} NbFloatAlgorithm;

typedef struct NbFloatConv {
    NbNodeId node;
    NbNodeId norm; /* BATCHNORM behind it; -1 */
    NbNodeId add;  /* what is added behind it; -1 */
    NbNodeId tail; /* the node whose value the step gives */
    NbFloatPost post;
    NbFloatAlgorithm algorithm;
    NbConvAttr a;
    size_t n, h, w, oh, ow;
    size_t groups;
    size_t cin;    /* of a group */
    size_t cout;   /* of a group */
    size_t padded; /* depthwise: channels, rounded up to panels */
    size_t panels; /* of a group */
    size_t panel;  /* floats of one */
    float *weights;
    float *bias; /* [groups][panels * 16] */
    size_t taps;
    size_t *tap;      /* [taps] into the band, or 0 */
    size_t k;         /* values a tap */
    size_t lines;     /* direct, depthwise: rows of the output in an item; pointwise: pixels */
    size_t per_image; /* items of a picture */
    size_t band_row;  /* direct, depthwise: floats of a row of the band */
    size_t tiles_x;   /* Winograd */
    size_t tiles;     /* of a picture */
    size_t tile_step; /* tiles of an item */
    bool from_bytes;  /* reads the picture itself where there is one */
    float scale;      /* of the picture's codes */
    size_t scratch;   /* floats */
    double macs;
} NbFloatConv;

struct NbFloatStep;
typedef void NbFloatRun(NbFloatEngine *x, const struct NbFloatStep *step, int item, int worker);

typedef struct NbFloatStep {
    NbFloatRun *run;
    const char *what;
    NbNodeId node;
    int items;
    int n_in;
    NbFloatPlace *in;
    NbFloatPlace out;
    void *unit; /* what `run` needs */
    double seconds;
} NbFloatStep;

struct NbFloatEngine {
    NbArena arena;
    NbGraph *g;
    NbFloatOptions options;
    const NbFloatKernels *k;
    int threads;
    NbFloatValue *value; /* [n_nodes] */
    NbFloatConv *conv;
    int n_convs;
    NbFloatStep *step;
    int n_steps;
    int step_capacity;
    NbFloatBuffer *buffer;
    int n_buffers;
    int buffer_capacity;
    float *block;
    size_t block_floats;
    float **scratch; /* [threads] */
    size_t scratch_floats;
    NbNodeId *input; /* [n_inputs] INPUT nodes */
    int n_inputs;
    NbFloatPlace *output;  /* [n_outputs] */
    size_t *output_count;  /* of one picture */
    NbShape *output_shape; /* of the last run */
    float **kept;          /* [n_outputs] batch pictures; NULL: the place itself */
    int n_outputs;
    NbFloatStep result; /* holds places of inputs and outputs, which live outside of steps */
    /* of this call */
    const uint8_t *image; /* NULL: real inputs */
    const float *const *real;
    int picture;
    NbStatus status;
    NbError error;
    /* the interpreter's definitions */
    NbArena generic_arena;
    NbArenaMark generic_mark;
    NbRun generic;
    size_t generic_bytes;
    int generic_inputs; /* most of one operator */
    float **generic_data;
};

/* A value that is computed in the order of the graph. */
static inline bool nb_float_somewhere(const NbFloatPlace *p) {
    return p->buffer != NB_FLOAT_NOWHERE;
}

static inline NbFloatValue *nb_float_value(NbFloatEngine *x, NbNodeId id) {
    return &x->value[x->value[id].source];
}

/* Whether a value is known before running, as float32; and its numbers. */
static inline bool nb_float_is_param(const NbFloatEngine *x, NbNodeId id) {
    return x->value[x->value[id].source].plain.buffer == NB_FLOAT_FIXED;
}

static inline const float *nb_float_param(const NbFloatEngine *x, NbNodeId id) {
    return x->value[x->value[id].source].plain.data;
}

/* analyse.c: liveness, readers, convolutions and what they take in */
NB_FALLIBLE nb_float_analyse(NbFloatEngine *x, NbError *err);

/* place.c */
int nb_float_buffer(NbFloatEngine *x, size_t floats); /* -1: out of memory */
NB_FALLIBLE nb_float_place_concats(NbFloatEngine *x, NbError *err);
/* The place a value is to be written to, made when there is none yet. */
NB_FALLIBLE nb_float_make_nhwc(NbFloatEngine *x, NbNodeId id, NbFloatPlace *out, NbError *err);
NB_FALLIBLE nb_float_make_plain(NbFloatEngine *x, NbNodeId id, NbFloatPlace *out, NbError *err);
/* A value that was computed, in the layout that is asked for. */
NB_FALLIBLE nb_float_nhwc(NbFloatEngine *x, NbNodeId id, NbFloatPlace *out, NbError *err);
NB_FALLIBLE nb_float_plain(NbFloatEngine *x, NbNodeId id, NbFloatPlace *out, NbError *err);

/* memory.c */
NB_FALLIBLE nb_float_plan_memory(NbFloatEngine *x, NbError *err);

/* steps.c: the list of steps */
NB_FALLIBLE nb_float_make_steps(NbFloatEngine *x, NbError *err);
/* Appends a step with `n_in` places to fill in; NULL: out of memory. */
NbFloatStep *nb_float_add_step(NbFloatEngine *x, NbFloatRun *run, const char *what, NbNodeId node,
                               int n_in, size_t unit);

/* rows.c: steps over pixels and over plain arrays */
NB_FALLIBLE nb_float_copy_rows(NbFloatEngine *x, NbNodeId node, const NbFloatPlace *from,
                               const NbFloatPlace *to, size_t rows, size_t n, NbError *err);
NB_FALLIBLE nb_float_convert(NbFloatEngine *x, NbNodeId node, bool to_plain,
                             const NbFloatPlace *from, const NbFloatPlace *to, NbError *err);
NB_FALLIBLE nb_float_add_unary(NbFloatEngine *x, NbNodeId id, NbError *err);
NB_FALLIBLE nb_float_add_binary(NbFloatEngine *x, NbNodeId id, NbError *err);
NB_FALLIBLE nb_float_add_norm(NbFloatEngine *x, NbNodeId id, NbError *err);
/* What an activation node does. */
bool nb_float_act(const NbNode *node, NbFloatAct *act, float *slope);

/* image.c: pools, upsampling, the picture itself */
NB_FALLIBLE nb_float_add_pool(NbFloatEngine *x, NbNodeId id, NbError *err);
NB_FALLIBLE nb_float_add_upsample(NbFloatEngine *x, NbNodeId id, NbError *err);
NB_FALLIBLE nb_float_add_input(NbFloatEngine *x, NbNodeId id, NbError *err);

/* conv_plan.c, conv_pack.c, conv.c, wino.c */
NB_FALLIBLE nb_float_add_conv(NbFloatEngine *x, NbFloatConv *conv, NbError *err);
NB_FALLIBLE nb_float_conv_shape(NbFloatEngine *x, NbFloatConv *conv, NbError *err);
NB_FALLIBLE nb_float_pack(NbFloatEngine *x, NbError *err);
void nb_float_wino_pack(const NbFloatConv *conv, const float *weights, const float *factor,
                        size_t panel);
size_t nb_float_wino_scratch(const NbFloatConv *conv);
NbFloatRun nb_float_run_pointwise;
NbFloatRun nb_float_run_direct;
NbFloatRun nb_float_run_depthwise;
NbFloatRun nb_float_run_winograd;
/* How many panels the next tiles compute when `left` are left. */
size_t nb_float_group(const NbFloatKernels *k, size_t left);
/* Sizes of tiles that cover n pixels as evenly as possible: *size for the first *n_full of
 * `count`, one less for the others. */
typedef struct NbFloatSplit {
    size_t count, size, full;
} NbFloatSplit;
NbFloatSplit nb_float_split(size_t n, size_t most);

/* plain.c: matrix products, softmax, moving values */
NB_FALLIBLE nb_float_add_matmul(NbFloatEngine *x, NbNodeId id, NbError *err);
NB_FALLIBLE nb_float_add_softmax(NbFloatEngine *x, NbNodeId id, NbError *err);
NB_FALLIBLE nb_float_add_slice(NbFloatEngine *x, NbNodeId id, NbError *err);
NB_FALLIBLE nb_float_add_transpose(NbFloatEngine *x, NbNodeId id, NbError *err);

/* generic.c */
NB_FALLIBLE nb_float_add_generic(NbFloatEngine *x, NbNodeId id, NbError *err);
/* Gives the operator the inputs that `data` holds, and runs it. */
NB_FALLIBLE nb_float_interpret(NbFloatEngine *x, NbRun *run, NbNodeId id, float *const *data,
                               NbError *err);
/* Computes what is made of parameters only. */
NB_FALLIBLE nb_float_fold_constants(NbFloatEngine *x, NbError *err);
NB_FALLIBLE nb_float_prepare_generic(NbFloatEngine *x, NbError *err);

#endif
