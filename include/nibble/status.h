/* SPDX-License-Identifier: Apache-2.0
 *
 * What a function of nibble answers: a status to act on and one sentence to read. */
#ifndef NIBBLE_STATUS_H
#define NIBBLE_STATUS_H

/* What the shared library exports. */
#if defined(__GNUC__)
#define NB_API __attribute__((visibility("default")))
#else
#define NB_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum NbStatus {
    NB_OK = 0,
    NB_ERR_NOMEM,       /* an allocation failed, a size overflowed or a memory limit was reached */
    NB_ERR_IO,          /* the operating system refused; the message carries its text */
    NB_ERR_FORMAT,      /* input is missing or breaks its format */
    NB_ERR_UNSUPPORTED, /* valid input, outside the subset that is implemented or built */
    NB_ERR_ARGUMENT,    /* the caller passed something that is documented as not allowed */
    NB_ERR_CHECK,       /* everything ran, but a check that was asked for fell short */
    NB_ERR_STOPPED,     /* the caller asked to stop; what was done so far is saved */
} NbStatus;

/* Filled by every function that can fail, only when it does. Zero-initialise; may be reused. */
typedef struct NbError {
    char message[512]; /* lower case, no full stop; names file, place, found and expected */
} NbError;

/* Of the library: "0.1.0". */
NB_API const char *nb_version(void);

#ifdef __cplusplus
}
#endif
#endif
