/* The gradient of an op that has not written its backward as ops: one node for each input, which runs the op's kernel.
 * It is as far as differentiation goes: an outer gradient that passes through it is refused, by the op's name. */
#include "internal.h"
#include <string.h>

/* Inputs: the op's inputs, its outputs, and last the gradient of its first output, whose dtype chooses the kernel. */
enum { SEED = CX_INS - 1 };
typedef struct {
    const cx_op *op;
    int64_t which; /* input of the op */
    int64_t attr[CX_ATTR_WORDS - 2];
} derivative_attr;
_Static_assert(sizeof(derivative_attr) <= CX_ATTR_WORDS * sizeof(int64_t), "attributes fit a node");

static cx_code infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    const derivative_attr *a = attr;
    cx_plan inner = {.threads = plan->threads};
    cx_spec given[CX_INS];
    for (int i = 0; i < CX_INS; i++) given[i] = i < a->op->most_in ? in[i] : (cx_spec){.ndim = CX_ABSENT};
    if (a->op->infer(a->attr, given, &inner, err)) return err->code;
    plan->out[0] = in[a->which];
    plan->threads = inner.threads, plan->scratch = inner.scratch_back;
    return CX_OK;
}

static void run(cx_backward_fn *backward, const derivative_attr *a, const cx_value *in, const cx_value *out,
                void *scratch)
{
    const cx_value absent = {.spec = {.ndim = CX_ABSENT}};
    const cx_rule rule = {0};
    cx_value given[CX_INS], made[CX_OUTS], dout[CX_OUTS], din[CX_INS];
    cx_mode mode[CX_INS] = {CX_SKIP};
    for (int i = 0; i < CX_INS; i++) {
        given[i] = din[i] = i < a->op->most_in ? in[i] : absent;
        din[i].data = NULL;
    }
    for (int j = 0; j < CX_OUTS; j++) {
        made[j] = dout[j] = j < a->op->n_out ? in[a->op->most_in + j] : absent;
        dout[j].data = NULL;
    }
    dout[0] = in[SEED], din[a->which] = *out;
    mode[a->which] = a->op->adds & CX_IN(a->which) ? CX_ADD : CX_WRITE;
    if (mode[a->which] == CX_ADD) memset(out->data, 0, (size_t)cx_count(&out->spec) * cx_width(out->spec.dtype));
    backward(a->attr, given, made, dout, din, mode, scratch, &rule);
}
static void forward32(const void *attr, const cx_value *in, const cx_value *out, void *scratch)
{
    run(((const derivative_attr *)attr)->op->backward[0], attr, in, out, scratch);
}
static void forward64(const void *attr, const cx_value *in, const cx_value *out, void *scratch)
{
    run(((const derivative_attr *)attr)->op->backward[1], attr, in, out, scratch);
}
static const cx_op derivative = {.name = "derivative",
                                 .kind = CX_OTHER,
                                 .least_in = 1,
                                 .most_in = CX_INS,
                                 .n_out = 1,
                                 .n_public = 1,
                                 .by = SEED,
                                 .infer = infer,
                                 .forward = {[CX_F32] = forward32, [CX_F64] = forward64}};

const char *cx_derived(const cx_node *n)
{
    return n->op == &derivative ? ((const derivative_attr *)n->attr)->op->name : NULL;
}

cx_code cx_emit_derivative(cx_program *p, const cx_node *n, const int *dout, int *din, cx_err *err)
{
    const cx_op *op = n->op;
    const size_t kept = sizeof((derivative_attr *)0)->attr;
    const char *words = (const char *)n->attr + kept;
    bool fits = op->backward[0] && op->most_in + op->n_out <= SEED && dout[0] >= 0;
    for (int j = 1; j < op->n_out; j++) fits = fits && dout[j] < 0;
    for (size_t i = 0; i < sizeof n->attr - kept; i++) fits = fits && !words[i];
    if (!fits)
        return cx_fail(err, CX_EVALUE, "%s has no second derivative here", cx_derived(n) ? cx_derived(n) : op->name);
    for (int k = 0; k < op->most_in; k++) {
        derivative_attr attr = {op, k, {0}};
        int64_t all[CX_ATTR_WORDS] = {0};
        int in[CX_INS];
        if (din[k] < 0) continue;
        for (int i = 0; i < CX_INS; i++) in[i] = CX_ABSENT;
        memcpy(attr.attr, n->attr, kept), memcpy(all, &attr, sizeof attr);
        memcpy(in, n->in, (size_t)op->most_in * sizeof *in);
        memcpy(in + op->most_in, n->out, (size_t)op->n_out * sizeof *in);
        in[SEED] = dout[0];
        const cx_node *made = cx_add_node(p, &derivative, all, in, NULL, err);
        if (!made) return err->code;
        din[k] = made->out[0];
    }
    return CX_OK;
}
