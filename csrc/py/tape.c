/* GradientTape: a program joined from calls, and a map from tensor ids to its slots. */
#include "binding.h"
#include <string.h>

_Thread_local tape *active_tapes[MOST_TAPES];
_Thread_local int n_active_tapes;

/* Two tapes that recorded one call know its values by one key: a tensor that came in by its id, a variable's buffer by
 * its address (held by the tape, so it stays its own), what the call made by a number of its own. */
int64_t leaf_key(PyObject *o, const cx_value *v)
{
    return is_variable(o) ? -(int64_t)(uintptr_t)v->block : ID(o);
}
static int set_key(tape *t, int slot, int64_t key)
{
    if (slot >= t->cap_key) {
        int cap = 2 * slot + 16;
        int64_t *more = PyMem_Realloc(t->key, (size_t)cap * sizeof *more);
        if (!more) return PyErr_NoMemory(), -1;
        t->key = more, t->cap_key = cap;
    }
    t->key[slot] = key;
    return 0;
}

int tape_remember(tape *t, PyObject *o, int slot)
{
    if (is_variable(o) && id_find(&t->ids, ID(o)) < 0 && PyList_Append(t->variables, o) < 0) return -1;
    return id_add(&t->ids, ID(o), slot);
}

static int follow(tape *t, PyObject *o, const cx_value *v)
{
    int slot = id_slot(&t->ids, ID(o));
    if (!cx_is_real(v->spec.dtype)) return -1;
    if (slot >= 0 && (!is_variable(o) || t->p->slot[slot].value.block == v->block)) return slot;
    slot = cx_add_slot(t->p, v, true);
    if (slot < 0) return PyErr_NoMemory(), -2;
    return set_key(t, slot, leaf_key(o, v)) < 0 || tape_remember(t, o, slot) < 0 ? -2 : slot;
}

/* The slot of o, whose value in the call is v: -1 unknown, -2 error. A variable is watched when it is read, and again
 * when it is read after an assign. */
static int find(tape *t, PyObject *o, const cx_value *v)
{
    if (!is_variable(o)) return id_slot(&t->ids, ID(o));
    bool watched = id_find(&t->ids, ID(o)) >= 0 || (((tensor *)o)->trainable && t->watch_accessed);
    return watched ? follow(t, o, v) : -1;
}

/* Another thread, a signal handler or a Python function inside the call may meet a tape in the middle of a gradient. */
int tape_refuse_busy(const tape *t)
{
    if (!t->busy) return 0;
    PyErr_SetString(PyExc_RuntimeError,
                    "this GradientTape is computing a gradient: it cannot record, be watched, reset "
                    "or asked for another gradient meanwhile");
    return -1;
}

bool tape_recording(void)
{
    for (int i = 0; i < n_active_tapes; i++)
        if (!active_tapes[i]->paused) return true;
    return false;
}
bool tape_tracked(PyObject *o)
{
    for (int i = 0; i < n_active_tapes; i++) {
        tape *t = active_tapes[i];
        if (t->paused) continue;
        int slot = id_slot(&t->ids, ID(o));
        if (slot >= 0 ? t->p->slot[slot].tracked : is_variable(o) && ((tensor *)o)->trainable && t->watch_accessed)
            return true;
    }
    return false;
}

int tape_append(tape *t, const cx_program *call, int *map, int64_t base)
{
    cx_err err;
    int before = t->p->n_slot;
    if (cx_append(t->p, call, map, &err)) return raise_error(&err), -1;
    for (int s = 0; s < call->n_slot; s++)
        if (map[s] >= before && set_key(t, map[s], base + s) < 0) return -1;
    return 0;
}

static int record(tape *t, const cx_program *call, PyObject *const *leaf, const int *leaf_slot, int n_leaf,
                  PyObject *const *outs, const int *out, int n, int64_t base, int *map)
{
    bool tracked = false;
    if (tape_refuse_busy(t) < 0) return -1;
    for (int s = 0; s < call->n_slot; s++) map[s] = -1;
    for (int i = 0; i < n_leaf; i++) {
        int slot = map[leaf_slot[i]] = find(t, leaf[i], &call->slot[leaf_slot[i]].value);
        if (slot == -2) return -1;
        tracked = tracked || (slot >= 0 && t->p->slot[slot].tracked);
    }
    if (!tracked) return 0;
    int first = t->p->n_slot;
    if (tape_append(t, call, map, base) < 0) return -1;
    for (int i = 0; i < n_leaf; i++) {
        int slot = map[leaf_slot[i]];
        if (slot >= first && set_key(t, slot, leaf_key(leaf[i], &call->slot[leaf_slot[i]].value)) < 0) return -1;
    }
    for (int i = 0; i < n; i++) {
        if (!t->p->slot[map[out[i]]].tracked) continue;
        if (id_slot(&t->ids, ID(outs[i])) < 0 && tape_remember(t, outs[i], map[out[i]]) < 0) return -1;
    }
    return 0;
}

int tape_record(const cx_program *call, PyObject *const *leaf, const int *leaf_slot, int n_leaf, PyObject *const *outs,
                const int *out, int n)
{
    enum { FEW = 64 };
    int few[FEW], bad = 0, *map = few;
    int64_t base = take_ids(call->n_slot);
    if (call->n_slot > FEW && !(map = PyMem_Malloc((size_t)call->n_slot * sizeof *map))) return PyErr_NoMemory(), -1;
    for (int i = 0; i < n_active_tapes && !bad; i++)
        if (!active_tapes[i]->paused)
            bad = record(active_tapes[i], call, leaf, leaf_slot, n_leaf, outs, out, n, base, map);
    if (map != few) PyMem_Free(map);
    return bad;
}

static int enter(tape *t)
{
    if (n_active_tapes == MOST_TAPES) {
        PyErr_Format(PyExc_RuntimeError, "at most %d tapes can record at once", MOST_TAPES);
        return -1;
    }
    active_tapes[n_active_tapes++] = (tape *)Py_NewRef((PyObject *)t);
    return 0;
}
int tape_leave(tape *t)
{
    for (int i = n_active_tapes; i-- > 0;) {
        if (active_tapes[i] != t) continue;
        memmove(&active_tapes[i], &active_tapes[i + 1], (size_t)(--n_active_tapes - i) * sizeof *active_tapes);
        Py_DECREF((PyObject *)t);
        return 1;
    }
    return 0;
}

static int restart(tape *t)
{
    cx_program *p = cx_program_new();
    if (!p) return PyErr_NoMemory(), -1;
    cx_program *old = t->p;
    t->p = p;
    id_clear(&t->ids);
    cx_program_free(old);
    return 0;
}

PyObject *tape_private(PyObject *inputs, PyObject *fn, PyObject **out)
{
    tape *hidden[MOST_TAPES];
    int n = n_active_tapes;
    PyObject *y = NULL;
    tape *t = NULL;
    memcpy(hidden, active_tapes, (size_t)n * sizeof *hidden);
    n_active_tapes = 0; /* the outer tapes see one node, not its inside */
    if (out) {
        if (!(t = (tape *)PyObject_CallNoArgs((PyObject *)S.Tape))) goto done;
        t->persistent = true;
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(inputs); i++)
            if (follow(t, PyTuple_GET_ITEM(inputs, i), &V(PyTuple_GET_ITEM(inputs, i))) == -2) goto done;
        if (enter(t) < 0) goto done;
    }
    y = PyObject_CallObject(fn, inputs);
    while (n_active_tapes) tape_leave(active_tapes[n_active_tapes - 1]);
done:
    memcpy(active_tapes, hidden, (size_t)n * sizeof *hidden);
    n_active_tapes = n;
    if (y && out)
        *out = (PyObject *)t;
    else
        Py_XDECREF((PyObject *)t);
    return y;
}

static PyObject *watch(PyObject *self, PyObject *o)
{
    tape *t = (tape *)self;
    if (!is_tensor(o) || is_symbol(o))
        return PyErr_Format(
            PyExc_ValueError,
            "`watch` takes a Tensor or Variable; make one with constant(array). Received: %R (of type %s)", o,
            Py_TYPE(o)->tp_name);
    if (tape_refuse_busy(t) < 0) return NULL;
    if (!cx_is_real(V(o).spec.dtype)) {
        if (PyErr_WarnFormat(PyExc_UserWarning, 1,
                             "a tape watches floating tensors only; this one has dtype %s and its gradient is None",
                             cx_dtype_name(V(o).spec.dtype)) < 0)
            return NULL;
    } else if (follow(t, o, &V(o)) == -2) {
        return NULL;
    }
    Py_RETURN_NONE;
}
static PyObject *tape_enter(PyObject *o, PyObject *unused)
{
    (void)unused;
    for (int i = 0; i < n_active_tapes; i++)
        if ((PyObject *)active_tapes[i] == o)
            return PyErr_Format(PyExc_ValueError, "this GradientTape is recording already");
    return enter((tape *)o) < 0 ? NULL : Py_NewRef(o);
}
static PyObject *tape_exit(PyObject *o, PyObject *args)
{
    (void)args;
    tape_leave((tape *)o);
    Py_RETURN_NONE;
}
static PyObject *pause_tape(PyObject *o, PyObject *unused)
{
    (void)unused;
    ((tape *)o)->paused++;
    Py_RETURN_NONE;
}
static PyObject *resume_tape(PyObject *o, PyObject *unused)
{
    (void)unused;
    if (((tape *)o)->paused) ((tape *)o)->paused--;
    Py_RETURN_NONE;
}
static PyObject *reset(PyObject *o, PyObject *unused)
{
    tape *t = (tape *)o;
    (void)unused;
    if (tape_refuse_busy(t) < 0) return NULL;
    t->used = false;
    if (restart(t) < 0 || PyList_SetSlice(t->variables, 0, PY_SSIZE_T_MAX, NULL) < 0) return NULL;
    Py_RETURN_NONE;
}
static PyObject *forget(PyObject *o, PyObject *unused)
{
    tape *t = (tape *)o;
    (void)unused;
    if (!t->persistent) {
        if (tape_refuse_busy(t) < 0) return NULL;
        t->used = true;
        if (restart(t) < 0) return NULL;
    }
    Py_RETURN_NONE;
}
static PyObject *watched_variables(PyObject *o, PyObject *unused)
{
    (void)unused;
    return PyList_AsTuple(((tape *)o)->variables);
}

static PyObject *tape_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
    static char *names[] = {"persistent", "watch_accessed_variables", NULL};
    int persistent = 0, accessed = 1;
    if (!PyArg_ParseTupleAndKeywords(args, kw, "|pp", names, &persistent, &accessed)) return NULL;
    tape *t = (tape *)type->tp_alloc(type, 0);
    if (!t) return NULL;
    t->persistent = persistent, t->watch_accessed = accessed;
    if (!(t->variables = PyList_New(0)) || restart(t) < 0) return Py_DECREF((PyObject *)t), NULL;
    return (PyObject *)t;
}
static int tape_traverse(PyObject *o, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(o));
    Py_VISIT(((tape *)o)->variables);
    return visit_hosts(((tape *)o)->p, visit, arg);
}
static int tape_clear(PyObject *o)
{
    tape *t = (tape *)o;
    cx_program *p = t->p;
    Py_CLEAR(t->variables);
    t->p = NULL;
    id_clear(&t->ids);
    cx_program_free(p);
    return 0;
}
static void tape_dealloc(PyObject *o)
{
    PyTypeObject *type = Py_TYPE(o);
    PyObject_GC_UnTrack(o);
    tape_clear(o);
    PyMem_Free(((tape *)o)->key);
    type->tp_free(o);
    Py_DECREF(type);
}

static PyObject *get_persistent(PyObject *o, void *unused)
{
    (void)unused;
    return PyBool_FromLong(((tape *)o)->persistent);
}
static PyObject *get_counts(PyObject *o, void *unused)
{
    const cx_program *p = ((tape *)o)->p;
    int64_t held = 0;
    (void)unused;
    for (int s = 0; s < p->n_slot; s++) held += p->slot[s].value.data != NULL;
    return Py_BuildValue("{s:i,s:L,s:L,s:L}", "nodes", p->n_node, "forwards", (long long)p->forwards, "backwards",
                         (long long)p->backwards, "held", (long long)held);
}
static PyMethodDef methods[] = {
    {"watch", watch, METH_O, "Tracks a Tensor or Variable."},
    {"_gradient", (PyCFunction)(void (*)(void))tape_gradient_method, METH_VARARGS | METH_KEYWORDS,
     "_gradient(targets, seeds, sources, gate=None, overlap=None): a list, None where unconnected."},
    {"_pause", pause_tape, METH_NOARGS, NULL},
    {"_resume", resume_tape, METH_NOARGS, NULL},
    {"_forget", forget, METH_NOARGS, "After a gradient: frees everything unless persistent."},
    {"reset", reset, METH_NOARGS, "Forgets everything recorded and watched."},
    {"watched_variables", watched_variables, METH_NOARGS, "Tuple of the variables watched, in order."},
    {"__enter__", tape_enter, METH_NOARGS, NULL},
    {"__exit__", tape_exit, METH_VARARGS, NULL},
    {0},
};
static PyGetSetDef getters[] = {
    {"persistent", get_persistent, NULL, "gives more than one gradient", NULL},
    {"counts", get_counts, NULL, "nodes recorded, kernels run by gradients, values held; for tests", NULL},
    {0},
};
static PyType_Slot slots[] = {
    {Py_tp_new, tape_new},
    {Py_tp_dealloc, tape_dealloc},
    {Py_tp_traverse, tape_traverse},
    {Py_tp_clear, tape_clear},
    {Py_tp_methods, methods},
    {Py_tp_getset, getters},
    {0, NULL},
};
static PyType_Spec spec = {
    .name = "cnnexplain._core.GradientTape",
    .basicsize = sizeof(tape),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};
int add_tape_type(PyObject *module)
{
    return (S.Tape = add_type(module, &spec, NULL)) ? 0 : -1;
}
