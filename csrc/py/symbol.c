/* Symbols and the calls that make them. A symbolic call appends to no program: programs are built by walking back. */
#include "binding.h"
#include <string.h>

/* ids: one for the maker, then one for each output, so that every output of a maker can be named by its id. */
PyObject *symbolic_call(const cx_op *op, const int64_t *attr, PyObject *host, PyObject *const *inputs)
{
    cx_err err;
    int slot[CX_INS];
    PyObject *result = NULL;
    maker *m = NULL;
    cx_program *p = cx_program_new(); /* one node, for its infer */
    if (!p) return PyErr_NoMemory();
    int last = 0;
    for (int i = 0; i < op->most_in; i++) {
        slot[i] = CX_ABSENT;
        if (!inputs[i]) continue;
        last = i + 1;
        if ((slot[i] = cx_add_slot(p, &(cx_value){.spec = V(inputs[i]).spec}, false)) < 0) {
            PyErr_NoMemory();
            goto done;
        }
    }
    const cx_node *n = cx_add_node(p, op, attr, slot, NULL, &err);
    if (!n) {
        raise_error(&err);
        goto done;
    }
    if (!(m = (maker *)S.Maker->tp_alloc(S.Maker, 0))) goto done;
    m->op = op, m->host = Py_XNewRef(host);
    memcpy(m->attr, attr, sizeof m->attr);
    m->id = take_ids(1 + op->n_public);
    if (!(m->inputs = PyTuple_New(last))) goto done;
    for (int i = 0; i < last; i++) PyTuple_SET_ITEM(m->inputs, i, Py_NewRef(inputs[i] ? inputs[i] : Py_None));
    if (!(result = PyTuple_New(op->n_public))) goto done;
    for (int j = 0; j < op->n_public; j++) {
        tensor *t = (tensor *)new_object(S.symbol_class, &(cx_value){.spec = p->slot[n->out[j]].value.spec});
        if (!t) {
            Py_CLEAR(result);
            goto done;
        }
        t->id = m->id + 1 + j, t->port = j, t->maker = Py_NewRef((PyObject *)m);
        PyTuple_SET_ITEM(result, j, (PyObject *)t);
    }
    if (op->n_public == 1) Py_SETREF(result, Py_NewRef(PyTuple_GET_ITEM(result, 0)));
done:
    cx_program_free(p);
    Py_XDECREF((PyObject *)m);
    return result;
}

PyObject *make_symbol(PyObject *module, PyObject *args, PyObject *kw)
{
    static char *names[] = {"shape", "dtype", NULL};
    PyObject *shape, *dtype = NULL, *list;
    cx_value v = {.spec.dtype = CX_F32};
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kw, "O|O", names, &shape, &dtype)) return NULL;
    if (dtype && dtype != Py_None && dtype_of(dtype, &v.spec.dtype) < 0) return NULL;
    if (!(list = PySequence_Fast(shape, "`shape` must be a tuple of integers and None"))) return NULL;
    Py_ssize_t n = PySequence_Fast_GET_SIZE(list);
    bool good = n <= CX_RANK;
    for (Py_ssize_t i = 0; good && i < n; i++) {
        PyObject *item = PySequence_Fast_GET_ITEM(list, i);
        v.spec.dim[i] = item == Py_None ? CX_ANY : PyIndex_Check(item) ? PyNumber_AsSsize_t(item, NULL) : -2;
        good = item == Py_None || v.spec.dim[i] >= 0;
    }
    Py_DECREF(list);
    if (!good) {
        PyErr_Clear();
        return PyErr_Format(PyExc_ValueError,
                            "`shape` must be a tuple of at most %d non-negative integers or None. Received: shape=%R",
                            CX_RANK, shape);
    }
    v.spec.ndim = (int)n;
    return new_object(S.symbol_class, &v);
}

static PyObject *replay(PyObject *self, PyObject *inputs)
{
    maker *m = (maker *)self;
    PyObject *list = PySequence_Fast(inputs, "replay takes a sequence of tensors, None for an absent one"), *result;
    PyObject *given[CX_INS] = {NULL};
    if (!list) return NULL;
    Py_ssize_t n = PySequence_Fast_GET_SIZE(list);
    if (n < m->op->least_in || n > m->op->most_in) {
        Py_DECREF(list);
        return PyErr_Format(PyExc_ValueError, "%s takes %d to %d inputs. Received: %zd", m->op->name, m->op->least_in,
                            m->op->most_in, n);
    }
    for (Py_ssize_t i = 0; i < n; i++) given[i] = PySequence_Fast_GET_ITEM(list, i);
    result = apply_op(m->op, m->attr, m->host, given);
    Py_DECREF(list);
    if (result && m->op->n_public == 1) Py_SETREF(result, PyTuple_Pack(1, result));
    return result;
}
static PyObject *maker_id(PyObject *o, void *unused)
{
    (void)unused;
    return PyLong_FromLongLong(((maker *)o)->id);
}
static PyObject *maker_op(PyObject *o, void *unused)
{
    (void)unused;
    return PyUnicode_FromString(((maker *)o)->op->name);
}
static PyObject *maker_inputs(PyObject *o, void *unused)
{
    (void)unused;
    PyObject *t = ((maker *)o)->inputs;
    return t ? Py_NewRef(t) : PyTuple_New(0);
}
static PyObject *maker_attributes(PyObject *o, void *unused)
{
    (void)unused;
    return attribute_dict(((maker *)o)->op->fields, ((maker *)o)->attr);
}
static PyObject *maker_host(PyObject *o, void *unused)
{
    (void)unused;
    PyObject *host = ((maker *)o)->host;
    return Py_NewRef(host ? host : Py_None);
}
static int maker_traverse(PyObject *o, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(o));
    Py_VISIT(((maker *)o)->host);
    Py_VISIT(((maker *)o)->inputs);
    return 0;
}
static int maker_clear(PyObject *o)
{
    Py_CLEAR(((maker *)o)->host);
    Py_CLEAR(((maker *)o)->inputs);
    return 0;
}
static void maker_dealloc(PyObject *o)
{
    PyTypeObject *type = Py_TYPE(o);
    PyObject_GC_UnTrack(o);
    Py_TRASHCAN_BEGIN(o, maker_dealloc) /* a deep graph is a long chain of makers */
        maker_clear(o);
    type->tp_free(o);
    Py_DECREF(type);
    Py_TRASHCAN_END
}
static PyMethodDef maker_methods[] = {
    {"replay", replay, METH_O, "The same op on other inputs: a tuple of its outputs."},
    {0},
};
static PyGetSetDef maker_getters[] = {
    {"id", maker_id, NULL, "number that rises in order of creation", NULL},
    {"op", maker_op, NULL, "name of the op", NULL},
    {"inputs", maker_inputs, NULL, "tuple of tensors, None for an absent one", NULL},
    {"attributes", maker_attributes, NULL, "dict of the op's attributes", NULL},
    {"host", maker_host, NULL, "the callable of a Python node, or None", NULL},
    {0},
};
static PyType_Slot maker_slots[] = {
    {Py_tp_dealloc, maker_dealloc}, {Py_tp_traverse, maker_traverse}, {Py_tp_clear, maker_clear},
    {Py_tp_methods, maker_methods}, {Py_tp_getset, maker_getters},    {0, NULL},
};
static PyType_Spec maker_spec = {
    .name = "cnnexplain._core.Maker",
    .basicsize = sizeof(maker),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = maker_slots,
};

static PyObject *get_maker(PyObject *o, void *unused)
{
    (void)unused;
    PyObject *m = ((tensor *)o)->maker;
    return Py_NewRef(m ? m : Py_None);
}
static PyObject *get_port(PyObject *o, void *unused)
{
    (void)unused;
    return PyLong_FromLong(((tensor *)o)->port);
}
static PyGetSetDef symbol_getters[] = {
    {"maker", get_maker, NULL, "the call that makes this symbol; None for an input", NULL},
    {"port", get_port, NULL, "which output of its maker this is", NULL},
    {0},
};
static PyType_Slot symbol_slots[] = {
    {Py_tp_dealloc, tensor_dealloc},
    {Py_tp_traverse, tensor_traverse},
    {Py_tp_clear, tensor_clear},
    {Py_tp_getset, symbol_getters},
    {0, NULL},
};
static PyType_Spec symbol_spec = {
    .name = "cnnexplain._core.Symbol",
    .basicsize = sizeof(tensor),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = symbol_slots,
};

int add_symbol_types(PyObject *module)
{
    S.Symbol = S.symbol_class = add_type(module, &symbol_spec, S.Tensor);
    S.Maker = add_type(module, &maker_spec, NULL);
    return S.Symbol && S.Maker ? 0 : -1;
}
