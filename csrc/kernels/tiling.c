/* How the tiles of Winograd's convolution lie on images, and the way there. */
#include "winograd.h"

cx_tiling cx_tiling_of(const cx_correlation *c, int64_t size)
{
    cx_tiling g = {.c = c, .size = size, .side = size + 2, .frequencies = (size + 2) * (size + 2)};
    g.along = cx_ceiling(c->axis[1].count, size);
    g.per_image = cx_ceiling(c->axis[0].count, size) * g.along;
    g.tiles = (int64_t)cx_times((size_t)c->images, (size_t)g.per_image);
    return g;
}

void cx_transform_input(const cx_tiling *g, void (*input)(const cx_winograd_input *t), const float *x,
                        const float *zero, int64_t begin, int64_t end, float *v, int64_t ldv, int64_t step)
{
    const cx_axis *h = &g->c->axis[0], *w = &g->c->axis[1];
    const int64_t channels = g->c->inner;
    const float *pixel[36];
    cx_winograd_input tile = {.row = w->in * channels, .column = channels, .channels = channels, .step = step};
    for (int64_t t = begin; t < end; t++, v += ldv) {
        const cx_tile_place p = cx_tile_at(g, t);
        const int64_t row = p.row + h->at, column = p.column + w->at;
        const float *image = x + p.image * h->in * w->in * channels;
        const bool inside = row >= 0 && column >= 0 && row + g->side <= h->in && column + g->side <= w->in;
        for (int64_t i = 0; !inside && i < g->frequencies; i++) {
            const int64_t r = row + i / g->side, s = column + i % g->side;
            const bool there = r >= 0 && r < h->in && s >= 0 && s < w->in;
            pixel[i] = there ? image + (r * w->in + s) * channels : zero;
        }
        tile.pixel = inside ? NULL : pixel;
        tile.x = inside ? image + (row * w->in + column) * channels : NULL;
        tile.v = v;
        input(&tile);
    }
}
