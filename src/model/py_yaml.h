/* SPDX-License-Identifier: Apache-2.0
 *
 * The model file that a checkpoint carries as a dict, as text again. */
#ifndef NB_MODEL_PY_YAML_H
#define NB_MODEL_PY_YAML_H

#include "format/pickle.h"

/* The keys that model files have, one a line, layers one a line; other keys of the dict (its file
 * name, ...) are left out. The text lies in the arena. NB_ERR_FORMAT: it holds something that a
 * model file cannot, or is longer than a model file may be. */
NB_FALLIBLE nb_py_model_yaml(const NbPy *dict, NbArena *arena, const char **out, NbError *err);

#endif
