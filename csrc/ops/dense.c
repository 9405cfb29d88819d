/* matmul and dense. */
#include "generic.h"
#include "emit.h"
#include "../kernels/conv.h"
#include "../kernels/gemm.h"

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Sizes are multiplied from here on: what cannot be an array is refused. Empty ones count with 1 for each 0. */
static cx_code too_large(const cx_spec *in, const cx_spec *out, cx_err *err)
{
    const cx_spec *all[] = {&in[0], &in[1], out};
    size_t size;
    for (int i = 0; i < 3; i++) {
        cx_spec s = *all[i];
        for (int d = 0; d < s.ndim; d++) s.dim[d] += s.dim[d] == 0;
        if (cx_bytes(&s, &size, err)) return err->code;
    }
    return CX_OK;
}

/* dense: x (..., k), kernel (k, u), bias (u) -> (..., u) */
static int64_t rows_of(const cx_spec *x)
{
    int64_t rows = 1;
    for (int d = 0; d + 1 < x->ndim; d++) rows = (int64_t)cx_times((size_t)rows, (size_t)x->dim[d]);
    return rows;
}
/* The kernel gradient is that of a 1 x 1 convolution over the rows. */
static cx_conv dense_conv(const cx_spec *x, const cx_spec *kernel)
{
    return (cx_conv){.dtype = x->dtype,
                     .images = 1,
                     .groups = 1,
                     .channels = kernel->dim[0],
                     .filters = kernel->dim[1],
                     .in = {rows_of(x), 1},
                     .out = {rows_of(x), 1},
                     .size = {1, 1},
                     .stride = {1, 1},
                     .dilation = {1, 1}};
}
static cx_gemm dense_output(const cx_spec *x, const cx_spec *kernel)
{
    const int64_t k = kernel->dim[0], u = kernel->dim[1];
    return (cx_gemm){.dtype = x->dtype, .rows = rows_of(x), .columns = u, .inner = k, .lda = k, .ldb = u, .ldc = u};
}
static cx_gemm dense_input(const cx_spec *x, const cx_spec *kernel)
{
    const int64_t k = kernel->dim[0], u = kernel->dim[1];
    return (cx_gemm){
        .dtype = x->dtype, .rows = rows_of(x), .columns = k, .inner = u, .lda = u, .ldb = u, .ldc = k, .turn_b = true};
}

static cx_code dense_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    char text[CX_SHAPE_TEXT];
    const cx_spec *x = &in[0], *kernel = &in[1], *bias = &in[2];
    (void)attr;
    if (x->ndim < 2)
        return cx_fail(err, CX_EVALUE, "dense: `x` must have rank 2 or more, (..., features). Received: shape %s",
                       cx_shape_text(x, text));
    if (kernel->ndim != 2)
        return cx_fail(err, CX_EVALUE, "dense: `kernel` must have rank 2, (features, units). Received: shape %s",
                       cx_shape_text(kernel, text));
    if (!cx_fits(x->dim[x->ndim - 1], kernel->dim[0]))
        return cx_fail(err, CX_EVALUE,
                       "dense: `kernel` must have as many rows as `x` has features, %lld. Received: shape %s",
                       (long long)x->dim[x->ndim - 1], cx_shape_text(kernel, text));
    if (bias->ndim != CX_ABSENT && (bias->ndim != 1 || !cx_fits(bias->dim[0], kernel->dim[1])))
        return cx_fail(err, CX_EVALUE, "dense: `bias` must have shape (%lld,), one number for each unit. Received: %s",
                       (long long)kernel->dim[1], cx_shape_text(bias, text));
    plan->out[0] = *x;
    plan->out[0].dim[x->ndim - 1] = kernel->dim[1];
    if (!cx_known(x) || !cx_known(kernel)) return CX_OK;
    if (too_large(in, &plan->out[0], err)) return err->code;
    cx_gemm output = dense_output(x, kernel), input = dense_input(x, kernel);
    cx_conv c = dense_conv(x, kernel);
    int t[3] = {plan->threads, plan->threads, plan->threads};
    plan->scratch = cx_gemm_scratch(&output, &t[0]);
    plan->scratch_back = larger(cx_gemm_scratch(&input, &t[1]), cx_conv_kernel_scratch(&c, &t[2]));
    plan->scratch_back = larger(plan->scratch_back, cx_sum_rows_scratch(x->dtype, rows_of(x), kernel->dim[1]));
    plan->threads = 1;
    for (int i = 0; i < 3; i++)
        if (t[i] > plan->threads) plan->threads = t[i];
    return CX_OK;
}

/* The kernel packed. Large ones exist once: they dominate a network's memory. */
static cx_gemm formed_product(const cx_value *in, bool back)
{
    cx_gemm g = (back ? dense_input : dense_output)(&in[0].spec, &in[1].spec);
    g.b = in[1].data;
    return g;
}
static void dense_form(const void *attr, const cx_value *in, const cx_value *out, bool back, cx_form *f)
{
    static const size_t most = (size_t)8 << 20;
    const cx_gemm g = formed_product(in, back);
    const size_t size = cx_gemm_packed_size(&g);
    (void)attr, (void)out;
    if (size > most) return;
    f->size = size, f->key[0] = back | (int64_t)cx_get_isa() << 8;
    f->key[1] = g.inner, f->key[2] = g.columns;
}
static void dense_make(const void *attr, const cx_value *in, const cx_value *out, bool back, void *form)
{
    const cx_gemm g = formed_product(in, back);
    (void)attr, (void)out;
    cx_gemm_pack(&g, form);
}

FORWARD(dense_forward)
{
    FORWARD_UNUSED;
    cx_gemm g = dense_output(&in[0].spec, &in[1].spec);
    g.packed = in[1].form;
    g.a = in[0].data, g.b = in[1].data, g.bias = in[2].data, g.c = out->data;
    cx_gemm_run(&g, scratch);
}
BACKWARD(dense_backward)
{
    BACKWARD_UNUSED;
    if (mode[0]) {
        cx_gemm g = dense_input(&in[0].spec, &in[1].spec);
        g.packed = in[1].form;
        g.a = dout->data, g.b = in[1].data, g.c = din[0].data, g.onto = mode[0] == CX_ADD;
        cx_gemm_run(&g, scratch);
    }
    if (mode[1]) {
        cx_conv c = dense_conv(&in[0].spec, &in[1].spec);
        cx_conv_kernel(&c, in[0].data, dout->data, mode[1] == CX_ADD, din[1].data, scratch);
    }
    if (mode[2])
        cx_sum_rows(in[0].spec.dtype, rows_of(&in[0].spec), in[1].spec.dim[1], dout->data, mode[2] == CX_ADD,
                    din[2].data, scratch);
}

static int emit_product(const cx_emitter *e, int a, bool turn_a, int b, bool turn_b)
{
    const cx_matmul_attr t = {{turn_a, turn_b}};
    return cx_emit(e, &cx_op_matmul, &t, sizeof t, 2, (const int[]){a, b});
}
EMIT(dense)
{
    const cx_spec kernel = *cx_emitted_spec(e, n->in[1]);
    if (k == 0) return emit_product(e, dy, false, n->in[1], true);
    if (k == 2) return dy; /* summed over all but the last dimension by the caller */
    const cx_spec x = {kernel.dtype, 2, {CX_ANY, kernel.dim[0]}}, y = {kernel.dtype, 2, {CX_ANY, kernel.dim[1]}};
    return emit_product(e, cx_emit_reshape(e, n->in[0], &x), true, cx_emit_reshape(e, dy, &y), false);
}

/* matmul: a (..., m, k), b (..., k, n) -> (..., m, n); the leading dimensions broadcast */

/* A matrix of a batch, as it is stored; step: elements from one matrix to the next along each axis of the batch. */
typedef struct {
    int64_t rows, columns, step[CX_RANK];
} stack;

static stack stack_of(const cx_spec *s, const cx_spec *out)
{
    stack m = {.rows = s->dim[s->ndim - 2], .columns = s->dim[s->ndim - 1]};
    int64_t step = m.rows * m.columns;
    for (int d = s->ndim - 2, to = out->ndim - 2; d-- > 0;) {
        m.step[--to] = s->dim[d] == 1 ? 0 : step;
        step *= s->dim[d];
    }
    return m;
}

/* c = op(a) op(b) for all of the batch that `out` spans. */
static cx_gemm product(const cx_spec *out, const stack *a, bool turn_a, const stack *b, bool turn_b, const stack *c)
{
    cx_gemm g = {.dtype = out->dtype, .turn_a = turn_a, .turn_b = turn_b, .rows = c->rows, .columns = c->columns};
    g.inner = turn_a ? a->rows : a->columns;
    g.lda = a->columns, g.ldb = b->columns, g.ldc = c->columns;
    g.axes = out->ndim - 2;
    int64_t batch = 1;
    bool joined = !turn_a; /* rows of a and c that follow each other through the whole batch, and one b */
    for (int d = g.axes; d-- > 0;) {
        joined = joined && !b->step[d] &&
                 (out->dim[d] == 1 ||
                  (a->step[d] == batch * a->rows * a->columns && c->step[d] == batch * c->rows * c->columns));
        batch *= out->dim[d];
    }
    if (joined) {
        g.rows *= batch, g.axes = 0;
        return g;
    }
    for (int d = 0; d < g.axes; d++) {
        g.batch[d] = out->dim[d];
        g.a_step[d] = a->step[d], g.b_step[d] = b->step[d], g.c_step[d] = c->step[d];
    }
    return g;
}

typedef struct {
    cx_gemm output, gradient[2];
} products;

static products products_of(const cx_matmul_attr *t, const cx_spec *a, const cx_spec *b, const cx_spec *out)
{
    const stack x = stack_of(a, out), y = stack_of(b, out), z = stack_of(out, out);
    const bool ta = t->turn[0], tb = t->turn[1];
    return (products){.output = product(out, &x, ta, &y, tb, &z),
                      .gradient = {ta ? product(out, &y, tb, &z, true, &x) : product(out, &z, false, &y, !tb, &x),
                                   tb ? product(out, &z, true, &x, ta, &y) : product(out, &x, !ta, &z, false, &y)}};
}

static cx_code matmul_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    const cx_matmul_attr *t = attr;
    const char *const name[] = {"a", "b"};
    char text[CX_SHAPE_TEXT], other[CX_SHAPE_TEXT];
    cx_spec batch[2], *out = &plan->out[0];
    int64_t rows[2], columns[2];
    for (int i = 0; i < 2; i++) {
        if (in[i].ndim < 2)
            return cx_fail(err, CX_EVALUE, "matmul: `%s` must have rank 2 or more. Received: shape %s", name[i],
                           cx_shape_text(&in[i], text));
        batch[i] = in[i], batch[i].ndim -= 2;
        rows[i] = in[i].dim[in[i].ndim - 2 + (t->turn[i] ? 1 : 0)];
        columns[i] = in[i].dim[in[i].ndim - 1 - (t->turn[i] ? 1 : 0)];
    }
    if (!cx_fits(columns[0], rows[1]))
        return cx_fail(err, CX_EVALUE,
                       "matmul: the columns of `a` must match the rows of `b`. Received: shapes %s and %s, "
                       "transpose_a=%s, transpose_b=%s",
                       cx_shape_text(&in[0], text), cx_shape_text(&in[1], other), t->turn[0] ? "True" : "False",
                       t->turn[1] ? "True" : "False");
    if (cx_broadcast("matmul", batch, 2, out, err)) return err->code;
    out->dtype = in[0].dtype;
    out->dim[out->ndim++] = rows[0], out->dim[out->ndim++] = columns[1];
    if (!cx_known(&in[0]) || !cx_known(&in[1])) return CX_OK;
    if (too_large(in, out, err)) return err->code;
    products p = products_of(t, &in[0], &in[1], out);
    int s[3] = {plan->threads, plan->threads, plan->threads};
    plan->scratch = cx_gemm_scratch(&p.output, &s[0]);
    plan->scratch_back = larger(cx_gemm_scratch(&p.gradient[0], &s[1]), cx_gemm_scratch(&p.gradient[1], &s[2]));
    plan->threads = 1;
    for (int i = 0; i < 3; i++)
        if (s[i] > plan->threads) plan->threads = s[i];
    return CX_OK;
}

FORWARD(matmul_forward)
{
    FORWARD_UNUSED;
    products p = products_of(attr, &in[0].spec, &in[1].spec, &out->spec);
    p.output.a = in[0].data, p.output.b = in[1].data, p.output.c = out->data;
    cx_gemm_run(&p.output, scratch);
}
BACKWARD(matmul_backward)
{
    BACKWARD_UNUSED;
    const cx_matmul_attr *t = attr;
    products p = products_of(t, &in[0].spec, &in[1].spec, &out->spec);
    for (int i = 0; i < 2; i++) {
        cx_gemm *g = &p.gradient[i];
        const bool left = (i == 1) != (t->turn[i] != 0); /* the other input is the left factor */
        if (!mode[i]) continue;
        g->a = left ? in[1 - i].data : dout->data;
        g->b = left ? dout->data : in[1 - i].data;
        g->c = din[i].data, g->onto = mode[i] == CX_ADD;
        cx_gemm_run(g, scratch);
    }
}

EMIT(matmul)
{
    const cx_matmul_attr *t = (const cx_matmul_attr *)n->attr;
    const bool ta = t->turn[0], tb = t->turn[1];
    if (k == 0) return ta ? emit_product(e, n->in[1], tb, dy, true) : emit_product(e, dy, false, n->in[1], !tb);
    return tb ? emit_product(e, dy, true, n->in[0], ta) : emit_product(e, n->in[0], !ta, dy, false);
}

static const cx_field no_fields[] = {{0}};
static const cx_field matmul_fields[] = {
    {"transpose_a", CX_FLAG, offsetof(cx_matmul_attr, turn[0]), false, 0, 0, 1, NULL},
    {"transpose_b", CX_FLAG, offsetof(cx_matmul_attr, turn[1]), false, 0, 0, 1, NULL},
    {0}};

const cx_op cx_op_dense = {.name = "dense",
                           .kind = CX_LINEAR,
                           .least_in = 2,
                           .most_in = 3,
                           .n_out = 1,
                           .n_public = 1,
                           .alike = CX_IN(0) | CX_IN(1) | CX_IN(2),
                           .fields = no_fields,
                           .infer = dense_infer,
                           .forward = {[CX_F32] = dense_forward, [CX_F64] = dense_forward},
                           .backward = {dense_backward, dense_backward},
                           .formed = 1,
                           .form = dense_form,
                           .make = dense_make,
                           .reads = {CX_IN(1), CX_IN(0), 0},
                           .emit_grad = dense_emit};
const cx_op cx_op_matmul = {.name = "matmul",
                            .kind = CX_LINEAR,
                            .least_in = 2,
                            .most_in = 2,
                            .n_out = 1,
                            .n_public = 1,
                            .alike = CX_IN(0) | CX_IN(1),
                            .fields = matmul_fields,
                            .infer = matmul_infer,
                            .forward = {[CX_F32] = matmul_forward, [CX_F64] = matmul_forward},
                            .backward = {matmul_backward, matmul_backward},
                            .reads = {CX_IN(1), CX_IN(0)},
                            .emit_grad = matmul_emit};
