/* SPDX-License-Identifier: Apache-2.0 */
#include "model/zoo.h"

#include "base/file.h"
#include "base/text.h"
#include "model/model.h"
#include "model/scale.h"

#include <string.h>

static const NbZooFile *exactly(const char *name) {
    int count = 0;
    const NbZooFile *zoo = nb_zoo(&count);
    const size_t n = strlen(name);
    for (int i = 0; i < count; i++)
        if (strcmp(zoo[i].name, name) == 0 ||
            (strncmp(zoo[i].name, name, n) == 0 && strcmp(zoo[i].name + n, ".yaml") == 0))
            return &zoo[i];
    return NULL;
}

const NbZooFile *nb_zoo_find(const char *name) {
    NbArena scratch = {0};
    const NbZooFile *found = exactly(name);
    for (int dashed = 0; !found && dashed < 2; dashed++) {
        const char *const family = nb_scale_family(name, dashed, &scratch);
        found = family ? exactly(family) : NULL;
    }
    nb_arena_release(&scratch);
    return found;
}

const char *nb_zoo_scales(const NbZooFile *file, NbArena *arena) {
    NbError ignored = {0};
    const NbYaml *root = NULL;
    const NbBytes bytes = {(const unsigned char *)file->text, file->size};
    if (nb_scale_letter(file->name))
        return nb_arena_string(arena, "");
    if (nb_yaml_parse(file->name, bytes, arena, &root, &ignored) != NB_OK)
        return NULL;
    const NbYaml *const scales = nb_yaml_get(root, "scales");
    const int n = scales && scales->kind == NB_YAML_MAP ? scales->count : 0;
    char *const letters = NB_NEW(arena, char, (size_t)n + 1);
    for (int i = 0; letters && i < n; i++)
        letters[i] = *scales->key[i]->text;
    return letters;
}

static NB_FALLIBLE no_such_file(const char *path, NbError *err) {
    enum { MOST = 64 };
    const char *names[MOST];
    char near[160] = "";
    int count = 0;
    const NbZooFile *zoo = nb_zoo(&count);
    for (int i = 0; i < count && i < MOST; i++)
        names[i] = zoo[i].name;
    nb_nearest_names(path, names, (size_t)(count < MOST ? count : MOST), near, sizeof near);
    return nb_fail(NB_ERR_FORMAT, err, "%s: no such file, and no built-in model of this name%s%s%s",
                   path, *near ? "; did you mean " : "", near, *near ? "?" : "");
}

static NB_FALLIBLE from_zoo(const char *path, NbBytes *out, NbError *err) {
    const NbZooFile *file = nb_zoo_find(path);
    if (!file)
        return no_such_file(path, err);
    *out = (NbBytes){(const unsigned char *)file->text, file->size};
    return NB_OK;
}

NbStatus nb_model_from_yaml_file(const char *path, const NbModelOptions *options, NbModel *out,
                                 NbError *err) {
    *out = (NbModel){0};
    NbArena scratch = {0};
    NbBytes bytes = {0};
    const char *file = nb_path_exists(path) ? path : NULL;
    for (int dashed = 0; !file && dashed < 2; dashed++) {
        const char *const family = nb_scale_family(path, dashed, &scratch);
        file = family && nb_path_exists(family) ? family : NULL;
    }
    NbStatus status =
        file ? nb_file_read(file, 1 << 20, &scratch, &bytes, err) : from_zoo(path, &bytes, err);
    if (status == NB_OK) /* the name as it was given: its letter picks the scale */
        status = nb_model_from_yaml(path, (const char *)bytes.data, bytes.size, options, out, err);
    nb_arena_release(&scratch);
    return status;
}
