/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of torch.save. Every tensor of what is read can be read to its end; models are built.
 * Checksums would hide the pickle from the fuzzer: an input that is no archive is the pickle of
 * one, with a storage "0" of 64 zero bytes. */
#include "fuzz.h"

#include "format/pt.h"
#include "model/import_pt.h"

#include <string.h>
#include <zlib.h>

typedef struct Out {
    unsigned char *data;
    size_t n;
} Out;

static void put(Out *o, const void *bytes, size_t n) {
    if (n)
        memcpy(o->data + o->n, bytes, n);
    o->n += n;
}

static void put_number(Out *o, size_t value, int bytes) {
    for (int i = 0; i < bytes; i++)
        o->data[o->n++] = (unsigned char)(value >> (8 * i));
}

static void put_entry(Out *zip, Out *central, const char *name, NbBytes content) {
    const size_t at = zip->n;
    Out *const both[2] = {zip, central};
    put(zip, "PK\3\4\x14\0", 6);
    put(central, "PK\1\2\x14\0\x14\0", 8);
    for (int k = 0; k < 2; k++) {
        put_number(both[k], 0, 8);
        put_number(both[k], (size_t)crc32_z(0, content.data, content.size), 4);
        put_number(both[k], content.size, 4);
        put_number(both[k], content.size, 4);
        put_number(both[k], strlen(name), 4);
    }
    put_number(central, 0, 8);
    put_number(central, 0, 2);
    put_number(central, at, 4);
    put(central, name, strlen(name));
    put(zip, name, strlen(name));
    put(zip, content.data, content.size);
}

/* An archive with this pickle; to be freed. */
static NbBytes wrapped(NbBytes pickle) {
    static const unsigned char zeros[64] = {0};
    unsigned char more[512];
    Out zip = {malloc(pickle.size + 1024), 0};
    Out central = {more, 0};
    NB_FUZZ_ASSERT(zip.data);
    put_entry(&zip, &central, "a/data.pkl", pickle);
    put_entry(&zip, &central, "a/data/0", (NbBytes){zeros, sizeof zeros});
    const size_t at = zip.n;
    put(&zip, central.data, central.n);
    put(&zip, "PK\5\6\0\0\0\0\2\0\2\0", 12);
    put_number(&zip, central.n, 4);
    put_number(&zip, at, 4);
    put_number(&zip, 0, 2);
    return (NbBytes){zip.data, zip.n};
}

static unsigned touch(const NbTensor *t) {
    const size_t bytes = nb_tensor_count(t) * nb_dtype_size(t->dtype);
    unsigned sum = 0;
    for (size_t i = 0; i < bytes; i++)
        sum += ((const unsigned char *)t->data)[i];
    return sum;
}

static void read_state(NbBytes bytes) {
    NbArena arena = {.limit = NB_FUZZ_LIMIT};
    NbError err = {0};
    NbPt pt = {0};
    if (nb_pt_read("f", bytes, &arena, &pt, &err) != NB_OK) {
        NB_FUZZ_ASSERT(strncmp(err.message, "f: ", 3) == 0);
        nb_arena_release(&arena);
        return;
    }
    volatile unsigned sum = 0;
    NB_FUZZ_ASSERT(pt.model && pt.root);
    for (size_t i = 0; i < pt.state.n_tensors; i++) {
        const NbTensor *const t = &pt.state.tensor[i].tensor;
        NB_FUZZ_ASSERT((uintptr_t)t->data % nb_dtype_size(t->dtype) == 0);
        sum += touch(t);
    }
    (void)sum;
    nb_arena_release(&arena);
}

static void build_model(NbBytes bytes) {
    NbArena arena = {.limit = NB_FUZZ_LIMIT};
    NbError err = {0};
    NbModel m;
    NbLoadReport report;
    const NbModelOptions o = {.memory_limit = NB_FUZZ_LIMIT};
    if (nb_model_from_pt("f", bytes, &o, &arena, &report, &m, &err) == NB_OK) {
        NB_FUZZ_ASSERT(m.graph.n_nodes > 0 && m.head.levels > 0 && report.loaded > 0);
        nb_model_release(&m);
    } else {
        NB_FUZZ_ASSERT(!m.graph.node && strncmp(err.message, "f: ", 3) == 0);
    }
    nb_arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const bool archive = size >= 2 && memcmp(data, "PK", 2) == 0;
    const NbBytes given = {data, size};
    const NbBytes bytes = archive ? given : wrapped(given);
    read_state(bytes);
    build_model(bytes);
    if (!archive)
        free((void *)(uintptr_t)bytes.data);
    return 0;
}
