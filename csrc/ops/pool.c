/* Pooling of NHWC images. Gradients are gathered: each input pixel looks up the windows that cover it, in scan order,
 * so rows of the input are independent and nothing is cleared first. Rows of floats have kernels; the loops here serve
 * all other cases. */
#include "generic.h"
#include "../kernels/kernels.h"
#include "images.h"
#include "separable.h"
#include "unpool.h"
#include "window.h"

#ifndef REAL
typedef struct {
    int64_t size[2], stride[2], padding; /* stride 0: as size */
    cx_list pads;                        /* top, bottom, left, right */
    int64_t batch_in_index;
} pool_attr;

enum { BLOCK = 64 }; /* channels handled at once: best and place of each stay in L1 */
typedef struct {
    cx_pool g;
    bool batch_in_index;
    const cx_kernels *k;
    cx_pool_fn *row;  /* a kernel for rows of `to` */
    const void *from; /* x, or dy */
    void *to;         /* y, or dx */
    const int32_t *narrow;
    const int64_t *wide; /* switches: one of the two, or none */
    int32_t *narrow_out;
    int64_t *wide_out;
    const cx_finish *finish; /* of dx */
    bool overwrite;
} job;

static int64_t stride_of(const pool_attr *a, int d)
{
    return a->stride[d] ? a->stride[d] : a->size[d];
}
static int64_t pad_of(const pool_attr *a, int place)
{
    return a->pads.n == CX_ABSENT ? 0 : a->pads.v[place];
}
static cx_pool grid_of(const pool_attr *a, const cx_spec *x, const cx_spec *y)
{
    cx_pool g = {.images = x->dim[0], .channels = x->dim[3]};
    for (int d = 0; d < 2; d++) {
        g.in[d] = x->dim[1 + d], g.out[d] = y->dim[1 + d], g.size[d] = a->size[d], g.stride[d] = stride_of(a, d);
        g.before[d] = cx_window_before(g.in[d], g.out[d], g.size[d], g.stride[d], a->padding, pad_of(a, 2 * d));
    }
    return g;
}
static inline int64_t block_of(int64_t c, int64_t channels)
{
    return channels - c < BLOCK ? channels - c : BLOCK;
}
/* Rows of one side of the pooling, each with `pixels` pixels that meet `cells` pixels of the other side. */
static void run_rows(job *j, int64_t rows, int64_t pixels, int64_t cells, cx_task *task)
{
    int64_t work = pixels * cells * j->g.channels;
    if (work) cx_parallel(j->g.images * rows, 1 + CX_GRAIN / work, task, j);
}
static void run_windows(job *j, cx_task *task)
{
    run_rows(j, j->g.out[0], j->g.out[1], j->g.size[0] * j->g.size[1], task);
}
static void run_pixels(job *j, cx_task *task)
{
    int64_t covers = 1;
    for (int d = 0; d < 2; d++) covers *= 1 + (j->g.size[d] - 1) / j->g.stride[d];
    run_rows(j, j->g.in[0], j->g.in[1], covers, task);
}

static void kernel_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const job *j = context;
    const cx_pooling p = {&j->g, j->from, j->to, j->narrow, j->narrow_out, j->finish};
    (void)worker;
    for (int64_t i = begin; i < end; i++) j->row(&p, i);
}

#define REAL float
#include "pool.c"
#undef REAL
#define REAL double
#include "pool.c"
#undef REAL

static cx_code pool_infer(const char *op, const pool_attr *a, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    static const char *const side[] = {"height", "width"};
    if (cx_need_images(op, in, err)) return err->code;
    if (a->padding == CX_EXPLICIT && a->pads.n != 4)
        return cx_fail(
            err, CX_EVALUE,
            "%s: `pads` must be 4 integers (top, bottom, left, right) with padding=\"explicit\". Received: %lld", op,
            (long long)(a->pads.n < 0 ? 0 : a->pads.n));
    plan->out[0] = in[0];
    for (int d = 0; d < 2; d++) {
        int64_t before = pad_of(a, 2 * d), after = pad_of(a, 2 * d + 1);
        if (a->padding == CX_EXPLICIT && (before >= a->size[d] || after >= a->size[d]))
            return cx_fail(err, CX_EVALUE,
                           "%s: `pads` must be smaller than `pool_size`. Received: %lld and %lld, pool_size %lld", op,
                           (long long)before, (long long)after, (long long)a->size[d]);
        plan->out[0].dim[1 + d] = cx_window_out(in->dim[1 + d], a->size[d], stride_of(a, d), a->padding, before, after);
        if (in->dim[1 + d] == 0 && plan->out[0].dim[1 + d] > 0)
            return cx_fail(err, CX_EVALUE, "%s: a window holds no pixel of an input of %s 0", op, side[d]);
    }
    return CX_OK;
}
/* A switch counts within one image; within a window it is 32 bits for both ops. */
static cx_code switches_fit(const char *op, const cx_spec *in, int64_t rows, cx_err *err)
{
    char text[CX_SHAPE_TEXT];
    cx_spec part = {CX_I8, 3, {rows, in->dim[2], in->dim[3]}};
    size_t count = 0;
    if (cx_known(&part) && (cx_bytes(&part, &count, err) || count > INT32_MAX))
        return cx_fail(err, CX_EVALUE, "%s: an image must have fewer than 2^31 elements. Received: shape %s", op,
                       cx_shape_text(in, text));
    return CX_OK;
}
static cx_code max_pool2d_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    if (pool_infer("max_pool2d", attr, in, plan, err)) return err->code;
    plan->out[1] = plan->out[0], plan->out[1].dtype = CX_I32;
    return switches_fit("max_pool2d", in, in->dim[1], err);
}
static cx_code max_pool_with_argmax_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    const pool_attr *a = attr;
    if (pool_infer("max_pool_with_argmax", a, in, plan, err)) return err->code;
    plan->out[1] = plan->out[0], plan->out[1].dtype = CX_I64;
    return switches_fit("max_pool_with_argmax", in, in->dim[1] < a->size[0] ? in->dim[1] : a->size[0], err);
}
static cx_code average_pool2d_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    return pool_infer("average_pool2d", attr, in, plan, err);
}

EMIT(max)
{
    const pool_attr *a = (const pool_attr *)n->attr;
    const int64_t *x = cx_emitted_spec(e, n->in[0])->dim;
    const cx_unpool_attr to = {{x[1], x[2]}, CX_UNPOOL_SUM};
    EMIT_UNUSED;
    if (a->batch_in_index) {
        cx_fail(e->err, CX_EVALUE, "max_pool_with_argmax has no second derivative with include_batch_in_index=True");
        return -1;
    }
    return cx_emit(e, &cx_op_max_unpool, &to, sizeof to, 2, (const int[]){dy, n->out[1]});
}
static void weigh(const void *context, int d, int64_t in, int64_t out, double *weight)
{
    const pool_attr *a = context;
    cx_pool g = {.in = {in}, .size = {a->size[d]}, .stride = {stride_of(a, d)}};
    g.before[0] = cx_window_before(in, out, a->size[d], stride_of(a, d), a->padding, pad_of(a, 2 * d));
    for (int64_t i = 0; i < out; i++) {
        int64_t begin, end;
        cx_pool_cells(&g, 0, i, &begin, &end);
        for (int64_t h = begin; h < end; h++) weight[h * out + i] += 1 / (double)(end - begin);
    }
}
EMIT(average)
{
    EMIT_UNUSED;
    return cx_emit_separable(e, dy, cx_emitted_spec(e, n->in[0]), weigh, n->attr);
}

static void max_finished_back(const void *attr, const cx_value *in, const cx_value *out, const cx_value *dout, void *dx,
                              void *scratch, const cx_finish *f)
{
    (void)scratch;
    (in->spec.dtype == CX_F64 ? max_run_double : max_run_float)(attr, out, dout, &in->spec, dx, f, false);
}
static void average_finished_back(const void *attr, const cx_value *in, const cx_value *out, const cx_value *dout,
                                  void *dx, void *scratch, const cx_finish *f)
{
    (void)out, (void)scratch;
    (in->spec.dtype == CX_F64 ? average_run_double : average_run_float)(attr, dout, &in->spec, dx, f);
}

#define POOL_FIELDS                                                                                         \
    {"pool_size", CX_PAIR, offsetof(pool_attr, size), false, 2, 1, INT32_MAX, NULL},                        \
        {"strides", CX_PAIR, offsetof(pool_attr, stride), false, 0, 0, INT32_MAX, NULL},                    \
        {"padding", CX_CHOICE, offsetof(pool_attr, padding), false, CX_VALID, 0, 2, "valid same explicit"}, \
    {                                                                                                       \
        "pads", CX_LIST, offsetof(pool_attr, pads), false, 0, 0, INT32_MAX, NULL                            \
    }
static const cx_field pool_fields[] = {POOL_FIELDS, {0}};
static const cx_field argmax_fields[] = {
    POOL_FIELDS, {"include_batch_in_index", CX_FLAG, offsetof(pool_attr, batch_in_index), false, 0, 0, 1, NULL}, {0}};

const cx_op cx_op_max_pool2d = {.name = "max_pool2d",
                                .kind = CX_ROUTE,
                                .least_in = 1,
                                .most_in = 1,
                                .n_out = 2,
                                .n_public = 1,
                                .fields = pool_fields,
                                .infer = max_pool2d_infer,
                                .forward = CX_BOTH(max_forward),
                                .backward = CX_BOTH(max_backward),
                                .finished_back = max_finished_back,
                                .reads = {CX_OUT(1)},
                                .emit_grad = max_emit};
const cx_op cx_op_max_pool_with_argmax = {.name = "max_pool_with_argmax",
                                          .kind = CX_ROUTE,
                                          .least_in = 1,
                                          .most_in = 1,
                                          .n_out = 2,
                                          .n_public = 2,
                                          .fields = argmax_fields,
                                          .infer = max_pool_with_argmax_infer,
                                          .forward = CX_BOTH(max_forward),
                                          .backward = CX_BOTH(max_backward),
                                          .reads = {CX_OUT(1)},
                                          .emit_grad = max_emit};
const cx_op cx_op_average_pool2d = {.name = "average_pool2d",
                                    .kind = CX_LINEAR,
                                    .least_in = 1,
                                    .most_in = 1,
                                    .n_out = 1,
                                    .n_public = 1,
                                    .fields = pool_fields,
                                    .infer = average_pool2d_infer,
                                    .forward = CX_BOTH(average_forward),
                                    .backward = CX_BOTH(average_backward),
                                    .finished_back = average_finished_back,
                                    .emit_grad = average_emit};

#else
/* The first of equal maxima, starting from the first cell inside the image, so that a switch is valid whatever the
 * window holds. NaN counts as the largest: a value that went wrong does not vanish here. */
static inline void T(max_window)(const job *j, int64_t image, const int64_t *row, const int64_t *col, int64_t to)
{
    const cx_pool *g = &j->g;
    const int64_t pitch = g->in[1] * g->channels, start = row[0] * pitch + col[0] * g->channels;
    const REAL *x = (const REAL *)j->from + image * g->in[0] * pitch;
    for (int64_t c = 0; c < g->channels; c += BLOCK) {
        const int64_t n = block_of(c, g->channels);
        const int64_t base = start + c + (j->batch_in_index ? image * g->in[0] * pitch : 0);
        const REAL *first = x + start + c;
        REAL best[BLOCK];
        int32_t place[BLOCK]; /* from the window's first cell */
        memcpy(best, first, (size_t)n * sizeof *best);
        memset(place, 0, (size_t)n * sizeof *place);
        for (int64_t r = row[0]; r < row[1]; r++)
            for (int64_t s = col[0] + (r == row[0]); s < col[1]; s++) {
                const int64_t from_first = (r - row[0]) * pitch + (s - col[0]) * g->channels;
                const REAL *v = first + from_first;
                const int32_t here = (int32_t)from_first;
                for (int64_t k = 0; k < n; k++) {
                    bool more = !(v[k] <= best[k]) & (best[k] == best[k]);
                    best[k] = more ? v[k] : best[k];
                    place[k] = more ? here : place[k];
                }
            }
        memcpy((REAL *)j->to + to + c, best, (size_t)n * sizeof *best);
        if (j->narrow_out)
            for (int64_t k = 0; k < n; k++) j->narrow_out[to + c + k] = (int32_t)(base + k) + place[k];
        else
            for (int64_t k = 0; k < n; k++) j->wide_out[to + c + k] = base + k + place[k];
    }
}
TASK(T(max_rows))
{
    const job *j = context;
    const cx_pool *g = &j->g;
    TASK_UNUSED;
    for (int64_t i = begin; i < end; i++) {
        int64_t row[2], col[2];
        cx_pool_cells(g, 0, i % g->out[0], &row[0], &row[1]);
        for (int64_t s = 0; s < g->out[1]; s++) {
            cx_pool_cells(g, 1, s, &col[0], &col[1]);
            T(max_window)(j, i / g->out[0], row, col, (i * g->out[1] + s) * g->channels);
        }
    }
}
FORWARD(T(max_forward))
{
    FORWARD_UNUSED;
    job j = {.g = grid_of(attr, &in->spec, &out->spec), .from = in->data, .to = out->data};
    j.k = cx_kernels_of(in->spec.dtype);
    if (out[1].spec.dtype == CX_I32)
        j.narrow_out = out[1].data;
    else
        j.wide_out = out[1].data;
    j.batch_in_index = ((const pool_attr *)attr)->batch_in_index, j.row = j.narrow_out ? j.k->max_row : NULL;
    run_windows(&j, j.row ? kernel_rows : T(max_rows));
}

static inline void T(put)(const job *j, const REAL *sum, int64_t n, int64_t at, int64_t channel)
{
    j->k->finish(&(cx_finishing){j->finish, at, channel}, sum, n, 1, n, (REAL *)j->to + at, n);
}
/* sum += dy where this pixel won the window; overwriting, the last window in scan order counts alone. */
#define HITS(integer, switches)                                          \
    do {                                                                 \
        const integer *won = (switches) + at, start = (integer)here;     \
        for (integer k = 0; k < (integer)n; k++) {                       \
            REAL d = dy[k], old = sum[k], hit = overwrite ? d : old + d; \
            sum[k] = won[k] == start + k ? hit : old;                    \
        }                                                                \
    } while (0)
/* One input pixel, whose windows are rows row[0].. and columns col[0].. of the output. */
static inline void T(max_pixel)(const job *j, int64_t image, const int64_t *row, const int64_t *col, int64_t pixel)
{
    const cx_pool *g = &j->g;
    const int64_t to = (image * g->in[0] * g->in[1] + pixel) * g->channels;
    const int64_t first = j->batch_in_index ? image * g->in[0] * g->in[1] * g->channels : 0;
    const bool overwrite = j->overwrite;
    for (int64_t c = 0; c < g->channels; c += BLOCK) {
        const int64_t n = block_of(c, g->channels), here = first + pixel * g->channels + c;
        REAL sum[BLOCK] = {0};
        for (int64_t r = row[0]; r < row[1]; r++)
            for (int64_t s = col[0]; s < col[1]; s++) {
                const int64_t at = ((image * g->out[0] + r) * g->out[1] + s) * g->channels + c;
                const REAL *dy = (const REAL *)j->from + at;
                if (j->narrow)
                    HITS(int32_t, j->narrow);
                else
                    HITS(int64_t, j->wide);
            }
        T(put)(j, sum, n, to + c, c);
    }
}
#undef HITS
TASK(T(max_pixels))
{
    const job *j = context;
    const cx_pool *g = &j->g;
    TASK_UNUSED;
    for (int64_t i = begin; i < end; i++) {
        int64_t image = i / g->in[0], h = i % g->in[0], row[2] = {0}, col[2] = {0};
        cx_pool_windows(g, 0, h, &row[0], &row[1]);
        for (int64_t w = 0; w < g->in[1]; w++) {
            cx_pool_windows(g, 1, w, &col[0], &col[1]);
            T(max_pixel)(j, image, row, col, h * g->in[1] + w);
        }
    }
}
static void T(max_run)(const void *attr, const cx_value *out, const cx_value *dout, const cx_spec *x, void *dx,
                       const cx_finish *f, bool overwrite)
{
    job j = {.g = grid_of(attr, x, &out->spec), .from = dout->data, .to = dx, .finish = f, .overwrite = overwrite};
    j.k = cx_kernels_of(x->dtype);
    if (out[1].spec.dtype == CX_I32)
        j.narrow = out[1].data;
    else
        j.wide = out[1].data;
    j.batch_in_index = ((const pool_attr *)attr)->batch_in_index;
    j.row = j.narrow && !overwrite ? j.k->max_back_row : NULL;
    run_pixels(&j, j.row ? kernel_rows : T(max_pixels));
}
BACKWARD(T(max_backward))
{
    BACKWARD_UNUSED;
    const cx_finish add = {.plus = din->data};
    if (*mode == CX_SKIP) return;
    T(max_run)
    (attr, out, dout, &din->spec, din->data, *mode == CX_ADD ? &add : NULL, rule->overlap == CX_OVERLAP_OVERWRITE);
}

/* The mean over the cells inside the image; rows of a window are summed apart, which keeps large windows accurate. */
static inline void T(average_window)(const job *j, int64_t image, const int64_t *row, const int64_t *col, int64_t to)
{
    const cx_pool *g = &j->g;
    const REAL count = (REAL)((row[1] - row[0]) * (col[1] - col[0]));
    for (int64_t c = 0; c < g->channels; c += BLOCK) {
        const int64_t n = block_of(c, g->channels);
        REAL total[BLOCK] = {0}, *y = (REAL *)j->to + to + c;
        for (int64_t r = row[0]; r < row[1]; r++) {
            REAL part[BLOCK] = {0};
            for (int64_t s = col[0]; s < col[1]; s++) {
                const int64_t pixel = (image * g->in[0] + r) * g->in[1] + s;
                const REAL *x = (const REAL *)j->from + pixel * g->channels + c;
                for (int64_t k = 0; k < n; k++) part[k] += x[k];
            }
            for (int64_t k = 0; k < n; k++) total[k] += part[k];
        }
        for (int64_t k = 0; k < n; k++) y[k] = total[k] / count;
    }
}
TASK(T(average_rows))
{
    const job *j = context;
    const cx_pool *g = &j->g;
    TASK_UNUSED;
    for (int64_t i = begin; i < end; i++) {
        int64_t row[2], col[2];
        cx_pool_cells(g, 0, i % g->out[0], &row[0], &row[1]);
        for (int64_t s = 0; s < g->out[1]; s++) {
            cx_pool_cells(g, 1, s, &col[0], &col[1]);
            T(average_window)(j, i / g->out[0], row, col, (i * g->out[1] + s) * g->channels);
        }
    }
}
FORWARD(T(average_forward))
{
    FORWARD_UNUSED;
    job j = {.g = grid_of(attr, &in->spec, &out->spec), .from = in->data, .to = out->data};
    j.row = cx_kernels_of(in->spec.dtype)->average_row;
    run_windows(&j, j.row ? kernel_rows : T(average_rows));
}
static inline void T(average_pixel)(const job *j, int64_t image, const int64_t *row, const int64_t *col, int64_t pixel)
{
    const cx_pool *g = &j->g;
    const int64_t to = (image * g->in[0] * g->in[1] + pixel) * g->channels;
    for (int64_t c = 0; c < g->channels; c += BLOCK) {
        const int64_t n = block_of(c, g->channels);
        REAL sum[BLOCK] = {0};
        for (int64_t r = row[0]; r < row[1]; r++)
            for (int64_t s = col[0]; s < col[1]; s++) {
                const int64_t at = ((image * g->out[0] + r) * g->out[1] + s) * g->channels + c;
                const REAL *dy = (const REAL *)j->from + at;
                int64_t a[2], b[2];
                cx_pool_cells(g, 0, r, &a[0], &a[1]), cx_pool_cells(g, 1, s, &b[0], &b[1]);
                const REAL share = 1 / (REAL)((a[1] - a[0]) * (b[1] - b[0]));
                for (int64_t k = 0; k < n; k++) sum[k] += dy[k] * share;
            }
        T(put)(j, sum, n, to + c, c);
    }
}
TASK(T(average_pixels))
{
    const job *j = context;
    const cx_pool *g = &j->g;
    TASK_UNUSED;
    for (int64_t i = begin; i < end; i++) {
        int64_t image = i / g->in[0], h = i % g->in[0], row[2] = {0}, col[2] = {0};
        cx_pool_windows(g, 0, h, &row[0], &row[1]);
        for (int64_t w = 0; w < g->in[1]; w++) {
            cx_pool_windows(g, 1, w, &col[0], &col[1]);
            T(average_pixel)(j, image, row, col, h * g->in[1] + w);
        }
    }
}
static void T(average_run)(const void *attr, const cx_value *dout, const cx_spec *x, void *dx, const cx_finish *f)
{
    job j = {.g = grid_of(attr, x, &dout->spec), .from = dout->data, .to = dx, .finish = f};
    j.k = cx_kernels_of(x->dtype);
    j.row = j.k->average_back_row;
    run_pixels(&j, j.row ? kernel_rows : T(average_pixels));
}
BACKWARD(T(average_backward))
{
    BACKWARD_UNUSED;
    const cx_finish add = {.plus = din->data};
    if (*mode != CX_SKIP) T(average_run)(attr, dout, &din->spec, din->data, *mode == CX_ADD ? &add : NULL);
}
#endif
