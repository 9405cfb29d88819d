/* Sums, products, maxima and minima over any axes. */
#include "fold.h"
#include "generic.h"
#include "numbers.h"

#if !defined(REAL)
enum {
    CHUNK = 65536, /* elements that one task reduces */
    ROWS = 64,     /* least rows of a chunk */
    RUN = 512,     /* elements added in lanes before the pairs begin */
    LANES = 16,
    STRIP = 128, /* columns reduced at once */
    DEEP = 32,   /* rows added in turn before the pairs begin */
    SHORT = 32,  /* lines up to this length go many to a call */
};
typedef struct {
    cx_fold_pass p;
    const char *from;
    char *to;
    size_t width;
    void (*strip)(const void *from, int64_t rows, int64_t stride, int64_t width, void *to);
    void (*lines)(const void *from, int64_t lines, int64_t n, void *to);
} job;

static int64_t parts_of(int64_t n, int64_t size)
{
    return (n + size - 1) / size;
}

/* The innermost reduced dimensions first, neighbours together: nothing larger than a part of the input is kept. */
cx_fold cx_fold_plan(int rank, const int64_t *dim, const bool *mask, cx_dtype dtype)
{
    cx_fold f = {.results = 1};
    int64_t outer = 1, inner = 1, kept = 0;
    for (int d = 0; d < rank; d++) {
        if (!mask[d]) f.results *= dim[d];
        f.empty = f.empty || !dim[d];
    }
    for (int d = 0; d < rank && !f.empty; d++) outer *= dim[d];
    for (int d = rank; d > 0 && !f.empty;) {
        int64_t count = 1;
        for (; d > 0 && !mask[d - 1]; d--) inner *= dim[d - 1], outer /= dim[d - 1];
        for (; d > 0 && (mask[d - 1] || dim[d - 1] == 1); d--) count *= dim[d - 1], outer /= dim[d - 1];
        while (count > 1) {
            int64_t chunk = inner == 1 ? CHUNK : CHUNK / inner > ROWS ? CHUNK / inner : ROWS;
            f.pass[f.passes++] = (cx_fold_pass){outer, count, inner, chunk};
            count = parts_of(count, chunk);
            kept += outer * count * inner;
        }
    }
    f.scratch = (size_t)(kept > f.results ? kept : f.results) * cx_width(dtype);
    return f;
}

cx_fold cx_fold_back(const cx_spec *from, const cx_spec *to)
{
    bool mask[CX_RANK];
    int shift = from->ndim - to->ndim;
    for (int d = 0; d < from->ndim; d++) mask[d] = d < shift || (to->dim[d - shift] == 1 && from->dim[d] != 1);
    return cx_fold_plan(from->ndim, from->dim, mask, to->dtype);
}

typedef struct {
    const void *from;
    void *to;
    int64_t divisor;
    bool add;
} ending;

static void run_tasks(void *context, int64_t begin, int64_t end, int worker)
{
    const job *j = context;
    const cx_fold_pass *p = &j->p;
    int64_t strips = parts_of(p->inner, STRIP), chunks = parts_of(p->count, p->chunk);
    (void)worker;
    if (p->inner == 1 && p->count <= SHORT) {
        j->lines(j->from + (size_t)(begin * p->count) * j->width, end - begin, p->count,
                 j->to + (size_t)begin * j->width);
        return;
    }
    for (int64_t t = begin; t < end; t++) {
        int64_t strip = t % strips * STRIP, chunk = t / strips % chunks, outer = t / strips / chunks;
        int64_t row = chunk * p->chunk, rows = p->count - row < p->chunk ? p->count - row : p->chunk;
        int64_t width = p->inner - strip < STRIP ? p->inner - strip : STRIP;
        j->strip(j->from + (size_t)((outer * p->count + row) * p->inner + strip) * j->width, rows, p->inner, width,
                 j->to + (size_t)((outer * chunks + chunk) * p->inner + strip) * j->width);
    }
}

#define REAL float
#include "fold.c"
#undef REAL
#define REAL double
#include "fold.c"
#undef REAL
#define WHOLE
#define REAL int32_t
#include "fold.c"
#undef REAL
#define REAL int64_t
#include "fold.c"
#undef REAL
#define REAL int8_t
#include "fold.c"
#undef REAL
#define REAL uint8_t
#include "fold.c"
#undef REAL
#undef WHOLE

typedef void strip_fn(const void *from, int64_t rows, int64_t stride, int64_t width, void *to);
typedef void lines_fn(const void *from, int64_t lines, int64_t n, void *to);
typedef void fill_fn(int64_t n, void *to, int kind);
#define EVERY(f)                                                                                     \
    {                                                                                                \
        [CX_F32] = f##_float, [CX_F64] = f##_double, [CX_I32] = f##_int32_t, [CX_I64] = f##_int64_t, \
        [CX_U8] = f##_uint8_t, [CX_I8] = f##_int8_t, [CX_BOOL] = f##_uint8_t                         \
    }
#define KINDS(f)                                                                                                \
    {                                                                                                           \
        [CX_FOLD_SUM] = EVERY(sum_##f), [CX_FOLD_PRODUCT] = EVERY(product_##f), [CX_FOLD_MAX] = EVERY(max_##f), \
        [CX_FOLD_MIN] = EVERY(min_##f)                                                                          \
    }
static strip_fn *const strip_fns[][CX_DTYPES] = KINDS(strip);
static lines_fn *const lines_fns[][CX_DTYPES] = KINDS(lines);
static cx_task *const finishes[CX_DTYPES] = EVERY(finish);
static fill_fn *const fills[CX_DTYPES] = EVERY(fill);

void cx_fold_run(const cx_fold *f, cx_fold_kind kind, cx_dtype dtype, const void *from, void *to, int64_t divisor,
                 cx_mode mode, void *scratch)
{
    char *spare = scratch;
    const void *result = from;
    bool direct = divisor == 1 && mode != CX_ADD;
    if (f->empty && f->results) {
        cx_fold_kind of = dtype == CX_BOOL && kind == CX_FOLD_MIN ? CX_FOLD_PRODUCT : kind; /* true is 1, not 255 */
        fills[dtype](f->results, direct ? to : scratch, (int)of);
        result = direct ? to : scratch;
    }
    for (int i = 0; i < f->passes; i++) {
        const cx_fold_pass *p = &f->pass[i];
        int64_t chunks = parts_of(p->count, p->chunk), strips = parts_of(p->inner, STRIP);
        int64_t work = (p->chunk < p->count ? p->chunk : p->count) * (p->inner < STRIP ? p->inner : STRIP);
        job j = {*p,
                 result,
                 direct && i == f->passes - 1 ? to : spare,
                 cx_width(dtype),
                 strip_fns[kind][dtype],
                 lines_fns[kind][dtype]};
        cx_parallel(p->outer * chunks * strips, 1 + CX_GRAIN / work, run_tasks, &j);
        spare += (size_t)(p->outer * chunks * p->inner) * j.width;
        result = j.to;
    }
    ending last = {result, to, divisor, mode == CX_ADD};
    if (result != to) cx_parallel(f->results, CX_GRAIN, finishes[dtype], &last);
}

#elif !defined(COMBINE)
#define FOLD sum
#define COMBINE T(plus)
#define FIRST 0
#include "fold.c"
#define FOLD product
#define COMBINE T(times)
#define FIRST 1
#include "fold.c"
#define FOLD max
#define COMBINE T(larger)
#define FIRST T(lowest)()
#include "fold.c"
#define FOLD min
#define COMBINE T(smaller)
#define FIRST T(highest)()
#include "fold.c"

static void T(fill)(int64_t n, void *to, int kind)
{
    REAL value = kind == CX_FOLD_SUM       ? 0
                 : kind == CX_FOLD_PRODUCT ? 1
                 : kind == CX_FOLD_MAX     ? T(lowest)()
                                           : T(highest)();
    for (int64_t i = 0; i < n; i++) ((REAL *)to)[i] = value;
}
/* A mean over nothing is NaN; of integers, 0. */
static void T(finish)(void *context, int64_t begin, int64_t end, int worker)
{
    const ending *f = context;
    const REAL *a = f->from, by = (REAL)f->divisor;
    REAL *b = f->to;
    (void)worker;
    if (f->divisor == 1 && f->add)
        for (int64_t i = begin; i < end; i++) b[i] = T(plus)(b[i], a[i]);
    else if (f->divisor == 1)
        for (int64_t i = begin; i < end; i++) b[i] = a[i];
    else
        for (int64_t i = begin; i < end; i++) b[i] = T(plus)(f->add ? b[i] : 0, T(over)(a[i], by));
}

#else
#define F(name) CX_JOIN(CX_JOIN(FOLD, name), REAL)
/* n elements in a line, in LANES; longer lines in halves. */
static REAL F(line)(const REAL *x, int64_t n)
{
    REAL lane[LANES];
    int64_t i = 0;
    if (n > RUN) {
        int64_t half = parts_of(n / 2, RUN) * RUN;
        return COMBINE(F(line)(x, half), F(line)(x + half, n - half));
    }
    if (n < LANES) {
        REAL all = FIRST;
        for (; i < n; i++) all = COMBINE(all, x[i]);
        return all;
    }
    for (int l = 0; l < LANES; l++) lane[l] = x[l];
    for (i = LANES; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++) lane[l] = COMBINE(lane[l], x[i + l]);
    for (int l = 0; i + l < n; l++) lane[l] = COMBINE(lane[l], x[i + l]);
    for (int w = LANES / 2; w; w /= 2)
        for (int l = 0; l < w; l++) lane[l] = COMBINE(lane[l], lane[l + w]);
    return lane[0];
}
/* Rows of `width` <= STRIP columns into one row; many rows in halves. */
static void F(stack)(const REAL *x, int64_t rows, int64_t stride, int64_t width, REAL *to)
{
    if (rows > DEEP) {
        REAL lower[STRIP];
        int64_t half = parts_of(rows / 2, DEEP) * DEEP;
        F(stack)(x, half, stride, width, to);
        F(stack)(x + half * stride, rows - half, stride, width, lower);
        for (int64_t i = 0; i < width; i++) to[i] = COMBINE(to[i], lower[i]);
        return;
    }
    for (int64_t i = 0; i < width; i++) to[i] = x[i];
    for (int64_t r = 1; r < rows; r++)
        for (int64_t i = 0; i < width; i++) to[i] = COMBINE(to[i], x[r * stride + i]);
}
static void F(lines)(const void *from, int64_t lines, int64_t n, void *to)
{
    const REAL *x = from;
    for (int64_t l = 0; l < lines; l++, x += n) {
        REAL all = x[0];
        for (int64_t i = 1; i < n; i++) all = COMBINE(all, x[i]);
        ((REAL *)to)[l] = all;
    }
}
static void F(strip)(const void *from, int64_t rows, int64_t stride, int64_t width, void *to)
{
    const REAL *x = from;
    REAL *y = to, wide[STRIP];
    int64_t group = STRIP / 2 / (width ? width : 1);
    if (stride == 1) {
        *y = F(line)(x, rows);
    } else if (stride == width && group > 1 && rows >= 2 * group) { /* short rows: several at once */
        int64_t whole = rows / group;
        F(stack)(x, whole, group * width, group * width, wide);
        F(stack)(wide, group, width, width, y);
        for (int64_t r = whole * group; r < rows; r++)
            for (int64_t i = 0; i < width; i++) y[i] = COMBINE(y[i], x[r * width + i]);
    } else {
        F(stack)(x, rows, stride, width, y);
    }
}
#undef F
#undef FOLD
#undef COMBINE
#undef FIRST
#endif
