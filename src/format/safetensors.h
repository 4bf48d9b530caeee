/* SPDX-License-Identifier: Apache-2.0
 *
 * Safetensors: a JSON header (8 bytes of length first) and raw little-endian tensors.
 * Source: github.com/huggingface/safetensors, "Format". The reader checks every offset against the
 * file and refuses gaps, overlaps, duplicate names and a header above 100 MB, as the original. */
#ifndef NB_FORMAT_SAFETENSORS_H
#define NB_FORMAT_SAFETENSORS_H

#include "base/arena.h"
#include "base/file.h"
#include "base/status.h"
#include "tensor/tensor.h"

typedef struct NbMetadata {
    const char *key;
    const char *value;
} NbMetadata;

typedef struct NbSafetensors {
    NbNamedTensor *tensor; /* in file order */
    size_t n_tensors;
    NbMetadata *metadata;
    size_t n_metadata;
} NbSafetensors;

/* Tensors point into `bytes` when they are aligned there, else into copies in the arena; nobody may
 * write through them. Tensors without elements have no data. `path` is for messages only. */
NB_FALLIBLE nb_safetensors_read(const char *path, NbBytes bytes, NbArena *arena, NbSafetensors *out,
                                NbError *err);

/* Writes atomically. Data starts at a multiple of 64 bytes; tensors with wide elements come first,
 * else in the order given, so that each is aligned to its element. The same input gives the same
 * bytes; metadata keeps its order. */
NB_FALLIBLE nb_safetensors_write(const char *path, const NbSafetensors *file, NbError *err);

/* NULL when there is none. */
const NbTensor *nb_safetensors_find(const NbSafetensors *file, const char *name);
const char *nb_safetensors_metadata(const NbSafetensors *file, const char *key);

#endif
