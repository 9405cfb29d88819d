/* Loops over several strided arrays of one shape, with the dimensions collapsed first: equal shapes run as one line,
 * a bias along the last dimension as rows. Steps count elements and may be 0 (broadcast) or negative. */
#ifndef CX_GRID_H
#define CX_GRID_H
#include "../cnnexplain.h"

enum { CX_GRID_RANK = 2 * CX_RANK, CX_GRID_ARRAYS = 4 };
typedef struct {
    int rank, arrays;
    int64_t dim[CX_GRID_RANK], step[CX_GRID_ARRAYS][CX_GRID_RANK];
} cx_grid;

/* What a kernel gets: rows of cols elements; array k starts at element at[k]. */
typedef struct {
    int64_t rows, cols, at[CX_GRID_ARRAYS], row[CX_GRID_ARRAYS], col[CX_GRID_ARRAYS];
} cx_tile;
typedef void cx_tile_fn(const void *context, const cx_tile *t);

/* A grid over shape without arrays; then one call per array: s contiguous, broadcast to the grid from the right. */
cx_grid cx_grid_over(const cx_spec *shape);
void cx_grid_array(cx_grid *g, const cx_spec *s);
/* Collapses g and calls fn on tiles that cover it once, from several threads. */
void cx_grid_run(cx_grid *g, cx_tile_fn *fn, const void *context);

/* Arrays 0 (to) and 1 (from): to = from for any dtype, or to += from for a real one. */
void cx_grid_move(cx_grid *g, cx_dtype dtype, void *to, const void *from, cx_mode mode);
/* n elements, contiguous. */
void cx_move(cx_dtype dtype, int64_t n, void *to, const void *from, cx_mode mode);
#endif
