/* SPDX-License-Identifier: Apache-2.0
 *
 * nibble data ACTION: looks at, draws and divides data sets. */
#include "api/common.h"
#include "api/convert.h"
#include "api/verbs/verbs.h"

#include "base/file.h"
#include "data/synth.h"
#include "data/tools.h"

#include <stdlib.h>
#include <string.h>

static json_t *counts_json(const int *count, int n) {
    json_t *const list = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(list, json_integer(count[i]));
    return list;
}

/* images, labels and problems, which every action answers. */
static void put_check(NbJob *job, const NbDataCheck *check) {
    json_t *const problems = json_array();
    for (int i = 0; i < check->n_problems; i++) {
        const NbProblem *const p = &check->problem[i];
        json_array_append_new(problems,
                              json_pack("{s:s, s:o, s:i, s:o}", "kind", nb_problem_name(p->kind),
                                        "path", nb_json_text(p->path), "line", p->line, "text",
                                        nb_json_text(p->text)));
    }
    nb_job_put(job, "images", json_integer(check->images));
    nb_job_put(job, "labels", json_integer(check->labels));
    nb_job_put(job, "problems", problems);
}

/* Like nb_job_need, with an example of the action. */
static NbStatus need(const NbJob *job, NbOptionId id, const char *example, const char **out,
                     NbError *err) {
    *out = nb_job_str(job, id);
    if (**out)
        return NB_OK;
    return nb_fail(NB_ERR_ARGUMENT, err, "%s needs %s=; for example: %s",
                   nb_job_str(job, NB_OPT_action), nb_option_names[id], example);
}

static NbStatus look(NbJob *job, bool decode, NbDataset *dataset, NbDataCheck *out, NbError *err) {
    NbPool *pool = NULL;
    const NbDataCheckOptions options = {.decode = decode,
                                        .single_cls = nb_job_bool(job, NB_OPT_single_cls, false)};
    NB_TRY(nb_job_pool(job, &pool, err));
    NB_TRY(nb_job_dataset(job, dataset, err));
    NB_TRY(nb_data_check(dataset, &options, pool, &job->arena, out, err));
    put_check(job, out);
    return NB_OK;
}

/* ---- check ---- */

static void print_problem(NbJob *job, const NbProblem *p) {
    if (p->line > 0)
        nb_job_print(job, "%-9s %s:%d: %s\n", nb_problem_name(p->kind), p->path, p->line, p->text);
    else
        nb_job_print(job, "%-9s %s: %s\n", nb_problem_name(p->kind), p->path, p->text);
}

static NbStatus check(NbJob *job, NbError *err) {
    NbDataset dataset;
    NbDataCheck found;
    NB_TRY(look(job, true, &dataset, &found, err));
    int of_kind[NB_PROBLEM_WARNING + 1] = {0};
    for (int i = 0; i < found.n_problems; i++) {
        of_kind[found.problem[i].kind]++;
        print_problem(job, &found.problem[i]);
    }
    json_t *const counts = json_object();
    for (int k = 0; k <= NB_PROBLEM_WARNING; k++)
        json_object_set_new(counts, nb_problem_name((NbProblemKind)k), json_integer(of_kind[k]));
    nb_job_put(job, "counts", counts);
    nb_job_print(job, "%d usable pictures, %d boxes, %d classes; %d corrupt, %d other remarks\n",
                 found.images, found.labels, dataset.nc, found.errors,
                 found.n_problems - found.errors);
    if (found.errors > 0)
        return nb_fail(NB_ERR_CHECK, err, "%s: expected no corrupt pictures or labels, found %d",
                       nb_job_str(job, NB_OPT_data), found.errors);
    return NB_OK;
}

/* ---- stats ---- */

static json_t *class_json(const NbDataset *d, const NbDataStats *s) {
    json_t *const list = json_array();
    for (int c = 0; c < d->nc; c++)
        json_array_append_new(list, json_pack("{s:i, s:s, s:i, s:i, s:o}", "class", c, "name",
                                              d->names[c], "labels", s->per_class[c].labels,
                                              "images", s->per_class[c].images, "mean_size",
                                              nb_json_real(s->per_class[c].mean_size)));
    return list;
}

static json_t *stats_json(const NbDataset *d, const char *split, const NbDataStats *s) {
    return json_pack(
        "{s:s, s:i, s:i, s:i, s:i, s:o, s:i, s:o, s:o, s:[i, i], s:[i, i], s:o, s:o, s:o}", "split",
        split, "images", s->images, "backgrounds", s->backgrounds, "labels", s->labels, "polygons",
        s->polygons, "mean_boxes", nb_json_real(s->mean_boxes), "most_boxes", s->most_boxes,
        "smallest", nb_json_real((double)s->smallest), "largest", nb_json_real((double)s->largest),
        "width", s->width_min, s->width_max, "height", s->height_min, s->height_max, "per_class",
        class_json(d, s), "size_histogram", counts_json(s->size, NB_STATS_SIZES), "boxes_histogram",
        counts_json(s->boxes, NB_STATS_BOXES));
}

/* One line for each bin, up to the last that holds something. */
static void print_histogram(NbJob *job, const char *title, const int *count, int n) {
    static const char bar[] = "########################################";
    int most = 1;
    int bins = 0;
    for (int i = 0; i < n; i++) {
        most = count[i] > most ? count[i] : most;
        bins = count[i] ? i + 1 : bins;
    }
    nb_job_print(job, "  %s\n", title);
    for (int i = 0; i < bins; i++)
        nb_job_print(job, "  %4d %8d %.*s\n", i, count[i],
                     (int)((long long)count[i] * (long long)(sizeof bar - 1) / most), bar);
}

static void print_stats(NbJob *job, const NbDataset *d, const char *split, const NbDataStats *s) {
    nb_job_print(job, "%s: %d pictures (%d to %d wide, %d to %d high), %d without boxes\n", split,
                 s->images, s->width_min, s->width_max, s->height_min, s->height_max,
                 s->backgrounds);
    nb_job_print(job, "  %d boxes, %.2f a picture, at most %d; %d polygons\n", s->labels,
                 s->mean_boxes, s->most_boxes, s->polygons);
    nb_job_print(job, "  %-20s %8s %8s %10s\n", "class", "boxes", "images", "mean size");
    for (int c = 0; c < d->nc; c++)
        nb_job_print(job, "  %-20s %8d %8d %10.4f\n", d->names[c], s->per_class[c].labels,
                     s->per_class[c].images, s->per_class[c].mean_size);
    print_histogram(job, "boxes by side, in twentieths of the picture", s->size, NB_STATS_SIZES);
    print_histogram(job, "pictures by number of boxes (20: and more)", s->boxes, NB_STATS_BOXES);
}

static NbStatus stats(NbJob *job, NbError *err) {
    NbDataset dataset;
    NbDataCheck found;
    NB_TRY(look(job, false, &dataset, &found, err));
    json_t *const splits = json_array();
    nb_job_put(job, "splits", splits); /* the result owns it from here on */
    for (int k = 0; k < 3; k++) {
        const char *const name = nb_split_name((NbSplit)k);
        NbDataStats s;
        if (!found.given[k])
            continue;
        NB_TRY(nb_data_stats(&found.split[k], dataset.nc, &job->arena, &s, err));
        json_array_append_new(splits, stats_json(&dataset, name, &s));
        print_stats(job, &dataset, name, &s);
    }
    return NB_OK;
}

/* ---- synth ---- */

static NbStatus synth(NbJob *job, NbError *err) {
    const char *folder = NULL;
    NbPool *pool = NULL;
    NB_TRY(need(job, NB_OPT_out, "nibble data synth out=shapes train_images=480", &folder, err));
    NB_TRY(nb_job_pool(job, &pool, err));
    const NbSynthOptions options = {.train = nb_job_int(job, NB_OPT_train_images, 480),
                                    .val = nb_job_int(job, NB_OPT_val_images, 96),
                                    .imgsz = nb_job_int(job, NB_OPT_imgsz, 160),
                                    .seed = (uint64_t)nb_job_int(job, NB_OPT_seed, 0),
                                    .quality = nb_job_int(job, NB_OPT_quality, 95)};
    NB_TRY(nb_synth_write(folder, &options, pool, err));
    char *const yaml = nb_path_join(&job->arena, folder, "data.yaml");
    if (!yaml)
        return nb_fail_memory(err, "a path");
    NB_TRY(nb_job_set_from(job, "data", yaml, NB_FROM_CALLER, err));
    NbDataset dataset;
    NbDataCheck found;
    NB_TRY(look(job, false, &dataset, &found, err)); /* as others will read it */
    nb_job_put(job, "data", nb_json_text(yaml));
    nb_job_print(job, "%s: %d pictures, %d boxes, %d classes\n", yaml, found.images, found.labels,
                 dataset.nc);
    return NB_OK;
}

/* ---- split ---- */

/* "0.8,0.1,0.1"; what is left out is 0. */
static NbStatus parse_fractions(const NbJob *job, double weight[3], NbError *err) {
    const char *const text = nb_job_str(job, NB_OPT_fractions);
    const char *at = text;
    for (int i = 0; i < 3 && *at; i++) {
        char *end;
        weight[i] = strtod(at, &end);
        const bool number = end > at && (*end == ',' || !*end);
        at = end + (*end == ',');
        if (!number || (i == 2 && *at))
            return nb_fail(NB_ERR_ARGUMENT, err,
                           "fractions: expected up to three numbers like 0.8,0.1,0.1, found '%s'",
                           text);
    }
    return NB_OK;
}

/* images=, or data= when that is a folder: its images/ when it has one. */
static NbStatus find_pictures(NbJob *job, const char **out, NbError *err) {
    *out = nb_job_str(job, NB_OPT_images);
    if (**out)
        return NB_OK;
    const char *const data = nb_job_str(job, NB_OPT_data);
    if (!*data)
        return need(job, NB_OPT_images, "nibble data split images=faces/images", out, err);
    char *const images = nb_path_join(&job->arena, data, "images");
    if (!images)
        return nb_fail_memory(err, "a path");
    *out = nb_path_is_folder(images) ? images : data;
    return NB_OK;
}

static NbStatus split(NbJob *job, NbError *err) {
    const char *folder = NULL;
    NbSplitOptions options = {.seed = (uint64_t)nb_job_int(job, NB_OPT_seed, 0),
                              .annotated_only = nb_job_bool(job, NB_OPT_annotated_only, false)};
    int count[3] = {0};
    NB_TRY(parse_fractions(job, options.weight, err));
    NB_TRY(find_pictures(job, &folder, err));
    if (!nb_path_is_folder(folder))
        return nb_fail(NB_ERR_FORMAT, err, "%s: expected a folder of pictures, found %s", folder,
                       nb_path_exists(folder) ? "a file" : "none");
    NB_TRY(nb_data_split(folder, &options, count, err));
    nb_job_put(job, "images", json_integer((json_int_t)count[0] + count[1] + count[2]));
    nb_job_put(job, "labels", json_null()); /* not looked at */
    nb_job_put(job, "problems", json_array());
    nb_job_put(job, "counts",
               json_pack("{s:i, s:i, s:i}", "train", count[0], "val", count[1], "test", count[2]));
    nb_job_print(job, "%s: %d train, %d val, %d test; the lists autosplit_*.txt lie beside it\n",
                 folder, count[0], count[1], count[2]);
    return NB_OK;
}

static NbStatus run(NbJob *job, NbError *err) {
    static const struct {
        const char *name;
        NbStatus (*run)(NbJob *job, NbError *err);
    } actions[] = {{"check", check},
                   {"stats", stats},
                   {"convert", nb_job_convert},
                   {"synth", synth},
                   {"split", split}};
    const char *const asked = nb_job_str(job, NB_OPT_action);
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (strcmp(asked, actions[i].name) == 0)
            return actions[i].run(job, err);
    return nb_fail(NB_ERR_ARGUMENT, err,
                   "action: expected check, stats, convert, synth or split, found '%s'", asked);
}

const NbVerb nb_verb_data = {
    .info = {.name = "data",
             .aliases = "dataset",
             .help = "checks, counts, converts, draws (synth) or divides (split) data sets",
             .example = "nibble data check data=data.yaml",
             .keys = "action data annotations source images out from to pictures names split ids "
                     "images_limit difficult clip min_side pixel_base single_cls "
                     "train_images val_images imgsz quality seed fractions "
                     "annotated_only threads settings json progress verbose"},
    .run = run};
