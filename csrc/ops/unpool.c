/* max_unpool: the inverse route of max pooling. Each value goes to the place its switch names, a flat index
 * (y W + x) C + c into its image; the rest is 0. */
#include "generic.h"
#include "emit.h"
#include "images.h"
#include "unpool.h"

#ifndef REAL
typedef struct {
    const cx_value *switches;
    const void *from;
    void *to;
    int64_t *winner; /* per output element of an image, one part per worker: who wrote it last */
    int64_t from_image, to_image;
    bool overwrite, add;
} job;

static inline int64_t switch_at(const cx_value *switches, int64_t i)
{
    return switches->spec.dtype == CX_I32 ? ((const int32_t *)switches->data)[i] : ((const int64_t *)switches->data)[i];
}

#define REAL float
#include "unpool.c"
#undef REAL
#define REAL double
#include "unpool.c"
#undef REAL

static cx_code max_unpool_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    const cx_unpool_attr *a = attr;
    char text[2][CX_SHAPE_TEXT];
    bool same = in[0].ndim == in[1].ndim;
    if (cx_need_images("max_unpool", &in[0], err)) return err->code;
    if (in[1].dtype != CX_I32 && in[1].dtype != CX_I64)
        return cx_fail(err, CX_ETYPE, "max_unpool: `switches` must be int32 or int64. Received: dtype=%s",
                       cx_dtype_name(in[1].dtype));
    plan->out[0] = in[0];
    for (int d = 0; same && d < 4; d++) {
        same = cx_fits(in[0].dim[d], in[1].dim[d]);
        if (in[0].dim[d] == CX_ANY) plan->out[0].dim[d] = in[1].dim[d];
    }
    if (!same)
        return cx_fail(err, CX_EVALUE,
                       "max_unpool: `switches` must have the shape of the input, %s. Received: shape %s",
                       cx_shape_text(&in[0], text[0]), cx_shape_text(&in[1], text[1]));
    cx_spec *y = &plan->out[0];
    y->dim[1] = a->size[0], y->dim[2] = a->size[1];
    if (a->overlap == CX_UNPOOL_OVERWRITE && cx_known(y)) {
        cx_spec image = {CX_I64, 3, {y->dim[1], y->dim[2], y->dim[3]}};
        size_t one = 0;
        if (cx_bytes(&image, &one, err)) return err->code;
        return cx_multiply(one, (size_t)plan->threads, &plan->scratch_back, err);
    }
    return CX_OK;
}
static cx_code max_unpool_check(const void *attr, const cx_value *in, cx_err *err)
{
    const cx_unpool_attr *a = attr;
    const int64_t *x = in[0].spec.dim, most = a->size[0] * a->size[1] * x[3];
    for (int64_t i = 0, n = cx_count(&in[1].spec); i < n; i++) {
        int64_t at = switch_at(&in[1], i);
        if (at < 0 || at >= most)
            return cx_fail(err, CX_EVALUE,
                           "max_unpool: `switches` must be in [0, %lld), the elements of an image. Received: %lld at "
                           "(%lld, %lld, %lld, %lld)",
                           (long long)most, (long long)at, (long long)(i / (x[1] * x[2] * x[3])),
                           (long long)(i / (x[2] * x[3]) % x[1]), (long long)(i / x[3] % x[2]), (long long)(i % x[3]));
    }
    return CX_OK;
}

/* dx = dy at the switches: a gather within each image. */
EMIT(max_unpool)
{
    const cx_spec x = *cx_emitted_spec(e, n->in[0]), y = *cx_emitted_spec(e, n->out[0]);
    const cx_spec from = {x.dtype, 2, {y.dim[0], y.dim[1] * y.dim[2] * y.dim[3]}};
    const cx_spec to = {x.dtype, 2, {x.dim[0], x.dim[1] * x.dim[2] * x.dim[3]}};
    const cx_gather_attr within = {1, 1};
    EMIT_UNUSED;
    if (((const cx_unpool_attr *)n->attr)->overlap == CX_UNPOOL_OVERWRITE || !cx_known(&x) || !cx_known(&y)) {
        cx_fail(e->err, CX_EVALUE, "max_unpool has a second derivative only with overlap=\"sum\" and known shapes");
        return -1;
    }
    int image = cx_emit_reshape(e, dy, &from), switches = cx_emit_reshape(e, n->in[1], &to);
    int g = cx_emit(e, &cx_op_gather, &within, sizeof within, 2, (const int[]){image, switches});
    return cx_emit_reshape(e, g, &x);
}

static const cx_field unpool_fields[] = {
    {"size", CX_PAIR, offsetof(cx_unpool_attr, size), true, 0, 0, INT32_MAX, NULL},
    {"overlap", CX_CHOICE, offsetof(cx_unpool_attr, overlap), false, CX_UNPOOL_SUM, 0, 1, "sum overwrite"},
    {0}};

const cx_op cx_op_max_unpool = {.name = "max_unpool",
                                .kind = CX_ROUTE,
                                .least_in = 2,
                                .most_in = 2,
                                .n_out = 1,
                                .n_public = 1,
                                .fields = unpool_fields,
                                .infer = max_unpool_infer,
                                .check = max_unpool_check,
                                .forward = CX_BOTH(forward),
                                .backward = CX_BOTH(backward),
                                .reads = {CX_IN(1)},
                                .emit_grad = max_unpool_emit};

#else
/* A part owns a range of the output and takes from the images that it touches what falls into it, in scan order. */
TASK(T(scatter))
{
    const job *j = context;
    REAL *y = j->to;
    (void)worker;
    memset(y + begin, 0, (size_t)(end - begin) * sizeof *y);
    for (int64_t image = begin / j->to_image; image * j->to_image < end; image++) {
        const REAL *x = (const REAL *)j->from + image * j->from_image;
        for (int64_t i = 0; i < j->from_image; i++) {
            int64_t at = image * j->to_image + switch_at(j->switches, image * j->from_image + i);
            if (at >= begin && at < end) y[at] = j->overwrite ? x[i] : y[at] + x[i];
        }
    }
}
FORWARD(T(forward))
{
    FORWARD_UNUSED;
    const int64_t n = cx_count(&out->spec), images = out->spec.dim[0];
    job j = {.switches = &in[1], .from = in->data, .to = out->data};
    if (!n) return;
    j.from_image = cx_count(&in->spec) / images, j.to_image = n / images;
    j.overwrite = ((const cx_unpool_attr *)attr)->overlap == CX_UNPOOL_OVERWRITE;
    cx_parallel(n, CX_GRAIN, T(scatter), &j);
}

/* dx = dy at the switch; where values were overwritten, only for the last one. */
TASK(T(collect))
{
    const job *j = context;
    int64_t *winner = j->overwrite ? j->winner + worker * j->to_image : NULL;
    for (int64_t image = begin; image < end; image++) {
        const REAL *dy = (const REAL *)j->from + image * j->to_image;
        REAL *dx = (REAL *)j->to + image * j->from_image;
        const int64_t first = image * j->from_image;
        for (int64_t i = 0; winner && i < j->from_image; i++) winner[switch_at(j->switches, first + i)] = i;
        for (int64_t i = 0; i < j->from_image; i++) {
            int64_t at = switch_at(j->switches, first + i);
            REAL g = !winner || winner[at] == i ? dy[at] : 0;
            dx[i] = j->add ? dx[i] + g : g;
        }
    }
}
BACKWARD(T(backward))
{
    BACKWARD_UNUSED;
    const int64_t n = cx_count(&din->spec), images = din->spec.dim[0];
    job j = {.switches = &in[1], .from = dout->data, .to = din->data, .winner = scratch, .add = *mode == CX_ADD};
    if (!n || *mode == CX_SKIP) return;
    j.from_image = n / images, j.to_image = cx_count(&dout->spec) / images;
    j.overwrite = ((const cx_unpool_attr *)attr)->overlap == CX_UNPOOL_OVERWRITE;
    cx_parallel(images, 1 + CX_GRAIN / j.from_image, T(collect), &j);
}
#endif
