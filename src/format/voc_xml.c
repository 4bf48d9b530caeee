/* SPDX-License-Identifier: Apache-2.0 */
#include "format/voc_xml.h"

#include "base/text.h"

#include <expat.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    DEPTH_MAX = 32,
    PATH_MAX_BYTES = 256,
    TEXT_MAX = 4096,
    OBJECTS_MAX = 1 << 20,
    SIDE_MAX = 1 << 24
};

/* What was found of the object that is being read. */
enum { HAS_NAME = 1 << 4, HAS_ALL = (1 << 5) - 1 };

typedef struct Reader {
    XML_Parser parser;
    const char *file;
    NbArena *arena;
    NbVocXml *out;
    size_t room;
    unsigned has;            /* bits 0 to 3: corners, then HAS_NAME */
    char at[PATH_MAX_BYTES]; /* "/annotation/object/name" */
    size_t start[DEPTH_MAX]; /* where each name begins in `at` */
    int depth;
    char text[TEXT_MAX]; /* of the innermost element */
    size_t n_text;
    NbStatus status; /* of the first failure */
    NbError *err;
} Reader;

/* From 1. Newer versions of expat deprecate the calls that older ones have alone. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
static unsigned long line_of(XML_Parser parser) { return XML_GetCurrentLineNumber(parser); }

static unsigned long column_of(XML_Parser parser) { return XML_GetCurrentColumnNumber(parser) + 1; }
#pragma GCC diagnostic pop

/* The first failure stops the parser and stays. */
__attribute__((format(printf, 3, 4))) static void stop(Reader *r, NbStatus status,
                                                       const char *format, ...) {
    if (r->status != NB_OK)
        return;
    char why[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(why, sizeof why, format, args);
    va_end(args);
    r->status = nb_fail(status, r->err, "%s:%lu:%lu: %s", r->file, line_of(r->parser),
                        column_of(r->parser), why);
    (void)XML_StopParser(r->parser, XML_FALSE);
}

static bool grow(Reader *r) {
    if (r->out->n < r->room)
        return true;
    const size_t room = r->room ? 2 * r->room : 16;
    NbVocObject *const more = NB_NEW(r->arena, NbVocObject, room);
    if (!more)
        return false;
    if (r->out->n)
        memcpy(more, r->out->object, r->out->n * sizeof *more);
    r->out->object = more;
    r->room = room;
    return true;
}

static void begin_object(Reader *r) {
    if (r->out->n >= OBJECTS_MAX) {
        stop(r, NB_ERR_FORMAT, "more than %d objects", OBJECTS_MAX);
        return;
    }
    if (!grow(r)) {
        stop(r, NB_ERR_NOMEM, "out of memory for objects");
        return;
    }
    r->has = 0;
    r->out->object[r->out->n] = (NbVocObject){.name = "", .line = (int)line_of(r->parser)};
}

static void XMLCALL on_start(void *user, const XML_Char *name, const XML_Char **attribute) {
    Reader *const r = user;
    (void)attribute;
    const size_t used = r->depth ? strlen(r->at) : 0;
    const size_t n = strlen(name);
    if (r->depth == 0 && strcmp(name, "annotation") != 0) {
        stop(r, NB_ERR_FORMAT, "<%.60s>, expected <annotation>", name);
        return;
    }
    if (r->depth >= DEPTH_MAX || used + n + 2 > sizeof r->at) {
        stop(r, NB_ERR_FORMAT, "elements are nested too deeply");
        return;
    }
    r->start[r->depth++] = used;
    r->at[used] = '/';
    memcpy(r->at + used + 1, name, n + 1);
    r->n_text = 0;
    if (strcmp(r->at, "/annotation/object") == 0)
        begin_object(r);
}

static void XMLCALL on_text(void *user, const XML_Char *text, int n) {
    Reader *const r = user;
    if (r->n_text + (size_t)n >= sizeof r->text)
        stop(r, NB_ERR_FORMAT, "an element with more than %d characters", TEXT_MAX);
    else {
        memcpy(r->text + r->n_text, text, (size_t)n);
        r->n_text += (size_t)n;
    }
}

/* The text of the element that ends, without blanks around it. */
static const char *trimmed(Reader *r) {
    static const char blanks[] = " \t\r\n";
    while (r->n_text && strchr(blanks, r->text[r->n_text - 1]))
        r->n_text--;
    r->text[r->n_text] = '\0';
    return r->text + strspn(r->text, blanks);
}

static void read_side(Reader *r, const char *what, int *out) {
    double v;
    const char *const text = trimmed(r);
    if (!nb_parse_double(text, &v) || v < 0.0 || v > SIDE_MAX || v != floor(v))
        stop(r, NB_ERR_FORMAT, "%s is '%.40s', expected a number of pixels", what, text);
    else
        *out = (int)v;
}

static void read_flag(Reader *r, const char *what, bool *out) {
    const char *const text = trimmed(r);
    double v = 0.0;
    if (*text && !nb_parse_double(text, &v) && strcmp(text, "Unspecified") != 0)
        stop(r, NB_ERR_FORMAT, "%s is '%.40s', expected 0 or 1", what, text);
    *out = v != 0.0;
}

static void read_name(Reader *r, const char **out) {
    *out = nb_arena_string(r->arena, trimmed(r));
    if (!*out)
        stop(r, NB_ERR_NOMEM, "out of memory for a name");
}

static void end_object(Reader *r) {
    static const char *const names[] = {"xmin", "ymin", "xmax", "ymax", "name"};
    for (int i = 0; i < 5; i++)
        if (!(r->has >> i & 1U)) {
            stop(r, NB_ERR_FORMAT, "the object of line %d has no %s",
                 r->out->object[r->out->n].line, names[i]);
            return;
        }
    r->out->n++;
}

static void read_in_object(Reader *r, const char *element) {
    static const char *const corner[] = {"bndbox/xmin", "bndbox/ymin", "bndbox/xmax",
                                         "bndbox/ymax"};
    NbVocObject *const o = &r->out->object[r->out->n];
    if (strcmp(element, "name") == 0) {
        read_name(r, &o->name);
        r->has |= o->name && *o->name ? HAS_NAME : 0U;
    } else if (strcmp(element, "difficult") == 0)
        read_flag(r, element, &o->difficult);
    else if (strcmp(element, "truncated") == 0)
        read_flag(r, element, &o->truncated);
    for (unsigned i = 0; i < 4; i++)
        if (strcmp(element, corner[i]) == 0) {
            const char *const text = trimmed(r);
            if (!nb_parse_double(text, &o->box[i]))
                stop(r, NB_ERR_FORMAT, "%s is '%.40s', expected a number", corner[i] + 7, text);
            r->has |= 1U << i;
        }
}

static void XMLCALL on_end(void *user, const XML_Char *name) {
    static const char object[] = "/annotation/object/";
    Reader *const r = user;
    (void)name;
    if (r->status != NB_OK || r->depth == 0)
        return;
    if (strcmp(r->at, "/annotation/object") == 0)
        end_object(r);
    else if (strncmp(r->at, object, sizeof object - 1) == 0)
        read_in_object(r, r->at + sizeof object - 1);
    else if (strcmp(r->at, "/annotation/filename") == 0)
        read_name(r, &r->out->filename);
    else if (strcmp(r->at, "/annotation/size/width") == 0)
        read_side(r, "width", &r->out->width);
    else if (strcmp(r->at, "/annotation/size/height") == 0)
        read_side(r, "height", &r->out->height);
    else if (strcmp(r->at, "/annotation/size/depth") == 0)
        read_side(r, "depth", &r->out->depth);
    r->at[r->start[--r->depth]] = '\0';
    r->n_text = 0;
}

/* Entities are how a small document becomes a large one, or another file. Expat's callback. */
/* NOLINTNEXTLINE(readability-function-size) */
static void XMLCALL on_entity(void *user, const XML_Char *name, int parameter,
                              const XML_Char *value, int length, const XML_Char *base,
                              const XML_Char *system, const XML_Char *public_id,
                              const XML_Char *notation) {
    Reader *const r = user;
    (void)parameter, (void)value, (void)length, (void)base;
    (void)system, (void)public_id, (void)notation;
    stop(r, NB_ERR_FORMAT, "the document declares the entity '%.60s': refused", name);
}

static NbStatus parse(Reader *r, NbBytes bytes) {
    XML_SetUserData(r->parser, r);
    XML_SetElementHandler(r->parser, on_start, on_end);
    XML_SetCharacterDataHandler(r->parser, on_text);
    XML_SetEntityDeclHandler(r->parser, on_entity);
    if (XML_Parse(r->parser, (const char *)bytes.data, (int)bytes.size, 1) == XML_STATUS_ERROR &&
        r->status == NB_OK) {
        const enum XML_Error code = XML_GetErrorCode(r->parser);
        if (code == XML_ERROR_NO_MEMORY)
            return nb_fail_memory(r->err, r->file);
        return nb_fail(NB_ERR_FORMAT, r->err, "%s:%lu:%lu: %s", r->file, line_of(r->parser),
                       column_of(r->parser), XML_ErrorString(code));
    }
    return r->status;
}

NbStatus nb_voc_xml_read(const char *path, NbBytes bytes, NbArena *arena, NbVocXml *out,
                         NbError *err) {
    *out = (NbVocXml){.filename = ""};
    if (bytes.size > 64U << 20)
        return nb_fail(NB_ERR_FORMAT, err, "%s: %zu bytes of XML, expected at most 64 MiB", path,
                       bytes.size);
    Reader r = {.file = path, .arena = arena, .out = out, .err = err};
    r.parser = XML_ParserCreate(NULL);
    if (!r.parser)
        return nb_fail_memory(err, path);
    const NbStatus status = parse(&r, bytes);
    XML_ParserFree(r.parser);
    if (status != NB_OK)
        *out = (NbVocXml){.filename = ""};
    return status;
}

/* ---- writing ---- */

static void put_escaped(NbText *t, const char *text) {
    for (; *text; text++) {
        switch (*text) {
        case '&': nb_text_printf(t, "&amp;"); break;
        case '<': nb_text_printf(t, "&lt;"); break;
        case '>': nb_text_printf(t, "&gt;"); break;
        default: nb_text_put(t, text, 1);
        }
    }
}

static void put_number(NbText *t, const char *name, double v) {
    const double whole = rint(v);
    if (fabs(v - whole) < 1e-3)
        nb_text_printf(t, "      <%s>%.0f</%s>\n", name, whole + 0.0, name);
    else
        nb_text_printf(t, "      <%s>%.3f</%s>\n", name, v, name);
}

static void put_object(NbText *t, const NbVocObject *o) {
    static const char *const corner[] = {"xmin", "ymin", "xmax", "ymax"};
    nb_text_printf(t, "  <object>\n    <name>");
    put_escaped(t, o->name);
    nb_text_printf(t,
                   "</name>\n    <pose>Unspecified</pose>\n    <truncated>%d</truncated>\n"
                   "    <difficult>%d</difficult>\n    <bndbox>\n",
                   o->truncated, o->difficult);
    for (int i = 0; i < 4; i++)
        put_number(t, corner[i], o->box[i]);
    nb_text_printf(t, "    </bndbox>\n  </object>\n");
}

NbStatus nb_voc_xml_write(const char *path, const NbVocXml *voc, NbError *err) {
    NbText t = {0};
    nb_text_printf(&t, "<annotation>\n  <filename>");
    put_escaped(&t, voc->filename);
    nb_text_printf(&t,
                   "</filename>\n  <size>\n    <width>%d</width>\n    <height>%d</height>\n"
                   "    <depth>%d</depth>\n  </size>\n  <segmented>0</segmented>\n",
                   voc->width, voc->height, voc->depth ? voc->depth : 3);
    for (size_t i = 0; i < voc->n; i++)
        put_object(&t, &voc->object[i]);
    nb_text_printf(&t, "</annotation>\n");
    const NbStatus status =
        t.failed ? nb_fail_memory(err, path) : nb_file_write(path, t.data, t.size, err);
    nb_text_release(&t);
    return status;
}
