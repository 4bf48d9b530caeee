/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/help.h"

#include "base/text.h"
#include "nibble/job.h"

#include <stdio.h>
#include <string.h>

void nb_help_print(void) {
    printf("nibble %s: YOLO detectors at 1 to 8 bits, from description to integers\n\n"
           "usage: nibble VERB [key=value | --key value]...\n\n",
           nb_version());
    const NbVerbInfo *verb;
    for (size_t i = 0; (verb = nb_verb_get(i)); i++)
        printf("  %-10s %s\n", verb->name, verb->help);
    printf("\n'nibble VERB --help' lists the keys of a verb. Exit: 0 done, 1 failed, 2 misused,\n"
           "3 bad input, 4 not in this build, 5 a check fell short, 130 interrupted.\n");
}

static void print_option(const NbOptionInfo *o) {
    printf("  %-16s %s", o->name, o->help);
    if (*o->standard)
        printf(" [%s]", o->standard);
    if (*o->aliases)
        printf(" (also %s)", o->aliases);
    printf("\n");
}

bool nb_help_print_verb(const char *verb) {
    const NbOptionInfo *options;
    const size_t n_options = nb_option_list(&options);
    const NbVerbInfo *info;
    for (size_t i = 0; (info = nb_verb_get(i)); i++) {
        if (strcmp(info->name, verb) != 0 && !nb_has_word(info->aliases, verb))
            continue;
        printf("nibble %s: %s\n\nexample: %s\n\n", info->name, info->help, info->example);
        for (size_t k = 0; k < n_options; k++)
            if (nb_has_word(info->keys, options[k].name))
                print_option(&options[k]);
        return true;
    }
    return false;
}
