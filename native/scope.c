/* scope.py: what an ASGI scope says of a request. */

#include "fast.h"

#define PLACE(field) [RequestInfo_##field - RequestInfo_FIRST]

/* Return the headers as a dict, new; NULL, maybe with an exception, where one is repeated or is no pair of bytes. */
static PyObject *
fields_of(PyObject *raw)
{
    if (raw == NULL || (!PyList_CheckExact(raw) && !PyTuple_CheckExact(raw))) {
        return NULL;
    }
    PyObject *fields = PyDict_New();
    Py_ssize_t count = PySequence_Fast_GET_SIZE(raw);
    for (Py_ssize_t at = 0; fields != NULL && at < count; at++) { /* nothing here is Python's: bytes are compared alone */
        PyObject *pair = PySequence_Fast_GET_ITEM(raw, at);
        if (!PyTuple_CheckExact(pair) || PyTuple_GET_SIZE(pair) != 2 || !PyBytes_CheckExact(PyTuple_GET_ITEM(pair, 0)) ||
            !PyBytes_CheckExact(PyTuple_GET_ITEM(pair, 1)) ||
            PyDict_SetItem(fields, PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1)) < 0) {
            Py_CLEAR(fields);
        }
    }
    if (fields != NULL && PyDict_GET_SIZE(fields) != count) {
        Py_CLEAR(fields);
    }
    return fields;
}

/* Return a value of the scope, held; None where it is missing, NULL with an exception. */
static PyObject *
value_of(Held *held, PyObject *scope, PyObject *name)
{
    if (PyErr_Occurred()) { /* of the value before */
        return NULL;
    }
    PyObject *value = keep(held, Py_XNewRef(PyDict_GetItemWithError(scope, name)));
    return value == NULL && !PyErr_Occurred() ? Py_None : value;
}

/* Return a text, or another one where there is none; NULL where it is no str. */
static PyObject *
text_or(PyObject *value, PyObject *other)
{
    return value == Py_None ? other : value != NULL && PyUnicode_CheckExact(value) ? value : NULL;
}

static PyObject *
peer_of(PyObject *client) /* new */
{
    if (client == Py_None) {
        return Py_NewRef(client);
    }
    if (client == NULL || (!PyTuple_CheckExact(client) && !PyList_CheckExact(client))) {
        return NULL;
    }
    return PySequence_Fast_GET_SIZE(client) == 0 ? Py_NewRef(Py_None) : PySequence_Tuple(client);
}

static PyObject *
query_of(State *state, PyObject *query) /* new */
{
    if (query == NULL || query == Py_None || !PyBytes_CheckExact(query)) {
        return NULL;
    }
    Py_ssize_t size = PyBytes_GET_SIZE(query);
    return size == 0 ? Py_NewRef(state->names.empty) : PyUnicode_DecodeLatin1(PyBytes_AS_STRING(query), size, NULL);
}

FAST_FUNCTION(scope_request_info)
{
    State *state = self->state;
    if (count != 2 || names != NULL || !PyDict_CheckExact(args[0]) || !PyTuple_CheckExact(args[1])) {
        return SLOW;
    }
    Held held;
    held.count = 0;
    PyObject *scope = args[0], *fields = keep(&held, fields_of(value_of(&held, scope, state->names.headers)));
    PyObject *kind = value_of(&held, scope, state->names.type), *scheme = value_of(&held, scope, state->names.scheme);
    int is_http = kind != NULL && IS_TEXT(kind, "http"), has_context_headers = 0;
    for (Py_ssize_t at = 0; fields != NULL && has_context_headers == 0 && at < PyTuple_GET_SIZE(args[1]); at++) {
        has_context_headers = PyDict_Contains(fields, PyTuple_GET_ITEM(args[1], at));
    }
    if (fields == NULL || has_context_headers < 0 || (!is_http && (kind == NULL || !IS_TEXT(kind, "websocket"))) ||
        (scheme = text_or(scheme, state->names.empty)) == NULL) {
        let_go(&held);
        return failed();
    }
    if (PyUnicode_GET_LENGTH(scheme) == 0) {
        scheme = is_http ? state->names.http : state->names.ws;
    }
    PyObject *info_fields[] = {
        PLACE(method) = is_http ? text_or(value_of(&held, scope, state->names.method), NULL) : state->names.GET,
        PLACE(path) = text_or(value_of(&held, scope, state->names.path), NULL),
        PLACE(query) = keep(&held, query_of(state, value_of(&held, scope, state->names.query_string))),
        PLACE(scheme) = scheme,
        PLACE(header) = keep(&held, PyMethod_New(state->constants[CONSTANT_scope_header], fields)),
        PLACE(peer) = keep(&held, peer_of(value_of(&held, scope, state->names.client))),
        PLACE(http_version) = text_or(value_of(&held, scope, state->names.http_version), NULL),
        PLACE(has_context_headers) = has_context_headers ? Py_True : Py_False,
    };
    Py_ssize_t size = sizeof info_fields / sizeof *info_fields;
    PyObject *info = PyErr_Occurred() ? NULL : struct_of(state, CLASS_RequestInfo, info_fields, size);
    let_go(&held);
    return info == NULL ? failed() : info;
}
