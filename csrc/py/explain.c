/* csrc/explain on NumPy arrays. The caller (cnnexplain/ops.py) has made float32 or float64 arrays of them; their
 * strides are taken as they are. */
#include "binding.h"
#include "../explain/explain.h"

static int read_view(PyObject *o, const char *name, int rank, cx_view *v)
{
    PyArrayObject *a = (PyArrayObject *)o;
    int type = PyArray_Check(o) ? PyArray_TYPE(a) : -1;
    if ((type != NPY_FLOAT32 && type != NPY_FLOAT64) || !PyArray_ISBEHAVED_RO(a)) {
        PyErr_Format(PyExc_TypeError, "`%s` must be an aligned float32 or float64 array", name);
        return -1;
    }
    if (PyArray_NDIM(a) != rank) {
        PyErr_Format(PyExc_ValueError, "`%s` must have %d dimensions. Received: %d", name, rank, PyArray_NDIM(a));
        return -1;
    }
    *v = (cx_view){.spec = {type == NPY_FLOAT32 ? CX_F32 : CX_F64, rank, {0}}, .data = PyArray_DATA(a)};
    for (int i = 0; i < rank; i++) v->spec.dim[i] = PyArray_DIM(a, i), v->stride[i] = PyArray_STRIDE(a, i);
    return 0;
}

/* size None: no target, *used is NULL. */
static int read_target(PyObject *size, PyObject *method, cx_target *t, const cx_target **used)
{
    long long height, width;
    *used = NULL;
    if (size == Py_None) return 0;
    int place = choose("method", "nearest bilinear bicubic zoom0 zoom1 zoom2 zoom3", method);
    if (place < 0) return -1;
    if (!PyTuple_Check(size) || !PyArg_ParseTuple(size, "LL", &height, &width)) {
        PyErr_Clear();
        PyErr_Format(PyExc_ValueError, "`size` must be a tuple of 2 positive integers. Received: size=%R", size);
        return -1;
    }
    *t = (cx_target){{height, width}, (cx_sampling)place};
    if (height < 1 || width < 1 || height > INT32_MAX || width > INT32_MAX) {
        PyErr_Format(PyExc_ValueError, "`size` must be a tuple of 2 positive integers. Received: size=%R", size);
        return -1;
    }
    *used = t;
    return 0;
}

/* A new array (n, height, width) or, with channels, (n, height, width, channels). */
static PyObject *new_maps(const cx_view *like, const cx_target *target, int rank, cx_dtype dtype)
{
    cx_spec s = like->spec;
    s.ndim = rank, s.dtype = dtype;
    if (target) s.dim[1] = target->size[0], s.dim[2] = target->size[1];
    return new_array(&s);
}
static PyObject *finished(PyObject *made, cx_code code, const cx_err *err)
{
    if (!code) return made;
    Py_DECREF(made);
    return raise_error(err);
}
static void *data_of(PyObject *a)
{
    return PyArray_DATA((PyArrayObject *)a);
}

static PyObject *explain_cam(PyObject *module, PyObject *args)
{
    PyObject *features, *weights, *index, *size, *method, *maps = NULL, *numbers = NULL;
    cx_view f, w;
    cx_target t;
    const cx_target *target;
    cx_err err;
    cx_code code;
    (void)module;
    if (!PyArg_ParseTuple(args, "OOOOO:explain_cam", &features, &weights, &index, &size, &method)) return NULL;
    if (read_view(features, "features", 4, &f) < 0 || read_view(weights, "weights", 2, &w) < 0) return NULL;
    if (read_target(size, method, &t, &target) < 0) return NULL;
    if (!(numbers = PyArray_FROM_OTF(index, NPY_INT64, NPY_ARRAY_IN_ARRAY))) return NULL;
    if (PyArray_NDIM((PyArrayObject *)numbers) != 1 || PyArray_DIM((PyArrayObject *)numbers, 0) != f.spec.dim[0]) {
        PyErr_Format(PyExc_ValueError, "`class_index` must have one number for each of the %lld images. Received: %R",
                     (long long)f.spec.dim[0], index);
        goto done;
    }
    if (!(maps = new_maps(&f, target, 3, f.spec.dtype))) goto done;
    Py_BEGIN_ALLOW_THREADS;
    code = cx_cam(&f, &w, data_of(numbers), target, data_of(maps), &err);
    Py_END_ALLOW_THREADS;
    maps = finished(maps, code, &err);
done:
    Py_DECREF(numbers);
    return maps;
}

static PyObject *explain_grad_cam(PyObject *module, PyObject *args)
{
    PyObject *activations, *gradients, *size, *method, *maps;
    cx_view a, g;
    cx_target t;
    const cx_target *target;
    cx_err err;
    cx_code code;
    (void)module;
    if (!PyArg_ParseTuple(args, "OOOO:explain_grad_cam", &activations, &gradients, &size, &method)) return NULL;
    if (read_view(activations, "activations", 4, &a) < 0 || read_view(gradients, "gradients", 4, &g) < 0) return NULL;
    if (read_target(size, method, &t, &target) < 0 || !(maps = new_maps(&a, target, 3, a.spec.dtype))) return NULL;
    Py_BEGIN_ALLOW_THREADS;
    code = cx_grad_cam(&a, &g, target, data_of(maps), &err);
    Py_END_ALLOW_THREADS;
    return finished(maps, code, &err);
}

static PyObject *explain_channel_weights(PyObject *module, PyObject *args)
{
    PyObject *activations, *gradients, *way, *weights;
    cx_view a, g;
    double epsilon;
    cx_err err;
    cx_code code;
    (void)module;
    if (!PyArg_ParseTuple(args, "OOOd:explain_channel_weights", &activations, &gradients, &way, &epsilon)) return NULL;
    if (read_view(activations, "activations", 4, &a) < 0 || read_view(gradients, "gradients", 4, &g) < 0) return NULL;
    const int weighing = choose("weighing", "mean plus_plus share", way);
    if (weighing < 0) return NULL;
    if (!(weights = new_array(&(cx_spec){a.spec.dtype, 2, {a.spec.dim[0], a.spec.dim[3]}}))) return NULL;
    Py_BEGIN_ALLOW_THREADS;
    code = cx_channel_weights(&a, &g, (cx_weighing)weighing, epsilon, data_of(weights), &err);
    Py_END_ALLOW_THREADS;
    return finished(weights, code, &err);
}

static PyObject *explain_product_map(PyObject *module, PyObject *args)
{
    PyObject *activations, *gradients, *maps;
    cx_view a, g;
    int rectify;
    cx_err err;
    cx_code code;
    (void)module;
    if (!PyArg_ParseTuple(args, "OOp:explain_product_map", &activations, &gradients, &rectify)) return NULL;
    if (read_view(activations, "activations", 4, &a) < 0 || read_view(gradients, "gradients", 4, &g) < 0) return NULL;
    if (!(maps = new_maps(&a, NULL, 3, a.spec.dtype))) return NULL;
    Py_BEGIN_ALLOW_THREADS;
    code = cx_product_map(&a, &g, rectify, data_of(maps), &err);
    Py_END_ALLOW_THREADS;
    return finished(maps, code, &err);
}

static PyObject *explain_saliency(PyObject *module, PyObject *args)
{
    PyObject *gradients, *maps;
    int maximum;
    cx_view g;
    cx_err err;
    cx_code code;
    (void)module;
    if (!PyArg_ParseTuple(args, "Op:explain_saliency", &gradients, &maximum)) return NULL;
    if (read_view(gradients, "gradients", 4, &g) < 0 || !(maps = new_maps(&g, NULL, 3, g.spec.dtype))) return NULL;
    Py_BEGIN_ALLOW_THREADS;
    code = cx_saliency(&g, maximum, data_of(maps), &err);
    Py_END_ALLOW_THREADS;
    return finished(maps, code, &err);
}

static PyObject *explain_to_uint8(PyObject *module, PyObject *maps)
{
    cx_view m;
    PyObject *bytes;
    (void)module;
    if (read_view(maps, "maps", 3, &m) < 0 || !(bytes = new_maps(&m, NULL, 3, CX_U8))) return NULL;
    Py_BEGIN_ALLOW_THREADS;
    cx_to_uint8(&m, data_of(bytes));
    Py_END_ALLOW_THREADS;
    return bytes;
}

static PyObject *explain_normalize(PyObject *module, PyObject *maps)
{
    cx_view m;
    PyObject *scaled;
    (void)module;
    if (read_view(maps, "maps", 3, &m) < 0 || !(scaled = new_maps(&m, NULL, 3, m.spec.dtype))) return NULL;
    Py_BEGIN_ALLOW_THREADS;
    cx_normalize(&m, data_of(scaled));
    Py_END_ALLOW_THREADS;
    return scaled;
}

static PyObject *explain_resize(PyObject *module, PyObject *args)
{
    PyObject *maps, *size, *method, *resized;
    cx_view m;
    cx_target t;
    const cx_target *target;
    cx_err err;
    cx_code code;
    (void)module;
    if (!PyArg_ParseTuple(args, "OOO:explain_resize", &maps, &size, &method)) return NULL;
    if (read_view(maps, "maps", 4, &m) < 0 || read_target(size, method, &t, &target) < 0) return NULL;
    if (!target)
        return PyErr_Format(PyExc_ValueError, "`size` must be a tuple of 2 positive integers. Received: size=None");
    if (!(resized = new_maps(&m, target, 4, m.spec.dtype))) return NULL;
    Py_BEGIN_ALLOW_THREADS;
    code = cx_resample(&m, target, m.spec.dtype, data_of(resized), &err);
    Py_END_ALLOW_THREADS;
    return finished(resized, code, &err);
}

static PyMethodDef functions[] = {
    {"explain_cam", explain_cam, METH_VARARGS, "(features, weights, class_index, size, method)"},
    {"explain_grad_cam", explain_grad_cam, METH_VARARGS, "(activations, gradients, size, method)"},
    {"explain_channel_weights", explain_channel_weights, METH_VARARGS, "(activations, gradients, weighing, epsilon)"},
    {"explain_product_map", explain_product_map, METH_VARARGS, "(activations, gradients, rectify)"},
    {"explain_saliency", explain_saliency, METH_VARARGS, "(gradients, maximum)"},
    {"explain_to_uint8", explain_to_uint8, METH_O, "(maps)"},
    {"explain_normalize", explain_normalize, METH_O, "(maps)"},
    {"explain_resize", explain_resize, METH_VARARGS, "(maps, size, method)"},
    {0}};

int add_explain_functions(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
