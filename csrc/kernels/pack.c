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

/* panel[r][j] = b[j * ld + r] for whole blocks of 4 x 4 floats or 2 x 2 doubles; returns the columns done. */
static int64_t turn_blocks(int width, char *panel, int64_t panel_width, const char *b, int64_t ld, int64_t rows,
                           int64_t columns)
{
#if defined(__SSE2__)
    if (width == 4) {
        const float *from = (const float *)b;
        float *to = (float *)panel;
        int64_t n = columns / 4 * 4, m = rows / 4 * 4;
        for (int64_t r = 0; r < m; r += 4)
            for (int64_t j = 0; j < n; j += 4) {
                const float *p = from + j * ld + r;
                float *q = to + r * panel_width + j;
                __m128 v0 = _mm_loadu_ps(p), v1 = _mm_loadu_ps(p + ld), v2 = _mm_loadu_ps(p + 2 * ld),
                       v3 = _mm_loadu_ps(p + 3 * ld);
                _MM_TRANSPOSE4_PS(v0, v1, v2, v3);
                _mm_storeu_ps(q, v0), _mm_storeu_ps(q + panel_width, v1);
                _mm_storeu_ps(q + 2 * panel_width, v2), _mm_storeu_ps(q + 3 * panel_width, v3);
            }
        for (int64_t r = m; r < rows; r++)
            for (int64_t j = 0; j < n; j++) to[r * panel_width + j] = from[j * ld + r];
        return n;
    }
    const double *from = (const double *)b;
    double *to = (double *)panel;
    int64_t n = columns / 2 * 2, m = rows / 2 * 2;
    for (int64_t r = 0; r < m; r += 2)
        for (int64_t j = 0; j < n; j += 2) {
            __m128d v0 = _mm_loadu_pd(from + j * ld + r), v1 = _mm_loadu_pd(from + (j + 1) * ld + r);
            _mm_storeu_pd(to + r * panel_width + j, _mm_unpacklo_pd(v0, v1));
            _mm_storeu_pd(to + (r + 1) * panel_width + j, _mm_unpackhi_pd(v0, v1));
        }
    for (int64_t r = m; r < rows; r++)
        for (int64_t j = 0; j < n; j++) to[r * panel_width + j] = from[j * ld + r];
    return n;
#else
    (void)width, (void)panel, (void)panel_width, (void)b, (void)ld, (void)rows, (void)columns;
    return 0;
#endif
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
    int64_t done = turn_blocks(k->width, to, width, from, ld, rows, columns);
    for (int64_t j = done; j < columns; j++)
        for (int64_t r = 0; r < rows; r++)
            memcpy(to + (size_t)(r * width + j) * size, from + (size_t)(j * ld + r) * size, size);
    for (int64_t r = 0; rest && r < rows; r++) memset(to + (size_t)(r * width + columns) * size, 0, rest);
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
        if (t.base) t.base = cx_at(k, t.base, n * t.ldbase);
        left -= n;
    }
}
