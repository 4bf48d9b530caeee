/* SPDX-License-Identifier: Apache-2.0 */
#include "api/convert.h"

#include "api/common.h"
#include "base/file.h"
#include "base/sha256.h"
#include "data/boxes.h"
#include "data/tools.h"
#include "format/json.h"
#include "nibble/nibble.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { FILES_MAX = 10 * 1000 * 1000, SAID_MAX = 5, NAMES_MAX = 100000 };

typedef struct Convert {
    NbJob *job;
    NbBoxSource source;
    NbBoxTarget target;
    NbBoxSet set;
    NbBoxCounts counts;
    size_t images_read;
    const char *file; /* written */
} Convert;

/* ---- what is asked for ---- */

static NbStatus parse_form(const char *key, const char *text, NbBoxForm *out, NbError *err) {
    for (int i = 0; i < NB_FORMS; i++)
        if (strcasecmp(text, nb_box_form_names[i]) == 0) {
            *out = (NbBoxForm)i;
            return NB_OK;
        }
    return nb_fail(NB_ERR_ARGUMENT, err, "%s: expected coco, voc, widerface or yolo, found '%s'",
                   key, text);
}

/* What the input looks like, when from= does not say. */
static NbStatus guess_form(const char *path, NbBoxForm *out, NbError *err) {
    static const struct {
        const char *suffix;
        NbBoxForm form;
    } rows[] = {{".json", NB_FORM_COCO},
                {".xml", NB_FORM_VOC},
                {".txt", NB_FORM_WIDERFACE},
                {".yaml", NB_FORM_YOLO},
                {".yml", NB_FORM_YOLO}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcasecmp(nb_path_suffix(path), rows[i].suffix) == 0) {
            *out = rows[i].form;
            return NB_OK;
        }
    return nb_fail(NB_ERR_ARGUMENT, err,
                   "from: '%s' does not tell its form: give from=coco, voc, widerface or yolo",
                   path);
}

static NbStatus add_name(NbJob *job, const char *text, size_t n, char **names, int *count,
                         NbError *err) {
    for (; n && strchr(" \t\r", *text) && *text; n--)
        text++;
    while (n && strchr(" \t\r", text[n - 1]) && text[n - 1])
        n--;
    if (n == 0)
        return NB_OK;
    if (*count == NAMES_MAX)
        return nb_fail(NB_ERR_ARGUMENT, err, "names: more than %d", NAMES_MAX);
    names[*count] = nb_arena_string_n(&job->arena, text, n);
    if (!names[*count])
        return nb_fail_memory(err, "names");
    for (int i = 0; i < *count; i++)
        if (strcmp(names[i], names[*count]) == 0)
            return nb_fail(NB_ERR_ARGUMENT, err, "names: '%s' is there twice", names[i]);
    ++*count;
    return NB_OK;
}

/* names=a,b,c, a text file with a name on each line, or the names of a data set YAML. */
static NbStatus read_names(NbJob *job, NbBoxSource *out, NbError *err) {
    const char *text = nb_job_str(job, NB_OPT_names);
    if (!*text)
        return NB_OK;
    char cut = ',';
    if (nb_path_exists(text)) {
        const char *const suffix = nb_path_suffix(text);
        NbBytes bytes;
        if (strcasecmp(suffix, ".yaml") == 0 || strcasecmp(suffix, ".yml") == 0) {
            NbDataset d;
            NB_TRY(nb_dataset_read(text, &job->arena, &d, err));
            out->names = d.names;
            out->nc = d.nc;
            return NB_OK;
        }
        NB_TRY(nb_file_read(text, 1 << 24, &job->arena, &bytes, err));
        text = (const char *)bytes.data;
        cut = '\n';
    }
    size_t most = 1;
    for (const char *at = text; *at; at++)
        most += *at == cut;
    char **const names = NB_NEW(&job->arena, char *, most);
    if (!names)
        return nb_fail_memory(err, "names");
    for (const char *at = text; at;) {
        const char *const end = strchr(at, cut);
        NB_TRY(add_name(job, at, end ? (size_t)(end - at) : strlen(at), names, &out->nc, err));
        at = end ? end + 1 : NULL;
    }
    out->names = names;
    return out->nc ? NB_OK : nb_fail(NB_ERR_ARGUMENT, err, "names: there is none");
}

static NbStatus parse_pictures(const NbJob *job, bool found, NbPictureUse *out, NbError *err) {
    static const char *const words[] = {"none", "link", "copy"};
    const char *const text = nb_job_str(job, NB_OPT_pictures);
    *out = found ? NB_PICTURES_LINK : NB_PICTURES_NONE;
    for (int i = 0; *text && i < 3; i++)
        if (strcmp(text, words[i]) == 0) {
            *out = (NbPictureUse)i;
            return NB_OK;
        }
    return *text ? nb_fail(NB_ERR_ARGUMENT, err,
                           "pictures: expected none, link or copy, found '%s'", text)
                 : NB_OK;
}

static NbStatus need_input(const NbJob *job, const char **out, NbError *err) {
    static const NbOptionId keys[] = {NB_OPT_annotations, NB_OPT_data, NB_OPT_source};
    for (int i = 0; i < 3; i++) {
        *out = nb_job_str(job, keys[i]);
        if (**out)
            return nb_path_exists(*out)
                       ? NB_OK
                       : nb_fail(NB_ERR_FORMAT, err, "%s: no such file or folder", *out);
    }
    return nb_fail(NB_ERR_ARGUMENT, err,
                   "convert needs annotations=; for example: nibble data convert from=coco to=yolo "
                   "annotations=instances_val2017.json images=val2017 out=coco split=val");
}

static NbStatus read_options(Convert *c, NbError *err) {
    NbJob *const job = c->job;
    const char *const from = nb_job_str(job, NB_OPT_from);
    const char *const to = nb_job_str(job, NB_OPT_to);
    NB_TRY(need_input(job, &c->source.path, err));
    NB_TRY(*from ? parse_form("from", from, &c->source.form, err)
                 : guess_form(c->source.path, &c->source.form, err));
    NB_TRY(parse_form("to", *to ? to : "yolo", &c->target.form, err));
    c->target.out = nb_job_str(job, NB_OPT_out);
    if (!*c->target.out)
        return nb_fail(NB_ERR_ARGUMENT, err, "convert needs out=, the folder to write");
    c->source.images = nb_job_str(job, NB_OPT_images);
    c->source.by_picture = true;
    NB_TRY(nb_job_split(job, &c->source.split, err));
    const bool divided = job->setting[NB_OPT_split].origin != NB_FROM_DEFAULT;
    c->target.split = divided ? nb_split_name(c->source.split) : "";
    c->source.pixel_base = c->target.pixel_base = nb_job_int(job, NB_OPT_pixel_base, 0);
    if (c->source.pixel_base != 0 && c->source.pixel_base != 1)
        return nb_fail(NB_ERR_ARGUMENT, err, "pixel_base: expected 0 or 1, found %d",
                       c->source.pixel_base);
    NB_TRY(read_names(job, &c->source, err));
    return nb_job_pool(job, &c->source.pool, err);
}

/* ---- where it came from ---- */

static NbStatus hash_file(const char *path, char out[65], NbError *err) {
    NbBytes bytes;
    NbSha256 s;
    NB_TRY(nb_file_map(path, &bytes, err));
    nb_sha256_init(&s);
    nb_sha256_put(&s, bytes.data, bytes.size);
    nb_file_unmap(bytes);
    nb_sha256_text(&s, out);
    return NB_OK;
}

/* Of a folder: the digest of what `sha256sum *` prints in it, files by name; *files: how many. */
static NbStatus hash_input(Convert *c, char out[65], size_t *files, NbError *err) {
    const char *const path = c->source.path;
    *files = 1;
    if (!nb_path_is_folder(path))
        return hash_file(path, out, err);
    char **file = NULL;
    size_t n = 0;
    NbSha256 all;
    nb_sha256_init(&all);
    *files = 0;
    NB_TRY(nb_folder_list(path, true, FILES_MAX, &c->job->arena, &file, &n, err));
    for (size_t i = 0; i < n; i++) {
        if (nb_is_picture_name(file[i]))
            continue;
        char one[65];
        NB_TRY(hash_file(file[i], one, err));
        const char *const name = file[i] + strlen(path) + 1;
        char *const line = nb_arena_printf(&c->job->arena, "%s  %s\n", one, name);
        if (!line)
            return nb_fail_memory(err, path);
        nb_sha256_put(&all, line, strlen(line));
        ++*files;
    }
    nb_sha256_text(&all, out);
    return NB_OK;
}

/* The command that does it again. */
static char *command_of(NbJob *job) {
    NbText t = {0};
    nb_text_printf(&t, "nibble data convert");
    for (int i = 0; i < NB_OPTION_COUNT; i++) {
        const NbSetting *const s = &job->setting[i];
        if (s->origin != NB_FROM_CALLER || i == NB_OPT_action || i == NB_OPT_json ||
            i == NB_OPT_verbose || i == NB_OPT_progress)
            continue;
        const bool plain = *s->text && !strpbrk(s->text, " \t\n'\"\\$&|;<>()*?[]#~`!");
        nb_text_printf(&t, plain ? " %s=%s" : " %s='%s'", nb_option_names[i], s->text);
    }
    char *const out = t.failed ? NULL : nb_arena_string(&job->arena, t.data);
    nb_text_release(&t);
    return out;
}

static json_t *skipped_json(const NbBoxCounts *counts) {
    json_t *const out = json_object();
    for (int i = 0; i < NB_SKIPS; i++)
        json_object_set_new(out, nb_skip_names[i], json_integer((json_int_t)counts->skipped[i]));
    return out;
}

static json_t *classes_json(const NbBoxSet *set) {
    json_t *const out = json_array();
    for (int c = 0; c < set->nc; c++) {
        json_int_t n = 0;
        for (size_t i = 0; i < set->n; i++)
            for (size_t k = 0; k < set->image[i].n; k++)
                n += set->image[i].box[k].cls == c;
        json_t *const one = json_pack("{s:i, s:o, s:I}", "class", c, "name",
                                      nb_json_text(set->class_name[c]), "boxes", n);
        if (set->class_id)
            json_object_set_new(one, "category_id", json_integer((json_int_t)set->class_id[c]));
        json_array_append_new(out, one);
    }
    return out;
}

static json_t *problems_json(const NbBoxSet *set) {
    json_t *const out = json_array();
    for (size_t i = 0; i < set->n_problems; i++) {
        const NbProblem *const p = &set->problem[i];
        json_array_append_new(
            out, json_pack("{s:s, s:o, s:i, s:o}", "kind", nb_problem_name(p->kind), "path",
                           nb_json_text(p->path), "line", p->line, "text", nb_json_text(p->text)));
    }
    return out;
}

static size_t left_out(const NbBoxSet *set) {
    size_t n = 0;
    for (size_t i = 0; i < set->n_problems; i++)
        n += set->problem[i].kind == NB_PROBLEM_CORRUPT;
    return n;
}

static size_t found_pictures(const NbBoxSet *set) {
    size_t n = 0;
    for (size_t i = 0; i < set->n; i++)
        n += set->image[i].path != NULL;
    return n;
}

static NbStatus write_provenance(Convert *c, NbError *err) {
    static const char *const uses[] = {"none", "link", "copy"};
    char hash[65];
    char written[65] = "";
    size_t files = 0;
    NB_TRY(hash_input(c, hash, &files, err));
    if (!nb_path_is_folder(c->file))
        NB_TRY(hash_file(c->file, written, err));
    NbArena *const arena = &c->job->arena;
    const char *const split = c->target.split;
    const char *const folder =
        nb_path_is_folder(c->target.out) ? c->target.out : nb_path_folder(arena, c->target.out);
    char *const path =
        folder ? nb_arena_printf(arena, "%s/provenance%s%s.json", folder, *split ? "_" : "", split)
               : NULL;
    char *const command = command_of(c->job);
    if (!path || !command)
        return nb_fail_memory(err, "provenance");
    json_t *const root = json_pack(
        "{s:i, s:s, s:s, s:o, s:{s:s, s:o, s:o, s:I, s:s}, s:{s:s, s:o, s:s, s:s}}", "schema", 1,
        "verb", "data", "program", nb_version(), "command", nb_json_text(command), "from", "form",
        nb_box_form_names[c->source.form], "path", nb_json_text(c->source.path), "images",
        nb_json_text(c->source.images), "files", (json_int_t)files, "sha256", hash, "to", "form",
        nb_box_form_names[c->target.form], "path", nb_json_text(c->file), "sha256", written,
        "pictures", uses[c->target.pictures]);
    json_t *const counts = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "images_read", (json_int_t)c->images_read, "images",
        (json_int_t)c->set.n, "images_left_out", (json_int_t)left_out(&c->set), "pictures_found",
        (json_int_t)found_pictures(&c->set), "boxes", (json_int_t)c->counts.boxes, "backgrounds",
        (json_int_t)c->counts.backgrounds, "clipped", (json_int_t)c->counts.clipped);
    json_object_set_new(root, "counts", counts);
    json_object_set_new(root, "skipped", skipped_json(&c->counts));
    json_object_set_new(root, "classes", classes_json(&c->set));
    json_object_set_new(root, "problems", problems_json(&c->set));
    const NbStatus status = root ? nb_json_write(path, root, err) : nb_fail_memory(err, path);
    json_decref(root);
    nb_job_put(c->job, "provenance", nb_json_text(path));
    return status;
}

/* ---- what is said ---- */

static void report(Convert *c) {
    static const char *const why[NB_SKIPS] = {[NB_SKIP_UNLISTED] =
                                                  "of pictures or categories that are not listed",
                                              [NB_SKIP_CLASS] = "of other classes",
                                              [NB_SKIP_CROWD] = "crowds",
                                              [NB_SKIP_DIFFICULT] = "marked as difficult",
                                              [NB_SKIP_INVALID] = "marked as invalid",
                                              [NB_SKIP_EMPTY] = "without width or height",
                                              [NB_SKIP_OUTSIDE] = "outside of their picture",
                                              [NB_SKIP_SMALL] = "smaller than min_side",
                                              [NB_SKIP_DUPLICATE] = "duplicates"};
    NbJob *const job = c->job;
    nb_job_put(job, "images", json_integer((json_int_t)c->set.n));
    nb_job_put(job, "labels", json_integer((json_int_t)c->counts.boxes));
    nb_job_put(job, "backgrounds", json_integer((json_int_t)c->counts.backgrounds));
    nb_job_put(job, "clipped", json_integer((json_int_t)c->counts.clipped));
    nb_job_put(job, "skipped", skipped_json(&c->counts));
    nb_job_put(job, "problems", problems_json(&c->set));
    nb_job_put(job, "data", nb_json_text(c->file));
    nb_job_print(job, "%s: %zu pictures, %zu boxes, %d classes\n", c->file, c->set.n,
                 c->counts.boxes, c->set.nc);
    for (int i = 0; i < NB_SKIPS; i++)
        if (c->counts.skipped[i])
            nb_job_print(job, "left out: %zu boxes %s\n", c->counts.skipped[i], why[i]);
    if (c->counts.clipped)
        nb_job_print(job, "clipped to their picture: %zu boxes\n", c->counts.clipped);
    if (left_out(&c->set))
        nb_job_print(job, "left out: %zu files that cannot be used\n", left_out(&c->set));
}

static void say_problems(NbJob *job, const NbBoxSet *set) {
    size_t said = 0;
    for (size_t i = 0; i < set->n_problems && said < SAID_MAX; i++) {
        const NbProblem *const p = &set->problem[i];
        if (p->kind != NB_PROBLEM_CORRUPT && p->kind != NB_PROBLEM_WARNING)
            continue;
        said++;
        const char *const what = p->kind == NB_PROBLEM_CORRUPT ? "left out: " : "";
        if (p->line > 0)
            nb_job_say(job, "%s%s:%d: %s", what, p->path, p->line, p->text);
        else
            nb_job_say(job, "%s%s: %s", what, p->path, p->text);
    }
    if (set->n_problems > said && said == SAID_MAX)
        nb_job_say(job, "%zu remarks in all; the provenance file has them", set->n_problems);
}

NbStatus nb_job_convert(NbJob *job, NbError *err) {
    Convert c = {.job = job};
    NB_TRY(read_options(&c, err));
    NB_TRY(nb_boxes_read(&c.source, &job->arena, &c.set, err));
    c.images_read = c.set.n;
    const char *const ids = nb_job_str(job, NB_OPT_ids);
    NB_TRY(nb_boxes_select(&c.set, *ids ? ids : NULL, nb_job_int(job, NB_OPT_images_limit, 0),
                           &job->arena, err));
    say_problems(job, &c.set);
    if (c.set.n == 0)
        return nb_fail(NB_ERR_FORMAT, err, "%s: no picture is left of %zu", c.source.path,
                       c.images_read);
    const NbBoxRules rules = {.keep_crowd = c.target.form == NB_FORM_COCO,
                              .keep_difficult = nb_job_bool(job, NB_OPT_difficult, false),
                              .keep_invalid = c.target.form == NB_FORM_WIDERFACE,
                              .keep_overhang = !nb_job_bool(job, NB_OPT_clip, true),
                              .least_side = nb_job_real(job, NB_OPT_min_side, 0.0)};
    nb_boxes_check(&c.set, &rules, &c.counts);
    NB_TRY(parse_pictures(job, *c.source.images != '\0', &c.target.pictures, err));
    if (c.target.pictures != NB_PICTURES_NONE && found_pictures(&c.set) < c.set.n)
        nb_job_say(job, "%zu of %zu pictures were not found", c.set.n - found_pictures(&c.set),
                   c.set.n);
    NB_TRY(nb_boxes_write(&c.set, &c.target, &job->arena, &c.file, err));
    report(&c);
    return write_provenance(&c, err);
}
