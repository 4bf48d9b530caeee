/* SPDX-License-Identifier: Apache-2.0 */
#include "model/bits.h"

#include "base/file.h"
#include "base/text.h"
#include "format/yaml.h"

#include <ctype.h>
#include <string.h>

enum { MAX_RULES = 256, MAX_TEXT = 1 << 16, WHEN_NOT_SAID = 8, MAX_BITS = 8 };
enum { FLOAT_BITS = 16 };

/* Where we are in the text, for columns. */
typedef struct Reader {
    const char *start;
    const char *at;
} Reader;

static NB_FALLIBLE expected(const Reader *r, const char *what, NbError *err) {
    return nb_fail(NB_ERR_FORMAT, err, "quantize='%s': column %td: %s expected, found %s%.12s%s",
                   r->start, r->at - r->start + 1, what, *r->at ? "'" : "the end", r->at,
                   *r->at ? "'" : "");
}

static NB_FALLIBLE read_bits(Reader *r, int *out, NbError *err) {
    if (!isdigit((unsigned char)*r->at) || isdigit((unsigned char)r->at[1]))
        return expected(r, "1 to 8 bits", err);
    *out = *r->at - '0';
    if (*out < 1 || *out > MAX_BITS)
        return expected(r, "1 to 8 bits", err);
    r->at++;
    return NB_OK;
}

/* Activations may stay real numbers, too. */
static NB_FALLIBLE read_act_bits(Reader *r, int *out, NbError *err) {
    if (strncmp(r->at, "16", 2) != 0 || isdigit((unsigned char)r->at[2]))
        return read_bits(r, out, err);
    *out = FLOAT_BITS;
    r->at += 2;
    return NB_OK;
}

/* 8 | w4 | a4 | w4a8; what is not said becomes 0. */
static NB_FALLIBLE read_pair(Reader *r, int *weight, int *activation, NbError *err) {
    *weight = *activation = 0;
    if (isdigit((unsigned char)*r->at)) {
        NB_TRY(read_bits(r, weight, err));
        *activation = *weight;
        return NB_OK;
    }
    if (*r->at != 'w' && *r->at != 'a')
        return expected(r, "bits like 8, w4 or w4a8", err);
    if (*r->at == 'w') {
        r->at++;
        NB_TRY(read_bits(r, weight, err));
    }
    if (*r->at == 'a') {
        r->at++;
        NB_TRY(read_act_bits(r, activation, err));
    }
    return NB_OK;
}

static NB_FALLIBLE add_rule(NbBits *bits, NbArena *arena, const char *glob, size_t n, int weight,
                            int activation, NbError *err) {
    if (!bits->rule)
        bits->rule = NB_NEW(arena, NbBitsRule, MAX_RULES);
    char *copy = nb_arena_string_n(arena, glob, n);
    if (!bits->rule || !copy)
        return nb_fail_memory(err, "bits");
    if (bits->n_rules == MAX_RULES)
        return nb_fail(NB_ERR_FORMAT, err, "more than %d rules for bits", MAX_RULES);
    bits->rule[bits->n_rules++] = (NbBitsRule){copy, weight, activation};
    return NB_OK;
}

static NB_FALLIBLE read_rule(Reader *r, NbArena *arena, NbBits *out, NbError *err) {
    const char *const glob = r->at;
    const size_t n = strcspn(glob, "=:");
    int weight = 0;
    int activation = 0;
    if (n == 0)
        return expected(r, "first, last or a pattern of names", err);
    r->at += n;
    if (*r->at != '=')
        return expected(r, "'=' and bits", err);
    r->at++;
    NB_TRY(read_pair(r, &weight, &activation, err));
    return add_rule(out, arena, glob, n, weight, activation, err);
}

/* [first weight, weight, activation, last weight], brackets and blanks optional. */
static NB_FALLIBLE read_list(Reader *r, NbArena *arena, NbBits *out, NbError *err) {
    int number[4] = {0};
    r->at += strspn(r->at, "[ ");
    for (int i = 0; i < 4; i++) {
        NB_TRY(read_bits(r, &number[i], err));
        r->at += strspn(r->at, " ");
        if (i < 3 && *r->at != ',')
            return expected(r, "',' and four numbers in all", err);
        r->at += i < 3;
        r->at += strspn(r->at, " ");
    }
    r->at += strspn(r->at, "] ");
    if (*r->at)
        return expected(r, "the end of the list of four", err);
    out->weight = number[1];
    out->activation = number[2];
    NB_TRY(add_rule(out, arena, "first", 5, number[0], 0, err));
    return add_rule(out, arena, "last", 4, number[3], 0, err);
}

static void default_bits(NbBits *bits) {
    if (!bits->weight)
        bits->weight = WHEN_NOT_SAID;
    if (!bits->activation)
        bits->activation = WHEN_NOT_SAID;
}

NbStatus nb_bits_parse(const char *text, NbArena *arena, NbBits *out, NbError *err) {
    Reader r = {text, text};
    NbBits bits = {.quantized = true};
    if (strlen(text) > MAX_TEXT)
        return nb_fail(NB_ERR_FORMAT, err, "more than %d characters of bits", MAX_TEXT);
    if (strcmp(text, "none") == 0) {
        *out = (NbBits){0};
        return NB_OK;
    }
    if (*text == '[' || (isdigit((unsigned char)*text) && strchr(text, ','))) {
        NB_TRY(read_list(&r, arena, &bits, err));
        *out = bits;
        return NB_OK;
    }
    NB_TRY(read_pair(&r, &bits.weight, &bits.activation, err));
    while (*r.at == ':') {
        r.at++;
        NB_TRY(read_rule(&r, arena, &bits, err));
    }
    if (*r.at)
        return expected(&r, "':' and a rule, or the end,", err);
    default_bits(&bits);
    *out = bits;
    return NB_OK;
}

static NB_FALLIBLE read_map(const char *path, const NbYaml *map, NbArena *arena, NbBits *out,
                            NbError *err) {
    NbBits bits = {.quantized = true};
    if (map->kind != NB_YAML_MAP)
        return nb_yaml_fail(NB_ERR_FORMAT, err, path, map, "a map from names to bits expected");
    for (int i = 0; i < map->count; i++) {
        const NbYaml *value = map->item[i];
        const char *glob = map->key[i]->text;
        int weight = 0;
        int activation = 0;
        if (value->kind != NB_YAML_SCALAR)
            return nb_yaml_fail(NB_ERR_FORMAT, err, path, value, "bits like 8 or w4a8 expected");
        Reader r = {value->text, value->text};
        NbError inner = {0};
        if (read_pair(&r, &weight, &activation, &inner) != NB_OK || *r.at)
            return nb_yaml_fail(NB_ERR_FORMAT, err, path, value,
                                "bits like 8 or w4a8 expected, found '%s'", value->text);
        if (strcmp(glob, "default") == 0) {
            bits.weight = weight;
            bits.activation = activation;
        } else {
            NB_TRY(add_rule(&bits, arena, glob, strlen(glob), weight, activation, err));
        }
    }
    default_bits(&bits);
    *out = bits;
    return NB_OK;
}

NbStatus nb_bits_read(const char *text, NbArena *arena, NbBits *out, NbError *err) {
    const char *suffix = nb_path_suffix(text);
    if (strcmp(suffix, ".yaml") != 0 && strcmp(suffix, ".yml") != 0)
        return nb_bits_parse(text, arena, out, err);
    NbBytes bytes = {0};
    const NbYaml *map = NULL;
    NB_TRY(nb_file_read(text, MAX_TEXT, arena, &bytes, err));
    NB_TRY(nb_yaml_parse(text, bytes, arena, &map, err));
    return read_map(text, map, arena, out, err);
}

void nb_bits_for(const NbBits *bits, const char *name, bool first, bool last, int *weight,
                 int *activation) {
    *weight = *activation = 0;
    if (!bits->quantized)
        return;
    *weight = first || last ? WHEN_NOT_SAID : bits->weight;
    *activation = bits->activation;
    for (int i = 0; i < bits->n_rules; i++) {
        const NbBitsRule *rule = &bits->rule[i];
        const bool matches = strcmp(rule->glob, "first") == 0  ? first
                             : strcmp(rule->glob, "last") == 0 ? last
                                                               : nb_glob_match(rule->glob, name);
        if (matches && rule->weight)
            *weight = rule->weight;
        if (matches && rule->activation)
            *activation = rule->activation;
    }
    *activation = *activation == FLOAT_BITS ? 0 : *activation;
}

static void put_pair(NbText *t, int weight, int activation) {
    if (weight)
        nb_text_printf(t, "w%d", weight);
    if (activation)
        nb_text_printf(t, "a%d", activation);
}

char *nb_bits_text(const NbBits *bits, NbArena *arena) {
    if (!bits->quantized)
        return nb_arena_string(arena, "none");
    NbText t = {0};
    put_pair(&t, bits->weight, bits->activation);
    for (int i = 0; i < bits->n_rules; i++) {
        nb_text_printf(&t, ":%s=", bits->rule[i].glob);
        put_pair(&t, bits->rule[i].weight, bits->rule[i].activation);
    }
    char *copy = t.failed ? NULL : nb_arena_string(arena, t.data);
    nb_text_release(&t);
    return copy;
}
