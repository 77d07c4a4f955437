/* headers.py: the values of some headers of a response. */

#include "fast.h"

enum { MOST_NAMES = 4 };

/* Read a header's name; NULL where it is neither bytes nor an ASCII str. */
static const char *
read_name(PyObject *name, Py_ssize_t *size)
{
    if (PyBytes_CheckExact(name)) {
        *size = PyBytes_GET_SIZE(name);
        return PyBytes_AS_STRING(name);
    }
    int is_ascii = PyUnicode_CheckExact(name) && PyUnicode_IS_COMPACT_ASCII(name);
    *size = is_ascii ? PyUnicode_GET_LENGTH(name) : 0;
    return is_ascii ? PyUnicode_DATA(name) : NULL;
}

/* Tell whether two names of one size are the same; `lower` is in lower case. */
static int
is_same(const char *name, const char *lower, Py_ssize_t size)
{
    for (Py_ssize_t at = 0; at < size; at++) {
        char letter = name[at];
        if ((letter >= 'A' && letter <= 'Z' ? letter + ('a' - 'A') : letter) != lower[at]) {
            return 0;
        }
    }
    return 1;
}

/* The answer is made first: to make it can run the garbage collector, and what is found later is borrowed. */
FAST_FUNCTION(header_values)
{
    (void)self;
    if (count != 2 || names != NULL || !PyList_CheckExact(args[0]) || !PyTuple_CheckExact(args[1]) ||
        PyTuple_GET_SIZE(args[1]) > MOST_NAMES || PyTuple_GET_SIZE(args[1]) == 0) {
        return SLOW;
    }
    PyObject *values = PyTuple_New(PyTuple_GET_SIZE(args[1])), *headers = args[0], *found[MOST_NAMES];
    const char *wanted[MOST_NAMES];
    Py_ssize_t sizes[MOST_NAMES], most = PyTuple_GET_SIZE(args[1]), size;
    PyTypeObject *type = Py_TYPE(PyTuple_GET_ITEM(args[1], 0));
    if (values == NULL) {
        return NULL;
    }
    for (Py_ssize_t at = 0; at < most; at++) {
        PyObject *name = PyTuple_GET_ITEM(args[1], at);
        if (!Py_IS_TYPE(name, type) || (wanted[at] = read_name(name, &sizes[at])) == NULL) {
            Py_DECREF(values);
            return SLOW;
        }
        found[at] = Py_None;
    }
    for (Py_ssize_t row = 0; row < PyList_GET_SIZE(headers); row++) {
        PyObject *pair = PyList_GET_ITEM(headers, row), *name;
        const char *text;
        if (!PyTuple_CheckExact(pair) || PyTuple_GET_SIZE(pair) != 2 ||
            !Py_IS_TYPE(name = PyTuple_GET_ITEM(pair, 0), type) || (text = read_name(name, &size)) == NULL) {
            Py_DECREF(values);
            return SLOW;
        }
        for (Py_ssize_t at = 0; at < most; at++) {
            if (size == sizes[at] && is_same(text, wanted[at], size)) {
                found[at] = PyTuple_GET_ITEM(pair, 1);
            }
        }
    }
    for (Py_ssize_t at = 0; at < most; at++) {
        PyTuple_SET_ITEM(values, at, Py_NewRef(found[at]));
    }
    return values;
}
