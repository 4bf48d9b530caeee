/* SPDX-License-Identifier: Apache-2.0
 *
 * Heads without anchors: YOLOv8's Detect and YOLOv10's v10Detect. Each level has a box branch cv2
 * (distributions of four distances) and a class branch cv3; their concatenation is the output. The
 * fixed convolution of bin numbers (dfl) is not part of the graph: decoding does it. */
#include "model/block.h"

#include <stdio.h>

enum { MAX_PATH = 160, USUAL_BINS = 16 };

/* One of the two heads of YOLOv10, or the only one of YOLOv8. */
typedef struct Branches {
    const char *path;
    const char *prefix; /* "" or "one2one_" */
    bool depthwise;     /* class branch of YOLOv10 */
    int box;            /* hidden channels */
    int cls;
} Branches;

/* A convolution block at path.part with part built from branch, level and place. */
static NB_FALLIBLE step(NbBuild *b, const Branches *s, const char *branch, int level,
                        const char *place, const NbConvShape *shape, NbTap *at, NbError *err) {
    char part[64];
    const NbStyle style = nb_style(b, true);
    (void)snprintf(part, sizeof part, "%s%s.%d.%s", s->prefix, branch, level, place);
    return nb_build_part(b, &style, s->path, part, shape, *at, at, err);
}

/* The last convolution: 1x1 with bias, real numbers. */
static NB_FALLIBLE logits(NbBuild *b, const Branches *s, const char *branch, int level,
                          int channels, NbTap *at, NbError *err) {
    char path[MAX_PATH];
    NbConvOptions options = {.bias = true};
    int act_bits = 0;
    const NbConvShape shape = nb_conv_shape(channels, 1, 1);
    (void)snprintf(path, sizeof path, "%s.%s%s.%d.2", s->path, s->prefix, branch, level);
    nb_build_bits(b, path, *at, true, &options.weight_bits, &act_bits);
    return nb_build_conv(b, path, *at, &shape, options, at, err);
}

static NB_FALLIBLE box_branch(NbBuild *b, const Branches *s, int level, NbTap *at, NbError *err) {
    const NbConvShape shape = nb_conv_shape(s->box, 3, 1);
    NB_TRY(step(b, s, "cv2", level, "0", &shape, at, err));
    NB_TRY(step(b, s, "cv2", level, "1", &shape, at, err));
    return logits(b, s, "cv2", level, 4 * b->head->reg_max, at, err);
}

static NB_FALLIBLE class_branch(NbBuild *b, const Branches *s, int level, NbTap *at, NbError *err) {
    static const char *const places[2][2] = {{"0.0", "0.1"}, {"1.0", "1.1"}};
    const NbConvShape full = nb_conv_shape(s->cls, 3, 1);
    const NbConvShape point = nb_conv_shape(s->cls, 1, 1);
    for (int i = 0; i < 2; i++) {
        NbConvShape depth = nb_conv_shape(at->channels, 3, 1);
        depth.groups = at->channels;
        if (!s->depthwise) {
            NB_TRY(step(b, s, "cv3", level, i ? "1" : "0", &full, at, err));
            continue;
        }
        NB_TRY(step(b, s, "cv3", level, places[i][0], &depth, at, err));
        NB_TRY(step(b, s, "cv3", level, places[i][1], &point, at, err));
    }
    return logits(b, s, "cv3", level, b->head->nc, at, err);
}

static NB_FALLIBLE level_outputs(NbBuild *b, const Branches *s, int level, NbTap x, NbTap *out,
                                 NbError *err) {
    char name[MAX_PATH];
    NbTap branch[2] = {x, x};
    NB_TRY(box_branch(b, s, level, &branch[0], err));
    NB_TRY(class_branch(b, s, level, &branch[1], err));
    (void)snprintf(name, sizeof name, "%s.%soutput.%d", s->path, s->prefix, level);
    return nb_build_concat(b, name, 2, branch, out, err);
}

static int largest(int a, int b) { return a > b ? a : b; }

static NB_FALLIBLE start(NbBuild *b, const NbCall *call, NbHeadKind kind, Branches *s,
                         NbError *err) {
    int64_t nc = 0;
    NB_TRY(nb_call_int(b, call, 0, 1, 100000, &nc, err));
    if (nc == 0)
        return nb_call_fail(NB_ERR_FORMAT, err, b, call, "the number of classes is None");
    if (call->n_in > NB_MAX_LEVELS)
        return nb_call_fail(NB_ERR_FORMAT, err, b, call, "%d levels, 1 to %d expected", call->n_in,
                            NB_MAX_LEVELS);
    *b->head = (NbHead){.kind = kind,
                        .nc = (int)nc,
                        .levels = call->n_in,
                        .reg_max = b->reg_max ? b->reg_max : USUAL_BINS};
    const int first = call->in[0].channels;
    *s = (Branches){.path = call->path,
                    .prefix = "",
                    .depthwise = kind == NB_HEAD_YOLOV10,
                    .box = largest(largest(16, first / 4), 4 * b->head->reg_max),
                    .cls = largest(first, nc < 100 ? (int)nc : 100)};
    return NB_OK;
}

static NB_FALLIBLE all_levels(NbBuild *b, const Branches *s, int n, const NbTap *in, NbError *err) {
    for (int l = 0; l < n; l++)
        NB_TRY(level_outputs(b, s, l, in[l], &b->output[b->n_outputs++], err));
    return NB_OK;
}

NbStatus nb_build_detect_free(NbBuild *b, const NbCall *call, NbTap *out, NbError *err) {
    Branches s = {0};
    NB_TRY(start(b, call, NB_HEAD_YOLOV8, &s, err));
    b->n_outputs = 0;
    NB_TRY(all_levels(b, &s, call->n_in, call->in, err));
    *out = b->output[0];
    return NB_OK;
}

/* v10Detect(nc): the one-to-many head, then the one-to-one head, which teaches nothing to what it
 * reads. */
static NB_FALLIBLE build_v10_detect(NbBuild *b, const NbCall *call, NbTap *out, NbError *err) {
    char name[MAX_PATH];
    Branches s = {0};
    NbTap in[NB_MAX_LEVELS];
    NB_TRY(start(b, call, NB_HEAD_YOLOV10, &s, err));
    b->n_outputs = 0;
    NB_TRY(all_levels(b, &s, call->n_in, call->in, err));
    for (int l = 0; l < call->n_in; l++) {
        (void)snprintf(name, sizeof name, "%s.detach.%d", call->path, l);
        in[l].channels = call->in[l].channels;
        NB_TRY(
            nb_graph_add(b->g, NB_OP_DETACH, name, 1, &call->in[l].node, NULL, &in[l].node, err));
    }
    s.prefix = "one2one_";
    NB_TRY(all_levels(b, &s, call->n_in, in, err));
    *out = b->output[0];
    return NB_OK;
}

const NbModule nb_module_v10_detect = {.name = "v10Detect",
                                       .channels = NB_CHANNELS_GIVEN,
                                       .min_args = 1,
                                       .max_args = 1,
                                       .max_in = NB_MAX_LEVELS,
                                       .build = build_v10_detect};
