/* What the core asks of Python while a call runs: signals every 50 ms, and the callables of Python nodes. */
#include "binding.h"
#include <string.h>

static void enter_python(runner *r)
{
    if (r->thread) PyEval_RestoreThread(r->thread);
}
static void leave_python(runner *r)
{
    if (r->thread) r->thread = PyEval_SaveThread();
}

static cx_code poll(void *self, cx_err *err)
{
    static const double pause = 0.05;
    runner *r = self;
    double now = cx_seconds();
    if (now - r->polled < pause) return CX_OK;
    r->polled = now;
    enter_python(r);
    int bad = PyErr_CheckSignals();
    leave_python(r);
    return bad ? cx_fail(err, CX_EHOST, "interrupted") : CX_OK;
}

static void release(void *o) /* programs are freed with the GIL held */
{
    Py_DECREF((PyObject *)o);
}
cx_block *hold(PyObject *o)
{
    cx_block *b = cx_block_wrap(o, release);
    if (!b) return PyErr_NoMemory(), NULL;
    Py_INCREF(o);
    return b;
}
int visit_hosts(const cx_program *p, visitproc visit, void *arg)
{
    for (int k = 0; p && k < p->n_node; k++) {
        cx_node *n = &p->node[k];
        if (!n->op->host) continue;
        if (n->host && cx_sole(n->host)) Py_VISIT((PyObject *)cx_block_data(n->host));
        if (n->state && cx_sole(n->state)) Py_VISIT((PyObject *)cx_block_data(n->state));
    }
    return 0;
}

static PyObject *copied(const cx_value *v) /* the arena is reused: Python gets its own copy */
{
    cx_value c;
    if (copy_value(v, &c) < 0) return NULL;
    PyObject *t = new_tensor(&c);
    cx_clear(&c);
    return t;
}

static int deliver(PyObject *o, const cx_value *to, cx_mode mode, const char *what)
{
    PyObject *t = as_tensor(o, (int)to->spec.dtype, true);
    char a[CX_SHAPE_TEXT], b[CX_SHAPE_TEXT];
    if (!t) return -1;
    const cx_spec *s = &V(t).spec;
    int64_t n = cx_count(&to->spec);
    int bad = refuse_symbol(t);
    if (!bad && !cx_same_spec(s, &to->spec)) {
        PyErr_Format(
            PyExc_ValueError,
            "the %s returned by a Python function must have shape %s and dtype %s. Received: shape=%s, dtype=%s", what,
            cx_shape_text(&to->spec, a), cx_dtype_name(to->spec.dtype), cx_shape_text(s, b), cx_dtype_name(s->dtype));
        bad = -1;
    } else if (!bad && mode == CX_WRITE) {
        if (n) memcpy(to->data, V(t).data, (size_t)n * cx_width(s->dtype));
    } else if (!bad && s->dtype == CX_F32) {
        for (int64_t i = 0; i < n; i++) ((float *)to->data)[i] += ((float *)V(t).data)[i];
    } else if (!bad) {
        for (int64_t i = 0; i < n; i++) ((double *)to->data)[i] += ((double *)V(t).data)[i];
    }
    Py_DECREF(t);
    return bad;
}

/* A host that is a string stands for a gradient that cannot be differentiated again; the string says why. */
static int refuse_second(PyObject *fn)
{
    if (!PyUnicode_Check(fn)) return 0;
    PyErr_SetObject(PyExc_ValueError, fn);
    return -1;
}

/* fn(*inputs) gives y, or (y, gradient function). State for backward: that function, or (tape that saw fn, y, inputs).
 */
static cx_code host_forward(void *self, cx_node *n, const cx_value *in, const cx_value *out, bool tracked, cx_err *err)
{
    runner *r = self;
    enter_python(r);
    PyObject *fn = cx_block_data(n->host), *inputs = NULL, *seen = NULL, *y = NULL, *state = NULL;
    int given = 0, bad = -1;
    while (given < CX_INS && n->in[given] >= 0) given++;
    if (refuse_second(fn) < 0 || !(inputs = PyTuple_New(given))) goto done;
    for (int i = 0; i < given; i++) {
        PyObject *t = copied(&in[i]);
        if (!t) goto done;
        PyTuple_SET_ITEM(inputs, i, t);
    }
    bool mode = symbolic_mode;
    PyObject *reads = assigned;
    symbolic_mode = false, assigned = NULL;
    y = tape_private(inputs, fn, tracked ? &seen : NULL);
    symbolic_mode = mode, assigned = reads;
    if (!y) goto done;
    if (PyTuple_Check(y) && PyTuple_GET_SIZE(y) == 2 && PyCallable_Check(PyTuple_GET_ITEM(y, 1)) &&
        !is_tensor(PyTuple_GET_ITEM(y, 1))) {
        state = Py_NewRef(PyTuple_GET_ITEM(y, 1));
        Py_SETREF(y, Py_NewRef(PyTuple_GET_ITEM(y, 0)));
    } else if (tracked && !(state = PyTuple_Pack(3, seen, y, inputs))) {
        goto done;
    }
    if (deliver(y, out, CX_WRITE, "value") < 0) goto done;
    if (tracked) {
        cx_drop(n->state);
        if (!(n->state = hold(state))) goto done;
    }
    bad = 0;
done:
    Py_XDECREF(inputs), Py_XDECREF(seen), Py_XDECREF(y), Py_XDECREF(state);
    leave_python(r);
    return bad ? cx_fail(err, CX_EHOST, "exception in a Python function") : CX_OK;
}

static PyObject *gradients_of(PyObject *state, PyObject *dy, const cx_rule *rule)
{
    if (PyTuple_CheckExact(state)) {
        PyObject *y = PyTuple_GET_ITEM(state, 1), *inputs = PyTuple_GET_ITEM(state, 2);
        return tape_gradients((tape *)PyTuple_GET_ITEM(state, 0), &y, &dy, 1, PySequence_Fast_ITEMS(inputs),
                              PyTuple_GET_SIZE(inputs), rule);
    }
    PyObject *args = PyTuple_Pack(1, dy), *g = args ? tape_private(args, state, NULL) : NULL;
    Py_XDECREF(args);
    if (g && !PyList_Check(g) && !PyTuple_Check(g)) Py_SETREF(g, PyTuple_Pack(1, g));
    return g;
}

static cx_code host_backward(void *self, cx_node *n, const cx_value *in, const cx_value *dout, const cx_value *din,
                             const cx_mode *mode, const cx_rule *rule, cx_err *err)
{
    runner *r = self;
    (void)in;
    enter_python(r);
    PyObject *dy = NULL, *g = NULL;
    int bad = -1;
    if (refuse_second(cx_block_data(n->host)) < 0) goto done;
    if (!n->state) {
        PyErr_SetString(PyExc_RuntimeError,
                        "this Python function was run without a tape: no gradient passes through it");
        goto done;
    }
    if (!(dy = copied(&dout[0])) || !(g = gradients_of(cx_block_data(n->state), dy, rule))) goto done;
    for (int i = 0; i < CX_INS; i++) {
        if (mode[i] == CX_SKIP) continue;
        PyObject *gi = i < PySequence_Fast_GET_SIZE(g) ? PySequence_Fast_GET_ITEM(g, i) : Py_None;
        if (gi != Py_None) {
            if (deliver(gi, &din[i], mode[i], "gradient") < 0) goto done;
        } else if (mode[i] == CX_WRITE) { /* unconnected inside: nothing to add, zeros to write */
            memset(din[i].data, 0, (size_t)cx_count(&din[i].spec) * cx_width(din[i].spec.dtype));
        }
    }
    bad = 0;
done:
    Py_XDECREF(dy), Py_XDECREF(g);
    leave_python(r);
    return bad ? cx_fail(err, CX_EHOST, "exception in a Python function") : CX_OK;
}

void start_run(runner *r, bool release_gil)
{
    r->host = (cx_host){r, poll, host_forward, host_backward};
    r->polled = release_gil ? cx_seconds() : 0;
    if (!release_gil) r->host.poll = NULL;
    r->thread = release_gil ? PyEval_SaveThread() : NULL;
}
void end_run(runner *r)
{
    if (r->thread) PyEval_RestoreThread(r->thread);
}

int run_program(cx_program *p, const int *fetch, int n, bool release_gil)
{
    cx_err err;
    runner r;
    err.code = CX_OK;
    start_run(&r, release_gil);
    cx_run(p, fetch, n, &r.host, &err);
    end_run(&r);
    return err.code ? raise_error(&err), -1 : 0;
}
