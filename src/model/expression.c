/* SPDX-License-Identifier: Apache-2.0
 *
 * sum := product (("+" | "-") product)*      product := unary (("*" | "/" | "//") unary)*
 * unary := ("+" | "-") unary | atom          atom := number | name | "(" sum ")"
 *
 * with Python's meaning: "/" gives a real number, "//" rounds down, sizes are checked. */
#include "model/argument.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LENGTH = 256, MAX_DEPTH = 32 };

typedef struct Parser {
    const NbNames *names;
    const char *start;
    const char *at;
    int depth;
    NbError *err;
} Parser;

static NB_FALLIBLE sum(Parser *p, NbArg *out);

static NB_FALLIBLE bad(const Parser *p, const char *what) {
    return nb_fail(NB_ERR_FORMAT, p->err, "'%s': %s at column %td of the expression", p->start,
                   what, p->at - p->start + 1);
}

static void skip_blanks(Parser *p) {
    while (isspace((unsigned char)*p->at))
        p->at++;
}

static NbArg number_of(double value) { return (NbArg){.kind = NB_ARG_NUMBER, .number = value}; }

static NB_FALLIBLE read_number(Parser *p, NbArg *out) {
    char text[MAX_LENGTH + 1];
    const size_t digits = strspn(p->at, "0123456789");
    const size_t n =
        p->at[digits] == '.' ? digits + 1 + strspn(p->at + digits + 1, "0123456789") : digits;
    memcpy(text, p->at, n);
    text[n] = '\0';
    const double value = strtod(text, NULL);
    if (!(value <= 9007199254740992.0)) /* 2^53: integers stay exact */
        return bad(p, "the number is too large");
    *out = n == digits ? nb_arg_int((int64_t)value) : number_of(value);
    p->at += n;
    return NB_OK;
}

static NB_FALLIBLE read_name(Parser *p, NbArg *out) {
    size_t n = 0;
    while (isalnum((unsigned char)p->at[n]) || p->at[n] == '_')
        n++;
    for (int i = 0; i < p->names->count; i++) {
        const NbName *name = &p->names->name[i];
        if (strlen(name->name) == n && memcmp(name->name, p->at, n) == 0) {
            *out = name->value;
            p->at += n;
            return NB_OK;
        }
    }
    return bad(p, "unknown name");
}

static NB_FALLIBLE atom(Parser *p, NbArg *out) {
    skip_blanks(p);
    if (isdigit((unsigned char)*p->at) || *p->at == '.')
        return read_number(p, out);
    if (isalpha((unsigned char)*p->at) || *p->at == '_')
        return read_name(p, out);
    if (*p->at != '(')
        return bad(p, "a number, a name or '(' expected");
    p->at++;
    NB_TRY(sum(p, out));
    skip_blanks(p);
    if (*p->at != ')')
        return bad(p, "')' expected");
    p->at++;
    return NB_OK;
}

static NB_FALLIBLE numeric(const Parser *p, const NbArg *a) {
    if (a->kind == NB_ARG_INT || a->kind == NB_ARG_NUMBER || a->kind == NB_ARG_BOOL)
        return NB_OK;
    return bad(p, "only numbers can be calculated with, before");
}

static NB_FALLIBLE unary(Parser *p, NbArg *out) {
    skip_blanks(p);
    if (*p->at != '-' && *p->at != '+')
        return atom(p, out);
    const bool negative = *p->at == '-';
    if (++p->depth > MAX_DEPTH)
        return bad(p, "too deep");
    p->at++;
    NB_TRY(unary(p, out));
    p->depth--;
    NB_TRY(numeric(p, out));
    const int64_t sign = negative ? -1 : 1;
    *out = out->kind == NB_ARG_NUMBER ? number_of((double)sign * out->number)
                                      : nb_arg_int(sign * out->integer);
    return NB_OK;
}

static int64_t floor_div(int64_t a, int64_t b) {
    const int64_t q = a / b;
    return a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q;
}

typedef enum Operator { PLUS, MINUS, TIMES, OVER, FLOOR_OVER } Operator;

static NB_FALLIBLE calculate_integers(const Parser *p, Operator op, int64_t a, int64_t b,
                                      NbArg *out) {
    int64_t result = 0;
    bool too_large = false;
    switch (op) {
    case PLUS: too_large = __builtin_add_overflow(a, b, &result); break;
    case MINUS: too_large = __builtin_sub_overflow(a, b, &result); break;
    case TIMES: too_large = __builtin_mul_overflow(a, b, &result); break;
    case FLOOR_OVER: result = floor_div(a, b); break;
    case OVER: *out = number_of((double)a / (double)b); return NB_OK;
    }
    if (too_large || result > (INT64_C(1) << 53) || result < -(INT64_C(1) << 53))
        return bad(p, "the result is too large");
    *out = nb_arg_int(result);
    return NB_OK;
}

static double calculate_numbers(Operator op, double a, double b) {
    switch (op) {
    case PLUS: return a + b;
    case MINUS: return a - b;
    case TIMES: return a * b;
    case OVER: return a / b;
    case FLOOR_OVER: return floor(a / b);
    }
    return 0.0;
}

static NB_FALLIBLE calculate(const Parser *p, Operator op, const NbArg *a, const NbArg *b,
                             NbArg *out) {
    NB_TRY(numeric(p, a));
    NB_TRY(numeric(p, b));
    if ((op == OVER || op == FLOOR_OVER) && b->number == 0.0)
        return bad(p, "division by zero before");
    if (a->kind != NB_ARG_NUMBER && b->kind != NB_ARG_NUMBER)
        return calculate_integers(p, op, a->integer, b->integer, out);
    *out = number_of(calculate_numbers(op, a->number, b->number));
    return isfinite(out->number) ? NB_OK : bad(p, "the result is too large");
}

static NB_FALLIBLE product(Parser *p, NbArg *out) {
    NB_TRY(unary(p, out));
    for (;;) {
        skip_blanks(p);
        if (*p->at != '*' && *p->at != '/')
            return NB_OK;
        Operator op = *p->at == '*' ? TIMES : OVER;
        p->at++;
        if (op == OVER && *p->at == '/') {
            op = FLOOR_OVER;
            p->at++;
        }
        NbArg right = {0};
        NB_TRY(unary(p, &right));
        const NbArg left = *out;
        NB_TRY(calculate(p, op, &left, &right, out));
    }
}

static NB_FALLIBLE sum(Parser *p, NbArg *out) {
    if (++p->depth > MAX_DEPTH)
        return bad(p, "too deep");
    NB_TRY(product(p, out));
    for (;;) {
        skip_blanks(p);
        if (*p->at != '+' && *p->at != '-')
            break;
        const Operator op = *p->at == '+' ? PLUS : MINUS;
        p->at++;
        NbArg right = {0};
        NB_TRY(product(p, &right));
        const NbArg left = *out;
        NB_TRY(calculate(p, op, &left, &right, out));
    }
    p->depth--;
    return NB_OK;
}

NbStatus nb_expression(const NbNames *names, const char *text, NbArg *out, NbError *err) {
    if (strlen(text) > MAX_LENGTH)
        return nb_fail(NB_ERR_FORMAT, err, "an expression of more than %d characters", MAX_LENGTH);
    Parser p = {.names = names, .start = text, .at = text, .err = err};
    NbArg value = {0};
    NB_TRY(sum(&p, &value));
    skip_blanks(&p);
    if (*p.at)
        return bad(&p, "an operator or the end expected");
    *out = value;
    return NB_OK;
}
