/* SPDX-License-Identifier: Apache-2.0 */
#include "lower/ptq/histogram.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum {
    SIGN = 1 << 15,          /* of a bin */
    EXPONENT_SHIFT = 112,    /* float32 exponents less those of bins */
    MOST = (31 << 10) | 1023 /* the largest bin */
};

static uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static uint32_t bin_of(float x) {
    const uint32_t bits = bits_of(x);
    const uint32_t size = ((bits & 0x7fffffffU) + 0x1000U) >> 13;
    const uint32_t first = (EXPONENT_SHIFT + 1U) << 10;
    if (size < first)
        return 0;
    const uint32_t bin = size - (EXPONENT_SHIFT << 10);
    return (bin > MOST ? (uint32_t)MOST : bin) | (bits >> 31 << 15);
}

static float value_of(uint32_t bin) {
    const uint32_t size = bin & (SIGN - 1U);
    const uint32_t bits = ((size + (EXPONENT_SHIFT << 10)) << 13) | ((bin & (uint32_t)SIGN) << 16);
    float x;
    memcpy(&x, &bits, sizeof x);
    return size ? x : 0.0F;
}

NbStatus nb_ptq_histogram_new(NbArena *arena, NbPtqHistogram *out, NbError *err) {
    *out = (NbPtqHistogram){.count = NB_NEW(arena, uint64_t, NB_PTQ_BINS)};
    return out->count ? NB_OK : nb_fail_memory(err, "a histogram");
}

void nb_ptq_histogram_add(NbPtqHistogram *h, const float *x, size_t n) {
    float low = h->low;
    float high = h->high;
    uint64_t odd = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(fabsf(x[i]) <= FLT_MAX)) {
            odd++;
            continue;
        }
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
        h->count[bin_of(x[i])]++;
    }
    h->low = low;
    h->high = high;
    h->odd += odd;
    h->total += n - odd;
}

void nb_ptq_histogram_merge(NbPtqHistogram *to, const NbPtqHistogram *from) {
    for (size_t i = 0; i < NB_PTQ_BINS; i++)
        to->count[i] += from->count[i];
    to->total += from->total;
    to->odd += from->odd;
    to->low = fminf(to->low, from->low);
    to->high = fmaxf(to->high, from->high);
}

bool nb_ptq_method_parse(const char *text, NbPtqMethod *out) {
    static const char *const names[] = {"mse", "minmax", "percentile", "kl"};
    for (int i = 0; i < 4; i++)
        if (strcmp(text, names[i]) == 0) {
            *out = (NbPtqMethod)i;
            return true;
        }
    return false;
}

/* The bins that hold something, by rising value. */
typedef struct Values {
    float *value;
    double *count;
    size_t n;
    double total;
} Values;

static NB_FALLIBLE gather(const NbPtqHistogram *h, NbArena *arena, Values *out, NbError *err) {
    *out = (Values){.value = NB_NEW(arena, float, NB_PTQ_BINS),
                    .count = NB_NEW(arena, double, NB_PTQ_BINS)};
    if (!out->value || !out->count)
        return nb_fail_memory(err, "a histogram");
    for (uint32_t i = 0; i < NB_PTQ_BINS; i++) {
        const uint32_t bin = i < SIGN ? NB_PTQ_BINS - 1U - i : i - (uint32_t)SIGN;
        if (!h->count[bin])
            continue;
        out->value[out->n] = value_of(bin);
        out->count[out->n++] = (double)h->count[bin];
    }
    out->total = (double)h->total;
    return NB_OK;
}

/* Codes from lo to hi stand for what lies between low <= 0 and high >= 0. */
static NbPtqScale between(float low, float high, NbGrid grid) {
    const float lo = (float)nb_grid_lo(grid);
    const float hi = (float)nb_grid_hi(grid);
    const float step = (high - low) / (hi - lo);
    NbPtqScale s = {.step = step >= FLT_MIN ? step : 1.0F};
    s.zero = fminf(fmaxf(rintf(lo - low / s.step), lo), hi);
    return s;
}

/* Adding and taking away 1.5 * 2^23 rounds to the nearest even integer, and vectorises. */
static double squared_error(const Values *v, NbPtqScale s, NbGrid grid) {
    const float shift = 0x1.8p23F;
    const float lo = (float)nb_grid_lo(grid) - s.zero;
    const float hi = (float)nb_grid_hi(grid) - s.zero;
    double sum = 0.0;
    for (size_t i = 0; i < v->n; i++) {
        float q = v->value[i] / s.step;
        q = q < lo ? lo : q > hi ? hi : q;
        q = (q + shift) - shift;
        const double off = (double)(v->value[i] - q * s.step);
        sum += v->count[i] * off * off;
    }
    return sum;
}

/* Ends are tried one after the other, each from its full length down to nearly nothing. */
static NbPtqScale by_error(const Values *v, float low, float high, NbGrid grid) {
    enum { TRIES = 96, ROUNDS = 3 };
    float end[2] = {low, high};
    const float full[2] = {low, high};
    NbPtqScale best = between(low, high, grid);
    double least = squared_error(v, best, grid);
    for (int k = 0; k < 2 * ROUNDS; k++) {
        const int side = 1 - k % 2; /* the upper one first */
        float kept = end[side];
        for (int i = 1; i < TRIES && full[side] != 0.0F; i++) {
            end[side] = full[side] * (float)i / (float)(TRIES - 1);
            const NbPtqScale s = between(end[0], end[1], grid);
            const double loss = squared_error(v, s, grid);
            if (loss < least) {
                least = loss;
                best = s;
                kept = end[side];
            }
        }
        end[side] = kept;
    }
    return best;
}

static NbPtqScale by_percentile(const Values *v, double percent, NbGrid grid) {
    const double outside = v->total * (1.0 - 0.01 * percent);
    double below = 0.0;
    double above = 0.0;
    size_t first = 0;
    size_t last = v->n - 1;
    while (first < last && below + v->count[first] <= outside)
        below += v->count[first++];
    while (last > first && above + v->count[last] <= outside)
        above += v->count[last--];
    return between(fminf(v->value[first], 0.0F), fmaxf(v->value[last], 0.0F), grid);
}

/* The bins of one code, and what lies in them: counts, those that are clipped apart. */
typedef struct Coded {
    size_t begin, end;
    double inside, bins, clipped;
} Coded;

static float free_code(const Values *v, size_t i, NbPtqScale s) {
    return rintf(v->value[i] / s.step) + s.zero;
}

static bool is_out(float code, const float range[2]) { return code < range[0] || code > range[1]; }

/* From bin `begin` on. */
static Coded code_at(const Values *v, size_t begin, NbPtqScale s, const float range[2]) {
    Coded c = {.begin = begin, .end = begin};
    const float code = fminf(fmaxf(free_code(v, begin, s), range[0]), range[1]);
    for (; c.end < v->n; c.end++) {
        const float free = free_code(v, c.end, s);
        if (fminf(fmaxf(free, range[0]), range[1]) != code)
            break;
        const bool out = is_out(free, range);
        c.clipped += out ? v->count[c.end] : 0.0;
        c.inside += out ? 0.0 : v->count[c.end];
        c.bins += out ? 0.0 : 1.0;
    }
    return c;
}

/* Divergence of the clipped distribution from what its codes can tell: each code's count is spread
 * evenly over those of its values that occur. What is clipped counts at the ends. */
static double divergence(const Values *v, NbPtqScale s, NbGrid grid) {
    const float range[2] = {(float)nb_grid_lo(grid), (float)nb_grid_hi(grid)};
    double sum = 0.0;
    for (size_t i = 0; i < v->n;) {
        const Coded c = code_at(v, i, s, range);
        const double each = fmax(c.inside, 1.0) / fmax(c.bins, 1.0) / v->total;
        for (size_t k = c.begin; k < c.end; k++) {
            const double own = is_out(free_code(v, k, s), range) ? 0.0 : v->count[k];
            const double p = (own + (k == c.begin ? c.clipped : 0.0)) / v->total;
            sum += p > 0.0 ? p * log(p / each) : 0.0;
        }
        i = c.end;
    }
    return sum;
}

static NbPtqScale by_divergence(const Values *v, float low, float high, NbGrid grid) {
    enum { TRIES = 96 };
    NbPtqScale best = between(low, high, grid);
    double least = divergence(v, best, grid);
    for (int i = TRIES - 1; i >= TRIES / 8; i--) {
        const float share = (float)i / (float)TRIES;
        const NbPtqScale s = between(fmaxf(low, -high) * share, high * share, grid);
        const double loss = high > 0.0F ? divergence(v, s, grid) : HUGE_VAL;
        if (loss < least) {
            least = loss;
            best = s;
        }
    }
    return best;
}

static void judge(const Values *v, NbGrid grid, NbPtqScale *s) {
    const float lo = (float)nb_grid_lo(grid) - s->zero;
    const float hi = (float)nb_grid_hi(grid) - s->zero;
    const double noise = squared_error(v, *s, grid);
    double signal = 0.0;
    double clipped = 0.0;
    for (size_t i = 0; i < v->n; i++) {
        const float q = v->value[i] / s->step;
        signal += v->count[i] * (double)v->value[i] * (double)v->value[i];
        clipped += q < lo - 0.5F || q > hi + 0.5F ? v->count[i] : 0.0;
    }
    s->saturated = v->total > 0.0 ? clipped / v->total : 0.0;
    s->sqnr_db = signal > 0.0 && noise > 0.0 ? 10.0 * log10(signal / noise) : 0.0;
}

NbStatus nb_ptq_histogram_scale(const NbPtqHistogram *h, NbGrid grid, NbPtqMethod method,
                                double percent, NbArena *arena, NbPtqScale *out, NbError *err) {
    const NbArenaMark mark = nb_arena_mark(arena);
    Values v;
    NB_TRY(gather(h, arena, &v, err));
    *out = between(h->low, h->high, grid);
    if (v.n > 0 && h->high > h->low) {
        switch (method) {
        case NB_PTQ_MSE: *out = by_error(&v, h->low, h->high, grid); break;
        case NB_PTQ_MINMAX: break;
        case NB_PTQ_PERCENTILE: *out = by_percentile(&v, percent, grid); break;
        case NB_PTQ_KL: *out = by_divergence(&v, h->low, h->high, grid); break;
        }
        judge(&v, grid, out);
    }
    nb_arena_rewind(arena, mark);
    return NB_OK;
}
