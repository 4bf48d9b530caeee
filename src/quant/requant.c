/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding a multiplication that counts thresholds. No step overflows: |t| <= 2^31, mul < 2^31 and
 * every constant of a line is below 2^62. */
#include "quant/requant.h"

#include <assert.h>

enum { MOST_SHIFT_32 = 30, MOST_SHIFT_64 = 50 };

typedef struct Steps {
    const int32_t *threshold;
    int always; /* the first so many are reached at min */
    int end;    /* those from here on are never reached */
    int levels;
    int64_t min;
    int64_t max;
    int64_t word; /* results must lie in [-word - 1, word] */
} Steps;

/* The tightest bounds of add for one mul, and the slopes of the lines they lie on. */
typedef struct Room {
    int64_t low;
    int64_t high;
    int64_t low_at;  /* line: low = c - low_at * mul */
    int64_t high_at; /* line: high = c - high_at * mul */
} Room;

static void at_least(Room *room, int64_t c, int64_t t, int64_t mul) {
    const int64_t low = c - t * mul;
    if (low > room->low) {
        room->low = low;
        room->low_at = t;
    }
}

static void at_most(Room *room, int64_t c, int64_t t, int64_t mul) {
    const int64_t high = c - t * mul;
    if (high < room->high) {
        room->high = high;
        room->high_at = t;
    }
}

static Room room_of(const Steps *s, int64_t mul, int shift) {
    Room room = {.low = -s->word - 1, .high = s->word};
    at_least(&room, -s->word - 1, s->min, mul);
    at_most(&room, s->word, s->max, mul);
    if (s->always > 0)
        at_least(&room, (int64_t)s->always << shift, s->min, mul);
    if (s->end < s->levels)
        at_most(&room, ((int64_t)(s->end + 1) << shift) - 1, s->max, mul);
    for (int j = s->always + 1; j <= s->end; j++) {
        const int64_t t = s->threshold[j - 1];
        at_least(&room, (int64_t)j << shift, t, mul);
        at_most(&room, ((int64_t)j << shift) - 1, t - 1, mul);
    }
    return room;
}

/* A missing room of -gap closes by `slope` for each step of mul: how many steps at least. */
static int64_t steps_to_close(int64_t gap, int64_t slope) { return (gap + slope - 1) / slope; }

/* The number of the room nearest to 0. */
static int64_t choose(const Room *room) {
    if (room->low > 0)
        return room->low;
    return room->high < 0 ? room->high : 0;
}

static int64_t first_guess(const Steps *s, int shift) {
    const int64_t run = (int64_t)s->threshold[s->end - 1] - s->threshold[s->always];
    const int64_t rise = s->end - 1 - s->always;
    const int64_t guess = run > 0 ? (rise << shift) / run : (int64_t)1 << shift;
    return guess < INT32_MAX ? guess : INT32_MAX;
}

static bool solve(const Steps *s, int shift, NbRequant *out) {
    int64_t least = 0;
    int64_t most = INT32_MAX;
    int64_t mul = first_guess(s, shift);
    while (least <= most) {
        const Room room = room_of(s, mul, shift);
        if (room.low <= room.high) {
            *out = (NbRequant){.mul = (int32_t)mul, .add = choose(&room), .shift = shift};
            return true;
        }
        const uint64_t missing = (uint64_t)room.low - (uint64_t)room.high;
        const int64_t gap = missing > INT64_MAX / 2 ? INT64_MAX / 2 : (int64_t)missing;
        const int64_t slope = room.low_at - room.high_at;
        if (slope == 0)
            return false;
        if (slope > 0)
            least = mul + steps_to_close(gap, slope);
        else
            most = mul - steps_to_close(gap, -slope);
        mul = least + (most - least) / 2;
    }
    return false;
}

bool nb_requant_solve(const int32_t *threshold, int levels, int64_t min, int64_t max, int bits,
                      NbRequant *out) {
    assert(levels >= 0 && levels <= NB_REQUANT_LEVELS && min <= max);
    assert(min >= INT32_MIN && max <= INT32_MAX && (bits == 32 || bits == 64));
    Steps s = {.threshold = threshold, .levels = levels, .min = min, .max = max};
    s.word = bits == 32 ? INT32_MAX : ((int64_t)1 << 62) - 1;
    while (s.always < levels && threshold[s.always] <= min && threshold[s.always] != INT32_MAX)
        s.always++;
    s.end = s.always;
    while (s.end < levels && threshold[s.end] <= max && threshold[s.end] != INT32_MAX)
        s.end++;
    if (s.always == s.end) { /* one code for every sum */
        *out = (NbRequant){.mul = 0, .add = s.always, .shift = 0};
        return true;
    }
    const int most_shift = bits == 32 ? MOST_SHIFT_32 : MOST_SHIFT_64;
    for (int shift = 0; shift <= most_shift; shift++)
        if (solve(&s, shift, out))
            return true;
    return false;
}
