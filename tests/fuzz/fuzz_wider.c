/* SPDX-License-Identifier: Apache-2.0
 *
 * WIDER FACE's text, and lists of ids with it: the pictures that a text names are those that ids
 * are looked for among. */
#include "fuzz.h"

#include "data/ids.h"
#include "format/wider_text.h"

#include <math.h>
#include <string.h>

static void round_trip(const NbWiderText *text, NbArena *arena) {
    NbError err = {0};
    NbWiderText back;
    NbBytes bytes;
    char path[64];
    (void)nb_fuzz_scratch(".txt", path, sizeof path);
    NB_FUZZ_ASSERT(nb_wider_text_write(path, text, &err) == NB_OK);
    const NbStatus read = nb_file_read(path, 0, arena, &bytes, &err);
    (void)unlink(path);
    if (read != NB_OK || bytes.size == 0)
        return;
    NB_FUZZ_ASSERT(nb_wider_text_read("g", bytes, arena, &back, &err) == NB_OK);
    NB_FUZZ_ASSERT(back.n == text->n);
    for (size_t i = 0; i < text->n; i++) {
        NB_FUZZ_ASSERT(strcmp(back.image[i].name, text->image[i].name) == 0);
        NB_FUZZ_ASSERT(back.image[i].n == text->image[i].n);
    }
}

static void select_some(const NbWiderText *text, const uint8_t *data, size_t size, NbArena *arena) {
    NbError err = {0};
    NbIdKey *const key = NB_NEW(arena, NbIdKey, text->n);
    bool *const keep = NB_NEW(arena, bool, text->n);
    if (!key || !keep)
        return;
    for (size_t i = 0; i < text->n; i++)
        key[i] = (NbIdKey){.id = i % 2 ? (int64_t)i : -1, .name = text->image[i].name};
    const NbStatus status =
        nb_ids_select("i", (NbBytes){data, size}, key, text->n, arena, keep, &err);
    NB_FUZZ_ASSERT(status == NB_OK || status == NB_ERR_FORMAT || status == NB_ERR_NOMEM);
    size_t kept = 0;
    for (size_t i = 0; i < text->n; i++)
        kept += keep[i];
    NB_FUZZ_ASSERT(status != NB_OK || kept > 0);
}

/* Large numbers do not fit a row that is as wide as a number may be. */
static bool is_usual(const NbWiderText *text) {
    for (size_t i = 0; i < text->n; i++)
        for (size_t k = 0; k < text->image[i].n; k++)
            for (int c = 0; c < 4; c++)
                if (fabs(text->image[i].face[k].box[c]) > 1e30)
                    return false;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *const cut = size ? memchr(data, 0, size) : NULL;
    const size_t first = cut ? (size_t)(cut - data) : size;
    NbArena arena = {.limit = NB_FUZZ_LIMIT};
    NbError err = {0};
    NbWiderText text;
    const NbStatus status = nb_wider_text_read("f", (NbBytes){data, first}, &arena, &text, &err);
    NB_FUZZ_ASSERT(status == NB_OK || status == NB_ERR_FORMAT || status == NB_ERR_NOMEM);
    if (status == NB_OK && is_usual(&text))
        round_trip(&text, &arena);
    if (status == NB_OK && cut)
        select_some(&text, cut + 1, size - first - 1, &arena);
    nb_arena_release(&arena);
    return 0;
}
