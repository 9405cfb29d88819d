/* Tensor: an immutable view of an aligned buffer; and what Variable and Symbol share with it. */
#include "binding.h"
#include <structmember.h>
#include <string.h>

PyObject *tensor_numpy(PyObject *o, PyObject *unused)
{
    (void)unused;
    if (refuse_symbol(o) < 0) return NULL;
    PyObject *a = array_of(&V(o));
    return a ? PyArray_Return((PyArrayObject *)a) : NULL; /* rank 0: a NumPy scalar, as TensorFlow gives */
}

/* NumPy 2's protocol: copy=None and copy=False look at the buffer, read-only; copy=True is a fresh array. */
PyObject *tensor_array(PyObject *o, PyObject *args, PyObject *kw)
{
    static char *names[] = {"dtype", "copy", NULL};
    PyObject *dtype = Py_None, *copy = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kw, "|OO", names, &dtype, &copy) || refuse_symbol(o) < 0) return NULL;
    int fresh = copy == Py_None ? 0 : PyObject_IsTrue(copy);
    if (fresh < 0) return NULL;
    PyObject *a = fresh ? array_of(&V(o)) : view_of(&V(o));
    PyArray_Descr *want = NULL;
    if (!a || dtype == Py_None) return a;
    if (!PyArray_DescrConverter(dtype, &want)) return Py_DECREF(a), NULL;
    if (PyArray_EquivTypes(want, PyArray_DESCR((PyArrayObject *)a))) return Py_DECREF(want), a;
    if (copy == Py_False) {
        PyErr_Format(PyExc_ValueError, "an array of dtype %S cannot be made from a tensor of dtype %s without a copy",
                     want, cx_dtype_name(V(o).spec.dtype));
        Py_DECREF(want), Py_DECREF(a);
        return NULL;
    }
    Py_SETREF(a, PyArray_CastToType((PyArrayObject *)a, want, 0)); /* takes the reference to want */
    return a;
}

int tensor_buffer(PyObject *o, Py_buffer *view, int flags)
{
    cx_value *v = &V(o);
    view->obj = NULL;
    if (!v->data || flags & PyBUF_WRITABLE) {
        PyErr_SetString(PyExc_BufferError,
                        v->data ? "a tensor's buffer is read-only" : "a symbolic tensor has no values");
        return -1;
    }
    if ((flags & PyBUF_F_CONTIGUOUS) == PyBUF_F_CONTIGUOUS && v->spec.ndim > 1) {
        PyErr_SetString(PyExc_BufferError, "a tensor's buffer is in C order");
        return -1;
    }
    Py_ssize_t *sizes = PyMem_Malloc(2 * CX_RANK * sizeof *sizes), *strides = sizes + CX_RANK;
    if (!sizes) return PyErr_NoMemory(), -1;
    Py_ssize_t width = (Py_ssize_t)cx_width(v->spec.dtype), stride = width;
    for (int i = v->spec.ndim; i-- > 0;) {
        sizes[i] = (Py_ssize_t)v->spec.dim[i], strides[i] = stride;
        stride *= sizes[i];
    }
    /* The view holds the block, not only the object: a Variable that is assigned meanwhile gets a new buffer. */
    *view = (Py_buffer){.buf = v->data,
                        .obj = Py_NewRef(o),
                        .len = (Py_ssize_t)cx_count(&v->spec) * width,
                        .itemsize = width,
                        .readonly = 1,
                        .ndim = flags & PyBUF_ND ? v->spec.ndim : 1,
                        .format = flags & PyBUF_FORMAT ? (char *)buffer_format(v->spec.dtype) : NULL,
                        .shape = flags & PyBUF_ND ? sizes : NULL,
                        .strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? strides : NULL};
    void **held = PyMem_Malloc(2 * sizeof *held);
    if (!held) {
        PyMem_Free(sizes);
        Py_CLEAR(view->obj);
        return PyErr_NoMemory(), -1;
    }
    held[0] = sizes, held[1] = cx_keep(v->block);
    view->internal = held;
    return 0;
}
void tensor_buffer_release(PyObject *o, Py_buffer *view)
{
    void **held = view->internal;
    (void)o;
    cx_drop(held[1]);
    PyMem_Free(held[0]), PyMem_Free(held);
}

cx_block *buffered_block(const Py_buffer *view)
{
    return view->obj && is_tensor(view->obj) ? ((void **)view->internal)[1] : NULL;
}

/* The one element as a NumPy scalar. */
static PyObject *element(PyObject *o, const char *what)
{
    if (is_symbol(o))
        return PyErr_Format(PyExc_TypeError,
                            "%s of a symbolic tensor is not known when a model is built: do the computation inside a "
                            "Layer, or on the model's output",
                            what);
    if (refuse_symbol(o) < 0) return NULL;
    if (cx_count(&V(o).spec) != 1) {
        char text[CX_SHAPE_TEXT];
        return PyErr_Format(PyExc_TypeError, "%s needs a tensor of one element. Received: shape=%s", what,
                            cx_shape_text(&V(o).spec, text));
    }
    cx_value v = V(o);
    v.spec.ndim = 0;
    PyObject *a = array_of(&v);
    return a ? PyArray_Return((PyArrayObject *)a) : NULL;
}
PyObject *tensor_float(PyObject *o)
{
    PyObject *x = element(o, "float()");
    if (x) Py_SETREF(x, PyNumber_Float(x));
    return x;
}
PyObject *tensor_int(PyObject *o)
{
    PyObject *x = element(o, "int()");
    if (x) Py_SETREF(x, PyNumber_Long(x));
    return x;
}
PyObject *tensor_index(PyObject *o)
{
    cx_dtype d = V(o).spec.dtype;
    if (cx_is_real(d) || d == CX_BOOL || V(o).spec.ndim)
        return PyErr_Format(PyExc_TypeError, "only an integer tensor of rank 0 can be used as an index");
    PyObject *x = element(o, "the value");
    if (x) Py_SETREF(x, PyNumber_Long(x));
    return x;
}
int tensor_truth(PyObject *o)
{
    if (V(o).data && cx_count(&V(o).spec) != 1) {
        PyErr_SetString(PyExc_ValueError, "the truth value of a tensor with more than one element is ambiguous: use "
                                          "reduce_any() or reduce_all()");
        return -1;
    }
    PyObject *x = element(o, "the truth value");
    int truth = x ? PyObject_IsTrue(x) : -1;
    Py_XDECREF(x);
    return truth;
}
Py_ssize_t tensor_length(PyObject *o)
{
    const cx_spec *s = &V(o).spec;
    if (!s->ndim) {
        PyErr_SetString(PyExc_TypeError, "a tensor of rank 0 has no len()");
        return -1;
    }
    if (s->dim[0] == CX_ANY) {
        PyErr_SetString(PyExc_TypeError, "len() of this symbolic tensor is not known yet: its first dimension is None");
        return -1;
    }
    return (Py_ssize_t)s->dim[0];
}

PyObject *get_shape(PyObject *o, void *unused)
{
    (void)unused;
    return shape_object(&V(o).spec);
}
PyObject *get_dtype(PyObject *o, void *unused)
{
    (void)unused;
    return dtype_object(V(o).spec.dtype);
}
PyObject *get_ndim(PyObject *o, void *unused)
{
    (void)unused;
    return PyLong_FromLong(V(o).spec.ndim);
}
PyObject *get_id(PyObject *o, void *unused)
{
    (void)unused;
    return PyLong_FromLongLong(ID(o));
}
PyObject *get_address(PyObject *o, void *unused)
{
    (void)unused;
    return PyLong_FromVoidPtr(V(o).data);
}
static PyObject *get_logits(PyObject *o, void *unused)
{
    (void)unused;
    tensor *t = (tensor *)o;
    if (t->logits) return Py_NewRef(t->logits);
    maker *m = (maker *)t->maker; /* symbolic: the maker's input */
    if (m && m->op->logits && !t->port && m->inputs) return Py_NewRef(PyTuple_GET_ITEM(m->inputs, m->op->logits - 1));
    Py_RETURN_NONE;
}
static PyObject *get_history(PyObject *o, void *unused)
{
    (void)unused;
    PyObject *h = ((tensor *)o)->history;
    return Py_NewRef(h ? h : Py_None);
}
static int set_history(PyObject *o, PyObject *value, void *unused)
{
    (void)unused;
    Py_XINCREF(value);
    Py_XSETREF(((tensor *)o)->history, value);
    return 0;
}
static PyObject *get_mask(PyObject *o, void *unused)
{
    (void)unused;
    PyObject *mask = ((tensor *)o)->mask;
    return Py_NewRef(mask ? mask : Py_None);
}
static int set_mask(PyObject *o, PyObject *value, void *unused)
{
    (void)unused;
    Py_XINCREF(value);
    Py_XSETREF(((tensor *)o)->mask, value);
    return 0;
}
static PyObject *get_priority(PyObject *o, void *unused) /* ndarray * Tensor is a Tensor */
{
    (void)o, (void)unused;
    return PyLong_FromLong(100);
}

int tensor_traverse(PyObject *o, visitproc visit, void *arg)
{
    tensor *t = (tensor *)o;
    Py_VISIT(Py_TYPE(o));
    Py_VISIT(t->maker);
    Py_VISIT(t->logits);
    Py_VISIT(t->history);
    Py_VISIT(t->mask);
    return 0;
}
int tensor_clear(PyObject *o)
{
    tensor *t = (tensor *)o;
    Py_CLEAR(t->maker);
    Py_CLEAR(t->logits);
    Py_CLEAR(t->history);
    Py_CLEAR(t->mask);
    return 0;
}
void tensor_dealloc(PyObject *o)
{
    PyTypeObject *type = Py_TYPE(o);
    PyObject_GC_UnTrack(o);
    Py_TRASHCAN_BEGIN(o, tensor_dealloc) if (((tensor *)o)->weakrefs) PyObject_ClearWeakRefs(o);
    tensor_clear(o);
    cx_clear(&V(o));
    type->tp_free(o);
    Py_DECREF(type);
    Py_TRASHCAN_END
}

static PyMethodDef methods[] = {
    {"numpy", tensor_numpy, METH_NOARGS, "A fresh, writable array; a NumPy scalar for rank 0."},
    {"__array__", (PyCFunction)(void (*)(void))tensor_array, METH_VARARGS | METH_KEYWORDS, NULL},
    {0},
};
static PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(tensor, weakrefs), READONLY, NULL},
    {0},
};
static PyGetSetDef getters[] = {
    {"id", get_id, NULL, "number that rises in order of creation and is never used again", NULL},
    {"shape", get_shape, NULL, "dimensions; None where not known yet", NULL},
    {"dtype", get_dtype, NULL, "type of the elements", NULL},
    {"ndim", get_ndim, NULL, "number of dimensions", NULL},
    {"logits", get_logits, NULL, "the input of the softmax or sigmoid that made this tensor, or None", NULL},
    {"history", get_history, set_history, "whatever the layer that made this symbol left", NULL},
    {"_keras_mask", get_mask, set_mask, "a bool tensor, true where a step of a sequence counts, or None", NULL},
    {"address", get_address, NULL, "address of the first element, for tests", NULL},
    {"__array_priority__", get_priority, NULL, NULL, NULL},
    {0},
};
static PyType_Slot slots[] = {
    TENSOR_PROTOCOLS, {Py_tp_methods, methods}, {Py_tp_members, members}, {Py_tp_getset, getters}, {0, NULL},
};
static PyType_Spec spec = {
    .name = "cnnexplain._core.Tensor",
    .basicsize = sizeof(tensor),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};
int add_tensor_types(PyObject *module)
{
    return (S.Tensor = S.tensor_class = add_type(module, &spec, NULL)) ? 0 : -1;
}
