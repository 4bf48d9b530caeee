/* SPDX-License-Identifier: Apache-2.0
 *
 * oneDNN 2.6 and 3.x differ in how primitive descriptors are made and in what a memory descriptor
 * is (a struct, a handle); everything that differs stands in the first third of this file.
 *
 * oneDNN runs its loops through OpenMP. The work here is cut by pictures among threads of our own,
 * so each thread tells OpenMP to use one thread. The function is looked up at run time: whatever
 * OpenMP oneDNN was built with is in the process, and with none there is nothing to tell. */
#include "nn/dnnl/conv_dnnl.h"

#include <dlfcn.h>
#include <dnnl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t NbMd;
typedef dnnl_memory_desc_t NbOwnMd;
static NbMd md_of(const NbOwnMd *own) { return *own; }
static dnnl_status_t md_tag(NbOwnMd *own, int rank, const dnnl_dims_t dims, dnnl_format_tag_t tag) {
    return dnnl_memory_desc_create_with_tag(own, rank, dims, dnnl_f32, tag);
}
static void md_release(NbOwnMd *own) {
    if (*own)
        dnnl_memory_desc_destroy(*own);
    *own = NULL;
}
#else
typedef const dnnl_memory_desc_t *NbMd;
typedef dnnl_memory_desc_t NbOwnMd;
static NbMd md_of(const NbOwnMd *own) { return own; }
static dnnl_status_t md_tag(NbOwnMd *own, int rank, const dnnl_dims_t dims, dnnl_format_tag_t tag) {
    return dnnl_memory_desc_init_by_tag(own, rank, dims, dnnl_f32, tag);
}
static void md_release(NbOwnMd *own) { (void)own; }
#endif

typedef void SetThreads(int);

struct NbDnnl {
    dnnl_engine_t engine;
    int workers;
    SetThreads *set_threads; /* NULL: oneDNN without OpenMP */
    dnnl_stream_t *stream;   /* [workers] */
};

enum { SRC, WEIGHTS, DST, SCRATCH, PACK_FROM, MEMORIES };

struct NbDnnlConv {
    NbDnnl *d;
    NbConvPass pass;
    dnnl_primitive_desc_t forward_desc; /* hint of the backward passes */
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t primitive;
    dnnl_primitive_t pack;
    dnnl_primitive_t unpack;
    NbOwnMd plain; /* weights as the graph holds them */
    size_t weight_bytes;
    size_t scratch_bytes;
    const char *name;
    dnnl_memory_t (*memory)[MEMORIES]; /* [workers] */
};

/* oneDNN 2 clears the padding of packed weights whenever a handle is set, also to the same place:
 * work that is not needed, and a write to what other workers read. */
static dnnl_status_t point_to(dnnl_memory_t memory, void *data) {
    void *now = NULL;
    const dnnl_status_t s = dnnl_memory_get_data_handle(memory, &now);
    return s != dnnl_success || now == data ? s : dnnl_memory_set_data_handle(memory, data);
}

typedef struct ConvDims {
    NbOwnMd src, weights, dst;
    dnnl_dims_t stride, dilation, pad_l, pad_r;
} ConvDims;

#if DNNL_VERSION_MAJOR >= 3
static dnnl_status_t make_desc(const NbDnnl *d, const ConvDims *c, NbConvPass pass,
                               dnnl_primitive_desc_t hint, const_dnnl_primitive_attr_t attr,
                               dnnl_primitive_desc_t *out) {
    switch (pass) {
    case NB_CONV_FORWARD:
        return dnnl_convolution_forward_primitive_desc_create(
            out, d->engine, dnnl_forward_training, dnnl_convolution_direct, c->src, c->weights,
            NULL, c->dst, c->stride, c->dilation, c->pad_l, c->pad_r, attr);
    case NB_CONV_BACKWARD_DATA:
        return dnnl_convolution_backward_data_primitive_desc_create(
            out, d->engine, dnnl_convolution_direct, c->src, c->weights, c->dst, c->stride,
            c->dilation, c->pad_l, c->pad_r, hint, attr);
    case NB_CONV_BACKWARD_WEIGHTS:
        return dnnl_convolution_backward_weights_primitive_desc_create(
            out, d->engine, dnnl_convolution_direct, c->src, c->weights, NULL, c->dst, c->stride,
            c->dilation, c->pad_l, c->pad_r, hint, attr);
    }
    return dnnl_invalid_arguments;
}

#else
static dnnl_status_t make_desc(const NbDnnl *d, const ConvDims *c, NbConvPass pass,
                               dnnl_primitive_desc_t hint, const_dnnl_primitive_attr_t attr,
                               dnnl_primitive_desc_t *out) {
    dnnl_convolution_desc_t op;
    dnnl_status_t s = dnnl_invalid_arguments;
    switch (pass) {
    case NB_CONV_FORWARD:
        s = dnnl_dilated_convolution_forward_desc_init(
            &op, dnnl_forward_training, dnnl_convolution_direct, &c->src, &c->weights, NULL,
            &c->dst, c->stride, c->dilation, c->pad_l, c->pad_r);
        break;
    case NB_CONV_BACKWARD_DATA:
        s = dnnl_dilated_convolution_backward_data_desc_init(&op, dnnl_convolution_direct, &c->src,
                                                             &c->weights, &c->dst, c->stride,
                                                             c->dilation, c->pad_l, c->pad_r);
        break;
    case NB_CONV_BACKWARD_WEIGHTS:
        s = dnnl_dilated_convolution_backward_weights_desc_init(
            &op, dnnl_convolution_direct, &c->src, &c->weights, NULL, &c->dst, c->stride,
            c->dilation, c->pad_l, c->pad_r);
        break;
    }
    return s == dnnl_success ? dnnl_primitive_desc_create(out, &op, attr, d->engine, hint) : s;
}

#endif

static dnnl_status_t make_reorder(const NbDnnl *d, NbMd from, NbMd to, dnnl_primitive_t *out) {
    dnnl_primitive_desc_t desc = NULL;
    dnnl_status_t s =
        dnnl_reorder_primitive_desc_create(&desc, from, d->engine, to, d->engine, NULL);
    if (s == dnnl_success)
        s = dnnl_primitive_create(out, desc);
    dnnl_primitive_desc_destroy(desc);
    return s;
}
/* Leaves the function with oneDNN's status when the call failed. */
#define TRY_DNNL(call)                                                                             \
    do {                                                                                           \
        const dnnl_status_t status_ = (call);                                                      \
        if (status_ != dnnl_success)                                                               \
            return status_;                                                                        \
    } while (0)

static NbStatus answer(dnnl_status_t s, const char *what, NbError *err) {
    if (s == dnnl_success)
        return NB_OK;
    if (s == dnnl_out_of_memory)
        return nb_fail_memory(err, what);
    if (s == dnnl_unimplemented)
        return nb_fail(NB_ERR_UNSUPPORTED, err, "oneDNN cannot do %s", what);
    return nb_fail(NB_ERR_ARGUMENT, err, "oneDNN refused %s (status %d)", what, (int)s);
}

static dnnl_status_t open_streams(NbDnnl *d) {
    TRY_DNNL(dnnl_engine_create(&d->engine, dnnl_cpu, 0));
    for (int i = 0; i < d->workers; i++)
        TRY_DNNL(dnnl_stream_create(&d->stream[i], d->engine, dnnl_stream_in_order));
    return dnnl_success;
}

NbStatus nb_dnnl_new(int workers, NbDnnl **out, NbError *err) {
    *out = NULL;
    NbDnnl *const d = calloc(1, sizeof *d);
    if (!d)
        return nb_fail_memory(err, "oneDNN");
    d->workers = workers;
    d->stream = calloc((size_t)workers, sizeof *d->stream);
    void *const found = dlsym(RTLD_DEFAULT, "omp_set_num_threads");
    memcpy(&d->set_threads, &found, sizeof found); /* ISO C has no cast for this */
    const NbStatus status = d->stream ? answer(open_streams(d), "an engine and its streams", err)
                                      : nb_fail_memory(err, "oneDNN's streams");
    if (status == NB_OK)
        *out = d;
    else
        nb_dnnl_free(d);
    return status;
}

void nb_dnnl_free(NbDnnl *d) {
    if (!d)
        return;
    for (int i = 0; d->stream && i < d->workers; i++)
        if (d->stream[i])
            dnnl_stream_destroy(d->stream[i]);
    if (d->engine)
        dnnl_engine_destroy(d->engine);
    free(d->stream);
    free(d);
}

void nb_dnnl_stay_in_thread(const NbDnnl *d) {
    if (d->set_threads)
        d->set_threads(1);
}

static dnnl_status_t fill_dims(const NbConvShape *s, dnnl_format_tag_t weights, ConvDims *c) {
    const dnnl_dims_t src = {1, s->ic, s->ih, s->iw};
    const dnnl_dims_t dst = {1, s->oc, s->oh, s->ow};
    const int g = s->groups;
    const dnnl_dims_t w4 = {s->oc, s->ic, s->kernel[0], s->kernel[1]};
    const dnnl_dims_t w5 = {g, s->oc / g, s->ic / g, s->kernel[0], s->kernel[1]};
    TRY_DNNL(md_tag(&c->src, 4, src, dnnl_nhwc));
    TRY_DNNL(md_tag(&c->dst, 4, dst, dnnl_nhwc));
    TRY_DNNL(g > 1 ? md_tag(&c->weights, 5, w5, weights) : md_tag(&c->weights, 4, w4, weights));
    for (int i = 0; i < 2; i++) {
        c->stride[i] = s->stride[i];
        c->dilation[i] = s->dilation[i] - 1;
        c->pad_l[i] = s->pad[i];
        c->pad_r[i] = s->pad[i + 2];
    }
    return dnnl_success;
}

static dnnl_status_t make_attr(dnnl_primitive_attr_t *attr) {
    TRY_DNNL(dnnl_primitive_attr_create(attr));
    TRY_DNNL(dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user));
    /* an environment variable could ask for bf16 */
    return dnnl_primitive_attr_set_fpmath_mode(*attr, dnnl_fpmath_mode_strict);
}

static dnnl_status_t make_primitive(NbDnnlConv *conv, const ConvDims *dims) {
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t s = make_attr(&attr);
    if (s == dnnl_success && conv->pass != NB_CONV_FORWARD)
        s = make_desc(conv->d, dims, NB_CONV_FORWARD, NULL, attr, &conv->forward_desc);
    if (s == dnnl_success)
        s = make_desc(conv->d, dims, conv->pass, conv->forward_desc, attr, &conv->desc);
    if (s == dnnl_success)
        s = dnnl_primitive_create(&conv->primitive, conv->desc);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    return s;
}

static NbMd weights_md(const NbDnnlConv *conv) {
    const dnnl_query_t what =
        conv->pass == NB_CONV_BACKWARD_WEIGHTS ? dnnl_query_diff_weights_md : dnnl_query_weights_md;
    return dnnl_primitive_desc_query_md(conv->desc, what, 0);
}

static dnnl_status_t make_memories(NbDnnlConv *conv, const ConvDims *dims) {
    const NbMd scratch = dnnl_primitive_desc_query_md(conv->desc, dnnl_query_scratchpad_md, 0);
    const NbMd weights = weights_md(conv);
    conv->weight_bytes = dnnl_memory_desc_get_size(weights);
    conv->scratch_bytes = dnnl_memory_desc_get_size(scratch);
    conv->name = "";
    (void)dnnl_primitive_desc_query(conv->desc, dnnl_query_impl_info_str, 0, (void *)&conv->name);
    const NbMd md[MEMORIES] = {[SRC] = md_of(&dims->src),
                               [WEIGHTS] = weights,
                               [DST] = md_of(&dims->dst),
                               [SCRATCH] = scratch,
                               [PACK_FROM] = md_of(&conv->plain)};
    for (int w = 0; w < conv->d->workers; w++)
        for (int i = 0; i < MEMORIES; i++)
            TRY_DNNL(
                dnnl_memory_create(&conv->memory[w][i], md[i], conv->d->engine, DNNL_MEMORY_NONE));
    TRY_DNNL(make_reorder(conv->d, md_of(&conv->plain), weights, &conv->pack));
    return make_reorder(conv->d, weights, md_of(&conv->plain), &conv->unpack);
}

static dnnl_status_t build(NbDnnlConv *conv, const NbConvShape *shape) {
    ConvDims dims;
    ConvDims plain;
    memset(&dims, 0, sizeof dims);
    memset(&plain, 0, sizeof plain);
    dnnl_status_t s = fill_dims(shape, dnnl_format_tag_any, &dims);
    if (s == dnnl_success)
        s = fill_dims(shape, shape->groups > 1 ? dnnl_goihw : dnnl_oihw, &plain);
    conv->plain = plain.weights;
    if (s == dnnl_success)
        s = make_primitive(conv, &dims);
    if (s == dnnl_success)
        s = make_memories(conv, &dims);
    md_release(&dims.src);
    md_release(&dims.weights);
    md_release(&dims.dst);
    md_release(&plain.src);
    md_release(&plain.dst);
    return s;
}

NbStatus nb_dnnl_conv_new(NbDnnl *d, const NbConvShape *shape, NbConvPass pass, NbDnnlConv **out,
                          NbError *err) {
    *out = NULL;
    NbDnnlConv *const conv = calloc(1, sizeof *conv);
    if (!conv)
        return nb_fail_memory(err, "a convolution");
    conv->d = d;
    conv->pass = pass;
    conv->memory = calloc((size_t)d->workers, sizeof *conv->memory);
    nb_dnnl_stay_in_thread(d); /* the number of threads is decided here */
    const NbStatus status = conv->memory ? answer(build(conv, shape), "this convolution", err)
                                         : nb_fail_memory(err, "a convolution");
    if (status == NB_OK)
        *out = conv;
    else
        nb_dnnl_conv_free(conv);
    return status;
}

void nb_dnnl_conv_free(NbDnnlConv *conv) {
    if (!conv)
        return;
    for (int w = 0; conv->memory && w < conv->d->workers; w++)
        for (int i = 0; i < MEMORIES; i++)
            if (conv->memory[w][i])
                dnnl_memory_destroy(conv->memory[w][i]);
    dnnl_primitive_t *const primitive[] = {&conv->pack, &conv->unpack, &conv->primitive};
    for (int i = 0; i < 3; i++)
        if (*primitive[i])
            dnnl_primitive_destroy(*primitive[i]);
    if (conv->desc)
        dnnl_primitive_desc_destroy(conv->desc);
    if (conv->forward_desc)
        dnnl_primitive_desc_destroy(conv->forward_desc);
    md_release(&conv->plain);
    free(conv->memory);
    free(conv);
}

size_t nb_dnnl_conv_weight_bytes(const NbDnnlConv *conv) { return conv->weight_bytes; }
size_t nb_dnnl_conv_scratch_bytes(const NbDnnlConv *conv) { return conv->scratch_bytes; }
const char *nb_dnnl_conv_name(const NbDnnlConv *conv) { return conv->name; }

bool nb_dnnl_conv_same_packing(const NbDnnlConv *a, const NbDnnlConv *b) {
    return dnnl_memory_desc_equal(weights_md(a), weights_md(b)) != 0;
}

static dnnl_status_t reorder(const NbDnnlConv *conv, int worker, bool pack, float *plain,
                             float *packed) {
    dnnl_memory_t *const m = conv->memory[worker];
    dnnl_stream_t stream = conv->d->stream[worker];
    TRY_DNNL(point_to(m[PACK_FROM], plain));
    TRY_DNNL(point_to(m[WEIGHTS], packed));
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, pack ? m[PACK_FROM] : m[WEIGHTS]},
                                    {DNNL_ARG_TO, pack ? m[WEIGHTS] : m[PACK_FROM]}};
    TRY_DNNL(dnnl_primitive_execute(pack ? conv->pack : conv->unpack, stream, 2, args));
    return dnnl_stream_wait(stream);
}

NbStatus nb_dnnl_conv_pack(const NbDnnlConv *conv, int worker, const float *weights, float *packed,
                           NbError *err) {
    float *from;
    memcpy(&from, &weights, sizeof from); /* oneDNN's handles are not const; it only reads */
    return answer(reorder(conv, worker, true, from, packed), "packing weights", err);
}

NbStatus nb_dnnl_conv_unpack(const NbDnnlConv *conv, int worker, const float *packed,
                             float *weights, NbError *err) {
    float *from;
    memcpy(&from, &packed, sizeof from);
    return answer(reorder(conv, worker, false, weights, from), "unpacking weights", err);
}

static dnnl_status_t run(const NbDnnlConv *conv, int worker, float *src, float *packed, float *dst,
                         void *scratch) {
    static const int name[][3] = {
        [NB_CONV_FORWARD] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
        [NB_CONV_BACKWARD_DATA] = {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST},
        [NB_CONV_BACKWARD_WEIGHTS] = {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST}};
    dnnl_memory_t *const m = conv->memory[worker];
    dnnl_stream_t stream = conv->d->stream[worker];
    TRY_DNNL(point_to(m[SRC], src));
    TRY_DNNL(point_to(m[WEIGHTS], packed));
    TRY_DNNL(point_to(m[DST], dst));
    TRY_DNNL(point_to(m[SCRATCH], scratch));
    const dnnl_exec_arg_t args[] = {{name[conv->pass][0], m[SRC]},
                                    {name[conv->pass][1], m[WEIGHTS]},
                                    {name[conv->pass][2], m[DST]},
                                    {DNNL_ARG_SCRATCHPAD, m[SCRATCH]}};
    TRY_DNNL(dnnl_primitive_execute(conv->primitive, stream, 4, args));
    return dnnl_stream_wait(stream);
}

NbStatus nb_dnnl_conv_run(const NbDnnlConv *conv, int worker, float *src, float *packed, float *dst,
                          void *scratch, NbError *err) {
    return answer(run(conv, worker, src, packed, dst, scratch), "running a convolution", err);
}
