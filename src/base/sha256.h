/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256 (FIPS 180-4), to say which file something was made from. */
#ifndef NB_BASE_SHA256_H
#define NB_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

typedef struct NbSha256 {
    uint32_t state[8];
    uint64_t bytes;
    unsigned char block[64];
} NbSha256;

void nb_sha256_init(NbSha256 *s);
void nb_sha256_put(NbSha256 *s, const void *data, size_t size);
/* The digest in hexadecimal, as sha256sum prints it; `s` is of no use afterwards. */
void nb_sha256_text(NbSha256 *s, char out[65]);

#endif
