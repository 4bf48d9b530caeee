/* SPDX-License-Identifier: Apache-2.0
 *
 * What a plain scalar means: the patterns of PyYAML's resolver (YAML 1.1), with exponents that need
 * neither a dot nor a sign. Source: pyyaml, lib/yaml/resolver.py and constructor.py. */
#include "format/yaml.h"

#include "base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAX_NUMBER = 128 }; /* characters */

NbStatus nb_yaml_fail(NbStatus status, NbError *err, const char *path, const NbYaml *y,
                      const char *format, ...) {
    char text[sizeof((NbError *)0)->message];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return nb_fail(status, err, "%s:%d:%d: %s", path, y->line, y->column, text);
}

/* "path:line:column: expected X, found Y". */
static NbStatus expected(NbError *err, const char *path, const NbYaml *y, const char *what) {
    switch (y->kind) {
    case NB_YAML_LIST:
        return nb_yaml_fail(NB_ERR_FORMAT, err, path, y, "expected %s, found a list", what);
    case NB_YAML_MAP:
        return nb_yaml_fail(NB_ERR_FORMAT, err, path, y, "expected %s, found a map", what);
    case NB_YAML_SCALAR: break;
    }
    if (nb_yaml_is_null(y))
        return nb_yaml_fail(NB_ERR_FORMAT, err, path, y, "expected %s, found nothing (null)", what);
    const char *const quotes = y->quoted ? " in quotes" : "";
    return nb_yaml_fail(NB_ERR_FORMAT, err, path, y, "expected %s, found '%.80s'%s", what, y->text,
                        quotes);
}

static bool is_one_of(const char *text, const char *const *words, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(text, words[i]) == 0)
            return true;
    return false;
}

bool nb_yaml_is_null(const NbYaml *y) {
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    return y->kind == NB_YAML_SCALAR && !y->quoted &&
           is_one_of(y->text, words, sizeof words / sizeof *words);
}

static bool parse_bool(const char *text, bool *out) {
    static const char *const yes[] = {"yes",  "Yes", "YES", "true", "True",
                                      "TRUE", "on",  "On",  "ON"};
    static const char *const no[] = {"no",    "No",  "NO",  "false", "False",
                                     "FALSE", "off", "Off", "OFF"};
    *out = is_one_of(text, yes, sizeof yes / sizeof *yes);
    return *out || is_one_of(text, no, sizeof no / sizeof *no);
}

NbStatus nb_yaml_bool(const char *path, const NbYaml *y, bool *out, NbError *err) {
    if (y->kind == NB_YAML_SCALAR && !y->quoted && parse_bool(y->text, out))
        return NB_OK;
    return expected(err, path, y, "true or false");
}

static int digit_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 99;
}

/* Digits and underscores to the end of the text, at least one digit; false also when too large. */
static bool parse_digits(const char *text, int base, bool negative, int64_t *out) {
    int64_t value = 0;
    bool any = false;
    for (; *text; text++) {
        if (*text == '_')
            continue;
        const int digit = digit_value(*text);
        if (digit >= base || __builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, negative ? -digit : digit, &value))
            return false;
        any = true;
    }
    *out = value;
    return any;
}

/* Base 60, "1:30:00": a first number that does not begin with 0, then groups below 60. */
static bool parse_base60(const char *text, bool negative, int64_t *out) {
    int64_t value = 0;
    int groups = 0;
    for (;;) {
        int64_t part = 0;
        const char *const from = text;
        for (; *text && *text != ':'; text++) {
            if (groups == 0 && *text == '_')
                continue;
            if (*text < '0' || *text > '9' || __builtin_mul_overflow(part, 10, &part) ||
                __builtin_add_overflow(part, *text - '0', &part))
                return false;
        }
        if (text == from || (groups > 0 && (text - from > 2 || part > 59)))
            return false;
        if (__builtin_mul_overflow(value, 60, &value) ||
            __builtin_add_overflow(value, part, &value))
            return false;
        groups++;
        if (*text++ == '\0')
            break;
    }
    *out = negative ? -value : value;
    return true;
}

static bool parse_int(const char *text, int64_t *out) {
    const bool negative = *text == '-';
    if (*text == '-' || *text == '+')
        text++;
    if (*text < '0' || *text > '9')
        return false;
    if (*text == '0' && text[1] == 'b')
        return parse_digits(text + 2, 2, negative, out);
    if (*text == '0' && text[1] == 'x')
        return parse_digits(text + 2, 16, negative, out);
    if (*text == '0')
        return parse_digits(text, 8, negative, out);
    if (strchr(text, ':'))
        return parse_base60(text, negative, out);
    return parse_digits(text, 10, negative, out);
}

NbStatus nb_yaml_int(const char *path, const NbYaml *y, int64_t *out, NbError *err) {
    if (y->kind == NB_YAML_SCALAR && !y->quoted && parse_int(y->text, out))
        return NB_OK;
    return expected(err, path, y, "a whole number");
}

/* [-+]?.inf and .nan */
static bool parse_special(const char *text, double *out) {
    static const char *const infinities[] = {".inf", ".Inf", ".INF"};
    static const char *const nans[] = {".nan", ".NaN", ".NAN"};
    if (is_one_of(text, nans, 3)) {
        *out = (double)NAN;
        return true;
    }
    const bool sign = *text == '-' || *text == '+';
    if (!is_one_of(text + sign, infinities, 3))
        return false;
    *out = *text == '-' ? -(double)INFINITY : (double)INFINITY;
    return true;
}

/* How many digits come next; underscores count as digits where `mixed` says so. */
static size_t count_digits(const char *text, bool mixed) {
    size_t n = 0;
    while ((text[n] >= '0' && text[n] <= '9') || (mixed && text[n] == '_'))
        n++;
    return n;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Digits, a dot, digits, an exponent; at least one digit before or behind the dot. Digits alone are
 * one too (too large for an integer), but not behind a 0: that would have been octal. */
static bool looks_like_float(const char *text) {
    if (*text == '-' || *text == '+')
        text++;
    const bool octal = text[0] == '0';
    if (!is_digit(text[0]) && !(text[0] == '.' && is_digit(text[1])))
        return false;
    text += count_digits(text, true);
    if (*text == '\0')
        return !octal;
    if (*text == '.')
        text += 1 + count_digits(text + 1, true);
    if (*text == 'e' || *text == 'E') {
        text++;
        if (*text == '-' || *text == '+')
            text++;
        const size_t exponent = count_digits(text, false);
        if (exponent == 0)
            return false;
        text += exponent;
    }
    return *text == '\0';
}

/* The number without its underscores. */
static bool parse_stripped(const char *text, double *out) {
    char plain[MAX_NUMBER];
    size_t n = 0;
    for (; *text; text++) {
        if (*text == '_')
            continue;
        if (n + 1 == sizeof plain)
            return false;
        plain[n++] = *text;
    }
    plain[n] = '\0';
    return nb_parse_double(plain, out);
}

/* "1:30.5": base 60 with a fraction. */
static bool parse_base60_fraction(const char *text, double *out) {
    char whole[MAX_NUMBER];
    char tail[MAX_NUMBER];
    const bool negative = *text == '-';
    if (*text == '-' || *text == '+')
        text++;
    const char *const dot = strchr(text, '.');
    if (!dot || !strchr(text, ':') || dot - text >= MAX_NUMBER || strlen(dot) + 2 > sizeof tail ||
        dot[1 + count_digits(dot + 1, true)])
        return false;
    memcpy(whole, text, (size_t)(dot - text));
    whole[dot - text] = '\0';
    (void)snprintf(tail, sizeof tail, "0%s", dot);
    int64_t units = 0;
    double fraction = 0;
    if (!parse_base60(whole, false, &units) || !parse_stripped(tail, &fraction))
        return false;
    *out = negative ? -((double)units + fraction) : (double)units + fraction;
    return true;
}

static bool parse_float(const char *text, double *out) {
    if (parse_special(text, out) || parse_base60_fraction(text, out))
        return true;
    return looks_like_float(text) && parse_stripped(text, out);
}

NbStatus nb_yaml_double(const char *path, const NbYaml *y, double *out, NbError *err) {
    int64_t whole = 0;
    if (y->kind == NB_YAML_SCALAR && !y->quoted) {
        if (parse_int(y->text, &whole)) {
            *out = (double)whole;
            return NB_OK;
        }
        if (parse_float(y->text, out))
            return NB_OK;
    }
    return expected(err, path, y, "a number");
}
