/* SPDX-License-Identifier: Apache-2.0
 *
 * nibble data convert: annotations from one form to another, with a record of where they came from.
 */
#ifndef NB_API_CONVERT_H
#define NB_API_CONVERT_H

#include "api/job.h"

NB_FALLIBLE nb_job_convert(NbJob *job, NbError *err);

#endif
