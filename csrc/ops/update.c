/* Optimizer steps, as Keras 3 writes them. A rule is a table of attributes, the constants of a step and a loop. */
#include "generic.h"

#ifndef REAL
enum { PIECE = 512 };

typedef struct {
    double learning_rate, momentum;
    int64_t nesterov;
} sgd_attr;
typedef struct {
    double learning_rate, beta_1, beta_2, epsilon, product;
} adam_attr;
typedef struct {
    double learning_rate, rho, epsilon;
} root_attr;

typedef struct {
    const cx_step *step;
    double constant[CX_CONSTANTS];
    void *w;
    const void *g;
    void *const *state;
} job;

#define RULE(f) static void f(const double *c, int64_t n, void *w_, const void *g_, void *const *state)
#define WEIGHT_AND_GRADIENT      \
    REAL *restrict w = w_;       \
    const REAL *restrict g = g_; \
    (void)state
#define EACH for (int64_t i = 0; i < n; i++)
#define CONSTANTS(f) static void f##_constants(const void *attr, int64_t step, double *c)

#define REAL float
#include "update.c"
#undef REAL
#define REAL double
#include "update.c"
#undef REAL

CONSTANTS(sgd)
{
    const sgd_attr *a = attr;
    (void)step;
    c[0] = a->learning_rate, c[1] = a->momentum, c[2] = (double)a->nesterov;
}
CONSTANTS(adam)
{
    const adam_attr *a = attr;
    c[0] = 1 - a->beta_1, c[1] = 1 - a->beta_2, c[2] = a->epsilon;
    c[3] = a->learning_rate * sqrt(1 - pow(a->beta_2, (double)step)) / (1 - pow(a->beta_1, (double)step));
}
/* The momentum of step t is u = beta_1 (1 - 0.96^t / 2); product is that of all u up to t. */
CONSTANTS(nadam)
{
    const adam_attr *a = attr;
    double now = a->beta_1 * (1 - 0.5 * pow(0.96, (double)step));
    double next = a->beta_1 * (1 - 0.5 * pow(0.96, (double)step + 1));
    c[0] = 1 - a->beta_1, c[1] = 1 - a->beta_2, c[2] = a->epsilon;
    c[3] = a->learning_rate * next / (1 - a->product * next);
    c[4] = a->learning_rate * (1 - now) / (1 - a->product);
    c[5] = 1 - pow(a->beta_2, (double)step);
}
CONSTANTS(root)
{
    const root_attr *a = attr;
    (void)step;
    c[0] = a->learning_rate, c[1] = a->epsilon, c[2] = a->rho, c[3] = 1 - a->rho;
}

#define NUMBER(type, name, required, standard, least, most)                         \
    {                                                                               \
#name, CX_REAL, offsetof(type, name), required, standard, least, most, NULL \
    }
#define RATE(type) NUMBER(type, learning_rate, true, 0, -INFINITY, INFINITY)
#define ADAM                                                                                                     \
    RATE(adam_attr), NUMBER(adam_attr, beta_1, false, 0.9, 0, 1), NUMBER(adam_attr, beta_2, false, 0.999, 0, 1), \
        NUMBER(adam_attr, epsilon, false, 1e-7, 0, INFINITY)

static const cx_field sgd_fields[] = {RATE(sgd_attr), {0}};
static const cx_field momentum_fields[] = {RATE(sgd_attr),
                                           NUMBER(sgd_attr, momentum, true, 0, 0, 1),
                                           {"nesterov", CX_FLAG, offsetof(sgd_attr, nesterov), false, 0, 0, 1, NULL},
                                           {0}};
static const cx_field adam_fields[] = {ADAM, {0}};
static const cx_field nadam_fields[] = {ADAM, NUMBER(adam_attr, product, true, 0, 0, 1), {0}};
static const cx_field rmsprop_fields[] = {RATE(root_attr),
                                          NUMBER(root_attr, rho, false, 0.9, 0, 1),
                                          NUMBER(root_attr, epsilon, false, 1e-7, 0, INFINITY),
                                          {0}};
static const cx_field adagrad_fields[] = {RATE(root_attr), NUMBER(root_attr, epsilon, false, 1e-7, 0, INFINITY), {0}};

#define UPDATE(f, states, table, constants_of)                              \
    const cx_update cx_update_##f = {.name = #f,                            \
                                     .n_state = states,                     \
                                     .fields = table##_fields,              \
                                     .constants = constants_of##_constants, \
                                     .rule = CX_BOTH(f)}
UPDATE(sgd, 0, sgd, sgd);
UPDATE(momentum, 1, momentum, sgd);
UPDATE(adam, 2, adam, adam);
UPDATE(amsgrad, 3, adam, adam);
UPDATE(nadam, 2, nadam, nadam);
UPDATE(rmsprop, 1, rmsprop, root);
UPDATE(adagrad, 1, adagrad, root);

void cx_take_step(const cx_step *s, cx_dtype dtype, int64_t n, void *w, const void *g, void *const *state)
{
    job j = {.step = s, .w = w, .g = g, .state = state};
    s->update->constants(s->attr, s->step, j.constant);
    cx_parallel(n, CX_GRAIN, dtype == CX_F64 ? part_double : part_float, &j);
}

/* In one order whatever the threads. */
double cx_sum_of_squares(const cx_value *v)
{
    int64_t n = cx_count(&v->spec);
    return v->spec.dtype == CX_F64 ? squares_double(v->data, n) : squares_float(v->data, n);
}

#else
TASK(T(part))
{
    const job *j = context;
    const cx_step *s = j->step;
    const REAL scale = (REAL)s->scale, limit = (REAL)s->limit, decay = (REAL)s->decay;
    REAL *w = j->w, clipped[PIECE];
    const REAL *g = j->g;
    bool touched = s->scale != 1 || s->limit < INFINITY;
    (void)worker;
    for (int64_t at = begin; at < end; at += PIECE) {
        int64_t n = end - at < PIECE ? end - at : PIECE;
        void *state[CX_OUTS] = {NULL};
        for (int k = 0; k < s->update->n_state; k++) state[k] = (REAL *)j->state[k] + at;
        if (touched) {
            for (int64_t i = 0; i < n; i++) clipped[i] = g[at + i] * scale;
            for (int64_t i = 0; i < n; i++) {
                REAL x = clipped[i];
                clipped[i] = x > limit ? limit : x < -limit ? -limit : x; /* not a number stays */
            }
        }
        if (s->decay != 0)
            for (int64_t i = at; i < at + n; i++) w[i] -= w[i] * decay;
        s->update->rule[sizeof(REAL) == sizeof(double) ? CX_F64 : CX_F32](j->constant, n, w + at,
                                                                          touched ? clipped : g + at, state);
    }
}

static double T(squares)(const REAL *x, int64_t n)
{
    double part[4] = {0};
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (int k = 0; k < 4; k++) part[k] += (double)x[i + k] * (double)x[i + k];
    for (; i < n; i++) part[0] += (double)x[i] * (double)x[i];
    return part[0] + part[1] + part[2] + part[3];
}

RULE(T(sgd))
{
    WEIGHT_AND_GRADIENT;
    const REAL rate = (REAL)c[0];
    EACH w[i] -= rate * g[i];
}

/* m = momentum m - rate g; w += m, or with Nesterov w += momentum m - rate g */
RULE(T(momentum))
{
    WEIGHT_AND_GRADIENT;
    const REAL rate = (REAL)c[0], momentum = (REAL)c[1];
    REAL *restrict m = state[0];
    if (c[2] != 0) EACH
        {
            m[i] = momentum * m[i] - rate * g[i];
            w[i] += momentum * m[i] - rate * g[i];
        }
    else
        EACH
        {
            m[i] = momentum * m[i] - rate * g[i];
            w[i] += m[i];
        }
}

/* m += (g - m)(1 - beta_1); v += (g^2 - v)(1 - beta_2); w -= alpha m / (sqrt(v) + epsilon) */
RULE(T(adam))
{
    WEIGHT_AND_GRADIENT;
    const REAL one = (REAL)c[0], two = (REAL)c[1], epsilon = (REAL)c[2], alpha = (REAL)c[3];
    REAL *restrict m = state[0], *restrict v = state[1];
    EACH
    {
        m[i] += (g[i] - m[i]) * one;
        v[i] += (g[i] * g[i] - v[i]) * two;
        w[i] -= m[i] * alpha / ((REAL)sqrt(v[i]) + epsilon);
    }
}

/* Adam over the root of the largest v so far. */
RULE(T(amsgrad))
{
    WEIGHT_AND_GRADIENT;
    const REAL one = (REAL)c[0], two = (REAL)c[1], epsilon = (REAL)c[2], alpha = (REAL)c[3];
    REAL *restrict m = state[0], *restrict v = state[1], *restrict most = state[2];
    EACH
    {
        m[i] += (g[i] - m[i]) * one;
        v[i] += (g[i] * g[i] - v[i]) * two;
        most[i] = v[i] > most[i] ? v[i] : most[i];
        w[i] -= m[i] * alpha / ((REAL)sqrt(most[i]) + epsilon);
    }
}

/* Adam whose step looks one momentum ahead: the next share of m and this share of g. */
RULE(T(nadam))
{
    WEIGHT_AND_GRADIENT;
    const REAL one = (REAL)c[0], two = (REAL)c[1], epsilon = (REAL)c[2];
    const REAL of_m = (REAL)c[3], of_g = (REAL)c[4], known = (REAL)c[5];
    REAL *restrict m = state[0], *restrict v = state[1];
    EACH
    {
        m[i] += (g[i] - m[i]) * one;
        v[i] += (g[i] * g[i] - v[i]) * two;
        w[i] -= (of_m * m[i] + of_g * g[i]) / ((REAL)sqrt(v[i] / known) + epsilon);
    }
}

/* v = rho v + (1 - rho) g^2; w -= rate g / sqrt(v + epsilon) */
RULE(T(rmsprop))
{
    WEIGHT_AND_GRADIENT;
    const REAL rate = (REAL)c[0], epsilon = (REAL)c[1], rho = (REAL)c[2], rest = (REAL)c[3];
    REAL *restrict v = state[0];
    EACH
    {
        v[i] = rho * v[i] + rest * (g[i] * g[i]);
        w[i] -= rate * g[i] / (REAL)sqrt(v[i] + epsilon);
    }
}

/* v += g^2; w -= rate g / sqrt(v + epsilon) */
RULE(T(adagrad))
{
    WEIGHT_AND_GRADIENT;
    const REAL rate = (REAL)c[0], epsilon = (REAL)c[1];
    REAL *restrict v = state[0];
    EACH
    {
        v[i] += g[i] * g[i];
        w[i] -= rate * g[i] / (REAL)sqrt(v[i] + epsilon);
    }
}
#endif
