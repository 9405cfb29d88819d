/* The only Python in the house: objects over the core's values and programs.
 *
 * convert.c     numbers, arrays and dtypes in and out        attributes.c  keywords to op attributes and back
 * host.c        GIL, signals, Python nodes                   call.c        one op: eager or symbolic
 * tensor.c      Tensor, and what Variable shares with it     operators.c   arithmetic, comparison;  index.c  t[...]
 * variable.c    Variable                                     symbol.c      Symbol, Maker
 * tape.c        recording;  gradient.c  asking a tape        program.c     Program;  instance.c;  train.c
 *
 * A function that returns int gives -1, one that returns an object gives NULL, with a Python exception set. */
#ifndef CX_BINDING_H
#define CX_BINDING_H
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#define NPY_NO_DEPRECATED_API NPY_1_23_API_VERSION
#define NPY_TARGET_VERSION NPY_1_23_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL cx_numpy_api
#ifndef CX_IMPORTS_NUMPY
#define NO_IMPORT_ARRAY
#endif
#include <numpy/arrayobject.h>
#include "../cnnexplain.h"

/* Tensor, Symbol and Variable share one layout. id is never reused and rises: tapes and programs know a tensor by it,
 * it knows neither. A Symbol has no data; its spec may hold CX_ANY. */
typedef struct {
    PyObject_HEAD int64_t id;
    cx_value v;
    int port;       /* which output of maker */
    bool trainable; /* Variable: tapes watch it when it is read */
    bool borrowed;  /* the data is a caller's array: nobody may keep it after the call */
    PyObject *maker, *logits, *history, *mask, *weakrefs;
} tensor;
#define V(o) (((tensor *)(o))->v)
#define ID(o) (((tensor *)(o))->id)

/* A symbolic call of an op. Its id is one less than that of its first output; outputs follow each other. */
typedef struct {
    PyObject_HEAD int64_t id;
    const cx_op *op;
    int64_t attr[CX_ATTR_WORDS];
    PyObject *host, *inputs; /* inputs: tuple of tensors, None for an absent one */
} maker;

/* id -> slots, newest first. */
typedef struct {
    int64_t id;
    int slot, older;
} id_entry;
typedef struct {
    id_entry *entry;
    int n, cap;
    int *table, mask; /* open addressing; -1 is free */
} id_map;
int id_find(const id_map *m, int64_t id);    /* index of the newest entry, or -1 */
int id_slot(const id_map *m, int64_t id);    /* newest slot, or -1 */
int id_add(id_map *m, int64_t id, int slot); /* -1: out of memory, exception set */
void id_clear(id_map *m);

/* A model: nodes over slots, with the Python objects that its slots stand for. */
typedef struct {
    PyObject_HEAD cx_program *p;
    id_map ids;
    PyObject *inputs, *outputs; /* tuples of Symbol */
    PyObject *leaves;           /* list: the inputs, then Variables and constant Tensors as met */
    PyObject *updates;          /* tuple of (Variable, Symbol) */
    PyObject *tensors;          /* list by slot: the object, or None where no Symbol was met */
} program;

/* One interpreter per process (the module refuses others), so what the module needs everywhere is one static struct:
 * filled when the module is executed, kept to the end. */
typedef struct {
    PyTypeObject *Tensor, *Symbol, *Variable, *Maker, *Program, *Instance, *Tape;
    PyTypeObject *tensor_class, *symbol_class; /* what calls create: the Python subclasses once registered */
    PyObject *dtype[CX_DTYPES], *shape_class;  /* registered; NULL: plain strings and tuples */
    PyObject *index_hook;                      /* f(tensor, key) for keys with arrays in them */
} binding_state;
extern binding_state S;

/* ---- convert.c ---- */
int64_t next_id(void);
int64_t take_ids(int64_t n); /* the first of n */
PyObject *raise_error(const cx_err *err);
static inline bool is_symbol(PyObject *o)
{
    return PyObject_TypeCheck(o, S.Symbol);
}
static inline bool is_variable(PyObject *o)
{
    return PyObject_TypeCheck(o, S.Variable);
}
static inline bool is_tensor(PyObject *o) /* any of the three */
{
    return Py_IS_TYPE(o, S.tensor_class) || PyObject_TypeCheck(o, S.Tensor) || is_variable(o);
}
PyObject *new_tensor(const cx_value *v); /* shares v */
PyObject *new_object(PyTypeObject *type, const cx_value *v);
enum { OWN_DTYPE = -1 };
/* A new reference to o, or a Tensor made of an array or number. want: the dtype to take (OWN_DTYPE: its own).
 * borrow: an array that already has the right layout is not copied; only for what nobody keeps. */
PyObject *as_tensor(PyObject *o, int want, bool borrow);
int natural_dtype(PyObject *o); /* that of a tensor, array or number; OWN_DTYPE: nothing to learn from o */
int copy_value(const cx_value *from, cx_value *to);
PyObject *new_array(const cx_spec *s); /* uninitialised, writable */
PyObject *array_of(const cx_value *v); /* fresh, writable */
PyObject *view_of(const cx_value *v);  /* read-only, holds the block */
PyObject *shape_object(const cx_spec *s);
PyObject *dtype_object(cx_dtype d);
int dtype_of(PyObject *o, cx_dtype *d); /* DType, string, NumPy dtype or type, Python type */
int refuse_symbol(PyObject *o);         /* raises when o has no values */
const char *buffer_format(cx_dtype d);

/* ---- attributes.c ---- */
void default_attributes(const cx_field *fields, int64_t *attr);
int parse_attributes(const char *name, const cx_field *fields, PyObject *const *values, PyObject *names, int64_t *attr);
int parse_attribute_dict(const char *name, const cx_field *fields, PyObject *dict, int64_t *attr);
void *attribute(const cx_op *op, int64_t *attr, const char *name);
PyObject *attribute_dict(const cx_field *fields, const int64_t *attr);
PyObject *field_list(const cx_field *fields);
int choose(const char *name, const char *choices, PyObject *o); /* place in a space-separated list */

/* ---- host.c ---- */
typedef struct {
    cx_host host;
    PyThreadState *thread; /* NULL: the GIL was not released */
    double polled;
} runner;
void start_run(runner *r, bool release);
void end_run(runner *r);
cx_block *hold(PyObject *o);                                          /* a block that owns a reference */
int visit_hosts(const cx_program *p, visitproc visit, void *context); /* for traverse: what only p holds */
int run_program(cx_program *p, const int *fetch, int n, bool release);

/* ---- call.c ---- */
extern _Thread_local bool symbolic_mode;
extern _Thread_local PyObject *assigned; /* dict, id of a Variable -> what is read instead of it; or NULL */
PyObject *call_op(const cx_op *op, PyObject *const *args, Py_ssize_t n, PyObject *names);
/* The same with parsed attributes; inputs: most_in tensors, arrays or numbers, NULL or None for an absent one. */
PyObject *apply_op(const cx_op *op, const int64_t *attr, PyObject *host, PyObject *const *inputs);
PyObject *apply1(const cx_op *op, PyObject *x);
PyObject *apply2(const cx_op *op, PyObject *x, PyObject *y);
PyObject *cast_to(PyObject *x, cx_dtype d);
/* A call whose slots are fed: runs it, wraps out[0..n), offers it to the tapes. leaf[i] stands behind leaf_slot[i].
 * also: slots that must be present too. result: n new references. */
int finish_call(cx_program *p, PyObject *const *leaf, const int *leaf_slot, int n_leaf, const int *out, int n,
                const int *also, int n_also, bool release, PyObject **result);

/* ---- symbol.c ---- */
PyObject *symbolic_call(const cx_op *op, const int64_t *attr, PyObject *host, PyObject *const *inputs);
PyObject *make_symbol(PyObject *module, PyObject *args, PyObject *kw);

/* ---- tape.c, gradient.c ---- */
typedef struct {
    PyObject_HEAD cx_program *p;
    id_map ids;   /* of tensors: a variable has one slot for each buffer it had */
    int64_t *key; /* by slot: names the same value in every tape that recorded it */
    int cap_key;
    PyObject *variables; /* watched, in order */
    bool persistent, watch_accessed, used;
    int paused;
    int busy; /* gradients that walk over it, some with the GIL released: it may not change */
} tape;
enum { MOST_TAPES = 64 };
extern _Thread_local tape *active_tapes[MOST_TAPES]; /* this thread's, innermost last; holds references */
extern _Thread_local int n_active_tapes;
int tape_refuse_busy(const tape *t);
bool tape_recording(void); /* does any tape of this thread record? */
bool tape_tracked(PyObject *t);
int tape_record(const cx_program *call, PyObject *const *leaf, const int *leaf_slot, int n_leaf, PyObject *const *outs,
                const int *out, int n);
int tape_append(tape *t, const cx_program *call, int *map, int64_t base);
int tape_remember(tape *t, PyObject *o, int slot);
int tape_leave(tape *t);
int64_t leaf_key(PyObject *o, const cx_value *v); /* v: its value in the call */
/* fn(*inputs) with this thread's tapes hidden; out: NULL, or receives a private tape that watches the inputs. */
PyObject *tape_private(PyObject *inputs, PyObject *fn, PyObject **out);
PyObject *ones_of(const cx_spec *spec);
/* List of gradients, None where unconnected. seeds[i] may be NULL: ones. */
PyObject *tape_gradients(tape *t, PyObject *const *targets, PyObject *const *seeds, Py_ssize_t n_target,
                         PyObject *const *sources, Py_ssize_t n_source, const cx_rule *rule);
PyObject *tape_gradient_method(PyObject *self, PyObject *args, PyObject *kw);
PyObject *plain_backward(cx_program *p, const int *seed, const cx_value *dvalue, int n_seed, const int *wanted,
                         int n_wanted, const cx_rule *rule);

/* ---- variable.c ---- */
int variable_store(PyObject *variable, const cx_value *v, bool share); /* v has the variable's spec */
int variable_writable(PyObject *variable, cx_value *fresh);            /* fresh.data NULL: it is sole holder already */

/* ---- program.c, instance.c, train.c ---- */
int program_slot(const program *g, PyObject *symbol, const char *what); /* -1 with an exception: not in this program */
int program_convert(const program *g, PyObject *args, bool borrow, PyObject **inputs); /* args: a tuple or list */
/* feed[i] goes to slot[i]; the variables bring their values. tracked NULL: what the tapes track; else tracked[i] for
 * the feeds, and the variables named in `variables`. */
cx_program *program_instance(const program *g, const int *slot, PyObject *const *feed, const bool *tracked, int n,
                             const id_map *variables);
PyObject *fetch_value(cx_program *p, int slot); /* a present value as a Tensor that pins no arena */
/* The values that updates give their variables, checked; stored by program_store, which cannot fail. */
int program_update_slots(const program *g, int *slot);
int program_collect(const program *g, const cx_program *p, PyObject *const *leaf, int n_leaf, cx_value *value);
void program_store(const program *g, cx_value *value);
int parse_rule(PyObject *gate, PyObject *overlap, cx_rule *rule);
PyObject *program_run(PyObject *self, PyObject *args, PyObject *kw);
PyObject *program_train_step(PyObject *self, PyObject *args, PyObject *kw);

/* ---- the types ---- */
PyTypeObject *add_type(PyObject *module, PyType_Spec *spec, PyTypeObject *base);
int add_tensor_types(PyObject *module);
int add_variable_type(PyObject *module);
int add_symbol_types(PyObject *module);
int add_tape_type(PyObject *module);
int add_program_type(PyObject *module);
int add_instance_type(PyObject *module);
int add_explain_functions(PyObject *module); /* explain.c */

/* What Tensor and Variable have in common. */
PyObject *tensor_numpy(PyObject *o, PyObject *unused);
PyObject *tensor_array(PyObject *o, PyObject *args, PyObject *kw);
int tensor_buffer(PyObject *o, Py_buffer *view, int flags);
void tensor_buffer_release(PyObject *o, Py_buffer *view);
cx_block *buffered_block(const Py_buffer *view); /* what a buffer of tensor_buffer lies in; NULL: it is none */
Py_ssize_t tensor_length(PyObject *o);
int tensor_truth(PyObject *o);
PyObject *tensor_float(PyObject *o);
PyObject *tensor_int(PyObject *o);
PyObject *tensor_index(PyObject *o);
PyObject *tensor_compare(PyObject *a, PyObject *b, int how);
PyObject *tensor_subscript(PyObject *o, PyObject *key);
int tensor_no_assignment(PyObject *o, PyObject *key, PyObject *value);
int tensor_traverse(PyObject *o, visitproc visit, void *arg);
int tensor_clear(PyObject *o);
void tensor_dealloc(PyObject *o);
PyObject *nb_add(PyObject *a, PyObject *b);
PyObject *nb_subtract(PyObject *a, PyObject *b);
PyObject *nb_multiply(PyObject *a, PyObject *b);
PyObject *nb_divide(PyObject *a, PyObject *b);
PyObject *nb_floor_divide(PyObject *a, PyObject *b);
PyObject *nb_remainder(PyObject *a, PyObject *b);
PyObject *nb_power(PyObject *a, PyObject *b, PyObject *modulo);
PyObject *nb_matmul(PyObject *a, PyObject *b);
PyObject *nb_and(PyObject *a, PyObject *b);
PyObject *nb_or(PyObject *a, PyObject *b);
PyObject *nb_xor(PyObject *a, PyObject *b);
PyObject *nb_negative(PyObject *a);
PyObject *nb_positive(PyObject *a);
PyObject *nb_absolute(PyObject *a);
PyObject *nb_invert(PyObject *a);
PyObject *get_shape(PyObject *o, void *unused);
PyObject *get_dtype(PyObject *o, void *unused);
PyObject *get_ndim(PyObject *o, void *unused);
PyObject *get_id(PyObject *o, void *unused);
PyObject *get_address(PyObject *o, void *unused);

#define TENSOR_PROTOCOLS                                                                                               \
    {Py_tp_dealloc, tensor_dealloc}, {Py_tp_traverse, tensor_traverse}, {Py_tp_clear, tensor_clear},                   \
        {Py_tp_hash, PyObject_HashNotImplemented}, {Py_tp_richcompare, tensor_compare}, {Py_mp_length, tensor_length}, \
        {Py_mp_subscript, tensor_subscript}, {Py_mp_ass_subscript, tensor_no_assignment},                              \
        {Py_bf_getbuffer, tensor_buffer}, {Py_bf_releasebuffer, tensor_buffer_release}, {Py_nb_bool, tensor_truth},    \
        {Py_nb_float, tensor_float}, {Py_nb_int, tensor_int}, {Py_nb_index, tensor_index}, {Py_nb_add, nb_add},        \
        {Py_nb_subtract, nb_subtract}, {Py_nb_multiply, nb_multiply}, {Py_nb_true_divide, nb_divide},                  \
        {Py_nb_floor_divide, nb_floor_divide}, {Py_nb_remainder, nb_remainder}, {Py_nb_power, nb_power},               \
        {Py_nb_matrix_multiply, nb_matmul}, {Py_nb_and, nb_and}, {Py_nb_or, nb_or}, {Py_nb_xor, nb_xor},               \
        {Py_nb_negative, nb_negative}, {Py_nb_positive, nb_positive}, {Py_nb_absolute, nb_absolute},                   \
    {                                                                                                                  \
        Py_nb_invert, nb_invert                                                                                        \
    }
#endif
