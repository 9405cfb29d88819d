/* Dtypes and shapes: counting, printing, broadcasting, axes. */
#include "../cnnexplain.h"
#include <stdio.h>

static const struct {
    const char *name;
    size_t width;
} dtypes[CX_DTYPES] = {
    [CX_F32] = {"float32", 4}, [CX_F64] = {"float64", 8}, [CX_I32] = {"int32", 4}, [CX_I64] = {"int64", 8},
    [CX_U8] = {"uint8", 1},    [CX_I8] = {"int8", 1},     [CX_BOOL] = {"bool", 1},
};

const char *cx_dtype_name(cx_dtype d)
{
    return dtypes[d].name;
}
size_t cx_width(cx_dtype d)
{
    return dtypes[d].width;
}
bool cx_fits(int64_t a, int64_t b)
{
    return a == b || a == CX_ANY || b == CX_ANY;
}

int64_t cx_count(const cx_spec *s)
{
    int64_t n = 1;
    for (int i = 0; i < s->ndim; i++) n *= s->dim[i];
    return n;
}

bool cx_known(const cx_spec *s)
{
    for (int i = 0; i < s->ndim; i++)
        if (s->dim[i] == CX_ANY) return false;
    return true;
}

bool cx_same_spec(const cx_spec *a, const cx_spec *b)
{
    bool same = a->dtype == b->dtype && a->ndim == b->ndim;
    for (int i = 0; same && i < a->ndim; i++) same = a->dim[i] == b->dim[i];
    return same;
}

cx_code cx_multiply(size_t a, size_t b, size_t *product, cx_err *err)
{
    if (b && a > (size_t)INT64_MAX / b)
        return cx_fail(err, CX_EVALUE, "the array would be too large: %zu times %zu bytes", a, b);
    *product = a * b;
    return CX_OK;
}

cx_code cx_bytes(const cx_spec *s, size_t *size, cx_err *err)
{
    uint64_t n = cx_width(s->dtype), most = INT64_MAX / 2;
    char text[CX_SHAPE_TEXT];
    bool empty = false;
    for (int i = 0; i < s->ndim; i++) {
        if (s->dim[i] < 0)
            return cx_fail(err, CX_EVALUE, "dimension %d is unknown, a value needs numbers. Received: shape=%s", i,
                           cx_shape_text(s, text));
        empty = empty || s->dim[i] == 0;
    }
    for (int i = 0; i < s->ndim; i++) { /* without the zeros: kernels multiply any of the dimensions */
        if (!s->dim[i]) continue;
        if (n > most / (uint64_t)s->dim[i])
            return cx_fail(err, CX_EVALUE, "the array would be too large. Received: shape=%s", cx_shape_text(s, text));
        n *= (uint64_t)s->dim[i];
    }
    *size = empty ? 0 : (size_t)n;
    return CX_OK;
}

const char *cx_shape_text(const cx_spec *s, char *text)
{
    size_t at = 0, room = CX_SHAPE_TEXT;
    text[at++] = '(';
    for (int i = 0; i < s->ndim; i++) {
        const char *comma = i + 1 < s->ndim ? ", " : s->ndim == 1 ? "," : "";
        int n = s->dim[i] == CX_ANY ? snprintf(text + at, room - at, "None%s", comma)
                                    : snprintf(text + at, room - at, "%lld%s", (long long)s->dim[i], comma);
        at += (size_t)n;
    }
    text[at] = ')', text[at + 1] = 0; /* eight numbers of at most 20 characters and their commas fit */
    return text;
}

cx_code cx_broadcast(const char *op, const cx_spec *in, int n, cx_spec *out, cx_err *err)
{
    out->ndim = 0;
    for (int i = 0; i < n; i++)
        if (in[i].ndim > out->ndim) out->ndim = in[i].ndim;
    for (int d = 0; d < out->ndim; d++) out->dim[d] = 1;
    for (int i = 0; i < n; i++)
        for (int d = 0; d < in[i].ndim; d++) {
            int64_t *to = &out->dim[out->ndim - in[i].ndim + d], from = in[i].dim[d];
            if (*to == 1 || (*to == CX_ANY && from != 1)) {
                *to = from; /* an unknown dimension against a known one other than 1 is that one, or 1 */
            } else if (from != 1 && !cx_fits(*to, from)) {
                char a[CX_SHAPE_TEXT], b[CX_SHAPE_TEXT];
                return cx_fail(err, CX_EVALUE, "%s: shapes %s and %s do not broadcast together", op,
                               cx_shape_text(&in[0], a), cx_shape_text(&in[i], b));
            }
        }
    return CX_OK;
}

cx_code cx_axes(const char *op, const cx_list *axes, int ndim, bool *mask, cx_err *err)
{
    for (int d = 0; d < ndim; d++) mask[d] = axes->n == CX_ABSENT;
    for (int64_t i = 0; i < axes->n; i++) {
        int64_t axis = axes->v[i] < 0 ? axes->v[i] + ndim : axes->v[i];
        if (axis < 0 || axis >= ndim)
            return cx_fail(err, CX_EVALUE,
                           "%s: `axis` must be in [%d, %d) for an input of rank %d. Received: axis=%lld", op, -ndim,
                           ndim, ndim, (long long)axes->v[i]);
        if (mask[axis]) return cx_fail(err, CX_EVALUE, "%s: `axis` names dimension %lld twice", op, (long long)axis);
        mask[axis] = true;
    }
    return CX_OK;
}
