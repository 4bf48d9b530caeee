/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line: VERB [key=value | --key value | --key=value | --flag]... */
#ifndef NB_CLI_ARGS_H
#define NB_CLI_ARGS_H

#include "base/status.h"
#include "nibble/job.h"

#include <stdbool.h>

/* The verb: the first word that is no task word ("detect" in front of a verb is ignored, as users
 * of Ultralytics type it). NULL: there is none. *at: index behind it. */
const char *nb_args_verb(int argc, char **argv, int *at);

/* Sets everything from argv[at] on. *help: --help was asked for. */
NB_FALLIBLE nb_args_apply(NbJob *job, const char *verb, int argc, char **argv, int at, bool *help,
                          NbError *err);

#endif
