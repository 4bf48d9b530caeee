/* SPDX-License-Identifier: Apache-2.0 */
#include "model/zoo.h"

#include "base/file.h"
#include "base/text.h"
#include "model/model.h"

#include <string.h>

const NbZooFile *nb_zoo_find(const char *name) {
    int count = 0;
    const NbZooFile *zoo = nb_zoo(&count);
    const size_t n = strlen(name);
    for (int i = 0; i < count; i++)
        if (strcmp(zoo[i].name, name) == 0 ||
            (strncmp(zoo[i].name, name, n) == 0 && strcmp(zoo[i].name + n, ".yaml") == 0))
            return &zoo[i];
    return NULL;
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

NbStatus nb_model_from_yaml_file(const char *path, const NbModelOptions *options, NbModel *out,
                                 NbError *err) {
    *out = (NbModel){0};
    if (!nb_path_exists(path)) {
        const NbZooFile *file = nb_zoo_find(path);
        if (!file)
            return no_such_file(path, err);
        return nb_model_from_yaml(file->name, file->text, file->size, options, out, err);
    }
    NbArena scratch = {0};
    NbBytes bytes = {0};
    NbStatus status = nb_file_read(path, 1 << 20, &scratch, &bytes, err);
    if (status == NB_OK)
        status = nb_model_from_yaml(path, (const char *)bytes.data, bytes.size, options, out, err);
    nb_arena_release(&scratch);
    return status;
}
