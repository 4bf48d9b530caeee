/* SPDX-License-Identifier: Apache-2.0
 *
 * A random split that equals the source's, which draws with Python's generator: MT19937 seeded by
 * init_by_array. Sources: Matsumoto and Nishimura 1998; CPython's random.choices. */
#include "base/file.h"
#include "base/text.h"
#include "data/tools.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

enum { STATE = 624, MIDDLE = 397, FILES_MAX = 50 * 1000 * 1000 };

typedef struct Twister {
    uint32_t state[STATE];
    int at;
} Twister;

static void seed_array(Twister *t, const uint32_t *key, int n) {
    uint32_t *const s = t->state;
    s[0] = 19650218U;
    for (uint32_t i = 1; i < STATE; i++)
        s[i] = 1812433253U * (s[i - 1] ^ (s[i - 1] >> 30)) + i;
    int i = 1;
    for (int k = 0; k < STATE; k++) { /* STATE exceeds n */
        const uint32_t j = (uint32_t)(k % n);
        s[i] = (s[i] ^ ((s[i - 1] ^ (s[i - 1] >> 30)) * 1664525U)) + key[j] + j;
        if (++i == STATE) {
            s[0] = s[STATE - 1];
            i = 1;
        }
    }
    for (int k = 0; k < STATE - 1; k++) {
        s[i] = (s[i] ^ ((s[i - 1] ^ (s[i - 1] >> 30)) * 1566083941U)) - (uint32_t)i;
        if (++i == STATE) {
            s[0] = s[STATE - 1];
            i = 1;
        }
    }
    s[0] = 0x80000000U;
    t->at = STATE;
}

static uint32_t next_u32(Twister *t) {
    uint32_t *const s = t->state;
    if (t->at == STATE) {
        for (int i = 0; i < STATE; i++) {
            const uint32_t y = (s[i] & 0x80000000U) | (s[(i + 1) % STATE] & 0x7fffffffU);
            s[i] = s[(i + MIDDLE) % STATE] ^ (y >> 1) ^ (y & 1U ? 0x9908b0dfU : 0U);
        }
        t->at = 0;
    }
    uint32_t y = s[t->at++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680U;
    y ^= (y << 15) & 0xefc60000U;
    return y ^ (y >> 18);
}

static double next_unit(Twister *t) {
    const uint32_t a = next_u32(t) >> 5;
    const uint32_t b = next_u32(t) >> 6;
    return (a * 67108864.0 + b) * (1.0 / 9007199254740992.0);
}

/* Which part a draw falls into: the first whose cumulated weight is above it. */
static int choose(double draw, const double cumulated[3]) {
    int part = 0;
    while (part < 2 && cumulated[part] <= draw)
        part++;
    return part;
}

typedef struct Lists {
    NbText text[3];
    int count[3];
} Lists;

static NbStatus divide(const char *folder, const NbSplitOptions *o, NbArena *arena, Lists *lists,
                       NbError *err) {
    char **file;
    size_t n;
    NB_TRY(nb_folder_list(folder, true, FILES_MAX, arena, &file, &n, err));
    const uint32_t key[2] = {(uint32_t)o->seed, (uint32_t)(o->seed >> 32)};
    Twister twister;
    seed_array(&twister, key, key[1] ? 2 : 1);
    const double cumulated[3] = {o->weight[0], o->weight[0] + o->weight[1],
                                 o->weight[0] + o->weight[1] + o->weight[2]};
    const char *const name = nb_path_name(folder);
    const size_t skip = strlen(folder) + 1;
    for (size_t i = 0; i < n; i++) {
        if (!nb_is_picture_name(file[i]))
            continue;
        /* a picture that is left out takes its draw with it, as in the source */
        const int part = choose(next_unit(&twister) * cumulated[2], cumulated);
        if (o->annotated_only) {
            char *const labels = nb_label_path(arena, file[i]);
            if (!labels)
                return nb_fail_memory(err, folder);
            if (!nb_path_exists(labels))
                continue;
        }
        nb_text_printf(&lists->text[part], "./%s/%s\n", name, file[i] + skip);
        lists->count[part]++;
    }
    return NB_OK;
}

static NbStatus write_lists(const char *folder, NbArena *arena, const Lists *lists, NbError *err) {
    char *const parent = nb_path_folder(arena, folder);
    if (!parent)
        return nb_fail_memory(err, folder);
    for (int k = 0; k < 3; k++) {
        char *const path =
            nb_arena_printf(arena, "%s/autosplit_%s.txt", parent, nb_split_name((NbSplit)k));
        if (!path || lists->text[k].failed)
            return nb_fail_memory(err, folder);
        if (lists->count[k])
            NB_TRY(nb_file_write(path, lists->text[k].data, lists->text[k].size, err));
        else if (unlink(path) != 0 && errno != ENOENT)
            return nb_fail(NB_ERR_IO, err, "%s: cannot remove: %s", path, strerror(errno));
    }
    return NB_OK;
}

static NbStatus split(const char *folder, const NbSplitOptions *o, NbArena *arena, Lists *lists,
                      NbError *err) {
    size_t n = strlen(folder); /* "images/" is "images" */
    while (n > 1 && folder[n - 1] == '/')
        n--;
    char *const plain = nb_arena_string_n(arena, folder, n);
    if (!plain)
        return nb_fail_memory(err, folder);
    NB_TRY(divide(plain, o, arena, lists, err));
    if (lists->count[0] + lists->count[1] + lists->count[2] == 0)
        return nb_fail(NB_ERR_FORMAT, err, "%s: no picture%s", folder,
                       o->annotated_only ? " with labels" : "");
    return write_lists(plain, arena, lists, err);
}

NbStatus nb_data_split(const char *folder, const NbSplitOptions *o, int count[3], NbError *err) {
    double sum = 0.0;
    for (int k = 0; k < 3; k++) {
        if (!(o->weight[k] >= 0.0 && o->weight[k] <= 1e9))
            return nb_fail(NB_ERR_ARGUMENT, err, "weight of %s is %g, expected 0 or more",
                           nb_split_name((NbSplit)k), o->weight[k]);
        sum += o->weight[k];
    }
    if (sum <= 0.0)
        return nb_fail(NB_ERR_ARGUMENT, err, "all three weights are 0");
    NbArena arena = {0};
    Lists lists = {0};
    const NbStatus status = split(folder, o, &arena, &lists, err);
    for (int k = 0; k < 3; k++) {
        count[k] = lists.count[k];
        nb_text_release(&lists.text[k]);
    }
    nb_arena_release(&arena);
    return status;
}
