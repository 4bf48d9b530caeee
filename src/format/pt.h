/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of torch.save (since PyTorch 1.6: a ZIP archive with one pickle and the bytes of each
 * storage), read without running them: format/pickle.h. What is looked for is a model's state:
 *
 *     a module, or a dict that holds one as "ema" or "model": parameters, buffers and children of
 *     every module, under the names that state_dict() gives them;
 *     a dict of tensors, or a dict that holds one as "ema", "ema_state_dict", "model",
 *     "model_state_dict" or "state_dict": the tensors under their keys.
 *
 * Averaged weights ("ema...") come first when they are there and not None. */
#ifndef NB_FORMAT_PT_H
#define NB_FORMAT_PT_H

#include "format/pickle.h"
#include "format/safetensors.h"
#include "format/zip.h"

typedef struct NbPt {
    NbSafetensors state; /* the tensors in the order of the file; no metadata */
    const NbPy *root;    /* everything that was saved */
    const NbPy *model;   /* what the state comes from: a module (NB_PY_RECORD) or a dict */
    const char *group;   /* its key in the root, "" when it is the root */
    NbZip zip;
    const char *folder; /* of the archive: "archive/" */
} NbPt;

/* Tensors that lie dense and aligned in the file point into `bytes` and may not be written to;
 * others are copies in the arena. `path` is for messages only. */
NB_FALLIBLE nb_pt_read(const char *path, NbBytes bytes, NbArena *arena, NbPt *out, NbError *err);

/* The module at "model.24.m" below the model, itself for ""; NULL when there is none. */
const NbPy *nb_pt_module(const NbPt *pt, const char *path);

/* The elements of a tensor anywhere in the tree, dense. */
NB_FALLIBLE nb_pt_tensor(const NbPt *pt, const NbPy *v, NbArena *arena, NbTensor *out,
                         NbError *err);

#endif
