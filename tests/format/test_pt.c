/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of torch.save: what good ones give, and one sentence for each bad one. The files are the
 * corpus of the fuzz target (tests/fuzz/make_pt_corpus.py). */
#include "format/pt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char corpus[] = "tests/fuzz/corpus/pt";

static NbStatus read_corpus(const char *name, NbArena *arena, NbPt *pt, NbError *err) {
    NbBytes bytes = {0};
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", corpus, name);
    if (nb_file_read(path, 0, arena, &bytes, err) != NB_OK)
        fail_msg("%s", err->message);
    return nb_pt_read("f", bytes, arena, pt, err);
}

static const NbTensor *tensor_of(const NbPt *pt, const char *name, NbDtype dtype) {
    const NbTensor *const t = nb_safetensors_find(&pt->state, name);
    if (!t)
        fail_msg("no tensor '%s'", name);
    assert_int_equal(t->dtype, dtype);
    return t;
}

/* ---- what is read ---- */

static void check_state(const NbPt *pt) {
    static const float turned[] = {0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11};
    static const float part[] = {5, 6, 9, 10};
    assert_int_equal(pt->state.n_tensors, 11);
    assert_string_equal(pt->state.tensor[0].name, "plain");
    for (int i = 0; i < 12; i++)
        assert_true(nb_f32(tensor_of(pt, "plain", NB_F32))[i] == (float)i);
    const NbTensor *const t = tensor_of(pt, "turned", NB_F32);
    assert_true(t->shape.rank == 2 && t->shape.dim[0] == 4 && t->shape.dim[1] == 3);
    assert_memory_equal(t->data, turned, sizeof turned);
    assert_memory_equal(tensor_of(pt, "part", NB_F32)->data, part, sizeof part);
    assert_int_equal(tensor_of(pt, "scalar", NB_I64)->shape.rank, 0);
    assert_int_equal(*(const int64_t *)tensor_of(pt, "scalar", NB_I64)->data, 7);
    assert_int_equal(((const uint16_t *)tensor_of(pt, "half", NB_F16)->data)[1], 0xC000);
    assert_int_equal(((const uint16_t *)tensor_of(pt, "brain", NB_BF16)->data)[0], 0x3F80);
    assert_true(*(const double *)tensor_of(pt, "double", NB_F64)->data == 0.1);
    assert_int_equal(*(const int8_t *)tensor_of(pt, "char", NB_I8)->data, -3);
    assert_int_equal(*(const uint8_t *)tensor_of(pt, "byte", NB_U8)->data, 200);
    assert_int_equal(*(const int32_t *)tensor_of(pt, "int", NB_I32)->data, -70000);
    assert_int_equal(nb_tensor_count(tensor_of(pt, "none", NB_F32)), 0);
}

static void tensors_of_all_kinds(void **state) {
    (void)state;
    static const struct {
        const char *file;
        const char *group;
    } rows[] = {{"state", ""}, {"state_protocol4", ""}, {"state_deflated", "state_dict"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbArena arena = {0};
        NbError err = {0};
        NbPt pt = {0};
        if (read_corpus(rows[i].file, &arena, &pt, &err) != NB_OK)
            fail_msg("%s: %s", rows[i].file, err.message);
        assert_string_equal(pt.group, rows[i].group);
        check_state(&pt);
        nb_arena_release(&arena);
    }
}

static void averaged_weights_come_first(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    NbPt pt = {0};
    assert_int_equal(read_corpus("averaged_first", &arena, &pt, &err), NB_OK);
    assert_string_equal(pt.group, "ema_state_dict");
    assert_true(nb_f32(tensor_of(&pt, "w", NB_F32))[0] == 2.0F);
    assert_int_equal(read_corpus("module_ema", &arena, &pt, &err), NB_OK);
    assert_string_equal(pt.group, "ema");
    assert_int_equal(read_corpus("module", &arena, &pt, &err), NB_OK);
    assert_string_equal(pt.group, "model"); /* its ema is None */
    nb_arena_release(&arena);
}

static void modules_are_walked_as_data(void **state) {
    (void)state;
    static const char *const names[] = {
        "model.0.conv.weight",     "model.0.bn.weight",      "model.0.bn.bias",
        "model.0.bn.running_mean", "model.0.bn.running_var", "model.0.bn.num_batches_tracked",
        "model.1.anchors",         "model.1.m.0.weight",     "model.1.m.0.bias"};
    NbArena arena = {0};
    NbError err = {0};
    NbPt pt = {0};
    NbTensor stride = {0};
    assert_int_equal(read_corpus("module", &arena, &pt, &err), NB_OK);
    assert_int_equal(pt.state.n_tensors, sizeof names / sizeof *names);
    for (size_t i = 0; i < pt.state.n_tensors; i++)
        assert_string_equal(pt.state.tensor[i].name, names[i]);
    assert_string_equal(nb_py_class_name(nb_pt_module(&pt, "model.0.bn")), "BatchNorm2d");
    assert_null(nb_pt_module(&pt, "model.2"));
    assert_string_equal(nb_py_get(pt.root, "date")->text, "2022-02-08");
    assert_int_equal(nb_pt_tensor(&pt, nb_py_get(pt.model, "stride"), &arena, &stride, &err),
                     NB_OK);
    assert_true(nb_f32(&stride)[0] == 2.0F);
    nb_arena_release(&arena);
}

/* ---- what is refused ---- */

#define NOT_LISTED "' is not in the list of what a model file may use"
#define MISSING "a value is missing on the stack"
#define DEEP "modules more than 32 deep or more than 100000 of them"
#define VIEW "torch._utils _rebuild_tensor_v2: "
static const struct {
    const char *file;
    NbStatus status;
    const char *want;
} bad[] = {
    {"hostile_call_system", NB_ERR_UNSUPPORTED, "the name 'posix.system" NOT_LISTED},
    {"hostile_call_eval", NB_ERR_UNSUPPORTED, "the name '__builtin__.eval" NOT_LISTED},
    {"hostile_call_getattr", NB_ERR_UNSUPPORTED, "the name 'builtins.getattr" NOT_LISTED},
    {"hostile_object_of_subprocess", NB_ERR_UNSUPPORTED, "the name 'subprocess.Popen" NOT_LISTED},
    {"hostile_call_record", NB_ERR_UNSUPPORTED,
     "a call of 'models.yolo Model', which is no listed function"},
    {"hostile_call_tensor_class", NB_ERR_UNSUPPORTED,
     "a call of 'numpy ndarray', which is no listed function"},
    {"hostile_object_of_function", NB_ERR_UNSUPPORTED,
     "an object of 'torch._utils _rebuild_tensor_v2', which is no listed class"},
    {"hostile_call_of_value", NB_ERR_UNSUPPORTED, "a call of something that is no listed name"},
    {"hostile_inst", NB_ERR_UNSUPPORTED, "the instruction INST (0x69) is not executed"},
    {"hostile_obj", NB_ERR_UNSUPPORTED, "the instruction OBJ (0x6f) is not executed"},
    {"hostile_newobj_ex", NB_ERR_UNSUPPORTED, "the instruction NEWOBJ_EX (0x92) is not executed"},
    {"hostile_extension", NB_ERR_UNSUPPORTED, "the instruction EXT1 (0x82) is not executed"},
    {"hostile_persid_text", NB_ERR_UNSUPPORTED, "the instruction PERSID (0x50) is not executed"},
    {"hostile_protocol0", NB_ERR_UNSUPPORTED, "the instruction LIST (0x6c) is not executed"},
    {"hostile_protocol9", NB_ERR_UNSUPPORTED, "pickle protocol 9, 2 to 5 expected"},
    {"hostile_memo_bomb", NB_ERR_FORMAT,
     "byte 3: memo number 2147483647, a pickle of 9 bytes cannot have so many"},
    {"hostile_memo_unset", NB_ERR_FORMAT, "memo number 5 was never stored"},
    {"hostile_huge_text", NB_ERR_FORMAT, "a text of 4294967295 bytes, at most 16777216 expected"},
    {"hostile_huge_text8", NB_ERR_FORMAT, "a text of 18446744073709551615 bytes"},
    {"hostile_cut_text", NB_ERR_FORMAT, "byte 2: 16 bytes expected, 3 left"},
    {"hostile_no_stop", NB_ERR_FORMAT, "byte 3: the pickle ends without STOP"},
    {"hostile_two_values", NB_ERR_FORMAT, "one value expected at the end, found 2"},
    {"hostile_empty_stack", NB_ERR_FORMAT, MISSING},
    {"hostile_below_mark", NB_ERR_FORMAT, MISSING},
    {"hostile_no_mark", NB_ERR_FORMAT, "a mark is missing on the stack"},
    {"hostile_odd_pairs", NB_ERR_FORMAT, "a key without a value"},
    {"hostile_append_to_dict", NB_ERR_FORMAT, "values for a container that is no list"},
    {"hostile_attributes_of_list", NB_ERR_UNSUPPORTED, "attributes for a value that is no object"},
    {"hostile_twice_built", NB_ERR_UNSUPPORTED, "attributes for an object that has them already"},
    {"hostile_zero_byte", NB_ERR_FORMAT, "a text with a zero byte"},
    {"hostile_self_list", NB_ERR_FORMAT, "no model inside"},
    {"hostile_number", NB_ERR_FORMAT, "found something else"},
    {"hostile_no_model", NB_ERR_FORMAT, "expected, found 'epoch', 'names'"},
    {"hostile_self_module", NB_ERR_FORMAT, DEEP},
    {"hostile_module_laughs", NB_ERR_FORMAT, DEEP},
    {"hostile_long_integer", NB_ERR_UNSUPPORTED, "an integer of 9 bytes, at most 8 expected"},
    {"hostile_storage_of_function", NB_ERR_UNSUPPORTED,
     "a storage of 'torch._utils _rebuild_tensor_v2', which is no listed type"},
    {"hostile_storage_huge", NB_ERR_FORMAT, "a storage of 9223372036854775807 elements"},
    {"hostile_storage_negative", NB_ERR_FORMAT, "a storage of -1 elements"},
    {"hostile_storage_missing", NB_ERR_FORMAT, "tensor 'w': no storage '9' in the archive"},
    {"hostile_storage_elsewhere", NB_ERR_FORMAT, "no storage '../data.pkl' in the archive"},
    {"hostile_storage_short", NB_ERR_FORMAT, "storage '0' has 8 bytes, 12 expected"},
    {"hostile_view_outside", NB_ERR_FORMAT,
     VIEW "a tensor of shape [2] from element 0 on leaves its storage of 2 elements"},
    {"hostile_view_offset", NB_ERR_FORMAT, "from element 1 on leaves its storage of 2 elements"},
    {"hostile_view_repeats", NB_ERR_FORMAT,
     "a tensor of shape [1073741824] on a storage of 2 elements"},
    {"hostile_view_overflow", NB_ERR_FORMAT, "[9223372036854775807, 2] on a storage of 2 elements"},
    {"hostile_view_negative", NB_ERR_FORMAT, "sizes and strides: integers of 0 or more expected"},
    {"hostile_view_rank9", NB_ERR_UNSUPPORTED, "9 sizes and 9 strides"},
    {"zip_cut", NB_ERR_FORMAT, "a cut one: it has no directory"},
    {"zip_half", NB_ERR_FORMAT, "a cut one: it has no directory"},
    {"zip_no_pickle", NB_ERR_FORMAT, "no 'data.pkl' in the archive"},
    {"zip_bad_crc", NB_ERR_FORMAT,
     "tensor 'plain': entry 'archive/data/0': CRC ee21ffc0, expected"},
    {"zip_many", NB_ERR_FORMAT, "65535 entries do not fit a directory of"},
    {"zip_long_entry", NB_ERR_FORMAT, "entry 'archive/data/0': 1073741824 bytes at"},
    {"zip_far_header", NB_ERR_FORMAT,
     "entry 'archive/data/0': header expected at byte 1073741824 of the archive"},
    {"zip_method", NB_ERR_UNSUPPORTED, "packing method 12, stored or deflated expected"},
    {"zip_encrypted", NB_ERR_UNSUPPORTED, "it is encrypted"},
    {"zip_bomb", NB_ERR_FORMAT, "bytes cannot expand to 2147483647"},
    {"zip_bad_deflate", NB_ERR_FORMAT, "its deflated data is damaged or not"},
    {"zip_big_endian", NB_ERR_UNSUPPORTED, "the file is big endian"},
    {"old_format", NB_ERR_UNSUPPORTED, "a bare pickle, as PyTorch before 1.6 wrote"},
    {"text", NB_ERR_FORMAT, "no file of torch.save: a ZIP archive expected"},
    {"nothing", NB_ERR_FORMAT, "no file of torch.save: a ZIP archive expected"},
};

static void what_is_wrong_is_named(void **state) {
    (void)state;
    int failed = 0;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        NbArena arena = {.limit = 4 << 20}; /* none of them may ask for much */
        NbError err = {0};
        NbPt pt = {0};
        const NbStatus got = read_corpus(bad[i].file, &arena, &pt, &err);
        if (got != bad[i].status || !strstr(err.message, bad[i].want) ||
            strncmp(err.message, "f: ", 3) != 0) {
            print_message("%s: status %d '%s', expected %d '%s'\n", bad[i].file, (int)got,
                          err.message, (int)bad[i].status, bad[i].want);
            failed++;
        }
        nb_arena_release(&arena);
    }
    assert_int_equal(failed, 0);
}

static void every_hostile_file_has_a_row(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    char **path = NULL;
    size_t n = 0;
    size_t seen = 0;
    assert_int_equal(nb_folder_list(corpus, false, 1000, &arena, &path, &n, &err), NB_OK);
    for (size_t i = 0; i < n; i++) {
        const char *const name = nb_path_name(path[i]);
        bool found = strcmp(name, "hostile_view_far_stride") == 0; /* odd, but a tensor */
        if (strncmp(name, "hostile_", 8) != 0 && strncmp(name, "zip_", 4) != 0)
            continue;
        for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
            found = found || strcmp(name, bad[k].file) == 0;
        if (!found)
            fail_msg("%s: no row says what must become of it", name);
        seen++;
    }
    assert_true(seen > 50);
    nb_arena_release(&arena);
}

/* ---- the lists ---- */

/* The instructions that may run, written down a second time. */
static const unsigned char executed[] = {
    0x80, 0x81, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x8d, 0x8e, 0x8f, 0x90, 0x91, 0x93, 0x94,
    0x95, '(',  '.',  '0',  '1',  '2',  'B',  'C',  'G',  'J',  'K',  'M',  'N',  'Q',  'R',  'T',
    'U',  'X',  ']',  ')',  '}',  'a',  'b',  'c',  'e',  'h',  'j',  'q',  'r',  's',  't',  'u'};

static void other_instructions_do_not_run(void **state) {
    (void)state;
    for (int code = 0; code < 256; code++) {
        const unsigned char pickle[] = {0x80, 2, (unsigned char)code};
        const bool runs = memchr(executed, code, sizeof executed) != NULL;
        NbArena arena = {0};
        NbError err = {0};
        const NbPy *v = NULL;
        char want[32];
        const NbStatus got = nb_pickle_read((NbBytes){pickle, sizeof pickle}, &arena, &v, &err);
        (void)snprintf(want, sizeof want, "0x%02x", (unsigned)code);
        assert_true(got != NB_OK && v == NULL);
        const bool refused =
            strstr(err.message, want) && (strstr(err.message, "is not executed") ||
                                          strstr(err.message, "is no instruction of a pickle"));
        if (refused == runs)
            fail_msg("instruction 0x%02x: %s", (unsigned)code, err.message);
        nb_arena_release(&arena);
    }
}

/* What a name gives when it is called with () and when an object of it is made. */
static NbStatus use_name(const char *module, const char *name, const char *how, NbArena *arena,
                         const NbPy **out) {
    char pickle[256];
    NbError err = {0};
    const int n = snprintf(pickle, sizeof pickle,
                           "\x80\x02"
                           "c%s\n%s\n)%s.",
                           module, name, how);
    return nb_pickle_read((NbBytes){(const unsigned char *)pickle, (size_t)n}, arena, out, &err);
}

/* Names of the standard library and of packages through which pickles do harm, and listed names in
 * other modules: none of them is found, whatever is done with it. */
static void other_names_make_nothing(void **state) {
    (void)state;
    static const char *const names[][2] = {{"os", "system"},
                                           {"posix", "system"},
                                           {"nt", "system"},
                                           {"subprocess", "run"},
                                           {"builtins", "eval"},
                                           {"builtins", "exec"},
                                           {"builtins", "getattr"},
                                           {"builtins", "object"},
                                           {"builtins", "open"},
                                           {"__builtin__", "apply"},
                                           {"__builtin__", "list"},
                                           {"copyreg", "_reconstructor"},
                                           {"copy_reg", "__newobj__"},
                                           {"operator", "attrgetter"},
                                           {"functools", "partial"},
                                           {"importlib", "import_module"},
                                           {"pickle", "loads"},
                                           {"torch", "load"},
                                           {"torch.hub", "load"},
                                           {"torch.storage", "_load_from_bytes"},
                                           {"torch._utils", "_rebuild_wrapper_subclass"},
                                           {"torch.jit", "load"},
                                           {"torch.nn", "Module"},
                                           {"torch.nn.modulesx", "Conv2d"},
                                           {"models", "yolo"},
                                           {"modelsx.yolo", "Model"},
                                           {"numpy", "load"},
                                           {"numpy.core.multiarray", "fromfile"},
                                           {"collections", "namedtuple"},
                                           {"", ""},
                                           {"*", "*"},
                                           {"torch.nn.modules", "*"},
                                           {"codecs", "encode"},
                                           {"timeit", "timeit"},
                                           {"webbrowser", "open"},
                                           {"runpy", "run_path"},
                                           {"ultralytics", "YOLO"}};
    static const char *const ways[] = {"R", "\x81", "0", "R}b"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (size_t k = 0; k < sizeof ways / sizeof *ways; k++) {
            NbArena arena = {0};
            const NbPy *v = NULL;
            if (use_name(names[i][0], names[i][1], ways[k], &arena, &v) != NB_ERR_UNSUPPORTED || v)
                fail_msg("'%s.%s' made something", names[i][0], names[i][1]);
            nb_arena_release(&arena);
        }
}

/* What listed names make is data: a container, or a record that carries the name. */
static void listed_names_make_data(void **state) {
    (void)state;
    static const struct {
        const char *module, *name, *how;
        NbPyKind kind;
    } rows[] = {{"collections", "OrderedDict", "R", NB_PY_DICT},
                {"builtins", "set", "R", NB_PY_SET},
                {"torch", "Size", "R", NB_PY_TUPLE},
                {"torch", "device", "R", NB_PY_RECORD},
                {"models.common", "C3", "\x81", NB_PY_RECORD},
                {"ultralytics.nn.tasks", "DetectionModel", "\x81", NB_PY_RECORD},
                {"torch.nn.modules.conv", "Conv2d", "\x81", NB_PY_RECORD}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbArena arena = {0};
        const NbPy *v = NULL;
        assert_int_equal(use_name(rows[i].module, rows[i].name, rows[i].how, &arena, &v), NB_OK);
        assert_int_equal(v->kind, rows[i].kind);
        if (v->kind == NB_PY_RECORD)
            assert_string_equal(nb_py_class_name(v), rows[i].name);
        nb_arena_release(&arena);
    }
}

/* A file that is cut anywhere, or has any one byte changed, is read or refused: never more. */
static void damage_is_survived(void **state) {
    (void)state;
    NbArena file = {0};
    NbError err = {0};
    NbBytes bytes = {0};
    char path[256];
    (void)snprintf(path, sizeof path, "%s/module", corpus);
    assert_int_equal(nb_file_read(path, 0, &file, &bytes, &err), NB_OK);
    unsigned char *const copy = nb_arena_take(&file, bytes.size, 1);
    for (size_t i = 0; i < bytes.size; i++) {
        NbArena arena = {.limit = 16 << 20};
        NbPt pt = {0};
        memcpy(copy, bytes.data, bytes.size);
        copy[i] ^= (unsigned char)(1U << i % 8);
        (void)!nb_pt_read("f", (NbBytes){copy, bytes.size}, &arena, &pt, &err);
        assert_int_not_equal(nb_pt_read("f", (NbBytes){bytes.data, i}, &arena, &pt, &err), NB_OK);
        nb_arena_release(&arena);
    }
    nb_arena_release(&file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_of_all_kinds),
        cmocka_unit_test(averaged_weights_come_first),
        cmocka_unit_test(modules_are_walked_as_data),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(every_hostile_file_has_a_row),
        cmocka_unit_test(other_instructions_do_not_run),
        cmocka_unit_test(other_names_make_nothing),
        cmocka_unit_test(listed_names_make_data),
        cmocka_unit_test(damage_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
