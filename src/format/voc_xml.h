/* SPDX-License-Identifier: Apache-2.0
 *
 * PASCAL VOC's annotation of one picture: an XML file, read by expat. Messages are
 * path:line:column. Source: host.robots.ox.ac.uk/pascal/VOC, development kit of VOC2012, section 7;
 * labelImg and others write the same form with fractions and without some of the elements. */
#ifndef NB_FORMAT_VOC_XML_H
#define NB_FORMAT_VOC_XML_H

#include "base/arena.h"
#include "base/file.h"
#include "base/status.h"

#include <stdbool.h>

typedef struct NbVocObject {
    const char *name;
    double box[4]; /* xmin, ymin, xmax, ymax as written: finite, in any order */
    bool difficult;
    bool truncated;
    int line; /* where the object begins */
} NbVocObject;

typedef struct NbVocXml {
    const char *filename; /* "": not said */
    int width, height;    /* 0: not said. Of the picture that was annotated: it may have been
                             resized since, and boxes with it */
    int depth;
    NbVocObject *object; /* in file order */
    size_t n;
} NbVocXml;

/* Everything in `out` lives in `arena`; `bytes` need not stay. Objects need a name and a bndbox
 * with four numbers; parts of objects and elements of other tools are passed over. Documents that
 * declare entities are refused: nothing is ever expanded or fetched. */
NB_FALLIBLE nb_voc_xml_read(const char *path, NbBytes bytes, NbArena *arena, NbVocXml *out,
                            NbError *err);

/* Writes such a file, atomically. Numbers that are within a thousandth of a whole one are written
 * as whole numbers, which is what readers expect, others with three digits. */
NB_FALLIBLE nb_voc_xml_write(const char *path, const NbVocXml *voc, NbError *err);

#endif
