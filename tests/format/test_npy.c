/* SPDX-License-Identifier: Apache-2.0 */
#include "format/npy.h"
#include "format/scratch.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A file of the given version around a dictionary and data. */
static NbBytes file_of(NbArena *arena, int version, const char *dictionary, const void *data,
                       size_t size) {
    const size_t length = strlen(dictionary);
    const size_t start = version == 1 ? 10 : 12;
    unsigned char *const out = nb_arena_take(arena, start + length + size, 1);
    memcpy(out, "\x93NUMPY", 6);
    out[6] = (unsigned char)version;
    for (size_t i = 0; i < start - 8; i++)
        out[8 + i] = (unsigned char)(length >> (8 * i));
    memcpy(out + start, dictionary, length);
    if (size > 0)
        memcpy(out + start + length, data, size);
    return (NbBytes){out, start + length + size};
}

static void all_versions_and_spellings_are_read(void **state) {
    (void)state;
    static const struct {
        int version;
        const char *dictionary;
        NbDtype dtype;
        NbShape shape;
    } rows[] = {
        {1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }   \n", NB_F32, {1, {2}}},
        {2, "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 2), }\n", NB_I16, {2, {2, 2}}},
        {3, "{'descr':'|u1','fortran_order':False,'shape':(8,)}", NB_U8, {1, {8}}},
        {1,
         "{\"shape\": (1, 1,), \"descr\": \"<f8\", \"fortran_order\": False}",
         NB_F64,
         {2, {1, 1}}},
        {1, "{'descr': '<i8', 'fortran_order': False, 'shape': ()}", NB_I64, {0, {0}}},
        {1, "{'descr': '|b1', 'fortran_order': False, 'shape': (2L, 4L)}", NB_BOOL, {2, {2, 4}}},
        {1, "{'descr': '<u8', 'fortran_order': True, 'shape': (1,)}", NB_U64, {1, {1}}},
        {1, "{'descr': '>i1', 'fortran_order': False, 'shape': (4, 2)}", NB_I8, {2, {4, 2}}},
    };
    static const unsigned char data[8] = {1, 0, 1, 0, 0, 1, 1, 0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbArena arena = {0};
        NbError err = {0};
        NbTensor t = {0};
        const NbBytes file = file_of(&arena, rows[i].version, rows[i].dictionary, data, 8);
        if (nb_npy_read("t.npy", file, &arena, &t, &err) != NB_OK)
            fail_msg("%s", err.message);
        assert_int_equal(t.dtype, rows[i].dtype);
        assert_true(nb_shape_equal(&t.shape, &rows[i].shape));
        assert_memory_equal(t.data, data, 8);
        nb_arena_release(&arena);
    }
}

static void fortran_order_becomes_c_order(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    NbTensor t = {0};
    /* element [i][j][k] of 2 x 3 x 2 lies at i + 2 j + 6 k and holds 100 i + 10 j + k */
    static uint16_t data[12];
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++)
            for (int k = 0; k < 2; k++)
                data[i + 2 * j + 6 * k] = (uint16_t)(100 * i + 10 * j + k);
    const char *const dictionary = "{'descr': '<u2', 'fortran_order': True, 'shape': (2, 3, 2)}";
    const NbBytes file = file_of(&arena, 1, dictionary, data, sizeof data);
    assert_int_equal(nb_npy_read("t.npy", file, &arena, &t, &err), NB_OK);
    const uint16_t *at = t.data;
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++)
            for (int k = 0; k < 2; k++)
                assert_int_equal(*at++, 100 * i + 10 * j + k);
    nb_arena_release(&arena);
}

static void what_is_wrong_is_named(void **state) {
    (void)state;
    static const struct {
        const char *dictionary;
        size_t size;
        NbStatus status;
        const char *want;
    } rows[] = {
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (2,)}", 8, NB_ERR_UNSUPPORTED,
         "t.npy: type '>f4', expected little endian '<f4'"},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", 8, NB_ERR_UNSUPPORTED,
         "t.npy: type '<c8' is not supported"},
        {"{'descr': '', 'fortran_order': False, 'shape': (1,)}", 8, NB_ERR_UNSUPPORTED,
         "t.npy: type '' is not supported"},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", 8, NB_ERR_UNSUPPORTED,
         "t.npy: records are not supported, expected one type"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", 8, NB_ERR_FORMAT,
         "t.npy: shape [3] of F32 does not fit 8 bytes of data"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", 8, NB_ERR_FORMAT,
         "t.npy: shape [1] of F32 does not fit 8 bytes of data"},
        /* wraps to 8 bytes */
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387906,)}", 8,
         NB_ERR_FORMAT, "t.npy: shape [4611686018427387906] of F32 does not fit 8 bytes of data"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808,)}", 8,
         NB_ERR_FORMAT, "t.npy: dimension 0 does not fit 64 bits"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", 8, NB_ERR_FORMAT,
         "t.npy: dimension 0 is not a number"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}", 4,
         NB_ERR_UNSUPPORTED, "t.npy: more than 8 dimensions"},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}", 8, NB_ERR_FORMAT,
         "t.npy: header: 'fortran_order' is neither True nor False"},
        {"{'descr': '<f4', 'shape': (2,)}", 8, NB_ERR_FORMAT,
         "t.npy: header: expected 'descr', 'fortran_order' and 'shape', 'fortran_order' is "
         "missing"},
        {"{'descr': '<f4', 'descr': '<f4'}", 8, NB_ERR_FORMAT,
         "t.npy: header: key 'descr' is unknown or there twice"},
        {"{'descr': '<f4", 0, NB_ERR_FORMAT, "t.npy: header: a string has no closing quote"},
        {"{'descr' '<f4'}", 0, NB_ERR_FORMAT,
         "t.npy: header: expected ':' after a key, found byte 0x27"},
        {"{'descr': '<f4'", 0, NB_ERR_FORMAT,
         "t.npy: header: expected '}' at the end, found its end"},
        {"{'a234567890123456789012345678901234567890': 1}", 0, NB_ERR_FORMAT,
         "t.npy: header: a string of 40 bytes, expected at most 31"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x", 8, NB_ERR_FORMAT,
         "t.npy: header: 1 bytes after '}'"},
        {"[]", 0, NB_ERR_FORMAT, "t.npy: header: expected '{' at the start, found byte 0x5b"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbArena arena = {0};
        NbError err = {0};
        NbTensor t = {0};
        static const unsigned char data[8];
        const NbBytes file = file_of(&arena, 1, rows[i].dictionary, data, rows[i].size);
        assert_int_equal(nb_npy_read("t.npy", file, &arena, &t, &err), rows[i].status);
        assert_string_equal(err.message, rows[i].want);
        nb_arena_release(&arena);
    }
}

static void broken_heads_are_named(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        NbStatus status;
        const char *want;
    } rows[] = {
        {"", 0, NB_ERR_FORMAT, "t: not an .npy file: it does not begin with 93 NUMPY"},
        {"\x93NUMPX\1\0\0\0", 10, NB_ERR_FORMAT,
         "t: not an .npy file: it does not begin with 93 NUMPY"},
        {"\x93NUMPY\4\0\0\0", 10, NB_ERR_UNSUPPORTED, "t: version 4.0, expected 1 to 3"},
        {"\x93NUMPY\1\0\xff\xff{", 11, NB_ERR_FORMAT, "t: header: 65535 bytes announced, 1 left"},
        {"\x93NUMPY\2\0\1\0\0", 11, NB_ERR_FORMAT, "t: header length: expected 4 bytes, found 3"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbArena arena = {0};
        NbError err = {0};
        NbTensor t = {0};
        const NbBytes file = {(const unsigned char *)rows[i].bytes, rows[i].n};
        assert_int_equal(nb_npy_read("t", file, &arena, &t, &err), rows[i].status);
        assert_string_equal(err.message, rows[i].want);
        nb_arena_release(&arena);
    }
}

/* Bytes of NumPy 2.2: numpy.save of a scalar, a vector, a matrix, arrays without elements. */
static void files_are_those_of_numpy(void **state) {
    (void)state;
    static const struct {
        NbDtype dtype;
        NbShape shape;
        const char *header;
    } rows[] = {
        {NB_F32, {0, {0}}, "{'descr': '<f4', 'fortran_order': False, 'shape': (), }"},
        {NB_I64, {1, {3}}, "{'descr': '<i8', 'fortran_order': False, 'shape': (3,), }"},
        {NB_U8, {2, {2, 3}}, "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }"},
        {NB_F16,
         {3, {1234567, 0, 2}},
         "{'descr': '<f2', 'fortran_order': False, 'shape': (1234567, 0, 2), }"},
        /* the room for a longer first dimension makes this one 64 bytes longer */
        {NB_F32,
         {8, {0, 10000000, 1000000, 10000, 10000, 1, 1, 1}},
         "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 10000000, 1000000, 10000, 10000, "
         "1, 1, 1), }"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbArena arena = {0};
        NbError err = {0};
        NbTensor t = {0};
        NbBytes got = {0};
        const char *const path = nb_scratch("a.npy");
        assert_int_equal(nb_tensor_new(&arena, rows[i].dtype, &rows[i].shape, &t, &err), NB_OK);
        const size_t bytes = nb_tensor_count(&t) * nb_dtype_size(t.dtype);
        memset(t.data, 7, bytes);
        assert_int_equal(nb_npy_write(path, &t, &err), NB_OK);
        assert_int_equal(nb_file_read(path, 0, &arena, &got, &err), NB_OK);
        (void)unlink(path);
        const int start = strlen(rows[i].header) + 31 > 128 ? 192 : 128;
        char want[193] = "";
        (void)snprintf(want, sizeof want, "\x93NUMPY\x01_v_%-*s\n", start - 11, rows[i].header);
        memcpy(want + 7, start == 128 ? "\0\x76\0" : "\0\xb6\0", 3);
        assert_int_equal(got.size, (size_t)start + bytes);
        assert_memory_equal(got.data, want, (size_t)start);
        assert_memory_equal(got.data + start, t.data, bytes);
        nb_arena_release(&arena);
    }
}

static void every_type_comes_back(void **state) {
    (void)state;
    NbRandom r = nb_random(1, NB_RANDOM_TEST, 0, 0);
    for (int type = 0; type < NB_DTYPE_COUNT; type++) {
        for (int rank = 0; rank <= NB_MAX_RANK; rank++) {
            NbArena arena = {0};
            NbError err = {0};
            NbTensor t = {0};
            NbTensor back = {0};
            NbShape shape = {.rank = rank};
            for (int d = 0; d < rank; d++)
                shape.dim[d] = nb_random_below(&r, 12) == 0 ? 0 : nb_random_below(&r, 3) + 1;
            assert_int_equal(nb_tensor_new(&arena, (NbDtype)type, &shape, &t, &err), NB_OK);
            const size_t bytes = nb_tensor_count(&t) * nb_dtype_size(t.dtype);
            for (size_t i = 0; i < bytes; i++)
                ((unsigned char *)t.data)[i] = (unsigned char)nb_random_u32(&r);
            const char *const path = nb_scratch("b.npy");
            const NbStatus status = nb_npy_write(path, &t, &err);
            if (type == NB_BF16) {
                assert_int_equal(status, NB_ERR_UNSUPPORTED);
                assert_non_null(strstr(err.message, "npy has no type for BF16"));
            } else {
                assert_int_equal(status, NB_OK);
                assert_int_equal(nb_npy_read_file(path, &arena, &back, &err), NB_OK);
                (void)unlink(path);
                assert_true(back.dtype == t.dtype && nb_shape_equal(&back.shape, &t.shape));
                assert_memory_equal(back.data, t.data, bytes);
            }
            nb_arena_release(&arena);
        }
    }
}

static void memory_may_run_out(void **state) {
    (void)state;
    NbArena files = {0};
    NbArena arena = {.fail_at = 1};
    NbError err = {0};
    NbTensor t = {0};
    const char *const dictionary = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}";
    const NbBytes file = file_of(&files, 1, dictionary, "12345678", 8);
    assert_int_equal(nb_npy_read("t", file, &arena, &t, &err), NB_ERR_NOMEM);
    assert_int_equal(nb_npy_read("t", file, &arena, &t, &err), NB_OK);
    t.data = NULL;
    assert_int_equal(nb_npy_write(nb_scratch("c.npy"), &t, &err), NB_ERR_ARGUMENT);
    nb_arena_release(&arena);
    nb_arena_release(&files);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_versions_and_spellings_are_read),
        cmocka_unit_test(fortran_order_becomes_c_order),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(broken_heads_are_named),
        cmocka_unit_test(files_are_those_of_numpy),
        cmocka_unit_test(every_type_comes_back),
        cmocka_unit_test(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
