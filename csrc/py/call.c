/* One op on tensors, arrays and numbers: eager, or symbolic when an input is. */
#include "binding.h"
#include <string.h>

/* While a layer's graph is traced, variables are read when the program runs, not now: an op on one is symbolic. One
 * that the graph has assigned is read as what it was assigned. */
_Thread_local bool symbolic_mode;
_Thread_local PyObject *assigned;

static PyObject *as_read(PyObject *variable)
{
    PyObject *id = assigned ? PyLong_FromLongLong(ID(variable)) : NULL;
    PyObject *now = id ? PyDict_GetItemWithError(assigned, id) : NULL;
    Py_XDECREF(id);
    return now && is_tensor(now) ? now : variable;
}

static int logits_slot(const cx_program *p, int slot)
{
    for (int k = p->n_node; k-- > 0;)
        if (p->node[k].out[0] == slot) return p->node[k].op->logits ? p->node[k].in[p->node[k].op->logits - 1] : -1;
    return -1;
}

/* What one call hands back. Fetched: the outputs, then the logits that some of them bring along. */
typedef struct {
    int count;
    int *fetch, *logits; /* logits[i]: -1 none; k < count: outs[k]; INT32_MAX - k: leaf k */
    PyObject **outs;
} call_results;

static void find_logits(call_results *c, const cx_program *p, PyObject *const *leaf, const int *leaf_slot, int n_leaf,
                        int n)
{
    for (int i = 0; i < n; i++) {
        int slot = logits_slot(p, c->fetch[i]);
        c->logits[i] = -1;
        if (slot < 0) continue;
        for (int k = 0; k < c->count && c->logits[i] < 0; k++)
            if (c->fetch[k] == slot) c->logits[i] = k;
        for (int k = 0; k < n_leaf && c->logits[i] < 0; k++)
            if (leaf_slot[k] == slot && !is_variable(leaf[k])) c->logits[i] = INT32_MAX - k;
        if (c->logits[i] < 0) c->logits[i] = c->count, c->fetch[c->count++] = slot;
    }
}

static PyObject *wrap(const cx_value *v, PyObject *const *leaf, int n_leaf)
{
    for (int i = 0; i < n_leaf; i++) {
        if (!((tensor *)leaf[i])->borrowed || V(leaf[i]).block != v->block) continue;
        cx_value own;
        if (copy_value(v, &own) < 0) return NULL;
        PyObject *t = new_tensor(&own);
        cx_clear(&own);
        return t;
    }
    return new_tensor(v);
}

int finish_call(cx_program *p, PyObject *const *leaf, const int *leaf_slot, int n_leaf, const int *out, int n,
                const int *also, int n_also, bool release, PyObject **result)
{
    enum { FEW = 8 };
    int numbers[6 * FEW], bad = -1;
    PyObject *objects[2 * FEW] = {NULL};
    call_results c = {n, numbers, numbers + 4 * FEW, objects};
    bool many = n + n_also > FEW;
    if (many) {
        size_t room = (size_t)(2 * n + n_also) + 1;
        c.fetch = PyMem_Malloc((room + (size_t)n) * sizeof *c.fetch);
        c.outs = PyMem_Calloc(room, sizeof *c.outs);
        if (!c.fetch || !c.outs) {
            PyErr_NoMemory();
            goto done;
        }
        c.logits = c.fetch + room;
    }
    for (int i = 0; i < n; i++) c.fetch[i] = out[i];
    find_logits(&c, p, leaf, leaf_slot, n_leaf, n);
    for (int i = 0; i < n_also; i++) c.fetch[c.count + i] = also[i];
    if (run_program(p, c.fetch, c.count + n_also, release) < 0) goto done;
    for (int i = 0; i < c.count; i++)
        if (!(c.outs[i] = wrap(&p->slot[c.fetch[i]].value, leaf, n_leaf))) goto done;
    for (int i = 0; i < n; i++) {
        if (c.logits[i] < 0) continue;
        PyObject *source = c.logits[i] < c.count ? c.outs[c.logits[i]] : leaf[INT32_MAX - c.logits[i]];
        if (source != c.outs[i]) ((tensor *)c.outs[i])->logits = Py_NewRef(source);
    }
    if (n_active_tapes && tape_record(p, leaf, leaf_slot, n_leaf, c.outs, c.fetch, c.count) < 0) goto done;
    for (int i = 0; i < n; i++) result[i] = Py_NewRef(c.outs[i]);
    bad = 0;
done:
    for (int i = 0; c.outs && i < c.count; i++) Py_XDECREF(c.outs[i]);
    if (many) PyMem_Free(c.fetch), PyMem_Free(c.outs);
    return bad;
}

/* About 10 us of work: below, giving the GIL away costs more than it gains. */
static bool worth_releasing(const cx_program *p, const cx_node *n)
{
    static const int64_t enough = 8192;
    int64_t total = 0;
    if (n->op->host) return false;
    for (int s = 0; s < p->n_slot; s++) total += cx_count(&p->slot[s].value.spec);
    return total >= enough;
}

static PyObject *eager_call(const cx_op *op, const int64_t *attr, PyObject *host, PyObject *const *inputs)
{
    cx_err err;
    int slot[CX_INS], leaf_slot[CX_INS], given = 0;
    PyObject *leaf[CX_INS], *outs[CX_OUTS] = {NULL}, *result = NULL;
    cx_block *hosted = NULL;
    cx_program *p = cx_program_new();
    bool recording = n_active_tapes && tape_recording();
    if (!p || (host && !(hosted = hold(host)))) {
        PyErr_NoMemory();
        goto done;
    }
    for (int i = 0; i < op->most_in; i++) {
        slot[i] = CX_ABSENT;
        if (!inputs[i]) continue;
        if (!V(inputs[i]).data && refuse_symbol(inputs[i]) < 0) goto done;
        slot[i] = cx_add_slot(p, &V(inputs[i]), recording && tape_tracked(inputs[i]));
        if (slot[i] < 0) {
            PyErr_NoMemory();
            goto done;
        }
        leaf[given] = inputs[i], leaf_slot[given++] = slot[i];
    }
    const cx_node *n = cx_add_node(p, op, attr, slot, hosted, &err);
    if (!n) {
        raise_error(&err);
        goto done;
    }
    int out[CX_OUTS];
    memcpy(out, n->out, sizeof out);
    if (finish_call(p, leaf, leaf_slot, given, out, op->n_public, NULL, 0, worth_releasing(p, n), outs) < 0) goto done;
    if (op->n_public == 1)
        result = Py_NewRef(outs[0]);
    else if ((result = PyTuple_New(op->n_public)))
        for (int j = 0; j < op->n_public; j++) PyTuple_SET_ITEM(result, j, Py_NewRef(outs[j]));
done:
    for (int j = 0; j < CX_OUTS; j++) Py_XDECREF(outs[j]);
    cx_drop(hosted);
    cx_program_free(p);
    return result;
}

static int wider(int a, int b) /* of two dtypes or OWN_DTYPE */
{
    static const int place[CX_DTYPES] = {
        [CX_BOOL] = 0, [CX_U8] = 1, [CX_I8] = 2, [CX_I32] = 3, [CX_I64] = 4, [CX_F32] = 5, [CX_F64] = 6};
    if (a < 0 || b < 0) return a < 0 ? b : a;
    return place[a] >= place[b] ? a : b;
}
/* The dtype of the inputs that must be alike: the tensors' own; without tensors the widest of the arrays'; without
 * arrays the widest of what the numbers give. */
static int common_dtype(const cx_op *op, PyObject *const *inputs)
{
    int common = OWN_DTYPE;
    for (int i = 0; i < op->most_in; i++)
        if (op->alike & CX_IN(i) && inputs[i] && is_tensor(inputs[i])) return (int)V(inputs[i]).spec.dtype;
    for (int i = 0; i < op->most_in; i++)
        if (op->alike & CX_IN(i) && inputs[i]) common = wider(common, natural_dtype(inputs[i]));
    return common;
}

static int convert(const cx_op *op, PyObject *const *inputs, int want, bool borrow, PyObject **t)
{
    int widest = OWN_DTYPE;
    for (int i = 0; i < op->most_in; i++) {
        if (!inputs[i]) continue;
        int dtype = op->alike & CX_IN(i) ? want : OWN_DTYPE;
        PyObject *made = as_tensor(inputs[i], dtype, borrow);
        if (!made) return -1;
        Py_XSETREF(t[i], made);
        if (op->alike & CX_IN(i)) widest = wider(widest, (int)V(made).spec.dtype);
    }
    return widest;
}

PyObject *apply_op(const cx_op *op, const int64_t *attr, PyObject *host, PyObject *const *given)
{
    PyObject *inputs[CX_INS] = {NULL}, *t[CX_INS] = {NULL}, *result = NULL;
    bool symbolic = false, tensors = false;
    for (int i = 0; i < op->most_in; i++) {
        inputs[i] = given[i] == Py_None ? NULL : given[i];
        if (!inputs[i] || !is_tensor(inputs[i])) continue;
        tensors = true;
        if (symbolic_mode && is_variable(inputs[i])) {
            inputs[i] = as_read(inputs[i]);
            if (PyErr_Occurred()) return NULL;
        }
        symbolic = symbolic || is_symbol(inputs[i]) || (symbolic_mode && is_variable(inputs[i]));
    }
    int want = op->alike ? common_dtype(op, inputs) : OWN_DTYPE;
    bool borrow = !n_active_tapes && !symbolic && op->kind != CX_VIEW && !op->host && !op->logits;
    int widest = convert(op, inputs, want, borrow, t);
    if (widest < 0 && PyErr_Occurred()) goto done;
    if (op->alike && want == OWN_DTYPE && !tensors && convert(op, inputs, widest, borrow, t) < 0) goto done;
    result = symbolic ? symbolic_call(op, attr, host, t) : eager_call(op, attr, host, t);
done:
    for (int i = 0; i < op->most_in; i++) Py_XDECREF(t[i]);
    return result;
}

PyObject *apply1(const cx_op *op, PyObject *x)
{
    int64_t attr[CX_ATTR_WORDS];
    default_attributes(op->fields, attr);
    return apply_op(op, attr, NULL, (PyObject *[CX_INS]){x});
}
PyObject *apply2(const cx_op *op, PyObject *x, PyObject *y)
{
    int64_t attr[CX_ATTR_WORDS];
    default_attributes(op->fields, attr);
    return apply_op(op, attr, NULL, (PyObject *[CX_INS]){x, y});
}
PyObject *cast_to(PyObject *x, cx_dtype d)
{
    int64_t attr[CX_ATTR_WORDS];
    if (V(x).spec.dtype == d) return Py_NewRef(x);
    default_attributes(cx_op_cast.fields, attr);
    *(int64_t *)attribute(&cx_op_cast, attr, "dtype") = (int64_t)d;
    return apply_op(&cx_op_cast, attr, NULL, (PyObject *[CX_INS]){x});
}

PyObject *call_op(const cx_op *op, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    int64_t attr[CX_ATTR_WORDS];
    PyObject *host = NULL, *inputs[CX_INS] = {NULL};
    if (parse_attributes(op->name, op->fields, args + n, names, attr) < 0) return NULL;
    if (op->host) {
        if (n < 1 || !PyCallable_Check(args[0]))
            return PyErr_Format(PyExc_TypeError, "%s() takes a callable, then its inputs", op->name);
        host = args[0], args++, n--;
    }
    if (n < op->least_in || n > op->most_in) {
        if (op->least_in == op->most_in)
            return PyErr_Format(PyExc_TypeError, "%s() takes %d input%s; attributes go by keyword. Received: %zd",
                                op->name, op->least_in, op->least_in == 1 ? "" : "s", n);
        return PyErr_Format(PyExc_TypeError, "%s() takes %d to %d inputs; attributes go by keyword. Received: %zd",
                            op->name, op->least_in, op->most_in, n);
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        if (args[i] == Py_None && i < op->least_in)
            return PyErr_Format(PyExc_TypeError, "%s(): input %zd must be a tensor or an array. Received: None",
                                op->name, i);
        inputs[i] = args[i];
    }
    return apply_op(op, attr, host, inputs);
}
