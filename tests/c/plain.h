/* Convolution as its formula reads: the oracle. x (n, h, w, groups * c), kernel (kh, kw, c, groups * f), y (n, oh, ow,
 * groups * f). All in double, whatever the arrays hold. */
#ifndef PLAIN_H
#define PLAIN_H
#include "ops.h"

typedef struct {
    int64_t n, in[2], c, out[2], f, size[2], groups, stride[2], dilation[2], before[2];
} plain_shape;
typedef struct {
    double *y, *dx, *dk;
    double *y_weight, *dx_weight, *dk_weight; /* the same of absolute values: what rounding is relative to */
} plain_result;
static inline double plain_largest(const double *x, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++) most = x[i] > most ? x[i] : most;
    return most;
}

UNWATCHED static inline void conv_plain(const plain_shape *s, const cx_value *x, const cx_value *k, const cx_value *dy,
                                        plain_result *r)
{
    for (int64_t n = 0; n < s->n; n++)
        for (int64_t i = 0; i < s->out[0]; i++)
            for (int64_t j = 0; j < s->out[1]; j++)
                for (int64_t p = 0; p < s->size[0]; p++)
                    for (int64_t q = 0; q < s->size[1]; q++) {
                        const int64_t row = i * s->stride[0] + p * s->dilation[0] - s->before[0];
                        const int64_t col = j * s->stride[1] + q * s->dilation[1] - s->before[1];
                        if (row < 0 || row >= s->in[0] || col < 0 || col >= s->in[1]) continue;
                        for (int64_t g = 0; g < s->groups; g++)
                            for (int64_t c = 0; c < s->c; c++)
                                for (int64_t f = 0; f < s->f; f++) {
                                    const int64_t X =
                                        ((n * s->in[0] + row) * s->in[1] + col) * s->groups * s->c + g * s->c + c;
                                    const int64_t K =
                                        ((p * s->size[1] + q) * s->c + c) * s->groups * s->f + g * s->f + f;
                                    const int64_t Y =
                                        ((n * s->out[0] + i) * s->out[1] + j) * s->groups * s->f + g * s->f + f;
                                    if (r->y) r->y[Y] += get(x, X) * get(k, K);
                                    if (r->y_weight) r->y_weight[Y] += fabs(get(x, X) * get(k, K));
                                    if (r->dx) r->dx[X] += get(dy, Y) * get(k, K);
                                    if (r->dx_weight) r->dx_weight[X] += fabs(get(dy, Y) * get(k, K));
                                    if (r->dk) r->dk[K] += get(dy, Y) * get(x, X);
                                    if (r->dk_weight) r->dk_weight[K] += fabs(get(dy, Y) * get(x, X));
                                }
                    }
}
#endif
