/* Which algorithm computes a correlation, and the way to it. */
#include "conv.h"

/* The one table. It sees one image's shape, the layer, the vector unit and the precision, never the batch or the number
 * of threads: those would then decide bits. First row that holds:
 *
 *   not 3 x 3, or strides, dilation, groups; float64; "strict"      direct
 *   fewer than 16 channels or filters, a side below 4, little work  direct: the transforms cost more than they save
 *   fewer than 4 tiles of 4 x 4, or so much of them outside that    F(2x2, 3x3)
 *     tiles of 2 x 2 multiply no more often
 *   256 x 256 or more weights and few tiles                         F(2x2, 3x3): U has 16 numbers for 9, not 36
 *   the rest                                                        F(4x4, 3x3) */
cx_algorithm cx_choose(const cx_correlation *c)
{
    enum { LEAST_CHANNELS = 16, LEAST_SIDE = 4, LEAST_WORK = 1 << 14, LARGE = 256 * 256, WEIGHTS_OF_A_TILE = 1 << 13 };
    const int64_t height = c->axis[0].count, width = c->axis[1].count, weights = c->inner * c->outer;
    for (int d = 0; d < 2; d++) {
        const cx_axis *a = &c->axis[d];
        if (a->taps != 3 || a->step != 1 || a->to_step != 1 || a->at_step != 1 || a->count < LEAST_SIDE)
            return CX_DIRECT;
    }
    if (c->groups != 1 || !c->k->winograd || cx_get_precision() == CX_STRICT) return CX_DIRECT;
    if (c->inner < LEAST_CHANNELS || c->outer < LEAST_CHANNELS) return CX_DIRECT;
    if (cx_times((size_t)(height * width), (size_t)weights) < LEAST_WORK) return CX_DIRECT;
    const int64_t tiles4 = (height + 3) / 4 * ((width + 3) / 4), tiles2 = (height + 1) / 2 * ((width + 1) / 2);
    if (tiles4 < 4 || 36 * tiles4 >= 16 * tiles2) return CX_WINOGRAD2;
    if (weights >= LARGE && tiles4 * WEIGHTS_OF_A_TILE <= weights) return CX_WINOGRAD2;
    return CX_WINOGRAD4;
}

/* F(3x3, 4x4) wherever the output takes tiles. */
bool cx_choose_kernel(const cx_correlation *c)
{
    return c->algorithm != CX_DIRECT;
}

void cx_correlate(const cx_correlation *c, const void *x, const void *w, const void *form, const cx_finish *f, void *y,
                  void *scratch)
{
    (c->algorithm ? cx_winograd_run : cx_direct_run)(c, x, w, form, f, y, scratch);
}
size_t cx_correlate_scratch(const cx_correlation *c, int *threads)
{
    return (c->algorithm ? cx_winograd_scratch : cx_direct_scratch)(c, threads);
}
size_t cx_correlate_form(const cx_correlation *c)
{
    return (c->algorithm ? cx_winograd_form : cx_direct_form)(c);
}
void cx_correlate_make(const cx_correlation *c, const void *w, void *form)
{
    (c->algorithm ? cx_winograd_make : cx_direct_make)(c, w, form);
}

void cx_correlate_key(const cx_conv *c, const cx_correlation *r, cx_form *f)
{
    int64_t *k = f->key;
    *k++ = r->algorithm | (int64_t)r->turned << 8 | (int64_t)r->blas << 16 | (int64_t)cx_get_isa() << 24;
    *k++ = c->groups, *k++ = c->channels, *k++ = c->filters;
    for (int d = 0; d < 2; d++) *k++ = c->size[d];
    for (int d = 0; r->turned && d < 2; d++) *k++ = c->stride[d], *k++ = c->dilation[d], *k++ = c->before[d];
}

void cx_conv_output(const cx_conv *c, const void *x, const void *w, const void *form, const cx_finish *f, void *y,
                    void *scratch)
{
    const cx_correlation r = cx_correlation_output(c, true);
    cx_correlate(&r, x, w, form, f, y, scratch);
}
size_t cx_conv_output_scratch(const cx_conv *c, int *threads)
{
    const cx_correlation r = cx_correlation_output(c, true);
    return cx_correlate_scratch(&r, threads);
}
void cx_conv_output_form(const cx_conv *c, cx_form *f)
{
    const cx_correlation r = cx_correlation_output(c, true);
    f->size = cx_correlate_form(&r);
    cx_correlate_key(c, &r, f);
}
void cx_conv_output_make(const cx_conv *c, const void *w, void *form)
{
    const cx_correlation r = cx_correlation_output(c, true);
    cx_correlate_make(&r, w, form);
}
