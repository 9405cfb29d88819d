/* The module: one function for each registered op, expanded from ops.def, and the few that are not ops. */
#define CX_IMPORTS_NUMPY
#include "binding.h"
#include "../kernels/gemm.h"
#include <stdlib.h>
#include <string.h>

binding_state S;

#define X(name)                                                                              \
    static PyObject *call_##name(PyObject *m, PyObject *const *a, Py_ssize_t n, PyObject *k) \
    {                                                                                        \
        (void)m;                                                                             \
        return call_op(&cx_op_##name, a, n, k);                                              \
    }
#include "../ops.def"
#undef X

static PyObject *make_tensor(PyObject *m, PyObject *args, PyObject *kw)
{
    static char *names[] = {"value", "dtype", NULL};
    PyObject *value, *dtype = Py_None;
    cx_dtype d;
    (void)m;
    if (!PyArg_ParseTupleAndKeywords(args, kw, "O|O", names, &value, &dtype)) return NULL;
    if (dtype != Py_None && dtype_of(dtype, &d) < 0) return NULL;
    int want = dtype == Py_None ? OWN_DTYPE : (int)d;
    PyObject *t = as_tensor(value, want, false);
    if (!t && want != OWN_DTYPE && PyArray_Check(value) && PyErr_ExceptionMatches(PyExc_TypeError)) {
        PyErr_Clear(); /* an array with an explicit dtype is cast like a tensor: 1.5 gives 1 */
        t = as_tensor(value, OWN_DTYPE, false);
    }
    if (t && is_variable(t)) Py_SETREF(t, apply1(&cx_op_identity, t));
    if (t && want != OWN_DTYPE) Py_SETREF(t, cast_to(t, d));
    return t;
}

static PyObject *next_id_function(PyObject *m, PyObject *unused)
{
    (void)m, (void)unused;
    return PyLong_FromLongLong(next_id());
}

static int set_class(PyTypeObject **place, PyObject *to, PyTypeObject *base)
{
    if (!to || to == Py_None) return 0;
    if (!PyType_Check(to) || !PyType_IsSubtype((PyTypeObject *)to, base)) {
        PyErr_Format(PyExc_TypeError, "expected a subclass of %s. Received: %R", base->tp_name, to);
        return -1;
    }
    *place = (PyTypeObject *)Py_NewRef(to); /* kept to the end, as the rest of S */
    return 0;
}
static PyObject *register_classes(PyObject *m, PyObject *args, PyObject *kw)
{
    static char *names[] = {"Tensor", "Symbol", "dtypes", "TensorShape", "index", NULL};
    PyObject *tensor_class = NULL, *symbol_class = NULL, *dtypes = NULL, *shape = NULL, *index = NULL;
    (void)m;
    if (!PyArg_ParseTupleAndKeywords(args, kw, "|OOOOO", names, &tensor_class, &symbol_class, &dtypes, &shape,
                                     &index) ||
        set_class(&S.tensor_class, tensor_class, S.Tensor) < 0 ||
        set_class(&S.symbol_class, symbol_class, S.Symbol) < 0)
        return NULL;
    for (int i = 0; dtypes && dtypes != Py_None && i < CX_DTYPES; i++) {
        PyObject *d = PyMapping_GetItemString(dtypes, cx_dtype_name((cx_dtype)i));
        if (!d) return NULL;
        Py_XSETREF(S.dtype[i], d);
    }
    if (shape && shape != Py_None) Py_XSETREF(S.shape_class, Py_NewRef(shape));
    if (index && index != Py_None) Py_XSETREF(S.index_hook, Py_NewRef(index));
    Py_RETURN_NONE;
}

static PyObject *untaped(PyObject *m, PyObject *args)
{
    (void)m;
    if (!PyTuple_GET_SIZE(args)) return PyErr_Format(PyExc_TypeError, "untaped(function, *arguments)");
    PyObject *rest = PyTuple_GetSlice(args, 1, PyTuple_GET_SIZE(args));
    PyObject *y = rest ? tape_private(rest, PyTuple_GET_ITEM(args, 0), NULL) : NULL;
    Py_XDECREF(rest);
    return y;
}
static PyObject *is_recording(PyObject *m, PyObject *unused)
{
    (void)m, (void)unused;
    return PyBool_FromLong(tape_recording());
}

static PyObject *symbolic(PyObject *m, PyObject *to)
{
    (void)m;
    int truth = PyDict_Check(to) ? 1 : PyObject_IsTrue(to);
    if (truth < 0) return NULL;
    PyObject *before = symbolic_mode && assigned ? assigned : PyBool_FromLong(symbolic_mode);
    if (before != assigned) Py_XDECREF(assigned);
    assigned = PyDict_Check(to) ? Py_NewRef(to) : NULL;
    symbolic_mode = truth;
    return before;
}

static PyObject *set_threads(PyObject *m, PyObject *o)
{
    (void)m;
    Py_ssize_t n = PyIndex_Check(o) ? PyNumber_AsSsize_t(o, NULL) : -1;
    if (n < 0 || n > CX_MOST_THREADS) {
        PyErr_Clear();
        return PyErr_Format(PyExc_ValueError, "`n` must be an integer from 0 (all) to %d. Received: n=%R",
                            CX_MOST_THREADS, o);
    }
    cx_set_threads((int)n);
    Py_RETURN_NONE;
}
static PyObject *get_threads(PyObject *m, PyObject *unused)
{
    (void)m, (void)unused;
    return PyLong_FromLong(cx_threads());
}
static PyObject *set_precision(PyObject *m, PyObject *o)
{
    const int p = choose("precision", "fast strict", o);
    (void)m;
    if (p < 0) return NULL;
    cx_set_precision((cx_precision)p);
    Py_RETURN_NONE;
}
static PyObject *get_precision(PyObject *m, PyObject *unused)
{
    (void)m, (void)unused;
    return PyUnicode_FromString(cx_get_precision() == CX_STRICT ? "strict" : "fast");
}
static PyObject *isa(PyObject *m, PyObject *unused)
{
    (void)m, (void)unused;
    return PyUnicode_FromString(cx_isa_name(cx_get_isa()));
}
static PyObject *blas(PyObject *m, PyObject *unused)
{
    (void)m, (void)unused;
    return PyUnicode_DecodeFSDefault(cx_blas_name());
}
static PyObject *faults(PyObject *m, PyObject *unused)
{
    (void)m, (void)unused;
    return PyLong_FromLongLong(cx_faults());
}
static PyObject *clear_caches(PyObject *m, PyObject *unused)
{
    (void)m, (void)unused;
    cx_clear_caches();
    Py_RETURN_NONE;
}
static PyObject *forms(PyObject *m, PyObject *unused)
{
    (void)m, (void)unused;
    return Py_BuildValue("(Ln)", (long long)cx_forms_made(), (Py_ssize_t)cx_form_bytes());
}
static PyObject *worker_runs(PyObject *m, PyObject *unused)
{
    (void)m, (void)unused;
    return PyLong_FromLongLong(cx_worker_runs());
}

static PyObject *op_names(PyObject *m, PyObject *unused)
{
    PyObject *list = PyList_New(0);
    (void)m, (void)unused;
    for (int i = 0; list && cx_op_at(i); i++) {
        PyObject *name = PyUnicode_FromString(cx_op_at(i)->name);
        if (!name || PyList_Append(list, name) < 0) Py_CLEAR(list);
        Py_XDECREF(name);
    }
    return list;
}
static PyObject *dtype_list(const cx_op *op)
{
    PyObject *list = PyList_New(0);
    for (int d = 0; list && d < CX_DTYPES; d++) {
        if (!op->forward[d] && op->kind != CX_VIEW && !op->host) continue;
        PyObject *name = PyUnicode_FromString(cx_dtype_name((cx_dtype)d));
        if (!name || PyList_Append(list, name) < 0) Py_CLEAR(list);
        Py_XDECREF(name);
    }
    return list;
}
static PyObject *op_info(PyObject *m, PyObject *o)
{
    static const char *const kinds[] = {"linear", "gate", "route", "sum", "view", "other"};
    (void)m;
    const char *name = PyUnicode_Check(o) ? PyUnicode_AsUTF8(o) : NULL;
    const cx_op *op = name ? cx_op_find(name) : NULL;
    if (!op) return PyErr_Format(PyExc_ValueError, "no op is named %R; op_names() lists them", o);
    bool differentiable = op->backward[0] || op->kind == CX_VIEW || op->host;
    return Py_BuildValue("{s:s,s:s,s:i,s:i,s:i,s:i,s:i,s:I,s:I,s:I,s:O,s:O,s:O,s:O,s:i,s:N,s:N}", "name", op->name,
                         "kind", kinds[op->kind], "least_in", op->least_in, "most_in", op->most_in, "n_out", op->n_out,
                         "n_public", op->n_public, "by", op->by, "alike", op->alike, "constant", op->constant, "adds",
                         op->adds, "differentiable", differentiable ? Py_True : Py_False, "stops",
                         op->stops ? Py_True : Py_False, "host", op->host ? Py_True : Py_False, "second_derivative",
                         op->emit_grad ? Py_True : Py_False, "logits", op->logits, "dtypes", dtype_list(op), "fields",
                         field_list(op->fields));
}

PyTypeObject *add_type(PyObject *module, PyType_Spec *spec, PyTypeObject *base)
{
    PyObject *bases = base ? PyTuple_Pack(1, base) : NULL;
    PyTypeObject *type = base && !bases ? NULL : (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, bases);
    Py_XDECREF(bases);
    if (type && PyModule_AddType(module, type) < 0) Py_CLEAR(type);
    return type; /* the reference stays with S */
}

static int read_environment(void)
{
    cx_err err;
    const char *asked = getenv("CNNEXPLAIN_ISA"), *threads = getenv("CNNEXPLAIN_NUM_THREADS");
    err.code = CX_OK;
    if (cx_start(asked && *asked ? asked : NULL, &err)) return raise_error(&err), -1;
    if (!threads || !*threads) return 0;
    char *end;
    long n = strtol(threads, &end, 10);
    if (*end || n < 0 || n > CX_MOST_THREADS) {
        PyErr_Format(PyExc_ValueError, "`CNNEXPLAIN_NUM_THREADS` must be an integer from 0 (all) to %d. Received: %s",
                     CX_MOST_THREADS, threads);
        return -1;
    }
    cx_set_threads((int)n);
    return 0;
}

/* Tells the kernels where the library of this build is: a bare name lies beside the extension. */
static int find_blas(PyObject *m)
{
    const char *name = cx_blas_library();
    if (!name) return 0;
    if (strchr(name, '/')) return cx_blas_path(name), 0;
    PyObject *spec = PyObject_GetAttrString(m, "__spec__"), *bytes = NULL;
    PyObject *origin = spec ? PyObject_GetAttrString(spec, "origin") : NULL;
    const char *file = origin && PyUnicode_FSConverter(origin, &bytes) ? PyBytes_AS_STRING(bytes) : NULL;
    const char *slash = file ? strrchr(file, '/') : NULL;
    PyObject *path = slash ? PyBytes_FromStringAndSize(file, slash - file + 1) : NULL;
    if (path) PyBytes_ConcatAndDel(&path, PyBytes_FromString(name));
    if (path) cx_blas_path(PyBytes_AS_STRING(path));
    Py_XDECREF(path), Py_XDECREF(bytes), Py_XDECREF(origin), Py_XDECREF(spec);
    return PyErr_Occurred() ? -1 : 0;
}

static int execute(PyObject *m)
{
    if (S.Tensor) {
        PyErr_SetString(PyExc_ImportError, "cnnexplain._core can be loaded once in a process");
        return -1;
    }
    import_array1(-1);
    if (read_environment() < 0 || find_blas(m) < 0) return -1;
    return add_tensor_types(m) < 0 || add_variable_type(m) < 0 || add_symbol_types(m) < 0 || add_tape_type(m) < 0 ||
                   add_program_type(m) < 0 || add_instance_type(m) < 0 || add_explain_functions(m) < 0
               ? -1
               : 0;
}

#define FUNCTION(f) (PyCFunction)(void (*)(void)) f
static PyMethodDef functions[] = {
#define X(name) {#name, FUNCTION(call_##name), METH_FASTCALL | METH_KEYWORDS, NULL},
#include "../ops.def"
#undef X
    {"tensor", FUNCTION(make_tensor), METH_VARARGS | METH_KEYWORDS,
     "tensor(value, dtype=None): a Tensor of a copy of value. Python floats give float32, ints int32."},
    {"symbol", FUNCTION(make_symbol), METH_VARARGS | METH_KEYWORDS,
     "symbol(shape, dtype=\"float32\"): an input. None stands for a dimension not known yet."},
    {"next_id", next_id_function, METH_NOARGS, "A number higher than that of every tensor, maker and node so far."},
    {"register", FUNCTION(register_classes), METH_VARARGS | METH_KEYWORDS,
     "register(Tensor, Symbol, dtypes, TensorShape, index): the Python classes that C creates and calls."},
    {"untaped", untaped, METH_VARARGS, "untaped(function, *arguments): the call, unseen by this thread's tapes."},
    {"is_recording", is_recording, METH_NOARGS, "True when a tape of this thread records."},
    {"symbolic", symbolic, METH_O,
     "symbolic(flag): while True, ops on Variables make symbols, on this thread. A dict {id of a Variable: Symbol} is "
     "True, and these symbols are read instead of the Variables. Returns the flag before."},
    {"set_threads", set_threads, METH_O, "Most threads for one call; 0: all CPUs that this process may use."},
    {"get_threads", get_threads, METH_NOARGS, "Most threads for one call."},
    {"set_precision", set_precision, METH_O, "\"fast\", or \"strict\": no algorithm that rounds more."},
    {"get_precision", get_precision, METH_NOARGS, "\"fast\" or \"strict\"."},
    {"isa", isa, METH_NOARGS, "Instruction set of the kernels: portable, avx2 or avx512."},
    {"blas", blas, METH_NOARGS, "The BLAS library that serves where no tuned kernel does, or none."},
    {"faults", faults, METH_NOARGS, "Allocations made inside kernels so far; must be 0."},
    {"clear_caches", clear_caches, METH_NOARGS, "Returns memory kept for reuse to the system."},
    {"forms", forms, METH_NOARGS, "(forms of weights made so far, bytes of those kept now), for tests."},
    {"worker_runs", worker_runs, METH_NOARGS, "Parts of kernels that ran on pool threads so far."},
    {"op_names", op_names, METH_NOARGS, "Names of all ops."},
    {"op_info", op_info, METH_O, "What the registry says about an op: a dict."},
    {0},
};
static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, execute},
#if PY_VERSION_HEX >= 0x030c00f0
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
    {0, NULL},
};
static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "cnnexplain._core",
    .m_doc = "The engine: tensors, tapes and programs over kernels in C.",
    .m_methods = functions,
    .m_slots = slots,
};
PyMODINIT_FUNC PyInit__core(void)
{
    return PyModuleDef_Init(&definition);
}
