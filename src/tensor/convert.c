/* SPDX-License-Identifier: Apache-2.0
 *
 * Conversion between element types, through double (which holds every type but 64-bit integers
 * beyond 2^53 exactly; those convert among themselves without it). */
#include "tensor/tensor.h"

#include <math.h>
#include <string.h>

uint16_t nb_f32_to_f16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint32_t sign = (bits >> 16) & 0x8000U;
    const uint32_t magnitude = bits & 0x7FFFFFFFU;
    if (magnitude > 0x7F800000U) /* NaN: stays quiet */
        return (uint16_t)(sign | 0x7E00U);
    if (magnitude >= 0x477FF000U) /* 65520 and above round to infinity */
        return (uint16_t)(sign | 0x7C00U);
    if (magnitude < 0x38800000U) { /* below 2^-14: subnormal, in units of 2^-24 */
        const float scaled = fabsf(value) * 16777216.0F;
        return (uint16_t)(sign | (uint32_t)rintf(scaled));
    }
    const uint32_t odd = (magnitude >> 13) & 1U;
    return (uint16_t)(sign | ((magnitude - 0x38000000U + 0x0FFFU + odd) >> 13));
}

float nb_f16_to_f32(uint16_t half) {
    const uint32_t sign = (uint32_t)(half & 0x8000U) << 16;
    const uint32_t exponent = (half >> 10) & 0x1FU;
    const uint32_t mantissa = half & 0x3FFU;
    uint32_t bits;
    if (exponent == 0) {
        const float value = (float)mantissa * (1.0F / 16777216.0F);
        memcpy(&bits, &value, sizeof bits);
        bits |= sign;
    } else if (exponent == 31) {
        bits = sign | 0x7F800000U | (mantissa << 13);
    } else {
        bits = sign | ((exponent + 112U) << 23) | (mantissa << 13);
    }
    float out;
    memcpy(&out, &bits, sizeof out);
    return out;
}

static float bf16_to_f32(uint16_t b) {
    const uint32_t bits = (uint32_t)b << 16;
    float out;
    memcpy(&out, &bits, sizeof out);
    return out;
}

static uint16_t f32_to_bf16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7FFFFFFFU) > 0x7F800000U)
        return (uint16_t)((bits >> 16) | 0x40U);
    return (uint16_t)((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

static double load(const void *from, NbDtype type, size_t i) {
    switch (type) {
    case NB_F32: return (double)((const float *)from)[i];
    case NB_F64: return ((const double *)from)[i];
    case NB_F16: return (double)nb_f16_to_f32(((const uint16_t *)from)[i]);
    case NB_BF16: return (double)bf16_to_f32(((const uint16_t *)from)[i]);
    case NB_I8: return ((const int8_t *)from)[i];
    case NB_U8: return ((const uint8_t *)from)[i];
    case NB_I16: return ((const int16_t *)from)[i];
    case NB_U16: return ((const uint16_t *)from)[i];
    case NB_I32: return ((const int32_t *)from)[i];
    case NB_U32: return ((const uint32_t *)from)[i];
    case NB_I64: return (double)((const int64_t *)from)[i];
    case NB_U64: return (double)((const uint64_t *)from)[i];
    case NB_BOOL: return ((const uint8_t *)from)[i] != 0;
    case NB_DTYPE_COUNT: break;
    }
    return 0.0;
}

static double saturate(double v, double lo, double hi) {
    const double r = rint(v);
    return r != r ? 0.0 : r < lo ? lo : r > hi ? hi : r;
}

static int64_t to_i64(double v) {
    const double r = saturate(v, -9223372036854775808.0, 9223372036854775808.0);
    return r >= 9223372036854775808.0 ? INT64_MAX : (int64_t)r;
}

static uint64_t to_u64(double v) {
    const double r = saturate(v, 0.0, 18446744073709551616.0);
    return r >= 18446744073709551616.0 ? UINT64_MAX : (uint64_t)r;
}

static void store(void *to, NbDtype type, size_t i, double v) {
    switch (type) {
    case NB_F32: ((float *)to)[i] = (float)v; break;
    case NB_F64: ((double *)to)[i] = v; break;
    case NB_F16: ((uint16_t *)to)[i] = nb_f32_to_f16((float)v); break;
    case NB_BF16: ((uint16_t *)to)[i] = f32_to_bf16((float)v); break;
    case NB_I8: ((int8_t *)to)[i] = (int8_t)saturate(v, INT8_MIN, INT8_MAX); break;
    case NB_U8: ((uint8_t *)to)[i] = (uint8_t)saturate(v, 0, UINT8_MAX); break;
    case NB_I16: ((int16_t *)to)[i] = (int16_t)saturate(v, INT16_MIN, INT16_MAX); break;
    case NB_U16: ((uint16_t *)to)[i] = (uint16_t)saturate(v, 0, UINT16_MAX); break;
    case NB_I32: ((int32_t *)to)[i] = (int32_t)saturate(v, INT32_MIN, INT32_MAX); break;
    case NB_U32: ((uint32_t *)to)[i] = (uint32_t)saturate(v, 0, UINT32_MAX); break;
    case NB_I64: ((int64_t *)to)[i] = to_i64(v); break;
    case NB_U64: ((uint64_t *)to)[i] = to_u64(v); break;
    case NB_BOOL: ((uint8_t *)to)[i] = v != 0.0; break;
    case NB_DTYPE_COUNT: break;
    }
}

void nb_convert(const void *from, NbDtype from_type, void *to, NbDtype to_type, size_t n) {
    if (n == 0)
        return;
    if (from_type == to_type) {
        memcpy(to, from, n * nb_dtype_size(to_type));
        return;
    }
    const bool wide =
        (from_type == NB_I64 || from_type == NB_U64) && (to_type == NB_I64 || to_type == NB_U64);
    for (size_t i = 0; i < n; i++) {
        if (wide && to_type == NB_I64) {
            const uint64_t v = ((const uint64_t *)from)[i];
            ((int64_t *)to)[i] = v > INT64_MAX ? INT64_MAX : (int64_t)v;
        } else if (wide) {
            const int64_t v = ((const int64_t *)from)[i];
            ((uint64_t *)to)[i] = v < 0 ? 0 : (uint64_t)v;
        } else {
            store(to, to_type, i, load(from, from_type, i));
        }
    }
}
