/* Comparisons and logic: bool from two broadcast inputs, or from one. */
#include "pair.h"

#ifndef REAL
#define FLOATING
#define REAL float
#include "compare.c"
#undef REAL
#define REAL double
#include "compare.c"
#undef REAL
#undef FLOATING
#define REAL int32_t
#include "compare.c"
#undef REAL
#define REAL int64_t
#include "compare.c"
#undef REAL
#define REAL int8_t
#include "compare.c"
#undef REAL
#define REAL uint8_t
#include "compare.c"
#undef REAL

#define REAL uint8_t
CX_PAIR_VALUE(logical_and, uint8_t, u &&v)
CX_PAIR_VALUE(logical_or, uint8_t, u || v)
#undef REAL
FORWARD(logical_and_forward)
{
    FORWARD_UNUSED;
    cx_pair_forward(in, out, logical_and_tile_uint8_t);
}
FORWARD(logical_or_forward)
{
    FORWARD_UNUSED;
    cx_pair_forward(in, out, logical_or_tile_uint8_t);
}

static void not_part(void *context, int64_t begin, int64_t end, int worker)
{
    const cx_pair *p = context;
    const uint8_t *x = p->x;
    uint8_t *y = p->to;
    (void)worker;
    for (int64_t i = begin; i < end; i++) y[i] = !x[i];
}
FORWARD(logical_not_forward)
{
    cx_pair p = {.x = in->data, .to = out->data};
    FORWARD_UNUSED;
    cx_parallel(cx_count(&in->spec), CX_GRAIN, not_part, &p);
}

#define INFER(f)                                                                              \
    static cx_code f##_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err) \
    {                                                                                         \
        (void)attr;                                                                           \
        if (cx_pair_infer(#f, in, plan, err)) return err->code;                               \
        plan->out[0].dtype = CX_BOOL;                                                         \
        return CX_OK;                                                                         \
    }
#define COMPARISON(f, ...)                                 \
    INFER(f)                                               \
    const cx_op cx_op_##f = {.name = #f,                   \
                             .kind = CX_OTHER,             \
                             .least_in = 2,                \
                             .most_in = 2,                 \
                             .n_out = 1,                   \
                             .n_public = 1,                \
                             .alike = CX_IN(0) | CX_IN(1), \
                             .infer = f##_infer,           \
                             .forward = {__VA_ARGS__}}
#define NUMBERS(f)                                                                                                     \
    [CX_F32] = f##_float, [CX_F64] = f##_double, [CX_I32] = f##_int32_t, [CX_I64] = f##_int64_t, [CX_I8] = f##_int8_t, \
    [CX_U8] = f##_uint8_t
COMPARISON(equal, NUMBERS(equal_forward), [CX_BOOL] = equal_forward_uint8_t);
COMPARISON(not_equal, NUMBERS(not_equal_forward), [CX_BOOL] = not_equal_forward_uint8_t);
COMPARISON(greater, NUMBERS(greater_forward));
COMPARISON(greater_equal, NUMBERS(greater_equal_forward));
COMPARISON(less, NUMBERS(less_forward));
COMPARISON(less_equal, NUMBERS(less_equal_forward));
COMPARISON(logical_and, [CX_BOOL] = logical_and_forward);
COMPARISON(logical_or, [CX_BOOL] = logical_or_forward);

static cx_code question_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    (void)attr, (void)err;
    plan->out[0] = in[0];
    plan->out[0].dtype = CX_BOOL;
    return CX_OK;
}
#define QUESTION(f, ...)                              \
    const cx_op cx_op_##f = {.name = #f,              \
                             .kind = CX_OTHER,        \
                             .least_in = 1,           \
                             .most_in = 1,            \
                             .n_out = 1,              \
                             .n_public = 1,           \
                             .infer = question_infer, \
                             .forward = __VA_ARGS__}
QUESTION(logical_not, {[CX_BOOL] = logical_not_forward});
QUESTION(isnan, CX_BOTH(isnan_forward));
QUESTION(isinf, CX_BOTH(isinf_forward));
QUESTION(isfinite, CX_BOTH(isfinite_forward));

#else
#define COMPARE(f, expression)                 \
    CX_PAIR_VALUE(f, uint8_t, expression)      \
    FORWARD(T(f##_forward))                    \
    {                                          \
        FORWARD_UNUSED;                        \
        cx_pair_forward(in, out, T(f##_tile)); \
    }
COMPARE(equal, u == v)
COMPARE(not_equal, u != v)
COMPARE(greater, u > v)
COMPARE(greater_equal, u >= v)
COMPARE(less, u < v)
COMPARE(less_equal, u <= v)
#undef COMPARE

#ifdef FLOATING
#define ASK(f, expression)                                                         \
    static void T(f##_part)(void *context, int64_t begin, int64_t end, int worker) \
    {                                                                              \
        const cx_pair *p = context;                                                \
        const REAL *x = p->x;                                                      \
        uint8_t *y = p->to;                                                        \
        (void)worker;                                                              \
        for (int64_t i = begin; i < end; i++) {                                    \
            const REAL u = x[i];                                                   \
            y[i] = (expression);                                                   \
        }                                                                          \
    }                                                                              \
    FORWARD(T(f##_forward))                                                        \
    {                                                                              \
        cx_pair p = {.x = in->data, .to = out->data};                              \
        FORWARD_UNUSED;                                                            \
        cx_parallel(cx_count(&in->spec), CX_GRAIN, T(f##_part), &p);               \
    }
ASK(isnan, u != u)
ASK(isinf, u - u != u - u && u == u)
ASK(isfinite, u - u == u - u)
#undef ASK
#endif
#endif
