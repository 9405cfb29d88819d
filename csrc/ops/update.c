/* Optimizer steps, as Keras 3 writes them. */
#include "generic.h"

#ifndef REAL
typedef struct {
    double learning_rate;
} sgd_attr;
typedef struct {
    double learning_rate, momentum;
    int64_t nesterov;
} momentum_attr;
typedef struct {
    double learning_rate, beta_1, beta_2, epsilon;
} adam_attr;
typedef struct {
    const void *attr, *g;
    void *w, *m, *v;
    double alpha;
} job;
#define APPLY(f) static void f(const void *attr, int64_t n, void *w, const void *g, void *const *state, int64_t step)

#define REAL float
#include "update.c"
#undef REAL
#define REAL double
#include "update.c"
#undef REAL

static const cx_field sgd_fields[] = {
    {"learning_rate", CX_REAL, offsetof(sgd_attr, learning_rate), true, 0, -INFINITY, INFINITY, NULL}, {0}};
static const cx_field momentum_fields[] = {
    {"learning_rate", CX_REAL, offsetof(momentum_attr, learning_rate), true, 0, -INFINITY, INFINITY, NULL},
    {"momentum", CX_REAL, offsetof(momentum_attr, momentum), true, 0, 0, 1, NULL},
    {"nesterov", CX_FLAG, offsetof(momentum_attr, nesterov), false, 0, 0, 1, NULL},
    {0}};
static const cx_field adam_fields[] = {
    {"learning_rate", CX_REAL, offsetof(adam_attr, learning_rate), true, 0, -INFINITY, INFINITY, NULL},
    {"beta_1", CX_REAL, offsetof(adam_attr, beta_1), false, 0.9, 0, 1, NULL},
    {"beta_2", CX_REAL, offsetof(adam_attr, beta_2), false, 0.999, 0, 1, NULL},
    {"epsilon", CX_REAL, offsetof(adam_attr, epsilon), false, 1e-7, 0, INFINITY, NULL},
    {0}};

const cx_update cx_update_sgd = {.name = "sgd", .n_state = 0, .fields = sgd_fields, .apply = CX_BOTH(sgd)};
const cx_update cx_update_momentum = {
    .name = "momentum", .n_state = 1, .fields = momentum_fields, .apply = CX_BOTH(momentum)};
const cx_update cx_update_adam = {.name = "adam", .n_state = 2, .fields = adam_fields, .apply = CX_BOTH(adam)};

#else
TASK(T(sgd_part))
{
    const job *j = context;
    const REAL *g = j->g, rate = (REAL)((const sgd_attr *)j->attr)->learning_rate;
    REAL *w = j->w;
    (void)worker;
    for (int64_t i = begin; i < end; i++) w[i] -= rate * g[i];
}
APPLY(T(sgd))
{
    job j = {.attr = attr, .g = g, .w = w};
    (void)state, (void)step;
    cx_parallel(n, CX_GRAIN, T(sgd_part), &j);
}

/* m = momentum m - rate g; w += m, or with Nesterov w += momentum m - rate g */
TASK(T(momentum_part))
{
    const job *j = context;
    const momentum_attr *a = j->attr;
    const REAL *g = j->g, rate = (REAL)a->learning_rate, momentum = (REAL)a->momentum;
    REAL *w = j->w, *m = j->m;
    (void)worker;
    if (a->nesterov)
        for (int64_t i = begin; i < end; i++) {
            m[i] = momentum * m[i] - rate * g[i];
            w[i] += momentum * m[i] - rate * g[i];
        }
    else
        for (int64_t i = begin; i < end; i++) {
            m[i] = momentum * m[i] - rate * g[i];
            w[i] += m[i];
        }
}
APPLY(T(momentum))
{
    job j = {.attr = attr, .g = g, .w = w, .m = state[0]};
    (void)step;
    cx_parallel(n, CX_GRAIN, T(momentum_part), &j);
}

/* m += (g - m)(1 - beta_1); v += (g^2 - v)(1 - beta_2); w -= alpha m / (sqrt(v) + epsilon) */
TASK(T(adam_part))
{
    const job *j = context;
    const adam_attr *a = j->attr;
    const REAL *g = j->g, one = (REAL)(1 - a->beta_1), two = (REAL)(1 - a->beta_2), epsilon = (REAL)a->epsilon;
    const REAL alpha = (REAL)j->alpha;
    REAL *w = j->w, *m = j->m, *v = j->v;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        m[i] += (g[i] - m[i]) * one;
        v[i] += (g[i] * g[i] - v[i]) * two;
        w[i] -= m[i] * alpha / ((REAL)sqrt(v[i]) + epsilon);
    }
}
APPLY(T(adam))
{
    const adam_attr *a = attr;
    job j = {.attr = attr, .g = g, .w = w, .m = state[0], .v = state[1]};
    j.alpha = a->learning_rate * sqrt(1 - pow(a->beta_2, (double)step)) / (1 - pow(a->beta_1, (double)step));
    cx_parallel(n, CX_GRAIN, T(adam_part), &j);
}
#endif
