/* Resizing of NHWC images with half-pixel centres: pixel i of `out` lies at (i + 1/2) in / out - 1/2. */
#include "generic.h"
#include "images.h"
#include "separable.h"

#ifndef REAL
enum { NEAREST, BILINEAR, BICUBIC };
typedef struct {
    int64_t size[2], method;
} resize_attr;
/* Where an output row or column comes from: (1 - share) of `low` and `share` of `high`, low <= high. Bicubic: weight[t]
 * of low + t, up to high. */
typedef struct {
    int64_t low, high;
    double share, weight[4];
} source;
typedef struct {
    int64_t in[2], out[2], channels;
    const source *rows, *cols;
    const void *from;
    void *to, *lines; /* lines: one of the input for each worker */
    size_t width;     /* bytes of an element */
    bool add, cubic;
} job;

/* The cubic of Keys 1981 with a = -1/2; t >= 0. */
static double keys(double t)
{
    return t < 1 ? (1.5 * t - 2.5) * t * t + 1 : t < 2 ? ((-0.5 * t + 2.5) * t - 4) * t + 2 : 0;
}
/* As TensorFlow does, the place is rounded in float32 and then to 1/1024, pixels outside the image have no weight, and
 * the weights of the others are scaled to the sum 1. */
static source cubic_source(int64_t i, int64_t in, int64_t out)
{
    float place = ((float)i + 0.5f) * ((float)in / (float)out) - 0.5f, floored = floorf(place);
    double share = (double)rintf((place - floored) * 1024) / 1024, total = 0;
    int64_t first = (int64_t)floored - 1;
    if (first >= in - 1) first = in - 2, share = 0; /* float32 has no such place */
    source s = {first < 0 ? 0 : first, first + 3 < in ? first + 3 : in - 1, share, {0}};
    for (int64_t at = s.low; at <= s.high; at++)
        total += s.weight[at - s.low] = keys(fabs((double)(at - first - 1) - share));
    for (int64_t at = s.low; at <= s.high; at++) s.weight[at - s.low] /= total;
    return s;
}
/* Nearest rounds the place in float32, as TensorFlow does, so that both choose the same pixels. */
static source source_of(int64_t i, int64_t in, int64_t out, int64_t method)
{
    if (method == NEAREST) {
        float place = floorf(((float)i + 0.5f) * ((float)in / (float)out));
        int64_t nearest = (int64_t)place < in - 1 ? (int64_t)place : in - 1;
        return (source){nearest, nearest, 0, {0}};
    }
    if (method == BICUBIC) return cubic_source(i, in, out);
    double place = ((double)i + 0.5) * (double)in / (double)out - 0.5, floored = floor(place);
    int64_t low = (int64_t)floored;
    return (source){low < 0 ? 0 : low, low + 1 < in ? low + 1 : in - 1, place - floored, {0}};
}
static void fill_sources(source *s, int64_t in, int64_t out, int64_t method)
{
    for (int64_t i = 0; i < out; i++) s[i] = source_of(i, in, out, method);
}
static job job_of(const resize_attr *a, const cx_spec *x, const cx_spec *y, void *scratch)
{
    job j = {.in = {x->dim[1], x->dim[2]}, .out = {y->dim[1], y->dim[2]}, .channels = x->dim[3]};
    source *rows = scratch, *cols = rows + j.out[0];
    fill_sources(rows, j.in[0], j.out[0], a->method);
    fill_sources(cols, j.in[1], j.out[1], a->method);
    j.rows = rows, j.cols = cols, j.lines = cols + j.out[1], j.width = cx_width(x->dtype),
    j.cubic = a->method == BICUBIC;
    return j;
}
static void run_rows(job *j, int64_t rows, int64_t work, cx_task *task)
{
    if (j->channels) cx_parallel(rows, 1 + CX_GRAIN / (work * j->channels + 1), task, j);
}

/* Any dtype: pixels are copied as bytes. */
TASK(nearest_rows)
{
    const job *j = context;
    const size_t pixel = (size_t)j->channels * j->width;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t row = i / j->out[0] * j->in[0] + j->rows[i % j->out[0]].low;
        const char *x = (const char *)j->from + (size_t)(row * j->in[1]) * pixel;
        char *y = (char *)j->to + (size_t)(i * j->out[1]) * pixel;
        for (int64_t s = 0; s < j->out[1]; s++)
            memcpy(y + (size_t)s * pixel, x + (size_t)j->cols[s].low * pixel, pixel);
    }
}
FORWARD(nearest_forward)
{
    FORWARD_UNUSED;
    job j = job_of(attr, &in->spec, &out->spec, scratch);
    j.from = in->data, j.to = out->data;
    run_rows(&j, in->spec.dim[0] * j.out[0], j.out[1], nearest_rows);
}

#define REAL float
#include "resize.c"
#undef REAL
#define REAL double
#include "resize.c"
#undef REAL

static cx_code resize_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    const resize_attr *a = attr;
    char text[CX_SHAPE_TEXT];
    if (cx_need_images("resize", in, err)) return err->code;
    if (in->dim[1] == 0 || in->dim[2] == 0)
        return cx_fail(err, CX_EVALUE, "resize: the image must have at least one pixel. Received: shape %s",
                       cx_shape_text(in, text));
    if (a->method != NEAREST && !cx_is_real(in->dtype))
        return cx_fail(err, CX_ETYPE, "resize: method=\"%s\" needs float32 or float64. Received: dtype=%s",
                       a->method == BICUBIC ? "bicubic" : "bilinear", cx_dtype_name(in->dtype));
    plan->out[0] = in[0];
    plan->out[0].dim[1] = a->size[0], plan->out[0].dim[2] = a->size[1];
    if (cx_multiply(sizeof(source), (size_t)(a->size[0] + a->size[1]), &plan->scratch, err)) return err->code;
    plan->scratch_back = plan->scratch;
    if (a->method != BICUBIC || in->dim[2] == CX_ANY || in->dim[3] == CX_ANY) return CX_OK;
    const cx_spec lines = {in->dtype, 3, {plan->threads, in->dim[2], in->dim[3]}};
    size_t size;
    if (cx_bytes(&lines, &size, err)) return err->code;
    plan->scratch += size;
    return CX_OK;
}

static void weigh(const void *context, int d, int64_t in, int64_t out, double *weight)
{
    const int64_t method = ((const resize_attr *)context)->method;
    (void)d;
    for (int64_t i = 0; i < out; i++) {
        source s = source_of(i, in, out, method);
        for (int64_t at = s.low; method == BICUBIC && at <= s.high; at++) weight[at * out + i] = s.weight[at - s.low];
        if (method == BICUBIC) continue;
        weight[s.low * out + i] += 1 - s.share;
        weight[s.high * out + i] += s.share;
    }
}
EMIT(resize)
{
    EMIT_UNUSED;
    return cx_emit_separable(e, dy, cx_emitted_spec(e, n->in[0]), weigh, n->attr);
}

static const cx_field resize_fields[] = {
    {"size", CX_PAIR, offsetof(resize_attr, size), true, 1, 1, INT32_MAX, NULL},
    {"method", CX_CHOICE, offsetof(resize_attr, method), false, NEAREST, 0, 2, "nearest bilinear bicubic"},
    {0}};

const cx_op cx_op_resize = {.name = "resize",
                            .kind = CX_LINEAR,
                            .least_in = 1,
                            .most_in = 1,
                            .n_out = 1,
                            .n_public = 1,
                            .fields = resize_fields,
                            .infer = resize_infer,
                            .forward = {[CX_F32] = forward_float,
                                        [CX_F64] = forward_double,
                                        [CX_I32] = nearest_forward,
                                        [CX_I64] = nearest_forward,
                                        [CX_U8] = nearest_forward,
                                        [CX_I8] = nearest_forward,
                                        [CX_BOOL] = nearest_forward},
                            .backward = CX_BOTH(backward),
                            .emit_grad = resize_emit};

#else
/* Along the columns first in both rows, then between the rows. */
TASK(T(bilinear_rows))
{
    const job *j = context;
    const int64_t c = j->channels;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const source *row = &j->rows[i % j->out[0]];
        const REAL *image = (const REAL *)j->from + i / j->out[0] * j->in[0] * j->in[1] * c;
        const REAL *top = image + row->low * j->in[1] * c, *bottom = image + row->high * j->in[1] * c;
        REAL *y = (REAL *)j->to + i * j->out[1] * c;
        const REAL down = (REAL)row->share;
        for (int64_t s = 0; s < j->out[1]; s++, y += c) {
            const int64_t left = j->cols[s].low * c, right = j->cols[s].high * c;
            const REAL along = (REAL)j->cols[s].share;
            for (int64_t k = 0; k < c; k++) {
                REAL a = top[left + k] + (top[right + k] - top[left + k]) * along;
                REAL b = bottom[left + k] + (bottom[right + k] - bottom[left + k]) * along;
                y[k] = a + (b - a) * down;
            }
        }
    }
}
/* Between the rows first, a whole line of the input at a time; then along the columns. */
TASK(T(bicubic_rows))
{
    const job *j = context;
    const int64_t c = j->channels, length = j->in[1] * c;
    REAL *line = (REAL *)j->lines + worker * length;
    for (int64_t i = begin; i < end; i++) {
        const source *row = &j->rows[i % j->out[0]];
        const REAL *image = (const REAL *)j->from + i / j->out[0] * j->in[0] * length;
        REAL *y = (REAL *)j->to + i * j->out[1] * c;
        for (int64_t h = row->low; h <= row->high; h++) {
            const REAL part = (REAL)row->weight[h - row->low], *x = image + h * length;
            if (h == row->low)
                for (int64_t k = 0; k < length; k++) line[k] = part * x[k];
            else
                for (int64_t k = 0; k < length; k++) line[k] += part * x[k];
        }
        for (int64_t s = 0; s < j->out[1]; s++, y += c) {
            const source *col = &j->cols[s];
            const int64_t taps = col->high - col->low;
            const REAL *x = line + col->low * c;
            REAL part[4];
            for (int t = 0; t < 4; t++) part[t] = (REAL)col->weight[t];
            for (int64_t k = 0; k < c; k++) {
                REAL sum = part[0] * x[k];
                for (int64_t t = 1; t <= taps; t++) sum += part[t] * x[t * c + k];
                y[k] = sum;
            }
        }
    }
}
FORWARD(T(forward))
{
    static cx_task *const rows[] = {nearest_rows, T(bilinear_rows), T(bicubic_rows)};
    const int64_t method = ((const resize_attr *)attr)->method;
    FORWARD_UNUSED;
    job j = job_of(attr, &in->spec, &out->spec, scratch);
    j.from = in->data, j.to = out->data;
    run_rows(&j, in->spec.dim[0] * j.out[0], method == BICUBIC ? 4 * (j.out[1] + j.in[1]) : j.out[1], rows[method]);
}

/* Each input row takes from the output rows that read it, which are neighbours. */
TASK(T(slope_rows))
{
    const job *j = context;
    const int64_t c = j->channels, length = j->in[1] * c;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t image = i / j->in[0], h = i % j->in[0];
        REAL *dx = (REAL *)j->to + i * length;
        int64_t first = 0, last = j->out[0]; /* the first row whose `high` reaches h */
        while (first < last) {
            int64_t middle = first + (last - first) / 2;
            if (j->rows[middle].high < h)
                first = middle + 1;
            else
                last = middle;
        }
        if (!j->add) memset(dx, 0, (size_t)length * sizeof *dx);
        for (int64_t r = first; r < j->out[0] && j->rows[r].low <= h; r++) {
            const source *row = &j->rows[r];
            const REAL *dy = (const REAL *)j->from + (image * j->out[0] + r) * j->out[1] * c;
            const double part = j->cubic ? row->weight[h - row->low]
                                         : (row->low == h ? 1 - row->share : 0) + (row->high == h ? row->share : 0);
            for (int64_t s = 0; s < j->out[1]; s++, dy += c) {
                const source *col = &j->cols[s];
                if (j->cubic) {
                    for (int64_t w = col->low; w <= col->high; w++)
                        for (int64_t k = 0; k < c; k++)
                            dx[w * c + k] += dy[k] * (REAL)(part * col->weight[w - col->low]);
                    continue;
                }
                const REAL a = (REAL)(part * (1 - col->share)), b = (REAL)(part * col->share);
                REAL *left = dx + col->low * c, *right = dx + col->high * c;
                for (int64_t k = 0; k < c; k++) left[k] += dy[k] * a;
                for (int64_t k = 0; k < c && b != 0; k++) right[k] += dy[k] * b;
            }
        }
    }
}
BACKWARD(T(backward))
{
    BACKWARD_UNUSED;
    job j = job_of(attr, &din->spec, &dout->spec, scratch);
    j.from = dout->data, j.to = din->data, j.add = *mode == CX_ADD;
    int64_t work = j.out[1] * (1 + j.out[0] / j.in[0]);
    if (*mode != CX_SKIP) run_rows(&j, din->spec.dim[0] * j.in[0], work, T(slope_rows));
}
#endif
