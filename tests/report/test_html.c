/* SPDX-License-Identifier: Apache-2.0 */
#include "report/html.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *write_and_read(const NbHtmlReport *report, NbArena *arena) {
    NbError err = {0};
    if (nb_html_write(scratch("report.html"), report, &err) != NB_OK)
        fail_msg("%s", err.message);
    return (const char *)scratch_read(arena, scratch("report.html")).data;
}

static void assert_has(const char *text, const char *part) {
    if (!strstr(text, part))
        fail_msg("no \"%s\"", part);
}

static void text_cannot_become_markup(void **state) {
    (void)state;
    NbArena arena = {0};
    const char *const head[] = {"<th>"};
    const char *const cells[] = {"a & \"b\" 'c' </table>"};
    const NbHtmlTable table = {
        .title = "t<", .head = head, .cells = cells, .columns = 1, .rows = 1};
    const NbHtmlFigure figure = {"n<", "v<", "s<"};
    const NbHtmlSection section = {.title = "<s>",
                                   .text = "one <b>\n\ntwo",
                                   .tables = &table,
                                   .n_tables = 1,
                                   .figures = &figure,
                                   .n_figures = 1};
    const char *const html = write_and_read(&(NbHtmlReport){.title = "<script>",
                                                            .sections = &section,
                                                            .n_sections = 1,
                                                            .verdict = NB_VERDICT_FAIL,
                                                            .verdict_text = "0 < 1",
                                                            .footer = "<f>"},
                                            &arena);
    assert_has(html, "<title>&lt;script&gt;</title>");
    assert_has(html, "a &amp; &quot;b&quot; &#39;c&#39; &lt;/table&gt;");
    assert_has(html, "<p>one &lt;b&gt;</p>\n<p>two</p>");
    assert_has(html, "<b>v&lt;</b>");
    assert_has(html, "FAIL</span><span>0 &lt; 1</span>");
    assert_has(html, "<footer>&lt;f&gt;</footer>");
    assert_null(strstr(html, "<script"));
    assert_null(strstr(html, "http"));
    nb_arena_release(&arena);
}

static void columns_of_numbers_stand_on_the_right(void **state) {
    (void)state;
    NbArena arena = {0};
    const char *const head[] = {"layer", "bits", "share"};
    const char *const cells[] = {"conv1", "4", "12.5%", "conv2", NULL, "-", "7", "8", "1.5x"};
    const NbHtmlTable table = {.head = head, .cells = cells, .columns = 3, .rows = 3};
    const NbHtmlSection section = {.title = "s", .tables = &table, .n_tables = 1};
    const char *const html = write_and_read(
        &(NbHtmlReport){.title = "r", .sections = &section, .n_sections = 1}, &arena);
    assert_has(html, "<th>layer</th><th class=\"n\">bits</th><th class=\"n\">share</th>");
    assert_has(html, "<td>7</td><td class=\"n\">8</td><td class=\"n\">1.5x</td>");
    assert_has(html, "<td class=\"n\"></td>");
    nb_arena_release(&arena);
}

static void pictures_are_inside_the_file(void **state) {
    (void)state;
    static const struct {
        const char *bytes, *want;
    } rows[] = {/* RFC 4648, section 10 */
                {"", ""},
                {"f", "Zg=="},
                {"fo", "Zm8="},
                {"foo", "Zm9v"},
                {"foob", "Zm9vYg=="},
                {"fooba", "Zm9vYmE="},
                {"foobar", "Zm9vYmFy"},
                {"\xff\xfb\xf0", "//vw"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NbArena arena = {0};
        scratch_write(scratch("p.jpg"), rows[i].bytes);
        const NbHtmlPicture picture = {.path = scratch("p.jpg"), .title = "p"};
        const NbHtmlSection section = {.title = "s", .pictures = &picture, .n_pictures = 1};
        const char *const html = write_and_read(
            &(NbHtmlReport){.title = "r", .sections = &section, .n_sections = 1}, &arena);
        const char *at = strstr(html, "src=\"data:image/jpeg;base64,");
        assert_non_null(at);
        at += strlen("src=\"data:image/jpeg;base64,");
        assert_memory_equal(at, rows[i].want, strlen(rows[i].want));
        assert_int_equal(at[strlen(rows[i].want)], '"');
        nb_arena_release(&arena);
    }
}

static void a_picture_that_is_not_there_is_named(void **state) {
    (void)state;
    NbError err = {0};
    const NbHtmlPicture pictures[] = {{.path = "/nowhere/x.png"}, {.path = "x.exe"}};
    NbHtmlSection section = {.title = "s", .pictures = pictures, .n_pictures = 1};
    const NbHtmlReport report = {.title = "r", .sections = &section, .n_sections = 1};
    assert_int_equal(nb_html_write(scratch("none.html"), &report, &err), NB_ERR_FORMAT);
    assert_has(err.message, "/nowhere/x.png");
    section.pictures = pictures + 1;
    assert_int_equal(nb_html_write(scratch("none.html"), &report, &err), NB_ERR_ARGUMENT);
    assert_has(err.message, "x.exe: expected a picture");
    assert_false(nb_path_exists(scratch("none.html")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_cannot_become_markup),
        cmocka_unit_test(columns_of_numbers_stand_on_the_right),
        cmocka_unit_test(pictures_are_inside_the_file),
        cmocka_unit_test(a_picture_that_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, scratch_remove);
}
