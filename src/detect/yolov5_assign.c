/* SPDX-License-Identifier: Apache-2.0
 *
 * Which cells and anchors answer for which target. All arithmetic is float32 in the reference's
 * order: a target on a border must fall on the same side. */
#include "base/size.h"
#include "detect/yolov5_loss.h"

#include <math.h>

enum { CELLS = 5 }; /* own, left, up, right, down */

/* Where the cell of each kind lies: the position minus this, truncated. */
static const float offset[CELLS][2] = {
    {0.0F, 0.0F}, {0.5F, 0.0F}, {0.0F, 0.5F}, {-0.5F, 0.0F}, {0.0F, -0.5F}};

/* True when x is in the first half of its cell and there is a cell before it. */
static bool near_previous(float x) { return x > 1.0F && x - floorf(x) < 0.5F; }

/* Bit k: cell kind k is wanted for a target at (x, y) of an nx by ny grid. */
static unsigned wanted_cells(float x, float y, float nx, float ny) {
    return 1U | (unsigned)near_previous(x) << 1 | (unsigned)near_previous(y) << 2 |
           (unsigned)near_previous(nx - x) << 3 | (unsigned)near_previous(ny - y) << 4;
}

static float worst_ratio(float size, float anchor) {
    const float r = size / anchor;
    return fmaxf(r, 1.0F / r);
}

static int to_cell(float position, int n) {
    return (int)fminf(fmaxf(truncf(position), 0.0F), (float)(n - 1));
}

static NbMatch match(const NbTarget *t, int anchor, const float box[4], int kind, int ny, int nx) {
    const int column = to_cell(box[0] - offset[kind][0], nx);
    const int row = to_cell(box[1] - offset[kind][1], ny);
    return (NbMatch){.image = t->image,
                     .anchor = anchor,
                     .row = row,
                     .column = column,
                     .cls = t->cls,
                     .box = {box[0] - (float)column, box[1] - (float)row, box[2], box[3]}};
}

/* The target's box in cells. */
static void in_cells(const NbTarget *t, int ny, int nx, float box[4]) {
    for (int i = 0; i < 4; i++)
        box[i] = t->xywh[i] * (float)(i % 2 ? ny : nx);
}

/* NOLINTNEXTLINE(readability-function-size): as nb_yolov5_loss, whose arguments it takes */
NbStatus nb_yolov5_assign(const NbYolov5Loss *loss, int level, int ny, int nx,
                          const NbTarget *target, size_t n_targets, NbArena *arena, NbMatch **out,
                          size_t *count, NbError *err) {
    *out = NULL;
    *count = 0;
    size_t most;
    if (!nb_mul_size(n_targets, (size_t)CELLS * (size_t)loss->anchors, &most))
        return nb_fail_memory(err, "matches");
    for (size_t i = 0; i < n_targets; i++)
        for (int k = 0; k < 4; k++)
            if (!isfinite(target[i].xywh[k]))
                return nb_fail(NB_ERR_ARGUMENT, err, "target %zu: box value %d is not finite", i,
                               k);
    NbMatch *const list = NB_NEW(arena, NbMatch, most);
    if (!list)
        return nb_fail_memory(err, "matches");
    const float limit = (float)loss->anchor_t;
    size_t n = 0;
    for (int kind = 0; kind < CELLS; kind++) {
        for (int a = 0; a < loss->anchors; a++) {
            const float *const anchor = loss->anchor[level][a];
            for (size_t i = 0; i < n_targets; i++) {
                float box[4];
                in_cells(&target[i], ny, nx, box);
                if (!(fmaxf(worst_ratio(box[2], anchor[0]), worst_ratio(box[3], anchor[1])) <
                      limit))
                    continue;
                if (wanted_cells(box[0], box[1], (float)nx, (float)ny) >> kind & 1U)
                    list[n++] = match(&target[i], a, box, kind, ny, nx);
            }
        }
    }
    *out = list;
    *count = n;
    return NB_OK;
}
