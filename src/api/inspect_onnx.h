/* SPDX-License-Identifier: Apache-2.0
 *
 * `nibble inspect model=x.onnx`: what an ONNX file holds, as it stands there; nothing is executed
 * and no operator needs to be known. */
#ifndef NB_API_INSPECT_ONNX_H
#define NB_API_INSPECT_ONNX_H

#include "api/job.h"

NB_FALLIBLE nb_inspect_onnx(NbJob *job, const char *path, NbError *err);

#endif
