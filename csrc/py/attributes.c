/* Keyword arguments to the attributes of an op, by its table of fields, and back. The only such parser. */
#include "binding.h"
#include <math.h>
#include <string.h>

static void preset(const cx_field *f, int64_t *attr)
{
    char *at = (char *)attr + f->offset;
    switch (f->type) {
    case CX_REAL:
        *(double *)at = f->preset;
        break;
    case CX_PAIR:
        ((int64_t *)at)[0] = ((int64_t *)at)[1] = (int64_t)f->preset;
        break;
    case CX_LIST:
        ((cx_list *)at)->n = CX_ABSENT;
        break;
    default:
        *(int64_t *)at = (int64_t)f->preset;
    }
}
void default_attributes(const cx_field *fields, int64_t *attr)
{
    memset(attr, 0, CX_ATTR_WORDS * sizeof *attr);
    for (const cx_field *f = fields; f && f->name; f++) preset(f, attr);
}
void *attribute(const cx_op *op, int64_t *attr, const char *name)
{
    for (const cx_field *f = op->fields; f && f->name; f++)
        if (!strcmp(f->name, name)) return (char *)attr + f->offset;
    return NULL;
}

static bool bounded(const cx_field *f) /* a table that says nothing has 0 and 0 */
{
    return f->low != f->high;
}
static bool inside(const cx_field *f, double x)
{
    return !bounded(f) || (x >= f->low && x <= f->high);
}

/* "positive integer", "non-negative integer", "integer >= -1", "integer from -8 to 7" */
static void describe(const cx_field *f, const char *noun, char *text, size_t size)
{
    bool low = bounded(f) && f->low > -CX_MOST, high = bounded(f) && f->high < INT32_MAX;
    if (low && high)
        PyOS_snprintf(text, size, "%s from %.6g to %.6g", noun, f->low, f->high);
    else if (low && (f->low == 0 || f->low == 1))
        PyOS_snprintf(text, size, "%s %s", f->low == 1 ? "positive" : "non-negative", noun);
    else if (low)
        PyOS_snprintf(text, size, "%s >= %.6g", noun, f->low);
    else if (high)
        PyOS_snprintf(text, size, "%s <= %.6g", noun, f->high);
    else
        PyOS_snprintf(text, size, "%s", noun);
}
static int refuse(const cx_field *f, PyObject *o)
{
    char one[80], many[80];
    describe(f, "integer", one, sizeof one), describe(f, "integers", many, sizeof many);
    const char *article = strchr("aeiou", one[0]) ? "an" : "a";
    PyErr_Clear();
    switch (f->type) {
    case CX_INT:
        PyErr_Format(PyExc_ValueError, "`%s` must be %s %s. Received: %s=%R", f->name, article, one, f->name, o);
        break;
    case CX_PAIR:
        PyErr_Format(PyExc_ValueError, "`%s` must be %s %s or a tuple of 2 %s. Received: %s=%R", f->name, article, one,
                     many, f->name, o);
        break;
    case CX_LIST:
        PyErr_Format(PyExc_ValueError, "`%s` must be %s %s or a tuple of at most %d %s. Received: %s=%R", f->name,
                     article, one, CX_RANK, many, f->name, o);
        break;
    case CX_REAL:
        describe(f, "number", one, sizeof one);
        PyErr_Format(PyExc_ValueError, "`%s` must be a %s. Received: %s=%R", f->name, one, f->name, o);
        break;
    default:
        PyErr_Format(PyExc_ValueError, "`%s` must be True or False. Received: %s=%R", f->name, f->name, o);
    }
    return -1;
}

static int parse_integer(const cx_field *f, PyObject *item, PyObject *shown, int64_t *to)
{
    if (item == Py_None && f->type == CX_LIST && bounded(f) && f->low <= -1) return *to = -1, 0;
    PyObject *i = PyIndex_Check(item) ? PyNumber_Index(item) : NULL;
    if (!i) return refuse(f, shown);
    int overflow;
    *to = PyLong_AsLongLongAndOverflow(i, &overflow);
    Py_DECREF(i);
    return overflow || !inside(f, (double)*to) ? refuse(f, shown) : 0;
}

static bool is_sequence(PyObject *o)
{
    if (PyTuple_Check(o) || PyList_Check(o)) return true;
    if (PyArray_Check(o)) return PyArray_NDIM((PyArrayObject *)o) == 1;
    if (is_tensor(o)) return V(o).spec.ndim == 1;
    return !PyIndex_Check(o) && PySequence_Check(o) && !PyUnicode_Check(o) && !PyBytes_Check(o);
}

static int parse_integers(const cx_field *f, PyObject *o, int64_t *to, Py_ssize_t most, Py_ssize_t *n)
{
    if (!is_sequence(o)) return *n = 1, parse_integer(f, o, o, to);
    PyObject *list = PySequence_Fast(o, "");
    int bad = -1;
    if (!list) return refuse(f, o);
    *n = PySequence_Fast_GET_SIZE(list);
    if (*n > most || (f->type == CX_PAIR && *n != 2)) {
        refuse(f, o);
        goto done;
    }
    for (Py_ssize_t i = 0; i < *n; i++)
        if (parse_integer(f, PySequence_Fast_GET_ITEM(list, i), o, &to[i]) < 0) goto done;
    bad = 0;
done:
    Py_DECREF(list);
    return bad;
}

int choose(const char *name, const char *choices, PyObject *o)
{
    Py_ssize_t n = 0;
    const char *s = PyUnicode_Check(o) ? PyUnicode_AsUTF8AndSize(o, &n) : NULL;
    int place = 0;
    for (const char *c = choices; s && c; place++) {
        if (n && !PyOS_strnicmp(c, s, n) && (c[n] == ' ' || !c[n]) && !memchr(s, ' ', (size_t)n)) return place;
        c = strchr(c, ' ');
        if (c) c++;
    }
    PyErr_Clear();
    PyErr_Format(PyExc_ValueError, "`%s` must be one of: %s. Received: %s=%R", name, choices, name, o);
    return -1;
}

static int parse_attribute(const cx_field *f, PyObject *o, int64_t *attr)
{
    char *at = (char *)attr + f->offset;
    Py_ssize_t n;
    if (o == Py_None && !f->required) return 0; /* the default */
    switch (f->type) {
    case CX_INT:
        return parse_integer(f, o, o, (int64_t *)at);
    case CX_PAIR: {
        int64_t *pair = (int64_t *)at;
        if (parse_integers(f, o, pair, 2, &n) < 0) return -1;
        if (n == 1) pair[1] = pair[0];
        return 0;
    }
    case CX_LIST: {
        cx_list *list = (cx_list *)at;
        if (parse_integers(f, o, list->v, CX_RANK, &n) < 0) return -1;
        list->n = n;
        return 0;
    }
    case CX_REAL: {
        double x = PyUnicode_Check(o) || PyBytes_Check(o) ? NAN : PyFloat_AsDouble(o);
        if (PyErr_Occurred() || isnan(x) || !inside(f, x)) return refuse(f, o);
        *(double *)at = x;
        return 0;
    }
    case CX_FLAG: {
        int truth = PyBool_Check(o) || PyIndex_Check(o) || PyArray_CheckScalar(o) ? PyObject_IsTrue(o) : -1;
        if (truth < 0) return refuse(f, o);
        *(int64_t *)at = truth;
        return 0;
    }
    case CX_CHOICE: {
        int place = choose(f->name, f->choices, o);
        *(int64_t *)at = place;
        return place < 0 ? -1 : 0;
    }
    case CX_TYPE: {
        cx_dtype d;
        if (dtype_of(o, &d) < 0) return -1;
        *(int64_t *)at = (int64_t)d;
        return 0;
    }
    }
    return 0;
}

static const cx_field *named(const char *name, const cx_field *fields, PyObject *key)
{
    for (const cx_field *f = fields; f && f->name; f++)
        if (!PyUnicode_CompareWithASCIIString(key, f->name)) return f;
    PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument %R", name, key);
    return NULL;
}
static int check_required(const char *name, const cx_field *fields, unsigned given)
{
    for (const cx_field *f = fields; f && f->name; f++)
        if (f->required && !(given & 1u << (f - fields))) {
            PyErr_Format(PyExc_TypeError, "%s() needs the argument `%s`", name, f->name);
            return -1;
        }
    return 0;
}

int parse_attributes(const char *name, const cx_field *fields, PyObject *const *values, PyObject *names, int64_t *attr)
{
    unsigned given = 0;
    default_attributes(fields, attr);
    for (Py_ssize_t i = 0, n = names ? PyTuple_GET_SIZE(names) : 0; i < n; i++) {
        const cx_field *f = named(name, fields, PyTuple_GET_ITEM(names, i));
        if (!f || parse_attribute(f, values[i], attr) < 0) return -1;
        given |= 1u << (f - fields);
    }
    return check_required(name, fields, given);
}
int parse_attribute_dict(const char *name, const cx_field *fields, PyObject *dict, int64_t *attr)
{
    unsigned given = 0;
    PyObject *key, *value;
    Py_ssize_t at = 0;
    default_attributes(fields, attr);
    while (PyDict_Next(dict, &at, &key, &value)) {
        const cx_field *f = PyUnicode_Check(key) ? named(name, fields, key) : NULL;
        if (!f) {
            if (!PyErr_Occurred()) PyErr_Format(PyExc_TypeError, "%s: attribute names are strings", name);
            return -1;
        }
        if (parse_attribute(f, value, attr) < 0) return -1;
        given |= 1u << (f - fields);
    }
    return check_required(name, fields, given);
}

static PyObject *choice_text(const char *choices, int64_t place)
{
    for (; place > 0 && (choices = strchr(choices, ' ')); place--) choices++;
    size_t n = choices ? strcspn(choices, " ") : 0;
    return PyUnicode_FromStringAndSize(choices ? choices : "", (Py_ssize_t)n);
}
static PyObject *attribute_value(const cx_field *f, const int64_t *attr)
{
    const char *at = (const char *)attr + f->offset;
    const int64_t *number = (const int64_t *)at;
    switch (f->type) {
    case CX_REAL:
        return PyFloat_FromDouble(*(const double *)at);
    case CX_FLAG:
        return PyBool_FromLong(*number != 0);
    case CX_PAIR:
        return Py_BuildValue("(LL)", (long long)number[0], (long long)number[1]);
    case CX_CHOICE:
        return choice_text(f->choices, *number);
    case CX_TYPE:
        return *number < 0 ? Py_NewRef(Py_None) : dtype_object((cx_dtype)*number);
    case CX_LIST: {
        const cx_list *list = (const cx_list *)at;
        if (list->n == CX_ABSENT) Py_RETURN_NONE;
        PyObject *t = PyTuple_New((Py_ssize_t)list->n);
        for (int i = 0; t && i < list->n; i++) {
            PyObject *item = PyLong_FromLongLong(list->v[i]);
            if (!item) Py_CLEAR(t);
            if (t) PyTuple_SET_ITEM(t, i, item);
        }
        return t;
    }
    default:
        return PyLong_FromLongLong(*number);
    }
}
PyObject *attribute_dict(const cx_field *fields, const int64_t *attr)
{
    PyObject *dict = PyDict_New();
    for (const cx_field *f = fields; dict && f && f->name; f++) {
        PyObject *value = attribute_value(f, attr);
        if (!value || PyDict_SetItemString(dict, f->name, value) < 0) Py_CLEAR(dict);
        Py_XDECREF(value);
    }
    return dict;
}

PyObject *field_list(const cx_field *fields)
{
    static const char *const types[] = {"int", "float", "bool", "pair", "list", "choice", "dtype"};
    PyObject *list = PyList_New(0), *defaults = NULL;
    int64_t attr[CX_ATTR_WORDS];
    default_attributes(fields, attr);
    if (!list || !(defaults = attribute_dict(fields, attr))) goto fail;
    for (const cx_field *f = fields; f && f->name; f++) {
        PyObject *value = PyDict_GetItemString(defaults, f->name);
        PyObject *item = Py_BuildValue("{s:s,s:s,s:O,s:O,s:d,s:d,s:z}", "name", f->name, "type", types[f->type],
                                       "required", f->required ? Py_True : Py_False, "default",
                                       f->required ? Py_None : value, "low", bounded(f) ? f->low : -Py_HUGE_VAL, "high",
                                       bounded(f) ? f->high : Py_HUGE_VAL, "choices", f->choices);
        int bad = !item || PyList_Append(list, item) < 0;
        Py_XDECREF(item);
        if (bad) goto fail;
    }
    Py_DECREF(defaults);
    return list;
fail:
    Py_XDECREF(list), Py_XDECREF(defaults);
    return NULL;
}
