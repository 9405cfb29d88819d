/* Elementwise functions of one input, and clip. */
#include "emit.h"
#include "exp.h"
#include "generic.h"
#include "numbers.h"

#ifndef REAL
typedef struct {
    double low, high;
} clip_attr;
typedef struct {
    const void *from, *dy; /* from: x or y, whichever the slope is computed from */
    void *to;
    bool add;
    const clip_attr *clip;
} pass;
#define TWO_OVER_ROOT_PI 1.1283791670955125739

#define REAL float
#include "unary.c"
#undef REAL
#define REAL double
#include "unary.c"
#undef REAL
#define WHOLE
#define REAL int32_t
#include "unary.c"
#undef REAL
#define REAL int64_t
#include "unary.c"
#undef REAL
#define REAL int8_t
#include "unary.c"
#undef REAL
#define REAL uint8_t
#include "unary.c"
#undef REAL
#undef WHOLE

static cx_code same_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    (void)attr, (void)err;
    plan->out[0] = in[0];
    return CX_OK;
}
static cx_code clip_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    const clip_attr *a = attr;
    plan->out[0] = in[0];
    return a->low <= a->high ? CX_OK
                             : cx_fail(err, CX_EVALUE, "clip: `low` must not exceed `high`. Received: low=%g, high=%g",
                                       a->low, a->high);
}

#define X n->in[0]
#define Y n->out[0]
static int by(const cx_emitter *e, int dy, int slope)
{
    return cx_emit2(e, &cx_op_multiply, dy, slope);
}
EMIT(negative)
{
    EMIT_UNUSED;
    return cx_emit1(e, &cx_op_negative, dy);
}
EMIT(abs) /* the sign has no gradient of its own */
{
    EMIT_UNUSED;
    return by(e, dy, cx_emit1(e, &cx_op_sign, cx_emit_constant(e, X)));
}
EMIT(square)
{
    EMIT_UNUSED;
    return by(e, dy, cx_emit_scale(e, X, 2));
}
EMIT(sqrt)
{
    EMIT_UNUSED;
    return cx_emit2(e, &cx_op_divide, cx_emit_scale(e, dy, 0.5), Y);
}
EMIT(rsqrt)
{
    EMIT_UNUSED;
    return cx_emit_scale(e, cx_emit2(e, &cx_op_divide, by(e, dy, Y), X), -0.5);
}
EMIT(exp)
{
    EMIT_UNUSED;
    return by(e, dy, Y);
}
EMIT(log)
{
    EMIT_UNUSED;
    return cx_emit2(e, &cx_op_divide, dy, X);
}
EMIT(log1p)
{
    EMIT_UNUSED;
    int one = cx_emit_number(e, cx_emitted_spec(e, X)->dtype, 1);
    return cx_emit2(e, &cx_op_divide, dy, cx_emit2(e, &cx_op_add, X, one));
}
EMIT(sin)
{
    EMIT_UNUSED;
    return by(e, dy, cx_emit1(e, &cx_op_cos, X));
}
EMIT(cos)
{
    EMIT_UNUSED;
    return cx_emit1(e, &cx_op_negative, by(e, dy, cx_emit1(e, &cx_op_sin, X)));
}
/* scale a + shift */
static int line(const cx_emitter *e, int a, double scale, double shift)
{
    if (a < 0) return -1;
    int scaled = scale == 1 ? a : cx_emit_scale(e, a, scale);
    return cx_emit2(e, &cx_op_add, scaled, cx_emit_number(e, cx_emitted_spec(e, a)->dtype, shift));
}
/* scale x^2 + shift */
static int parabola(const cx_emitter *e, int x, double scale, double shift)
{
    return line(e, cx_emit1(e, &cx_op_square, x), scale, shift);
}
EMIT(tan)
{
    EMIT_UNUSED;
    return by(e, dy, parabola(e, Y, 1, 1));
}
EMIT(asin)
{
    EMIT_UNUSED;
    return by(e, dy, cx_emit1(e, &cx_op_rsqrt, parabola(e, X, -1, 1)));
}
EMIT(acos)
{
    EMIT_UNUSED;
    return cx_emit1(e, &cx_op_negative, by(e, dy, cx_emit1(e, &cx_op_rsqrt, parabola(e, X, -1, 1))));
}
EMIT(atan)
{
    EMIT_UNUSED;
    return cx_emit2(e, &cx_op_divide, dy, parabola(e, X, 1, 1));
}
EMIT(sinh)
{
    EMIT_UNUSED;
    return by(e, dy, cx_emit1(e, &cx_op_cosh, X));
}
EMIT(cosh)
{
    EMIT_UNUSED;
    return by(e, dy, cx_emit1(e, &cx_op_sinh, X));
}
EMIT(asinh)
{
    EMIT_UNUSED;
    return by(e, dy, cx_emit1(e, &cx_op_rsqrt, parabola(e, X, 1, 1)));
}
EMIT(acosh)
{
    EMIT_UNUSED;
    return by(e, by(e, dy, cx_emit1(e, &cx_op_rsqrt, line(e, X, 1, -1))), cx_emit1(e, &cx_op_rsqrt, line(e, X, 1, 1)));
}
EMIT(atanh)
{
    EMIT_UNUSED;
    return cx_emit2(e, &cx_op_divide, dy, parabola(e, X, -1, 1));
}
EMIT(erf)
{
    EMIT_UNUSED;
    return cx_emit_scale(e, by(e, dy, cx_emit1(e, &cx_op_exp, parabola(e, X, -1, 0))), TWO_OVER_ROOT_PI);
}
EMIT(expm1)
{
    EMIT_UNUSED;
    return by(e, dy, line(e, Y, 1, 1));
}
EMIT(sign)
{
    EMIT_UNUSED;
    return cx_emit_scale(e, dy, 0);
}
EMIT(clip)
{
    const clip_attr *a = (const clip_attr *)n->attr;
    const cx_dtype dtype = cx_emitted_spec(e, X)->dtype;
    EMIT_UNUSED;
    int above = cx_emit2(e, &cx_op_greater_equal, X, cx_emit_number(e, dtype, a->low));
    int below = cx_emit2(e, &cx_op_less_equal, X, cx_emit_number(e, dtype, a->high));
    return cx_emit_choose(e, cx_emit2(e, &cx_op_logical_and, above, below), dy, 0);
}

#define UNARY(f, ...)                             \
    const cx_op cx_op_##f = {.name = #f,          \
                             .kind = CX_OTHER,    \
                             .least_in = 1,       \
                             .most_in = 1,        \
                             .n_out = 1,          \
                             .n_public = 1,       \
                             .infer = same_infer, \
                             __VA_ARGS__}
#define SLOPED(f, source) .backward = CX_BOTH(f##_backward), .reads = {source}, .emit_grad = f##_emit
UNARY(negative, .forward = CX_NUMBERS(negative_forward), SLOPED(negative, 0));
UNARY(abs, .forward = CX_NUMBERS(abs_forward), SLOPED(abs, CX_IN(0)));
UNARY(square, .forward = CX_NUMBERS(square_forward), SLOPED(square, CX_IN(0)));
UNARY(sign, .forward = CX_NUMBERS(sign_forward), SLOPED(sign, 0));
UNARY(round, .forward = CX_BOTH(round_forward), .stops = true);
UNARY(floor, .forward = CX_BOTH(floor_forward), .stops = true);
UNARY(ceil, .forward = CX_BOTH(ceil_forward), .stops = true);
UNARY(sqrt, .forward = CX_BOTH(sqrt_forward), SLOPED(sqrt, CX_OUT(0)));
UNARY(rsqrt, .forward = CX_BOTH(rsqrt_forward), SLOPED(rsqrt, CX_OUT(0)));
UNARY(exp, .forward = CX_BOTH(exp_forward), SLOPED(exp, CX_OUT(0)));
UNARY(log, .forward = CX_BOTH(log_forward), SLOPED(log, CX_IN(0)));
UNARY(log1p, .forward = CX_BOTH(log1p_forward), SLOPED(log1p, CX_IN(0)));
UNARY(sin, .forward = CX_BOTH(sin_forward), SLOPED(sin, CX_IN(0)));
UNARY(cos, .forward = CX_BOTH(cos_forward), SLOPED(cos, CX_IN(0)));
UNARY(tan, .forward = CX_BOTH(tan_forward), SLOPED(tan, CX_OUT(0)));
UNARY(asin, .forward = CX_BOTH(asin_forward), SLOPED(asin, CX_IN(0)));
UNARY(acos, .forward = CX_BOTH(acos_forward), SLOPED(acos, CX_IN(0)));
UNARY(atan, .forward = CX_BOTH(atan_forward), SLOPED(atan, CX_IN(0)));
UNARY(sinh, .forward = CX_BOTH(sinh_forward), SLOPED(sinh, CX_IN(0)));
UNARY(cosh, .forward = CX_BOTH(cosh_forward), SLOPED(cosh, CX_IN(0)));
UNARY(asinh, .forward = CX_BOTH(asinh_forward), SLOPED(asinh, CX_IN(0)));
UNARY(acosh, .forward = CX_BOTH(acosh_forward), SLOPED(acosh, CX_IN(0)));
UNARY(atanh, .forward = CX_BOTH(atanh_forward), SLOPED(atanh, CX_IN(0)));
UNARY(erf, .forward = CX_BOTH(erf_forward), SLOPED(erf, CX_IN(0)));
UNARY(expm1, .forward = CX_BOTH(expm1_forward), SLOPED(expm1, CX_OUT(0)));

static const cx_field clip_fields[] = {
    {"low", CX_REAL, offsetof(clip_attr, low), false, -INFINITY, -INFINITY, INFINITY, NULL},
    {"high", CX_REAL, offsetof(clip_attr, high), false, INFINITY, -INFINITY, INFINITY, NULL},
    {0}};
const cx_op cx_op_clip = {.name = "clip",
                          .kind = CX_OTHER,
                          .least_in = 1,
                          .most_in = 1,
                          .n_out = 1,
                          .n_public = 1,
                          .fields = clip_fields,
                          .infer = clip_infer,
                          .forward = CX_NUMBERS(clip_forward),
                          SLOPED(clip, CX_IN(0))};

#else
/* f_forward: y[i] = value of u = x[i]; f_backward: dx = slope of u, which is x or y as source says, times dy = g. */
#define VALUE(f, value)                                                            \
    static void T(f##_part)(void *context, int64_t begin, int64_t end, int worker) \
    {                                                                              \
        const pass *p = context;                                                   \
        const REAL *x = p->from;                                                   \
        REAL *y = p->to;                                                           \
        (void)worker;                                                              \
        for (int64_t i = begin; i < end; i++) {                                    \
            const REAL u = x[i];                                                   \
            y[i] = (value);                                                        \
        }                                                                          \
    }                                                                              \
    FORWARD(T(f##_forward))                                                        \
    {                                                                              \
        pass p = {.from = in->data, .to = out->data};                              \
        FORWARD_UNUSED;                                                            \
        cx_parallel(cx_count(&in->spec), CX_GRAIN, T(f##_part), &p);               \
    }
#define SLOPE(f, source, slope)                                                                    \
    static void T(f##_slope_part)(void *context, int64_t begin, int64_t end, int worker)           \
    {                                                                                              \
        const pass *p = context;                                                                   \
        const REAL *x = p->from, *dy = p->dy;                                                      \
        REAL *dx = p->to;                                                                          \
        (void)worker;                                                                              \
        if (p->add)                                                                                \
            for (int64_t i = begin; i < end; i++) {                                                \
                const REAL u = x[i], g = dy[i];                                                    \
                (void)u;                                                                           \
                dx[i] += (slope);                                                                  \
            }                                                                                      \
        else                                                                                       \
            for (int64_t i = begin; i < end; i++) {                                                \
                const REAL u = x[i], g = dy[i];                                                    \
                (void)u;                                                                           \
                dx[i] = (slope);                                                                   \
            }                                                                                      \
    }                                                                                              \
    BACKWARD(T(f##_backward))                                                                      \
    {                                                                                              \
        pass p = {source->data, dout->data, din->data, *mode == CX_ADD, attr};                     \
        BACKWARD_UNUSED;                                                                           \
        if (*mode != CX_SKIP) cx_parallel(cx_count(&dout->spec), CX_GRAIN, T(f##_slope_part), &p); \
    }

VALUE(negative, T(minus)(0, u))
VALUE(square, T(times)(u, u))
#ifdef WHOLE
VALUE(abs, u < (u ^ u) ? T(minus)(0, u) : u)
VALUE(sign, (REAL)((u > (u ^ u)) - (u < (u ^ u))))
#else
#define LIBM(name) _Generic((REAL)0, float : name##f, double : name)
VALUE(abs, LIBM(fabs)(u))
VALUE(sign, u > 0 ? 1 : u < 0 ? -1 : u)
VALUE(round, LIBM(rint)(u))
VALUE(floor, LIBM(floor)(u))
VALUE(ceil, LIBM(ceil)(u))
VALUE(sqrt, LIBM(sqrt)(u))
VALUE(rsqrt, 1 / LIBM(sqrt)(u))
VALUE(exp, T(exp)(u))
VALUE(log, LIBM(log)(u))
VALUE(log1p, LIBM(log1p)(u))
VALUE(sin, LIBM(sin)(u))
VALUE(cos, LIBM(cos)(u))
VALUE(tan, LIBM(tan)(u))
VALUE(asin, LIBM(asin)(u))
VALUE(acos, LIBM(acos)(u))
VALUE(atan, LIBM(atan)(u))
VALUE(sinh, LIBM(sinh)(u))
VALUE(cosh, LIBM(cosh)(u))
VALUE(asinh, LIBM(asinh)(u))
VALUE(acosh, LIBM(acosh)(u))
VALUE(atanh, LIBM(atanh)(u))
VALUE(erf, LIBM(erf)(u))
VALUE(expm1, LIBM(expm1)(u))

SLOPE(negative, dout, -g)
SLOPE(abs, in, u > 0 ? g : u < 0 ? -g : 0)
SLOPE(square, in, 2 * u * g)
SLOPE(sqrt, out, g *(REAL)0.5 / u)
SLOPE(rsqrt, out, g *(REAL)-0.5 * u * u * u)
SLOPE(exp, out, g *u)
SLOPE(log, in, g / u)
SLOPE(log1p, in, g / (1 + u))
SLOPE(sin, in, g *LIBM(cos)(u))
SLOPE(cos, in, -g *LIBM(sin)(u))
SLOPE(tan, out, g *(1 + u * u))
SLOPE(asin, in, g / LIBM(sqrt)((1 - u) * (1 + u)))
SLOPE(acos, in, -g / LIBM(sqrt)((1 - u) * (1 + u)))
SLOPE(atan, in, g / (1 + u * u))
SLOPE(sinh, in, g *LIBM(cosh)(u))
SLOPE(cosh, in, g *LIBM(sinh)(u))
SLOPE(asinh, in, g / LIBM(hypot)(1, u))
SLOPE(acosh, in, g / (LIBM(sqrt)(u - 1) * LIBM(sqrt)(u + 1)))
SLOPE(atanh, in, g / ((1 - u) * (1 + u)))
SLOPE(erf, in, g *(REAL)TWO_OVER_ROOT_PI *T(exp)(-u *u))
SLOPE(expm1, out, g *(1 + u))
SLOPE(sign, dout, 0 * g)
SLOPE(clip, in, u >= (REAL)p->clip->low && u <= (REAL)p->clip->high ? g : 0)
#undef LIBM
#endif

/* The nearest value of this type inside the limits; NaN stays. */
static inline REAL T(limit)(double at, bool low)
{
#ifdef WHOLE
    double rounded = low ? ceil(at) : floor(at);
    if (rounded <= (double)T(lowest)()) return T(lowest)();
    return rounded >= (double)T(highest)() ? T(highest)() : (REAL)rounded;
#else
    (void)low;
    return (REAL)at;
#endif
}
static void T(clip_part)(void *context, int64_t begin, int64_t end, int worker)
{
    const pass *p = context;
    const REAL *x = p->from, low = T(limit)(p->clip->low, true), high = T(limit)(p->clip->high, false);
    REAL *y = p->to;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        REAL v = x[i] < low ? low : x[i];
        y[i] = v > high ? high : v;
    }
}
FORWARD(T(clip_forward))
{
    pass p = {.from = in->data, .to = out->data, .clip = attr};
    FORWARD_UNUSED;
    cx_parallel(cx_count(&in->spec), CX_GRAIN, T(clip_part), &p);
}
#undef VALUE
#undef SLOPE
#endif
