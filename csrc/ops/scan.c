/* Along one axis: argmax, argmin, cumsum. */
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
    const void *from;
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
SCAN(cumsum, cumsum_fields, .backward = CX_BOTH(cumsum_backward));

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

/* float32 adds in double: an error would grow along the whole axis. */
static void T(cumsum_strips)(void *context, int64_t begin, int64_t end, int worker)
{
    const job *j = context;
    (void)worker;
    for (int64_t t = begin; t < end; t++) {
        int64_t outer = t / j->strips, column = t % j->strips * STRIP, width = width_of(j, column);
        const REAL *x = (const REAL *)j->from + outer * j->n * j->inner + column;
        REAL *y = (REAL *)j->to + outer * j->n * j->inner + column;
        WIDE sum[STRIP];
        for (int64_t i = 0; i < width; i++) sum[i] = 0;
        for (int64_t r = 0; r < j->n; r++) {
            int64_t at = (j->reverse ? j->n - 1 - r : r) * j->inner;
            for (int64_t i = 0; i < width; i++) {
                WIDE before = sum[i];
                sum[i] = CX_JOIN(plus, WIDE)(before, x[at + i]);
                REAL v = (REAL)(j->exclusive ? before : sum[i]);
                y[at + i] = j->add ? T(plus)(y[at + i], v) : v;
            }
        }
    }
}
FORWARD(T(cumsum_forward))
{
    const cumsum_attr *a = attr;
    job j = job_of(a->axis, &in->spec, in->data, out->data);
    FORWARD_UNUSED;
    j.exclusive = a->exclusive, j.reverse = a->reverse;
    run(&j, T(cumsum_strips));
}
/* The sum of dy from the other end. */
static inline void T(cumsum_back)(const cumsum_attr *a, const cx_value *dout, const cx_value *din, cx_mode mode)
{
    job j = job_of(a->axis, &din->spec, dout->data, din->data);
    j.exclusive = a->exclusive, j.reverse = !a->reverse, j.add = mode == CX_ADD;
    if (mode != CX_SKIP) run(&j, T(cumsum_strips));
}
#endif
