/* The generator as the core's functions see it. */
#include "../cnnexplain.h"
#include "philox.h"

void cx_philox(uint64_t seed, uint64_t counter, uint64_t block, uint32_t out[4])
{
    philox(seed, counter, block, out);
}
