/* Elements to other places: views, transpose, broadcast_to, tile, reverse. */
#include "emit.h"
#include "fold.h"
#include "move.h"

INFER(same)
{
    (void)attr, (void)err;
    plan->out[0] = in[0];
    return CX_OK;
}
EMIT(identity)
{
    EMIT_UNUSED;
    return dy;
}
const cx_op cx_op_identity = {.name = "identity",
                              .kind = CX_VIEW,
                              .least_in = 1,
                              .most_in = 1,
                              .n_out = 1,
                              .n_public = 1,
                              .infer = same_infer,
                              .emit_grad = identity_emit};
const cx_op cx_op_stop_gradient = {.name = "stop_gradient",
                                   .kind = CX_VIEW,
                                   .least_in = 1,
                                   .most_in = 1,
                                   .n_out = 1,
                                   .n_public = 1,
                                   .infer = same_infer,
                                   .stops = true};

/* reshape: -1 is inferred, -2 keeps the input's dimension at that place */
static cx_code reshape_fails(const cx_spec *in, const cx_spec *out, cx_err *err)
{
    char a[CX_SHAPE_TEXT], b[CX_SHAPE_TEXT];
    return cx_fail(err, CX_EVALUE, "reshape: an input of shape %s does not fit into shape %s", cx_shape_text(in, a),
                   cx_shape_text(out, b));
}
static bool multiply(int64_t *a, int64_t b)
{
    if (b && *a > INT64_MAX / b) return false;
    *a *= b;
    return true;
}
/* Kept dimensions cancel on both sides; what is left must have equal counts. */
INFER(reshape)
{
    const cx_list *shape = &((const cx_shape_attr *)attr)->shape;
    cx_spec *out = &plan->out[0];
    bool kept[CX_RANK] = {false};
    int64_t have = 1, want = 1;
    int open = -1, unknown = 0;
    *out = (cx_spec){.dtype = in->dtype, .ndim = (int)shape->n};
    for (int d = 0; d < shape->n; d++) {
        bool keep = shape->v[d] == -2;
        if (keep && d >= in->ndim)
            return cx_fail(err, CX_EVALUE, "reshape: -2 keeps dimension %d, but the input has rank %d", d, in->ndim);
        if (shape->v[d] == -1 && open >= 0)
            return cx_fail(err, CX_EVALUE, "reshape: only one dimension of `shape` can be -1. Received: two");
        if (keep) kept[d] = true;
        if (shape->v[d] == -1) open = d;
        out->dim[d] = keep ? in->dim[d] : shape->v[d];
    }
    for (int d = 0; d < in->ndim; d++) {
        if (kept[d]) continue;
        if (in->dim[d] == CX_ANY) {
            unknown++;
        } else if (!multiply(&have, in->dim[d])) {
            return reshape_fails(in, out, err);
        }
    }
    for (int d = 0; d < out->ndim; d++) {
        if (d == open || (d < in->ndim && kept[d])) continue;
        if (!multiply(&want, out->dim[d])) return reshape_fails(in, out, err);
    }
    if (unknown) return CX_OK; /* checked when it is known; -1 stays CX_ANY */
    if (open < 0) return have == want ? CX_OK : reshape_fails(in, out, err);
    if (want ? have % want : have) return reshape_fails(in, out, err);
    out->dim[open] = want ? have / want : 0;
    return CX_OK;
}
EMIT(reshape)
{
    EMIT_UNUSED;
    const cx_spec shape = *cx_emitted_spec(e, n->in[0]);
    return cx_emit_reshape(e, dy, &shape);
}
static const cx_field reshape_fields[] = {
    {"shape", CX_LIST, offsetof(cx_shape_attr, shape), true, 0, -2, CX_MOST, NULL}, {0}};
const cx_op cx_op_reshape = {.name = "reshape",
                             .kind = CX_VIEW,
                             .least_in = 1,
                             .most_in = 1,
                             .n_out = 1,
                             .n_public = 1,
                             .fields = reshape_fields,
                             .infer = reshape_infer,
                             .emit_grad = reshape_emit};

/* transpose: out dimension d is in dimension perm[d]; None reverses them */
static int source_of(const cx_transpose_attr *a, int rank, int d)
{
    int64_t from = a->perm.n == CX_ABSENT ? rank - 1 - d : a->perm.v[d];
    return (int)(from < 0 ? from + rank : from);
}
INFER(transpose)
{
    const cx_transpose_attr *a = attr;
    bool seen[CX_RANK] = {false};
    if (a->perm.n != CX_ABSENT && cx_one_each("transpose", "perm", &a->perm, in, err)) return err->code;
    plan->out[0] = in[0];
    for (int d = 0; d < in->ndim; d++) {
        int from = source_of(a, in->ndim, d);
        if (from < 0 || from >= in->ndim || seen[from])
            return cx_fail(err, CX_EVALUE,
                           "transpose: `perm` must name each of %d dimensions once. Received: %lld at %d", in->ndim,
                           (long long)a->perm.v[d], d);
        seen[from] = true;
        plan->out[0].dim[d] = in->dim[from];
    }
    return CX_OK;
}
/* Array 0 is the transposed one, 1 the one it is made from. */
static cx_grid transpose_grid(const cx_transpose_attr *a, const cx_spec *from, const cx_spec *to)
{
    cx_grid g = cx_grid_over(to);
    int64_t step[CX_RANK];
    cx_steps(from, step);
    cx_grid_array(&g, to);
    for (int d = 0; d < to->ndim; d++) g.step[1][d] = step[source_of(a, to->ndim, d)];
    g.arrays = 2;
    return g;
}
FORWARD(transpose_forward)
{
    cx_grid g = transpose_grid(attr, &in->spec, &out->spec);
    FORWARD_UNUSED;
    cx_grid_move(&g, in->spec.dtype, out->data, in->data, CX_WRITE);
}
BACKWARD(transpose_backward)
{
    cx_grid g = transpose_grid(attr, &din->spec, &dout->spec);
    BACKWARD_UNUSED;
    cx_swap_arrays(&g);
    if (*mode) cx_grid_move(&g, din->spec.dtype, din->data, dout->data, *mode);
}
EMIT(transpose)
{
    const cx_transpose_attr *a = (const cx_transpose_attr *)n->attr;
    cx_transpose_attr inverse = {{.n = cx_emitted_spec(e, n->in[0])->ndim}};
    EMIT_UNUSED;
    for (int d = 0; d < inverse.perm.n; d++) inverse.perm.v[source_of(a, (int)inverse.perm.n, d)] = d;
    return CX_EMIT_WITH(e, &cx_op_transpose, inverse, dy);
}

/* broadcast_to: -1 keeps the input's dimension */
INFER(broadcast_to)
{
    const cx_list *shape = &((const cx_shape_attr *)attr)->shape;
    cx_spec *out = &plan->out[0];
    int shift = (int)shape->n - in->ndim;
    bool fits = shift >= 0;
    *out = (cx_spec){.dtype = in->dtype, .ndim = (int)shape->n};
    for (int d = 0; d < shape->n; d++) {
        int64_t have = d < shift ? 1 : in->dim[d - shift];
        out->dim[d] = shape->v[d] < 0 ? have : shape->v[d];
        fits = fits && (have == 1 || cx_fits(have, out->dim[d])) && !(shape->v[d] < 0 && d < shift);
    }
    if (!fits) {
        char a[CX_SHAPE_TEXT], b[CX_SHAPE_TEXT];
        return cx_fail(err, CX_EVALUE, "broadcast_to: shape %s does not broadcast to %s", cx_shape_text(in, a),
                       cx_shape_text(out, b));
    }
    if (!cx_is_real(in->dtype) || !cx_known(in) || !cx_known(out)) return CX_OK;
    size_t size;
    if (cx_bytes(in, &size, err) || cx_bytes(out, &size, err)) return err->code;
    plan->scratch_back = cx_fold_back(out, in).scratch;
    return CX_OK;
}
FORWARD(broadcast_to_forward)
{
    cx_grid g = cx_grid_over(&out->spec);
    FORWARD_UNUSED;
    cx_grid_array(&g, &out->spec), cx_grid_array(&g, &in->spec);
    cx_grid_move(&g, in->spec.dtype, out->data, in->data, CX_WRITE);
}
BACKWARD(broadcast_to_backward)
{
    cx_fold f = cx_fold_back(&dout->spec, &din->spec);
    BACKWARD_UNUSED;
    if (*mode) cx_fold_run(&f, CX_FOLD_SUM, din->spec.dtype, dout->data, din->data, 1, *mode, scratch);
}
EMIT(broadcast_to) /* what is common to all ops sums to the input's shape */
{
    EMIT_UNUSED;
    return dy;
}

/* tile: each dimension is (multiple, dim), the first one repeated */
static int64_t tiled(int64_t dim, int64_t multiple)
{
    return dim == CX_ANY ? CX_ANY : dim * multiple;
}
static cx_fold tile_fold(const cx_tile_attr *a, const cx_spec *in)
{
    int64_t dim[CX_GRID_RANK];
    bool mask[CX_GRID_RANK];
    for (int d = 0; d < in->ndim; d++) {
        dim[2 * d] = a->multiples.v[d], dim[2 * d + 1] = in->dim[d];
        mask[2 * d] = true, mask[2 * d + 1] = false;
    }
    return cx_fold_plan(2 * in->ndim, dim, mask, in->dtype);
}
INFER(tile)
{
    const cx_tile_attr *a = attr;
    if (cx_one_each("tile", "multiples", &a->multiples, in, err)) return err->code;
    plan->out[0] = in[0];
    for (int d = 0; d < in->ndim; d++) {
        if (a->multiples.v[d] && in->dim[d] > (int64_t)CX_MOST / a->multiples.v[d])
            return cx_fail(err, CX_EVALUE, "tile: dimension %d would be too large: %lld times %lld", d,
                           (long long)in->dim[d], (long long)a->multiples.v[d]);
        plan->out[0].dim[d] = tiled(in->dim[d], a->multiples.v[d]);
    }
    if (!cx_is_real(in->dtype) || !cx_known(in)) return CX_OK;
    size_t size;
    if (cx_bytes(in, &size, err) || cx_bytes(&plan->out[0], &size, err)) return err->code;
    plan->scratch_back = tile_fold(a, in).scratch;
    return CX_OK;
}
FORWARD(tile_forward)
{
    const cx_tile_attr *a = attr;
    cx_grid g = {.rank = 2 * in->spec.ndim, .arrays = 2};
    int64_t from = 1, to = 1;
    FORWARD_UNUSED;
    for (int d = in->spec.ndim; d-- > 0;) {
        int64_t dim = in->spec.dim[d], *step0 = g.step[0] + 2 * d, *step1 = g.step[1] + 2 * d;
        g.dim[2 * d] = a->multiples.v[d], g.dim[2 * d + 1] = dim;
        step0[0] = to * dim, step0[1] = to;
        step1[0] = 0, step1[1] = from;
        from *= dim, to = step0[0] * a->multiples.v[d];
    }
    cx_grid_move(&g, in->spec.dtype, out->data, in->data, CX_WRITE);
}
BACKWARD(tile_backward)
{
    BACKWARD_UNUSED;
    if (*mode == CX_SKIP) return;
    cx_fold f = tile_fold(attr, &din->spec);
    cx_fold_run(&f, CX_FOLD_SUM, din->spec.dtype, dout->data, din->data, 1, *mode, scratch);
}

EMIT(tile) /* one dimension after the other: (before, multiple, size, after) summed over the multiple */
{
    const cx_tile_attr *a = (const cx_tile_attr *)n->attr;
    const cx_spec x = *cx_emitted_spec(e, n->in[0]);
    const cx_reduce_attr copies = {{1, {1}}, 0};
    cx_spec done = *cx_emitted_spec(e, dy);
    EMIT_UNUSED;
    if (!cx_known(&x)) {
        cx_fail(e->err, CX_EVALUE, "tile has no second derivative while shapes are unknown");
        return -1;
    }
    for (int d = 0; d < x.ndim && dy >= 0; d++) {
        cx_spec apart = {x.dtype, 4, {1, a->multiples.v[d], x.dim[d], 1}};
        for (int i = 0; i < d; i++) apart.dim[0] *= done.dim[i];
        for (int i = d + 1; i < x.ndim; i++) apart.dim[3] *= done.dim[i];
        done.dim[d] = x.dim[d];
        dy = CX_EMIT_WITH(e, &cx_op_reduce_sum, copies, cx_emit_reshape(e, dy, &apart));
    }
    return cx_emit_reshape(e, dy, &x);
}

INFER(reverse)
{
    const cx_list *axis = &((const cx_reverse_attr *)attr)->axis;
    bool mask[CX_RANK];
    plan->out[0] = in[0];
    if (axis->n == CX_ABSENT)
        return cx_fail(err, CX_EVALUE, "reverse: `axis` must list the dimensions. Received: None");
    return cx_axes("reverse", axis, in->ndim, mask, err);
}
static void reverse(const cx_reverse_attr *a, const cx_value *from, const cx_value *to, cx_mode mode)
{
    const cx_spec *s = &from->spec;
    cx_grid g = cx_grid_over(s);
    const char *first = from->data;
    bool mask[CX_RANK];
    cx_err ignored; /* infer has seen the axes */
    cx_axes("", &a->axis, s->ndim, mask, &ignored);
    cx_grid_array(&g, s), cx_grid_array(&g, s);
    for (int d = 0; d < s->ndim; d++) {
        if (!mask[d] || !s->dim[d]) continue;
        first += (s->dim[d] - 1) * g.step[1][d] * (int64_t)cx_width(s->dtype);
        g.step[1][d] = -g.step[1][d];
    }
    cx_grid_move(&g, s->dtype, to->data, first, mode);
}
FORWARD(reverse_forward)
{
    FORWARD_UNUSED;
    reverse(attr, in, out, CX_WRITE);
}
BACKWARD(reverse_backward)
{
    BACKWARD_UNUSED;
    if (*mode) reverse(attr, dout, din, *mode);
}
EMIT(reverse)
{
    EMIT_UNUSED;
    return cx_emit(e, &cx_op_reverse, n->attr, sizeof(cx_reverse_attr), 1, &dy);
}

static const cx_field transpose_fields[] = {
    {"perm", CX_LIST, offsetof(cx_transpose_attr, perm), false, 0, -CX_RANK, CX_RANK - 1, NULL}, {0}};
static const cx_field broadcast_to_fields[] = {
    {"shape", CX_LIST, offsetof(cx_shape_attr, shape), true, 0, -1, CX_MOST, NULL}, {0}};
static const cx_field tile_fields[] = {
    {"multiples", CX_LIST, offsetof(cx_tile_attr, multiples), true, 0, 0, CX_MOST, NULL}, {0}};
static const cx_field reverse_fields[] = {
    {"axis", CX_LIST, offsetof(cx_reverse_attr, axis), true, 0, -CX_RANK, CX_RANK - 1, NULL}, {0}};
#define MOVE(f, ...)                                                   \
    const cx_op cx_op_##f = {.name = #f,                               \
                             .kind = CX_ROUTE,                         \
                             .least_in = 1,                            \
                             .most_in = 1,                             \
                             .n_out = 1,                               \
                             .n_public = 1,                            \
                             .fields = f##_fields,                     \
                             .infer = f##_infer,                       \
                             .forward = EVERY_DTYPE(f##_forward),      \
                             .backward = {f##_backward, f##_backward}, \
                             __VA_ARGS__}
MOVE(transpose, .emit_grad = transpose_emit);
MOVE(broadcast_to, .emit_grad = broadcast_to_emit);
MOVE(tile, .emit_grad = tile_emit);
MOVE(reverse, .emit_grad = reverse_emit);
