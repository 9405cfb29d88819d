/* Instance: one call of a program whose inner slots stay addressable; what explanations are made of. */
#include "binding.h"

typedef struct {
    PyObject_HEAD cx_program *p;
    program *g;
    bool busy;  /* a thread is in it with the GIL released */
    bool stays; /* its variables keep their values for further calls */
} instance;

int parse_rule(PyObject *gate, PyObject *overlap, cx_rule *rule)
{
    int g = !gate || gate == Py_None ? 0 : choose("gate", "true guided rectified", gate);
    int o = !overlap || overlap == Py_None ? 0 : choose("overlap", "sum overwrite", overlap);
    if (g < 0 || o < 0) return -1;
    rule->gate = g, rule->overlap = o;
    return 0;
}

static int occupy(instance *i)
{
    if (i->busy || !i->p) {
        PyErr_SetString(PyExc_RuntimeError, "this Instance is in use by another thread: run the program again there");
        return -1;
    }
    i->busy = true;
    return 0;
}

/* Pairs (symbol, value) to slots and tensors of the slots' dtypes. */
static int parse_pairs(const program *g, PyObject *list, const char *what, int *slot, PyObject **value)
{
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(list); i++) {
        PyObject *pair = PySequence_Fast(PySequence_Fast_GET_ITEM(list, i), "expected pairs (symbol, value)");
        int bad = !pair;
        if (!bad && PySequence_Fast_GET_SIZE(pair) != 2) {
            PyErr_Format(PyExc_ValueError, "`%s` must be pairs (symbol, value)", what);
            bad = 1;
        }
        if (!bad) bad = (slot[i] = program_slot(g, PySequence_Fast_GET_ITEM(pair, 0), what)) < 0;
        if (!bad) {
            int dtype = (int)g->p->slot[slot[i]].value.spec.dtype;
            value[i] = as_tensor(PySequence_Fast_GET_ITEM(pair, 1), dtype, false);
            bad = !value[i] || refuse_symbol(value[i]) < 0;
        }
        Py_XDECREF(pair);
        if (bad) return -1;
    }
    return 0;
}

PyObject *program_run(PyObject *self, PyObject *args, PyObject *kw)
{
    static char *names[] = {"feeds", "fetches", "track", "stays", NULL};
    program *g = (program *)self;
    PyObject *feeds, *fetches, **value = NULL, *result = NULL, *pairs = NULL, *wanted = NULL;
    int track = 1, stays = 0, *slot = NULL, *fetch = NULL;
    bool *tracked = NULL;
    Py_ssize_t n = 0, m = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kw, "OO|pp", names, &feeds, &fetches, &track, &stays)) return NULL;
    if (!(pairs = PySequence_Fast(feeds, "`feeds` must be a list of (symbol, value)")) ||
        !(wanted = PySequence_Fast(fetches, "`fetches` must be a list of symbols")))
        goto done;
    n = PySequence_Fast_GET_SIZE(pairs), m = PySequence_Fast_GET_SIZE(wanted);
    value = PyMem_Calloc((size_t)n + 1, sizeof *value), slot = PyMem_Malloc((size_t)(n + m + 1) * sizeof *slot);
    tracked = PyMem_Malloc((size_t)n + 1);
    if (!value || !slot || !tracked) {
        PyErr_NoMemory();
        goto done;
    }
    fetch = slot + n;
    if (parse_pairs(g, pairs, "feeds", slot, value) < 0) goto done;
    for (Py_ssize_t i = 0; i < n; i++) tracked[i] = track;
    for (Py_ssize_t i = 0; i < m; i++)
        if ((fetch[i] = program_slot(g, PySequence_Fast_GET_ITEM(wanted, i), "fetches")) < 0) goto done;
    instance *made = (instance *)S.Instance->tp_alloc(S.Instance, 0);
    if (!made) goto done;
    made->g = (program *)Py_NewRef(self), made->stays = stays;
    made->p = program_instance(g, slot, value, tracked, (int)n, NULL);
    cx_form_at_once(stays);
    int bad = !made->p || run_program(made->p, fetch, (int)m, true) < 0;
    cx_form_at_once(false);
    if (!bad)
        result = (PyObject *)made;
    else
        Py_DECREF((PyObject *)made);
done:
    for (Py_ssize_t i = 0; value && i < n; i++) Py_XDECREF(value[i]);
    PyMem_Free(value), PyMem_Free(slot), PyMem_Free(tracked);
    Py_XDECREF(pairs), Py_XDECREF(wanted);
    return result;
}

static PyObject *instance_value(PyObject *self, PyObject *o)
{
    instance *i = (instance *)self;
    int slot = program_slot(i->g, o, "argument");
    if (slot < 0 || occupy(i) < 0) return NULL;
    int bad = i->p->slot[slot].value.data ? 0 : run_program(i->p, &slot, 1, true);
    i->busy = false;
    return bad ? NULL : fetch_value(i->p, slot);
}

static PyObject *instance_backward(PyObject *self, PyObject *args, PyObject *kw)
{
    static char *names[] = {"seeds", "wanted", "gate", "overlap", NULL};
    instance *in = (instance *)self;
    PyObject *seeds, *wanted, *gate = NULL, *overlap = NULL, *pairs = NULL, *list = NULL, **value = NULL;
    PyObject *result = NULL;
    cx_rule rule;
    cx_value *dvalue = NULL;
    int *from = NULL;
    char a[CX_SHAPE_TEXT], b[CX_SHAPE_TEXT];
    Py_ssize_t n = 0, m = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kw, "OO|OO", names, &seeds, &wanted, &gate, &overlap) ||
        parse_rule(gate, overlap, &rule) < 0)
        return NULL;
    if (!(pairs = PySequence_Fast(seeds, "`seeds` must be a list of (symbol, value)")) ||
        !(list = PySequence_Fast(wanted, "`wanted` must be a list of symbols and variables")))
        goto done;
    n = PySequence_Fast_GET_SIZE(pairs), m = PySequence_Fast_GET_SIZE(list);
    value = PyMem_Calloc((size_t)n + 1, sizeof *value), dvalue = PyMem_Malloc((size_t)(n + 1) * sizeof *dvalue);
    from = PyMem_Malloc((size_t)(n + m + 1) * sizeof *from);
    if (!value || !dvalue || !from) {
        PyErr_NoMemory();
        goto done;
    }
    int *to = from + n;
    if (parse_pairs(in->g, pairs, "seeds", from, value) < 0) goto done;
    for (Py_ssize_t i = 0; i < n; i++) {
        const cx_spec *spec = &in->p->slot[from[i]].value.spec;
        dvalue[i] = V(value[i]);
        if (cx_same_spec(&dvalue[i].spec, spec)) continue;
        PyErr_Format(PyExc_ValueError,
                     "a seed must have its tensor's shape %s and dtype %s. Received: shape=%s, dtype=%s",
                     cx_shape_text(spec, a), cx_dtype_name(spec->dtype), cx_shape_text(&dvalue[i].spec, b),
                     cx_dtype_name(dvalue[i].spec.dtype));
        goto done;
    }
    for (Py_ssize_t i = 0; i < m; i++)
        if ((to[i] = program_slot(in->g, PySequence_Fast_GET_ITEM(list, i), "wanted")) < 0) goto done;
    if (occupy(in) < 0) goto done;
    cx_form_at_once(in->stays);
    result = plain_backward(in->p, from, dvalue, (int)n, to, (int)m, &rule);
    cx_form_at_once(false);
    in->busy = false;
done:
    for (Py_ssize_t i = 0; value && i < n; i++) Py_XDECREF(value[i]);
    PyMem_Free(value), PyMem_Free(dvalue), PyMem_Free(from);
    Py_XDECREF(pairs), Py_XDECREF(list);
    return result;
}

static PyObject *get_counts(PyObject *self, void *unused)
{
    const cx_program *p = ((instance *)self)->p;
    (void)unused;
    return Py_BuildValue("(iLL)", p->n_node, (long long)p->forwards, (long long)p->backwards);
}
static PyObject *get_program(PyObject *self, void *unused)
{
    (void)unused;
    return Py_NewRef((PyObject *)((instance *)self)->g);
}
static int instance_traverse(PyObject *o, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(o));
    Py_VISIT((PyObject *)((instance *)o)->g);
    return visit_hosts(((instance *)o)->p, visit, arg);
}
static int instance_clear(PyObject *o)
{
    instance *i = (instance *)o;
    cx_program *p = i->p;
    i->p = NULL;
    cx_program_free(p);
    return 0;
}
static void instance_dealloc(PyObject *o)
{
    PyTypeObject *type = Py_TYPE(o);
    PyObject_GC_UnTrack(o);
    instance_clear(o);
    Py_XDECREF((PyObject *)((instance *)o)->g);
    type->tp_free(o);
    Py_DECREF(type);
}
static PyMethodDef methods[] = {
    {"value", instance_value, METH_O, "The value of a symbol; computed when it is not there."},
    {"backward", (PyCFunction)(void (*)(void))instance_backward, METH_VARARGS | METH_KEYWORDS,
     "backward(seeds, wanted, gate=\"true\", overlap=\"sum\"): list of gradients, None where unconnected."},
    {0},
};
static PyGetSetDef getters[] = {
    {"counts", get_counts, NULL, "(nodes, kernels run forward, kernels run backward)", NULL},
    {"program", get_program, NULL, "the Program that was run", NULL},
    {0},
};
static PyType_Slot slots[] = {
    {Py_tp_dealloc, instance_dealloc}, {Py_tp_traverse, instance_traverse},
    {Py_tp_clear, instance_clear},     {Py_tp_methods, methods},
    {Py_tp_getset, getters},           {0, NULL},
};
static PyType_Spec spec = {
    .name = "cnnexplain._core.Instance",
    .basicsize = sizeof(instance),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};
int add_instance_type(PyObject *module)
{
    return (S.Instance = add_type(module, &spec, NULL)) ? 0 : -1;
}
