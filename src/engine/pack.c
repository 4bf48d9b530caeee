/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolutions as blocks of output channels: weights in the order of the kernel, constants by lane,
 * and the proof that sums cannot overflow. */
#include "engine/plan.h"

#include "engine/near.h"
#include "quant/bound.h"
#include "quant/requant.h"

#include <inttypes.h>
#include <string.h>

enum { MOST_WEIGHTS = 1 << 27 };

/* One convolution while its blocks are made. */
typedef struct Packer {
    NbEngine *e;
    NbStep *s;
    const NbConvAttr *attr;
    const int8_t *weight; /* [outputs][channels][kernel height][kernel width] */
    int outputs;          /* of one group */
    int channels;         /* of one group */
    bool rows;            /* a segment is a kernel row; else it is one tap */
    int segments;
    int steps;
    const NbNode *after;
    const NbTensor *down; /* thresholds of the falling part of a curve; or NULL */
} Packer;

/* The weight that byte k of a segment is multiplied with. */
static int weight_at(const Packer *p, int output, int segment, int k) {
    const int kw = p->attr->kernel[1];
    const int pixel = p->s->in[0]->pixel;
    const int ky = p->rows ? segment : segment / kw;
    const int kx = p->rows ? k / pixel : segment % kw;
    const int c = p->rows ? k % pixel : k;
    if (c >= p->channels || kx >= kw) /* behind the end of the run, or of a padded pixel */
        return 0;
    return p->weight[((output * p->channels + c) * p->attr->kernel[0] + ky) * kw + kx];
}

static NB_FALLIBLE pack_weights(const Packer *p, NbConvBlock *b, int first, NbError *err) {
    const NbWeightFormat format = p->e->kernels->format;
    const size_t count = (size_t)p->segments * (size_t)b->steps * 4 * (size_t)b->lanes;
    void *packed = nb_arena_take(&p->e->arena, count, format == NB_WEIGHT_C ? sizeof(int16_t) : 1);
    if (!packed)
        return nb_fail_memory(err, "packed weights");
    for (int lane = 0; lane < b->live; lane++)
        for (int s = 0; s < p->segments; s++)
            for (int k = 0; k < 4 * b->steps; k++) {
                const int w = weight_at(p, first + lane, s, k);
                const size_t at = nb_weight_at(format, b->lanes, 4 * s * b->steps + k, lane);
                if (format == NB_WEIGHT_C)
                    ((int16_t *)packed)[at] = (int16_t)w;
                else
                    ((int8_t *)packed)[at] = (int8_t)w;
            }
    b->weight = packed;
    const NbPlane *in = p->s->in[0];
    if (format == NB_WEIGHT_K4)
        b->run = nb_pack_run(packed, p->segments * b->steps, b->lanes, in->zero + in->hi);
    return NB_OK;
}

/* Whether every pair of bytes in every lane stays within 16 bits over steps [from, to). */
static bool fits_16(const int8_t *weight, int from, int to, int lanes, int most) {
    for (int i = 0; i < 2 * lanes; i++) {
        int positive = 0;
        int negative = 0;
        for (int k = from; k < to; k++)
            for (int j = 0; j < 2; j++) {
                const int8_t w = weight[(k * 2 * lanes + i) * 2 + j];
                positive += w > 0 ? w : 0;
                negative += w < 0 ? w : 0;
            }
        if (positive * most > INT16_MAX || negative * most < INT16_MIN)
            return false;
    }
    return true;
}

static bool all_fit_16(const int8_t *weight, int steps, int run, int lanes, int most) {
    for (int k = 0; k < steps; k += run)
        if (!fits_16(weight, k, k + run < steps ? k + run : steps, lanes, most))
            return false;
    return true;
}

int nb_pack_run(const int8_t *weight, int steps, int lanes, int most) {
    if (!all_fit_16(weight, steps, 1, lanes, most))
        return 0;
    int run = 1;
    while (run < steps && all_fit_16(weight, steps, 2 * run, lanes, most))
        run *= 2;
    return run < steps ? run : steps;
}

/* Sums of bytes begin with what the zero of signed codes adds. No partial sum of any bytes may
 * leave int32, in whatever order a kernel adds. */
static NB_FALLIBLE pack_start(const Packer *p, NbConvBlock *b, int first, NbError *err) {
    const size_t n = (size_t)p->channels * (size_t)p->attr->kernel[0] * (size_t)p->attr->kernel[1];
    int32_t *start = NB_NEW(&p->e->arena, int32_t, (size_t)b->lanes);
    if (!start)
        return nb_fail_memory(err, "packed constants");
    for (int lane = 0; lane < b->live; lane++) {
        const int8_t *w = p->weight + (size_t)(first + lane) * n;
        int64_t positive = 0;
        int64_t negative = 0;
        for (size_t i = 0; i < n; i++) {
            positive += w[i] > 0 ? w[i] : 0;
            negative += w[i] < 0 ? w[i] : 0;
        }
        const int64_t zero = -p->s->in[0]->zero * (positive + negative);
        const int64_t low = UINT8_MAX * negative + (zero < 0 ? zero : 0);
        const int64_t high = UINT8_MAX * positive + (zero > 0 ? zero : 0);
        if (low <= INT32_MIN || high >= INT32_MAX)
            return nb_fail(NB_ERR_UNSUPPORTED, err,
                           "sums of output channel %d lie in %" PRId64 " to %" PRId64
                           ", which int32 cannot hold",
                           first + lane, low, high);
        start[lane] = (int32_t)zero;
    }
    b->start = start;
    return NB_OK;
}

static NB_FALLIBLE pack_floats(const Packer *p, NbNodeId param, int first, const NbConvBlock *b,
                               const float **out, NbError *err) {
    const NbTensor *t = &p->e->graph.node[param].param;
    const size_t n = nb_tensor_count(t);
    float *to = NB_NEW(&p->e->arena, float, (size_t)b->lanes);
    if (!to)
        return nb_fail_memory(err, "packed constants");
    for (int lane = 0; lane < b->live; lane++)
        to[lane] = nb_f32(t)[n == 1 ? 0 : first + lane];
    *out = to;
    return NB_OK;
}

static NB_FALLIBLE pack_real(const Packer *p, NbConvBlock *b, int first, NbError *err) {
    b->emit = NB_EMIT_FLOAT;
    NB_TRY(pack_floats(p, p->after->in[1], first, b, &b->scale, err));
    if (p->after->n_in == 3)
        NB_TRY(pack_floats(p, p->after->in[2], first, b, &b->offset, err));
    return NB_OK;
}

/* The thresholds of a block: lane i has those at + i * stride. */
typedef struct Thresholds {
    const int32_t *at;
    int stride;
} Thresholds;

static NB_FALLIBLE pack_thresholds(const Packer *p, NbConvBlock *b, Thresholds t, NbError *err) {
    const int rows = nb_threshold_rows(b->levels);
    int32_t *to = NB_NEW(&p->e->arena, int32_t, (size_t)(rows * b->lanes));
    if (!to)
        return nb_fail_memory(err, "packed thresholds");
    for (int k = 0; k < rows; k++)
        for (int lane = 0; lane < b->lanes; lane++)
            to[k * b->lanes + lane] =
                lane < b->live && k < b->levels ? t.at[lane * t.stride + k] : INT32_MAX;
    b->threshold = to;
    return NB_OK;
}

static NB_FALLIBLE pack_bases(const Packer *p, NbConvBlock *b, const uint8_t *base, NbError *err) {
    const size_t bytes = (size_t)NB_BUCKETS * (size_t)b->lanes;
    uint8_t *to = NB_NEW(&p->e->arena, uint8_t, bytes + 3);
    if (!to)
        return nb_fail_memory(err, "packed codes");
    memcpy(to, base, bytes);
    b->base = to;
    return NB_OK;
}

/* One way to multiply, as far as this block is concerned. */
static bool solve(NbEmit how, const int32_t *t, int levels, NbRange range, NbRequant *r) {
    if (how == NB_EMIT_NEAR)
        return nb_near_solve(t, levels, range.min, range.max, r);
    return nb_requant_solve(t, levels, range.min, range.max, how == NB_EMIT_MUL32 ? 32 : 64, r);
}

/* Fills in the constants of every lane; false when one has none. */
static bool multiply(const Packer *p, const NbConvBlock *b, int first, Thresholds t, NbEmit how,
                     uint8_t *base, NbRequant *r) {
    const NbRange codes = {.min = p->s->in[0]->lo, .max = p->s->in[0]->hi};
    const size_t n = (size_t)p->channels * (size_t)p->attr->kernel[0] * (size_t)p->attr->kernel[1];
    for (int lane = 0; lane < b->live; lane++) {
        const NbRange range = nb_range_of_row_i8(codes, p->weight + (size_t)(first + lane) * n, n);
        const int32_t *at = t.at + (ptrdiff_t)lane * t.stride;
        if (how == NB_EMIT_TABLE
                ? !nb_near_table(at, b->levels, range, NB_BUCKETS, b->lanes, base + lane, &r[lane])
                : !solve(how, at, b->levels, range, &r[lane]))
            return false;
    }
    return true;
}

static NB_FALLIBLE pack_multiplication(const Packer *p, NbConvBlock *b, const NbRequant *r,
                                       NbError *err) {
    int32_t *mul = NB_NEW(&p->e->arena, int32_t, (size_t)b->lanes);
    int64_t *add = NB_NEW(&p->e->arena, int64_t, (size_t)b->lanes);
    int32_t *shift = NB_NEW(&p->e->arena, int32_t, (size_t)b->lanes);
    if (!mul || !add || !shift)
        return nb_fail_memory(err, "packed constants");
    for (int lane = 0; lane < b->live; lane++) {
        mul[lane] = r[lane].mul;
        add[lane] = r[lane].add;
        shift[lane] = r[lane].shift;
    }
    b->mul = mul;
    b->add = add;
    b->shift = shift;
    return NB_OK;
}

/* The cheapest way that is proved right for every lane and every sum that can occur. */
static NB_FALLIBLE pack_codes(const Packer *p, NbConvBlock *b, int first, NbError *err) {
    static const NbEmit ways[] = {NB_EMIT_MUL32, NB_EMIT_MUL64, NB_EMIT_NEAR, NB_EMIT_TABLE};
    const NbTensor *thresholds = &p->e->graph.node[p->after->in[1]].param;
    const NbLevels levels = nb_plan_levels(&p->e->graph, p->after);
    const Thresholds t = {.at = (const int32_t *)thresholds->data +
                                (ptrdiff_t)first * thresholds->shape.dim[1] + levels.first,
                          .stride = (int)thresholds->shape.dim[1]};
    b->levels = levels.count;
    NbRequant r[NB_LANES] = {{0}};
    uint8_t base[NB_BUCKETS * NB_LANES] = {0};
    b->emit = NB_EMIT_LEVELS;
    for (size_t i = 0; b->emit == NB_EMIT_LEVELS && i < sizeof ways / sizeof *ways; i++)
        if (multiply(p, b, first, t, ways[i], base, r))
            b->emit = ways[i];
    if (b->emit != NB_EMIT_LEVELS)
        NB_TRY(pack_multiplication(p, b, r, err));
    if (b->emit == NB_EMIT_TABLE)
        NB_TRY(pack_bases(p, b, base, err));
    if (b->emit != NB_EMIT_MUL32 && b->emit != NB_EMIT_MUL64)
        NB_TRY(pack_thresholds(p, b, t, err));
    return NB_OK;
}

/* Thresholds of the negated sum, -sum >= t, as sum <= -t. */
static NB_FALLIBLE pack_falls(const Packer *p, NbConvBlock *b, int first, NbError *err) {
    const int levels = (int)p->down->shape.dim[1];
    const int32_t *t = (const int32_t *)p->down->data + (ptrdiff_t)first * levels;
    int32_t *to = NB_NEW(&p->e->arena, int32_t, (size_t)(levels * b->lanes));
    if (!to)
        return nb_fail_memory(err, "packed thresholds");
    for (int k = 0; k < levels; k++)
        for (int lane = 0; lane < b->lanes; lane++) {
            const bool is_there = lane < b->live && t[lane * levels + k] != INT32_MAX;
            to[k * b->lanes + lane] = is_there ? -t[lane * levels + k] : INT32_MIN;
            b->falls = is_there ? k + 1 : b->falls;
        }
    b->fall = to;
    return NB_OK;
}

static NB_FALLIBLE pack_block(const Packer *p, NbConvBlock *b, int group, int at, NbError *err) {
    const int left = p->outputs - at;
    const int first = group * p->outputs + at;
    b->lanes = left > NB_LANES / 2 ? NB_LANES : NB_LANES / 2;
    b->live = left < b->lanes ? left : b->lanes;
    b->segment = p->s->segment;
    b->segments = p->segments;
    b->steps = p->steps;
    if (p->e->kernels->format == NB_WEIGHT_K48 && b->lanes < NB_LANES)
        b->steps += b->steps % 2;
    b->pool = p->s->pool;
    NB_TRY(pack_weights(p, b, first, err));
    NB_TRY(pack_start(p, b, first, err));
    if (p->after->op == NB_OP_DEQUANT)
        return pack_real(p, b, first, err);
    NB_TRY(pack_codes(p, b, first, err));
    if (p->down)
        NB_TRY(pack_falls(p, b, first, err));
    if (p->attr->groups == 1) /* lanes that do not exist may be written: pixels are padded */
        b->live = b->lanes;
    return NB_OK;
}

static NB_FALLIBLE find_segments(Packer *p, NbError *err) {
    const NbConvAttr *a = p->attr;
    p->rows = a->groups == 1 && a->dilation[1] == 1;
    p->segments = p->rows ? a->kernel[0] : a->kernel[0] * a->kernel[1];
    const int run = p->rows ? (a->kernel[1] - 1) * p->s->in[0]->pixel + p->channels : p->channels;
    p->steps = (run + 3) / 4;
    p->s->segment = NB_NEW(&p->e->arena, ptrdiff_t, (size_t)p->segments);
    return p->s->segment ? NB_OK : nb_fail_memory(err, "a convolution");
}

NbStatus nb_pack_conv(NbEngine *e, NbStep *s, NbNodeId after, NbNodeId down, NbError *err) {
    const NbNode *conv = &e->graph.node[s->conv];
    const NbNode *weight = &e->graph.node[conv->in[1]];
    const int groups = conv->attr.conv.groups;
    if (nb_shape_count(&weight->shape) > MOST_WEIGHTS)
        return nb_fail(NB_ERR_UNSUPPORTED, err, "%zu weights, at most %d expected",
                       nb_shape_count(&weight->shape), MOST_WEIGHTS);
    Packer p = {.e = e,
                .s = s,
                .attr = &conv->attr.conv,
                .weight = weight->param.data,
                .outputs = (int)weight->shape.dim[0] / groups,
                .channels = (int)weight->shape.dim[1],
                .after = &e->graph.node[after]};
    if (down >= 0)
        p.down = &e->graph.node[e->graph.node[down].in[1]].param;
    NB_TRY(find_segments(&p, err));
    s->attr = conv->attr;
    const int blocks = (p.outputs + NB_LANES - 1) / NB_LANES;
    s->n_blocks = blocks * groups;
    s->block = NB_NEW(&e->arena, NbConvBlock, (size_t)s->n_blocks);
    if (!s->block)
        return nb_fail_memory(err, "a convolution");
    for (int i = 0; i < s->n_blocks; i++)
        NB_TRY(pack_block(&p, &s->block[i], i / blocks, i % blocks * NB_LANES, err));
    return NB_OK;
}

static void place_output(NbStep *s, NbConvBlock *b, int channel, int64_t channels, int width) {
    b->width = width;
    if (s->out) {
        b->dst = s->out->at + channel;
        b->dst_col = s->out->pixel;
        b->dst_row = (ptrdiff_t)nb_plane_row(s->out);
    } else {
        b->dst = s->real + channel;
        b->dst_col = channels * (ptrdiff_t)sizeof *s->real;
        b->dst_row = width * b->dst_col;
    }
}

void nb_pack_place(NbStep *s, const NbEngine *e) {
    const NbConvAttr *a = &s->attr.conv;
    const NbPlane *in = s->in[0];
    const NbShape *shape = &e->graph.node[s->node].shape;
    const ptrdiff_t row = (ptrdiff_t)nb_plane_row(in);
    const bool rows = a->groups == 1 && a->dilation[1] == 1;
    const int segments = s->block[0].segments;
    const ptrdiff_t down = a->dilation[0] * row;
    const ptrdiff_t right = (ptrdiff_t)a->dilation[1] * in->pixel;
    ptrdiff_t *segment = s->segment;
    for (int i = 0; i < segments; i++)
        segment[i] = rows ? down * i : down * (i / a->kernel[1]) + right * (i % a->kernel[1]);
    const int outputs = (int)shape->dim[1] / a->groups;
    const int blocks = s->n_blocks / a->groups;
    for (int i = 0; i < s->n_blocks; i++) {
        NbConvBlock *b = &s->block[i];
        const int group = i / blocks;
        const ptrdiff_t channel = (ptrdiff_t)group * (in->channels / a->groups);
        b->src = nb_plane_at(in, -a->pad[0], -a->pad[1]) + channel;
        b->src_row = a->stride[0] * row;
        b->src_col = (ptrdiff_t)a->stride[1] * in->pixel;
        place_output(s, b, group * outputs + i % blocks * NB_LANES, shape->dim[1],
                     (int)shape->dim[3]);
    }
}
