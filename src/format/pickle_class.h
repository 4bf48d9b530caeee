/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of names that a pickle may use, and what each of them makes. */
#ifndef NB_FORMAT_PICKLE_CLASS_H
#define NB_FORMAT_PICKLE_CLASS_H

#include "format/pickle.h"

struct NbPyClass {
    const char *module; /* ends in '*': any module that begins so */
    const char *name;   /* "*": any name */
    NbDtype dtype;      /* of a storage */
    bool is_storage;
    bool is_record; /* objects of it may be made, as records */
    /* What "called with the arguments" builds; NULL: it cannot be called. Sentences of errors are
     * for "CLASS: ..." */
    NB_FALLIBLE (*build)(const NbPy *args, NbArena *arena, NbPy *out, NbError *err);
};

/* NULL: not in the list. */
const NbPyClass *nb_py_class_find(const char *module, const char *name);

#endif
