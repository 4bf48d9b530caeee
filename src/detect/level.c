/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/level.h"

#include <stdbool.h>

void nb_level_clear_row(const NbHeadLevel *level, float *row, int channels) {
    const bool by_cell = level->sc < level->sx;
    const int outer = by_cell ? level->nx : channels;
    const int inner = by_cell ? channels : level->nx;
    const ptrdiff_t step_outer = by_cell ? level->sx : level->sc;
    const ptrdiff_t step_inner = by_cell ? level->sc : level->sx;
    for (int o = 0; o < outer; o++)
        for (int i = 0; i < inner; i++)
            row[o * step_outer + i * step_inner] = 0.0F;
}
