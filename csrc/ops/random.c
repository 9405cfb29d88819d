/* Random tensors and dropout. Element i is a function of (seed, counter, i) alone: word i % 4, or pair of words i % 2
 * for float64, of Philox block i / 4 or i / 2. The seed is an int64 tensor (seed, counter). A size -1 is that of a
 * second input, whose values do not matter: as many numbers as a batch has images. */
#include "generic.h"
#include "emit.h"
#include "../core/philox.h"

#ifndef REAL
typedef struct {
    double low, high; /* or mean and stddev */
    int64_t dtype;
    cx_list shape;
} random_attr;
typedef struct {
    double rate;
    cx_list noise_shape;
} dropout_attr;

enum { AHEAD = 16 };
/* The words of one seed, some blocks at a time. */
typedef struct {
    uint64_t seed, counter, first;
    uint32_t word[4 * AHEAD];
} stream;
typedef struct {
    const random_attr *attr;
    const void *from;
    void *to;
    uint64_t seed, counter;
    double rate;
    int ndim;
    int64_t dim[CX_RANK], step[CX_RANK]; /* dropout: the step in the noise of each dimension of x, 0 where it repeats */
    bool add;
} job;

#define TAU 6.28318530717958647693
static inline stream stream_of(const job *j)
{
    return (stream){j->seed, j->counter, UINT64_MAX - AHEAD, {0}};
}
/* The words from `block` on, *blocks of them at least one. */
static inline const uint32_t *words_at(stream *s, uint64_t block, int64_t *blocks)
{
    if (block - s->first >= AHEAD) {
        for (uint64_t b = 0; b < AHEAD; b++) philox(s->seed, s->counter, block + b, s->word + 4 * b);
        s->first = block;
    }
    *blocks = (int64_t)(s->first + AHEAD - block);
    return s->word + 4 * (block - s->first);
}
static inline const uint32_t *block_at(stream *s, uint64_t block)
{
    int64_t blocks;
    return words_at(s, block, &blocks);
}
static inline double short_fraction(uint32_t word)
{
    return (double)(int32_t)(word >> 8) * 0x1p-24;
}
static inline double long_fraction(const uint32_t *pair)
{
    return (double)(((uint64_t)pair[0] << 32 | pair[1]) >> 11) * 0x1p-53;
}
typedef struct {
    double z[2];
} two;
/* Box-Muller for two numbers of (0, 1] and [0, 1). */
static inline two normals_of(double u, double v)
{
    const double radius = sqrt(-2 * log(u)), angle = TAU * v;
    return (two){{radius * cos(angle), radius * sin(angle)}};
}
static inline double uniform_float(stream *s, int64_t i)
{
    return short_fraction(block_at(s, (uint64_t)i / 4)[i % 4]);
}
static inline double uniform_double(stream *s, int64_t i)
{
    return long_fraction(block_at(s, (uint64_t)i / 2) + 2 * (i % 2));
}
/* The normal numbers come in pairs, two of a block's words or pairs of words each. */
static inline two pair_float(const uint32_t *word)
{
    return normals_of(((double)word[0] + 1) * 0x1p-32, (double)word[1] * 0x1p-32);
}
static inline two pair_double(const uint32_t *word)
{
    return normals_of(long_fraction(word) + 0x1p-53, long_fraction(word + 2));
}
static inline float below_float(float x)
{
    return nextafterf(x, -INFINITY);
}
static inline double below_double(double x)
{
    return nextafter(x, -INFINITY);
}

static job job_of(const cx_value *seed)
{
    const int64_t *pair = seed->data;
    return (job){.seed = (uint64_t)pair[0], .counter = (uint64_t)pair[1]};
}
static void fill(const void *attr, const cx_value *seed, const cx_value *out, cx_task *f32, cx_task *f64)
{
    job j = job_of(seed);
    j.attr = attr, j.to = out->data;
    cx_parallel(cx_count(&out->spec), CX_GRAIN / 16, out->spec.dtype == CX_F32 ? f32 : f64, &j);
}

#define REAL float
#include "random.c"
#undef REAL
#define REAL double
#include "random.c"
#undef REAL

FORWARD(random_uniform_forward)
{
    FORWARD_UNUSED;
    fill(attr, in, out, uniform_part_float, uniform_part_double);
}
FORWARD(random_normal_forward)
{
    FORWARD_UNUSED;
    fill(attr, in, out, normal_part_float, normal_part_double);
}
FORWARD(random_truncated_normal_forward)
{
    FORWARD_UNUSED;
    fill(attr, in, out, truncated_part_float, truncated_part_double);
}

static cx_code need_seed(const char *op, const cx_spec *seed, cx_err *err)
{
    char text[CX_SHAPE_TEXT];
    if (seed->dtype == CX_I64 && seed->ndim == 1 && cx_fits(seed->dim[0], 2)) return CX_OK;
    return cx_fail(err, CX_EVALUE, "%s: `seed` must be an int64 tensor (seed, counter) of shape (2,). Received: %s %s",
                   op, cx_dtype_name(seed->dtype), cx_shape_text(seed, text));
}
static cx_code random_infer(const char *op, const random_attr *a, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    if (need_seed(op, in, err)) return err->code;
    if (!cx_is_real((cx_dtype)a->dtype))
        return cx_fail(err, CX_ETYPE, "%s: `dtype` must be float32 or float64. Received: dtype=%s", op,
                       cx_dtype_name((cx_dtype)a->dtype));
    cx_spec *y = &plan->out[0];
    *y = (cx_spec){.dtype = (cx_dtype)a->dtype, .ndim = (int)a->shape.n};
    for (int d = 0; d < y->ndim; d++) {
        y->dim[d] = a->shape.v[d];
        if (y->dim[d] != CX_ANY) continue;
        if (d >= in[1].ndim)
            return cx_fail(err, CX_EVALUE,
                           "%s: `shape` may be -1 only where a second input has that dimension. Received: -1 in "
                           "dimension %d",
                           op, d);
        y->dim[d] = in[1].dim[d];
    }
    return CX_OK;
}
static cx_code random_uniform_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    const random_attr *a = attr;
    if (!(a->low <= a->high))
        return cx_fail(err, CX_EVALUE, "random_uniform: `low` must not exceed `high`. Received: low=%g, high=%g",
                       a->low, a->high);
    return random_infer("random_uniform", a, in, plan, err);
}
static cx_code random_normal_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    return random_infer("random_normal", attr, in, plan, err);
}
static cx_code random_truncated_normal_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    return random_infer("random_truncated_normal", attr, in, plan, err);
}
static cx_code dropout_infer(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err)
{
    const cx_list *noise = &((const dropout_attr *)attr)->noise_shape;
    char text[CX_SHAPE_TEXT];
    if (need_seed("dropout", &in[1], err)) return err->code;
    plan->out[0] = in[0];
    if (noise->n == CX_ABSENT) return CX_OK;
    if (noise->n != in->ndim)
        return cx_fail(err, CX_EVALUE,
                       "dropout: `noise_shape` must have one entry per dimension of the input, %d. "
                       "Received: %lld",
                       in->ndim, (long long)noise->n);
    for (int d = 0; d < in->ndim; d++)
        if (noise->v[d] != CX_ANY && noise->v[d] != 1 && !cx_fits(noise->v[d], in->dim[d]))
            return cx_fail(err, CX_EVALUE,
                           "dropout: `noise_shape` must be 1, -1 or the input's own size in each dimension. "
                           "Received: %lld in dimension %d for shape %s",
                           (long long)noise->v[d], d, cx_shape_text(in, text));
    return CX_OK;
}

EMIT(dropout) /* the same mask on dy */
{
    EMIT_UNUSED;
    return cx_emit(e, &cx_op_dropout, n->attr, sizeof n->attr, 2, (const int[]){dy, n->in[1]});
}

#define RANDOM_FIELDS(first, second, preset_first, preset_second, least_second)                                 \
    {                                                                                                           \
        {"shape", CX_LIST, offsetof(random_attr, shape), true, 0, -1, 0x1p53, NULL},                            \
            {first, CX_REAL, offsetof(random_attr, low), false, preset_first, -INFINITY, INFINITY, NULL},       \
            {second, CX_REAL, offsetof(random_attr, high), false, preset_second, least_second, INFINITY, NULL}, \
            {"dtype", CX_TYPE, offsetof(random_attr, dtype), false, CX_F32, 0, 0, NULL},                        \
        {                                                                                                       \
            0                                                                                                   \
        }                                                                                                       \
    }
static const cx_field uniform_fields[] = RANDOM_FIELDS("low", "high", 0, 1, -INFINITY);
static const cx_field normal_fields[] = RANDOM_FIELDS("mean", "stddev", 0, 1, 0);
static const cx_field dropout_fields[] = {
    {"rate", CX_REAL, offsetof(dropout_attr, rate), false, 0.5, 0, 1, NULL},
    {"noise_shape", CX_LIST, offsetof(dropout_attr, noise_shape), false, 0, -1, 0x1p53, NULL},
    {0}};

#define RANDOM(f, table)                           \
    const cx_op cx_op_##f = {.name = #f,           \
                             .kind = CX_OTHER,     \
                             .least_in = 1,        \
                             .most_in = 2,         \
                             .n_out = 1,           \
                             .n_public = 1,        \
                             .fields = table,      \
                             .infer = f##_infer,   \
                             .constant = CX_IN(1), \
                             .forward = {[CX_I64] = f##_forward}}
RANDOM(random_uniform, uniform_fields);
RANDOM(random_normal, normal_fields);
RANDOM(random_truncated_normal, normal_fields);
const cx_op cx_op_dropout = {.name = "dropout",
                             .kind = CX_LINEAR,
                             .least_in = 2,
                             .most_in = 2,
                             .n_out = 1,
                             .n_public = 1,
                             .fields = dropout_fields,
                             .infer = dropout_infer,
                             .forward = CX_BOTH(dropout_forward),
                             .backward = CX_BOTH(dropout_backward),
                             .reads = {CX_IN(1)},
                             .emit_grad = dropout_emit};

#else
/* low + u (high - low), kept below high when it rounds up to it */
TASK(T(uniform_part))
{
    const job *j = context;
    const double low = j->attr->low, width = j->attr->high - low;
    const REAL high = (REAL)j->attr->high, most = T(below)(high);
    stream s = stream_of(j);
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        REAL v = (REAL)(low + T(uniform)(&s, i) * width);
        ((REAL *)j->to)[i] = v >= high && width > 0 ? most : v;
    }
}
static inline two T(normals)(stream *s, int64_t pair)
{
    enum { PAIRS = 8 / sizeof(REAL) }; /* of a block */
    return T(pair)(block_at(s, (uint64_t)(pair / PAIRS)) + pair % PAIRS * (4 / PAIRS));
}
TASK(T(normal_part))
{
    const job *j = context;
    const double mean = j->attr->low, stddev = j->attr->high;
    stream s = stream_of(j);
    (void)worker;
    for (int64_t i = begin; i < end;) {
        const two pair = T(normals)(&s, i / 2);
        do ((REAL *)j->to)[i] = (REAL)(mean + stddev * pair.z[i % 2]);
        while (++i < end && i % 2);
    }
}
/* A number beyond 2 is drawn again from element i's own blocks, attempt 2^48 + i, where no element starts. */
static double T(redraw)(const job *j, int64_t i)
{
    for (uint64_t attempt = 1;; attempt++) {
        uint32_t block[4];
        philox(j->seed, j->counter, (attempt << 48) + (uint64_t)i, block);
        for (int place = 0; place < (int)(16 / sizeof(REAL)); place++) {
            const double z = T(pair)(block + place / 2 * 2).z[place % 2];
            if (fabs(z) <= 2) return z;
        }
    }
}
TASK(T(truncated_part))
{
    const job *j = context;
    const double mean = j->attr->low, stddev = j->attr->high;
    stream s = stream_of(j);
    (void)worker;
    for (int64_t i = begin; i < end;) {
        const two pair = T(normals)(&s, i / 2);
        do {
            const double z = pair.z[i % 2];
            ((REAL *)j->to)[i] = (REAL)(mean + stddev * (fabs(z) <= 2 ? z : T(redraw)(j, i)));
        } while (++i < end && i % 2);
    }
}

/* Keeps x where its word's 24 bits reach `least`. Rows of the last dimension: their noise is a run of words, or one. */
static inline void T(dropout_span)(const uint32_t *word, int step, int32_t least, REAL scale, const REAL *x, REAL *y,
                                   int64_t n, bool add)
{
    for (int64_t i = 0; i < n; i++) {
        REAL kept = x[i] * scale, v = (int32_t)(word[i * step] >> 8) >= least ? kept : 0;
        y[i] = add ? y[i] + v : v;
    }
}
TASK(T(dropout_rows))
{
    const job *j = context;
    const int64_t length = j->ndim ? j->dim[j->ndim - 1] : 1, step = j->ndim ? j->step[j->ndim - 1] : 0;
    const REAL scale = (REAL)(j->rate < 1 ? 1 / (1 - j->rate) : 0);
    const int32_t least = (int32_t)ceil(j->rate * 0x1p24);
    stream s = stream_of(j);
    (void)worker;
    for (int64_t row = begin; row < end; row++) {
        const REAL *x = (const REAL *)j->from + row * length;
        REAL *y = (REAL *)j->to + row * length;
        int64_t noise = 0, rest = row;
        for (int d = j->ndim - 2; d >= 0; d--) noise += rest % j->dim[d] * j->step[d], rest /= j->dim[d];
        for (int64_t i = 0, n = length; i < length; i += n) {
            int64_t blocks, place = noise + i * step;
            const uint32_t *word = words_at(&s, (uint64_t)place / 4, &blocks) + place % 4;
            if (step) {
                n = 4 * blocks - place % 4 < length - i ? 4 * blocks - place % 4 : length - i;
                if (j->add)
                    T(dropout_span)(word, 1, least, scale, x + i, y + i, n, true);
                else
                    T(dropout_span)(word, 1, least, scale, x + i, y + i, n, false);
            } else {
                T(dropout_span)(word, 0, least, scale, x, y, length, j->add);
            }
        }
    }
}
static void T(dropout_run)(const dropout_attr *a, const cx_value *seed, const cx_value *x, void *to, bool add)
{
    job j = job_of(seed);
    const cx_spec *s = &x->spec;
    int64_t step = 1, n = cx_count(s);
    if (!n) return;
    j.from = x->data, j.to = to, j.rate = a->rate, j.add = add, j.ndim = s->ndim;
    for (int d = s->ndim - 1; d >= 0; d--) {
        bool repeats = a->noise_shape.n != CX_ABSENT && a->noise_shape.v[d] == 1;
        j.dim[d] = s->dim[d], j.step[d] = repeats ? 0 : step;
        if (!repeats) step *= s->dim[d];
    }
    int64_t length = s->ndim ? s->dim[s->ndim - 1] : 1;
    cx_parallel(n / length, 1 + CX_GRAIN / 4 / length, T(dropout_rows), &j);
}
FORWARD(T(dropout_forward))
{
    FORWARD_UNUSED;
    T(dropout_run)(attr, &in[1], in, out->data, false);
}
BACKWARD(T(dropout_backward))
{
    BACKWARD_UNUSED;
    if (*mode != CX_SKIP) T(dropout_run)(attr, &in[1], dout, din->data, *mode == CX_ADD);
}
#endif
