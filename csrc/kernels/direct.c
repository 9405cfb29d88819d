/* Correlation by tiles: the kernel is packed into panels, then blocks of output rows are multiplied panel by panel. */
#include "conv.h"
#include "gemm.h"
#include <string.h>

enum { PIECES = 16 }; /* units that a call is cut into, so that workers get even shares */

typedef struct {
    const cx_correlation *c;
    cx_layout l;
    int64_t panels, padded; /* of one group; columns with the last panel filled up */
    int64_t stretches;
    const void *x;
    void *y;
    const cx_finish *finish;
    const cx_stretch *stretch;
    const char *packed;
    char *copies;
    size_t sums; /* bytes of a worker: what the library makes, before it is finished */
} job;

static job job_of(const cx_correlation *c)
{
    const cx_kernels *k = c->k;
    job j = {.c = c, .panels = c->blas ? c->outer > 0 : cx_panels(k, c->outer)};
    j.l = cx_lay_out(c, (PIECES + j.panels - 1) / (j.panels ? j.panels : 1));
    j.padded = c->outer;
    if (c->blas) j.sums = cx_line(cx_times((size_t)(j.l.rows * c->axis[1].count), (size_t)(c->outer * k->width)));
    if (j.panels && !c->blas)
        j.padded = (j.panels - 1) * 2 * k->lanes + cx_panel_width(k, cx_panel_columns(k, c->outer, j.panels - 1));
    return j;
}
static size_t packed_size(const job *j)
{
    return cx_line(cx_times((size_t)(j->c->groups * j->padded * j->c->k->width), (size_t)j->l.depth));
}
static size_t stretches_size(const job *j)
{
    return cx_line(cx_times((size_t)j->l.stretches, sizeof(cx_stretch)));
}
static int64_t units(const job *j)
{
    return j->c->groups * j->l.image_blocks * j->l.row_blocks * j->panels;
}
static int64_t columns_of(const job *j, int64_t panel)
{
    return j->c->blas ? j->c->outer : cx_panel_columns(j->c->k, j->c->outer, panel);
}
static int64_t width_of(const job *j, int64_t columns)
{
    return j->c->blas ? columns : cx_panel_width(j->c->k, columns);
}
static int64_t grain(const job *j)
{
    const cx_layout *l = &j->l;
    int64_t pixels = l->images * l->rows * j->c->axis[1].count;
    int64_t flop = (int64_t)cx_times((size_t)(4 * j->c->k->lanes * pixels), (size_t)(l->depth + 1));
    return flop > CX_GRAIN_FLOP / 2 ? 1 : 1 + CX_GRAIN_FLOP / 2 / (flop + 1);
}

typedef struct {
    const job *j;
    const void *w;
    char *packed;
} packing;

static void pack_panels(void *context, int64_t begin, int64_t end, int worker)
{
    const packing *made = context;
    const job *j = made->j;
    const cx_correlation *c = j->c;
    const cx_axis *h = &c->axis[0], *w = &c->axis[1];
    const int64_t last_axis = c->groups * (c->turned ? c->inner : c->outer), wide = 2 * c->k->lanes;
    (void)worker;
    for (int64_t u = begin; u < end;) {
        const int64_t group = u / j->panels, panel = u % j->panels, first = panel * wide;
        const int64_t n = panel + end - u < j->panels ? end - u : j->panels - panel;
        const int64_t columns = c->blas || panel + n == j->panels ? c->outer - first : n * wide;
        void *to = cx_at(c->k, made->packed, (group * j->padded + first) * j->l.depth);
        for (int64_t t = 0; t < h->taps * w->taps; t++) {
            const int64_t p = t / w->taps, q = t % w->taps;
            const int64_t tap = (h->k + p * h->k_step) * c->kernel_width + w->k + q * w->k_step;
            const int64_t at = c->turned ? (tap * c->outer + first) * last_axis + group * c->inner
                                         : tap * c->inner * last_axis + group * c->outer + first;
            const void *from = cx_at(c->k, made->w, at);
            if (c->blas)
                cx_pack(c->k, cx_at(c->k, to, t * c->inner * columns), columns, from, last_axis, c->inner, columns,
                        c->turned);
            else
                cx_pack_panels(c->k, to, j->l.depth, t * c->inner, from, last_axis, c->inner, columns, c->turned);
        }
        u += n;
    }
}

/* `rows` rows of tiles, or one product of the library. */
static void multiply_rows(const job *j, const cx_tile *t, int64_t rows, char *sums)
{
    const cx_correlation *c = j->c;
    if (!c->blas) {
        cx_tiles(c->k, *t, rows, false);
        return;
    }
    void *const made = j->finish ? sums : t->c;
    const int64_t ld = j->finish ? c->outer : t->ldc;
    for (int64_t i = 0; i < rows && !j->l.depth; i++)
        memset(cx_at(c->k, made, i * ld), 0, (size_t)(c->outer * c->k->width));
    if (j->l.depth)
        cx_blas_gemm(c->k->width == 4 ? CX_F32 : CX_F64, rows, c->outer, j->l.depth, t->a, t->lda, t->b, c->outer, made,
                     ld);
    if (j->finish) c->k->finish(&t->finish, sums, c->outer, rows, c->outer, t->c, t->ldc);
}

/* One panel over one block. */
static void multiply(const job *j, const cx_block_of *b, const void *a, int64_t group, int64_t panel, char *sums)
{
    const cx_correlation *c = j->c;
    const cx_kernels *k = c->k;
    const cx_axis *h = &c->axis[0], *w = &c->axis[1];
    const int64_t channels = c->groups * c->outer, first = panel * 2 * k->lanes, column = group * c->outer + first;
    cx_tile t = {.stretch = j->stretch, .stretches = j->stretches, .lda = j->l.lda, .ldc = w->to_step * channels};
    t.columns = (int)columns_of(j, panel);
    t.ldb = width_of(j, t.columns);
    t.b = cx_at(k, j->packed, (group * j->padded + first) * j->l.depth);
    t.finish = (cx_finishing){.how = j->finish, .column = column};
    for (int64_t n = 0; n < b->images; n++)
        for (int64_t i = 0; i < (j->l.flat ? 1 : b->rows); i++) {
            int64_t row = (b->row + i) * h->to_step + h->to;
            int64_t at = (((b->image + n) * h->out + row) * w->out + w->to) * channels + column;
            t.a = cx_at(k, a, n * j->l.image + i * j->l.row);
            t.c = cx_at(k, j->y, at);
            t.finish.at = at;
            if (j->l.flat) {
                multiply_rows(j, &t, b->images * b->rows * w->count, sums);
                return;
            }
            multiply_rows(j, &t, w->count, sums);
        }
}

static void run_units(void *context, int64_t begin, int64_t end, int worker)
{
    const job *j = context;
    char *copy = j->copies + (size_t)worker * (j->l.copied + j->sums), *sums = copy + j->l.copied;
    const int64_t blocks = j->l.image_blocks * j->l.row_blocks;
    for (int64_t u = begin; u < end;) {
        const int64_t group = u / j->panels / blocks, block = u / j->panels % blocks, panel = u % j->panels;
        const int64_t last = panel + end - u < j->panels ? panel + end - u : j->panels;
        cx_block_of b = cx_block_at(j->c, &j->l, block);
        const void *a = cx_block_a(j->c, &j->l, &b, j->x, group, copy);
        for (int64_t p = panel; p < last; p++) multiply(j, &b, a, group, p, sums);
        u += last - panel;
    }
}

size_t cx_direct_scratch(const cx_correlation *c, int *threads)
{
    job j = job_of(c);
    int64_t parts = (units(&j) + grain(&j) - 1) / grain(&j);
    if (parts < *threads) *threads = parts > 1 ? (int)parts : 1;
    return stretches_size(&j) + packed_size(&j) + cx_times((size_t)*threads, j.l.copied + j.sums);
}

static void pack(const job *j, const void *w, void *packed)
{
    packing p = {j, w, packed};
    cx_parallel(j->c->groups * j->panels, 1 + (64 << 10) / (2 * j->c->k->lanes * j->l.depth + 1), pack_panels, &p);
}

void cx_direct_run(const cx_correlation *c, const void *x, const void *w, const void *form, const cx_finish *f, void *y,
                   void *scratch)
{
    job j = job_of(c);
    cx_stretch *stretch = scratch;
    char *packed = (char *)scratch + stretches_size(&j);
    if (!units(&j)) return;
    j.x = x, j.finish = f, j.y = y;
    j.stretches = cx_window_stretches(c, &j.l, stretch), j.stretch = stretch;
    j.copies = packed + packed_size(&j);
    j.packed = form ? form : packed;
    if (!form) pack(&j, w, packed);
    cx_parallel(units(&j), grain(&j), run_units, &j);
}

size_t cx_direct_form(const cx_correlation *c)
{
    const job j = job_of(c);
    return packed_size(&j);
}

void cx_direct_make(const cx_correlation *c, const void *w, void *form)
{
    const job j = job_of(c);
    pack(&j, w, form);
}
