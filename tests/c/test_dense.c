/* matmul and dense, on every vector unit, against the formula; and the same bits for any number of rows and threads. */
#include "ops.h"
#include <string.h>

typedef struct {
    int64_t m, k, n;
    bool turn[2];
    int rank;                    /* of the batch */
    int64_t batch[4], own[2][4]; /* own: of each factor; 1 where it broadcasts */
    cx_dtype dtype;
} problem;

static double at(const cx_value *v, int64_t matrix, int64_t row, int64_t column, bool turn)
{
    const int64_t *dim = v->spec.dim + v->spec.ndim - 2;
    int64_t r = turn ? column : row, c = turn ? row : column;
    return get(v, (matrix * dim[0] + r) * dim[1] + c);
}
/* Which matrix of a factor meets index i of the batch. */
static int64_t matrix_of(const problem *p, int factor, int64_t i)
{
    int64_t index[4], matrix = 0;
    for (int d = p->rank; d-- > 0;) index[d] = i % p->batch[d], i /= p->batch[d];
    for (int d = 0; d < p->rank; d++) matrix = matrix * p->own[factor][d] + (p->own[factor][d] == 1 ? 0 : index[d]);
    return matrix;
}

static void compare(const cx_value *v, const double *want, double plus, int64_t terms, const char *what)
{
    const double limit = (v->spec.dtype == CX_F64 ? 1e-13 : 1e-6) * (sqrt((double)terms) + 1);
    for (int64_t i = 0; i < cx_count(&v->spec); i++) {
        bool close = fabs(get(v, i) - want[i] - plus) <= limit;
        CHECK(close);
        if (!close) {
            printf("%s: element %d is %g, not %g\n", what, (int)i, get(v, i), want[i] + plus);
            return;
        }
    }
}

static void matmul_against_the_formula(const problem *p)
{
    op_call c = {.op = &cx_op_matmul, .attr = {p->turn[0], p->turn[1]}};
    int64_t batch = 1;
    cx_spec spec[3];
    for (int i = 0; i < 2; i++) {
        const int64_t rows = i ? p->k : p->m, columns = i ? p->n : p->k;
        spec[i] = (cx_spec){.dtype = p->dtype, .ndim = p->rank + 2};
        memcpy(spec[i].dim, p->own[i], (size_t)p->rank * sizeof(int64_t));
        spec[i].dim[p->rank] = p->turn[i] ? columns : rows, spec[i].dim[p->rank + 1] = p->turn[i] ? rows : columns;
        c.in[i] = random_array(&spec[i]);
    }
    for (int d = 0; d < p->rank; d++) batch *= p->batch[d];
    op_forward(&c);
    c.dout[0] = random_array(&c.out[0].spec);
    double *want[3] = {calloc((size_t)cx_count(&spec[0]) + 1, 8), calloc((size_t)cx_count(&spec[1]) + 1, 8),
                       calloc((size_t)(batch * p->m * p->n) + 1, 8)};
    int64_t repeats[2] = {1, 1};
    for (int i = 0; i < 2; i++)
        for (int d = 0; d < p->rank; d++) repeats[i] *= p->own[i][d] == 1 ? p->batch[d] : 1;
    for (int64_t z = 0; z < batch; z++)
        for (int64_t i = 0; i < p->m; i++)
            for (int64_t j = 0; j < p->n; j++)
                for (int64_t l = 0; l < p->k; l++) {
                    const int64_t A = matrix_of(p, 0, z), B = matrix_of(p, 1, z);
                    const double a = at(&c.in[0], A, i, l, p->turn[0]), b = at(&c.in[1], B, l, j, p->turn[1]);
                    const double d = at(&c.dout[0], z, i, j, false);
                    want[2][(z * p->m + i) * p->n + j] += a * b;
                    want[0][A * p->m * p->k + (p->turn[0] ? l * p->m + i : i * p->k + l)] += d * b;
                    want[1][B * p->k * p->n + (p->turn[1] ? j * p->k + l : l * p->n + j)] += d * a;
                }
    compare(&c.out[0], want[2], 0, p->k, "matmul");
    for (int add = 0; add < 2; add++) {
        op_backward(&c, add ? CX_ADD : CX_WRITE, 0.25);
        compare(&c.din[0], want[0], add ? 0.25 : 0, p->n * repeats[0], "gradient of a");
        compare(&c.din[1], want[1], add ? 0.25 : 0, p->m * repeats[1], "gradient of b");
    }
    for (int i = 0; i < 3; i++) free(want[i]);
    op_free(&c);
}

static problem random_problem(int i)
{
    const int64_t sizes[] = {0, 1, 1, 2, 3, 7, 13, 14, 15, 16, 17, 31, 33, 47, 65, 100, 300};
    problem p = {.dtype = i % 2 ? CX_F64 : CX_F32, .turn = {random_word() & 1, random_word() & 1}};
    p.m = sizes[random_from(i % 9 ? 1 : 0, 16)], p.n = sizes[random_from(i % 10 ? 1 : 0, 15)];
    p.k = sizes[random_from(i % 11 ? 1 : 0, 16)];
    p.rank = i % 3 ? (int)random_from(0, 3) : 0;
    if (p.rank > 1 && p.m * p.n * p.k > 20000) p.m = 3;
    for (int d = 0; d < p.rank; d++) {
        p.batch[d] = random_from(i % 13 ? 1 : 0, 3);
        for (int f = 0; f < 2; f++) p.own[f][d] = p.batch[d];
        if (random_word() & 1) p.own[random_word() & 1][d] = 1;
    }
    return p;
}

static void dense_against_matmul(cx_dtype dtype, int64_t rows, int64_t k, int64_t u)
{
    op_call c = {.op = &cx_op_dense};
    const cx_spec x = {dtype, 3, {1, rows, k}}, w = {dtype, 2, {k, u}}, b = {dtype, 1, {u}};
    c.in[0] = random_array(&x), c.in[1] = random_array(&w), c.in[2] = random_array(&b);
    op_forward(&c);
    CHECK(c.out[0].spec.ndim == 3 && c.out[0].spec.dim[1] == rows && c.out[0].spec.dim[2] == u);
    c.dout[0] = random_array(&c.out[0].spec);
    double *y = calloc((size_t)(rows * u) + 1, 8), *dx = calloc((size_t)(rows * k) + 1, 8);
    double *dw = calloc((size_t)(k * u) + 1, 8), *db = calloc((size_t)u + 1, 8);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < u; j++) {
            const double d = get(&c.dout[0], i * u + j);
            y[i * u + j] = get(&c.in[2], j), db[j] += d;
            for (int64_t l = 0; l < k; l++) {
                y[i * u + j] += get(&c.in[0], i * k + l) * get(&c.in[1], l * u + j);
                dx[i * k + l] += d * get(&c.in[1], l * u + j);
                dw[l * u + j] += d * get(&c.in[0], i * k + l);
            }
        }
    compare(&c.out[0], y, 0, k, "dense");
    for (int add = 0; add < 2; add++) {
        op_backward(&c, add ? CX_ADD : CX_WRITE, -2);
        compare(&c.din[0], dx, add ? -2 : 0, u, "gradient of x");
        compare(&c.din[1], dw, add ? -2 : 0, rows, "gradient of the kernel");
        compare(&c.din[2], db, add ? -2 : 0, rows, "gradient of the bias");
    }
    free(y), free(dx), free(dw), free(db);
    op_free(&c);
}

/* A row alone has the bits that it has among others. */
static void rows_alone(cx_dtype dtype, int64_t k, int64_t u)
{
    op_call all = {.op = &cx_op_dense};
    const cx_spec x = {dtype, 2, {40, k}}, w = {dtype, 2, {k, u}}, one = {dtype, 2, {1, k}};
    all.in[0] = random_array(&x), all.in[1] = random_array(&w);
    cx_set_threads(1);
    op_forward(&all);
    all.dout[0] = random_array(&all.out[0].spec);
    op_backward(&all, CX_WRITE, 0);
    for (int threads = 1; threads < 5; threads++)
        for (int64_t i = 0; i < 40; i += 13) {
            op_call c = {.op = &cx_op_dense};
            cx_set_threads(threads);
            c.in[0] = array(&one), c.in[1] = copy_of(&all.in[1]);
            memcpy(c.in[0].data, (char *)all.in[0].data + (size_t)i * size_of(&one), size_of(&one));
            op_forward(&c);
            const size_t size = size_of(&c.out[0].spec);
            CHECK(!memcmp(c.out[0].data, (char *)all.out[0].data + (size_t)i * size, size));
            c.dout[0] = copy_of(&c.out[0]);
            memcpy(c.dout[0].data, (char *)all.dout[0].data + (size_t)i * size, size);
            op_backward(&c, CX_WRITE, 0);
            CHECK(!memcmp(c.din[0].data, (char *)all.din[0].data + (size_t)i * size_of(&one), size_of(&one)));
            op_free(&c);
        }
    cx_set_threads(0);
    op_free(&all);
}

static void refusals(void)
{
    cx_err err = {0};
    cx_plan plan = {.threads = 1};
    const int64_t attr[CX_ATTR_WORDS] = {0};
    cx_spec in[CX_INS] = {{CX_F32, 3, {5, 2, 3}}, {CX_F32, 3, {CX_ANY, 3, 4}}, {.ndim = CX_ABSENT}};
    CHECK(!cx_op_matmul.infer(attr, in, &plan, &err) && plan.out[0].dim[0] == 5 && plan.out[0].dim[2] == 4);
    in[1].dim[1] = 2;
    CHECK(cx_op_matmul.infer(attr, in, &plan, &err) == CX_EVALUE && strstr(err.msg, "columns of `a`"));
    in[1] = (cx_spec){CX_F32, 1, {3}};
    CHECK(cx_op_matmul.infer(attr, in, &plan, &err) == CX_EVALUE && strstr(err.msg, "`b`"));
    CHECK(cx_op_dense.infer(attr, in, &plan, &err) == CX_EVALUE && strstr(err.msg, "`kernel`"));
    in[1] = (cx_spec){CX_F32, 2, {CX_ANY, 7}};
    CHECK(!cx_op_dense.infer(attr, in, &plan, &err) && plan.out[0].ndim == 3 && plan.out[0].dim[2] == 7);
    in[1] = (cx_spec){CX_F32, 2, {4, 7}};
    CHECK(cx_op_dense.infer(attr, in, &plan, &err) == CX_EVALUE);
}

int main(int argc, char **argv)
{
    const int n = argc > 1 ? atoi(argv[1]) : 150;
    cx_err err = {0};
    for (int isa = CX_PORTABLE; isa <= CX_AVX512; isa++) {
        if (cx_start(cx_isa_name((cx_isa)isa), &err)) continue;
        for (int i = 0; i < n; i++) {
            problem p = random_problem(i);
            cx_set_threads(1 + i % 3);
            matmul_against_the_formula(&p);
        }
        for (int d = 0; d < 2; d++) {
            const cx_dtype dtype = d ? CX_F64 : CX_F32;
            dense_against_matmul(dtype, 32, 128, 10), dense_against_matmul(dtype, 1, 300, 37);
            dense_against_matmul(dtype, 5, 700, 1100), dense_against_matmul(dtype, 0, 5, 3);
            dense_against_matmul(dtype, 3, 0, 4), dense_against_matmul(dtype, 600, 20, 1024);
            rows_alone(dtype, 517, 1029), rows_alone(dtype, 64, 10);
        }
    }
    refusals();
    CHECK(cx_faults() == 0);
    return failures;
}
