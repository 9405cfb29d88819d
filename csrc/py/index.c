/* t[...]: integers, slices, ellipsis and new axes are one slice and one reshape; keys that hold arrays (masks, lists of
 * positions) go to a function in Python that gathers. */
#include "binding.h"

typedef struct {
    int64_t begin[CX_RANK], size[CX_RANK], stride[CX_RANK];
    cx_list shape; /* of the result, after the slice; reshape's -1 and -2 stand for unknown dimensions */
    int n;         /* dimensions of the tensor handled so far */
    bool cuts, reshapes, open;
} selection;

static bool is_array_key(PyObject *item)
{
    if (PyBool_Check(item) || PyList_Check(item)) return true;
    if (is_tensor(item)) return V(item).spec.ndim || V(item).spec.dtype == CX_BOOL;
    if (PyArray_Check(item)) return PyArray_NDIM((PyArrayObject *)item) || PyArray_ISBOOL((PyArrayObject *)item);
    return PyArray_IsScalar(item, Bool);
}

static int too_many(PyObject *o, int given)
{
    PyErr_Format(PyExc_IndexError, "too many indices: the tensor has rank %d, the key has %d", V(o).spec.ndim, given);
    return -1;
}

/* A dimension that stays: known, or kept by reshape (-2: the slice's dimension at this place, -1: the one to infer). */
static int add_dimension(selection *s, int64_t dim, int from)
{
    if (s->shape.n == CX_RANK) {
        PyErr_Format(PyExc_ValueError, "a tensor has at most %d dimensions", CX_RANK);
        return -1;
    }
    if (dim == CX_ANY && s->shape.n == from) {
        dim = -2;
    } else if (dim == CX_ANY) {
        if (s->open) {
            PyErr_SetString(PyExc_ValueError, "this key moves two dimensions that are not known yet; reshape first");
            return -1;
        }
        s->open = true;
        dim = -1;
    }
    s->shape.v[s->shape.n++] = dim;
    return 0;
}

static int take_whole(selection *s, const cx_spec *spec, int until)
{
    for (; s->n < until; s->n++) {
        s->begin[s->n] = 0, s->size[s->n] = -1, s->stride[s->n] = 1;
        if (add_dimension(s, spec->dim[s->n], s->n) < 0) return -1;
    }
    return 0;
}

static int take_integer(selection *s, const cx_spec *spec, PyObject *item)
{
    Py_ssize_t i = PyNumber_AsSsize_t(item, PyExc_IndexError);
    int64_t dim = spec->dim[s->n];
    if (i == -1 && PyErr_Occurred()) return -1;
    if (dim != CX_ANY && (i < -dim || i >= dim)) {
        PyErr_Format(PyExc_IndexError, "index %zd is out of range for dimension %d of size %lld", i, s->n,
                     (long long)dim);
        return -1;
    }
    s->begin[s->n] = i < 0 && dim != CX_ANY ? i + dim : i;
    s->size[s->n] = s->stride[s->n] = 1;
    s->cuts = s->cuts || dim != 1;
    s->reshapes = true;
    s->n++;
    return 0;
}

static int take_slice(selection *s, const cx_spec *spec, PyObject *item)
{
    Py_ssize_t start, stop, step;
    int64_t dim = spec->dim[s->n];
    PySliceObject *slice = (PySliceObject *)item;
    if (PySlice_Unpack(item, &start, &stop, &step) < 0) return -1;
    if (dim == CX_ANY) {
        bool whole = slice->start == Py_None && slice->stop == Py_None && step == 1;
        bool head = step == 1 && start == 0 && stop > 0 && slice->stop != Py_None;
        if (!whole && (head || slice->stop != Py_None || step < 0)) {
            PyErr_Format(PyExc_ValueError,
                         "dimension %d is not known yet: only [start:] and [start::step] can cut it. "
                         "Received: %R",
                         s->n, item);
            return -1;
        }
        s->begin[s->n] = start, s->size[s->n] = -1, s->stride[s->n] = step;
        s->cuts = s->cuts || !whole;
    } else {
        Py_ssize_t n = PySlice_AdjustIndices((Py_ssize_t)dim, &start, &stop, step);
        s->begin[s->n] = n ? start : 0, s->size[s->n] = n, s->stride[s->n] = n ? step : 1;
        s->cuts = s->cuts || n != dim || step != 1;
        dim = n;
    }
    if (add_dimension(s, dim, s->n) < 0) return -1;
    s->n++;
    return 0;
}

static int select_items(selection *s, PyObject *o, PyObject *key)
{
    const cx_spec *spec = &V(o).spec;
    Py_ssize_t items = PyTuple_GET_SIZE(key);
    int uses = 0;
    bool ellipsis = false;
    for (Py_ssize_t i = 0; i < items; i++) {
        PyObject *item = PyTuple_GET_ITEM(key, i);
        if (item != Py_None && item != Py_Ellipsis) uses++;
    }
    if (uses > spec->ndim) return too_many(o, uses);
    for (Py_ssize_t i = 0; i < items; i++) {
        PyObject *item = PyTuple_GET_ITEM(key, i);
        if (item == Py_Ellipsis) {
            if (ellipsis) {
                PyErr_SetString(PyExc_IndexError, "a key holds at most one ellipsis");
                return -1;
            }
            ellipsis = true;
            if (take_whole(s, spec, s->n + spec->ndim - uses) < 0) return -1;
        } else if (item == Py_None) {
            s->reshapes = true;
            if (add_dimension(s, 1, -1) < 0) return -1;
        } else if (PySlice_Check(item) ? take_slice(s, spec, item) < 0 : take_integer(s, spec, item) < 0) {
            return -1;
        }
    }
    return take_whole(s, spec, spec->ndim);
}

PyObject *tensor_subscript(PyObject *o, PyObject *key)
{
    selection s = {.shape.n = 0};
    PyObject *items = PyTuple_Check(key) ? Py_NewRef(key) : PyTuple_Pack(1, key), *result = NULL;
    int64_t attr[CX_ATTR_WORDS];
    if (!items) return NULL;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items); i++) {
        PyObject *item = PyTuple_GET_ITEM(items, i);
        if (is_array_key(item)) {
            result = S.index_hook ? PyObject_CallFunctionObjArgs(S.index_hook, o, items, NULL)
                                  : PyErr_Format(PyExc_TypeError, "keys that hold arrays need cnnexplain.tensor");
            goto done;
        }
        if (item != Py_None && item != Py_Ellipsis && !PySlice_Check(item) && !PyIndex_Check(item)) {
            PyErr_Format(
                PyExc_TypeError,
                "a tensor is indexed by integers, slices, `...`, None and integer or bool arrays. Received: %R", item);
            goto done;
        }
    }
    if (select_items(&s, o, items) < 0) goto done;
    result = Py_NewRef(o);
    if (s.cuts) {
        default_attributes(cx_op_slice.fields, attr);
        cx_list *begin = attribute(&cx_op_slice, attr, "begin"), *size = attribute(&cx_op_slice, attr, "size"),
                *stride = attribute(&cx_op_slice, attr, "strides");
        begin->n = size->n = stride->n = s.n;
        for (int i = 0; i < s.n; i++) begin->v[i] = s.begin[i], size->v[i] = s.size[i], stride->v[i] = s.stride[i];
        Py_SETREF(result, apply_op(&cx_op_slice, attr, NULL, (PyObject *[CX_INS]){result}));
    }
    if (result && s.reshapes) {
        default_attributes(cx_op_reshape.fields, attr);
        *(cx_list *)attribute(&cx_op_reshape, attr, "shape") = s.shape;
        Py_SETREF(result, apply_op(&cx_op_reshape, attr, NULL, (PyObject *[CX_INS]){result}));
    }
    if (result == o) Py_SETREF(result, apply1(&cx_op_identity, o)); /* a Variable's slice is a Tensor */
done:
    Py_DECREF(items);
    return result;
}

int tensor_no_assignment(PyObject *o, PyObject *key, PyObject *value)
{
    (void)key, (void)value;
    PyErr_Format(PyExc_TypeError,
                 is_variable(o) ? "a Variable does not support item assignment: change an array and call assign(array)"
                                : "a Tensor does not support item assignment: change an array (`a = t.numpy()`), or "
                                  "build a new tensor with where(), concat() or stack()");
    return -1;
}
