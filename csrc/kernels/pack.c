/* Stretches, panels and rows of tiles: what every driver is made of. */
#include "kernels.h"
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

int64_t cx_stretch_on(cx_stretch *s, int64_t count, int64_t *open, int64_t at, int64_t n, int64_t step, int64_t chain)
{
    int64_t pieces = cx_pieces(n, chain);
    if (*open && *open + n > chain) s[count - 1].ends = true, *open = 0;
    for (int64_t i = 0; i < pieces; i++) {
        int64_t begin = n * i / pieces, end = n * (i + 1) / pieces;
        s[count++] = (cx_stretch){at + begin * step, end - begin, i + 1 < pieces};
        if (i + 1 == pieces) *open += end - begin;
    }
    return count;
}

int64_t cx_stretch_end(cx_stretch *s, int64_t count)
{
    if (!count) s[count++] = (cx_stretch){0};
    s[count - 1].ends = true;
    return count;
}

#if defined(__SSE2__)
/* r counts rows of the panel, which lie within rows of b. */
static inline void turn_floats(float *to, int64_t width, const float *from, int64_t ld)
{
    __m128 v0 = _mm_loadu_ps(from), v1 = _mm_loadu_ps(from + ld);
    __m128 v2 = _mm_loadu_ps(from + 2 * ld), v3 = _mm_loadu_ps(from + 3 * ld);
    _MM_TRANSPOSE4_PS(v0, v1, v2, v3);
    _mm_storeu_ps(to, v0), _mm_storeu_ps(to + width, v1);
    _mm_storeu_ps(to + 2 * width, v2), _mm_storeu_ps(to + 3 * width, v3);
}
static inline void turn_doubles(double *to, int64_t width, const double *from, int64_t ld)
{
    __m128d v0 = _mm_loadu_pd(from), v1 = _mm_loadu_pd(from + ld);
    _mm_storeu_pd(to, _mm_unpacklo_pd(v0, v1)), _mm_storeu_pd(to + width, _mm_unpackhi_pd(v0, v1));
}
#endif

/* panel[r][j] = b[j * ld + r]: squares in registers where the compiler has them, some rows of the panel at a time so
 * that it stays in the first cache until its lines are full. */
static void turn(const cx_kernels *k, void *panel, int64_t width, const void *b, int64_t ld, int64_t rows,
                 int64_t columns)
{
    enum { STRIP = 64, COLUMNS_AHEAD = 16 };
    const int64_t size = k->width;
    for (int64_t first = 0; first < rows; first += STRIP) {
        const int64_t last = first + STRIP < rows ? first + STRIP : rows;
        int64_t j = 0;
#if defined(__SSE2__)
        const int64_t square = 16 / size, whole = first + (last - first) / square * square;
        for (; j + square <= columns; j += square) {
            for (int64_t i = 0; i < square; i++) { /* what comes next: the rest of these columns, or others */
                const int64_t next = (j + i) * ld + (last < rows ? last : COLUMNS_AHEAD * ld + first);
                for (int64_t line = 0; line < STRIP * size; line += 64)
                    __builtin_prefetch((const char *)b + next * size + line);
            }
            for (int64_t r = first; r < whole; r += square) {
                if (size == 4)
                    turn_floats((float *)panel + r * width + j, width, (const float *)b + j * ld + r, ld);
                else
                    turn_doubles((double *)panel + r * width + j, width, (const double *)b + j * ld + r, ld);
            }
            for (int64_t r = whole; r < last; r++)
                for (int64_t i = j; i < j + square; i++)
                    memcpy(cx_at(k, panel, r * width + i), cx_at(k, b, i * ld + r), (size_t)size);
        }
#endif
        for (; j < columns; j++)
            for (int64_t r = first; r < last; r++)
                memcpy(cx_at(k, panel, r * width + j), cx_at(k, b, j * ld + r), (size_t)size);
    }
}

void cx_pack(const cx_kernels *k, void *panel, int64_t width, const void *b, int64_t ld, int64_t rows, int64_t columns,
             bool turned)
{
    const size_t size = (size_t)k->width;
    const size_t used = (size_t)columns * size, rest = (size_t)(width - columns) * size;
    char *to = panel;
    const char *from = b;
    if (!turned) {
        const int64_t pitch = ld * k->width, row = width * k->width;
        if (used == 128 && !rest) /* the usual case at a fixed size */
            for (int64_t r = 0; r < rows; r++) memcpy(to + r * row, from + r * pitch, 128);
        else
            for (int64_t r = 0; r < rows; r++) {
                memcpy(to + r * row, from + r * pitch, used);
                memset(to + r * row + used, 0, rest);
            }
        return;
    }
    turn(k, panel, width, b, ld, rows, columns);
    for (int64_t r = 0; rest && r < rows; r++) memset(to + (size_t)(r * width + columns) * size, 0, rest);
}

void cx_pack_panels(const cx_kernels *k, void *panels, int64_t depth, int64_t row, const void *b, int64_t ld,
                    int64_t rows, int64_t columns, bool turned)
{
    const int64_t wide = 2 * k->lanes, some = turned ? rows : 16; /* a few rows of B are read to their ends */
    for (int64_t r = 0; r < rows; r += some) {
        const int64_t n = rows - r < some ? rows - r : some;
        for (int64_t first = 0; first < columns; first += wide) {
            const int64_t used = columns - first < wide ? columns - first : wide, width = cx_panel_width(k, used);
            cx_pack(k, cx_at(k, panels, first * depth + (row + r) * width), width,
                    cx_at(k, b, turned ? first * ld + r : r * ld + first), ld, n, used, turned);
        }
    }
}

void cx_tiles(const cx_kernels *k, cx_tile t, int64_t rows, bool across)
{
    cx_tile_fn *const *tile = (across ? k->across : k->along)[t.columns > k->lanes];
    int64_t tiles = (rows + k->rows - 1) / k->rows;
    for (int64_t i = 0, left = rows; left > 0; i++) {
        int64_t n = (left + tiles - i - 1) / (tiles - i); /* sizes as even as can be */
        tile[n](&t);
        t.a = cx_at(k, t.a, n * (across ? 1 : t.lda));
        t.c = cx_at(k, t.c, n * t.ldc);
        t.finish.at += n * t.ldc;
        left -= n;
    }
}
