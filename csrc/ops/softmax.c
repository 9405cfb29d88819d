/* softmax and log_softmax along one axis. The largest logit of a row is subtracted first, so no row overflows; a logit
 * of -inf gives probability 0 where the row has a finite one. */
#include "generic.h"
#include "emit.h"
#include "exp.h"

#ifndef REAL
typedef struct {
    const void *from, *dy;
    void *to;
    bool add;
    int64_t k, step; /* a row: k elements, step apart */
} rows;

static rows rows_of(const cx_axis_attr *a, const cx_spec *s)
{
    rows r = {.k = 1, .step = 1};
    int axis = (int)(a->axis < 0 ? a->axis + s->ndim : a->axis);
    for (int d = axis + 1; d < s->ndim; d++) r.step *= s->dim[d];
    r.k = s->dim[axis];
    return r;
}
static void run_rows(rows *r, const cx_spec *s, cx_task *task)
{
    int64_t n = cx_count(s);
    if (n) cx_parallel(n / r->k, 1 + CX_GRAIN / 4 / r->k, task, r);
}
static inline int64_t row_start(const rows *r, int64_t row)
{
    return row / r->step * r->k * r->step + row % r->step;
}
/* The common step of 1 is a constant of the inlined row, which then vectorises. */
#define EACH_ROW(row, ...)                   \
    for (int64_t i = begin; i < end; i++) {  \
        const int64_t at = row_start(r, i);  \
        if (r->step == 1)                    \
            row(__VA_ARGS__, r->k, 1);       \
        else                                 \
            row(__VA_ARGS__, r->k, r->step); \
    }
#define VALUES(f)                                                                  \
    static void T(f##_rows)(void *context, int64_t begin, int64_t end, int worker) \
    {                                                                              \
        const rows *r = context;                                                   \
        const REAL *x = r->from;                                                   \
        REAL *y = r->to;                                                           \
        (void)worker;                                                              \
        EACH_ROW(T(f##_row), x + at, y + at)                                       \
    }                                                                              \
    FORWARD(T(f##_forward))                                                        \
    {                                                                              \
        FORWARD_UNUSED;                                                            \
        rows r = rows_of(attr, &in->spec);                                         \
        r.from = in->data, r.to = out->data;                                       \
        run_rows(&r, &in->spec, T(f##_rows));                                      \
    }
#define SLOPES(f)                                                                         \
    static void T(f##_slope_rows)(void *context, int64_t begin, int64_t end, int worker)  \
    {                                                                                     \
        const rows *r = context;                                                          \
        const REAL *y = r->from, *dy = r->dy;                                             \
        REAL *dx = r->to;                                                                 \
        (void)worker;                                                                     \
        EACH_ROW(T(f##_slope_row), y + at, dy + at, dx + at, r->add)                      \
    }                                                                                     \
    BACKWARD(T(f##_backward))                                                             \
    {                                                                                     \
        BACKWARD_UNUSED;                                                                  \
        rows r = rows_of(attr, &out->spec);                                               \
        r.from = out->data, r.dy = dout->data, r.to = din->data, r.add = *mode == CX_ADD; \
        if (*mode != CX_SKIP) run_rows(&r, &out->spec, T(f##_slope_rows));                \
    }

#define REAL float
#include "softmax.c"
#undef REAL
#define REAL double
#include "softmax.c"
#undef REAL

static cx_code axis_infer(const char *op, const cx_axis_attr *a, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    if (a->axis < -in->ndim || a->axis >= in->ndim)
        return cx_fail(err, CX_EVALUE, "%s: `axis` must be in [%d, %d) for an input of rank %d. Received: axis=%lld",
                       op, -in->ndim, in->ndim, in->ndim, (long long)a->axis);
    plan->out[0] = in[0];
    return CX_OK;
}
static cx_code softmax_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    return axis_infer("softmax", attr, in, plan, err);
}
static cx_code log_softmax_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    return axis_infer("log_softmax", attr, in, plan, err);
}

static int sum_rows(const cx_emitter *e, const cx_node *n, int a)
{
    cx_reduce_attr row = {{1, {((const cx_axis_attr *)n->attr)->axis}}, 1};
    return CX_EMIT_WITH(e, &cx_op_reduce_sum, row, a);
}
EMIT(softmax)
{
    const int y = n->out[0];
    EMIT_UNUSED;
    int dot = sum_rows(e, n, cx_emit2(e, &cx_op_multiply, y, dy));
    return cx_emit2(e, &cx_op_multiply, y, cx_emit2(e, &cx_op_subtract, dy, dot));
}
EMIT(log_softmax)
{
    EMIT_UNUSED;
    int shared = cx_emit2(e, &cx_op_multiply, cx_emit1(e, &cx_op_exp, n->out[0]), sum_rows(e, n, dy));
    return cx_emit2(e, &cx_op_subtract, dy, shared);
}

static const cx_field softmax_fields[] = {
    {"axis", CX_INT, offsetof(cx_axis_attr, axis), false, -1, -CX_RANK, CX_RANK - 1, NULL}, {0}};

const cx_op cx_op_softmax = {.name = "softmax",
                             .kind = CX_OTHER,
                             .least_in = 1,
                             .most_in = 1,
                             .n_out = 1,
                             .n_public = 1,
                             .fields = softmax_fields,
                             .infer = softmax_infer,
                             .forward = CX_BOTH(softmax_forward),
                             .backward = CX_BOTH(softmax_backward),
                             .reads = {CX_OUT(0)},
                             .logits = 1,
                             .emit_grad = softmax_emit};
const cx_op cx_op_log_softmax = {.name = "log_softmax",
                                 .kind = CX_OTHER,
                                 .least_in = 1,
                                 .most_in = 1,
                                 .n_out = 1,
                                 .n_public = 1,
                                 .fields = softmax_fields,
                                 .infer = log_softmax_infer,
                                 .forward = CX_BOTH(log_softmax_forward),
                                 .backward = CX_BOTH(log_softmax_backward),
                                 .reads = {CX_OUT(0)},
                                 .emit_grad = log_softmax_emit};

#else
#include "row.h"

static inline void T(softmax_row)(const REAL *x, REAL *y, int64_t k, int64_t step)
{
    REAL top = T(row_max)(x, k, step);
    for (int64_t i = 0; i < k; i++) y[i * step] = T(exp)(x[i * step] - top);
    REAL sum = T(row_sum)(y, k, step);
    for (int64_t i = 0; i < k; i++) y[i * step] /= sum;
}
VALUES(softmax)

/* dx = y (dy - <y, dy>) */
static inline void T(softmax_slope_row)(const REAL *y, const REAL *dy, REAL *dx, bool add, int64_t k, int64_t step)
{
    REAL dot = T(row_dot)(y, dy, k, step);
    if (add)
        for (int64_t i = 0; i < k; i++) dx[i * step] += y[i * step] * (dy[i * step] - dot);
    else
        for (int64_t i = 0; i < k; i++) dx[i * step] = y[i * step] * (dy[i * step] - dot);
}
SLOPES(softmax)

static inline void T(log_softmax_row)(const REAL *x, REAL *y, int64_t k, int64_t step)
{
    REAL top = T(row_max)(x, k, step), log_sum = (REAL)log((double)T(row_sum_exp)(x, k, step, top));
    for (int64_t i = 0; i < k; i++) y[i * step] = (x[i * step] - top) - log_sum;
}
VALUES(log_softmax)

/* dx = dy - exp(y) sum(dy) */
static inline void T(log_softmax_slope_row)(const REAL *y, const REAL *dy, REAL *dx, bool add, int64_t k, int64_t step)
{
    REAL sum = T(row_sum)(dy, k, step);
    if (add)
        for (int64_t i = 0; i < k; i++) dx[i * step] += dy[i * step] - T(exp)(y[i * step]) * sum;
    else
        for (int64_t i = 0; i < k; i++) dx[i * step] = dy[i * step] - T(exp)(y[i * step]) * sum;
}
SLOPES(log_softmax)
#endif
