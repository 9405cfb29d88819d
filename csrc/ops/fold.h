/* Reductions of contiguous arrays over any axes, in passes over (outer, count, inner) shapes. Blocks and the order in
 * them follow from count and inner alone, so a result depends neither on threads nor on its neighbours in a batch; sums
 * are pairwise: the error grows with the logarithm of count. */
#ifndef CX_FOLD_H
#define CX_FOLD_H
#include "../cnnexplain.h"

typedef enum { CX_FOLD_SUM, CX_FOLD_PRODUCT, CX_FOLD_MAX, CX_FOLD_MIN } cx_fold_kind;
enum { CX_FOLD_PASSES = 24 };
/* (outer, count, inner) -> (outer, ceil(count / chunk), inner) */
typedef struct {
    int64_t outer, count, inner, chunk;
} cx_fold_pass;
typedef struct {
    int passes;
    cx_fold_pass pass[CX_FOLD_PASSES];
    int64_t results;
    bool empty;     /* no element is reduced: every result is the identity */
    size_t scratch; /* bytes */
} cx_fold;

/* dim and mask (true: reduced) have rank entries. The array must be one that cx_bytes accepted. */
cx_fold cx_fold_plan(int rank, const int64_t *dim, const bool *mask, cx_dtype dtype);
/* to = result / divisor, or to += that. */
void cx_fold_run(const cx_fold *f, cx_fold_kind kind, cx_dtype dtype, const void *from, void *to, int64_t divisor,
                 cx_mode mode, void *scratch);

/* The reduction that undoes the broadcasting of an array of shape `to` to shape `from`. */
cx_fold cx_fold_back(const cx_spec *from, const cx_spec *to);
#endif
