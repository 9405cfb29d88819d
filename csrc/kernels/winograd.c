/* Winograd's convolution: tiles of the image and the kernel are transformed, one matrix product for each frequency
 * takes the place of nine taps, and the products are transformed back: F(4x4, 3x3) multiplies a quarter as often as the
 * direct way, F(2x2, 3x3) four ninths.
 *
 * V (frequency, tile, channel) times U (panel, frequency, channel, columns) gives M (frequency, tile, columns), a group
 * of panels at a time. With many tiles every worker takes its share of them through all steps, a block at a time (V and
 * M stay in its cache); with few tiles or a large kernel V is shared and the workers take panels, or some tiles of one,
 * so that each reads its part of U once. Neither changes an element's arithmetic. */
#include "winograd.h"
#include <string.h>

enum {
    TILES = 2 * CX_MOST_ROWS,     /* of a worker's own block: two products high */
    FEWEST_TILES = CX_MOST_ROWS,  /* below, U is read too often */
    OWN_TILES = 4 * FEWEST_TILES, /* of all images; fewer are shared */
    SHARED_TILES = 196,           /* of a block that is shared */
    V_BYTES = 1100 << 10,         /* of a worker's own block */
    U_BYTES = 6 << 20,            /* above, U comes from far: it should be read once */
    M_BYTES = CX_L2 / 2,          /* of a group of panels */
};

typedef struct {
    const cx_correlation *c;
    const cx_winograd *kernels;
    cx_tiling g;
    int64_t panels, wide, width;  /* wide: columns of a panel; width: of the last one */
    int64_t blocks, block, group; /* blocks of all tiles; tiles of one at most, panels of a group */
    bool shared;
    int64_t ldv, v_step, m_step; /* from one frequency to the next; u_step by panel */
    size_t u, v, m, zeros, stretches;
    const float *x, *kernel;
    float *y;
    const cx_finish *finish;
    const cx_stretch *stretch;
    int64_t n_stretch;
    const float *zero;
    char *scratch;       /* V if shared, then the workers' parts */
    int64_t first, last; /* tiles of the shared block */
} job;

/* U: panels of `width` columns, in each the frequencies, in each the channels. */
static int64_t u_step(const cx_correlation *c, int64_t width)
{
    return c->inner * width + CX_APART;
}

static job job_of(const cx_correlation *c)
{
    job j = {.c = c, .g = cx_tiling_of(c, c->algorithm == CX_WINOGRAD4 ? 4 : 2)};
    j.kernels = &c->k->winograd[j.g.size == 4];
    j.wide = 2 * c->k->lanes, j.panels = cx_panels(c->k, c->outer);
    j.width = j.panels ? cx_panel_width(c->k, cx_panel_columns(c->k, c->outer, j.panels - 1)) : 0;
    j.ldv = cx_ceiling(c->inner, c->k->lanes) * c->k->lanes;
    j.u = cx_floats(j.g.frequencies, cx_most(j.panels - 1, 0) * u_step(c, j.wide) + u_step(c, j.width));

    const int64_t fits = V_BYTES / (int64_t)sizeof(float) / (j.g.frequencies * j.ldv);
    j.shared = fits < FEWEST_TILES || (j.u > U_BYTES && j.g.tiles < 16 * TILES) || j.g.tiles < OWN_TILES;
    j.blocks = cx_most(cx_ceiling(j.g.tiles, j.shared ? SHARED_TILES : cx_least(fits, TILES)), 1);
    j.block = cx_ceiling(j.g.tiles, j.blocks);
    j.v_step = j.block * j.ldv + CX_APART, j.m_step = j.block * j.wide + CX_APART;
    j.v = cx_floats(j.g.frequencies, j.v_step);
    j.group = cx_most(cx_least(M_BYTES / (int64_t)cx_floats(j.g.frequencies, j.m_step), j.panels), 1);
    j.m = cx_floats(j.g.frequencies * j.group, j.m_step);
    j.zeros = cx_floats(j.ldv, 1);
    j.stretches = cx_line(cx_times((size_t)cx_pieces(c->inner, CX_CHAIN) + 1, sizeof(cx_stretch)));
    return j;
}

/* Units of the split: tiles, or tiles of a panel of the shared block; and how many of them are worth a worker. */
static int64_t units(const job *j)
{
    return j->shared ? j->panels * j->block : j->g.tiles;
}
static int64_t grain(const job *j)
{
    const int64_t columns = j->shared ? j->wide : j->c->outer;
    const size_t flop = cx_times((size_t)(2 * j->g.frequencies), (size_t)(j->c->inner * columns));
    return flop > CX_GRAIN_FLOP ? 1 : 1 + CX_GRAIN_FLOP / ((int64_t)flop + 1);
}

/* Panels of the plain kernel, some rows of all taps at a time, then their transform. */
typedef struct {
    const job *j;
    const float *w;
    float *u;
} weighing;

static void weigh_strips(void *context, int64_t begin, int64_t end, int worker)
{
    const weighing *made = context;
    const job *j = made->j;
    const cx_correlation *c = j->c;
    const cx_axis *h = &c->axis[0], *w = &c->axis[1];
    const int64_t strips = cx_ceiling(c->inner, CX_STRIP), last_axis = c->turned ? c->inner : c->outer;
    _Alignas(64) float taps[9 * CX_STRIP * 2 * CX_MOST_LANES];
    (void)worker;
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t panel = unit / strips, row = unit % strips * CX_STRIP, rows = cx_least(CX_STRIP, c->inner - row);
        const int64_t columns = cx_panel_columns(c->k, c->outer, panel), width = cx_panel_width(c->k, columns);
        const int64_t first = panel * j->wide;
        for (int64_t t = 0; t < 9; t++) {
            const int64_t tap = (h->k + t / 3 * h->k_step) * c->kernel_width + w->k + t % 3 * w->k_step;
            const int64_t at =
                c->turned ? (tap * c->outer + first) * last_axis + row : (tap * c->inner + row) * last_axis + first;
            cx_pack(c->k, taps + t * rows * width, width, made->w + at, last_axis, rows, columns, c->turned);
        }
        float *u = made->u + panel * j->g.frequencies * u_step(c, j->wide) + row * width;
        j->kernels->kernel(taps, rows * width, rows * width, u, u_step(c, width));
    }
}

static void weigh(const job *j, const void *w, void *u)
{
    weighing made = {j, w, u};
    const int64_t strips = cx_ceiling(j->c->inner, CX_STRIP);
    cx_parallel(j->panels * strips, 1 + (64 << 10) / (CX_STRIP * j->wide * j->g.frequencies), weigh_strips, &made);
}

static void multiply(const job *j, int64_t tiles, int64_t panel, int64_t frequency, const float *v, float *m)
{
    const cx_correlation *c = j->c;
    const int64_t width = panel + 1 < j->panels ? j->wide : j->width;
    const cx_tile t = {.stretch = j->stretch,
                       .stretches = j->n_stretch,
                       .a = v + frequency * j->v_step,
                       .b = j->kernel + panel * j->g.frequencies * u_step(c, j->wide) + frequency * u_step(c, width),
                       .c = m + frequency * j->m_step,
                       .lda = j->ldv,
                       .ldb = width,
                       .ldc = j->wide,
                       .columns = (int)width};
    cx_tiles(c->k, t, tiles, false);
}

static void transform_back(const job *j, int64_t begin, int64_t end, int64_t panel, const float *m)
{
    const cx_correlation *c = j->c;
    const int64_t height = c->axis[0].count, width = c->axis[1].count, first = panel * j->wide;
    cx_winograd_output tile = {.row = width * c->outer, .column = c->outer, .step = j->m_step};
    tile.channels = cx_least(c->outer - first, j->wide);
    for (int64_t t = begin; t < end; t++, m += j->wide) {
        const cx_tile_place p = cx_tile_at(&j->g, t);
        const int64_t at = ((p.image * height + p.row) * width + p.column) * c->outer + first;
        tile.rows = cx_least(j->g.size, height - p.row), tile.columns = cx_least(j->g.size, width - p.column);
        tile.m = m, tile.y = j->y + at, tile.finish = (cx_finishing){j->finish, at, first};
        j->kernels->output(&tile);
    }
}

static void run_panels(const job *j, int64_t begin, int64_t end, int64_t first, int64_t last, const float *v, float *m)
{
    const int64_t one = j->g.frequencies * j->m_step;
    for (int64_t group = first; group < last; group += j->group) {
        const int64_t n = cx_least(j->group, last - group);
        for (int64_t f = 0; f < j->g.frequencies; f++)
            for (int64_t p = 0; p < n; p++) multiply(j, end - begin, group + p, f, v, m + p * one);
        for (int64_t p = 0; p < n; p++) transform_back(j, begin, end, group + p, m + p * one);
    }
}

static void transform(const job *j, int64_t begin, int64_t end, float *v)
{
    cx_transform_input(&j->g, j->kernels->input, j->x, j->zero, begin, end, v, j->ldv, j->v_step);
}

static void run_tiles(void *context, int64_t begin, int64_t end, int worker)
{
    const job *j = context;
    const int64_t tiles = end - begin, blocks = cx_ceiling(tiles, j->block);
    float *v = (float *)(j->scratch + (size_t)worker * (j->v + j->m)), *m = (float *)((char *)v + j->v);
    for (int64_t b = 0; b < blocks; b++) {
        const int64_t first = begin + tiles * b / blocks, last = begin + tiles * (b + 1) / blocks;
        transform(j, first, last, v);
        run_panels(j, first, last, 0, j->panels, v, m);
    }
}

static void transform_shared(void *context, int64_t begin, int64_t end, int worker)
{
    const job *j = context;
    (void)worker;
    transform(j, j->first + begin, j->first + end, (float *)j->scratch + begin * j->ldv);
}
static void run_shared(void *context, int64_t begin, int64_t end, int worker)
{
    const job *j = context;
    const float *v = (const float *)j->scratch;
    float *m = (float *)(j->scratch + j->v + (size_t)worker * j->m);
    const int64_t tiles = j->last - j->first;
    for (int64_t u = begin; u < end;) {
        const int64_t panel = u / tiles, from = u % tiles, whole = from ? 0 : (end - u) / tiles;
        const int64_t to = whole ? tiles : cx_least(from + end - u, tiles);
        run_panels(j, j->first + from, j->first + to, panel, panel + cx_most(whole, 1), v + from * j->ldv, m);
        u += (to - from) * cx_most(whole, 1);
    }
}

size_t cx_winograd_scratch(const cx_correlation *c, int *threads)
{
    const job j = job_of(c);
    const int64_t parts = cx_ceiling(units(&j), grain(&j));
    if (parts < *threads) *threads = (int)cx_most(parts, 1);
    const size_t workers = cx_times((size_t)*threads, j.m + (j.shared ? 0 : j.v));
    return j.stretches + j.zeros + j.u + (j.shared ? j.v : 0) + workers;
}

void cx_winograd_run(const cx_correlation *c, const void *x, const void *w, const void *form, const cx_finish *f,
                     void *y, void *scratch)
{
    job j = job_of(c);
    cx_stretch *stretch = scratch;
    float *zero = (float *)((char *)scratch + j.stretches), *u = (float *)((char *)zero + j.zeros);
    int64_t open = 0;
    if (!j.g.tiles || !j.panels) return;
    j.n_stretch = cx_stretch_end(stretch, cx_stretch_on(stretch, 0, &open, 0, c->inner, 1, CX_CHAIN));
    memset(zero, 0, j.zeros);
    j.x = x, j.finish = f, j.y = y, j.stretch = stretch, j.zero = zero;
    j.kernel = form ? form : u;
    j.scratch = (char *)u + j.u;
    if (!form) weigh(&j, w, u);
    if (!j.shared) {
        cx_parallel(units(&j), grain(&j), run_tiles, &j);
        return;
    }
    for (int64_t b = 0; b < j.blocks; b++) {
        j.first = j.g.tiles * b / j.blocks, j.last = j.g.tiles * (b + 1) / j.blocks;
        cx_parallel(j.last - j.first, 1, transform_shared, &j); /* the team is what the products are worth */
        cx_parallel(j.panels * (j.last - j.first), grain(&j), run_shared, &j);
    }
}

size_t cx_winograd_form(const cx_correlation *c)
{
    const job j = job_of(c);
    return j.u;
}
void cx_winograd_make(const cx_correlation *c, const void *w, void *form)
{
    const job j = job_of(c);
    weigh(&j, w, form);
}
