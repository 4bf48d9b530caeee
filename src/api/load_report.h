/* SPDX-License-Identifier: Apache-2.0
 *
 * What became of the tensors of a file, for people and as JSON. */
#ifndef NB_API_LOAD_REPORT_H
#define NB_API_LOAD_REPORT_H

#include "api/job.h"
#include "model/checkpoint.h"

/* Puts `loaded` (a number), `skipped` (names of tensors in the file that were not taken, because
 * the model has no such parameter or one of another shape), `reshaped` (of the latter: name and
 * both shapes) and `fresh` (parameters of the model that keep their start values). */
void nb_job_put_load(NbJob *job, const NbLoadReport *report);

/* Says it in a few lines; nothing when the file gave everything. */
void nb_job_say_load(NbJob *job, const char *path, const NbLoadReport *report);

#endif
