/* SPDX-License-Identifier: Apache-2.0
 *
 * Label files against the parsers of the three sources: status, rows, order, polygons. */
#include "data/labels.h"
#include "support/vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

static const struct Source {
    const char *name;
    NbLabelRules rules;
    int extra_classes; /* the YOLOv10 source accepts a class equal to the count; < 0: any class */
} sources[] = {
    {"q", NB_LABELS_YOLOV5, -1}, {"y10", NB_LABELS_YOLOV10, 1}, {"ul", NB_LABELS_ULTRALYTICS, 0}};

static bool same_status(const NbCase *c, const struct Source *s, const NbLabels *got) {
    static const char *const name[] = {"ok", "empty", "corrupt"};
    const json_t *const want = json_object_get(json_object_get(c->params, s->name), "status");
    if (strcmp(json_string_value(want), name[got->status]) == 0)
        return true;
    print_error("%s (%s): %s (line %d: %s), expected %s\n", c->id, s->name, name[got->status],
                got->line, got->text, json_string_value(want));
    return false;
}

static bool same_rows(const NbCase *c, const struct Source *s, const NbLabels *got) {
    char array[32];
    (void)snprintf(array, sizeof array, "%s.labels", s->name);
    if (!nb_case_has(c, array))
        return got->n == 0;
    float *const row = NB_NEW(&c->all->arena, float, (size_t)got->n * 5);
    assert_non_null(row);
    for (int i = 0; i < got->n; i++) {
        row[5 * i] = (float)got->label[i].cls;
        memcpy(row + 5 * i + 1, got->label[i].xywh, 4 * sizeof *row);
    }
    const NbTensor want = nb_case_array(c, array);
    if (nb_tensor_count(&want) != (size_t)got->n * 5) {
        print_error("%s (%s): %d rows, expected %d\n", c->id, s->name, got->n,
                    (int)want.shape.dim[0]);
        return false;
    }
    return got->n == 0 || nb_case_compare(c, array, row, (size_t)got->n * 5);
}

static bool same_polygon(const NbPolygon *p, const json_t *want) {
    if ((size_t)p->n != json_array_size(want))
        return false;
    for (int i = 0; i < p->n; i++)
        for (size_t k = 0; k < 2; k++)
            if (fabs((double)p->point[i][k] -
                     json_number_value(json_array_get(json_array_get(want, (size_t)i), k))) > 1e-7)
                return false;
    return true;
}

/* Every polygon of the source is there, and each belongs to its row: the hull says so. */
static bool same_polygons(const NbCase *c, const struct Source *s, const NbLabels *got) {
    const json_t *const want = json_object_get(json_object_get(c->params, s->name), "segments");
    size_t found = 0;
    for (size_t i = 0; i < json_array_size(want); i++)
        for (int k = 0; k < got->n; k++)
            if (got->polygon && same_polygon(&got->polygon[k], json_array_get(want, i))) {
                found++;
                break;
            }
    bool ok = found == json_array_size(want);
    for (int k = 0; got->polygon && k < got->n; k++) {
        float right = -1e9F;
        for (int i = 0; i < got->polygon[k].n; i++)
            right = fmaxf(right, got->polygon[k].point[i][0]);
        ok = ok && fabsf(got->label[k].xywh[0] + got->label[k].xywh[2] / 2.0F - right) < 1e-6F;
    }
    if (!ok)
        print_error("%s (%s): polygons differ\n", c->id, s->name);
    return ok;
}

static bool run(const NbCase *c, const struct Source *s) {
    const char *const text = nb_case_string(c, "text", NULL);
    if (!text || !json_object_get(c->params, s->name))
        return true; /* a missing file is the scan's business */
    const int nc = (int)nb_case_number(c, "num_cls", 0);
    NbError err = {0};
    NbLabels got;
    const NbBytes bytes = {(const unsigned char *)text, strlen(text)};
    assert_int_equal(nb_labels_parse(bytes, s->rules,
                                     s->extra_classes < 0 ? 0 : nc + s->extra_classes,
                                     &c->all->arena, &got, &err),
                     NB_OK);
    bool ok = same_status(c, s, &got);
    ok = ok && (got.status != NB_LABELS_OK || same_rows(c, s, &got));
    return ok && same_polygons(c, s, &got);
}

static void label_files_parse_as_in_the_sources(void **state) {
    (void)state;
    NbCases *const cases = nb_cases_open("anchors_labels");
    int bad = 0;
    int seen = 0;
    for (int i = 0; i < cases->count; i++) {
        const NbCase c = nb_cases_get(cases, i);
        if (strcmp(c.kind, "label_file") != 0)
            continue;
        for (size_t k = 0; k < sizeof sources / sizeof *sources; k++) {
            seen++;
            bad += !run(&c, &sources[k]);
        }
    }
    print_message("%d label cases, %d differ\n", seen, bad);
    nb_cases_close(cases);
    assert_true(seen > 0);
    assert_int_equal(bad, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(label_files_parse_as_in_the_sources)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
