/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include "base/size.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void takes_are_zero_aligned_and_apart(void **state) {
    (void)state;
    NbArena arena = {0};
    unsigned char *taken[300];
    size_t size[300];
    for (size_t i = 0; i < 300; i++) {
        size[i] = i * i * 7 % 5000;
        taken[i] = nb_arena_take(&arena, size[i], 1);
        assert_non_null(taken[i]);
        assert_int_equal((uintptr_t)taken[i] % NB_ARENA_ALIGN, 0);
        for (size_t k = 0; k < size[i]; k++)
            assert_int_equal(taken[i][k], 0);
        memset(taken[i], (int)(i % 255) + 1, size[i]);
    }
    for (size_t i = 0; i < 300; i++)
        for (size_t k = 0; k < size[i]; k++)
            assert_int_equal(taken[i][k], i % 255 + 1);
    nb_arena_release(&arena);
    assert_int_equal(arena.total, 0);
}

static void products_that_wrap_are_refused(void **state) {
    (void)state;
    NbArena arena = {0};
    assert_null(nb_arena_take(&arena, SIZE_MAX / 2 + 2, 2)); /* wraps to 2 */
    assert_null(nb_arena_take(&arena, SIZE_MAX, 1));
    assert_null(nb_arena_take(&arena, SIZE_MAX - 62, 1)); /* wraps when rounded up */
    assert_non_null(nb_arena_take(&arena, 0, SIZE_MAX));
    nb_arena_release(&arena);
    size_t out = 0;
    assert_false(nb_mul_size(SIZE_MAX / 2 + 2, 2, &out));
    assert_false(nb_add_size(SIZE_MAX, 2, &out));
    assert_true(nb_mul_size(SIZE_MAX / 2, 2, &out));
    assert_true(out == SIZE_MAX - 1);
    assert_true(nb_add_size(SIZE_MAX - 2, 2, &out) && out == SIZE_MAX);
    assert_int_equal(nb_ceil_div(7, 3), 3);
    assert_int_equal(nb_ceil_div(6, 3), 2);
    assert_int_equal(nb_ceil_div(0, 3), 0);
}

static void the_limit_holds(void **state) {
    (void)state;
    NbArena arena = {.limit = 1 << 20};
    size_t bytes = 0;
    while (nb_arena_take(&arena, 1000, 1))
        bytes += 1024;
    assert_true(bytes <= 1 << 20);
    assert_true(bytes > (1 << 20) - (1 << 17));
    assert_true(arena.total <= 1 << 20);
    nb_arena_release(&arena);
    assert_int_equal(arena.limit, 1 << 20);
    assert_null(nb_arena_take(&arena, (1 << 20) + 1, 1));
    assert_non_null(nb_arena_take(&arena, 1 << 20, 1));
    nb_arena_release(&arena);
}

static void fail_at_counts_takes(void **state) {
    (void)state;
    for (size_t at = 1; at <= 5; at++) {
        NbArena arena = {.fail_at = at};
        size_t good = 0;
        while (nb_arena_take(&arena, 8, 1))
            good++;
        assert_int_equal(good, at - 1);
        assert_non_null(nb_arena_take(&arena, 8, 1)); /* only that one fails */
        nb_arena_release(&arena);
    }
}

static void rewinding_gives_back_and_clears(void **state) {
    (void)state;
    NbArena arena = {0};
    unsigned char *const kept = nb_arena_take(&arena, 100, 1);
    memset(kept, 1, 100);
    const NbArenaMark mark = nb_arena_mark(&arena);
    const size_t total = arena.total;
    void *const first = nb_arena_take(&arena, 200, 1);
    memset(first, 2, 200);
    for (int i = 0; i < 10; i++) /* more chunks */
        memset(nb_arena_take(&arena, 50000, 1), 3, 50000);
    assert_true(arena.total > total);
    nb_arena_rewind(&arena, mark);
    assert_int_equal(arena.total, total);
    assert_int_equal(kept[99], 1);
    const unsigned char *const again = nb_arena_take(&arena, 200, 1);
    assert_ptr_equal(again, first);
    for (int i = 0; i < 200; i++)
        assert_int_equal(again[i], 0);
    nb_arena_release(&arena);
    const NbArenaMark start = nb_arena_mark(&arena); /* of an empty arena */
    (void)nb_arena_take(&arena, 10, 1);
    nb_arena_rewind(&arena, start);
    assert_int_equal(arena.total, 0);
}

static void strings_are_copies(void **state) {
    (void)state;
    NbArena arena = {0};
    char text[] = "hello";
    char *const whole = nb_arena_string(&arena, text);
    char *const part = nb_arena_string_n(&arena, text, 2);
    text[0] = 'x';
    assert_string_equal(whole, "hello");
    assert_string_equal(part, "he");
    assert_string_equal(nb_arena_printf(&arena, "%s-%d", part, 7), "he-7");
    nb_arena_release(&arena);
    NbArena failing = {.fail_at = 1};
    assert_null(nb_arena_string(&failing, "x"));
    failing.fail_at = 1;
    assert_null(nb_arena_printf(&failing, "x"));
    nb_arena_release(&failing);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_are_zero_aligned_and_apart),
        cmocka_unit_test(products_that_wrap_are_refused),
        cmocka_unit_test(the_limit_holds),
        cmocka_unit_test(fail_at_counts_takes),
        cmocka_unit_test(rewinding_gives_back_and_clears),
        cmocka_unit_test(strings_are_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
