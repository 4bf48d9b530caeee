/* SPDX-License-Identifier: Apache-2.0 */
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/nibble-report-XXXXXX";
static bool made;

const char *scratch(const char *name) {
    static char paths[64][256];
    static int next;
    if (!made) {
        assert_non_null(mkdtemp(folder));
        made = true;
    }
    char *const path = paths[next++ % 64];
    (void)snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

int scratch_remove(void **state) {
    (void)state;
    if (!made)
        return 0;
    if (getenv("NB_TEST_KEEP")) {
        (void)fprintf(stderr, "kept %s\n", folder);
        return 0;
    }
    NbArena arena = {0};
    NbError err = {0};
    char **files = NULL;
    size_t n = 0;
    if (nb_folder_list(folder, true, 1000, &arena, &files, &n, &err) == NB_OK)
        for (size_t i = 0; i < n; i++)
            (void)unlink(files[i]);
    nb_arena_release(&arena);
    (void)rmdir(folder);
    return 0;
}

NbBytes scratch_read(NbArena *arena, const char *path) {
    NbError err = {0};
    NbBytes bytes = {0};
    if (nb_file_read(path, 0, arena, &bytes, &err) != NB_OK)
        fail_msg("%s", err.message);
    return bytes;
}

bool scratch_same(const char *a, const char *b) {
    NbArena arena = {0};
    const NbBytes x = scratch_read(&arena, a);
    const NbBytes y = scratch_read(&arena, b);
    const bool same = x.size == y.size && memcmp(x.data, y.data, x.size) == 0;
    nb_arena_release(&arena);
    return same;
}

void scratch_write(const char *path, const char *text) {
    NbError err = {0};
    if (nb_file_write(path, text, strlen(text), &err) != NB_OK)
        fail_msg("%s", err.message);
}
