/* SPDX-License-Identifier: Apache-2.0 */
#include "report/canvas.h"
#include "report/draw.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { W = 200, H = 120 };

static NbColor at(const NbImage *image, int x, int y) {
    const uint8_t *const p = image->rgb + ((size_t)y * (size_t)image->width + (size_t)x) * 3;
    return (NbColor)p[0] << 16 | (NbColor)p[1] << 8 | p[2];
}

static void a_box_colours_its_edge_and_nothing_else(void **state) {
    (void)state;
    static uint8_t rgb[W * H * 3];
    memset(rgb, 40, sizeof rgb);
    NbImage image = {W, H, rgb};
    NbError err = {0};
    const NbDrawBox boxes[] = {{50.0F, 40.0F, 150.0F, 100.0F, 4, -1.0F},
                               {NAN, 0.0F, 10.0F, 10.0F, 1, 0.5F}};
    assert_int_equal(nb_draw_boxes(&image, boxes, 2, NULL, 0, &err), NB_OK);
    const NbColor color = nb_palette(4);
    assert_int_equal(at(&image, 50, 90), color);
    assert_int_equal(at(&image, 100, 100), color);
    assert_int_equal(at(&image, 100, 70), 0x282828);
    assert_int_equal(at(&image, 45, 90), 0x282828);
    assert_int_equal(at(&image, 5, 5), 0x282828);
}

static void the_name_stands_above_or_inside(void **state) {
    (void)state;
    static uint8_t rgb[W * H * 3];
    NbImage image = {W, H, rgb};
    NbError err = {0};
    static const struct {
        float y1;
        int inside_y; /* a row of the bar */
    } rows[] = {{40.0F, 27}, {2.0F, 4}};
    const char *const names[] = {"face"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        memset(rgb, 40, sizeof rgb);
        const NbDrawBox box = {50.0F, rows[i].y1, 150.0F, 100.0F, 0, 0.87F};
        assert_int_equal(nb_draw_boxes(&image, &box, 1, names, 1, &err), NB_OK);
        assert_int_equal(at(&image, 51, rows[i].inside_y), nb_palette(0));
    }
}

static void boxes_beyond_the_picture_are_cut(void **state) {
    (void)state;
    static uint8_t rgb[W * H * 3];
    memset(rgb, 40, sizeof rgb);
    NbImage image = {W, H, rgb};
    NbError err = {0};
    const NbDrawBox box = {-1e6F, -1e6F, 1e6F, 60.0F, -3, 1.0F};
    assert_int_equal(nb_draw_boxes(&image, &box, 1, NULL, 0, &err), NB_OK);
    assert_int_equal(at(&image, 190, 60), nb_palette(-3));
}

static void a_grid_fits_and_keeps_small_pictures(void **state) {
    (void)state;
    static uint8_t rgb[900 * 700 * 3];
    memset(rgb, 200, sizeof rgb);
    static const struct {
        size_t n;
        int w, h;
        int want_w, want_h;
    } rows[] = {
        {1, 100, 80, 100, 80},     {2, 100, 80, 200, 80},      {5, 100, 80, 300, 160},
        {4, 900, 700, 1800, 1400}, {16, 900, 700, 1920, 1492}, {40, 640, 640, 1920, 1920},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbArena arena = {0};
        NbError err = {0};
        NbDrawTile tiles[40];
        for (size_t k = 0; k < rows[i].n; k++)
            tiles[k] = (NbDrawTile){.image = {rows[i].w, rows[i].h, rgb}, .caption = "000.jpg"};
        NbImage out = {0};
        assert_int_equal(nb_draw_grid(tiles, rows[i].n, NULL, 0, &arena, &out, &err), NB_OK);
        assert_int_equal(out.width, rows[i].want_w);
        assert_int_equal(out.height, rows[i].want_h);
        assert_int_equal(at(&out, rows[i].want_w / 3 + 7, 12), 0xC8C8C8);
        nb_arena_release(&arena);
    }
}

static void boxes_of_a_grid_move_with_their_tile(void **state) {
    (void)state;
    static uint8_t rgb[960 * 960 * 3];
    memset(rgb, 0, sizeof rgb);
    NbArena arena = {0};
    NbError err = {0};
    const NbDrawBox box = {100.0F, 400.0F, 800.0F, 900.0F, 0, -1.0F};
    NbDrawTile tiles[9];
    for (int k = 0; k < 9; k++)
        tiles[k] = (NbDrawTile){.image = {960, 960, rgb}};
    tiles[5] = (NbDrawTile){.image = {960, 960, rgb}, .boxes = &box, .n = 1};
    NbImage out = {0};
    assert_int_equal(nb_draw_grid(tiles, 9, NULL, 0, &arena, &out, &err), NB_OK);
    assert_int_equal(out.width, 1920); /* scale 2/3: the box's left edge is at 1280 + 66.7 */
    assert_int_equal(at(&out, 1280 + 66, 640 + 500), nb_palette(0));
    assert_int_equal(at(&out, 1280 + 300, 640 + 600), nb_palette(0));
    assert_int_equal(at(&out, 640 + 66, 640 + 500), 0x000000);
    assert_int_equal(nb_draw_grid(tiles, 0, NULL, 0, &arena, &out, &err), NB_ERR_ARGUMENT);
    nb_arena_release(&arena);
}

static void text_is_readable_on_every_colour(void **state) {
    (void)state;
    assert_int_equal(nb_ink_on(0x000000), 0xFFFFFF);
    assert_int_equal(nb_ink_on(0xFFFF00), 0x101418);
    for (int i = 0; i < NB_PALETTE; i++)
        for (int k = 0; k < i; k++)
            assert_int_not_equal(nb_palette(i), nb_palette(k));
    assert_int_equal(nb_palette(-1), nb_palette(NB_PALETTE - 1));
    assert_int_equal(nb_palette(NB_PALETTE + 3), nb_palette(3));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_box_colours_its_edge_and_nothing_else),
        cmocka_unit_test(the_name_stands_above_or_inside),
        cmocka_unit_test(boxes_beyond_the_picture_are_cut),
        cmocka_unit_test(a_grid_fits_and_keeps_small_pictures),
        cmocka_unit_test(boxes_of_a_grid_move_with_their_tile),
        cmocka_unit_test(text_is_readable_on_every_colour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
