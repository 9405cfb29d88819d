#include "separable.h"

/* A slot with the matrix (in, out) of one dimension. */
static int matrix(const cx_emitter *e, cx_dtype dtype, int d, int64_t in, int64_t out, cx_weigh *weigh,
                  const void *context)
{
    cx_value v = {.data = NULL};
    cx_spec spec = {CX_F64, 2, {in, out}};
    double *weight = NULL;
    size_t bytes;
    int slot = -1;
    if (cx_bytes(&spec, &bytes, e->err)) return -1;
    spec.dtype = dtype;
    weight = cx_alloc(bytes + 1);
    if (!weight) {
        cx_fail(e->err, CX_ENOMEM, "out of memory: %zu bytes", bytes);
        goto done;
    }
    if (cx_value_new(&spec, &v, e->err)) goto done;
    weigh(context, d, in, out, weight);
    for (int64_t i = 0; i < in * out; i++)
        if (dtype == CX_F64)
            ((double *)v.data)[i] = weight[i];
        else
            ((float *)v.data)[i] = (float)weight[i];
    slot = cx_add_slot(e->p, &v, false);
    if (slot < 0) cx_fail(e->err, CX_ENOMEM, "out of memory: the program has %d slots", e->p->n_slot);
done:
    cx_clear(&v), cx_free(weight);
    return slot;
}

int cx_emit_separable(const cx_emitter *e, int dy, const cx_spec *x, cx_weigh *weigh, const void *context)
{
    if (dy < 0) return -1;
    const cx_spec y = *cx_emitted_spec(e, dy), to = *x;
    if (!cx_known(&y) || !cx_known(&to)) {
        cx_fail(e->err, CX_EVALUE, "the second derivative of an image needs its size");
        return -1;
    }
    const int64_t *n = to.dim, width = y.dim[2] * y.dim[3];
    const cx_spec rows = {to.dtype, 3, {n[0], y.dim[1], width}}, cols = {to.dtype, 3, {n[0] * n[1], y.dim[2], n[3]}};
    int left = matrix(e, to.dtype, 0, n[1], y.dim[1], weigh, context);
    if (left < 0) return -1;
    int g = cx_emit2(e, &cx_op_matmul, left, cx_emit_reshape(e, dy, &rows));
    int right = g < 0 ? -1 : matrix(e, to.dtype, 1, n[2], y.dim[2], weigh, context);
    g = cx_emit2(e, &cx_op_matmul, right, cx_emit_reshape(e, g, &cols));
    return cx_emit_reshape(e, g, &to);
}
