/* Pointwise activations: y = f(x), dx = f'(x) dy. */
#include "generic.h"
#include "emit.h"
#include "exp.h"
#include "numbers.h"

#ifndef REAL
/* With non-negative attributes the output alone tells which piece an element took. */
typedef struct {
    double max_value, negative_slope, threshold;
} relu_attr;
typedef struct {
    double alpha;
} elu_attr;
typedef struct {
    int64_t approximate;
} gelu_attr;
typedef struct {
    const void *from, *dy; /* from: x or y, whichever the slope is computed from */
    void *to;
    bool add;
    double alpha;
    const relu_attr *relu;
    const cx_rule *rule;
} pass;

#define SELU_SCALE 1.0507009873554804934193349852946
#define SELU_FLOOR 1.7580993408473768599402175208123 /* scale times alpha */
#define ROOT_HALF 0.70710678118654752440
#define HALF_ROOT_TAU 0.39894228040143267794 /* 1 / sqrt(2 pi) */
#define GELU_RATE 1.5957691216057307117      /* 2 sqrt(2 / pi) */

/* f_run and f_run_back from T(f_value)(x, alpha) and T(f_slope)(u, alpha); u is x or y, as source (in, out) says. */
#define POINTWISE(f, source)                                                                                        \
    static void T(f##_values)(void *context, int64_t begin, int64_t end, int worker)                                \
    {                                                                                                               \
        const pass *j = context;                                                                                    \
        const REAL *x = j->from, alpha = (REAL)j->alpha;                                                            \
        REAL *y = j->to;                                                                                            \
        (void)worker;                                                                                               \
        for (int64_t i = begin; i < end; i++) y[i] = T(f##_value)(x[i], alpha);                                     \
    }                                                                                                               \
    static void T(f##_slopes)(void *context, int64_t begin, int64_t end, int worker)                                \
    {                                                                                                               \
        const pass *j = context;                                                                                    \
        const REAL *u = j->from, *dy = j->dy, alpha = (REAL)j->alpha;                                               \
        REAL *dx = j->to;                                                                                           \
        (void)worker;                                                                                               \
        if (j->add)                                                                                                 \
            for (int64_t i = begin; i < end; i++) dx[i] += T(f##_slope)(u[i], alpha) * dy[i];                       \
        else                                                                                                        \
            for (int64_t i = begin; i < end; i++) dx[i] = T(f##_slope)(u[i], alpha) * dy[i];                        \
    }                                                                                                               \
    static void T(f##_run)(const cx_value *in, const cx_value *out, double alpha)                                   \
    {                                                                                                               \
        pass j = {.from = in->data, .to = out->data, .alpha = alpha};                                               \
        cx_parallel(cx_count(&in->spec), CX_GRAIN, T(f##_values), &j);                                              \
    }                                                                                                               \
    static void T(f##_run_back)(const cx_value *in, const cx_value *out, const cx_value *dout, const cx_value *din, \
                                cx_mode mode, double alpha)                                                         \
    {                                                                                                               \
        pass j = {.from = source->data, .dy = dout->data, .to = din->data, .add = mode == CX_ADD, .alpha = alpha};  \
        (void)in, (void)out;                                                                                        \
        if (mode != CX_SKIP) cx_parallel(cx_count(&dout->spec), CX_GRAIN, T(f##_slopes), &j);                       \
    }
#define PLAIN(f, source)                               \
    POINTWISE(f, source)                               \
    FORWARD(T(f##_forward))                            \
    {                                                  \
        FORWARD_UNUSED;                                \
        T(f##_run)(in, out, 0);                        \
    }                                                  \
    BACKWARD(T(f##_backward))                          \
    {                                                  \
        BACKWARD_UNUSED;                               \
        T(f##_run_back)(in, out, dout, din, *mode, 0); \
    }
#define VALUE(f) static inline REAL T(f##_value)(REAL x, REAL alpha)
#define SLOPE(f) static inline REAL T(f##_slope)(REAL x, REAL alpha)

#define REAL float
#include "activation.c"
#undef REAL
#define REAL double
#include "activation.c"
#undef REAL

static cx_code same_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    (void)attr, (void)err;
    plan->out[0] = in[0];
    return CX_OK;
}

/* Whole numbers have no slope below the threshold: clip(x, 0, max_value). */
static cx_code relu_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    const relu_attr *a = attr;
    plan->out[0] = in[0];
    if (cx_is_real(in->dtype) || (a->negative_slope == 0 && a->threshold == 0)) return CX_OK;
    return cx_fail(err, CX_ETYPE, "relu: `negative_slope` and `threshold` need float32 or float64. Received: dtype=%s",
                   cx_dtype_name(in->dtype));
}
#define WHOLE_RELU(type)                                                                  \
    static void relu_values_##type(void *context, int64_t begin, int64_t end, int worker) \
    {                                                                                     \
        const pass *j = context;                                                          \
        const double most = floor(j->relu->max_value);                                    \
        const type *x = j->from;                                                          \
        const type top = most < (double)highest_##type() ? (type)most : highest_##type(); \
        type *y = j->to;                                                                  \
        (void)worker;                                                                     \
        for (int64_t i = begin; i < end; i++) {                                           \
            const type v = x[i] > top ? top : x[i];                                       \
            y[i] = is_below_0((int64_t)v) ? 0 : v;                                        \
        }                                                                                 \
    }                                                                                     \
    FORWARD(relu_forward_##type)                                                          \
    {                                                                                     \
        pass j = {.from = in->data, .to = out->data, .relu = attr};                       \
        FORWARD_UNUSED;                                                                   \
        cx_parallel(cx_count(&in->spec), CX_GRAIN, relu_values_##type, &j);               \
    }
WHOLE_RELU(int32_t)
WHOLE_RELU(int64_t)
WHOLE_RELU(int8_t)
WHOLE_RELU(uint8_t)

static bool relu_clamp(const void *attr, double *low, double *high)
{
    const relu_attr *a = attr;
    *low = 0, *high = a->max_value;
    return a->negative_slope == 0 && a->threshold == 0;
}

EMIT(relu) /* the pieces are chosen by the output, as in the kernel */
{
    const void *attr = n->attr;
    const relu_attr *a = attr;
    const int y = n->out[0];
    const cx_dtype dtype = cx_emitted_spec(e, y)->dtype;
    EMIT_UNUSED;
    int open = cx_emit2(e, &cx_op_greater, y, cx_emit_number(e, dtype, a->threshold));
    int below = a->negative_slope != 0 ? cx_emit_scale(e, dy, a->negative_slope) : cx_emit_number(e, dtype, 0);
    int g = cx_emit(e, &cx_op_where, NULL, 0, 3, (const int[]){dy, below, open});
    if (a->max_value == INFINITY) return g;
    int clipped = cx_emit2(e, &cx_op_greater_equal, y, cx_emit_number(e, dtype, a->max_value));
    return cx_emit_choose_not(e, clipped, 0, g);
}
/* 1 - a */
static int complement(const cx_emitter *e, int a)
{
    return a < 0 ? -1 : cx_emit2(e, &cx_op_subtract, cx_emit_number(e, cx_emitted_spec(e, a)->dtype, 1), a);
}
EMIT(elu)
{
    const void *attr = n->attr;
    const int x = n->in[0];
    EMIT_UNUSED;
    int zero = cx_emit_number(e, cx_emitted_spec(e, x)->dtype, 0);
    int low = cx_emit1(e, &cx_op_exp, cx_emit2(e, &cx_op_minimum, x, zero)); /* finite where x > 0 too */
    int below = cx_emit_scale(e, cx_emit2(e, &cx_op_multiply, dy, low), ((const elu_attr *)attr)->alpha);
    int above = cx_emit2(e, &cx_op_greater, x, zero);
    return cx_emit(e, &cx_op_where, NULL, 0, 3, (const int[]){dy, below, above});
}
EMIT(silu) /* s (1 + x (1 - s)) */
{
    EMIT_UNUSED;
    int s = cx_emit1(e, &cx_op_sigmoid, n->in[0]), rest = cx_emit2(e, &cx_op_multiply, n->in[0], complement(e, s));
    int slope = cx_emit2(e, &cx_op_add, s, cx_emit2(e, &cx_op_multiply, s, rest));
    return cx_emit2(e, &cx_op_multiply, dy, slope);
}
EMIT(sigmoid)
{
    const int y = n->out[0];
    EMIT_UNUSED;
    return cx_emit2(e, &cx_op_multiply, dy, cx_emit2(e, &cx_op_multiply, y, complement(e, y)));
}
EMIT(tanh)
{
    EMIT_UNUSED;
    return cx_emit2(e, &cx_op_multiply, dy, complement(e, cx_emit1(e, &cx_op_square, n->out[0])));
}
EMIT(softplus)
{
    EMIT_UNUSED;
    return cx_emit2(e, &cx_op_multiply, dy, cx_emit1(e, &cx_op_sigmoid, n->in[0]));
}

EMIT(selu) /* scale where x > 0, scale alpha e^x = y + scale alpha below */
{
    const cx_dtype dtype = cx_emitted_spec(e, n->out[0])->dtype;
    EMIT_UNUSED;
    int below = cx_emit2(e, &cx_op_add, n->out[0], cx_emit_number(e, dtype, SELU_FLOOR));
    int above = cx_emit2(e, &cx_op_greater, n->out[0], cx_emit_number(e, dtype, 0));
    return cx_emit2(e, &cx_op_multiply, dy, cx_emit_choose_not(e, above, SELU_SCALE, below));
}
EMIT(gelu) /* x P(x), with P the normal distribution or its approximation (1 + tanh(u)) / 2 */
{
    const int x = n->in[0];
    EMIT_UNUSED;
    int square = cx_emit1(e, &cx_op_square, x), p, density;
    if (((const gelu_attr *)n->attr)->approximate) {
        const double root = 0.79788456080286535588, cubic = 0.044715; /* sqrt(2 / pi) */
        int one = cx_emit_number(e, cx_emitted_spec(e, x)->dtype, 1);
        int u = cx_emit2(e, &cx_op_multiply, x, cx_emit2(e, &cx_op_add, one, cx_emit_scale(e, square, cubic)));
        int t = cx_emit1(e, &cx_op_tanh, cx_emit_scale(e, u, root));
        int du = cx_emit_scale(e, cx_emit2(e, &cx_op_add, one, cx_emit_scale(e, square, 3 * cubic)), root);
        p = cx_emit_scale(e, cx_emit2(e, &cx_op_add, one, t), 0.5);
        density = cx_emit_scale(e, cx_emit2(e, &cx_op_multiply, complement(e, cx_emit1(e, &cx_op_square, t)), du), 0.5);
    } else {
        const double half_root = 0.70710678118654752440, density_at_0 = 0.39894228040143267794;
        int half = cx_emit_number(e, cx_emitted_spec(e, x)->dtype, 0.5);
        int erf = cx_emit1(e, &cx_op_erf, cx_emit_scale(e, x, half_root));
        p = cx_emit2(e, &cx_op_add, half, cx_emit_scale(e, erf, 0.5));
        density = cx_emit_scale(e, cx_emit1(e, &cx_op_exp, cx_emit_scale(e, square, -0.5)), density_at_0);
    }
    int slope = cx_emit2(e, &cx_op_add, p, cx_emit2(e, &cx_op_multiply, x, density));
    return cx_emit2(e, &cx_op_multiply, dy, slope);
}
EMIT(mish) /* x t, t = tanh(softplus(x)): t + x sigmoid(x) (1 - t^2) */
{
    const int x = n->in[0];
    EMIT_UNUSED;
    int t = cx_emit1(e, &cx_op_tanh, cx_emit1(e, &cx_op_softplus, x));
    int rest =
        cx_emit2(e, &cx_op_multiply, cx_emit1(e, &cx_op_sigmoid, x), complement(e, cx_emit1(e, &cx_op_square, t)));
    int slope = cx_emit2(e, &cx_op_add, t, cx_emit2(e, &cx_op_multiply, x, rest));
    return cx_emit2(e, &cx_op_multiply, dy, slope);
}
EMIT(softsign) /* 1 / (1 + |x|)^2 = (1 - |y|)^2 */
{
    EMIT_UNUSED;
    int rest = complement(e, cx_emit1(e, &cx_op_abs, n->out[0]));
    return cx_emit2(e, &cx_op_multiply, dy, cx_emit1(e, &cx_op_square, rest));
}
/* dy * slope where -3 < x < 3, dy * above where x >= 3, 0 below */
static int in_middle(const cx_emitter *e, int x, int dy, int slope, double above)
{
    const cx_dtype dtype = cx_emitted_spec(e, x)->dtype;
    int high = cx_emit2(e, &cx_op_greater_equal, x, cx_emit_number(e, dtype, 3));
    int low = cx_emit2(e, &cx_op_less_equal, x, cx_emit_number(e, dtype, -3));
    return cx_emit2(e, &cx_op_multiply, dy, cx_emit_choose_not(e, low, 0, cx_emit_choose_not(e, high, above, slope)));
}
EMIT(hard_sigmoid)
{
    EMIT_UNUSED;
    int sixth = cx_emit_number(e, cx_emitted_spec(e, n->in[0])->dtype, 1.0 / 6);
    return in_middle(e, n->in[0], dy, sixth, 0);
}
EMIT(hard_silu) /* (2 x + 3) / 6 */
{
    EMIT_UNUSED;
    int half = cx_emit_number(e, cx_emitted_spec(e, n->in[0])->dtype, 0.5);
    return in_middle(e, n->in[0], dy, cx_emit2(e, &cx_op_add, cx_emit_scale(e, n->in[0], 1.0 / 3), half), 1);
}

static const cx_field relu_fields[] = {
    {"max_value", CX_REAL, offsetof(relu_attr, max_value), false, INFINITY, 0, INFINITY, NULL},
    {"negative_slope", CX_REAL, offsetof(relu_attr, negative_slope), false, 0, 0, INFINITY, NULL},
    {"threshold", CX_REAL, offsetof(relu_attr, threshold), false, 0, 0, INFINITY, NULL},
    {0}};
static const cx_field elu_fields[] = {
    {"alpha", CX_REAL, offsetof(elu_attr, alpha), false, 1, -INFINITY, INFINITY, NULL}, {0}};
static const cx_field gelu_fields[] = {{"approximate", CX_FLAG, offsetof(gelu_attr, approximate), false, 0, 0, 1, NULL},
                                       {0}};

#define ACTIVATION(f, source, ...)                              \
    const cx_op cx_op_##f = {.name = #f,                        \
                             .least_in = 1,                     \
                             .most_in = 1,                      \
                             .n_out = 1,                        \
                             .n_public = 1,                     \
                             .backward = CX_BOTH(f##_backward), \
                             .reads = {source},                 \
                             __VA_ARGS__}
#define SMOOTH(f, source, ...) \
    ACTIVATION(f, source, .kind = CX_OTHER, .infer = same_infer, .forward = CX_BOTH(f##_forward), __VA_ARGS__)
ACTIVATION(relu, CX_OUT(0), .kind = CX_GATE, .infer = relu_infer, .forward = CX_NUMBERS(relu_forward),
           .clamp = relu_clamp, .fields = relu_fields, .emit_grad = relu_emit);
SMOOTH(elu, CX_IN(0), .fields = elu_fields, .emit_grad = elu_emit);
SMOOTH(selu, CX_OUT(0), .emit_grad = selu_emit);
SMOOTH(gelu, CX_IN(0), .fields = gelu_fields, .emit_grad = gelu_emit);
SMOOTH(silu, CX_IN(0), .emit_grad = silu_emit);
SMOOTH(mish, CX_IN(0), .emit_grad = mish_emit);
SMOOTH(sigmoid, CX_OUT(0), .logits = 1, .emit_grad = sigmoid_emit);
SMOOTH(hard_sigmoid, CX_IN(0), .emit_grad = hard_sigmoid_emit);
SMOOTH(hard_silu, CX_IN(0), .emit_grad = hard_silu_emit);
SMOOTH(tanh, CX_OUT(0), .emit_grad = tanh_emit);
SMOOTH(softplus, CX_IN(0), .emit_grad = softplus_emit);
SMOOTH(softsign, CX_IN(0), .emit_grad = softsign_emit);

#else
/* max_value at and above it, x from threshold on, negative_slope (x - threshold) below; NaN stays. */
static void T(relu_values)(void *context, int64_t begin, int64_t end, int worker)
{
    const pass *j = context;
    const REAL *x = j->from, top = (REAL)j->relu->max_value, slope = (REAL)j->relu->negative_slope;
    const REAL low = (REAL)j->relu->threshold;
    REAL *y = j->to;
    (void)worker;
    if (slope != 0)
        for (int64_t i = begin; i < end; i++) {
            REAL v = x[i] < low ? slope * (x[i] - low) : x[i];
            y[i] = x[i] >= top ? top : v;
        }
    else
        for (int64_t i = begin; i < end; i++) {
            REAL v = x[i] < low ? 0 : x[i];
            y[i] = x[i] >= top ? top : v;
        }
}
FORWARD(T(relu_forward))
{
    FORWARD_UNUSED;
    pass j = {.from = in->data, .to = out->data, .relu = attr};
    cx_parallel(cx_count(&in->spec), CX_GRAIN, T(relu_values), &j);
}

/* Inlined once per rule, mode and kind of slope, which are then constants of the loop. */
static inline void T(relu_slopes_under)(cx_rule rule, bool add, bool leaky, const pass *j, int64_t begin, int64_t end)
{
    const REAL *y = j->from, *dy = j->dy, low = (REAL)j->relu->threshold, slope = (REAL)j->relu->negative_slope;
    /* an infinite max_value clips nothing, not even an infinite output */
    const REAL top = (REAL)(j->relu->max_value < INFINITY ? j->relu->max_value : NAN);
    REAL *dx = j->to;
    for (int64_t i = begin; i < end; i++) {
        bool clipped = y[i] >= top, open = (y[i] > low) & !clipped;
        REAL below = leaky && !clipped ? slope * dy[i] : 0;
        REAL g = cx_gate(&rule, open, dy[i] > 0) ? dy[i] : below;
        dx[i] = add ? dx[i] + g : g;
    }
}
#define UNDER(rule, leaky)                                                              \
    (j->add ? T(relu_slopes_under)((cx_rule){.gate = rule}, true, leaky, j, begin, end) \
            : T(relu_slopes_under)((cx_rule){.gate = rule}, false, leaky, j, begin, end))
static void T(relu_slopes)(void *context, int64_t begin, int64_t end, int worker)
{
    const pass *j = context;
    (void)worker;
    if (j->rule->gate == CX_RECTIFIED)
        UNDER(CX_RECTIFIED, false);
    else if (j->rule->gate == CX_GUIDED)
        UNDER(CX_GUIDED, false);
    else if (j->relu->negative_slope != 0)
        UNDER(CX_TRUE_GATE, true);
    else
        UNDER(CX_TRUE_GATE, false);
}
#undef UNDER
BACKWARD(T(relu_backward))
{
    BACKWARD_UNUSED;
    pass j = {out->data, dout->data, din->data, *mode == CX_ADD, 0, attr, rule};
    if (*mode != CX_SKIP) cx_parallel(cx_count(&dout->spec), CX_GRAIN, T(relu_slopes), &j);
}

VALUE(elu)
{
    REAL low = alpha * T(expm1_negative)(x > 0 ? 0 : x);
    return x > 0 ? x : low;
}
SLOPE(elu)
{
    REAL low = alpha * T(exp)(x > 0 ? 0 : x);
    return x > 0 ? 1 : low;
}
POINTWISE(elu, in)
FORWARD(T(elu_forward))
{
    FORWARD_UNUSED;
    T(elu_run)(in, out, ((const elu_attr *)attr)->alpha);
}
BACKWARD(T(elu_backward))
{
    BACKWARD_UNUSED;
    T(elu_run_back)(in, out, dout, din, *mode, ((const elu_attr *)attr)->alpha);
}

VALUE(selu)
{
    REAL low = (REAL)SELU_FLOOR * T(expm1_negative)(x > 0 ? 0 : x);
    (void)alpha;
    return x > 0 ? (REAL)SELU_SCALE * x : low;
}
SLOPE(selu) /* x is the output here */
{
    (void)alpha;
    return x < 0 ? x + (REAL)SELU_FLOOR : (REAL)SELU_SCALE;
}
PLAIN(selu, out)

VALUE(gelu_exact) /* x Phi(x), Phi the normal distribution function */
{
    (void)alpha;
    return x * (REAL)(0.5 * erfc(-ROOT_HALF * (double)x));
}
SLOPE(gelu_exact)
{
    double v = (double)x;
    (void)alpha;
    return (REAL)(0.5 * erfc(-ROOT_HALF * v) + HALF_ROOT_TAU * v * exp(-0.5 * v * v));
}
POINTWISE(gelu_exact, in)
VALUE(gelu_approximate) /* (1 + tanh(u)) / 2 is sigmoid(2 u) */
{
    (void)alpha;
    return x * T(sigmoid)((REAL)GELU_RATE * (x + (REAL)0.044715 * x * x * x));
}
SLOPE(gelu_approximate)
{
    REAL s = T(sigmoid)((REAL)GELU_RATE * (x + (REAL)0.044715 * x * x * x));
    (void)alpha;
    return s + x * s * (1 - s) * (REAL)GELU_RATE * (1 + (REAL)(3 * 0.044715) * x * x);
}
POINTWISE(gelu_approximate, in)
FORWARD(T(gelu_forward))
{
    FORWARD_UNUSED;
    (((const gelu_attr *)attr)->approximate ? T(gelu_approximate_run) : T(gelu_exact_run))(in, out, 0);
}
BACKWARD(T(gelu_backward))
{
    BACKWARD_UNUSED;
    bool approximate = ((const gelu_attr *)attr)->approximate;
    (approximate ? T(gelu_approximate_run_back) : T(gelu_exact_run_back))(in, out, dout, din, *mode, 0);
}

VALUE(silu)
{
    (void)alpha;
    return x * T(sigmoid)(x);
}
SLOPE(silu)
{
    REAL s = T(sigmoid)(x);
    (void)alpha;
    return s + x * s * T(sigmoid)(-x);
}
PLAIN(silu, in)

/* tanh(softplus(x)) as a fraction in e = exp(-|x|), with no cancellation on either side; *one_less is 1 - that. */
static inline REAL T(tanh_softplus)(REAL x, REAL *one_less)
{
    REAL e = T(exp)(-(REAL)fabs(x)), above = x < 0 ? e * (e + 2) : 1 + 2 * e, rest = x < 0 ? 2 : 2 * e * e;
    *one_less = rest / (above + rest);
    return above / (above + rest);
}
VALUE(mish)
{
    REAL less;
    (void)alpha;
    return x * T(tanh_softplus)(x, &less);
}
SLOPE(mish)
{
    REAL less, t = T(tanh_softplus)(x, &less);
    (void)alpha;
    return t + x * less * (1 + t) * T(sigmoid)(x);
}
PLAIN(mish, in)

VALUE(sigmoid)
{
    (void)alpha;
    return T(sigmoid)(x);
}
SLOPE(sigmoid) /* x is the output here */
{
    (void)alpha;
    return x * (1 - x);
}
PLAIN(sigmoid, out)

VALUE(hard_sigmoid)
{
    REAL t = x / 6 + (REAL)0.5, floored = t < 0 ? 0 : t;
    (void)alpha;
    return floored > 1 ? 1 : floored;
}
SLOPE(hard_sigmoid)
{
    (void)alpha;
    return x > -3 && x < 3 ? (REAL)(1.0 / 6) : 0;
}
PLAIN(hard_sigmoid, in)

VALUE(hard_silu)
{
    return x * T(hard_sigmoid_value)(x, alpha);
}
SLOPE(hard_silu)
{
    return T(hard_sigmoid_value)(x, alpha) + x * T(hard_sigmoid_slope)(x, alpha);
}
PLAIN(hard_silu, in)

VALUE(tanh)
{
    (void)alpha;
    return T(tanh)(x);
}
SLOPE(tanh) /* x is the output here */
{
    (void)alpha;
    return (1 - x) * (1 + x);
}
PLAIN(tanh, out)

VALUE(softplus)
{
    (void)alpha;
    return (x < 0 ? 0 : x) + T(log1p_unit)(T(exp)(-(REAL)fabs(x)));
}
SLOPE(softplus)
{
    (void)alpha;
    return T(sigmoid)(x);
}
PLAIN(softplus, in)

VALUE(softsign)
{
    (void)alpha;
    return x / (1 + (REAL)fabs(x));
}
SLOPE(softsign)
{
    REAL r = 1 / (1 + (REAL)fabs(x));
    (void)alpha;
    return r * r;
}
PLAIN(softsign, in)
#endif
