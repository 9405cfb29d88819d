/* By index: gather, gather_nd, one_hot. `check` has seen every index before a kernel runs. */
#include "emit.h"
#include "move.h"

#ifndef REAL
enum { STRIP = 1024 };
/* params (batch, outer, n, inner), indices (batch, picks) -> (batch, outer, picks, inner). */
typedef struct {
    int64_t batch, outer, n, picks, inner;
    const cx_value *indices;
    const char *from;
    char *to;
    size_t width;
} pick;
/* params (rows, inner), one index of `depth` numbers for each of picks -> (picks, inner). */
typedef struct {
    int64_t picks, depth, inner, step[CX_RANK];
    const cx_value *indices;
    const char *from;
    char *to;
    size_t width;
} pick_nd;

static int64_t index_at(const cx_value *v, int64_t i)
{
    switch (v->spec.dtype) {
    case CX_I32:
        return ((const int32_t *)v->data)[i];
    case CX_I64:
        return ((const int64_t *)v->data)[i];
    case CX_I8:
        return ((const int8_t *)v->data)[i];
    default:
        return ((const uint8_t *)v->data)[i];
    }
}
static cx_code need_integers(const char *op, const cx_spec *s, cx_err *err)
{
    if (!cx_is_real(s->dtype) && s->dtype != CX_BOOL) return CX_OK;
    return cx_fail(err, CX_ETYPE, "%s: `indices` must be integers. Received: dtype=%s", op, cx_dtype_name(s->dtype));
}
static cx_code refuse_index(const char *op, int64_t index, int64_t place, int64_t n, cx_err *err)
{
    return cx_fail(err, CX_EVALUE, "%s: indices must be in [0, %lld). Received: %lld at element %lld", op, (long long)n,
                   (long long)index, (long long)place);
}

#define REAL float
#include "gather.c"
#undef REAL
#define REAL double
#include "gather.c"
#undef REAL

static int gather_axis(const cx_gather_attr *a, const cx_spec *params)
{
    return (int)(a->axis < 0 ? a->axis + params->ndim : a->axis);
}
static cx_code gather_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    const cx_gather_attr *a = attr;
    const cx_spec *params = &in[0], *indices = &in[1];
    int axis = gather_axis(a, params), batch = (int)a->batch_dims;
    cx_spec *out = &plan->out[0];
    char p[CX_SHAPE_TEXT], q[CX_SHAPE_TEXT];
    if (need_integers("gather", indices, err)) return err->code;
    if (axis < 0 || axis >= params->ndim)
        return cx_fail(err, CX_EVALUE,
                       "gather: `axis` must be in [%d, %d) for an input of rank %d. Received: axis=%lld", -params->ndim,
                       params->ndim, params->ndim, (long long)a->axis);
    bool fits = batch <= axis && batch <= indices->ndim;
    for (int d = 0; fits && d < batch; d++) fits = cx_fits(params->dim[d], indices->dim[d]);
    if (!fits)
        return cx_fail(err, CX_EVALUE,
                       "gather: `batch_dims`=%d needs that many equal leading dimensions before `axis`. Received: "
                       "shapes %s and %s, axis=%d",
                       batch, cx_shape_text(params, p), cx_shape_text(indices, q), axis);
    if (params->ndim - 1 + indices->ndim - batch > CX_RANK)
        return cx_fail(err, CX_EVALUE, "gather: the result would have rank %d, the most is %d",
                       params->ndim - 1 + indices->ndim - batch, CX_RANK);
    out->dtype = params->dtype, out->ndim = 0;
    for (int d = 0; d < axis; d++)
        out->dim[out->ndim++] = d < batch && params->dim[d] == CX_ANY ? indices->dim[d] : params->dim[d];
    for (int d = batch; d < indices->ndim; d++) out->dim[out->ndim++] = indices->dim[d];
    for (int d = axis + 1; d < params->ndim; d++) out->dim[out->ndim++] = params->dim[d];
    return CX_OK;
}
static cx_code gather_check(const void *attr, const cx_value *in, cx_err *err)
{
    int64_t n = in[0].spec.dim[gather_axis(attr, &in[0].spec)];
    for (int64_t i = 0, k = cx_count(&in[1].spec); i < k; i++) {
        int64_t index = index_at(&in[1], i);
        if (index < 0 || index >= n) return refuse_index("gather", index, i, n, err);
    }
    return CX_OK;
}
static pick pick_of(const cx_gather_attr *a, const cx_spec *params, const cx_value *indices)
{
    pick p = {1, 1, 1, 1, 1, indices, NULL, NULL, cx_width(params->dtype)};
    int axis = gather_axis(a, params), batch = (int)a->batch_dims;
    for (int d = 0; d < batch; d++) p.batch *= params->dim[d];
    for (int d = batch; d < axis; d++) p.outer *= params->dim[d];
    for (int d = axis + 1; d < params->ndim; d++) p.inner *= params->dim[d];
    for (int d = batch; d < indices->spec.ndim; d++) p.picks *= indices->spec.dim[d];
    p.n = params->dim[axis];
    return p;
}
static void pick_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const pick *p = context;
    size_t size = (size_t)p->inner * p->width;
    (void)worker;
    for (int64_t r = begin; r < end; r++) {
        int64_t row = r / p->picks, index = index_at(p->indices, row / p->outer * p->picks + r % p->picks);
        const char *from = p->from + (size_t)(row * p->n + index) * size;
        if (size == 4)
            memcpy(p->to + (size_t)r * 4, from, 4);
        else
            memcpy(p->to + (size_t)r * size, from, size);
    }
}
FORWARD(gather_forward)
{
    pick p = pick_of(attr, &in[0].spec, &in[1]);
    FORWARD_UNUSED;
    p.from = in[0].data, p.to = out->data;
    if (p.inner) cx_parallel(p.batch * p.outer * p.picks, 1 + CX_GRAIN / p.inner, pick_rows, &p);
}
EMIT(gather) /* one_hot(indices) (batch, 1, picks, n) turned, times dy (batch, outer, picks, inner) */
{
    const cx_gather_attr *a = (const cx_gather_attr *)n->attr;
    const cx_spec params = *cx_emitted_spec(e, n->in[0]), indices = *cx_emitted_spec(e, n->in[1]);
    EMIT_UNUSED;
    if (!cx_known(&params) || !cx_known(&indices)) {
        cx_fail(e->err, CX_EVALUE, "gather has no second derivative while shapes are unknown");
        return -1;
    }
    const cx_value places = {.spec = indices};
    const pick p = pick_of(a, &params, &places);
    const cx_spec which = {indices.dtype, 3, {p.batch, 1, p.picks}};
    const cx_spec rows = {params.dtype, 4, {p.batch, p.outer, p.picks, p.inner}};
    const cx_one_hot_attr hot = {p.n, 1, 0, -1, params.dtype};
    const cx_matmul_attr turn = {{1, 0}};
    const int from = CX_EMIT_WITH(e, &cx_op_one_hot, hot, cx_emit_reshape(e, n->in[1], &which));
    const int all =
        cx_emit(e, &cx_op_matmul, &turn, sizeof turn, 2, (const int[]){from, cx_emit_reshape(e, dy, &rows)});
    return cx_emit_reshape(e, all, &params);
}
static int64_t strips_of(int64_t inner)
{
    return (inner + STRIP - 1) / STRIP;
}

static cx_code gather_nd_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    const cx_spec *params = &in[0], *indices = &in[1];
    int64_t depth = indices->ndim ? indices->dim[indices->ndim - 1] : CX_ANY;
    cx_spec *out = &plan->out[0];
    char p[CX_SHAPE_TEXT], q[CX_SHAPE_TEXT];
    (void)attr;
    if (need_integers("gather_nd", indices, err)) return err->code;
    if (depth < 0 || depth > params->ndim || indices->ndim - 1 + params->ndim - depth > CX_RANK)
        return cx_fail(err, CX_EVALUE,
                       "gather_nd: the last dimension of `indices` must be known and at most the rank of the input. "
                       "Received: shapes %s and %s",
                       cx_shape_text(params, p), cx_shape_text(indices, q));
    out->dtype = params->dtype, out->ndim = 0;
    for (int d = 0; d < indices->ndim - 1; d++) out->dim[out->ndim++] = indices->dim[d];
    for (int d = (int)depth; d < params->ndim; d++) out->dim[out->ndim++] = params->dim[d];
    return CX_OK;
}
static cx_code gather_nd_check(const void *attr, const cx_value *in, cx_err *err)
{
    int64_t depth = in[1].spec.dim[in[1].spec.ndim - 1];
    (void)attr;
    for (int64_t i = 0, k = cx_count(&in[1].spec); i < k; i++) {
        int64_t index = index_at(&in[1], i), n = in[0].spec.dim[i % depth];
        if (index < 0 || index >= n) return refuse_index("gather_nd", index, i, n, err);
    }
    return CX_OK;
}
static pick_nd pick_nd_of(const cx_spec *params, const cx_value *indices)
{
    const cx_spec *s = &indices->spec;
    pick_nd p = {.picks = 1, .depth = s->dim[s->ndim - 1], .inner = 1, .indices = indices};
    for (int d = 0; d < s->ndim - 1; d++) p.picks *= s->dim[d];
    for (int d = params->ndim; d-- > p.depth;) p.inner *= params->dim[d];
    int64_t step = p.inner;
    for (int64_t d = p.depth; d-- > 0; step *= params->dim[d]) p.step[d] = step;
    p.width = cx_width(params->dtype);
    return p;
}
static int64_t place_of(const pick_nd *p, int64_t i)
{
    int64_t at = 0;
    for (int64_t d = 0; d < p->depth; d++) at += index_at(p->indices, i * p->depth + d) * p->step[d];
    return at;
}
static void pick_nd_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const pick_nd *p = context;
    size_t size = (size_t)p->inner * p->width;
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        memcpy(p->to + (size_t)i * size, p->from + (size_t)place_of(p, i) * p->width, size);
}
FORWARD(gather_nd_forward)
{
    pick_nd p = pick_nd_of(&in[0].spec, &in[1]);
    FORWARD_UNUSED;
    p.from = in[0].data, p.to = out->data;
    if (p.inner) cx_parallel(p.picks, 1 + CX_GRAIN / p.inner, pick_nd_rows, &p);
}

static int one_hot_axis(const cx_one_hot_attr *a, int rank)
{
    return (int)(a->axis < 0 ? a->axis + rank + 1 : a->axis);
}
static cx_code one_hot_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    const cx_one_hot_attr *a = attr;
    int axis = one_hot_axis(a, in->ndim);
    cx_spec *out = &plan->out[0];
    if (in->ndim == CX_RANK)
        return cx_fail(err, CX_EVALUE, "one_hot: the result would have rank %d, the most is %d", CX_RANK + 1, CX_RANK);
    if (axis < 0 || axis > in->ndim)
        return cx_fail(err, CX_EVALUE, "one_hot: `axis` must be in [%d, %d]. Received: axis=%lld", -in->ndim - 1,
                       in->ndim, (long long)a->axis);
    out->dtype = (cx_dtype)a->dtype, out->ndim = in->ndim + 1;
    for (int d = 0; d < out->ndim; d++) out->dim[d] = d < axis ? in->dim[d] : d == axis ? a->depth : in->dim[d - 1];
    return CX_OK;
}
typedef struct {
    const cx_value *indices;
    void *to;
    int64_t depth, inner;
    double on, off;
} marks;
#define MARK(type, name)                                                                 \
    static void name(void *context, int64_t begin, int64_t end, int worker)              \
    {                                                                                    \
        const marks *m = context;                                                        \
        const type on = (type)m->on, off = (type)m->off;                                 \
        (void)worker;                                                                    \
        for (int64_t i = begin; i < end; i++) {                                          \
            type *y = (type *)m->to + i / m->inner * m->depth * m->inner + i % m->inner; \
            int64_t index = index_at(m->indices, i);                                     \
            for (int64_t k = 0; k < m->depth; k++) y[k * m->inner] = off;                \
            if (index >= 0 && index < m->depth) y[index * m->inner] = on;                \
        }                                                                                \
    }
MARK(float, mark_float)
MARK(double, mark_double)
MARK(int32_t, mark_int32_t)
MARK(int64_t, mark_int64_t)
MARK(int8_t, mark_int8_t)
MARK(uint8_t, mark_uint8_t)
MARK(bool, mark_bool)
FORWARD(one_hot_forward)
{
    static cx_task *const tasks[CX_DTYPES] = {
        [CX_F32] = mark_float,  [CX_F64] = mark_double, [CX_I32] = mark_int32_t, [CX_I64] = mark_int64_t,
        [CX_U8] = mark_uint8_t, [CX_I8] = mark_int8_t,  [CX_BOOL] = mark_bool};
    const cx_one_hot_attr *a = attr;
    marks m = {in, out->data, a->depth, 1, a->on_value, a->off_value};
    FORWARD_UNUSED;
    for (int d = one_hot_axis(a, in->spec.ndim); d < in->spec.ndim; d++) m.inner *= in->spec.dim[d];
    cx_parallel(cx_count(&in->spec), 1 + CX_GRAIN / (m.depth + 1), tasks[out->spec.dtype], &m);
}

static const cx_field gather_fields[] = {
    {"axis", CX_INT, offsetof(cx_gather_attr, axis), false, 0, -CX_RANK, CX_RANK - 1, NULL},
    {"batch_dims", CX_INT, offsetof(cx_gather_attr, batch_dims), false, 0, 0, CX_RANK - 1, NULL},
    {0}};
static const cx_field one_hot_fields[] = {
    {"depth", CX_INT, offsetof(cx_one_hot_attr, depth), true, 0, 0, CX_MOST, NULL},
    {"on_value", CX_REAL, offsetof(cx_one_hot_attr, on_value), false, 1, -INT32_MAX, INT32_MAX, NULL},
    {"off_value", CX_REAL, offsetof(cx_one_hot_attr, off_value), false, 0, -INT32_MAX, INT32_MAX, NULL},
    {"axis", CX_INT, offsetof(cx_one_hot_attr, axis), false, -1, -CX_RANK, CX_RANK - 1, NULL},
    {"dtype", CX_TYPE, offsetof(cx_one_hot_attr, dtype), false, CX_F32, 0, CX_DTYPES - 1, NULL},
    {0}};
const cx_op cx_op_gather = {.name = "gather",
                            .kind = CX_ROUTE,
                            .least_in = 2,
                            .most_in = 2,
                            .n_out = 1,
                            .n_public = 1,
                            .fields = gather_fields,
                            .infer = gather_infer,
                            .check = gather_check,
                            .forward = EVERY_DTYPE(gather_forward),
                            .backward = CX_BOTH(gather_backward),
                            .reads = {CX_IN(1)},
                            .adds = CX_IN(0),
                            .emit_grad = gather_emit};
const cx_op cx_op_gather_nd = {.name = "gather_nd",
                               .kind = CX_ROUTE,
                               .least_in = 2,
                               .most_in = 2,
                               .n_out = 1,
                               .n_public = 1,
                               .infer = gather_nd_infer,
                               .check = gather_nd_check,
                               .forward = EVERY_DTYPE(gather_nd_forward),
                               .backward = CX_BOTH(gather_nd_backward),
                               .reads = {CX_IN(1)},
                               .adds = CX_IN(0)};
const cx_op cx_op_one_hot = {
    .name = "one_hot",
    .kind = CX_OTHER,
    .least_in = 1,
    .most_in = 1,
    .n_out = 1,
    .n_public = 1,
    .fields = one_hot_fields,
    .infer = one_hot_infer,
    .forward = {
        [CX_I32] = one_hot_forward, [CX_I64] = one_hot_forward, [CX_U8] = one_hot_forward, [CX_I8] = one_hot_forward}};

#else
/* A row of params may be picked many times: its strip belongs to one task, which adds in the order of the picks. */
static pick pick_of(const cx_gather_attr *a, const cx_spec *params, const cx_value *indices);
static pick_nd pick_nd_of(const cx_spec *params, const cx_value *indices);
static int64_t place_of(const pick_nd *p, int64_t i);
static int64_t strips_of(int64_t inner);

static inline void T(add_strip)(REAL *to, const REAL *from, int64_t strip, int64_t inner)
{
    int64_t last = strip + STRIP < inner ? strip + STRIP : inner;
    for (int64_t i = strip; i < last; i++) to[i] += from[i];
}
static void T(put_rows)(void *context, int64_t begin, int64_t end, int worker)
{
    const pick *p = context;
    int64_t strips = strips_of(p->inner);
    (void)worker;
    for (int64_t t = begin; t < end; t++) {
        int64_t row = t / strips, strip = t % strips * STRIP;
        const REAL *dy = (const REAL *)(const void *)p->from + row * p->picks * p->inner;
        REAL *dx = (REAL *)(void *)p->to + row * p->n * p->inner;
        for (int64_t i = 0; i < p->picks; i++) {
            int64_t index = index_at(p->indices, row / p->outer * p->picks + i);
            T(add_strip)(dx + index * p->inner, dy + i * p->inner, strip, p->inner);
        }
    }
}
BACKWARD(T(gather_backward))
{
    pick p = pick_of(attr, &din->spec, &in[1]);
    BACKWARD_UNUSED;
    p.from = dout->data, p.to = din->data;
    if (mode[0] == CX_SKIP || !p.inner || !p.picks) return;
    int64_t work = p.picks * (p.inner < STRIP ? p.inner : STRIP);
    cx_parallel(p.batch * p.outer * strips_of(p.inner), 1 + CX_GRAIN / work, T(put_rows), &p);
}
static void T(put_nd_rows)(void *context, int64_t begin, int64_t end, int worker)
{
    const pick_nd *p = context;
    (void)worker;
    for (int64_t t = begin; t < end; t++)
        for (int64_t i = 0; i < p->picks; i++) {
            REAL *dx = (REAL *)(void *)p->to + place_of(p, i);
            T(add_strip)(dx, (const REAL *)(const void *)p->from + i * p->inner, t * STRIP, p->inner);
        }
}
BACKWARD(T(gather_nd_backward))
{
    pick_nd p = pick_nd_of(&din->spec, &in[1]);
    BACKWARD_UNUSED;
    p.from = dout->data, p.to = din->data;
    if (mode[0] == CX_SKIP || !p.inner || !p.picks) return;
    cx_parallel(strips_of(p.inner), 1 + CX_GRAIN / (p.picks * STRIP), T(put_nd_rows), &p);
}
#endif
