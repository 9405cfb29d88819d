/* Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391): relu(sum_k a_k A(y,x,k)), a_k the mean of the gradient's map k.
 */
#include "explain.h"
#include "../ops/generic.h"

#ifndef REAL
enum { BLOCK = 64 }; /* channels averaged together: their sums stay in L1 */
typedef struct {
    const cx_view *gradients;
    double *means;
    int64_t blocks;
} job;

#define REAL float
#include "grad_cam.c"
#undef REAL
#define REAL double
#include "grad_cam.c"
#undef REAL

cx_code cx_grad_cam(const cx_view *activations, const cx_view *gradients, const cx_target *target, void *maps,
                    cx_err *err)
{
    char text[2][CX_SHAPE_TEXT];
    const cx_spec *a = &activations->spec, *g = &gradients->spec;
    const int64_t *dim = a->dim;
    double *means = NULL, *sums = NULL;
    if (a->ndim != 4)
        return cx_fail(err, CX_EVALUE,
                       "`activations` must have shape (n, height, width, channels). Received: activations.shape=%s",
                       cx_shape_text(a, text[0]));
    if (!cx_same_spec(a, g))
        return cx_fail(err, CX_EVALUE,
                       "`gradients` must have the shape of `activations`. Received: gradients.shape=%s, "
                       "activations.shape=%s",
                       cx_shape_text(g, text[0]), cx_shape_text(a, text[1]));
    cx_spec means_spec = {CX_F64, 2, {dim[0], dim[3]}}, sums_spec = {CX_F64, 3, {dim[0], dim[1], dim[2]}};
    cx_code code = CX_ENOMEM;
    if (!(means = cx_doubles(&means_spec, err)) || !(sums = cx_doubles(&sums_spec, err))) {
        code = err->code;
        goto done;
    }
    if (cx_count(a)) {
        job j = {gradients, means, (dim[3] + BLOCK - 1) / BLOCK};
        cx_parallel(dim[0] * j.blocks, 1 + CX_GRAIN / (dim[1] * dim[2] * BLOCK),
                    a->dtype == CX_F32 ? average_float : average_double, &j);
        cx_weighted_sum(activations, means, true, sums);
    }
    code = cx_deliver_maps(sums, &sums_spec, target, maps, a->dtype, err);
done:
    cx_free(means), cx_free(sums);
    return code;
}

#else
static inline void T(accumulate)(const char *g, int64_t stride, double *sum, int64_t n)
{
    for (int64_t k = 0; k < n; k++) sum[k] += (double)*(const REAL *)(g + k * stride);
}
static void T(average)(void *context, int64_t begin, int64_t end, int worker)
{
    const job *j = context;
    const cx_view *g = j->gradients;
    const int64_t *dim = g->spec.dim;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const int64_t image = i / j->blocks, first = i % j->blocks * BLOCK;
        const int64_t n = dim[3] - first < BLOCK ? dim[3] - first : BLOCK;
        double *mean = j->means + image * dim[3] + first;
        for (int64_t y = 0; y < dim[1]; y++)
            for (int64_t x = 0; x < dim[2]; x++) {
                const char *from = cx_at(g, image, y, x) + first * g->stride[3];
                if (g->stride[3] == sizeof(REAL))
                    T(accumulate)(from, sizeof(REAL), mean, n);
                else
                    T(accumulate)(from, g->stride[3], mean, n);
            }
        for (int64_t k = 0; k < n; k++) mean[k] /= (double)(dim[1] * dim[2]);
    }
}
#endif
