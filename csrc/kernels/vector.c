/* The inner loops, once for each vector unit and type, from one source. */
#include "kernels.h"
#include <math.h>
#include <string.h>

#define PASTE(f, real, isa) f##_##real##_##isa
#define JOIN(f, real, isa) PASTE(f, real, isa)
#define N(f) JOIN(f, REAL, ISA)
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#define LOOP _Pragma("clang loop unroll(disable)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#define LOOP
#endif
#define OPAQUE(p) __asm__("" : "+r"(p))

#define ISA portable
#define BITS 128
#define ROWS 6
#define TARGET
#define REAL float
#define WIDTH 4
#include "vector.inc"
#undef REAL
#undef WIDTH
#define REAL double
#define WIDTH 8
#include "vector.inc"
#undef REAL
#undef WIDTH
#undef ISA
#undef BITS
#undef ROWS
#undef TARGET

#if defined(__x86_64__)
#include <immintrin.h>

#define ISA avx2
#define BITS 256
#define ROWS 6
#define TARGET __attribute__((target("avx2,fma")))
#define REAL float
#define WIDTH 4
#include "vector.inc"
#undef REAL
#undef WIDTH
#define REAL double
#define WIDTH 8
#include "vector.inc"
#undef REAL
#undef WIDTH
#undef ISA
#undef BITS
#undef ROWS
#undef TARGET

#define ISA avx512
#define BITS 512
#define ROWS 14
#define TARGET __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")))
#define REAL float
#define WIDTH 4
#include "vector.inc"
#undef REAL
#undef WIDTH
#define REAL double
#define WIDTH 8
#include "vector.inc"

const cx_kernels *cx_kernels_of(cx_dtype dtype)
{
    static const cx_kernels *const all[3][2] = {
        [CX_PORTABLE] = {&kernels_float_portable, &kernels_double_portable},
        [CX_AVX2] = {&kernels_float_avx2, &kernels_double_avx2},
        [CX_AVX512] = {&kernels_float_avx512, &kernels_double_avx512},
    };
    return all[cx_get_isa()][dtype == CX_F64];
}
#else
const cx_kernels *cx_kernels_of(cx_dtype dtype)
{
    return dtype == CX_F64 ? &kernels_double_portable : &kernels_float_portable;
}
#endif
