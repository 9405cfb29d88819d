/* Shared by the ops that move elements. */
#ifndef CX_MOVE_H
#define CX_MOVE_H
#include "generic.h"
#include "grid.h"

#define EVERY_DTYPE(f)      \
    {                       \
        f, f, f, f, f, f, f \
    }
#define INFER(f) static cx_code f##_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)

/* A list with one entry for each dimension of the input. */
static inline cx_code cx_one_each(const char *op, const char *name, const cx_list *list, const cx_spec *in, cx_err *err)
{
    char text[CX_SHAPE_TEXT];
    if (list->n == in->ndim) return CX_OK;
    return cx_fail(err, CX_EVALUE, "%s: `%s` must have one entry per dimension of the input, shape=%s. Received: %lld",
                   op, name, cx_shape_text(in, text), (long long)list->n);
}
static inline char *cx_shifted(const void *data, int64_t elements, cx_dtype dtype)
{
    return (char *)(uintptr_t)data + elements * (int64_t)cx_width(dtype);
}
static inline void cx_swap_arrays(cx_grid *g) /* a move the other way round */
{
    for (int d = 0; d < g->rank; d++) {
        int64_t s = g->step[0][d];
        g->step[0][d] = g->step[1][d], g->step[1][d] = s;
    }
}
/* Steps of a contiguous array. */
static inline void cx_steps(const cx_spec *s, int64_t *step)
{
    int64_t n = 1;
    for (int d = s->ndim; d-- > 0; n *= s->dim[d]) step[d] = n;
}
#endif
