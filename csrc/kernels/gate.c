/* Gradients through a ReLU of which only bits were kept, where no kernel's finish does it. */
#include "kernels.h"

typedef struct {
    const cx_finish *finish;
    const float *dy;
    float *dx;
    bool add;
} job;

static void run(void *context, int64_t begin, int64_t end, int worker)
{
    enum { AT_ONCE = 1024 };
    const job *j = context;
    const cx_kernels *k = cx_kernels_of(CX_F32);
    float passed[AT_ONCE];
    (void)worker;
    for (int64_t i = begin; i < end; i += AT_ONCE) {
        const int64_t n = end - i < AT_ONCE ? end - i : AT_ONCE;
        const cx_finishing f = {j->finish, i, 0};
        k->finish(&f, j->dy + i, n, 1, n, j->add ? passed : j->dx + i, n);
        for (int64_t m = 0; j->add && m < n; m++) j->dx[i + m] += passed[m];
    }
}

void cx_pass_bits(const cx_finish *f, int64_t n, const float *dy, bool add, float *dx)
{
    job j = {f, dy, dx, add};
    cx_parallel(n, 1 << 15, run, &j);
}

bool cx_has_bits(void)
{
    return cx_get_isa() != CX_PORTABLE;
}
