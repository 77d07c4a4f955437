/* obs_asgi._native: the common request's way between an ASGI server and its app.

   Each function stands beside the Python function of the same name (see common.h); what it does and why is told there. */

#include "adapter.h"

/* ------------------------------------------------------------------ what Python tells */

#define RESPONSE(X)                                                                                                 \
    X(before) X(exchange) X(has_body) X(has_closed) X(has_trailers) X(is_streaming) X(names) X(headers) X(routes)   \
    X(scope) X(sent) X(server_receive) X(server_send)
#define MIDDLEWARE(X) X(_marks) X(_names) X(_routes) X(observer)

#define RESPONSE_ROW(field) ROW(response, field)
#define MIDDLEWARE_ROW(field) ROW(middleware, field)

static struct { RESPONSE(AT) } response_at;
static struct { MIDDLEWARE(AT) } middleware_at;

static const Field response_fields[] = {RESPONSE(RESPONSE_ROW){NULL, NULL}};
static const Field middleware_fields[] = {MIDDLEWARE(MIDDLEWARE_ROW){NULL, NULL}};

static PyTypeObject *response_type, *middleware_type;

static const Layout layouts[] = {
    ADAPTER_LAYOUTS,
    {"Response", &response_type, response_fields},
    {"ObservabilityMiddleware", &middleware_type, middleware_fields},
    {NULL, NULL, NULL},
};

static PyObject *at_root, *no_headers;

static const Constant constants[] = {
    ADAPTER_CONSTANTS,
    {"AT_ROOT", &at_root},
    {"NO_HEADERS", &no_headers},
    {NULL, NULL},
};

static PyObject *zero, *no_text, *http, *names_is_complete, *s_telemetry;

#define NAMES(X)                                                                                                    \
    X(__code__) X(__enter__) X(_marks) X(_names) X(_routes) X(body) X(client) X(close)                              \
    X(effective_route_context) X(end) X(fastapi) X(headers) X(http_version) X(leave) X(more_body) X(observer)       \
    X(path) X(path_format) X(query_string) X(root_path) X(routes) X(scheme) X(template) X(throw) X(trailers)        \
    X(type)
NAMES(NAME)

#define RESPONSE_(field) SLOT(response, response, field)

/* ------------------------------------------------------------------ the headers of a request */

typedef struct {
    PyObject_HEAD
    vectorcallfunc call;
    PyObject *raw; /* a list of (name, value), both bytes */
} Headers;

/* Take a list's item apart; 0 where it is no pair of bytes. */
static inline int
is_field(PyObject *item, PyObject **name, PyObject **value)
{
    if (PyTuple_CheckExact(item) && PyTuple_GET_SIZE(item) == 2) {
        *name = PyTuple_GET_ITEM(item, 0);
        *value = PyTuple_GET_ITEM(item, 1);
    }
    else if (PyList_CheckExact(item) && PyList_GET_SIZE(item) == 2) {
        *name = PyList_GET_ITEM(item, 0);
        *value = PyList_GET_ITEM(item, 1);
    }
    else {
        return 0;
    }
    return PyBytes_CheckExact(*name) && PyBytes_CheckExact(*value);
}

static inline int
is_same(PyObject *bytes, PyObject *other)
{
    return PyBytes_GET_SIZE(bytes) == PyBytes_GET_SIZE(other) &&
           memcmp(PyBytes_AS_STRING(bytes), PyBytes_AS_STRING(other), PyBytes_GET_SIZE(bytes)) == 0;
}

/* Look a name up, in lower case; values of repeated fields are joined with a comma. */
static PyObject *
headers_call(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *names)
{
    PyObject *raw = ((Headers *)self)->raw, *found = NULL, *name, *value;
    if (PyVectorcall_NARGS(nargsf) != 1 || names != NULL || !PyUnicode_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "header() takes the name of a header");
        return NULL;
    }
    Py_ssize_t size;
    const char *wanted = PyUnicode_AsUTF8AndSize(args[0], &size);
    if (wanted == NULL) {
        return NULL;
    }
    for (Py_ssize_t at = 0; at < PyList_GET_SIZE(raw); at++) {
        if (!is_field(PyList_GET_ITEM(raw, at), &name, &value) || PyBytes_GET_SIZE(name) != size ||
            memcmp(PyBytes_AS_STRING(name), wanted, size) != 0) {
            continue;
        }
        PyObject *text = PyUnicode_DecodeLatin1(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), NULL);
        if (text != NULL && found != NULL) {
            Py_SETREF(text, PyUnicode_FromFormat("%U,%U", found, text));
        }
        Py_XSETREF(found, text);
        if (found == NULL) {
            return NULL;
        }
    }
    return found == NULL ? Py_NewRef(Py_None) : found;
}

static void
headers_dealloc(PyObject *self)
{
    Py_XDECREF(((Headers *)self)->raw);
    PyObject_Free(self);
}

static PyTypeObject headers_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "obs_asgi.Headers",
    .tp_doc = "Look a request's header up by its lower-case name.",
    .tp_basicsize = sizeof(Headers),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_vectorcall_offset = offsetof(Headers, call),
    .tp_call = PyVectorcall_Call,
    .tp_dealloc = headers_dealloc,
};

/* ------------------------------------------------------------------ request_info */

/* Tell whether a caller's mark is among the headers; -1 where one is not as they all are. */
static int
is_marked(PyObject *raw, PyObject *marks)
{
    static PyObject *known = NULL; /* the marks last seen, and a bit for each length of theirs */
    static unsigned long long lengths = 0;
    if (marks != known) {
        lengths = 0;
        Py_CLEAR(known);
        PyObject *iterator = PyObject_GetIter(marks), *mark;
        while (iterator != NULL && (mark = PyIter_Next(iterator)) != NULL) {
            lengths |= PyBytes_Check(mark) && PyBytes_GET_SIZE(mark) < 64 ? 1ULL << PyBytes_GET_SIZE(mark) : ~0ULL;
            Py_DECREF(mark);
        }
        Py_XDECREF(iterator);
        if (PyErr_Occurred()) {
            return -1;
        }
        known = Py_NewRef(marks);
    }
    PyObject *name, *value;
    int is = 0;
    for (Py_ssize_t at = 0; at < PyList_GET_SIZE(raw); at++) {
        if (!is_field(PyList_GET_ITEM(raw, at), &name, &value)) {
            return -1;
        }
        Py_ssize_t size = PyBytes_GET_SIZE(name);
        if (!is && (size >= 64 ? lengths == ~0ULL : (lengths >> size & 1)) && (is = PySet_Contains(marks, name)) < 0) {
            return -1;
        }
    }
    return is;
}

static PyObject *
request_info(PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (!is_ready || count != 2 || names != NULL || !PyDict_CheckExact(args[0]) || !PyFrozenSet_CheckExact(args[1])) {
        return SLOW;
    }
    PyObject *scope = args[0], *type = get(scope, s_type), *raw = get(scope, s_headers), *method = get(scope, s_method),
             *path = get(scope, s_path), *query = get(scope, s_query_string), *scheme = get(scope, s_scheme),
             *client = get(scope, s_client), *version = get(scope, s_http_version);
    if (PyErr_Occurred() || type == NULL || !IS(type, "http") || raw == NULL || !PyList_CheckExact(raw) ||
        method == NULL || path == NULL || (query != NULL && !PyBytes_CheckExact(query))) {
        return failed();
    }
    int is = is_marked(raw, args[1]);
    if (is < 0) {
        return failed();
    }
    Headers *headers = PyObject_New(Headers, &headers_type);
    if (headers == NULL) {
        return NULL;
    }
    headers->call = headers_call;
    if ((headers->raw = PyList_GetSlice(raw, 0, PyList_GET_SIZE(raw))) == NULL) { /* as they are now */
        Py_DECREF(headers);
        return NULL;
    }
    PyObject *text = query == NULL || PyBytes_GET_SIZE(query) == 0
                         ? Py_NewRef(no_text)
                         : PyUnicode_DecodeLatin1(PyBytes_AS_STRING(query), PyBytes_GET_SIZE(query), NULL);
    int is_peer = client == NULL ? 0 : PyObject_IsTrue(client);
    PyObject *peer = is_peer == 1 ? PySequence_Tuple(client) : is_peer == 0 ? Py_NewRef(Py_None) : NULL, *info = NULL;
    int has_scheme = scheme != NULL && PyUnicode_CheckExact(scheme) && PyUnicode_GET_LENGTH(scheme) != 0;
    if (text != NULL && peer != NULL && (has_scheme || scheme == NULL || scheme == Py_None)) {
        PyObject *fields[] = {method, path, text, has_scheme ? scheme : http, (PyObject *)headers, peer,
                              version == NULL ? no_text : version, is ? Py_True : Py_False};
        info = PyObject_Vectorcall((PyObject *)info_type, fields, sizeof fields / sizeof *fields, NULL);
    }
    Py_XDECREF(text);
    Py_XDECREF(peer);
    Py_DECREF(headers);
    return info == NULL ? failed() : info;
}

/* ------------------------------------------------------------------ Response */

static PyObject *
response_init(PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (!is_ready || count != 7 || names != NULL || Py_TYPE(args[0]) != response_type || !PyDict_CheckExact(args[4])) {
        return SLOW;
    }
    PyObject *response = args[0], *root = get(args[4], s_root_path);
    if (root != NULL && !IS(root, "")) {
        return SLOW;
    }
    put(&RESPONSE_(exchange), Py_NewRef(args[1]));
    put(&RESPONSE_(names), Py_NewRef(args[2]));
    put(&RESPONSE_(routes), Py_NewRef(args[3]));
    put(&RESPONSE_(before), Py_NewRef(at_root));
    put(&RESPONSE_(scope), Py_NewRef(args[4]));
    put(&RESPONSE_(server_receive), Py_NewRef(args[5]));
    put(&RESPONSE_(server_send), Py_NewRef(args[6]));
    put(&RESPONSE_(sent), Py_NewRef(zero));
    put(&RESPONSE_(has_body), Py_NewRef(Py_True));
    put(&RESPONSE_(has_trailers), Py_NewRef(Py_False));
    put(&RESPONSE_(has_closed), Py_NewRef(Py_False));
    put(&RESPONSE_(is_streaming), Py_NewRef(Py_False));
    put(&RESPONSE_(headers), Py_NewRef(no_headers));
    Py_RETURN_NONE;
}

/* Call exchange.finish or response.end with `is_complete`. */
static PyObject *
call_complete(PyObject *target, PyObject *method, int is_complete)
{
    PyObject *args[] = {target, is_complete ? Py_True : Py_False};
    return PyObject_VectorcallMethod(method, args, 1, names_is_complete);
}

static PyObject *
response_end(PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (!is_ready || count != 1 || Py_TYPE(args[0]) != response_type) {
        return SLOW;
    }
    int is_complete = 0;
    if (names != NULL) {
        if (PyTuple_GET_SIZE(names) != 1 || !IS(PyTuple_GET_ITEM(names, 0), "is_complete") || !PyBool_Check(args[1])) {
            return SLOW;
        }
        is_complete = args[1] == Py_True;
    }
    PyObject *response = args[0], *exchange = RESPONSE_(exchange);
    if (!is_whole(&layouts[OF_OWN], response) || !is_whole(&layouts[OF_EXCHANGE], exchange)) {
        return SLOW;
    }
    if (EXCHANGE_(outcome) != Py_None) {
        Py_RETURN_NONE;
    }
    int is_too_big;
    if (!PyLong_CheckExact(EXCHANGE_(status)) || PyLong_AsLongAndOverflow(EXCHANGE_(status), &is_too_big) == 101) {
        return SLOW;
    }
    if (add_to(&EXCHANGE_(response_bytes), RESPONSE_(sent)) < 0) {
        return NULL;
    }
    Py_INCREF(exchange);
    if (EXCHANGE_(route) == Py_None) {
        PyObject *routed = EXCHANGE_(routed) == Py_None ? RESPONSE_(scope) : EXCHANGE_(routed);
        PyObject *route = PyObject_CallMethodObjArgs(RESPONSE_(routes), s_template, routed, RESPONSE_(before), NULL);
        if (route != NULL) {
            put(&EXCHANGE_(route), route);
        }
        else if (PyErr_ExceptionMatches(PyExc_Exception)) {
            PyObject *error = taken(), *done = PyObject_CallMethodObjArgs(exchange, s_report, s_route, error, NULL);
            Py_DECREF(error);
            Py_XDECREF(done);
        }
    }
    PyObject *done = PyErr_Occurred() ? NULL : call_complete(exchange, s_finish, is_complete);
    Py_DECREF(exchange);
    return done;
}

/* ------------------------------------------------------------------ what Response.send returns */

enum { START, BODY };

typedef struct {
    PyObject_HEAD
    PyObject *response; /* none once it has ended */
    PyObject *message;
    PyObject *waits_for; /* the server's iterator, once it was begun */
    char kind, is_last, is_seen, has_left, is_running;
} Sending;


/* Return a start's message with the headers of ours that it lacks; NULL without an exception where it is not common. */
static PyObject *
begun(PyObject *response, PyObject *message)
{
    PyObject *exchange = RESPONSE_(exchange), *names = RESPONSE_(names);
    PyObject *status = get(message, s_status), *given = get(message, s_headers), *trailers = get(message, s_trailers);
    PyObject *info = EXCHANGE_(info), *own = EXCHANGE_(request_id), *related = EXCHANGE_(correlation_id);
    if (status == NULL || !PyLong_CheckExact(status) || given == NULL || !PyList_CheckExact(given) || trailers != NULL ||
        !is_whole(&layouts[OF_INFO], info) || !PyTuple_CheckExact(names) || PyTuple_GET_SIZE(names) != 2 ||
        !PyUnicode_CheckExact(own) || !PyUnicode_IS_COMPACT_ASCII(own) || !PyUnicode_CheckExact(related) ||
        !PyUnicode_IS_COMPACT_ASCII(related)) {
        return NULL;
    }
    PyObject *first = PyTuple_GET_ITEM(names, 0), *second = PyTuple_GET_ITEM(names, 1), *name, *value;
    Py_ssize_t size = PyList_GET_SIZE(given);
    int has_first = 0, has_second = 0;
    for (Py_ssize_t at = 0; at < size; at++) {
        if (!is_field(PyList_GET_ITEM(given, at), &name, &value)) {
            return NULL;
        }
        for (Py_ssize_t place = 0; place < PyBytes_GET_SIZE(name); place++) {
            if (PyBytes_AS_STRING(name)[place] >= 'A' && PyBytes_AS_STRING(name)[place] <= 'Z') {
                return NULL;
            }
        }
        has_first |= is_same(name, first);
        has_second |= is_same(name, second);
    }
    PyObject *headers = PyList_New(size + !has_first + !has_second), *result = NULL;
    PyObject *text = PyBytes_FromStringAndSize(PyUnicode_DATA(own), PyUnicode_GET_LENGTH(own));
    PyObject *other = related == own ? Py_XNewRef(text)
                                     : PyBytes_FromStringAndSize(PyUnicode_DATA(related), PyUnicode_GET_LENGTH(related));
    if (headers != NULL && text != NULL && other != NULL) {
        for (Py_ssize_t at = 0; at < size; at++) {
            PyList_SET_ITEM(headers, at, Py_NewRef(PyList_GET_ITEM(given, at)));
        }
        if (!has_first) {
            PyList_SET_ITEM(headers, size++, PyTuple_Pack(2, first, text));
        }
        if (!has_second) {
            PyList_SET_ITEM(headers, size, PyTuple_Pack(2, second, other));
        }
        if (!PyErr_Occurred() && (result = PyDict_Copy(message)) != NULL &&
            PyDict_SetItem(result, s_headers, headers) < 0) {
            Py_CLEAR(result);
        }
    }
    Py_XDECREF(headers);
    Py_XDECREF(text);
    Py_XDECREF(other);
    return result;
}

static int
is_iterable_coroutine(PyObject *generator)
{
    PyObject *code = PyObject_GetAttrString(generator, "gi_code");
    int is = code != NULL && PyCode_Check(code) && (((PyCodeObject *)code)->co_flags & CO_ITERABLE_COROUTINE) != 0;
    Py_XDECREF(code);
    PyErr_Clear();
    return is;
}

/* Return what is awaited: a coroutine, or what another awaitable gives. */
static PyObject *
awaited(PyObject *awaitable) /* steals */
{
    if (awaitable == NULL || PyCoro_CheckExact(awaitable)) {
        return awaitable;
    }
    PyAsyncMethods *async = Py_TYPE(awaitable)->tp_as_async;
    PyObject *iterator = NULL;
    if (async != NULL && async->am_await != NULL) {
        iterator = async->am_await(awaitable);
        if (iterator != NULL && !PyIter_Check(iterator)) {
            PyErr_Format(PyExc_TypeError, "__await__() returned non-iterator of type '%.100s'",
                         Py_TYPE(iterator)->tp_name);
            Py_CLEAR(iterator);
        }
    }
    else if (PyGen_CheckExact(awaitable) && is_iterable_coroutine(awaitable)) { /* types.coroutine */
        return awaitable;
    }
    else {
        PyErr_Format(PyExc_TypeError, "object %.100s can't be used in 'await' expression", Py_TYPE(awaitable)->tp_name);
    }
    Py_DECREF(awaitable);
    return iterator;
}

static int
sending_begin(Sending *self)
{
    PyObject *response = self->response, *exchange = RESPONSE_(exchange), *message = self->message;
    self->is_seen = EXCHANGE_(is_client_gone) != Py_True;
    if (self->kind == START) {
        put(&EXCHANGE_(status), Py_NewRef(get(message, s_status)));
        put(&RESPONSE_(headers), Py_NewRef(get(message, s_headers)));
        int has = has_body(exchange);
        if (has < 0) {
            return -1;
        }
        if (!has) {
            put(&RESPONSE_(has_body), Py_NewRef(Py_False));
        }
    }
    if (self->kind == BODY && self->is_last) {
        PyObject *has_left = PyObject_CallMethodNoArgs(exchange, s_leave);
        if (has_left == NULL) {
            return -1;
        }
        self->has_left = has_left == Py_True;
        Py_DECREF(has_left);
    }
    self->waits_for = awaited(PyObject_CallOneArg(RESPONSE_(server_send), message));
    return self->waits_for == NULL ? -1 : 0;
}

/* Be current again where the exchange was left for the last piece; -1 with an exception. */
static int
enter_again(Sending *self)
{
    if (!self->has_left) {
        return 0;
    }
    self->has_left = 0;
    PyObject *response = self->response, *kind, *error, *trace;
    PyErr_Fetch(&kind, &error, &trace);
    PyObject *done = PyObject_CallMethodNoArgs(RESPONSE_(exchange), s___enter__);
    if (done == NULL) {
        Py_XDECREF(kind);
        Py_XDECREF(error);
        Py_XDECREF(trace);
        return -1;
    }
    Py_DECREF(done);
    PyErr_Restore(kind, error, trace);
    return 0;
}

/* Note that the server has taken the message; -1 with an exception. */
static int
sending_done(Sending *self)
{
    PyObject *response = self->response, *exchange = RESPONSE_(exchange);
    if (self->kind == START) {
        return first_byte(exchange);
    }
    if (enter_again(self) < 0) {
        return -1;
    }
    PyObject *body = get(self->message, s_body);
    int has_body = RESPONSE_(has_body) == Py_True;
    if (has_body && body != NULL) {
        PyObject *size = PyLong_FromSsize_t(PyObject_Size(body));
        int is_added = size == NULL || PyErr_Occurred() ? -1 : add_to(&RESPONSE_(sent), size);
        Py_XDECREF(size);
        if (is_added < 0) {
            return -1;
        }
    }
    if (self->is_last) {
        PyObject *done = call_complete(response, s_end, self->is_seen);
        Py_XDECREF(done);
        return done == NULL ? -1 : 0;
    }
    if (has_body) { /* that chunks to come are refused is seen by the frames of a Python function alone */
        PyObject *code = PyObject_GetAttr(RESPONSE_(server_send), s___code__);
        if (code == NULL && !PyErr_ExceptionMatches(PyExc_AttributeError)) {
            return -1;
        }
        PyErr_Clear();
        put(&RESPONSE_(is_streaming), Py_NewRef(code == NULL ? Py_False : Py_True));
        Py_XDECREF(code);
    }
    return 0;
}

/* Note that the server has refused the message, by the exception that is set and goes on. */
static void
sending_failed(Sending *self)
{
    PyObject *response = self->response, *exchange = RESPONSE_(exchange);
    int is_gone = PyErr_ExceptionMatches(PyExc_OSError);
    if (is_gone) { /* the client has gone (ASGI specification 2.4, "Disconnected client") */
        put(&EXCHANGE_(is_client_gone), Py_NewRef(Py_True));
    }
    if (self->kind == START && PyErr_ExceptionMatches(PyExc_Exception)) {
        put(&EXCHANGE_(status), Py_NewRef(Py_None));
    }
    enter_again(self);
}

static void
sending_release(Sending *self)
{
    Py_CLEAR(self->response);
    Py_CLEAR(self->message);
    Py_CLEAR(self->waits_for);
}

/* Go on as the server's awaitable has gone on. */
static PySendResult
sending_went(Sending *self, PySendResult how, PyObject *value, PyObject **result)
{
    if (how == PYGEN_NEXT) {
        *result = value;
        return PYGEN_NEXT;
    }
    if (how == PYGEN_RETURN) {
        Py_XDECREF(value);
        how = sending_done(self) < 0 ? PYGEN_ERROR : PYGEN_RETURN;
    }
    else {
        sending_failed(self);
    }
    sending_release(self);
    *result = how == PYGEN_RETURN ? Py_NewRef(Py_None) : NULL;
    return how;
}

static PySendResult
sending_send(PyObject *object, PyObject *value, PyObject **result)
{
    Sending *self = (Sending *)object;
    *result = NULL;
    if (self->is_running) {
        PyErr_SetString(PyExc_ValueError, "coroutine already executing");
        return PYGEN_ERROR;
    }
    if (self->response == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
        return PYGEN_ERROR;
    }
    if (self->waits_for == NULL && value != Py_None && value != NULL) {
        PyErr_SetString(PyExc_TypeError, "can't send non-None value to a just-started coroutine");
        return PYGEN_ERROR;
    }
    self->is_running = 1;
    PySendResult how;
    if (self->waits_for == NULL && sending_begin(self) < 0) {
        how = sending_went(self, PYGEN_ERROR, NULL, result);
        self->is_running = 0;
        return how;
    }
    PyObject *answer = NULL, *waits_for = Py_NewRef(self->waits_for);
    how = PyIter_Send(waits_for, value, &answer);
    Py_DECREF(waits_for);
    how = sending_went(self, how, answer, result);
    self->is_running = 0;
    return how;
}

/* Raise StopIteration, as a coroutine that has returned None does. */
static PyObject *
as_method(PySendResult how, PyObject *result)
{
    if (how == PYGEN_RETURN) {
        Py_DECREF(result);
        PyErr_SetNone(PyExc_StopIteration);
        return NULL;
    }
    return result;
}

static PyObject *
sending_send_method(PyObject *self, PyObject *value)
{
    PyObject *result;
    PySendResult how = sending_send(self, value, &result);
    return as_method(how, result);
}

static PyObject *
sending_next(PyObject *self)
{
    return sending_send_method(self, Py_None);
}

static PyObject *
refuse_reentry(void)
{
    PyErr_SetString(PyExc_ValueError, "coroutine already executing");
    return NULL;
}

/* Raise what is given to `throw`, where nothing waits for it. */
static PyObject *
raised(PyObject *args)
{
    PyObject *kind = PyTuple_GET_SIZE(args) > 0 ? PyTuple_GET_ITEM(args, 0) : PyExc_TypeError;
    PyObject *value = PyTuple_GET_SIZE(args) > 1 ? PyTuple_GET_ITEM(args, 1) : Py_None;
    if (PyExceptionInstance_Check(kind)) {
        PyErr_SetObject((PyObject *)Py_TYPE(kind), kind);
    }
    else {
        PyErr_SetObject(kind, value);
    }
    return NULL;
}

/* Throw an exception into what is waited for. */
static PySendResult
throw_into(PyObject *waits_for, PyObject *args, PyObject **answer)
{
    Py_INCREF(waits_for);
    PyObject *throw = NULL;
    *answer = NULL;
    int has_throw = find(waits_for, s_throw, &throw);
    if (has_throw > 0) {
        *answer = PyObject_Call(throw, args, NULL);
    }
    else if (has_throw == 0) { /* an iterator need not have one: the exception is then raised here */
        raised(args);
    }
    Py_XDECREF(throw);
    Py_DECREF(waits_for);
    if (*answer == NULL && PyErr_ExceptionMatches(PyExc_StopIteration)) {
        PyErr_Clear();
        return PYGEN_RETURN;
    }
    return *answer == NULL ? PYGEN_ERROR : PYGEN_NEXT;
}

/* Close what is waited for; -1 with an exception. */
static int
close_inner(PyObject *waits_for)
{
    PyObject *close = PyObject_GetAttr(waits_for, s_close), *done;
    if (close == NULL) {
        PyErr_Clear();
        return 0;
    }
    done = PyObject_CallNoArgs(close);
    Py_DECREF(close);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static void
never_awaited(const char *name)
{
    if (PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "coroutine '%s' was never awaited", name) < 0) {
        PyErr_WriteUnraisable(NULL);
    }
}

static PyObject *
itself(PyObject *self)
{
    return Py_NewRef(self);
}

static PyObject *
sending_throw(PyObject *object, PyObject *args)
{
    Sending *self = (Sending *)object;
    if (self->is_running) {
        return refuse_reentry();
    }
    if (self->response == NULL || self->waits_for == NULL) {
        sending_release(self);
        return raised(args);
    }
    PyObject *answer = NULL, *result = NULL;
    self->is_running = 1;
    PySendResult how = throw_into(self->waits_for, args, &answer);
    how = sending_went(self, how, answer, &result);
    self->is_running = 0;
    return as_method(how, result);
}

static PyObject *
sending_close(PyObject *object, PyObject *Py_UNUSED(none))
{
    Sending *self = (Sending *)object;
    int is_closed = 0;
    if (self->is_running) {
        return refuse_reentry();
    }
    self->is_running = 1;
    if (self->response != NULL && self->waits_for != NULL) {
        is_closed = close_inner(self->waits_for);
        is_closed = enter_again(self) < 0 ? -1 : is_closed;
    }
    self->is_running = 0;
    sending_release(self);
    if (is_closed < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static int
sending_traverse(PyObject *object, visitproc visit, void *arg)
{
    Sending *self = (Sending *)object;
    Py_VISIT(self->response);
    Py_VISIT(self->message);
    Py_VISIT(self->waits_for);
    return 0;
}

static int
sending_clear(PyObject *self)
{
    sending_release((Sending *)self);
    return 0;
}

static void
sending_dealloc(PyObject *object)
{
    Sending *self = (Sending *)object;
    PyObject_GC_UnTrack(self);
    if (self->response != NULL && self->waits_for == NULL) {
        PyObject *kind, *error, *trace;
        PyErr_Fetch(&kind, &error, &trace);
        never_awaited("Response.send");
        PyErr_Restore(kind, error, trace);
    }
    sending_release(self);
    PyObject_GC_Del(self);
}

/* What `inspect` and others ask a coroutine: anyio 4.3 to 4.9 takes nothing else for a task. */
static PyObject *
sending_class(PyObject *Py_UNUSED(self), void *Py_UNUSED(none))
{
    return Py_NewRef((PyObject *)&PyCoro_Type);
}

static PyObject *
sending_name(PyObject *Py_UNUSED(self), void *Py_UNUSED(none))
{
    return PyUnicode_FromString("Response.send");
}

static PyObject *
sending_running(PyObject *self, void *Py_UNUSED(none))
{
    return PyBool_FromLong(((Sending *)self)->response != NULL);
}

static PyObject *
sending_suspended(PyObject *Py_UNUSED(self), void *Py_UNUSED(none))
{
    Py_RETURN_FALSE;
}

static PyObject *
sending_frame(PyObject *self, void *Py_UNUSED(none)) /* there is none; trio asks before it begins */
{
    if (((Sending *)self)->response == NULL) {
        Py_RETURN_NONE;
    }
    PyErr_SetString(PyExc_AttributeError, "cr_frame");
    return NULL;
}

static PyGetSetDef sending_looks[] = {
    {"__class__", sending_class, NULL, NULL, NULL},          {"__name__", sending_name, NULL, NULL, NULL},
    {"__qualname__", sending_name, NULL, NULL, NULL},        {"cr_running", sending_running, NULL, NULL, NULL},
    {"cr_suspended", sending_suspended, NULL, NULL, NULL},   {"cr_frame", sending_frame, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyAsyncMethods sending_async = {.am_await = itself, .am_send = sending_send};

static PyMethodDef sending_methods[] = {
    {"send", sending_send_method, METH_O, NULL},
    {"throw", sending_throw, METH_VARARGS, NULL},
    {"close", sending_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject sending_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "obs_asgi.Sending",
    .tp_doc = "A message on its way to the server: a coroutine.",
    .tp_basicsize = sizeof(Sending),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_as_async = &sending_async,
    .tp_iter = itself,
    .tp_iternext = sending_next,
    .tp_methods = sending_methods,
    .tp_getset = sending_looks,
    .tp_traverse = sending_traverse,
    .tp_clear = sending_clear,
    .tp_dealloc = sending_dealloc,
};

static PyObject *
sending(PyObject *response, PyObject *message, int kind, int is_last) /* steals the message */
{
    Sending *self = PyObject_GC_New(Sending, &sending_type);
    if (self == NULL) {
        Py_DECREF(message);
        return NULL;
    }
    self->response = Py_NewRef(response);
    self->message = message;
    self->waits_for = NULL;
    self->kind = (char)kind;
    self->is_last = (char)is_last;
    self->is_seen = self->has_left = self->is_running = 0;
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

static PyObject *
response_send(PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (!is_ready || count != 2 || names != NULL || Py_TYPE(args[0]) != response_type || !PyDict_CheckExact(args[1])) {
        return SLOW;
    }
    PyObject *response = args[0], *message = args[1];
    if (RESPONSE_(is_streaming) == Py_True && RESPONSE_(sent) != NULL && RESPONSE_(server_send) != NULL) {
        PyObject *body = NULL, *more = NULL, *key, *value, *sum;
        Py_ssize_t at = 0; /* the few entries in turn: 250 instructions less than two look-ups */
        while (PyDict_Next(message, &at, &key, &value)) {
            if (key == s_body) {
                body = value;
            }
            else if (key == s_more_body) {
                more = value;
            }
        }
        if (more == Py_True && body != NULL && PyBytes_CheckExact(body)) {
            Py_ssize_t sent = PyLong_AsSsize_t(RESPONSE_(sent)); /* added here: one object in place of two */
            if (PyErr_Occurred() || (sum = PyLong_FromSsize_t(sent + PyBytes_GET_SIZE(body))) == NULL) {
                return failed();
            }
            put(&RESPONSE_(sent), sum);
            return PyObject_CallOneArg(RESPONSE_(server_send), message);
        }
    }
    if (!is_whole(&layouts[OF_OWN], response)) {
        return failed();
    }
    PyObject *type = get(message, s_type), *more = get(message, s_more_body);
    if (type == NULL || !PyUnicode_CheckExact(type) || !is_whole(&layouts[OF_EXCHANGE], RESPONSE_(exchange)) ||
        RESPONSE_(has_trailers) != Py_False || (more != NULL && !PyBool_Check(more))) {
        return failed();
    }
    if (IS(type, "http.response.body")) {
        PyObject *body = get(message, s_body);
        if (body != NULL && !PyBytes_CheckExact(body)) {
            return SLOW;
        }
        return sending(response, Py_NewRef(message), BODY, more != Py_True);
    }
    if (IS(type, "http.response.start")) {
        PyObject *full = begun(response, message);
        return full == NULL ? failed() : sending(response, full, START, 0);
    }
    return SLOW;
}

/* ------------------------------------------------------------------ ObservabilityMiddleware */

static PyObject *
middleware_open(PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (!is_ready || count != 4 || names != NULL || !PyDict_CheckExact(args[1])) {
        return SLOW;
    }
    PyObject *middleware = args[0], *scope = args[1], *exchange = NULL, *response = NULL;
    PyObject *marks = HELD(middleware, middleware, _marks), *observer = NULL, *own_names = NULL, *routes = NULL;
    if (marks == NULL || (observer = HELD(middleware, middleware, observer)) == NULL ||
        (own_names = HELD(middleware, middleware, _names)) == NULL ||
        (routes = HELD(middleware, middleware, _routes)) == NULL) {
        goto done;
    }
    PyObject *asked[] = {scope, marks};
    if ((exchange = begin(observer, asked, 2)) == NULL) {
        goto done;
    }
    if (Py_TYPE(exchange) != exchange_type) { /* None: we have failed */
        response = Py_NewRef(exchange);
        goto done;
    }
    PyObject *parts[] = {exchange, own_names, routes, scope, args[2], args[3]};
    if (PyDict_SetItem(scope, carried_as, exchange) == 0 &&
        (EXCHANGE_(is_span_ours) != Py_True || PyDict_SetDefault(scope, s_telemetry, Py_None) != NULL)) {
        response = PyObject_Vectorcall((PyObject *)response_type, parts, 6, NULL);
    }
done:
    Py_XDECREF(marks);
    Py_XDECREF(observer);
    Py_XDECREF(own_names);
    Py_XDECREF(routes);
    Py_XDECREF(exchange);
    return response;
}

/* ------------------------------------------------------------------ Routes */

static PyObject *
routes_template(PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (!is_ready || count != 3 || names != NULL || !PyDict_CheckExact(args[1]) || args[2] != at_root) {
        return SLOW;
    }
    PyObject *scope = args[1], *route = get(scope, s_route), *root = get(scope, s_root_path),
             *fastapi = get(scope, s_fastapi), *value = NULL;
    if (route == NULL || route == Py_None || (root != NULL && !IS(root, ""))) {
        return failed();
    }
    if (fastapi != NULL && fastapi != Py_None) {
        PyObject *included = PyDict_CheckExact(fastapi) ? get(fastapi, s_effective_route_context) : fastapi;
        if (included != NULL && included != Py_None) {
            return failed();
        }
    }
    int is_mount = find(route, s_routes, &value);
    Py_CLEAR(value);
    if (is_mount != 0 || find(route, s_path_format, &value) != 1 || !PyUnicode_CheckExact(value)) {
        Py_XDECREF(value);
        return failed();
    }
    return value;
}

/* ------------------------------------------------------------------ the module */

static const Twin twins[] = {
    {"request_info", request_info},
    {"Response.__init__", response_init},
    {"Response.end", response_end},
    {"Response.send", response_send},
    {"ObservabilityMiddleware._open", middleware_open},
    {"Routes.template", routes_template},
    {NULL, NULL},
};

static int
intern_names(void)
{
    NAMES(INTERN)
    return (s_telemetry = PyUnicode_InternFromString("fastapi.telemetry")) == NULL ? -1 : 0;
}

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "obs_asgi._native",
    .m_doc = "The common request's way between an ASGI server and its app.",
    .m_size = -1,
    .m_methods = adapter_functions,
};

PyMODINIT_FUNC
PyInit__native(void)
{
    if (prepare_adapter(twins, layouts, constants) < 0 || PyType_Ready(&headers_type) < 0 ||
        PyType_Ready(&sending_type) < 0 || intern_names() < 0 || (zero = PyLong_FromLong(0)) == NULL ||
        (no_text = PyUnicode_FromStringAndSize(NULL, 0)) == NULL ||
        (http = PyUnicode_InternFromString("http")) == NULL ||
        (names_is_complete = Py_BuildValue("(N)", PyUnicode_InternFromString("is_complete"))) == NULL) {
        return NULL;
    }
    return PyModule_Create(&module);
}
