/* One training step: forward, backward, optimizer and updates. The variables change at the end, all or none, with the
 * GIL held and no signal looked at: Ctrl-C never leaves half a step. */
#include "binding.h"
#include <math.h>
#include <string.h>

typedef struct {
    double clipnorm, clipvalue, global_clipnorm; /* 0: no limit */
} clip_attr;
static const cx_field clip_fields[] = {
    {"clipnorm", CX_REAL, offsetof(clip_attr, clipnorm), false, 0, 0, INFINITY, NULL},
    {"clipvalue", CX_REAL, offsetof(clip_attr, clipvalue), false, 0, 0, INFINITY, NULL},
    {"global_clipnorm", CX_REAL, offsetof(clip_attr, global_clipnorm), false, 0, 0, INFINITY, NULL},
    {0}};

typedef struct {
    program *g;
    const cx_update *update;
    int64_t attr[CX_ATTR_WORDS], clip[CX_ATTR_WORDS];
    long long step;
    PyObject *variables, *state; /* lists */
    double *decay;               /* by variable */
    int n_variable;
    cx_value *grad;  /* by variable */
    cx_value *fresh; /* by variable, (1 + n_state) each: buffers for those that others hold */
} training;

static const char update_names[] =
#define X(name) " " #name
#include "../updates.def"
#undef X
    ;

/* The j-th buffer's owner of variable i: itself, then its state. */
static PyObject *owner(const training *t, int i, int j)
{
    return j ? PyList_GET_ITEM(PyList_GET_ITEM(t->state, i), j - 1) : PyList_GET_ITEM(t->variables, i);
}

static int check(const training *t)
{
    if (PyList_GET_SIZE(t->state) != t->n_variable) {
        PyErr_Format(PyExc_ValueError,
                     "`state` must hold one list for each variable. Received: %zd lists for %d variables",
                     PyList_GET_SIZE(t->state), t->n_variable);
        return -1;
    }
    for (int i = 0; i < t->n_variable; i++) {
        PyObject *list = PyList_GET_ITEM(t->state, i), *v = PyList_GET_ITEM(t->variables, i);
        if (!PyList_Check(list) || PyList_GET_SIZE(list) != t->update->n_state) {
            PyErr_Format(PyExc_ValueError, "%s keeps %d variables of state for each variable. Received: %R",
                         t->update->name, t->update->n_state, list);
            return -1;
        }
        for (int j = 0; j <= t->update->n_state; j++) {
            PyObject *o = owner(t, i, j);
            if (is_variable(o) && V(o).data && cx_is_real(V(o).spec.dtype) && cx_same_spec(&V(o).spec, &V(v).spec))
                continue;
            PyErr_Format(PyExc_TypeError,
                         "variables and their state must be floating Variables of one shape. Received: %R", o);
            return -1;
        }
    }
    return 0;
}

static int backward(training *t, cx_program *p, int loss)
{
    cx_err err;
    runner r;
    int bad = -1, *wanted = PyMem_Malloc((size_t)(t->n_variable + 1) * sizeof *wanted);
    const cx_rule rule = {CX_TRUE_GATE, CX_OVERLAP_SUM};
    PyObject *ones = wanted ? ones_of(&p->slot[loss].value.spec) : PyErr_NoMemory();
    if (!ones) goto done;
    for (int i = 0; i < t->n_variable; i++)
        if ((wanted[i] = program_slot(t->g, PyList_GET_ITEM(t->variables, i), "variables")) < 0) goto done;
    err.code = CX_OK;
    start_run(&r, true);
    cx_backward(p, &loss, &V(ones), 1, wanted, t->n_variable, &rule, &r.host, t->grad, &err);
    end_run(&r);
    bad = err.code ? raise_error(&err), -1 : 0;
done:
    Py_XDECREF(ones);
    PyMem_Free(wanted);
    return bad;
}

/* Everything that can fail, before anything changes. */
static int prepare(training *t)
{
    for (int i = 0; i < t->n_variable; i++)
        for (int j = 0; t->grad[i].data && j <= t->update->n_state; j++)
            if (variable_writable(owner(t, i, j), &t->fresh[i * (1 + t->update->n_state) + j]) < 0) return -1;
    return 0;
}
static double norm_scale(double norm, double limit)
{
    return limit / (norm > limit ? norm : limit);
}
static void apply(training *t)
{
    int width = 1 + t->update->n_state;
    const clip_attr *clip = (const clip_attr *)t->clip;
    cx_step step = {.update = t->update, .attr = t->attr, .step = t->step, .scale = 1, .limit = INFINITY};
    if (clip->clipvalue > 0) step.limit = clip->clipvalue;
    if (clip->global_clipnorm > 0) {
        double sum = 0;
        for (int i = 0; i < t->n_variable; i++)
            if (t->grad[i].data) sum += cx_sum_of_squares(&t->grad[i]);
        step.scale = isfinite(sum) ? norm_scale(sqrt(sum), clip->global_clipnorm) : NAN;
    }
    for (int i = 0; i < t->n_variable; i++) {
        void *data[CX_OUTS + 1];
        if (!t->grad[i].data) continue; /* the loss does not depend on it */
        for (int j = 0; j < width; j++) {
            cx_value *fresh = &t->fresh[i * width + j], *v = &V(owner(t, i, j));
            if (fresh->data) {
                cx_clear(v);
                *v = *fresh;
                fresh->block = NULL;
                cx_lasts(v->block);
            } else {
                cx_written(v->block);
            }
            data[j] = v->data;
        }
        const cx_spec *s = &t->grad[i].spec;
        if (clip->clipnorm > 0) step.scale = norm_scale(sqrt(cx_sum_of_squares(&t->grad[i])), clip->clipnorm);
        step.decay = t->decay[i];
        cx_take_step(&step, s->dtype, cx_count(s), data[0], t->grad[i].data, data + 1);
    }
}

PyObject *program_train_step(PyObject *self, PyObject *args, PyObject *kw)
{
    static char *names[] = {"inputs", "loss", "variables", "update", "attributes",
                            "state",  "step", "clip",      "decay",  NULL};
    program *g = (program *)self;
    training t = {.g = g};
    PyObject *inputs, *loss, *attributes, *given = NULL, *result = NULL, **leaf = NULL;
    PyObject *clip = NULL, *decay = NULL;
    const char *update;
    cx_value *value = NULL;
    cx_program *p = NULL;
    id_map tracked = {0};
    bool *no_feeds = NULL;
    int *slot = NULL, n_in = (int)PyTuple_GET_SIZE(g->inputs), n_out = (int)PyTuple_GET_SIZE(g->outputs), n_update = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kw, "OOO!sO!O!L|O!O!", names, &inputs, &loss, &PyList_Type, &t.variables,
                                     &update, &PyDict_Type, &attributes, &PyList_Type, &t.state, &t.step, &PyDict_Type,
                                     &clip, &PyList_Type, &decay))
        return NULL;
    if (!(t.update = cx_update_find(update)))
        return PyErr_Format(PyExc_ValueError, "`update` must be one of:%s. Received: update=%s", update_names, update);
    if (t.step < 1) return PyErr_Format(PyExc_ValueError, "`step` counts from 1. Received: step=%lld", t.step);
    if (parse_attribute_dict(update, t.update->fields, attributes, t.attr) < 0) return NULL;
    if (clip && parse_attribute_dict("clip", clip_fields, clip, t.clip) < 0) return NULL;
    t.n_variable = (int)PyList_GET_SIZE(t.variables);
    if (decay && PyList_GET_SIZE(decay) != t.n_variable)
        return PyErr_Format(PyExc_ValueError, "`decay` must hold one number for each variable. Received: %zd for %d",
                            PyList_GET_SIZE(decay), t.n_variable);
    int loss_slot = program_slot(g, loss, "loss");
    if (loss_slot < 0 || check(&t) < 0) return NULL;
    if (!(given = PySequence_Fast(inputs, "`inputs` must be a list of tensors or arrays"))) return NULL;

    n_update = (int)PyTuple_GET_SIZE(g->updates);
    size_t buffers = (size_t)t.n_variable * (size_t)(1 + t.update->n_state);
    t.grad = PyMem_Calloc((size_t)t.n_variable + 1, sizeof *t.grad);
    t.fresh = PyMem_Calloc(buffers + 1, sizeof *t.fresh);
    t.decay = PyMem_Calloc((size_t)t.n_variable + 1, sizeof *t.decay);
    value = PyMem_Calloc((size_t)n_update + 1, sizeof *value);
    leaf = PyMem_Calloc((size_t)n_in + 1, sizeof *leaf), no_feeds = PyMem_Calloc((size_t)n_in + 1, 1);
    slot = PyMem_Malloc((size_t)(n_in + n_out + n_update + 2) * sizeof *slot);
    if (!t.grad || !t.fresh || !t.decay || !value || !leaf || !no_feeds || !slot) {
        PyErr_NoMemory();
        goto done;
    }
    for (int i = 0; i < t.n_variable; i++) {
        PyObject *v = PyList_GET_ITEM(t.variables, i);
        if (id_find(&tracked, ID(v)) >= 0) {
            PyErr_Format(PyExc_ValueError, "variable %d is given twice", i);
            goto done;
        }
        if (id_add(&tracked, ID(v), 0) < 0) goto done;
        if (decay && (t.decay[i] = PyFloat_AsDouble(PyList_GetItem(decay, i))) == -1 && PyErr_Occurred()) goto done;
    }
    if (program_convert(g, given, true, leaf) < 0) goto done;
    for (int i = 0; i < n_in; i++) slot[i] = id_slot(&g->ids, ID(PyTuple_GET_ITEM(g->inputs, i)));
    if (!(p = program_instance(g, slot, leaf, no_feeds, n_in, &tracked))) goto done;
    p->trains = true;
    int *fetch = slot + n_in, n_fetch = n_out + program_update_slots(g, fetch + n_out);
    for (int i = 0; i < n_out; i++) fetch[i] = id_slot(&g->ids, ID(PyTuple_GET_ITEM(g->outputs, i)));
    fetch[n_fetch++] = loss_slot;
    if (run_program(p, fetch, n_fetch, true) < 0 || backward(&t, p, loss_slot) < 0) goto done;
    if (program_collect(g, p, leaf, n_in, value) < 0) goto done;
    if (!(result = PyTuple_New(n_out))) goto done;
    for (int i = 0; i < n_out; i++) {
        PyObject *y = fetch_value(p, fetch[i]);
        if (!y) {
            Py_CLEAR(result);
            goto done;
        }
        PyTuple_SET_ITEM(result, i, y);
    }
    cx_program_free(p); /* so that the variables are the sole holders of their buffers and are written in place */
    p = NULL;
    if (prepare(&t) < 0) {
        Py_CLEAR(result);
        goto done;
    }
    apply(&t);
    program_store(g, value);
done:
    cx_program_free(p);
    id_clear(&tracked);
    for (int i = 0; t.grad && i < t.n_variable; i++) cx_clear(&t.grad[i]);
    for (size_t i = 0; t.fresh && i < buffers; i++) cx_clear(&t.fresh[i]);
    for (int i = 0; value && i < n_update; i++) cx_clear(&value[i]);
    for (int i = 0; leaf && i < n_in; i++) Py_XDECREF(leaf[i]);
    PyMem_Free(t.grad), PyMem_Free(t.fresh), PyMem_Free(t.decay), PyMem_Free(value), PyMem_Free(leaf),
        PyMem_Free(no_feeds), PyMem_Free(slot);
    Py_DECREF(given);
    return result;
}
