/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NB_API_RUN_REPORT_H
#define NB_API_RUN_REPORT_H

#include "base/status.h"
#include "eval/score.h"

#include <stdbool.h>

typedef struct NbRunReport {
    const char *folder;
    const char *title, *subtitle;
    bool checked, passed;      /* a verdict was asked for, and what it is */
    const char *verdict;       /* one sentence */
    const char *const *engine; /* [engines]: "float", "sim", "int" */
    const NbYoloScore *score;  /* [engines] */
    int engines;
    char *const *names; /* of classes */
} NbRunReport;

/* report.html in the run folder, with the pictures that lie there. */
NB_FALLIBLE nb_write_run_report(const NbRunReport *report, NbError *err);

#endif
