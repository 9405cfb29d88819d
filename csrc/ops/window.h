/* A sliding window in one dimension, shared by convolution and pooling. */
#ifndef CX_WINDOW_H
#define CX_WINDOW_H
#include "../cnnexplain.h"

enum { CX_VALID, CX_SAME, CX_EXPLICIT };
/* k: the extent of the window, dilation included. before, after: read for CX_EXPLICIT only. */
static inline int64_t cx_window_out(int64_t in, int64_t k, int64_t stride, int64_t padding, int64_t before,
                                    int64_t after)
{
    if (in == CX_ANY) return CX_ANY;
    if (padding == CX_SAME) return (in + stride - 1) / stride;
    if (padding == CX_EXPLICIT) in += before + after;
    return in < k ? 0 : (in - k) / stride + 1;
}
/* Zeros before the first element; "same" pads more at the end. */
static inline int64_t cx_window_before(int64_t in, int64_t out, int64_t k, int64_t stride, int64_t padding,
                                       int64_t before)
{
    int64_t total = (out - 1) * stride + k - in;
    if (padding == CX_EXPLICIT) return before;
    return padding == CX_SAME && total > 0 ? total / 2 : 0;
}
#endif
