/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/tensor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void shapes_have_text_and_counts(void **state) {
    (void)state;
    static const struct {
        int rank;
        int64_t dim[4];
        const char *text;
        size_t count;
    } rows[] = {
        {4, {1, 3, 416, 416}, "[1, 3, 416, 416]", 519168},
        {1, {7}, "[7]", 7},
        {0, {0}, "[]", 1},
        {2, {0, 5}, "[0, 5]", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[64];
        size_t count = 0;
        size_t bytes = 0;
        const NbShape shape = nb_shape(rows[i].rank, rows[i].dim);
        assert_string_equal(nb_shape_text(&shape, text, sizeof text), rows[i].text);
        assert_int_equal(nb_shape_count(&shape), rows[i].count);
        assert_true(nb_shape_count_checked(&shape, 4, &count, &bytes));
        assert_int_equal(count, rows[i].count);
        assert_int_equal(bytes, 4 * rows[i].count);
        assert_true(nb_shape_equal(&shape, &shape));
    }
    char small[8];
    const NbShape long_one = nb_shape(2, (const int64_t[]){1234567, 7654321});
    assert_true(strlen(nb_shape_text(&long_one, small, sizeof small)) < sizeof small);
}

static void shapes_from_outside_are_checked(void **state) {
    (void)state;
    static const struct {
        int rank;
        int64_t dim[3];
        size_t size;
    } rows[] = {
        {1, {-1}, 1},
        {2, {3, INT64_MIN}, 1},
        {2, {(int64_t)1 << 33, (int64_t)1 << 33}, 1}, /* wraps to 4 */
        {1, {((int64_t)1 << 62) + 1}, 4},             /* bytes wrap to 4 */
        {3, {INT64_MAX, INT64_MAX, 2}, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t count = 0;
        size_t bytes = 0;
        const NbShape shape = nb_shape(rows[i].rank, rows[i].dim);
        assert_false(nb_shape_count_checked(&shape, rows[i].size, &count, &bytes));
    }
    NbArena arena = {0};
    NbError err = {0};
    NbTensor t = {0};
    const NbShape huge = nb_shape(1, (const int64_t[]){((int64_t)1 << 62) + 1});
    assert_int_equal(nb_tensor_new(&arena, NB_F32, &huge, &t, &err), NB_ERR_NOMEM);
    assert_string_equal(err.message, "a tensor of shape [4611686018427387905] is too large");
    nb_arena_release(&arena);
}

static void equality_sees_rank_and_dimensions(void **state) {
    (void)state;
    const NbShape a = nb_shape(2, (const int64_t[]){2, 3});
    const NbShape b = nb_shape(2, (const int64_t[]){2, 4});
    const NbShape c = nb_shape(1, (const int64_t[]){2});
    assert_false(nb_shape_equal(&a, &b));
    assert_false(nb_shape_equal(&a, &c));
    assert_false(nb_shape_equal(&c, &a));
}

static void new_tensors_are_zero(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    NbTensor t = {0};
    const NbShape shape = nb_shape(2, (const int64_t[]){3, 5});
    assert_int_equal(nb_tensor_new(&arena, NB_F32, &shape, &t, &err), NB_OK);
    for (size_t i = 0; i < nb_tensor_count(&t); i++)
        assert_true(nb_f32(&t)[i] == 0.0F);
    arena.fail_at = 1;
    assert_int_equal(nb_tensor_new(&arena, NB_F32, &shape, &t, &err), NB_ERR_NOMEM);
    assert_string_equal(err.message, "out of memory for a tensor of shape [3, 5] (60 bytes)");
    nb_arena_release(&arena);
}

static void types_have_names_and_sizes(void **state) {
    (void)state;
    static const size_t sizes[NB_DTYPE_COUNT] = {
        [NB_F32] = 4, [NB_F64] = 8, [NB_F16] = 2, [NB_BF16] = 2, [NB_I8] = 1,
        [NB_U8] = 1,  [NB_I16] = 2, [NB_U16] = 2, [NB_I32] = 4,  [NB_U32] = 4,
        [NB_I64] = 8, [NB_U64] = 8, [NB_BOOL] = 1};
    for (int i = 0; i < NB_DTYPE_COUNT; i++)
        assert_int_equal(nb_dtype_size((NbDtype)i), sizes[i]);
    assert_string_equal(nb_dtype_name(NB_BF16), "BF16");
    assert_string_equal(nb_dtype_name(NB_BOOL), "BOOL");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_have_text_and_counts),
        cmocka_unit_test(shapes_from_outside_are_checked),
        cmocka_unit_test(equality_sees_rank_and_dimensions),
        cmocka_unit_test(new_tensors_are_zero),
        cmocka_unit_test(types_have_names_and_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
