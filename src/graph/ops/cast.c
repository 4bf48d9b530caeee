/* SPDX-License-Identifier: Apache-2.0
 *
 * CAST: what another type can hold. QUANTIZE: codes with a scale that a file gives. */
#include "graph/run.h"

#include <math.h>
#include <string.h>

static NB_FALLIBLE infer_cast(const NbGraph *g, const NbNode *node, NbShape *out, NbError *err) {
    const NbCastAttr *a = &node->attr.cast;
    NB_TRY(nb_infer_numbers(g, node, 0, err));
    if ((a->kind == NB_CAST_INTEGER && (a->bits < 1 || a->bits > 64)) ||
        (a->kind == NB_CAST_FLOAT &&
         (a->exponent < 1 || a->exponent > 8 || a->mantissa < 0 || a->mantissa > 23)))
        return nb_fail(NB_ERR_ARGUMENT, err, "no such type: %d bits, exponent %d, mantissa %d",
                       a->bits, a->exponent, a->mantissa);
    *out = *nb_in_shape(g, node, 0);
    return NB_OK;
}

/* Towards zero; out of range the low bits stay, as in a cast in C through a wider integer. Beyond
 * 32 bits float32 has no low bits to keep: the nearest end. */
static double to_integer(const NbCastAttr *a, double x) {
    const double span = ldexp(1.0, a->bits);
    const double lo = a->is_signed ? -span / 2.0 : 0.0;
    const double hi = a->is_signed ? span / 2.0 - 1.0 : span - 1.0;
    if (isnan(x))
        return 0.0;
    x = trunc(x);
    if (x >= lo && x <= hi)
        return x;
    if (a->bits > 32 || isinf(x))
        return x < lo ? lo : hi;
    const double wrapped = x - floor((x - lo) / span) * span;
    return wrapped;
}

static double power_of_two(const NbCastAttr *a, double x) {
    int e = 0;
    if (isnan(x))
        return (double)NAN;
    if (!(x > 0.0))
        return x == 0.0 ? ldexp(1.0, -a->bias) : (double)NAN;
    if (isinf(x))
        return a->saturate ? ldexp(1.0, a->bias) : (double)NAN;
    const double m = frexp(x, &e); /* x = m 2^e, m in [1/2, 1) */
    const bool up =
        m > 0.5 && (a->round == NB_CAST_UP || (a->round == NB_CAST_NEAREST && m >= 0.75));
    const int exponent = up ? e : e - 1;
    if (exponent > a->bias)
        return a->saturate ? ldexp(1.0, a->bias) : (double)NAN;
    return ldexp(1.0, exponent < -a->bias ? -a->bias : exponent);
}

/* The largest finite number. */
static double largest_of(const NbCastAttr *a) {
    const int top = (1 << a->exponent) - 1 - (a->style == NB_CAST_IEEE) - a->bias;
    const double steps = ldexp(1.0, a->mantissa);
    const double missing = a->style == NB_CAST_NO_INFINITY ? 2.0 : 1.0; /* all ones is NaN */
    return ldexp(2.0 * steps - missing, top - a->mantissa);
}

static double to_float(const NbCastAttr *a, double x) {
    int e = 0;
    if (a->mantissa == 0)
        return power_of_two(a, x);
    const double most = largest_of(a);
    if (isnan(x))
        return a->style == NB_CAST_FINITE ? -0.0 : x; /* it has no NaN; so do the vectors have it */
    if (x == 0.0)
        return a->style == NB_CAST_UNSIGNED_ZERO ? 0.0 : x;
    double r = x;
    if (!isinf(x)) {
        (void)frexp(x, &e);
        const int least = 1 - a->bias;
        const int exponent = (e - 1 < least ? least : e - 1) - a->mantissa;
        r = ldexp(rint(ldexp(x, -exponent)), exponent);
    }
    if (fabs(r) > most) {
        if (a->saturate || a->style == NB_CAST_FINITE)
            return copysign(most, x);
        return a->style == NB_CAST_IEEE ? copysign((double)INFINITY, x) : (double)NAN;
    }
    return r == 0.0 && a->style == NB_CAST_UNSIGNED_ZERO ? 0.0 : r;
}

static NB_FALLIBLE forward_cast(NbRun *run, NbNodeId id, NbError *err) {
    const NbNode *node = &run->g->node[id];
    const NbCastAttr *a = &node->attr.cast;
    const size_t count = nb_shape_count(&node->shape);
    const float *x = NULL;
    NB_TRY(nb_run_real(run, id, 0, &x, err));
    NB_TRY(nb_run_new(run, id, NB_F32, err));
    float *y = nb_f32(&run->value[id].t);
    for (size_t i = 0; i < count; i++)
        y[i] = a->kind == NB_CAST_BOOL      ? (x[i] != 0.0F ? 1.0F : 0.0F)
               : a->kind == NB_CAST_INTEGER ? (float)to_integer(a, (double)x[i])
                                            : (float)to_float(a, (double)x[i]);
    return NB_OK;
}

static NB_FALLIBLE infer_quantize(const NbGraph *g, const NbNode *node, NbShape *out,
                                  NbError *err) {
    const NbQuantizeAttr *a = &node->attr.quantize;
    NB_TRY(nb_infer_numbers(g, node, 0, err));
    NB_TRY(nb_infer_param(g, node, 1, NB_F32, 0, err));
    *out = *nb_in_shape(g, node, 0);
    const size_t scales = nb_shape_count(nb_in_shape(g, node, 1));
    if (scales != 1 && (!a->codes || a->real || out->rank < 1 || (int64_t)scales != out->dim[0]))
        return nb_fail(NB_ERR_ARGUMENT, err, "%zu scales, one expected", scales);
    if (a->grid.bits < 1 || a->grid.bits > 32)
        return nb_fail(NB_ERR_ARGUMENT, err, "%d bits, 1 to 32 expected", a->grid.bits);
    return NB_OK;
}

static NB_FALLIBLE forward_quantize(NbRun *run, NbNodeId id, NbError *err) {
    const NbNode *node = &run->g->node[id];
    const NbQuantizeAttr *a = &node->attr.quantize;
    const NbTensor *scale = &nb_run_in(run, id, 1)->t;
    const size_t count = nb_shape_count(&node->shape);
    const float lo = (float)nb_grid_lo(a->grid);
    const float hi = (float)nb_grid_hi(a->grid);
    const float *x = NULL;
    NB_TRY(nb_run_real(run, id, 0, &x, err));
    NB_TRY(nb_run_new(run, id, NB_F32, err));
    NbValue *v = &run->value[id];
    float *y = nb_f32(&v->t);
    v->coded = (run->quantizers || a->codes) && !a->real;
    if (!run->quantizers && !a->codes && !a->real) {
        memcpy(y, x, count * sizeof *y);
        return NB_OK;
    }
    if (v->coded) {
        v->scale = nb_f32(scale);
        v->n_scale = nb_tensor_count(scale);
        v->zero = a->zero;
        v->grid = a->grid;
    }
    for (size_t i = 0; i < count; i++) {
        const float code = a->codes ? x[i] : rintf(x[i] / nb_f32(scale)[0]) + a->zero;
        y[i] = code < lo ? lo : code > hi ? hi : code;
        if (a->real)
            y[i] = (y[i] - a->zero) * nb_f32(scale)[0];
    }
    return NB_OK;
}

const NbOpDef nb_op_cast = {
    .name = "CAST", .min_in = 1, .max_in = 1, .infer = infer_cast, .forward = forward_cast};
const NbOpDef nb_op_quantize = {.name = "QUANTIZE",
                                .min_in = 2,
                                .max_in = 2,
                                .infer = infer_quantize,
                                .forward = forward_quantize};
