/* global_average_pool2d: x (n, h, w, c) -> (n, c), or (n, 1, 1, c) with keepdims. */
#include "generic.h"
#include "emit.h"
#include "images.h"
#include "../kernels/kernels.h"

#ifndef REAL
typedef struct {
    int64_t keepdims;
} global_attr;
enum { BLOCK = 64 }; /* channels summed at once: their sums stay in L1 */
typedef struct {
    int64_t images, area, channels;
    const void *from; /* x, or dy */
    void *to;         /* y, or dx */
    const cx_kernels *k;
    const cx_finish *finish; /* of dx */
} job;

static job job_of(const cx_spec *x)
{
    return (job){.images = x->dim[0], .area = x->dim[1] * x->dim[2], .channels = x->dim[3]};
}
static int64_t blocks_of(const job *j)
{
    return (j->channels + BLOCK - 1) / BLOCK;
}

#define REAL float
#include "global_pool.c"
#undef REAL
#define REAL double
#include "global_pool.c"
#undef REAL

static cx_code global_average_pool2d_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    if (cx_need_images("global_average_pool2d", in, err)) return err->code;
    cx_spec flat = {in->dtype, 2, {in->dim[0], in->dim[3]}}, kept = {in->dtype, 4, {in->dim[0], 1, 1, in->dim[3]}};
    plan->out[0] = ((const global_attr *)attr)->keepdims ? kept : flat;
    return CX_OK;
}
EMIT(global)
{
    const cx_spec x = *cx_emitted_spec(e, n->in[0]), small = {x.dtype, 4, {x.dim[0], 1, 1, x.dim[3]}};
    cx_shape_attr to = {{4, {x.dim[0], x.dim[1], x.dim[2], x.dim[3]}}};
    EMIT_UNUSED;
    int share = cx_emit_scale(e, cx_emit_reshape(e, dy, &small), 1 / (double)(x.dim[1] * x.dim[2]));
    return CX_EMIT_WITH(e, &cx_op_broadcast_to, to, share);
}

static void global_finished_back(const void *attr, const cx_value *in, const cx_value *out, const cx_value *dout,
                                 void *dx, void *scratch, const cx_finish *f)
{
    (void)attr, (void)out, (void)scratch;
    (in->spec.dtype == CX_F64 ? global_run_double : global_run_float)(dout, &in->spec, dx, f);
}

static const cx_field global_fields[] = {{"keepdims", CX_FLAG, offsetof(global_attr, keepdims), false, 0, 0, 1, NULL},
                                         {0}};
const cx_op cx_op_global_average_pool2d = {.name = "global_average_pool2d",
                                           .kind = CX_LINEAR,
                                           .least_in = 1,
                                           .most_in = 1,
                                           .n_out = 1,
                                           .n_public = 1,
                                           .fields = global_fields,
                                           .infer = global_average_pool2d_infer,
                                           .forward = CX_BOTH(global_forward),
                                           .backward = CX_BOTH(global_backward),
                                           .finished_back = global_finished_back,
                                           .emit_grad = global_emit};

#else
/* A unit is one block of channels of one image, summed in double over all its pixels. */
TASK(T(blocks))
{
    const job *j = context;
    const int64_t channels = j->channels, area = j->area, blocks = blocks_of(j);
    TASK_UNUSED;
    for (int64_t i = begin; i < end; i++) {
        const int64_t image = i / blocks, c = i % blocks * BLOCK, n = channels - c < BLOCK ? channels - c : BLOCK;
        const REAL *x = (const REAL *)j->from + image * area * channels + c;
        REAL *y = (REAL *)j->to + image * channels + c;
        double sum[BLOCK] = {0};
        for (int64_t p = 0; p < area; p++)
            for (int64_t k = 0; k < n; k++) sum[k] += (double)x[p * channels + k];
        for (int64_t k = 0; k < n; k++) y[k] = (REAL)(sum[k] / (double)area);
    }
}
FORWARD(T(global_forward))
{
    FORWARD_UNUSED;
    job j = job_of(&in->spec);
    j.from = in->data, j.to = out->data;
    cx_parallel(j.images * blocks_of(&j), 1 + CX_GRAIN / (j.area * BLOCK + 1), T(blocks), &j);
}
enum { T(SHARES) = 512 }; /* channels divided at once */
TASK(T(pixels))
{
    const job *j = context;
    const int64_t channels = j->channels;
    REAL share[T(SHARES)];
    TASK_UNUSED;
    while (begin < end) {
        const int64_t image = begin / j->area, last = (image + 1) * j->area < end ? (image + 1) * j->area : end;
        for (int64_t c = 0; c < channels; c += T(SHARES)) {
            const int64_t n = channels - c < T(SHARES) ? channels - c : T(SHARES);
            const REAL *dy = (const REAL *)j->from + image * channels + c;
            for (int64_t k = 0; k < n; k++) share[k] = dy[k] / (REAL)j->area;
            const cx_finishing f = {j->finish, begin * channels + c, c};
            j->k->finish(&f, share, 0, last - begin, n, (REAL *)j->to + f.at, channels);
        }
        begin = last;
    }
}
static void T(global_run)(const cx_value *dout, const cx_spec *x, void *dx, const cx_finish *f)
{
    job j = job_of(x);
    j.from = dout->data, j.to = dx, j.finish = f, j.k = cx_kernels_of(x->dtype);
    cx_parallel(j.images * j.area, 1 + CX_GRAIN / (j.channels + 1), T(pixels), &j);
}
BACKWARD(T(global_backward))
{
    BACKWARD_UNUSED;
    const cx_finish add = {.plus = din->data};
    if (*mode != CX_SKIP) T(global_run)(dout, &din->spec, din->data, *mode == CX_ADD ? &add : NULL);
}
#endif
