/* Variable: a buffer that is copied on write. A call, a tape or a tensor may hold it; who writes is its sole holder. */
#include "binding.h"
#include <structmember.h>
#include <string.h>

static size_t bytes_of(const cx_spec *s)
{
    return (size_t)cx_count(s) * cx_width(s->dtype);
}

int variable_writable(PyObject *o, cx_value *fresh)
{
    cx_value *v = &V(o);
    *fresh = (cx_value){.spec = v->spec};
    return cx_sole(v->block) ? 0 : copy_value(v, fresh);
}

int variable_store(PyObject *o, const cx_value *from, bool share)
{
    cx_value *v = &V(o);
    cx_err err;
    if (share || !v->block || !cx_sole(v->block)) {
        cx_value fresh;
        if (share)
            fresh = cx_share(from);
        else if (cx_value_new(&v->spec, &fresh, &err))
            return raise_error(&err), -1;
        else if (bytes_of(&v->spec))
            memcpy(fresh.data, from->data, bytes_of(&v->spec));
        cx_clear(v);
        *v = fresh;
        cx_lasts(v->block);
    } else if (from->data != v->data && bytes_of(&v->spec)) {
        cx_written(v->block);
        memcpy(v->data, from->data, bytes_of(&v->spec));
    }
    return 0;
}

static PyObject *assign(PyObject *o, PyObject *value)
{
    const cx_spec *spec = &V(o).spec;
    char a[CX_SHAPE_TEXT], b[CX_SHAPE_TEXT];
    if (refuse_symbol(o) < 0) return NULL;
    PyObject *t = as_tensor(value, (int)spec->dtype, true);
    if (!t) return NULL;
    const cx_spec *given = &V(t).spec;
    bool fits = given->ndim == spec->ndim;
    for (int i = 0; fits && i < spec->ndim; i++) fits = given->dim[i] == spec->dim[i];
    int bad = refuse_symbol(t);
    if (!bad && given->dtype != spec->dtype) {
        PyErr_Format(PyExc_TypeError, "`value` must have the variable's dtype %s. Received: dtype=%s; cast it first",
                     cx_dtype_name(spec->dtype), cx_dtype_name(given->dtype));
        bad = -1;
    } else if (!bad && !fits) {
        PyErr_Format(PyExc_ValueError, "`value` must have the variable's shape %s. Received: shape=%s",
                     cx_shape_text(spec, a), cx_shape_text(given, b));
        bad = -1;
    }
    if (!bad) bad = variable_store(o, &V(t), false);
    Py_DECREF(t);
    return bad ? NULL : Py_NewRef(o);
}

static PyObject *value(PyObject *o, PyObject *unused)
{
    (void)unused;
    return apply1(&cx_op_identity, o);
}

static PyObject *variable_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
    (void)args, (void)kw;
    tensor *t = (tensor *)type->tp_alloc(type, 0);
    if (t) t->id = next_id(), t->trainable = true;
    return (PyObject *)t;
}
/* What a variable starts on: the block that this tensor alone has and fills, so that large weights are never there
 * twice; of the two, whoever is written while the other lives gets a copy. */
static int own_value(const tensor *t, cx_value *fresh)
{
    const cx_value *v = &t->v;
    bool alone = !is_variable((PyObject *)t) && v->block && cx_block_data(v->block) == v->data && cx_sole(v->block);
    if (!alone) return copy_value(v, fresh);
    *fresh = cx_share(v);
    return 0;
}
static int variable_init(PyObject *o, PyObject *args, PyObject *kw)
{
    static char *names[] = {"initial_value", "trainable", "dtype", NULL};
    PyObject *given, *dtype = Py_None, *t;
    int trainable = 1, want = OWN_DTYPE, bad;
    cx_dtype d;
    cx_value fresh;
    if (!PyArg_ParseTupleAndKeywords(args, kw, "O|pO", names, &given, &trainable, &dtype)) return -1;
    if (dtype != Py_None) {
        if (dtype_of(dtype, &d) < 0) return -1;
        want = (int)d;
    }
    if (!(t = as_tensor(given, want, true))) return -1;
    bad = refuse_symbol(t);
    if (!bad && want != OWN_DTYPE) Py_SETREF(t, cast_to(t, (cx_dtype)want));
    if (!t) return -1;
    if (!bad && !(bad = own_value((tensor *)t, &fresh))) {
        cx_clear(&V(o));
        V(o) = fresh;
        cx_lasts(fresh.block);
        ((tensor *)o)->trainable = trainable;
    }
    Py_DECREF(t);
    return bad;
}

static PyObject *get_trainable(PyObject *o, void *unused)
{
    (void)unused;
    return PyBool_FromLong(((tensor *)o)->trainable);
}
static int set_trainable(PyObject *o, PyObject *to, void *unused)
{
    (void)unused;
    int truth = to ? PyObject_IsTrue(to) : -1;
    if (!to) PyErr_SetString(PyExc_AttributeError, "`trainable` cannot be deleted");
    if (truth < 0) return -1;
    ((tensor *)o)->trainable = truth;
    return 0;
}
static PyObject *get_priority(PyObject *o, void *unused)
{
    (void)o, (void)unused;
    return PyLong_FromLong(100);
}

static PyMethodDef methods[] = {
    {"assign", assign, METH_O,
     "Replaces the value; in place when nothing else holds the buffer. Returns the variable."},
    {"value", value, METH_NOARGS, "The value now, as a Tensor."},
    {"read_value", value, METH_NOARGS, "The value now, as a Tensor."},
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
    {"shape", get_shape, NULL, "dimensions", NULL},
    {"dtype", get_dtype, NULL, "type of the elements", NULL},
    {"ndim", get_ndim, NULL, "number of dimensions", NULL},
    {"address", get_address, NULL, "address of the first element, for tests", NULL},
    {"trainable", get_trainable, set_trainable, "tapes watch it when it is read", NULL},
    {"__array_priority__", get_priority, NULL, NULL, NULL},
    {0},
};
static PyType_Slot slots[] = {
    TENSOR_PROTOCOLS,
    {Py_tp_new, variable_new},
    {Py_tp_init, variable_init},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {Py_tp_getset, getters},
    {0, NULL},
};
static PyType_Spec spec = {
    .name = "cnnexplain._core.Variable",
    .basicsize = sizeof(tensor),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};
int add_variable_type(PyObject *module)
{
    return (S.Variable = add_type(module, &spec, NULL)) ? 0 : -1;
}
