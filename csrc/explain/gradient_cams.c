/* What CAM methods make of features A and gradients g, beside Grad-CAM's means. One weight for a channel k, with
 * S_k = sum_ij A: Grad-CAM++ (Chattopadhay et al. 2018, arXiv:1710.11063) sums alpha relu(g), alpha = g^2 / (2 g^2 +
 * S_k g^3 + epsilon); XGrad-CAM (Fu et al. 2020, arXiv:2008.02312) sums g A / (S_k + epsilon). Or a product for each
 * element: HiResCAM (Draelos and Carin 2020, arXiv:2011.08891) sums g A over k, LayerCAM (Jiang et al. 2021) relu(g) A.
 */
#include "explain.h"
#include "../ops/generic.h"

#ifndef REAL
enum { BLOCK = 64, LANES = 8 }; /* channels weighed together: their sums stay in L1; partial sums over k */
typedef struct {
    const cx_view *features, *gradients;
    cx_weighing weighing;
    double epsilon;
    bool rectify;
    void *to;
    int64_t blocks;
} job;

#define REAL float
#include "gradient_cams.c"
#undef REAL
#define REAL double
#include "gradient_cams.c"
#undef REAL

static cx_code check_pair(const cx_view *features, const cx_view *gradients, cx_err *err)
{
    char text[2][CX_SHAPE_TEXT];
    const cx_spec *a = &features->spec, *g = &gradients->spec;
    if (a->ndim == 4 && cx_same_spec(a, g)) return CX_OK;
    return cx_fail(
        err, CX_EVALUE,
        "`activations` and `gradients` must have one shape (n, height, width, channels) and dtype. Received: "
        "activations.shape=%s, gradients.shape=%s",
        cx_shape_text(a, text[0]), cx_shape_text(g, text[1]));
}

cx_code cx_channel_weights(const cx_view *features, const cx_view *gradients, cx_weighing weighing, double epsilon,
                           void *weights, cx_err *err)
{
    const int64_t *dim = features->spec.dim;
    if (check_pair(features, gradients, err)) return err->code;
    job j = {features, gradients, weighing, epsilon, false, weights, (dim[3] + BLOCK - 1) / BLOCK};
    cx_parallel(dim[0] * j.blocks, 1 + CX_GRAIN / (1 + 8 * dim[1] * dim[2] * BLOCK),
                features->spec.dtype == CX_F32 ? weigh_float : weigh_double, &j);
    return CX_OK;
}

cx_code cx_product_map(const cx_view *features, const cx_view *gradients, bool rectify, void *maps, cx_err *err)
{
    const int64_t *dim = features->spec.dim;
    if (check_pair(features, gradients, err)) return err->code;
    job j = {features, gradients, CX_BY_MEAN, 0, rectify, maps, 0};
    cx_parallel(dim[0] * dim[1], 1 + CX_GRAIN / (1 + dim[2] * (dim[3] + LANES)),
                features->spec.dtype == CX_F32 ? multiply_float : multiply_double, &j);
    return CX_OK;
}

#else
static inline void T(gather)(const char *a, int64_t stride, double *sum, int64_t n)
{
    for (int64_t k = 0; k < n; k++) sum[k] += (double)*(const REAL *)(a + k * stride);
}
/* alpha relu(g) with the fraction reduced by g^2: nothing underflows. An alpha that has no value
 * counts as 0, a gradient that is NaN stays. */
static inline void T(plus_plus)(const char *g, int64_t stride, const double *total, double epsilon, double *weight,
                                int64_t n)
{
    for (int64_t k = 0; k < n; k++) {
        const double d = (double)*(const REAL *)(g + k * stride), positive = d < 0 ? 0 : d;
        const double below = 2 + total[k] * d + (epsilon != 0 ? epsilon / (d * d) : 0), ratio = positive / below;
        weight[k] += below == 0 ? 0 : ratio;
    }
}
static inline void T(gather_products)(const char *a, int64_t a_stride, const char *g, int64_t g_stride, double *sum,
                                      int64_t n)
{
    for (int64_t k = 0; k < n; k++)
        sum[k] += (double)*(const REAL *)(a + k * a_stride) * (double)*(const REAL *)(g + k * g_stride);
}
static void T(weigh)(void *context, int64_t begin, int64_t end, int worker)
{
    const job *j = context;
    const cx_view *f = j->features, *d = j->gradients;
    const int64_t *dim = f->spec.dim, as = f->stride[3], gs = d->stride[3], one = sizeof(REAL);
    const bool dense = as == one && gs == one;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t image = i / j->blocks, first = i % j->blocks * BLOCK;
        const int64_t n = dim[3] - first < BLOCK ? dim[3] - first : BLOCK;
        double total[BLOCK] = {0}, weight[BLOCK] = {0};
        REAL *to = (REAL *)j->to + image * dim[3] + first;
        for (int64_t p = 0; p < dim[1] * dim[2] && j->weighing != CX_BY_MEAN; p++) {
            const char *a = cx_at(f, image, p / dim[2], p % dim[2]) + first * as;
            dense ? T(gather)(a, one, total, n) : T(gather)(a, as, total, n);
        }
        for (int64_t p = 0; p < dim[1] * dim[2]; p++) {
            const char *a = cx_at(f, image, p / dim[2], p % dim[2]) + first * as;
            const char *g = cx_at(d, image, p / dim[2], p % dim[2]) + first * gs;
            if (j->weighing == CX_BY_MEAN)
                dense ? T(gather)(g, one, weight, n) : T(gather)(g, gs, weight, n);
            else if (j->weighing == CX_BY_SHARE)
                dense ? T(gather_products)(a, one, g, one, weight, n) : T(gather_products)(a, as, g, gs, weight, n);
            else if (dense && j->epsilon == 0)
                T(plus_plus)(g, one, total, 0, weight, n);
            else
                T(plus_plus)(g, gs, total, j->epsilon, weight, n);
        }
        for (int64_t k = 0; k < n; k++) {
            const double share = total[k] + j->epsilon, area = (double)(dim[1] * dim[2]);
            if (j->weighing == CX_BY_MEAN) weight[k] = weight[k] / area;
            if (j->weighing == CX_BY_SHARE) weight[k] = share != 0 ? weight[k] / share : 0;
            to[k] = (REAL)weight[k];
        }
    }
}

/* A gradient that is NaN stays NaN. */
static inline double T(product)(const char *a, int64_t a_stride, const char *g, int64_t g_stride, int64_t k,
                                bool rectify)
{
    const REAL d = *(const REAL *)(g + k * g_stride);
    return (double)(rectify && d < 0 ? 0 : d) * (double)*(const REAL *)(a + k * a_stride);
}
static inline double T(products)(const char *a, int64_t a_stride, const char *g, int64_t g_stride, int64_t n,
                                 bool rectify)
{
    double sum[LANES] = {0};
    int64_t k = 0;
    for (; k + LANES <= n; k += LANES)
        for (int l = 0; l < LANES; l++) sum[l] += T(product)(a, a_stride, g, g_stride, k + l, rectify);
    for (int l = 0; k < n; k++, l++) sum[l] += T(product)(a, a_stride, g, g_stride, k, rectify);
    for (int step = LANES / 2; step; step /= 2)
        for (int l = 0; l < step; l++) sum[l] += sum[l + step];
    return sum[0];
}
static void T(multiply)(void *context, int64_t begin, int64_t end, int worker)
{
    const job *j = context;
    const cx_view *f = j->features, *d = j->gradients;
    const int64_t *dim = f->spec.dim, as = f->stride[3], gs = d->stride[3], one = sizeof(REAL);
    const bool dense = as == one && gs == one;
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        for (int64_t x = 0; x < dim[2]; x++) {
            const char *a = cx_at(f, i / dim[1], i % dim[1], x), *g = cx_at(d, i / dim[1], i % dim[1], x);
            double sum = 0;
            if (dense)
                sum =
                    j->rectify ? T(products)(a, one, g, one, dim[3], true) : T(products)(a, one, g, one, dim[3], false);
            else
                sum = T(products)(a, as, g, gs, dim[3], j->rectify);
            ((REAL *)j->to)[i * dim[2] + x] = (REAL)sum;
        }
}
#endif
