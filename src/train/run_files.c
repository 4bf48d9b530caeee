/* SPDX-License-Identifier: Apache-2.0 */
#include "train/run_files.h"

#include "base/file.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char head[] =
    "epoch,time,train/box_loss,train/cls_loss,train/dfl_loss,"
    "metrics/precision(B),metrics/recall(B),metrics/mAP50(B),metrics/mAP50-95(B),"
    "val/box_loss,val/cls_loss,val/dfl_loss,lr/pg0,lr/pg1,lr/pg2,"
    "train/obj_loss,val/obj_loss,quant/mAP50-95,images_per_second,quant/osc_rate,"
    "train/box_oo,train/cls_oo,train/dfl_oo,val/box_oo,val/cls_oo,val/dfl_oo\n";

NbStatus nb_run_folder_make(const char *project, const char *name, bool exist_ok, NbArena *arena,
                            char **out, NbError *err) {
    char *const first = nb_path_join(arena, project, name);
    bool fresh = false;
    *out = first;
    for (int i = 2; *out && i < 100000; i++) {
        NB_TRY(nb_folder_claim(*out, &fresh, err)); /* runs may start side by side */
        if (fresh || exist_ok)
            return NB_OK;
        *out = nb_arena_printf(arena, "%s%d", first, i);
    }
    return *out ? nb_fail(NB_ERR_IO, err, "%s: too many runs of this name", first)
                : nb_fail_memory(err, "the run folder");
}

NbStatus nb_run_folder_newest(const char *project, const char *name, NbArena *arena, char **out,
                              NbError *err) {
    char **files = NULL;
    size_t n = 0;
    double newest = -1.0;
    if (nb_path_is_folder(project))
        NB_TRY(nb_folder_list(project, true, 1000000, arena, &files, &n, err));
    const size_t tail = strlen(name);
    for (size_t i = 0; i < n; i++) {
        const size_t size = strlen(files[i]);
        const double time = nb_file_time(files[i]);
        if (size <= tail || strcmp(files[i] + size - tail, name) != 0 || time <= newest)
            continue;
        newest = time;
        *out = nb_arena_string_n(arena, files[i], size - tail - 1);
    }
    if (newest < 0.0)
        return nb_fail(NB_ERR_FORMAT, err, "%s: expected a run with %s in it, found none", project,
                       name);
    return *out ? NB_OK : nb_fail_memory(err, project);
}

/* End of the last row (its line feed included) that is kept: rows 1..epochs. */
static size_t end_of_rows(const char *text, int epochs, double *seconds) {
    const char *at = strchr(text, '\n');
    if (!at)
        return 0;
    const char *end = ++at;
    for (; *at; at = end) {
        const char *const stop = strchr(at, '\n');
        char *comma;
        const long epoch = strtol(at, &comma, 10);
        if (!stop || *comma != ',' || epoch < 1 || epoch > epochs)
            return (size_t)(at - text);
        *seconds = strtod(comma + 1, NULL);
        end = stop + 1;
    }
    return (size_t)(end - text);
}

NbStatus nb_results_begin(const char *path, int epochs, double *seconds, NbError *err) {
    *seconds = 0.0;
    if (!nb_path_exists(path) || epochs == 0)
        return nb_file_write(path, head, sizeof head - 1, err);
    NbArena arena = {0};
    NbBytes bytes;
    NbStatus status = nb_file_read(path, 256U << 20, &arena, &bytes, err);
    if (status == NB_OK) {
        const size_t keep = end_of_rows((const char *)bytes.data, epochs, seconds);
        status = keep ? nb_file_write(path, bytes.data, keep, err)
                      : nb_file_write(path, head, sizeof head - 1, err);
    }
    nb_arena_release(&arena);
    return status;
}

/* A number, or an empty cell where there is none. */
static const char *cell(double value, char out[32]) {
    out[0] = '\0';
    if (isfinite(value))
        (void)snprintf(out, 32, "%.6g", value);
    return out;
}

NbStatus nb_results_add(const char *path, const NbEpochRow *r, NbError *err) {
    char c[11][32];
    char line[2048];
    int n =
        snprintf(line, sizeof line,
                 "%d,%.6g,%.6g,%.6g,%.6g,%s,%s,%s,%s,%s,%s,%s,%.6g,%.6g,%.6g,%.6g,%s,%s,%.6g,%s",
                 r->epoch, r->seconds, r->train[NB_LOSS_BOX], r->train[NB_LOSS_CLS],
                 r->train[NB_LOSS_DFL], cell(r->precision, c[0]), cell(r->recall, c[1]),
                 cell(r->map50, c[2]), cell(r->map50_95, c[3]), cell(r->val[NB_LOSS_BOX], c[4]),
                 cell(r->val[NB_LOSS_CLS], c[5]), cell(r->val[NB_LOSS_DFL], c[6]), r->lr[0],
                 r->lr[1], r->lr[2], r->train[NB_LOSS_OBJ], cell(r->val[NB_LOSS_OBJ], c[7]),
                 cell(r->quant_map50_95, c[8]), r->images_per_second, cell(r->oscillating, c[9]));
    for (int i = 0; i < 6; i++) {
        const double *const items = i < 3 ? r->train : r->val;
        const double item = items[NB_LOSS_BOX_ONE + i % 3];
        n += snprintf(line + n, sizeof line - (size_t)n, ",%s",
                      cell(r->two_heads ? item : (double)NAN, c[10]));
    }
    line[n++] = '\n';
    return nb_file_append(path, line, (size_t)n, err);
}
