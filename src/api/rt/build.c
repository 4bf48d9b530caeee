/* SPDX-License-Identifier: Apache-2.0 */
#include "api/rt/build.h"

#include "lower/integer/integer.h"

NbStatus nb_model_engine(NbModel *m, const char *name, const NbEngineOptions *options,
                         NbEngine **out, NbError *err) {
    *out = NULL;
    if (!m->bits.quantized)
        return nb_fail(NB_ERR_UNSUPPORTED, err,
                       "%s: the model has no quantizers, integers cannot compute it; train it with "
                       "quantize=",
                       name);
    NbArena scratch = {0};
    NbGraph integer;
    NbGraph needed = nb_model_inference(m);
    NbStatus status = nb_graph_infer(&needed, 1, options->height, options->width, err);
    if (status == NB_OK)
        status = nb_lower_integer(&needed, &scratch, &integer, err);
    if (status == NB_OK)
        status = nb_engine_new(&integer, options, out, err);
    nb_arena_release(&scratch);
    return status == NB_OK ? NB_OK : nb_fail_in(status, err, "%s", name);
}
