/* Collapsing dimensions, covering a grid with tiles, moving elements. */
#include "grid.h"
#include "generic.h"

#ifndef REAL
typedef struct {
    const cx_grid *grid;
    cx_tile_fn *fn;
    const void *context;
} job;
typedef struct {
    void *to;
    const void *from;
    bool add;
} move;

/* A transposed move goes by blocks of columns whose cache lines, one per column or fewer, stay in L1. */
enum { EDGE = 32, SPREAD = 2048 };

cx_grid cx_grid_over(const cx_spec *shape)
{
    cx_grid g = {.rank = shape->ndim};
    for (int d = 0; d < shape->ndim; d++) g.dim[d] = shape->dim[d];
    return g;
}

void cx_grid_array(cx_grid *g, const cx_spec *s)
{
    int64_t step = 1, *to = g->step[g->arrays++];
    int shift = g->rank - s->ndim;
    for (int d = g->rank; d-- > 0;) {
        int64_t n = d < shift ? 1 : s->dim[d - shift];
        to[d] = n == 1 ? 0 : step;
        step *= n;
    }
}

/* Drops dimensions of 1 and merges neighbours that every array walks through as one. */
static void collapse(cx_grid *g)
{
    int last = -1;
    for (int d = 0; d < g->rank; d++) {
        bool merge = last >= 0;
        if (g->dim[d] == 1) continue;
        for (int k = 0; merge && k < g->arrays; k++) merge = g->step[k][last] == g->step[k][d] * g->dim[d];
        int to = merge ? last : ++last;
        g->dim[to] = merge ? g->dim[to] * g->dim[d] : g->dim[d];
        for (int k = 0; k < g->arrays; k++) g->step[k][to] = g->step[k][d];
    }
    g->rank = last + 1;
}

static void run_part(void *context, int64_t begin, int64_t end, int worker)
{
    const job *j = context;
    const cx_grid *g = j->grid;
    int64_t index[CX_GRID_RANK], cols = g->dim[g->rank - 1];
    cx_tile t;
    (void)worker;
    for (int64_t d = g->rank, rest = begin; d-- > 0; rest /= g->dim[d]) index[d] = rest % g->dim[d];
    for (int k = 0; k < g->arrays; k++) {
        t.col[k] = g->step[k][g->rank - 1];
        t.row[k] = g->rank > 1 ? g->step[k][g->rank - 2] : 0;
    }
    while (begin < end) {
        int d = g->rank - 1;
        t.rows = 1;
        t.cols = cols - index[d] < end - begin ? cols - index[d] : end - begin;
        if (t.cols == cols && d) { /* all the whole rows that follow */
            t.rows = (end - begin) / cols;
            if (t.rows > g->dim[d - 1] - index[d - 1]) t.rows = g->dim[d - 1] - index[d - 1];
        }
        for (int k = 0; k < g->arrays; k++) {
            t.at[k] = 0;
            for (int e = 0; e <= d; e++) t.at[k] += index[e] * g->step[k][e];
        }
        j->fn(j->context, &t);
        begin += t.rows * t.cols;
        index[d] += t.cols;
        if (index[d] < cols) continue;
        index[d] = 0;
        if (!d--) continue;
        index[d] += t.rows;
        for (; d && index[d] == g->dim[d]; d--) index[d] = 0, index[d - 1]++;
    }
}

void cx_grid_run(cx_grid *g, cx_tile_fn *fn, const void *context)
{
    int64_t n = 1;
    for (int d = 0; d < g->rank; d++)
        if (!g->dim[d]) return;
    collapse(g);
    if (!g->rank) {
        g->rank = 1, g->dim[0] = 1;
        for (int k = 0; k < g->arrays; k++) g->step[k][0] = 0;
    }
    for (int d = 0; d < g->rank; d++) n *= g->dim[d];
    cx_parallel(n, CX_GRAIN, run_part, &(job){g, fn, context});
}

#define REAL uint8_t
#include "grid.c"
#undef REAL
#define REAL uint32_t
#include "grid.c"
#undef REAL
#define REAL uint64_t
#include "grid.c"
#undef REAL
#define ADDS
#define REAL float
#include "grid.c"
#undef REAL
#define REAL double
#include "grid.c"
#undef REAL
#undef ADDS

void cx_grid_move(cx_grid *g, cx_dtype dtype, void *to, const void *from, cx_mode mode)
{
    move m = {to, from, mode == CX_ADD};
    if (mode == CX_ADD)
        cx_grid_run(g, dtype == CX_F64 ? move_double : move_float, &m);
    else
        cx_grid_run(g, cx_width(dtype) == 8 ? move_uint64_t : cx_width(dtype) == 4 ? move_uint32_t : move_uint8_t, &m);
}

void cx_move(cx_dtype dtype, int64_t n, void *to, const void *from, cx_mode mode)
{
    cx_grid g = {1, 2, {n}, {{1}, {1}}};
    cx_grid_move(&g, dtype, to, from, mode);
}

#else
/* The integer types copy whatever is that wide; the real ones add. */
#ifdef ADDS
#define MOVE(a, b) ((a) += (b))
#else
#define MOVE(a, b) ((a) = (b))
#endif
static void T(move_lines)(REAL *to, const REAL *from, const cx_tile *t, int64_t cols)
{
    for (int64_t r = 0; r < t->rows; r++, to += t->row[0], from += t->row[1]) {
        if (t->col[0] == 1 && t->col[1] == 1) {
            for (int64_t i = 0; i < cols; i++) MOVE(to[i], from[i]);
        } else if (t->col[0] == 1 && t->col[1] == 0) {
            const REAL value = *from;
            for (int64_t i = 0; i < cols; i++) MOVE(to[i], value);
        } else {
            for (int64_t i = 0; i < cols; i++) MOVE(to[i * t->col[0]], from[i * t->col[1]]);
        }
    }
}
static void T(move)(const void *context, const cx_tile *t)
{
    const move *m = context;
    REAL *to = (REAL *)m->to + t->at[0];
    const REAL *from = (const REAL *)m->from + t->at[1];
    bool turned = t->rows > 1 && (t->col[0] != 1 || (t->col[1] != 1 && t->col[1] != 0));
    if (!turned) {
        T(move_lines)(to, from, t, t->cols);
        return;
    }
    int64_t step = t->col[0] > t->col[1] ? t->col[0] : t->col[1], edge = step > 0 ? SPREAD / step : EDGE;
    if (edge < EDGE) edge = EDGE;
    for (int64_t c = 0; c < t->cols; c += edge)
        T(move_lines)(to + c * t->col[0], from + c * t->col[1], t, t->cols - c < edge ? t->cols - c : edge);
}
#undef MOVE
#endif
