/* Resampling of maps. Every method is two tables, one per axis, that say which few pixels of the input an output pixel
 * is a weighted sum of. Splines of order 2 and 3 first turn pixels into spline coefficients. */
#include "explain.h"
#include "../ops/generic.h"

#ifndef REAL
enum { MOST_TAPS = 4 };
typedef struct {
    int64_t from[MOST_TAPS]; /* always inside the input; weight 0 never meets a pixel */
    double weight[MOST_TAPS];
    int taps; /* 0: outside */
} sample;
typedef struct {
    const cx_view *maps;
    const cx_target *target;
    const sample *rows, *columns;
    double *scratch; /* per worker: an image of coefficients and a row */
    int64_t part;
    void *to;
    bool narrow; /* the result is float32 */
} job;

static void copy_image(const cx_view *maps, int64_t image, double *to);

static void add_tap(sample *s, int64_t from, double weight)
{
    if (weight == 0) return;
    s->from[s->taps] = from;
    s->weight[s->taps++] = weight;
}
static int64_t clamp(int64_t i, int64_t n)
{
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}
/* The signal goes on as its mirror image at both end pixels, which do not repeat. */
static int64_t mirror(int64_t i, int64_t n)
{
    if (n == 1) return 0;
    int64_t period = 2 * n - 2;
    i = i % period;
    if (i < 0) i += period;
    return i < n ? i : period - i;
}

static double keys(double t) /* cubic convolution with a = -1/2, |t| < 2 */
{
    t = fabs(t);
    return t <= 1 ? (1.5 * t - 2.5) * t * t + 1 : ((-0.5 * t + 2.5) * t - 4) * t + 2;
}
/* TensorFlow reads the kernel from a table of 1024 steps, and leaves out pixels past the border. */
static void cubic_sample(double place, int64_t n, sample *s)
{
    const double base = floor(place), t = rint((place - base) * 1024) / 1024;
    double sum = 0;
    for (int64_t k = -1; k <= 2; k++) {
        int64_t from = (int64_t)base + k;
        if (from >= 0 && from < n) add_tap(s, from, keys((double)k - t)), sum += keys((double)k - t);
    }
    for (int k = 0; k < s->taps; k++) s->weight[k] /= sum;
}

static void spline_sample(double place, int64_t n, int order, sample *s)
{
    const double base = floor(order % 2 ? place : place + 0.5), t = place - base;
    const int64_t at = (int64_t)base, first = at - order / 2;
    double weight[MOST_TAPS] = {1};
    if (place > (double)(n - 1)) return; /* rounding put the last pixel outside, as in scipy.ndimage.zoom */
    if (order == 1) {
        weight[0] = 1 - t, weight[1] = t;
    } else if (order == 2) {
        weight[0] = 0.5 * (0.5 - t) * (0.5 - t);
        weight[1] = 0.75 - t * t;
        weight[2] = 0.5 * (0.5 + t) * (0.5 + t);
    } else if (order == 3) {
        const double u = 1 - t;
        weight[0] = u * u * u / 6;
        weight[1] = (t * t * (t - 2) * 3 + 4) / 6;
        weight[2] = (u * u * (u - 2) * 3 + 4) / 6;
        weight[3] = t * t * t / 6;
    }
    for (int k = 0; k <= order; k++) add_tap(s, mirror(first + k, n), weight[k]);
}

static void fill_table(int64_t in, int64_t out, cx_sampling sampling, sample *table)
{
    const double scale = (double)in / (double)out, aligned = out > 1 ? (double)(in - 1) / (double)(out - 1) : 1;
    for (int64_t i = 0; i < out; i++) {
        sample *s = &table[i];
        const double centre = ((double)i + 0.5) * scale - 0.5;
        if (sampling == CX_NEAREST) {
            /* float32, as TensorFlow: its rounding decides where an edge falls on a pixel's centre */
            add_tap(s, clamp((int64_t)floorf(((float)i + 0.5f) * ((float)in / (float)out)), in), 1);
        } else if (sampling == CX_BILINEAR) {
            const double base = floor(centre), t = centre - base;
            add_tap(s, clamp((int64_t)base, in), 1 - t);
            add_tap(s, clamp((int64_t)base + 1, in), t);
        } else if (sampling == CX_BICUBIC) {
            cubic_sample(centre, in, s);
        } else {
            spline_sample((double)i * aligned, in, (int)(sampling - CX_ZOOM0), s);
        }
    }
}

/* Pixels x, n of them `step` apart, become coefficients of a spline with this pole (Unser 1993): a causal and an
 * anticausal recursion, started as if the mirrored signal went on for ever. */
static void filter_line(double *x, int64_t n, int64_t step, double pole)
{
    double sum = x[0], power = pole, back = 1;
    for (int64_t i = 1; i < n; i++, power *= pole) sum += power * x[i * step];
    for (int64_t i = n - 2; i > 0; i--, power *= pole) sum += power * x[i * step];
    back = n > 1 ? 1 - power : 1; /* power is now pole^(2n - 2), one period */
    x[0] = sum / back;
    for (int64_t i = 1; i < n; i++) x[i * step] += pole * x[(i - 1) * step];
    x[(n - 1) * step] = (pole * x[(n - 2) * step] + x[(n - 1) * step]) * pole / (pole * pole - 1);
    for (int64_t i = n - 2; i >= 0; i--) x[i * step] = pole * (x[(i + 1) * step] - x[i * step]);
}
/* Both axes of an (h,w,c) image. */
static void filter_image(double *x, int64_t h, int64_t w, int64_t c, int order)
{
    const double pole = order == 2 ? sqrt(8) - 3 : sqrt(3) - 2, gain = (1 - pole) * (1 - 1 / pole);
    const double total = (h > 1 ? gain : 1) * (w > 1 ? gain : 1);
    for (int64_t i = 0; i < h * w * c; i++) x[i] *= total;
    for (int64_t i = 0; h > 1 && i < w * c; i++) filter_line(x + i, h, w * c, pole);
    for (int64_t y = 0; w > 1 && y < h; y++)
        for (int64_t k = 0; k < c; k++) filter_line(x + y * w * c + k, w, c, pole);
}

static void images(void *context, int64_t begin, int64_t end, int worker)
{
    const job *j = context;
    const int64_t h = j->maps->spec.dim[1], w = j->maps->spec.dim[2], c = j->maps->spec.dim[3];
    const int64_t *size = j->target->size, row = w * c;
    double *image = j->scratch + worker * j->part, *mixed = image + h * row;
    const int order = j->target->sampling >= CX_ZOOM0 ? (int)(j->target->sampling - CX_ZOOM0) : 0;
    for (int64_t i = begin; i < end; i++) {
        int64_t at = i * size[0] * size[1] * c;
        copy_image(j->maps, i, image);
        if (order >= 2) filter_image(image, h, w, c, order);
        for (int64_t y = 0; y < size[0]; y++) {
            const sample *r = &j->rows[y];
            memset(mixed, 0, (size_t)row * sizeof *mixed);
            for (int t = 0; t < r->taps; t++)
                for (int64_t x = 0; x < row; x++) mixed[x] += r->weight[t] * image[r->from[t] * row + x];
            for (int64_t x = 0; x < size[1]; x++) {
                const sample *s = &j->columns[x];
                for (int64_t k = 0; k < c; k++, at++) {
                    double sum = 0;
                    for (int t = 0; t < s->taps; t++) sum += s->weight[t] * mixed[s->from[t] * c + k];
                    if (j->narrow)
                        ((float *)j->to)[at] = (float)sum;
                    else
                        ((double *)j->to)[at] = sum;
                }
            }
        }
    }
}

#define REAL float
#include "zoom.c"
#undef REAL
#define REAL double
#include "zoom.c"
#undef REAL
static void copy_image(const cx_view *maps, int64_t image, double *to)
{
    if (maps->spec.dtype == CX_F32)
        copy_float(maps, image, to);
    else
        copy_double(maps, image, to);
}

cx_code cx_resample(const cx_view *maps, const cx_target *target, cx_dtype d, void *resized, cx_err *err)
{
    const int64_t *dim = maps->spec.dim, *size = target->size;
    const int workers = dim[0] < cx_threads() ? (int)dim[0] : cx_threads();
    char text[CX_SHAPE_TEXT];
    job j = {.maps = maps, .target = target, .to = resized, .narrow = d == CX_F32};
    sample *table = NULL;
    cx_code code = CX_OK;
    if (size[0] < 1 || size[1] < 1)
        return cx_fail(err, CX_EVALUE, "`size` must be a tuple of 2 positive integers. Received: size=(%lld, %lld)",
                       (long long)size[0], (long long)size[1]);
    if (!dim[0] || !dim[3]) return CX_OK;
    if (!dim[1] || !dim[2])
        return cx_fail(err, CX_EVALUE, "a map without pixels cannot be resized. Received: shape %s",
                       cx_shape_text(&maps->spec, text));
    size_t bytes = 0;
    cx_spec scratch = {CX_F64, 4, {workers, dim[1] + 1, dim[2], dim[3]}};
    if (cx_multiply((size_t)size[0] + (size_t)size[1], sizeof *table, &bytes, err)) return err->code;
    if (!(table = cx_alloc(bytes))) return cx_fail(err, CX_ENOMEM, "out of memory: %zu bytes to resize maps", bytes);
    if (!(j.scratch = cx_doubles(&scratch, err))) {
        code = err->code;
        goto done;
    }
    j.part = (dim[1] + 1) * dim[2] * dim[3], j.rows = table, j.columns = table + size[0];
    fill_table(dim[1], size[0], target->sampling, table);
    fill_table(dim[2], size[1], target->sampling, table + size[0]);
    cx_set_team(workers);
    cx_parallel(dim[0], 1 + CX_GRAIN / (size[0] * size[1] * dim[3] * MOST_TAPS), images, &j);
    cx_set_team(0);
done:
    cx_free(table), cx_free(j.scratch);
    return code;
}

#else
static void T(copy)(const cx_view *maps, int64_t image, double *to)
{
    const int64_t *dim = maps->spec.dim;
    for (int64_t y = 0; y < dim[1]; y++)
        for (int64_t x = 0; x < dim[2]; x++) {
            const char *from = cx_at(maps, image, y, x);
            for (int64_t c = 0; c < dim[3]; c++) *to++ = (double)*(const REAL *)(from + c * maps->stride[3]);
        }
}
#endif
