/* Backward written as registry ops, for second derivatives: nodes appended to the program that is being differentiated.
 * Every function returns a slot, or -1 with the error set; a slot of -1 given in gives -1 out, so calls nest. */
#ifndef CX_EMIT_H
#define CX_EMIT_H
#include "attr.h"

typedef struct {
    cx_program *p;
    cx_err *err;
} cx_emitter;

static inline const cx_spec *cx_emitted_spec(const cx_emitter *e, int slot) /* good until the next node */
{
    return &e->p->slot[slot].value.spec;
}
/* The first output of op on n inputs. attr: its attributes, `size` bytes; NULL: it has none. */
int cx_emit(const cx_emitter *e, const cx_op *op, const void *attr, size_t size, int n, const int *in);
#define CX_EMIT_WITH(e, op, attr, a) cx_emit(e, op, &(attr), sizeof(attr), 1, (const int[]){a})
static inline int cx_emit1(const cx_emitter *e, const cx_op *op, int a)
{
    return cx_emit(e, op, NULL, 0, 1, (const int[]){a});
}
static inline int cx_emit2(const cx_emitter *e, const cx_op *op, int a, int b)
{
    return cx_emit(e, op, NULL, 0, 2, (const int[]){a, b});
}
int cx_emit_number(const cx_emitter *e, cx_dtype dtype, double value); /* a scalar */
int cx_emit_scale(const cx_emitter *e, int a, double by);
int cx_emit_choose(const cx_emitter *e, int condition, int yes, double no); /* where(yes, no, condition) */
int cx_emit_choose_not(const cx_emitter *e, int condition, double yes, int no);
int cx_emit_constant(const cx_emitter *e, int a); /* a, through which no gradient passes */
int cx_emit_reshape(const cx_emitter *e, int a, const cx_spec *shape);

/* The gradient of n's input k given that of its output. n is a copy: nodes of p move when others are added. */
typedef int cx_emit_term(const cx_emitter *e, const cx_node *n, int dy, int k);
/* din of an op with one output; each gradient is summed to its input's shape when that was broadcast. */
cx_code cx_emit_each(cx_program *p, const cx_node *n, const int *dout, int *din, cx_err *err, cx_emit_term *term);

/* EMIT(f) { return slot; } defines f_term and f_emit for the op struct. */
#define EMIT(f)                                                                                         \
    static cx_emit_term f##_term;                                                                       \
    static cx_code f##_emit(cx_program *p, const cx_node *node, const int *dout, int *din, cx_err *err) \
    {                                                                                                   \
        return cx_emit_each(p, node, dout, din, err, f##_term);                                         \
    }                                                                                                   \
    static int f##_term(const cx_emitter *e, const cx_node *n, int dy, int k)
#define EMIT_UNUSED (void)e, (void)n, (void)dy, (void)k
#endif
