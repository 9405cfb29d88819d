/* The one scaling of maps: max(m, 0) / max(m). A map without positive evidence, or one that is the same everywhere,
 * shows nothing and becomes zeros. Never NaN: NaN counts as 0, an infinity as the greatest number. */
#include "explain.h"
#include "../ops/generic.h"
#include <float.h>

#ifndef REAL
typedef struct {
    const cx_view *maps;
    void *scaled;
} job;

#define REAL float
#define GREATEST FLT_MAX
#include "normalize.c"
#undef REAL
#undef GREATEST
#define REAL double
#define GREATEST DBL_MAX
#include "normalize.c"
#undef REAL
#undef GREATEST

void cx_normalize(const cx_view *maps, void *scaled)
{
    const cx_spec *s = &maps->spec;
    job j = {maps, scaled};
    cx_parallel(s->dim[0], 1 + CX_GRAIN / (1 + s->dim[1] * s->dim[2]), s->dtype == CX_F32 ? scale_float : scale_double,
                &j);
}

#else
static void T(scale)(void *context, int64_t begin, int64_t end, int worker)
{
    const job *j = context;
    const cx_view *m = j->maps;
    const int64_t h = m->spec.dim[1], w = m->spec.dim[2];
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        REAL *to = (REAL *)j->scaled + i * h * w;
        REAL least = GREATEST, most = 0;
        for (int64_t y = 0; y < h; y++) {
            const char *row = cx_at(m, i, y, 0);
            for (int64_t x = 0; x < w; x++) {
                REAL v = *(const REAL *)(row + x * m->stride[2]);
                v = v > 0 ? v : 0; /* also NaN */
                v = v < GREATEST ? v : GREATEST;
                to[y * w + x] = v;
                least = v < least ? v : least;
                most = v > most ? v : most;
            }
        }
        for (int64_t p = 0; p < h * w; p++) to[p] = most > least ? to[p] / most : 0;
    }
}
#endif
