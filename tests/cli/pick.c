/* SPDX-License-Identifier: Apache-2.0
 *
 * usage: pick [PATH]... < one JSON object
 *
 * Stdin must be exactly one JSON object with "schema": 1 and a "verb". Prints one line for each
 * path (keys and indices separated by dots): a value as it is, of arrays and objects the size. A
 * path that is not there is said and makes the exit code 1. */
#include <jansson.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const json_t *find(const json_t *at, char *path) {
    char *rest = NULL;
    for (char *key = strtok_r(path, ".", &rest); at && key; key = strtok_r(NULL, ".", &rest)) {
        char *end = NULL;
        const size_t index = strtoul(key, &end, 10);
        at = json_is_array(at) && !*end ? json_array_get(at, index) : json_object_get(at, key);
    }
    return at;
}

static void print(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT: printf("{%zu}\n", json_object_size(value)); break;
    case JSON_ARRAY: printf("[%zu]\n", json_array_size(value)); break;
    case JSON_STRING: printf("%s\n", json_string_value(value)); break;
    case JSON_INTEGER: printf("%" JSON_INTEGER_FORMAT "\n", json_integer_value(value)); break;
    case JSON_REAL: printf("%.6g\n", json_real_value(value)); break;
    case JSON_TRUE: printf("true\n"); break;
    case JSON_FALSE: printf("false\n"); break;
    case JSON_NULL: printf("null\n"); break;
    }
}

int main(int argc, char **argv) {
    json_error_t error;
    int missing = 0;
    json_t *const root = json_loadf(stdin, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(root) || json_integer_value(json_object_get(root, "schema")) != 1 ||
        !json_is_string(json_object_get(root, "verb"))) {
        printf("not one JSON object with schema 1 and a verb: %s\n", root ? "" : error.text);
        json_decref(root);
        return 1;
    }
    for (int i = 1; i < argc; i++) {
        char path[256];
        (void)snprintf(path, sizeof path, "%s", argv[i]);
        const json_t *const value = find(root, path);
        printf("%s ", argv[i]);
        if (value)
            print(value);
        else
            printf("is missing\n");
        missing += !value;
    }
    json_decref(root);
    return missing > 0;
}
