/* SPDX-License-Identifier: Apache-2.0
 *
 * A name for a file that a test writes: in the folder for temporary files, of this process. */
#ifndef NB_TESTS_FORMAT_SCRATCH_H
#define NB_TESTS_FORMAT_SCRATCH_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Lives until the next call. */
static inline char *nb_scratch(const char *name) {
    static char path[512];
    const char *const folder = getenv("TMPDIR");
    (void)snprintf(path, sizeof path, "%s/nb_%d_%s", folder && folder[0] ? folder : "/tmp",
                   (int)getpid(), name);
    return path;
}

#endif
