/* SPDX-License-Identifier: Apache-2.0 */
#include "format/safetensors.h"
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

static NbBytes file_of(NbArena *arena, const char *header, size_t data) {
    const size_t length = strlen(header);
    unsigned char *const out = nb_arena_take(arena, 8 + length + data, 1);
    for (size_t i = 0; i < 8; i++)
        out[i] = (unsigned char)((uint64_t)length >> (8 * i));
    memcpy(out + 8, header, length);
    for (size_t i = 0; i < data; i++)
        out[8 + length + i] = (unsigned char)(i + 1);
    return (NbBytes){out, 8 + length + data};
}

static void tensors_come_in_file_order(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    NbSafetensors st = {0};
    const NbBytes file =
        file_of(&arena,
                "{\"b\":{\"dtype\":\"I16\",\"shape\":[2],\"data_offsets\":[1,5]},"
                "\"__metadata__\":{\"format\":\"pt\",\"x\":\"\\u00e9\"},"
                "\"e\":{\"dtype\":\"F64\",\"shape\":[0,3],\"data_offsets\":[5,5]},"
                "\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1],\"more\":1}}   ",
                5);
    if (nb_safetensors_read("t", file, &arena, &st, &err) != NB_OK)
        fail_msg("%s", err.message);
    assert_int_equal(st.n_tensors, 3);
    assert_string_equal(st.tensor[0].name, "a");
    assert_string_equal(st.tensor[1].name, "b");
    assert_string_equal(st.tensor[2].name, "e");
    const NbTensor *const b = nb_safetensors_find(&st, "b");
    assert_non_null(b);
    assert_int_equal(b->dtype, NB_I16);
    assert_int_equal((uintptr_t)b->data % 2, 0);
    assert_int_equal(((const int16_t *)b->data)[1], 0x0504);
    assert_null(nb_safetensors_find(&st, "c"));
    assert_string_equal(nb_safetensors_metadata(&st, "format"), "pt");
    assert_string_equal(nb_safetensors_metadata(&st, "x"), "\xc3\xa9");
    assert_null(nb_safetensors_metadata(&st, "y"));
    nb_arena_release(&arena);
}

static void what_is_wrong_is_named(void **state) {
    (void)state;
#define F32(name, shape, offsets)                                                                  \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":[" shape "],\"data_offsets\":[" offsets "]}"
    static const struct {
        const char *header;
        size_t data;
        NbStatus status;
        const char *want;
    } rows[] = {
        {"", 0, NB_ERR_FORMAT, "t: header: expected '{' first"},
        {"[]", 0, NB_ERR_FORMAT, "t: header: expected '{' first"},
        {"{\"a\"", 0, NB_ERR_FORMAT, "t: header: byte 4: ':' expected near end of file"},
        {"{}", 1, NB_ERR_FORMAT, "t: tensors end at byte 0 of the data, expected 1"},
        {"{" F32("a", "2", "0,8") "," F32("a", "2", "0,8") "}", 8, NB_ERR_FORMAT,
         "t: header: byte 57: duplicate object key near '\"a\"'"},
        {"{" F32("a", "2", "0,8") "," F32("b", "2", "4,12") "}", 12, NB_ERR_FORMAT,
         "t: tensor 'b' begins at 4, expected 8 (overlap)"},
        {"{" F32("a", "2", "0,8") "," F32("b", "2", "9,17") "}", 17, NB_ERR_FORMAT,
         "t: tensor 'b' begins at 9, expected 8 (gap)"},
        {"{" F32("a", "2", "0,8") "}", 9, NB_ERR_FORMAT,
         "t: tensors end at byte 8 of the data, expected 9"},
        {"{" F32("a", "2", "0,8") "}", 7, NB_ERR_FORMAT,
         "t: tensor 'a': data_offsets 0 to 8, expected to lie in 0 to 7"},
        {"{" F32("a", "2", "8,0") "}", 8, NB_ERR_FORMAT,
         "t: tensor 'a': data_offsets 8 to 0, expected to lie in 0 to 8"},
        {"{" F32("a", "3", "0,8") "}", 8, NB_ERR_FORMAT,
         "t: tensor 'a': F32 of shape [3] does not fill its 8 bytes"},
        {"{" F32("a", "4611686018427387906", "0,8") "}", 8, NB_ERR_FORMAT, /* wraps to 8 */
         "t: tensor 'a': F32 of shape [4611686018427387906] does not fill its 8 bytes"},
        {"{" F32("a", "-2", "0,8") "}", 8, NB_ERR_FORMAT,
         "t: tensor 'a': dimension: expected a number that is not negative"},
        {"{" F32("a", "2.0", "0,8") "}", 8, NB_ERR_FORMAT,
         "t: tensor 'a': dimension: expected a number that is not negative"},
        {"{" F32("a", "1,1,1,1,1,1,1,1,2", "0,8") "}", 8, NB_ERR_UNSUPPORTED,
         "t: tensor 'a': 9 dimensions, expected at most 8"},
        {"{" F32("a", "2", "0") "}", 8, NB_ERR_FORMAT,
         "t: tensor 'a': 'data_offsets' is missing or no list of two"},
        {"{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[8],\"data_offsets\":[0,8]}}", 8,
         NB_ERR_UNSUPPORTED, "t: tensor 'a': type F8_E4M3 is not supported"},
        {"{\"a\":{\"shape\":[8],\"data_offsets\":[0,8]}}", 8, NB_ERR_FORMAT,
         "t: tensor 'a': 'dtype' is missing or no text"},
        {"{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,8]}}", 8, NB_ERR_FORMAT,
         "t: tensor 'a': 'shape' is missing or no list"},
        {"{\"a\":[]}", 0, NB_ERR_FORMAT, "t: tensor 'a': expected an object"},
        {"{\"__metadata__\":[]}", 0, NB_ERR_FORMAT, "t: __metadata__: expected an object"},
        {"{\"__metadata__\":{\"a\":1}}", 0, NB_ERR_FORMAT, "t: __metadata__: 'a': expected text"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbArena arena = {0};
        NbError err = {0};
        NbSafetensors st = {0};
        const NbBytes file = file_of(&arena, rows[i].header, rows[i].data);
        assert_int_equal(nb_safetensors_read("t", file, &arena, &st, &err), rows[i].status);
        assert_string_equal(err.message, rows[i].want);
        nb_arena_release(&arena);
    }
}

static void broken_lengths_are_named(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *want;
    } rows[] = {
        {"", 0, "t: header length: expected 8 bytes, found 0"},
        {"\1\0\0\0\0\0\0", 7, "t: header length: expected 8 bytes, found 7"},
        {"\3\0\0\0\0\0\0\0{}", 10, "t: header: 3 bytes announced, 2 left"},
        {"\xff\xff\xff\xff\xff\xff\xff\xff{}", 10,
         "t: header: 18446744073709551615 bytes, expected at most 100000000"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbArena arena = {0};
        NbError err = {0};
        NbSafetensors st = {0};
        const NbBytes file = {(const unsigned char *)rows[i].bytes, rows[i].n};
        assert_int_equal(nb_safetensors_read("t", file, &arena, &st, &err), NB_ERR_FORMAT);
        assert_string_equal(err.message, rows[i].want);
        nb_arena_release(&arena);
    }
}

enum { TENSORS = 40 };

static void make(NbArena *arena, NbSafetensors *st) {
    NbRandom r = nb_random(2, NB_RANDOM_TEST, 0, 0);
    static const NbMetadata metadata[] = {{"z", "{\"a\": \"\xc3\xa9\\n\"}"}, {"a", ""}};
    st->metadata = nb_arena_take(arena, 2, sizeof *st->metadata);
    memcpy(st->metadata, metadata, sizeof metadata);
    st->n_metadata = 2;
    st->tensor = NB_NEW(arena, NbNamedTensor, TENSORS);
    st->n_tensors = TENSORS;
    for (int i = 0; i < TENSORS; i++) {
        NbError err = {0};
        NbShape shape = {.rank = i % 5};
        for (int d = 0; d < shape.rank; d++)
            shape.dim[d] = nb_random_below(&r, 15) == 0 ? 0 : nb_random_below(&r, 5) + 1;
        NbNamedTensor *const t = &st->tensor[i];
        t->name = nb_arena_printf(arena, "model.%d.weight", i);
        assert_int_equal(
            nb_tensor_new(arena, (NbDtype)(i % NB_DTYPE_COUNT), &shape, &t->tensor, &err), NB_OK);
        const size_t bytes = nb_tensor_count(&t->tensor) * nb_dtype_size(t->tensor.dtype);
        for (size_t k = 0; k < bytes; k++)
            ((unsigned char *)t->tensor.data)[k] = (unsigned char)nb_random_u32(&r);
    }
}

static void what_is_written_can_be_read(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    NbSafetensors st = {0};
    NbSafetensors back = {0};
    NbBytes one = {0};
    NbBytes two = {0};
    make(&arena, &st);
    const char *const path = nb_scratch("a.safetensors");
    assert_int_equal(nb_safetensors_write(path, &st, &err), NB_OK);
    assert_int_equal(nb_file_read(path, 0, &arena, &one, &err), NB_OK);
    assert_int_equal(nb_safetensors_read(path, one, &arena, &back, &err), NB_OK);
    const size_t header = one.data[0] | (size_t)one.data[1] << 8 | (size_t)one.data[2] << 16;
    assert_int_equal((8 + header) % 64, 0);
    assert_int_equal(back.n_tensors, TENSORS);
    for (size_t i = 0; i < TENSORS; i++) {
        const NbTensor *const t = &st.tensor[i].tensor;
        const NbTensor *const u = nb_safetensors_find(&back, st.tensor[i].name);
        assert_non_null(u);
        assert_true(u->dtype == t->dtype && nb_shape_equal(&u->shape, &t->shape));
        const size_t bytes = nb_tensor_count(t) * nb_dtype_size(t->dtype);
        if (bytes == 0)
            continue;
        assert_memory_equal(u->data, t->data, bytes);
        /* a view, not a copy */
        assert_true((const unsigned char *)u->data > one.data &&
                    (const unsigned char *)u->data < one.data + one.size);
    }
    assert_int_equal(back.n_metadata, 2);
    assert_string_equal(back.metadata[0].key, "z");
    assert_string_equal(back.metadata[0].value, st.metadata[0].value);
    assert_int_equal(nb_safetensors_write(path, &back, &err), NB_OK);
    assert_int_equal(nb_file_read(path, 0, &arena, &two, &err), NB_OK);
    assert_int_equal(one.size, two.size);
    assert_memory_equal(one.data, two.data, one.size);
    (void)unlink(path);
    nb_arena_release(&arena);
}

static void wide_elements_come_first(void **state) {
    (void)state;
    static uint8_t one[3] = {1, 2, 3};
    static uint16_t two[1] = {4};
    static double eight[1] = {5};
    NbNamedTensor tensor[3] = {{"a", {NB_U8, {1, {3}}, one}},
                               {"b", {NB_U16, {1, {1}}, two}},
                               {"c", {NB_F64, {1, {1}}, eight}}};
    const NbSafetensors st = {.tensor = tensor, .n_tensors = 3};
    NbArena arena = {0};
    NbError err = {0};
    NbBytes bytes = {0};
    NbSafetensors back = {0};
    const char *const path = nb_scratch("c.safetensors");
    assert_int_equal(nb_safetensors_write(path, &st, &err), NB_OK);
    assert_int_equal(nb_file_read(path, 0, &arena, &bytes, &err), NB_OK);
    assert_int_equal(nb_safetensors_read(path, bytes, &arena, &back, &err), NB_OK);
    (void)unlink(path);
    assert_string_equal(back.tensor[0].name, "c");
    assert_string_equal(back.tensor[1].name, "b");
    assert_string_equal(back.tensor[2].name, "a");
    assert_ptr_equal(back.tensor[0].tensor.data, bytes.data + bytes.size - 13);
    assert_ptr_equal(back.tensor[1].tensor.data, bytes.data + bytes.size - 5);
    nb_arena_release(&arena);
}

static void writing_says_why_not(void **state) {
    (void)state;
    static float data[2];
    const NbTensor good = {NB_F32, {1, {2}}, data};
    const NbTensor empty = {NB_F32, {1, {2}}, NULL};
    const struct {
        NbNamedTensor tensor[2];
        NbMetadata metadata[2];
        const char *want;
    } rows[] = {
        {{{"a", good}, {"a", good}},
         {{"x", "1"}, {"y", "1"}},
         ": tensor 'a': there twice or no valid UTF-8"},
        {{{"a", good}, {"\xff", good}},
         {{"x", "1"}, {"y", "1"}},
         ": tensor '\xff': there twice or no valid UTF-8"},
        {{{"a", good}, {"b", empty}},
         {{"x", "1"}, {"y", "1"}},
         ": tensor 'b' has no data or no valid shape"},
        {{{"a", good}, {"__metadata__", good}},
         {{"x", "1"}, {"y", "1"}},
         ": tensor 1 has no name of its own"},
        {{{"a", good}, {"b", good}},
         {{"x", "1"}, {"x", "2"}},
         ": metadata 'x': there twice or no valid UTF-8"},
        {{{"a", good}, {"b", good}},
         {{"x", "1"}, {"y", "\xff"}},
         ": metadata 'y': there twice or no valid UTF-8"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbError err = {0};
        NbNamedTensor tensor[2] = {rows[i].tensor[0], rows[i].tensor[1]};
        NbMetadata metadata[2] = {rows[i].metadata[0], rows[i].metadata[1]};
        const NbSafetensors st = {tensor, 2, metadata, 2};
        const char *const path = nb_scratch("b.safetensors");
        assert_int_equal(nb_safetensors_write(path, &st, &err), NB_ERR_ARGUMENT);
        assert_string_equal(err.message + strlen(path), rows[i].want);
        assert_false(nb_path_exists(path));
    }
    NbError err = {0};
    const NbSafetensors nothing = {0};
    assert_int_equal(nb_safetensors_write("/no/such/a.safetensors", &nothing, &err), NB_ERR_IO);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    NbArena files = {0};
    const NbBytes file = file_of(
        &files, "{\"__metadata__\":{\"k\":\"v\"}," F32("a", "1", "0,4") "," F32("b", "", "4,8") "}",
        8);
    NbBytes odd = {nb_arena_take(&files, file.size + 1, 1), file.size};
    unsigned char *const moved = (unsigned char *)(uintptr_t)odd.data + 1; /* copies of tensors */
    memcpy(moved, file.data, file.size);
    odd.data = moved;
    NbStatus status = NB_ERR_NOMEM;
    size_t takes = 0;
    while (status == NB_ERR_NOMEM) {
        NbError err = {0};
        NbSafetensors st = {0};
        NbArena arena = {.fail_at = ++takes};
        status = nb_safetensors_read("t", odd, &arena, &st, &err);
        nb_arena_release(&arena);
    }
    assert_int_equal(status, NB_OK);
    assert_true(takes > 7);
    nb_arena_release(&files);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_come_in_file_order), cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(broken_lengths_are_named),   cmocka_unit_test(what_is_written_can_be_read),
        cmocka_unit_test(wide_elements_come_first),   cmocka_unit_test(writing_says_why_not),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
