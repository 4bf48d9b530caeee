/* SPDX-License-Identifier: Apache-2.0 */
#include "api/calibration.h"

#include "api/common.h"
#include "api/sources.h"
#include "base/file.h"
#include "format/image.h"

#include <string.h>

enum { AT_ONCE = 2, USUAL_LIMIT = 256, FEW = 16, FLAT = 4 };

static NbStatus read_size(const char *path, NbSample *out, NbArena *arena, NbError *err) {
    const NbArenaMark mark = nb_arena_mark(arena);
    NbBytes bytes;
    NbImageInfo info;
    NB_TRY(nb_file_read(path, 0, arena, &bytes, err));
    NB_TRY(nb_image_info(path, bytes, &info, err));
    nb_arena_rewind(arena, mark);
    const bool turned = info.orientation >= 5;
    *out = (NbSample){.path = path,
                      .width = turned ? info.height : info.width,
                      .height = turned ? info.width : info.height};
    return NB_OK;
}

/* calib= */
static NbStatus find_pictures(NbJob *job, NbSamples *out, NbError *err) {
    char **path = NULL;
    size_t n = 0;
    NB_TRY(nb_find_sources(nb_job_str(job, NB_OPT_calib), &job->arena, &path, &n, err));
    *out = (NbSamples){.sample = NB_NEW(&job->arena, NbSample, n)};
    if (!out->sample)
        return nb_fail_memory(err, "calib");
    for (size_t i = 0; i < n; i++) {
        NbError why = {0};
        if (read_size(path[i], &out->sample[out->n], &job->arena, &why) == NB_OK)
            out->n++;
        else
            nb_job_say(job, "calib: left out: %s", why.message);
    }
    if (out->n == 0)
        return nb_fail(NB_ERR_FORMAT, err, "calib: expected pictures in '%s', found none",
                       nb_job_str(job, NB_OPT_calib));
    return NB_OK;
}

static void thin_out(NbSamples *s, int limit) {
    for (int i = 0; limit > 0 && s->n > limit && i < limit; i++)
        s->sample[i] = s->sample[(int64_t)i * s->n / limit];
    s->n = limit > 0 && s->n > limit ? limit : s->n;
}

static NbStatus read_pictures(void *user, int first, const uint8_t **images, int *n, NbError *err) {
    NbCalibration *const c = user;
    NbBatch batch;
    if (first == 0)
        NB_TRY(nb_loader_seek(c->loader, 0, 0, 0, -1.0, err));
    NB_TRY(nb_loader_next(c->loader, &batch, err));
    *images = batch.images;
    *n = batch.count;
    return NB_OK;
}

/* Whether a picture shows anything: its brightest and darkest value differ. */
static bool is_flat(const uint8_t *pixels, size_t n) {
    /* the margin of the letterbox is of one colour: rows in the middle have the picture */
    const uint8_t *const middle = pixels + n / 2;
    uint8_t low = 255;
    uint8_t high = 0;
    for (size_t i = 0; i < n / 4; i++) {
        low = middle[i] < low ? middle[i] : low;
        high = middle[i] > high ? middle[i] : high;
    }
    return high - low < FLAT;
}

static NbStatus check_pictures(NbJob *job, NbCalibration *c, NbError *err) {
    const size_t picture = (size_t)c->pictures.height * (size_t)c->pictures.width * 3;
    int flat = 0;
    for (int first = 0; first < c->pictures.count;) {
        const uint8_t *images = NULL;
        int n = 0;
        NB_TRY(read_pictures(c, first, &images, &n, err));
        for (int i = 0; i < n; i++)
            flat += is_flat(images + (size_t)i * picture, picture);
        first += n;
    }
    if (flat == c->pictures.count)
        return nb_fail(NB_ERR_FORMAT, err,
                       "calibration: expected pictures that show something, found %d of one colour",
                       flat);
    if (flat)
        nb_job_say(job, "calibration: %d of %d pictures are of one colour", flat,
                   c->pictures.count);
    if (c->pictures.count < FEW)
        nb_job_say(job, "calibration: %d pictures are few; ranges may be too narrow",
                   c->pictures.count);
    return NB_OK;
}

NbStatus nb_calibration_open(NbJob *job, const NbDataset *dataset, int imgsz, NbCalibration *out,
                             NbError *err) {
    NbPool *pool = NULL;
    *out = (NbCalibration){0};
    NB_TRY(nb_job_pool(job, &pool, err));
    if (nb_job_has(job, NB_OPT_calib))
        NB_TRY(find_pictures(job, &out->samples, err));
    else if (dataset)
        NB_TRY(nb_job_samples(job, dataset, NB_SPLIT_TRAIN, &out->samples, err));
    else
        return nb_fail(NB_ERR_ARGUMENT, err,
                       "calib: expected a folder of pictures, or data=; found neither");
    thin_out(&out->samples, nb_job_int(job, NB_OPT_calib_limit, USUAL_LIMIT));
    const NbLoaderOptions options = {.samples = &out->samples,
                                     .batch = AT_ONCE,
                                     .imgsz = imgsz,
                                     .workers = nb_job_workers(job),
                                     .cache_limit = nb_job_cache_limit(job)};
    out->pictures = (NbPtqPictures){.user = out,
                                    .count = out->samples.n,
                                    .batch = AT_ONCE,
                                    .height = imgsz,
                                    .width = imgsz,
                                    .read = read_pictures};
    NbStatus status = nb_loader_new(&options, &out->loader, err);
    if (status == NB_OK)
        status = check_pictures(job, out, err);
    if (status != NB_OK)
        nb_calibration_close(out);
    return status;
}

void nb_calibration_close(NbCalibration *c) {
    nb_loader_free(c->loader);
    c->loader = NULL;
}
