/* What the recurrent cells share with the driver that walks them along a sequence. */
#ifndef CX_RECURRENT_H
#define CX_RECURRENT_H
#include "../kernels/gemm.h"

typedef struct {
    int64_t go_backwards, zero_output, reset_after;
} cx_recurrent_attr;
/* gates: blocks of u columns in the kernels; kept: blocks of a step; states: 2 where a cell state goes with h; resets:
 * a GRU. */
typedef struct {
    const char *name;
    int gates, kept, states;
    bool resets;
} cx_cell;

typedef struct {
    const cx_cell *cell;
    const cx_recurrent_attr *attr;
    cx_dtype dtype;
    int64_t n, t, c, u, width;
    const char *x, *kernel, *recurrent, *bias, *start[2], *dy;
    const bool *mask;
    char *y, *kept, *zeros; /* zeros (u) */
    char *packed[2];        /* the recurrent kernel made ready for the steps; NULL where it is read in place */
    char *sums;             /* (n, gates u): the state's part of the gates, or a gradient of one block */
    char *dx, *dr;          /* (n, t, gates u): gradients of the two parts of the gates; often one */
    char *before;           /* (n, t, u): the state that each step found */
    char *dh, *dc, *dp;     /* (n, u): gradients of the states, and of an output that is repeated */
    void *scratch;
    int64_t step, at, prior; /* at: the step's place in time; prior: that of the one before, -1 at the start */
} cx_sequence;

static inline bool two_parts(const cx_sequence *s)
{
    return s->cell->resets && s->attr->reset_after;
}
/* How many blocks of the recurrent kernel the state meets at once; the last one of a GRU may wait for r. */
static inline int64_t at_once(const cx_sequence *s)
{
    return s->cell->resets && !s->attr->reset_after ? 2 : s->cell->gates;
}
static inline char *kept_at(const cx_sequence *s, int64_t at, int64_t block)
{
    return s->kept + (at * s->cell->kept + block) * s->u * s->width;
}
static inline int64_t kept_row(const cx_sequence *s) /* from one example to the next */
{
    return s->t * s->cell->kept * s->u;
}
static inline bool is_on(const cx_sequence *s, int64_t i)
{
    return !s->mask || s->mask[i * s->t + s->at];
}

typedef void cx_step_fn(cx_sequence *);
/* Block 0.. of the step = what is there, or the bias of the state's part in sums, plus the state found times the
 * recurrent kernel. */
void cx_add_state(const cx_sequence *s, char *to);
cx_gemm cx_step_product(const cx_sequence *s, int64_t first, int64_t blocks);
void cx_pass_back(const cx_sequence *s, int64_t first, int64_t blocks, char *to, bool add);
void cx_step_rows(cx_sequence *s, cx_task *task); /* task over the examples */

cx_code cx_recurrent_infer(const cx_cell *cell, const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err);
void cx_recurrent_forward(const cx_cell *cell, const void *attr, const cx_value *in, const cx_value *out, void *scratch,
                          cx_step_fn *step);
/* give: to (+)= from, both (n, u) */
void cx_recurrent_backward(const cx_cell *cell, const void *attr, const cx_value *in, const cx_value *out,
                           const cx_value *dout, const cx_value *din, const cx_mode *mode, void *scratch,
                           cx_step_fn *step, void (*give)(const char *from, const cx_value *to, cx_mode mode));
#endif
