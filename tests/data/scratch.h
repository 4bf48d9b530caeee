/* SPDX-License-Identifier: Apache-2.0
 *
 * A folder for the files of one test. */
#ifndef NB_TESTS_DATA_SCRATCH_H
#define NB_TESTS_DATA_SCRATCH_H

#include "base/arena.h"
#include "base/file.h"
#include "format/image.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* A picture in one colour that depends on `shade`. */
static inline const char *scratch_picture(Scratch *s, const char *below, int width, int height,
                                          int shade) {
    NbError err = {0};
    const char *const path = scratch_path(s, below);
    assert_int_equal(nb_folder_make(nb_path_folder(&s->arena, path), &err), NB_OK);
    const size_t n = (size_t)width * (size_t)height * 3;
    NbImage image = {width, height, NB_NEW(&s->arena, uint8_t, n)};
    assert_non_null(image.rgb);
    for (size_t i = 0; i < n; i++)
        image.rgb[i] = (uint8_t)(shade + (int)(i % 3) * 20 + (int)(i % 7));
    assert_int_equal(nb_image_write(path, &image, 95, &err), NB_OK);
    return path;
}

#endif
