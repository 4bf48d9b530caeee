/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NB_CLI_HELP_H
#define NB_CLI_HELP_H

#include <stdbool.h>

/* All verbs. */
void nb_help_print(void);

/* One verb and its keys; false when there is no such verb. */
bool nb_help_print_verb(const char *verb);

#endif
