/* Dense products and the library that may help with them. */
#ifndef CX_GEMM_H
#define CX_GEMM_H
#include "kernels.h"

/* C (rows, columns) = op(A) op(B) + bias for every index of a batch. turn: the matrix is stored transposed. Along axis
 * d of the batch the matrices move by a_step[d].. elements; where C does not move the products are added up, in order.
 * onto: to what C holds. bias is NULL or one row for all, A not being turned. packed is NULL, or B as cx_gemm_pack left
 * it, for one B that serves many products. */
typedef struct {
    cx_dtype dtype;
    bool turn_a, turn_b, onto;
    int64_t rows, columns, inner, lda, ldb, ldc;
    const void *a, *b, *bias, *packed;
    void *c;
    int axes;
    int64_t batch[CX_RANK], a_step[CX_RANK], b_step[CX_RANK], c_step[CX_RANK];
} cx_gemm;
size_t cx_gemm_scratch(const cx_gemm *g, int *threads);
void cx_gemm_run(const cx_gemm *g, void *scratch);
size_t cx_gemm_packed_size(const cx_gemm *g); /* bytes; 0: the product reads B in place */
void cx_gemm_pack(const cx_gemm *g, void *packed);

/* OpenBLAS serves convolutions where no tuned kernel does; it is opened at the first such call. */
const char *cx_blas_library(void);   /* what the build chose: a path, a name beside the extension, or NULL */
void cx_blas_path(const char *path); /* where it is, absolute; NULL: none */
const char *cx_blas_name(void);      /* "none", or the path once it was found to work */
/* Is there a cblas_?gemm that the portable kernels should give way to? */
bool cx_blas_ready(void);
/* C = A B. Only after cx_blas_ready. */
void cx_blas_gemm(cx_dtype dtype, int64_t rows, int64_t columns, int64_t inner, const void *a, int64_t lda,
                  const void *b, int64_t ldb, void *c, int64_t ldc);
#endif
