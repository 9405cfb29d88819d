/* The gradients of convolutions as convolutions, for second derivatives. */
#include "convolve.h"
#include "emit.h"
#include "window.h"

static int transpose(const cx_emitter *e, int a, int i, int j, int k, int l)
{
    const cx_transpose_attr t = {{4, {i, j, k, l}}};
    return CX_EMIT_WITH(e, &cx_op_transpose, t, a);
}
static int cut(const cx_emitter *e, int a, const int64_t *begin, const int64_t *size)
{
    cx_slice_attr s = {{.n = 4}, {.n = 4}, {.n = CX_ABSENT}};
    for (int d = 0; d < 4; d++) s.begin.v[d] = begin[d], s.size.v[d] = size[d];
    return CX_EMIT_WITH(e, &cx_op_slice, s, a);
}
static int two(const cx_emitter *e, const cx_op *op, const void *attr, size_t size, int a, int b)
{
    return cx_emit(e, op, attr, size, 2, (const int[]){a, b});
}

/* dk[p][q] = sum over i, j of x[i * stride + p * dilation - before] * dy[i]: a convolution of x with dy as the kernel,
 * in which stride and dilation have changed places, channels are the batch, and the batch is summed over. */
static int kernel_term(const cx_emitter *e, const cx_conv *c, int x, int dy, int kernel)
{
    cx_conv_attr a = {.padding = CX_EXPLICIT, .pads = {.n = 4}, .groups = 1};
    if (!c->out[0] || !c->out[1]) return cx_emit_scale(e, kernel, 0);
    for (int d = 0; d < 2; d++) {
        a.stride[d] = c->dilation[d], a.dilation[d] = c->stride[d];
        const int64_t reach = (c->size[d] - 1) * c->dilation[d] + (c->out[d] - 1) * c->stride[d] + 1;
        const int64_t after = reach - c->in[d] - c->before[d];
        a.pads.v[2 * d] = c->before[d], a.pads.v[2 * d + 1] = after > 0 ? after : 0;
    }
    const int all = two(e, &cx_op_conv2d, &a, sizeof a, transpose(e, x, 3, 1, 2, 0), transpose(e, dy, 1, 2, 0, 3));
    const int64_t begin[4] = {0}, size[4] = {c->channels, c->size[0], c->size[1], c->filters};
    return transpose(e, all < 0 ? -1 : cut(e, all, begin, size), 1, 2, 0, 3);
}

static int refuse(const cx_emitter *e, const char *what)
{
    cx_fail(e->err, CX_EVALUE, "convolutions have no second derivative %s", what);
    return -1;
}

/* Groups as one convolution whose kernel is zero between groups: 1 where channel and filter are in the same group. */
static int group_mask(const cx_emitter *e, cx_dtype dtype, int64_t channels, int64_t filters, int64_t groups)
{
    const cx_spec spec = {dtype, 2, {channels, filters}};
    cx_value v;
    if (cx_value_new(&spec, &v, e->err)) return -1;
    for (int64_t i = 0; i < channels; i++)
        for (int64_t j = 0; j < filters; j++) {
            const bool same = i / (channels / groups) == j / (filters / groups);
            if (dtype == CX_F64)
                ((double *)v.data)[i * filters + j] = same;
            else
                ((float *)v.data)[i * filters + j] = same;
        }
    const int slot = cx_add_slot(e->p, &v, false);
    cx_clear(&v);
    if (slot < 0) cx_fail(e->err, CX_ENOMEM, "out of memory: the program has %d slots", e->p->n_slot);
    return slot;
}
/* kernel (kh, kw, channels / groups, filters) -> (kh, kw, channels, filters) */
static int ungrouped(const cx_emitter *e, int kernel, int mask, int64_t groups)
{
    const cx_tile_attr times = {{4, {1, 1, groups, 1}}};
    if (groups == 1) return kernel;
    return cx_emit2(e, &cx_op_multiply, CX_EMIT_WITH(e, &cx_op_tile, times, kernel), mask);
}
static int grouped(const cx_emitter *e, int dkernel, int mask, const cx_spec *kernel, int64_t groups)
{
    const int64_t *k = kernel->dim;
    const cx_spec apart = {kernel->dtype, 5, {k[0], k[1], groups, k[2], k[3]}};
    const cx_reduce_attr over = {{1, {2}}, 0};
    if (groups == 1) return dkernel;
    const int own = cx_emit2(e, &cx_op_multiply, dkernel, mask);
    return CX_EMIT_WITH(e, &cx_op_reduce_sum, over, cx_emit_reshape(e, own, &apart));
}

/* The gradient of input k of a convolution of x with a kernel (kh, kw, channels / groups, filters) in a slot. */
static int conv_term_of(const cx_emitter *e, const cx_conv_attr *a, int x_slot, int kernel_slot, int y_slot, int dy,
                        int k)
{
    const cx_spec x = *cx_emitted_spec(e, x_slot), small = *cx_emitted_spec(e, kernel_slot);
    const cx_spec y = *cx_emitted_spec(e, y_slot);
    if (k == 2) return dy; /* summed over all but the last dimension by the caller */
    if (!cx_known(&x) || !cx_known(&small) || !cx_known(&y)) return refuse(e, "while shapes are unknown");
    const int mask = a->groups == 1 ? 0 : group_mask(e, x.dtype, x.dim[3], small.dim[3], a->groups);
    const int full = ungrouped(e, kernel_slot, mask, a->groups);
    if (full < 0) return -1;
    const cx_spec kernel = *cx_emitted_spec(e, full);
    cx_conv_attr whole = *a;
    whole.groups = 1;
    const cx_conv c = cx_conv_of(&whole, &x, &kernel, &y);
    if (k == 1) return grouped(e, kernel_term(e, &c, x_slot, dy, full), mask, &small, a->groups);
    cx_conv_transpose_attr t = {{a->stride[0], a->stride[1]},
                                a->padding == CX_SAME ? CX_SAME : CX_VALID,
                                {.n = CX_ABSENT},
                                {a->dilation[0], a->dilation[1]},
                                {2, {x.dim[1], x.dim[2]}}};
    if (a->padding != CX_EXPLICIT) return two(e, &cx_op_conv2d_transpose, &t, sizeof t, dy, full);
    for (int d = 0; d < 2; d++) t.output_size.v[d] += a->pads.v[2 * d] + a->pads.v[2 * d + 1];
    const int padded = two(e, &cx_op_conv2d_transpose, &t, sizeof t, dy, full);
    const int64_t begin[4] = {0, a->pads.v[0], a->pads.v[2], 0};
    return padded < 0 ? -1 : cut(e, padded, begin, x.dim);
}

EMIT(conv)
{
    return conv_term_of(e, (const cx_conv_attr *)n->attr, n->in[0], n->in[1], n->out[0], dy, k);
}

EMIT(depthwise) /* as many groups as channels: kernel (kh, kw, c, m) read as (kh, kw, 1, c * m) */
{
    const cx_depthwise_attr *a = (const cx_depthwise_attr *)n->attr;
    const cx_spec kernel = *cx_emitted_spec(e, n->in[1]);
    const cx_conv_attr conv = {
        {a->stride[0], a->stride[1]}, a->padding, a->pads, {a->dilation[0], a->dilation[1]}, kernel.dim[2]};
    const int64_t *s = kernel.dim;
    if (k == 2) return dy;
    if (!cx_known(&kernel)) return refuse(e, "while shapes are unknown");
    const cx_spec flat = {kernel.dtype, 4, {s[0], s[1], 1, s[2] * s[3]}};
    const int slot = cx_emit_reshape(e, n->in[1], &flat);
    const int term = slot < 0 ? -1 : conv_term_of(e, &conv, n->in[0], slot, n->out[0], dy, k);
    return k == 1 ? cx_emit_reshape(e, term, &kernel) : term;
}

EMIT(conv_transpose)
{
    const cx_conv_transpose_attr *a = (const cx_conv_transpose_attr *)n->attr;
    const cx_spec x = *cx_emitted_spec(e, n->in[0]), kernel = *cx_emitted_spec(e, n->in[1]);
    const cx_spec y = *cx_emitted_spec(e, n->out[0]);
    if (k == 2) return dy;
    if (!cx_known(&x) || !cx_known(&kernel) || !cx_known(&y)) return refuse(e, "while shapes are unknown");
    const cx_conv c = cx_conv_transpose_of(a, &x, &kernel, &y);
    if (k == 1) return kernel_term(e, &c, dy, n->in[0], n->in[1]);
    const cx_conv_attr t = {
        {a->stride[0], a->stride[1]}, a->padding, {.n = CX_ABSENT}, {a->dilation[0], a->dilation[1]}, 1};
    return two(e, &cx_op_conv2d, &t, sizeof t, dy, n->in[1]);
}

cx_code cx_conv_emit(cx_program *p, const cx_node *node, const int *dout, int *din, cx_err *err)
{
    return conv_emit(p, node, dout, din, err);
}
cx_code cx_conv_transpose_emit(cx_program *p, const cx_node *node, const int *dout, int *din, cx_err *err)
{
    return conv_transpose_emit(p, node, dout, din, err);
}
cx_code cx_depthwise_emit(cx_program *p, const cx_node *node, const int *dout, int *din, cx_err *err)
{
    return depthwise_emit(p, node, dout, din, err);
}
