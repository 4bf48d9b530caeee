/* SPDX-License-Identifier: Apache-2.0
 *
 * Constants for callers. */
#include "nibble/nibble.h"

const char *nb_version(void) { return NIBBLE_VERSION; }

const char *nb_status_text(NbStatus status) {
    switch (status) {
    case NB_OK: return "done";
    case NB_ERR_NOMEM: return "out of memory";
    case NB_ERR_IO: return "the system refused";
    case NB_ERR_FORMAT: return "bad input";
    case NB_ERR_UNSUPPORTED: return "not supported";
    case NB_ERR_ARGUMENT: return "wrong use";
    case NB_ERR_CHECK: return "a check fell short";
    case NB_ERR_STOPPED: return "stopped";
    }
    return "unknown status";
}
