/* SPDX-License-Identifier: Apache-2.0 */
#include "format/image_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define II "II\x2a\0\x08\0\0\0"
#define MM "MM\0\x2a\0\0\0\x08"

static void orientation_is_found_or_one(void **state) {
    (void)state;
    static const struct {
        const char *tiff;
        size_t n;
        int want;
    } rows[] = {
        /* header, number of entries, entry: tag, type, count, value */
        {II "\1\0\x12\1\3\0\1\0\0\0\6\0\0\0", 22, 6},
        {MM "\0\1\1\x12\0\3\0\0\0\1\0\6\0\0", 22, 6},
        {II "\1\0\x12\1\4\0\1\0\0\0\3\0\0\0", 22, 3}, /* LONG */
        {MM "\0\1\1\x12\0\4\0\0\0\1\0\0\0\3", 22, 3},
        {II "\2\0\x0f\1\2\0\4\0\0\0abc\0\x12\1\3\0\1\0\0\0\x08\0\0\0", 34, 8}, /* second entry */
        {II "\1\0\x12\1\3\0\1\0\0\0\6\0\0\0", 21, 1},                          /* cut */
        {II "\1\0\x12\1\3\0\1\0\0\0\0\0\0\0", 22, 1}, /* 0 and 9 are none */
        {II "\1\0\x12\1\3\0\1\0\0\0\x09\0\0\0", 22, 1},
        {II "\1\0\x12\1\2\0\1\0\0\0\6\0\0\0", 22, 1},     /* text */
        {II "\1\0\x13\1\3\0\1\0\0\0\6\0\0\0", 22, 1},     /* another tag */
        {II "\xff\xff\x13\1\3\0\1\0\0\0\6\0\0\0", 22, 1}, /* more entries than bytes */
        {II "\0\0\x12\1\3\0\1\0\0\0\6\0\0\0", 22, 1},     /* no entries */
        {"II\x2a\0\xff\xff\xff\xff\1\0\x12\1", 12, 1},    /* directory outside */
        {"II\x2a\0\x0b\0\0\0\1\0\x12\1", 12, 1},          /* one byte of its count */
        {"II\x2b\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0", 22, 1},
        {"IM\x2a\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0", 22, 1},
        {II, 8, 1},
        {"II\x2a", 3, 1},
        {"", 0, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unsigned char *const copy = malloc(rows[i].n + 1); /* so that reading past it is seen */
        assert_non_null(copy);
        memcpy(copy + 1, rows[i].tiff, rows[i].n);
        const int got = nb_exif_orientation((NbBytes){copy + 1, rows[i].n});
        free(copy);
        if (got != rows[i].want)
            fail_msg("row %zu: %d, expected %d", i, got, rows[i].want);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(orientation_is_found_or_one)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
