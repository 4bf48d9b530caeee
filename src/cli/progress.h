/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages and progress on stderr: a bar on a terminal, plain lines elsewhere. */
#ifndef NB_CLI_PROGRESS_H
#define NB_CLI_PROGRESS_H

#include "nibble/job.h"

#include <stdbool.h>

typedef struct NbProgressView {
    enum { NB_PROGRESS_OFF, NB_PROGRESS_LINE, NB_PROGRESS_BAR } style;
    bool quiet;
    bool open;    /* a bar stands on the current line */
    double shown; /* clock of the last line */
} NbProgressView;

/* style: "auto", "bar", "line", "off". */
void nb_progress_init(NbProgressView *view, const char *style, bool quiet);
void nb_progress_message(void *user, const char *text);
void nb_progress_show(void *user, const NbJobProgress *p);
void nb_progress_close(NbProgressView *view);

#endif
