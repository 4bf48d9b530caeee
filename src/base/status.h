/* SPDX-License-Identifier: Apache-2.0
 *
 * Failing in one line and passing failures on in one line. The sentence lives in the caller's
 * NbError; nothing is allocated. */
#ifndef NB_BASE_STATUS_H
#define NB_BASE_STATUS_H

#include "nibble/status.h"

/* Result of a fallible function: ignoring it is a compile error, also through a pointer. */
#define NB_FALLIBLE __attribute__((warn_unused_result)) NbStatus

/* Leaves the function with the status of `call` when it failed. */
#define NB_TRY(call)                                                                               \
    do {                                                                                           \
        const NbStatus nb_try_ = (call);                                                           \
        if (nb_try_ != NB_OK)                                                                      \
            return nb_try_;                                                                        \
    } while (0)

/* The same, and puts "context: " in front of the sentence: NB_TRY_IN(f(&e), e, "node %d", i). */
#define NB_TRY_IN(call, err, ...)                                                                  \
    do {                                                                                           \
        const NbStatus nb_try_ = (call);                                                           \
        if (nb_try_ != NB_OK)                                                                      \
            return nb_fail_in(nb_try_, (err), __VA_ARGS__);                                        \
    } while (0)

/* Writes the sentence, truncated to fit. `err` may be NULL. */
void nb_note(NbError *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* nb_fail(status, err, "format", ...): writes the sentence and is `status`. A macro, so that
 * compilers and analysers see which status comes back and that it is not NB_OK. */
/* NOLINTNEXTLINE(readability-identifier-naming): used as a function */
#define nb_fail(status, err, ...) (nb_note((err), __VA_ARGS__), (status))

/* Puts the formatted context and ": " in front of what `err` says and returns `status`. */
NbStatus nb_fail_in(NbStatus status, NbError *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "out of memory", with the place that asked for it. */
static inline NbStatus nb_fail_memory(NbError *err, const char *what) {
    return nb_fail(NB_ERR_NOMEM, err, "out of memory for %s", what);
}

#endif
