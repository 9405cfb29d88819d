/* What becomes of the sums of a convolution on their way to memory, both ways, on every vector unit: each step alone
 * and random combinations against arithmetic in double on the sums that the plain call gives, and the same bits for any
 * batch, place and number of threads. */
#include "../../csrc/kernels/gemm.h"
#include "../../csrc/ops/convolve.h"
#include "ops.h"
#include <math.h>
#include <string.h>

enum {
    SCALE = 1,
    SHIFT = 2,
    RATE = 4,
    PLUS = 8,
    ITSELF = 16,
    GATE = 32,
    CLAMP = 64,
    LIMIT = 128,
    BITS = 256,
    ALL = 512
};

typedef struct {
    const cx_op *op;
    int64_t n, in[2], c, f, k, groups, stride;
} layer;
static const layer layers[] = {
    {&cx_op_conv2d, 2, {9, 7}, 5, 32, 1, 1, 1},    /* pixels of all images are one column */
    {&cx_op_conv2d, 2, {5, 5}, 300, 40, 1, 1, 1},  /* several chains, and a panel that is not full */
    {&cx_op_conv2d, 3, {8, 9}, 150, 96, 3, 1, 2},  /* phases of the stride */
    {&cx_op_conv2d, 1, {12, 11}, 7, 33, 2, 1, 3},  /* phases without a tap */
    {&cx_op_conv2d, 2, {10, 13}, 6, 18, 3, 3, 1},  /* groups */
    {&cx_op_conv2d, 2, {5, 4}, 24, 24, 3, 1, 1},   /* rows too short for tiles */
    {&cx_op_conv2d, 2, {13, 15}, 17, 33, 3, 1, 1}, /* Winograd: edges, a vector that is not full */
    {&cx_op_conv2d, 1, {8, 12}, 140, 64, 3, 1, 1}, /* Winograd: whole tiles and vectors */
    {&cx_op_conv2d, 2, {7, 7}, 300, 290, 3, 1, 1}, /* F(2x2, 3x3) */
    {&cx_op_conv2d, 2, {21, 20}, 3, 20, 7, 1, 2},  /* few channels: the input gradient is turned */
    {&cx_op_conv2d, 2, {9, 9}, 20, 20, 3, 20, 1},  /* a group for each channel */
    {&cx_op_conv2d_transpose, 2, {7, 6}, 19, 24, 3, 1, 2},
    {&cx_op_conv2d_transpose, 2, {11, 12}, 16, 35, 3, 1, 1},
    {&cx_op_conv2d_transpose, 1, {9, 8}, 12, 2, 4, 1, 2},
    {&cx_op_depthwise_conv2d, 2, {14, 13}, 37, 1, 3, 1, 1},
    {&cx_op_depthwise_conv2d, 2, {10, 11}, 32, 1, 5, 1, 2},
    {&cx_op_depthwise_conv2d, 2, {15, 17}, 33, 1, 3, 1, 2},
    {&cx_op_depthwise_conv2d, 1, {9, 16}, 16, 1, 5, 1, 1},
    {&cx_op_depthwise_conv2d, 1, {7, 9}, 20, 1, 4, 1, 1},
    {&cx_op_depthwise_conv2d, 2, {8, 9}, 9, 3, 3, 1, 1},
};

static op_call call_of(const layer *l, cx_dtype dtype, int64_t images)
{
    op_call c = {.op = l->op};
    cx_spec x = {dtype, 4, {images, l->in[0], l->in[1], l->c}}, k = {dtype, 4, {l->k, l->k, l->c / l->groups, l->f}};
    if (l->op == &cx_op_conv2d_transpose) {
        const cx_conv_transpose_attr a = {{l->stride, l->stride}, 1, {.n = CX_ABSENT}, {1, 1}, {.n = CX_ABSENT}};
        memcpy(c.attr, &a, sizeof a);
        k.dim[2] = l->f, k.dim[3] = l->c;
    } else {
        const cx_conv_attr a = {{l->stride, l->stride}, 1, {.n = CX_ABSENT}, {1, 1}, l->groups};
        memcpy(c.attr, &a, sizeof a);
    }
    c.in[0] = random_array(&x), c.in[1] = random_array(&k);
    return c;
}

/* A finish and the arrays that it points to. */
typedef struct {
    cx_finish f;
    cx_value line[3], plus, gate;
    unsigned char *bits, *opened;
} finish;

static bool opens(double g, double limit)
{
    return g > 0 && !(limit < INFINITY && g >= limit);
}

static bool can_note(const cx_spec *y)
{
    return cx_has_bits() && y->dtype == CX_F32;
}
static void note_bits(finish *r, const cx_spec *y)
{
    for (int64_t i = 0; i < cx_count(y); i++)
        if (opens(get(&r->gate, i), r->f.limit)) r->bits[i / 8] |= (unsigned char)(1 << i % 8);
}

/* even: the kernel can note bits */
static finish random_finish(int steps, const cx_spec *y, bool back, bool even)
{
    const double most = steps & LIMIT ? 0.5 : INFINITY;
    finish r = {.f = {.limit = most, .clamp = steps & CLAMP, .low = -0.25, .high = most}};
    const cx_spec line = {y->dtype, 1, {y->dim[y->ndim - 1]}};
    for (int i = 0; i < 3; i++) r.line[i] = random_array(&line);
    r.plus = random_array(y), r.gate = random_array(y);
    if (steps & SCALE) r.f.scale = r.line[0].data;
    if (steps & SHIFT) r.f.shift = r.line[1].data;
    if (steps & RATE) r.f.rate = r.line[2].data;
    if (steps & PLUS) r.f.plus = r.plus.data;
    if (steps & GATE) r.f.gate = r.gate.data;
    for (int64_t i = 0; i < cx_count(y); i += 7) put(&r.gate, i, i % 3 ? 0 : INFINITY);
    for (int64_t i = 1; i < cx_count(y); i += 11) put(&r.gate, i, i % 2 ? NAN : 0.5);
    r.bits = calloc((size_t)cx_count(y) / 8 + 8, 1), r.opened = calloc((size_t)cx_count(y) / 8 + 8, 1);
    note_bits(&r, y);
    if (steps & BITS && can_note(y) && back && steps & GATE) r.f.bits = r.bits, r.f.gate = NULL;
    if (steps & BITS && can_note(y) && !back && steps & CLAMP && even && !r.f.rate) r.f.low = 0, r.f.opened = r.opened;
    return r;
}
static void free_finish(finish *r)
{
    for (int i = 0; i < 3; i++) free(r->line[i].data);
    free(r->plus.data), free(r->gate.data), free(r->bits), free(r->opened);
}

static double finished(const finish *r, int64_t i, int64_t columns, double v)
{
    const int64_t k = i % columns;
    if (r->f.scale) v *= get(&r->line[0], k);
    if (r->f.shift) v += get(&r->line[1], k);
    if (r->f.plus) v += get(&r->plus, i);
    if ((r->f.gate || r->f.bits) && !opens(get(&r->gate, i), r->f.limit)) v = 0;
    if (r->f.clamp && v < r->f.low) v = r->f.low;
    if (r->f.clamp && v > r->f.high) v = r->f.high;
    if (r->f.rate) v *= get(&r->line[2], k);
    return v;
}

static void *exact(size_t size)
{
    void *p = malloc(size + 1);
    memset(p, 0xff, size + 1);
    return p;
}

/* The plain forward, or the plain gradient of in[0] from c->dout. */
static cx_value run(op_call *c, bool back, const finish *r, bool itself)
{
    static const cx_rule truth;
    const cx_mode mode[CX_INS] = {CX_WRITE};
    const bool wide = c->in[0].spec.dtype == CX_F64;
    const cx_spec s = back ? c->in[0].spec : c->plan.out[0];
    cx_value y = itself ? copy_of(&r->plus) : array(&s);
    const size_t size = back ? c->plan.scratch_back : c->plan.scratch;
    void *scratch = exact(size);
    cx_finish f = {0};
    if (r) f = r->f;
    if (itself) f.plus = y.data;
    cx_value out[CX_OUTS] = {{.spec = c->plan.out[0], .data = back ? NULL : y.data}}, din[CX_INS] = {y};
    cx_set_team(c->plan.threads);
    cx_kernel(true);
    if (!r)
        back ? c->op->backward[wide](c->attr, c->in, out, c->dout, din, mode, scratch, &truth)
             : c->op->forward[wide](c->attr, c->in, out, scratch);
    else
        back ? c->op->finished_back(c->attr, c->in, out, c->dout, y.data, scratch, &f)
             : c->op->finished(c->attr, c->in, out, scratch, &f);
    cx_kernel(false);
    cx_set_team(0);
    free(scratch);
    return y;
}

static void against_arithmetic(const layer *l, cx_dtype dtype, bool back, int steps)
{
    cx_err err = {0};
    op_call c = call_of(l, dtype, l->n);
    CHECK(!op_infer(&c, &err));
    c.dout[0] = random_array(&c.plan.out[0]);
    if (steps == ALL) put(back ? &c.dout[0] : &c.in[0], 1, NAN), steps = CLAMP | SHIFT;
    const cx_spec *y = back ? &c.in[0].spec : &c.plan.out[0];
    const bool even = l->op->even && l->op->even(c.attr, c.in) && y->dim[3] % CX_WHOLE == 0;
    finish r = random_finish(steps, y, back, even);
    const bool itself = steps & ITSELF && steps & PLUS;
    cx_value sums = run(&c, back, NULL, false), made = run(&c, back, &r, itself);
    const int64_t columns = y->dim[3];
    for (int64_t i = 0; i < cx_count(y); i++) {
        const double sum = get(&sums, i), want = finished(&r, i, columns, sum), got = get(&made, i);
        const double slack = (dtype == CX_F64 ? 1e-15 : 4e-7) * (fabs(sum) + 1);
        const bool right = want != want ? got != got : fabs(got - want) <= slack;
        CHECK(right);
        if (r.f.opened) CHECK((r.opened[i / 8] >> i % 8 & 1) == opens(got, r.f.high));
        if (!right) {
            printf("%s %s, %s, layer %d, steps %d: element %d is %g, not %g\n", cx_isa_name(cx_get_isa()), l->op->name,
                   back ? "back" : "forward", (int)(l - layers), steps, (int)i, got, want);
            break;
        }
    }

    /* One image alone, with another number of threads. */
    const int64_t place = l->n - 1;
    cx_set_threads(1 + cx_threads() % 3);
    op_call one = call_of(l, dtype, 1);
    CHECK(!op_infer(&one, &err));
    memcpy(one.in[1].data, c.in[1].data, size_of(&c.in[1].spec));
    one.dout[0] = array(&one.plan.out[0]);
    const size_t in = size_of(&one.in[0].spec), out = size_of(&one.plan.out[0]), size = back ? in : out;
    memcpy(one.in[0].data, (char *)c.in[0].data + (size_t)place * in, in);
    memcpy(one.dout[0].data, (char *)c.dout[0].data + (size_t)place * out, out);
    finish s = random_finish(steps, back ? &one.in[0].spec : &one.plan.out[0], back, even);
    for (int i = 0; i < 3; i++) memcpy(s.line[i].data, r.line[i].data, size_of(&s.line[i].spec));
    memcpy(s.plus.data, (char *)r.plus.data + (size_t)place * size, size);
    memcpy(s.gate.data, (char *)r.gate.data + (size_t)place * size, size);
    memset(s.bits, 0, size / cx_width(dtype) / 8 + 8), note_bits(&s, back ? &one.in[0].spec : &one.plan.out[0]);
    cx_value alone = run(&one, back, &s, itself);
    CHECK(!memcmp(alone.data, (char *)made.data + (size_t)place * size, size));
    free(sums.data), free(made.data), free(alone.data);
    free_finish(&r), free_finish(&s);
    op_free(&c), op_free(&one);
}

static void every_layer(void)
{
    static const int alone[] = {0,
                                SCALE,
                                SHIFT,
                                SCALE | SHIFT,
                                RATE,
                                PLUS,
                                PLUS | ITSELF,
                                GATE,
                                GATE | LIMIT,
                                CLAMP,
                                CLAMP | LIMIT,
                                GATE | BITS,
                                GATE | BITS | PLUS | RATE | CLAMP,
                                GATE | BITS | LIMIT,
                                CLAMP | BITS,
                                CLAMP | BITS | LIMIT | SHIFT | SCALE | PLUS,
                                PLUS | ITSELF | CLAMP | SCALE | SHIFT,
                                ALL - 1,
                                ALL};
    const int n = sizeof alone / sizeof *alone;
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        for (int d = 0; d < 2 && layers[i].op->finished; d++)
            for (int back = 0; back < 2; back++)
                for (int k = 0; k < n + 4; k++) {
                    cx_set_threads(1 + k % 3);
                    against_arithmetic(&layers[i], d ? CX_F64 : CX_F32, back,
                                       k < n ? alone[k] : (int)random_from(1, ALL - 1));
                }
}

int main(void)
{
    cx_err err = {0};
    for (int isa = CX_PORTABLE; isa <= CX_AVX512; isa++)
        if (!cx_start(cx_isa_name((cx_isa)isa), &err)) every_layer();
    const char *library = getenv("CX_TEST_BLAS");
    if (library && !cx_start("portable", &err)) {
        cx_blas_path(library);
        CHECK(cx_blas_ready());
        every_layer();
    }
    CHECK(cx_faults() == 0);
    return failures;
}
