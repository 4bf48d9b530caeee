/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "format/yaml.h"

#include <string.h>

typedef struct Walk {
    int nodes;
    int zeros; /* scalars that are null */
} Walk;

static void scalar(const NbYaml *y, Walk *walk) {
    NbError err = {0};
    int64_t whole = 0;
    double real = 0;
    bool truth = false;
    NB_FUZZ_ASSERT(y->text);
    const bool is_int = nb_yaml_int("f", y, &whole, &err) == NB_OK;
    const bool is_real = nb_yaml_double("f", y, &real, &err) == NB_OK;
    const bool is_bool = nb_yaml_bool("f", y, &truth, &err) == NB_OK;
    const bool is_null = nb_yaml_is_null(y);
    /* whole numbers are numbers; otherwise a scalar is one thing */
    NB_FUZZ_ASSERT(!is_int || (is_real && (double)whole == real));
    NB_FUZZ_ASSERT(is_real + is_bool + is_null <= 1);
    NB_FUZZ_ASSERT(!y->quoted || is_real + is_bool + is_null == 0);
    walk->zeros += is_null;
}

static void visit(const NbYaml *y, int depth, Walk *walk) {
    walk->nodes++;
    NB_FUZZ_ASSERT(walk->nodes <= 100000 && depth <= 65);
    NB_FUZZ_ASSERT(y->line >= 1 && y->column >= 1);
    if (y->kind == NB_YAML_SCALAR) {
        scalar(y, walk);
        return;
    }
    for (int i = 0; i < y->count; i++) {
        if (y->kind == NB_YAML_MAP) {
            visit(y->key[i], depth + 1, walk);
            NB_FUZZ_ASSERT(nb_yaml_get(y, y->key[i]->text) == y->item[i]);
        }
        visit(y->item[i], depth + 1, walk);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    NbArena arena = {.limit = NB_FUZZ_LIMIT};
    NbError err = {0};
    const NbYaml *y = NULL;
    if (nb_yaml_parse("f", (NbBytes){data, size}, &arena, &y, &err) == NB_OK) {
        Walk walk = {0};
        visit(y, 1, &walk);
    } else {
        NB_FUZZ_ASSERT(!y && strncmp(err.message, "f:", 2) == 0);
    }
    nb_arena_release(&arena);
    return 0;
}
