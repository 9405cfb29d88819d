/* Which vector unit this machine has, decided once. */
#include "../cnnexplain.h"
#include <string.h>

static const char *const names[] = {[CX_PORTABLE] = "portable", [CX_AVX2] = "avx2", [CX_AVX512] = "avx512"};
static cx_isa chosen;

/* The compiler's run-time library asks the CPU, and the operating system whether it saves the wide registers. */
static bool supported(cx_isa isa)
{
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (isa == CX_AVX2) return avx2;
    if (isa == CX_AVX512)
        return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#endif
    return isa == CX_PORTABLE;
}

cx_isa cx_get_isa(void)
{
    return chosen;
}

const char *cx_isa_name(cx_isa isa)
{
    return names[isa];
}

cx_code cx_start(const char *isa, cx_err *err)
{
    for (int i = CX_AVX512; i >= CX_PORTABLE; i--) {
        if (isa && strcmp(isa, names[i])) continue;
        if (supported((cx_isa)i)) {
            chosen = (cx_isa)i;
            return CX_OK;
        }
        if (isa) return cx_fail(err, CX_EVALUE, "this machine cannot run `isa`. Received: isa=%s", isa);
    }
    return cx_fail(err, CX_EVALUE, "`isa` must be one of: portable, avx2, avx512. Received: isa=%s", isa);
}
