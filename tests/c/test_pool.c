/* Pooling in float, on every vector unit, against the same in double: maxima and switches exactly, also of equal and of
 * undefined values; gradients, finished or not, within rounding; the same bits for any number of threads. */
#include "../../csrc/kernels/kernels.h"
#include "ops.h"
#include <math.h>
#include <string.h>

typedef struct {
    int64_t n, h, w, c, size[2], stride[2], padding;
} layer;
static const layer layers[] = {
    {2, 8, 8, 64, {2, 2}, {2, 2}, 0},  {1, 9, 7, 37, {2, 2}, {2, 2}, 0}, {2, 7, 9, 16, {2, 2}, {2, 2}, 1},
    {1, 11, 10, 5, {3, 3}, {2, 2}, 1}, {1, 9, 9, 48, {3, 3}, {1, 1}, 1}, {2, 6, 5, 33, {3, 2}, {1, 3}, 0},
    {1, 10, 9, 8, {2, 2}, {3, 4}, 0},  {1, 5, 20, 3, {4, 5}, {2, 1}, 1}, {3, 4, 4, 1, {4, 4}, {4, 4}, 0},
    {1, 6, 6, 19, {1, 1}, {2, 2}, 0},  {0, 6, 6, 19, {2, 2}, {2, 2}, 0}, {1, 16, 14, 130, {2, 2}, {2, 2}, 0},
    {1, 17, 19, 6, {9, 9}, {1, 1}, 1},
};
static const cx_op *const ops[] = {&cx_op_max_pool2d, &cx_op_average_pool2d, &cx_op_global_average_pool2d};

static cx_value as(const cx_value *v, cx_dtype dtype)
{
    cx_spec s = v->spec;
    s.dtype = dtype;
    cx_value w = array(&s);
    for (int64_t i = 0; i < cx_count(&s); i++) put(&w, i, get(v, i));
    return w;
}
static bool alike(double a, double b, double slack)
{
    return a != a ? b != b : fabs(a - b) <= slack * (1 + fabs(a)) || a == b;
}

static op_call call_of(const cx_op *op, const layer *l, const cx_value *x)
{
    op_call c = {.op = op};
    const int64_t attr[] = {l->size[0], l->size[1], l->stride[0], l->stride[1], l->padding, CX_ABSENT};
    if (op != &cx_op_global_average_pool2d) memcpy(c.attr, attr, sizeof attr);
    c.in[0] = copy_of(x);
    return c;
}

static cx_value finished(op_call *c, const cx_finish *f, const cx_value *before)
{
    cx_value dx = before ? copy_of(before) : array(&c->in[0].spec);
    cx_finish own = *f;
    if (before) own.plus = dx.data;
    cx_set_team(c->plan.threads);
    cx_kernel(true);
    c->op->finished_back(c->attr, c->in, c->out, c->dout, dx.data, NULL, &own);
    cx_kernel(false);
    cx_set_team(0);
    return dx;
}

static void both_ways(const cx_op *op, const layer *l)
{
    const cx_spec xs = {CX_F32, 4, {l->n, l->h, l->w, l->c}}, line = {CX_F32, 1, {l->c}};
    cx_value x = random_array(&xs);
    for (int64_t i = 0; i < cx_count(&xs); i++) put(&x, i, floor(get(&x, i) * 4)); /* many are equal */
    if (op == ops[0])
        for (int64_t i = 3; i < cx_count(&xs); i += 29) put(&x, i, NAN);
    cx_value x64 = as(&x, CX_F64);
    op_call c = call_of(op, l, &x), d = call_of(op, l, &x64);
    op_forward(&c), op_forward(&d);
    for (int64_t i = 0; i < cx_count(&c.out[0].spec); i++) CHECK(alike(get(&d.out[0], i), get(&c.out[0], i), 1e-6));
    if (op == ops[0]) CHECK(same_bits(&c.out[1], &d.out[1]));

    c.dout[0] = random_array(&c.out[0].spec), d.dout[0] = as(&c.dout[0], CX_F64);
    cx_value rate = random_array(&line), gate = random_array(&xs), rate64 = as(&rate, CX_F64);
    cx_value gate64 = as(&gate, CX_F64);
    for (int add = 0; add < 2; add++) {
        op_backward(&c, add ? CX_ADD : CX_WRITE, 0.5), op_backward(&d, add ? CX_ADD : CX_WRITE, 0.5);
        for (int64_t i = 0; i < cx_count(&xs); i++) CHECK(alike(get(&d.din[0], i), get(&c.din[0], i), 1e-6));
        const cx_finish f = {.gate = gate.data, .limit = 0.75, .rate = rate.data};
        cx_value dx = finished(&c, &f, add ? &c.din[0] : NULL);
        for (int64_t i = 0; i < cx_count(&xs); i++) {
            const double g = get(&gate, i), sum = get(&d.din[0], i) + (add ? get(&d.din[0], i) - 0.5 : 0);
            CHECK(alike(g > 0 && g < 0.75 ? sum * get(&rate, i % l->c) : 0, get(&dx, i), 2e-6));
        }
        const cx_finish wide = {.gate = gate64.data, .limit = 0.75, .rate = rate64.data};
        cx_value dx64 = finished(&d, &wide, add ? &d.din[0] : NULL);
        for (int64_t i = 0; i < cx_count(&xs); i++) CHECK(alike(get(&dx64, i), get(&dx, i), 2e-6));
        free(dx.data), free(dx64.data);
    }
    cx_set_threads(3);
    op_call again = call_of(op, l, &x);
    op_forward(&again);
    again.dout[0] = copy_of(&c.dout[0]);
    op_backward(&again, CX_ADD, 0.5);
    CHECK(same_bits(&again.out[0], &c.out[0]) && same_bits(&again.din[0], &c.din[0]));
    cx_set_threads(1);
    free(x.data), free(x64.data), free(rate.data), free(rate64.data), free(gate.data), free(gate64.data);
    op_free(&c), op_free(&d), op_free(&again);
}

int main(void)
{
    cx_err err = {0};
    for (int isa = CX_PORTABLE; isa <= CX_AVX512; isa++) {
        if (cx_start(cx_isa_name((cx_isa)isa), &err)) continue;
        cx_set_threads(1);
        for (size_t o = 0; o < sizeof ops / sizeof *ops; o++)
            for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) both_ways(ops[o], &layers[i]);
    }
    CHECK(cx_faults() == 0);
    return failures;
}
