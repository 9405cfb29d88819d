/* The input gradient, which is also the transposed convolution: one correlation for each phase of the stride, or, for
 * few channels (a first layer), products of the transposed dy. */
#include "conv.h"
#include <string.h>

#ifndef REAL
enum { PIECES = 16 }; /* units that a call is cut into */

typedef struct {
    const cx_conv *c;
    const cx_kernels *k;
    int64_t width, length; /* dy's row in whole panels; dx's row, or one phase of it, in whole vectors */
    int64_t rows, row_blocks;
    int64_t met; /* rows of dy that a block needs at most */
    int64_t stretches;
    size_t packed, product, sums, line; /* bytes of a worker: rows of dy, one product, one row of dx and in order */
    const void *dy, *w;
    void *dx;
    const cx_finish *finish;
    const cx_stretch *stretch;
    char *workers;
} job;

/* Tiles are at least a vector of channels wide: with few of them most is wasted, once for each tap. Then pixels fill
 * the vectors: products of the kernel's rows with dy transposed, whose lines are shifted and added. */
static bool turns(const cx_conv *c)
{
    return c->groups == 1 && c->channels > 0 && c->filters > 0 && c->size[1] > 1 &&
           2 * c->channels <= cx_kernels_of(c->dtype)->lanes;
}

static job job_of(const cx_conv *c)
{
    job j = {.c = c, .k = cx_kernels_of(c->dtype)};
    const int64_t lanes = j.k->lanes, span = (c->size[0] - 1) * c->dilation[0];
    j.width = (c->out[1] + lanes - 1) / lanes * lanes;
    j.length = ((c->in[1] + c->stride[1] - 1) / c->stride[1] + lanes - 1) / lanes * lanes;
    const size_t row = cx_times((size_t)(j.width * j.k->width), (size_t)c->filters);
    const int64_t all = c->images * c->in[0], fits = (CX_L2 / (int64_t)(row + 1)) * c->stride[0] - span;
    j.rows = (all + PIECES - 1) / PIECES;
    if (j.rows > fits) j.rows = fits;
    if (j.rows < 4) j.rows = 4; /* neighbouring blocks pack the same rows of dy */
    if (j.rows > c->in[0]) j.rows = c->in[0];
    j.row_blocks = j.rows ? (c->in[0] + j.rows - 1) / j.rows : 0;
    j.met = (j.rows - 1 + span) / c->stride[0] + 1;
    if (j.met > c->out[0]) j.met = c->out[0];
    j.stretches = cx_pieces(c->filters, CX_CHAIN);
    j.packed = cx_line(cx_times((size_t)j.met, row));
    j.product = cx_line(cx_times((size_t)(c->size[1] * c->channels), (size_t)(j.width * j.k->width)));
    j.sums = cx_line(cx_times((size_t)(c->stride[1] * c->channels), (size_t)(j.length * j.k->width)));
    j.line = cx_line(cx_times((size_t)(c->in[1] * c->channels), (size_t)j.k->width));
    return j;
}
static size_t worker_size(const job *j)
{
    return j->packed + j->product + j->sums + j->line;
}
static int64_t grain(const job *j)
{
    const cx_conv *c = j->c;
    size_t filter = (size_t)(c->size[0] * c->size[1] * c->channels * c->filters);
    int64_t flop = (int64_t)cx_times((size_t)(2 * j->rows * j->width), filter);
    return flop > CX_GRAIN_FLOP ? 1 : 1 + CX_GRAIN_FLOP / (flop + 1);
}
static size_t stretches_size(const job *j)
{
    return cx_line(cx_times((size_t)j->stretches, sizeof(cx_stretch)));
}

/* The rows of dy that rows first..last of dx meet: [*begin, *end). */
static void rows_met(const cx_conv *c, int64_t first, int64_t last, int64_t *begin, int64_t *end)
{
    const int64_t top = first + c->before[0] - (c->size[0] - 1) * c->dilation[0], bottom = last + c->before[0];
    *begin = top > 0 ? (top + c->stride[0] - 1) / c->stride[0] : 0;
    *end = bottom < 0 ? 0 : bottom / c->stride[0] + 1;
    if (*end > c->out[0]) *end = c->out[0];
    if (*begin > *end) *begin = *end;
}

#define REAL float
#include "input_gradient.c"
#undef REAL
#define REAL double
#include "input_gradient.c"
#undef REAL

/* One row of the kernel times one packed row of dy: (size[1] * channels) lines of pixels. */
static void multiply(const job *j, int64_t p, const void *packed, void *product)
{
    const cx_conv *c = j->c;
    const cx_kernels *k = j->k;
    const int64_t rows = c->size[1] * c->channels, wide = 2 * k->lanes;
    cx_tile t = {.stretch = j->stretch, .stretches = j->stretches, .lda = c->filters, .ldc = j->width};
    t.a = cx_at(k, j->w, p * rows * c->filters);
    for (int64_t first = 0; first < j->width; first += wide) {
        t.columns = (int)(j->width - first < wide ? k->lanes : wide);
        t.ldb = t.columns;
        t.b = cx_at(k, packed, first * c->filters);
        t.c = cx_at(k, product, first);
        cx_tiles(k, t, rows, false);
    }
}

static void run_blocks(void *context, int64_t begin, int64_t end, int worker)
{
    const job *j = context;
    const cx_conv *c = j->c;
    const cx_kernels *k = j->k;
    const bool single = c->dtype == CX_F32;
    char *packed = j->workers + (size_t)worker * worker_size(j);
    char *product = packed + j->packed, *sums = product + j->product, *line = sums + j->sums;
    for (int64_t u = begin; u < end; u++) {
        const int64_t image = u / j->row_blocks, first = u % j->row_blocks * j->rows;
        const int64_t last = first + j->rows < c->in[0] ? first + j->rows : c->in[0];
        int64_t from, to;
        rows_met(c, first, last - 1, &from, &to);
        for (int64_t i = from; i < to; i++)
            for (int64_t s = 0; s < c->out[1]; s += 2 * k->lanes) {
                const int64_t columns = c->out[1] - s < 2 * k->lanes ? c->out[1] - s : 2 * k->lanes;
                cx_pack(k, cx_at(k, packed, ((i - from) * j->width + s) * c->filters), cx_panel_width(k, columns),
                        cx_at(k, j->dy, ((image * c->out[0] + i) * c->out[1] + s) * c->filters), c->filters, c->filters,
                        columns, true);
            }
        for (int64_t r = first; r < last; r++) {
            memset(sums, 0, j->sums);
            for (int64_t p = 0; p < c->size[0]; p++) {
                const int64_t y = r + c->before[0] - p * c->dilation[0], i = y / c->stride[0];
                if (y < 0 || y % c->stride[0] || i >= c->out[0]) continue;
                multiply(j, p, cx_at(k, packed, (i - from) * j->width * c->filters), product);
                (single ? add_lines_float : add_lines_double)(j, product, sums);
            }
            const cx_finishing f = {.how = j->finish, .at = (image * c->in[0] + r) * c->in[1] * c->channels};
            void *dx = cx_at(k, j->dx, f.at);
            (single ? put_in_order_float : put_in_order_double)(c, j->length, sums, f.how ? line : dx);
            if (f.how) k->finish(&f, line, c->channels, c->in[1], c->channels, dx, c->channels);
        }
    }
}

static void turned(const cx_conv *c, const void *dy, const void *w, const cx_finish *f, void *dx, void *scratch)
{
    job j = job_of(c);
    cx_stretch *stretch = scratch;
    int64_t open = 0;
    j.dy = dy, j.w = w, j.finish = f, j.dx = dx, j.stretch = stretch;
    j.stretches = cx_stretch_end(stretch, cx_stretch_on(stretch, 0, &open, 0, c->filters, 1, CX_CHAIN));
    j.workers = (char *)scratch + stretches_size(&j);
    cx_parallel(c->images * j.row_blocks, grain(&j), run_blocks, &j);
}

static size_t turned_scratch(const cx_conv *c, int *threads)
{
    job j = job_of(c);
    int64_t parts = (c->images * j.row_blocks + grain(&j) - 1) / grain(&j);
    if (parts < *threads) *threads = parts > 1 ? (int)parts : 1;
    return stretches_size(&j) + cx_times((size_t)*threads, worker_size(&j));
}

static bool reached(const cx_conv *c, int d, int64_t phase) /* by any tap */
{
    return cx_axis_input(c, d, phase).taps > 0;
}
static bool all_reached(const cx_conv *c)
{
    for (int d = 0; d < 2; d++)
        for (int64_t phase = 0; phase < c->stride[d] && phase < c->in[d]; phase++)
            if (!reached(c, d, phase)) return false;
    return true;
}

typedef struct {
    const cx_conv *c;
    const cx_finish *finish;
    void *dx;
} resting;

/* n pixels of dx from `at` on, so many elements apart, whose sums are empty. */
static void finish_nothing(const resting *r, int64_t at, int64_t apart, int64_t n)
{
    static const double nothing[256];
    const cx_kernels *k = cx_kernels_of(r->c->dtype);
    const int64_t channels = r->c->groups * r->c->channels, most = (int64_t)sizeof nothing / k->width;
    for (int64_t first = 0; first < channels; first += most) {
        const cx_finishing f = {r->finish, at + first, first};
        const int64_t columns = channels - first < most ? channels - first : most;
        k->finish(&f, nothing, 0, n, columns, cx_at(k, r->dx, at + first), apart);
    }
}

/* The pixels that no tap reaches: one pass over all such phases. */
static void finish_resting(void *context, int64_t begin, int64_t end, int worker)
{
    const resting *r = context;
    const cx_conv *c = r->c;
    const int64_t channels = c->groups * c->channels, stride = c->stride[1];
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t row = i * c->in[1] * channels;
        if (!reached(c, 0, i % c->in[0] % c->stride[0])) {
            finish_nothing(r, row, channels, c->in[1]);
            continue;
        }
        for (int64_t phase = 0; phase < stride && phase < c->in[1]; phase++)
            if (!reached(c, 1, phase))
                finish_nothing(r, row + phase * channels, stride * channels, (c->in[1] - phase + stride - 1) / stride);
    }
}

static bool adds(const cx_finish *f, const void *y) /* and nothing else */
{
    return f && f->plus == y && !f->scale && !f->shift && !f->gate && !f->bits && !f->clamp && !f->rate;
}

/* A form holds the panels of every phase, in order; of more phases than this none is kept. */
enum { MOST_PHASES = 16 };

void cx_conv_input(const cx_conv *c, const void *dy, const void *w, const void *form, const cx_finish *f, void *dx,
                   void *scratch)
{
    const char *panels = form;
    if (turns(c)) {
        turned(c, dy, w, f, dx, scratch);
        return;
    }
    if (!all_reached(c) && !adds(f, dx)) {
        resting rest = {c, f, dx};
        cx_parallel(c->images * c->in[0], 1 + CX_GRAIN_FLOP / 8 / (c->in[1] * c->groups * c->channels + 1),
                    finish_resting, &rest);
    }
    for (int64_t i = 0; i < c->stride[0] && i < c->in[0]; i++)
        for (int64_t j = 0; j < c->stride[1] && (panels || j < c->in[1]); j++) {
            const cx_correlation r = cx_correlation_input(c, i, j);
            if (reached(c, 0, i) && reached(c, 1, j)) cx_correlate(&r, dy, w, panels, f, dx, scratch);
            if (panels) panels += cx_correlate_form(&r);
        }
}

void cx_conv_input_form(const cx_conv *c, cx_form *f)
{
    f->size = 0;
    if (turns(c) || c->stride[0] * c->stride[1] > MOST_PHASES) return;
    for (int64_t i = 0; i < c->stride[0]; i++)
        for (int64_t j = 0; j < c->stride[1]; j++) {
            const cx_correlation r = cx_correlation_input(c, i, j);
            f->size += cx_correlate_form(&r);
            if (!i && !j) cx_correlate_key(c, &r, f);
        }
}

void cx_conv_input_make(const cx_conv *c, const void *w, void *form)
{
    char *panels = form;
    for (int64_t i = 0; i < c->stride[0]; i++)
        for (int64_t j = 0; j < c->stride[1]; j++) {
            const cx_correlation r = cx_correlation_input(c, i, j);
            cx_correlate_make(&r, w, panels);
            panels += cx_correlate_form(&r);
        }
}

size_t cx_conv_input_scratch(const cx_conv *c, int *threads)
{
    if (turns(c)) return turned_scratch(c, threads);
    size_t size = 64; /* phases that no tap reaches need no more */
    int wanted = 1;
    for (int64_t p = 0; p < c->size[0] && p < c->stride[0]; p++)
        for (int64_t q = 0; q < c->size[1] && q < c->stride[1]; q++) {
            cx_correlation r = cx_correlation_input(c, cx_phase_of(c, 0, p), cx_phase_of(c, 1, q));
            int most = *threads;
            size_t one = cx_correlate_scratch(&r, &most);
            if (one > size) size = one;
            if (most > wanted) wanted = most;
        }
    *threads = wanted;
    return size;
}

#else
/* Column j of dy meets column j * stride + q * dilation - before of dx. A row of dx is kept in `stride` lines for each
 * channel, so that this is a shift. */
static void TYPED(add_lines)(const job *j, const void *product, void *sums)
{
    const cx_conv *c = j->c;
    const int64_t stride = c->stride[1], channels = c->channels;
    for (int64_t q = 0; q < c->size[1]; q++) {
        int64_t at = q * c->dilation[1] - c->before[1], phase = at % stride;
        if (phase < 0) phase += stride;
        const int64_t shift = (at - phase) / stride;
        const int64_t count = phase < c->in[1] ? (c->in[1] - phase + stride - 1) / stride : 0;
        const int64_t first = shift < 0 ? -shift : 0, last = count - shift < c->out[1] ? count - shift : c->out[1];
        for (int64_t k = 0; k < channels; k++) {
            const REAL *from = (const REAL *)product + (q * channels + k) * j->width;
            REAL *to = (REAL *)sums + (k * stride + phase) * j->length + shift;
            for (int64_t s = first; s < last; s++) to[s] += from[s];
        }
    }
}

static void TYPED(put_in_order)(const cx_conv *c, int64_t length, const void *sums, void *line)
{
    const int64_t stride = c->stride[1], channels = c->channels;
    for (int64_t k = 0; k < channels; k++)
        for (int64_t phase = 0; phase < stride && phase < c->in[1]; phase++) {
            const REAL *from = (const REAL *)sums + (k * stride + phase) * length;
            REAL *to = (REAL *)line + k;
            for (int64_t s = phase; s < c->in[1]; s += stride) to[s * channels] = *from++;
        }
}
#endif
