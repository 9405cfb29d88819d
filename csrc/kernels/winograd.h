/* What Winograd's convolution and its kernel gradient share: how tiles lie on images. */
#ifndef CX_WINOGRAD_H
#define CX_WINOGRAD_H
#include "conv.h"

enum {
    CX_STRIP = 16, /* rows of a panel of the kernel that are transformed together */
    CX_APART = 16, /* frequencies lie this much off a power of two, or their lines would meet in a few sets */
};

/* Tiles of size x size outputs see side x side inputs, side = size + 2, and become as many frequencies. */
typedef struct {
    const cx_correlation *c;
    int64_t size, side, frequencies;
    int64_t along, per_image, tiles; /* tiles in a row, an image, all images */
} cx_tiling;
cx_tiling cx_tiling_of(const cx_correlation *c, int64_t size);

/* Where tile t begins: its image, row and column of the output. */
typedef struct {
    int64_t image, row, column;
} cx_tile_place;
static inline cx_tile_place cx_tile_at(const cx_tiling *g, int64_t t)
{
    const int64_t inside = t % g->per_image;
    return (cx_tile_place){t / g->per_image, inside / g->along * g->size, inside % g->along * g->size};
}

/* Tiles begin..end of x to v, ldv from one to the next, frequencies `step` apart. zero: as many zeros as channels. */
void cx_transform_input(const cx_tiling *g, void (*input)(const cx_winograd_input *t), const float *x,
                        const float *zero, int64_t begin, int64_t end, float *v, int64_t ldv, int64_t step);

static inline int64_t cx_least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
static inline int64_t cx_most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}
static inline int64_t cx_ceiling(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}
static inline size_t cx_floats(int64_t a, int64_t b) /* bytes of a * b floats, in whole lines */
{
    return cx_line(cx_times((size_t)a * sizeof(float), (size_t)b));
}
#endif
