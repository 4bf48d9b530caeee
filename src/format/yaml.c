/* SPDX-License-Identifier: Apache-2.0
 *
 * libyaml's events to a tree. Open lists and maps are frames on a stack; what they hold so far lies
 * on a second stack, in the order of the file, and is copied out when they close. An alias shares
 * the nodes of its anchor, so that memory stays small; the node limit counts it in full, so that
 * whoever walks the tree is safe as well. */
#include "format/yaml.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum {
    MAX_BYTES = 1 << 20,
    MAX_DEPTH = 64,
    MAX_NODES = 100 * 1000,
    MAX_ALIASES = 100,
};

/* A list or map that is not closed yet. */
typedef struct Frame {
    NbYaml *node;
    size_t first;       /* its first child on the stack of nodes */
    const char *anchor; /* NULL: none */
    int nodes_before;   /* how many were counted when it opened */
    int height;         /* of its highest child so far, 0: none */
} Frame;

typedef struct Anchor {
    const char *name;
    const NbYaml *node;
    int weight; /* nodes it stands for */
    int height; /* 1: scalar */
} Anchor;

typedef struct Builder {
    const char *path;
    NbArena *arena;
    NbError *err;
    yaml_parser_t parser;
    Frame frame[MAX_DEPTH];
    int depth;
    const NbYaml **stack; /* children of all open frames */
    size_t top, capacity;
    Anchor *anchor; /* the newest of a name counts */
    size_t n_anchors, anchor_capacity;
    int nodes;
    int aliases;
    const NbYaml *root;
} Builder;

static NbStatus at_mark(const Builder *b, NbStatus status, yaml_mark_t mark, const char *text) {
    return nb_fail(status, b->err, "%s:%zu:%zu: %s", b->path, mark.line + 1, mark.column + 1, text);
}

/* libyaml's own sentence, with its place. */
static NbStatus parser_failed(const Builder *b) {
    const yaml_parser_t *const p = &b->parser;
    const char *const problem = p->problem ? p->problem : "not valid YAML";
    if (p->error == YAML_MEMORY_ERROR)
        return nb_fail_memory(b->err, b->path);
    if (p->error == YAML_READER_ERROR)
        return nb_fail(NB_ERR_FORMAT, b->err, "%s: byte %zu: %s", b->path, p->problem_offset,
                       problem);
    return nb_fail(NB_ERR_FORMAT, b->err, "%s:%zu:%zu: %s%s%s", b->path, p->problem_mark.line + 1,
                   p->problem_mark.column + 1, p->context ? p->context : "", p->context ? ": " : "",
                   problem);
}

static NbYaml *new_node(Builder *b, NbYamlKind kind, yaml_mark_t mark) {
    NbYaml *const node = NB_NEW(b->arena, NbYaml, 1);
    if (!node)
        return NULL;
    node->kind = kind;
    node->line = (int)mark.line + 1;
    node->column = (int)mark.column + 1;
    return node;
}

/* Doubles an array inside the arena; the old one stays until the arena goes. */
static void *grow(Builder *b, const void *old, size_t used, size_t *capacity, size_t size) {
    const size_t more = *capacity ? *capacity * 2 : 64;
    void *const wider = nb_arena_take(b->arena, more, size);
    if (!wider)
        return NULL;
    if (used > 0)
        memcpy(wider, old, used * size);
    *capacity = more;
    return wider;
}

static NB_FALLIBLE remember(Builder *b, const char *name, const NbYaml *node, int weight,
                            int height) {
    if (!name)
        return NB_OK;
    if (b->n_anchors == b->anchor_capacity) {
        b->anchor = grow(b, b->anchor, b->n_anchors, &b->anchor_capacity, sizeof *b->anchor);
        if (!b->anchor)
            return nb_fail_memory(b->err, b->path);
    }
    b->anchor[b->n_anchors++] =
        (Anchor){.name = name, .node = node, .weight = weight, .height = height};
    return NB_OK;
}

/* Puts a finished node into the frame that is open, or makes it the root. */
static NB_FALLIBLE attach(Builder *b, const NbYaml *node, int height, yaml_mark_t mark) {
    if (b->depth == 0) {
        b->root = node;
        return NB_OK;
    }
    Frame *const f = &b->frame[b->depth - 1];
    const bool is_key = f->node->kind == NB_YAML_MAP && (b->top - f->first) % 2 == 0;
    if (is_key && node->kind != NB_YAML_SCALAR)
        return at_mark(b, NB_ERR_UNSUPPORTED, mark, "a key is a list or a map, expected text");
    if (is_key && !node->quoted && strcmp(node->text, "<<") == 0)
        return at_mark(b, NB_ERR_UNSUPPORTED, mark, "merge keys ('<<') are not supported");
    if (b->depth + height > MAX_DEPTH)
        return at_mark(b, NB_ERR_FORMAT, mark, "nested deeper than 64 levels");
    if (b->top == b->capacity) {
        b->stack = grow(b, b->stack, b->top, &b->capacity, sizeof *b->stack);
        if (!b->stack)
            return nb_fail_memory(b->err, b->path);
    }
    b->stack[b->top++] = node;
    if (height > f->height)
        f->height = height;
    return NB_OK;
}

static NB_FALLIBLE count_nodes(Builder *b, int more, yaml_mark_t mark) {
    if (more > MAX_NODES - b->nodes)
        return at_mark(b, NB_ERR_FORMAT, mark, "more than 100000 values (aliases count in full)");
    b->nodes += more;
    return NB_OK;
}

static NB_FALLIBLE copy_anchor(Builder *b, const yaml_char_t *anchor, const char **out) {
    *out = NULL;
    if (!anchor)
        return NB_OK;
    *out = nb_arena_string(b->arena, (const char *)anchor);
    return *out ? NB_OK : nb_fail_memory(b->err, b->path);
}

/* The tags of YAML's own types say nothing new; any other asks for code to be run. */
static NB_FALLIBLE check_tag(const Builder *b, const yaml_char_t *tag, bool *is_text,
                             yaml_mark_t mark) {
    static const char *const known[] = {YAML_STR_TAG,  YAML_INT_TAG, YAML_FLOAT_TAG, YAML_BOOL_TAG,
                                        YAML_NULL_TAG, YAML_SEQ_TAG, YAML_MAP_TAG,   "!"};
    *is_text = false;
    if (!tag)
        return NB_OK;
    const char *const name = (const char *)tag;
    *is_text = strcmp(name, YAML_STR_TAG) == 0 || strcmp(name, "!") == 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(name, known[i]) == 0)
            return NB_OK;
    return nb_fail(NB_ERR_UNSUPPORTED, b->err, "%s:%zu:%zu: tag '%.80s' is not supported", b->path,
                   mark.line + 1, mark.column + 1, name);
}

static NB_FALLIBLE scalar(Builder *b, const yaml_event_t *e) {
    const yaml_mark_t mark = e->start_mark;
    const size_t length = e->data.scalar.length;
    const char *const value = (const char *)e->data.scalar.value;
    bool is_text = false;
    const char *anchor = NULL;
    NB_TRY(check_tag(b, e->data.scalar.tag, &is_text, mark));
    NB_TRY(copy_anchor(b, e->data.scalar.anchor, &anchor));
    NB_TRY(count_nodes(b, 1, mark));
    if (memchr(value, '\0', length))
        return at_mark(b, NB_ERR_FORMAT, mark, "text holds a zero byte");
    NbYaml *const node = new_node(b, NB_YAML_SCALAR, mark);
    if (!node)
        return nb_fail_memory(b->err, b->path);
    node->text = nb_arena_string_n(b->arena, value, length);
    if (!node->text)
        return nb_fail_memory(b->err, b->path);
    node->quoted = is_text || e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    NB_TRY(attach(b, node, 1, mark));
    return remember(b, anchor, node, 1, 1);
}

static NB_FALLIBLE open_frame(Builder *b, NbYamlKind kind, const yaml_char_t *tag,
                              const yaml_char_t *anchor, yaml_mark_t mark) {
    bool is_text = false;
    const char *name = NULL;
    NB_TRY(check_tag(b, tag, &is_text, mark));
    NB_TRY(copy_anchor(b, anchor, &name));
    const int before = b->nodes;
    NB_TRY(count_nodes(b, 1, mark));
    if (b->depth == MAX_DEPTH)
        return at_mark(b, NB_ERR_FORMAT, mark, "nested deeper than 64 levels");
    NbYaml *const node = new_node(b, kind, mark);
    if (!node)
        return nb_fail_memory(b->err, b->path);
    b->frame[b->depth++] =
        (Frame){.node = node, .first = b->top, .anchor = name, .nodes_before = before};
    return NB_OK;
}

static int by_text(const void *a, const void *b) {
    const NbYaml *const x = *(const NbYaml *const *)a;
    const NbYaml *const y = *(const NbYaml *const *)b;
    const int order = strcmp(x->text, y->text);
    if (order != 0)
        return order;
    return x->line != y->line ? (x->line < y->line ? -1 : 1) : (x->column > y->column) - 1;
}

static NB_FALLIBLE refuse_duplicates(const Builder *b, const NbYaml *map) {
    const NbYaml **const sorted = NB_NEW(b->arena, const NbYaml *, (size_t)map->count);
    if (!sorted)
        return nb_fail_memory(b->err, b->path);
    memcpy(sorted, map->key, (size_t)map->count * sizeof *sorted);
    qsort(sorted, (size_t)map->count, sizeof *sorted, by_text);
    for (int i = 1; i < map->count; i++)
        if (strcmp(sorted[i - 1]->text, sorted[i]->text) == 0)
            return nb_yaml_fail(NB_ERR_FORMAT, b->err, b->path, sorted[i],
                                "key '%.80s' is already there, in line %d", sorted[i]->text,
                                sorted[i - 1]->line);
    return NB_OK;
}

/* Moves the children of the innermost frame into the node. */
static NB_FALLIBLE collect(Builder *b, const Frame *f) {
    NbYaml *const node = f->node;
    const size_t n = b->top - f->first;
    const bool map = node->kind == NB_YAML_MAP;
    const size_t count = map ? n / 2 : n;
    node->item = NB_NEW(b->arena, const NbYaml *, count);
    node->key = map ? NB_NEW(b->arena, const NbYaml *, count) : NULL;
    if (!node->item || (map && !node->key))
        return nb_fail_memory(b->err, b->path);
    for (size_t i = 0; i < count; i++) {
        node->item[i] = b->stack[f->first + (map ? 2 * i + 1 : i)];
        if (map)
            node->key[i] = b->stack[f->first + 2 * i];
    }
    node->count = (int)count;
    b->top = f->first;
    if (!map)
        return NB_OK;
    const NbArenaMark mark = nb_arena_mark(b->arena);
    const NbStatus status = refuse_duplicates(b, node);
    nb_arena_rewind(b->arena, mark);
    return status;
}

static NB_FALLIBLE close_frame(Builder *b, const yaml_event_t *e) {
    const Frame f = b->frame[b->depth - 1];
    NB_TRY(collect(b, &f));
    b->depth--;
    NB_TRY(attach(b, f.node, f.height + 1, e->start_mark));
    return remember(b, f.anchor, f.node, b->nodes - f.nodes_before, f.height + 1);
}

static NB_FALLIBLE alias(Builder *b, const yaml_event_t *e) {
    const char *const name = (const char *)e->data.alias.anchor;
    if (++b->aliases > MAX_ALIASES)
        return at_mark(b, NB_ERR_FORMAT, e->start_mark, "more than 100 aliases");
    for (size_t i = b->n_anchors; i-- > 0;) {
        const Anchor *const a = &b->anchor[i];
        if (strcmp(a->name, name) != 0)
            continue;
        NB_TRY(count_nodes(b, a->weight, e->start_mark));
        return attach(b, a->node, a->height, e->start_mark);
    }
    return at_mark(b, NB_ERR_FORMAT, e->start_mark, "alias of an anchor that is not there (yet)");
}

static NB_FALLIBLE handle(Builder *b, const yaml_event_t *e) {
    switch (e->type) {
    case YAML_SCALAR_EVENT: return scalar(b, e);
    case YAML_ALIAS_EVENT: return alias(b, e);
    case YAML_SEQUENCE_START_EVENT:
        return open_frame(b, NB_YAML_LIST, e->data.sequence_start.tag,
                          e->data.sequence_start.anchor, e->start_mark);
    case YAML_MAPPING_START_EVENT:
        return open_frame(b, NB_YAML_MAP, e->data.mapping_start.tag, e->data.mapping_start.anchor,
                          e->start_mark);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: return close_frame(b, e);
    case YAML_DOCUMENT_START_EVENT:
        if (b->root)
            return at_mark(b, NB_ERR_FORMAT, e->start_mark, "a second document, expected one");
        return NB_OK;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT: return NB_OK;
    }
    return NB_OK;
}

static NB_FALLIBLE run(Builder *b) {
    for (bool more = true; more;) {
        yaml_event_t e;
        if (!yaml_parser_parse(&b->parser, &e))
            return parser_failed(b);
        more = e.type != YAML_STREAM_END_EVENT;
        const NbStatus status = handle(b, &e);
        yaml_event_delete(&e);
        NB_TRY(status);
    }
    return NB_OK;
}

NbStatus nb_yaml_parse(const char *path, NbBytes bytes, NbArena *arena, const NbYaml **out,
                       NbError *err) {
    *out = NULL;
    if (bytes.size > MAX_BYTES)
        return nb_fail(NB_ERR_FORMAT, err, "%s: %zu bytes of YAML, expected at most %d", path,
                       bytes.size, MAX_BYTES);
    Builder *const b = NB_NEW(arena, Builder, 1);
    if (!b || !yaml_parser_initialize(&b->parser))
        return nb_fail_memory(err, path);
    b->path = path;
    b->arena = arena;
    b->err = err;
    static const unsigned char nothing[1] = {0};
    yaml_parser_set_input_string(&b->parser, bytes.data ? bytes.data : nothing, bytes.size);
    const NbStatus status = run(b);
    yaml_parser_delete(&b->parser);
    NB_TRY(status);
    if (!b->root) { /* an empty file is null, as in PyYAML */
        NbYaml *const empty = new_node(b, NB_YAML_SCALAR, (yaml_mark_t){0});
        if (!empty)
            return nb_fail_memory(err, path);
        empty->text = "";
        b->root = empty;
    }
    *out = b->root;
    return NB_OK;
}

const NbYaml *nb_yaml_get(const NbYaml *map, const char *key) {
    if (!map || map->kind != NB_YAML_MAP)
        return NULL;
    for (int i = 0; i < map->count; i++)
        if (strcmp(map->key[i]->text, key) == 0)
            return map->item[i];
    return NULL;
}
