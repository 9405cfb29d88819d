/* Class activation maps (Zhou et al. 2016, arXiv:1512.04150): M(y,x) = sum_k W[k,c] A(y,x,k). */
#include "explain.h"
#include "../ops/generic.h"

#ifndef REAL
enum { LANES = 8 }; /* partial sums over k: one vector of doubles, whatever the stride */
typedef struct {
    const cx_view *features;
    const double *weights;
    double *maps;
    bool rectify;
} job;

#define REAL float
#include "cam.c"
#undef REAL
#define REAL double
#include "cam.c"
#undef REAL

double *cx_doubles(const cx_spec *spec, cx_err *err)
{
    cx_spec s = *spec;
    size_t size = 0;
    s.dtype = CX_F64;
    if (cx_bytes(&s, &size, err)) return NULL;
    const size_t much = (size_t)64 << 20; /* less is not worth asking the system */
    double *p = size > much && size > cx_memory_available() ? NULL : cx_alloc(size ? size : sizeof *p);
    if (!p) cx_fail(err, CX_ENOMEM, "out of memory: %zu bytes for a map", size);
    return p;
}

void cx_weighted_sum(const cx_view *features, const double *weights, bool rectify, double *maps)
{
    const int64_t *dim = features->spec.dim;
    job j = {features, weights, maps, rectify};
    int64_t work = dim[2] * (dim[3] + LANES);
    cx_parallel(dim[0] * dim[1], 1 + CX_GRAIN / work, features->spec.dtype == CX_F32 ? rows_float : rows_double, &j);
}

cx_code cx_deliver_maps(const double *maps, const cx_spec *spec, const cx_target *target, void *to, cx_dtype d,
                        cx_err *err)
{
    if (target) {
        cx_view v = {.spec = {CX_F64, 4, {spec->dim[0], spec->dim[1], spec->dim[2], 1}}, .data = (const char *)maps};
        v.stride[3] = v.stride[2] = sizeof *maps;
        v.stride[1] = v.stride[2] * spec->dim[2];
        v.stride[0] = v.stride[1] * spec->dim[1];
        return cx_resample(&v, target, d, to, err);
    }
    for (int64_t i = 0, n = cx_count(spec); i < n; i++)
        if (d == CX_F32)
            ((float *)to)[i] = (float)maps[i];
        else
            ((double *)to)[i] = maps[i];
    return CX_OK;
}

static cx_code check_arguments(const cx_view *features, const cx_view *weights, const int64_t *class_index, cx_err *err)
{
    char text[2][CX_SHAPE_TEXT];
    const cx_spec *a = &features->spec, *w = &weights->spec;
    if (a->ndim != 4)
        return cx_fail(err, CX_EVALUE,
                       "`features` must have shape (n, height, width, channels). Received: features.shape=%s",
                       cx_shape_text(a, text[0]));
    if (w->ndim != 2 || w->dim[0] != a->dim[3])
        return cx_fail(err, CX_EVALUE,
                       "`weights` must have shape (channels, classes) with the channels of `features`. Received: "
                       "weights.shape=%s, features.shape=%s",
                       cx_shape_text(w, text[0]), cx_shape_text(a, text[1]));
    for (int64_t i = 0; i < a->dim[0]; i++)
        if (class_index[i] < 0 || class_index[i] >= w->dim[1])
            return cx_fail(
                err, CX_EVALUE,
                "`class_index` must be in [0, %lld), the columns of `weights`. Received: %lld at position %lld",
                (long long)w->dim[1], (long long)class_index[i], (long long)i);
    return CX_OK;
}

cx_code cx_cam(const cx_view *features, const cx_view *weights, const int64_t *class_index, const cx_target *target,
               void *maps, cx_err *err)
{
    const int64_t *dim = features->spec.dim;
    double *columns = NULL, *sums = NULL;
    if (check_arguments(features, weights, class_index, err)) return err->code;
    cx_spec columns_spec = {CX_F64, 2, {dim[0], dim[3]}}, sums_spec = {CX_F64, 3, {dim[0], dim[1], dim[2]}};
    cx_code code = CX_ENOMEM;
    if (!(columns = cx_doubles(&columns_spec, err)) || !(sums = cx_doubles(&sums_spec, err))) {
        code = err->code;
        goto done;
    }
    for (int64_t i = 0; i < dim[0]; i++)
        for (int64_t k = 0; k < dim[3]; k++) {
            const char *w = cx_at(weights, k, class_index[i], 0);
            columns[i * dim[3] + k] = weights->spec.dtype == CX_F32 ? *(const float *)w : *(const double *)w;
        }
    if (cx_count(&sums_spec)) cx_weighted_sum(features, columns, false, sums);
    code = cx_deliver_maps(sums, &sums_spec, target, maps, features->spec.dtype, err);
done:
    cx_free(columns), cx_free(sums);
    return code;
}

#else
static inline double T(dot)(const char *a, int64_t stride, const double *w, int64_t n)
{
    double sum[LANES] = {0};
    int64_t k = 0;
    for (; k + LANES <= n; k += LANES)
        for (int l = 0; l < LANES; l++) sum[l] += w[k + l] * (double)*(const REAL *)(a + (k + l) * stride);
    for (int l = 0; k < n; k++, l++) sum[l] += w[k] * (double)*(const REAL *)(a + k * stride);
    for (int step = LANES / 2; step; step /= 2)
        for (int l = 0; l < step; l++) sum[l] += sum[l + step];
    return sum[0];
}
static void T(rows)(void *context, int64_t begin, int64_t end, int worker)
{
    const job *j = context;
    const cx_view *f = j->features;
    const int64_t h = f->spec.dim[1], w = f->spec.dim[2], channels = f->spec.dim[3];
    const bool dense = f->stride[3] == sizeof(REAL);
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const double *weights = j->weights + i / h * channels;
        for (int64_t x = 0; x < w; x++) {
            const char *a = cx_at(f, i / h, i % h, x);
            double sum =
                dense ? T(dot)(a, sizeof(REAL), weights, channels) : T(dot)(a, f->stride[3], weights, channels);
            j->maps[i * w + x] = j->rectify && sum < 0 ? 0 : sum;
        }
    }
}
#endif
