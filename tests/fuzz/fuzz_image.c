/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "format/image.h"

#include <string.h>

enum { SMALL = 4096 }; /* pixels: these are written and read again */

static void round_trip(const NbImage *image, NbArena *arena) {
    char path[64];
    NbError err = {0};
    NbImage again = {0};
    (void)nb_fuzz_scratch(".png", path, sizeof path);
    NB_FUZZ_ASSERT(nb_image_write(path, image, 90, &err) == NB_OK);
    NB_FUZZ_ASSERT(nb_image_read(path, arena, &again, &err) == NB_OK);
    (void)unlink(path);
    NB_FUZZ_ASSERT(again.width == image->width && again.height == image->height);
    const size_t bytes = 3 * (size_t)image->width * (size_t)image->height;
    NB_FUZZ_ASSERT(memcmp(again.rgb, image->rgb, bytes) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    NbArena arena = {.limit = 4 << 20}; /* large pictures only cost time */
    NbError err = {0};
    NbImageInfo info = {0};
    NbImage image = {0};
    const NbBytes bytes = {data, size};
    const NbStatus known = nb_image_info("f", bytes, &info, &err);
    const NbStatus status = nb_image_decode("f", bytes, &arena, &image, &err);
    if (status == NB_OK) {
        NB_FUZZ_ASSERT(known == NB_OK && info.width == image.width && info.height == image.height);
        NB_FUZZ_ASSERT(info.orientation >= 1 && info.orientation <= 8);
        if (image.width * image.height <= SMALL)
            round_trip(&image, &arena);
    } else {
        NB_FUZZ_ASSERT(!image.rgb && strncmp(err.message, "f: ", 3) == 0);
    }
    nb_arena_release(&arena);
    return 0;
}
