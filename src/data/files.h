/* SPDX-License-Identifier: Apache-2.0
 *
 * Which pictures a split consists of. */
#ifndef NB_DATA_FILES_H
#define NB_DATA_FILES_H

#include "data/dataset.h"

/* Paths of all pictures of the split, sorted by their bytes; names only, nothing is opened but
 * lists. NB_ERR_FORMAT: the split is not given, not there, or has no picture. */
NB_FALLIBLE nb_split_files(const NbDataset *d, NbSplit split, NbArena *arena, char ***out,
                           size_t *count, NbError *err);

#endif
