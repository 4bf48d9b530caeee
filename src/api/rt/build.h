/* SPDX-License-Identifier: Apache-2.0
 *
 * The way from a model to the engine that computes it with integers. */
#ifndef NB_API_RT_BUILD_H
#define NB_API_RT_BUILD_H

#include "engine/engine.h"
#include "model/model.h"

/* Infers the graph of `m` for one picture of that size, lowers and packs it. The model is not
 * needed afterwards. NB_ERR_UNSUPPORTED: it has no quantizers (`name` is what the message calls the
 * model), or what nb_lower_integer and nb_engine_new say. */
NB_FALLIBLE nb_model_engine(NbModel *m, const char *name, const NbEngineOptions *options,
                            NbEngine **out, NbError *err);

#endif
