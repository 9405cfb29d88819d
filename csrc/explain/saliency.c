/* Saliency (Simonyan et al. 2013, arXiv:1312.6034): |dy/dx| over the channels of a pixel, and its grey picture. */
#include "explain.h"
#include "../ops/generic.h"

#ifndef REAL
typedef struct {
    const cx_view *from;
    void *to;
    bool maximum;
} job;

#define REAL float
#include "saliency.c"
#undef REAL
#define REAL double
#include "saliency.c"
#undef REAL

cx_code cx_saliency(const cx_view *gradients, bool maximum, void *maps, cx_err *err)
{
    char text[CX_SHAPE_TEXT];
    const cx_spec *g = &gradients->spec;
    job j = {gradients, maps, maximum};
    if (g->ndim != 4)
        return cx_fail(err, CX_EVALUE,
                       "`gradients` must have shape (n, height, width, channels). Received: gradients.shape=%s",
                       cx_shape_text(g, text));
    cx_parallel(g->dim[0] * g->dim[1], 1 + CX_GRAIN / (1 + g->dim[2] * (1 + g->dim[3])),
                g->dtype == CX_F32 ? gather_float : gather_double, &j);
    return CX_OK;
}
void cx_to_uint8(const cx_view *maps, uint8_t *bytes)
{
    const cx_spec *s = &maps->spec;
    job j = {.from = maps, .to = bytes};
    cx_parallel(s->dim[0], 1 + CX_GRAIN / (1 + s->dim[1] * s->dim[2]), s->dtype == CX_F32 ? grey_float : grey_double,
                &j);
}

#else
/* Sums run in double over the channels in order; of maxima, NaN stays: no comparison with it holds. */
static inline double T(pixel)(const char *from, int64_t stride, int64_t channels, bool maximum)
{
    double sum = 0, most = 0;
    for (int64_t c = 0; c < channels && maximum; c++) {
        double a = fabs((double)*(const REAL *)(from + c * stride));
        most = most <= a || isnan(a) ? a : most;
    }
    for (int64_t c = 0; c < channels && !maximum; c++) sum += fabs((double)*(const REAL *)(from + c * stride));
    return maximum ? most : sum;
}
static void T(gather)(void *context, int64_t begin, int64_t end, int worker)
{
    const job *j = context;
    const cx_view *g = j->from;
    const int64_t h = g->spec.dim[1], w = g->spec.dim[2], channels = g->spec.dim[3], step = g->stride[2];
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const char *from = cx_at(g, i / h, i % h, 0);
        REAL *to = (REAL *)j->to + i * w;
        if (j->maximum)
            for (int64_t x = 0; x < w; x++) to[x] = (REAL)T(pixel)(from + x * step, g->stride[3], channels, true);
        else if (g->stride[3] == sizeof(REAL) && channels == 3)
            for (int64_t x = 0; x < w; x++) to[x] = (REAL)T(pixel)(from + x * step, sizeof(REAL), 3, false);
        else
            for (int64_t x = 0; x < w; x++) to[x] = (REAL)T(pixel)(from + x * step, g->stride[3], channels, false);
    }
}

static inline uint8_t T(grey_value)(REAL v, REAL low, REAL high)
{
    REAL grey = 0;
    if (v > high)
        grey = 255;
    else if (v > low)
        grey = 255 * (v - low) / (high - low);
    if (!isfinite(grey)) grey = 255 * ((v / 2 - low / 2) / (high / 2 - low / 2)); /* high - low is past the greatest */
    return (uint8_t)(grey < 255 ? grey : 255);
}
/* 255 (m - min) / (max - min) in the order and type of the formula, its fraction dropped, as a cast to uint8 does. A
 * constant map is 0. NaN is 0 and no extreme; an infinity ends at its end of the scale. */
static void T(grey)(void *context, int64_t begin, int64_t end, int worker)
{
    const job *j = context;
    const cx_view *m = j->from;
    const int64_t h = m->spec.dim[1], w = m->spec.dim[2], step = m->stride[2];
    uint8_t *to = (uint8_t *)j->to + begin * h * w;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        REAL low = (REAL)INFINITY, high = -(REAL)INFINITY;
        for (int64_t y = 0; y < h; y++) {
            const char *row = cx_at(m, i, y, 0);
            for (int64_t x = 0; x < w; x++) {
                REAL v = *(const REAL *)(row + x * step);
                bool finite = v - v == 0;
                low = finite && v < low ? v : low;
                high = finite && v > high ? v : high;
            }
        }
        for (int64_t y = 0; y < h; y++) {
            const char *row = cx_at(m, i, y, 0);
            for (int64_t x = 0; x < w; x++) *to++ = T(grey_value)(*(const REAL *)(row + x * step), low, high);
        }
    }
}
#endif
