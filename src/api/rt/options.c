/* SPDX-License-Identifier: Apache-2.0 */
#include "api/rt/options.h"

#include <string.h>

enum {
    DEFAULT_MAX_DET = 300,
    MOST_DET = 100000,
    MOST_THREADS = 256,
    LEAST_SIDE = 32,
    MOST_SIDE = 8192
};

static NB_FALLIBLE copy(const NbDetectorOptions *given, NbDetectorOptions *out, NbError *err) {
    if (given->size < sizeof given->size)
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "options: size: sizeof(NbDetectorOptions) expected, found %zu", given->size);
    const size_t known = given->size < sizeof *out ? given->size : sizeof *out;
    memcpy(out, given, known);
    for (size_t i = known; i < given->size; i++)
        if (((const unsigned char *)given)[i])
            return nb_fail(NB_ERR_ARGUMENT, err,
                           "options: byte %zu is set, which version %s of the library does not "
                           "know: a newer one is needed",
                           i, nb_version());
    return NB_OK;
}

static NB_FALLIBLE in_range(const char *name, int value, int low, int high, NbError *err) {
    if (value >= low && value <= high)
        return NB_OK;
    return nb_fail(NB_ERR_ARGUMENT, err, "options: %s: 0 or %d to %d expected, found %d", name, low,
                   high, value);
}

NbStatus nb_detector_thresholds_check(double *conf, double *iou, NbError *err) {
    if (*conf == 0.0)
        *conf = 0.25;
    if (*iou == 0.0)
        *iou = 0.45;
    if (!(*conf > 0.0 && *conf < 1.0))
        return nb_fail(NB_ERR_ARGUMENT, err, "conf: 0 to below 1 expected, found %g", *conf);
    if (!(*iou > 0.0 && *iou <= 1.0))
        return nb_fail(NB_ERR_ARGUMENT, err, "iou: 0 to 1 expected, found %g", *iou);
    return NB_OK;
}

NbStatus nb_detector_options_read(const NbDetectorOptions *given, NbDetectorOptions *out,
                                  NbError *err) {
    *out = (NbDetectorOptions){0};
    if (given)
        NB_TRY(copy(given, out, err));
    out->size = sizeof *out;
    if (out->max_det == 0)
        out->max_det = DEFAULT_MAX_DET;
    NB_TRY_IN(nb_detector_thresholds_check(&out->conf, &out->iou, err), err, "options");
    NB_TRY(in_range("max_det", out->max_det, 1, MOST_DET, err));
    if (out->threads != 0)
        NB_TRY(in_range("threads", out->threads, 1, MOST_THREADS, err));
    if (out->imgsz != 0)
        NB_TRY(in_range("imgsz", out->imgsz, LEAST_SIDE, MOST_SIDE, err));
    if (out->n_classes > 0 && !out->classes)
        return nb_fail(NB_ERR_ARGUMENT, err, "options: n_classes is %zu, but classes is NULL",
                       out->n_classes);
    return NB_OK;
}
