/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "format/json.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    NbError err = {0};
    json_t *value = NULL;
    if (nb_json_read("f", (NbBytes){data, size}, 0, &value, &err) != NB_OK) {
        NB_FUZZ_ASSERT(!value && strncmp(err.message, "f:", 2) == 0);
        return 0;
    }
    char path[64];
    (void)nb_fuzz_scratch(".json", path, sizeof path);
    json_t *again = NULL;
    NB_FUZZ_ASSERT(nb_json_write(path, value, &err) == NB_OK);
    NB_FUZZ_ASSERT(nb_json_read_file(path, &again, &err) == NB_OK);
    NB_FUZZ_ASSERT(json_equal(value, again));
    (void)unlink(path);
    json_decref(again);
    json_decref(value);
    return 0;
}
