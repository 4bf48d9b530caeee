/* SPDX-License-Identifier: Apache-2.0
 *
 * Pickles as data. A pickle is a program; this reader knows only those of its instructions that
 * build values, and only those classes that pickle_class.c lists. Nothing of a pickle is ever
 * called: a listed function is a C routine here that checks its arguments and builds one value, a
 * listed class makes a record of its name and its attributes. Any other instruction or name is
 * NB_ERR_UNSUPPORTED, with its name and place.
 *
 * Work and memory are proportional to the size of the pickle. Values may be shared and may even
 * contain themselves, as in Python: whoever walks them limits depth and count.
 * Source: CPython's Lib/pickletools.py, protocols 2 to 5; torch/_utils.py, torch/serialization.py.
 */
#ifndef NB_FORMAT_PICKLE_H
#define NB_FORMAT_PICKLE_H

#include "base/arena.h"
#include "base/file.h"
#include "base/status.h"
#include "tensor/tensor.h"

enum { NB_PICKLE_MAX_BYTES = 16 << 20 };

typedef enum NbPyKind {
    NB_PY_NONE,
    NB_PY_BOOL,    /* integer is 0 or 1 */
    NB_PY_INT,     /* integer */
    NB_PY_FLOAT,   /* number */
    NB_PY_TEXT,    /* text, count bytes; none of them zero */
    NB_PY_BYTES,   /* text, count bytes */
    NB_PY_LIST,    /* item[count] */
    NB_PY_TUPLE,   /* item[count] */
    NB_PY_SET,     /* item[count] */
    NB_PY_DICT,    /* item[2 * count]: key, value, key, value, ... */
    NB_PY_CLASS,   /* text: "module name" */
    NB_PY_RECORD,  /* an object: text is "module name" of its class, item[count] its arguments */
    NB_PY_STORAGE, /* text: key of its bytes, count elements of dtype */
    NB_PY_TENSOR,  /* view */
} NbPyKind;

typedef struct NbPy NbPy;
typedef struct NbPyClass NbPyClass; /* one line of the list */

/* A tensor over a storage; offset and strides count elements. Checked: it lies in the storage and
 * has at most as many elements. */
typedef struct NbPyView {
    const NbPy *storage;
    int64_t offset;
    NbShape shape;
    int64_t stride[NB_MAX_RANK];
} NbPyView;

struct NbPy {
    NbPyKind kind;
    NbDtype dtype; /* STORAGE */
    size_t count;
    size_t capacity;
    const char *text;
    union {
        int64_t integer;
        double number;
        NbPy **item;
        const NbPyView *view;
        const NbPyClass *line; /* CLASS */
    };
    const NbPy *state; /* RECORD and DICT: what the object's attributes were set from; or NULL */
};

/* Reads the one value of a pickle. It lives in the arena. */
NB_FALLIBLE nb_pickle_read(NbBytes bytes, NbArena *arena, const NbPy **out, NbError *err);

/* The value of a text key in a dict, or of an attribute of a record; the last one when there are
 * several, NULL when there is none. */
const NbPy *nb_py_get(const NbPy *v, const char *key);

/* Name of the class of a record without its module; "" when v is no record. */
const char *nb_py_class_name(const NbPy *v);

#endif
