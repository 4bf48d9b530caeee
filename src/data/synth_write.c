/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of a synthetic data set. */
#include "base/file.h"
#include "base/text.h"
#include "data/synth.h"
#include "format/image.h"

#include <string.h>

enum { COUNT_MAX = 1000000, SIDE_MIN = 32, SIDE_MAX = 4096 };

typedef struct Worker {
    NbArena arena;
    int failed_at; /* the lowest number that failed; -1: none */
    NbStatus status;
    NbError error;
} Worker;

typedef struct Job {
    const char *folder;
    const NbSynthOptions *options;
    Worker *worker;
} Job;

static NbStatus write_labels(const char *path, const NbTarget *target, int n, NbError *err) {
    NbText text = {0};
    for (int i = 0; i < n; i++) {
        const float *const b = target[i].xywh;
        nb_text_printf(&text, "%d %.6f %.6f %.6f %.6f\n", target[i].cls, (double)b[0], (double)b[1],
                       (double)b[2], (double)b[3]);
    }
    const NbStatus status = text.failed
                                ? nb_fail_memory(err, path)
                                : nb_file_write(path, text.data ? text.data : "", text.size, err);
    nb_text_release(&text);
    return status;
}

static NbStatus write_picture(const Job *job, Worker *w, int split, int number, NbError *err) {
    static const char *const name[] = {"train", "val"};
    const NbSynthOptions *const o = job->options;
    const size_t side = (size_t)o->imgsz;
    NbImage image = {
        .width = o->imgsz, .height = o->imgsz, .rgb = NB_NEW(&w->arena, uint8_t, side * side * 3)};
    char *const picture = nb_arena_printf(&w->arena, "%s/images/%s/%06d.%s", job->folder,
                                          name[split], number, o->quality ? "jpg" : "png");
    char *const labels =
        nb_arena_printf(&w->arena, "%s/labels/%s/%06d.txt", job->folder, name[split], number);
    if (!image.rgb || !picture || !labels)
        return nb_fail_memory(err, "a synthetic picture");
    NbTarget target[NB_SYNTH_OBJECTS];
    const int n = nb_synth_draw(o->seed, split, number, o->imgsz, image.rgb, target);
    NB_TRY(nb_image_write(picture, &image, o->quality, err));
    return write_labels(labels, target, n, err);
}

static void work(void *user, int index, int worker) {
    const Job *const job = user;
    Worker *const w = &job->worker[worker];
    if (w->failed_at >= 0)
        return;
    const int split = index >= job->options->train;
    const int number = split ? index - job->options->train : index;
    const NbArenaMark mark = nb_arena_mark(&w->arena);
    w->status = write_picture(job, w, split, number, &w->error);
    if (w->status != NB_OK)
        w->failed_at = index;
    nb_arena_rewind(&w->arena, mark);
}

static NbStatus write_yaml(const char *folder, NbArena *arena, NbError *err) {
    char *const path = nb_path_join(arena, folder, "data.yaml");
    if (!path)
        return nb_fail_memory(err, "data.yaml");
    NbText text = {0};
    nb_text_printf(&text,
                   "# Drawn shapes on noisy backgrounds.\npath: .\ntrain: images/train\n"
                   "val: images/val\nnc: %d\nnames: [",
                   NB_SYNTH_CLASSES);
    for (int i = 0; i < NB_SYNTH_CLASSES; i++)
        nb_text_printf(&text, "%s%s", i ? ", " : "", nb_synth_class(i));
    nb_text_printf(&text, "]\n");
    const NbStatus status =
        text.failed ? nb_fail_memory(err, path) : nb_file_write(path, text.data, text.size, err);
    nb_text_release(&text);
    return status;
}

static NbStatus check_options(const NbSynthOptions *o, NbError *err) {
    if (o->train < 1 || o->val < 1 || o->train > COUNT_MAX || o->val > COUNT_MAX)
        return nb_fail(NB_ERR_ARGUMENT, err, "%d and %d pictures, expected 1 to %d of each split",
                       o->train, o->val, COUNT_MAX);
    if (o->imgsz < SIDE_MIN || o->imgsz > SIDE_MAX)
        return nb_fail(NB_ERR_ARGUMENT, err, "imgsz is %d, expected %d to %d", o->imgsz, SIDE_MIN,
                       SIDE_MAX);
    if (o->quality < 0 || o->quality > 100)
        return nb_fail(NB_ERR_ARGUMENT, err, "quality is %d, expected 1 to 100, or 0 for PNG",
                       o->quality);
    return NB_OK;
}

static NbStatus make_folders(const char *folder, NbArena *arena, NbError *err) {
    static const char *const below[] = {"images/train", "images/val", "labels/train", "labels/val"};
    for (size_t i = 0; i < sizeof below / sizeof *below; i++) {
        char *const path = nb_path_join(arena, folder, below[i]);
        if (!path)
            return nb_fail_memory(err, folder);
        NB_TRY(nb_folder_make(path, err));
    }
    return NB_OK;
}

static NbStatus write_all(const char *folder, const NbSynthOptions *o, NbPool *pool, NbArena *arena,
                          NbError *err) {
    NB_TRY(make_folders(folder, arena, err));
    const int threads = pool ? nb_pool_threads(pool) : 1;
    Job job = {folder, o, NB_NEW(arena, Worker, (size_t)threads)};
    if (!job.worker)
        return nb_fail_memory(err, "drawing pictures");
    for (int i = 0; i < threads; i++)
        job.worker[i].failed_at = -1;
    nb_pool_run(pool, o->train + o->val, work, &job);
    const Worker *failed = NULL;
    for (int i = 0; i < threads; i++) {
        nb_arena_release(&job.worker[i].arena);
        if (job.worker[i].failed_at >= 0 &&
            (!failed || job.worker[i].failed_at < failed->failed_at))
            failed = &job.worker[i];
    }
    if (failed) {
        if (err)
            *err = failed->error;
        return failed->status;
    }
    return write_yaml(folder, arena, err);
}

NbStatus nb_synth_write(const char *folder, const NbSynthOptions *options, NbPool *pool,
                        NbError *err) {
    NB_TRY(check_options(options, err));
    NbArena arena = {0};
    const NbStatus status = write_all(folder, options, pool, &arena, err);
    nb_arena_release(&arena);
    return status;
}
