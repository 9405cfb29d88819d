/* The output of a convolution, and by what its forms are told apart. */
#include "conv.h"

/* `direction` and all that a form depends on beside the block it is made from. */
void cx_conv_key(const cx_conv *c, int direction, bool blas, cx_form *f)
{
    int64_t *k = f->key;
    *k++ = direction | (int64_t)cx_get_isa() << 8 | (int64_t)blas << 16;
    *k++ = c->groups, *k++ = c->channels, *k++ = c->filters;
    for (int d = 0; d < 2; d++) *k++ = c->size[d];
    for (int d = 0; direction && d < 2; d++) *k++ = c->stride[d], *k++ = c->dilation[d], *k++ = c->before[d];
}

void cx_conv_output(const cx_conv *c, const void *x, const void *w, const void *form, const void *base, bool bias,
                    void *y, void *scratch)
{
    cx_correlation r = cx_correlation_output(c, true);
    cx_correlate(&r, x, w, form, base, bias, y, scratch);
}
size_t cx_conv_output_scratch(const cx_conv *c, int *threads)
{
    cx_correlation r = cx_correlation_output(c, true);
    return cx_correlate_scratch(&r, threads);
}
void cx_conv_output_form(const cx_conv *c, cx_form *f)
{
    const cx_correlation r = cx_correlation_output(c, true);
    f->size = cx_correlate_form(&r);
    cx_conv_key(c, 0, r.blas, f);
}
void cx_conv_output_make(const cx_conv *c, const void *w, void *form)
{
    const cx_correlation r = cx_correlation_output(c, true);
    cx_correlate_make(&r, w, form);
}
