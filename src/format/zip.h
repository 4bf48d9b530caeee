/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading ZIP archives in memory: stored entries are views, deflated ones are expanded (zlib);
 * zip64 too. Only the central directory is believed; every offset and size is checked, and each
 * entry's CRC when it is first taken. Encrypted entries and other methods are NB_ERR_UNSUPPORTED.
 * Source: PKWARE APPNOTE.TXT 6.3.10. */
#ifndef NB_FORMAT_ZIP_H
#define NB_FORMAT_ZIP_H

#include "base/arena.h"
#include "base/file.h"
#include "base/status.h"

typedef struct NbZipEntry {
    const char *name;
    uint64_t header; /* place of its local header */
    uint64_t packed; /* bytes in the archive */
    uint64_t size;   /* bytes when expanded */
    uint32_t crc;
    uint16_t flags;
    uint16_t method;
    bool taken; /* `data` is there and its CRC was right */
    NbBytes data;
} NbZipEntry;

typedef struct NbZip {
    NbBytes bytes;
    NbZipEntry *entry; /* sorted by name; the list lives in the arena of the call */
    size_t n;
} NbZip;

NB_FALLIBLE nb_zip_open(NbBytes bytes, NbArena *arena, NbZip *out, NbError *err);

/* NULL when there is none. Names are there once: a second one is an error of nb_zip_open. */
NbZipEntry *nb_zip_find(const NbZip *zip, const char *name);

/* The bytes of an entry; expanded ones lie in the arena. Taking it again costs nothing. */
NB_FALLIBLE nb_zip_take(const NbZip *zip, NbZipEntry *entry, NbArena *arena, NbBytes *out,
                        NbError *err);

#endif
