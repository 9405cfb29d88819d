/* The gradient of a linear map of images that treats rows and columns alike but apart (average pooling, resizing), as
 * nodes: two matrix products. */
#ifndef CX_SEPARABLE_H
#define CX_SEPARABLE_H
#include "emit.h"

/* Adds to weight (in, out), zeroed, how much each input row or column has in each output one. d: 0 rows, 1 columns. */
typedef void cx_weigh(const void *context, int d, int64_t in, int64_t out, double *weight);
/* dx[h, w] = sum_ij rows[h, i] columns[w, j] dy[i, j], dx of the NHWC shape x. */
int cx_emit_separable(const cx_emitter *e, int dy, const cx_spec *x, cx_weigh *weigh, const void *context);
#endif
