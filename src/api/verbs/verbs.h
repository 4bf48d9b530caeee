/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NB_API_VERBS_VERBS_H
#define NB_API_VERBS_VERBS_H

#include "api/job.h"

#define NB_VERB(name) extern const NbVerb nb_verb_##name;
#include "api/verbs/verbs.def"
#undef NB_VERB

#endif
