/* Depthwise convolution of any kind, and its kernel gradient: vectors run over channels. A unit of work is a block of
 * rows of one image and a share of the channels: its window of x is copied with the padding in it, each channel as
 * often as it has filters ("wide"), so that all directions are products of whole vectors. */
#include "conv.h"
#include <string.h>

#ifndef REAL
enum {
    PIECES = 16,      /* units that a call is cut into */
    VECTORS = 8,      /* of channels in a unit */
    SLAB = 128 << 10, /* bytes of its copy of x */
};

typedef struct {
    const cx_kernels *k;
    cx_axis axis[2];
    int64_t images, channels, filters;
    bool turned; /* the input gradient: x is wide already, y has `filters` columns for each channel */
    int64_t taps, kernel_width;
    int64_t share, shares, padded; /* channels of a unit; padded: its wide channels in whole vectors */
    int64_t rows, row_blocks, width, height;
    int64_t parts;       /* of the kernel gradient */
    size_t copied, line; /* bytes: the copy of x; a row of y */
    const void *x, *w, *dy;
    void *y;
    const cx_finish *finish;
    bool add;
    int64_t *at;
    char *packed, *workers;
} job;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static job job_of(const cx_conv *c, cx_axis h, cx_axis w, bool turned)
{
    job j = {.k = cx_kernels_of(c->dtype), .axis = {h, w}, .images = c->images, .channels = c->groups};
    j.filters = c->filters, j.turned = turned, j.kernel_width = c->size[1];
    const int64_t lanes = j.k->lanes, most = VECTORS * lanes / (j.filters ? j.filters : 1);
    j.taps = h.taps * w.taps;
    j.share = most < 1 ? 1 : most;
    j.shares = (j.channels + j.share - 1) / j.share;
    if (j.shares) j.share = (j.channels + j.shares - 1) / j.shares;
    if (j.filters == 1) j.share = least((j.share + lanes - 1) / lanes * lanes, j.channels);
    j.padded = (j.share * j.filters + lanes - 1) / lanes * lanes;
    j.width = (w.count - 1) * w.step + cx_axis_span(&w);
    const int64_t row = (int64_t)cx_times((size_t)(j.padded * j.k->width), (size_t)j.width);
    const int64_t fits = (SLAB / (row ? row : 1) - cx_axis_span(&h)) / h.step + 1;
    const int64_t all = j.images * h.count * j.shares;
    j.rows = least(least(fits, (all + PIECES - 1) / PIECES), h.count);
    if (j.rows < 1) j.rows = 1;
    j.row_blocks = (h.count + j.rows - 1) / j.rows;
    j.height = (j.rows - 1) * h.step + cx_axis_span(&h);
    j.copied = j.taps ? cx_line(cx_times((size_t)row, (size_t)j.height)) : 0;
    const int64_t most_pixels = (w.out + w.to_step - 1) / w.to_step; /* of any phase */
    const int64_t wide = j.padded > j.share ? j.padded : j.share;    /* without filters, sums are of nothing */
    j.line = cx_line(cx_times((size_t)(wide * j.k->width), (size_t)most_pixels));
    return j;
}
static size_t taps_size(const job *j)
{
    return cx_line(cx_times((size_t)j->taps, sizeof(int64_t)));
}
static size_t packed_size(const job *j) /* of one share */
{
    return cx_line(cx_times((size_t)j->taps, (size_t)(j->padded * j->k->width)));
}
static int64_t units(const job *j)
{
    return j->images * j->row_blocks * j->shares;
}
static int64_t grain(const job *j)
{
    size_t elements = (size_t)(j->rows * j->axis[1].count * j->padded); /* far from peak: memory counts */
    int64_t work = (int64_t)cx_times(elements, (size_t)(j->taps + 2));
    return work > CX_GRAIN_FLOP / 8 ? 1 : 1 + CX_GRAIN_FLOP / 8 / (work + 1);
}

#define REAL float
#include "depthwise.c"
#undef REAL
#define REAL double
#include "depthwise.c"
#undef REAL

/* n pixels of an image row from column `first` on, channels from..from + share of each, every one `filters` times. */
static void copy_row(const job *j, char *to, const char *row, int64_t first, int64_t n, int64_t from, int64_t share)
{
    const int64_t in = j->axis[1].in, width = j->k->width;
    const int64_t filters = j->turned ? 1 : j->filters, wide = j->turned ? share * j->filters : share;
    const size_t pitch = (size_t)(j->channels * (j->turned ? j->filters : 1) * width);
    const size_t pixel = (size_t)(j->padded * width), used = (size_t)(wide * filters * width);
    const size_t offset = (size_t)(from * (j->turned ? j->filters : 1) * width);
    const int64_t left = row ? least(first < 0 ? -first : 0, n) : n, end = in - first < n ? in - first : n;
    const int64_t last = end > left ? end : left;
    memset(to, 0, (size_t)left * pixel);
    if (row && filters == 1 && used == pixel && pitch == pixel) {
        memcpy(to + (size_t)left * pixel, row + (size_t)(first + left) * pitch, (size_t)(last - left) * pixel);
    } else {
        for (int64_t i = left; i < last; i++) {
            const char *x = row + (size_t)(first + i) * pitch + offset;
            char *at = to + (size_t)i * pixel;
            if (filters == 1)
                memcpy(at, x, used);
            else
                (width == 4 ? repeat_float : repeat_double)(at, x, wide, filters);
            if (used < pixel) memset(at + used, 0, pixel - used);
        }
    }
    memset(to + (size_t)last * pixel, 0, (size_t)(n - last) * pixel);
}

static void copy_window(const job *j, void *copy, int64_t image, int64_t row, int64_t rows, int64_t from, int64_t share)
{
    const cx_axis *h = &j->axis[0], *w = &j->axis[1];
    const size_t pitch = (size_t)(w->in * j->channels * (j->turned ? j->filters : 1) * j->k->width);
    const int64_t first = row * h->step + h->at, height = (rows - 1) * h->step + cx_axis_span(h);
    char *to = copy;
    for (int64_t r = first; r < first + height; r++) {
        bool out = r < 0 || r >= h->in;
        copy_row(j, to, out ? NULL : (const char *)j->x + (size_t)(image * h->in + r) * pitch, w->at, j->width, from,
                 share);
        to += (size_t)(j->width * j->padded * j->k->width);
    }
}

static void find_taps(job *j)
{
    for (int64_t p = 0; p < j->axis[0].taps; p++)
        for (int64_t q = 0; q < j->axis[1].taps; q++)
            *j->at++ = (p * j->axis[0].at_step * j->width + q * j->axis[1].at_step) * j->padded;
    j->at -= j->taps;
}

static void run_units(void *context, int64_t begin, int64_t end, int worker)
{
    const job *j = context;
    const cx_axis *h = &j->axis[0], *w = &j->axis[1];
    const int64_t made = j->channels * (j->turned ? 1 : j->filters); /* channels of y */
    const bool narrow = j->turned && j->filters != 1;                /* y gets sums of wide channels */
    char *copy = j->workers + (size_t)worker * (j->copied + j->line), *line = copy + j->copied;
    for (int64_t u = begin; u < end; u++) {
        const int64_t s = u % j->shares, block = u / j->shares, image = block / j->row_blocks;
        const int64_t from = s * j->share, share = least(j->share, j->channels - from);
        const int64_t row = block % j->row_blocks * j->rows, rows = least(j->rows, h->count - row);
        if (j->taps) copy_window(j, copy, image, row, rows, from, share);
        for (int64_t i = 0; i < rows; i++) {
            const int64_t first = from * (made / j->channels);
            const int64_t at = ((image * h->out + (row + i) * h->to_step + h->to) * w->out + w->to) * made + first;
            cx_depthwise_row r = {.x = cx_at(j->k, copy, i * h->step * j->width * j->padded),
                                  .w = j->packed + (size_t)s * packed_size(j),
                                  .at = j->at,
                                  .taps = j->taps,
                                  .pixels = w->count,
                                  .channels = j->padded,
                                  .stored = share * j->filters,
                                  .ldx = w->step * j->padded,
                                  .y = cx_at(j->k, j->y, at),
                                  .ldy = w->to_step * made};
            r.finish = (cx_finishing){j->finish, at, first};
            if (narrow) {
                cx_depthwise_row wide = r;
                wide.y = line, wide.ldy = j->padded, wide.finish.how = NULL;
                j->k->depthwise(&wide);
                (j->k->width == 4 ? narrow_float : narrow_double)(j, r.pixels, line, share);
                j->k->finish(&r.finish, line, share, r.pixels, share, r.y, r.ldy);
            } else {
                j->k->depthwise(&r);
            }
        }
    }
}

static void correlate(const cx_conv *c, cx_axis h, cx_axis w, bool turned, const void *x, const void *kernel,
                      const cx_finish *f, void *y, void *scratch)
{
    job j = job_of(c, h, w, turned);
    if (!units(&j) || !w.count) return;
    j.x = x, j.w = kernel, j.finish = f, j.y = y, j.at = scratch;
    j.packed = (char *)scratch + taps_size(&j);
    j.workers = j.packed + cx_times((size_t)j.shares, packed_size(&j));
    find_taps(&j);
    const int64_t wide = j.channels * j.filters;
    for (int64_t s = 0; s < j.shares; s++) {
        const int64_t from = s * j.share * j.filters, n = least(j.share * j.filters, wide - from);
        char *to = j.packed + (size_t)s * packed_size(&j);
        for (int64_t p = 0; p < h.taps; p++)
            for (int64_t q = 0; q < w.taps; q++) {
                int64_t tap = (h.k + p * h.k_step) * j.kernel_width + w.k + q * w.k_step;
                cx_pack(j.k, to, j.padded, cx_at(j.k, kernel, tap * wide + from), wide, 1, n, false);
                to += (size_t)(j.padded * j.k->width);
            }
    }
    cx_parallel(units(&j), grain(&j), run_units, &j);
}

static size_t correlate_scratch(const cx_conv *c, cx_axis h, cx_axis w, bool turned, int *threads)
{
    job j = job_of(c, h, w, turned);
    const int64_t parts = (units(&j) + grain(&j) - 1) / grain(&j);
    const size_t workers = cx_times((size_t)*threads, j.copied + j.line); /* other phases may use more of them */
    if (parts < *threads) *threads = parts > 1 ? (int)parts : 1;
    return taps_size(&j) + cx_times((size_t)j.shares, packed_size(&j)) + workers;
}

void cx_depthwise_output(const cx_conv *c, const void *x, const void *w, const cx_finish *f, void *y, void *scratch)
{
    if (cx_depthwise_direct(c, false))
        cx_depthwise_direct_run(c, false, x, w, f, y);
    else
        correlate(c, cx_axis_output(c, 0), cx_axis_output(c, 1), false, x, w, f, y, scratch);
}
size_t cx_depthwise_output_scratch(const cx_conv *c, int *threads)
{
    if (cx_depthwise_direct(c, false)) {
        *threads = cx_depthwise_direct_threads(c, false, *threads);
        return 0;
    }
    return correlate_scratch(c, cx_axis_output(c, 0), cx_axis_output(c, 1), false, threads);
}

void cx_depthwise_input(const cx_conv *c, const void *dy, const void *w, const cx_finish *f, void *dx, void *scratch)
{
    if (cx_depthwise_direct(c, true)) {
        cx_depthwise_direct_run(c, true, dy, w, f, dx);
        return;
    }
    for (int64_t i = 0; i < c->stride[0] && i < c->in[0]; i++)
        for (int64_t j = 0; j < c->stride[1] && j < c->in[1]; j++)
            correlate(c, cx_axis_input(c, 0, i), cx_axis_input(c, 1, j), true, dy, w, f, dx, scratch);
}
size_t cx_depthwise_input_scratch(const cx_conv *c, int *threads)
{
    size_t size = 0;
    int wanted = 1;
    if (cx_depthwise_direct(c, true)) {
        *threads = cx_depthwise_direct_threads(c, true, *threads);
        return 0;
    }
    for (int64_t p = 0; p < c->size[0] && p < c->stride[0]; p++) /* phases that no tap reaches need no more */
        for (int64_t q = 0; q < c->size[1] && q < c->stride[1]; q++) {
            const cx_axis h = cx_axis_input(c, 0, cx_phase_of(c, 0, p)), w = cx_axis_input(c, 1, cx_phase_of(c, 1, q));
            int most = *threads;
            size_t one = correlate_scratch(c, h, w, true, &most);
            if (one > size) size = one;
            if (most > wanted) wanted = most;
        }
    *threads = wanted;
    return size;
}

/* The kernel gradient: parts of the blocks, dealt by the shapes alone, then added in order. */
static job kernel_job_of(const cx_conv *c)
{
    job j = job_of(c, cx_axis_output(c, 0), cx_axis_output(c, 1), false);
    j.parts = j.shares ? least((PIECES + j.shares - 1) / j.shares, j.images * j.row_blocks) : 1;
    return j;
}
static int64_t kernel_grain(const job *j)
{
    int64_t blocks = j->parts ? (j->images * j->row_blocks + j->parts - 1) / j->parts : 1;
    return 1 + grain(j) / (blocks + 1);
}

static void run_parts(void *context, int64_t begin, int64_t end, int worker)
{
    const job *j = context;
    const cx_axis *h = &j->axis[0], *w = &j->axis[1];
    const int64_t wide = j->channels * j->filters, blocks = j->images * j->row_blocks;
    char *copy = j->workers + (size_t)worker * (j->copied + j->line), *line = copy + j->copied;
    for (int64_t u = begin; u < end; u++) {
        const int64_t s = u % j->shares, part = u / j->shares;
        const int64_t from = s * j->share, share = least(j->share, j->channels - from), used = share * j->filters;
        char *to = j->packed + (size_t)u * packed_size(j);
        memset(to, 0, packed_size(j));
        for (int64_t b = blocks * part / j->parts; b < blocks * (part + 1) / j->parts; b++) {
            const int64_t image = b / j->row_blocks, row = b % j->row_blocks * j->rows;
            const int64_t rows = least(j->rows, h->count - row);
            copy_window(j, copy, image, row, rows, from, share);
            for (int64_t i = 0; i < rows; i++) {
                const int64_t at = (image * h->count + row + i) * w->count * wide + from * j->filters;
                cx_depthwise_row r = {.x = cx_at(j->k, copy, i * h->step * j->width * j->padded),
                                      .y = cx_at(j->k, j->dy, at),
                                      .at = j->at,
                                      .taps = j->taps,
                                      .pixels = w->count,
                                      .channels = j->padded,
                                      .ldx = w->step * j->padded,
                                      .ldy = wide};
                if (used < j->padded) { /* whole vectors would reach past the end of dy */
                    cx_pack(j->k, line, j->padded, r.y, wide, w->count, used, false);
                    r.y = line, r.ldy = j->padded;
                }
                j->k->depthwise_kernel(&r, to);
            }
        }
    }
}

void cx_depthwise_kernel(const cx_conv *c, const void *x, const void *dy, bool add, void *dw, void *scratch)
{
    job j = kernel_job_of(c);
    const int64_t wide = j.channels * j.filters;
    if (!j.taps || !wide) return;
    if (!j.parts || !j.axis[1].count) {
        if (!add) memset(dw, 0, (size_t)(j.taps * wide * j.k->width));
        return;
    }
    j.x = x, j.dy = dy, j.y = dw, j.add = add, j.at = scratch;
    j.packed = (char *)scratch + taps_size(&j);
    j.workers = j.packed + cx_times((size_t)(j.parts * j.shares), packed_size(&j));
    find_taps(&j);
    cx_parallel(j.parts * j.shares, kernel_grain(&j), run_parts, &j);
    (c->dtype == CX_F32 ? sum_parts_float : sum_parts_double)(&j);
}

size_t cx_depthwise_kernel_scratch(const cx_conv *c, int *threads)
{
    job j = kernel_job_of(c);
    int64_t parts = (j.parts * j.shares + kernel_grain(&j) - 1) / kernel_grain(&j);
    if (parts < *threads) *threads = parts > 1 ? (int)parts : 1;
    return taps_size(&j) + cx_times((size_t)(j.parts * j.shares), packed_size(&j)) +
           cx_times((size_t)*threads, j.copied + j.line);
}

#else
static void TYPED(repeat)(void *to, const void *from, int64_t n, int64_t times)
{
    REAL *t = to;
    const REAL *f = from;
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < times; k++) *t++ = f[i];
}

/* The wide sums of a row's pixels to those of its channels, in place. */
static void TYPED(narrow)(const job *j, int64_t pixels, void *line, int64_t share)
{
    REAL *to = line;
    for (int64_t i = 0; i < pixels; i++) {
        const REAL *from = (const REAL *)line + i * j->padded;
        for (int64_t c = 0; c < share; c++) {
            REAL sum = 0;
            for (int64_t m = 0; m < j->filters; m++) sum += *from++;
            *to++ = sum;
        }
    }
}

/* Part by part onto the first one, then to dw. */
static void TYPED(sum_parts)(const job *j)
{
    const int64_t wide = j->channels * j->filters, n = j->share * j->filters, size = j->taps * j->padded;
    for (int64_t s = 0; s < j->shares; s++) {
        REAL *sum = (REAL *)(j->packed + (size_t)s * packed_size(j));
        for (int64_t p = 1; p < j->parts; p++) {
            const REAL *part = (const REAL *)(j->packed + (size_t)(p * j->shares + s) * packed_size(j));
            for (int64_t i = 0; i < size; i++) sum[i] += part[i];
        }
        for (int64_t t = 0; t < j->taps; t++, sum += j->padded) {
            REAL *to = (REAL *)j->y + t * wide + s * n;
            const int64_t left = wide - s * n < n ? wide - s * n : n;
            for (int64_t i = 0; i < left; i++) to[i] = j->add ? to[i] + sum[i] : sum[i];
        }
    }
}
#endif
