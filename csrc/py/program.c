/* Program: built by walking back from outputs over makers; called on tensors. */
#include "binding.h"
#include <stdlib.h>
#include <string.h>

/* The slot of a tensor that is there before any node: an input, a variable (its value comes with each call) or a
 * constant. */
static int leaf_slot(program *g, PyObject *t)
{
    int slot = id_slot(&g->ids, ID(t));
    if (slot >= 0) return slot;
    cx_value v = is_variable(t) ? (cx_value){.spec = V(t).spec} : V(t);
    if (v.block) cx_lasts(v.block);
    slot = cx_add_slot(g->p, &v, false);
    if (slot < 0) return PyErr_NoMemory(), -1;
    return id_add(&g->ids, ID(t), slot) < 0 || PyList_Append(g->leaves, t) < 0 ? -1 : slot;
}

static int add_maker(program *g, const maker *m)
{
    int in[CX_INS], n = (int)PyTuple_GET_SIZE(m->inputs);
    cx_err err;
    cx_block *host = NULL;
    for (int i = 0; i < CX_INS; i++) {
        in[i] = CX_ABSENT;
        if (i < n && PyTuple_GET_ITEM(m->inputs, i) != Py_None &&
            (in[i] = leaf_slot(g, PyTuple_GET_ITEM(m->inputs, i))) < 0)
            return -1;
    }
    if (m->host && !(host = hold(m->host))) return -1;
    const cx_node *node = cx_add_node(g->p, m->op, m->attr, in, host, &err);
    cx_drop(host);
    if (!node) return raise_error(&err), -1;
    for (int j = 0; j < m->op->n_public; j++) /* an output that is an input of the program stays one */
        if (id_find(&g->ids, m->id + 1 + j) < 0 && id_add(&g->ids, m->id + 1 + j, node->out[j]) < 0) return -1;
    return 0;
}

/* A growing stack of borrowed references: the outputs hold everything that is walked over. */
typedef struct {
    PyObject **item;
    Py_ssize_t n, cap;
} stack;
static int push(stack *s, PyObject *o)
{
    if (s->n == s->cap) {
        Py_ssize_t cap = s->cap ? 2 * s->cap : 64;
        PyObject **item = PyMem_Realloc(s->item, (size_t)cap * sizeof *item);
        if (!item) return PyErr_NoMemory(), -1;
        s->item = item, s->cap = cap;
    }
    s->item[s->n++] = o;
    return 0;
}
static int by_id(const void *a, const void *b)
{
    int64_t x = (*(maker *const *)a)->id, y = (*(maker *const *)b)->id;
    return (x > y) - (x < y);
}

/* ids rise, so sorting the makers by id is a topological order. */
static int walk_back(program *g)
{
    stack todo = {0}, makers = {0}, met = {0};
    id_map seen = {0};
    int bad = -1;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(g->outputs); i++)
        if (push(&todo, PyTuple_GET_ITEM(g->outputs, i)) < 0) goto done;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(g->updates); i++)
        if (push(&todo, PyTuple_GET_ITEM(PyTuple_GET_ITEM(g->updates, i), 1)) < 0) goto done;
    while (todo.n) {
        PyObject *t = todo.item[--todo.n];
        if (id_find(&seen, ID(t)) >= 0) continue;
        if (id_add(&seen, ID(t), 0) < 0 || push(&met, t) < 0) goto done;
        if (id_find(&g->ids, ID(t)) >= 0) continue;
        if (!is_symbol(t)) {
            if (leaf_slot(g, t) < 0) goto done;
            continue;
        }
        maker *m = (maker *)((tensor *)t)->maker;
        if (!m || !m->inputs) {
            PyObject *shape = shape_object(&V(t).spec);
            PyErr_Format(PyExc_ValueError, "the outputs depend on an input of shape %S that is not among the inputs",
                         shape ? shape : Py_None);
            Py_XDECREF(shape);
            goto done;
        }
        if (id_find(&seen, m->id) >= 0) continue;
        if (id_add(&seen, m->id, 0) < 0 || push(&makers, (PyObject *)m) < 0) goto done;
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(m->inputs); i++)
            if (PyTuple_GET_ITEM(m->inputs, i) != Py_None && push(&todo, PyTuple_GET_ITEM(m->inputs, i)) < 0) goto done;
    }
    if (makers.n) qsort(makers.item, (size_t)makers.n, sizeof *makers.item, by_id);
    for (Py_ssize_t i = 0; i < makers.n; i++)
        if (add_maker(g, (maker *)makers.item[i]) < 0) goto done;
    if (!(g->tensors = PyList_New(g->p->n_slot))) goto done;
    for (int s = 0; s < g->p->n_slot; s++) PyList_SET_ITEM(g->tensors, s, Py_NewRef(Py_None));
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(g->leaves); i++) {
        PyObject *t = PyList_GET_ITEM(g->leaves, i);
        PyList_SetItem(g->tensors, id_slot(&g->ids, ID(t)), Py_NewRef(t));
    }
    for (Py_ssize_t i = 0; i < met.n; i++)
        PyList_SetItem(g->tensors, id_slot(&g->ids, ID(met.item[i])), Py_NewRef(met.item[i]));
    bad = 0;
done:
    PyMem_Free(todo.item), PyMem_Free(makers.item), PyMem_Free(met.item);
    id_clear(&seen);
    return bad;
}

static PyObject *tuple_of(PyObject *o, const char *what, bool symbols)
{
    PyObject *t = is_tensor(o) ? PyTuple_Pack(1, o) : PySequence_Tuple(o);
    for (Py_ssize_t i = 0; t && i < PyTuple_GET_SIZE(t); i++) {
        PyObject *item = PyTuple_GET_ITEM(t, i);
        if (symbols ? is_symbol(item) : is_tensor(item)) continue;
        PyErr_Format(PyExc_TypeError, "`%s` must be symbolic tensors. Received: %R (of type %s)", what, item,
                     Py_TYPE(item)->tp_name);
        Py_CLEAR(t);
    }
    return t;
}
static PyObject *tuple_of_updates(PyObject *o)
{
    PyObject *t = o ? PySequence_Tuple(o) : PyTuple_New(0);
    for (Py_ssize_t i = 0; t && i < PyTuple_GET_SIZE(t); i++) {
        PyObject *pair = PySequence_Tuple(PyTuple_GET_ITEM(t, i));
        bool good = pair && PyTuple_GET_SIZE(pair) == 2 && is_variable(PyTuple_GET_ITEM(pair, 0)) &&
                    is_tensor(PyTuple_GET_ITEM(pair, 1));
        if (pair) {
            Py_DECREF(PyTuple_GET_ITEM(t, i));
            PyTuple_SET_ITEM(t, i, pair);
        }
        if (good) continue;
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "`updates` must be pairs of a Variable and a symbol");
        Py_CLEAR(t);
    }
    return t;
}

static PyObject *program_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
    static char *names[] = {"inputs", "outputs", "updates", NULL};
    PyObject *inputs, *outputs, *updates = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kw, "OO|O", names, &inputs, &outputs, &updates)) return NULL;
    program *g = (program *)type->tp_alloc(type, 0);
    if (!g || !(g->inputs = tuple_of(inputs, "inputs", true)) || !(g->outputs = tuple_of(outputs, "outputs", false)) ||
        !(g->updates = tuple_of_updates(updates)) || !(g->leaves = PyList_New(0)))
        goto fail;
    if (!(g->p = cx_program_new())) {
        PyErr_NoMemory();
        goto fail;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(g->inputs); i++) {
        PyObject *t = PyTuple_GET_ITEM(g->inputs, i);
        if (id_find(&g->ids, ID(t)) >= 0) {
            PyErr_Format(PyExc_ValueError, "input %zd is given twice", i);
            goto fail;
        }
        if (leaf_slot(g, t) < 0) goto fail;
    }
    if (walk_back(g) < 0) goto fail;
    return (PyObject *)g;
fail:
    Py_XDECREF((PyObject *)g);
    return NULL;
}

int program_slot(const program *g, PyObject *o, const char *what)
{
    int slot = is_tensor(o) ? id_slot(&g->ids, ID(o)) : -1;
    if (slot < 0)
        PyErr_Format(is_tensor(o) ? PyExc_ValueError : PyExc_TypeError,
                     "the %s must be a tensor of this program. Received: %R", what, o);
    return slot;
}

int program_convert(const program *g, PyObject *args, bool borrow, PyObject **inputs)
{
    Py_ssize_t n = PyTuple_GET_SIZE(g->inputs), given = PySequence_Fast_GET_SIZE(args);
    if (given != n) {
        PyErr_Format(PyExc_ValueError, "the program takes %zd inputs. Received: %zd", n, given);
        return -1;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *symbol = PyTuple_GET_ITEM(g->inputs, i);
        inputs[i] = as_tensor(PySequence_Fast_GET_ITEM(args, i), (int)V(symbol).spec.dtype, borrow);
        if (!inputs[i] || refuse_symbol(inputs[i]) < 0) return -1;
    }
    return 0;
}

cx_program *program_instance(const program *g, const int *slot, PyObject *const *feed, const bool *tracked, int n,
                             const id_map *variables)
{
    int n_leaf = (int)PyList_GET_SIZE(g->leaves), used = 0;
    size_t room = (size_t)(n_leaf + n) + 1;
    cx_value *value = PyMem_Malloc(room * sizeof *value);
    int *at = PyMem_Malloc(room * sizeof *at);
    bool *track = PyMem_Malloc(room);
    cx_program *p = NULL;
    cx_err err;
    if (!value || !at || !track) {
        PyErr_NoMemory();
        goto done;
    }
    for (int i = 0; i < n; i++) {
        at[used] = slot[i], value[used] = V(feed[i]);
        track[used++] = tracked ? tracked[i] : tape_tracked(feed[i]);
    }
    for (int i = 0; i < n_leaf; i++) {
        PyObject *v = PyList_GET_ITEM(g->leaves, i);
        if (is_symbol(v)) continue;
        if (is_variable(v) && refuse_symbol(v) < 0) goto done;
        bool wanted = tracked ? variables && id_find(variables, ID(v)) >= 0 : tape_tracked(v);
        if (!is_variable(v) && !wanted) continue; /* a constant is in the program */
        at[used] = id_slot(&g->ids, ID(v)), value[used] = V(v), track[used++] = wanted;
        for (int k = 0; k < n; k++) /* a fed variable keeps what it was fed */
            if (slot[k] == at[used - 1]) {
                used--;
                break;
            }
    }
    if (cx_instance(g->p, at, value, track, used, &p, &err)) {
        raise_error(&err);
        p = NULL;
    }
done:
    PyMem_Free(value), PyMem_Free(at), PyMem_Free(track);
    return p;
}

PyObject *fetch_value(cx_program *p, int slot)
{
    cx_value *v = &p->slot[slot].value, own;
    if (v->block && cx_block_data(v->block) == v->data) return new_tensor(v);
    if (copy_value(v, &own) < 0) return NULL;
    PyObject *t = new_tensor(&own);
    cx_clear(&own);
    return t;
}

int program_update_slots(const program *g, int *slot)
{
    int n = (int)PyTuple_GET_SIZE(g->updates);
    for (int i = 0; i < n; i++) slot[i] = id_slot(&g->ids, ID(PyTuple_GET_ITEM(PyTuple_GET_ITEM(g->updates, i), 1)));
    return n;
}

int program_collect(const program *g, const cx_program *p, PyObject *const *leaf, int n_leaf, cx_value *value)
{
    char a[CX_SHAPE_TEXT], b[CX_SHAPE_TEXT];
    int n = (int)PyTuple_GET_SIZE(g->updates);
    for (int i = 0; i < n; i++) value[i] = (cx_value){0};
    for (int i = 0; i < n; i++) {
        PyObject *pair = PyTuple_GET_ITEM(g->updates, i), *variable = PyTuple_GET_ITEM(pair, 0);
        const cx_value *v = &p->slot[id_slot(&g->ids, ID(PyTuple_GET_ITEM(pair, 1)))].value;
        bool borrowed = false;
        if (!cx_same_spec(&v->spec, &V(variable).spec)) {
            PyErr_Format(PyExc_ValueError, "an update must keep the variable's shape %s. Received: shape=%s",
                         cx_shape_text(&V(variable).spec, a), cx_shape_text(&v->spec, b));
            return -1;
        }
        for (int k = 0; k < n_leaf; k++)
            borrowed = borrowed || (((tensor *)leaf[k])->borrowed && V(leaf[k]).block == v->block);
        if (!borrowed)
            value[i] = cx_share(v);
        else if (copy_value(v, &value[i]) < 0)
            return -1;
    }
    return 0;
}
void program_store(const program *g, cx_value *value)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(g->updates); i++) {
        if (value[i].data) variable_store(PyTuple_GET_ITEM(PyTuple_GET_ITEM(g->updates, i), 0), &value[i], true);
        cx_clear(&value[i]);
    }
}

static PyObject *program_call(PyObject *self, PyObject *args, PyObject *kw)
{
    program *g = (program *)self;
    int n_in = (int)PyTuple_GET_SIZE(g->inputs), n_out = (int)PyTuple_GET_SIZE(g->outputs);
    int n_leaf = (int)PyList_GET_SIZE(g->leaves), n_update = (int)PyTuple_GET_SIZE(g->updates);
    if (kw && PyDict_GET_SIZE(kw)) return PyErr_Format(PyExc_TypeError, "a program takes its inputs by position");
    PyObject **leaf = PyMem_Calloc((size_t)(n_leaf + n_out) + 1, sizeof *leaf), **outs = leaf + n_leaf, *result = NULL;
    int *slot = PyMem_Malloc((size_t)(n_leaf + n_out + n_update + 1) * sizeof *slot);
    cx_value *value = PyMem_Calloc((size_t)n_update + 1, sizeof *value);
    cx_program *p = NULL;
    if (!leaf || !slot || !value) {
        PyErr_NoMemory();
        goto done;
    }
    if (program_convert(g, args, !n_active_tapes, leaf) < 0) goto done;
    for (int i = n_in; i < n_leaf; i++) leaf[i] = Py_NewRef(PyList_GET_ITEM(g->leaves, i));
    for (int i = 0; i < n_leaf; i++) slot[i] = id_slot(&g->ids, ID(PyList_GET_ITEM(g->leaves, i)));
    int *out = slot + n_leaf, *also = out + n_out;
    for (int i = 0; i < n_out; i++) out[i] = id_slot(&g->ids, ID(PyTuple_GET_ITEM(g->outputs, i)));
    program_update_slots(g, also);
    if (!(p = program_instance(g, slot, leaf, NULL, n_in, NULL))) goto done;
    if (finish_call(p, leaf, slot, n_leaf, out, n_out, also, n_update, true, outs) < 0) goto done;
    if (program_collect(g, p, leaf, n_leaf, value) < 0 || !(result = PyTuple_New(n_out))) goto done;
    for (int i = 0; i < n_out; i++) PyTuple_SET_ITEM(result, i, Py_NewRef(outs[i]));
    program_store(g, value);
done:
    cx_program_free(p);
    for (int i = 0; value && i < n_update; i++) cx_clear(&value[i]);
    for (int i = 0; leaf && i < n_leaf + n_out; i++) Py_XDECREF(leaf[i]);
    PyMem_Free(leaf), PyMem_Free(slot), PyMem_Free(value);
    return result;
}

static PyObject *tensors_at(const program *g, const int *slot, int n)
{
    PyObject *t = PyTuple_New(n);
    for (int i = 0; t && i < n; i++)
        PyTuple_SET_ITEM(t, i, Py_NewRef(slot[i] < 0 ? Py_None : PyList_GET_ITEM(g->tensors, slot[i])));
    return t;
}
static PyObject *get_nodes(PyObject *o, void *unused)
{
    const program *g = (program *)o;
    PyObject *list = PyList_New(g->p->n_node);
    (void)unused;
    for (int k = 0; list && k < g->p->n_node; k++) {
        const cx_node *n = &g->p->node[k];
        int given = n->op->most_in;
        while (given > 0 && n->in[given - 1] < 0) given--;
        PyObject *item = Py_BuildValue("(sNNN)", n->op->name, attribute_dict(n->op->fields, n->attr),
                                       tensors_at(g, n->in, given), tensors_at(g, n->out, n->op->n_public));
        if (item)
            PyList_SET_ITEM(list, k, item);
        else
            Py_CLEAR(list);
    }
    return list;
}
static PyObject *get_variables(PyObject *o, void *unused)
{
    const program *g = (program *)o;
    PyObject *list = PyList_New(0);
    (void)unused;
    for (Py_ssize_t i = 0; list && i < PyList_GET_SIZE(g->leaves); i++) {
        PyObject *t = PyList_GET_ITEM(g->leaves, i);
        if (is_variable(t) && PyList_Append(list, t) < 0) Py_CLEAR(list);
    }
    return list;
}
static PyObject *get_tuple(PyObject *o, void *offset)
{
    return Py_NewRef(*(PyObject **)((char *)o + (size_t)offset));
}
static int contains(PyObject *o, PyObject *t)
{
    return is_tensor(t) && id_find(&((program *)o)->ids, ID(t)) >= 0;
}

static int program_traverse(PyObject *o, visitproc visit, void *arg)
{
    program *g = (program *)o;
    Py_VISIT(Py_TYPE(o));
    Py_VISIT(g->inputs);
    Py_VISIT(g->outputs);
    Py_VISIT(g->leaves);
    Py_VISIT(g->updates);
    Py_VISIT(g->tensors);
    return visit_hosts(g->p, visit, arg);
}
static int program_clear(PyObject *o)
{
    program *g = (program *)o;
    cx_program *p = g->p;
    Py_CLEAR(g->inputs);
    Py_CLEAR(g->outputs);
    Py_CLEAR(g->leaves);
    Py_CLEAR(g->updates);
    Py_CLEAR(g->tensors);
    g->p = NULL;
    id_clear(&g->ids);
    cx_program_free(p);
    return 0;
}
static void program_dealloc(PyObject *o)
{
    PyTypeObject *type = Py_TYPE(o);
    PyObject_GC_UnTrack(o);
    program_clear(o);
    type->tp_free(o);
    Py_DECREF(type);
}
static PyMethodDef methods[] = {
    {"run", (PyCFunction)(void (*)(void))program_run, METH_VARARGS | METH_KEYWORDS,
     "run(feeds, fetches, track=True, stays=False) -> Instance. feeds: (symbol, value) pairs; any symbol of the "
     "program may be fed. stays: the variables keep their values for further calls, so forms of them are worth it."},
    {"train_step", (PyCFunction)(void (*)(void))program_train_step, METH_VARARGS | METH_KEYWORDS,
     "train_step(inputs, loss, variables, update, attributes, state, step): forward, backward, optimizer and updates. "
     "Returns the outputs."},
    {0},
};
static PyGetSetDef getters[] = {
    {"inputs", get_tuple, NULL, "tuple of input symbols", (void *)offsetof(program, inputs)},
    {"outputs", get_tuple, NULL, "tuple of output symbols", (void *)offsetof(program, outputs)},
    {"updates", get_tuple, NULL, "tuple of (variable, symbol)", (void *)offsetof(program, updates)},
    {"variables", get_variables, NULL, "list of the variables it reads", NULL},
    {"nodes", get_nodes, NULL, "list of (op, attributes, inputs, outputs) in order", NULL},
    {0},
};
static PyType_Slot slots[] = {
    {Py_tp_new, program_new},     {Py_tp_dealloc, program_dealloc}, {Py_tp_traverse, program_traverse},
    {Py_tp_clear, program_clear}, {Py_tp_call, program_call},       {Py_tp_methods, methods},
    {Py_tp_getset, getters},      {Py_sq_contains, contains},       {0, NULL},
};
static PyType_Spec spec = {
    .name = "cnnexplain._core.Program",
    .basicsize = sizeof(program),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};
int add_program_type(PyObject *module)
{
    return (S.Program = add_type(module, &spec, NULL)) ? 0 : -1;
}
