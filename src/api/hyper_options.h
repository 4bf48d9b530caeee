/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NB_API_HYPER_OPTIONS_H
#define NB_API_HYPER_OPTIONS_H

#include "api/job.h"
#include "train/hyper.h"

/* Defaults, then what the job's settings say; checked. */
NB_FALLIBLE nb_job_hyper(const NbJob *job, NbHyper *out, NbError *err);

#endif
