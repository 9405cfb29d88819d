/* cnnexplain core: the one public header. C11; no Python here.
 *
 * Types. A cx_spec is dtype and shape; a cx_value is a spec with a place in a counted block. Arrays are C-contiguous,
 * images NHWC. Sizes are int64_t; products of sizes go through cx_bytes. A dimension may be CX_ANY until memory is
 * planned.
 *
 * A cx_program is nodes (op, attributes) over slots (values). The same structure is three things:
 *   model  slots have specs, no values. Shared, immutable once built.
 *   call   a model, or one eager op, with concrete shapes and values; made by cx_instance, filled by cx_run.
 *   tape   calls joined by cx_append; it shares their values by reference count.
 * A slot number means the same in a model and in every instance of it. A slot is present (has a value) or is
 * recomputed, when something needs it, from slots that are.
 *
 * Life of a call: cx_instance infers every shape -> cx_run marks what the fetched slots need, plans memory, then per
 * node polls, checks and runs the kernel -> cx_append joins the call to every tape that tracks an input ->
 * cx_backward(tape) runs only what lies between seeds and wanted slots, in reverse order of recording.
 *
 * Errors: a function that can fail returns cx_code and fills cx_err; kernels return void and cannot fail. */
#ifndef CNNEXPLAIN_H
#define CNNEXPLAIN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CX_RANK = 8,        /* most dimensions */
    CX_INS = 8,         /* most inputs of an op */
    CX_OUTS = 4,        /* most outputs, hidden ones included */
    CX_ATTR_WORDS = 28, /* attributes: three lists of CX_RANK numbers, each with its length, and one word */
    CX_ANY = -1,        /* a dimension not known yet */
    CX_ABSENT = -1      /* an input not given: its slot and its ndim */
};
typedef enum { CX_F32, CX_F64, CX_I32, CX_I64, CX_U8, CX_I8, CX_BOOL, CX_DTYPES } cx_dtype;
typedef enum {
    CX_OK,
    CX_EVALUE,
    CX_ETYPE,
    CX_ENOMEM,
    CX_EHOST, /* the host holds the exception: a Python node failed, or a signal came */
} cx_code;
typedef struct {
    cx_code code;
    char msg[512];
} cx_err;

/* ---- core/error.c, core/shape.c ---- */
typedef struct {
    cx_dtype dtype;
    int ndim; /* CX_ABSENT: an optional input that was not given */
    int64_t dim[CX_RANK];
} cx_spec;

cx_code cx_fail(cx_err *err, cx_code code, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;
const char *cx_dtype_name(cx_dtype d);
size_t cx_width(cx_dtype d);
static inline bool cx_is_real(cx_dtype d)
{
    return d == CX_F32 || d == CX_F64;
}
int64_t cx_count(const cx_spec *s);                            /* of a concrete spec that cx_bytes accepted */
bool cx_known(const cx_spec *s);                               /* no dimension is CX_ANY */
cx_code cx_bytes(const cx_spec *s, size_t *size, cx_err *err); /* overflow-checked, also if empty; refuses CX_ANY */
cx_code cx_multiply(size_t a, size_t b, size_t *product, cx_err *err);
bool cx_fits(int64_t a, int64_t b); /* equal, or one unknown */
bool cx_same_spec(const cx_spec *a, const cx_spec *b);
enum { CX_SHAPE_TEXT = 200 };
const char *cx_shape_text(const cx_spec *s, char *text); /* "(None, 28, 28, 1)" into CX_SHAPE_TEXT bytes */

/* ---- core/memory.c: counted blocks, the only ownership in the core ---- */
typedef struct cx_block cx_block; /* atomic count, 64-byte aligned data, release function */
typedef struct {
    cx_spec spec;
    void *data;       /* NULL: not present */
    cx_block *block;  /* holds data; may be NULL inside one call */
    const void *form; /* in a kernel: what cx_op.make made of it; NULL: the kernel does so itself */
} cx_value;

cx_block *cx_block_new(size_t size);                            /* uninitialised; NULL: out of memory */
cx_block *cx_block_wrap(void *object, void (*release)(void *)); /* owns an object of the host */
void *cx_block_data(cx_block *b);
cx_block *cx_keep(cx_block *b);  /* +1; NULL passes */
void cx_drop(cx_block *b);       /* -1; NULL passes */
bool cx_sole(const cx_block *b); /* one holder: may be written in place */
cx_value cx_share(const cx_value *v);
void cx_clear(cx_value *v);
cx_code cx_value_new(const cx_spec *s, cx_value *v, cx_err *err);
void *cx_alloc(size_t size); /* zeroed; every other allocation of the core. NULL: out of memory */
void cx_free(void *p);
void cx_kernel(bool inside); /* between true and false an allocation counts as a fault of this thread */
int64_t cx_faults(void);     /* allocations made inside kernels; must stay 0 */
void cx_clear_caches(void);  /* gives the freed blocks kept for reuse, and all forms, back to the system */
size_t cx_cached_bytes(void);

/* ---- core/forms.c: what kernels make of lasting values (packed, transformed), once for each version ---- */
enum { CX_FORM_KEY = 12 };
typedef struct {
    size_t size; /* 0: nothing is to be made */
    int64_t key[CX_FORM_KEY];
} cx_form;
void cx_lasts(cx_block *b);         /* a variable's or a constant's: forms of it may be kept */
bool cx_lasting(const cx_value *v); /* whole block that lasts */
void cx_written(cx_block *b);       /* whoever writes a lasting block in place says so: its forms go */
/* The kept form, held for the caller, or NULL. *make: it is worth making, and cx_form_keep takes it. */
cx_block *cx_form_find(cx_block *b, const cx_form *f, bool *make);
void cx_form_keep(cx_block *b, const cx_form *f, cx_block *data);
void cx_form_at_once(bool yes);    /* in this thread the first request is worth it: the values are said to stay */
void cx_form_budget(size_t bytes); /* most that all forms may take */
size_t cx_form_bytes(void);
int64_t cx_forms_made(void); /* so far, for tests */

/* ---- core/platform_posix.c ---- */
size_t cx_memory_available(void); /* what the machine and its cgroup still allow */
int cx_cpu_count(void);           /* min(affinity, cgroup quota), at least 1 */
double cx_seconds(void);          /* monotonic */

/* ---- core/threads.c: one pool, static splits ---- */
/* Runs task over [0, n) in at most `team` contiguous parts of at least `grain`; part k is worker k. The calling thread
 * takes part 0. When the pool is busy with another call, or inside a task, all runs here as one part per worker number
 * would: results must not depend on the split. */
typedef void cx_task(void *context, int64_t begin, int64_t end, int worker);
void cx_parallel(int64_t n, int64_t grain, cx_task *task, void *context);
int cx_threads(void);       /* the setting: how many workers a call may use, 1..CX_MOST_THREADS */
void cx_set_threads(int n); /* 0: back to cx_cpu_count() */
int cx_get_team(void);      /* what cx_set_team set */
void cx_set_team(int n);    /* most parts for cx_parallel of this thread; the executor sets it for each node */
enum { CX_MOST_THREADS = 64 };
int64_t cx_worker_runs(void); /* parts that ran on a pool thread so far, for tests */

/* ---- core/cpu.c: chosen once at start ---- */
typedef enum { CX_PORTABLE, CX_AVX2, CX_AVX512 } cx_isa;
cx_isa cx_get_isa(void);
const char *cx_isa_name(cx_isa isa);
/* isa: "portable", "avx2", "avx512" or NULL for the best this machine runs; an unknown or unsupported one is an error.
 */
cx_code cx_start(const char *isa, cx_err *err);

/* ---- core/precision.c ---- */
/* fast: any algorithm within 1e-6 of |x| conv |w|; strict: none that rounds more than sums of at most 128 terms. A node
 * keeps what was set when its shapes were inferred, because its scratch and its forms depend on it. */
typedef enum { CX_FAST, CX_STRICT } cx_precision;
void cx_set_precision(cx_precision p);
cx_precision cx_get_precision(void); /* held by this thread, or else as set */
void cx_hold_precision(int p);       /* for this thread: a node's; -1: no longer */

/* ---- ops ---- */
/* What an op is to an interpreter other than forward and backward (LRP, the deconvnet). */
typedef enum { CX_LINEAR, CX_GATE, CX_ROUTE, CX_SUM, CX_VIEW, CX_OTHER } cx_kind;
typedef enum { CX_SKIP, CX_WRITE, CX_ADD } cx_mode;
typedef struct {
    enum { CX_TRUE_GATE, CX_GUIDED, CX_RECTIFIED } gate;   /* how a ReLU passes gradients */
    enum { CX_OVERLAP_SUM, CX_OVERLAP_OVERWRITE } overlap; /* how overlapping unpooling adds */
} cx_rule;

typedef enum {
    CX_INT,    /* int64_t */
    CX_REAL,   /* double */
    CX_FLAG,   /* int64_t, 0 or 1 */
    CX_PAIR,   /* int64_t[2]; an integer stands for both */
    CX_LIST,   /* cx_list of integers; an integer is a list of one; None: n = CX_ABSENT */
    CX_CHOICE, /* int64_t: place in a space-separated list */
    CX_TYPE,   /* int64_t: a cx_dtype */
} cx_type;
#define CX_MOST 9007199254740992.0 /* 2^53: a limit that every size respects and a double holds exactly */
typedef struct {
    int64_t n, v[CX_RANK];
} cx_list;
typedef struct {
    const char *name;
    cx_type type;
    size_t offset;
    bool required;
    double preset, low, high; /* INT, PAIR, LIST, REAL, FLAG, CHOICE, TYPE; an absent LIST has n = CX_ABSENT */
    const char *choices;
} cx_field;

typedef struct {
    int threads;          /* in: workers that forward and backward may see */
    cx_spec out[CX_OUTS]; /* out */
    size_t scratch, scratch_back;
} cx_plan;
/* What every infer needs, in core/shape.c. NumPy broadcasting of the given inputs 0..n-1 with CX_ANY carried through;
 * out->dtype is left alone. */
cx_code cx_broadcast(const char *op, const cx_spec *in, int n, cx_spec *out, cx_err *err);
/* axes (may be negative; n CX_ABSENT: all) -> a mask of rank ndim; refuses out of range and duplicates. */
cx_code cx_axes(const char *op, const cx_list *axes, int ndim, bool *mask, cx_err *err);

typedef struct cx_program cx_program;
typedef struct cx_node cx_node;

typedef void cx_forward_fn(const void *attr, const cx_value *in, const cx_value *out, void *scratch);
typedef void cx_backward_fn(const void *attr, const cx_value *in, const cx_value *out, const cx_value *dout,
                            const cx_value *din, const cx_mode *mode, void *scratch, const cx_rule *rule);
/* What becomes of a kernel's sums on their way to memory, in this order and in the sums' own precision: times scale
 * plus shift; plus an array; 0 unless the gate's element lies between 0 and limit; kept between low and high, where NaN
 * stays NaN; times rate. All zero, or NULL where a pointer is taken: the sums as they are. */
typedef struct {
    const void *scale, *shift, *rate; /* a number for each element of y's last dimension; NULL: 1, 0, 1 */
    const void *plus;                 /* an array like y, or y itself */
    const void *gate;                 /* an array like y: what the ReLU before y has put out */
    const unsigned char *bits;        /* the gate as bits, see opened */
    double limit;                     /* INFINITY, or the ReLU's greatest value */
    bool clamp;
    double low, high;
    unsigned char *opened; /* NULL, or where to note, a bit for each element of y, which lie between 0 and high */
} cx_finish;
enum { CX_WHOLE = 16 }; /* floats: whole vectors of every instruction set */
bool cx_has_bits(void); /* kernels/gate.c: does this instruction set know bits? */
/* dx (+)= dy, finished: where no other kernel takes a finish of bits. */
void cx_pass_bits(const cx_finish *f, int64_t n, const float *dy, bool add, float *dx);
#define CX_IN(k) (1u << (k))
#define CX_OUT(k) (256u << (k))
#define CX_EVERY_IN 255u

/* One op. Inputs given are in[0..); an absent one has spec.ndim CX_ABSENT and data NULL, also past the last.
 *
 * infer     checks shapes and attributes; fills plan->out (hidden outputs too) and the scratch sizes. Before it the
 *           program has checked the number of inputs, that forward[dtype of in[by]] exists and that `alike` are alike.
 * check     optional: reads values that can be wrong although shapes are right; reports the first bad one.
 * forward   by the dtype of in[by]; NULL: that dtype is refused with a TypeError.
 * backward  float32, float64. mode[i]: SKIP (din[i].data may be NULL), WRITE, or ADD into what is there. Inputs are to
 *           be handled in order 0.. because din[i] and din[j] are one buffer when a slot is given twice. din never
 *           aliases dout. dout[j].data is NULL when that output has no gradient. Only values in `reads` are present.
 *           NULL: not differentiable.
 * A VIEW has neither: its output is in[0]'s memory under another shape. */
typedef struct cx_op {
    const char *name;
    cx_kind kind;
    int least_in, most_in, n_out, n_public; /* outputs past n_public are only kept for backward */
    int by;
    unsigned alike;         /* CX_IN bits: inputs of one dtype. Arrays and numbers among them take the tensors' dtype */
    const cx_field *fields; /* ends with name NULL */
    cx_code (*infer)(const void *attr, const cx_spec *in, cx_plan *plan, cx_err *err);
    cx_code (*check)(const void *attr, const cx_value *in, cx_err *err);
    cx_forward_fn *forward[CX_DTYPES];
    cx_backward_fn *backward[2];
    /* Optional: in[formed] in a form that is kept while it lasts, for forward or (back) for the gradient of in[0]. form
     * says what is wanted; make writes it. The kernel finds it in in[formed].form, or makes it in scratch. */
    int formed;
    void (*form)(const void *attr, const cx_value *in, const cx_value *out, bool back, cx_form *f);
    void (*make)(const void *attr, const cx_value *in, const cx_value *out, bool back, void *form);
    /* Optional: forward, and the gradient of in[0] alone, with a finish. f->shift has the bias in it already. */
    void (*finished)(const void *attr, const cx_value *in, const cx_value *out, void *scratch, const cx_finish *f);
    void (*finished_back)(const void *attr, const cx_value *in, const cx_value *out, const cx_value *dout, void *dx,
                          void *scratch, const cx_finish *f);
    /* Optional: what this op is as a part of a finish. affine: in[0] * scale + shift, rows of in[0]'s dtype; bias, a
     * row or NULL, is added to in[0] first; for a gradient only what in[0]'s reads is present. clamp: in[0] kept
     * between low and high; false: it is more than that. */
    void (*affine)(const void *attr, const cx_value *in, const void *bias, void *scale, void *shift);
    bool (*clamp)(const void *attr, double *low, double *high);
    /* Optional: `finished` finishes whole vectors and can note bits, where y's last dimension is CX_WHOLE numbers. */
    bool (*even)(const void *attr, const cx_value *in);
    /* Optional. zeros: the op only puts so many zeros (top, bottom, left, right) around its images; false: it does
     * more. padded: the attributes with which this op does that to in[0] itself; false: it cannot. */
    bool (*zeros)(const void *attr, int64_t *pads);
    bool (*padded)(const void *attr, const int64_t *pads, void *merged);
    unsigned reads[CX_INS]; /* the values that din[i] is computed from: CX_IN, CX_OUT */
    unsigned adds;          /* CX_IN bits: that gradient can only be added to; the executor clears first */
    unsigned constant;      /* CX_IN bits: real inputs that carry no gradient by definition */
    bool stops;             /* no gradient passes (stop_gradient, round) */
    bool host;              /* runs through cx_host */
    int logits;             /* 1 + the input that is the logits of out[0]; 0: none */
    /* Optional: the backward written as registry ops, for second derivatives. din[i] comes in as 0 (wanted) or
     * CX_ABSENT and leaves as the slot of that gradient in p; dout[j] is a slot or CX_ABSENT. */
    cx_code (*emit_grad)(cx_program *p, const cx_node *node, const int *dout, int *din, cx_err *err);
} cx_op;

#define X(name) extern const cx_op cx_op_##name;
#include "ops.def"
#undef X
const cx_op *cx_op_find(const char *name); /* NULL: no such op */
const cx_op *cx_op_at(int i);              /* NULL past the last */

/* One optimizer step on one variable: w, gradient and state are n contiguous values. The gradient is scaled and kept in
 * [-limit, limit] and w loses decay * w before the rule, which works on a piece. step counts from 1. */
enum { CX_CONSTANTS = 6 };
typedef struct cx_update {
    const char *name;
    int n_state;
    const cx_field *fields;
    void (*constants)(const void *attr, int64_t step, double *constant);
    void (*rule[2])(const double *constant, int64_t n, void *w, const void *g, void *const *state);
} cx_update;
typedef struct {
    const cx_update *update;
    const void *attr;
    int64_t step;
    double scale, limit, decay; /* 1, INFINITY, 0: the gradient and w as they are */
} cx_step;
void cx_take_step(const cx_step *s, cx_dtype dtype, int64_t n, void *w, const void *g, void *const *state);
double cx_sum_of_squares(const cx_value *v);
#define X(name) extern const cx_update cx_update_##name;
#include "updates.def"
#undef X
const cx_update *cx_update_find(const char *name);

/* ---- programs ---- */
struct cx_node {
    const cx_op *op;
    int64_t attr[CX_ATTR_WORDS];
    int in[CX_INS], out[CX_OUTS]; /* slots; CX_ABSENT */
    int threads;                  /* what infer planned scratch for */
    cx_precision precision;
    size_t scratch, scratch_back;
    cx_block *host;  /* the host's callable */
    cx_block *state; /* what the host's forward left for its backward; one per call */
};
typedef struct {
    cx_value value;
    bool tracked; /* a tape may ask for its gradient */
    /* Of a ReLU's output, whose gradient needs no more of it: cx_finish.opened, in a block; the value may be absent. */
    unsigned char *bits;
    cx_block *bits_block;
} cx_slot;
struct cx_program {
    cx_slot *slot;
    int n_slot, cap_slot;
    cx_node *node;
    int n_node, cap_node;
    bool trains;                 /* the gradients of all tracked slots will be asked for */
    int64_t forwards, backwards; /* kernels run, for tests */
};
/* What the core asks of whoever embeds it. Any member may be NULL. */
typedef struct cx_host {
    void *self;
    cx_code (*poll)(void *self, cx_err *err); /* between nodes: signals, progress */
    cx_code (*forward)(void *self, cx_node *n, const cx_value *in, const cx_value *out, bool tracked, cx_err *err);
    cx_code (*backward)(void *self, cx_node *n, const cx_value *in, const cx_value *dout, const cx_value *din,
                        const cx_mode *mode, const cx_rule *rule, cx_err *err);
} cx_host;

cx_program *cx_program_new(void); /* NULL: out of memory */
void cx_program_free(cx_program *p);
/* Shares v. Returns the slot, or -1: out of memory. */
int cx_add_slot(cx_program *p, const cx_value *v, bool tracked);
/* in: op->most_in slots or CX_ABSENT. Runs infer; makes the output slots. The pointer is good until the next node. */
cx_node *cx_add_node(cx_program *p, const cx_op *op, const void *attr, const int *in, cx_block *host, cx_err *err);
/* Appends src's nodes. map (src->n_slot long): in, the dst slot to use or -1; out, where each src slot went. */
cx_code cx_append(cx_program *dst, const cx_program *src, int *map, cx_err *err);
/* A call of the model: a copy with feed[i] in slot[i], every shape inferred again and met with what was known. */
cx_code cx_instance(const cx_program *model, const int *slot, const cx_value *feed, const bool *tracked, int n,
                    cx_program **call, cx_err *err);
/* Makes the fetched slots present, computing only what they need. Everything is planned before the first kernel.
 * Fetched values get blocks of their own. */
cx_code cx_run(cx_program *p, const int *fetch, int n, const cx_host *host, cx_err *err);
/* grad[i] (zeroed by the caller): d(sum of seeds)/d wanted[i], in a block of its own; data NULL where unconnected. */
cx_code cx_backward(cx_program *p, const int *seed, const cx_value *dvalue, int n_seed, const int *wanted, int n_wanted,
                    const cx_rule *rule, const cx_host *host, cx_value *grad, cx_err *err);
/* The same as nodes of p, for an outer tape: seed slots hold the gradients of the target slots; grad[i] becomes the
 * slot of each gradient, or CX_ABSENT. An op without emit_grad gives nodes that run its backward and that an outer
 * gradient cannot pass. */
cx_code cx_emit_backward(cx_program *p, const int *target, const int *seed, int n_seed, const int *wanted, int n_wanted,
                         int *grad, cx_err *err);
#endif
