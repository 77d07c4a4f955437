/* record.py: what is left of an exchange that has ended well. */

#include "fast.h"

#define PLACE(field) [RequestRecord_##field - RequestRecord_FIRST]
#define EXCHANGE(field) HOLD(exchange, Exchange_##field)

/* Return the user agent, new, as the header function of an environ or a scope looks it up; any other one is called. */
static PyObject *
user_agent_of(State *state, PyObject *header)
{
    PyObject *look_up = PyMethod_Check(header) ? PyMethod_GET_FUNCTION(header) : NULL;
    PyObject *fields = PyMethod_Check(header) ? PyMethod_GET_SELF(header) : NULL; /* which the held method holds */
    int is_scope = look_up == state->constants[CONSTANT_scope_header];
    if (look_up == NULL || !PyDict_CheckExact(fields) || !(is_scope || look_up == state->constants[CONSTANT_header])) {
        return PyObject_CallOneArg(header, state->names.user_agent);
    }
    PyObject *name = is_scope ? state->names.user_agent_bytes : state->names.HTTP_USER_AGENT;
    PyObject *value = Py_XNewRef(PyDict_GetItemWithError(fields, name));
    if (value == NULL) {
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    }
    if (!is_scope && (PyUnicode_CheckExact(value) || value == Py_None)) {
        return value;
    }
    PyObject *text = is_scope && PyBytes_CheckExact(value)
                         ? PyUnicode_DecodeLatin1(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), NULL)
                         : PyObject_CallOneArg(header, state->names.user_agent);
    Py_DECREF(value);
    return text;
}

PyObject *
record_of(State *state, PyObject *exchange, PyObject *is_logged)
{
    Held held;
    held.count = 0;
    PyObject *info = EXCHANGE(info), *status = EXCHANGE(status), *header, *peer, *asked, *result = SLOW;
    PyObject *started_ns = EXCHANGE(started_ns), *duration = EXCHANGE(duration);
    if (FIELD(exchange, Exchange_outcome) != state->constants[CONSTANT_OK] || info == NULL || !IS(info, RequestInfo) ||
        (header = HOLD(info, RequestInfo_header)) == NULL || (peer = HOLD(info, RequestInfo_peer)) == NULL ||
        (peer != Py_None && !PyTuple_CheckExact(peer)) || (asked = HOLD(info, RequestInfo_method)) == NULL ||
        !PyUnicode_CheckExact(asked) || status == NULL || !PyLong_CheckExact(status) || started_ns == NULL || !PyLong_CheckExact(started_ns) ||
        duration == NULL || !PyFloat_CheckExact(duration)) {
        let_go(&held);
        return SLOW;
    }
    PyObject *client = peer == Py_None || PyTuple_GET_SIZE(peer) == 0 ? Py_None : PyTuple_GET_ITEM(peer, 0);
    long long code = small_int(status, 999);
    int has_body = !IS_TEXT(asked, "HEAD") && code != 204 && code != 304; /* as `Exchange.has_body` */
    double ended = PyLong_AsDouble(started_ns) / 1e9 + PyFloat_AS_DOUBLE(duration);
    PyObject *fields[] = {
        PLACE(active_key) = EXCHANGE(active_key),
        PLACE(method) = EXCHANGE(method),
        PLACE(path) = HOLD(info, RequestInfo_path),
        PLACE(route) = EXCHANGE(route),
        PLACE(status) = status,
        PLACE(outcome) = state->names.ok,
        PLACE(error_type) = EXCHANGE(error_type),
        PLACE(duration) = duration,
        PLACE(time_to_first_byte) = EXCHANGE(time_to_first_byte),
        PLACE(request_bytes) = EXCHANGE(request_bytes),
        PLACE(response_bytes) = has_body ? EXCHANGE(response_bytes) : keep(&held, PyLong_FromLong(0)),
        PLACE(request_id) = EXCHANGE(request_id),
        PLACE(correlation_id) = EXCHANGE(correlation_id),
        PLACE(ids) = EXCHANGE(ids),
        PLACE(is_sampled) = EXCHANGE(is_sampled),
        PLACE(client) = client,
        PLACE(user_agent) = state->names.empty, /* asked for below, once nothing else can be in the way */
        PLACE(ended) = PyErr_Occurred() ? NULL : keep(&held, PyFloat_FromDouble(ended)),
        PLACE(is_logged) = is_logged,
    };
    Py_BUILD_ASSERT(sizeof fields / sizeof *fields == RequestRecord_COUNT); /* a new field wants its place here */
    PyObject *const *end = fields + sizeof fields / sizeof *fields;
    for (PyObject **field = fields; field < end; field++) {
        if (*field == NULL) {
            let_go(&held);
            return failed();
        }
    }
    PyObject *agent = keep(&held, user_agent_of(state, header));
    fields[RequestRecord_user_agent - RequestRecord_FIRST] = agent;
    result = agent == NULL ? NULL : struct_of(state, CLASS_RequestRecord, fields, end - fields);
    let_go(&held);
    return result;
}

FAST_FUNCTION(exchange_record)
{
    State *state = self->state;
    PyObject *is_logged = Py_False;
    if (count != 1 || !IS(args[0], Exchange)) {
        return SLOW;
    }
    if (names != NULL) {
        if (PyTuple_GET_SIZE(names) != 1 || !IS_TEXT(PyTuple_GET_ITEM(names, 0), "is_logged")) {
            return SLOW;
        }
        is_logged = args[1];
    }
    return record_of(state, args[0], is_logged);
}
