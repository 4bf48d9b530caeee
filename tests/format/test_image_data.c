/* SPDX-License-Identifier: Apache-2.0
 *
 * Every picture of the reference data can be read and is as large as its header says. */
#include "format/image.h"
#include "support/vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

static bool is_picture(const char *path) {
    const char *const suffix = nb_path_suffix(path);
    return strcasecmp(suffix, ".jpg") == 0 || strcasecmp(suffix, ".jpeg") == 0 ||
           strcasecmp(suffix, ".png") == 0;
}

static void check(const char *path, int *truncated) {
    NbArena arena = {0};
    NbError err = {0};
    NbBytes bytes = {0};
    NbImage image = {0};
    NbImageInfo info = {0};
    if (nb_file_map(path, &bytes, &err) != NB_OK ||
        nb_image_info(path, bytes, &info, &err) != NB_OK ||
        nb_image_decode(path, bytes, &arena, &image, &err) != NB_OK)
        fail_msg("%s", err.message);
    *truncated += info.truncated_jpeg;
    if (image.width != info.width || image.height != info.height)
        fail_msg("%s: %d x %d pixels, header says %d x %d", path, image.width, image.height,
                 info.width, info.height);
    nb_file_unmap(bytes);
    nb_arena_release(&arena);
}

static void every_picture_can_be_read(void **state) {
    (void)state;
    NbArena arena = {0};
    NbError err = {0};
    char **path = NULL;
    size_t n = 0;
    int pictures = 0;
    int truncated = 0;
    const char *const folder = nb_arena_string(&arena, nb_test_data(""));
    assert_int_equal(nb_folder_list(folder, true, 1000000, &arena, &path, &n, &err), NB_OK);
    for (size_t i = 0; i < n; i++)
        if (is_picture(path[i])) {
            check(path[i], &truncated);
            pictures++;
        }
    print_message("%d pictures, %d of them truncated JPEGs\n", pictures, truncated);
    assert_true(pictures > 0);
    nb_arena_release(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_picture_can_be_read)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
