/* where: x where the condition holds, else y. What is not chosen gets gradient 0, whatever it holds. */
#include "emit.h"
#include "pair.h"

#ifndef REAL
typedef struct {
    const void *x, *y, *condition;
    void *to;
} choice;
typedef struct {
    const void *condition, *dy;
    void *to;
    bool want, add;
} passing;

/* Chooses by width; the real types are for gradients. */
#define REAL uint8_t
#include "select.c"
#undef REAL
#define REAL uint32_t
#include "select.c"
#undef REAL
#define REAL uint64_t
#include "select.c"
#undef REAL
#define GRADIENTS
#define REAL float
#include "select.c"
#undef REAL
#define REAL double
#include "select.c"
#undef REAL
#undef GRADIENTS

FORWARD(where_forward)
{
    choice c = {in[0].data, in[1].data, in[2].data, out->data};
    size_t width = cx_width(out->spec.dtype);
    cx_grid g = cx_grid_over(&out->spec);
    FORWARD_UNUSED;
    cx_grid_array(&g, &out->spec);
    for (int k = 0; k < 3; k++) cx_grid_array(&g, &in[k].spec);
    cx_grid_run(&g, width == 8 ? choose_uint64_t : width == 4 ? choose_uint32_t : choose_uint8_t, &c);
}

static cx_code where_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    (void)attr;
    if (in[2].dtype != CX_BOOL)
        return cx_fail(err, CX_ETYPE, "where: `condition` must be bool. Received: dtype=%s",
                       cx_dtype_name(in[2].dtype));
    plan->out[0].dtype = in[0].dtype;
    if (cx_broadcast("where", in, 3, &plan->out[0], err)) return err->code;
    return cx_back_scratch(in, 2, true, plan, err);
}

EMIT(where)
{
    return k ? cx_emit_choose_not(e, n->in[2], 0, dy) : cx_emit_choose(e, n->in[2], dy, 0);
}

const cx_op cx_op_where = {
    .name = "where",
    .kind = CX_ROUTE,
    .least_in = 3,
    .most_in = 3,
    .n_out = 1,
    .n_public = 1,
    .alike = CX_IN(0) | CX_IN(1),
    .infer = where_infer,
    .forward = {where_forward, where_forward, where_forward, where_forward, where_forward, where_forward,
                where_forward},
    .backward = CX_BOTH(where_backward),
    .reads = {CX_IN(2), CX_IN(2)},
    .emit_grad = where_emit,
};

#elif !defined(GRADIENTS)
static void T(choose)(const void *context, const cx_tile *t)
{
    const choice *p = context;
    for (int64_t r = 0; r < t->rows; r++) {
        REAL *z = (REAL *)p->to + t->at[0] + r * t->row[0];
        const REAL *x = (const REAL *)p->x + t->at[1] + r * t->row[1];
        const REAL *y = (const REAL *)p->y + t->at[2] + r * t->row[2];
        const uint8_t *c = (const uint8_t *)p->condition + t->at[3] + r * t->row[3];
        const int64_t dx = t->col[1], dy = t->col[2], dc = t->col[3];
        /* both are read, then one is kept by a mask: no branch that the data could mislead */
        for (int64_t i = 0; i < t->cols; i++) {
            const REAL keep = (REAL) - (REAL)(c[i * dc] != 0), u = x[i * dx], v = y[i * dy];
            z[i] = (u & keep) | (v & (REAL)~keep);
        }
    }
}

#else
static void T(pass)(const void *context, const cx_tile *t)
{
    const passing *p = context;
    for (int64_t r = 0; r < t->rows; r++) {
        REAL *z = (REAL *)p->to + t->at[0] + r * t->row[0];
        const REAL *dy = (const REAL *)p->dy + t->at[0] + r * t->row[0];
        const uint8_t *c = (const uint8_t *)p->condition + t->at[1] + r * t->row[1];
        for (int64_t i = 0; i < t->cols; i++) {
            const REAL v = dy[i], g = !c[i * t->col[1]] != p->want ? v : 0;
            z[i] = p->add ? z[i] + g : g;
        }
    }
}
BACKWARD(T(where_backward))
{
    BACKWARD_UNUSED;
    for (int k = 0; k < 2; k++) {
        if (mode[k] == CX_SKIP) continue;
        bool whole = cx_count(&din[k].spec) == cx_count(&dout->spec);
        passing p = {in[2].data, dout->data, whole ? din[k].data : scratch, k == 0, whole && mode[k] == CX_ADD};
        cx_grid g = cx_grid_over(&dout->spec);
        cx_grid_array(&g, &dout->spec), cx_grid_array(&g, &in[2].spec);
        cx_grid_run(&g, T(pass), &p);
        if (whole) continue;
        cx_fold f = cx_fold_back(&dout->spec, &din[k].spec);
        cx_fold_run(&f, CX_FOLD_SUM, dout->spec.dtype, scratch, din[k].data, 1, mode[k],
                    (char *)scratch + cx_whole_bytes(&dout->spec));
    }
}
#endif
