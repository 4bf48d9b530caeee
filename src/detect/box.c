/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/box.h"

#include <math.h>

float nb_box_iou(const float a[4], const float b[4]) {
    const float w = fminf(a[2], b[2]) - fmaxf(a[0], b[0]);
    const float h = fminf(a[3], b[3]) - fmaxf(a[1], b[1]);
    const float inter = fmaxf(w, 0.0F) * fmaxf(h, 0.0F);
    const float all = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter;
    return all > 0.0F ? inter / all : 0.0F;
}

static float clip(float v, int size) { return fminf(fmaxf(v, 0.0F), (float)size); }

void nb_box_unletterbox(float xyxy[4], float gain, const float pad[2], int width, int height) {
    for (int i = 0; i < 4; i += 2) {
        xyxy[i] = clip((xyxy[i] - pad[0]) / gain, width);
        xyxy[i + 1] = clip((xyxy[i + 1] - pad[1]) / gain, height);
    }
}
