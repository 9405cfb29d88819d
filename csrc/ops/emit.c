/* The vocabulary in which ops write their backward as nodes. */
#include "emit.h"
#include <string.h>

int cx_emit(const cx_emitter *e, const cx_op *op, const void *attr, size_t size, int n, const int *in)
{
    int64_t words[CX_ATTR_WORDS] = {0};
    int slot[CX_INS];
    for (int i = 0; i < CX_INS; i++) {
        slot[i] = i < n ? in[i] : CX_ABSENT;
        if (i < n && in[i] < 0) return -1;
    }
    if (attr) memcpy(words, attr, size);
    const cx_node *node = cx_add_node(e->p, op, words, slot, NULL, e->err);
    return node ? node->out[0] : -1;
}

int cx_emit_number(const cx_emitter *e, cx_dtype dtype, double value)
{
    cx_value v;
    if (cx_value_new(&(cx_spec){.dtype = dtype}, &v, e->err)) return -1;
    if (dtype == CX_F64)
        *(double *)v.data = value;
    else
        *(float *)v.data = (float)value;
    int slot = cx_add_slot(e->p, &v, false);
    cx_clear(&v);
    if (slot < 0) cx_fail(e->err, CX_ENOMEM, "out of memory: the program has %d slots", e->p->n_slot);
    return slot;
}

static int number_like(const cx_emitter *e, int a, double value)
{
    return a < 0 ? -1 : cx_emit_number(e, cx_emitted_spec(e, a)->dtype, value);
}
int cx_emit_scale(const cx_emitter *e, int a, double by)
{
    return cx_emit2(e, &cx_op_multiply, a, number_like(e, a, by));
}
int cx_emit_choose(const cx_emitter *e, int condition, int yes, double no)
{
    return cx_emit(e, &cx_op_where, NULL, 0, 3, (const int[]){yes, number_like(e, yes, no), condition});
}
int cx_emit_choose_not(const cx_emitter *e, int condition, double yes, int no)
{
    return cx_emit(e, &cx_op_where, NULL, 0, 3, (const int[]){number_like(e, no, yes), no, condition});
}
int cx_emit_constant(const cx_emitter *e, int a)
{
    return cx_emit1(e, &cx_op_stop_gradient, a);
}

int cx_emit_reshape(const cx_emitter *e, int a, const cx_spec *shape)
{
    cx_shape_attr attr = {{.n = shape->ndim}};
    const cx_spec *have = a < 0 ? NULL : cx_emitted_spec(e, a);
    bool same = have && have->ndim == shape->ndim;
    for (int d = 0; d < shape->ndim; d++) {
        attr.shape.v[d] = shape->dim[d]; /* CX_ANY is the dimension to infer */
        same = same && have->dim[d] == shape->dim[d];
    }
    return same ? a : CX_EMIT_WITH(e, &cx_op_reshape, attr, a);
}

static int sum_to(const cx_emitter *e, int a, const cx_spec *shape)
{
    const cx_spec to = *shape;
    if (a < 0) return -1;
    const cx_spec from = *cx_emitted_spec(e, a);
    int shift = from.ndim - to.ndim;
    cx_reduce_attr leading = {{.n = shift}, 0}, others = {{.n = 0}, 1};
    for (int d = 0; d < shift; d++) leading.axis.v[d] = d;
    for (int d = 0; d < to.ndim; d++)
        if (to.dim[d] == 1 && from.dim[d + shift] != 1) others.axis.v[others.axis.n++] = d;
    if (shift) a = CX_EMIT_WITH(e, &cx_op_reduce_sum, leading, a);
    return others.axis.n ? CX_EMIT_WITH(e, &cx_op_reduce_sum, others, a) : a;
}

cx_code cx_emit_each(cx_program *p, const cx_node *n, const int *dout, int *din, cx_err *err, cx_emit_term *term)
{
    const cx_emitter e = {p, err};
    for (int k = 0; k < n->op->most_in; k++) {
        if (din[k] < 0) continue;
        const cx_spec shape = p->slot[n->in[k]].value.spec;
        din[k] = sum_to(&e, term(&e, n, dout[0], k), &shape);
        if (din[k] < 0) return err->code;
    }
    return CX_OK;
}
