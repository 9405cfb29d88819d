/* Parts of tensors: slice, pad, concat. */
#include "emit.h"
#include "move.h"

/* ---- slice: out[i] = in[begin + i stride]. A negative begin counts from the end; size counts elements of the output,
 * -1 takes all up to the end (or down to the start), and then begin may lie outside, as in Python ---- */
static int64_t stride_of(const cx_slice_attr *a, int d)
{
    return a->strides.n == CX_ABSENT ? 1 : a->strides.v[d];
}
static int64_t begin_of(const cx_slice_attr *a, int64_t dim, int d)
{
    int64_t begin = a->begin.v[d] < 0 ? a->begin.v[d] + dim : a->begin.v[d];
    if (a->size.v[d] >= 0) return begin;
    int64_t low = stride_of(a, d) > 0 ? 0 : -1, high = stride_of(a, d) > 0 ? dim : dim - 1;
    return begin < low ? low : begin > high ? high : begin;
}
INFER(slice)
{
    const cx_slice_attr *a = attr;
    cx_spec *out = &plan->out[0];
    char text[CX_SHAPE_TEXT];
    if (cx_one_each("slice", "begin", &a->begin, in, err) || cx_one_each("slice", "size", &a->size, in, err))
        return err->code;
    if (a->strides.n != CX_ABSENT && cx_one_each("slice", "strides", &a->strides, in, err)) return err->code;
    *out = in[0];
    for (int d = 0; d < in->ndim; d++) {
        int64_t dim = in->dim[d], stride = stride_of(a, d), size = a->size.v[d];
        if (!stride) return cx_fail(err, CX_EVALUE, "slice: `strides` must not be 0. Received: 0 for dimension %d", d);
        if (dim == CX_ANY) {
            out->dim[d] = size < 0 ? CX_ANY : size;
            continue;
        }
        int64_t begin = begin_of(a, dim, d), room = stride > 0 ? dim - 1 - begin : begin;
        int64_t most = room < 0 ? 0 : room / (stride > 0 ? stride : -stride) + 1;
        if (size > 0 && (begin < 0 || begin >= dim || size > most))
            return cx_fail(err, CX_EVALUE,
                           "slice: dimension %d of an input of shape %s has no %lld elements from %lld on in steps of "
                           "%lld",
                           d, cx_shape_text(in, text), (long long)size, (long long)a->begin.v[d], (long long)stride);
        out->dim[d] = size < 0 ? most : size;
    }
    return CX_OK;
}
/* Array 0 is the part, 1 lies in the whole; returns where in the whole it begins. */
static int64_t slice_grid(const cx_slice_attr *a, const cx_spec *whole, const cx_spec *part, cx_grid *g)
{
    int64_t at = 0, step = 1;
    *g = cx_grid_over(part);
    cx_grid_array(g, part);
    g->arrays = 2;
    for (int d = whole->ndim; d-- > 0; step *= whole->dim[d]) {
        if (part->dim[d]) at += begin_of(a, whole->dim[d], d) * step;
        g->step[1][d] = step * stride_of(a, d);
    }
    return at;
}
FORWARD(slice_forward)
{
    cx_grid g;
    FORWARD_UNUSED;
    if (!cx_count(&out->spec)) return;
    int64_t at = slice_grid(attr, &in->spec, &out->spec, &g);
    cx_grid_move(&g, in->spec.dtype, out->data, cx_shifted(in->data, at, in->spec.dtype), CX_WRITE);
}
BACKWARD(slice_backward)
{
    cx_grid g;
    BACKWARD_UNUSED;
    if (*mode == CX_SKIP) return;
    if (*mode == CX_WRITE) memset(din->data, 0, (size_t)cx_count(&din->spec) * cx_width(din->spec.dtype));
    if (!cx_count(&dout->spec)) return;
    int64_t at = slice_grid(attr, &din->spec, &dout->spec, &g);
    cx_swap_arrays(&g);
    cx_grid_move(&g, din->spec.dtype, cx_shifted(din->data, at, din->spec.dtype), dout->data, *mode);
}

/* Puts stride - 1 zeros behind each entry of dimension d, less those behind the last. */
static int stretch(const cx_emitter *e, int slot, int d, int64_t stride)
{
    if (slot < 0) return -1;
    const cx_spec s = *cx_emitted_spec(e, slot);
    cx_spec columns = {s.dtype, 2, {1, 1}}, rows = {s.dtype, 3, {1, s.dim[d] * stride, 1}}, result = s;
    cx_pad_attr zeros = {.before = {2, {0, 0}}, .after = {2, {0, stride - 1}}};
    cx_slice_attr trim = {{3, {0, 0, 0}}, {3, {-1, rows.dim[1] - (stride - 1), -1}}, {.n = CX_ABSENT}};
    for (int k = 0; k <= d; k++) columns.dim[0] *= s.dim[k];
    for (int k = d + 1; k < s.ndim; k++) columns.dim[1] *= s.dim[k];
    for (int k = 0; k < d; k++) rows.dim[0] *= s.dim[k];
    rows.dim[2] = columns.dim[1], zeros.after.v[1] *= columns.dim[1];
    slot = CX_EMIT_WITH(e, &cx_op_pad, zeros, cx_emit_reshape(e, slot, &columns));
    slot = CX_EMIT_WITH(e, &cx_op_slice, trim, cx_emit_reshape(e, slot, &rows));
    result.dim[d] = trim.size.v[1];
    return cx_emit_reshape(e, slot, &result);
}
EMIT(slice)
{
    const cx_slice_attr *a = (const cx_slice_attr *)n->attr;
    const cx_spec x = *cx_emitted_spec(e, n->in[0]), part = *cx_emitted_spec(e, dy);
    cx_pad_attr pad = {.before.n = x.ndim, .after.n = x.ndim};
    cx_list turned = {0};
    EMIT_UNUSED;
    for (int d = 0; d < x.ndim; d++) {
        int64_t stride = stride_of(a, d), length = part.dim[d], begin;
        if (x.dim[d] == CX_ANY || length == CX_ANY) {
            cx_fail(e->err, CX_EVALUE, "slice has no second derivative over a dimension that is not known yet");
            return -1;
        }
        begin = length ? begin_of(a, x.dim[d], d) : 0;
        if (length > 1 && stride < 0) {
            turned.v[turned.n++] = d;
            begin += (length - 1) * stride;
            stride = -stride;
        }
        if (length > 1 && stride > 1) {
            dy = stretch(e, dy, d, stride);
            length = (length - 1) * stride + 1;
        }
        pad.before.v[d] = begin, pad.after.v[d] = x.dim[d] - begin - length;
    }
    if (turned.n) dy = CX_EMIT_WITH(e, &cx_op_reverse, turned, dy);
    return CX_EMIT_WITH(e, &cx_op_pad, pad, dy);
}

INFER(pad)
{
    const cx_pad_attr *a = attr;
    if (cx_one_each("pad", "before", &a->before, in, err) || cx_one_each("pad", "after", &a->after, in, err))
        return err->code;
    plan->out[0] = in[0];
    for (int d = 0; d < in->ndim; d++) {
        int64_t before = a->before.v[d], after = a->after.v[d], dim = in->dim[d];
        if (dim == CX_ANY) {
            plan->out[0].dim[d] = CX_ANY;
            continue;
        }
        int64_t most = dim - (a->mode == CX_PAD_REFLECT);
        if (a->mode != CX_PAD_CONSTANT && (before > most || after > most) && before + after)
            return cx_fail(err, CX_EVALUE,
                           "pad: dimension %d has %lld elements, mode %s adds at most %lld on a side. "
                           "Received: before=%lld, after=%lld",
                           d, (long long)dim, a->mode == CX_PAD_REFLECT ? "reflect" : "symmetric",
                           (long long)(most < 0 ? 0 : most), (long long)before, (long long)after);
        if (dim > (int64_t)CX_MOST - before - after)
            return cx_fail(err, CX_EVALUE, "pad: dimension %d would be too large", d);
        plan->out[0].dim[d] = dim + before + after;
    }
    return CX_OK;
}
/* One of the three parts of a dimension: before, the input itself, after. */
enum { BEFORE, MIDDLE, AFTER };
typedef struct {
    int64_t out, in, size, step; /* first elements of the part in out and in `in`, and how `in` runs */
} segment;
static segment segment_of(const cx_pad_attr *a, int64_t dim, int d, int side)
{
    int64_t before = a->before.v[d], after = a->after.v[d], skip = a->mode == CX_PAD_REFLECT;
    if (side == MIDDLE) return (segment){before, 0, dim, 1};
    if (side == BEFORE) return (segment){0, before - 1 + skip, before, -1};
    return (segment){before + dim, dim - 1 - skip, after, -1};
}
/* Visits the blocks that mirrored padding is made of, the input itself first: in is moved to out, or added back. */
static void pad_blocks(const cx_pad_attr *a, const cx_value *in, const cx_value *out, bool back, cx_mode mode)
{
    int64_t in_step[CX_RANK], out_step[CX_RANK];
    int side[CX_RANK], rank = in->spec.ndim;
    cx_dtype dtype = in->spec.dtype;
    cx_steps(&in->spec, in_step), cx_steps(&out->spec, out_step);
    for (int d = 0; d < rank; d++) side[d] = MIDDLE;
    for (bool more = true; more;) {
        cx_grid g = {.rank = rank, .arrays = 2};
        int64_t in_at = 0, out_at = 0;
        bool empty = false;
        for (int d = 0; d < rank; d++) {
            segment s = segment_of(a, in->spec.dim[d], d, side[d]);
            g.dim[d] = s.size, g.step[back][d] = out_step[d], g.step[!back][d] = s.step * in_step[d];
            in_at += s.in * in_step[d], out_at += s.out * out_step[d];
            empty = empty || !s.size;
        }
        if (!empty) {
            char *from = cx_shifted(in->data, in_at, dtype), *to = cx_shifted(out->data, out_at, dtype);
            cx_grid_move(&g, dtype, back ? from : to, back ? to : from, mode);
        }
        if (back) mode = CX_ADD;
        more = false;
        for (int d = rank; d-- > 0 && !more;) {
            more = a->mode != CX_PAD_CONSTANT && side[d] != AFTER;
            side[d] = !more ? MIDDLE : side[d] == MIDDLE ? BEFORE : AFTER;
        }
    }
}
/* Constant padding in two slabs per dimension: earlier dimensions inside, later ones at full size. */
static void pad_fill(const cx_pad_attr *a, const cx_spec *in, const cx_value *out, const void *value)
{
    int64_t step[CX_RANK];
    cx_dtype dtype = out->spec.dtype;
    cx_steps(&out->spec, step);
    for (int d = 0; d < in->ndim; d++)
        for (int after = 0; after < 2; after++) {
            cx_grid g = cx_grid_over(&out->spec);
            int64_t at = after ? (a->before.v[d] + in->dim[d]) * step[d] : 0;
            g.arrays = 2;
            for (int k = 0; k < in->ndim; k++) {
                g.step[0][k] = step[k];
                if (k < d) g.dim[k] = in->dim[k], at += a->before.v[k] * step[k];
            }
            g.dim[d] = after ? a->after.v[d] : a->before.v[d];
            cx_grid_move(&g, dtype, cx_shifted(out->data, at, dtype), value, CX_WRITE);
        }
}
static uint64_t pad_value(const cx_pad_attr *a, cx_dtype dtype)
{
    union {
        uint64_t bits;
        double f64;
        float f32;
        int64_t i64;
        int32_t i32;
        int8_t i8;
        uint8_t u8;
    } v = {0};
    double x = a->value;
    switch (dtype) {
    case CX_F64:
        v.f64 = x;
        break;
    case CX_F32:
        v.f32 = (float)x;
        break;
    case CX_BOOL:
        v.u8 = x != 0;
        break;
    case CX_U8:
        v.u8 = (uint8_t)(x > 0 ? x < 255 ? x : 255 : 0);
        break;
    case CX_I8:
        v.i8 = (int8_t)(x > -128 ? x < 127 ? x : 127 : -128);
        break;
    case CX_I32:
        v.i32 = (int32_t)(x > INT32_MIN ? x < INT32_MAX ? x : INT32_MAX : INT32_MIN);
        break;
    default:
        v.i64 = (int64_t)(x > -CX_MOST ? x < CX_MOST ? x : CX_MOST : -CX_MOST);
    }
    return v.bits;
}
FORWARD(pad_forward)
{
    const cx_pad_attr *a = attr;
    uint64_t value = pad_value(a, in->spec.dtype);
    FORWARD_UNUSED;
    pad_blocks(a, in, out, false, CX_WRITE);
    if (a->mode == CX_PAD_CONSTANT) pad_fill(a, &in->spec, out, &value);
}
BACKWARD(pad_backward)
{
    BACKWARD_UNUSED;
    if (*mode) pad_blocks(attr, din, dout, true, *mode);
}
static bool pad_zeros(const void *attr, int64_t *pads)
{
    const cx_pad_attr *a = attr;
    const cx_list *b = &a->before, *e = &a->after;
    if (a->mode != CX_PAD_CONSTANT || a->value != 0 || b->n != 4 || b->v[0] || b->v[3] || e->v[0] || e->v[3])
        return false;
    pads[0] = b->v[1], pads[1] = e->v[1], pads[2] = b->v[2], pads[3] = e->v[2];
    return true;
}
static int cut_at(const cx_emitter *e, int slot, int d, int64_t begin, int64_t size)
{
    cx_slice_attr part = {{.n = 0}, {.n = 0}, {.n = CX_ABSENT}};
    if (slot < 0) return -1;
    const cx_spec s = *cx_emitted_spec(e, slot);
    part.begin.n = part.size.n = s.ndim;
    for (int i = 0; i < s.ndim; i++) part.size.v[i] = s.dim[i];
    part.begin.v[d] = begin, part.size.v[d] = size;
    return CX_EMIT_WITH(e, &cx_op_slice, part, slot);
}
/* A mirrored flank of dimension d, turned and put back to where it was read from. */
static int unmirrored(const cx_emitter *e, int flank, int d, int64_t before, int64_t after)
{
    const cx_reverse_attr turn = {{1, {d}}};
    cx_pad_attr zeros = {.mode = CX_PAD_CONSTANT};
    if (flank < 0) return -1;
    zeros.before.n = zeros.after.n = cx_emitted_spec(e, flank)->ndim;
    zeros.before.v[d] = before, zeros.after.v[d] = after;
    return CX_EMIT_WITH(e, &cx_op_pad, zeros, CX_EMIT_WITH(e, &cx_op_reverse, turn, flank));
}
EMIT(pad)
{
    const cx_pad_attr *a = (const cx_pad_attr *)n->attr;
    const cx_spec x = *cx_emitted_spec(e, n->in[0]);
    const int64_t edge = a->mode == CX_PAD_REFLECT; /* the edge itself is not repeated */
    EMIT_UNUSED;
    if (!cx_known(&x)) {
        cx_fail(e->err, CX_EVALUE, "pad has no second derivative while shapes are unknown");
        return -1;
    }
    for (int d = 0; d < x.ndim; d++) {
        const int64_t m = x.dim[d], before = a->before.v[d], after = a->after.v[d];
        const int left = before ? cut_at(e, dy, d, 0, before) : -1;
        const int right = after ? cut_at(e, dy, d, before + m, after) : -1;
        dy = cut_at(e, dy, d, before, m);
        if (a->mode == CX_PAD_CONSTANT) continue;
        if (before) dy = cx_emit2(e, &cx_op_add, dy, unmirrored(e, left, d, edge, m - edge - before));
        if (after) dy = cx_emit2(e, &cx_op_add, dy, unmirrored(e, right, d, m - edge - after, edge));
    }
    return dy;
}

static int concat_axis(const cx_axis_attr *a, const cx_spec *in)
{
    return (int)(a->axis < 0 ? a->axis + in->ndim : a->axis);
}
INFER(concat)
{
    const cx_axis_attr *a = attr;
    int axis = concat_axis(a, in);
    cx_spec *out = &plan->out[0];
    char first[CX_SHAPE_TEXT], other[CX_SHAPE_TEXT];
    if (axis < 0 || axis >= in->ndim)
        return cx_fail(err, CX_EVALUE, "concat: `axis` must be in [%d, %d) for inputs of rank %d. Received: axis=%lld",
                       -in->ndim, in->ndim, in->ndim, (long long)a->axis);
    *out = in[0];
    for (int k = 1; k < CX_INS; k++) {
        bool fits = in[k].ndim == in->ndim;
        if (in[k].ndim == CX_ABSENT) continue;
        for (int d = 0; fits && d < in->ndim; d++) {
            int64_t *to = &out->dim[d], dim = in[k].dim[d];
            if (d != axis) {
                fits = cx_fits(*to, dim);
                if (*to == CX_ANY) *to = dim;
            } else if (*to == CX_ANY || dim == CX_ANY) {
                *to = CX_ANY;
            } else {
                if (*to > (int64_t)CX_MOST - dim)
                    return cx_fail(err, CX_EVALUE, "concat: dimension %d would be too large", axis);
                *to += dim;
            }
        }
        if (!fits)
            return cx_fail(err, CX_EVALUE,
                           "concat: inputs must have equal shapes outside of axis %d. Received: %s and %s", axis,
                           cx_shape_text(in, first), cx_shape_text(&in[k], other));
    }
    return CX_OK;
}
/* Moves part to or from its place in the whole, `at` elements from the start; returns where the next one begins. */
static int64_t concat_part(int axis, const cx_value *whole, const cx_value *part, int64_t at, bool back, cx_mode mode)
{
    cx_grid g = cx_grid_over(&part->spec);
    int64_t step = 1, size = 0;
    g.arrays = 1;
    for (int d = whole->spec.ndim; d-- > 0; step *= whole->spec.dim[d]) {
        g.step[0][d] = step;
        if (d == axis) size = step * part->spec.dim[d];
    }
    cx_grid_array(&g, &part->spec);
    if (back) cx_swap_arrays(&g);
    char *place = cx_shifted(whole->data, at, whole->spec.dtype);
    if (mode) cx_grid_move(&g, whole->spec.dtype, back ? part->data : place, back ? place : part->data, mode);
    return at + size;
}
FORWARD(concat_forward)
{
    int64_t at = 0;
    FORWARD_UNUSED;
    for (int k = 0; k < CX_INS; k++)
        if (in[k].data) at = concat_part(concat_axis(attr, &out->spec), out, &in[k], at, false, CX_WRITE);
}
/* Shapes of inputs that get no gradient are read from in, whose values may be absent. */
BACKWARD(concat_backward)
{
    int64_t at = 0;
    BACKWARD_UNUSED;
    for (int k = 0; k < CX_INS; k++) {
        cx_value part = in[k];
        if (part.spec.ndim == CX_ABSENT) continue;
        part.data = din[k].data;
        at = concat_part(concat_axis(attr, &dout->spec), dout, &part, at, true, mode[k]);
    }
}
EMIT(concat)
{
    const cx_spec part = *cx_emitted_spec(e, n->in[k]);
    int axis = concat_axis((const cx_axis_attr *)n->attr, &part);
    cx_slice_attr a = {{.n = part.ndim}, {.n = part.ndim}, {.n = CX_ABSENT}};
    for (int d = 0; d < part.ndim; d++) a.size.v[d] = d == axis ? part.dim[d] : -1;
    for (int i = 0; i < k; i++) {
        int64_t dim = n->in[i] < 0 ? 0 : cx_emitted_spec(e, n->in[i])->dim[axis];
        if (dim == CX_ANY) {
            cx_fail(e->err, CX_EVALUE, "concat has no second derivative over a dimension that is not known yet");
            return -1;
        }
        a.begin.v[axis] += dim;
    }
    return CX_EMIT_WITH(e, &cx_op_slice, a, dy);
}

#define LIST(type, name, low, required)                                       \
    {                                                                         \
#name, CX_LIST, offsetof(type, name), required, 0, low, CX_MOST, NULL \
    }
static const cx_field slice_fields[] = {LIST(cx_slice_attr, begin, -CX_MOST, true),
                                        LIST(cx_slice_attr, size, -1, true),
                                        LIST(cx_slice_attr, strides, -CX_MOST, false),
                                        {0}};
static const cx_field pad_fields[] = {
    LIST(cx_pad_attr, before, 0, true),
    LIST(cx_pad_attr, after, 0, true),
    {"mode", CX_CHOICE, offsetof(cx_pad_attr, mode), false, CX_PAD_CONSTANT, 0, 2, "constant reflect symmetric"},
    {"value", CX_REAL, offsetof(cx_pad_attr, value), false, 0, -INFINITY, INFINITY, NULL},
    {0}};
static const cx_field concat_fields[] = {
    {"axis", CX_INT, offsetof(cx_axis_attr, axis), false, 0, -CX_RANK, CX_RANK - 1, NULL}, {0}};
#define CUT(f, most, ...)                                              \
    const cx_op cx_op_##f = {.name = #f,                               \
                             .kind = CX_ROUTE,                         \
                             .least_in = 1,                            \
                             .most_in = most,                          \
                             .n_out = 1,                               \
                             .n_public = 1,                            \
                             .fields = f##_fields,                     \
                             .infer = f##_infer,                       \
                             .forward = EVERY_DTYPE(f##_forward),      \
                             .backward = {f##_backward, f##_backward}, \
                             .emit_grad = f##_emit,                    \
                             __VA_ARGS__}
CUT(slice, 1, );
CUT(pad, 1, .zeros = pad_zeros);
CUT(concat, CX_INS, .alike = CX_EVERY_IN);
