/* conv2d and conv2d_transpose: shapes and attributes. The products are in kernels/; a transposed convolution is a
 * convolution whose output and input have changed places. */
#include "convolve.h"
#include "window.h"

cx_code cx_convolve_bias(const char *op, const cx_spec *bias, int64_t filters, cx_err *err)
{
    char text[CX_SHAPE_TEXT];
    if (bias->ndim == CX_ABSENT || (bias->ndim == 1 && cx_fits(bias->dim[0], filters))) return CX_OK;
    return cx_fail(err, CX_EVALUE, "%s: `bias` must have shape (%lld,), one number for each filter. Received: shape %s",
                   op, (long long)filters, cx_shape_text(bias, text));
}

cx_code cx_convolve_check(const char *op, const cx_spec *in, const int64_t *dilation, int64_t *extent, cx_err *err)
{
    const int64_t most = (int64_t)1 << 40;
    static const char *const name[] = {"x", "kernel"};
    static const char *const form[] = {"batch, height, width, channels", "height, width, channels, filters"};
    char text[CX_SHAPE_TEXT];
    for (int i = 0; i < 2; i++)
        if (in[i].ndim != 4)
            return cx_fail(err, CX_EVALUE, "%s: `%s` must have rank 4, (%s). Received: shape %s", op, name[i], form[i],
                           cx_shape_text(&in[i], text));
    for (int d = 0; d < 2; d++) {
        int64_t k = in[1].dim[d], x = in[0].dim[1 + d];
        if (k == 0)
            return cx_fail(err, CX_EVALUE, "%s: the window of `kernel` must not be empty. Received: shape %s", op,
                           cx_shape_text(&in[1], text));
        extent[d] = k == CX_ANY ? CX_ANY : k;
        if (k > INT32_MAX || x > most)
            return cx_fail(err, CX_EVALUE, "%s: `%s` is too large. Received: shape %s", op, name[k > INT32_MAX],
                           cx_shape_text(&in[k > INT32_MAX], text));
        if (k != CX_ANY) extent[d] = (k - 1) * dilation[d] + 1;
    }
    return CX_OK;
}

cx_code cx_convolve_pads(const char *op, int64_t padding, const cx_list *pads, cx_err *err)
{
    if (padding != CX_EXPLICIT || pads->n == 4) return CX_OK;
    return cx_fail(err, CX_EVALUE,
                   "%s: `pads` must be 4 integers (top, bottom, left, right) with padding=\"explicit\". Received: %lld",
                   op, (long long)(pads->n < 0 ? 0 : pads->n));
}

int64_t cx_convolve_pad(const cx_list *pads, int place)
{
    return pads->n == CX_ABSENT ? 0 : pads->v[place];
}

bool cx_convolve_known(const cx_spec *in, const cx_spec *out)
{
    return cx_known(&in[0]) && cx_known(&in[1]) && cx_known(out);
}

bool cx_convolve_padded(int64_t *padding, cx_list *sides, const int64_t *pads)
{
    cx_list all = {.n = 4};
    if (*padding == CX_SAME) return false;
    for (int i = 0; i < 4; i++) {
        const int64_t own = *padding == CX_EXPLICIT ? sides->v[i] : 0;
        if (pads[i] > INT32_MAX - own) return false;
        all.v[i] = own + pads[i];
    }
    *padding = CX_EXPLICIT, *sides = all;
    return true;
}

/* Groups of one channel are a depthwise convolution, whose vectors run over groups. */
static bool by_channel(const cx_conv *c)
{
    return c->channels == 1 && c->groups > 1;
}

typedef size_t size_fn(const cx_conv *c, int *threads);
static size_t need(size_fn *size, const cx_conv *c, int most, int *threads)
{
    int t = most;
    size_t bytes = size(c, &t);
    if (t > *threads) *threads = t;
    return bytes;
}
static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Whole sizes stay far below 2^63 from here on: no array is that large, but a padded image or one without channels
 * could claim to be. */
static cx_code bounded(const char *op, const cx_conv *c, cx_err *err)
{
    const size_t limit = (size_t)1 << 50;
    size_t padded = 1, out = 1, window = 1, all = (size_t)(c->groups * c->channels + c->groups * c->filters + 1);
    for (int d = 0; d < 2; d++) {
        const int64_t reach = (c->size[d] - 1) * c->dilation[d] + 1;
        const size_t moves = cx_times((size_t)(c->out[d] + 1), (size_t)c->stride[d]);
        padded = cx_times(padded, (size_t)reach + moves + (size_t)c->in[d]);
        out = cx_times(out, (size_t)(c->out[d] + c->in[d] + 1)), window = cx_times(window, (size_t)c->size[d]);
    }
    const size_t images = (size_t)c->images + 1;
    if (cx_times(padded, all) < limit && cx_times(cx_times(out, images), all) < limit &&
        cx_times(cx_times(window, all), all) < limit)
        return CX_OK;
    return cx_fail(err, CX_EVALUE, "%s: the padded image, the kernel or the output would be too large", op);
}

cx_code cx_convolve_plan(const char *op, const cx_conv *c, bool transposed, bool bias, cx_plan *plan, cx_err *err)
{
    if (bounded(op, c, err)) return err->code;
    const bool each = by_channel(c);
    const int most = plan->threads;
    int threads = 1;
    size_t output = need(each ? cx_depthwise_output_scratch : cx_conv_output_scratch, c, most, &threads);
    size_t input = need(each ? cx_depthwise_input_scratch : cx_conv_input_scratch, c, most, &threads);
    size_t kernel = need(each ? cx_depthwise_kernel_scratch : cx_conv_kernel_scratch, c, most, &threads);
    const int64_t *made = transposed ? c->in : c->out, columns = c->groups * (transposed ? c->channels : c->filters);
    size_t sums = bias ? cx_sum_rows_scratch(c->dtype, c->images * made[0] * made[1], columns) : 0;
    plan->scratch = transposed ? input : output;
    plan->scratch_back = larger(larger(transposed ? output : input, kernel), sums);
    plan->threads = threads;
    return CX_OK;
}

/* y from x, or (back) the other way round: of the convolution, whichever the op calls its output. */
static void correlate(const cx_conv *c, bool back, const void *from, const cx_value *kernel, const cx_finish *f,
                      void *to, void *scratch)
{
    if (by_channel(c))
        (back ? cx_depthwise_input : cx_depthwise_output)(c, from, kernel->data, f, to, scratch);
    else
        (back ? cx_conv_input : cx_conv_output)(c, from, kernel->data, kernel->form, f, to, scratch);
}

void cx_convolve_form(const cx_conv *c, bool transposed, bool back, cx_form *f)
{
    if (!by_channel(c)) (transposed != back ? cx_conv_input_form : cx_conv_output_form)(c, f);
}
void cx_convolve_make(const cx_conv *c, bool transposed, bool back, const cx_value *kernel, void *form)
{
    (transposed != back ? cx_conv_input_make : cx_conv_output_make)(c, kernel->data, form);
}

void cx_convolve_forward(const cx_conv *c, bool transposed, const cx_value *in, const cx_value *out, void *scratch)
{
    const cx_finish f = {.shift = in[2].data};
    cx_convolve_finished(c, transposed, in, out, scratch, f.shift ? &f : NULL);
}

void cx_convolve_finished(const cx_conv *c, bool transposed, const cx_value *in, const cx_value *out, void *scratch,
                          const cx_finish *f)
{
    correlate(c, transposed, in[0].data, &in[1], f, out->data, scratch);
}
void cx_convolve_finished_back(const cx_conv *c, bool transposed, const cx_value *in, const cx_value *dout, void *dx,
                               void *scratch, const cx_finish *f)
{
    correlate(c, !transposed, dout->data, &in[1], f, dx, scratch);
}

void cx_convolve_backward(const cx_conv *c, bool transposed, const cx_value *in, const cx_value *dout,
                          const cx_value *din, const cx_mode *mode, void *scratch)
{
    const void *dy = dout->data;
    if (mode[0]) {
        const cx_finish f = {.plus = din[0].data};
        cx_convolve_finished_back(c, transposed, in, dout, din[0].data, scratch, mode[0] == CX_ADD ? &f : NULL);
    }
    if (mode[1]) {
        const void *wide = transposed ? dy : in[0].data, *narrow = transposed ? in[0].data : dy;
        (by_channel(c) ? cx_depthwise_kernel : cx_conv_kernel)(c, wide, narrow, mode[1] == CX_ADD, din[1].data,
                                                               scratch);
    }
    if (mode[2]) {
        const int64_t *made = transposed ? c->in : c->out;
        cx_sum_rows(c->dtype, c->images * made[0] * made[1], c->groups * (transposed ? c->channels : c->filters), dy,
                    mode[2] == CX_ADD, din[2].data, scratch);
    }
}

/* conv2d: x (n, h, w, c), kernel (kh, kw, c / groups, f), bias (f) -> (n, oh, ow, f) */

cx_conv cx_conv_of(const cx_conv_attr *a, const cx_spec *x, const cx_spec *kernel, const cx_spec *y)
{
    cx_conv c = {.dtype = x->dtype,
                 .images = x->dim[0],
                 .groups = a->groups,
                 .channels = kernel->dim[2],
                 .filters = kernel->dim[3] / a->groups};
    for (int d = 0; d < 2; d++) {
        c.in[d] = x->dim[1 + d], c.out[d] = y->dim[1 + d], c.size[d] = kernel->dim[d];
        c.stride[d] = a->stride[d], c.dilation[d] = a->dilation[d];
        c.before[d] = cx_window_before(c.in[d], c.out[d], (c.size[d] - 1) * c.dilation[d] + 1, c.stride[d], a->padding,
                                       cx_convolve_pad(&a->pads, 2 * d));
    }
    return c;
}

static cx_code conv2d_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    const cx_conv_attr *a = attr;
    const int64_t *x = in[0].dim, *k = in[1].dim, groups = a->groups;
    int64_t extent[2];
    if (cx_convolve_check("conv2d", in, a->dilation, extent, err)) return err->code;
    if (cx_convolve_pads("conv2d", a->padding, &a->pads, err)) return err->code;
    if (x[3] != CX_ANY && x[3] % groups)
        return cx_fail(err, CX_EVALUE,
                       "conv2d: `groups` must divide the number of channels, %lld. Received: groups=%lld",
                       (long long)x[3], (long long)groups);
    if (k[3] != CX_ANY && k[3] % groups)
        return cx_fail(err, CX_EVALUE,
                       "conv2d: `groups` must divide the number of filters, %lld. Received: groups=%lld",
                       (long long)k[3], (long long)groups);
    if (!cx_fits(x[3] == CX_ANY ? CX_ANY : x[3] / groups, k[2]))
        return cx_fail(err, CX_EVALUE,
                       "conv2d: `kernel` must have as many input channels as a group of `x`, %lld. Received: %lld",
                       (long long)(x[3] / groups), (long long)k[2]);
    if (cx_convolve_bias("conv2d", &in[2], k[3], err)) return err->code;
    cx_spec *y = &plan->out[0];
    *y = (cx_spec){in[0].dtype, 4, {x[0], CX_ANY, CX_ANY, k[3]}};
    for (int d = 0; d < 2; d++)
        if (extent[d] != CX_ANY)
            y->dim[1 + d] = cx_window_out(x[1 + d], extent[d], a->stride[d], a->padding,
                                          cx_convolve_pad(&a->pads, 2 * d), cx_convolve_pad(&a->pads, 2 * d + 1));
    if (cx_convolve_known(in, y)) {
        cx_conv c = cx_conv_of(a, &in[0], &in[1], y);
        return cx_convolve_plan("conv2d", &c, false, in[2].ndim != CX_ABSENT, plan, err);
    }
    return CX_OK;
}

FORWARD(conv2d_forward)
{
    FORWARD_UNUSED;
    cx_conv c = cx_conv_of(attr, &in[0].spec, &in[1].spec, &out->spec);
    cx_convolve_forward(&c, false, in, out, scratch);
}
BACKWARD(conv2d_backward)
{
    BACKWARD_UNUSED;
    cx_conv c = cx_conv_of(attr, &in[0].spec, &in[1].spec, &out->spec);
    cx_convolve_backward(&c, false, in, dout, din, mode, scratch);
}
static void conv2d_finished(const void *attr, const cx_value *in, const cx_value *out, void *scratch,
                            const cx_finish *f)
{
    const cx_conv c = cx_conv_of(attr, &in[0].spec, &in[1].spec, &out->spec);
    cx_convolve_finished(&c, false, in, out, scratch, f);
}
static void conv2d_finished_back(const void *attr, const cx_value *in, const cx_value *out, const cx_value *dout,
                                 void *dx, void *scratch, const cx_finish *f)
{
    const cx_conv c = cx_conv_of(attr, &in[0].spec, &in[1].spec, &out->spec);
    cx_convolve_finished_back(&c, false, in, dout, dx, scratch, f);
}
static void conv2d_form(const void *attr, const cx_value *in, const cx_value *out, bool back, cx_form *f)
{
    const cx_conv c = cx_conv_of(attr, &in[0].spec, &in[1].spec, &out->spec);
    cx_convolve_form(&c, false, back, f);
}
static void conv2d_make(const void *attr, const cx_value *in, const cx_value *out, bool back, void *form)
{
    const cx_conv c = cx_conv_of(attr, &in[0].spec, &in[1].spec, &out->spec);
    cx_convolve_make(&c, false, back, &in[1], form);
}

static bool conv2d_even(const void *attr, const cx_value *in)
{
    (void)in;
    return ((const cx_conv_attr *)attr)->groups == 1;
}

static bool conv2d_padded(const void *attr, const int64_t *pads, void *merged)
{
    cx_conv_attr *a = merged;
    *a = *(const cx_conv_attr *)attr;
    return cx_convolve_padded(&a->padding, &a->pads, pads);
}

static const cx_field conv2d_fields[] = {
    {"strides", CX_PAIR, offsetof(cx_conv_attr, stride), false, 1, 1, INT32_MAX, NULL},
    {"padding", CX_CHOICE, offsetof(cx_conv_attr, padding), false, CX_VALID, 0, 2, "valid same explicit"},
    {"pads", CX_LIST, offsetof(cx_conv_attr, pads), false, 0, 0, INT32_MAX, NULL},
    {"dilation", CX_PAIR, offsetof(cx_conv_attr, dilation), false, 1, 1, INT32_MAX, NULL},
    {"groups", CX_INT, offsetof(cx_conv_attr, groups), false, 1, 1, INT32_MAX, NULL},
    {0}};

/* conv2d_transpose: x (n, h, w, c), kernel (kh, kw, f, c), bias (f) -> (n, oh, ow, f) */

cx_conv cx_conv_transpose_of(const cx_conv_transpose_attr *a, const cx_spec *x, const cx_spec *kernel, const cx_spec *y)
{
    cx_conv c = {
        .dtype = x->dtype, .images = x->dim[0], .groups = 1, .channels = kernel->dim[2], .filters = kernel->dim[3]};
    for (int d = 0; d < 2; d++) {
        c.in[d] = y->dim[1 + d], c.out[d] = x->dim[1 + d], c.size[d] = kernel->dim[d];
        c.stride[d] = a->stride[d], c.dilation[d] = a->dilation[d];
        c.before[d] =
            cx_window_before(c.in[d], c.out[d], (c.size[d] - 1) * c.dilation[d] + 1, c.stride[d], a->padding, 0);
    }
    return c;
}

/* Keras's rule: as large as the smallest input that a convolution maps to n, stretched to whole strides, unless
 * output_padding says how much is to be added. */
static int64_t transpose_out(const cx_conv_transpose_attr *a, int d, int64_t n, int64_t extent)
{
    if (a->output_size.n != CX_ABSENT) return a->output_size.v[d];
    if (n == CX_ANY || extent == CX_ANY) return CX_ANY;
    if (n == 0) return 0;
    const int64_t stride = a->stride[d], reach = (n - 1) * stride;
    if (a->output_padding.n != CX_ABSENT)
        return reach + (a->padding == CX_SAME ? extent % 2 : extent) + a->output_padding.v[d];
    if (a->padding == CX_SAME) return n * stride;
    return reach + (extent > stride ? extent : stride);
}

static cx_code conv2d_transpose_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    static const char *const side[] = {"height", "width"};
    const cx_conv_transpose_attr *a = attr;
    const int64_t *x = in[0].dim, *k = in[1].dim;
    int64_t extent[2];
    if (cx_convolve_check("conv2d_transpose", in, a->dilation, extent, err)) return err->code;
    const cx_list *list[] = {&a->output_padding, &a->output_size};
    for (int i = 0; i < 2; i++)
        if (list[i]->n != CX_ABSENT && list[i]->n != 2)
            return cx_fail(err, CX_EVALUE, "conv2d_transpose: `%s` must be 2 integers. Received: %lld",
                           i ? "output_size" : "output_padding", (long long)list[i]->n);
    if (!cx_fits(x[3], k[3]))
        return cx_fail(err, CX_EVALUE,
                       "conv2d_transpose: the last dimension of `kernel` must be the number of channels of `x`, %lld. "
                       "Received: %lld",
                       (long long)x[3], (long long)k[3]);
    if (cx_convolve_bias("conv2d_transpose", &in[2], k[2], err)) return err->code;
    cx_spec *y = &plan->out[0];
    *y = (cx_spec){in[0].dtype, 4, {x[0], CX_ANY, CX_ANY, k[2]}};
    for (int d = 0; d < 2; d++) {
        size_t fits;
        if (x[1 + d] > 0 && cx_multiply((size_t)x[1 + d], (size_t)a->stride[d], &fits, err)) return err->code;
        int64_t n = y->dim[1 + d] = transpose_out(a, d, x[1 + d], extent[d]);
        if (n == CX_ANY || x[1 + d] == CX_ANY || extent[d] == CX_ANY) continue;
        if (cx_window_out(n, extent[d], a->stride[d], a->padding, 0, 0) != x[1 + d])
            return cx_fail(
                err, CX_EVALUE,
                "conv2d_transpose: a convolution with these strides does not map an output of %s %lld to the "
                "input's %s %lld; change `output_padding` or `output_size`",
                side[d], (long long)n, side[d], (long long)x[1 + d]);
    }
    if (cx_convolve_known(in, y)) {
        cx_conv c = cx_conv_transpose_of(a, &in[0], &in[1], y);
        return cx_convolve_plan("conv2d_transpose", &c, true, in[2].ndim != CX_ABSENT, plan, err);
    }
    return CX_OK;
}

FORWARD(conv2d_transpose_forward)
{
    FORWARD_UNUSED;
    cx_conv c = cx_conv_transpose_of(attr, &in[0].spec, &in[1].spec, &out->spec);
    cx_convolve_forward(&c, true, in, out, scratch);
}
BACKWARD(conv2d_transpose_backward)
{
    BACKWARD_UNUSED;
    cx_conv c = cx_conv_transpose_of(attr, &in[0].spec, &in[1].spec, &out->spec);
    cx_convolve_backward(&c, true, in, dout, din, mode, scratch);
}
static void conv2d_transpose_finished(const void *attr, const cx_value *in, const cx_value *out, void *scratch,
                                      const cx_finish *f)
{
    const cx_conv c = cx_conv_transpose_of(attr, &in[0].spec, &in[1].spec, &out->spec);
    cx_convolve_finished(&c, true, in, out, scratch, f);
}
static void conv2d_transpose_finished_back(const void *attr, const cx_value *in, const cx_value *out,
                                           const cx_value *dout, void *dx, void *scratch, const cx_finish *f)
{
    const cx_conv c = cx_conv_transpose_of(attr, &in[0].spec, &in[1].spec, &out->spec);
    cx_convolve_finished_back(&c, true, in, dout, dx, scratch, f);
}
static void conv2d_transpose_form(const void *attr, const cx_value *in, const cx_value *out, bool back, cx_form *f)
{
    const cx_conv c = cx_conv_transpose_of(attr, &in[0].spec, &in[1].spec, &out->spec);
    cx_convolve_form(&c, true, back, f);
}
static void conv2d_transpose_make(const void *attr, const cx_value *in, const cx_value *out, bool back, void *form)
{
    const cx_conv c = cx_conv_transpose_of(attr, &in[0].spec, &in[1].spec, &out->spec);
    cx_convolve_make(&c, true, back, &in[1], form);
}

static const cx_field conv2d_transpose_fields[] = {
    {"strides", CX_PAIR, offsetof(cx_conv_transpose_attr, stride), false, 1, 1, INT32_MAX, NULL},
    {"padding", CX_CHOICE, offsetof(cx_conv_transpose_attr, padding), false, CX_VALID, 0, 1, "valid same"},
    {"output_padding", CX_LIST, offsetof(cx_conv_transpose_attr, output_padding), false, 0, 0, INT32_MAX, NULL},
    {"dilation", CX_PAIR, offsetof(cx_conv_transpose_attr, dilation), false, 1, 1, INT32_MAX, NULL},
    {"output_size", CX_LIST, offsetof(cx_conv_transpose_attr, output_size), false, 0, 0, INT32_MAX, NULL},
    {0}};

/* dx is computed from the kernel, dk from x, db from dy alone. */
const cx_op cx_op_conv2d = {.name = "conv2d",
                            .kind = CX_LINEAR,
                            .least_in = 2,
                            .most_in = 3,
                            .n_out = 1,
                            .n_public = 1,
                            .alike = CX_IN(0) | CX_IN(1) | CX_IN(2),
                            .fields = conv2d_fields,
                            .infer = conv2d_infer,
                            .forward = {[CX_F32] = conv2d_forward, [CX_F64] = conv2d_forward},
                            .backward = {conv2d_backward, conv2d_backward},
                            .formed = 1,
                            .form = conv2d_form,
                            .make = conv2d_make,
                            .finished = conv2d_finished,
                            .even = conv2d_even,
                            .padded = conv2d_padded,
                            .finished_back = conv2d_finished_back,
                            .reads = {CX_IN(1), CX_IN(0), 0},
                            .emit_grad = cx_conv_emit};
const cx_op cx_op_conv2d_transpose = {
    .name = "conv2d_transpose",
    .kind = CX_LINEAR,
    .least_in = 2,
    .most_in = 3,
    .n_out = 1,
    .n_public = 1,
    .alike = CX_IN(0) | CX_IN(1) | CX_IN(2),
    .fields = conv2d_transpose_fields,
    .infer = conv2d_transpose_infer,
    .forward = {[CX_F32] = conv2d_transpose_forward, [CX_F64] = conv2d_transpose_forward},
    .backward = {conv2d_transpose_backward, conv2d_transpose_backward},
    .formed = 1,
    .form = conv2d_transpose_form,
    .make = conv2d_transpose_make,
    .finished = conv2d_transpose_finished,
    .finished_back = conv2d_transpose_finished_back,
    .reads = {CX_IN(1), CX_IN(0), 0},
    .emit_grad = cx_conv_transpose_emit};
