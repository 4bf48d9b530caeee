/* SPDX-License-Identifier: Apache-2.0
 *
 * Element types: what they hold, how they are read, how they round. */
#include "model/onnx/builder.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

bool nb_onnx_is_integer(int type) {
    switch (type) {
    case NB_ONNX_UINT8:
    case NB_ONNX_INT8:
    case NB_ONNX_UINT16:
    case NB_ONNX_INT16:
    case NB_ONNX_INT32:
    case NB_ONNX_INT64:
    case NB_ONNX_UINT32:
    case NB_ONNX_UINT64:
    case NB_ONNX_UINT4:
    case NB_ONNX_INT4:
    case NB_ONNX_UINT2:
    case NB_ONNX_INT2: return true;
    default: return false;
    }
}

static bool is_signed(int type) {
    return type == NB_ONNX_INT8 || type == NB_ONNX_INT16 || type == NB_ONNX_INT32 ||
           type == NB_ONNX_INT64 || type == NB_ONNX_INT4 || type == NB_ONNX_INT2;
}

bool nb_onnx_cast_attr(int type, bool saturate, NbCastAttr *out) {
    *out = (NbCastAttr){.kind = NB_CAST_FLOAT, .saturate = saturate};
    if (nb_onnx_is_integer(type)) {
        *out = (NbCastAttr){
            .kind = NB_CAST_INTEGER, .bits = nb_onnx_type_bits(type), .is_signed = is_signed(type)};
        return true;
    }
    static const struct {
        int type, exponent, mantissa, bias, style;
    } rows[] = {
        {NB_ONNX_FLOAT16, 5, 10, 15, NB_CAST_IEEE},
        {NB_ONNX_BFLOAT16, 8, 7, 127, NB_CAST_IEEE},
        {NB_ONNX_FLOAT8E4M3FN, 4, 3, 7, NB_CAST_NO_INFINITY},
        {NB_ONNX_FLOAT8E4M3FNUZ, 4, 3, 8, NB_CAST_UNSIGNED_ZERO},
        {NB_ONNX_FLOAT8E5M2, 5, 2, 15, NB_CAST_IEEE},
        {NB_ONNX_FLOAT8E5M2FNUZ, 5, 2, 16, NB_CAST_UNSIGNED_ZERO},
        {NB_ONNX_FLOAT4E2M1, 2, 1, 1, NB_CAST_FINITE},
        {NB_ONNX_FLOAT8E8M0, 8, 0, 127, NB_CAST_FINITE},
    };
    if (type == NB_ONNX_BOOL) {
        out->kind = NB_CAST_BOOL;
        return true;
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].type == type) {
            out->exponent = rows[i].exponent;
            out->mantissa = rows[i].mantissa;
            out->bias = rows[i].bias;
            out->style = rows[i].style;
            if (type == NB_ONNX_FLOAT16 || type == NB_ONNX_BFLOAT16)
                out->saturate = false;
            return true;
        }
    return false;
}

/* A code of a float of 8 or 4 bits. */
static float small_float(const NbCastAttr *a, unsigned code) {
    const int bits = 1 + a->exponent + a->mantissa;
    const unsigned fields = code & ((1U << (bits - 1)) - 1U);
    const bool negative = code >> (bits - 1) & 1U;
    const unsigned e = fields >> a->mantissa;
    const unsigned m = fields & ((1U << a->mantissa) - 1U);
    const unsigned top = (1U << a->exponent) - 1U;
    if (a->mantissa == 0) /* an exponent alone, without a sign */
        return code == 255 ? NAN : ldexpf(1.0F, (int)code - a->bias);
    if (a->style == NB_CAST_UNSIGNED_ZERO && negative && fields == 0)
        return NAN;
    if (a->style == NB_CAST_NO_INFINITY && e == top && m == (1U << a->mantissa) - 1U)
        return NAN;
    if (a->style == NB_CAST_IEEE && e == top)
        return m ? NAN : negative ? -INFINITY : INFINITY;
    const float fraction = (float)m + (e ? (float)(1U << a->mantissa) : 0.0F);
    const float value = ldexpf(fraction, (int)(e ? e : 1U) - a->bias - a->mantissa);
    return negative ? -value : value;
}

static void unpack(const NbOnnxTensor *t, size_t n, float *out) {
    const int bits = nb_onnx_type_bits(t->type);
    const unsigned mask = (1U << bits) - 1U;
    const unsigned char *bytes = t->data;
    NbCastAttr a;
    (void)nb_onnx_cast_attr(t->type, true, &a);
    for (size_t i = 0; i < n; i++) {
        const size_t bit = i * (size_t)bits;
        const unsigned code = (unsigned)bytes[bit / 8] >> (bit % 8) & mask;
        if (a.kind == NB_CAST_FLOAT)
            out[i] = small_float(&a, code);
        else
            out[i] = (float)((int)code - (a.is_signed && code >> (bits - 1) ? 1 << bits : 0));
    }
}

static NbDtype dtype_of(int type) {
    switch (type) {
    case NB_ONNX_FLOAT: return NB_F32;
    case NB_ONNX_UINT8: return NB_U8;
    case NB_ONNX_INT8: return NB_I8;
    case NB_ONNX_UINT16: return NB_U16;
    case NB_ONNX_INT16: return NB_I16;
    case NB_ONNX_INT32: return NB_I32;
    case NB_ONNX_INT64: return NB_I64;
    case NB_ONNX_BOOL: return NB_BOOL;
    case NB_ONNX_FLOAT16: return NB_F16;
    case NB_ONNX_DOUBLE: return NB_F64;
    case NB_ONNX_UINT32: return NB_U32;
    case NB_ONNX_UINT64: return NB_U64;
    case NB_ONNX_BFLOAT16: return NB_BF16;
    default: return NB_DTYPE_COUNT;
    }
}

NbDtype nb_onnx_npy_type(int type) {
    if (type == NB_ONNX_INT4 || type == NB_ONNX_INT2)
        return NB_I8;
    if (type == NB_ONNX_UINT4 || type == NB_ONNX_UINT2)
        return NB_U8;
    const NbDtype dtype = dtype_of(type);
    return dtype == NB_DTYPE_COUNT || dtype == NB_BF16 ? NB_F32 : dtype;
}

/* Wide integers must survive, but for those that only mean "to the end". */
static NB_FALLIBLE check_exact(const NbOnnxTensor *t, NbDtype dtype, const float *real, size_t n,
                               NbError *err) {
    const double beyond = 9007199254740992.0; /* 2^53 */
    for (size_t i = 0; i < n; i++) {
        double v = 0.0;
        nb_convert((const char *)t->data + i * nb_dtype_size(dtype), dtype, &v, NB_F64, 1);
        if (v != (double)real[i] && fabs(v) < beyond)
            return nb_fail(NB_ERR_UNSUPPORTED, err,
                           "element %zu is %.0f, an integer that float32 does not hold", i, v);
    }
    return NB_OK;
}

NbStatus nb_onnx_real(const NbOnnxTensor *t, NbArena *arena, NbTensor *out, NbError *err) {
    NB_TRY(nb_tensor_new(arena, NB_F32, &t->shape, out, err));
    const size_t n = nb_tensor_count(out);
    const NbDtype dtype = dtype_of(t->type);
    if (dtype != NB_DTYPE_COUNT) {
        if (n)
            nb_convert(t->data, dtype, out->data, NB_F32, n);
        return nb_onnx_is_integer(t->type) && nb_onnx_type_bits(t->type) >= 32
                   ? check_exact(t, dtype, nb_f32(out), n, err)
                   : NB_OK;
    }
    NbCastAttr a;
    if (!nb_onnx_cast_attr(t->type, true, &a))
        return nb_fail(NB_ERR_UNSUPPORTED, err, "element type %s", nb_onnx_type_name(t->type));
    unpack(t, n, nb_f32(out));
    return NB_OK;
}
