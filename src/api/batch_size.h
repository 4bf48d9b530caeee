/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NB_API_BATCH_SIZE_H
#define NB_API_BATCH_SIZE_H

#include "api/job.h"
#include "model/model.h"

/* batch=-1: the most pictures a batch may have so that training takes no more than 60 % of the
 * memory that is free now, at most 64 (what gradients are gathered up to) and no more than there
 * are pictures. Measured with two small batches. Source: Ultralytics' AutoBatch, which looks at the
 * memory of a GPU. */
NB_FALLIBLE nb_job_batch_from_memory(NbJob *job, NbModel *model, int imgsz, int pictures, int *out,
                                     NbError *err);

#endif
