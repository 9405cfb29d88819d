/* Depthwise convolution and its input gradient with x and the kernel read in place. A row of y is made in runs of
 * pixels, a share of the channels at a time: runs one below the other see the same pixels, which stay in the first
 * cache. What a run sees beyond x counts as zeros, rows beyond x are left out. */
#include "conv.h"

enum {
    STRIP = 32,      /* rows that a task prepares at once */
    SEEN = 24 << 10, /* bytes of x that the runs of one row may see */
};

/* A row of y: its first row of x, its first row of the kernel and the steps to the next ones. */
typedef struct {
    int64_t x, x_step, k, k_step, taps;
} row_of;

typedef struct {
    const cx_conv *c;
    const cx_kernels *k;
    bool turned;
    cx_depthwise_kind kind;
    cx_axis w;
    int64_t pixels, runs, first; /* of a run; of a row; the first run's first pixel, -1 where none is there */
    int64_t columns;             /* that a run sees */
    int64_t in[2], out[2];       /* of x and y */
    int64_t share, shares;       /* of channels */
    const void *x, *kernel;
    const cx_finish *finish;
    void *y;
} job;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static cx_depthwise_kind kind_of(const cx_axis *w)
{
    if (w->at_step != 1 || w->step > 2) return CX_DEPTHWISE_ANY;
    if (w->taps == 3) return w->step == 1 ? CX_DEPTHWISE_3 : CX_DEPTHWISE_3_BY_2;
    if (w->taps == 5) return w->step == 1 ? CX_DEPTHWISE_5 : CX_DEPTHWISE_5_BY_2;
    return CX_DEPTHWISE_ANY;
}

bool cx_depthwise_direct(const cx_conv *c, bool turned)
{
    if (c->filters != 1) return false;
    if (!turned || c->stride[1] == 1) return true;
    return c->stride[1] == 2 && c->dilation[1] == 1 && (c->size[1] == 3 || c->size[1] == 5);
}

static job job_of(const cx_conv *c, bool turned)
{
    job j = {.c = c, .k = cx_kernels_of(c->dtype), .turned = turned, .pixels = CX_DEPTHWISE_RUN};
    for (int d = 0; d < 2; d++) j.in[d] = turned ? c->out[d] : c->in[d], j.out[d] = turned ? c->in[d] : c->out[d];
    if (turned && c->stride[1] == 2) {
        const int64_t lead = (c->size[1] - 1) / 2;
        j.kind = c->size[1] == 3 ? CX_DEPTHWISE_3_SPREAD : CX_DEPTHWISE_5_SPREAD;
        j.pixels = CX_DEPTHWISE_SPREAD, j.first = -(c->before[1] & 1);
        j.w = (cx_axis){.at = (c->before[1] + j.first) / 2 - lead, .k_step = 1};
        j.columns = lead + CX_DEPTHWISE_SPREAD / 2;
    } else {
        j.w = turned ? cx_axis_input(c, 1, 0) : cx_axis_output(c, 1);
        j.kind = kind_of(&j.w);
        j.columns = (j.pixels - 1) * j.w.step + cx_axis_span(&j.w);
    }
    j.runs = (j.out[1] - j.first + j.pixels - 1) / j.pixels;
    const int64_t lanes = j.k->lanes, seen = (int64_t)cx_times((size_t)c->size[0], (size_t)j.columns) * lanes;
    const int64_t most = seen < SEEN ? SEEN / (seen * j.k->width) : 0;
    j.share = lanes * (most > 4 ? most : 4);
    j.shares = (c->groups + j.share - 1) / j.share;
    if (j.shares) j.share = ((c->groups + j.shares - 1) / j.shares + lanes - 1) / lanes * lanes;
    return j;
}
static int64_t units(const job *j)
{
    return j->c->images * j->shares * j->out[0];
}
static int64_t grain(const job *j)
{
    const size_t elements = cx_times((size_t)j->out[1], (size_t)least(j->share, j->c->groups));
    const int64_t work = (int64_t)cx_times(elements, (size_t)(j->c->size[0] * j->c->size[1] + 2));
    return 1 + CX_GRAIN_FLOP / 8 / (work + 1);
}

static row_of find_row(const job *j, int64_t row)
{
    const int64_t stride = j->turned ? j->c->stride[0] : 1;
    const cx_axis h = j->turned ? cx_axis_input(j->c, 0, row % stride) : cx_axis_output(j->c, 0);
    const int64_t at = row / stride * h.step + h.at;
    int64_t first = 0, last = h.taps;
    while (first < last && at + first * h.at_step < 0) first++;
    while (last > first && at + (last - 1) * h.at_step >= h.in) last--;
    return (row_of){at + first * h.at_step, h.at_step, h.k + first * h.k_step, h.k_step, last - first};
}

/* The run's pixels from `pixel` on, in one row: whole vectors of channels apart where the run lies inside. */
static void run(const job *j, cx_depthwise_run *r, int64_t pixel, int64_t column)
{
    void (*const *f)(const cx_depthwise_run *) = j->k->depthwise_runs[j->kind];
    const int64_t inside = r->channels / j->k->lanes * j->k->lanes, rest = r->channels - inside;
    r->begin = column < 0 ? -column : 0, r->end = j->in[1] - column;
    r->first = pixel < 0 ? -pixel : 0, r->last = least(j->out[1] - pixel, j->pixels);
    if (r->begin || r->end < j->columns || r->first || r->last < j->pixels) {
        f[1](r);
        return;
    }
    r->channels = inside;
    f[0](r);
    if (!rest) return;
    r->channels = rest, r->finish.column += inside, r->finish.at += inside;
    r->x = cx_at(j->k, r->x, inside), r->w = cx_at(j->k, r->w, inside);
    f[1](r);
}

static void run_rows(const job *j, int64_t image, int64_t from, int64_t first, int64_t n)
{
    const int64_t channels = j->c->groups, pitch = j->in[1] * channels, kernel_row = j->c->size[1] * channels;
    row_of row[STRIP];
    for (int64_t i = 0; i < n; i++) row[i] = find_row(j, first + i);
    for (int64_t b = 0; b < j->runs; b++) {
        const int64_t pixel = j->first + b * j->pixels;
        const int64_t column =
            j->kind >= CX_DEPTHWISE_3_SPREAD ? j->w.at + b * (j->pixels / 2) : pixel * j->w.step + j->w.at;
        for (int64_t i = 0; i < n; i++) {
            cx_depthwise_run r = {
                .x = cx_at(j->k, j->x, (image * j->in[0] + row[i].x) * pitch + column * channels + from),
                .w = cx_at(j->k, j->kernel, row[i].k * kernel_row + j->w.k * channels + from),
                .y = j->y,
                .finish = {j->finish, ((image * j->out[0] + first + i) * j->out[1] + pixel) * channels + from, from},
                .rows = row[i].taps,
                .row = row[i].x_step * pitch,
                .ldx = channels,
                .w_row = row[i].k_step * kernel_row,
                .w_tap = j->w.k_step * channels,
                .ldy = channels,
                .channels = least(j->share, channels - from),
                .taps = j->w.taps,
                .step = j->w.step,
                .at_step = j->w.at_step};
            run(j, &r, pixel, column);
        }
    }
}

static void run_units(void *context, int64_t begin, int64_t end, int worker)
{
    const job *j = context;
    (void)worker;
    while (begin < end) {
        const int64_t row = begin % j->out[0], block = begin / j->out[0];
        const int64_t n = least(least(j->out[0] - row, STRIP), end - begin);
        run_rows(j, block / j->shares, block % j->shares * j->share, row, n);
        begin += n;
    }
}

void cx_depthwise_direct_run(const cx_conv *c, bool turned, const void *x, const void *w, const cx_finish *f, void *y)
{
    job j = job_of(c, turned);
    if (!units(&j) || !j.out[1]) return;
    j.x = x, j.kernel = w, j.finish = f, j.y = y;
    cx_parallel(units(&j), grain(&j), run_units, &j);
}
int cx_depthwise_direct_threads(const cx_conv *c, bool turned, int most)
{
    const job j = job_of(c, turned);
    const int64_t parts = (units(&j) + grain(&j) - 1) / grain(&j);
    return parts < most ? parts > 1 ? (int)parts : 1 : most;
}
