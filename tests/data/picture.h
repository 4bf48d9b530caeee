/* SPDX-License-Identifier: Apache-2.0
 *
 * Picture files for tests of data sets. */
#ifndef NB_TESTS_DATA_PICTURE_H
#define NB_TESTS_DATA_PICTURE_H

#include "format/image.h"
#include "support/scratch.h"

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
