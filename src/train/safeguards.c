/* SPDX-License-Identifier: Apache-2.0 */
#include "train/safeguards.h"

#include <string.h>

NbStatus nb_safeguards_parse(const char *text, NbSafeguards *out, NbError *err) {
    NbSafeguards s = {0};
    const struct {
        const char *word;
        bool *value;
    } words[] = {{"norm", &s.norm},
                 {"correct", &s.correct},
                 {"dampen", &s.dampen},
                 {"freeze", &s.freeze},
                 {"stages", &s.stages}};
    const bool all = strcmp(text, "all") == 0;
    if (all || strcmp(text, "none") == 0) {
        *out = (NbSafeguards){all, all, all, all, all};
        return NB_OK;
    }
    for (const char *at = text;; at++) {
        const size_t n = strcspn(at, ",");
        bool known = false;
        for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
            if (strlen(words[i].word) == n && strncmp(at, words[i].word, n) == 0) {
                *words[i].value = true;
                known = true;
            }
        }
        if (!known)
            return nb_fail(NB_ERR_ARGUMENT, err,
                           "safeguards: expected none, all, or some of norm, correct, dampen, "
                           "freeze, stages with commas, found '%.*s'",
                           (int)n, at);
        at += n;
        if (!*at)
            break;
    }
    *out = s;
    return NB_OK;
}
