/* Philox4x32-10, to be inlined into loops over blocks. Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011. */
#ifndef CX_PHILOX_H
#define CX_PHILOX_H
#include <stdint.h>

static inline void philox(uint64_t seed, uint64_t counter, uint64_t block, uint32_t *out)
{
    uint32_t a = (uint32_t)block, b = (uint32_t)(block >> 32), c = (uint32_t)counter, d = (uint32_t)(counter >> 32);
    uint32_t k = (uint32_t)seed, l = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p = (uint64_t)0xD2511F53u * a, q = (uint64_t)0xCD9E8D57u * c;
        a = (uint32_t)(q >> 32) ^ b ^ k, b = (uint32_t)q;
        c = (uint32_t)(p >> 32) ^ d ^ l, d = (uint32_t)p;
        k += 0x9E3779B9u, l += 0xBB67AE85u;
    }
    out[0] = a, out[1] = b, out[2] = c, out[3] = d;
}
#endif
