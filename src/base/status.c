/* SPDX-License-Identifier: Apache-2.0 */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void nb_note(NbError *err, const char *format, ...) {
    if (!err)
        return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
}

NbStatus nb_fail_in(NbStatus status, NbError *err, const char *format, ...) {
    if (!err)
        return status;
    char context[sizeof err->message];
    va_list args;
    va_start(args, format);
    const int wrote = vsnprintf(context, sizeof context, format, args);
    va_end(args);
    if (wrote < 0 || (size_t)wrote + 2 >= sizeof context)
        return status;
    const size_t head = (size_t)wrote + 2;
    size_t tail = strlen(err->message);
    if (tail > sizeof err->message - 1 - head)
        tail = sizeof err->message - 1 - head;
    memmove(err->message + head, err->message, tail);
    err->message[head + tail] = '\0';
    memcpy(err->message, context, head - 2);
    memcpy(err->message + head - 2, ": ", 2);
    return status;
}
