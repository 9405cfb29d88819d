/* How much a convolution may round. */
#include "../cnnexplain.h"
#include <stdatomic.h>

static atomic_int setting = CX_FAST;
static _Thread_local int node = -1; /* what the node that this thread plans or runs was planned with */

cx_precision cx_get_precision(void)
{
    return (cx_precision)(node < 0 ? atomic_load_explicit(&setting, memory_order_relaxed) : node);
}
void cx_set_precision(cx_precision p)
{
    atomic_store(&setting, (int)p);
}
void cx_hold_precision(int p)
{
    node = p;
}
