/* Backward as nodes: what an outer tape records when it watches an inner gradient. */
#include "internal.h"
#include <string.h>

/* One more contribution to the gradient of a slot. */
static cx_code contribute(cx_program *p, int *grad, int more, cx_err *err)
{
    int in[CX_INS] = {*grad, more};
    int64_t attr[CX_ATTR_WORDS] = {0};
    if (*grad < 0) {
        *grad = more;
        return CX_OK;
    }
    const cx_node *sum = cx_add_node(p, &cx_op_add, attr, in, NULL, err);
    if (sum) *grad = sum->out[0];
    return sum ? CX_OK : err->code;
}

cx_code cx_emit_backward(cx_program *p, const int *target, const int *seed, int n_seed, const int *wanted, int n_wanted,
                         int *grad, cx_err *err)
{
    int n_slot = p->n_slot, n_node = p->n_node; /* of the forward; emitted nodes come behind */
    bool *need = cx_alloc((size_t)n_slot + 1);
    int *g = cx_alloc(((size_t)n_slot + 1) * sizeof *g);
    err->code = CX_OK;
    if (!need || !g) {
        cx_fail(err, CX_ENOMEM, "out of memory: the program has %d slots", n_slot);
        goto done;
    }
    for (int s = 0; s < n_slot; s++) g[s] = CX_ABSENT;
    for (int i = 0; i < n_wanted; i++)
        if (cx_slot_real(p, wanted[i])) need[wanted[i]] = true;
    cx_mark_dependents(p, need);
    for (int i = 0; i < n_seed; i++)
        if (cx_slot_real(p, target[i]) && contribute(p, &g[target[i]], seed[i], err)) goto done;
    for (int k = n_node; k-- > 0;) {
        const cx_node n = p->node[k]; /* a copy: emitting moves the array */
        int dout[CX_OUTS], din[CX_INS];
        bool out = false, in = false;
        for (int j = 0; j < CX_OUTS; j++) {
            dout[j] = j < n.op->n_out ? g[n.out[j]] : CX_ABSENT;
            out = out || dout[j] >= 0;
        }
        for (int i = 0; i < CX_INS; i++) {
            bool wants = i < n.op->most_in && cx_carries(p, &n, i) && need[n.in[i]];
            din[i] = wants ? 0 : CX_ABSENT;
            in = in || wants;
        }
        if (!out || !in) continue;
        int asked[CX_INS];
        memcpy(asked, din, sizeof asked);
        if ((n.op->emit_grad ? n.op->emit_grad : cx_emit_derivative)(p, &n, dout, din, err)) goto done;
        for (int i = 0; i < n.op->most_in; i++)
            if (asked[i] >= 0 && din[i] >= 0 && contribute(p, &g[n.in[i]], din[i], err)) goto done;
    }
    for (int i = 0; i < n_wanted; i++) grad[i] = g[wanted[i]];
done:
    cx_free(need), cx_free(g);
    return err->code;
}
