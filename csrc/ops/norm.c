/* Batch normalisation over the last axis: y = gamma (x - mean) / sqrt(variance + epsilon) + beta, with given moments or
 * with those of the batch. Sums over rows are taken in double over fixed blocks of rows and joined in their order, so
 * they do not depend on the number of threads. */
#include "generic.h"
#include "emit.h"

#ifndef REAL
typedef struct {
    double epsilon;
} norm_attr;

enum { MOST_BLOCKS = 64, LEAST_ROWS = 64 };
/* n rows of c channels, in `blocks` blocks of `block` rows. */
typedef struct {
    int64_t n, c, block, blocks;
} table;
typedef struct {
    table t;
    const void *x, *dy;
    void *to;
    const void *shift, *scale, *offset, *rate; /* per channel; offset may be NULL */
    double *sum;                               /* (blocks, c) */
    bool add;
} job;

static table table_of(const cx_spec *s)
{
    table t = {.n = 1, .c = s->dim[s->ndim - 1]};
    for (int d = 0; d + 1 < s->ndim; d++) t.n *= s->dim[d];
    t.block = (t.n + MOST_BLOCKS - 1) / MOST_BLOCKS;
    if (t.block < LEAST_ROWS) t.block = LEAST_ROWS;
    t.blocks = t.n ? (t.n + t.block - 1) / t.block : 1;
    return t;
}
/* Room for a table of partial sums and `vectors` vectors of channels, in doubles. */
static cx_code need_scratch(const cx_spec *x, int64_t vectors, size_t *scratch, cx_err *err)
{
    if (!cx_known(x)) return CX_OK;
    table t = table_of(x);
    size_t bytes = 0;
    if (cx_multiply((size_t)t.c, sizeof(double), &bytes, err)) return err->code;
    return cx_multiply(bytes, (size_t)(t.blocks + vectors), scratch, err);
}
static void run_rows(job *j, cx_task *task)
{
    cx_parallel(j->t.n, 1 + CX_GRAIN / (j->t.c + 1), task, j);
}
/* sum (c): the blocks' sums, joined into the first block's place. */
static double *run_sums(job *j, cx_task *task)
{
    const int64_t c = j->t.c;
    cx_parallel(j->t.blocks, 1 + CX_GRAIN / (j->t.block * c + 1), task, j);
    for (int64_t b = 1; b < j->t.blocks; b++)
        for (int64_t k = 0; k < c; k++) j->sum[k] += j->sum[b * c + k];
    return j->sum;
}

#define REAL float
#include "norm.c"
#undef REAL
#define REAL double
#include "norm.c"
#undef REAL

/* The input's rank, and vectors (c) at places 1..; an unknown c is met. */
static cx_code norm_infer(const char *op, const char *const *names, int n, const cx_spec *in, cx_spec *vector,
                          cx_err *err)
{
    char text[CX_SHAPE_TEXT];
    if (in->ndim < 2)
        return cx_fail(err, CX_EVALUE, "%s: the input must have rank 2 or more, channels last. Received: shape %s", op,
                       cx_shape_text(in, text));
    *vector = (cx_spec){in->dtype, 1, {in->dim[in->ndim - 1]}};
    for (int i = 1; i <= n; i++) {
        if (in[i].ndim == CX_ABSENT) continue;
        if (in[i].ndim != 1 || !cx_fits(in[i].dim[0], vector->dim[0]))
            return cx_fail(err, CX_EVALUE, "%s: `%s` must have one value per channel, %lld. Received: shape %s", op,
                           names[i - 1], (long long)vector->dim[0], cx_shape_text(&in[i], text));
        if (vector->dim[0] == CX_ANY) vector->dim[0] = in[i].dim[0];
    }
    return CX_OK;
}
static cx_code batch_norm_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    static const char *const names[] = {"mean", "variance", "gamma", "beta"};
    cx_spec vector, *y = &plan->out[0];
    (void)attr;
    if (norm_infer("batch_norm", names, 4, in, &vector, err)) return err->code;
    *y = in[0], y->dim[y->ndim - 1] = vector.dim[0];
    if (need_scratch(y, 1, &plan->scratch, err)) return err->code;
    return need_scratch(y, 2, &plan->scratch_back, err);
}
static cx_code batch_norm_training_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    static const char *const names[] = {"gamma", "beta"};
    cx_spec vector, *y = &plan->out[0];
    (void)attr;
    if (norm_infer("batch_norm_training", names, 2, in, &vector, err)) return err->code;
    *y = in[0], y->dim[y->ndim - 1] = vector.dim[0];
    plan->out[1] = plan->out[2] = plan->out[3] = vector;
    if (need_scratch(y, 1, &plan->scratch, err)) return err->code;
    return need_scratch(y, 4, &plan->scratch_back, err);
}

EMIT(batch_norm) /* sums over the rows follow from the shapes of the vectors */
{
    const void *attr = n->attr;
    const cx_dtype dtype = cx_emitted_spec(e, n->in[0])->dtype;
    if (k == 4) return dy;
    int epsilon = cx_emit_number(e, dtype, ((const norm_attr *)attr)->epsilon);
    int spread = cx_emit2(e, &cx_op_add, n->in[2], epsilon), scale = cx_emit1(e, &cx_op_rsqrt, spread);
    if (k != 3 && n->in[3] >= 0) scale = cx_emit2(e, &cx_op_multiply, scale, n->in[3]);
    int g = cx_emit2(e, &cx_op_multiply, dy, scale);
    if (k == 0) return g;
    if (k == 1) return cx_emit1(e, &cx_op_negative, g);
    g = cx_emit2(e, &cx_op_multiply, g, cx_emit2(e, &cx_op_subtract, n->in[0], n->in[1]));
    return k == 3 ? g : cx_emit_scale(e, cx_emit2(e, &cx_op_divide, g, spread), -0.5);
}

/* Sum over all but the last dimension, divided by n. */
static int row_mean(const cx_emitter *e, int a, double n)
{
    cx_reduce_attr rows = {{.n = 0}, 0};
    if (a < 0) return -1;
    for (int d = 0; d + 1 < cx_emitted_spec(e, a)->ndim; d++) rows.axis.v[rows.axis.n++] = d;
    return cx_emit_scale(e, CX_EMIT_WITH(e, &cx_op_reduce_sum, rows, a), 1 / n);
}
static int plus(const cx_emitter *e, int total, int more) /* total CX_ABSENT: nothing yet */
{
    return total == CX_ABSENT ? more : cx_emit2(e, &cx_op_add, total, more);
}
/* In terms of the outputs mean and variance, which depend on x themselves: with z = (x - mean) rstd and n rows,
 * dx = gamma rstd (dy - mean(dy) - z mean(dy z)) + dmean / n + 2 dvariance (x - mean) / n,
 * dgamma = n mean(dy z), dbeta = n mean(dy). */
static cx_code batch_emit(cx_program *p, const cx_node *node, const int *dout, int *din, cx_err *err)
{
    const cx_emitter emitter = {p, err}, *e = &emitter;
    const void *attr = node->attr;
    const cx_spec x = *cx_emitted_spec(e, node->in[0]);
    const int dy = dout[0];
    if (!cx_known(&x))
        return cx_fail(err, CX_EVALUE, "batch_norm_training has no second derivative while shapes are unknown");
    const int64_t rows = cx_count(&x) / (x.dim[x.ndim - 1] ? x.dim[x.ndim - 1] : 1);
    const double n = rows ? (double)rows : 1;
    int epsilon = cx_emit_number(e, x.dtype, ((const norm_attr *)attr)->epsilon);
    int rstd = cx_emit1(e, &cx_op_rsqrt, cx_emit2(e, &cx_op_add, node->out[2], epsilon));
    int centred = cx_emit2(e, &cx_op_subtract, node->in[0], node->out[1]),
        z = cx_emit2(e, &cx_op_multiply, centred, rstd);
    int scale = node->in[1] < 0 ? rstd : cx_emit2(e, &cx_op_multiply, rstd, node->in[1]);
    int mean = CX_ABSENT, moment = CX_ABSENT, dx = CX_ABSENT;
    if (dy >= 0) {
        mean = row_mean(e, dy, n), moment = row_mean(e, cx_emit2(e, &cx_op_multiply, dy, z), n);
        int rest = cx_emit2(e, &cx_op_subtract, cx_emit2(e, &cx_op_subtract, dy, mean),
                            cx_emit2(e, &cx_op_multiply, z, moment));
        dx = cx_emit2(e, &cx_op_multiply, rest, scale);
    }
    if (din[0] >= 0 && dout[2] >= 0)
        dx = plus(e, dx, cx_emit2(e, &cx_op_multiply, cx_emit_scale(e, dout[2], 2 / n), centred));
    if (din[0] >= 0 && dout[1] >= 0) {
        cx_shape_attr all = {{.n = x.ndim}};
        for (int d = 0; d < x.ndim; d++) all.shape.v[d] = x.dim[d];
        dx = plus(e, dx, CX_EMIT_WITH(e, &cx_op_broadcast_to, all, cx_emit_scale(e, dout[1], 1 / n)));
    }
    if (din[0] >= 0) din[0] = dx;
    if (din[1] >= 0) din[1] = dy < 0 ? CX_ABSENT : cx_emit_scale(e, moment, n);
    if (din[2] >= 0) din[2] = dy < 0 ? CX_ABSENT : cx_emit_scale(e, mean, n);
    return err->code;
}

static const cx_field norm_fields[] = {
    {"epsilon", CX_REAL, offsetof(norm_attr, epsilon), false, 1e-3, 0, INFINITY, NULL}, {0}};

static void batch_norm_affine(const void *attr, const cx_value *in, const void *bias, void *scale, void *shift)
{
    (in->spec.dtype == CX_F64 ? given_affine_double : given_affine_float)(attr, in, bias, scale, shift);
}

const cx_op cx_op_batch_norm = {.name = "batch_norm",
                                .kind = CX_LINEAR,
                                .least_in = 3,
                                .most_in = 5,
                                .n_out = 1,
                                .n_public = 1,
                                .alike = CX_IN(0) | CX_IN(1) | CX_IN(2) | CX_IN(3) | CX_IN(4),
                                .fields = norm_fields,
                                .infer = batch_norm_infer,
                                .forward = CX_BOTH(given_forward),
                                .backward = CX_BOTH(given_backward),
                                .affine = batch_norm_affine,
                                .reads = {CX_IN(2) | CX_IN(3), CX_IN(2) | CX_IN(3),
                                          CX_IN(0) | CX_IN(1) | CX_IN(2) | CX_IN(3), CX_IN(0) | CX_IN(1) | CX_IN(2)},
                                .emit_grad = batch_norm_emit};
const cx_op cx_op_batch_norm_training = {
    .name = "batch_norm_training",
    .kind = CX_OTHER,
    .least_in = 1,
    .most_in = 3,
    .n_out = 4,
    .n_public = 3,
    .alike = CX_IN(0) | CX_IN(1) | CX_IN(2),
    .fields = norm_fields,
    .infer = batch_norm_training_infer,
    .forward = CX_BOTH(batch_forward),
    .backward = CX_BOTH(batch_backward),
    .reads = {CX_IN(0) | CX_IN(1) | CX_OUT(1) | CX_OUT(3), CX_IN(0) | CX_OUT(1) | CX_OUT(3)},
    .emit_grad = batch_emit};

#else
/* y = (x - shift) scale + offset */
TASK(T(affine_rows))
{
    const job *j = context;
    const REAL *shift = j->shift, *offset = j->offset, *scale = j->scale;
    const int64_t c = j->t.c;
    (void)worker;
    for (int64_t r = begin; r < end; r++) {
        const REAL *x = (const REAL *)j->x + r * c;
        REAL *y = (REAL *)j->to + r * c;
        if (offset)
            for (int64_t k = 0; k < c; k++) y[k] = (x[k] - shift[k]) * scale[k] + offset[k];
        else
            for (int64_t k = 0; k < c; k++) y[k] = (x[k] - shift[k]) * scale[k];
    }
}
/* Per block: sum x */
TASK(T(sum_blocks))
{
    const job *j = context;
    const int64_t c = j->t.c;
    (void)worker;
    for (int64_t b = begin; b < end; b++) {
        double *sum = j->sum + b * c;
        memset(sum, 0, (size_t)c * sizeof *sum);
        for (int64_t r = b * j->t.block; r < j->t.n && r < (b + 1) * j->t.block; r++) {
            const REAL *x = (const REAL *)j->x + r * c;
            for (int64_t k = 0; k < c; k++) sum[k] += (double)x[k];
        }
    }
}
/* Per block: sum (x - shift)^2, or sum dy (x - shift) */
TASK(T(moment_blocks))
{
    const job *j = context;
    const REAL *shift = j->shift;
    const int64_t c = j->t.c;
    (void)worker;
    for (int64_t b = begin; b < end; b++) {
        double *sum = j->sum + b * c;
        memset(sum, 0, (size_t)c * sizeof *sum);
        for (int64_t r = b * j->t.block; r < j->t.n && r < (b + 1) * j->t.block; r++) {
            const REAL *x = (const REAL *)j->x + r * c, *dy = j->dy ? (const REAL *)j->dy + r * c : NULL;
            if (dy)
                for (int64_t k = 0; k < c; k++) sum[k] += (double)dy[k] * ((double)x[k] - (double)shift[k]);
            else
                for (int64_t k = 0; k < c; k++) {
                    double d = (double)x[k] - (double)shift[k];
                    sum[k] += d * d;
                }
        }
    }
}
static inline double T(gamma_at)(const cx_value *gamma, int64_t k)
{
    return gamma->data ? (double)((const REAL *)gamma->data)[k] : 1;
}
static inline void T(put)(const cx_value *d, cx_mode mode, int64_t k, double g)
{
    REAL *to = d->data;
    if (mode == CX_SKIP) return;
    to[k] = mode == CX_ADD ? to[k] + (REAL)g : (REAL)g;
}

/* The rows with which y = x scale + shift, bias being added to x first. Backward has no mean and reads scale alone. */
static void T(given_affine)(const void *attr, const cx_value *in, const void *bias, void *scale, void *shift)
{
    const double epsilon = ((const norm_attr *)attr)->epsilon;
    const REAL *mean = in[1].data, *variance = in[2].data, *beta = in[4].data, *b = bias;
    REAL *by = scale, *plus = shift;
    for (int64_t k = 0; k < in[2].spec.dim[0]; k++) {
        const double s = T(gamma_at)(&in[3], k) / sqrt((double)variance[k] + epsilon);
        const double offset = (b ? (double)b[k] : 0) - (mean ? (double)mean[k] : 0);
        by[k] = (REAL)s, plus[k] = (REAL)(s * offset + (beta ? (double)beta[k] : 0));
    }
}

FORWARD(T(given_forward))
{
    FORWARD_UNUSED;
    const double epsilon = ((const norm_attr *)attr)->epsilon;
    const REAL *variance = in[2].data;
    REAL *scale = scratch;
    job j = {.t = table_of(&out->spec), .x = in->data, .to = out->data, .shift = in[1].data, .scale = scale};
    j.offset = in[4].data;
    for (int64_t k = 0; k < j.t.c; k++) scale[k] = (REAL)(T(gamma_at)(&in[3], k) / sqrt((double)variance[k] + epsilon));
    run_rows(&j, T(affine_rows));
}

/* dx = dy scale */
TASK(T(scaled_rows))
{
    const job *j = context;
    const REAL *scale = j->scale;
    const int64_t c = j->t.c;
    (void)worker;
    for (int64_t r = begin; r < end; r++) {
        const REAL *dy = (const REAL *)j->dy + r * c;
        REAL *dx = (REAL *)j->to + r * c;
        if (j->add)
            for (int64_t k = 0; k < c; k++) dx[k] += dy[k] * scale[k];
        else
            for (int64_t k = 0; k < c; k++) dx[k] = dy[k] * scale[k];
    }
}
/* With s = gamma rstd: dx = s dy, dmean = -s sum(dy), dvariance = -s rstd^2 sum(dy (x - mean)) / 2,
 * dgamma = rstd sum(dy (x - mean)), dbeta = sum(dy). */
BACKWARD(T(given_backward))
{
    BACKWARD_UNUSED;
    const double epsilon = ((const norm_attr *)attr)->epsilon;
    const REAL *variance = in[2].data;
    const bool totals = mode[1] || mode[4], moments = mode[2] || mode[3], scaled = mode[0] || mode[1] || mode[2];
    job j = {.t = table_of(&dout->spec), .dy = dout->data, .shift = in[1].data, .sum = scratch};
    const int64_t c = j.t.c;
    double *total = j.sum + j.t.blocks * c, *moment = j.sum;
    REAL *scale = (REAL *)(total + c);
    for (int64_t k = 0; scaled && k < c; k++)
        scale[k] = (REAL)(T(gamma_at)(&in[3], k) / sqrt((double)variance[k] + epsilon));
    if (totals) {
        j.x = dout->data;
        memcpy(total, run_sums(&j, T(sum_blocks)), (size_t)c * sizeof *total);
    }
    if (moments) {
        j.x = in->data;
        run_sums(&j, T(moment_blocks));
    }
    if (mode[0]) {
        j.to = din->data, j.scale = scale, j.add = mode[0] == CX_ADD;
        run_rows(&j, T(scaled_rows));
    }
    for (int64_t k = 0; mode[1] && k < c; k++) T(put)(&din[1], mode[1], k, -(double)scale[k] * total[k]);
    for (int64_t k = 0; mode[2] && k < c; k++)
        T(put)(&din[2], mode[2], k, -0.5 * (double)scale[k] / ((double)variance[k] + epsilon) * moment[k]);
    for (int64_t k = 0; mode[3] && k < c; k++)
        T(put)(&din[3], mode[3], k, moment[k] / sqrt((double)variance[k] + epsilon));
    for (int64_t k = 0; mode[4] && k < c; k++) T(put)(&din[4], mode[4], k, total[k]);
}

FORWARD(T(batch_forward))
{
    FORWARD_UNUSED;
    const double epsilon = ((const norm_attr *)attr)->epsilon;
    REAL *mean = out[1].data, *variance = out[2].data, *rstd = out[3].data;
    job j = {.t = table_of(&in->spec), .x = in->data, .to = out->data, .shift = mean, .sum = scratch};
    const int64_t c = j.t.c;
    REAL *scale = (REAL *)(j.sum + j.t.blocks * c);
    run_sums(&j, T(sum_blocks));
    for (int64_t k = 0; k < c; k++) mean[k] = (REAL)(j.sum[k] / (double)j.t.n);
    run_sums(&j, T(moment_blocks));
    for (int64_t k = 0; k < c; k++) {
        double v = j.sum[k] / (double)j.t.n, r = 1 / sqrt(v + epsilon);
        variance[k] = (REAL)v, rstd[k] = (REAL)r, scale[k] = (REAL)(T(gamma_at)(&in[1], k) * r);
    }
    j.scale = scale, j.offset = in[2].data;
    run_rows(&j, T(affine_rows));
}

/* dx = dy scale + offset + (x - shift) rate */
TASK(T(batch_rows))
{
    const job *j = context;
    const REAL *shift = j->shift, *scale = j->scale, *offset = j->offset, *rate = j->rate;
    const int64_t c = j->t.c;
    (void)worker;
    for (int64_t r = begin; r < end; r++) {
        const REAL *x = (const REAL *)j->x + r * c, *dy = (const REAL *)j->dy + r * c;
        REAL *dx = (REAL *)j->to + r * c;
        if (j->add)
            for (int64_t k = 0; k < c; k++) dx[k] += dy[k] * scale[k] + offset[k] + (x[k] - shift[k]) * rate[k];
        else
            for (int64_t k = 0; k < c; k++) dx[k] = dy[k] * scale[k] + offset[k] + (x[k] - shift[k]) * rate[k];
    }
}
/* When only the moments have a gradient. */
TASK(T(moment_rows))
{
    const job *j = context;
    const REAL *shift = j->shift, *offset = j->offset, *rate = j->rate;
    const int64_t c = j->t.c;
    (void)worker;
    for (int64_t r = begin; r < end; r++) {
        const REAL *x = (const REAL *)j->x + r * c;
        REAL *dx = (REAL *)j->to + r * c;
        for (int64_t k = 0; k < c; k++) {
            REAL g = offset[k] + (x[k] - shift[k]) * rate[k];
            dx[k] = j->add ? dx[k] + g : g;
        }
    }
}
/* With s = gamma rstd, d = x - mean and n rows, the gradient passes through the moments too:
 * dx = s dy + (dmean - s sum(dy)) / n + d (2 dvariance - s rstd^2 sum(dy d)) / n. */
BACKWARD(T(batch_backward))
{
    BACKWARD_UNUSED;
    const REAL *rstd = out[3].data, *dmean = dout[1].data, *dvariance = dout[2].data;
    const bool moments = mode[0] || mode[1];
    job j = {.t = table_of(&out->spec), .dy = dout->data, .shift = out[1].data, .sum = scratch};
    const int64_t c = j.t.c;
    double *total = j.sum + j.t.blocks * c, *moment = j.sum;
    REAL *scale = (REAL *)(total + c), *offset = scale + c, *rate = offset + c;
    memset(scratch, 0, (size_t)((j.t.blocks + 1) * c) * sizeof *total);
    if (j.dy && (mode[0] || mode[2])) {
        j.x = j.dy;
        memcpy(total, run_sums(&j, T(sum_blocks)), (size_t)c * sizeof *total);
    }
    if (j.dy && moments) {
        j.x = in->data;
        run_sums(&j, T(moment_blocks));
    }
    if (mode[0]) {
        for (int64_t k = 0; k < c; k++) {
            double r = (double)rstd[k], s = T(gamma_at)(&in[1], k) * r;
            double dm = dmean ? (double)dmean[k] : 0, dv = dvariance ? (double)dvariance[k] : 0;
            scale[k] = (REAL)s, offset[k] = (REAL)((dm - s * total[k]) / (double)j.t.n);
            rate[k] = (REAL)((2 * dv - s * r * r * moment[k]) / (double)j.t.n);
        }
        j.x = in->data, j.to = din->data, j.scale = scale, j.offset = offset, j.rate = rate;
        j.add = mode[0] == CX_ADD;
        run_rows(&j, j.dy ? T(batch_rows) : T(moment_rows));
    }
    for (int64_t k = 0; mode[1] && k < c; k++) T(put)(&din[1], mode[1], k, (double)rstd[k] * moment[k]);
    for (int64_t k = 0; mode[2] && k < c; k++) T(put)(&din[2], mode[2], k, total[k]);
}
#endif
