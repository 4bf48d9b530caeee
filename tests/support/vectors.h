/* SPDX-License-Identifier: Apache-2.0
 *
 * Reference vectors: folders with a manifest.json and arrays. Cases are found through the manifest,
 * never by a list of names in the code, so that another folder of the same form works too.
 *
 * The folders are $NIBBLE_VECTORS (default ../shared/vectors) and $NIBBLE_DATA (default
 * ../shared/data), relative to the project's root. Without the folder a test is skipped and says
 * so; with CI=true it fails. */
#ifndef NB_TESTS_SUPPORT_VECTORS_H
#define NB_TESTS_SUPPORT_VECTORS_H

#include "base/arena.h"
#include "tensor/tensor.h"

#include <jansson.h>
#include <stdbool.h>

typedef struct NbCasesFile NbCasesFile; /* a file that several arrays share */

typedef struct NbCases {
    NbArena arena;
    char *folder;
    json_t *manifest;
    double max_floor; /* least magnitude that "max X" is relative to */
    NbCasesFile *files;
    int count;
} NbCases;

typedef struct NbCase {
    NbCases *all;
    const char *id;
    const char *kind;
    json_t *json; /* the whole record */
    json_t *params;
} NbCase;

/* Opens $NIBBLE_VECTORS/<topic>/manifest.json. Skips (cmocka) or, in CI, fails the running test
 * when it is not there. */
NbCases *nb_cases_open(const char *topic);
void nb_cases_close(NbCases *cases);
NbCase nb_cases_get(NbCases *cases, int i);

/* $NIBBLE_DATA/<below> or $NIBBLE_VECTORS/<below>; skips or fails when it does not exist. The
 * string lives in static memory until the next call. */
const char *nb_test_data(const char *below);
const char *nb_test_vectors(const char *below);

/* Parameters with a default. */
double nb_case_number(const NbCase *c, const char *key, double otherwise);
bool nb_case_bool(const NbCase *c, const char *key, bool otherwise);
const char *nb_case_string(const NbCase *c, const char *key, const char *otherwise);

bool nb_case_has(const NbCase *c, const char *array);
/* Fails the test when the array is missing. Data lives until nb_cases_close. */
NbTensor nb_case_array(const NbCase *c, const char *array);
/* The same, converted to float32 or int32. */
float *nb_case_f32(const NbCase *c, const char *array, size_t *count);
int32_t *nb_case_i32(const NbCase *c, const char *array, size_t *count);

/* Compares n values of `got` with the array by the rule its "compare" entry says ("exact",
 * "abs X", "rel X", "ulp N", "max X"; missing: exact; each may end in
 * " where weight > 0", which compares only where the array of that name beside it says so; keys may
 * be patterns with '*'). Where they differ it prints case, array, first bad index, both values and
 * the largest difference and returns false instead of ending the test, so that all cases are seen;
 * the caller counts. -0 equals +0 in every rule. */
bool nb_case_compare(const NbCase *c, const char *array, const float *got, size_t n);

/* The same without a word about differences. */
bool nb_case_agrees(const NbCase *c, const char *array, const float *got, size_t n);
bool nb_case_compare_rule(const NbCase *c, const char *array, const char *rule, const float *got,
                          size_t n);

#endif
