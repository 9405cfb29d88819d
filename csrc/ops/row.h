/* Sums and maxima along one row of k elements, `step` apart, in eight lanes: an order that vectorises and is the same
 * for every caller. Included once per REAL, like the families. */
#ifndef CX_ROW_H
#define CX_ROW_H
enum { ROW_LANES = 8, ROW_CHUNK = 64 };
#endif

static inline REAL T(row_max)(const REAL *x, int64_t k, int64_t step)
{
    REAL lane[ROW_LANES], top = x[0];
    int64_t i = 0;
    for (int l = 0; l < ROW_LANES; l++) lane[l] = x[0];
    for (; i + ROW_LANES <= k; i += ROW_LANES)
        for (int l = 0; l < ROW_LANES; l++) {
            REAL v = x[(i + l) * step];
            lane[l] = v > lane[l] ? v : lane[l];
        }
    for (; i < k; i++) top = x[i * step] > top ? x[i * step] : top;
    for (int l = 0; l < ROW_LANES; l++) top = lane[l] > top ? lane[l] : top;
    return top;
}

/* Adds n elements; only the last piece of a row may have an n that is no multiple of ROW_LANES. */
static inline void T(row_add)(REAL *lane, const REAL *x, int64_t n, int64_t step)
{
    int64_t i = 0;
    for (; i + ROW_LANES <= n; i += ROW_LANES)
        for (int l = 0; l < ROW_LANES; l++) lane[l] += x[(i + l) * step];
    for (int l = 0; i < n; i++, l++) lane[l] += x[i * step];
}
static inline REAL T(row_fold)(const REAL *lane)
{
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}
static inline REAL T(row_sum)(const REAL *x, int64_t k, int64_t step)
{
    REAL lane[ROW_LANES] = {0};
    T(row_add)(lane, x, k, step);
    return T(row_fold)(lane);
}

/* sum exp(x - top) */
static inline REAL T(row_sum_exp)(const REAL *x, int64_t k, int64_t step, REAL top)
{
    REAL lane[ROW_LANES] = {0}, e[ROW_CHUNK];
    for (int64_t i = 0; i < k; i += ROW_CHUNK) {
        int64_t n = k - i < ROW_CHUNK ? k - i : ROW_CHUNK;
        for (int64_t c = 0; c < n; c++) e[c] = T(exp)(x[(i + c) * step] - top);
        T(row_add)(lane, e, n, 1);
    }
    return T(row_fold)(lane);
}

/* sum x z */
static inline REAL T(row_dot)(const REAL *x, const REAL *z, int64_t k, int64_t step)
{
    REAL lane[ROW_LANES] = {0}, e[ROW_CHUNK];
    for (int64_t i = 0; i < k; i += ROW_CHUNK) {
        int64_t n = k - i < ROW_CHUNK ? k - i : ROW_CHUNK;
        for (int64_t c = 0; c < n; c++) e[c] = x[(i + c) * step] * z[(i + c) * step];
        T(row_add)(lane, e, n, 1);
    }
    return T(row_fold)(lane);
}
