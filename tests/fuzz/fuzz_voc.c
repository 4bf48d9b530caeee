/* SPDX-License-Identifier: Apache-2.0
 *
 * PASCAL VOC's XML: what is accepted must survive writing and reading, but for digits beyond the
 * third. */
#include "fuzz.h"

#include "format/voc_xml.h"

#include <math.h>
#include <string.h>

static bool near(double a, double b) { return fabs(a - b) <= 1e-3 + 1e-9 * fabs(a); }

static void round_trip(const NbVocXml *voc, NbArena *arena) {
    NbError err = {0};
    NbVocXml back;
    NbBytes bytes;
    char path[64];
    (void)nb_fuzz_scratch(".xml", path, sizeof path);
    NB_FUZZ_ASSERT(nb_voc_xml_write(path, voc, &err) == NB_OK);
    const NbStatus read = nb_file_read(path, 0, arena, &bytes, &err);
    (void)unlink(path);
    if (read == NB_ERR_NOMEM)
        return;
    NB_FUZZ_ASSERT(read == NB_OK);
    const NbStatus status = nb_voc_xml_read("g", bytes, arena, &back, &err);
    if (status == NB_ERR_NOMEM)
        return;
    NB_FUZZ_ASSERT(status == NB_OK);
    NB_FUZZ_ASSERT(back.n == voc->n && back.width == voc->width && back.height == voc->height);
    NB_FUZZ_ASSERT(strcmp(back.filename, voc->filename) == 0);
    for (size_t i = 0; i < voc->n; i++) {
        NB_FUZZ_ASSERT(strcmp(back.object[i].name, voc->object[i].name) == 0);
        NB_FUZZ_ASSERT(back.object[i].difficult == voc->object[i].difficult);
        for (int k = 0; k < 4; k++)
            NB_FUZZ_ASSERT(near(voc->object[i].box[k], back.object[i].box[k]));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    NbArena arena = {.limit = NB_FUZZ_LIMIT};
    NbError err = {0};
    NbVocXml voc;
    const NbStatus status = nb_voc_xml_read("f", (NbBytes){data, size}, &arena, &voc, &err);
    NB_FUZZ_ASSERT(status == NB_OK || status == NB_ERR_FORMAT || status == NB_ERR_NOMEM);
    if (status == NB_OK)
        round_trip(&voc, &arena);
    else
        NB_FUZZ_ASSERT(voc.n == 0 && err.message[0]);
    nb_arena_release(&arena);
    return 0;
}
