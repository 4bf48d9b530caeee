/* SPDX-License-Identifier: Apache-2.0 */
#include "model/scale.h"

#include "base/file.h"

#include <ctype.h>
#include <string.h>

/* Behind the number of "yolov8..."; NULL: no such name. */
static const char *behind_number(const char *path) {
    const char *at = strstr(nb_path_name(path), "yolo");
    if (!at)
        return NULL;
    at += 4;
    at += *at == 'v';
    if (!isdigit((unsigned char)*at))
        return NULL;
    while (isdigit((unsigned char)*at))
        at++;
    return at;
}

size_t nb_scale_letter(const char *path) {
    const char *const at = behind_number(path);
    if (!at || !*at || !strchr("nsmblx", *at) || isalpha((unsigned char)at[1]))
        return 0;
    return (size_t)(at - path);
}

const char *nb_scale_member(const char *path, char letter, NbArena *arena) {
    const char *const at = behind_number(path);
    if (!at || nb_scale_letter(path))
        return NULL;
    return nb_arena_printf(arena, "%.*s%c%s", (int)(at - path), path, letter, at);
}

const char *nb_scale_family(const char *path, bool dashed, NbArena *arena) {
    const size_t at = nb_scale_letter(path);
    if (!at || (dashed && !isdigit((unsigned char)path[at + 1])))
        return NULL;
    return nb_arena_printf(arena, "%.*s%s%s", (int)at, path, dashed ? "-p" : "", path + at + 1);
}

static NB_FALLIBLE pick(const char *path, const NbYaml *root, const NbYaml *scales,
                        const NbYaml **out, NbError *err) {
    const NbYaml *const named = nb_yaml_get(root, "scale");
    const size_t at = nb_scale_letter(path);
    char letter[2] = {at ? path[at] : '\0', '\0'};
    const char *const wanted =
        named && named->kind == NB_YAML_SCALAR && *named->text ? named->text : letter;
    *out = *wanted ? nb_yaml_get(scales, wanted) : scales->item[0];
    if (*out)
        return NB_OK;
    return nb_yaml_fail(NB_ERR_FORMAT, err, path, scales, "no scale '%.20s', the first is '%.20s'",
                        wanted, scales->key[0]->text);
}

NbStatus nb_scale_read(const char *path, const NbYaml *root, double *depth, double *width,
                       double *most, NbError *err) {
    double *const to[3] = {depth, width, most};
    const NbYaml *line = NULL;
    const NbYaml *const scales = nb_yaml_get(root, "scales");
    if (scales->kind != NB_YAML_MAP || scales->count < 1)
        return nb_yaml_fail(NB_ERR_FORMAT, err, path, scales,
                            "scales: a map from letters to [depth, width, most channels] expected");
    NB_TRY(pick(path, root, scales, &line, err));
    if (line->kind != NB_YAML_LIST || line->count < 2 || line->count > 3)
        return nb_yaml_fail(NB_ERR_FORMAT, err, path, line,
                            "[depth, width, most channels] expected");
    for (int i = 0; i < line->count; i++) {
        NB_TRY(nb_yaml_double(path, line->item[i], to[i], err));
        const double limit = i < 2 ? 100.0 : 65536.0;
        if (!(*to[i] > 0.0 && *to[i] <= limit))
            return nb_yaml_fail(NB_ERR_FORMAT, err, path, line->item[i],
                                "%g, above 0 and at most %g expected", *to[i], limit);
    }
    return NB_OK;
}
