/* What conv2d, conv2d_transpose and depthwise_conv2d share: checks, scratch and the three directions. */
#ifndef CX_CONVOLVE_H
#define CX_CONVOLVE_H
#include "generic.h"
#include "../kernels/conv.h"

typedef struct {
    int64_t stride[2], padding;
    cx_list pads; /* top, bottom, left, right */
    int64_t dilation[2], groups;
} cx_conv_attr;
typedef struct {
    int64_t stride[2], padding;
    cx_list output_padding;
    int64_t dilation[2];
    cx_list output_size;
} cx_conv_transpose_attr;
cx_conv cx_conv_of(const cx_conv_attr *a, const cx_spec *x, const cx_spec *kernel, const cx_spec *y);
cx_conv cx_conv_transpose_of(const cx_conv_transpose_attr *a, const cx_spec *x, const cx_spec *kernel,
                             const cx_spec *y);
typedef struct {
    int64_t stride[2], padding;
    cx_list pads; /* top, bottom, left, right */
    int64_t dilation[2];
} cx_depthwise_attr;
/* convolve_emit.c */
cx_code cx_conv_emit(cx_program *p, const cx_node *node, const int *dout, int *din, cx_err *err);
cx_code cx_conv_transpose_emit(cx_program *p, const cx_node *node, const int *dout, int *din, cx_err *err);
cx_code cx_depthwise_emit(cx_program *p, const cx_node *node, const int *dout, int *din, cx_err *err);

/* pads (top, bottom, left, right) added to what `padding` and `sides` say already; false for CX_SAME. */
bool cx_convolve_padded(int64_t *padding, cx_list *sides, const int64_t *pads);
/* Ranks, sizes; extent: of the dilated window, or CX_ANY. */
cx_code cx_convolve_check(const char *op, const cx_spec *in, const int64_t *dilation, int64_t *extent, cx_err *err);
cx_code cx_convolve_pads(const char *op, int64_t padding, const cx_list *pads, cx_err *err);
cx_code cx_convolve_bias(const char *op, const cx_spec *bias, int64_t filters, cx_err *err);
int64_t cx_convolve_pad(const cx_list *pads, int place);
bool cx_convolve_known(const cx_spec *in, const cx_spec *out);

/* transposed: the op's output is the convolution's input, and the other way round. */
cx_code cx_convolve_plan(const char *op, const cx_conv *c, bool transposed, bool bias, cx_plan *plan, cx_err *err);
void cx_convolve_forward(const cx_conv *c, bool transposed, const cx_value *in, const cx_value *out, void *scratch);
void cx_convolve_backward(const cx_conv *c, bool transposed, const cx_value *in, const cx_value *dout,
                          const cx_value *din, const cx_mode *mode, void *scratch);
/* The forward without its bias, and the gradient of the op's input, with a finish; f NULL: none. */
void cx_convolve_finished(const cx_conv *c, bool transposed, const cx_value *in, const cx_value *out, void *scratch,
                          const cx_finish *f);
void cx_convolve_finished_back(const cx_conv *c, bool transposed, const cx_value *in, const cx_value *dout, void *dx,
                               void *scratch, const cx_finish *f);
/* The kernel as the forward or (back) the gradient of the op's input wants it. */
void cx_convolve_form(const cx_conv *c, bool transposed, bool back, cx_form *f);
void cx_convolve_make(const cx_conv *c, bool transposed, bool back, const cx_value *kernel, void *form);
#endif
