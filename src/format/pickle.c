/* SPDX-License-Identifier: Apache-2.0
 *
 * The machine that runs the instructions of pickle.def. */
#include "format/pickle.h"
#include "format/pickle_class.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    SHOWN = 80, /* characters of a name that a message shows */
    FIRST = 8,  /* places of a new list */
};

typedef struct Machine {
    const unsigned char *start, *at, *end;
    NbPy **stack;
    size_t n, capacity;
    size_t *mark; /* heights of the stack */
    size_t n_marks, mark_capacity;
    NbPy **memo;
    size_t n_memo; /* places it has */
    size_t next_memo;
    NbArena *arena;
    const unsigned char *op; /* the instruction that is running */
    bool done;
    NbError *err;
} Machine;

/* "byte N: sentence" */
__attribute__((format(printf, 2, 3))) static void tell(const Machine *m, const char *format, ...) {
    char text[400];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    nb_note(m->err, "byte %td: %s", m->op - m->start, text);
}

/* STOP(m, status, "format", ...): says so and is `status`, see nb_fail. */
#define STOP(m, status, ...) (tell((m), __VA_ARGS__), (status))

static NB_FALLIBLE no_memory(const Machine *m) { return nb_fail_memory(m->err, "pickle"); }

/* Room for one more element of a list that grows by doubling. */
static bool grow(NbArena *arena, void **list, size_t n, size_t *capacity, size_t size) {
    if (n < *capacity)
        return true;
    const size_t more = *capacity ? 2 * *capacity : FIRST;
    void *const to = nb_arena_take(arena, more, size);
    if (!to)
        return false;
    if (n)
        memcpy(to, *list, n * size);
    *list = to;
    *capacity = more;
    return true;
}

static NB_FALLIBLE push(Machine *m, NbPy *v) {
    void *list = m->stack;
    if (!v || !grow(m->arena, &list, m->n, &m->capacity, sizeof v))
        return no_memory(m);
    m->stack = list;
    m->stack[m->n++] = v;
    return NB_OK;
}

static NB_FALLIBLE push_new(Machine *m, NbPy value) {
    NbPy *const v = NB_NEW(m->arena, NbPy, 1);
    if (!v)
        return no_memory(m);
    *v = value;
    return push(m, v);
}

static size_t floor_of(const Machine *m) { return m->n_marks ? m->mark[m->n_marks - 1] : 0; }

static NB_FALLIBLE pop(Machine *m, NbPy **out) {
    if (m->n <= floor_of(m))
        return STOP(m, NB_ERR_FORMAT, "a value is missing on the stack");
    *out = m->stack[--m->n];
    return NB_OK;
}

/* The values above the last mark; they stay in place until something is pushed. */
static NB_FALLIBLE pop_mark(Machine *m, NbPy ***item, size_t *count) {
    if (m->n_marks == 0)
        return STOP(m, NB_ERR_FORMAT, "a mark is missing on the stack");
    const size_t height = m->mark[--m->n_marks];
    *item = m->stack + height;
    *count = m->n - height;
    m->n = height;
    return NB_OK;
}

static NB_FALLIBLE take(Machine *m, size_t n, const unsigned char **out) {
    if (n > (size_t)(m->end - m->at))
        return STOP(m, NB_ERR_FORMAT, "%zu bytes expected, %td left", n, m->end - m->at);
    *out = m->at;
    m->at += n;
    return NB_OK;
}

static NB_FALLIBLE number(Machine *m, size_t bytes, uint64_t *out) {
    const unsigned char *p = NULL;
    NB_TRY(take(m, bytes, &p));
    *out = 0;
    for (size_t i = 0; i < bytes; i++)
        *out |= (uint64_t)p[i] << (8 * i);
    return NB_OK;
}

/* ---- plain values ---- */

static NB_FALLIBLE op_proto(Machine *m) {
    uint64_t version = 0;
    NB_TRY(number(m, 1, &version));
    if (version < 2 || version > 5)
        return STOP(m, NB_ERR_UNSUPPORTED, "pickle protocol %" PRIu64 ", 2 to 5 expected", version);
    return NB_OK;
}

static NB_FALLIBLE op_frame(Machine *m) {
    const unsigned char *p = NULL;
    return take(m, 8, &p);
}

static NB_FALLIBLE op_none(Machine *m) { return push_new(m, (NbPy){.kind = NB_PY_NONE}); }

static NB_FALLIBLE push_integer(Machine *m, NbPyKind kind, int64_t value) {
    return push_new(m, (NbPy){.kind = kind, .integer = value});
}

static NB_FALLIBLE op_true(Machine *m) { return push_integer(m, NB_PY_BOOL, 1); }
static NB_FALLIBLE op_false(Machine *m) { return push_integer(m, NB_PY_BOOL, 0); }

static NB_FALLIBLE op_int4(Machine *m) {
    uint64_t value = 0;
    NB_TRY(number(m, 4, &value));
    return push_integer(m, NB_PY_INT, (int32_t)(uint32_t)value);
}

static NB_FALLIBLE op_int1(Machine *m) {
    uint64_t value = 0;
    NB_TRY(number(m, 1, &value));
    return push_integer(m, NB_PY_INT, (int64_t)value);
}

static NB_FALLIBLE op_int2(Machine *m) {
    uint64_t value = 0;
    NB_TRY(number(m, 2, &value));
    return push_integer(m, NB_PY_INT, (int64_t)value);
}

/* Two's complement of any length; what does not fit 64 bits cannot be a size of ours. */
static NB_FALLIBLE op_long(Machine *m) {
    uint64_t n = 0;
    uint64_t value = 0;
    NB_TRY(number(m, 1, &n));
    if (n > 8)
        return STOP(m, NB_ERR_UNSUPPORTED, "an integer of %" PRIu64 " bytes, at most 8 expected",
                    n);
    NB_TRY(number(m, (size_t)n, &value));
    if (n > 0 && n < 8 && value >> (8 * n - 1))
        value |= UINT64_MAX << (8 * n);
    return push_integer(m, NB_PY_INT, (int64_t)value);
}

static NB_FALLIBLE op_float(Machine *m) {
    const unsigned char *p = NULL;
    uint64_t bits = 0;
    NbPy v = {.kind = NB_PY_FLOAT};
    NB_TRY(take(m, 8, &p));
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | p[i];
    memcpy(&v.number, &bits, sizeof bits);
    return push_new(m, v);
}

static NB_FALLIBLE bytes_of(Machine *m, size_t length_bytes, NbPyKind kind) {
    uint64_t n = 0;
    const unsigned char *p = NULL;
    NB_TRY(number(m, length_bytes, &n));
    if (n > NB_PICKLE_MAX_BYTES)
        return STOP(m, NB_ERR_FORMAT, "a text of %" PRIu64 " bytes, at most %d expected", n,
                    NB_PICKLE_MAX_BYTES);
    NB_TRY(take(m, (size_t)n, &p));
    if (kind == NB_PY_TEXT && memchr(p, '\0', (size_t)n))
        return STOP(m, NB_ERR_FORMAT, "a text with a zero byte");
    char *const text = nb_arena_string_n(m->arena, (const char *)p, (size_t)n);
    if (!text)
        return no_memory(m);
    return push_new(m, (NbPy){.kind = kind, .text = text, .count = (size_t)n});
}

static NB_FALLIBLE op_text1(Machine *m) { return bytes_of(m, 1, NB_PY_TEXT); }
static NB_FALLIBLE op_text4(Machine *m) { return bytes_of(m, 4, NB_PY_TEXT); }
static NB_FALLIBLE op_text8(Machine *m) { return bytes_of(m, 8, NB_PY_TEXT); }
static NB_FALLIBLE op_bytes1(Machine *m) { return bytes_of(m, 1, NB_PY_BYTES); }
static NB_FALLIBLE op_bytes4(Machine *m) { return bytes_of(m, 4, NB_PY_BYTES); }
static NB_FALLIBLE op_bytes8(Machine *m) { return bytes_of(m, 8, NB_PY_BYTES); }

/* ---- the stack and the memo ---- */

static NB_FALLIBLE op_mark(Machine *m) {
    void *list = m->mark;
    if (!grow(m->arena, &list, m->n_marks, &m->mark_capacity, sizeof *m->mark))
        return no_memory(m);
    m->mark = list;
    m->mark[m->n_marks++] = m->n;
    return NB_OK;
}

static NB_FALLIBLE op_pop(Machine *m) {
    NbPy *v = NULL;
    return pop(m, &v);
}

static NB_FALLIBLE op_pop_mark(Machine *m) {
    NbPy **item = NULL;
    size_t n = 0;
    return pop_mark(m, &item, &n);
}

static NB_FALLIBLE op_dup(Machine *m) {
    NbPy *v = NULL;
    NB_TRY(pop(m, &v));
    NB_TRY(push(m, v));
    return push(m, v);
}

static NB_FALLIBLE op_stop(Machine *m) {
    m->done = true;
    return NB_OK;
}

/* A writer numbers what it keeps, two bytes or more each: larger numbers are made up. */
static NB_FALLIBLE keep(Machine *m, uint64_t i) {
    const size_t most = (size_t)(m->end - m->start);
    if (i >= most)
        return STOP(m, NB_ERR_FORMAT,
                    "memo number %" PRIu64 ", a pickle of %zu bytes cannot have so many", i, most);
    if (m->n <= floor_of(m))
        return STOP(m, NB_ERR_FORMAT, "a value is missing on the stack");
    while (i >= m->n_memo) {
        void *list = m->memo;
        if (!grow(m->arena, &list, m->n_memo, &m->n_memo, sizeof *m->memo))
            return no_memory(m);
        m->memo = list;
    }
    m->memo[i] = m->stack[m->n - 1];
    m->next_memo = i + 1 > m->next_memo ? (size_t)i + 1 : m->next_memo;
    return NB_OK;
}

static NB_FALLIBLE recall(Machine *m, uint64_t i) {
    if (i >= m->n_memo || !m->memo[i])
        return STOP(m, NB_ERR_FORMAT, "memo number %" PRIu64 " was never stored", i);
    return push(m, m->memo[i]);
}

static NB_FALLIBLE op_put1(Machine *m) {
    uint64_t i = 0;
    NB_TRY(number(m, 1, &i));
    return keep(m, i);
}

static NB_FALLIBLE op_put4(Machine *m) {
    uint64_t i = 0;
    NB_TRY(number(m, 4, &i));
    return keep(m, i);
}

static NB_FALLIBLE op_memoize(Machine *m) { return keep(m, m->next_memo); }

static NB_FALLIBLE op_get1(Machine *m) {
    uint64_t i = 0;
    NB_TRY(number(m, 1, &i));
    return recall(m, i);
}

static NB_FALLIBLE op_get4(Machine *m) {
    uint64_t i = 0;
    NB_TRY(number(m, 4, &i));
    return recall(m, i);
}

/* ---- containers ---- */

static NB_FALLIBLE push_empty(Machine *m, NbPyKind kind) {
    return push_new(m, (NbPy){.kind = kind});
}

static NB_FALLIBLE op_empty_list(Machine *m) { return push_empty(m, NB_PY_LIST); }
static NB_FALLIBLE op_empty_tuple(Machine *m) { return push_empty(m, NB_PY_TUPLE); }
static NB_FALLIBLE op_empty_dict(Machine *m) { return push_empty(m, NB_PY_DICT); }
static NB_FALLIBLE op_empty_set(Machine *m) { return push_empty(m, NB_PY_SET); }

static NB_FALLIBLE push_copy(Machine *m, NbPyKind kind, NbPy **from, size_t n) {
    NbPy v = {.kind = kind, .count = n, .capacity = n};
    v.item = NB_NEW(m->arena, NbPy *, n);
    if (!v.item)
        return no_memory(m);
    if (n)
        memcpy(v.item, from, n * sizeof *from);
    return push_new(m, v);
}

static NB_FALLIBLE tuple_of(Machine *m, size_t n) {
    if (m->n < floor_of(m) + n)
        return STOP(m, NB_ERR_FORMAT, "a value is missing on the stack");
    m->n -= n;
    return push_copy(m, NB_PY_TUPLE, m->stack + m->n, n);
}

static NB_FALLIBLE op_tuple1(Machine *m) { return tuple_of(m, 1); }
static NB_FALLIBLE op_tuple2(Machine *m) { return tuple_of(m, 2); }
static NB_FALLIBLE op_tuple3(Machine *m) { return tuple_of(m, 3); }

static NB_FALLIBLE op_tuple(Machine *m) {
    NbPy **item = NULL;
    size_t n = 0;
    NB_TRY(pop_mark(m, &item, &n));
    return push_copy(m, NB_PY_TUPLE, item, n);
}

static NB_FALLIBLE op_frozenset(Machine *m) {
    NbPy **item = NULL;
    size_t n = 0;
    NB_TRY(pop_mark(m, &item, &n));
    return push_copy(m, NB_PY_SET, item, n);
}

/* Appends `n` values to the container on top; pairs count as one for a dict. */
static NB_FALLIBLE extend(Machine *m, NbPyKind kind, NbPy **item, size_t n) {
    const size_t unit = kind == NB_PY_DICT ? 2 : 1;
    if (m->n <= floor_of(m) || m->stack[m->n - 1]->kind != kind)
        return STOP(m, NB_ERR_FORMAT, "values for a container that is no %s",
                    kind == NB_PY_DICT   ? "dict"
                    : kind == NB_PY_LIST ? "list"
                                         : "set");
    if (n % unit)
        return STOP(m, NB_ERR_FORMAT, "a key without a value");
    NbPy *const to = m->stack[m->n - 1];
    for (size_t i = 0; i < n; i++) {
        void *list = to->item;
        size_t capacity = to->capacity * unit;
        if (!grow(m->arena, &list, to->count * unit + i % unit, &capacity, sizeof *item))
            return no_memory(m);
        to->item = list;
        to->capacity = capacity / unit;
        to->item[to->count * unit + i % unit] = item[i];
        to->count += i % unit == unit - 1;
    }
    return NB_OK;
}

static NB_FALLIBLE extend_marked(Machine *m, NbPyKind kind) {
    NbPy **item = NULL;
    size_t n = 0;
    NB_TRY(pop_mark(m, &item, &n));
    return extend(m, kind, item, n);
}

static NB_FALLIBLE op_append(Machine *m) {
    NbPy *v = NULL;
    NB_TRY(pop(m, &v));
    return extend(m, NB_PY_LIST, &v, 1);
}

static NB_FALLIBLE op_setitem(Machine *m) {
    NbPy *pair[2] = {NULL, NULL};
    NB_TRY(pop(m, &pair[1]));
    NB_TRY(pop(m, &pair[0]));
    return extend(m, NB_PY_DICT, pair, 2);
}

static NB_FALLIBLE op_appends(Machine *m) { return extend_marked(m, NB_PY_LIST); }
static NB_FALLIBLE op_setitems(Machine *m) { return extend_marked(m, NB_PY_DICT); }
static NB_FALLIBLE op_additems(Machine *m) { return extend_marked(m, NB_PY_SET); }

/* ---- names, records, storages ---- */

static NB_FALLIBLE push_class(Machine *m, const char *module, const char *name) {
    const NbPyClass *const line = nb_py_class_find(module, name);
    if (!line)
        return STOP(m, NB_ERR_UNSUPPORTED,
                    "the name '%.*s.%.*s' is not in the list of what a model file may use", SHOWN,
                    module, SHOWN, name);
    const char *const text = nb_arena_printf(m->arena, "%s %s", module, name);
    if (!text)
        return no_memory(m);
    return push_new(m, (NbPy){.kind = NB_PY_CLASS, .text = text, .line = line});
}

static NB_FALLIBLE line_of(Machine *m, const char **out) {
    const unsigned char *const newline = memchr(m->at, '\n', (size_t)(m->end - m->at));
    if (!newline || memchr(m->at, '\0', (size_t)(newline - m->at)))
        return STOP(m, NB_ERR_FORMAT, "a name that ends with its line expected");
    *out = nb_arena_string_n(m->arena, (const char *)m->at, (size_t)(newline - m->at));
    m->at = newline + 1;
    return *out ? NB_OK : no_memory(m);
}

static NB_FALLIBLE op_global(Machine *m) {
    const char *module = NULL;
    const char *name = NULL;
    NB_TRY(line_of(m, &module));
    NB_TRY(line_of(m, &name));
    return push_class(m, module, name);
}

static NB_FALLIBLE op_stack_global(Machine *m) {
    NbPy *module = NULL;
    NbPy *name = NULL;
    NB_TRY(pop(m, &name));
    NB_TRY(pop(m, &module));
    if (module->kind != NB_PY_TEXT || name->kind != NB_PY_TEXT)
        return STOP(m, NB_ERR_FORMAT, "texts expected as module and name");
    return push_class(m, module->text, name->text);
}

/* Class and arguments, from the stack. */
static NB_FALLIBLE pop_call(Machine *m, NbPy **callee, NbPy **args) {
    NB_TRY(pop(m, args));
    NB_TRY(pop(m, callee));
    if ((*args)->kind != NB_PY_TUPLE)
        return STOP(m, NB_ERR_FORMAT, "a tuple of arguments expected");
    if ((*callee)->kind != NB_PY_CLASS)
        return STOP(m, NB_ERR_UNSUPPORTED, "a call of something that is no listed name");
    return NB_OK;
}

static NB_FALLIBLE push_record(Machine *m, const NbPy *callee, const NbPy *args) {
    NbPy v = {.kind = NB_PY_RECORD, .text = callee->text, .count = args->count};
    v.item = args->item;
    return push_new(m, v);
}

static NB_FALLIBLE op_newobj(Machine *m) {
    NbPy *callee = NULL;
    NbPy *args = NULL;
    NB_TRY(pop_call(m, &callee, &args));
    if (!callee->line->is_record)
        return STOP(m, NB_ERR_UNSUPPORTED, "an object of '%.*s', which is no listed class", SHOWN,
                    callee->text);
    return push_record(m, callee, args);
}

static NB_FALLIBLE op_reduce(Machine *m) {
    NbPy *callee = NULL;
    NbPy *args = NULL;
    NbPy v = {.kind = NB_PY_NONE};
    NbError why = {0};
    NB_TRY(pop_call(m, &callee, &args));
    if (!callee->line->build)
        return STOP(m, NB_ERR_UNSUPPORTED, "a call of '%.*s', which is no listed function", SHOWN,
                    callee->text);
    v.text = callee->text;
    const NbStatus status = callee->line->build(args, m->arena, &v, &why);
    if (status != NB_OK)
        return STOP(m, status, "%.*s: %s", SHOWN, callee->text, why.message);
    return push_new(m, v);
}

/* Attributes: of a record once; of an OrderedDict too, where PyTorch keeps versions. */
static NB_FALLIBLE op_build(Machine *m) {
    NbPy *state = NULL;
    NB_TRY(pop(m, &state));
    if (m->n <= floor_of(m))
        return STOP(m, NB_ERR_FORMAT, "a value is missing on the stack");
    NbPy *const v = m->stack[m->n - 1];
    if (v->kind != NB_PY_RECORD && v->kind != NB_PY_DICT)
        return STOP(m, NB_ERR_UNSUPPORTED, "attributes for a value that is no object");
    if (v->state)
        return STOP(m, NB_ERR_UNSUPPORTED, "attributes for an object that has them already");
    v->state = state;
    return NB_OK;
}

/* ("storage", class, key, place, elements): the only thing outside a pickle that it may name. */
static NB_FALLIBLE op_persid(Machine *m) {
    NbPy *id = NULL;
    NB_TRY(pop(m, &id));
    if (id->kind != NB_PY_TUPLE || id->count < 5 || id->item[0]->kind != NB_PY_TEXT ||
        strcmp(id->item[0]->text, "storage") != 0 || id->item[1]->kind != NB_PY_CLASS ||
        id->item[2]->kind != NB_PY_TEXT || id->item[4]->kind != NB_PY_INT)
        return STOP(m, NB_ERR_FORMAT, "('storage', class, key, place, elements) expected");
    const NbPyClass *const line = id->item[1]->line;
    if (!line->is_storage)
        return STOP(m, NB_ERR_UNSUPPORTED, "a storage of '%.*s', which is no listed type", SHOWN,
                    id->item[1]->text);
    if (id->item[4]->integer < 0 || (uint64_t)id->item[4]->integer > SIZE_MAX / 16)
        return STOP(m, NB_ERR_FORMAT, "a storage of %" PRId64 " elements", id->item[4]->integer);
    return push_new(m, (NbPy){.kind = NB_PY_STORAGE,
                              .dtype = line->dtype,
                              .text = id->item[2]->text,
                              .count = (size_t)id->item[4]->integer});
}

/* ---- the lists ---- */

typedef NbStatus (*Instruction)(Machine *m);

static const Instruction run[256] = {
#define NB_PICKLE_OP(code, function) [(code)] = (function),
#include "format/pickle.def"
#undef NB_PICKLE_OP
};

/* Names of instructions that exist and are not executed. */
static const char *const refused[256] = {
    ['i'] = "INST",   ['o'] = "OBJ",         [0x92] = "NEWOBJ_EX",   [0x82] = "EXT1",
    [0x83] = "EXT2",  [0x84] = "EXT4",       ['P'] = "PERSID",       ['I'] = "INT",
    ['L'] = "LONG",   ['F'] = "FLOAT",       ['S'] = "STRING",       ['V'] = "UNICODE",
    ['l'] = "LIST",   ['d'] = "DICT",        ['p'] = "PUT",          ['g'] = "GET",
    [0x8b] = "LONG4", [0x96] = "BYTEARRAY8", [0x97] = "NEXT_BUFFER", [0x98] = "READONLY_BUFFER",
};

static NB_FALLIBLE step(Machine *m) {
    if (m->at == m->end) {
        m->op = m->at;
        return STOP(m, NB_ERR_FORMAT, "the pickle ends without STOP");
    }
    m->op = m->at++;
    if (run[*m->op])
        return run[*m->op](m);
    if (refused[*m->op])
        return STOP(m, NB_ERR_UNSUPPORTED, "the instruction %s (0x%02x) is not executed",
                    refused[*m->op], *m->op);
    return STOP(m, NB_ERR_FORMAT, "0x%02x is no instruction of a pickle", *m->op);
}

NbStatus nb_pickle_read(NbBytes bytes, NbArena *arena, const NbPy **out, NbError *err) {
    Machine m = {.start = bytes.data,
                 .at = bytes.data,
                 .op = bytes.data,
                 .end = bytes.data + bytes.size,
                 .stack = NB_NEW(arena, NbPy *, FIRST),
                 .capacity = FIRST,
                 .arena = arena,
                 .err = err};
    *out = NULL;
    if (!m.stack)
        return no_memory(&m);
    if (bytes.size > NB_PICKLE_MAX_BYTES)
        return nb_fail(NB_ERR_FORMAT, err, "a pickle of %zu bytes, at most %d expected", bytes.size,
                       NB_PICKLE_MAX_BYTES);
    while (!m.done)
        NB_TRY(step(&m));
    if (m.n != 1 || m.n_marks)
        return STOP(&m, NB_ERR_FORMAT, "one value expected at the end, found %zu and %zu marks",
                    m.n, m.n_marks);
    *out = m.stack[0];
    return NB_OK;
}

/* ---- looking things up ---- */

const NbPy *nb_py_get(const NbPy *v, const char *key) {
    if (v && v->kind == NB_PY_RECORD)
        v = v->state;
    if (v && v->kind == NB_PY_TUPLE && v->count == 2)
        v = v->item[0]; /* (attributes, slots) */
    if (!v || v->kind != NB_PY_DICT)
        return NULL;
    for (size_t i = v->count; i-- > 0;)
        if (v->item[2 * i]->kind == NB_PY_TEXT && strcmp(v->item[2 * i]->text, key) == 0)
            return v->item[2 * i + 1];
    return NULL;
}

const char *nb_py_class_name(const NbPy *v) {
    if (!v || v->kind != NB_PY_RECORD)
        return "";
    const char *const blank = strrchr(v->text, ' ');
    return blank ? blank + 1 : v->text;
}
