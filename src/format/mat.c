/* SPDX-License-Identifier: Apache-2.0 */
#include "format/mat.h"

#ifndef NB_HAVE_MATIO

bool nb_mat_available(void) { return false; }

NbStatus nb_mat_read(const char *path, const char *const *name, size_t n, NbArena *arena,
                     NbMat *out, NbError *err) {
    (void)name;
    (void)arena;
    for (size_t i = 0; i < n; i++)
        out[i] = (NbMat){.kind = NB_MAT_OTHER};
    return nb_fail(NB_ERR_UNSUPPORTED, err,
                   "%s: MATLAB files are not in this build: install libmatio-dev and build again",
                   path);
}

#else

#include "base/file.h"
#include "base/size.h"

#include <matio.h>

enum { DEEPEST = 8 };

bool nb_mat_available(void) { return true; }

/* false: not a number that is read here. */
static bool number_at(const matvar_t *v, size_t i, double *out) {
    const void *const data = v->data;
    switch ((int)v->class_type) {
    case MAT_C_DOUBLE: *out = ((const double *)data)[i]; break;
    case MAT_C_SINGLE: *out = (double)((const float *)data)[i]; break;
    case MAT_C_INT8: *out = (double)((const int8_t *)data)[i]; break;
    case MAT_C_UINT8: *out = (double)((const uint8_t *)data)[i]; break;
    case MAT_C_INT16: *out = (double)((const int16_t *)data)[i]; break;
    case MAT_C_UINT16: *out = (double)((const uint16_t *)data)[i]; break;
    case MAT_C_INT32: *out = (double)((const int32_t *)data)[i]; break;
    case MAT_C_UINT32: *out = (double)((const uint32_t *)data)[i]; break;
    default: return false;
    }
    return !v->isComplex;
}

static NB_FALLIBLE take_numbers(const matvar_t *v, size_t n, NbArena *arena, NbMat *out,
                                NbError *err) {
    out->number = NB_NEW(arena, double, n);
    if (!out->number)
        return nb_fail_memory(err, "numbers");
    out->kind = NB_MAT_NUMBERS;
    for (size_t i = 0; i < n; i++)
        if (!number_at(v, i, &out->number[i]))
            out->kind = NB_MAT_OTHER;
    return NB_OK;
}

static NB_FALLIBLE take_text(const matvar_t *v, size_t n, NbArena *arena, NbMat *out,
                             NbError *err) {
    const bool wide = v->data_type == MAT_T_UTF16 || v->data_type == MAT_T_UINT16;
    const bool narrow =
        v->data_type == MAT_T_UTF8 || v->data_type == MAT_T_UINT8 || v->data_type == MAT_T_INT8;
    if (!wide && !narrow)
        return NB_OK; /* other */
    out->text = nb_arena_take(arena, n + 1, 1);
    if (!out->text)
        return nb_fail_memory(err, "text");
    for (size_t i = 0; i < n; i++) {
        const unsigned c =
            wide ? ((const uint16_t *)v->data)[i] : ((const unsigned char *)v->data)[i];
        out->text[i] = c >= 0x20 && c < 0x7f ? (char)c : '?';
    }
    out->kind = NB_MAT_TEXT;
    return NB_OK;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as cells nest, which is bounded */
static NB_FALLIBLE take(const matvar_t *v, int depth, NbArena *arena, NbMat *out, NbError *err) {
    *out = (NbMat){.kind = NB_MAT_OTHER};
    size_t n = 0;
    if (!v || v->rank != 2 || !nb_mul_size(v->dims[0], v->dims[1], &n))
        return NB_OK;
    if (n && !v->data)
        return nb_fail(NB_ERR_FORMAT, err, "%zu values announced, none there", n);
    out->rows = v->dims[0];
    out->columns = v->dims[1];
    if (v->class_type == MAT_C_CHAR)
        return take_text(v, n, arena, out, err);
    if (v->class_type != MAT_C_CELL)
        return take_numbers(v, n, arena, out, err);
    if (depth == DEEPEST)
        return nb_fail(NB_ERR_FORMAT, err, "cells more than %d deep", DEEPEST);
    out->cell = NB_NEW(arena, NbMat, n);
    if (!out->cell)
        return nb_fail_memory(err, "cells");
    out->kind = NB_MAT_CELLS;
    for (size_t i = 0; i < n; i++)
        NB_TRY(take(((matvar_t *const *)v->data)[i], depth + 1, arena, &out->cell[i], err));
    return NB_OK;
}

static NB_FALLIBLE take_variable(mat_t *mat, const char *name, NbArena *arena, NbMat *out,
                                 NbError *err) {
    matvar_t *const v = Mat_VarRead(mat, name);
    if (!v)
        return nb_fail(NB_ERR_FORMAT, err, "no variable '%s'", name);
    const NbStatus status = take(v, 0, arena, out, err);
    Mat_VarFree(v);
    return status == NB_OK ? NB_OK : nb_fail_in(status, err, "%s", name);
}

NbStatus nb_mat_read(const char *path, const char *const *name, size_t n, NbArena *arena,
                     NbMat *out, NbError *err) {
    if (!nb_path_exists(path))
        return nb_fail(NB_ERR_IO, err, "%s: no such file", path);
    mat_t *const mat = nb_path_is_folder(path) ? NULL : Mat_Open(path, MAT_ACC_RDONLY);
    if (!mat)
        return nb_fail(NB_ERR_FORMAT, err, "%s: not a MATLAB file", path);
    NbStatus status = NB_OK;
    for (size_t i = 0; i < n && status == NB_OK; i++)
        status = take_variable(mat, name[i], arena, &out[i], err);
    (void)Mat_Close(mat);
    return status == NB_OK ? NB_OK : nb_fail_in(status, err, "%s", path);
}

#endif
