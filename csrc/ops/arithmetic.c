/* Arithmetic of two broadcast inputs. */
#include "emit.h"
#include "numbers.h"
#include "pair.h"

#ifndef REAL
#define REAL float
#include "arithmetic.c"
#undef REAL
#define REAL double
#include "arithmetic.c"
#undef REAL
#define WHOLE
#define REAL int32_t
#include "arithmetic.c"
#undef REAL
#define REAL int64_t
#include "arithmetic.c"
#undef REAL
#define REAL int8_t
#include "arithmetic.c"
#undef REAL
#define REAL uint8_t
#include "arithmetic.c"
#undef REAL
#undef WHOLE

#define INFER(f, whole)                                                                       \
    static cx_code f##_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err) \
    {                                                                                         \
        (void)attr;                                                                           \
        if (cx_pair_infer(#f, in, plan, err)) return err->code;                               \
        return cx_back_scratch(in, 2, whole, plan, err);                                      \
    }
INFER(add, false)
INFER(subtract, false)
INFER(multiply, true)
INFER(divide, true)
INFER(floor_divide, false)
INFER(floor_mod, true)
INFER(pow, true)
INFER(maximum, true)
INFER(minimum, true)
INFER(squared_difference, true)
INFER(atan2, true)
INFER(bitwise_and, false)
INFER(bitwise_or, false)
INFER(bitwise_xor, false)
INFER(left_shift, false)
INFER(right_shift, false)

static int64_t integer_at(const cx_value *v, int64_t i)
{
    switch (v->spec.dtype) {
    case CX_I32:
        return ((const int32_t *)v->data)[i];
    case CX_I64:
        return ((const int64_t *)v->data)[i];
    case CX_I8:
        return ((const int8_t *)v->data)[i];
    default:
        return ((const uint8_t *)v->data)[i];
    }
}
static cx_code refuse_zeros(const char *op, const cx_value *y, cx_err *err)
{
    for (int64_t i = 0, n = cx_is_real(y->spec.dtype) ? 0 : cx_count(&y->spec); i < n; i++)
        if (!integer_at(y, i))
            return cx_fail(err, CX_EVALUE, "%s: integer division by zero, at element %lld of the second input", op,
                           (long long)i);
    return CX_OK;
}
static cx_code floor_divide_check(const void *attr, const cx_value *in, cx_err *err)
{
    (void)attr;
    return refuse_zeros("floor_divide", &in[1], err);
}
static cx_code floor_mod_check(const void *attr, const cx_value *in, cx_err *err)
{
    (void)attr;
    return refuse_zeros("floor_mod", &in[1], err);
}
static cx_code pow_check(const void *attr, const cx_value *in, cx_err *err)
{
    (void)attr;
    for (int64_t i = 0, n = cx_is_real(in[1].spec.dtype) ? 0 : cx_count(&in[1].spec); i < n; i++)
        if (integer_at(&in[1], i) < 0)
            return cx_fail(err, CX_EVALUE,
                           "pow: integers have no negative powers: cast to a real dtype first. Received: %lld at "
                           "element %lld of the exponents",
                           (long long)integer_at(&in[1], i), (long long)i);
    return CX_OK;
}

EMIT(add)
{
    EMIT_UNUSED;
    return dy;
}
EMIT(subtract)
{
    EMIT_UNUSED;
    return k ? cx_emit1(e, &cx_op_negative, dy) : dy;
}
EMIT(multiply)
{
    return cx_emit2(e, &cx_op_multiply, dy, n->in[1 - k]);
}
EMIT(divide) /* dx = dy / y, dy' = -dy (x / y) / y */
{
    int part = k ? cx_emit2(e, &cx_op_multiply, dy, n->out[0]) : dy;
    part = cx_emit2(e, &cx_op_divide, part, n->in[1]);
    return k ? cx_emit1(e, &cx_op_negative, part) : part;
}
EMIT(pow) /* dx = dy y x^(y-1), 0 where y = 0; dy' = dy x^y log x, 0 where x <= 0 */
{
    const cx_dtype dtype = cx_emitted_spec(e, n->out[0])->dtype;
    if (k) {
        int positive = cx_emit2(e, &cx_op_greater, n->in[0], cx_emit_number(e, dtype, 0));
        int log_x = cx_emit1(e, &cx_op_log, cx_emit_choose(e, positive, n->in[0], 1));
        int slope = cx_emit2(e, &cx_op_multiply, n->out[0], log_x); /* of a negative x no number times 0 */
        return cx_emit2(e, &cx_op_multiply, dy, cx_emit_choose(e, positive, slope, 0));
    }
    int nonzero = cx_emit2(e, &cx_op_not_equal, n->in[1], cx_emit_number(e, dtype, 0));
    int less = cx_emit_choose(e, nonzero, cx_emit2(e, &cx_op_subtract, n->in[1], cx_emit_number(e, dtype, 1)), 1);
    int power = cx_emit2(e, &cx_op_pow, n->in[0], less);
    return cx_emit2(e, &cx_op_multiply, dy, cx_emit2(e, &cx_op_multiply, n->in[1], power));
}
EMIT(floor_mod) /* x - floor(x / y) y */
{
    if (k == 0) return dy;
    const int over = cx_emit1(e, &cx_op_floor, cx_emit2(e, &cx_op_divide, n->in[0], n->in[1]));
    return cx_emit1(e, &cx_op_negative, cx_emit2(e, &cx_op_multiply, dy, over));
}
EMIT(maximum)
{
    int first = cx_emit2(e, &cx_op_greater_equal, n->in[0], n->in[1]);
    return k ? cx_emit_choose_not(e, first, 0, dy) : cx_emit_choose(e, first, dy, 0);
}
EMIT(minimum)
{
    int first = cx_emit2(e, &cx_op_less_equal, n->in[0], n->in[1]);
    return k ? cx_emit_choose_not(e, first, 0, dy) : cx_emit_choose(e, first, dy, 0);
}
EMIT(squared_difference)
{
    int difference = cx_emit2(e, &cx_op_subtract, n->in[k], n->in[1 - k]);
    return cx_emit_scale(e, cx_emit2(e, &cx_op_multiply, dy, difference), 2);
}

EMIT(atan2) /* dx = dy y / (x^2 + y^2), dy' = -dy x / (x^2 + y^2) */
{
    int length = cx_emit2(e, &cx_op_add, cx_emit1(e, &cx_op_square, n->in[0]), cx_emit1(e, &cx_op_square, n->in[1]));
    int part = cx_emit2(e, &cx_op_divide, cx_emit2(e, &cx_op_multiply, dy, n->in[1 - k]), length);
    return k ? cx_emit1(e, &cx_op_negative, part) : part;
}

#define PAIR(f, ...)                                       \
    const cx_op cx_op_##f = {.name = #f,                   \
                             .least_in = 2,                \
                             .most_in = 2,                 \
                             .n_out = 1,                   \
                             .n_public = 1,                \
                             .alike = CX_IN(0) | CX_IN(1), \
                             .infer = f##_infer,           \
                             __VA_ARGS__}
#define BOTH_INS                                 \
    {                                            \
        CX_IN(0) | CX_IN(1), CX_IN(0) | CX_IN(1) \
    }
PAIR(add, .kind = CX_SUM, .forward = CX_NUMBERS(add_forward), .backward = CX_BOTH(add_backward), .emit_grad = add_emit);
PAIR(subtract, .kind = CX_OTHER, .forward = CX_NUMBERS(subtract_forward), .backward = CX_BOTH(subtract_backward),
     .emit_grad = subtract_emit);
PAIR(multiply, .kind = CX_OTHER, .forward = CX_NUMBERS(multiply_forward), .backward = CX_BOTH(multiply_backward),
     .reads = {CX_IN(1), CX_IN(0)}, .emit_grad = multiply_emit);
PAIR(divide, .kind = CX_OTHER, .forward = CX_BOTH(divide_forward), .backward = CX_BOTH(divide_backward),
     .reads = {CX_IN(1), CX_IN(1) | CX_OUT(0)}, .emit_grad = divide_emit);
PAIR(floor_divide, .kind = CX_OTHER, .check = floor_divide_check, .forward = CX_NUMBERS(floor_divide_forward),
     .stops = true);
PAIR(floor_mod, .kind = CX_OTHER, .check = floor_mod_check, .forward = CX_NUMBERS(floor_mod_forward),
     .backward = CX_BOTH(floor_mod_backward), .reads = {0, CX_IN(0) | CX_IN(1)}, .emit_grad = floor_mod_emit);
PAIR(pow, .kind = CX_OTHER, .check = pow_check, .forward = CX_NUMBERS(pow_forward), .backward = CX_BOTH(pow_backward),
     .reads = {CX_IN(0) | CX_IN(1), CX_IN(0) | CX_IN(1) | CX_OUT(0)}, .emit_grad = pow_emit);
PAIR(maximum, .kind = CX_OTHER, .forward = CX_NUMBERS(maximum_forward), .backward = CX_BOTH(maximum_backward),
     .reads = BOTH_INS, .emit_grad = maximum_emit);
PAIR(minimum, .kind = CX_OTHER, .forward = CX_NUMBERS(minimum_forward), .backward = CX_BOTH(minimum_backward),
     .reads = BOTH_INS, .emit_grad = minimum_emit);
PAIR(squared_difference, .kind = CX_OTHER, .forward = CX_NUMBERS(squared_difference_forward),
     .backward = CX_BOTH(squared_difference_backward), .reads = BOTH_INS, .emit_grad = squared_difference_emit);
PAIR(atan2, .kind = CX_OTHER, .forward = CX_BOTH(atan2_forward), .backward = CX_BOTH(atan2_backward), .reads = BOTH_INS,
     .emit_grad = atan2_emit);

#define WHOLE_PAIR(f)                                \
    PAIR(f, .kind = CX_OTHER,                        \
         .forward = {[CX_I32] = f##_forward_int32_t, \
                     [CX_I64] = f##_forward_int64_t, \
                     [CX_U8] = f##_forward_uint8_t,  \
                     [CX_I8] = f##_forward_int8_t})
WHOLE_PAIR(bitwise_and);
WHOLE_PAIR(bitwise_or);
WHOLE_PAIR(bitwise_xor);
WHOLE_PAIR(left_shift);
WHOLE_PAIR(right_shift);

#else
#define PAIR_FORWARD(f, expression)            \
    CX_PAIR_VALUE(f, REAL, expression)         \
    FORWARD(T(f##_forward))                    \
    {                                          \
        FORWARD_UNUSED;                        \
        cx_pair_forward(in, out, T(f##_tile)); \
    }
PAIR_FORWARD(add, T(plus)(u, v))
PAIR_FORWARD(subtract, T(minus)(u, v))
PAIR_FORWARD(multiply, T(times)(u, v))
PAIR_FORWARD(floor_divide, T(floor_over)(u, v))
PAIR_FORWARD(floor_mod, T(floor_rest)(u, v))
PAIR_FORWARD(maximum, T(larger)(u, v))
PAIR_FORWARD(minimum, T(smaller)(u, v))
CX_PAIR_VALUE(square, REAL, T(times)(u, u))
PAIR_FORWARD(squared_difference, T(times)(T(minus)(u, v), T(minus)(u, v)))
#ifdef WHOLE
/* Distances outside the width are the nearest inside. */
static inline int T(distance)(REAL v)
{
    const int most = (int)sizeof(REAL) * 8 - 1;
    return is_below_0((int64_t)v) ? 0 : (int64_t)v > most ? most : (int)v;
}
PAIR_FORWARD(bitwise_and, (REAL)(u &v))
PAIR_FORWARD(bitwise_or, (REAL)(u | v))
PAIR_FORWARD(bitwise_xor, (REAL)(u ^ v))
PAIR_FORWARD(left_shift, (REAL)((uint64_t)u << T(distance)(v)))
PAIR_FORWARD(right_shift, (REAL)(u >> T(distance)(v)))
#else
PAIR_FORWARD(atan2, (REAL)atan2((double)u, (double)v))
#endif
#undef PAIR_FORWARD

CX_PAIR_VALUE(pow, REAL, T(power)(u, v))
static void T(pow_rows)(const void *context, const cx_tile *t) /* the one exponent that everybody writes vectorises */
{
    const cx_pair *p = context;
    const REAL *b = (const REAL *)p->y + t->at[2];
    bool squares = t->col[1] && !t->col[2] && (t->rows == 1 || !t->row[2]) && *b == 2;
    (squares ? T(square_tile) : T(pow_tile))(context, t);
}
FORWARD(T(pow_forward))
{
    FORWARD_UNUSED;
    cx_pair_forward(in, out, T(pow_rows));
}

#ifndef WHOLE
CX_PAIR_VALUE(divide, REAL, u / v)
FORWARD(T(divide_forward))
{
    FORWARD_UNUSED;
    cx_pair_forward(in, out, T(divide_tile));
}

/* f_backward from T(f_first_tile) and T(f_second_tile). A value that is not read may be absent; dy stands in for it, so
 * that pointers can move. */
#define PAIR_BACKWARD(f)                                                                           \
    BACKWARD(T(f##_backward))                                                                      \
    {                                                                                              \
        cx_pair p = {in[0].data, in[1].data, dout->data, out->data, NULL, false, rule};            \
        BACKWARD_UNUSED;                                                                           \
        if (!p.x) p.x = p.dy;                                                                      \
        if (!p.y) p.y = p.dy;                                                                      \
        if (!p.out) p.out = p.dy;                                                                  \
        if (mode[0]) cx_pair_backward(&p, in, dout, din, 0, mode[0], scratch, T(f##_first_tile));  \
        if (mode[1]) cx_pair_backward(&p, in, dout, din, 1, mode[1], scratch, T(f##_second_tile)); \
    }

/* Nothing is multiplied, so a broadcast input sums dy as it is. */
static void T(sum_back)(const cx_value *dout, const cx_value *din, cx_mode mode, int64_t divisor, void *scratch)
{
    if (mode == CX_SKIP) return;
    cx_fold f = cx_fold_back(&dout->spec, &din->spec);
    cx_fold_run(&f, CX_FOLD_SUM, dout->spec.dtype, dout->data, din->data, divisor, mode, scratch);
}
BACKWARD(T(add_backward))
{
    BACKWARD_UNUSED;
    for (int k = 0; k < 2; k++) T(sum_back)(dout, &din[k], mode[k], 1, scratch);
}
BACKWARD(T(subtract_backward))
{
    BACKWARD_UNUSED;
    for (int k = 0; k < 2; k++) T(sum_back)(dout, &din[k], mode[k], k ? -1 : 1, scratch);
}

CX_PAIR_SLOPE(multiply_first, g *v)
CX_PAIR_SLOPE(multiply_second, g *u)
PAIR_BACKWARD(multiply)

CX_PAIR_SLOPE(divide_first, g / v)
CX_PAIR_SLOPE(divide_second, -g *o[i] / v)
PAIR_BACKWARD(divide)

CX_PAIR_SLOPE(floor_mod_first, g)
CX_PAIR_SLOPE(floor_mod_second, -g *T(floor_over)(u, v))
PAIR_BACKWARD(floor_mod)

CX_PAIR_SLOPE(pow_first, v == 0 ? 0 : g * v * T(power)(u, v - 1))
CX_PAIR_SLOPE(pow_second, u > 0 ? g * o[i] * (REAL)log((double)u) : 0)
PAIR_BACKWARD(pow)

CX_PAIR_SLOPE(minimum_first, u <= v || u != u ? g : 0)
CX_PAIR_SLOPE(minimum_second, u <= v || u != u ? 0 : g)
PAIR_BACKWARD(minimum)

CX_PAIR_SLOPE(squared_difference_first, 2 * g * (u - v))
CX_PAIR_SLOPE(squared_difference_second, 2 * g * (v - u))
PAIR_BACKWARD(squared_difference)

CX_PAIR_SLOPE(atan2_first, g *v / (u * u + v * v))
CX_PAIR_SLOPE(atan2_second, -g *u / (u * u + v * v))
PAIR_BACKWARD(atan2)

/* maximum(x, 0) is a ReLU and passes gradients by its rule. */
CX_PAIR_SLOPE(maximum_first, cx_gate(p->rule, u >= v || u != u, g > 0) ? g : 0)
CX_PAIR_SLOPE(maximum_second, cx_gate(p->rule, !(u >= v || u != u), g > 0) ? g : 0)
static bool T(is_zero)(const cx_value *v)
{
    return cx_count(&v->spec) == 1 && *(const REAL *)v->data == 0;
}
BACKWARD(T(maximum_backward))
{
    static const cx_rule truth;
    int zero = T(is_zero)(&in[1]) ? 1 : T(is_zero)(&in[0]) ? 0 : -1;
    cx_pair p = {in[0].data, in[1].data, dout->data, dout->data, NULL, false, NULL};
    BACKWARD_UNUSED;
    for (int k = 0; k < 2; k++) {
        p.rule = zero == 1 - k ? rule : &truth;
        if (mode[k])
            cx_pair_backward(&p, in, dout, din, k, mode[k], scratch,
                             k ? T(maximum_second_tile) : T(maximum_first_tile));
    }
}
#undef PAIR_BACKWARD
#endif
#endif
