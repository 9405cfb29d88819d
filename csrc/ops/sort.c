/* Sorting along one axis, with the order that sorts: equal values keep theirs. A NaN is greater than every number. */
#include "emit.h"
#include "generic.h"
#include "numbers.h"

#ifndef REAL
typedef struct {
    int64_t axis, descending;
} sort_attr;
/* x is (outer, n, inner); a task is one line of n elements, `inner` apart. */
typedef struct {
    int64_t n, inner, outer;
    const void *from;
    const int32_t *order;
    void *to;
    int32_t *place;
    void *scratch; /* two lines of pairs for each worker */
    bool descending, add;
} job;

static int axis_of(int64_t axis, const cx_spec *in)
{
    return (int)(axis < 0 ? axis + in->ndim : axis);
}
static job job_of(const sort_attr *a, const cx_spec *in)
{
    job j = {.inner = 1, .outer = 1, .descending = a->descending};
    const int at = axis_of(a->axis, in);
    for (int d = 0; d < at; d++) j.outer *= in->dim[d];
    for (int d = at + 1; d < in->ndim; d++) j.inner *= in->dim[d];
    j.n = in->dim[at];
    return j;
}
static void run(job *j, int64_t work, cx_task *task)
{
    if (j->n) cx_parallel(j->outer * j->inner, 1 + CX_GRAIN / (work * j->n), task, j);
}
static inline int64_t start_of(const job *j, int64_t line)
{
    return line / j->inner * j->n * j->inner + line % j->inner;
}

#define FLOATING
#define REAL float
#include "sort.c"
#undef REAL
#define REAL double
#include "sort.c"
#undef REAL
#undef FLOATING
#define REAL int32_t
#include "sort.c"
#undef REAL
#define REAL int64_t
#include "sort.c"
#undef REAL
#define REAL int8_t
#include "sort.c"
#undef REAL
#define REAL uint8_t
#include "sort.c"
#undef REAL

static cx_code sort_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    const sort_attr *a = attr;
    const int axis = axis_of(a->axis, in);
    if (axis < 0 || axis >= in->ndim)
        return cx_fail(err, CX_EVALUE, "sort: `axis` must be in [%d, %d) for an input of rank %d. Received: axis=%lld",
                       -in->ndim, in->ndim, in->ndim, (long long)a->axis);
    if (in->dim[axis] > INT32_MAX)
        return cx_fail(err, CX_EVALUE, "sort: dimension %d has %lld elements, the most is %d", axis,
                       (long long)in->dim[axis], INT32_MAX);
    plan->out[0] = plan->out[1] = in[0];
    plan->out[1].dtype = CX_I32;
    if (in->dim[axis] == CX_ANY) return CX_OK;
    const size_t pair = cx_width(in->dtype) == 8 ? sizeof(pair_double) : sizeof(pair_float);
    return cx_multiply((size_t)in->dim[axis] * 2 * pair, (size_t)plan->threads, &plan->scratch, err);
}

/* dx = dy at the inverse of the order; each row with its own, so the axis is brought to the end. */
static cx_code sort_emit(cx_program *p, const cx_node *node, const int *dout, int *din, cx_err *err)
{
    const cx_node n = *node;
    const void *attr = n.attr;
    const cx_emitter e = {p, err};
    const cx_spec x = *cx_emitted_spec(&e, n.in[0]);
    const int axis = axis_of(((const sort_attr *)attr)->axis, &x), last = x.ndim - 1;
    cx_transpose_attr swap = {{.n = x.ndim}};
    sort_attr rank = {last, 0};
    int64_t words[CX_ATTR_WORDS] = {0};
    int in[CX_INS] = {n.out[1]}, g = dout[0];
    if (g < 0) {
        din[0] = CX_ABSENT;
        return CX_OK;
    }
    for (int d = 0; d < x.ndim; d++) swap.perm.v[d] = d;
    swap.perm.v[axis] = last, swap.perm.v[last] = axis;
    if (axis != last) {
        g = CX_EMIT_WITH(&e, &cx_op_transpose, swap, g);
        in[0] = CX_EMIT_WITH(&e, &cx_op_transpose, swap, in[0]);
        if (g < 0 || in[0] < 0) return err->code;
    }
    memcpy(words, &rank, sizeof rank);
    for (int i = 1; i < CX_INS; i++) in[i] = CX_ABSENT;
    const cx_node *inverse = cx_add_node(p, &cx_op_sort, words, in, NULL, err);
    if (!inverse) return err->code;
    const cx_gather_attr rows = {last, last};
    g = cx_emit(&e, &cx_op_gather, &rows, sizeof rows, 2, (const int[]){g, inverse->out[1]});
    if (axis != last) g = CX_EMIT_WITH(&e, &cx_op_transpose, swap, g);
    din[0] = g;
    return g < 0 ? err->code : CX_OK;
}

static const cx_field sort_fields[] = {
    {"axis", CX_INT, offsetof(sort_attr, axis), false, -1, -CX_RANK, CX_RANK - 1, NULL},
    {"descending", CX_FLAG, offsetof(sort_attr, descending), false, 0, 0, 1, NULL},
    {0}};
const cx_op cx_op_sort = {.name = "sort",
                          .kind = CX_OTHER,
                          .least_in = 1,
                          .most_in = 1,
                          .n_out = 2,
                          .n_public = 2,
                          .fields = sort_fields,
                          .infer = sort_infer,
                          .forward = CX_NUMBERS(sort_forward),
                          .backward = CX_BOTH(sort_backward),
                          .reads = {CX_OUT(1)},
                          .emit_grad = sort_emit};

#else
typedef struct {
    REAL value;
    int32_t place;
} T(pair);

static inline bool T(below)(REAL a, REAL b)
{
#ifdef FLOATING
    return a < b || (b != b && a == a);
#else
    return a < b;
#endif
}
/* The runs x[0, middle) and x[middle, n), each sorted, as one in y. */
static inline void T(merge)(const T(pair) * x, int64_t middle, int64_t n, T(pair) * y, bool descending)
{
    for (int64_t i = 0, left = 0, right = middle; i < n; i++) {
        bool second = left == middle;
        if (!second && right < n)
            second = descending ? T(below)(x[left].value, x[right].value) : T(below)(x[right].value, x[left].value);
        y[i] = second ? x[right++] : x[left++];
    }
}
static void T(sort_lines)(void *context, int64_t begin, int64_t end, int worker)
{
    const job *j = context;
    T(pair) *first = (T(pair) *)j->scratch + (int64_t)worker * 2 * j->n, *second = first + j->n;
    for (int64_t t = begin; t < end; t++) {
        const int64_t at = start_of(j, t);
        const REAL *x = (const REAL *)j->from + at;
        REAL *y = (REAL *)j->to + at;
        T(pair) *a = first, *b = second;
        for (int64_t i = 0; i < j->n; i++) a[i] = (T(pair)){x[i * j->inner], (int32_t)i};
        for (int64_t run = 1; run < j->n; run *= 2) {
            for (int64_t i = 0; i < j->n; i += 2 * run) {
                const int64_t left = j->n - i, whole = left < 2 * run ? left : 2 * run;
                T(merge)(a + i, run < left ? run : left, whole, b + i, j->descending);
            }
            T(pair) *sorted = b;
            b = a, a = sorted;
        }
        for (int64_t i = 0; i < j->n; i++) {
            y[i * j->inner] = a[i].value;
            j->place[at + i * j->inner] = a[i].place;
        }
    }
}
FORWARD(T(sort_forward))
{
    job j = job_of(attr, &in->spec);
    FORWARD_UNUSED;
    j.from = in->data, j.to = out[0].data, j.place = out[1].data, j.scratch = scratch;
    run(&j, 16, T(sort_lines));
}

#ifdef FLOATING
TASK(T(sort_slope_lines))
{
    const job *j = context;
    (void)worker;
    for (int64_t t = begin; t < end; t++) {
        const int64_t at = start_of(j, t);
        const REAL *dy = (const REAL *)j->from + at;
        const int32_t *order = j->order + at;
        REAL *dx = (REAL *)j->to + at;
        for (int64_t i = 0; i < j->n; i++) {
            const int64_t to = order[i * j->inner] * j->inner;
            dx[to] = j->add ? dx[to] + dy[i * j->inner] : dy[i * j->inner];
        }
    }
}
BACKWARD(T(sort_backward))
{
    job j = job_of(attr, &din->spec);
    BACKWARD_UNUSED;
    j.from = dout->data, j.order = out[1].data, j.to = din->data, j.add = *mode == CX_ADD;
    if (*mode != CX_SKIP) run(&j, 1, T(sort_slope_lines));
}
#endif
#endif
