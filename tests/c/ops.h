/* Runs one op on plain arrays, without a program: exact buffers from malloc, so that sanitizers see every stray access.
 */
#ifndef OPS_H
#define OPS_H
#include "../../csrc/ops/generic.h"
#include "check.h"
#include <stdlib.h>

/* What one thread computes for comparison, ThreadSanitizer need not watch: it would take minutes. */
#if defined(__SANITIZE_THREAD__)
#define UNWATCHED __attribute__((no_sanitize("thread")))
#else
#define UNWATCHED
#endif

typedef struct {
    const cx_op *op;
    int64_t attr[CX_ATTR_WORDS];
    cx_value in[CX_INS], out[CX_OUTS], dout[CX_OUTS], din[CX_INS];
    cx_plan plan;
} op_call;

static uint64_t random_state = 1;
static inline uint32_t random_word(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33);
}
static inline int64_t random_from(int64_t low, int64_t high)
{
    return low + (int64_t)(random_word() % (uint32_t)(high - low + 1));
}
static inline double random_unit(void) /* -1..1 */
{
    return (double)random_word() / 1073741824.0 - 1.0;
}

UNWATCHED static inline double get(const cx_value *v, int64_t i)
{
    return v->spec.dtype == CX_F64 ? ((double *)v->data)[i] : (double)((float *)v->data)[i];
}
static inline void put(const cx_value *v, int64_t i, double x)
{
    if (v->spec.dtype == CX_F64)
        ((double *)v->data)[i] = x;
    else
        ((float *)v->data)[i] = (float)x;
}
static inline size_t size_of(const cx_spec *s)
{
    return (size_t)cx_count(s) * cx_width(s->dtype);
}
static inline cx_value array(const cx_spec *s)
{
    cx_value v = {.spec = *s, .data = malloc(size_of(s) + 1)};
    memset(v.data, 0xff, size_of(s) + 1); /* NaN */
    return v;
}
static inline cx_value random_array(const cx_spec *s)
{
    cx_value v = array(s);
    for (int64_t i = 0; i < cx_count(s); i++) put(&v, i, random_unit());
    return v;
}
static inline cx_value copy_of(const cx_value *v)
{
    cx_value c = array(&v->spec);
    memcpy(c.data, v->data, size_of(&v->spec));
    return c;
}
static inline bool same_bits(const cx_value *a, const cx_value *b)
{
    return size_of(&a->spec) == size_of(&b->spec) && !memcmp(a->data, b->data, size_of(&a->spec));
}

/* Fills the call's plan and makes its outputs. */
static inline cx_code op_infer(op_call *c, cx_err *err)
{
    cx_spec in[CX_INS];
    for (int i = 0; i < CX_INS; i++) {
        if (!c->in[i].data) c->in[i].spec.ndim = CX_ABSENT;
        in[i] = c->in[i].spec;
    }
    c->plan = (cx_plan){.threads = cx_threads()};
    return c->op->infer(c->attr, in, &c->plan, err);
}
static inline void op_forward(op_call *c)
{
    cx_err err = {0};
    char *scratch;
    CHECK(!op_infer(c, &err));
    if (err.code) printf("%s\n", err.msg), exit(1);
    for (int j = 0; j < c->op->n_out; j++) free(c->out[j].data), c->out[j] = array(&c->plan.out[j]);
    scratch = malloc(c->plan.scratch + 1);
    memset(scratch, 0xff, c->plan.scratch + 1);
    cx_set_team(c->plan.threads);
    cx_kernel(true);
    c->op->forward[c->in[0].spec.dtype](c->attr, c->in, c->out, scratch);
    cx_kernel(false);
    cx_set_team(0);
    free(scratch);
}
/* din of the inputs that are given; ADD adds to `before`. */
static inline void op_backward(op_call *c, cx_mode wanted, double before)
{
    static const cx_rule truth;
    cx_mode mode[CX_INS];
    char *scratch = malloc(c->plan.scratch_back + 1);
    memset(scratch, 0xff, c->plan.scratch_back + 1);
    for (int i = 0; i < CX_INS; i++) {
        mode[i] = c->in[i].data ? wanted : CX_SKIP;
        free(c->din[i].data), c->din[i].data = NULL;
        if (!c->in[i].data) continue;
        c->din[i] = array(&c->in[i].spec);
        for (int64_t k = 0; wanted == CX_ADD && k < cx_count(&c->in[i].spec); k++) put(&c->din[i], k, before);
    }
    cx_set_team(c->plan.threads);
    cx_kernel(true);
    c->op->backward[c->in[0].spec.dtype == CX_F64](c->attr, c->in, c->out, c->dout, c->din, mode, scratch, &truth);
    cx_kernel(false);
    cx_set_team(0);
    free(scratch);
}
static inline void op_free(op_call *c)
{
    for (int i = 0; i < CX_INS; i++) free(c->in[i].data), free(c->din[i].data);
    for (int j = 0; j < CX_OUTS; j++) free(c->out[j].data), free(c->dout[j].data);
}
#endif
