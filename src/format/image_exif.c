/* SPDX-License-Identifier: Apache-2.0 */
#include "format/image_codec.h"

#include <string.h>

enum { ENTRY = 12, TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, TYPE_LONG = 4 };

/* n bytes (2 or 4) at `at`, which the caller has checked. */
static uint32_t number(const unsigned char *at, int n, bool big_endian) {
    uint32_t value = 0;
    for (int i = 0; i < n; i++)
        value = value << 8 | at[big_endian ? i : n - 1 - i];
    return value;
}

int nb_exif_orientation(NbBytes tiff) {
    const unsigned char *const p = tiff.data;
    if (tiff.size < 8 || (memcmp(p, "II\x2a\0", 4) != 0 && memcmp(p, "MM\0\x2a", 4) != 0))
        return 1;
    const bool big = p[0] == 'M';
    const size_t directory = number(p + 4, 4, big);
    if (directory > tiff.size || tiff.size - directory < 2)
        return 1;
    const size_t entries = number(p + directory, 2, big);
    for (size_t i = 0; i < entries; i++) {
        const size_t at = directory + 2 + i * ENTRY;
        if (at > tiff.size || tiff.size - at < ENTRY)
            return 1;
        if (number(p + at, 2, big) != TAG_ORIENTATION)
            continue;
        const uint32_t type = number(p + at + 2, 2, big);
        if (type != TYPE_SHORT && type != TYPE_LONG)
            return 1;
        const uint32_t value = number(p + at + 8, type == TYPE_SHORT ? 2 : 4, big);
        return value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}
