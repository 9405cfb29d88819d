/* Recurrent layers, a whole sequence each. x (n, t, c) goes through the kernel in one product; then every step adds the
 * state times the recurrent kernel, and its cell turns the sums into gates. What the steps computed is kept, (n, t,
 * blocks of u): the gates, at the end the state. A step whose mask is false keeps the state and repeats the output. */
#include "generic.h"
#include "recurrent.h"
#include "../kernels/conv.h"

/* The gates' inputs from x. */
static cx_gemm input_product(const cx_sequence *s)
{
    const int64_t gates = s->cell->gates * s->u;
    return (cx_gemm){.dtype = s->dtype,
                     .rows = s->n * s->t,
                     .columns = gates,
                     .inner = s->c,
                     .lda = s->c,
                     .ldb = gates,
                     .ldc = s->cell->kept * s->u,
                     .a = s->x,
                     .b = s->kernel,
                     .bias = s->bias,
                     .c = s->kept};
}
/* from (n, u) times `blocks` blocks of the recurrent kernel. */
cx_gemm cx_step_product(const cx_sequence *s, int64_t first, int64_t blocks)
{
    const int64_t gates = s->cell->gates * s->u;
    return (cx_gemm){.dtype = s->dtype,
                     .rows = s->n,
                     .columns = blocks * s->u,
                     .inner = s->u,
                     .lda = kept_row(s),
                     .ldb = gates,
                     .ldc = kept_row(s),
                     .b = s->recurrent ? s->recurrent + first * s->u * s->width : NULL,
                     .packed = s->packed[first > 0]};
}
void cx_add_state(const cx_sequence *s, char *to)
{
    cx_gemm g = cx_step_product(s, 0, at_once(s));
    const int last = s->cell->kept - 1;
    g.a = s->prior < 0 ? s->start[0] : kept_at(s, s->prior, last);
    if (s->prior < 0) g.lda = s->u;
    if (!g.a) g.inner = 0;
    g.c = to, g.onto = to != s->sums;
    if (to == s->sums) {
        g.ldc = s->cell->gates * s->u;
        g.bias = s->bias ? s->bias + g.ldc * s->width : NULL;
    }
    cx_gemm_run(&g, s->scratch);
}
/* to (n, u) += or = the gradient of `blocks` blocks of gates times the recurrent kernel, turned. */
static cx_gemm step_gradient(const cx_sequence *s, int64_t first, int64_t blocks)
{
    const int64_t gates = s->cell->gates * s->u;
    return (cx_gemm){.dtype = s->dtype,
                     .turn_b = true,
                     .rows = s->n,
                     .columns = s->u,
                     .inner = blocks * s->u,
                     .lda = s->t * gates,
                     .ldb = gates,
                     .ldc = s->u,
                     .b = s->recurrent ? s->recurrent + first * s->u * s->width : NULL,
                     .packed = s->packed[first > 0]};
}
void cx_pass_back(const cx_sequence *s, int64_t first, int64_t blocks, char *to, bool add)
{
    cx_gemm g = step_gradient(s, first, blocks);
    g.a = s->dr + (s->at * s->cell->gates + first) * s->u * s->width;
    g.c = to, g.onto = add;
    cx_gemm_run(&g, s->scratch);
}
static cx_gemm x_gradient(const cx_sequence *s)
{
    const int64_t gates = s->cell->gates * s->u;
    return (cx_gemm){.dtype = s->dtype,
                     .turn_b = true,
                     .rows = s->n * s->t,
                     .columns = s->c,
                     .inner = gates,
                     .lda = gates,
                     .ldb = gates,
                     .ldc = s->c,
                     .a = s->dx,
                     .b = s->kernel};
}
/* from (n t, rows), its rows lda apart, turned, times `blocks` blocks of a gradient of gates */
static cx_gemm kernel_gradient(const cx_sequence *s, int64_t rows, int64_t lda, int64_t blocks)
{
    const int64_t gates = s->cell->gates * s->u;
    return (cx_gemm){.dtype = s->dtype,
                     .turn_a = true,
                     .rows = rows,
                     .columns = blocks * s->u,
                     .inner = s->n * s->t,
                     .lda = lda,
                     .ldb = gates,
                     .ldc = gates};
}
static void run_kernel_gradient(const cx_sequence *s, cx_gemm g, const char *a, const char *gates, int64_t first,
                                bool add, char *to)
{
    const int64_t skip = first * s->u * s->width;
    g.a = a, g.b = gates + skip, g.c = to + skip, g.onto = add;
    cx_gemm_run(&g, s->scratch);
}

/* Sets the step's place in time. */
static void stand_at(cx_sequence *s, int64_t step)
{
    const int64_t last = s->t - 1;
    s->step = step;
    s->at = s->attr->go_backwards ? last - step : step;
    s->prior = step == 0 ? -1 : s->attr->go_backwards ? s->at + 1 : s->at - 1;
}
void cx_step_rows(cx_sequence *s, cx_task *task)
{
    cx_parallel(s->n, 1 + CX_GRAIN / (8 * s->u + 1), task, s);
}

/* Examples do not meet: with enough of them every worker walks its own through all steps, and waits for nobody. With
 * few, the workers share the products of each step. */
enum { OWN_ROWS = 8 };
typedef struct {
    const cx_sequence *s;
    cx_step_fn *step;
    bool back;
    size_t scratch; /* of a worker */
} walk;

static char *moved(char *p, int64_t bytes)
{
    return p ? p + bytes : NULL;
}
static void take_steps(const walk *w, cx_sequence *s)
{
    for (int64_t i = 0; i < s->t; i++) {
        stand_at(s, w->back ? s->t - 1 - i : i);
        w->step(s);
    }
}
static void walk_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const walk *w = context;
    cx_sequence s = *w->s;
    const int64_t row = begin * s.u * s.width, gates = s.cell->gates, team = cx_get_team();
    s.n = end - begin;
    s.kept = moved(s.kept, row * s.t * s.cell->kept);
    s.y = moved(s.y, row * s.t), s.before = moved(s.before, row * s.t);
    if (s.dy) s.dy += row * s.t;
    if (s.mask) s.mask += begin * s.t;
    for (int k = 0; k < 2; k++)
        if (s.start[k]) s.start[k] += row;
    s.sums = moved(s.sums, row * (w->back ? 1 : gates));
    s.dx = moved(s.dx, row * s.t * gates), s.dr = moved(s.dr, row * s.t * gates);
    s.dh = moved(s.dh, row), s.dc = moved(s.dc, row), s.dp = moved(s.dp, row);
    s.scratch = moved(s.scratch, (int64_t)w->scratch * worker);
    cx_set_team(1);
    take_steps(w, &s);
    cx_set_team((int)team);
}
static int64_t row_grain(const cx_sequence *s)
{
    const size_t flop = cx_times(cx_times((size_t)s->t, (size_t)(2 * s->cell->gates * s->u)), (size_t)s->u + 1);
    const int64_t enough = flop > CX_GRAIN_FLOP ? 1 : 1 + CX_GRAIN_FLOP / ((int64_t)flop + 1);
    return enough > OWN_ROWS ? enough : OWN_ROWS;
}
static size_t step_scratch(const cx_sequence *s, bool back)
{
    int one = 1, other = 1;
    const cx_gemm g = back ? step_gradient(s, 0, at_once(s)) : cx_step_product(s, 0, at_once(s));
    const cx_gemm h = back ? step_gradient(s, 0, 1) : cx_step_product(s, 0, 1);
    const size_t a = cx_gemm_scratch(&g, &one), b = cx_gemm_scratch(&h, &other);
    return cx_line(a > b ? a : b);
}
static void walk_on(cx_sequence *s, cx_step_fn *step, bool back)
{
    walk w = {s, step, back, step_scratch(s, back)};
    if (s->n < 2 * OWN_ROWS) {
        take_steps(&w, s);
        return;
    }
    cx_parallel(s->n, row_grain(s), walk_rows, &w);
    if (s->t) stand_at(s, back ? 0 : s->t - 1);
}

static cx_sequence sequence_of(const cx_cell *cell, const void *attr, const cx_spec *x, const cx_spec *recurrent)
{
    return (cx_sequence){.cell = cell,
                         .attr = attr,
                         .dtype = x->dtype,
                         .n = x->dim[0],
                         .t = x->dim[1],
                         .c = x->dim[2],
                         .u = recurrent->dim[0],
                         .width = (int64_t)cx_width(x->dtype)};
}

/* Scratch: one piece after the other, whole cache lines. With from NULL only their size. */
typedef struct {
    char *from;
    size_t used;
} pieces;
static char *piece(pieces *p, const cx_sequence *s, int64_t a, int64_t b, int64_t c)
{
    char *at = p->from ? p->from + p->used : NULL;
    p->used += cx_line(cx_times(cx_times((size_t)a, (size_t)b), (size_t)(c * s->width)));
    return at;
}
/* Both products of a step with the recurrent kernel, by `product`, packed once for all steps. */
static void pack(pieces *p, cx_sequence *s, cx_gemm (*product)(const cx_sequence *, int64_t, int64_t))
{
    for (int i = 0; i < 2; i++) {
        const int64_t first = i ? at_once(s) : 0, blocks = i ? s->cell->gates - first : at_once(s);
        const cx_gemm g = product(s, first, blocks);
        const size_t size = s->t > 1 && blocks ? cx_gemm_packed_size(&g) : 0;
        if (size && p->from) cx_gemm_pack(&g, s->packed[i] = p->from + p->used);
        p->used += size;
    }
}
static size_t lay_forward(cx_sequence *s, void *from)
{
    pieces p = {from, 0};
    s->zeros = piece(&p, s, 1, 1, s->u);
    pack(&p, s, cx_step_product);
    if (two_parts(s)) s->sums = piece(&p, s, s->n, s->cell->gates, s->u);
    s->scratch = from ? p.from + p.used : NULL;
    return p.used;
}
static size_t lay_backward(cx_sequence *s, void *from)
{
    pieces p = {from, 0};
    const int64_t gates = s->cell->gates * s->u;
    s->zeros = piece(&p, s, 1, 1, s->u);
    pack(&p, s, step_gradient);
    s->dx = s->dr = piece(&p, s, s->n, s->t, gates);
    if (two_parts(s)) s->dr = piece(&p, s, s->n, s->t, gates);
    s->before = piece(&p, s, s->n, s->t, s->u);
    s->dh = piece(&p, s, s->n, 1, s->u);
    s->dc = piece(&p, s, s->n, 1, s->u);
    s->dp = piece(&p, s, s->n, 1, s->u);
    s->sums = piece(&p, s, s->n, 1, s->u);
    s->scratch = from ? p.from + p.used : NULL;
    return p.used;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}
static size_t most_scratch(const cx_gemm *g, int n, int threads, int *most)
{
    size_t size = 0;
    for (int i = 0; i < n; i++) {
        int team = threads;
        size = larger(size, cx_gemm_scratch(&g[i], &team));
        if (team > *most) *most = team;
    }
    return size;
}

static cx_code wrong(const cx_cell *cell, const char *name, const char *wanted, const cx_spec *got, cx_err *err)
{
    char text[CX_SHAPE_TEXT];
    return cx_fail(err, CX_EVALUE, "%s: `%s` must have shape %s. Received: shape %s", cell->name, name, wanted,
                   cx_shape_text(got, text));
}
static bool is_shaped(const cx_spec *s, int ndim, int64_t a, int64_t b)
{
    return s->ndim == ndim && cx_fits(s->dim[0], a) && (ndim == 1 || cx_fits(s->dim[1], b));
}
cx_code cx_recurrent_infer(const cx_cell *cell, const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    static const char *const start[] = {"initial_state", "initial_carry"};
    const cx_recurrent_attr *a = attr;
    const cx_spec *x = &in[0], *kernel = &in[1], *recurrent = &in[2], *bias = &in[3], *mask = &in[4 + cell->states];
    const bool pair = cell->resets && a->reset_after;
    char text[CX_SHAPE_TEXT];
    if (x->ndim != 3)
        return cx_fail(err, CX_EVALUE, "%s: `x` must have rank 3, (batch, time, features). Received: shape %s",
                       cell->name, cx_shape_text(x, text));
    if (recurrent->ndim != 2) return wrong(cell, "recurrent_kernel", "(units, gates * units)", recurrent, err);
    const int64_t n = x->dim[0], t = x->dim[1], u = recurrent->dim[0], limit = INT64_MAX / 8 / cell->kept;
    if (u > limit) return wrong(cell, "recurrent_kernel", "(units, gates * units)", recurrent, err);
    const int64_t gates = u == CX_ANY ? CX_ANY : cell->gates * u;
    if (!cx_fits(recurrent->dim[1], gates))
        return wrong(cell, "recurrent_kernel", "(units, gates * units)", recurrent, err);
    if (!is_shaped(kernel, 2, x->dim[2], gates)) return wrong(cell, "kernel", "(features, gates * units)", kernel, err);
    if (bias->ndim != CX_ABSENT && !(pair ? is_shaped(bias, 2, 2, gates) : is_shaped(bias, 1, gates, 0)))
        return wrong(cell, "bias", pair ? "(2, gates * units)" : "(gates * units,)", bias, err);
    for (int i = 0; i < cell->states; i++)
        if (in[4 + i].ndim != CX_ABSENT && !is_shaped(&in[4 + i], 2, n, u))
            return wrong(cell, start[i], "(batch, units)", &in[4 + i], err);
    if (mask->ndim != CX_ABSENT) {
        if (!is_shaped(mask, 2, n, t)) return wrong(cell, "mask", "(batch, time)", mask, err);
        if (mask->dtype != CX_BOOL)
            return cx_fail(err, CX_ETYPE, "%s: `mask` must be bool. Received: %s", cell->name,
                           cx_dtype_name(mask->dtype));
    }
    const int hidden = cell->states + 1;
    plan->out[0] = (cx_spec){x->dtype, 3, {n, t, u}};
    for (int i = 1; i <= cell->states; i++) plan->out[i] = (cx_spec){x->dtype, 2, {n, u}};
    plan->out[hidden] = (cx_spec){x->dtype, 3, {n, t, u == CX_ANY ? CX_ANY : cell->kept * u}};
    if (!cx_known(x) || !cx_known(kernel) || !cx_known(recurrent)) return CX_OK;
    const cx_spec *large[] = {x, kernel, recurrent, &plan->out[hidden]};
    size_t size;
    for (int i = 0; i < 4; i++) /* what cannot be an array is refused */
        if (cx_bytes(large[i], &size, err)) return err->code;
    cx_sequence s = sequence_of(cell, attr, x, recurrent);
    int most = 1;
    const cx_gemm forward[] = {input_product(&s), cx_step_product(&s, 0, cell->gates), cx_step_product(&s, 0, 1),
                               cx_step_product(&s, 0, cell->gates > 1 ? 2 : 1)};
    const cx_gemm backward[] = {step_gradient(&s, 0, cell->gates),
                                step_gradient(&s, 0, 1),
                                step_gradient(&s, 0, cell->gates > 1 ? 2 : 1),
                                x_gradient(&s),
                                kernel_gradient(&s, s.c, s.c, cell->gates),
                                kernel_gradient(&s, s.u, s.u, cell->gates),
                                kernel_gradient(&s, s.u, s.u, 1),
                                kernel_gradient(&s, s.u, s.u, cell->gates > 1 ? 2 : 1)};
    size_t ahead = most_scratch(forward, 4, plan->threads, &most);
    size_t back = larger(most_scratch(backward, 8, plan->threads, &most),
                         cx_sum_rows_scratch(s.dtype, s.n * s.t, cell->gates * s.u));
    const int64_t parts = s.n / (1 + CX_GRAIN / (8 * s.u + 1)), own = (s.n + row_grain(&s) - 1) / row_grain(&s);
    if (parts > most) most = parts < plan->threads ? (int)parts : plan->threads;
    if (own > most) most = own < plan->threads ? (int)own : plan->threads;
    plan->scratch = lay_forward(&s, NULL) + larger(ahead, (size_t)most * step_scratch(&s, false));
    plan->scratch_back = lay_backward(&s, NULL) + larger(back, (size_t)most * step_scratch(&s, true));
    plan->threads = most;
    return CX_OK;
}

static cx_sequence forward_sequence(const cx_cell *cell, const void *attr, const cx_value *in, const cx_value *out,
                                    void *scratch)
{
    cx_sequence s = sequence_of(cell, attr, &in[0].spec, &in[2].spec);
    s.x = in[0].data, s.kernel = in[1].data, s.recurrent = in[2].data, s.bias = in[3].data;
    for (int i = 0; i < cell->states; i++) s.start[i] = in[4 + i].data;
    s.mask = in[4 + cell->states].data;
    s.y = out[0].data, s.kept = out[cell->states + 1].data;
    lay_forward(&s, scratch);
    memset(s.zeros, 0, (size_t)(s.u * s.width));
    return s;
}
/* Runs the steps, then copies the last states out. */
static void run_forward(cx_sequence *s, cx_step_fn *step, const cx_value *out)
{
    cx_gemm g = input_product(s);
    cx_gemm_run(&g, s->scratch);
    walk_on(s, step, false);
    const size_t line = (size_t)(s->u * s->width);
    for (int k = 0; k < s->cell->states; k++)
        for (int64_t i = 0; i < s->n; i++) {
            const int block = s->cell->kept - 1 - k;
            const char *from = s->t ? kept_at(s, s->at, block) + (size_t)i * (size_t)kept_row(s) * (size_t)s->width
                               : s->start[k] ? s->start[k] + (size_t)i * line
                                             : s->zeros;
            if (line) memcpy((char *)out[1 + k].data + (size_t)i * line, from, line);
        }
}
void cx_recurrent_forward(const cx_cell *cell, const void *attr, const cx_value *in, const cx_value *out, void *scratch,
                          cx_step_fn *step)
{
    cx_sequence s = forward_sequence(cell, attr, in, out, scratch);
    run_forward(&s, step, out);
}

static void fill(char *to, const cx_value *from, size_t size)
{
    if (from && from->data)
        memcpy(to, from->data, size);
    else
        memset(to, 0, size);
}
void cx_recurrent_backward(const cx_cell *cell, const void *attr, const cx_value *in, const cx_value *out,
                           const cx_value *dout, const cx_value *din, const cx_mode *mode, void *scratch,
                           cx_step_fn *step, void (*give)(const char *, const cx_value *, cx_mode))
{
    cx_sequence s = sequence_of(cell, attr, &in[0].spec, &in[2].spec);
    s.x = in[0].data, s.kernel = in[1].data, s.recurrent = in[2].data, s.dy = dout[0].data;
    for (int i = 0; i < cell->states; i++) s.start[i] = in[4 + i].data;
    s.mask = in[4 + cell->states].data;
    s.kept = out[cell->states + 1].data;
    lay_backward(&s, scratch);
    const size_t state = (size_t)(s.n * s.u * s.width);
    memset(s.zeros, 0, (size_t)(s.u * s.width));
    memset(s.dp, 0, state);
    fill(s.dh, &dout[1], state);
    fill(s.dc, cell->states > 1 ? &dout[2] : NULL, state);
    walk_on(&s, step, true);
    const int64_t blocks = at_once(&s); /* that saw the state; the last one may have seen r times the state */
    const int64_t gates = cell->gates * s.u;
    if (mode[0]) {
        cx_gemm g = x_gradient(&s);
        g.c = din[0].data, g.onto = mode[0] == CX_ADD;
        cx_gemm_run(&g, s.scratch);
    }
    if (mode[1])
        run_kernel_gradient(&s, kernel_gradient(&s, s.c, s.c, cell->gates), s.x, s.dx, 0, mode[1] == CX_ADD,
                            din[1].data);
    if (mode[2]) {
        run_kernel_gradient(&s, kernel_gradient(&s, s.u, s.u, blocks), s.before, s.dr, 0, mode[2] == CX_ADD,
                            din[2].data);
        if (blocks < cell->gates)
            run_kernel_gradient(&s, kernel_gradient(&s, s.u, cell->kept * s.u, 1), kept_at(&s, 0, 3), s.dr, 2,
                                mode[2] == CX_ADD, din[2].data);
    }
    if (mode[3]) {
        char *to = din[3].data;
        cx_sum_rows(s.dtype, s.n * s.t, gates, s.dx, mode[3] == CX_ADD, to, s.scratch);
        if (two_parts(&s))
            cx_sum_rows(s.dtype, s.n * s.t, gates, s.dr, mode[3] == CX_ADD, to + gates * s.width, s.scratch);
    }
    if (mode[4]) give(s.dh, &din[4], mode[4]);
    if (cell->states > 1 && mode[5]) give(s.dc, &din[5], mode[5]);
}
