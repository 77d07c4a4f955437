/* environ.py: what the CGI variables say of a request. */

#include "fast.h"

#define PLACE(field) [RequestInfo_##field - RequestInfo_FIRST]

/* Return a str of the variables, held; an empty one where it is missing or None; NULL where it is anything else. */
static PyObject *
text_of(State *state, Held *held, PyObject *variables, PyObject *name)
{
    if (PyErr_Occurred()) { /* of the value before */
        return NULL;
    }
    PyObject *value = keep(held, Py_XNewRef(PyDict_GetItemWithError(variables, name)));
    if (value == NULL) {
        return PyErr_Occurred() ? NULL : state->names.empty;
    }
    return PyUnicode_CheckExact(value) ? value : value == Py_None ? state->names.empty : NULL;
}

/* Return a port, new, None where there is none; NULL, maybe with an exception, where it is not a common one. */
static PyObject *
port_of(State *state, Held *held, PyObject *variables)
{
    PyObject *port = keep(held, Py_XNewRef(PyDict_GetItemWithError(variables, state->names.REMOTE_PORT)));
    if (port == NULL || port == Py_None) {
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    }
    if (PyLong_CheckExact(port)) { /* as Django's is */
        return small_int(port, 65535) > 0 ? Py_NewRef(port) : NULL;
    }
    if (!PyUnicode_CheckExact(port) || !PyUnicode_IS_COMPACT_ASCII(port) || PyUnicode_GET_LENGTH(port) > 5) {
        return NULL;
    }
    const char *digits = PyUnicode_DATA(port);
    long number = 0;
    for (Py_ssize_t at = 0; at < PyUnicode_GET_LENGTH(port); at++) {
        if (digits[at] < '0' || digits[at] > '9') {
            return NULL;
        }
        number = 10 * number + (digits[at] - '0');
    }
    return PyUnicode_GET_LENGTH(port) == 0 ? Py_NewRef(Py_None) : PyLong_FromLong(number);
}

static PyObject *
peer_of(State *state, Held *held, PyObject *variables)
{
    PyObject *address = text_of(state, held, variables, state->names.REMOTE_ADDR);
    if (address == NULL || PyUnicode_GET_LENGTH(address) == 0) {
        return address == NULL ? NULL : Py_NewRef(Py_None);
    }
    PyObject *port = keep(held, port_of(state, held, variables));
    return port == NULL ? NULL : PyTuple_Pack(2, address, port);
}

/* Return the path below the server's root, new; NULL where it has to be decoded. */
static PyObject *
path_of(State *state, Held *held, PyObject *variables)
{
    PyObject *root = text_of(state, held, variables, state->names.SCRIPT_NAME);
    PyObject *path = text_of(state, held, variables, state->names.PATH_INFO);
    int is_ascii = root != NULL && path != NULL && PyUnicode_IS_ASCII(root) && PyUnicode_IS_ASCII(path);
    return is_ascii ? PyUnicode_Concat(root, path) : NULL;
}

static PyObject *
http_version_of(State *state, Held *held, PyObject *variables)
{
    PyObject *protocol = text_of(state, held, variables, state->names.SERVER_PROTOCOL);
    if (protocol == NULL || !PyUnicode_IS_COMPACT_ASCII(protocol)) {
        return NULL;
    }
    Py_ssize_t size = PyUnicode_GET_LENGTH(protocol);
    int has_prefix = size >= 5 && memcmp(PyUnicode_DATA(protocol), "HTTP/", 5) == 0;
    return has_prefix ? PyUnicode_Substring(protocol, 5, size) : Py_NewRef(protocol);
}

/* Tell whether one of the names is among the variables; -1 with an exception. */
static int
has_any(PyObject *variables, PyObject *names)
{
    int has = 0;
    for (Py_ssize_t at = 0; has == 0 && at < PyTuple_GET_SIZE(names); at++) {
        has = PyDict_Contains(variables, PyTuple_GET_ITEM(names, at));
    }
    return has;
}

FAST_FUNCTION(environ_request_info)
{
    State *state = self->state;
    if (count < 2 || count > 6 || names != NULL || !PyDict_CheckExact(args[0]) || !PyTuple_CheckExact(args[1])) {
        return SLOW;
    }
    PyObject *better[4] = {NULL, NULL, NULL, NULL}, *variables = args[0]; /* method, path, scheme, http_version */
    for (Py_ssize_t at = 2; at < count; at++) {
        if (args[at] != Py_None && (!PyUnicode_CheckExact(args[at]) || PyUnicode_GET_LENGTH(args[at]) == 0)) {
            return SLOW;
        }
        better[at - 2] = args[at] == Py_None ? NULL : args[at];
    }
    Held held;
    held.count = 0;
    PyObject *scheme = better[2] ? better[2] : text_of(state, &held, variables, state->names.url_scheme);
    int has_context_headers = scheme == NULL ? -1 : has_any(variables, args[1]);
    if (has_context_headers < 0) {
        let_go(&held);
        return failed();
    }
    PyObject *fields[] = {
        PLACE(method) = better[0] ? better[0] : text_of(state, &held, variables, state->names.REQUEST_METHOD),
        PLACE(path) = better[1] ? better[1] : keep(&held, path_of(state, &held, variables)),
        PLACE(query) = text_of(state, &held, variables, state->names.QUERY_STRING),
        PLACE(scheme) = PyUnicode_GET_LENGTH(scheme) == 0 ? state->names.http : scheme,
        PLACE(header) = keep(&held, PyMethod_New(state->constants[CONSTANT_header], variables)),
        PLACE(peer) = keep(&held, peer_of(state, &held, variables)),
        PLACE(http_version) = better[3] ? better[3] : keep(&held, http_version_of(state, &held, variables)),
        PLACE(has_context_headers) = has_context_headers ? Py_True : Py_False,
    };
    Py_BUILD_ASSERT(sizeof fields / sizeof *fields == RequestInfo_COUNT); /* a new field wants its place here */
    PyObject *info = PyErr_Occurred() ? NULL : struct_of(state, CLASS_RequestInfo, fields, sizeof fields / sizeof *fields);
    let_go(&held);
    return info == NULL ? failed() : info;
}
