/* lstm, gru, simple_rnn: one step of each, forwards and back. */
#include "generic.h"
#include "exp.h"
#include "recurrent.h"

#ifndef REAL
static const cx_cell lstm_cell = {"lstm", 4, 6, 2, false}; /* keeps i f g o c h */
/* keeps z r g q h: q is the state's part of g, or r times the state */
static const cx_cell gru_cell = {"gru", 3, 5, 1, true};
static const cx_cell rnn_cell = {"simple_rnn", 1, 1, 1, false};

#define REAL float
#include "cells.c"
#undef REAL
#define REAL double
#include "cells.c"
#undef REAL

#define OP(f)                                                                                 \
    static cx_code f##_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err) \
    {                                                                                         \
        return cx_recurrent_infer(&f##_cell, attr, in, plan, err);                            \
    }                                                                                         \
    OP_OF(f, float)                                                                           \
    OP_OF(f, double)
#define OP_OF(f, real)                                                                                                \
    FORWARD(f##_forward_##real)                                                                                       \
    {                                                                                                                 \
        cx_recurrent_forward(&f##_cell, attr, in, out, scratch, f##_step_##real);                                     \
    }                                                                                                                 \
    BACKWARD(f##_backward_##real)                                                                                     \
    {                                                                                                                 \
        (void)rule;                                                                                                   \
        cx_recurrent_backward(&f##_cell, attr, in, out, dout, din, mode, scratch, f##_step_back_##real, give_##real); \
    }
OP(lstm)
OP(gru)
OP(rnn)

#define FLAG(name, member, preset)                                                    \
    {                                                                                 \
        name, CX_FLAG, offsetof(cx_recurrent_attr, member), false, preset, 0, 1, NULL \
    }
static const cx_field fields[] = {
    FLAG("go_backwards", go_backwards, 0), FLAG("zero_output_for_mask", zero_output, 0), {0}};
static const cx_field gru_fields[] = {FLAG("go_backwards", go_backwards, 0),
                                      FLAG("zero_output_for_mask", zero_output, 0),
                                      FLAG("reset_after", reset_after, 1),
                                      {0}};
/* Every gradient runs through the steps: the recurrent kernel, where they started, the mask, and what they kept. */
#define STEPS (CX_IN(2) | CX_IN(4) | CX_IN(5) | CX_IN(6))
const cx_op cx_op_lstm = {.name = "lstm",
                          .kind = CX_OTHER,
                          .least_in = 3,
                          .most_in = 7,
                          .n_out = 4,
                          .n_public = 3,
                          .alike = CX_IN(0) | CX_IN(1) | CX_IN(2) | CX_IN(3) | CX_IN(4) | CX_IN(5),
                          .fields = fields,
                          .infer = lstm_infer,
                          .forward = CX_BOTH(lstm_forward),
                          .backward = CX_BOTH(lstm_backward),
                          .reads = {STEPS | CX_IN(1) | CX_OUT(3), STEPS | CX_IN(0) | CX_OUT(3), STEPS | CX_OUT(3),
                                    STEPS | CX_OUT(3), STEPS | CX_OUT(3), STEPS | CX_OUT(3)}};
#define ONE_STATE(f, label, table)                                     \
    const cx_op cx_op_##label = {                                      \
        .name = #label,                                                \
        .kind = CX_OTHER,                                              \
        .least_in = 3,                                                 \
        .most_in = 6,                                                  \
        .n_out = 3,                                                    \
        .n_public = 2,                                                 \
        .alike = CX_IN(0) | CX_IN(1) | CX_IN(2) | CX_IN(3) | CX_IN(4), \
        .fields = table,                                               \
        .infer = f##_infer,                                            \
        .forward = CX_BOTH(f##_forward),                               \
        .backward = CX_BOTH(f##_backward),                             \
        .reads = {ONE_STEPS | CX_IN(1), ONE_STEPS | CX_IN(0), ONE_STEPS, ONE_STEPS, ONE_STEPS}}
#define ONE_STEPS (CX_IN(2) | CX_IN(4) | CX_IN(5) | CX_OUT(2))
ONE_STATE(gru, gru, gru_fields);
ONE_STATE(rnn, simple_rnn, fields);
#else

/* Block k of example i at this step. */
static inline REAL *T(block)(const cx_sequence *s, int64_t i, int k)
{
    return (REAL *)kept_at(s, s->at, k) + i * kept_row(s);
}
/* The h (k 0) or cell state (k 1) that the step found. */
static inline const REAL *T(found)(const cx_sequence *s, int64_t i, int k)
{
    if (s->prior >= 0) return (const REAL *)kept_at(s, s->prior, s->cell->kept - 1 - k) + i * kept_row(s);
    return s->start[k] ? (const REAL *)s->start[k] + i * s->u : (const REAL *)s->zeros;
}
/* The output of example i from its new h; where the mask is false the state and the output before it. */
static void T(put_out)(const cx_sequence *s, int64_t i, bool on)
{
    const size_t line = (size_t)s->u * sizeof(REAL);
    REAL *y = (REAL *)s->y + (i * s->t + s->step) * s->u, *h = T(block)(s, i, s->cell->kept - 1);
    if (on) {
        memcpy(y, h, line);
        return;
    }
    for (int k = 0; k < s->cell->states; k++) memmove(T(block)(s, i, s->cell->kept - 1 - k), T(found)(s, i, k), line);
    if (s->attr->zero_output || !s->step)
        memset(y, 0, line);
    else
        memcpy(y, y - s->u, line);
}
/* Adds the output's gradient to dh and notes the state that was found. Where the mask is false the gates get zero, and
 * the output's gradient waits for the step whose output is repeated. */
static bool T(take_in)(const cx_sequence *s, int64_t i)
{
    const bool on = is_on(s, i);
    const int64_t u = s->u, gates = s->cell->gates * u;
    const REAL *dy = s->dy ? (const REAL *)s->dy + (i * s->t + s->step) * u : (const REAL *)s->zeros;
    REAL *dh = (REAL *)s->dh + i * u, *dp = (REAL *)s->dp + i * u;
    memcpy((REAL *)s->before + (i * s->t + s->at) * u, T(found)(s, i, 0), (size_t)u * sizeof(REAL));
    if (on) {
        for (int64_t j = 0; j < u; j++) dh[j] += dy[j] + dp[j], dp[j] = 0;
        return true;
    }
    if (!s->attr->zero_output)
        for (int64_t j = 0; j < u; j++) dp[j] += dy[j];
    const int64_t at = (i * s->t + s->at) * gates;
    memset((REAL *)s->dx + at, 0, (size_t)gates * sizeof(REAL));
    memset((REAL *)s->dr + at, 0, (size_t)gates * sizeof(REAL));
    return false;
}
static inline REAL *T(gradient_row)(const cx_sequence *s, char *of, int64_t i)
{
    return (REAL *)of + (i * s->t + s->at) * s->cell->gates * s->u;
}
static void T(give)(const char *from, const cx_value *to, cx_mode mode)
{
    const int64_t n = cx_count(&to->spec);
    const REAL *d = (const REAL *)from;
    REAL *sum = to->data;
    if (mode == CX_WRITE)
        memcpy(sum, d, (size_t)n * sizeof(REAL));
    else
        for (int64_t i = 0; i < n; i++) sum[i] += d[i];
}

/* i, f, o = sigmoid, g = tanh; c = f c' + i g, h = o tanh(c) */
static void T(lstm_rows)(void *context, int64_t begin, int64_t end, int worker)
{
    const cx_sequence *s = context;
    const int64_t u = s->u;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        REAL *in = T(block)(s, i, 0), *forget = in + u, *g = in + 2 * u, *o = in + 3 * u, *c = in + 4 * u;
        REAL *h = in + 5 * u;
        const REAL *before = T(found)(s, i, 1);
        const bool on = is_on(s, i);
        if (on) {
            for (int64_t j = 0; j < 2 * u; j++) in[j] = T(sigmoid)(in[j]);
            for (int64_t j = 0; j < u; j++) g[j] = T(tanh)(g[j]);
            for (int64_t j = 0; j < u; j++) o[j] = T(sigmoid)(o[j]);
            for (int64_t j = 0; j < u; j++) c[j] = forget[j] * before[j] + in[j] * g[j];
            for (int64_t j = 0; j < u; j++) h[j] = o[j] * T(tanh)(c[j]);
        }
        T(put_out)(s, i, on);
    }
}
static void T(lstm_step)(cx_sequence *s)
{
    cx_add_state(s, kept_at(s, s->at, 0));
    cx_step_rows(s, T(lstm_rows));
}
static void T(lstm_rows_back)(void *context, int64_t begin, int64_t end, int worker)
{
    const cx_sequence *s = context;
    const int64_t u = s->u;
    (void)worker;
    for (int64_t r = begin; r < end; r++) {
        if (!T(take_in)(s, r)) continue;
        const REAL *in = T(block)(s, r, 0), *forget = in + u, *g = in + 2 * u, *o = in + 3 * u, *c = in + 4 * u;
        const REAL *before = T(found)(s, r, 1);
        REAL *dh = (REAL *)s->dh + r * u, *dc = (REAL *)s->dc + r * u, *d = T(gradient_row)(s, s->dx, r);
        for (int64_t j = 0; j < u; j++) {
            const REAL t = T(tanh)(c[j]), carry = dc[j] + dh[j] * o[j] * (1 - t * t);
            d[j] = carry * g[j] * in[j] * (1 - in[j]);
            d[u + j] = carry * before[j] * forget[j] * (1 - forget[j]);
            d[2 * u + j] = carry * in[j] * (1 - g[j] * g[j]);
            d[3 * u + j] = dh[j] * t * o[j] * (1 - o[j]);
            dc[j] = carry * forget[j];
            dh[j] = 0;
        }
    }
}
static void T(lstm_step_back)(cx_sequence *s)
{
    cx_step_rows(s, T(lstm_rows_back));
    cx_pass_back(s, 0, 4, s->dh, true);
}

/* z, r = sigmoid; g = tanh(x part + r q), q the state's part, or tanh(x part + (r h') U); h = z h' + (1 - z) g */
static void T(gru_gates)(void *context, int64_t begin, int64_t end, int worker)
{
    const cx_sequence *s = context;
    const int64_t u = s->u;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        REAL *z = T(block)(s, i, 0), *r = z + u, *g = z + 2 * u, *q = z + 3 * u;
        const REAL *before = T(found)(s, i, 0);
        if (two_parts(s)) {
            const REAL *sums = (const REAL *)s->sums + i * 3 * u;
            for (int64_t j = 0; j < 2 * u; j++) z[j] = T(sigmoid)(z[j] + sums[j]);
            for (int64_t j = 0; j < u; j++) q[j] = sums[2 * u + j];
            for (int64_t j = 0; j < u; j++) g[j] += r[j] * q[j];
        } else {
            for (int64_t j = 0; j < 2 * u; j++) z[j] = T(sigmoid)(z[j]);
            for (int64_t j = 0; j < u; j++) q[j] = r[j] * before[j];
        }
    }
}
static void T(gru_rows)(void *context, int64_t begin, int64_t end, int worker)
{
    const cx_sequence *s = context;
    const int64_t u = s->u;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        REAL *z = T(block)(s, i, 0), *g = z + 2 * u, *h = z + 4 * u;
        const REAL *before = T(found)(s, i, 0);
        for (int64_t j = 0; j < u; j++) g[j] = T(tanh)(g[j]);
        for (int64_t j = 0; j < u; j++) h[j] = z[j] * before[j] + (1 - z[j]) * g[j];
        T(put_out)(s, i, is_on(s, i));
    }
}
static void T(gru_step)(cx_sequence *s)
{
    const bool two = two_parts(s);
    cx_add_state(s, two ? s->sums : kept_at(s, s->at, 0));
    cx_step_rows(s, T(gru_gates));
    if (!two) {
        cx_gemm g = cx_step_product(s, 2, 1);
        g.a = kept_at(s, s->at, 3), g.c = kept_at(s, s->at, 2), g.onto = true;
        cx_gemm_run(&g, s->scratch);
    }
    cx_step_rows(s, T(gru_rows));
}
static void T(gru_rows_back)(void *context, int64_t begin, int64_t end, int worker)
{
    const cx_sequence *s = context;
    const int64_t u = s->u;
    const bool two = two_parts(s);
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        if (!T(take_in)(s, i)) continue;
        const REAL *z = T(block)(s, i, 0), *r = z + u, *g = z + 2 * u, *q = z + 3 * u, *before = T(found)(s, i, 0);
        REAL *dh = (REAL *)s->dh + i * u, *d = T(gradient_row)(s, s->dx, i), *e = T(gradient_row)(s, s->dr, i);
        for (int64_t j = 0; j < u; j++) {
            const REAL slope = dh[j] * (1 - z[j]) * (1 - g[j] * g[j]);
            d[j] = dh[j] * (before[j] - g[j]) * z[j] * (1 - z[j]);
            d[2 * u + j] = slope;
            if (two) {
                d[u + j] = slope * q[j] * r[j] * (1 - r[j]);
                e[j] = d[j], e[u + j] = d[u + j], e[2 * u + j] = slope * r[j];
            }
            dh[j] *= z[j];
        }
    }
}
/* With the gradient of r h' in sums. */
static void T(gru_reset_back)(void *context, int64_t begin, int64_t end, int worker)
{
    const cx_sequence *s = context;
    const int64_t u = s->u;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        if (!is_on(s, i)) continue;
        const REAL *r = T(block)(s, i, 1), *before = T(found)(s, i, 0), *p = (const REAL *)s->sums + i * u;
        REAL *dh = (REAL *)s->dh + i * u, *d = T(gradient_row)(s, s->dx, i);
        for (int64_t j = 0; j < u; j++) {
            d[u + j] = p[j] * before[j] * r[j] * (1 - r[j]);
            dh[j] += p[j] * r[j];
        }
    }
}
static void T(gru_step_back)(cx_sequence *s)
{
    const bool two = two_parts(s);
    cx_step_rows(s, T(gru_rows_back));
    if (!two) {
        cx_pass_back(s, 2, 1, s->sums, false);
        cx_step_rows(s, T(gru_reset_back));
    }
    cx_pass_back(s, 0, two ? 3 : 2, s->dh, true);
}

/* h = tanh */
static void T(rnn_rows)(void *context, int64_t begin, int64_t end, int worker)
{
    const cx_sequence *s = context;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        REAL *h = T(block)(s, i, 0);
        for (int64_t j = 0; j < s->u; j++) h[j] = T(tanh)(h[j]);
        T(put_out)(s, i, is_on(s, i));
    }
}
static void T(rnn_step)(cx_sequence *s)
{
    cx_add_state(s, kept_at(s, s->at, 0));
    cx_step_rows(s, T(rnn_rows));
}
static void T(rnn_rows_back)(void *context, int64_t begin, int64_t end, int worker)
{
    const cx_sequence *s = context;
    const int64_t u = s->u;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        if (!T(take_in)(s, i)) continue;
        const REAL *h = T(block)(s, i, 0);
        REAL *dh = (REAL *)s->dh + i * u, *d = T(gradient_row)(s, s->dx, i);
        for (int64_t j = 0; j < u; j++) d[j] = dh[j] * (1 - h[j] * h[j]), dh[j] = 0;
    }
}
static void T(rnn_step_back)(cx_sequence *s)
{
    cx_step_rows(s, T(rnn_rows_back));
    cx_pass_back(s, 0, 1, s->dh, true);
}
#endif
