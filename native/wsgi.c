/* obs_wsgi._native: the common request's way between a WSGI server and its app.

   Each function stands beside the Python function of the same name (see common.h), which tells what and why. */

#include "adapter.h"

/* ------------------------------------------------------------------ what Python tells */

#define RESPONSE(X) X(environ) X(exchange) X(length) X(middleware) X(server_start) X(server_write)
#define MIDDLEWARE(X) X(_marks) X(observer) X(route_of)

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

static const Constant constants[] = {
    ADAPTER_CONSTANTS,
    {NULL, NULL},
};

static PyObject *no_args, *content_length;

#define NAMES(X)                                                                                                    \
    X(CONTENT_LENGTH) X(HTTP_TRANSFER_ENCODING) X(_marks) X(carrier) X(closed) X(declare) X(observer)               \
    X(response_header_names) X(route_of) X(write)
NAMES(NAME)

#define RESPONSE_(field) SLOT(response, response, field)

/* ------------------------------------------------------------------ Response.start */

static inline int
is_ascii(PyObject *text)
{
    return PyUnicode_CheckExact(text) && PyUnicode_IS_COMPACT_ASCII(text);
}

static inline char
lower(char letter)
{
    return letter >= 'A' && letter <= 'Z' ? (char)(letter | 0x20) : letter;
}

/* Compare two names, both ASCII, as HTTP does. */
static int
is_same_name(PyObject *name, PyObject *other)
{
    Py_ssize_t size = PyUnicode_GET_LENGTH(name);
    if (PyUnicode_GET_LENGTH(other) != size) {
        return 0;
    }
    const char *one = PyUnicode_DATA(name), *two = PyUnicode_DATA(other);
    while (size-- > 0 && (one[size] == two[size] || lower(one[size]) == lower(two[size]))) {
    }
    return size < 0;
}

/* Return a status's number; -1 where it does not begin with three digits. */
static long
code_of(PyObject *status)
{
    if (!is_ascii(status) || PyUnicode_GET_LENGTH(status) < 3) {
        return -1;
    }
    const char *text = PyUnicode_DATA(status);
    long code = 0;
    for (int at = 0; at < 3; at++) {
        if (text[at] < '0' || text[at] > '9') {
            return -1;
        }
        code = 10 * code + (text[at] - '0');
    }
    return code;
}

/* Tell whether headers are a list of pairs of str, none of them ours; their Content-Length in `length`, borrowed. */
static int
are_common(PyObject *headers, PyObject *own, PyObject **length)
{
    if (!PyList_CheckExact(headers)) {
        return 0;
    }
    *length = Py_None;
    for (Py_ssize_t at = 0; at < PyList_GET_SIZE(headers); at++) {
        PyObject *field = PyList_GET_ITEM(headers, at);
        if (!PyTuple_CheckExact(field) || PyTuple_GET_SIZE(field) != 2) {
            return 0;
        }
        PyObject *name = PyTuple_GET_ITEM(field, 0), *value = PyTuple_GET_ITEM(field, 1);
        if (!is_ascii(name) || !PyUnicode_CheckExact(value) || is_same_name(name, PyTuple_GET_ITEM(own, 0)) ||
            is_same_name(name, PyTuple_GET_ITEM(own, 1))) {
            return 0;
        }
        if (is_same_name(name, content_length)) {
            *length = value;
        }
    }
    return 1;
}

/* Return a list of the headers and ours. */
static PyObject *
with_ours(PyObject *headers, PyObject *own, PyObject *exchange)
{
    PyObject *first = PyTuple_Pack(2, PyTuple_GET_ITEM(own, 0), EXCHANGE_(request_id));
    PyObject *second = PyTuple_Pack(2, PyTuple_GET_ITEM(own, 1), EXCHANGE_(correlation_id));
    Py_ssize_t size = PyList_GET_SIZE(headers);
    PyObject *all = first == NULL || second == NULL ? NULL : PyList_New(size + 2);
    if (all == NULL) {
        Py_XDECREF(first);
        Py_XDECREF(second);
        return NULL;
    }
    for (Py_ssize_t at = 0; at < size; at++) {
        PyList_SET_ITEM(all, at, Py_NewRef(PyList_GET_ITEM(headers, at)));
    }
    PyList_SET_ITEM(all, size, first);
    PyList_SET_ITEM(all, size + 1, second);
    return all;
}

/* Ask for the route, guarded; -1 where what it raises is no Exception. */
static int
note_route(PyObject *exchange, PyObject *route_of, PyObject *environ)
{
    Py_INCREF(environ);
    PyObject *route = PyObject_CallOneArg(route_of, environ);
    Py_DECREF(environ);
    if (route != NULL) {
        put(&EXCHANGE_(route), route);
        return 0;
    }
    if (!PyErr_ExceptionMatches(PyExc_Exception)) {
        return -1;
    }
    PyObject *error = taken(), *done = PyObject_CallMethodObjArgs(exchange, s_report, s_route, error, NULL);
    Py_DECREF(error);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static PyObject *
response_start(PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (!is_ready || names != NULL || !(count == 3 || (count == 4 && args[3] == Py_None)) ||
        !is_whole(&layouts[OF_OWN], args[0]) ||
        !is_whole(&layouts[OF_EXCHANGE], SLOT(response, args[0], exchange))) {
        return SLOW;
    }
    PyObject *response = args[0], *status = args[1], *headers = args[2], *exchange = Py_NewRef(RESPONSE_(exchange));
    PyObject *route_of = HELD(middleware, RESPONSE_(middleware), route_of), *answer = SLOW, *length;
    PyObject *own = route_of == NULL ? NULL : PyObject_GetAttr(EXCHANGE_(_owner), s_response_header_names);
    long code = code_of(status);
    if (own == NULL || code < 0 || !PyTuple_CheckExact(own) || PyTuple_GET_SIZE(own) != 2 ||
        !is_ascii(PyTuple_GET_ITEM(own, 0)) || !is_ascii(PyTuple_GET_ITEM(own, 1)) ||
        !are_common(headers, own, &length)) {
        goto done;
    }
    if (EXCHANGE_(route) == Py_None && route_of != Py_None) {
        put(&RESPONSE_(length), Py_NewRef(Py_None));
        if (note_route(exchange, route_of, RESPONSE_(environ)) < 0) {
            answer = NULL;
            goto done;
        }
        if (!is_whole(&layouts[OF_OWN], response) || !is_whole(&layouts[OF_EXCHANGE], exchange) ||
            !are_common(headers, own, &length)) { /* it has changed them: once more, in Python */
            goto done;
        }
    }
    Py_INCREF(length);
    PyObject *start = Py_NewRef(RESPONSE_(server_start)), *all = with_ours(headers, own, exchange);
    put(&RESPONSE_(length), length);
    PyObject *given[] = {status, all}, *number = PyLong_FromLong(code);
    PyObject *write = all == NULL || number == NULL ? NULL : PyObject_Vectorcall(start, given, 2, NULL);
    Py_DECREF(start);
    Py_XDECREF(all);
    if (write == NULL) {
        Py_XDECREF(number);
        answer = NULL;
        goto done;
    }
    put(&RESPONSE_(server_write), write);
    put(&EXCHANGE_(status), number);
    answer = PyObject_GetAttr(response, s_write);
done:
    Py_XDECREF(own);
    Py_XDECREF(route_of);
    Py_DECREF(exchange);
    return answer == SLOW ? failed() : answer;
}

/* ------------------------------------------------------------------ what read returns */

typedef struct {
    PyObject_HEAD
    PyObject *pieces; /* a list or a tuple */
    PyObject *exchange; /* none once it has ended */
    PyObject *length;
    Py_ssize_t at;
    int has_body; /* -1: nobody has asked */
    int is_running;
} Reader;

static int
count_bytes(PyObject *exchange, PyObject *piece)
{
    PyObject *before = HELD(exchange, exchange, response_bytes), *size = NULL, *sum = NULL;
    Py_ssize_t length = before == NULL ? -1 : PyObject_Size(piece);
    if (length >= 0 && (size = PyLong_FromSsize_t(length)) != NULL) {
        sum = PyNumber_InPlaceAdd(before, size);
    }
    Py_XDECREF(before);
    Py_XDECREF(size);
    if (sum == NULL) {
        return -1;
    }
    put(&EXCHANGE_(response_bytes), sum);
    return 0;
}

/* Return the next piece; NULL where there is none, and the exchange is finished, or with an exception. */
static PyObject *
next_piece(Reader *self)
{
    PyObject *exchange = self->exchange;
    if (self->has_body < 0 && (self->has_body = has_body(exchange)) < 0) {
        return NULL;
    }
    if (self->at < PySequence_Fast_GET_SIZE(self->pieces)) {
        PyObject *piece = Py_NewRef(PySequence_Fast_GET_ITEM(self->pieces, self->at++));
        int is_filled = PyBytes_CheckExact(piece) ? PyBytes_GET_SIZE(piece) != 0 : PyObject_IsTrue(piece);
        if (is_filled < 0 || (is_filled && first_byte(exchange) < 0) ||
            (is_filled && self->has_body && count_bytes(exchange, piece) < 0)) {
            Py_CLEAR(piece);
        }
        return piece;
    }
    if (first_byte(exchange) == 0) {
        PyObject *done = PyObject_CallMethodNoArgs(exchange, s_finish);
        Py_XDECREF(done);
    }
    return NULL;
}

/* End, with the exception that is set or none, and the exchange if it has not. */
static void
reader_end(Reader *self)
{
    PyObject *exchange = self->exchange, *kind, *error, *trace, *done = NULL;
    PyErr_Fetch(&kind, &error, &trace);
    self->is_running = 1;
    PyObject *outcome = HELD(exchange, exchange, outcome);
    if (outcome == Py_None && (done = PyObject_CallMethodOneArg(exchange, s_declare, self->length)) != NULL) {
        Py_DECREF(done);
        done = PyObject_CallMethodNoArgs(exchange, s_closed);
    }
    Py_XDECREF(done);
    Py_XDECREF(outcome);
    self->is_running = 0;
    if (PyErr_Occurred()) {
        Py_XDECREF(kind);
        Py_XDECREF(error);
        Py_XDECREF(trace);
    }
    else {
        PyErr_Restore(kind, error, trace);
    }
    Py_CLEAR(self->exchange); /* pieces stay: their number may be asked */
    Py_CLEAR(self->length);
}

static PyObject *
refuse_reentry(void)
{
    PyErr_SetString(PyExc_ValueError, "generator already executing");
    return NULL;
}

static PyObject *
reader_next(PyObject *object)
{
    Reader *self = (Reader *)object;
    if (self->is_running) {
        return refuse_reentry();
    }
    if (self->exchange == NULL) {
        return NULL;
    }
    self->is_running = 1;
    PyObject *piece = next_piece(self);
    self->is_running = 0;
    if (piece == NULL) {
        reader_end(self);
    }
    return piece;
}

static PyObject *
reader_close(PyObject *object, PyObject *Py_UNUSED(none))
{
    Reader *self = (Reader *)object;
    if (self->is_running) {
        return refuse_reentry();
    }
    if (self->exchange != NULL) {
        reader_end(self);
    }
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

static Py_ssize_t
reader_size(PyObject *self)
{
    PyObject *pieces = ((Reader *)self)->pieces;
    return pieces == NULL ? 0 : PySequence_Fast_GET_SIZE(pieces);
}

static int
reader_traverse(PyObject *object, visitproc visit, void *arg)
{
    Reader *self = (Reader *)object;
    Py_VISIT(self->pieces);
    Py_VISIT(self->exchange);
    Py_VISIT(self->length);
    return 0;
}

static int
reader_clear(PyObject *object)
{
    Reader *self = (Reader *)object;
    Py_CLEAR(self->pieces);
    Py_CLEAR(self->exchange);
    Py_CLEAR(self->length);
    return 0;
}

static void
reader_finalize(PyObject *object)
{
    Reader *self = (Reader *)object;
    if (self->exchange == NULL) {
        return;
    }
    PyObject *kind, *error, *trace;
    PyErr_Fetch(&kind, &error, &trace);
    reader_end(self);
    if (PyErr_Occurred()) {
        PyErr_WriteUnraisable(object);
    }
    PyErr_Restore(kind, error, trace);
}

static void
reader_dealloc(PyObject *self)
{
    if (PyObject_CallFinalizerFromDealloc(self) < 0) {
        return; /* somebody has taken hold of it */
    }
    PyObject_GC_UnTrack(self);
    reader_clear(self);
    PyObject_GC_Del(self);
}

static PyMethodDef reader_methods[] = {
    {"close", reader_close, METH_NOARGS, "End the exchange."},
    {NULL, NULL, 0, NULL},
};

static PySequenceMethods reader_counted = {.sq_length = reader_size};

static PyTypeObject reader_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "obs_wsgi.Reader",
    .tp_doc = "Pieces that are all there, counted as the server takes them.",
    .tp_basicsize = sizeof(Reader),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = reader_next,
    .tp_methods = reader_methods,
    .tp_traverse = reader_traverse,
    .tp_clear = reader_clear,
    .tp_finalize = reader_finalize,
    .tp_dealloc = reader_dealloc,
};

static PyTypeObject sized_reader_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "obs_wsgi.SizedReader",
    .tp_doc = "A Reader whose number of pieces the server may ask.",
    .tp_basicsize = sizeof(Reader),
    .tp_base = &reader_type,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_as_sequence = &reader_counted,
    .tp_traverse = reader_traverse,
    .tp_clear = reader_clear,
    .tp_dealloc = reader_dealloc,
};

static PyObject *
read_pieces(PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (!is_ready || count != 3 || !(PyList_CheckExact(args[0]) || PyTuple_CheckExact(args[0])) ||
        Py_TYPE(args[1]) != exchange_type) {
        return SLOW;
    }
    if (names != NULL && (PyTuple_GET_SIZE(names) != 1 || !IS(PyTuple_GET_ITEM(names, 0), "is_sized"))) {
        return SLOW;
    }
    int is_sized = names != NULL && args[3] == Py_True;
    Reader *self = PyObject_GC_New(Reader, is_sized ? &sized_reader_type : &reader_type);
    if (self == NULL) {
        return NULL;
    }
    self->pieces = Py_NewRef(args[0]);
    self->exchange = Py_NewRef(args[1]);
    self->length = Py_NewRef(args[2]);
    self->at = 0;
    self->has_body = -1;
    self->is_running = 0;
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

/* ------------------------------------------------------------------ ObservabilityMiddleware */

/* Tell whether a request has no body; -1 with an exception, or where it says so in no common way. */
static int
is_bodiless(PyObject *environ)
{
    PyObject *size = get(environ, s_CONTENT_LENGTH);
    if (size != NULL && !IS(size, "") && !IS(size, "0")) {
        return size == Py_None ? 1 : -1;
    }
    return PyErr_Occurred() ? -1 : 1;
}

static PyObject *
middleware_open(PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (!is_ready || count != 3 || names != NULL || !PyDict_CheckExact(args[1])) {
        return SLOW;
    }
    PyObject *middleware = args[0], *environ = args[1], *exchange = NULL, *response = NULL;
    if (is_bodiless(environ) != 1 || PyDict_Contains(environ, s_HTTP_TRANSFER_ENCODING) != 0) {
        return failed(); /* it is to be counted */
    }
    PyObject *marks = HELD(middleware, middleware, _marks);
    PyObject *observer = marks == NULL ? NULL : HELD(middleware, middleware, observer);
    PyObject *asked[] = {environ, marks};
    if (observer != NULL) {
        exchange = begin(observer, asked, 2);
    }
    if (exchange == Py_None) { /* we have failed */
        response = Py_NewRef(exchange);
    }
    else if (exchange != NULL && PyDict_SetItem(environ, carried_as, exchange) == 0 &&
             PyObject_SetAttr(exchange, s_carrier, environ) == 0) {
        response = PyBaseObject_Type.tp_new(response_type, no_args, NULL);
    }
    if (response != NULL && response != Py_None) {
        put(&RESPONSE_(exchange), Py_NewRef(exchange));
        put(&RESPONSE_(environ), Py_NewRef(environ));
        put(&RESPONSE_(server_start), Py_NewRef(args[2]));
        put(&RESPONSE_(server_write), Py_NewRef(Py_None));
        put(&RESPONSE_(length), Py_NewRef(Py_None));
        put(&RESPONSE_(middleware), Py_NewRef(middleware));
    }
    Py_XDECREF(marks);
    Py_XDECREF(observer);
    Py_XDECREF(exchange);
    return response;
}

/* ------------------------------------------------------------------ the module */

static const Twin twins[] = {
    {"Response.start", response_start},
    {"read", read_pieces},
    {"ObservabilityMiddleware._open", middleware_open},
    {NULL, NULL},
};

static int
intern_names(void)
{
    NAMES(INTERN)
    return (content_length = PyUnicode_InternFromString("content-length")) == NULL ? -1 : 0;
}

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "obs_wsgi._native",
    .m_doc = "The common request's way between a WSGI server and its app.",
    .m_size = -1,
    .m_methods = adapter_functions,
};

PyMODINIT_FUNC
PyInit__native(void)
{
    if (prepare_adapter(twins, layouts, constants) < 0 || PyType_Ready(&reader_type) < 0 || PyType_Ready(&sized_reader_type) < 0 ||
        intern_names() < 0 || (no_args = PyTuple_New(0)) == NULL) {
        return NULL;
    }
    return PyModule_Create(&module);
}
