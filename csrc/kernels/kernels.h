/* The kernels: inner loops for one vector unit each, and the drivers that block products and split them over workers.
 *
 * Every product is computed in tiles of C: a few rows by one panel of columns, kept in registers while the inner
 * dimension runs. The inner dimension is a list of stretches, so a convolution reads its image in place: a stretch is
 * one row of the kernel's window. Which elements a tile holds never changes an element's arithmetic: the chains are cut
 * by the layer alone, so results do not depend on batch, threads or place. On their way to memory the sums are finished
 * (cx_finish): what follows a convolution costs no pass of its own. */
#ifndef CX_KERNELS_H
#define CX_KERNELS_H
#include "../cnnexplain.h"

enum {
    CX_MOST_ROWS = 14,       /* of a tile */
    CX_MOST_LANES = 16,      /* floats of a vector */
    CX_CHAIN = 128,          /* most terms added one by one; then chains are added up */
    CX_AHEAD = 64,           /* rows of B that are asked for ahead of use: packed weights come from memory, 8 KiB on */
    CX_L2 = 512 << 10,       /* bytes of A that a block may take: caches report nonsense on virtual machines */
    CX_GRAIN_FLOP = 1 << 21, /* work that a second worker must have to pay */
};

/* n steps of the inner dimension, the first `at` elements into A. Where a stretch ends a chain, what was summed is
 * added to the chains before; the next one starts at zero. The last stretch of a list ends one. */
typedef struct {
    int64_t at, n;
    bool ends;
} cx_stretch;

/* Where a row of sums lies in y: its first element, counted from y's, and that element's place in y's last dimension.
 */
typedef struct {
    const cx_finish *how; /* NULL: the sums as they are */
    int64_t at, column;
} cx_finishing;

/* C = A B over rows x columns, finished unless A lies across. onto: C holds the chains before the first. */
typedef struct {
    const cx_stretch *stretch;
    int64_t stretches;
    const void *a, *b;
    void *c;
    int64_t lda, ldb, ldc;
    int columns;
    bool onto;
    cx_finishing finish; /* of C, which is a part of y: rows are ldc apart there too */
} cx_tile;
typedef void cx_tile_fn(const cx_tile *t);

/* pixels x channels of a depthwise convolution: y = sum over taps of x[at[t] + pixel * ldx] * w[t], finished. channels
 * is whole vectors in x and w; `stored` of them exist in y. */
typedef struct {
    const void *x, *w;
    void *y;
    const int64_t *at;
    int64_t taps, pixels, channels, stored, ldx, ldy;
    cx_finishing finish;
} cx_depthwise_row;

/* Neighbouring pixels of a row of a depthwise convolution, in place. Kernel row p, of those that exist, reads x at row
 * p * row and multiplies with w at p * w_row; column j of what the run's taps see exists if begin <= j < end, pixel i
 * of the run if first <= i < last. finish.at: pixel 0, ldy before the next. */
typedef struct {
    const void *x, *w;
    void *y;
    cx_finishing finish;
    int64_t rows, row, ldx, w_row, w_tap, begin, end, first, last, ldy, channels;
    int64_t taps, step, at_step; /* for CX_DEPTHWISE_ANY: of a kernel row; columns from pixel to pixel, tap to tap */
} cx_depthwise_run;
/* 3 or 5 neighbouring taps that move by 1 or 2 pixels; spread: the gradients of those that moved by 2, dy to dx. */
typedef enum {
    CX_DEPTHWISE_ANY,
    CX_DEPTHWISE_3,
    CX_DEPTHWISE_3_BY_2,
    CX_DEPTHWISE_5,
    CX_DEPTHWISE_5_BY_2,
    CX_DEPTHWISE_3_SPREAD,
    CX_DEPTHWISE_5_SPREAD,
    CX_DEPTHWISE_KINDS
} cx_depthwise_kind;
enum { CX_DEPTHWISE_RUN = 7, CX_DEPTHWISE_SPREAD = 8 }; /* pixels; those of a spread run */

/* Pooling: windows over pixels in two dimensions. */
typedef struct {
    int64_t images, in[2], out[2], channels, size[2], stride[2], before[2];
} cx_pool;
/* The cells [*begin, *end) of window i that lie inside the image. */
static inline void cx_pool_cells(const cx_pool *g, int d, int64_t i, int64_t *begin, int64_t *end)
{
    const int64_t first = i * g->stride[d] - g->before[d], last = first + g->size[d];
    *begin = first > 0 ? first : 0;
    *end = last < g->in[d] ? last : g->in[d];
}
/* Moves [*begin, *end), the windows that cover the cell before, on to the cell `at`. */
static inline void cx_pool_windows(const cx_pool *g, int d, int64_t at, int64_t *begin, int64_t *end)
{
    const int64_t place = at + g->before[d];
    while (*begin * g->stride[d] + g->size[d] <= place) ++*begin;
    while (*end < g->out[d] && *end * g->stride[d] <= place) ++*end;
}
/* to: y from x, or dx from dy, which is finished. A switch counts the elements of one image. */
typedef struct {
    const cx_pool *g;
    const void *from;
    void *to;
    const int32_t *won; /* the switches that forward made */
    int32_t *made;
    const cx_finish *finish;
} cx_pooling;
typedef void cx_pool_fn(const cx_pooling *p, int64_t row); /* of all images: of `to` */

/* One tile of Winograd's convolution, `channels` of it. Pixel (i, j) is at pixel[i * side + j], or, where pixel is
 * NULL, at x + i * row + j * column. v: whole vectors, frequencies `step` apart. */
typedef struct {
    const float *const *pixel;
    const float *x;
    float *v;
    int64_t row, column, channels, step;
} cx_winograd_input;
/* y = the transform of m, finished: rows x columns of the tile exist. */
typedef struct {
    const float *m;
    float *y;
    int64_t row, column, rows, columns, channels, step;
    cx_finishing finish;
} cx_winograd_output;
typedef struct {
    void (*input)(const cx_winograd_input *t);
    void (*output)(const cx_winograd_output *t);
    /* n elements of each of nine taps, `tap` apart, to n of each frequency; n is whole vectors */
    void (*kernel)(const float *w, int64_t tap, int64_t n, float *u, int64_t step);
    /* Of the kernel gradient F(3x3, 4x4), NULL for F(2x2, 3x3): a tile of dy, its 4 x 4 pixels behind `pixel`, to the
     * frequencies; n elements of each frequency to n of each tap */
    void (*spread)(const cx_winograd_input *t);
    void (*gather)(const float *m, int64_t step, int64_t n, float *w, int64_t tap);
} cx_winograd;

typedef struct {
    int width, lanes, rows;                  /* bytes of an element, elements of a vector, most rows */
    cx_tile_fn *along[2][CX_MOST_ROWS + 1];  /* [vectors - 1][rows]; A's inner dimension is contiguous */
    cx_tile_fn *across[2][CX_MOST_ROWS + 1]; /* A's rows are contiguous, its inner steps lda apart */
    /* One row of A against any number of columns of B in place; sum, twice as many, is scratch. The arithmetic is that
     * of a tile. */
    void (*thin)(const cx_tile *t, void *sum);
    /* The same with B stored transposed, every stretch a chain; NULL: a tile must do. */
    void (*thin_turned)(const cx_tile *t);
    /* y = rows of sums, lds apart, finished; rows of y are ldy apart */
    void (*finish)(const cx_finishing *f, const void *sum, int64_t lds, int64_t rows, int64_t columns, void *y,
                   int64_t ldy);
    void (*depthwise)(const cx_depthwise_row *r);
    /* [kind][1: some columns or pixels do not exist, or the channels are not whole vectors] */
    void (*const (*depthwise_runs)[2])(const cx_depthwise_run *r);
    /* w[t] += sum over pixels of x[at[t] + pixel * ldx] * y[pixel * ldy]: here w is written */
    void (*depthwise_kernel)(const cx_depthwise_row *r, void *w);
    cx_pool_fn *max_row, *max_back_row, *average_row, *average_back_row; /* NULL for double */
    const cx_winograd *winograd; /* F(2x2, 3x3) and F(4x4, 3x3); NULL for double */
} cx_kernels;
const cx_kernels *cx_kernels_of(cx_dtype dtype); /* of the chosen ISA */

/* Appends n steps, step elements apart, in stretches of at most `chain`; open: the length of the chain so far. Returns
 * the new count. s may be filled to cx_pieces(n, chain) more. */
int64_t cx_stretch_on(cx_stretch *s, int64_t count, int64_t *open, int64_t at, int64_t n, int64_t step, int64_t chain);
int64_t cx_stretch_end(cx_stretch *s, int64_t count); /* ends the last chain; an empty list becomes one empty chain */
static inline int64_t cx_pieces(int64_t n, int64_t chain)
{
    return n > chain ? (n + chain - 1) / chain : 1;
}

/* A panel: rows x width, the first `columns` of each row from B, zeros behind. B's rows are ld apart; turned: its
 * columns are. */
void cx_pack(const cx_kernels *k, void *panel, int64_t width, const void *b, int64_t ld, int64_t rows, int64_t columns,
             bool turned);
/* Rows row.. of all panels of `columns` columns; each panel is `depth` rows long. */
void cx_pack_panels(const cx_kernels *k, void *panels, int64_t depth, int64_t row, const void *b, int64_t ld,
                    int64_t rows, int64_t columns, bool turned);
/* Panels are two vectors wide, the last one maybe a single vector. */
static inline int64_t cx_panels(const cx_kernels *k, int64_t columns)
{
    return (columns + 2 * k->lanes - 1) / (2 * k->lanes);
}
static inline int64_t cx_panel_columns(const cx_kernels *k, int64_t columns, int64_t panel)
{
    int64_t left = columns - panel * 2 * k->lanes;
    return left < 2 * k->lanes ? left : 2 * k->lanes;
}
static inline int64_t cx_panel_width(const cx_kernels *k, int64_t columns)
{
    return columns <= k->lanes ? k->lanes : 2 * k->lanes;
}
/* All tiles of `rows` rows: rows of A are lda apart (across: 1), rows of C ldc. */
void cx_tiles(const cx_kernels *k, cx_tile t, int64_t rows, bool across);

/* The types' bodies: a file with kernels under #ifdef REAL includes itself twice; TYPED(f) is f_float, then f_double.
 */
#define CX_TYPED2(f, real) f##_##real
#define CX_TYPED(f, real) CX_TYPED2(f, real)
#define TYPED(f) CX_TYPED(f, REAL)

/* Sizes that stop growing far beyond what memory holds, so that sums of them are safe. */
static inline size_t cx_times(size_t a, size_t b)
{
    const size_t most = (size_t)INT64_MAX / 8;
    return b && a > most / b ? most : a * b;
}
static inline size_t cx_line(size_t size) /* whole cache lines */
{
    return (size + 63) / 64 * 64;
}

static inline void *cx_at(const cx_kernels *k, const void *p, int64_t i)
{
    return (char *)p + i * k->width;
}
#endif
