/* cast: every dtype to every other. Real to integer truncates and saturates, NaN gives 0; integer to a narrower integer
 * wraps; to bool is != 0. */
#include "emit.h"
#include "generic.h"
#include "grid.h"

#ifndef FROM
typedef struct {
    const void *from;
    void *to;
} pass;

/* low < v < high truncates to a value of the type, as the bounds are exact in both real types. Comparisons with NaN
 * fail. */
#define SATURATE(v, type, low, high, least, most) \
    ((v) >= (FROM)(high) ? (most) : (v) > (FROM)(low) ? (type)(v) : (v) <= (FROM)(low) ? (least) : 0)

#define EACH(name, type, value)                                                                           \
    static void CX_JOIN(CX_JOIN(FROM, name), type)(void *context, int64_t begin, int64_t end, int worker) \
    {                                                                                                     \
        const pass *p = context;                                                                          \
        const FROM *x = p->from;                                                                          \
        type *y = p->to;                                                                                  \
        (void)worker;                                                                                     \
        for (int64_t i = begin; i < end; i++) y[i] = value;                                               \
    }
#define FROM float
#define REAL float
#include "cast.c"
#undef FROM
#define FROM double
#include "cast.c"
#undef FROM
#undef REAL
#define FROM int32_t
#include "cast.c"
#undef FROM
#define FROM int64_t
#include "cast.c"
#undef FROM
#define FROM uint8_t
#include "cast.c"
#undef FROM
#define FROM int8_t
#include "cast.c"
#undef FROM

#define ROW(from)                                                                              \
    {                                                                                          \
        [CX_F32] = from##_to_float, [CX_F64] = from##_to_double, [CX_I32] = from##_to_int32_t, \
        [CX_I64] = from##_to_int64_t, [CX_U8] = from##_to_uint8_t, [CX_I8] = from##_to_int8_t, \
        [CX_BOOL] = from##_truth_uint8_t                                                       \
    }
static cx_task *const casts[CX_DTYPES][CX_DTYPES] = {
    [CX_F32] = ROW(float),  [CX_F64] = ROW(double), [CX_I32] = ROW(int32_t), [CX_I64] = ROW(int64_t),
    [CX_U8] = ROW(uint8_t), [CX_I8] = ROW(int8_t),  [CX_BOOL] = ROW(uint8_t)};

FORWARD(cast_forward)
{
    pass p = {in->data, out->data};
    FORWARD_UNUSED;
    if (in->spec.dtype == out->spec.dtype)
        cx_move(in->spec.dtype, cx_count(&in->spec), out->data, in->data, CX_WRITE);
    else
        cx_parallel(cx_count(&in->spec), CX_GRAIN, casts[in->spec.dtype][out->spec.dtype], &p);
}

static void add_narrowed(void *context, int64_t begin, int64_t end, int worker)
{
    const pass *p = context;
    const double *x = p->from;
    float *y = p->to;
    (void)worker;
    for (int64_t i = begin; i < end; i++) y[i] += (float)x[i];
}
static void add_widened(void *context, int64_t begin, int64_t end, int worker)
{
    const pass *p = context;
    const float *x = p->from;
    double *y = p->to;
    (void)worker;
    for (int64_t i = begin; i < end; i++) y[i] += (double)x[i];
}
BACKWARD(cast_backward)
{
    pass p = {dout->data, din->data};
    int64_t n = cx_count(&dout->spec);
    cx_dtype from = dout->spec.dtype, to = din->spec.dtype;
    BACKWARD_UNUSED;
    if (*mode == CX_SKIP) return;
    if (from == to)
        cx_move(to, n, din->data, dout->data, *mode);
    else
        cx_parallel(n, CX_GRAIN, *mode == CX_WRITE ? casts[from][to] : to == CX_F32 ? add_narrowed : add_widened, &p);
}

static cx_code cast_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    (void)err;
    plan->out[0] = in[0];
    plan->out[0].dtype = (cx_dtype)((const cx_cast_attr *)attr)->dtype;
    return CX_OK;
}

EMIT(cast)
{
    EMIT_UNUSED;
    cx_cast_attr attr = {cx_emitted_spec(e, n->in[0])->dtype};
    return CX_EMIT_WITH(e, &cx_op_cast, attr, dy);
}

static const cx_field cast_fields[] = {
    {"dtype", CX_TYPE, offsetof(cx_cast_attr, dtype), true, 0, 0, CX_DTYPES - 1, NULL}, {0}};
const cx_op cx_op_cast = {
    .name = "cast",
    .kind = CX_LINEAR,
    .least_in = 1,
    .most_in = 1,
    .n_out = 1,
    .n_public = 1,
    .fields = cast_fields,
    .infer = cast_infer,
    .forward = {cast_forward, cast_forward, cast_forward, cast_forward, cast_forward, cast_forward, cast_forward},
    .backward = {cast_backward, cast_backward},
    .emit_grad = cast_emit,
};

#else
EACH(to, float, (float)x[i])
EACH(to, double, (double)x[i])
EACH(truth, uint8_t, x[i] != 0)
#ifdef REAL
EACH(to, int32_t, SATURATE(x[i], int32_t, -0x1p31, 0x1p31, INT32_MIN, INT32_MAX))
EACH(to, int64_t, SATURATE(x[i], int64_t, -0x1p63, 0x1p63, INT64_MIN, INT64_MAX))
EACH(to, uint8_t, SATURATE(x[i], uint8_t, 0, 256, 0, UINT8_MAX))
EACH(to, int8_t, SATURATE(x[i], int8_t, -128, 128, INT8_MIN, INT8_MAX))
#else
EACH(to, int32_t, (int32_t)x[i])
EACH(to, int64_t, (int64_t)x[i])
EACH(to, uint8_t, (uint8_t)x[i])
EACH(to, int8_t, (int8_t)x[i])
#endif
#endif
