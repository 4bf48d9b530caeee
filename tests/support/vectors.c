/* SPDX-License-Identifier: Apache-2.0 */
#include "support/vectors.h"

#include "base/file.h"
#include "base/text.h"
#include "format/json.h"
#include "format/npy.h"
#include "format/safetensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

/* A safetensors file that is already in memory: many arrays share one. */
struct NbCasesFile {
    NbCasesFile *next;
    const char *path;
    NbSafetensors content;
};

static const char *root(const char *variable, const char *otherwise) {
    const char *const value = getenv(variable);
    return value && value[0] ? value : otherwise;
}

static bool in_ci(void) {
    const char *const ci = getenv("CI");
    return ci && (strcmp(ci, "true") == 0 || strcmp(ci, "1") == 0);
}

/* Ends the running test: without its data it is skipped, and fails where data must be there. */
static void missing(const char *path) {
    if (in_ci())
        fail_msg("%s is not there, and CI is set", path);
    print_message("skipped: %s is not there\n", path);
    skip();
}

static const char *below_root(const char *folder, const char *below) {
    static char path[4096];
    const int n = snprintf(path, sizeof path, "%s%s%s", folder, below[0] ? "/" : "", below);
    if (n < 0 || (size_t)n >= sizeof path)
        fail_msg("the path %s/%s is too long", folder, below);
    if (!nb_path_exists(path))
        missing(path);
    return path;
}

const char *nb_test_data(const char *below) {
    return below_root(root("NIBBLE_DATA", "../shared/data"), below);
}

const char *nb_test_vectors(const char *below) {
    return below_root(root("NIBBLE_VECTORS", "../shared/vectors"), below);
}

static void *checked(void *pointer) {
    if (!pointer)
        fail_msg("out of memory");
    return pointer;
}

NbCases *nb_cases_open(const char *topic) {
    const char *const folder = nb_test_vectors(topic);
    NbCases *const cases = checked(calloc(1, sizeof *cases));
    cases->folder = checked(nb_arena_string(&cases->arena, folder));
    const char *const path = checked(nb_path_join(&cases->arena, folder, "manifest.json"));
    NbError err = {0};
    if (nb_json_read_file(path, &cases->manifest, &err) != NB_OK)
        fail_msg("%s", err.message);
    const json_t *const list = json_object_get(cases->manifest, "cases");
    if (!json_is_array(list) || json_array_size(list) == 0)
        fail_msg("%s: no list 'cases', or an empty one", path);
    cases->count = (int)json_array_size(list);
    cases->max_floor = json_number_value(json_object_get(cases->manifest, "max_floor"));
    return cases;
}

void nb_cases_close(NbCases *cases) {
    if (!cases)
        return;
    json_decref(cases->manifest);
    nb_arena_release(&cases->arena);
    free(cases);
}

NbCase nb_cases_get(NbCases *cases, int i) {
    json_t *const json = json_array_get(json_object_get(cases->manifest, "cases"), (size_t)i);
    NbCase c = {.all = cases, .json = json, .params = json_object_get(json, "params")};
    c.id = json_string_value(json_object_get(json, "id"));
    c.kind = json_string_value(json_object_get(json, "kind"));
    if (!c.id || !c.kind)
        fail_msg("%s: case %d has no id or no kind", cases->folder, i);
    return c;
}

double nb_case_number(const NbCase *c, const char *key, double otherwise) {
    const json_t *const value = json_object_get(c->params, key);
    return json_is_number(value) ? json_number_value(value) : otherwise;
}

bool nb_case_bool(const NbCase *c, const char *key, bool otherwise) {
    const json_t *const value = json_object_get(c->params, key);
    return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

const char *nb_case_string(const NbCase *c, const char *key, const char *otherwise) {
    const json_t *const value = json_object_get(c->params, key);
    return json_is_string(value) ? json_string_value(value) : otherwise;
}

/* ---- arrays ---- */

static const json_t *array_entry(const NbCase *c, const char *array) {
    return json_object_get(json_object_get(c->json, "arrays"), array);
}

bool nb_case_has(const NbCase *c, const char *array) { return array_entry(c, array) != NULL; }

static const NbSafetensors *open_file(NbCases *all, const char *path) {
    for (const NbCasesFile *f = all->files; f; f = f->next)
        if (strcmp(f->path, path) == 0)
            return &f->content;
    NbError err = {0};
    NbBytes bytes;
    NbCasesFile *const f = checked(NB_NEW(&all->arena, NbCasesFile, 1));
    if (nb_file_read(path, 0, &all->arena, &bytes, &err) != NB_OK ||
        nb_safetensors_read(path, bytes, &all->arena, &f->content, &err) != NB_OK)
        fail_msg("%s", err.message);
    f->path = path;
    f->next = all->files;
    all->files = f;
    return &f->content;
}

NbTensor nb_case_array(const NbCase *c, const char *array) {
    const json_t *const entry = array_entry(c, array);
    const char *const file = json_string_value(json_object_get(entry, "file"));
    if (!file)
        fail_msg("case %s has no array '%s'", c->id, array);
    const char *const path = checked(nb_path_join(&c->all->arena, c->all->folder, file));
    const char *const key = json_string_value(json_object_get(entry, "key"));
    NbTensor tensor = {0};
    if (key) {
        const NbTensor *const found = nb_safetensors_find(open_file(c->all, path), key);
        if (!found)
            fail_msg("case %s: %s holds no '%s'", c->id, file, key);
        else
            tensor = *found;
        return tensor;
    }
    NbError err = {0};
    if (nb_npy_read_file(path, &c->all->arena, &tensor, &err) != NB_OK)
        fail_msg("case %s: %s", c->id, err.message);
    return tensor;
}

static void *converted(const NbCase *c, const char *array, NbDtype dtype, size_t *count) {
    const NbTensor tensor = nb_case_array(c, array);
    const size_t n = nb_tensor_count(&tensor);
    if (count)
        *count = n;
    void *const out = checked(nb_arena_take(&c->all->arena, n, nb_dtype_size(dtype)));
    nb_convert(tensor.data, tensor.dtype, out, dtype, n);
    return out;
}

float *nb_case_f32(const NbCase *c, const char *array, size_t *count) {
    return converted(c, array, NB_F32, count);
}

int32_t *nb_case_i32(const NbCase *c, const char *array, size_t *count) {
    return converted(c, array, NB_I32, count);
}

/* ---- comparing ---- */

typedef enum RuleKind { RULE_EXACT, RULE_ABS, RULE_REL, RULE_ULP, RULE_MAX } RuleKind;

typedef struct Rule {
    RuleKind kind;
    double value;
    bool weighted; /* only where the array "weight" beside it is above 0 */
} Rule;

static Rule parse_rule(const NbCase *c, const char *array, const char *text) {
    static const struct {
        const char *word;
        RuleKind kind;
    } rows[] = {{"abs ", RULE_ABS}, {"rel ", RULE_REL}, {"ulp ", RULE_ULP}, {"max ", RULE_MAX}};
    static const char suffix[] = " where weight > 0";
    Rule rule = {.kind = RULE_EXACT};
    char *end = NULL;
    if (strncmp(text, "exact", 5) == 0) {
        end = (char *)(uintptr_t)(text + 5);
    } else {
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            if (strncmp(text, rows[i].word, 4) == 0) {
                rule.kind = rows[i].kind;
                rule.value = strtod(text + 4, &end);
            }
        if (!end || end == text + 4 || !(rule.value >= 0))
            fail_msg("case %s: array '%s': unknown rule '%s'", c->id, array, text);
    }
    rule.weighted = end && strcmp(end, suffix) == 0;
    const bool remark = end && end[0] == ','; /* ", same rows in the same order" */
    if (end && end[0] != '\0' && !rule.weighted && !remark)
        fail_msg("case %s: array '%s': unknown rule '%s'", c->id, array, text);
    return rule;
}

/* "y10.m_gt_idx" -> "y10.m_weight": the nearest array of that name going up. */
static const char *weight_array(const NbCase *c, const char *array) {
    static char name[256];
    size_t n = strlen(array);
    if (n + sizeof "weight" > sizeof name)
        fail_msg("case %s: the name '%s' is too long", c->id, array);
    for (;; n--) {
        if (n > 0 && array[n - 1] != '.' && array[n - 1] != '_')
            continue;
        (void)snprintf(name, sizeof name, "%.*sweight", (int)n, array);
        if (nb_case_has(c, name))
            return name;
        if (n == 0)
            fail_msg("case %s: no weight array beside '%s'", c->id, array);
    }
}

/* Number of floats between a and b; both finite. */
static double ulp_distance(float a, float b) {
    int32_t x;
    int32_t y;
    memcpy(&x, &a, sizeof x);
    memcpy(&y, &b, sizeof y);
    const int64_t low = INT32_MIN;
    const int64_t p = x < 0 ? low - x : x;
    const int64_t q = y < 0 ? low - y : y;
    return fabs((double)(p - q));
}

/* Whether got is as near to want as the rule asks; NaN never is. */
static bool near(const Rule *rule, double largest, double got, double want) {
    if (got == want)
        return true;
    const double difference = fabs(got - want);
    switch (rule->kind) {
    case RULE_EXACT: return false;
    case RULE_ABS: return difference <= rule->value;
    case RULE_REL: return difference <= rule->value * fabs(want);
    case RULE_MAX: return difference <= rule->value * largest;
    case RULE_ULP:
        return isfinite(got) && isfinite(want) &&
               ulp_distance((float)got, (float)want) <= rule->value;
    }
    return false;
}

typedef struct Outcome {
    size_t bad, first, compared;
    double largest;      /* difference */
    double largest_want; /* magnitude of the reference */
} Outcome;

static Outcome compare(const Rule *rule, double floor, const float *got, const double *want,
                       const double *weight, size_t per_weight, size_t n) {
    Outcome o = {.largest_want = floor};
    for (size_t i = 0; i < n; i++)
        if (fabs(want[i]) > o.largest_want)
            o.largest_want = fabs(want[i]);
    for (size_t i = 0; i < n; i++) {
        if (weight && !(weight[i / per_weight] > 0))
            continue;
        o.compared++;
        const double difference = fabs((double)got[i] - want[i]);
        if (difference > o.largest)
            o.largest = difference;
        if (!near(rule, o.largest_want, (double)got[i], want[i]) && o.bad++ == 0)
            o.first = i;
    }
    return o;
}

static bool follows_rule(const NbCase *c, const char *array, const char *text, const float *got,
                         size_t n, bool say) {
    size_t count = 0;
    const double *const want = converted(c, array, NB_F64, &count);
    if (count != n) {
        print_error("%s: %s: %zu values, expected %zu\n", c->id, array, n, count);
        return false;
    }
    const Rule rule = parse_rule(c, array, text);
    const double *weight = NULL;
    size_t weights = 0;
    if (rule.weighted) {
        weight = converted(c, weight_array(c, array), NB_F64, &weights);
        if (n > 0 && (weights == 0 || n % weights != 0))
            fail_msg("case %s: %zu values of '%s' for %zu weights", c->id, n, array, weights);
    }
    const size_t per_weight = weights ? n / weights : 1;
    const Outcome o = compare(&rule, c->all->max_floor, got, want, weight, per_weight, n);
    if (o.bad == 0 || !say)
        return o.bad == 0;
    print_error("%s: %s: %zu of %zu differ by more than '%s'; first at %zu: %.9g, expected %.9g; "
                "largest difference %.9g, largest reference %.9g\n",
                c->id, array, o.bad, o.compared, text, o.first, (double)got[o.first], want[o.first],
                o.largest, o.largest_want);
    return false;
}

bool nb_case_compare_rule(const NbCase *c, const char *array, const char *text, const float *got,
                          size_t n) {
    return follows_rule(c, array, text, got, n, true);
}

/* The rule of an array: by its name, else by the first pattern that fits. */
static const char *rule_of(const NbCase *c, const char *array) {
    json_t *const rules = json_object_get(c->json, "compare");
    const char *exact = json_string_value(json_object_get(rules, array));
    const char *pattern = NULL;
    json_t *value = NULL;
    json_object_foreach(rules, pattern, value) {
        if (!exact && strchr(pattern, '*') && nb_glob_match(pattern, array))
            exact = json_string_value(value);
    }
    return exact ? exact : "exact";
}

bool nb_case_agrees(const NbCase *c, const char *array, const float *got, size_t n) {
    return follows_rule(c, array, rule_of(c, array), got, n, false);
}

bool nb_case_compare(const NbCase *c, const char *array, const float *got, size_t n) {
    return nb_case_compare_rule(c, array, rule_of(c, array), got, n);
}
