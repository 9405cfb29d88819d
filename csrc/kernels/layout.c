/* The geometry of correlations, and how blocks of their input lie in memory. */
#include "conv.h"
#include "gemm.h"
#include <string.h>

enum { NARROW = 7 }; /* rows of fewer pixels than this leave a tile half empty: patches of several rows fill it */

cx_axis cx_axis_output(const cx_conv *c, int d)
{
    return (cx_axis){.in = c->in[d],
                     .out = c->out[d],
                     .count = c->out[d],
                     .step = c->out[d] > 1 ? c->stride[d] : 1,
                     .to_step = 1,
                     .taps = c->size[d],
                     .at = -c->before[d],
                     .at_step = c->dilation[d],
                     .k_step = 1};
}

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b, b = rest;
    }
    return a;
}

/* Row r of dx meets tap p where r + before - p * dilation is a multiple of the stride, at that row of dy. Such p are
 * `every` apart; going down in p goes up in dy. */
cx_axis cx_axis_input(const cx_conv *c, int d, int64_t phase)
{
    const int64_t stride = c->stride[d], dilation = c->dilation[d];
    cx_axis a = {.in = c->out[d], .out = c->in[d], .step = 1, .to = phase, .to_step = stride};
    const int64_t every = stride / common_divisor(stride, dilation);
    int64_t first = 0;
    a.count = phase < c->in[d] ? (c->in[d] - phase + stride - 1) / stride : 0;
    while (first < every && (phase + c->before[d] - first * dilation) % stride) first++;
    if (first == every || first >= c->size[d]) return a;
    a.taps = (c->size[d] - first + every - 1) / every;
    a.k = first + (a.taps - 1) * every, a.k_step = -every;
    a.at = (phase + c->before[d] - a.k * dilation) / stride, a.at_step = every * dilation / stride;
    return a;
}

static bool may_use_blas(const cx_correlation *c)
{
    return cx_get_isa() == CX_PORTABLE && c->axis[0].taps * c->axis[1].taps * c->inner < INT32_MAX &&
           c->groups * c->outer < INT32_MAX && cx_blas_ready();
}

/* A 1 x 1 window that moves by one pixel sees the pixels of all images as one long column. */
static void flatten(cx_correlation *c)
{
    const cx_axis *h = &c->axis[0], *w = &c->axis[1];
    for (int d = 0; d < 2; d++) {
        const cx_axis *a = &c->axis[d];
        if (a->taps != 1 || a->step != 1 || a->to_step != 1 || a->at || a->in != a->count || a->out != a->count) return;
    }
    if (c->groups != 1) return;
    int64_t pixels = c->images * h->count * w->count;
    c->images = 1;
    c->axis[0].in = c->axis[0].out = c->axis[0].count = pixels;
    c->axis[1].in = c->axis[1].out = c->axis[1].count = 1;
}

cx_correlation cx_correlation_output(const cx_conv *c, bool blas)
{
    cx_correlation r = {.k = cx_kernels_of(c->dtype),
                        .axis = {cx_axis_output(c, 0), cx_axis_output(c, 1)},
                        .images = c->images,
                        .groups = c->groups,
                        .inner = c->channels,
                        .outer = c->filters,
                        .kernel_width = c->size[1]};
    r.algorithm = cx_choose(&r);
    r.blas = blas && !r.algorithm && may_use_blas(&r);
    if (!r.blas) flatten(&r);
    return r;
}

cx_correlation cx_correlation_input(const cx_conv *c, int64_t phase_h, int64_t phase_w)
{
    cx_correlation r = {.k = cx_kernels_of(c->dtype),
                        .axis = {cx_axis_input(c, 0, phase_h), cx_axis_input(c, 1, phase_w)},
                        .images = c->images,
                        .groups = c->groups,
                        .inner = c->filters,
                        .outer = c->channels,
                        .kernel_width = c->size[1],
                        .turned = true};
    r.algorithm = cx_choose(&r);
    r.blas = !r.algorithm && may_use_blas(&r);
    if (!r.blas) flatten(&r);
    return r;
}

static bool inside(const cx_axis *a)
{
    return a->at >= 0 && (a->count - 1) * a->step + a->at + cx_axis_span(a) <= a->in;
}
static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

cx_layout cx_lay_out(const cx_correlation *c, int64_t blocks)
{
    const cx_axis *h = &c->axis[0], *w = &c->axis[1];
    const int64_t size = c->k->width, taps = h->taps * w->taps;
    cx_layout l = {.merged = w->taps <= 1 || w->at_step == 1, .depth = taps * c->inner};
    const int64_t run = l.merged ? w->taps * c->inner : c->inner;
    const bool direct = h->to_step == 1 && w->to_step == 1;
    const bool column = direct && taps == 1 && h->step == 1 && h->in == h->count && w->in == 1 && w->count == 1;
    l.stretches = 1 + (run ? taps * c->inner / run : 0) * cx_pieces(run, CX_CHAIN);
    l.copy = c->groups > 1 || !taps || !inside(h) || !inside(w);
    l.flat = !l.copy && column;
    l.patches = taps && (c->blas || (!l.flat && direct && w->count < NARROW));
    if (l.patches) l.copy = true, l.flat = direct;

    int64_t row_bytes, extra = 0; /* of one output row; rows that a block has beyond its own */
    l.width = taps ? (w->count - 1) * w->step + cx_axis_span(w) : 1;
    if (l.patches) {
        row_bytes = (int64_t)cx_times((size_t)(w->count * size), (size_t)l.depth);
        l.lda = l.depth, l.row = w->count * l.depth;
    } else {
        int64_t pixels = l.copy ? l.width : w->in, pixel = l.copy ? c->inner : c->inner * c->groups;
        row_bytes = (int64_t)cx_times((size_t)(pixels * h->step), (size_t)(c->inner * size));
        extra = taps ? (cx_axis_span(h) - 1) / h->step : 0;
        l.row = h->step * pixels * pixel, l.lda = l.flat ? l.row : w->step * pixel;
    }
    const int64_t flop = most((int64_t)cx_times((size_t)(2 * w->count * l.depth), (size_t)c->outer), 1);
    const int64_t all = c->images * h->count;
    const int64_t fits = CX_L2 / most(row_bytes, 1) - extra;
    int64_t share = most((all + blocks - 1) / blocks, (CX_GRAIN_FLOP + flop - 1) / flop);
    if (c->blas) share = h->count; /* whatever the batch */
    l.rows = most(least(least(fits, share), h->count), 1);
    l.piece = l.flat && !l.copy && l.rows > c->k->rows ? c->k->rows : 1;
    l.pieces = (h->count + l.piece - 1) / l.piece;
    l.row_blocks = (h->count + l.rows - 1) / l.rows;
    if (l.row_blocks) l.rows = least((l.pieces + l.row_blocks - 1) / l.row_blocks * l.piece, h->count);
    l.images = l.rows >= h->count && !c->blas ? most(least(least(fits, share) / most(h->count, 1), c->images), 1) : 1;
    l.image_blocks = (c->images + l.images - 1) / l.images;
    l.height = taps ? (l.rows - 1) * h->step + cx_axis_span(h) : 1;
    if (l.flat || l.patches)
        l.image = h->count * l.row;
    else
        l.image = l.copy ? l.height * l.width * c->inner : h->in * w->in * c->inner * c->groups;
    if (l.copy) l.copied = cx_times((size_t)(l.images * size), (size_t)(l.patches ? l.rows * l.row : l.image));
    l.copied = cx_line(l.copied);
    return l;
}

cx_block_of cx_block_at(const cx_correlation *c, const cx_layout *l, int64_t i)
{
    const int64_t at = i % l->row_blocks;
    cx_block_of b = {.image = i / l->row_blocks * l->images, .row = l->pieces * at / l->row_blocks * l->piece};
    b.images = least(l->images, c->images - b.image);
    b.rows = least(l->pieces * (at + 1) / l->row_blocks * l->piece, c->axis[0].count) - b.row;
    return b;
}

/* n pixels of one image row from pixel `first` on, `inner` channels of each; zeros outside [0, in). row NULL: all. */
static char *copy_pixels(char *to, const char *row, int64_t first, int64_t n, int64_t in, size_t pitch, size_t pixel)
{
    int64_t left = row ? least(most(-first, 0), n) : n, right = row ? least(most(first + n - in, 0), n - left) : 0;
    memset(to, 0, (size_t)left * pixel);
    to += (size_t)left * pixel;
    int64_t middle = n - left - right;
    if (middle && pitch == pixel) {
        memcpy(to, row + (size_t)(first + left) * pitch, (size_t)middle * pixel);
    } else {
        for (int64_t i = 0; i < middle; i++)
            memcpy(to + (size_t)i * pixel, row + (size_t)(first + left + i) * pitch, pixel);
    }
    to += (size_t)middle * pixel;
    memset(to, 0, (size_t)right * pixel);
    return to + (size_t)right * pixel;
}

const void *cx_block_a(const cx_correlation *c, const cx_layout *l, const cx_block_of *b, const void *x, int64_t group,
                       void *copy)
{
    const cx_axis *h = &c->axis[0], *w = &c->axis[1];
    const size_t pixel = (size_t)(c->inner * c->k->width), pitch = pixel * (size_t)c->groups;
    const char *from = (const char *)x + (size_t)group * pixel;
    char *to = copy;
    if (!l->depth) return copy; /* nothing will be read */
    if (!l->copy) return from + (size_t)((b->image * h->in + b->row * h->step + h->at) * w->in + w->at) * pitch;
    for (int64_t n = b->image; n < b->image + b->images; n++) {
        const char *image = from + (size_t)(n * h->in * w->in) * pitch;
        if (!l->patches) {
            to = (char *)copy + (size_t)((n - b->image) * l->image * c->k->width);
            int64_t height = (b->rows - 1) * h->step + cx_axis_span(h), first = b->row * h->step + h->at;
            for (int64_t r = first; r < first + height; r++) {
                bool out = r < 0 || r >= h->in;
                to = copy_pixels(to, out ? NULL : image + (size_t)(r * w->in) * pitch, w->at, l->width, w->in, pitch,
                                 pixel);
            }
            continue;
        }
        for (int64_t i = b->row; i < b->row + b->rows; i++)
            for (int64_t j = 0; j < w->count; j++)
                for (int64_t p = 0; p < h->taps; p++) {
                    int64_t r = i * h->step + h->at + p * h->at_step, s = j * w->step + w->at;
                    const char *row = r < 0 || r >= h->in ? NULL : image + (size_t)(r * w->in) * pitch;
                    if (l->merged)
                        to = copy_pixels(to, row, s, w->taps, w->in, pitch, pixel);
                    else
                        for (int64_t q = 0; q < w->taps; q++)
                            to = copy_pixels(to, row, s + q * w->at_step, 1, w->in, pitch, pixel);
                }
    }
    return copy;
}

int64_t cx_window_stretches(const cx_correlation *c, const cx_layout *l, cx_stretch *s)
{
    const cx_axis *h = &c->axis[0], *w = &c->axis[1];
    const int64_t pixel = l->copy ? c->inner : c->inner * c->groups, row = (l->copy ? l->width : w->in) * pixel;
    const int64_t n = l->merged ? w->taps * c->inner : c->inner, across = l->merged ? 1 : w->taps;
    int64_t count = 0, open = 0, at = 0;
    for (int64_t p = 0; l->depth && p < h->taps; p++)
        for (int64_t q = 0; q < across; q++, at += n)
            count = cx_stretch_on(s, count, &open, l->patches ? at : p * h->at_step * row + q * w->at_step * pixel, n,
                                  1, CX_CHAIN);
    return cx_stretch_end(s, count);
}
