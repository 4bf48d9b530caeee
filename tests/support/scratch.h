/* SPDX-License-Identifier: Apache-2.0
 *
 * A folder for the files of one test. */
#ifndef NB_TESTS_SUPPORT_SCRATCH_H
#define NB_TESTS_SUPPORT_SCRATCH_H

#include "base/arena.h"
#include "base/file.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct Scratch {
    NbArena arena;
    char folder[64];
} Scratch;

static inline Scratch scratch_new(void) {
    Scratch s = {.folder = "/tmp/nibble-test-XXXXXX"};
    assert_non_null(mkdtemp(s.folder));
    return s;
}

static inline int scratch_remove(const char *path, const struct stat *info, int kind,
                                 struct FTW *at) {
    (void)info;
    (void)kind;
    (void)at;
    return remove(path);
}

static inline void scratch_free(Scratch *s) {
    nb_arena_release(&s->arena);
    assert_int_equal(nftw(s->folder, scratch_remove, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static inline const char *scratch_path(Scratch *s, const char *below) {
    char *const path = nb_path_join(&s->arena, s->folder, below);
    assert_non_null(path);
    return path;
}

/* Writes a file and the folders above it. */
static inline const char *scratch_file(Scratch *s, const char *below, const void *data,
                                       size_t size) {
    NbError err = {0};
    const char *const path = scratch_path(s, below);
    assert_int_equal(nb_folder_make(nb_path_folder(&s->arena, path), &err), NB_OK);
    assert_int_equal(nb_file_write(path, data, size, &err), NB_OK);
    return path;
}

static inline const char *scratch_text(Scratch *s, const char *below, const char *text) {
    return scratch_file(s, below, text, strlen(text));
}

/* The whole file; a failed read fails the test. */
static inline NbBytes scratch_read(Scratch *s, const char *path) {
    NbError err = {0};
    NbBytes bytes = {0};
    if (nb_file_read(path, 0, &s->arena, &bytes, &err) != NB_OK)
        fail_msg("%s", err.message);
    return bytes;
}

#endif
