/* Local response normalization across channels: y_k = x_k / s_k^beta with s_k = bias + alpha sum x_i^2 over the i at
 * most depth_radius from k. */
#include "generic.h"
#include "images.h"

#ifndef REAL
typedef struct {
    int64_t depth_radius;
    double bias, alpha, beta;
} lrn_attr;
/* A task is some of the pixels, each of `channels` neighbouring values. */
typedef struct {
    const lrn_attr *a;
    const void *from, *dy;
    void *to, *scratch;
    int64_t channels;
    bool add;
} job;
enum { LINES = 3 }; /* of scratch per worker, each one pixel */

static void run(job *j, const cx_spec *x, cx_task *task)
{
    if (j->channels) cx_parallel(cx_count(x) / j->channels, 1 + CX_GRAIN / (32 * j->channels), task, j);
}
static job job_of(const lrn_attr *a, const cx_spec *x, void *scratch)
{
    return (job){.a = a, .channels = x->dim[x->ndim - 1], .scratch = scratch};
}

#define REAL float
#include "lrn.c"
#undef REAL
#define REAL double
#include "lrn.c"
#undef REAL

static cx_code lrn_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    (void)attr;
    if (cx_need_images("local_response_normalization", in, err)) return err->code;
    plan->out[0] = in[0];
    if (in->dim[3] == CX_ANY) return CX_OK;
    const cx_spec lines = {in->dtype, 3, {plan->threads, LINES, in->dim[3]}};
    if (cx_bytes(&lines, &plan->scratch, err)) return err->code;
    plan->scratch_back = plan->scratch;
    return CX_OK;
}

static const cx_field lrn_fields[] = {
    {"depth_radius", CX_INT, offsetof(lrn_attr, depth_radius), false, 5, 0, CX_MOST, NULL},
    {"bias", CX_REAL, offsetof(lrn_attr, bias), false, 1, -INFINITY, INFINITY, NULL},
    {"alpha", CX_REAL, offsetof(lrn_attr, alpha), false, 1, -INFINITY, INFINITY, NULL},
    {"beta", CX_REAL, offsetof(lrn_attr, beta), false, 0.5, -INFINITY, INFINITY, NULL},
    {0}};
const cx_op cx_op_local_response_normalization = {.name = "local_response_normalization",
                                                  .kind = CX_OTHER,
                                                  .least_in = 1,
                                                  .most_in = 1,
                                                  .n_out = 1,
                                                  .n_public = 1,
                                                  .fields = lrn_fields,
                                                  .infer = lrn_infer,
                                                  .forward = CX_BOTH(lrn_forward),
                                                  .backward = CX_BOTH(lrn_backward),
                                                  .reads = {CX_IN(0)}};

#else
#define LIBM(name) _Generic((REAL)0, float : name##f, double : name)
/* s^-beta; the exponents that papers use without a power. */
static inline REAL T(fall)(REAL s, double beta)
{
    if (beta == 0.5) return 1 / LIBM(sqrt)(s);
    if (beta == 0.75) return 1 / (LIBM(sqrt)(s) * LIBM(sqrt)(LIBM(sqrt)(s)));
    return beta == 1 ? 1 / s : LIBM(pow)(s, (REAL)-beta);
}
/* sum_k = the values at most `radius` from k, added from the left. */
static inline void T(near)(const REAL *value, int64_t n, int64_t radius, REAL *sum)
{
    const int64_t reach = radius < n ? radius : n - 1;
    for (int64_t k = 0; k < n; k++) sum[k] = 0;
    for (int64_t d = -reach; d <= reach; d++) {
        const int64_t first = d < 0 ? -d : 0, last = d < 0 ? n : n - d;
        for (int64_t k = first; k < last; k++) sum[k] += value[k + d];
    }
}
/* s of one pixel; square is overwritten. */
static inline void T(sizes)(const lrn_attr *a, const REAL *x, int64_t n, REAL *square, REAL *s)
{
    const REAL bias = (REAL)a->bias, alpha = (REAL)a->alpha;
    for (int64_t k = 0; k < n; k++) square[k] = x[k] * x[k];
    T(near)(square, n, a->depth_radius, s);
    for (int64_t k = 0; k < n; k++) s[k] = bias + alpha * s[k];
}
TASK(T(lrn_pixels))
{
    const job *j = context;
    const int64_t n = j->channels;
    REAL *square = (REAL *)j->scratch + worker * LINES * n, *s = square + n;
    for (int64_t i = begin; i < end; i++) {
        const REAL *x = (const REAL *)j->from + i * n;
        REAL *y = (REAL *)j->to + i * n;
        T(sizes)(j->a, x, n, square, s);
        for (int64_t k = 0; k < n; k++) y[k] = x[k] * T(fall)(s[k], j->a->beta);
    }
}
FORWARD(T(lrn_forward))
{
    job j = job_of(attr, &in->spec, scratch);
    FORWARD_UNUSED;
    j.from = in->data, j.to = out->data;
    run(&j, &in->spec, T(lrn_pixels));
}

/* dx_k = dy_k s_k^-beta - 2 alpha beta x_k sum dy_i x_i s_i^(-beta - 1) over the i near k. */
TASK(T(lrn_slope_pixels))
{
    const job *j = context;
    const int64_t n = j->channels;
    const REAL factor = (REAL)(2 * j->a->alpha * j->a->beta);
    REAL *share = (REAL *)j->scratch + worker * LINES * n, *s = share + n, *sum = s + n;
    for (int64_t i = begin; i < end; i++) {
        const REAL *x = (const REAL *)j->from + i * n, *dy = (const REAL *)j->dy + i * n;
        REAL *dx = (REAL *)j->to + i * n;
        T(sizes)(j->a, x, n, share, s);
        for (int64_t k = 0; k < n; k++) {
            const REAL scale = T(fall)(s[k], j->a->beta);
            share[k] = dy[k] * x[k] * scale / s[k], s[k] = dy[k] * scale;
        }
        T(near)(share, n, j->a->depth_radius, sum);
        for (int64_t k = 0; k < n; k++) {
            const REAL v = s[k] - factor * x[k] * sum[k];
            dx[k] = j->add ? dx[k] + v : v;
        }
    }
}
BACKWARD(T(lrn_backward))
{
    job j = job_of(attr, &din->spec, scratch);
    BACKWARD_UNUSED;
    j.from = in->data, j.dy = dout->data, j.to = din->data, j.add = *mode == CX_ADD;
    if (*mode != CX_SKIP) run(&j, &din->spec, T(lrn_slope_pixels));
}
#undef LIBM
#endif
