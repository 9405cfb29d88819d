/* The kernel gradient through Winograd's tiles, F(3x3, 4x4): each tile's 6 x 6 inputs and 4 x 4 gradients are
 * transformed; a product for each frequency sums over tiles, dU (panel, frequency, channel, columns) += V^T Y, and is
 * transformed back to nine taps once. Tiles come in blocks of a fixed size, so the sums are the same for any number of
 * threads. */
#include "winograd.h"
#include <string.h>

enum {
    BLOCK = 256,   /* tiles: dU is read and written once for each block */
    SUMS_OF = 128, /* tiles added one by one */
};

typedef struct {
    const cx_correlation *c;
    const cx_winograd *kernels;
    cx_tiling g;
    int64_t panels, wide, blocks, block, ldv;
    int64_t v_step, y_step, u_step; /* from one frequency to the next */
    size_t v, y, u, zeros, stretches;
    const float *x, *dy, *zero;
    float *dw, *V, *Y, *U;
    bool add;
    cx_stretch *stretch;
    int64_t n_stretch, first, tiles; /* of the block at hand */
} job;

static job job_of(const cx_correlation *c)
{
    job j = {.c = c, .kernels = &c->k->winograd[1], .g = cx_tiling_of(c, 4)};
    j.wide = 2 * c->k->lanes, j.panels = cx_panels(c->k, c->outer);
    j.ldv = cx_ceiling(c->inner, c->k->lanes) * c->k->lanes;
    j.blocks = cx_most(cx_ceiling(j.g.tiles, BLOCK), 1), j.block = cx_ceiling(j.g.tiles, j.blocks);
    j.v_step = j.block * j.ldv + CX_APART, j.y_step = j.block * j.wide + CX_APART;
    j.u_step = c->inner * j.wide + CX_APART;
    j.v = cx_floats(j.g.frequencies, j.v_step), j.y = cx_floats(j.g.frequencies * j.panels, j.y_step);
    j.u = cx_floats(j.g.frequencies * j.panels, j.u_step);
    j.zeros = cx_floats(cx_most(c->inner, c->outer), 1);
    j.stretches = cx_line(cx_times((size_t)cx_pieces(j.block, SUMS_OF) + 1, sizeof(cx_stretch)));
    return j;
}

/* What a product of a panel and a frequency must be worth. */
static int64_t grain(const job *j)
{
    const size_t flop = cx_times((size_t)(2 * j->block), (size_t)(j->c->inner * j->wide));
    return flop > CX_GRAIN_FLOP ? 1 : 1 + CX_GRAIN_FLOP / ((int64_t)flop + 1);
}
static int64_t units(const job *j)
{
    return j->panels * j->g.frequencies;
}

static void transform(void *context, int64_t begin, int64_t end, int worker)
{
    const job *j = context;
    const cx_correlation *c = j->c;
    const int64_t height = c->axis[0].count, width = c->axis[1].count;
    (void)worker;
    cx_transform_input(&j->g, j->kernels->input, j->x, j->zero, j->first + begin, j->first + end, j->V + begin * j->ldv,
                       j->ldv, j->v_step);
    for (int64_t t = begin; t < end; t++) {
        const cx_tile_place p = cx_tile_at(&j->g, j->first + t);
        const float *image = j->dy + p.image * height * width * c->outer, *pixel[16];
        for (int64_t panel = 0; panel < j->panels; panel++) {
            const int64_t first = panel * j->wide;
            for (int64_t i = 0; i < 16; i++) {
                const int64_t row = p.row + i / 4, column = p.column + i % 4;
                const bool there = row < height && column < width;
                pixel[i] = there ? image + (row * width + column) * c->outer + first : j->zero;
            }
            const cx_winograd_input tile = {.pixel = pixel,
                                            .v = j->Y + panel * j->g.frequencies * j->y_step + t * j->wide,
                                            .channels = cx_least(c->outer - first, j->wide),
                                            .step = j->y_step};
            j->kernels->spread(&tile);
        }
    }
}

static void multiply(void *context, int64_t begin, int64_t end, int worker)
{
    const job *j = context;
    const cx_correlation *c = j->c;
    (void)worker;
    for (int64_t u = begin; u < end; u++) {
        const int64_t columns = cx_panel_columns(c->k, c->outer, u / j->g.frequencies);
        const cx_tile t = {.stretch = j->stretch,
                           .stretches = j->n_stretch,
                           .a = j->V + u % j->g.frequencies * j->v_step,
                           .b = j->Y + u * j->y_step,
                           .onto = j->first > 0,
                           .c = j->U + u * j->u_step,
                           .lda = j->ldv,
                           .ldb = j->wide,
                           .ldc = j->wide,
                           .columns = (int)cx_panel_width(c->k, columns)};
        cx_tiles(c->k, t, c->inner, true);
    }
}

static void transform_back(void *context, int64_t begin, int64_t end, int worker)
{
    const job *j = context;
    const cx_correlation *c = j->c;
    const int64_t strips = cx_ceiling(c->inner, CX_STRIP);
    _Alignas(64) float taps[9 * CX_STRIP * 2 * CX_MOST_LANES];
    (void)worker;
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t panel = unit / strips, row = unit % strips * CX_STRIP, first = panel * j->wide;
        const int64_t rows = cx_least(CX_STRIP, c->inner - row), columns = cx_least(c->outer - first, j->wide);
        const float *m = j->U + panel * j->g.frequencies * j->u_step + row * j->wide;
        j->kernels->gather(m, j->u_step, rows * j->wide, taps, rows * j->wide);
        for (int64_t r = 0; r < 9 * rows; r++) {
            const float *from = taps + r * j->wide;
            float *to = j->dw + (r / rows * c->inner + row + r % rows) * c->outer + first;
            if (!j->add)
                memcpy(to, from, (size_t)columns * sizeof *to);
            else
                for (int64_t k = 0; k < columns; k++) to[k] += from[k];
        }
    }
}

size_t cx_winograd_kernel_scratch(const cx_correlation *c, int *threads)
{
    const job j = job_of(c);
    const int64_t parts = cx_ceiling(units(&j), grain(&j));
    if (parts < *threads) *threads = (int)cx_most(parts, 1);
    return j.stretches + j.zeros + j.v + j.y + j.u;
}

void cx_winograd_kernel(const cx_correlation *c, const void *x, const void *dy, bool add, void *dw, void *scratch)
{
    job j = job_of(c);
    if (!j.g.tiles) {
        if (!add) memset(dw, 0, (size_t)(9 * c->inner * c->outer) * sizeof(float));
        return;
    }
    float *zero = (float *)((char *)scratch + j.stretches);
    memset(zero, 0, j.zeros);
    j.stretch = scratch, j.zero = zero;
    j.V = (float *)((char *)zero + j.zeros), j.Y = (float *)((char *)j.V + j.v), j.U = (float *)((char *)j.Y + j.y);
    j.x = x, j.dy = dy, j.dw = dw, j.add = add;
    for (int64_t b = 0; b < j.blocks; b++) {
        int64_t open = 0;
        j.first = j.g.tiles * b / j.blocks, j.tiles = j.g.tiles * (b + 1) / j.blocks - j.first;
        j.n_stretch = cx_stretch_end(j.stretch, cx_stretch_on(j.stretch, 0, &open, 0, j.tiles, j.ldv, SUMS_OF));
        cx_parallel(j.tiles, 1 + CX_GRAIN_FLOP / (8 * j.g.frequencies * (c->inner + c->outer)), transform, &j);
        cx_parallel(units(&j), grain(&j), multiply, &j);
    }
    cx_parallel(j.panels * cx_ceiling(c->inner, CX_STRIP), 1 + (64 << 10) / (CX_STRIP * j.wide * j.g.frequencies),
                transform_back, &j);
}
