/* depthwise_conv2d: x (n, h, w, c), kernel (kh, kw, c, m), bias (c * m) -> (n, oh, ow, c * m); output channel i * m + j
 * is filter j of channel i. */
#include "convolve.h"
#include "window.h"

static cx_conv conv_of(const cx_depthwise_attr *a, const cx_spec *x, const cx_spec *kernel, const cx_spec *y)
{
    cx_conv c = {.dtype = x->dtype, .images = x->dim[0], .groups = x->dim[3], .channels = 1, .filters = kernel->dim[3]};
    for (int d = 0; d < 2; d++) {
        c.in[d] = x->dim[1 + d], c.out[d] = y->dim[1 + d], c.size[d] = kernel->dim[d];
        c.stride[d] = a->stride[d], c.dilation[d] = a->dilation[d];
        c.before[d] = cx_window_before(c.in[d], c.out[d], (c.size[d] - 1) * c.dilation[d] + 1, c.stride[d], a->padding,
                                       cx_convolve_pad(&a->pads, 2 * d));
    }
    return c;
}

static cx_code depthwise_conv2d_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    const cx_depthwise_attr *a = attr;
    const int64_t *x = in[0].dim, *k = in[1].dim;
    int64_t extent[2], filters = CX_ANY;
    size_t product;
    if (cx_convolve_check("depthwise_conv2d", in, a->dilation, extent, err)) return err->code;
    if (cx_convolve_pads("depthwise_conv2d", a->padding, &a->pads, err)) return err->code;
    if (!cx_fits(x[3], k[2]))
        return cx_fail(err, CX_EVALUE,
                       "depthwise_conv2d: `kernel` must have as many channels as `x`, %lld. Received: %lld",
                       (long long)x[3], (long long)k[2]);
    const int64_t channels = x[3] == CX_ANY ? k[2] : x[3];
    if (channels != CX_ANY && k[3] != CX_ANY) {
        if (cx_multiply((size_t)channels, (size_t)k[3], &product, err)) return err->code;
        filters = (int64_t)product;
    }
    if (cx_convolve_bias("depthwise_conv2d", &in[2], filters, err)) return err->code;
    cx_spec *y = &plan->out[0];
    *y = (cx_spec){in[0].dtype, 4, {x[0], CX_ANY, CX_ANY, filters}};
    for (int d = 0; d < 2; d++)
        if (extent[d] != CX_ANY)
            y->dim[1 + d] = cx_window_out(x[1 + d], extent[d], a->stride[d], a->padding,
                                          cx_convolve_pad(&a->pads, 2 * d), cx_convolve_pad(&a->pads, 2 * d + 1));
    if (cx_convolve_known(in, y)) {
        cx_conv c = conv_of(a, &in[0], &in[1], y);
        return cx_convolve_plan("depthwise_conv2d", &c, false, in[2].ndim != CX_ABSENT, plan, err);
    }
    return CX_OK;
}

FORWARD(depthwise_conv2d_forward)
{
    FORWARD_UNUSED;
    cx_conv c = conv_of(attr, &in[0].spec, &in[1].spec, &out->spec);
    cx_convolve_forward(&c, false, in, out, scratch);
}
BACKWARD(depthwise_conv2d_backward)
{
    BACKWARD_UNUSED;
    cx_conv c = conv_of(attr, &in[0].spec, &in[1].spec, &out->spec);
    cx_convolve_backward(&c, false, in, dout, din, mode, scratch);
}

static void depthwise_conv2d_finished(const void *attr, const cx_value *in, const cx_value *out, void *scratch,
                                      const cx_finish *f)
{
    const cx_conv c = conv_of(attr, &in[0].spec, &in[1].spec, &out->spec);
    cx_convolve_finished(&c, false, in, out, scratch, f);
}
static void depthwise_conv2d_finished_back(const void *attr, const cx_value *in, const cx_value *out,
                                           const cx_value *dout, void *dx, void *scratch, const cx_finish *f)
{
    const cx_conv c = conv_of(attr, &in[0].spec, &in[1].spec, &out->spec);
    cx_convolve_finished_back(&c, false, in, dout, dx, scratch, f);
}

static bool depthwise_conv2d_even(const void *attr, const cx_value *in)
{
    (void)attr;
    return in[1].spec.dim[3] == 1;
}

static bool depthwise_conv2d_padded(const void *attr, const int64_t *pads, void *merged)
{
    cx_depthwise_attr *a = merged;
    *a = *(const cx_depthwise_attr *)attr;
    return cx_convolve_padded(&a->padding, &a->pads, pads);
}

static const cx_field depthwise_fields[] = {
    {"strides", CX_PAIR, offsetof(cx_depthwise_attr, stride), false, 1, 1, INT32_MAX, NULL},
    {"padding", CX_CHOICE, offsetof(cx_depthwise_attr, padding), false, CX_VALID, 0, 2, "valid same explicit"},
    {"pads", CX_LIST, offsetof(cx_depthwise_attr, pads), false, 0, 0, INT32_MAX, NULL},
    {"dilation", CX_PAIR, offsetof(cx_depthwise_attr, dilation), false, 1, 1, INT32_MAX, NULL},
    {0}};

const cx_op cx_op_depthwise_conv2d = {
    .name = "depthwise_conv2d",
    .kind = CX_LINEAR,
    .least_in = 2,
    .most_in = 3,
    .n_out = 1,
    .n_public = 1,
    .alike = CX_IN(0) | CX_IN(1) | CX_IN(2),
    .fields = depthwise_fields,
    .infer = depthwise_conv2d_infer,
    .forward = {[CX_F32] = depthwise_conv2d_forward, [CX_F64] = depthwise_conv2d_forward},
    .backward = {depthwise_conv2d_backward, depthwise_conv2d_backward},
    .finished = depthwise_conv2d_finished,
    .even = depthwise_conv2d_even,
    .finished_back = depthwise_conv2d_finished_back,
    .padded = depthwise_conv2d_padded,
    .reads = {CX_IN(1), CX_IN(0), 0},
    .emit_grad = cx_depthwise_emit};
