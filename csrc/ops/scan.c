/* Along one axis: argmax, argmin, cumsum, cumprod. */
#include "emit.h"
#include "generic.h"
#include "numbers.h"

#ifndef REAL
enum { STRIP = 64 };
typedef struct {
    int64_t axis, output_type;
} search_attr;
typedef struct {
    int64_t axis, exclusive, reverse;
} cumsum_attr;
/* x is (outer, n, inner); tasks are strips of at most STRIP columns of one outer index. */
typedef struct {
    int64_t n, inner, strips, outer;
    const void *from, *dy, *y;
    void *to;
    cx_dtype to_type;
    bool exclusive, reverse, add;
} job;

/* The axis counted from the front, or -1 with the error set. */
static int axis_of(const char *op, int64_t axis, const cx_spec *in, cx_err *err)
{
    int64_t from_front = axis < 0 ? axis + in->ndim : axis;
    if (from_front >= 0 && from_front < in->ndim) return (int)from_front;
    cx_fail(err, CX_EVALUE, "%s: `axis` must be in [%d, %d) for an input of rank %d. Received: axis=%lld", op,
            -in->ndim, in->ndim, in->ndim, (long long)axis);
    return -1;
}
static job job_of(int64_t axis, const cx_spec *in, const void *from, void *to)
{
    cx_err ignored;
    job j = {.inner = 1, .outer = 1, .from = from, .to = to};
    int at = axis_of("", axis, in, &ignored);
    for (int d = 0; d < at; d++) j.outer *= in->dim[d];
    for (int d = at + 1; d < in->ndim; d++) j.inner *= in->dim[d];
    j.n = in->dim[at], j.strips = (j.inner + STRIP - 1) / STRIP;
    return j;
}
static void run(job *j, cx_task *task)
{
    int64_t work = j->n * (j->inner < STRIP ? j->inner : STRIP);
    cx_parallel(j->outer * j->strips, 1 + CX_GRAIN / (work + 1), task, j);
}
static inline int64_t width_of(const job *j, int64_t column)
{
    return j->inner - column < STRIP ? j->inner - column : STRIP;
}

static void put(const job *j, int64_t to, const int64_t *place, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (j->to_type == CX_I64)
            ((int64_t *)j->to)[to + i] = place[i];
        else
            ((int32_t *)j->to)[to + i] = (int32_t)place[i];
    }
}

#define FLOATING
#define REAL float
#define WIDE double
#include "scan.c"
#undef REAL
#undef WIDE
#define REAL double
#define WIDE double
#include "scan.c"
#undef REAL
#undef WIDE
#undef FLOATING
#define REAL int32_t
#define WIDE int32_t
#include "scan.c"
#undef REAL
#undef WIDE
#define REAL int64_t
#define WIDE int64_t
#include "scan.c"
#undef REAL
#undef WIDE
#define REAL int8_t
#define WIDE int8_t
#include "scan.c"
#undef REAL
#undef WIDE
#define REAL uint8_t
#define WIDE uint8_t
#include "scan.c"
#undef REAL
#undef WIDE

BACKWARD(cumsum_backward_float)
{
    BACKWARD_UNUSED;
    cumsum_back_float(attr, dout, din, *mode);
}
BACKWARD(cumsum_backward_double)
{
    BACKWARD_UNUSED;
    cumsum_back_double(attr, dout, din, *mode);
}

BACKWARD(cumprod_backward_float)
{
    BACKWARD_UNUSED;
    cumprod_back_float(attr, in, out, dout, din, *mode);
}
BACKWARD(cumprod_backward_double)
{
    BACKWARD_UNUSED;
    cumprod_back_double(attr, in, out, dout, din, *mode);
}

EMIT(cumsum)
{
    const void *attr = n->attr;
    cumsum_attr back = *(const cumsum_attr *)attr;
    EMIT_UNUSED;
    back.reverse = !back.reverse;
    return CX_EMIT_WITH(e, &cx_op_cumsum, back, dy);
}

static cx_code search_infer(const char *op, const search_attr *a, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    cx_spec *out = &plan->out[0];
    int axis = axis_of(op, a->axis, in, err);
    if (axis < 0) return err->code;
    if (a->output_type != CX_I32 && a->output_type != CX_I64)
        return cx_fail(err, CX_EVALUE, "%s: `output_type` must be int32 or int64. Received: output_type=%s", op,
                       cx_dtype_name((cx_dtype)a->output_type));
    if (!in->dim[axis]) return cx_fail(err, CX_EVALUE, "%s: dimension %d is empty, it has no best element", op, axis);
    out->dtype = (cx_dtype)a->output_type, out->ndim = 0;
    for (int d = 0; d < in->ndim; d++)
        if (d != axis) out->dim[out->ndim++] = in->dim[d];
    return CX_OK;
}
static cx_code argmax_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    return search_infer("argmax", attr, in, plan, err);
}
static cx_code argmin_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    return search_infer("argmin", attr, in, plan, err);
}
static cx_code cumsum_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    plan->out[0] = in[0];
    return axis_of("cumsum", ((const cumsum_attr *)attr)->axis, in, err) < 0 ? err->code : CX_OK;
}
static cx_code cumprod_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    plan->out[0] = in[0];
    return axis_of("cumprod", ((const cumsum_attr *)attr)->axis, in, err) < 0 ? err->code : CX_OK;
}

#define AXIS(attr, preset)                                                               \
    {                                                                                    \
        "axis", CX_INT, offsetof(attr, axis), false, preset, -CX_RANK, CX_RANK - 1, NULL \
    }
static const cx_field search_fields[] = {
    AXIS(search_attr, 0),
    {"output_type", CX_TYPE, offsetof(search_attr, output_type), false, CX_I64, 0, CX_DTYPES - 1, NULL},
    {0}};
static const cx_field cumsum_fields[] = {AXIS(cumsum_attr, 0),
                                         {"exclusive", CX_FLAG, offsetof(cumsum_attr, exclusive), false, 0, 0, 1, NULL},
                                         {"reverse", CX_FLAG, offsetof(cumsum_attr, reverse), false, 0, 0, 1, NULL},
                                         {0}};
#define SCAN(f, table, ...)                                      \
    const cx_op cx_op_##f = {.name = #f,                         \
                             .kind = CX_OTHER,                   \
                             .least_in = 1,                      \
                             .most_in = 1,                       \
                             .n_out = 1,                         \
                             .n_public = 1,                      \
                             .fields = table,                    \
                             .infer = f##_infer,                 \
                             .forward = CX_NUMBERS(f##_forward), \
                             __VA_ARGS__}
SCAN(argmax, search_fields, );
SCAN(argmin, search_fields, );
SCAN(cumsum, cumsum_fields, .backward = CX_BOTH(cumsum_backward), .emit_grad = cumsum_emit);
SCAN(cumprod, cumsum_fields, .backward = CX_BOTH(cumprod_backward), .reads = {CX_IN(0) | CX_OUT(0)});

#else
/* The place of the first of equals; a NaN is best of all. A line is searched in registers. */
#define SEARCH(f, better)                                                                               \
    static inline bool T(f##_better)(REAL v, REAL u)                                                    \
    {                                                                                                   \
        return (better) || (v != v && u == u);                                                          \
    }                                                                                                   \
    static void T(f##_strips)(void *context, int64_t begin, int64_t end, int worker)                    \
    {                                                                                                   \
        const job *j = context;                                                                         \
        REAL best[STRIP];                                                                               \
        int64_t place[STRIP];                                                                           \
        (void)worker;                                                                                   \
        for (int64_t t = begin; t < end; t++) {                                                         \
            int64_t outer = t / j->strips, column = t % j->strips * STRIP, width = width_of(j, column); \
            const REAL *x = (const REAL *)j->from + outer * j->n * j->inner + column;                   \
            if (j->inner == 1) {                                                                        \
                REAL top = x[0];                                                                        \
                int64_t at = 0;                                                                         \
                for (int64_t r = 1; r < j->n; r++)                                                      \
                    if (T(f##_better)(x[r], top)) top = x[r], at = r;                                   \
                put(j, outer, &at, 1);                                                                  \
                continue;                                                                               \
            }                                                                                           \
            for (int64_t i = 0; i < width; i++) best[i] = x[i], place[i] = 0;                           \
            for (int64_t r = 1; r < j->n; r++)                                                          \
                for (int64_t i = 0; i < width; i++) {                                                   \
                    const REAL v = x[r * j->inner + i], u = best[i];                                    \
                    const bool take = T(f##_better)(v, u);                                              \
                    best[i] = take ? v : u, place[i] = take ? r : place[i];                             \
                }                                                                                       \
            put(j, outer * j->inner + column, place, width);                                            \
        }                                                                                               \
    }                                                                                                   \
    FORWARD(T(f##_forward))                                                                             \
    {                                                                                                   \
        job j = job_of(((const search_attr *)attr)->axis, &in->spec, in->data, out->data);              \
        FORWARD_UNUSED;                                                                                 \
        j.to_type = out->spec.dtype;                                                                    \
        run(&j, T(f##_strips));                                                                         \
    }
SEARCH(argmax, v > u)
SEARCH(argmin, v < u)
#undef SEARCH

/* float32 is added and multiplied in double: an error would grow along the whole axis. */
#define ACCUMULATE(f, join, start)                                                                      \
    static void T(f##_strips)(void *context, int64_t begin, int64_t end, int worker)                    \
    {                                                                                                   \
        const job *j = context;                                                                         \
        (void)worker;                                                                                   \
        for (int64_t t = begin; t < end; t++) {                                                         \
            int64_t outer = t / j->strips, column = t % j->strips * STRIP, width = width_of(j, column); \
            const REAL *x = (const REAL *)j->from + outer * j->n * j->inner + column;                   \
            REAL *y = (REAL *)j->to + outer * j->n * j->inner + column;                                 \
            WIDE total[STRIP];                                                                          \
            for (int64_t i = 0; i < width; i++) total[i] = start;                                       \
            for (int64_t r = 0; r < j->n; r++) {                                                        \
                int64_t at = (j->reverse ? j->n - 1 - r : r) * j->inner;                                \
                for (int64_t i = 0; i < width; i++) {                                                   \
                    WIDE before = total[i];                                                             \
                    total[i] = CX_JOIN(join, WIDE)(before, x[at + i]);                                  \
                    REAL v = (REAL)(j->exclusive ? before : total[i]);                                  \
                    y[at + i] = j->add ? T(plus)(y[at + i], v) : v;                                     \
                }                                                                                       \
            }                                                                                           \
        }                                                                                               \
    }                                                                                                   \
    FORWARD(T(f##_forward))                                                                             \
    {                                                                                                   \
        const cumsum_attr *a = attr;                                                                    \
        job j = job_of(a->axis, &in->spec, in->data, out->data);                                        \
        FORWARD_UNUSED;                                                                                 \
        j.exclusive = a->exclusive, j.reverse = a->reverse;                                             \
        run(&j, T(f##_strips));                                                                         \
    }
ACCUMULATE(cumsum, plus, 0)
ACCUMULATE(cumprod, times, 1)
#undef ACCUMULATE
/* The sum of dy from the other end. */
static inline void T(cumsum_back)(const cumsum_attr *a, const cx_value *dout, const cx_value *din, cx_mode mode)
{
    job j = job_of(a->axis, &din->spec, dout->data, din->data);
    j.exclusive = a->exclusive, j.reverse = !a->reverse, j.add = mode == CX_ADD;
    if (mode != CX_SKIP) run(&j, T(cumsum_strips));
}
#ifdef FLOATING
/* dx_k is the product before k times s_k = dy_k + x_(k+1) s_(k+1), s_k = dy_(k+1) + x_(k+1) s_(k+1) when exclusive: no
 * division, so that zeros have their gradient. */
static void T(cumprod_slope_strips)(void *context, int64_t begin, int64_t end, int worker)
{
    const job *j = context;
    const int64_t step = j->reverse ? -j->inner : j->inner;
    (void)worker;
    for (int64_t t = begin; t < end; t++) {
        int64_t outer = t / j->strips, column = t % j->strips * STRIP, width = width_of(j, column);
        int64_t base = outer * j->n * j->inner + column;
        const REAL *x = (const REAL *)j->from + base, *dy = (const REAL *)j->dy + base, *y = (const REAL *)j->y + base;
        REAL *dx = (REAL *)j->to + base;
        WIDE s[STRIP];
        for (int64_t r = j->n - 1; r >= 0; r--) {
            const int64_t at = (j->reverse ? j->n - 1 - r : r) * j->inner;
            const bool last = r == j->n - 1;
            for (int64_t i = 0; i < width; i++) {
                const int64_t k = at + i;
                const WIDE beyond = last ? 0 : (WIDE)x[k + step] * s[i];
                const WIDE before = j->exclusive ? (WIDE)y[k] : r ? (WIDE)y[k - step] : 1;
                s[i] = beyond + (!j->exclusive ? (WIDE)dy[k] : last ? 0 : (WIDE)dy[k + step]);
                REAL v = (REAL)(before * s[i]);
                dx[k] = j->add ? dx[k] + v : v;
            }
        }
    }
}
static inline void T(cumprod_back)(const cumsum_attr *a, const cx_value *in, const cx_value *out, const cx_value *dout,
                                   const cx_value *din, cx_mode mode)
{
    job j = job_of(a->axis, &din->spec, in->data, din->data);
    j.dy = dout->data, j.y = out->data;
    j.exclusive = a->exclusive, j.reverse = a->reverse, j.add = mode == CX_ADD;
    if (mode != CX_SKIP) run(&j, T(cumprod_slope_strips));
}
#endif
#endif
