/* Shared by the files of program/. */
#ifndef CX_INTERNAL_H
#define CX_INTERNAL_H
#include "../cnnexplain.h"

/* A buffer that lives from step first to step last. cx_place gives each an offset in one arena; returns its size. */
typedef struct {
    size_t size, offset;
    int first, last;
    bool used;
} cx_span;
static inline size_t cx_whole(size_t size) /* cache lines */
{
    return (size + 63) / 64 * 64;
}
/* order: the indices of the used spans by rising `first`, n of them; it is overwritten. */
size_t cx_place(cx_span *span, int *order, int n);

/* Makes every slot in want present, in its own block. keeps: what backward will read stays too, in the call's arena. */
cx_code cx_compute(cx_program *p, const bool *want, bool keeps, const cx_host *host, cx_err *err);
void cx_gather(const cx_program *p, const int *slot, int n, cx_value *value);
cx_code cx_poll(const cx_host *host, cx_err *err);
/* This thread is about to run n's kernel; or is done with it. */
static inline void cx_enter(const cx_node *n)
{
    cx_set_team(n->threads), cx_hold_precision((int)n->precision);
}
static inline void cx_leave(void)
{
    cx_set_team(0), cx_hold_precision(-1);
}
/* Puts the form that n's kernel wants into in, makes it if it is worth it. Returns what holds it until the kernel is
 * done, or NULL. */
cx_block *cx_prepare(const cx_node *n, cx_value *in, const cx_value *out, bool back);

/* Shapes and scratch of n by its inputs' slots. */
cx_code cx_infer(const cx_program *p, cx_node *n, cx_plan *plan, cx_err *err);

/* fuse.c. Nodes that run as one kernel: the head's, whose finish does what the others would. Members are places of
 * nodes, -1: none. */
enum { CX_BIAS = 2 }; /* the input of an op with `finished` that is one */
typedef struct {
    int head, pad, affine, sum, clamp;
    int last;            /* of them: where all run forward */
    int plus;            /* slot of the other summand */
    int to;              /* backward: the slot whose gradient is written */
    unsigned char *bits; /* forward: where it notes them, or NULL */
} cx_fusion;
typedef struct {
    int count, first, last; /* nodes that read a slot, or (backward) that add to its gradient */
} cx_uses;
void cx_alone(cx_fusion *c, int head);
/* By slot: which node of this call makes it, or -1; its uses; others ask for the value. */
void cx_fuse(const cx_program *p, int head, const int *maker, const cx_uses *uses, const bool *stays, cx_fusion *c);
/* What runs: the head, or a copy of it in `merged` that does the padding itself. NULL: err says why. */
cx_node *cx_fusion_node(const cx_program *p, const cx_fusion *c, cx_node *merged, cx_err *err);
enum { CX_FUSION_INS = 2 * CX_INS + 1 };
int cx_fusion_inputs(const cx_program *p, const cx_fusion *c, int *slot); /* returns how many */
size_t cx_fusion_rows(const cx_program *p, const cx_fusion *c);           /* bytes of the rows of its finish */
cx_finish cx_finish_of(const cx_program *p, const cx_fusion *c, const cx_value *in, void *rows); /* in: of the head */
/* Does the gradient of n's input need no more of n's output than where it lies between two limits? */
bool cx_gates(const cx_node *n);
/* Can the fusion note that as bits, and in how many bytes? 0: no. */
size_t cx_fusion_bits(const cx_program *p, const cx_fusion *c);
/* By slot: its gradient is needed on the way to a wanted one, wanted, seeded; who of the nodes that run made it, or -1.
 */
typedef struct {
    const bool *need, *fetched, *seeded;
    const int *maker;
    const cx_uses *uses;
} cx_back;
void cx_fuse_back(const cx_program *p, int head, const cx_back *b, const cx_rule *rule, cx_fusion *c);
/* plus: what the gradient of the head's input has got so far, or NULL */
cx_finish cx_finish_back(const cx_program *p, const cx_fusion *c, const void *plus, const cx_rule *rule, void *rows);

/* Refuses a plan that the machine cannot hold, with its sum. */
cx_code cx_afford(size_t bytes, cx_err *err);

/* Can a gradient flow from an output of n to its input i? */
bool cx_carries(const cx_program *p, const cx_node *n, int i);
static inline bool cx_slot_real(const cx_program *p, int slot)
{
    return cx_is_real(p->slot[slot].value.spec.dtype);
}
/* Marks every slot that depends on a marked one. */
void cx_mark_dependents(const cx_program *p, bool *need);
/* derivative.c: the gradients of n as nodes that run its own backward; what cx_op.emit_grad does for others. */
cx_code cx_emit_derivative(cx_program *p, const cx_node *n, const int *dout, int *din, cx_err *err);
const char *cx_derived(const cx_node *n); /* the op whose gradient such a node is; NULL for other nodes */
/* The dtype that picks n's kernel. */
static inline cx_dtype cx_kernel_dtype(const cx_program *p, const cx_node *n)
{
    return p->slot[n->in[n->op->by]].value.spec.dtype;
}
#endif
