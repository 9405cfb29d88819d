/* exp and its relatives for both types, to be inlined into loops. The float versions are branch-free polynomials (at
 * most 2 ulp off) that the compiler vectorises, so an element's bits do not depend on where in a loop it falls; libm
 * is called for double. */
#ifndef CX_EXP_H
#define CX_EXP_H
#include <math.h>
#include <stdint.h>

typedef union {
    float value;
    uint32_t bits;
} exp_word;

/* x = n ln 2 + r with |r| <= ln 2 / 2. Returns exp(r) - 1; *low and *high multiply to 2^n, in two factors because 2^n
 * alone may overflow or be subnormal. Rounds by adding 1.5 * 2^23; ln 2 is split so that n times its head is exact. */
static inline float exp_reduce(float x, float *low, float *high)
{
    exp_word n = {x * 1.44269504f + 12582912.0f}, half, rest;
    float whole = n.value - 12582912.0f, r = x - whole * 0.693359375f - whole * -2.12194440e-4f;
    float q = 0.00019790244f;
    q = q * r + 0.0013944758f;
    q = q * r + 0.008333498f;
    q = q * r + 0.041666295f;
    q = q * r + 0.16666666f;
    q = q * r + 0.5f;
    uint32_t biased = n.bits - 0x4B400000u + 254u;
    half.bits = (biased >> 1) << 23;
    rest.bits = (biased - (biased >> 1)) << 23;
    *low = half.value, *high = rest.value;
    return r + r * r * q;
}

static inline float exp_float(float x)
{
    float low, high;
    x = x < -104.0f ? -104.0f : x; /* below: 0; above: inf; NaN passes */
    x = x > 89.0f ? 89.0f : x;
    float p = exp_reduce(x, &low, &high) + 1.0f;
    return p * low * high;
}
static inline double exp_double(double x)
{
    return exp(x);
}

/* exp(x) - 1 for x <= 0, accurate near 0. */
static inline float expm1_negative_float(float x)
{
    float low, high;
    x = x < -32.0f ? -32.0f : x;
    float p = exp_reduce(x, &low, &high), scale = low * high;
    return scale * p + (scale - 1.0f);
}
static inline double expm1_negative_double(double x)
{
    return expm1(x);
}

/* log(1 + u) for 0 <= u <= 1: 2 atanh(u / (2 + u)). */
static inline float log1p_unit_float(float u)
{
    float s = u / (2.0f + u), z = s * s;
    float g = 0.12150467f;
    g = g * z + 0.10713829f;
    g = g * z + 0.14308442f;
    g = g * z + 0.19999439f;
    g = g * z + 0.33333337f;
    return 2.0f * (s + s * z * g);
}
static inline double log1p_unit_double(double u)
{
    return log1p(u);
}

static inline float tanh_float(float x)
{
    float size = fabsf(x), z = x * x;
    float g = -0.0057170447f;
    g = g * z + 0.020650586f;
    g = g * z + -0.053743497f;
    g = g * z + 0.13331491f;
    g = g * z + -0.33333284f;
    float near = x + x * z * g, e = exp_float(-2.0f * size);
    float far = copysignf(1.0f - 2.0f * e / (1.0f + e), x);
    return size < 0.625f ? near : far;
}
static inline double tanh_double(double x)
{
    return tanh(x);
}

/* 1 / (1 + exp(-x)) without overflow and with small results at full precision. */
static inline float sigmoid_float(float x)
{
    float e = exp_float(-fabsf(x));
    return (x < 0 ? e : 1.0f) / (1.0f + e);
}
static inline double sigmoid_double(double x)
{
    double e = exp(-fabs(x));
    return (x < 0 ? e : 1) / (1 + e);
}
#endif
