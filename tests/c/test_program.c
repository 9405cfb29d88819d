/* Programs on ops of this file: arithmetic small enough to check by hand. */
#include "../../csrc/program/internal.h"
#include "check.h"
#include <string.h>

#define F(v) ((float *)(v)->data)
static int64_t no_attr[CX_ATTR_WORDS];

static cx_code like_first(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    (void)attr, (void)err;
    plan->out[0] = in[0];
    return CX_OK;
}
static cx_code flat_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    (void)attr, (void)err;
    plan->out[0] = (cx_spec){in->dtype, 1, {cx_known(in) ? cx_count(in) : CX_ANY}};
    return CX_OK;
}
static void square_forward(const void *attr, const cx_value *in, const cx_value *out, void *scratch)
{
    (void)attr, (void)scratch;
    for (int64_t i = 0; i < cx_count(&out->spec); i++) F(out)[i] = F(in)[i] * F(in)[i];
}
static void put(const cx_value *din, int64_t i, cx_mode mode, float v)
{
    F(din)[i] = (mode == CX_ADD ? F(din)[i] : 0) + v;
}
static void square_backward(const void *attr, const cx_value *in, const cx_value *out, const cx_value *dout,
                            const cx_value *din, const cx_mode *mode, void *scratch, const cx_rule *rule)
{
    (void)attr, (void)out, (void)scratch, (void)rule;
    for (int64_t i = 0; i < cx_count(&din->spec); i++) put(din, i, *mode, 2 * F(in)[i] * F(dout)[i]);
}
static void plus_forward(const void *attr, const cx_value *in, const cx_value *out, void *scratch)
{
    (void)attr, (void)scratch;
    for (int64_t i = 0; i < cx_count(&out->spec); i++) F(out)[i] = F(&in[0])[i] + F(&in[1])[i];
}
static void plus_backward(const void *attr, const cx_value *in, const cx_value *out, const cx_value *dout,
                          const cx_value *din, const cx_mode *mode, void *scratch, const cx_rule *rule)
{
    (void)attr, (void)in, (void)out, (void)scratch, (void)rule;
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0; mode[k] && i < cx_count(&din[k].spec); i++) put(&din[k], i, mode[k], F(dout)[i]);
}
static const cx_op square = {.name = "square",
                             .least_in = 1,
                             .most_in = 1,
                             .n_out = 1,
                             .n_public = 1,
                             .infer = like_first,
                             .forward = {square_forward},
                             .backward = {square_backward},
                             .reads = {CX_IN(0)}};
static const cx_op plus = {.name = "plus",
                           .least_in = 2,
                           .most_in = 2,
                           .n_out = 1,
                           .n_public = 1,
                           .infer = like_first,
                           .alike = 3,
                           .forward = {plus_forward},
                           .backward = {plus_backward}};
static const cx_op flat = {
    .name = "flat", .kind = CX_VIEW, .least_in = 1, .most_in = 1, .n_out = 1, .n_public = 1, .infer = flat_infer};
static const cx_op flat_stop = {.name = "flat_stop",
                                .kind = CX_VIEW,
                                .least_in = 1,
                                .most_in = 1,
                                .n_out = 1,
                                .n_public = 1,
                                .infer = flat_infer,
                                .stops = true};
static const cx_op closed = {.name = "closed",
                             .least_in = 1,
                             .most_in = 1,
                             .n_out = 1,
                             .n_public = 1,
                             .infer = like_first,
                             .forward = {square_forward}};

static int node(cx_program *p, const cx_op *op, int a, int b)
{
    cx_err err = {0};
    const cx_node *n = cx_add_node(p, op, no_attr, (int[CX_INS]){a, b}, NULL, &err);
    return n ? n->out[0] : -1;
}
static cx_value value(int64_t rows, float first)
{
    cx_err err;
    cx_value v;
    cx_value_new(&(cx_spec){CX_F32, 2, {rows, 2}}, &v, &err);
    for (int64_t i = 0; i < 2 * rows; i++) F(&v)[i] = first + (float)i;
    return v;
}
static cx_rule truth;

/* y = (x^2)^2 + x^2 through a view; dy/dx = 4 x^3 + 2 x */
static void values_and_gradients(void)
{
    cx_err err = {0};
    cx_program *m = cx_program_new(), *call = NULL;
    int x = cx_add_slot(m, &(cx_value){.spec = {CX_F32, 2, {CX_ANY, 2}}}, false);
    int a = node(m, &square, x, -1), b = node(m, &square, a, -1), y = node(m, &plus, b, a), f = node(m, &flat, y, -1);
    CHECK(m->slot[f].value.spec.dim[0] == CX_ANY);
    cx_value in = value(3, 1), grad[2] = {0};
    CHECK(!cx_instance(m, &x, &in, &(bool){true}, 1, &call, &err));
    CHECK(call->slot[f].value.spec.dim[0] == 6);
    CHECK(!cx_run(call, (int[]){f}, 1, NULL, &err) && call->forwards == 3);
    CHECK(F(&call->slot[f].value)[1] == 16 + 4 && call->slot[a].value.data);
    CHECK(!call->slot[b].value.data); /* plus reads nothing backward, so b was passing */
    CHECK(call->slot[f].value.block == call->slot[y].value.block);

    cx_value seed;
    CHECK(!cx_value_new(&call->slot[f].value.spec, &seed, &err));
    for (int i = 0; i < 6; i++) F(&seed)[i] = 1;
    CHECK(!cx_backward(call, &f, &seed, 1, (int[]){x, a}, 2, &truth, NULL, grad, &err));
    for (int i = 0; i < 6; i++) {
        float v = F(&in)[i];
        CHECK(F(&grad[0])[i] == 4 * v * v * v + 2 * v);
        CHECK(F(&grad[1])[i] == 2 * v * v + 1);
    }
    cx_clear(&grad[0]), cx_clear(&grad[1]);
    /* two seeds on one slot add up; what lies above the wanted slot is not computed */
    int64_t before = call->backwards;
    CHECK(!cx_backward(call, (int[]){f, f}, (cx_value[]){seed, seed}, 2, &b, 1, &truth, NULL, grad, &err));
    CHECK(F(&grad[0])[5] == 2 && call->backwards - before == 2);
    cx_clear(&grad[0]);
    /* recomputed when asked for, and gone again after a backward that needed it */
    CHECK(!cx_run(call, &b, 1, NULL, &err) && F(&call->slot[b].value)[1] == 16);
    cx_clear(&seed), cx_clear(&in), cx_program_free(call), cx_program_free(m);
}

static void a_slot_given_twice_and_joined_calls(void)
{
    cx_err err = {0};
    cx_program *tape = cx_program_new(), *one = cx_program_new();
    cx_value v = value(1, 3), grad = {0};
    int x = cx_add_slot(tape, &v, true), s = cx_add_slot(one, &v, true);
    int y = node(one, &plus, s, s), map[2] = {x, -1};
    CHECK(!cx_run(one, &y, 1, NULL, &err));
    CHECK(!cx_append(tape, one, map, &err) && map[s] == x);
    int first = map[y];
    map[0] = first, map[1] = -1; /* the same call again, on its own output: values are shared, shapes alike */
    CHECK(!cx_append(tape, one, map, &err));
    cx_value seed = value(1, 1);
    CHECK(!cx_backward(tape, &map[y], &seed, 1, &x, 1, &truth, NULL, &grad, &err));
    CHECK(F(&grad)[0] == 4 && F(&grad)[1] == 8);
    cx_clear(&grad), cx_clear(&seed), cx_clear(&v), cx_program_free(one), cx_program_free(tape);
}

static void refusals(void)
{
    cx_err err = {0};
    cx_program *p = cx_program_new(), *call = NULL;
    cx_value v = value(2, 0), d = v, grad = {0};
    int x = cx_add_slot(p, &v, true), open = cx_add_slot(p, &(cx_value){.spec = v.spec}, false);
    int c = node(p, &closed, x, -1), s = node(p, &flat_stop, x, -1), y = node(p, &plus, open, x);
    CHECK(cx_run(p, &y, 1, NULL, &err) == CX_EVALUE && strstr(err.msg, "was not fed"));
    CHECK(!cx_run(p, (int[]){c, s}, 2, NULL, &err));
    CHECK(cx_backward(p, &c, &v, 1, &x, 1, &truth, NULL, &grad, &err) == CX_EVALUE && strstr(err.msg, "closed"));
    d = p->slot[s].value;
    CHECK(!cx_backward(p, &s, &d, 1, &x, 1, &truth, NULL, &grad, &err) && !grad.data);
    d.spec.dim[1] = 3;
    CHECK(cx_instance(p, &x, &d, NULL, 1, &call, &err) == CX_EVALUE && strstr(err.msg, "shape"));
    d.spec = (cx_spec){CX_I32, 2, {2, 2}};
    CHECK(cx_instance(p, &x, &d, NULL, 1, &call, &err) == CX_ETYPE);
    CHECK(!cx_add_node(p, &plus, no_attr, (int[CX_INS]){x, -1}, NULL, &err) && strstr(err.msg, "missing"));
    cx_clear(&v), cx_program_free(p);
}

static void placement(void)
{
    cx_span span[5] = {
        {100, 0, 0, 1, true}, {200, 0, 0, 2, true}, {60, 0, 2, 3, true}, {300, 0, 3, 4, true}, {10, 0, 3, 4, true}};
    int order[6] = {0, 1, 2, 3, 4};
    size_t total = cx_place(span, order, 5);
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < i; j++) {
            bool together = span[i].first <= span[j].last && span[j].first <= span[i].last;
            CHECK(!together || span[i].offset >= span[j].offset + span[j].size ||
                  span[j].offset >= span[i].offset + span[i].size);
        }
    CHECK(span[2].offset == 0);
    CHECK(total == 64 + 320 + 64); /* the tiny one fits before or behind the large one */
}

int main(void)
{
    values_and_gradients();
    a_slot_given_twice_and_joined_calls();
    refusals();
    placement();
    CHECK(cx_faults() == 0);
    return failures;
}
