/* A convolution layer to be timed: arrays, plan, scratch, and the kernel's forms kept as in later calls of a model. */
#ifndef LAYER_H
#define LAYER_H
#include "../c/ops.h"

typedef struct {
    op_call call;
    cx_block *scratch, *form[2]; /* forms of forward and of the input gradient; NULL: none is made */
} layer_call;

static inline cx_code lasting_array(const cx_spec *s, cx_value *v, cx_err *err)
{
    if (cx_value_new(s, v, err)) return err->code;
    for (int64_t i = 0; i < cx_count(s); i++) put(v, i, random_unit());
    return CX_OK;
}

/* Plans again, after cx_set_threads. */
static inline cx_code layer_plan(layer_call *l, cx_err *err)
{
    if (op_infer(&l->call, err)) return err->code;
    const cx_plan *p = &l->call.plan;
    cx_drop(l->scratch);
    l->scratch = cx_block_new((p->scratch > p->scratch_back ? p->scratch : p->scratch_back) + 1);
    return l->scratch ? CX_OK : cx_fail(err, CX_ENOMEM, "out of memory");
}

/* attr and the shapes of x, kernel and bias are filled in; an ndim of 0 is an input not given. */
static inline cx_code layer_make(layer_call *l, cx_err *err)
{
    op_call *c = &l->call;
    for (int i = 0; i < 3; i++) {
        const cx_spec s = c->in[i].spec;
        if (s.ndim && (lasting_array(&s, &c->in[i], err) || cx_value_new(&s, &c->din[i], err))) return err->code;
    }
    if (layer_plan(l, err)) return err->code;
    if (lasting_array(&c->plan.out[0], &c->out[0], err) || lasting_array(&c->plan.out[0], &c->dout[0], err))
        return err->code;
    for (int back = 0; back < 2; back++) {
        cx_form form = {0};
        if (c->op->form) c->op->form(c->attr, c->in, c->out, back, &form);
        if (!form.size) continue;
        if (!(l->form[back] = cx_block_new(form.size))) return cx_fail(err, CX_ENOMEM, "out of memory");
        c->op->make(c->attr, c->in, c->out, back, cx_block_data(l->form[back]));
    }
    return CX_OK;
}

static inline void layer_free(layer_call *l)
{
    op_call *c = &l->call;
    for (int i = 0; i < 3; i++) cx_clear(&c->in[i]), cx_clear(&c->din[i]);
    cx_clear(&c->out[0]), cx_clear(&c->dout[0]);
    for (int back = 0; back < 2; back++) cx_drop(l->form[back]);
    cx_drop(l->scratch);
}

/* 0: forward; 1 + i: the gradient of input i. */
static inline void layer_run(layer_call *l, int direction)
{
    static const cx_rule truth;
    op_call *c = &l->call;
    void *scratch = cx_block_data(l->scratch);
    cx_mode mode[CX_INS] = {CX_SKIP};
    cx_block *form = direction < 2 ? l->form[direction] : NULL;
    c->in[1].form = form ? cx_block_data(form) : NULL;
    if (direction) mode[direction - 1] = CX_WRITE;
    cx_set_team(c->plan.threads);
    if (direction)
        c->op->backward[0](c->attr, c->in, c->out, c->dout, c->din, mode, scratch, &truth);
    else
        c->op->forward[CX_F32](c->attr, c->in, c->out, scratch);
    cx_set_team(0);
}
#endif
