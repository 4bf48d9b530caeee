/* SPDX-License-Identifier: Apache-2.0
 *
 * NumPy's .npy, versions 1 to 3, C order (Fortran order is turned into C order while reading).
 * Source: numpy.lib.format. Types: those of NbDtype that npy has. */
#ifndef NB_FORMAT_NPY_H
#define NB_FORMAT_NPY_H

#include "base/arena.h"
#include "base/file.h"
#include "base/status.h"
#include "tensor/tensor.h"

NB_FALLIBLE nb_npy_read(const char *path, NbBytes bytes, NbArena *arena, NbTensor *out,
                        NbError *err);
NB_FALLIBLE nb_npy_read_file(const char *path, NbArena *arena, NbTensor *out, NbError *err);
/* Version 1.0, data 64-byte aligned, as NumPy writes it; atomically. */
NB_FALLIBLE nb_npy_write(const char *path, const NbTensor *tensor, NbError *err);

#endif
