/* SPDX-License-Identifier: Apache-2.0 */
#include "api/verbs/verbs.h"

const NbVerb *const nb_verb_table[] = {
#define NB_VERB(name) &nb_verb_##name,
#include "api/verbs/verbs.def"
#undef NB_VERB
};

const size_t nb_verb_count = sizeof nb_verb_table / sizeof *nb_verb_table;

const NbVerbInfo *nb_verb_get(size_t i) {
    return i < nb_verb_count ? &nb_verb_table[i]->info : NULL;
}
