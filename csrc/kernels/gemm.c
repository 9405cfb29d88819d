/* Dense products, one or a batch of them: C = op(A) op(B) + bias. A is read in place. B is packed a few panels at a
 * time into a worker's own scratch, where the rows of C use it up; a single row reads B in place instead. */
#include "gemm.h"
#include "../core/library.h"
#include <stdatomic.h>
#include <string.h>

enum {
    /* Panels and chains of B packed together: pieces of a KiB of each row, or, where B is turned, of 4 KiB of each
     * column, because memory is slow to start and fast to go on. */
    GROUP = 8,
    DEEP = 2,
    TURNED_GROUP = 2,
    TURNED_DEEP = 8,
    TALL = 18 * CX_MOST_ROWS, /* rows of a unit */
    THIN_COLUMNS = 1024,      /* of a unit that reads B in place */
    PIECES = 16,              /* units that a call is cut into */
};

typedef struct {
    const cx_gemm *g;
    const cx_kernels *k;
    bool thin;
    int64_t panels, group, groups;      /* of columns */
    int64_t deep;                       /* chains packed together */
    int64_t row_blocks, products, sums; /* products: results of the batch; sums: products added into each */
    size_t stretches, panel_size;       /* bytes of a worker */
    cx_finish finish;
    char *scratch;
} job;

static job job_of(const cx_gemm *g)
{
    job j = {.g = g, .k = cx_kernels_of(g->dtype), .products = 1, .sums = 1, .finish.shift = g->bias};
    for (int i = 0; i < g->axes; i++) {
        int64_t *n = g->c_step[i] ? &j.products : &j.sums;
        *n = (int64_t)cx_times((size_t)*n, (size_t)g->batch[i]);
    }
    j.panels = cx_panels(j.k, g->columns);
    j.deep = g->turn_b ? TURNED_DEEP : DEEP;
    j.thin = g->rows == 1 && !g->turn_a && (!g->turn_b || j.k->thin_turned);
    j.row_blocks = (g->rows + TALL - 1) / TALL;
    if (j.thin) {
        j.group = THIN_COLUMNS;
        j.groups = (g->columns + j.group - 1) / j.group;
        j.panel_size = cx_line((size_t)(2 * j.group * j.k->width));
    } else {
        int64_t units = j.row_blocks * j.products;
        j.group = units ? j.panels * units / PIECES : 1;
        const int64_t most = g->turn_b ? TURNED_GROUP : GROUP;
        j.group = j.group < 1 ? 1 : j.group > most ? most : j.group;
        j.groups = (j.panels + j.group - 1) / j.group;
        const int64_t deep = g->inner < j.deep * CX_CHAIN ? g->inner : j.deep * CX_CHAIN;
        j.panel_size = cx_line((size_t)(deep * j.group * 2 * j.k->lanes * j.k->width));
    }
    j.stretches = cx_line(sizeof(cx_stretch) * (size_t)(j.thin ? cx_pieces(g->inner, CX_CHAIN) : j.deep + 1));
    return j;
}
static int64_t units(const job *j)
{
    return j->products * j->row_blocks * j->groups;
}
static int64_t grain(const job *j)
{
    const int64_t rows = j->g->rows < TALL ? j->g->rows : TALL;
    const int64_t columns = j->thin ? j->group : j->group * 2 * j->k->lanes;
    const size_t step = (size_t)(2 * (rows + 4) * columns); /* four: packing */
    const size_t flop = cx_times(step, cx_times((size_t)(j->g->inner + 1), (size_t)j->sums));
    return flop > CX_GRAIN_FLOP ? 1 : 1 + CX_GRAIN_FLOP / ((int64_t)flop + 1);
}

/* Where product number i begins; of the axes along which C moves, or of the others. */
static void place(const cx_gemm *g, int64_t i, bool moves, int64_t *a, int64_t *b, int64_t *c)
{
    for (int d = g->axes; d-- > 0;) {
        if ((g->c_step[d] != 0) != moves) continue;
        const int64_t at = i % g->batch[d];
        i /= g->batch[d];
        *a += at * g->a_step[d], *b += at * g->b_step[d], *c += at * g->c_step[d];
    }
}

/* One product of the batch. */
typedef struct {
    const void *a, *b;
    void *c;
    int64_t inner;
    bool onto;
    const cx_finish *finish; /* after the last product that is added into C */
} product;

static void thin_unit(const job *j, const product *o, int64_t group, char *mine)
{
    const cx_gemm *g = j->g;
    const cx_kernels *k = j->k;
    const int64_t first = group * j->group, n = g->columns - first < j->group ? g->columns - first : j->group;
    cx_stretch *s = (cx_stretch *)mine;
    int64_t open = 0;
    const cx_tile t = {.stretch = s,
                       .stretches = cx_stretch_end(s, cx_stretch_on(s, 0, &open, 0, o->inner, 1, CX_CHAIN)),
                       .a = o->a,
                       .b = cx_at(k, o->b, first * (g->turn_b ? g->ldb : 1)),
                       .c = cx_at(k, o->c, first),
                       .ldb = g->ldb,
                       .columns = (int)n,
                       .onto = o->onto,
                       .finish = {.how = o->finish, .column = first}};
    if (g->turn_b)
        k->thin_turned(&t);
    else
        k->thin(&t, mine + j->stretches);
}

static void tall_unit(const job *j, const product *o, int64_t row, int64_t group, char *mine)
{
    const cx_gemm *g = j->g;
    const cx_kernels *k = j->k;
    const int64_t rows = g->rows - row < TALL ? g->rows - row : TALL, chains = cx_pieces(o->inner, CX_CHAIN);
    const int64_t first = group * j->group, last = first + j->group < j->panels ? first + j->group : j->panels;
    cx_stretch *s = (cx_stretch *)mine;
    char *packed = mine + j->stretches;
    cx_tile t = {.stretch = s, .lda = g->lda, .ldc = g->ldc};
    for (int64_t chain = 0; chain < chains; chain += j->deep) {
        const int64_t end = chain + j->deep < chains ? chain + j->deep : chains;
        const int64_t from = o->inner * chain / chains, deep = o->inner * end / chains - from;
        t.stretches = 0;
        for (int64_t i = chain; i < end; i++) {
            const int64_t at = o->inner * i / chains - from, n = o->inner * (i + 1) / chains - from - at;
            s[t.stretches++] = (cx_stretch){at * (g->turn_a ? g->lda : 1), n, true};
        }
        const int64_t left = first * 2 * k->lanes, most = (last - first) * 2 * k->lanes;
        const int64_t columns = g->columns - left < most ? g->columns - left : most;
        if (!g->packed)
            cx_pack_panels(k, packed, deep, 0, cx_at(k, o->b, g->turn_b ? left * g->ldb + from : from * g->ldb + left),
                           g->ldb, deep, columns, g->turn_b);
        for (int64_t p = first; p < last; p++) {
            const int64_t column = p * 2 * k->lanes;
            t.columns = (int)cx_panel_columns(k, g->columns, p);
            t.ldb = cx_panel_width(k, t.columns);
            t.b = g->packed ? cx_at(k, g->packed, p * 2 * k->lanes * g->inner + from * t.ldb)
                            : cx_at(k, packed, (p - first) * 2 * k->lanes * deep);
            t.a = cx_at(k, o->a, g->turn_a ? from * g->lda + row : row * g->lda + from);
            t.c = cx_at(k, o->c, row * g->ldc + column);
            t.onto = chain || o->onto;
            t.finish = (cx_finishing){.how = end == chains ? o->finish : NULL, .column = column};
            cx_tiles(k, t, rows, g->turn_a);
        }
    }
}

static void run_units(void *context, int64_t begin, int64_t end, int worker)
{
    const job *j = context;
    const cx_gemm *g = j->g;
    char *mine = j->scratch + (size_t)worker * (j->stretches + j->panel_size);
    for (int64_t u = begin; u < end; u++) {
        const int64_t group = u % j->groups, row = u / j->groups % j->row_blocks * TALL;
        int64_t a = 0, b = 0, c = 0;
        place(g, u / j->groups / j->row_blocks, true, &a, &b, &c);
        const int64_t sums = j->sums ? j->sums : 1;
        product o = {.c = cx_at(j->k, g->c, c), .inner = j->sums ? g->inner : 0, .onto = g->onto};
        for (int64_t i = 0; i < sums; i++, o.onto = true) {
            int64_t x = a, y = b, same = c;
            if (j->sums) place(g, i, false, &x, &y, &same);
            o.a = cx_at(j->k, g->a, x), o.b = cx_at(j->k, g->b, y);
            if (g->bias && i + 1 == sums) o.finish = &j->finish;
            if (j->thin)
                thin_unit(j, &o, group, mine);
            else
                tall_unit(j, &o, row, group, mine);
        }
    }
}

size_t cx_gemm_scratch(const cx_gemm *g, int *threads)
{
    job j = job_of(g);
    int64_t parts = (units(&j) + grain(&j) - 1) / grain(&j);
    if (parts < *threads) *threads = parts > 1 ? (int)parts : 1;
    return (size_t)*threads * (j.stretches + j.panel_size);
}

void cx_gemm_run(const cx_gemm *g, void *scratch)
{
    job j = job_of(g);
    j.scratch = scratch;
    cx_parallel(units(&j), grain(&j), run_units, &j);
}

size_t cx_gemm_packed_size(const cx_gemm *g)
{
    const job j = job_of(g);
    if (j.thin) return 0;
    return cx_line(cx_times((size_t)j.panels * 2 * (size_t)j.k->lanes * (size_t)j.k->width, (size_t)g->inner));
}

void cx_gemm_pack(const cx_gemm *g, void *packed)
{
    cx_pack_panels(cx_kernels_of(g->dtype), packed, g->inner, 0, g->b, g->ldb, g->inner, g->columns, g->turn_b);
}

typedef void float_gemm(int order, int turn_a, int turn_b, int rows, int columns, int inner, float alpha,
                        const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc);
typedef void double_gemm(int order, int turn_a, int turn_b, int rows, int columns, int inner, double alpha,
                         const double *a, int lda, const double *b, int ldb, double beta, double *c, int ldc);
enum { ROW_MAJOR = 101, AS_STORED = 111, MOST_PATH = 4096 };

static struct {
    atomic_int state; /* 0: not tried, 1: being opened, 2: decided */
    char path[MOST_PATH];
    float_gemm *single;
    double_gemm *precise;
} blas;

const char *cx_blas_library(void)
{
#ifdef CX_BLAS_LIBRARY
    return CX_BLAS_LIBRARY;
#else
    return NULL;
#endif
}

void cx_blas_path(const char *path)
{
    size_t n = path ? strlen(path) : 0;
    if (n >= MOST_PATH) n = 0; /* nothing can be opened there */
    if (n) memcpy(blas.path, path, n);
    blas.path[n] = 0;
    blas.single = NULL, blas.precise = NULL;
    atomic_store(&blas.state, 0);
}

/* A function pointer from dlsym's object pointer, as POSIX has it. */
static bool find(void *library, const char *name, void *function)
{
    void *symbol = cx_library_symbol(library, name);
    if (symbol) memcpy(function, &symbol, sizeof symbol);
    return symbol;
}

static void open_library(void)
{
    cx_err err = {0};
    void (*set_threads)(int);
    void *library = blas.path[0] ? cx_library_open(blas.path, &err) : NULL;
    if (!library) return;
    if (find(library, "scipy_cblas_sgemm", &blas.single) && find(library, "scipy_cblas_dgemm", &blas.precise)) {
        if (find(library, "scipy_openblas_set_num_threads", &set_threads)) set_threads(1); /* a copy of our own */
    } else if (!find(library, "cblas_sgemm", &blas.single) || !find(library, "cblas_dgemm", &blas.precise)) {
        blas.single = NULL, blas.precise = NULL;
    }
}

bool cx_blas_ready(void)
{
    int untried = 0;
    if (atomic_compare_exchange_strong(&blas.state, &untried, 1)) {
        open_library();
        atomic_store(&blas.state, 2);
    }
    while (atomic_load(&blas.state) == 1) continue; /* another thread is opening it */
    return blas.single && blas.precise;
}

const char *cx_blas_name(void)
{
    return cx_blas_ready() ? blas.path : "none";
}

void cx_blas_gemm(cx_dtype dtype, int64_t rows, int64_t columns, int64_t inner, const void *a, int64_t lda,
                  const void *b, int64_t ldb, void *c, int64_t ldc)
{
    const int m = (int)rows, n = (int)columns, k = (int)inner;
    if (dtype == CX_F32)
        blas.single(ROW_MAJOR, AS_STORED, AS_STORED, m, n, k, 1, a, (int)lda, b, (int)ldb, 0, c, (int)ldc);
    else
        blas.precise(ROW_MAJOR, AS_STORED, AS_STORED, m, n, k, 1, a, (int)lda, b, (int)ldb, 0, c, (int)ldc);
}
