/* The kernel gradient: for each place in the window a product of pixels by channels, summed over pixels. Blocks of
 * rows are dealt to a number of parts that the shapes alone decide; each part sums its own blocks, and the parts are
 * added in order. */
#include "conv.h"
#include <string.h>

#ifndef REAL
enum {
    PIECES = 16, /* units that a call is cut into */
    CHAIN = 256,
    PARTS_BYTES = 4 << 20, /* what the partial sums may take together */
    SPREAD = 2048,         /* rows a multiple of this apart keep their lines in a few sets of the caches */
    TILES_TO_PACK = 4,     /* tiles that must use a panel of dy to make packing it pay */
    ROWS = 128,            /* added one by one before they are added up */
};

typedef struct {
    cx_correlation c;
    cx_layout l;
    int64_t panels, blocks, parts, count; /* count: elements of dw */
    bool pack;                            /* panels of dy: read in place they lie far apart, often in few cache sets */
    int64_t strip;                        /* rows of dw made at a time in a worker's scratch; 0: in place */
    size_t panel_size, strip_size, stretches_size, worker_size;
    const void *x, *dy;
    void *dw;
    bool add;
    char *partial, *workers;
} job;

static int64_t strip_pitch(const job *j, int64_t panels)
{
    return panels * 2 * j->c.k->lanes + 64 / j->c.k->width; /* so that the rows' lines spread over the sets */
}

static job job_of(const cx_conv *conv)
{
    job j = {.c = cx_correlation_output(conv, false)};
    const cx_correlation *c = &j.c;
    const cx_axis *w = &c->axis[1];
    j.l = cx_lay_out(c, PIECES);
    j.panels = cx_panels(c->k, c->outer), j.blocks = j.l.image_blocks * j.l.row_blocks;
    j.count = conv->size[0] * conv->size[1] * c->inner * c->groups * c->outer;
    const int64_t bytes = (int64_t)cx_times((size_t)j.count, (size_t)c->k->width), units = c->groups * j.panels;
    j.parts = units ? (PIECES + units - 1) / units : 1;
    if (j.parts > PARTS_BYTES / (bytes + 1)) j.parts = PARTS_BYTES / (bytes + 1);
    if (j.parts > j.blocks) j.parts = j.blocks;
    if (j.parts < 1) j.parts = 1;
    const int64_t pixels = j.l.images * j.l.rows * w->count;
    j.pack = units > 1 && j.l.depth > TILES_TO_PACK * c->k->rows;
    j.panel_size = cx_line(cx_times((size_t)pixels, (size_t)(2 * c->k->lanes * c->k->width)));
    const int64_t pieces = j.l.flat ? cx_pieces(pixels, CHAIN) : j.l.images * j.l.rows * cx_pieces(w->count, CHAIN);
    j.stretches_size = cx_line(cx_times((size_t)(pieces + 1), sizeof(cx_stretch)));
    const int64_t pitch = c->groups * c->outer * c->k->width;
    if (j.parts == 1 && pitch % SPREAD == 0) {
        j.strip = CX_L2 / (pitch + 1) / c->k->rows * c->k->rows;
        if (j.strip < c->k->rows) j.strip = c->k->rows;
        j.strip_size = cx_line(cx_times((size_t)j.strip, (size_t)(strip_pitch(&j, j.panels) * c->k->width)));
    }
    j.worker_size = j.stretches_size + j.panel_size + j.strip_size + j.l.copied;
    return j;
}
static int64_t units_of(const job *j)
{
    return j->c.groups * j->parts * j->panels;
}
static int64_t grain(const job *j)
{
    int64_t blocks = (j->blocks + j->parts - 1) / j->parts;
    int64_t pixels = j->l.images * j->l.rows * j->c.axis[1].count;
    int64_t flop = (int64_t)cx_times((size_t)(4 * j->c.k->lanes * pixels), (size_t)(j->l.depth + 1));
    flop = (int64_t)cx_times((size_t)flop, (size_t)blocks);
    return flop > CX_GRAIN_FLOP ? 1 : 1 + CX_GRAIN_FLOP / (flop + 1);
}
static size_t partial_size(const job *j)
{
    size_t one = cx_line(cx_times((size_t)j->count, (size_t)j->c.k->width));
    return j->parts > 1 ? cx_times((size_t)j->parts, one) : 0;
}

static int64_t pixel_stretches(const job *j, const cx_block_of *b, cx_stretch *s)
{
    const cx_layout *l = &j->l;
    const int64_t w = j->c.axis[1].count;
    int64_t count = 0, open = 0;
    if (l->flat) {
        if (b->images > 0 && b->rows > 0 && w > 0)
            count = cx_stretch_on(s, 0, &open, 0, b->images * b->rows * w, l->lda, CHAIN);
    } else {
        for (int64_t n = 0; n < b->images; n++)
            for (int64_t i = 0; w && i < b->rows; i++)
                count = cx_stretch_on(s, count, &open, n * l->image + i * l->row, w, l->lda, CHAIN);
    }
    return cx_stretch_end(s, count);
}

typedef struct {
    const char *from;
    int64_t rows, columns, parts; /* from: parts x columns, rows of dy to be summed, or one row of it */
    size_t pitch;                 /* bytes from a part to the next */
    void *to;
    bool add;
} sum_job;

#define REAL float
#include "kernel_gradient.c"
#undef REAL
#define REAL double
#include "kernel_gradient.c"
#undef REAL

/* Rows first..last of dw and where they go. */
typedef struct {
    void *c;
    int64_t ldc, first, last;
    bool onto; /* add to what is there */
} target;

/* One panel over one block: a tile's rows are neighbours in A, the channels of a tap or of a row of taps. */
static void multiply(const job *j, cx_tile t, const void *a, int64_t column, const target *to)
{
    const cx_correlation *c = &j->c;
    const cx_kernels *k = c->k;
    const cx_axis *h = &c->axis[0], *w = &c->axis[1];
    const cx_layout *l = &j->l;
    const int64_t pixel = l->copy ? c->inner : c->inner * c->groups, row = (l->copy ? l->width : w->in) * pixel;
    const int64_t n = l->flat ? l->depth : l->merged ? w->taps * c->inner : c->inner;
    const int64_t across = l->flat || l->merged ? 1 : w->taps, runs = l->flat ? 1 : h->taps * across;
    for (int64_t i = to->first / n; i < runs && i * n < to->last; i++) {
        const int64_t first = to->first > i * n ? to->first : i * n, last = to->last < i * n + n ? to->last : i * n + n;
        t.a = cx_at(k, a, i / across * h->at_step * row + i % across * w->at_step * pixel + first - i * n);
        t.c = cx_at(k, to->c, (first - to->first) * to->ldc + column);
        t.ldc = to->ldc, t.onto = to->onto;
        cx_tiles(k, t, last - first, true);
    }
}

/* Panels first..last over all blocks of a part. */
static void run_part(const job *j, int64_t group, int64_t part, int64_t first, int64_t last, target to, char *mine)
{
    const cx_correlation *c = &j->c;
    const cx_kernels *k = c->k;
    const int64_t channels = c->groups * c->outer, w = c->axis[1].count;
    const int64_t begin = j->blocks * part / j->parts, end = j->blocks * (part + 1) / j->parts;
    char *packed = mine + j->stretches_size;
    cx_tile t = {.stretch = (cx_stretch *)mine, .lda = j->l.lda};
    for (int64_t i = begin; i < end; i++, to.onto = true) {
        cx_block_of b = cx_block_at(c, &j->l, i);
        const int64_t pixels = b.images * b.rows * w, pixel = (b.image * c->axis[0].count + b.row) * w;
        const void *a = cx_block_a(c, &j->l, &b, j->x, group, packed + j->panel_size + j->strip_size);
        t.stretches = pixel_stretches(j, &b, (cx_stretch *)mine);
        for (int64_t p = first; p < last; p++) {
            const int64_t column = group * c->outer + p * 2 * k->lanes;
            t.columns = (int)cx_panel_columns(k, c->outer, p);
            t.b = cx_at(k, j->dy, pixel * channels + column), t.ldb = channels;
            const int64_t width = cx_panel_width(k, t.columns);
            if (j->pack || t.columns < width) { /* whole vectors would reach past the end of dy */
                cx_pack(k, packed, width, t.b, channels, pixels, t.columns, false);
                t.b = packed, t.ldb = width;
            }
            multiply(j, t, a, j->strip ? (p - first) * 2 * k->lanes : column, &to);
        }
    }
}

static void run_units(void *context, int64_t begin, int64_t end, int worker)
{
    const job *j = context;
    const cx_correlation *c = &j->c;
    const cx_kernels *k = c->k;
    char *mine = j->workers + (size_t)worker * j->worker_size, *strip = mine + j->stretches_size + j->panel_size;
    for (int64_t u = begin; u < end;) {
        const int64_t panel = u % j->panels, part = u / j->panels % j->parts, group = u / j->panels / j->parts;
        const int64_t last = panel + end - u < j->panels ? panel + end - u : j->panels;
        const int64_t channels = c->groups * c->outer, column = panel * 2 * k->lanes;
        u += last - panel;
        if (!j->strip) {
            target to = {.c = j->dw, .ldc = channels, .last = j->l.depth, .onto = j->add};
            if (j->parts > 1) to.c = j->partial + (size_t)part * (partial_size(j) / (size_t)j->parts), to.onto = false;
            run_part(j, group, part, panel, last, to, mine);
            continue;
        }
        const int64_t most = (last - panel) * 2 * k->lanes, left = c->outer - column, n = left < most ? left : most;
        for (int64_t row = 0; row < j->l.depth; row += j->strip) {
            target to = {.c = strip, .ldc = strip_pitch(j, last - panel), .first = row, .last = row + j->strip};
            if (to.last > j->l.depth) to.last = j->l.depth;
            run_part(j, group, part, panel, last, to, mine);
            for (int64_t r = row; r < to.last; r++) {
                void *from = cx_at(k, strip, (r - row) * to.ldc);
                void *dw = cx_at(k, j->dw, r * channels + group * c->outer + column);
                if (!j->add)
                    memcpy(dw, from, (size_t)(n * k->width));
                else
                    (k->width == 4 ? add_row_float : add_row_double)(dw, from, n);
            }
        }
    }
}

size_t cx_conv_kernel_scratch(const cx_conv *c, int *threads)
{
    job j = job_of(c);
    if (cx_choose_kernel(&j.c)) return cx_winograd_kernel_scratch(&j.c, threads);
    int64_t parts = (units_of(&j) + grain(&j) - 1) / grain(&j);
    if (parts < *threads) *threads = parts > 1 ? (int)parts : 1;
    return partial_size(&j) + cx_times((size_t)*threads, j.worker_size);
}

void cx_conv_kernel(const cx_conv *c, const void *x, const void *dy, bool add, void *dw, void *scratch)
{
    job j = job_of(c);
    if (!j.count) return;
    if (cx_choose_kernel(&j.c)) {
        cx_winograd_kernel(&j.c, x, dy, add, dw, scratch);
        return;
    }
    if (!j.blocks || !j.l.depth) {
        if (!add) memset(dw, 0, (size_t)(j.count * j.c.k->width));
        return;
    }
    j.x = x, j.dy = dy, j.add = add, j.dw = dw;
    j.partial = scratch, j.workers = j.partial + partial_size(&j);
    cx_parallel(units_of(&j), grain(&j), run_units, &j);
    if (j.parts == 1) return;
    sum_job s = {.from = j.partial, .columns = j.count, .parts = j.parts, .to = dw, .add = add};
    s.pitch = partial_size(&j) / (size_t)j.parts;
    cx_parallel(j.count, 1 << 14, c->dtype == CX_F32 ? sum_parts_float : sum_parts_double, &s);
}

/* Parts of the rows by their number alone. */
static int64_t row_parts(int64_t rows)
{
    return rows < ROWS ? 1 : rows / ROWS < 64 ? rows / ROWS : 64;
}
static size_t row_pitch(cx_dtype dtype, int64_t columns) /* the sum of a part, and of the rows at hand */
{
    return 2 * cx_line(cx_times((size_t)columns, cx_width(dtype)));
}
size_t cx_sum_rows_scratch(cx_dtype dtype, int64_t rows, int64_t columns)
{
    return cx_times((size_t)row_parts(rows), row_pitch(dtype, columns));
}
void cx_sum_rows(cx_dtype dtype, int64_t rows, int64_t columns, const void *dy, bool add, void *d, void *scratch)
{
    const bool single = dtype == CX_F32;
    if (!columns) return;
    sum_job s = {.from = dy, .rows = rows, .columns = columns, .parts = row_parts(rows), .to = scratch};
    s.pitch = row_pitch(dtype, columns);
    cx_parallel(s.parts, 1 + (1 << 16) / (1 + rows / s.parts * columns), single ? sum_rows_float : sum_rows_double, &s);
    sum_job all = {.from = scratch, .columns = columns, .parts = s.parts, .pitch = s.pitch, .to = d, .add = add};
    (single ? sum_parts_float : sum_parts_double)(&all, 0, columns, 0);
}

#else
static void TYPED(add_row)(void *to, const void *from, int64_t n)
{
    REAL *t = to;
    const REAL *f = from;
    for (int64_t i = 0; i < n; i++) t[i] += f[i];
}

static void TYPED(sum_parts)(void *context, int64_t begin, int64_t end, int worker)
{
    enum { AT_ONCE = 512 };
    const sum_job *j = context;
    REAL *to = j->to;
    (void)worker;
    for (int64_t first = begin; first < end; first += AT_ONCE) {
        const int64_t n = end - first < AT_ONCE ? end - first : AT_ONCE;
        REAL sum[AT_ONCE];
        memcpy(sum, (const REAL *)j->from + first, (size_t)n * sizeof *sum);
        for (int64_t p = 1; p < j->parts; p++) {
            const REAL *from = (const REAL *)(j->from + (size_t)p * j->pitch) + first;
            for (int64_t i = 0; i < n; i++) sum[i] += from[i];
        }
        for (int64_t i = 0; i < n; i++) to[first + i] = j->add ? to[first + i] + sum[i] : sum[i];
    }
}

static void TYPED(sum_rows)(void *context, int64_t begin, int64_t end, int worker)
{
    const sum_job *j = context;
    const int64_t n = j->columns;
    (void)worker;
    for (int64_t p = begin; p < end; p++) {
        const int64_t first = j->rows * p / j->parts, last = j->rows * (p + 1) / j->parts;
        REAL *total = (REAL *)((char *)j->to + (size_t)p * j->pitch);
        REAL *some = (REAL *)((char *)total + j->pitch / 2);
        memset(total, 0, (size_t)n * sizeof *total);
        for (int64_t r = first; r < last; r += ROWS) {
            memset(some, 0, (size_t)n * sizeof *some);
            for (int64_t i = r; i < r + ROWS && i < last; i++) {
                const REAL *row = (const REAL *)j->from + i * n;
                for (int64_t c = 0; c < n; c++) some[c] += row[c];
            }
            for (int64_t c = 0; c < n; c++) total[c] += some[c];
        }
    }
}
#endif
