/* SPDX-License-Identifier: Apache-2.0 */
#include "report/html.h"

#include "base/arena.h"
#include "base/file.h"
#include "base/text.h"

#include <string.h>
#include <strings.h>

enum { PICTURE_MAX = 64 * 1024 * 1024 };

static const char style[] =
    ":root{--ink:#24292f;--soft:#6a737d;--line:#e4e7eb;--blue:#2f6fde}"
    "*{box-sizing:border-box}"
    "body{margin:0;background:#f6f7f9;color:var(--ink);"
    "font:15px/1.55 system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif}"
    "main{max-width:1120px;margin:0 auto;padding:32px 24px 48px}"
    "h1{font-size:28px;margin:0 0 4px}h2{font-size:19px;margin:0 0 14px}"
    "h3{font-size:14px;margin:18px 0 8px;color:var(--soft)}"
    ".sub{color:var(--soft);margin:0 0 18px}"
    "nav{margin:0 0 20px;font-size:14px}nav a{color:var(--blue);margin-right:16px;"
    "text-decoration:none}nav a:hover{text-decoration:underline}"
    "section{background:#fff;border:1px solid var(--line);border-radius:10px;"
    "padding:22px 24px;margin:0 0 20px}"
    ".verdict{display:flex;gap:14px;align-items:center;margin:0 0 20px;padding:14px 18px;"
    "border-radius:10px;background:#fff;border:1px solid var(--line)}"
    ".badge{font-weight:700;color:#fff;border-radius:6px;padding:3px 12px}"
    ".pass .badge{background:#1b7f4b}.fail .badge{background:#c0341d}"
    ".figures{display:flex;flex-wrap:wrap;gap:12px;margin:0 0 8px}"
    ".figure{border:1px solid var(--line);border-radius:8px;padding:10px 16px;min-width:130px}"
    ".figure b{display:block;font-size:24px;line-height:1.25}"
    ".figure span,.figure small{color:var(--soft);font-size:13px}"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;font-size:14px;min-width:40%}"
    "th,td{padding:5px 12px;border-bottom:1px solid var(--line);text-align:left;"
    "white-space:nowrap}th{color:var(--soft);font-weight:600;border-bottom-width:2px}"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}tbody "
    "tr:hover{background:#f6f8fb}"
    ".pictures{display:grid;grid-template-columns:1fr 1fr;gap:18px;margin-top:14px}"
    ".pictures figure{margin:0}.pictures .wide{grid-column:1/-1}"
    ".pictures img{width:100%;border:1px solid var(--line);border-radius:6px;background:#fff}"
    "figcaption{color:var(--soft);font-size:13px}"
    "footer{color:var(--soft);font-size:13px}"
    "@media(max-width:760px){.pictures{grid-template-columns:1fr}}"
    "@media print{body{background:#fff}section{break-inside:avoid}}";

static void put(NbText *t, const char *text) { nb_text_put(t, text, strlen(text)); }

static void put_escaped_n(NbText *t, const char *text, size_t n) {
    for (size_t i = 0; i < n; i++) {
        switch (text[i]) {
        case '&': put(t, "&amp;"); break;
        case '<': put(t, "&lt;"); break;
        case '>': put(t, "&gt;"); break;
        case '"': put(t, "&quot;"); break;
        case '\'': put(t, "&#39;"); break;
        default: nb_text_put(t, text + i, 1); break;
        }
    }
}

static void put_escaped(NbText *t, const char *text) { put_escaped_n(t, text, strlen(text)); }

/* <tag attributes>text</tag>; nothing when text is NULL. */
static void put_element(NbText *t, const char *open, const char *text, const char *close) {
    if (!text)
        return;
    put(t, open);
    put_escaped(t, text);
    put(t, close);
}

static void put_paragraphs(NbText *t, const char *text) {
    while (text && *text) {
        const char *const end = strstr(text, "\n\n");
        const size_t n = end ? (size_t)(end - text) : strlen(text);
        put(t, "<p>");
        put_escaped_n(t, text, n);
        put(t, "</p>\n");
        text = end ? end + 2 : NULL;
    }
}

static void put_base64(NbText *t, NbBytes bytes) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < bytes.size; i += 3) {
        const size_t left = bytes.size - i;
        const unsigned b0 = bytes.data[i];
        const unsigned b1 = left > 1 ? bytes.data[i + 1] : 0;
        const unsigned b2 = left > 2 ? bytes.data[i + 2] : 0;
        const unsigned word = b0 << 16 | b1 << 8 | b2;
        const char out[4] = {digits[word >> 18], digits[word >> 12 & 63],
                             left > 1 ? digits[word >> 6 & 63] : '=',
                             left > 2 ? digits[word & 63] : '='};
        nb_text_put(t, out, sizeof out);
    }
}

/* A number, perhaps with a sign of percent or a unit factor behind it. */
static bool is_number(const char *text) {
    char number[32];
    size_t n = strlen(text);
    if (n > 0 && strchr("%xkM", text[n - 1]))
        n--;
    if (n == 0 || n >= sizeof number)
        return false;
    memcpy(number, text, n);
    number[n] = '\0';
    double value = 0.0;
    return nb_parse_double(number, &value);
}

/* All its cells that say something are numbers. */
static bool is_number_column(const NbHtmlTable *table, size_t column) {
    bool any = false;
    for (size_t r = 0; r < table->rows; r++) {
        const char *const cell = table->cells[r * table->columns + column];
        if (!cell || !*cell || strcmp(cell, "-") == 0)
            continue;
        if (!is_number(cell))
            return false;
        any = true;
    }
    return any;
}

static void put_table(NbText *t, const NbHtmlTable *table) {
    put_element(t, "<h3>", table->title, "</h3>\n");
    put(t, "<div class=\"scroll\"><table><thead><tr>");
    for (size_t c = 0; c < table->columns; c++)
        put_element(t, is_number_column(table, c) ? "<th class=\"n\">" : "<th>", table->head[c],
                    "</th>");
    put(t, "</tr></thead><tbody>\n");
    for (size_t r = 0; r < table->rows; r++) {
        put(t, "<tr>");
        for (size_t c = 0; c < table->columns; c++) {
            const char *const cell = table->cells[r * table->columns + c];
            put_element(t, is_number_column(table, c) ? "<td class=\"n\">" : "<td>",
                        cell ? cell : "", "</td>");
        }
        put(t, "</tr>\n");
    }
    put(t, "</tbody></table></div>\n");
}

static const char *media_type(const char *path) {
    static const char *const known[][2] = {{".png", "image/png"},
                                           {".jpg", "image/jpeg"},
                                           {".jpeg", "image/jpeg"},
                                           {".svg", "image/svg+xml"}};
    const char *const suffix = nb_path_suffix(path);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcasecmp(suffix, known[i][0]) == 0)
            return known[i][1];
    return NULL;
}

static NB_FALLIBLE put_picture(NbText *t, const NbHtmlPicture *picture, NbArena *arena,
                               NbError *err) {
    const char *const type = media_type(picture->path);
    if (!type)
        return nb_fail(NB_ERR_ARGUMENT, err, "%s: expected a picture in .png, .jpg or .svg",
                       picture->path);
    const NbArenaMark mark = nb_arena_mark(arena);
    NbBytes bytes = {0};
    NB_TRY(nb_file_read(picture->path, PICTURE_MAX, arena, &bytes, err));
    put(t, picture->wide ? "<figure class=\"wide\">" : "<figure>");
    nb_text_printf(t, "<img alt=\"");
    put_escaped(t, picture->title ? picture->title : nb_path_name(picture->path));
    nb_text_printf(t, "\" src=\"data:%s;base64,", type);
    put_base64(t, bytes);
    put(t, "\">");
    put_element(t, "<figcaption>", picture->title, "</figcaption>");
    put(t, "</figure>\n");
    nb_arena_rewind(arena, mark);
    return NB_OK;
}

static NB_FALLIBLE put_section(NbText *t, const NbHtmlSection *s, size_t index, NbArena *arena,
                               NbError *err) {
    nb_text_printf(t, "<section id=\"s%zu\">\n", index);
    put_element(t, "<h2>", s->title, "</h2>\n");
    put_paragraphs(t, s->text);
    if (s->n_figures > 0)
        put(t, "<div class=\"figures\">");
    for (size_t i = 0; i < s->n_figures; i++) {
        put_element(t, "<div class=\"figure\"><span>", s->figures[i].name, "</span>");
        put_element(t, "<b>", s->figures[i].value, "</b>");
        put_element(t, "<small>", s->figures[i].note, "</small>");
        put(t, "</div>");
    }
    if (s->n_figures > 0)
        put(t, "</div>\n");
    for (size_t i = 0; i < s->n_tables; i++)
        put_table(t, &s->tables[i]);
    if (s->n_pictures > 0)
        put(t, "<div class=\"pictures\">\n");
    for (size_t i = 0; i < s->n_pictures; i++)
        NB_TRY(put_picture(t, &s->pictures[i], arena, err));
    if (s->n_pictures > 0)
        put(t, "</div>\n");
    put(t, "</section>\n");
    return NB_OK;
}

static void put_head(NbText *t, const NbHtmlReport *r) {
    put(t, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
           "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n");
    put_element(t, "<title>", r->title, "</title>\n");
    put(t, "<style>");
    put(t, style);
    put(t, "</style></head>\n<body><main>\n");
    put_element(t, "<h1>", r->title, "</h1>\n");
    put_element(t, "<p class=\"sub\">", r->subtitle, "</p>\n");
    if (r->verdict != NB_VERDICT_NONE) {
        const bool pass = r->verdict == NB_VERDICT_PASS;
        put(t, pass ? "<div class=\"verdict pass\"><span class=\"badge\">PASS</span>"
                    : "<div class=\"verdict fail\"><span class=\"badge\">FAIL</span>");
        put_element(t, "<span>", r->verdict_text, "</span>");
        put(t, "</div>\n");
    }
    if (r->n_sections < 3)
        return;
    put(t, "<nav>");
    for (size_t i = 0; i < r->n_sections; i++) {
        nb_text_printf(t, "<a href=\"#s%zu\">", i);
        put_element(t, "", r->sections[i].title, "");
        put(t, "</a>");
    }
    put(t, "</nav>\n");
}

static NB_FALLIBLE write_report(const char *path, const NbHtmlReport *r, NbText *t, NbArena *arena,
                                NbError *err) {
    put_head(t, r);
    for (size_t i = 0; i < r->n_sections; i++)
        NB_TRY_IN(put_section(t, &r->sections[i], i, arena, err), err, "%s", path);
    put_element(t, "<footer>", r->footer, "</footer>\n");
    put(t, "</main></body></html>\n");
    if (t->failed)
        return nb_fail_memory(err, path);
    return nb_file_write(path, t->data, t->size, err);
}

NbStatus nb_html_write(const char *path, const NbHtmlReport *report, NbError *err) {
    NbArena arena = {0};
    NbText text = {0};
    const NbStatus status = write_report(path, report, &text, &arena, err);
    nb_text_release(&text);
    nb_arena_release(&arena);
    return status;
}
