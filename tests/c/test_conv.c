/* Convolutions in all directions, on every vector unit that this machine has, against the formula; and their promises:
 * the same bits for any batch and any number of threads, rounding within 1e-6 of |x| conv |w|. */
#include "../../csrc/kernels/gemm.h"
#include "../../csrc/ops/convolve.h"
#include "plain.h"
#include <string.h>

enum { PLAIN, DEPTHWISE, TRANSPOSED, KINDS };
static const char *const kinds[] = {"conv2d", "depthwise_conv2d", "conv2d_transpose"};

typedef struct {
    int kind;
    cx_dtype dtype;
    bool bias;
    int64_t padding;
    plain_shape s;
} problem;

static double tolerance(const problem *p)
{
    return p->dtype == CX_F64 ? 1e-13 : 1e-6;
}
static void show(const problem *p, const char *what, double off)
{
    const plain_shape *s = &p->s;
    printf("%s %s %s: off by %g; n %d in %dx%d c %d f %d k %dx%d g %d s %d,%d d %d,%d pad %d\n", kinds[p->kind],
           cx_dtype_name(p->dtype), what, off, (int)s->n, (int)s->in[0], (int)s->in[1], (int)s->c, (int)s->f,
           (int)s->size[0], (int)s->size[1], (int)s->groups, (int)s->stride[0], (int)s->stride[1], (int)s->dilation[0],
           (int)s->dilation[1], (int)p->padding);
}

static op_call call_of(const problem *p)
{
    static const cx_op *const ops[] = {&cx_op_conv2d, &cx_op_depthwise_conv2d, &cx_op_conv2d_transpose};
    const plain_shape *s = &p->s;
    op_call c = {.op = ops[p->kind]};
    if (p->kind == TRANSPOSED) {
        cx_conv_transpose_attr a = {{s->stride[0], s->stride[1]},
                                    p->padding,
                                    {.n = CX_ABSENT},
                                    {s->dilation[0], s->dilation[1]},
                                    {2, {s->in[0], s->in[1]}}};
        memcpy(c.attr, &a, sizeof a);
    } else {
        cx_conv_attr a = {
            {s->stride[0], s->stride[1]}, p->padding, {.n = 4}, {s->dilation[0], s->dilation[1]}, s->groups};
        int64_t pads[4] = {s->before[0], 1, s->before[1], 2};
        memcpy(a.pads.v, pads, sizeof pads);
        memcpy(c.attr, &a, sizeof a);
    }
    return c;
}

/* What the windows of random sizes give: the outputs and the pads. */
static void settle(problem *p)
{
    plain_shape *s = &p->s;
    for (int d = 0; d < 2; d++) {
        const int64_t extent = (s->size[d] - 1) * s->dilation[d] + 1, after = 1 + d;
        int64_t n = s->in[d];
        if (p->padding == 2) n += s->before[d] + after;
        if (p->padding == 1) {
            s->out[d] = (n + s->stride[d] - 1) / s->stride[d];
            const int64_t total = (s->out[d] - 1) * s->stride[d] + extent - n;
            s->before[d] = total > 0 ? total / 2 : 0;
        } else {
            s->out[d] = n < extent ? 0 : (n - extent) / s->stride[d] + 1;
            if (p->padding == 0) s->before[d] = 0;
        }
    }
}

static problem random_problem(int i)
{
    problem p = {.kind = i % KINDS, .dtype = i / KINDS % 2 ? CX_F64 : CX_F32, .bias = random_word() & 1};
    plain_shape *s = &p.s;
    const int64_t few[] = {1, 2, 3, 4, 5, 8, 15, 16, 17, 31, 32, 33, 40, 70};
    s->n = random_from(1, 3), s->groups = 1;
    s->c = few[random_from(0, 13)], s->f = few[random_from(0, 13)];
    p.padding = random_from(0, p.kind == TRANSPOSED ? 1 : 2);
    for (int d = 0; d < 2; d++) {
        s->in[d] = random_from(1, i % 5 ? 12 : 34), s->size[d] = random_from(1, i % 7 ? 4 : 9);
        s->stride[d] = random_from(1, i % 3 ? 2 : 4), s->dilation[d] = i % 4 ? 1 : random_from(1, 3);
        s->before[d] = random_from(0, 3);
    }
    if (p.kind == DEPTHWISE) s->groups = s->c, s->c = 1, s->f = random_from(0, 3) ? 1 : random_from(1, 4);
    if (p.kind == PLAIN && i % 4 == 0) {
        s->groups = random_from(2, 5);
        if (i % 8 == 0) s->c = 1, s->f = random_from(1, 3);
    }
    if (p.kind == PLAIN && i % 11 == 0) s->size[0] = s->size[1] = 1;
    settle(&p);
    return p;
}

static cx_spec spec4(cx_dtype dtype, int64_t a, int64_t b, int64_t c, int64_t d)
{
    return (cx_spec){dtype, 4, {a, b, c, d}};
}

/* The largest difference from want, in units of `scale`. */
static double distance(const cx_value *v, const double *want, double plus, double scale)
{
    double off = 0;
    for (int64_t i = 0; i < cx_count(&v->spec); i++) {
        double d = fabs(get(v, i) - want[i] - plus);
        off = d > off || d != d ? d : off;
        if (d != d) return d;
    }
    return scale > 0 ? off / scale : off;
}

static void against_the_formula(problem p)
{
    const plain_shape *s = &p.s;
    const bool turned = p.kind == TRANSPOSED;
    const cx_spec xs = spec4(p.dtype, s->n, s->in[0], s->in[1], s->groups * s->c);
    const cx_spec ys = spec4(p.dtype, s->n, s->out[0], s->out[1], s->groups * s->f);
    const cx_spec ks = p.kind == DEPTHWISE ? spec4(p.dtype, s->size[0], s->size[1], s->groups, s->f)
                                           : spec4(p.dtype, s->size[0], s->size[1], s->c, s->groups * s->f);
    cx_value x = random_array(&xs), k = random_array(&ks), dy = random_array(&ys), bias = {0};
    const cx_spec bs = {p.dtype, 1, {turned ? s->c : s->groups * s->f}};
    if (p.bias) bias = random_array(&bs);
    plain_result want = {calloc((size_t)cx_count(&ys) + 1, 8), calloc((size_t)cx_count(&xs) + 1, 8),
                         calloc((size_t)cx_count(&ks) + 1, 8), calloc((size_t)cx_count(&ys) + 1, 8),
                         calloc((size_t)cx_count(&xs) + 1, 8), calloc((size_t)cx_count(&ks) + 1, 8)};
    conv_plain(s, &x, &k, &dy, &want);

    op_call c = call_of(&p);
    c.in[0] = copy_of(turned ? &dy : &x), c.in[1] = copy_of(&k), c.in[2] = bias;
    if (bias.data) c.in[2] = copy_of(&bias);
    op_forward(&c);
    CHECK(cx_same_spec(&c.out[0].spec, turned ? &xs : &ys));
    double *made = turned ? want.dx : want.y;
    const int64_t made_n = cx_count(&c.out[0].spec), columns = c.out[0].spec.dim[3];
    const double reach = plain_largest(want.y_weight, cx_count(&ys)) + 1;
    const double reach_back = plain_largest(want.dx_weight, cx_count(&xs)) + 1;
    double scale = turned ? reach_back : reach;
    for (int64_t i = 0; bias.data && i < made_n; i++) made[i] += get(&bias, i % columns);
    double off = distance(&c.out[0], made, 0, scale);
    CHECK(off <= tolerance(&p));
    if (!(off <= tolerance(&p))) show(&p, "forward", off);

    c.dout[0] = copy_of(turned ? &x : &dy);
    for (int add = 0; add < 2; add++) {
        op_backward(&c, add ? CX_ADD : CX_WRITE, 0.5);
        const double plus = add ? 0.5 : 0;
        double *const in_want[] = {turned ? want.y : want.dx, want.dk};
        for (int i = 0; i < 2; i++) {
            scale = i ? plain_largest(want.dk_weight, cx_count(&ks)) + 1 : turned ? reach : reach_back;
            off = distance(&c.din[i], in_want[i], plus, scale);
            CHECK(off <= tolerance(&p));
            if (!(off <= tolerance(&p))) show(&p, i ? "kernel gradient" : "input gradient", off);
        }
        if (!bias.data) continue;
        double *sums = calloc((size_t)columns + 1, 8);
        for (int64_t i = 0; i < made_n; i++) sums[i % columns] += get(&c.dout[0], i);
        off = distance(&c.din[2], sums, plus, sqrt((double)made_n) + 1);
        CHECK(off <= tolerance(&p));
        free(sums);
    }
    free(x.data), free(k.data), free(dy.data), free(bias.data);
    free(want.y), free(want.dx), free(want.dk);
    free(want.y_weight), free(want.dx_weight), free(want.dk_weight);
    op_free(&c);
}

/* Shapes that take ways of their own: many blocks and parts, rows of dw a page apart, narrow images, deep chains, first
 * layers, and strides beyond the window. */
static const problem special[] = {
    {PLAIN, CX_F32, true, 1, {2, {6, 5}, 20, {0}, 512, {3, 3}, 1, {1, 1}, {1, 1}, {0}}},
    {PLAIN, CX_F32, true, 0, {9, {7, 7}, 130, {0}, 1024, {1, 1}, 1, {1, 1}, {1, 1}, {0}}},
    {PLAIN, CX_F64, false, 0, {3, {4, 5}, 300, {0}, 256, {1, 1}, 1, {1, 1}, {1, 1}, {0}}},
    {PLAIN, CX_F32, true, 1, {3, {5, 6}, 8, {0}, 512, {3, 2}, 2, {1, 2}, {1, 1}, {0}}},
    {PLAIN, CX_F32, true, 1, {20, {3, 3}, 64, {0}, 48, {3, 3}, 1, {1, 1}, {1, 1}, {0}}},
    {PLAIN, CX_F32, true, 1, {16, {28, 28}, 1, {0}, 16, {3, 3}, 1, {1, 1}, {1, 1}, {0}}},
    {PLAIN, CX_F32, true, 1, {2, {61, 60}, 3, {0}, 32, {7, 7}, 1, {2, 2}, {1, 1}, {0}}},
    {PLAIN, CX_F32, true, 2, {1, {40, 300}, 3, {0}, 17, {3, 5}, 1, {1, 3}, {2, 2}, {2, 5}}},
    {PLAIN, CX_F32, false, 1, {1, {70, 65}, 33, {0}, 64, {3, 3}, 1, {1, 1}, {1, 1}, {0}}},
    {PLAIN, CX_F64, true, 1, {2, {20, 21}, 40, {0}, 24, {5, 5}, 1, {3, 2}, {1, 1}, {0}}},
    {PLAIN, CX_F32, true, 0, {2, {12, 12}, 5, {0}, 20, {2, 2}, 1, {5, 4}, {1, 1}, {0}}},
    {DEPTHWISE, CX_F32, true, 1, {2, {30, 31}, 1, {0}, 1, {3, 3}, 150, {1, 1}, {1, 1}, {0}}},
    {DEPTHWISE, CX_F32, true, 1, {1, {40, 41}, 1, {0}, 3, {5, 5}, 33, {2, 2}, {1, 1}, {0}}},
    {DEPTHWISE, CX_F64, true, 1, {2, {7, 7}, 1, {0}, 1, {3, 3}, 320, {1, 1}, {1, 1}, {0}}},
    {DEPTHWISE, CX_F32, true, 1, {2, {15, 16}, 1, {0}, 1, {5, 5}, 40, {1, 1}, {1, 1}, {0}}},
    {DEPTHWISE, CX_F32, true, 1, {2, {17, 18}, 1, {0}, 1, {3, 3}, 33, {2, 2}, {1, 1}, {0}}},
    {DEPTHWISE, CX_F32, true, 2, {2, {9, 31}, 1, {0}, 1, {3, 3}, 19, {1, 2}, {1, 1}, {1, 1}}},
    {DEPTHWISE, CX_F64, true, 2, {1, {20, 23}, 1, {0}, 1, {5, 5}, 18, {2, 2}, {1, 1}, {2, 3}}},
    {DEPTHWISE, CX_F32, false, 1, {2, {11, 12}, 1, {0}, 1, {3, 4}, 17, {1, 1}, {2, 3}, {0}}},
    {DEPTHWISE, CX_F32, true, 0, {1, {70, 40}, 1, {0}, 1, {3, 3}, 300, {3, 2}, {1, 1}, {0}}},
    {TRANSPOSED, CX_F32, true, 1, {2, {24, 22}, 16, {0}, 40, {4, 4}, 1, {2, 2}, {1, 1}, {0}}},
    {TRANSPOSED, CX_F32, true, 0, {1, {64, 63}, 3, {0}, 20, {3, 3}, 1, {2, 2}, {1, 1}, {0}}},
};

/* Winograd's tiles: one, two or four outputs of the last row and column exist, borders without padding and with more
 * than a kernel needs, channels that fill no vector, one chain and several, both tile sizes, shared and own blocks. */
static problem winograd_problem(int i)
{
    const int64_t some[] = {16, 17, 24, 31, 33, 48, 130};
    problem p = {.kind = i % 3 == 2 ? TRANSPOSED : PLAIN, .dtype = CX_F32, .bias = i & 1};
    p.s = (plain_shape){.n = 1 + i % 2, .groups = 1, .size = {3, 3}, .stride = {1, 1}, .dilation = {1, 1}};
    p.s.in[0] = random_from(6, 15), p.s.in[1] = random_from(6, i % 4 ? 12 : 70);
    p.s.c = some[random_from(0, 6)], p.s.f = some[random_from(0, 6)];
    p.padding = p.kind == TRANSPOSED ? i & 1 : i % 4 % 3;
    p.s.before[0] = random_from(0, 4), p.s.before[1] = random_from(0, 4);
    if (i % 20 == 3) p.s.n = 2, p.s.in[0] = 7, p.s.in[1] = 9, p.s.c = 257, p.s.f = 264; /* F(2x2, 3x3) */
    if (i % 20 == 13) p.s.n = 5, p.s.in[0] = 9, p.s.in[1] = 6, p.s.c = 300, p.s.f = 200;
    return p;
}

/* A kernel made ready before the call gives the same bits as one that the call makes ready. */
static void with_a_form(const op_call *all)
{
    for (int back = 0; back < 2; back++) {
        op_call c = *all;
        cx_form f = {0};
        if (c.op->form) c.op->form(c.attr, c.in, c.out, back, &f);
        if (!f.size) continue;
        for (int j = 0; j < CX_INS; j++) c.din[j].data = NULL;
        c.out[0].data = NULL;
        void *form = malloc(f.size);
        memset(form, 0xff, f.size);
        c.op->make(c.attr, all->in, all->out, back, form);
        c.in[1].form = form;
        if (back) {
            op_backward(&c, CX_WRITE, 0);
            CHECK(same_bits(&c.din[0], &all->din[0]));
        } else {
            op_forward(&c);
            CHECK(same_bits(&c.out[0], &all->out[0]));
        }
        for (int j = 0; j < CX_INS; j++) free(c.din[j].data);
        free(c.out[0].data), free(form);
    }
}

/* One image of a batch alone, moved in memory by one element, with other numbers of threads. */
static void the_same_bits(problem p)
{
    const plain_shape *s = &p.s;
    const bool turned = p.kind == TRANSPOSED;
    op_call all = call_of(&p);
    const cx_spec xs = spec4(p.dtype, 5, s->in[0], s->in[1], s->groups * s->c);
    const cx_spec ys = spec4(p.dtype, 5, s->out[0], s->out[1], s->groups * s->f);
    const cx_spec ks = p.kind == DEPTHWISE ? spec4(p.dtype, s->size[0], s->size[1], s->groups, s->f)
                                           : spec4(p.dtype, s->size[0], s->size[1], s->c, s->groups * s->f);
    all.in[0] = random_array(turned ? &ys : &xs), all.in[1] = random_array(&ks);
    all.dout[0] = random_array(turned ? &xs : &ys);
    cx_set_threads(1);
    op_forward(&all), op_backward(&all, CX_WRITE, 0);
    with_a_form(&all);
    for (int threads = 1; threads <= 5; threads += 2) {
        cx_set_threads(threads);
        op_call again = call_of(&p);
        again.in[0] = copy_of(&all.in[0]), again.in[1] = copy_of(&all.in[1]), again.dout[0] = copy_of(&all.dout[0]);
        op_forward(&again), op_backward(&again, CX_WRITE, 0);
        CHECK(same_bits(&again.out[0], &all.out[0]));
        CHECK(same_bits(&again.din[0], &all.din[0]));
        CHECK(same_bits(&again.din[1], &all.din[1]));
        op_free(&again);

        op_call one = call_of(&p);
        const int64_t place = threads % 5;
        cx_spec single = all.in[0].spec, result = all.out[0].spec;
        single.dim[0] = result.dim[0] = 1;
        one.in[0] = array(&single), one.in[1] = copy_of(&all.in[1]), one.dout[0] = array(&result);
        memcpy(one.in[0].data, (char *)all.in[0].data + (size_t)place * size_of(&single), size_of(&single));
        memcpy(one.dout[0].data, (char *)all.dout[0].data + (size_t)place * size_of(&result), size_of(&result));
        op_forward(&one), op_backward(&one, CX_WRITE, 0);
        CHECK(!memcmp(one.out[0].data, (char *)all.out[0].data + (size_t)place * size_of(&result), size_of(&result)));
        CHECK(!memcmp(one.din[0].data, (char *)all.din[0].data + (size_t)place * size_of(&single), size_of(&single)));
        op_free(&one);
    }
    cx_set_threads(0);
    op_free(&all);
}

/* What does not reach an output must not decide it, and what is not finite must. Winograd's tiles share: there the
 * outputs of the tiles that see it may go, and no others. */
static void not_finite(cx_dtype dtype, cx_precision precision)
{
    const bool tiles = dtype == CX_F32 && precision == CX_FAST;
    cx_set_precision(precision);
    problem p = {
        .kind = PLAIN, .dtype = dtype, .padding = 1, .s = {1, {9, 9}, 20, {0}, 20, {3, 3}, 1, {1, 1}, {1, 1}, {0}}};
    settle(&p);
    op_call c = call_of(&p);
    const cx_spec xs = spec4(dtype, 1, 9, 9, 20), ks = spec4(dtype, 3, 3, 20, 20);
    c.in[0] = random_array(&xs), c.in[1] = array(&ks);
    memset(c.in[1].data, 0, size_of(&ks));
    put(&c.in[0], (4 * 9 + 4) * 20 + 7, NAN);
    op_forward(&c);
    for (int64_t i = 0; i < 81; i++) {
        bool near = llabs(i / 9 - 4) <= 1 && llabs(i % 9 - 4) <= 1;
        bool seen = tiles && i / 9 < 8 && i % 9 < 8; /* tiles of 4 x 4 outputs see the pixels 4 t - 1 to 4 t + 4 */
        for (int64_t f = 0; f < 20; f++) {
            bool spoiled = get(&c.out[0], i * 20 + f) != get(&c.out[0], i * 20 + f);
            CHECK(seen ? spoiled || !near : spoiled == near);
        }
    }
    op_free(&c);
    cx_set_precision(CX_FAST);
}

/* Nothing to sum, nothing to make. */
static void empty(cx_dtype dtype)
{
    const plain_shape shapes[] = {
        {0, {5, 5}, 3, {0}, 4, {3, 3}, 1, {1, 1}, {1, 1}, {0}}, {2, {2, 5}, 3, {0}, 4, {3, 3}, 1, {1, 1}, {1, 1}, {0}},
        {2, {5, 5}, 0, {0}, 4, {3, 3}, 1, {1, 1}, {1, 1}, {0}}, {2, {5, 5}, 3, {0}, 0, {3, 3}, 1, {2, 2}, {1, 1}, {0}},
        {2, {0, 5}, 3, {0}, 4, {1, 1}, 1, {1, 1}, {1, 1}, {0}}, {2, {5, 7}, 3, {0}, 4, {1, 2}, 1, {9, 3}, {1, 1}, {0}}};
    for (int kind = 0; kind < KINDS; kind++)
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
            for (int padding = 0; padding < 2; padding++) {
                problem p = {.kind = kind, .dtype = dtype, .bias = true, .padding = padding, .s = shapes[i]};
                if (kind == DEPTHWISE) p.s.groups = p.s.c, p.s.c = 1;
                settle(&p);
                against_the_formula(p);
            }
}

/* Sums of one sign round most; chains must be short enough. */
static void rounding(void)
{
    problem p = {
        .kind = PLAIN, .dtype = CX_F32, .padding = 1, .s = {1, {12, 12}, 300, {0}, 40, {3, 3}, 1, {1, 1}, {1, 1}, {0}}};
    settle(&p);
    const cx_spec xs = spec4(CX_F32, 1, 12, 12, 300), ks = spec4(CX_F32, 3, 3, 300, 40),
                  ys = spec4(CX_F32, 1, 12, 12, 40);
    op_call c = call_of(&p);
    c.in[0] = random_array(&xs), c.in[1] = random_array(&ks);
    for (int64_t i = 0; i < cx_count(&xs); i++) put(&c.in[0], i, fabs(get(&c.in[0], i)));
    for (int64_t i = 0; i < cx_count(&ks); i++) put(&c.in[1], i, fabs(get(&c.in[1], i)));
    plain_result want = {.y = calloc((size_t)cx_count(&ys), 8)};
    conv_plain(&p.s, &c.in[0], &c.in[1], NULL, &want);
    double scale = 0;
    for (int64_t i = 0; i < cx_count(&ys); i++) scale = want.y[i] > scale ? want.y[i] : scale;
    op_forward(&c);
    CHECK(distance(&c.out[0], want.y, 0, scale) <= 1e-6);
    free(want.y);
    op_free(&c);
}

static void refusals(void)
{
    cx_err err = {0};
    problem p = {.kind = PLAIN, .dtype = CX_F32, .s = {2, {8, 8}, 4, {0}, 6, {3, 3}, 1, {1, 1}, {1, 1}, {0}}};
    cx_plan plan = {.threads = 1};
    cx_spec in[CX_INS] = {spec4(CX_F32, 2, 8, 8, 4), spec4(CX_F32, 3, 3, 4, 6), {CX_F32, 1, {6}}};
    op_call c = call_of(&p);
    CHECK(!c.op->infer(c.attr, in, &plan, &err) && plan.out[0].dim[1] == 6);
    in[0].dim[0] = in[0].dim[1] = CX_ANY;
    CHECK(!c.op->infer(c.attr, in, &plan, &err) && plan.out[0].dim[0] == CX_ANY && plan.out[0].dim[1] == CX_ANY);
    CHECK(plan.out[0].dim[2] == 6);
    in[2].dim[0] = 5;
    CHECK(c.op->infer(c.attr, in, &plan, &err) == CX_EVALUE && strstr(err.msg, "`bias`"));
    in[1].dim[2] = 3;
    CHECK(c.op->infer(c.attr, in, &plan, &err) == CX_EVALUE && strstr(err.msg, "`kernel`"));
    in[0].ndim = 3;
    CHECK(c.op->infer(c.attr, in, &plan, &err) == CX_EVALUE && strstr(err.msg, "rank 4"));
    in[0] = spec4(CX_F32, 2, INT64_MAX / 8, INT64_MAX / 8, 4);
    CHECK(c.op->infer(c.attr, in, &plan, &err) == CX_EVALUE);
}

int main(int argc, char **argv)
{
    const int n = argc > 1 ? atoi(argv[1]) : 120;
    cx_err err = {0};
    CHECK(cx_start("nonsense", &err) == CX_EVALUE && strstr(err.msg, "`isa`"));
    for (int isa = CX_PORTABLE; isa <= CX_AVX512; isa++) {
        if (cx_start(cx_isa_name((cx_isa)isa), &err)) continue;
        CHECK(cx_get_isa() == (cx_isa)isa);
        for (int i = 0; i < n; i++) {
            problem p = random_problem(i);
            cx_set_threads(1 + i % 3);
            against_the_formula(p);
            if (i % 2) the_same_bits(p);
        }
        for (size_t i = 0; i < sizeof special / sizeof *special; i++) {
            problem p = special[i];
            cx_set_threads(1 + (int)(i % 3));
            settle(&p);
            against_the_formula(p);
            the_same_bits(p);
        }
        for (int d = 0; d < 2; d++) empty(d ? CX_F64 : CX_F32);
        for (int d = 0; d < 4; d++) not_finite(d & 1 ? CX_F64 : CX_F32, d & 2 ? CX_STRICT : CX_FAST);
        rounding();
        for (int i = 0; i < n / 3; i++) {
            problem p = winograd_problem(i);
            settle(&p);
            for (int strict = 0; strict <= (i % 4 == 0); strict++) {
                cx_set_precision(strict ? CX_STRICT : CX_FAST);
                cx_set_threads(1 + i % 3);
                against_the_formula(p);
                the_same_bits(p);
            }
            cx_set_precision(CX_FAST);
        }
    }
    refusals();
    /* With a library, the portable kernels give way to it. */
    const char *library = getenv("CX_TEST_BLAS");
    CHECK(!cx_start("portable", &err) && !cx_blas_ready());
    if (library) {
        cx_blas_path(library);
        CHECK(cx_blas_ready());
        for (int i = 0; i < n; i++) {
            problem p = random_problem(i);
            cx_set_threads(1 + i % 3);
            against_the_formula(p);
            if (i % 2) the_same_bits(p);
        }
        for (int d = 0; d < 2; d++) empty(d ? CX_F64 : CX_F32);
        rounding();
        cx_blas_path("/nowhere");
        CHECK(!cx_blas_ready());
    }
    CHECK(cx_faults() == 0);
    return failures;
}
