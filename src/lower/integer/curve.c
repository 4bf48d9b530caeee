/* SPDX-License-Identifier: Apache-2.0
 *
 * SiLU between a convolution and its quantizer: over the sums of a channel the code falls to one
 * minimum and rises behind it. It is the sum of a part that rises and a part that falls to 0,
 *
 *     code(u) = up(u) + down(-u),
 *
 * each of them thresholds behind a convolution; the second has the weights of the first negated.
 * Where no code is lost on the falling side (unsigned codes, few bits) there is no second part.
 *
 * On both sides of the minimum neighbouring float32 numbers are far enough apart for the routine,
 * which computes in double, to be monotone; at the minimum the code is checked to be one. */
#include "lower/integer/lowering.h"

#include "graph/activation.h"

#include <string.h>

/* Where x * sigmoid(x) is smallest. */
static const float minimum = -1.2784645F;

/* The two parts of all channels. */
typedef struct Parts {
    size_t levels;
    int32_t *up;   /* [channels][levels] of u = sign * sum */
    int32_t *down; /* [channels][levels], the first `fallen` of them, of -u */
    int *sign;     /* [channels] */
    int64_t *fallen;
    int64_t most_fallen;
} Parts;

static NbRange sums_of(int sign, int64_t first, int64_t last) {
    return sign > 0 ? (NbRange){.min = first, .max = last} : (NbRange){.min = -last, .max = -first};
}

static int64_t code_at(const NbChain *chain, size_t c, int64_t sum) {
    float code = 0.0F;
    nb_chain_codes(chain, c, &sum, 1, &code);
    return (int64_t)code;
}

/* The last u of [first, last] whose value in front of the SiLU is not behind the minimum; first - 1
 * when there is none. */
static int64_t last_falling(const NbChain *chain, size_t c, int sign, int64_t first, int64_t last) {
    int64_t below = first - 1;
    int64_t above = last + 1;
    while (above - below > 1) {
        const int64_t middle = below + (above - below) / 2;
        if (nb_chain_before(chain, c, sign * middle) <= minimum)
            below = middle;
        else
            above = middle;
    }
    return below;
}

/* Thresholds of the falling part, in -u, for codes above `base`, which is that of split + 1. */
static NB_FALLIBLE find_down(const NbChain *chain, size_t c, int64_t first, int64_t split,
                             int64_t base, Parts *parts, NbError *err) {
    const int sign = parts->sign[c];
    int32_t t[UINT8_MAX];
    bool falling = false;
    NB_TRY(nb_chain_thresholds(chain, c, sums_of(sign, first, split), t, &falling, err));
    const int64_t fallen = code_at(chain, c, sign * first) - base;
    for (int64_t k = 0; k < fallen; k++) {
        const int32_t reached = t[base + k - chain->lo];
        parts->down[c * parts->levels + (size_t)k] =
            reached == INT32_MIN ? (int32_t)-split : reached;
    }
    parts->fallen[c] = fallen;
    parts->most_fallen = fallen > parts->most_fallen ? fallen : parts->most_fallen;
    return NB_OK;
}

static NB_FALLIBLE split_channel(const NbChain *chain, size_t c, NbRange range, Parts *parts,
                                 NbError *err) {
    const bool rises = nb_chain_before(chain, c, range.max) >= nb_chain_before(chain, c, range.min);
    const int sign = rises ? 1 : -1;
    const int64_t first = rises ? range.min : -range.max;
    const int64_t last = rises ? range.max : -range.min;
    int64_t split = last_falling(chain, c, sign, first, last);
    /* the rising part begins with the smallest code */
    if (split >= first &&
        (split == last || code_at(chain, c, sign * split) < code_at(chain, c, sign * (split + 1))))
        split--;
    bool falling = false;
    parts->sign[c] = sign;
    NB_TRY(nb_chain_thresholds(chain, c, sums_of(sign, split + 1, last),
                               parts->up + c * parts->levels, &falling, err));
    if (split < first)
        return NB_OK;
    return find_down(chain, c, first, split, code_at(chain, c, sign * (split + 1)), parts, err);
}

static NB_FALLIBLE check_minimum(const NbChain *chain, NbError *err) {
    const float v = nb_silu(minimum);
    float around[2] = {v * (1.0F - 1e-6F), v * (1.0F + 1e-6F)};
    nb_quant_codes(&chain->spec, around, 1, 2, &chain->quant_scale, NULL, around);
    if (chain->step[chain->n - 1].op != NB_OP_SILU)
        return nb_fail(NB_ERR_UNSUPPORTED, err,
                       "there are steps between '%s' and its quantizer; quantize right behind it",
                       chain->curved);
    if (around[0] != around[1])
        return nb_fail(
            NB_ERR_UNSUPPORTED, err,
            "the minimum of '%s' lies on the border of two codes; change the quantizer's "
            "scale by a millionth",
            chain->curved);
    return NB_OK;
}

static NB_FALLIBLE make_parts(const NbLowering *l, const NbChain *chain, const NbCodedConv *conv,
                              Parts *parts, NbError *err) {
    const size_t n = conv->outputs;
    *parts = (Parts){.levels = (size_t)(chain->hi - chain->lo)};
    parts->up = NB_NEW(l->scratch, int32_t, n * parts->levels);
    parts->down = NB_NEW(l->scratch, int32_t, n * parts->levels);
    parts->sign = NB_NEW(l->scratch, int, n);
    parts->fallen = NB_NEW(l->scratch, int64_t, n);
    if (!parts->up || !parts->down || !parts->sign || !parts->fallen)
        return nb_fail_memory(err, "thresholds");
    for (size_t c = 0; c < n; c++)
        NB_TRY(split_channel(chain, c, conv->range[c], parts, err));
    return NB_OK;
}

/* The convolution of one part; direction +1: up. */
static NB_FALLIBLE emit_sums(const NbLowering *l, const NbCodedConv *conv, const Parts *parts,
                             int direction, NbNodeId *id, NbError *err) {
    NbCodedConv part = *conv;
    part.weight = NB_NEW(l->scratch, int8_t, conv->outputs * conv->fan_in);
    if (!part.weight)
        return nb_fail_memory(err, "weights");
    for (size_t i = 0; i < conv->outputs * conv->fan_in; i++) {
        const size_t c = i / conv->fan_in;
        const int w = conv->weight[i] * parts->sign[c] * direction;
        if (direction < 0 && parts->fallen[c] == 0)
            continue; /* nothing is counted there */
        if (w > INT8_MAX)
            return nb_fail(NB_ERR_UNSUPPORTED, err,
                           "channel %zu of '%s' holds the weight %d, which cannot be negated; use "
                           "a narrow weight grid",
                           c, l->g->node[conv->id].name, INT8_MIN);
        part.weight[i] = (int8_t)w;
    }
    return nb_lowering_emit_conv(l, &part, id, err);
}

/* The falling part: [channels][2^bits - 1] thresholds, as many as the channel with most needs. */
static NB_FALLIBLE emit_down(const NbLowering *l, NbNodeId quant, const NbChain *chain,
                             const NbCodedConv *conv, const Parts *parts, NbNodeId *id,
                             NbError *err) {
    NbGrid grid = {.bits = 1};
    while (nb_grid_hi(grid) < parts->most_fallen)
        grid.bits++;
    const size_t levels = (size_t)nb_grid_hi(grid);
    int32_t *t = NB_NEW(l->scratch, int32_t, conv->outputs * levels);
    const char *name = nb_lowering_name(l, l->g->node[quant].name, ".down");
    if (!t || !name)
        return nb_fail_memory(err, "thresholds");
    for (size_t c = 0; c < conv->outputs; c++)
        for (size_t k = 0; k < levels; k++)
            t[c * levels + k] =
                (int64_t)k < parts->fallen[c] ? parts->down[c * parts->levels + k] : INT32_MAX;
    NbNodeId x = -1;
    NB_TRY(emit_sums(l, conv, parts, -1, &x, err));
    const NbCodes codes = {grid, chain->quant_scale};
    return nb_lowering_emit_threshold(l, quant, name, &codes, x, t, id, err);
}

NbStatus nb_lowering_curve(const NbLowering *l, NbNodeId quant, NbNodeId source, NbChain *chain,
                           NbError *err) {
    NbCodedConv conv;
    Parts parts;
    NbNodeId x = -1;
    NbNodeId in[2] = {-1, -1};
    NB_TRY(check_minimum(chain, err));
    NB_TRY(nb_lowering_conv(l, source, &conv, err));
    chain->scale = conv.scale;
    chain->bias = conv.bias;
    NB_TRY(make_parts(l, chain, &conv, &parts, err));
    const char *name = l->g->node[quant].name;
    const NbCodes codes = {nb_quant_code_grid(&chain->spec), chain->quant_scale};
    const char *up = parts.most_fallen > 0 ? nb_lowering_name(l, name, ".up") : name;
    if (!up)
        return nb_fail_memory(err, "a name");
    NB_TRY(emit_sums(l, &conv, &parts, 1, &x, err));
    NB_TRY(nb_lowering_emit_threshold(l, quant, up, &codes, x, parts.up, &in[0], err));
    l->codes[quant] = in[0];
    if (parts.most_fallen == 0)
        return NB_OK;
    NB_TRY(emit_down(l, quant, chain, &conv, &parts, &in[1], err));
    NB_TRY(nb_graph_add(l->out, NB_OP_ADD, name, 2, in, NULL, &l->codes[quant], err));
    l->out->node[l->codes[quant]].layer = l->g->node[quant].layer;
    return NB_OK;
}
