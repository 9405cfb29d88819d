/* Convolution of NHWC images in its three directions. Transposed convolution is the same with the directions swapped.
 * Every function works in scratch of the size that its _scratch twin gives: part of it shared, then one part for each
 * worker. f, where taken, finishes the sums; NULL: they stay as they are. */
#ifndef CX_CONV_H
#define CX_CONV_H
#include "kernels.h"

typedef struct {
    cx_dtype dtype;
    int64_t images, groups;
    int64_t channels, filters; /* of one group */
    int64_t in[2], out[2];     /* height and width of x and y */
    int64_t size[2], stride[2], dilation[2], before[2];
} cx_conv;

/* y (images, out, groups * filters) from x (images, in, groups * channels), w (size, channels, groups * filters). form:
 * w as _make leaves it, or NULL. */
void cx_conv_output(const cx_conv *c, const void *x, const void *w, const void *form, const cx_finish *f, void *y,
                    void *scratch);
size_t cx_conv_output_scratch(const cx_conv *c, int *threads);
void cx_conv_output_form(const cx_conv *c, cx_form *f);
void cx_conv_output_make(const cx_conv *c, const void *w, void *form);
/* dx from dy and w */
void cx_conv_input(const cx_conv *c, const void *dy, const void *w, const void *form, const cx_finish *f, void *dx,
                   void *scratch);
size_t cx_conv_input_scratch(const cx_conv *c, int *threads);
void cx_conv_input_form(const cx_conv *c, cx_form *f);
void cx_conv_input_make(const cx_conv *c, const void *w, void *form);
/* dw (+)= from x and dy: always the same partial sums */
void cx_conv_kernel(const cx_conv *c, const void *x, const void *dy, bool add, void *dw, void *scratch);
size_t cx_conv_kernel_scratch(const cx_conv *c, int *threads);
/* One group for each channel of x, `filters` outputs each. */
void cx_depthwise_output(const cx_conv *c, const void *x, const void *w, const cx_finish *f, void *y, void *scratch);
size_t cx_depthwise_output_scratch(const cx_conv *c, int *threads);
void cx_depthwise_input(const cx_conv *c, const void *dy, const void *w, const cx_finish *f, void *dx, void *scratch);
size_t cx_depthwise_input_scratch(const cx_conv *c, int *threads);
void cx_depthwise_kernel(const cx_conv *c, const void *x, const void *dy, bool add, void *dw, void *scratch);
size_t cx_depthwise_kernel_scratch(const cx_conv *c, int *threads);
/* The first two without scratch, where that is possible. turned: the input gradient. */
bool cx_depthwise_direct(const cx_conv *c, bool turned);
void cx_depthwise_direct_run(const cx_conv *c, bool turned, const void *x, const void *w, const cx_finish *f, void *y);
int cx_depthwise_direct_threads(const cx_conv *c, bool turned, int most);

/* d (columns) (+)= the sum of the rows of dy (rows, columns) */
void cx_sum_rows(cx_dtype dtype, int64_t rows, int64_t columns, const void *dy, bool add, void *d, void *scratch);
size_t cx_sum_rows_scratch(cx_dtype dtype, int64_t rows, int64_t columns);

/* One axis of a correlation: output i of `count` goes to place to + i * to_step of y and sums taps 0..taps-1, which
 * read x at i * step + at + t * at_step (at_step >= 0) and the kernel at k + t * k_step. */
typedef struct {
    int64_t in, out, count, step, to, to_step, taps, at, at_step, k, k_step;
} cx_axis;
cx_axis cx_axis_output(const cx_conv *c, int d);
/* The outputs of the input gradient that lie at phase, phase + stride, ...: they use the same taps. */
cx_axis cx_axis_input(const cx_conv *c, int d, int64_t phase);
static inline int64_t cx_phase_of(const cx_conv *c, int d, int64_t tap) /* that the tap of the kernel reaches */
{
    int64_t phase = (tap * c->dilation[d] - c->before[d]) % c->stride[d];
    return phase < 0 ? phase + c->stride[d] : phase;
}
static inline int64_t cx_axis_span(const cx_axis *a) /* what the taps of one output cover */
{
    return (a->taps - 1) * a->at_step + 1;
}

typedef enum { CX_DIRECT, CX_WINOGRAD2, CX_WINOGRAD4 } cx_algorithm; /* F(2x2, 3x3), F(4x4, 3x3) */
typedef struct {
    const cx_kernels *k;
    cx_algorithm algorithm;
    cx_axis axis[2];
    int64_t images, groups, inner, outer; /* inner: channels of x in a group; outer: of y */
    int64_t kernel_width;
    bool turned; /* the kernel's last axis is that of x: the input gradient */
    bool blas;   /* products by the library: of one image each, or their bits could depend on the batch */
} cx_correlation;
cx_correlation cx_correlation_output(const cx_conv *c, bool blas);
cx_correlation cx_correlation_input(const cx_conv *c, int64_t phase_h, int64_t phase_w);
void cx_correlate(const cx_correlation *c, const void *x, const void *w, const void *form, const cx_finish *f, void *y,
                  void *scratch);
size_t cx_correlate_scratch(const cx_correlation *c, int *threads);
/* What a form depends on beside the values of w; r: the correlation, of phase 0, that computes the output or the input.
 */
void cx_correlate_key(const cx_conv *c, const cx_correlation *r, cx_form *f);
size_t cx_correlate_form(const cx_correlation *c); /* bytes */
void cx_correlate_make(const cx_correlation *c, const void *w, void *form);
/* The same by each algorithm; cx_correlate takes the one that c names. */
cx_algorithm cx_choose(const cx_correlation *c);
void cx_direct_run(const cx_correlation *c, const void *x, const void *w, const void *form, const cx_finish *f, void *y,
                   void *scratch);
size_t cx_direct_scratch(const cx_correlation *c, int *threads);
size_t cx_direct_form(const cx_correlation *c);
void cx_direct_make(const cx_correlation *c, const void *w, void *form);
void cx_winograd_run(const cx_correlation *c, const void *x, const void *w, const void *form, const cx_finish *f,
                     void *y, void *scratch);
size_t cx_winograd_scratch(const cx_correlation *c, int *threads);
size_t cx_winograd_form(const cx_correlation *c);
void cx_winograd_make(const cx_correlation *c, const void *w, void *form);
/* The kernel gradient through tiles, where cx_choose_kernel says so; c: the correlation of the output. */
bool cx_choose_kernel(const cx_correlation *c);
void cx_winograd_kernel(const cx_correlation *c, const void *x, const void *dy, bool add, void *dw, void *scratch);
size_t cx_winograd_kernel_scratch(const cx_correlation *c, int *threads);

/* How the A side of a block of outputs lies in memory. flat: the pixels of A, and those of C, are evenly spaced, also
 * from row to row. copy: a copy with the padding in it, or patches: of what each pixel sees; else x is read in place.
 */
typedef struct {
    bool flat, copy, patches, merged; /* merged: the taps of a row are neighbours, one stretch */
    int64_t depth, stretches;
    int64_t images, rows;             /* of a block at most: whole images, or rows of one */
    int64_t piece, pieces;            /* rows that stay together, and how many such there are in an image */
    int64_t image_blocks, row_blocks; /* of all */
    int64_t width, height;            /* of a padded copy of a block's image, in pixels */
    int64_t lda, row, image;          /* from a pixel, a row, an image of the output to the next, in elements of A */
    size_t copied;
} cx_layout;
cx_layout cx_lay_out(const cx_correlation *c, int64_t blocks); /* blocks: at least so many, if the rows allow it */
typedef struct {
    int64_t image, images, row, rows;
} cx_block_of;
cx_block_of cx_block_at(const cx_correlation *c, const cx_layout *l, int64_t i);
/* Where the block's A begins; copies it to `copy` if the layout says so. */
const void *cx_block_a(const cx_correlation *c, const cx_layout *l, const cx_block_of *b, const void *x, int64_t group,
                       void *copy);
/* Fills layout.stretches at most; returns how many. */
int64_t cx_window_stretches(const cx_correlation *c, const cx_layout *l, cx_stretch *s);
#endif
