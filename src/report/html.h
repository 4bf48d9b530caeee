/* SPDX-License-Identifier: Apache-2.0
 *
 * report.html: one file that needs nothing beside it and no network. Pictures are embedded; every
 * text is escaped. The same input gives the same bytes. */
#ifndef NB_REPORT_HTML_H
#define NB_REPORT_HTML_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

/* A number with its name, shown large. */
typedef struct NbHtmlFigure {
    const char *name;
    const char *value;
    const char *note; /* small, below; NULL: none */
} NbHtmlFigure;

typedef struct NbHtmlTable {
    const char *title;        /* NULL: none */
    const char *const *head;  /* [columns] */
    const char *const *cells; /* [rows][columns]; NULL: empty. Numbers stand on the right */
    size_t columns;
    size_t rows;
} NbHtmlTable;

/* A .png, .jpg, .jpeg or .svg file. */
typedef struct NbHtmlPicture {
    const char *path;
    const char *title; /* NULL: none */
    bool wide;         /* over the whole width; else two stand side by side */
} NbHtmlPicture;

/* Text, figures, tables and pictures in this order; any of them may be absent. */
typedef struct NbHtmlSection {
    const char *title;
    const char *text; /* blank lines part paragraphs */
    const NbHtmlFigure *figures;
    size_t n_figures;
    const NbHtmlTable *tables;
    size_t n_tables;
    const NbHtmlPicture *pictures;
    size_t n_pictures;
} NbHtmlSection;

typedef enum NbVerdict { NB_VERDICT_NONE, NB_VERDICT_PASS, NB_VERDICT_FAIL } NbVerdict;

typedef struct NbHtmlReport {
    const char *title;
    const char *subtitle; /* NULL: none */
    NbVerdict verdict;
    const char *verdict_text; /* one sentence beside it */
    const NbHtmlSection *sections;
    size_t n_sections;
    const char *footer; /* versions, date; NULL: none */
} NbHtmlReport;

/* NB_ERR_FORMAT: a picture is not there; NB_ERR_ARGUMENT: its kind is not one of the above. */
NB_FALLIBLE nb_html_write(const char *path, const NbHtmlReport *report, NbError *err);

#endif
