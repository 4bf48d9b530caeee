/* SPDX-License-Identifier: Apache-2.0
 *
 * A folder for the files of one test program, and what the tests of this folder ask of files. */
#ifndef NB_TESTS_REPORT_SCRATCH_H
#define NB_TESTS_REPORT_SCRATCH_H

#include "base/file.h"

#include <stdbool.h>

/* The folder's path with name behind it, in one of 64 static buffers. The folder is made at the
 * first call and stays when NB_TEST_KEEP is set. */
const char *scratch(const char *name);

/* cmocka's group teardown: removes the folder. */
int scratch_remove(void **state);

/* The file's bytes in the arena; a failed read fails the test. */
NbBytes scratch_read(NbArena *arena, const char *path);

bool scratch_same(const char *a, const char *b);

void scratch_write(const char *path, const char *text);

#endif
