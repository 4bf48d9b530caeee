/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NB_API_HYPER_OPTIONS_H
#define NB_API_HYPER_OPTIONS_H

#include "api/job.h"
#include "model/model.h"
#include "train/hyper.h"

/* The settings alone, before a model or data are opened. */
NB_FALLIBLE nb_job_check_hyper(const NbJob *job, NbError *err);

/* The defaults of the model's kind of head, then what the job's settings say; checked. pictures: to
 * train on. Where Ultralytics' optimizer=auto decides, its choice becomes the job's settings, so
 * that a run which is continued with other epochs keeps it. batch=-1 counts as 16 here. */
NB_FALLIBLE nb_job_hyper(NbJob *job, const NbModel *model, int pictures, NbHyper *out,
                         NbError *err);

#endif
