/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/tensor.h"

#include "base/size.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

size_t nb_dtype_size(NbDtype dtype) {
    static const size_t sizes[] = {
#define NB_DTYPE_SIZE(constant, st, npy, bytes) bytes,
        NB_DTYPES(NB_DTYPE_SIZE)
#undef NB_DTYPE_SIZE
    };
    return sizes[dtype];
}

const char *nb_dtype_name(NbDtype dtype) {
    static const char *const names[] = {
#define NB_DTYPE_NAME(constant, st, npy, bytes) st,
        NB_DTYPES(NB_DTYPE_NAME)
#undef NB_DTYPE_NAME
    };
    return names[dtype];
}

NbShape nb_shape(int rank, const int64_t *dim) {
    NbShape shape = {.rank = rank};
    for (int i = 0; i < rank; i++)
        shape.dim[i] = dim[i];
    return shape;
}

bool nb_shape_equal(const NbShape *a, const NbShape *b) {
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i])
            return false;
    return true;
}

size_t nb_shape_count(const NbShape *shape) {
    size_t count = 1;
    for (int i = 0; i < shape->rank; i++)
        count *= (size_t)shape->dim[i];
    return count;
}

bool nb_shape_count_checked(const NbShape *shape, size_t element_size, size_t *count,
                            size_t *bytes) {
    size_t n = 1;
    for (int i = 0; i < shape->rank; i++)
        if (shape->dim[i] < 0 || !nb_mul_size(n, (size_t)shape->dim[i], &n))
            return false;
    *count = n;
    return nb_mul_size(n, element_size, bytes);
}

const char *nb_shape_text(const NbShape *shape, char *out, size_t size) {
    size_t used = 0;
    for (int i = 0; i < shape->rank && used < size; i++) {
        const int n =
            snprintf(out + used, size - used, "%s%" PRId64, i ? ", " : "[", shape->dim[i]);
        used += n > 0 ? (size_t)n : 0;
    }
    if (used < size)
        (void)snprintf(out + used, size - used, "%s", shape->rank ? "]" : "[]");
    return out;
}

NbStatus nb_tensor_new(NbArena *arena, NbDtype dtype, const NbShape *shape, NbTensor *out,
                       NbError *err) {
    size_t count;
    size_t bytes;
    char text[128];
    if (!nb_shape_count_checked(shape, nb_dtype_size(dtype), &count, &bytes))
        return nb_fail(NB_ERR_NOMEM, err, "a tensor of shape %s is too large",
                       nb_shape_text(shape, text, sizeof text));
    *out = (NbTensor){.dtype = dtype, .shape = *shape, .data = nb_arena_take(arena, bytes, 1)};
    if (!out->data)
        return nb_fail(NB_ERR_NOMEM, err, "out of memory for a tensor of shape %s (%zu bytes)",
                       nb_shape_text(shape, text, sizeof text), bytes);
    return NB_OK;
}
