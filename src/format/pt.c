/* SPDX-License-Identifier: Apache-2.0 */
#include "format/pt.h"

#include <stdio.h>
#include <string.h>

enum {
    MAX_DEPTH = 32,       /* modules inside modules */
    MAX_MODULES = 100000, /* shared ones count each time */
    MAX_TENSORS = 100000,
    MAX_NAME = 400,
    SHOWN = 64,
};

/* ---- the archive ---- */

static NB_FALLIBLE check_is_archive(NbBytes bytes, NbError *err) {
    if (bytes.size >= 4 && memcmp(bytes.data, "PK\3\4", 4) == 0)
        return NB_OK;
    if (bytes.size >= 2 && bytes.data[0] == 0x80)
        return nb_fail(
            NB_ERR_UNSUPPORTED, err,
            "a bare pickle, as PyTorch before 1.6 wrote; save it again with a newer one");
    return nb_fail(NB_ERR_FORMAT, err, "no file of torch.save: a ZIP archive expected");
}

/* The pickle names the folder that all entries lie in. */
static NB_FALLIBLE find_pickle(NbPt *pt, NbArena *arena, NbZipEntry **out, NbError *err) {
    static const char tail[] = "data.pkl";
    const size_t n = sizeof tail - 1;
    *out = NULL;
    for (size_t i = 0; i < pt->zip.n; i++) {
        NbZipEntry *const e = &pt->zip.entry[i];
        const size_t length = strlen(e->name);
        if (length < n || strcmp(e->name + length - n, tail) != 0 ||
            (length > n && e->name[length - n - 1] != '/'))
            continue;
        if (*out)
            return nb_fail(NB_ERR_FORMAT, err, "two pickles in the archive: '%.*s' and '%.*s'",
                           SHOWN, (*out)->name, SHOWN, e->name);
        *out = e;
        pt->folder = nb_arena_string_n(arena, e->name, length - n);
    }
    if (!*out)
        return nb_fail(NB_ERR_FORMAT, err, "no 'data.pkl' in the archive");
    return pt->folder ? NB_OK : nb_fail_memory(err, "archive");
}

static NbZipEntry *find_entry(const NbPt *pt, const char *below) {
    char name[MAX_NAME];
    const int n = snprintf(name, sizeof name, "%s%s", pt->folder, below);
    return n > 0 && (size_t)n < sizeof name ? nb_zip_find(&pt->zip, name) : NULL;
}

static NB_FALLIBLE check_byte_order(const NbPt *pt, NbArena *arena, NbError *err) {
    NbZipEntry *const e = find_entry(pt, "byteorder");
    NbBytes text = {0};
    if (!e)
        return NB_OK;
    NB_TRY(nb_zip_take(&pt->zip, e, arena, &text, err));
    if (text.size >= 3 && memcmp(text.data, "big", 3) == 0)
        return nb_fail(NB_ERR_UNSUPPORTED, err, "the file is big endian");
    return NB_OK;
}

/* ---- tensors ---- */

static NB_FALLIBLE storage_bytes(const NbPt *pt, const NbPy *storage, NbArena *arena, NbBytes *out,
                                 NbError *err) {
    char below[SHOWN + 8];
    NbZipEntry *e = NULL;
    const int n = snprintf(below, sizeof below, "data/%s", storage->text);
    if (n > 0 && (size_t)n < sizeof below)
        e = find_entry(pt, below);
    if (!e)
        return nb_fail(NB_ERR_FORMAT, err, "no storage '%.*s' in the archive", SHOWN,
                       storage->text);
    NB_TRY(nb_zip_take(&pt->zip, e, arena, out, err));
    const size_t want = storage->count * nb_dtype_size(storage->dtype);
    if (out->size < want)
        return nb_fail(NB_ERR_FORMAT, err, "storage '%.*s' has %zu bytes, %zu expected", SHOWN,
                       storage->text, out->size, want);
    return NB_OK;
}

static bool is_dense(const NbPyView *v) { /* not for a view without elements */
    int64_t step = 1;
    for (int i = v->shape.rank - 1; i >= 0; i--) {
        if (v->shape.dim[i] > 1 && v->stride[i] != step)
            return false;
        step *= v->shape.dim[i];
    }
    return true;
}

/* One pass in the order of the result, with an odometer over the strides. */
static void gather(const NbPyView *v, const unsigned char *from, unsigned char *to, size_t count,
                   size_t size) {
    int64_t index[NB_MAX_RANK] = {0};
    int64_t at = 0;
    for (size_t i = 0; i < count; i++) {
        memcpy(to + i * size, from + (size_t)at * size, size);
        for (int d = v->shape.rank - 1; d >= 0; d--) {
            at += v->stride[d];
            if (++index[d] < v->shape.dim[d])
                break;
            at -= v->stride[d] * v->shape.dim[d];
            index[d] = 0;
        }
    }
}

NbStatus nb_pt_tensor(const NbPt *pt, const NbPy *v, NbArena *arena, NbTensor *out, NbError *err) {
    NbBytes bytes = {0};
    if (!v || v->kind != NB_PY_TENSOR)
        return nb_fail(NB_ERR_FORMAT, err, "a tensor expected");
    const NbPyView *const view = v->view;
    const NbDtype type = view->storage->dtype;
    *out = (NbTensor){.dtype = type, .shape = view->shape};
    const size_t count = nb_tensor_count(out);
    if (count == 0)
        return NB_OK;
    NB_TRY(storage_bytes(pt, view->storage, arena, &bytes, err));
    const size_t size = nb_dtype_size(type);
    const unsigned char *const from = bytes.data + (size_t)view->offset * size;
    if (is_dense(view) && (uintptr_t)from % size == 0) {
        out->data = (void *)(uintptr_t)from; /* a view; nobody writes through it */
        return NB_OK;
    }
    out->data = nb_arena_take(arena, count, size);
    if (!out->data)
        return nb_fail_memory(err, "tensor");
    gather(view, from, out->data, count, size);
    return NB_OK;
}

/* ---- the state of a model ---- */

typedef struct Walk {
    NbPt *pt;
    NbArena *arena;
    size_t capacity;
    size_t modules;
    NbError *err;
} Walk;

static NB_FALLIBLE add_tensor(Walk *w, const char *prefix, const NbPy *key, const NbPy *v) {
    NbSafetensors *const s = &w->pt->state;
    if (key->kind != NB_PY_TEXT || strlen(prefix) + key->count > MAX_NAME)
        return nb_fail(NB_ERR_FORMAT, w->err, "'%.*s': a name of at most %d characters expected",
                       SHOWN, prefix, MAX_NAME);
    if (s->n_tensors == MAX_TENSORS)
        return nb_fail(NB_ERR_FORMAT, w->err, "more than %d tensors", MAX_TENSORS);
    if (s->n_tensors == w->capacity) {
        const size_t more = w->capacity ? 2 * w->capacity : 256;
        NbNamedTensor *const list = NB_NEW(w->arena, NbNamedTensor, more);
        if (!list)
            return nb_fail_memory(w->err, "tensor list");
        if (s->n_tensors)
            memcpy(list, s->tensor, s->n_tensors * sizeof *list);
        s->tensor = list;
        w->capacity = more;
    }
    NbNamedTensor *const t = &s->tensor[s->n_tensors];
    t->name = nb_arena_printf(w->arena, "%s%s", prefix, key->text);
    if (!t->name)
        return nb_fail_memory(w->err, "tensor name");
    NB_TRY_IN(nb_pt_tensor(w->pt, v, w->arena, &t->tensor, w->err), w->err, "tensor '%.*s'", SHOWN,
              t->name);
    s->n_tensors++;
    return NB_OK;
}

static NB_FALLIBLE add_tensors(Walk *w, const char *prefix, const NbPy *dict) {
    for (size_t i = 0; dict && dict->kind == NB_PY_DICT && i < dict->count; i++)
        if (dict->item[2 * i + 1]->kind == NB_PY_TENSOR)
            NB_TRY(add_tensor(w, prefix, dict->item[2 * i], dict->item[2 * i + 1]));
    return NB_OK;
}

/* Its parameters, its buffers, then its children, as state_dict() goes. */
static NB_FALLIBLE walk_module(Walk *w, const NbPy *module, const char *prefix, int depth) {
    if (depth == MAX_DEPTH || ++w->modules > MAX_MODULES)
        return nb_fail(NB_ERR_FORMAT, w->err,
                       "'%.*s': modules more than %d deep or more than %d of them", SHOWN, prefix,
                       MAX_DEPTH, MAX_MODULES);
    NB_TRY(add_tensors(w, prefix, nb_py_get(module, "_parameters")));
    NB_TRY(add_tensors(w, prefix, nb_py_get(module, "_buffers")));
    const NbPy *const children = nb_py_get(module, "_modules");
    for (size_t i = 0; children && children->kind == NB_PY_DICT && i < children->count; i++) {
        const NbPy *const key = children->item[2 * i];
        const NbPy *const child = children->item[2 * i + 1];
        if (child->kind != NB_PY_RECORD || key->kind != NB_PY_TEXT)
            continue;
        char name[MAX_NAME + 1];
        const int n = snprintf(name, sizeof name, "%s%s.", prefix, key->text);
        if (n < 0 || (size_t)n >= sizeof name)
            return nb_fail(NB_ERR_FORMAT, w->err,
                           "'%.*s': a name of at most %d characters expected", SHOWN, prefix,
                           MAX_NAME);
        NB_TRY(walk_module(w, child, name, depth + 1));
    }
    return NB_OK;
}

static bool is_module(const NbPy *v) {
    const NbPy *const children = nb_py_get(v, "_modules");
    return v && v->kind == NB_PY_RECORD && children && children->kind == NB_PY_DICT;
}

static bool has_tensors(const NbPy *v) {
    if (!v || v->kind != NB_PY_DICT)
        return false;
    for (size_t i = 0; i < v->count; i++)
        if (v->item[2 * i + 1]->kind == NB_PY_TENSOR)
            return true;
    return false;
}

/* Names of what is there instead, for the message. */
static void put_keys(const NbPy *root, char *out, size_t size) {
    size_t at = 0;
    *out = '\0';
    for (size_t i = 0; root->kind == NB_PY_DICT && i < root->count && i < 8; i++) {
        const NbPy *const key = root->item[2 * i];
        const int n = snprintf(out + at, size - at, "%s'%.24s'", at ? ", " : "",
                               key->kind == NB_PY_TEXT ? key->text : "?");
        if (n < 0 || (size_t)n >= size - at)
            return;
        at += (size_t)n;
    }
}

static NB_FALLIBLE choose(NbPt *pt, NbError *err) {
    static const char *const keys[] = {"ema", "ema_state_dict", "model", "model_state_dict",
                                       "state_dict"};
    char found[256];
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const NbPy *v = nb_py_get(pt->root, keys[i]);
        if (v && v->kind == NB_PY_RECORD && !is_module(v))
            v = nb_py_get(v, "ema"); /* the object that averages, with the model inside */
        if (is_module(v) || has_tensors(v)) {
            pt->model = v;
            pt->group = keys[i];
            return NB_OK;
        }
    }
    pt->model = pt->root;
    pt->group = "";
    if (is_module(pt->root) || has_tensors(pt->root))
        return NB_OK;
    put_keys(pt->root, found, sizeof found);
    return nb_fail(NB_ERR_FORMAT, err,
                   "no model inside: a module or tensors as 'ema', 'model' or 'state_dict' "
                   "expected, found %s",
                   *found ? found : "something else");
}

static NB_FALLIBLE read_all(NbBytes bytes, NbArena *arena, NbPt *out, NbError *err) {
    NbZipEntry *pickle = NULL;
    NbBytes text = {0};
    *out = (NbPt){.group = ""};
    NB_TRY(check_is_archive(bytes, err));
    NB_TRY(nb_zip_open(bytes, arena, &out->zip, err));
    NB_TRY(find_pickle(out, arena, &pickle, err));
    NB_TRY(check_byte_order(out, arena, err));
    if (pickle->size > NB_PICKLE_MAX_BYTES)
        return nb_fail(NB_ERR_FORMAT, err, "'%.*s' is longer than %d bytes", SHOWN, pickle->name,
                       NB_PICKLE_MAX_BYTES);
    NB_TRY(nb_zip_take(&out->zip, pickle, arena, &text, err));
    NB_TRY_IN(nb_pickle_read(text, arena, &out->root, err), err, "%.*s", SHOWN, pickle->name);
    NB_TRY(choose(out, err));
    Walk w = {.pt = out, .arena = arena, .err = err};
    if (out->model->kind == NB_PY_RECORD)
        return walk_module(&w, out->model, "", 0);
    return add_tensors(&w, "", out->model);
}

NbStatus nb_pt_read(const char *path, NbBytes bytes, NbArena *arena, NbPt *out, NbError *err) {
    NB_TRY_IN(read_all(bytes, arena, out, err), err, "%s", path);
    return NB_OK;
}

const NbPy *nb_pt_module(const NbPt *pt, const char *path) {
    const NbPy *v = pt->model;
    while (*path && v) {
        char part[SHOWN];
        const size_t n = strcspn(path, ".");
        if (n >= sizeof part)
            return NULL;
        memcpy(part, path, n);
        part[n] = '\0';
        v = nb_py_get(nb_py_get(v, "_modules"), part);
        path += path[n] ? n + 1 : n;
    }
    return v && v->kind == NB_PY_RECORD ? v : NULL;
}
