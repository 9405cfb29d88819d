/* The kernels: inner loops for one vector unit each, and the drivers that block products and split them over workers.
 *
 * Every product is computed in tiles of C: a few rows by one panel of columns, kept in registers while the inner
 * dimension runs. The inner dimension is a list of stretches, so a convolution reads its image in place: a stretch is
 * one row of the kernel's window. Which elements a tile holds never changes an element's arithmetic: the chains are cut
 * by the layer alone, so results do not depend on batch, threads or place. */
#ifndef CX_KERNELS_H
#define CX_KERNELS_H
#include "../cnnexplain.h"

enum {
    CX_MOST_ROWS = 14,       /* of a tile */
    CX_MOST_LANES = 16,      /* floats of a vector */
    CX_CHAIN = 128,          /* most terms added one by one; chains are added up in C */
    CX_L2 = 512 << 10,       /* bytes of A that a block may take: caches report nonsense on virtual machines */
    CX_GRAIN_FLOP = 1 << 21, /* work that a second worker must have to pay */
};

/* n steps of the inner dimension, the first `at` elements into A. What was summed is added to C where a stretch ends
 * a chain; the next one starts at zero. */
typedef struct {
    int64_t at, n;
    bool ends;
} cx_stretch;

/* C = base + A B over rows x columns, base NULL being zero. base may be C; ldbase 0 repeats one row (a bias). */
typedef struct {
    const cx_stretch *stretch;
    int64_t stretches;
    const void *a, *b, *base;
    void *c;
    int64_t lda, ldb, ldc, ldbase;
    int columns;
} cx_tile;
typedef void cx_tile_fn(const cx_tile *t);

/* pixels x channels of a depthwise convolution: y = base + sum over taps of x[at[t] + pixel * ldx] * w[t]. channels is
 * whole vectors in x and w; `stored` of them exist in y. */
typedef struct {
    const void *x, *w, *base;
    void *y;
    const int64_t *at;
    int64_t taps, pixels, channels, stored, ldx, ldy, ldbase;
} cx_depthwise_row;

/* One tile of Winograd's convolution, `channels` of it. Pixel (i, j) is at pixel[i * side + j], or, where pixel is
 * NULL, at x + i * row + j * column. v: whole vectors, frequencies `step` apart. */
typedef struct {
    const float *const *pixel;
    const float *x;
    float *v;
    int64_t row, column, channels, step;
} cx_winograd_input;
/* y = base + the transform of m: rows x columns of the tile exist. */
typedef struct {
    const float *m, *base;
    float *y;
    int64_t row, column, base_row, base_column, rows, columns, channels, step;
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
    /* One row of A against n columns of B in place; sum (n) is scratch. The arithmetic is that of a tile. */
    void (*thin)(const cx_stretch *stretch, int64_t stretches, const void *a, const void *b, int64_t ldb, int64_t n,
                 void *sum, void *c, const void *base);
    /* The same with B stored transposed, every stretch a chain; NULL: a tile must do. */
    void (*thin_turned)(const cx_stretch *stretch, int64_t stretches, const void *a, const void *b, int64_t ldb,
                        int64_t n, void *c, const void *base);
    void (*depthwise)(const cx_depthwise_row *r);
    /* w[t] += sum over pixels of x[at[t] + pixel * ldx] * y[pixel * ldy]: here w is written */
    void (*depthwise_kernel)(const cx_depthwise_row *r, void *w);
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
