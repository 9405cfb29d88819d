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
    cx_fail(e->err, CX_EVALUE, "conv2d has no second derivative %s", what);
    return -1;
}

EMIT(conv)
{
    const cx_conv_attr *a = (const cx_conv_attr *)n->attr;
    const cx_spec x = *cx_emitted_spec(e, n->in[0]), kernel = *cx_emitted_spec(e, n->in[1]);
    const cx_spec y = *cx_emitted_spec(e, n->out[0]);
    if (k == 2) return dy; /* summed over all but the last dimension by the caller */
    if (a->groups != 1) return refuse(e, "with groups");
    if (!cx_known(&x) || !cx_known(&kernel) || !cx_known(&y)) return refuse(e, "while shapes are unknown");
    const cx_conv c = cx_conv_of(a, &x, &kernel, &y);
    if (k == 1) return kernel_term(e, &c, n->in[0], dy, n->in[1]);
    cx_conv_transpose_attr t = {{a->stride[0], a->stride[1]},
                                a->padding == CX_SAME ? CX_SAME : CX_VALID,
                                {.n = CX_ABSENT},
                                {a->dilation[0], a->dilation[1]},
                                {2, {x.dim[1], x.dim[2]}}};
    if (a->padding != CX_EXPLICIT) return two(e, &cx_op_conv2d_transpose, &t, sizeof t, dy, n->in[1]);
    for (int d = 0; d < 2; d++) t.output_size.v[d] += a->pads.v[2 * d] + a->pads.v[2 * d + 1];
    const int padded = two(e, &cx_op_conv2d_transpose, &t, sizeof t, dy, n->in[1]);
    const int64_t begin[4] = {0, a->pads.v[0], a->pads.v[2], 0};
    return padded < 0 ? -1 : cut(e, padded, begin, x.dim);
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
