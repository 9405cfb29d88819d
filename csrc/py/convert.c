/* Numbers, arrays, shapes and dtypes, in and out. */
#include "binding.h"
#include <string.h>

static const int npy_type[CX_DTYPES] = {NPY_FLOAT32, NPY_FLOAT64, NPY_INT32, NPY_INT64, NPY_UINT8, NPY_INT8, NPY_BOOL};
static const char *const formats[CX_DTYPES] = {"f", "d", "i", "q", "B", "b", "?"};

int64_t take_ids(int64_t n)
{
    static int64_t last; /* under the GIL */
    last += n;
    return last - n + 1;
}
int64_t next_id(void)
{
    return take_ids(1);
}

PyObject *raise_error(const cx_err *err)
{
    if (err->code == CX_EHOST) /* the exception is set already */
        return NULL;
    PyObject *kind = err->code == CX_ENOMEM  ? PyExc_MemoryError
                     : err->code == CX_ETYPE ? PyExc_TypeError
                                             : PyExc_ValueError;
    PyErr_SetString(kind, err->msg);
    return NULL;
}

const char *buffer_format(cx_dtype d)
{
    return formats[d];
}

PyObject *new_object(PyTypeObject *type, const cx_value *v)
{
    tensor *t = (tensor *)type->tp_alloc(type, 0);
    if (!t) return NULL;
    t->id = next_id(), t->v = cx_share(v);
    return (PyObject *)t;
}
PyObject *new_tensor(const cx_value *v)
{
    return new_object(S.tensor_class, v);
}

int copy_value(const cx_value *from, cx_value *to)
{
    cx_err err;
    if (cx_value_new(&from->spec, to, &err)) return raise_error(&err), -1;
    size_t size = (size_t)cx_count(&from->spec) * cx_width(from->spec.dtype);
    if (size) memcpy(to->data, from->data, size);
    return 0;
}

int refuse_symbol(PyObject *o)
{
    if (V(o).data) return 0;
    if (is_symbol(o))
        PyErr_SetString(PyExc_TypeError,
                        "a symbolic tensor has a shape and a dtype but no values: build a Model from it and call the "
                        "model on data, or do the computation inside a Layer");
    else
        PyErr_SetString(PyExc_ValueError, "this Variable has no value yet");
    return -1;
}

PyObject *dtype_object(cx_dtype d)
{
    return S.dtype[d] ? Py_NewRef(S.dtype[d]) : PyUnicode_FromString(cx_dtype_name(d));
}

static int dtype_named(const char *name, cx_dtype *d)
{
    for (int i = 0; i < CX_DTYPES; i++)
        if (!strcmp(name, cx_dtype_name((cx_dtype)i))) return *d = (cx_dtype)i, 0;
    return -1;
}

static int refuse_dtype(PyObject *o, const char *name)
{
    if (name && (!strcmp(name, "float16") || !strcmp(name, "bfloat16") || !strcmp(name, "half")))
        PyErr_Format(PyExc_TypeError,
                     "%s is not a compute type here; cast to float32 first (`array.astype(\"float32\")`)", name);
    else
        PyErr_Format(PyExc_TypeError,
                     "`dtype` must be one of: float32, float64, int32, int64, uint8, int8, bool. Received: dtype=%R",
                     o);
    return -1;
}

int dtype_of(PyObject *o, cx_dtype *d)
{
    for (int i = 0; i < CX_DTYPES; i++)
        if (S.dtype[i] == o) return *d = (cx_dtype)i, 0;
    if (o == (PyObject *)&PyFloat_Type) return *d = CX_F32, 0;
    if (o == (PyObject *)&PyLong_Type) return *d = CX_I32, 0;
    if (o == (PyObject *)&PyBool_Type) return *d = CX_BOOL, 0;
    PyObject *name = PyUnicode_Check(o) ? Py_NewRef(o) : NULL;
    if (!name && !PyType_Check(o) && !(name = PyObject_GetAttrString(o, "name"))) PyErr_Clear();
    const char *text = name && PyUnicode_Check(name) ? PyUnicode_AsUTF8(name) : NULL;
    int bad = text ? dtype_named(text, d) : -1;
    if (bad) {
        PyArray_Descr *descr = NULL;
        bool refused = text && (!strcmp(text, "float16") || !strcmp(text, "bfloat16"));
        if (!refused && o != Py_None && PyArray_DescrConverter(o, &descr)) {
            PyErr_Clear();
            PyObject *own = PyObject_GetAttrString((PyObject *)descr, "name");
            const char *canonical = own && PyUnicode_Check(own) ? PyUnicode_AsUTF8(own) : NULL;
            bad = canonical ? dtype_named(canonical, d) : -1;
            if (bad) refuse_dtype(o, canonical);
            Py_XDECREF(own), Py_DECREF(descr);
        } else {
            PyErr_Clear();
            refuse_dtype(o, text);
        }
    }
    Py_XDECREF(name);
    return bad;
}

PyObject *shape_object(const cx_spec *s)
{
    PyObject *t = PyTuple_New(s->ndim);
    if (!t) return NULL;
    for (int i = 0; i < s->ndim; i++) {
        PyObject *d = s->dim[i] == CX_ANY ? Py_NewRef(Py_None) : PyLong_FromLongLong(s->dim[i]);
        if (!d) return Py_DECREF(t), NULL;
        PyTuple_SET_ITEM(t, i, d);
    }
    if (S.shape_class) Py_SETREF(t, PyObject_CallOneArg(S.shape_class, t));
    return t;
}

static const char capsule_name[] = "cnnexplain block";
static void drop_capsule(PyObject *capsule)
{
    cx_drop(PyCapsule_GetPointer(capsule, capsule_name));
}
/* An array in v's memory, which it holds. */
static PyObject *array_on(const cx_value *v)
{
    npy_intp dim[CX_RANK];
    for (int i = 0; i < v->spec.ndim; i++) dim[i] = (npy_intp)v->spec.dim[i];
    PyObject *a = PyArray_SimpleNewFromData(v->spec.ndim, dim, npy_type[v->spec.dtype], v->data);
    if (!a) return NULL;
    PyObject *capsule = PyCapsule_New(cx_keep(v->block), capsule_name, drop_capsule);
    if (!capsule) {
        cx_drop(v->block);
    } else if (PyArray_SetBaseObject((PyArrayObject *)a, capsule) == 0) {
        return a;
    }
    Py_DECREF(a);
    return NULL;
}

/* Large ones lie in a block: it is handed out again when the array goes, where the C library would give its pages back
 * to the system, and a fresh page costs more than filling it. */
PyObject *new_array(const cx_spec *s)
{
    static const size_t large = (size_t)64 << 10;
    npy_intp dim[CX_RANK];
    cx_value v;
    cx_err err;
    size_t size;
    if (cx_bytes(s, &size, &err)) return raise_error(&err);
    if (size < large) {
        for (int i = 0; i < s->ndim; i++) dim[i] = (npy_intp)s->dim[i];
        return PyArray_SimpleNew(s->ndim, dim, npy_type[s->dtype]);
    }
    if (cx_value_new(s, &v, &err)) return raise_error(&err);
    PyObject *a = array_on(&v);
    cx_clear(&v);
    return a;
}

PyObject *array_of(const cx_value *v)
{
    PyObject *a = new_array(&v->spec);
    size_t size = a ? (size_t)PyArray_NBYTES((PyArrayObject *)a) : 0;
    if (size) memcpy(PyArray_DATA((PyArrayObject *)a), v->data, size);
    return a;
}
PyObject *view_of(const cx_value *v)
{
    if (!v->block) return array_of(v);
    PyObject *a = array_on(v);
    if (a) PyArray_CLEARFLAGS((PyArrayObject *)a, NPY_ARRAY_WRITEABLE);
    return a;
}

/* The block of a tensor or variable that a read-only view shows from its beginning: nobody writes it while the view
 * lives. NumPy gets views from view_of, and by itself through the buffer protocol. */
static cx_block *block_under(PyArrayObject *a)
{
    PyObject *base = PyArray_BASE(a);
    cx_block *b = NULL;
    if (!base || PyArray_ISWRITEABLE(a)) return NULL;
    if (PyCapsule_IsValid(base, capsule_name))
        b = PyCapsule_GetPointer(base, capsule_name);
    else if (PyMemoryView_Check(base))
        b = buffered_block(PyMemoryView_GET_BUFFER(base));
    return b && cx_block_data(b) == PyArray_DATA(a) ? b : NULL;
}

static void release_array(void *array) /* calls are freed with the GIL held */
{
    Py_DECREF((PyObject *)array);
}

/* The dtype an array keeps. made_here: by NumPy from Python numbers, which are float32 and int32 as in TensorFlow. */
static int array_dtype(PyArrayObject *a, bool made_here)
{
    char kind = PyArray_DESCR(a)->kind;
    npy_intp width = PyArray_ITEMSIZE(a);
    if (kind == 'f' && made_here) return CX_F32;
    if (kind == 'f' && width == 4) return CX_F32;
    if (kind == 'f' && width == 8) return CX_F64;
    if (kind == 'b') return CX_BOOL;
    if (kind == 'u' && width == 1) return CX_U8;
    if (kind == 'i' && width == 1) return CX_I8;
    if (kind == 'i' && made_here && width == 8 && PyArray_ISCARRAY_RO(a)) {
        const int64_t *x = PyArray_DATA(a);
        for (npy_intp i = 0, n = PyArray_SIZE(a); i < n; i++)
            if (x[i] < INT32_MIN || x[i] > INT32_MAX) return CX_I64;
        return CX_I32;
    }
    if (kind == 'i') return width <= 4 ? CX_I32 : CX_I64;
    if (kind == 'u') return width <= 2 ? CX_I32 : CX_I64;
    return OWN_DTYPE;
}

static int refuse_array(PyArrayObject *a)
{
    PyArray_Descr *d = PyArray_DESCR(a);
    if (d->kind == 'f' || d->kind == 'V')
        PyErr_Format(PyExc_TypeError,
                     "arrays of dtype %S are not supported; convert first (`array.astype(\"float32\")`)", d);
    else
        PyErr_Format(PyExc_TypeError, "arrays of dtype %S are not supported: a tensor holds numbers or booleans", d);
    return -1;
}

static int refuse_loss(PyObject *o, int want)
{
    PyErr_Format(PyExc_TypeError,
                 "cannot convert %R to dtype %s without loss; cast the tensor it meets to another dtype first", o,
                 cx_dtype_name((cx_dtype)want));
    return -1;
}

/* The range of the integer types. */
static const int64_t lowest[CX_DTYPES] = {[CX_I32] = INT32_MIN, [CX_I64] = INT64_MIN, [CX_I8] = -128};
static const int64_t highest[CX_DTYPES] = {
    [CX_I32] = INT32_MAX, [CX_I64] = INT64_MAX, [CX_I8] = 127, [CX_U8] = 255, [CX_BOOL] = 1};

/* Does an integer array fit a narrower integer type? */
static bool narrows(PyArrayObject *a, int want)
{
    char kind = PyArray_DESCR(a)->kind;
    npy_intp width = PyArray_ITEMSIZE(a), room = (npy_intp)cx_width((cx_dtype)want);
    if (kind == 'b' || cx_is_real((cx_dtype)want)) return false;
    return width > room || (width == room && (kind == 'u') != (want == CX_U8)) || (kind == 'i' && want == CX_U8);
}
static int check_narrowing(PyArrayObject *a, int want, PyObject *shown)
{
    if (!PyArray_SIZE(a)) return 0;
    PyObject *least = PyArray_Min(a, NPY_RAVEL_AXIS, NULL), *most = PyArray_Max(a, NPY_RAVEL_AXIS, NULL);
    if (least) Py_SETREF(least, PyNumber_Index(least));
    if (most) Py_SETREF(most, PyNumber_Index(most));
    int bad = !least || !most, under = 0, over = 0;
    if (!bad) {
        int64_t low = PyLong_AsLongLongAndOverflow(least, &under), high = PyLong_AsLongLongAndOverflow(most, &over);
        if (under || over || low < lowest[want] || high > highest[want]) bad = refuse_loss(shown, want) < 0;
    }
    Py_XDECREF(least), Py_XDECREF(most);
    return bad || PyErr_Occurred() ? -1 : 0;
}

static PyObject *tensor_of_array(PyObject *o, PyArrayObject *a, int want, bool made_here, bool borrow)
{
    cx_value v = {.spec.ndim = PyArray_NDIM(a)};
    cx_err err;
    PyObject *result = NULL;
    int own = array_dtype(a, made_here);
    if (PyArray_NDIM(a) > CX_RANK)
        return PyErr_Format(PyExc_ValueError, "a tensor has at most %d dimensions. Received: an array of rank %d",
                            CX_RANK, PyArray_NDIM(a));
    char kind = PyArray_DESCR(a)->kind;
    if (!strchr("fiub", kind) || (want == OWN_DTYPE && own == OWN_DTYPE)) return refuse_array(a), NULL;
    if (want == OWN_DTYPE) want = own;
    if ((kind == 'f' && !cx_is_real((cx_dtype)want)) || (kind != 'b' && want == CX_BOOL))
        return refuse_loss(o, want), NULL;
    if (narrows(a, want) && check_narrowing(a, want, o) < 0) return NULL;
    v.spec.dtype = (cx_dtype)want;
    for (int i = 0; i < v.spec.ndim; i++) v.spec.dim[i] = PyArray_DIM(a, i);
    bool fits = PyArray_ISCARRAY_RO(a) && PyArray_EquivTypenums(PyArray_TYPE(a), npy_type[want]);
    cx_block *shown = fits ? block_under(a) : NULL;
    if (shown) {
        v.block = cx_keep(shown), v.data = PyArray_DATA(a);
        result = new_tensor(&v);
    } else if (fits && borrow && o == (PyObject *)a && PyArray_SIZE(a)) {
        if (!(v.block = cx_block_wrap(a, release_array))) return PyErr_NoMemory();
        Py_INCREF(a);
        v.data = PyArray_DATA(a);
        if ((result = new_tensor(&v))) ((tensor *)result)->borrowed = true;
    } else if (cx_value_new(&v.spec, &v, &err)) {
        return raise_error(&err);
    } else if (fits) {
        if (PyArray_NBYTES(a)) memcpy(v.data, PyArray_DATA(a), (size_t)PyArray_NBYTES(a));
        result = new_tensor(&v);
    } else {
        npy_intp *dim = PyArray_DIMS(a);
        PyArrayObject *to = (PyArrayObject *)PyArray_SimpleNewFromData(v.spec.ndim, dim, npy_type[want], v.data);
        if (to && PyArray_CopyInto(to, a) == 0) result = new_tensor(&v);
        Py_XDECREF(to);
    }
    cx_clear(&v);
    return result;
}

static PyObject *tensor_of_number(PyObject *o, int want)
{
    cx_value v;
    cx_err err;
    bool real = PyFloat_CheckExact(o), truth = PyBool_Check(o);
    int overflow = 0;
    int64_t i = real ? 0 : PyLong_AsLongLongAndOverflow(o, &overflow);
    double d = real ? PyFloat_AS_DOUBLE(o) : 0;
    if (want == OWN_DTYPE) {
        want = real ? CX_F32 : truth ? CX_BOOL : i < INT32_MIN || i > INT32_MAX ? CX_I64 : CX_I32;
    } else if ((real && !cx_is_real((cx_dtype)want)) || (!truth && want == CX_BOOL)) {
        return refuse_loss(o, want), NULL;
    }
    if (!real && cx_is_real((cx_dtype)want)) {
        d = PyLong_AsDouble(o);
        if (d == -1 && PyErr_Occurred()) return NULL;
    } else if (!real) {
        if (overflow || i < lowest[want] || i > highest[want])
            return PyErr_Format(PyExc_ValueError, "%R does not fit dtype %s", o, cx_dtype_name((cx_dtype)want));
    }
    if (cx_value_new(&(cx_spec){.dtype = (cx_dtype)want}, &v, &err)) return raise_error(&err);
    switch (want) {
    case CX_F32:
        *(float *)v.data = (float)d;
        break;
    case CX_F64:
        *(double *)v.data = d;
        break;
    case CX_I32:
        *(int32_t *)v.data = (int32_t)i;
        break;
    case CX_I64:
        *(int64_t *)v.data = i;
        break;
    case CX_I8:
        *(int8_t *)v.data = (int8_t)i;
        break;
    default:
        *(uint8_t *)v.data = (uint8_t)i;
    }
    PyObject *result = new_tensor(&v);
    cx_clear(&v);
    return result;
}

/* The first tensor in nested lists, borrowed; NULL: none. Lists deeper than a tensor has dimensions, such as one that
 * holds itself, are left to NumPy's complaint. */
static PyObject *tensor_within(PyObject *o, int depth)
{
    if (is_tensor(o)) return o;
    if (!depth || (!PyList_Check(o) && !PyTuple_Check(o))) return NULL;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(o); i++) {
        PyObject *item = PySequence_Fast_GET_ITEM(o, i);
        if (PyFloat_CheckExact(item) || PyLong_CheckExact(item)) continue;
        PyObject *t = tensor_within(item, depth - 1);
        if (t) return t;
    }
    return NULL;
}
static PyObject *tensor_inside(PyObject *o)
{
    return tensor_within(o, CX_RANK);
}

/* t with a first dimension of 1. */
static PyObject *lifted(PyObject *t)
{
    int64_t attr[CX_ATTR_WORDS];
    const cx_spec *s = &V(t).spec;
    if (s->ndim == CX_RANK) return PyErr_Format(PyExc_ValueError, "a tensor has at most %d dimensions", CX_RANK);
    default_attributes(cx_op_reshape.fields, attr);
    cx_list *shape = attribute(&cx_op_reshape, attr, "shape");
    shape->n = s->ndim + 1, shape->v[0] = 1;
    for (int d = 0; d < s->ndim; d++) shape->v[d + 1] = s->dim[d];
    return apply_op(&cx_op_reshape, attr, NULL, (PyObject *[CX_INS]){t});
}
/* [t0, t1] is a tensor of one more dimension, recorded like every other op. */
static PyObject *packed(PyObject *list, int want)
{
    Py_ssize_t n = PySequence_Fast_GET_SIZE(list);
    PyObject **part = PyMem_Calloc((size_t)n, sizeof *part), *result = NULL;
    int64_t attr[CX_ATTR_WORDS];
    if (!part) return PyErr_NoMemory();
    if (want == OWN_DTYPE) want = (int)V(tensor_inside(list)).spec.dtype;
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *t = as_tensor(PySequence_Fast_GET_ITEM(list, i), want, false);
        if (t) part[i] = lifted(t);
        Py_XDECREF(t);
        if (!part[i]) goto done;
    }
    default_attributes(cx_op_concat.fields, attr);
    for (Py_ssize_t left = n; left > 1; left = (left + CX_INS - 1) / CX_INS) /* joins by eights */
        for (Py_ssize_t i = 0, to = 0; i < left; i += CX_INS, to++) {
            PyObject *group[CX_INS] = {NULL};
            for (Py_ssize_t k = i; k < left && k < i + CX_INS; k++) group[k - i] = part[k], part[k] = NULL;
            PyObject *joined = group[1] ? apply_op(&cx_op_concat, attr, NULL, group) : Py_NewRef(group[0]);
            for (int k = 0; k < CX_INS; k++) Py_XDECREF(group[k]);
            if (!(part[to] = joined)) goto done;
        }
    result = Py_NewRef(part[0]);
done:
    for (Py_ssize_t i = 0; i < n; i++) Py_XDECREF(part[i]);
    PyMem_Free(part);
    return result;
}

/* Lists, ranges and numbers of Python, as opposed to whatever comes with a dtype of its own. */
static bool made_of_python_numbers(PyObject *o)
{
    for (int depth = 0; depth < CX_RANK && (PyList_Check(o) || PyTuple_Check(o)) && PySequence_Fast_GET_SIZE(o);
         depth++)
        o = PySequence_Fast_GET_ITEM(o, 0);
    if (PyArray_Check(o) || PyArray_CheckScalar(o) || PyObject_CheckBuffer(o)) return false;
    if (PyList_Check(o) || PyTuple_Check(o) || PyFloat_Check(o) || PyLong_Check(o)) return true;
    return !PyObject_HasAttrString(o, "__array__") && !PyObject_HasAttrString(o, "__array_interface__");
}

PyObject *as_tensor(PyObject *o, int want, bool borrow)
{
    if (is_tensor(o)) return Py_NewRef(o);
    if (PyFloat_CheckExact(o) || PyLong_CheckExact(o) || PyBool_Check(o)) return tensor_of_number(o, want);
    if (o == Py_None) {
        PyErr_SetString(PyExc_TypeError, "expected a tensor, an array or a number. Received: None");
        return NULL;
    }
    if ((PyList_Check(o) || PyTuple_Check(o)) && tensor_inside(o)) {
        if (Py_EnterRecursiveCall(" while a tensor is made of nested lists")) return NULL;
        PyObject *joined = packed(o, want);
        Py_LeaveRecursiveCall();
        return joined;
    }
    PyArrayObject *a = (PyArrayObject *)PyArray_FromAny(o, NULL, 0, 0, NPY_ARRAY_ENSUREARRAY, NULL);
    if (!a) return NULL;
    PyObject *t = tensor_of_array(o, a, want, made_of_python_numbers(o), borrow);
    Py_DECREF(a);
    return t;
}

int natural_dtype(PyObject *o)
{
    if (is_tensor(o)) return (int)V(o).spec.dtype;
    if (PyArray_Check(o)) return array_dtype((PyArrayObject *)o, false);
    if (PyList_Check(o) || PyTuple_Check(o)) {
        PyObject *t = tensor_inside(o);
        return t ? (int)V(t).spec.dtype : OWN_DTYPE;
    }
    return OWN_DTYPE;
}
