/* Arithmetic of every dtype under one name: integers wrap, never trap. */
#ifndef CX_NUMBERS_H
#define CX_NUMBERS_H
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#define CX_REAL_RULES(type, suffix)                                            \
    static inline type plus_##type(type a, type b)                             \
    {                                                                          \
        return a + b;                                                          \
    }                                                                          \
    static inline type minus_##type(type a, type b)                            \
    {                                                                          \
        return a - b;                                                          \
    }                                                                          \
    static inline type times_##type(type a, type b)                            \
    {                                                                          \
        return a * b;                                                          \
    }                                                                          \
    static inline type over_##type(type a, type b)                             \
    {                                                                          \
        return a / b;                                                          \
    }                                                                          \
    static inline type floor_over_##type(type a, type b)                       \
    {                                                                          \
        return floor##suffix(a / b);                                           \
    }                                                                          \
    static inline type floor_rest_##type(type a, type b) /* the sign is b's */ \
    {                                                                          \
        type rest = fmod##suffix(a, b);                                        \
        return rest != 0 && (b < 0) != (rest < 0) ? rest + b : rest;           \
    }                                                                          \
    static inline type power_##type(type a, type b)                            \
    {                                                                          \
        return b == 2 ? a * a : b == 1 ? a : pow##suffix(a, b);                \
    }
CX_REAL_RULES(float, f)
CX_REAL_RULES(double, )

static inline bool is_below_0(int64_t x)
{
    return x < 0;
}
static inline bool is_minus_one(int64_t x)
{
    return x == -1;
}
/* wide: unsigned and at least as wide as int, or products would be signed. Dividing by 0 gives 0: `check` refused. */
#define CX_INTEGER_RULES(type, wide)                                                              \
    static inline type plus_##type(type a, type b)                                                \
    {                                                                                             \
        return (type)((wide)a + (wide)b);                                                         \
    }                                                                                             \
    static inline type minus_##type(type a, type b)                                               \
    {                                                                                             \
        return (type)((wide)a - (wide)b);                                                         \
    }                                                                                             \
    static inline type times_##type(type a, type b)                                               \
    {                                                                                             \
        return (type)((wide)a * (wide)b);                                                         \
    }                                                                                             \
    static inline type over_##type(type a, type b) /* toward 0 */                                 \
    {                                                                                             \
        if (is_minus_one(b)) return minus_##type(0, a); /* the least number over -1 would trap */ \
        return b ? (type)(a / b) : 0;                                                             \
    }                                                                                             \
    static inline type floor_over_##type(type a, type b)                                          \
    {                                                                                             \
        type q = over_##type(a, b), rest = minus_##type(a, times_##type(q, b));                   \
        return rest && is_below_0(rest) != is_below_0(b) ? minus_##type(q, 1) : q;                \
    }                                                                                             \
    static inline type floor_rest_##type(type a, type b)                                          \
    {                                                                                             \
        return b ? minus_##type(a, times_##type(floor_over_##type(a, b), b)) : 0;                 \
    }                                                                                             \
    static inline type power_##type(type a, type b) /* b >= 0: `check` refused */                 \
    {                                                                                             \
        type result = 1;                                                                          \
        for (; b > 0; b = (type)(b / 2)) {                                                        \
            if (b % 2) result = times_##type(result, a);                                          \
            a = times_##type(a, a);                                                               \
        }                                                                                         \
        return result;                                                                            \
    }
CX_INTEGER_RULES(int32_t, uint32_t)
CX_INTEGER_RULES(int64_t, uint64_t)
CX_INTEGER_RULES(int8_t, uint32_t)
CX_INTEGER_RULES(uint8_t, uint32_t)

/* What no element is above, or below. */
#define CX_ENDS(type, low, high)            \
    static inline type lowest_##type(void)  \
    {                                       \
        return low;                         \
    }                                       \
    static inline type highest_##type(void) \
    {                                       \
        return high;                        \
    }
CX_ENDS(float, -INFINITY, INFINITY)
CX_ENDS(double, -INFINITY, INFINITY)
CX_ENDS(int32_t, INT32_MIN, INT32_MAX)
CX_ENDS(int64_t, INT64_MIN, INT64_MAX)
CX_ENDS(int8_t, INT8_MIN, INT8_MAX)
CX_ENDS(uint8_t, 0, UINT8_MAX)

/* The larger and the smaller; a NaN wins, and the first of equals. */
#define CX_ORDER(type)                                \
    static inline type larger_##type(type a, type b)  \
    {                                                 \
        return a >= b || a != a ? a : b;              \
    }                                                 \
    static inline type smaller_##type(type a, type b) \
    {                                                 \
        return a <= b || a != a ? a : b;              \
    }
CX_ORDER(float)
CX_ORDER(double)
CX_ORDER(int32_t)
CX_ORDER(int64_t)
CX_ORDER(int8_t)
CX_ORDER(uint8_t)

/* The kernels f of every dtype but bool, for an op struct. */
#define CX_NUMBERS(f)                                                                                \
    {                                                                                                \
        [CX_F32] = f##_float, [CX_F64] = f##_double, [CX_I32] = f##_int32_t, [CX_I64] = f##_int64_t, \
        [CX_U8] = f##_uint8_t, [CX_I8] = f##_int8_t                                                  \
    }
#endif
