/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention over the pixels of a map, and PSA, which gives it half of the channels. Source: Wang et
 * al., "YOLOv10", NeurIPS 2024, with the module paths of its checkpoints.
 *
 * Quantized, every matrix product multiplies codes: queries, keys and values are those behind the
 * quantizer of qkv, the weights of softmax have one of their own (softmax_quant), and so has the
 * result (mix_quant), which shares its scale with the positional convolution that is added. */
#include "model/block.h"

#include <math.h>
#include <stdio.h>

enum { MAX_PATH = 160, HEAD_CHANNELS = 64 };

typedef struct Attention {
    const char *path;
    int heads;
    int key;   /* channels of queries and keys of a head */
    int value; /* of values */
    NbTap x;
} Attention;

/* A node of one or two inputs at path.part. */
static NB_FALLIBLE put(NbBuild *b, const Attention *a, NbOp op, const char *part,
                       const NbNodeId in[2], const NbAttr *attr, NbNodeId *out, NbError *err) {
    char name[MAX_PATH];
    (void)snprintf(name, sizeof name, "%s.%s", a->path, part);
    return nb_graph_add(b->g, op, name, in[1] < 0 ? 1 : 2, in, attr, out, err);
}

static NB_FALLIBLE put_quant(NbBuild *b, const Attention *a, const char *part, bool is_signed,
                             NbTap x, NbTap *out, NbError *err) {
    char name[MAX_PATH];
    int weight_bits = 0;
    int act_bits = 0;
    (void)snprintf(name, sizeof name, "%s.%s", a->path, part);
    nb_build_bits(b, name, x, false, &weight_bits, &act_bits);
    (void)snprintf(name, sizeof name, "%s.%s_quant", a->path, part);
    return nb_build_act_quant(b, name, act_bits, is_signed, x, out, err);
}

static NB_FALLIBLE slice(NbBuild *b, const Attention *a, const char *part, NbNodeId x, int first,
                         int count, NbNodeId *out, NbError *err) {
    const NbAttr attr = {
        .slice = {.axis = 2, .start = first, .stop = (int64_t)first + count, .step = 1}};
    return put(b, a, NB_OP_SLICE, part, (const NbNodeId[]){x, -1}, &attr, out, err);
}

static NB_FALLIBLE transposed(NbBuild *b, const Attention *a, const char *part, NbNodeId x,
                              NbNodeId *out, NbError *err) {
    const NbAttr attr = {.transpose = {{0, 1, 3, 2}}};
    return put(b, a, NB_OP_TRANSPOSE, part, (const NbNodeId[]){x, -1}, &attr, out, err);
}

/* [N, heads, value, pixels] -> [N, heads * value, H, W] */
static NB_FALLIBLE to_image(NbBuild *b, const Attention *a, const char *part, NbNodeId x,
                            NbTap *out, NbError *err) {
    const int channels = a->heads * a->value;
    const NbAttr attr = {.reshape = {4, {0, channels, 0, 0}}};
    out->channels = channels;
    return put(b, a, NB_OP_RESHAPE, part, (const NbNodeId[]){x, a->x.node}, &attr, &out->node, err);
}

/* softmax(q' k / sqrt(key)), pixels x pixels: row i says what pixel i looks at. */
static NB_FALLIBLE weights(NbBuild *b, const Attention *a, NbNodeId q, NbNodeId k, NbNodeId *out,
                           NbError *err) {
    const NbAttr factor = {.scale = {(float)pow(a->key, -0.5)}};
    const NbAttr axis = {.softmax = {3}};
    NbTap at = {.channels = a->heads};
    NB_TRY(transposed(b, a, "q_t", q, &at.node, err));
    NB_TRY(put(b, a, NB_OP_MATMUL, "scores", (const NbNodeId[]){at.node, k}, NULL, &at.node, err));
    NB_TRY(
        put(b, a, NB_OP_SCALE, "scaled", (const NbNodeId[]){at.node, -1}, &factor, &at.node, err));
    NB_TRY(
        put(b, a, NB_OP_SOFTMAX, "softmax", (const NbNodeId[]){at.node, -1}, &axis, &at.node, err));
    NB_TRY(put_quant(b, a, "softmax", false, at, &at, err));
    return transposed(b, a, "softmax_t", at.node, out, err);
}

static NB_FALLIBLE attention(NbBuild *b, const Attention *a, NbTap *out, NbError *err) {
    const NbStyle plain = nb_style(b, false);
    const int each = 2 * a->key + a->value;
    const NbConvShape to_qkv = nb_conv_shape(a->heads * each, 1, 1);
    const NbConvShape proj = nb_conv_shape(a->x.channels, 1, 1);
    NbConvShape pe = nb_conv_shape(a->x.channels, 3, 1);
    const NbAttr split = {.reshape = {4, {0, a->heads, each, -1}}};
    char name[MAX_PATH];
    NbNodeId part[3];
    NbTap qkv = {0};
    NbTap image = {0};
    pe.groups = a->x.channels;
    NB_TRY(nb_build_part(b, &plain, a->path, "qkv", &to_qkv, a->x, &qkv, err));
    NB_TRY(put(b, a, NB_OP_RESHAPE, "heads", (const NbNodeId[]){qkv.node, -1}, &split, &qkv.node,
               err));
    NB_TRY(slice(b, a, "q", qkv.node, 0, a->key, &part[0], err));
    NB_TRY(slice(b, a, "k", qkv.node, a->key, a->key, &part[1], err));
    NB_TRY(slice(b, a, "v", qkv.node, 2 * a->key, a->value, &part[2], err));
    NB_TRY(weights(b, a, part[0], part[1], &part[1], err));
    NB_TRY(
        put(b, a, NB_OP_MATMUL, "mix", (const NbNodeId[]){part[2], part[1]}, NULL, &part[0], err));
    NB_TRY(to_image(b, a, "image", part[0], out, err));
    NB_TRY(put_quant(b, a, "mix", true, *out, out, err));
    NB_TRY(to_image(b, a, "v_image", part[2], &image, err));
    NB_TRY(nb_build_part(b, &plain, a->path, "pe", &pe, image, &image, err));
    (void)snprintf(name, sizeof name, "%s.add", a->path);
    NB_TRY(nb_build_residual(b, &plain, name, *out, image, out, err));
    return nb_build_part(b, &plain, a->path, "proj", &proj, *out, out, err);
}

/* Fills in what heads and ratio mean for the channels of x. */
static NB_FALLIBLE split_heads(NbTap x, int heads, double ratio, const char *path, Attention *out,
                               NbError *err) {
    *out = (Attention){.path = path, .heads = heads, .x = x};
    if (heads < 1 || x.channels % heads)
        return nb_fail(NB_ERR_FORMAT, err, "%s: %d channels cannot be cut into %d heads", path,
                       x.channels, heads);
    out->value = x.channels / heads;
    out->key = (int)trunc(out->value * ratio);
    if (out->key < 1)
        return nb_fail(NB_ERR_FORMAT, err, "%s: heads of %d channels with keys of %d", path,
                       out->value, out->key);
    return NB_OK;
}

/* Attention(channels, num_heads=8, attn_ratio=0.5) */
static NB_FALLIBLE build_attention(NbBuild *b, const NbCall *call, NbTap *out, NbError *err) {
    Attention a;
    int channels = 0;
    int64_t heads = 8;
    double ratio = 0.5;
    NB_TRY(nb_call_channels(b, call, &channels, err));
    NB_TRY(nb_call_int(b, call, 1, 1, 1 << 10, &heads, err));
    NB_TRY(nb_call_expansion(b, call, 2, &ratio, err));
    if (channels != call->in[0].channels)
        return nb_call_fail(NB_ERR_FORMAT, err, b, call, "%d channels, those of the input are %d",
                            channels, call->in[0].channels);
    NB_TRY(split_heads(call->in[0], (int)heads, ratio, call->path, &a, err));
    return attention(b, &a, out, err);
}

/* x + ffn(x): twice the channels, then back without activation. */
static NB_FALLIBLE feed_forward(NbBuild *b, const char *path, NbTap x, NbTap *out, NbError *err) {
    char name[MAX_PATH];
    const NbStyle style = nb_style(b, true);
    const NbStyle plain = nb_style(b, false);
    const NbConvShape up = nb_conv_shape(2 * x.channels, 1, 1);
    const NbConvShape down = nb_conv_shape(x.channels, 1, 1);
    NbTap at = x;
    NB_TRY(nb_build_part(b, &style, path, "ffn.0", &up, at, &at, err));
    NB_TRY(nb_build_part(b, &plain, path, "ffn.1", &down, at, &at, err));
    (void)snprintf(name, sizeof name, "%s.ffn_add", path);
    return nb_build_residual(b, &style, name, x, at, out, err);
}

/* PSA(c2, e=0.5): c2 is that of the input */
static NB_FALLIBLE build_psa(NbBuild *b, const NbCall *call, NbTap *out, NbError *err) {
    char name[MAX_PATH];
    char attn[MAX_PATH];
    int c2 = 0;
    double expansion = 0.5;
    Attention a;
    NbTap half[2] = {{0}};
    const NbStyle style = nb_style(b, true);
    NB_TRY(nb_call_channels(b, call, &c2, err));
    NB_TRY(nb_call_expansion(b, call, 1, &expansion, err));
    const int hidden = (int)trunc(c2 * expansion);
    if (c2 != call->in[0].channels || hidden < 1)
        return nb_call_fail(NB_ERR_FORMAT, err, b, call,
                            "%d channels, %d hidden; those of the input are %d", c2, hidden,
                            call->in[0].channels);
    const NbConvShape first = nb_conv_shape(2 * hidden, 1, 1);
    NbTap all = {0};
    NB_TRY(nb_build_part(b, &style, call->path, "cv1", &first, call->in[0], &all, err));
    for (int i = 0; i < 2; i++) {
        (void)snprintf(name, sizeof name, "%s.half.%d", call->path, i);
        NB_TRY(nb_build_channels(b, name, all, i * hidden, hidden, &half[i], err));
    }
    (void)snprintf(attn, sizeof attn, "%s.attn", call->path);
    NB_TRY(split_heads(half[1], hidden / HEAD_CHANNELS, 0.5, attn, &a, err));
    NB_TRY(attention(b, &a, &all, err));
    (void)snprintf(name, sizeof name, "%s.attn_add", call->path);
    NB_TRY(nb_build_residual(b, &style, name, half[1], all, &half[1], err));
    NB_TRY(feed_forward(b, call->path, half[1], &half[1], err));
    return nb_build_joined(b, &style, call->path, "cv2", c2, (NbTaps){2, half}, out, err);
}

const NbModule nb_module_attention = {.name = "Attention",
                                      .channels = NB_CHANNELS_GIVEN,
                                      .min_args = 1,
                                      .max_args = 3,
                                      .max_in = 1,
                                      .build = build_attention};
const NbModule nb_module_psa = {.name = "PSA",
                                .channels = NB_CHANNELS_SCALED,
                                .min_args = 1,
                                .max_args = 2,
                                .max_in = 1,
                                .build = build_psa};
