/* Reductions over axes: sum, mean, product, maximum, minimum, any, all. */
#include "emit.h"
#include "fold.h"
#include "generic.h"
#include "grid.h"

#ifndef REAL
/* A reduction seen from strips of results that lie side by side: `kept` says where each strip begins in x, `reduced`
 * where the rows lie that go into it. */
enum { STRIP = 64 };
typedef struct {
    int n;
    int64_t dim[CX_RANK], step[CX_RANK], count;
} walk;
typedef struct {
    walk kept, reduced;
    int64_t inner, strips; /* results that are neighbours in x too, and their strips */
    int64_t rows, step;    /* the last reduced dimension */
    const void *x, *y, *dy;
    void *dx;
    bool add;
} job;
typedef struct {
    int64_t first, result, width; /* its place in x and in y */
} strip;
typedef struct {
    const walk *walk;
    int64_t at, left, index[CX_RANK];
} cursor;

static void mask_of(const cx_reduce_attr *a, const cx_spec *in, bool *mask)
{
    cx_err ignored; /* infer has seen the axes */
    cx_axes("", &a->axis, in->ndim, mask, &ignored);
}
static cx_fold fold_of(const cx_reduce_attr *a, const cx_spec *in)
{
    bool mask[CX_RANK];
    mask_of(a, in, mask);
    return cx_fold_plan(in->ndim, in->dim, mask, in->dtype);
}
/* How many elements become one. */
static int64_t count_of(const cx_reduce_attr *a, const cx_spec *in)
{
    bool mask[CX_RANK];
    int64_t n = 1;
    mask_of(a, in, mask);
    for (int d = 0; d < in->ndim; d++) n *= mask[d] ? in->dim[d] : 1;
    return n;
}

static void walk_add(walk *w, int64_t dim, int64_t step)
{
    if (dim == 1) return;
    if (w->n && w->step[w->n - 1] == step * dim) {
        w->dim[w->n - 1] *= dim, w->step[w->n - 1] = step;
    } else {
        w->dim[w->n] = dim, w->step[w->n++] = step;
    }
    w->count *= dim;
}
static int64_t walk_at(const walk *w, int64_t i)
{
    int64_t at = 0;
    for (int d = w->n; d-- > 0; i /= w->dim[d]) at += i % w->dim[d] * w->step[d];
    return at;
}
static job job_of(const cx_reduce_attr *a, const cx_spec *in)
{
    job j = {.kept.count = 1, .reduced.count = 1, .inner = 1};
    int64_t step = 1, steps[CX_RANK];
    bool mask[CX_RANK];
    int rank = in->ndim;
    mask_of(a, in, mask);
    for (int d = rank; d-- > 0; step *= in->dim[d]) steps[d] = step;
    for (; rank && (!mask[rank - 1] || in->dim[rank - 1] == 1); rank--) j.inner *= in->dim[rank - 1];
    for (int d = 0; d < rank; d++) walk_add(mask[d] ? &j.reduced : &j.kept, in->dim[d], steps[d]);
    j.strips = (j.inner + STRIP - 1) / STRIP;
    j.rows = j.reduced.n ? j.reduced.dim[j.reduced.n - 1] : 1;
    j.step = j.reduced.n ? j.reduced.step[j.reduced.n - 1] : 0;
    return j;
}
static void run_strips(job *j, cx_task *task)
{
    int64_t work = j->reduced.count * (j->inner < STRIP ? j->inner : STRIP);
    if (work) cx_parallel(j->kept.count * j->strips, 1 + CX_GRAIN / work, task, j);
}
static strip strip_of(const job *j, int64_t task)
{
    int64_t outer = task / j->strips, from = task % j->strips * STRIP;
    return (strip){walk_at(&j->kept, outer) + from, outer * j->inner + from,
                   j->inner - from < STRIP ? j->inner - from : STRIP};
}
/* Blocks of rows: the last reduced dimension is left to the caller's loop. */
static cursor blocks_of(const job *j, const strip *s)
{
    return (cursor){&j->reduced, s->first, j->reduced.count / j->rows, {0}};
}
static inline void advance(cursor *c)
{
    c->left--;
    for (int d = c->walk->n - 1; d-- > 0;) {
        c->at += c->walk->step[d];
        if (++c->index[d] < c->walk->dim[d]) return;
        c->index[d] = 0, c->at -= c->walk->dim[d] * c->walk->step[d];
    }
}
/* A statement for each element `at` of a block and its result `i`. Elements of one result that lie side by side are a
 * loop with step 1. */
#define EACH_ELEMENT(j, s, c, ...)                                            \
    if ((s).width == 1 && (j)->step == 1) {                                   \
        const int64_t i = 0;                                                  \
        for (int64_t at = (c).at; at < (c).at + (j)->rows; at++) __VA_ARGS__; \
    } else {                                                                  \
        for (int64_t r_ = 0; r_ < (j)->rows; r_++)                            \
            for (int64_t i = 0; i < (s).width; i++) {                         \
                const int64_t at = (c).at + r_ * (j)->step + i;               \
                __VA_ARGS__;                                                  \
            }                                                                 \
    }

#define REAL float
#include "reduce.c"
#undef REAL
#define REAL double
#include "reduce.c"
#undef REAL

static cx_code reduce_infer(const char *op, const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    const cx_reduce_attr *a = attr;
    bool mask[CX_RANK];
    size_t size;
    cx_spec *out = &plan->out[0];
    if (cx_axes(op, &a->axis, in->ndim, mask, err)) return err->code;
    out->dtype = in->dtype, out->ndim = 0;
    for (int d = 0; d < in->ndim; d++) {
        if (!mask[d])
            out->dim[out->ndim++] = in->dim[d];
        else if (a->keepdims)
            out->dim[out->ndim++] = 1;
    }
    if (!cx_known(in)) return CX_OK;
    if (cx_bytes(in, &size, err) || cx_bytes(out, &size, err)) return err->code;
    plan->scratch = cx_fold_plan(in->ndim, in->dim, mask, in->dtype).scratch;
    plan->scratch_back = size; /* of a mean: dy / count */
    return CX_OK;
}
#define INFER(f)                                                                              \
    static cx_code f##_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err) \
    {                                                                                         \
        return reduce_infer(#f, attr, in, plan, err);                                         \
    }
INFER(reduce_sum)
INFER(reduce_mean)
INFER(reduce_max)
INFER(reduce_min)
INFER(reduce_prod)
INFER(reduce_any)
INFER(reduce_all)

#define FOLD(f, kind, divisor)                                                                     \
    FORWARD(f##_forward)                                                                           \
    {                                                                                              \
        cx_fold plan = fold_of(attr, &in->spec);                                                   \
        FORWARD_UNUSED;                                                                            \
        cx_fold_run(&plan, kind, in->spec.dtype, in->data, out->data, divisor, CX_WRITE, scratch); \
    }
FOLD(reduce_sum, CX_FOLD_SUM, 1)
FOLD(reduce_mean, CX_FOLD_SUM, count_of(attr, &in->spec))
FOLD(reduce_prod, CX_FOLD_PRODUCT, 1)
FOLD(reduce_max, CX_FOLD_MAX, 1)
FOLD(reduce_min, CX_FOLD_MIN, 1)

/* dy, or y, with 1 in place of the reduced dimensions; then repeated over x. */
static int spread(const cx_emitter *e, const cx_node *n, int slot)
{
    cx_reduce_attr a = *(const cx_reduce_attr *)n->attr;
    const cx_spec x = *cx_emitted_spec(e, n->in[0]);
    cx_spec one = x;
    cx_shape_attr attr = {{.n = x.ndim}};
    bool mask[CX_RANK];
    mask_of(&a, &x, mask);
    for (int d = 0; d < x.ndim; d++) {
        if (mask[d]) one.dim[d] = 1;
        if (mask[d] && x.dim[d] == CX_ANY) {
            cx_fail(e->err, CX_EVALUE, "%s has no second derivative over a dimension that is not known yet",
                    n->op->name);
            return -1;
        }
        attr.shape.v[d] = x.dim[d];
    }
    return CX_EMIT_WITH(e, &cx_op_broadcast_to, attr, cx_emit_reshape(e, slot, &one));
}
EMIT(reduce_sum)
{
    EMIT_UNUSED;
    return spread(e, n, dy);
}
EMIT(reduce_mean)
{
    const cx_reduce_attr a = *(const cx_reduce_attr *)n->attr;
    EMIT_UNUSED;
    int all = spread(e, n, dy);
    return all < 0 ? -1 : cx_emit_scale(e, all, 1 / (double)count_of(&a, cx_emitted_spec(e, n->in[0])));
}
EMIT(reduce_max) /* also reduce_min: an equal share for each element that is the result */
{
    cx_reduce_attr a = *(const cx_reduce_attr *)n->attr;
    EMIT_UNUSED;
    int best = cx_emit2(e, &cx_op_equal, n->in[0], cx_emit_constant(e, spread(e, n, n->out[0])));
    if (best < 0) return -1;
    cx_cast_attr dtype = {cx_emitted_spec(e, n->in[0])->dtype};
    int ones = CX_EMIT_WITH(e, &cx_op_cast, dtype, best);
    int share = cx_emit2(e, &cx_op_divide, dy, CX_EMIT_WITH(e, &cx_op_reduce_sum, a, ones));
    return cx_emit2(e, &cx_op_multiply, ones, share < 0 ? -1 : spread(e, n, share));
}
#define reduce_min_emit reduce_max_emit

static const cx_field reduce_fields[] = {
    {"axis", CX_LIST, offsetof(cx_reduce_attr, axis), false, 0, -CX_RANK, CX_RANK - 1, NULL},
    {"keepdims", CX_FLAG, offsetof(cx_reduce_attr, keepdims), false, 0, 0, 1, NULL},
    {0}};
#define EVERY_NUMBER(f)                                                                  \
    {                                                                                    \
        [CX_F32] = f, [CX_F64] = f, [CX_I32] = f, [CX_I64] = f, [CX_U8] = f, [CX_I8] = f \
    }
#define REDUCE(f, ...)                                \
    const cx_op cx_op_##f = {.name = #f,              \
                             .least_in = 1,           \
                             .most_in = 1,            \
                             .n_out = 1,              \
                             .n_public = 1,           \
                             .fields = reduce_fields, \
                             .infer = f##_infer,      \
                             __VA_ARGS__}
#define SLOPED(f) .forward = EVERY_NUMBER(f##_forward), .backward = CX_BOTH(f##_backward)
REDUCE(reduce_sum, .kind = CX_LINEAR, SLOPED(reduce_sum), .emit_grad = reduce_sum_emit);
REDUCE(reduce_mean, .kind = CX_LINEAR, SLOPED(reduce_mean), .emit_grad = reduce_mean_emit);
REDUCE(reduce_prod, .kind = CX_OTHER, SLOPED(reduce_prod), .reads = {CX_IN(0)});
REDUCE(reduce_max, .kind = CX_ROUTE, SLOPED(reduce_max), .reads = {CX_IN(0) | CX_OUT(0)}, .emit_grad = reduce_max_emit);
REDUCE(reduce_min, .kind = CX_ROUTE, SLOPED(reduce_min), .reads = {CX_IN(0) | CX_OUT(0)}, .emit_grad = reduce_min_emit);
REDUCE(reduce_any, .kind = CX_OTHER, .forward = {[CX_BOOL] = reduce_max_forward});
REDUCE(reduce_all, .kind = CX_OTHER, .forward = {[CX_BOOL] = reduce_min_forward});

#else
/* dx = dy, or dy / divisor, for every element that went into it. */
static void T(repeat)(const cx_reduce_attr *a, const cx_value *dout, const cx_value *din, cx_mode mode, int64_t divisor,
                      REAL *share)
{
    const REAL *dy = dout->data, by = (REAL)divisor;
    cx_spec one = din->spec;
    bool mask[CX_RANK];
    if (mode == CX_SKIP) return;
    mask_of(a, &din->spec, mask);
    for (int d = 0; d < one.ndim; d++)
        if (mask[d]) one.dim[d] = 1;
    for (int64_t i = 0, n = divisor == 1 ? 0 : cx_count(&dout->spec); i < n; i++) share[i] = dy[i] / by;
    cx_grid g = cx_grid_over(&din->spec);
    cx_grid_array(&g, &din->spec), cx_grid_array(&g, &one);
    cx_grid_move(&g, din->spec.dtype, din->data, divisor == 1 ? dy : share, mode);
}
BACKWARD(T(reduce_sum_backward))
{
    BACKWARD_UNUSED;
    T(repeat)(attr, dout, din, *mode, 1, NULL);
}
BACKWARD(T(reduce_mean_backward))
{
    BACKWARD_UNUSED;
    T(repeat)(attr, dout, din, *mode, count_of(attr, &din->spec), scratch);
}

static void T(best_strips)(void *context, int64_t begin, int64_t end, int worker)
{
    const job *j = context;
    const REAL *x = j->x;
    REAL *dx = j->dx, best[STRIP], share[STRIP];
    (void)worker;
    for (int64_t t = begin; t < end; t++) {
        const strip s = strip_of(j, t);
        const REAL *y = (const REAL *)j->y + s.result, *dy = (const REAL *)j->dy + s.result;
        for (int64_t i = 0; i < s.width; i++) best[i] = y[i], share[i] = 0;
        for (cursor c = blocks_of(j, &s); c.left; advance(&c)) {
            EACH_ELEMENT(j, s, c, share[i] += x[at] == best[i])
        }
        for (int64_t i = 0; i < s.width; i++) share[i] = dy[i] / share[i];
        for (cursor c = blocks_of(j, &s); c.left; advance(&c)) {
            if (j->add) {
                EACH_ELEMENT(j, s, c, dx[at] += x[at] == best[i] ? share[i] : 0)
            } else {
                EACH_ELEMENT(j, s, c, dx[at] = x[at] == best[i] ? share[i] : 0)
            }
        }
    }
}
/* dx = dy times the product of the others: without division by a zero. */
static void T(product_strips)(void *context, int64_t begin, int64_t end, int worker)
{
    const job *j = context;
    const REAL *x = j->x;
    REAL *dx = j->dx, product[STRIP], zeros[STRIP];
    (void)worker;
    for (int64_t t = begin; t < end; t++) {
        const strip s = strip_of(j, t);
        const REAL *dy = (const REAL *)j->dy + s.result;
        for (int64_t i = 0; i < s.width; i++) product[i] = dy[i], zeros[i] = 0;
        for (cursor c = blocks_of(j, &s); c.left; advance(&c)) {
            EACH_ELEMENT(j, s, c, {
                product[i] *= x[at] == 0 ? 1 : x[at];
                zeros[i] += x[at] == 0;
            })
        }
        for (cursor c = blocks_of(j, &s); c.left; advance(&c)) {
            EACH_ELEMENT(j, s, c, {
                REAL own = x[at] == 0, g = own ? product[i] : product[i] / x[at];
                g = zeros[i] > own ? 0 : g; /* one of the others is 0 */
                dx[at] = j->add ? dx[at] + g : g;
            })
        }
    }
}
#define STRIPS_BACKWARD(f, task)                                                                       \
    BACKWARD(T(f##_backward))                                                                          \
    {                                                                                                  \
        job j = job_of(attr, &din->spec);                                                              \
        BACKWARD_UNUSED;                                                                               \
        j.x = in->data, j.y = out->data, j.dy = dout->data, j.dx = din->data, j.add = *mode == CX_ADD; \
        if (*mode != CX_SKIP) run_strips(&j, T(task));                                                 \
    }
STRIPS_BACKWARD(reduce_prod, product_strips)
STRIPS_BACKWARD(reduce_max, best_strips)
STRIPS_BACKWARD(reduce_min, best_strips)
#undef STRIPS_BACKWARD
#endif
