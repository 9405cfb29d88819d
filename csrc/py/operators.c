/* Arithmetic and comparison of tensors: each is one op, recorded like any other. */
#include "binding.h"

/* What an operator takes beside a tensor; for everything else Python asks the other side. */
static bool is_operand(PyObject *o)
{
    if (is_tensor(o) || PyFloat_Check(o) || PyLong_Check(o) || PyArray_Check(o) || PyArray_CheckScalar(o)) return true;
    return PyList_Check(o) || PyTuple_Check(o) || PyObject_CheckBuffer(o) || PyObject_HasAttrString(o, "__array__");
}
static PyObject *binary(const cx_op *op, PyObject *a, PyObject *b)
{
    if (!is_operand(a) || !is_operand(b)) Py_RETURN_NOTIMPLEMENTED;
    return apply2(op, a, b);
}

PyObject *nb_add(PyObject *a, PyObject *b)
{
    return binary(&cx_op_add, a, b);
}
PyObject *nb_subtract(PyObject *a, PyObject *b)
{
    return binary(&cx_op_subtract, a, b);
}
PyObject *nb_multiply(PyObject *a, PyObject *b)
{
    return binary(&cx_op_multiply, a, b);
}
PyObject *nb_floor_divide(PyObject *a, PyObject *b)
{
    return binary(&cx_op_floor_divide, a, b);
}
PyObject *nb_remainder(PyObject *a, PyObject *b)
{
    return binary(&cx_op_floor_mod, a, b);
}
PyObject *nb_matmul(PyObject *a, PyObject *b)
{
    return binary(&cx_op_matmul, a, b);
}
PyObject *nb_power(PyObject *a, PyObject *b, PyObject *modulo)
{
    if (modulo != Py_None) Py_RETURN_NOTIMPLEMENTED;
    return binary(&cx_op_pow, a, b);
}

/* True division: integers go to float64 first, as in TensorFlow (int8 and uint8 to float32). */
PyObject *nb_divide(PyObject *a, PyObject *b)
{
    if (!is_operand(a) || !is_operand(b)) Py_RETURN_NOTIMPLEMENTED;
    cx_dtype d = V(is_tensor(a) ? a : b).spec.dtype;
    if (cx_is_real(d)) return apply2(&cx_op_divide, a, b);
    cx_dtype to = d == CX_U8 || d == CX_I8 ? CX_F32 : CX_F64;
    if (is_tensor(a) && is_tensor(b) && V(b).spec.dtype != d) return apply2(&cx_op_divide, a, b); /* says why not */
    PyObject *x = as_tensor(a, (int)d, false), *y = x ? as_tensor(b, (int)d, false) : NULL, *result = NULL;
    if (x && y) {
        Py_SETREF(x, cast_to(x, to));
        Py_SETREF(y, cast_to(y, to));
        if (x && y) result = apply2(&cx_op_divide, x, y);
    }
    Py_XDECREF(x), Py_XDECREF(y);
    return result;
}

static PyObject *logical(const cx_op *op, PyObject *a, PyObject *b, const char *sign)
{
    if (!is_operand(a) || !is_operand(b)) Py_RETURN_NOTIMPLEMENTED;
    cx_dtype d = V(is_tensor(a) ? a : b).spec.dtype;
    if (d != CX_BOOL)
        return PyErr_Format(PyExc_TypeError, "`%s` is for bool tensors. Received: dtype=%s", sign, cx_dtype_name(d));
    return apply2(op, a, b);
}
PyObject *nb_and(PyObject *a, PyObject *b)
{
    return logical(&cx_op_logical_and, a, b, "&");
}
PyObject *nb_or(PyObject *a, PyObject *b)
{
    return logical(&cx_op_logical_or, a, b, "|");
}
PyObject *nb_xor(PyObject *a, PyObject *b)
{
    return logical(&cx_op_not_equal, a, b, "^");
}
PyObject *nb_invert(PyObject *a)
{
    return apply1(&cx_op_logical_not, a);
}
PyObject *nb_negative(PyObject *a)
{
    return apply1(&cx_op_negative, a);
}
PyObject *nb_positive(PyObject *a)
{
    return apply1(&cx_op_identity, a);
}
PyObject *nb_absolute(PyObject *a)
{
    return apply1(&cx_op_abs, a);
}

PyObject *tensor_compare(PyObject *a, PyObject *b, int how)
{
    static const cx_op *const ops[] = {
        [Py_LT] = &cx_op_less,      [Py_LE] = &cx_op_less_equal, [Py_EQ] = &cx_op_equal,
        [Py_NE] = &cx_op_not_equal, [Py_GT] = &cx_op_greater,    [Py_GE] = &cx_op_greater_equal};
    return binary(ops[how], a, b);
}
