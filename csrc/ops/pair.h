/* Elementwise kernels of two broadcast inputs, and their gradients. */
#ifndef CX_PAIR_H
#define CX_PAIR_H
#include "fold.h"
#include "generic.h"
#include "grid.h"

typedef struct {
    const void *x, *y, *dy, *out; /* dy and out are as to: of the full shape */
    void *to;
    bool add;
    const cx_rule *rule;
} cx_pair;

/* One statement over u = x[i], v = y[i] for the `cols` columns of a row; a broadcast operand is a constant of the loop.
 * Columns of both inputs step by 0 or 1. */
#define CX_PAIR_LINE(statement)                 \
    if (t->col[1] && t->col[2]) {               \
        for (int64_t i = 0; i < t->cols; i++) { \
            const REAL u = a[i], v = b[i];      \
            (void)u, (void)v;                   \
            statement;                          \
        }                                       \
    } else if (t->col[1]) {                     \
        const REAL v = *b;                      \
        for (int64_t i = 0; i < t->cols; i++) { \
            const REAL u = a[i];                \
            (void)u, (void)v;                   \
            statement;                          \
        }                                       \
    } else {                                    \
        const REAL u = *a;                      \
        for (int64_t i = 0; i < t->cols; i++) { \
            const REAL v = b[i];                \
            (void)u, (void)v;                   \
            statement;                          \
        }                                       \
    }

/* T(f_tile): to = expression of u and v. */
#define CX_PAIR_VALUE(f, result, expression)                                                  \
    static void T(f##_tile)(const void *context, const cx_tile *t)                            \
    {                                                                                         \
        const cx_pair *p = context;                                                           \
        const REAL *a = (const REAL *)p->x + t->at[1], *b = (const REAL *)p->y + t->at[2];    \
        result *z = (result *)p->to + t->at[0];                                               \
        for (int64_t r = 0; r < t->rows; r++, a += t->row[1], b += t->row[2], z += t->row[0]) \
            CX_PAIR_LINE(z[i] = (result)(expression))                                         \
    }

/* T(f_tile): to = or += expression of u, v, g = dy[i] and, where it is read, out = o[i]. */
#define CX_PAIR_SLOPE(f, expression)                                                           \
    static void T(f##_tile)(const void *context, const cx_tile *t)                             \
    {                                                                                          \
        const cx_pair *p = context;                                                            \
        const REAL *a = (const REAL *)p->x + t->at[1], *b = (const REAL *)p->y + t->at[2];     \
        const REAL *dy = (const REAL *)p->dy + t->at[0], *o = (const REAL *)p->out + t->at[0]; \
        REAL *z = (REAL *)p->to + t->at[0];                                                    \
        for (int64_t r = 0; r < t->rows; r++, a += t->row[1], b += t->row[2]) {                \
            if (p->add) {                                                                      \
                CX_PAIR_LINE(const REAL g = dy[i]; z[i] += (expression))                       \
            } else {                                                                           \
                CX_PAIR_LINE(const REAL g = dy[i]; z[i] = (expression))                        \
            }                                                                                  \
            dy += t->row[0], o += t->row[0], z += t->row[0];                                   \
        }                                                                                      \
        (void)o;                                                                               \
    }

void cx_pair_forward(const cx_value *in, const cx_value *out, cx_tile_fn *tile);
/* din[k] from tile's values, summed where input k was broadcast. */
void cx_pair_backward(const cx_pair *p, const cx_value *in, const cx_value *dout, const cx_value *din, int k,
                      cx_mode mode, void *scratch, cx_tile_fn *tile);
cx_code cx_pair_infer(const char *op, const cx_spec *in, cx_plan *plan, cx_err *err);
/* Scratch for gradients of n broadcast inputs. whole: the products are written out before they are summed. */
cx_code cx_back_scratch(const cx_spec *in, int n, bool whole, cx_plan *plan, cx_err *err);
static inline size_t cx_whole_bytes(const cx_spec *out) /* where the sums' scratch begins */
{
    return ((size_t)cx_count(out) * cx_width(out->dtype) + 63) / 64 * 64;
}
#endif
