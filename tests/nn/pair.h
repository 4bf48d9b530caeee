/* SPDX-License-Identifier: Apache-2.0
 *
 * One graph twice: for the executor, and for the interpreter it is compared with. */
#ifndef NB_TESTS_NN_PAIR_H
#define NB_TESTS_NN_PAIR_H

#include "graph/interpret.h"
#include "nn/executor.h"
#include "nn/nets.h"

enum { MAX_OUTPUTS = 4 };

typedef struct Pair {
    Net net;       /* the executor's graph */
    NbArena arena; /* of everything else */
    NbGraph twin;  /* the interpreter's */
    NbPool *pool;
    NbExecutor *x;
    int count;
    int height;
    int width;
    uint8_t *nhwc;
    uint8_t *nchw;
    NbValue *value;
} Pair;

/* Ends the test when the call failed. */
void must(NbStatus status, const NbError *err);

/* p->net is built and the rest zero; makes everything else, and random pictures. */
void pair_open(Pair *p, const NbExecutorOptions *options, int count, int threads);
void pair_close(Pair *p);

/* NHWC of `count` pictures from NCHW, and back; other ranks are copied. */
void to_nhwc(const float *from, const NbShape *s, int count, float *to);
void to_nchw(const float *from, const NbShape *s, int count, float *to);

void expect_equal(const float *got, const float *want, size_t n, const char *what, int i);
/* Largest |got - want| over the largest |want| (or 0.5); infinity when only one of two is NaN. */
double distance(const float *got, const float *want, size_t n);

/* The largest distance of an output from the interpreter's. */
double output_distance(Pair *p);

/* Largest difference at most `tolerance` of the largest |want| (or of 0.5, if that is more: some
 * gradients are 0 but for rounding, such as that of a bias in front of a batch norm). */
void expect_close(const float *got, const float *want, size_t n, double tolerance, const char *what,
                  int i);

/* The executor's outputs against the interpreter's. */
void compare_outputs(Pair *p, bool exact, double tolerance);

/* Random gradients of the outputs for both, in both layouts. */
void make_gradients(Pair *p, const float **nhwc, NbTensor *nchw);

#endif
