/* SPDX-License-Identifier: Apache-2.0
 *
 * usage: rt_model FOLDER. What tests of the run-time library need, made with the rest of nibble:
 *
 *     model.safetensors      a detector trained with quantizers, briefly
 *     float.safetensors      one without quantizers
 *     pictures/N.png, N.ppm  pictures of several sizes, both with the same pixels
 *     predictions.json       what `nibble predict engine=int` finds in them */
#include "base/file.h"
#include "data/synth.h"
#include "format/image.h"
#include "model/checkpoint.h"
#include "nibble/job.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SIDE = 96, LARGE = 240 };

static const struct {
    int width, height;
} sizes[] = {{64, 64}, {240, 240}, {240, 101}, {33, 190}, {97, 96}, {64, 7}};

static NB_FALLIBLE run_job(const char *verb, const char *const (*setting)[2], size_t n,
                           const char *save_to, NbError *err) {
    NbJob *job = NULL;
    NbStatus status = nb_job_new(verb, &job, err);
    for (size_t i = 0; i < n && status == NB_OK; i++)
        status = nb_job_set(job, setting[i][0], setting[i][1], err);
    if (status == NB_OK)
        status = nb_job_run(job, NULL, err);
    if (status == NB_OK && save_to) {
        const char *const json = nb_job_json(job);
        status = nb_file_write(save_to, json, strlen(json), err);
    }
    nb_job_free(job);
    return status;
}

static NB_FALLIBLE write_ppm(const char *path, const NbImage *image, NbError *err) {
    NbWriter *w = NULL;
    NB_TRY(nb_writer_open(path, &w, err));
    NbStatus status = nb_writer_printf(w, err, "P6\n%d %d\n255\n", image->width, image->height);
    if (status == NB_OK)
        status =
            nb_writer_put(w, image->rgb, (size_t)image->width * (size_t)image->height * 3, err);
    if (status == NB_OK)
        return nb_writer_commit(w, err);
    nb_writer_cancel(w);
    return status;
}

static NB_FALLIBLE write_pictures(NbArena *arena, NbError *err) {
    uint8_t *const large = NB_NEW(arena, uint8_t, LARGE * LARGE * 3);
    uint8_t *const part = NB_NEW(arena, uint8_t, LARGE * LARGE * 3);
    if (!large || !part)
        return nb_fail_memory(err, "pictures");
    NB_TRY(nb_folder_make("pictures", err));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        NbTarget target[NB_SYNTH_OBJECTS];
        nb_synth_draw(7, 1, (int)i, LARGE, large, target);
        const NbImage image = {sizes[i].width, sizes[i].height, part};
        for (int y = 0; y < image.height; y++)
            memcpy(part + y * image.width * 3, large + y * LARGE * 3, (size_t)image.width * 3);
        char name[32];
        (void)snprintf(name, sizeof name, "pictures/%zu.png", i);
        NB_TRY(nb_image_write(name, &image, 95, err));
        (void)snprintf(name, sizeof name, "pictures/%zu.ppm", i);
        NB_TRY(write_ppm(name, &image, err));
    }
    return NB_OK;
}

static NB_FALLIBLE write_float_model(NbError *err) {
    NbModel model;
    NB_TRY(nb_model_read("lpyolo-float.yaml", NULL, 0, &model, err));
    const NbStatus status = nb_model_write("float.safetensors", &model, err);
    nb_model_release(&model);
    return status;
}

static NB_FALLIBLE make_all(NbArena *arena, NbError *err) {
    static const char *const train[][2] = {
        {"model", "lpyolo.yaml"}, {"quantize", "w4a4"},  {"data", "data/data.yaml"},
        {"imgsz", "96"},          {"epochs", "6"},       {"batch", "8"},
        {"project", "."},         {"name", "run"},       {"exist_ok", "1"},
        {"warmup_epochs", "0"},   {"warmup_iters", "0"}, {"ema_tau", "20"},
        {"plots", "0"},           {"mosaic", "0"},       {"seed", "3"},
    };
    static const char *const predict[][2] = {
        {"model", "model.safetensors"},
        {"source", "pictures/*.png"},
        {"engine", "int"},
        {"conf", "0.01"},
        {"save", "0"},
    };
    const NbSynthOptions options = {.train = 64, .val = 8, .imgsz = SIDE, .seed = 5};
    NB_TRY(nb_synth_write("data", &options, NULL, err));
    NB_TRY(run_job("train", train, sizeof train / sizeof *train, NULL, err));
    NbBytes bytes;
    NB_TRY(nb_file_read("run/weights/last.safetensors", 0, arena, &bytes, err));
    NB_TRY(nb_file_write("model.safetensors", bytes.data, bytes.size, err));
    NB_TRY(write_float_model(err));
    NB_TRY(write_pictures(arena, err));
    return run_job("predict", predict, sizeof predict / sizeof *predict, "predictions.json", err);
}

int main(int argc, char **argv) {
    NbError err = {{0}};
    NbArena arena = {0};
    if (argc != 2)
        return 2;
    NbStatus status = nb_folder_make(argv[1], &err);
    if (status == NB_OK && chdir(argv[1]) != 0)
        status = nb_fail(NB_ERR_IO, &err, "%s", argv[1]);
    if (status == NB_OK)
        status = make_all(&arena, &err);
    nb_arena_release(&arena);
    if (status != NB_OK)
        (void)fprintf(stderr, "rt_model: %s\n", err.message);
    return status == NB_OK ? 0 : 1;
}
