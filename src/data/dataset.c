/* SPDX-License-Identifier: Apache-2.0
 *
 * The YAML of a data set. */
#include "data/dataset.h"

#include "base/file.h"
#include "data/dataset_coco.h"
#include "format/yaml.h"

#include <stdint.h>
#include <string.h>

enum { YAML_MAX = 1 << 20, CLASSES_MAX = 100000 };

static const char *const split_key[3] = {"train", "val", "test"};

const char *nb_split_name(NbSplit split) { return split_key[split]; }

typedef struct Reader {
    const char *path;
    const NbYaml *top;
    NbArena *arena;
    NbDataset *out;
    NbError *err;
} Reader;

static NbStatus scalar(Reader *r, const NbYaml *y, const char *what, char **out) {
    if (y->kind != NB_YAML_SCALAR)
        return nb_fail(NB_ERR_FORMAT, r->err, "%s:%d:%d: %s: expected one value, found a %s",
                       r->path, y->line, y->column, what, y->kind == NB_YAML_LIST ? "list" : "map");
    *out = nb_arena_string(r->arena, y->text);
    return *out ? NB_OK : nb_fail_memory(r->err, r->path);
}

static NbStatus read_split(Reader *r, int split) {
    const char *const key = split_key[split];
    const NbYaml *y = nb_yaml_get(r->top, key);
    if (!y && split == NB_SPLIT_VAL)
        y = nb_yaml_get(r->top, "validation");
    if (!y || nb_yaml_is_null(y))
        return NB_OK;
    const int n = y->kind == NB_YAML_LIST ? y->count : 1;
    char **const path = NB_NEW(r->arena, char *, (size_t)n);
    if (!path)
        return nb_fail_memory(r->err, r->path);
    for (int i = 0; i < n; i++) {
        const NbYaml *const item = y->kind == NB_YAML_LIST ? y->item[i] : y;
        NB_TRY(scalar(r, item, key, &path[i]));
        if (!*path[i])
            return nb_fail(NB_ERR_FORMAT, r->err, "%s:%d:%d: %s: the path is empty", r->path,
                           item->line, item->column, key);
    }
    r->out->paths[split] = path;
    r->out->n_paths[split] = n;
    r->out->split_path[split] = n ? path[0] : NULL;
    return NB_OK;
}

/* The folder of the YAML, or `path` from there, or `path` from the working folder. */
static NbStatus read_root(Reader *r) {
    char *const folder = nb_path_folder(r->arena, r->path);
    if (!folder)
        return nb_fail_memory(r->err, r->path);
    r->out->root = folder;
    const NbYaml *const y = nb_yaml_get(r->top, "path");
    if (!y || nb_yaml_is_null(y))
        return NB_OK;
    char *path = NULL;
    NB_TRY(scalar(r, y, "path", &path));
    if (!path || strcmp(path, ".") == 0 || !*path)
        return NB_OK;
    r->out->root = nb_path_join(r->arena, folder, path);
    if (!r->out->root)
        return nb_fail_memory(r->err, r->path);
    if (!nb_path_is_folder(r->out->root) && nb_path_is_folder(path))
        r->out->root = path;
    return NB_OK;
}

static NbStatus read_count(Reader *r, int *nc) {
    const NbYaml *const y = nb_yaml_get(r->top, "nc");
    *nc = 0;
    if (!y)
        return NB_OK;
    int64_t value;
    NB_TRY(nb_yaml_int(r->path, y, &value, r->err));
    if (value < 1 || value > CLASSES_MAX)
        return nb_fail(NB_ERR_FORMAT, r->err, "%s:%d:%d: nc: expected 1 to %d, found %s", r->path,
                       y->line, y->column, CLASSES_MAX, y->text);
    *nc = (int)value;
    return NB_OK;
}

static NbStatus invent_names(Reader *r) {
    for (int i = 0; i < r->out->nc; i++) {
        r->out->names[i] = nb_arena_printf(r->arena, "class%d", i);
        if (!r->out->names[i])
            return nb_fail_memory(r->err, r->path);
    }
    return NB_OK;
}

static NbStatus name_of_pair(Reader *r, const NbYaml *y, int i) {
    int64_t number;
    NB_TRY_IN(nb_yaml_int(r->path, y->key[i], &number, r->err), r->err, "names");
    if (number < 0 || number >= r->out->nc)
        return nb_fail(NB_ERR_FORMAT, r->err,
                       "%s:%d:%d: names: class %s, expected every number from 0 to %d once",
                       r->path, y->key[i]->line, y->key[i]->column, y->key[i]->text,
                       r->out->nc - 1);
    char **const name = &r->out->names[number];
    if (*name)
        return nb_fail(NB_ERR_FORMAT, r->err, "%s:%d:%d: names: class %d has two names", r->path,
                       y->key[i]->line, y->key[i]->column, (int)number);
    return scalar(r, y->item[i], "names", name);
}

static NbStatus read_names(Reader *r) {
    int nc;
    NB_TRY(read_count(r, &nc));
    const NbYaml *const y = nb_yaml_get(r->top, "names");
    const bool named = y && !nb_yaml_is_null(y);
    if (!named && !nc) { /* a JSON has names of its own */
        for (int i = 0; i < 3; i++)
            if (nb_is_coco_name(r->out->split_path[i]))
                return NB_OK;
        return nb_fail(NB_ERR_FORMAT, r->err, "%s: neither nc nor names: how many classes?",
                       r->path);
    }
    if (named && y->kind == NB_YAML_SCALAR)
        return nb_fail(NB_ERR_FORMAT, r->err, "%s:%d:%d: names: expected a list or a map", r->path,
                       y->line, y->column);
    if (named && nc && y->count != nc)
        return nb_fail(NB_ERR_FORMAT, r->err, "%s:%d:%d: %d names, but nc is %d", r->path, y->line,
                       y->column, y->count, nc);
    if (named && (y->count < 1 || y->count > CLASSES_MAX))
        return nb_fail(NB_ERR_FORMAT, r->err, "%s:%d:%d: %d names, expected 1 to %d", r->path,
                       y->line, y->column, y->count, CLASSES_MAX);
    r->out->nc = named ? y->count : nc;
    r->out->names = NB_NEW(r->arena, char *, (size_t)r->out->nc);
    if (!r->out->names)
        return nb_fail_memory(r->err, r->path);
    if (!named)
        return invent_names(r);
    for (int i = 0; i < y->count; i++) {
        if (y->kind == NB_YAML_LIST)
            NB_TRY(scalar(r, y->item[i], "names", &r->out->names[i]));
        else
            NB_TRY(name_of_pair(r, y, i));
    }
    return NB_OK;
}

/* category_ids: COCO's numbers of the classes, as `nibble data convert` writes them. */
static NbStatus read_category_ids(Reader *r) {
    const NbYaml *const y = nb_yaml_get(r->top, "category_ids");
    if (!y || nb_yaml_is_null(y))
        return NB_OK;
    if (y->kind != NB_YAML_LIST || y->count != r->out->nc)
        return nb_fail(NB_ERR_FORMAT, r->err, "%s:%d:%d: category_ids: expected a list of %d",
                       r->path, y->line, y->column, r->out->nc);
    r->out->category_id = NB_NEW(r->arena, int64_t, (size_t)y->count);
    if (!r->out->category_id)
        return nb_fail_memory(r->err, r->path);
    for (int i = 0; i < y->count; i++)
        NB_TRY_IN(nb_yaml_int(r->path, y->item[i], &r->out->category_id[i], r->err), r->err,
                  "category_ids");
    return NB_OK;
}

NbStatus nb_dataset_parse(const char *path, NbBytes bytes, NbArena *arena, NbDataset *out,
                          NbError *err) {
    *out = (NbDataset){.file = nb_arena_string(arena, path)};
    if (!out->file)
        return nb_fail_memory(err, path);
    Reader r = {.path = out->file, .arena = arena, .out = out, .err = err};
    NB_TRY(nb_yaml_parse(out->file, bytes, arena, &r.top, err));
    if (!r.top || r.top->kind != NB_YAML_MAP)
        return nb_fail(NB_ERR_FORMAT, err, "%s: expected a data set: a map with train, val, names",
                       path);
    NB_TRY(read_root(&r));
    for (int i = 0; i < 3; i++)
        NB_TRY(read_split(&r, i));
    if (!out->split_path[0] && !out->split_path[1] && !out->split_path[2])
        return nb_fail(NB_ERR_FORMAT, err, "%s: none of train, val, test is there", path);
    NB_TRY(read_names(&r));
    return read_category_ids(&r);
}

NbStatus nb_dataset_open(const char *path, const char *images, NbArena *arena, NbDataset *out,
                         NbError *err) {
    NbBytes bytes;
    if (nb_is_coco_name(path))
        return nb_dataset_read_coco(path, images, arena, out, err);
    NB_TRY(nb_file_read(path, YAML_MAX, arena, &bytes, err));
    NB_TRY(nb_dataset_parse(path, bytes, arena, out, err));
    return nb_dataset_read_coco_splits(out, images, arena, err);
}

NbStatus nb_dataset_read(const char *path, NbArena *arena, NbDataset *out, NbError *err) {
    return nb_dataset_open(path, "", arena, out, err);
}
