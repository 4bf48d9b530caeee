/* SPDX-License-Identifier: Apache-2.0
 *
 * A tensor is a view: type, shape, pointer; dense, row-major, little endian. It owns nothing. */
#ifndef NB_TENSOR_TENSOR_H
#define NB_TENSOR_TENSOR_H

#include "base/arena.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NB_MAX_RANK = 8 };

/* NB_DTYPE(constant, name in safetensors, name in npy, bytes) */
#define NB_DTYPES(X)                                                                               \
    X(NB_F32, "F32", "<f4", 4)                                                                     \
    X(NB_F64, "F64", "<f8", 8)                                                                     \
    X(NB_F16, "F16", "<f2", 2)                                                                     \
    X(NB_BF16, "BF16", "", 2)                                                                      \
    X(NB_I8, "I8", "|i1", 1)                                                                       \
    X(NB_U8, "U8", "|u1", 1)                                                                       \
    X(NB_I16, "I16", "<i2", 2)                                                                     \
    X(NB_U16, "U16", "<u2", 2)                                                                     \
    X(NB_I32, "I32", "<i4", 4)                                                                     \
    X(NB_U32, "U32", "<u4", 4)                                                                     \
    X(NB_I64, "I64", "<i8", 8)                                                                     \
    X(NB_U64, "U64", "<u8", 8)                                                                     \
    X(NB_BOOL, "BOOL", "|b1", 1)

typedef enum NbDtype {
#define NB_DTYPE_ENUM(constant, st, npy, bytes) constant,
    NB_DTYPES(NB_DTYPE_ENUM)
#undef NB_DTYPE_ENUM
        NB_DTYPE_COUNT
} NbDtype;

typedef struct NbShape {
    int rank;
    int64_t dim[NB_MAX_RANK];
} NbShape;

typedef struct NbTensor {
    NbDtype dtype;
    NbShape shape;
    void *data; /* count * size bytes; NULL: no data yet */
} NbTensor;

/* A tensor with a name, as files hold them. */
typedef struct NbNamedTensor {
    const char *name;
    NbTensor tensor;
} NbNamedTensor;

size_t nb_dtype_size(NbDtype dtype);
const char *nb_dtype_name(NbDtype dtype); /* "F32", ... */

NbShape nb_shape(int rank, const int64_t *dim);
bool nb_shape_equal(const NbShape *a, const NbShape *b);

/* Number of elements (1 for rank 0). The checked form is for shapes from outside: false when a
 * dimension is negative or count or bytes do not fit. */
size_t nb_shape_count(const NbShape *shape);
bool nb_shape_count_checked(const NbShape *shape, size_t element_size, size_t *count,
                            size_t *bytes);

/* "[1, 3, 416, 416]" into out (truncated); returns out. */
const char *nb_shape_text(const NbShape *shape, char *out, size_t size);

/* Takes zeroed data for the shape from the arena. */
NB_FALLIBLE nb_tensor_new(NbArena *arena, NbDtype dtype, const NbShape *shape, NbTensor *out,
                          NbError *err);

static inline size_t nb_tensor_count(const NbTensor *t) { return nb_shape_count(&t->shape); }

/* The data as its type; asserts the type. */
static inline float *nb_f32(const NbTensor *t) { return (float *)t->data; }

/* Converts n elements; float to integer rounds half to even and saturates, NaN becomes 0. */
void nb_convert(const void *from, NbDtype from_type, void *to, NbDtype to_type, size_t n);

uint16_t nb_f32_to_f16(float value); /* ties to even */
float nb_f16_to_f32(uint16_t half);

#endif
