/* Asking a tape. Plain: the core's backward over its program. When another tape records meanwhile: the backward is
 * written as ops beside a copy of the nodes (values shared), run, and recorded on the other tapes, so that they can
 * differentiate it. Where an op cannot be written so, the plain result is recorded behind a node that refuses. */
#include "binding.h"
#include <string.h>

PyObject *ones_of(const cx_spec *spec)
{
    cx_value v;
    cx_err err;
    if (cx_value_new(spec, &v, &err)) return raise_error(&err);
    for (int64_t i = 0, n = cx_count(spec); i < n; i++) {
        if (spec->dtype == CX_F32)
            ((float *)v.data)[i] = 1;
        else
            ((double *)v.data)[i] = 1;
    }
    PyObject *t = new_tensor(&v);
    cx_clear(&v);
    return t;
}

PyObject *plain_backward(cx_program *p, const int *seed, const cx_value *dvalue, int n_seed, const int *wanted,
                         int n_wanted, const cx_rule *rule)
{
    cx_err err;
    runner r;
    cx_value *g = PyMem_Calloc((size_t)n_wanted + 1, sizeof *g);
    PyObject *list = g ? PyList_New(n_wanted) : PyErr_NoMemory();
    err.code = CX_OK;
    if (!list) goto done;
    start_run(&r, true);
    cx_backward(p, seed, dvalue, n_seed, wanted, n_wanted, rule, &r.host, g, &err);
    end_run(&r);
    if (err.code) {
        raise_error(&err);
        Py_CLEAR(list);
    }
    for (int i = 0; i < n_wanted; i++) {
        if (list) {
            PyObject *t = g[i].data ? new_tensor(&g[i]) : Py_NewRef(Py_None);
            if (t)
                PyList_SET_ITEM(list, i, t);
            else
                Py_CLEAR(list);
        }
        cx_clear(&g[i]);
    }
done:
    PyMem_Free(g);
    return list;
}

/* One question to a tape, with slots instead of tensors. */
typedef struct {
    tape *t;
    int n_seed, n_wanted;
    int *target, *wanted;
    PyObject **seed;
    cx_value *dvalue;
} question;

/* What an outer tape tracks, by key. */
static int tracked_keys(const tape *outer, id_map *keys)
{
    for (int s = 0; s < outer->p->n_slot; s++)
        if (outer->p->slot[s].tracked && id_add(keys, outer->key[s], s) < 0) return -1;
    return 0;
}
static bool concerns(const id_map *keys, const question *q)
{
    for (int s = 0; s < q->t->p->n_slot; s++)
        if (id_find(keys, q->t->key[s]) >= 0) return true;
    for (int i = 0; i < q->n_seed; i++)
        if (id_find(keys, leaf_key(q->seed[i], &q->dvalue[i])) >= 0) return true;
    return false;
}

typedef struct {
    tape *t;
    id_map keys;
} outer_tape;

static int remember_results(const outer_tape *o, PyObject *list, const int *slot)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
        PyObject *g = PyList_GET_ITEM(list, i);
        if (g == Py_None || slot[i] < 0 || !o->t->p->slot[slot[i]].tracked) continue;
        if (tape_remember(o->t, g, slot[i]) < 0) return -1;
    }
    return 0;
}

/* The backward's own nodes joined to an outer tape. Forward values are leaves there: known by key, or constants. */
static int record_emitted(const outer_tape *o, const question *q, const cx_program *b, int n_slot, int n_node,
                          const bool *used, const int *grad, PyObject *list)
{
    cx_program view = *b;
    int *map = PyMem_Malloc((size_t)(b->n_slot + q->n_wanted + 1) * sizeof *map), *slot = map + b->n_slot, bad = -1;
    if (!map) return PyErr_NoMemory(), -1;
    view.node += n_node, view.n_node -= n_node;
    for (int s = 0; s < b->n_slot; s++) map[s] = -1;
    for (int s = 0; s < n_slot; s++) map[s] = used[s] ? id_slot(&o->keys, q->t->key[s]) : 0;
    for (int i = 0; i < q->n_seed; i++) map[n_slot + i] = id_slot(&o->keys, leaf_key(q->seed[i], &q->dvalue[i]));
    int before = o->t->p->n_slot;
    if (tape_append(o->t, &view, map, take_ids(b->n_slot)) < 0) goto done;
    for (int s = 0; s < n_slot; s++)
        if (used[s] && map[s] >= before) o->t->key[map[s]] = q->t->key[s];
    for (int i = 0; i < q->n_wanted; i++) slot[i] = grad[i] < 0 ? -1 : map[grad[i]];
    bad = remember_results(o, list, slot);
done:
    PyMem_Free(map);
    return bad;
}

/* 1: done, *list has the gradients. 0: an op cannot be written as ops, err says which. */
static int emitted(const question *q, const outer_tape *outer, int n_outer, PyObject **list, cx_err *err)
{
    const cx_program *p = q->t->p;
    cx_program *b = cx_program_new();
    int n_slot = p->n_slot, n_node = p->n_node, n_fetch = 0, result = -1;
    int *map = PyMem_Malloc((size_t)(2 * n_slot + q->n_seed + 2 * q->n_wanted + 3) * sizeof *map);
    bool *used = PyMem_Calloc((size_t)n_slot + 1, 1);
    err->code = CX_OK;
    if (!b || !map || !used) {
        PyErr_NoMemory();
        goto done;
    }
    int *seed = map + n_slot, *grad = seed + q->n_seed + 1, *fetch = grad + q->n_wanted + 1;
    for (int s = 0; s < n_slot; s++) map[s] = -1;
    if (cx_append(b, p, map, err)) goto core_error; /* all slots are new, so their numbers stay */
    for (int s = 0; s < n_slot; s++) {
        b->slot[s].tracked = false;
        for (int i = 0; i < n_outer && !b->slot[s].tracked; i++)
            b->slot[s].tracked = id_find(&outer[i].keys, q->t->key[s]) >= 0;
    }
    for (int i = 0; i < q->n_seed; i++) {
        bool tracked = false;
        for (int j = 0; j < n_outer; j++)
            tracked = tracked || id_find(&outer[j].keys, leaf_key(q->seed[i], &q->dvalue[i])) >= 0;
        if ((seed[i] = cx_add_slot(b, &V(q->seed[i]), tracked)) < 0) {
            PyErr_NoMemory();
            goto done;
        }
    }
    if (cx_emit_backward(b, q->target, seed, q->n_seed, q->wanted, q->n_wanted, grad, err)) {
        if (err->code == CX_ENOMEM) goto core_error;
        result = 0;
        goto done;
    }
    for (int i = 0; i < q->n_wanted; i++)
        if (grad[i] >= 0) fetch[n_fetch++] = grad[i];
    for (int k = n_node; k < b->n_node; k++)
        for (int i = 0; i < CX_INS; i++)
            if (b->node[k].in[i] >= 0 && b->node[k].in[i] < n_slot) used[b->node[k].in[i]] = true;
    for (int i = 0; i < q->n_wanted; i++)
        if (grad[i] >= 0 && grad[i] < n_slot) used[grad[i]] = true;
    for (int s = 0; s < n_slot; s++)
        if (used[s]) fetch[n_fetch++] = s; /* the outer tapes keep what the new nodes read */
    if (run_program(b, fetch, n_fetch, true) < 0 || !(*list = PyList_New(q->n_wanted))) goto done;
    for (int i = 0; i < q->n_wanted; i++) {
        PyObject *g = grad[i] < 0 ? Py_NewRef(Py_None) : new_tensor(&b->slot[grad[i]].value);
        if (!g) goto done;
        PyList_SET_ITEM(*list, i, g);
    }
    for (int i = 0; i < n_outer; i++)
        if (record_emitted(&outer[i], q, b, n_slot, n_node, used, grad, *list) < 0) goto done;
    result = 1;
    goto done;
core_error:
    raise_error(err);
done:
    if (result < 0) Py_CLEAR(*list);
    cx_program_free(b);
    PyMem_Free(map), PyMem_Free(used);
    return result;
}

/* The inner tape's slots through which the outer one could reach the gradient: tracked there, and made here by nothing
 * that is. */
static void mark_frontier(const outer_tape *o, const question *q, bool *frontier)
{
    const cx_program *p = q->t->p;
    for (int s = 0; s < p->n_slot; s++) frontier[s] = id_find(&o->keys, q->t->key[s]) >= 0;
    for (int k = p->n_node; k-- > 0;) {
        const cx_node *n = &p->node[k];
        bool below = false;
        for (int i = 0; i < n->op->most_in; i++)
            below = below || (n->in[i] >= 0 && id_find(&o->keys, q->t->key[n->in[i]]) >= 0);
        for (int j = 0; below && j < n->op->n_out; j++) frontier[n->out[j]] = false;
    }
}
static const cx_node *refusing_node(cx_program *p, const int *in, const cx_spec *spec, cx_block *why, cx_err *err)
{
    int64_t attr[CX_ATTR_WORDS];
    default_attributes(cx_op_python.fields, attr);
    if (spec) {
        cx_list *shape = attribute(&cx_op_python, attr, "shape");
        shape->n = spec->ndim;
        for (int i = 0; i < spec->ndim; i++) shape->v[i] = spec->dim[i];
        *(int64_t *)attribute(&cx_op_python, attr, "dtype") = (int64_t)spec->dtype;
    }
    return cx_add_node(p, &cx_op_python, attr, in, why, err);
}
/* All that reaches the gradient, gathered by eights, then one node per gradient. Their values are known; running or
 * differentiating them raises `why`. */
static int record_refusal(const outer_tape *o, const question *q, PyObject *list, const char *why)
{
    const cx_program *p = q->t->p;
    cx_err err;
    int bad = -1, in[CX_INS], n = 0, n_leaf = 0;
    cx_program *b = cx_program_new();
    bool *frontier = PyMem_Calloc((size_t)p->n_slot + 1, 1);
    int *from = PyMem_Malloc((size_t)(p->n_slot + 2 * (q->n_wanted + q->n_seed)) * sizeof *from), *map = NULL;
    PyObject *text = PyUnicode_FromString(why);
    cx_block *host = text ? hold(text) : NULL;
    if (!b || !frontier || !from || !host) {
        if (!PyErr_Occurred()) PyErr_NoMemory();
        goto done;
    }
    mark_frontier(o, q, frontier);
    for (int s = 0; s < p->n_slot; s++)
        if (frontier[s]) from[n_leaf++] = id_slot(&o->keys, q->t->key[s]);
    for (int i = 0; i < q->n_seed; i++)
        if (id_find(&o->keys, leaf_key(q->seed[i], &q->dvalue[i])) >= 0)
            from[n_leaf++] = id_slot(&o->keys, leaf_key(q->seed[i], &q->dvalue[i]));
    for (int i = 0; i < n_leaf; i++)
        if (cx_add_slot(b, &o->t->p->slot[from[i]].value, true) < 0) goto done;
    for (int i = 0; i < n_leaf; i++) {
        in[n++] = i;
        if (n < CX_INS && i + 1 < n_leaf) continue;
        for (int k = n; k < CX_INS; k++) in[k] = CX_ABSENT;
        const cx_node *gate = refusing_node(b, in, NULL, host, &err);
        if (!gate) {
            raise_error(&err);
            goto done;
        }
        in[0] = gate->out[0], n = 1;
    }
    int *slot = from + n_leaf;
    for (int k = 1; k < CX_INS; k++) in[k] = CX_ABSENT;
    for (int i = 0; i < q->n_wanted; i++) {
        PyObject *g = PyList_GET_ITEM(list, i);
        slot[i] = -1;
        if (g == Py_None || !n_leaf) continue;
        const cx_node *node = refusing_node(b, in, &V(g).spec, host, &err);
        if (!node) {
            raise_error(&err);
            goto done;
        }
        slot[i] = node->out[0];
        b->slot[slot[i]].value = cx_share(&V(g));
    }
    if (!(map = PyMem_Malloc((size_t)(b->n_slot + 1) * sizeof *map))) {
        PyErr_NoMemory();
        goto done;
    }
    for (int s = 0; s < b->n_slot; s++) map[s] = s < n_leaf ? from[s] : -1;
    if (tape_append(o->t, b, map, take_ids(b->n_slot)) < 0) goto done;
    for (int i = 0; i < q->n_wanted; i++) slot[i] = slot[i] < 0 ? -1 : map[slot[i]];
    bad = remember_results(o, list, slot);
done:
    Py_XDECREF(text);
    cx_drop(host);
    cx_program_free(b);
    PyMem_Free(frontier), PyMem_Free(from), PyMem_Free(map);
    return bad;
}

static PyObject *answer(const question *q, const cx_rule *rule)
{
    outer_tape outer[MOST_TAPES];
    int n_outer = 0, done = 0;
    PyObject *list = NULL;
    cx_err err;
    bool plain_rule = rule->gate == CX_TRUE_GATE && rule->overlap == CX_OVERLAP_SUM;
    q->t->busy++;
    for (int i = 0; i < n_active_tapes; i++) {
        if (active_tapes[i]->paused) continue;
        outer[n_outer] = (outer_tape){.t = active_tapes[i]};
        int bad = tracked_keys(active_tapes[i], &outer[n_outer].keys);
        if (!bad && concerns(&outer[n_outer].keys, q))
            ((tape *)Py_NewRef((PyObject *)outer[n_outer++].t))->busy++;
        else
            id_clear(&outer[n_outer].keys);
        if (bad) goto done;
    }
    if (n_outer && plain_rule)
        done = emitted(q, outer, n_outer, &list, &err);
    else if (n_outer)
        cx_fail(&err, CX_EVALUE, "a gradient taken with a changed rule cannot be differentiated again");
    if (!done && (list = plain_backward(q->t->p, q->target, q->dvalue, q->n_seed, q->wanted, q->n_wanted, rule)))
        for (int i = 0; i < n_outer && list; i++)
            if (record_refusal(&outer[i], q, list, err.msg) < 0) Py_CLEAR(list);
done:
    for (int i = 0; i < n_outer; i++) {
        outer[i].t->busy--;
        id_clear(&outer[i].keys);
        Py_DECREF((PyObject *)outer[i].t);
    }
    q->t->busy--;
    return list;
}

static int count_slots(const tape *t, PyObject *o)
{
    int n = 0;
    for (int e = id_find(&t->ids, ID(o)); e >= 0; e = t->ids.entry[e].older) n++;
    return n;
}

static int pose_targets(question *q, PyObject *const *targets, PyObject *const *seeds, Py_ssize_t n)
{
    char a[CX_SHAPE_TEXT], b[CX_SHAPE_TEXT];
    for (Py_ssize_t i = 0; i < n; i++) {
        int slot = id_slot(&q->t->ids, ID(targets[i]));
        if (slot < 0 || !cx_is_real(V(targets[i]).spec.dtype)) continue;
        const cx_spec *spec = &q->t->p->slot[slot].value.spec;
        PyObject *seed =
            seeds && seeds[i] && seeds[i] != Py_None ? as_tensor(seeds[i], (int)spec->dtype, false) : ones_of(spec);
        if (!seed) return -1;
        if (!cx_same_spec(&V(seed).spec, spec) || !V(seed).data) {
            PyErr_Format(
                PyExc_ValueError,
                "`output_gradients` must have the target's shape %s and dtype %s. Received: shape=%s, dtype=%s",
                cx_shape_text(spec, a), cx_dtype_name(spec->dtype), cx_shape_text(&V(seed).spec, b),
                cx_dtype_name(V(seed).spec.dtype));
            Py_DECREF(seed);
            return -1;
        }
        q->target[q->n_seed] = slot, q->dvalue[q->n_seed] = V(seed), q->seed[q->n_seed++] = seed;
    }
    return 0;
}

/* The gradients at all slots of each source, summed: a variable has one slot for each buffer it had. */
static PyObject *sum_by_source(const question *q, PyObject *all, PyObject *const *sources, Py_ssize_t n)
{
    PyObject *result = PyList_New(n);
    Py_ssize_t k = 0;
    for (Py_ssize_t i = 0; result && i < n; i++) {
        PyObject *sum = Py_NewRef(Py_None);
        for (int m = count_slots(q->t, sources[i]); sum && m > 0; m--, k++) {
            PyObject *g = PyList_GET_ITEM(all, k);
            if (g != Py_None) Py_SETREF(sum, sum == Py_None ? Py_NewRef(g) : apply2(&cx_op_add, sum, g));
        }
        if (sum)
            PyList_SET_ITEM(result, i, sum);
        else
            Py_CLEAR(result);
    }
    return result;
}

PyObject *tape_gradients(tape *t, PyObject *const *targets, PyObject *const *seeds, Py_ssize_t n_target,
                         PyObject *const *sources, Py_ssize_t n_source, const cx_rule *rule)
{
    question q = {.t = t};
    PyObject *all = NULL, *result = NULL;
    size_t most = 0;
    if (tape_refuse_busy(t) < 0) return NULL;
    q.target = PyMem_Malloc(((size_t)n_target + 1) * sizeof *q.target);
    q.seed = PyMem_Calloc((size_t)n_target + 1, sizeof *q.seed);
    q.dvalue = PyMem_Calloc((size_t)n_target + 1, sizeof *q.dvalue);
    if (!q.target || !q.seed || !q.dvalue) {
        PyErr_NoMemory();
        goto done;
    }
    if (pose_targets(&q, targets, seeds, n_target) < 0) goto done; /* may record: count slots after it */
    for (Py_ssize_t i = 0; i < n_source; i++) most += (size_t)count_slots(t, sources[i]);
    if (!(q.wanted = PyMem_Malloc((most + 1) * sizeof *q.wanted))) {
        PyErr_NoMemory();
        goto done;
    }
    for (Py_ssize_t i = 0; i < n_source; i++)
        for (int e = id_find(&t->ids, ID(sources[i])); e >= 0; e = t->ids.entry[e].older)
            q.wanted[q.n_wanted++] = t->ids.entry[e].slot;
    if (!(all = answer(&q, rule))) goto done;
    if (q.n_wanted == n_source && n_source == PyList_GET_SIZE(all)) {
        bool one_each = true;
        for (Py_ssize_t i = 0; i < n_source; i++) one_each = one_each && count_slots(t, sources[i]) == 1;
        if (one_each) result = Py_NewRef(all);
    }
    if (!result) result = sum_by_source(&q, all, sources, n_source);
done:
    for (int i = 0; q.seed && i < q.n_seed; i++) Py_DECREF(q.seed[i]);
    PyMem_Free(q.target), PyMem_Free(q.wanted), PyMem_Free(q.seed), PyMem_Free(q.dvalue);
    Py_XDECREF(all);
    return result;
}

static int check_tensors(PyObject *list, const char *what)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
        PyObject *o = PyList_GET_ITEM(list, i);
        if (is_tensor(o) && !is_symbol(o)) continue;
        PyErr_Format(PyExc_TypeError, "`%s` must be Tensors or Variables. Received: %R (of type %s)", what, o,
                     Py_TYPE(o)->tp_name);
        return -1;
    }
    return 0;
}
PyObject *tape_gradient_method(PyObject *self, PyObject *args, PyObject *kw)
{
    static char *names[] = {"targets", "seeds", "sources", "gate", "overlap", NULL};
    tape *t = (tape *)self;
    PyObject *targets, *seeds, *sources, *gate = Py_None, *overlap = Py_None;
    cx_rule rule;
    if (!PyArg_ParseTupleAndKeywords(args, kw, "O!OO!|OO", names, &PyList_Type, &targets, &seeds, &PyList_Type,
                                     &sources, &gate, &overlap) ||
        parse_rule(gate, overlap, &rule) < 0)
        return NULL;
    if (t->used)
        return PyErr_Format(PyExc_RuntimeError, "a non-persistent GradientTape gives one set of gradients; use "
                                                "GradientTape(persistent=True) to ask it again");
    if (seeds != Py_None && (!PyList_Check(seeds) || PyList_GET_SIZE(seeds) != PyList_GET_SIZE(targets)))
        return PyErr_Format(PyExc_ValueError, "`output_gradients` must match the targets, one for each");
    if (check_tensors(targets, "target") < 0 || check_tensors(sources, "sources") < 0) return NULL;
    if (!t->persistent) tape_leave(t); /* a gradient inside its own `with` is not recorded on itself */
    return tape_gradients(t, PySequence_Fast_ITEMS(targets), seeds == Py_None ? NULL : PySequence_Fast_ITEMS(seeds),
                          PyList_GET_SIZE(targets), PySequence_Fast_ITEMS(sources), PyList_GET_SIZE(sources), &rule);
}
