/* SPDX-License-Identifier: Apache-2.0
 *
 * What an engine consists of: planes (activations), steps in order, and where they lie in memory.
 * Made once by nb_plan_build; running only follows it. */
#ifndef NB_ENGINE_PLAN_H
#define NB_ENGINE_PLAN_H

#include "engine/engine.h"
#include "engine/kernels/kernels.h"

enum {
    NB_PLANE_CHANNELS = 8, /* pixels are padded to a multiple of this, pictures are not */
    NB_PLANE_SLACK = 64,   /* bytes behind a plane that kernels may read */
};

/* Codes of one value as bytes, NHWC, with a border of real zeros: byte = code + zero. */
typedef struct NbPlane {
    int height;
    int width;
    int channels;
    int pixel;     /* bytes of a pixel */
    int border[4]; /* pixels: top, left, bottom, right */
    int zero;      /* the byte of code 0 */
    int lo;        /* codes lie in [lo, hi], 0 included */
    int hi;
    int first; /* lifetime: number of the step that writes, and of the last one that reads */
    int last;
    size_t offset; /* in the engine's memory */
    size_t bytes;
    uint8_t *at; /* pixel (0, 0) */
} NbPlane;

typedef struct NbStep NbStep;

struct NbStep {
    NbPoolWork *work; /* user: the step */
    int items;
    int rows;   /* output rows of an item */
    int height; /* output rows in all */
    NbEngine *engine;
    NbNodeId node; /* whose value is written */
    int n_in;
    NbPlane **in;
    NbPlane *out; /* NULL: `real` is written */
    float *real;  /* [height][width][channels] */
    /* Convolution */
    NbNodeId conv; /* -1: none */
    int n_blocks;
    NbConvBlock *block;
    ptrdiff_t *segment; /* shared by all blocks */
    bool pool;          /* a 2x2 maximum follows in the same step */
    /* Everything else */
    NbAttr attr;
    const uint8_t *table; /* THRESHOLD: [channels][table_size] of the sum of the input bytes */
    int table_size;
    const float *scale; /* DEQUANT: [channels] */
    const float *bias;  /* DEQUANT: [channels] or NULL */
    double seconds;     /* with e->profile: since the engine was made */
};

typedef struct NbOutput {
    float *real;
    int64_t dim[3];
} NbOutput;

struct NbEngine {
    NbArena arena;
    const NbKernels *kernels;
    NbPool *pool;
    int threads;
    bool keep;
    bool profile;
    NbGraph graph;   /* a copy, inferred; lives in the arena only when values are kept */
    NbPlane **plane; /* [graph.n_nodes]; NULL: the node has none */
    int n_steps;
    NbStep *step;
    uint8_t *memory;
    size_t memory_bytes;
    int n_outputs;
    NbOutput *output;
    const uint8_t *image;
    bool ran;
};

/* Fills in everything from e->graph, which has been inferred. scratch holds what is needed only
 * while planning. */
NB_FALLIBLE nb_plan_build(NbEngine *e, NbArena *scratch, NbError *err);

/* Gives every plane its place: planes that are not alive at the same time may share memory. */
NB_FALLIBLE nb_plan_memory(NbEngine *e, NbPlane *const *planes, int n, NbError *err);

/* The thresholds of a THRESHOLD that tell codes apart: those before `first` are always reached in
 * every channel, those from first + count on never. Bytes count from `first` on. */
typedef struct NbLevels {
    int first;
    int count; /* at least 1 */
    int lo;    /* codes lie in [lo, lo + count] */
} NbLevels;

NbLevels nb_plan_levels(const NbGraph *g, const NbNode *threshold);

/* An ADD of two THRESHOLDs of one sum, the second one seeing it negated. */
typedef struct NbCurve {
    NbNodeId up;
    NbNodeId down;
    int lo; /* codes lie in [lo, hi] */
    int hi;
} NbCurve;

/* Whether ADD `add` is one, in which the second part counts only where the first has not begun to
 * rise. */
bool nb_plan_curve(const NbGraph *g, NbNodeId add, NbCurve *out);

/* Whether this THRESHOLD is read by such an ADD and by nothing else. */
bool nb_plan_in_curve(const NbGraph *g, NbNodeId threshold);

/* Packs weights and constants of a convolution step; out, in, conv and pool are set. `after` is
 * the THRESHOLD or DEQUANT; down: the second THRESHOLD of a curve, or -1. */
NB_FALLIBLE nb_pack_conv(NbEngine *e, NbStep *s, NbNodeId after, NbNodeId down, NbError *err);

/* How many steps of weights in NB_WEIGHT_K4 may be summed in 16 bits, in aligned groups of so many,
 * when activations are at most `most`: 0 to steps. */
int nb_pack_run(const int8_t *weight, int steps, int lanes, int most);

/* Sets where blocks read and write, once planes have their place. */
void nb_pack_place(NbStep *s, const NbEngine *e);

/* What steps do; user is the NbStep. */
NbPoolWork nb_step_input, nb_step_conv, nb_step_maxpool, nb_step_upsample, nb_step_concat,
    nb_step_pad, nb_step_threshold, nb_step_add, nb_step_dequant;

static inline size_t nb_plane_row(const NbPlane *p) {
    return (size_t)(p->border[1] + p->width + p->border[3]) * (size_t)p->pixel;
}

static inline uint8_t *nb_plane_at(const NbPlane *p, int y, int x) {
    return p->at + (ptrdiff_t)y * (ptrdiff_t)nb_plane_row(p) + (ptrdiff_t)x * p->pixel;
}

#endif
