/* obs_django._native: the common request's way between Django and its first middleware.

   Each function stands beside the Python function of the same name (see common.h), which tells what and why. */

#include "adapter.h"

/* ------------------------------------------------------------------ what Python tells */

#define MIDDLEWARE(X) X(_is_behind_proxy) X(_marks) X(_names) X(observer)
#define MIDDLEWARE_ROW(field) ROW(middleware, field)

static struct { MIDDLEWARE(AT) } middleware_at;
static const Field middleware_fields[] = {MIDDLEWARE(MIDDLEWARE_ROW){NULL, NULL}};
static PyTypeObject *middleware_type;

static const Layout layouts[] = {
    ADAPTER_LAYOUTS,
    {"ObservabilityMiddleware", &middleware_type, middleware_fields},
    {NULL, NULL, NULL},
};

static PyObject *response_class, *without_anchors;

static const Constant constants[] = {
    ADAPTER_CONSTANTS,
    {"HttpResponse", &response_class},
    {"without_anchors", &without_anchors},
    {NULL, NULL},
};

#define NAMES(X)                                                                                                    \
    X(CONTENT_LENGTH) X(META) X(SCRIPT_NAME) X(_is_behind_proxy) X(_marks) X(_names) X(_store) X(content)           \
    X(headers) X(http_version) X(obs_exchange) X(observer) X(path) X(path_info) X(paths) X(request_bytes)           \
    X(resolver_match) X(response_header_names) X(scheme) X(scope) X(status_code)
NAMES(NAME)

/* ------------------------------------------------------------------ ObservabilityMiddleware._start */

/* Return an attribute that is a dict, new; NULL where it is none, or with an exception. */
static PyObject *
dict_of(PyObject *object, PyObject *name)
{
    PyObject *found = NULL;
    if (find(object, name, &found) == 1 && !PyDict_CheckExact(found)) {
        Py_CLEAR(found);
    }
    return found;
}

/* Put the declared length of a request into `size`, new, NULL where there is none; -1 where it is no common one. */
static int
declared(PyObject *meta, PyObject **size)
{
    PyObject *text = get(meta, s_CONTENT_LENGTH);
    *size = NULL;
    if (text == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    if (!PyUnicode_CheckExact(text) || !PyUnicode_IS_COMPACT_ASCII(text) || PyUnicode_GET_LENGTH(text) > 15) {
        return -1;
    }
    const char *digits = PyUnicode_DATA(text);
    long long number = 0;
    for (Py_ssize_t at = 0; at < PyUnicode_GET_LENGTH(text); at++) {
        if (digits[at] < '0' || digits[at] > '9') {
            return -1;
        }
        number = 10 * number + (digits[at] - '0');
    }
    return (*size = PyLong_FromLongLong(number)) == NULL ? -1 : 0;
}

/* Tell whether nobody observes the request yet, and it is no probe; -1 where that is not easily told. */
static int
is_ours(PyObject *request, PyObject *meta, PyObject *scope, PyObject *observer)
{
    PyObject *own = NULL, *paths = NULL, *path = NULL;
    if (find(request, s_obs_exchange, &own) != 0 || PyDict_Contains(meta, carried_as) != 0 ||
        (scope != NULL && PyDict_Contains(scope, carried_as) != 0)) {
        Py_XDECREF(own);
        return -1;
    }
    int is_probe = -1;
    if ((paths = PyObject_GetAttr(observer, s_paths)) != NULL &&
        (path = PyObject_GetAttr(request, s_path_info)) != NULL) {
        is_probe = PySequence_Contains(paths, path);
    }
    Py_XDECREF(paths);
    Py_XDECREF(path);
    return is_probe == 0 ? 1 : -1;
}

static PyObject *
middleware_start(PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (!is_ready || count != 2 || names != NULL) {
        return SLOW;
    }
    PyObject *middleware = args[0], *request = args[1], *answer = SLOW, *meta = NULL, *scope = NULL, *size = NULL,
             *observer = NULL, *marks = NULL, *is_behind_proxy = NULL, *path = NULL, *scheme = NULL;
    if ((meta = dict_of(request, s_META)) == NULL || find(request, s_scope, &scope) < 0 ||
        (scope != NULL && !PyDict_CheckExact(scope)) || declared(meta, &size) < 0 ||
        (observer = HELD(middleware, middleware, observer)) == NULL ||
        is_ours(request, meta, scope, observer) != 1 || (marks = HELD(middleware, middleware, _marks)) == NULL ||
        (is_behind_proxy = HELD(middleware, middleware, _is_behind_proxy)) == NULL ||
        (path = PyObject_GetAttr(request, s_path)) == NULL) {
        goto done;
    }
    scheme = is_behind_proxy == Py_False ? Py_NewRef(Py_None) : PyObject_GetAttr(request, s_scheme);
    if (scheme == NULL) {
        goto done;
    }
    if (scope != NULL) { /* META has the method in upper case and no protocol version */
        PyObject *method = get(scope, s_method), *version = get(scope, s_http_version);
        PyObject *own = scheme == Py_None ? get(scope, s_scheme) : scheme;
        if (method == NULL) {
            goto done;
        }
        PyObject *asked[] = {meta, marks, method, path, own == NULL ? Py_None : own, version == NULL ? Py_None : version};
        answer = begin(observer, asked, 6);
    }
    else {
        PyObject *asked[] = {meta, marks, Py_None, path, scheme};
        answer = begin(observer, asked, 5);
    }
    if (answer != NULL && answer != Py_None &&
        (PyObject_SetAttr(request, s_obs_exchange, answer) < 0 ||
         (size != NULL && PyObject_SetAttr(answer, s_request_bytes, size) < 0))) {
        Py_CLEAR(answer);
    }
done:
    Py_XDECREF(size);
    Py_XDECREF(meta);
    Py_XDECREF(scope);
    Py_XDECREF(observer);
    Py_XDECREF(marks);
    Py_XDECREF(is_behind_proxy);
    Py_XDECREF(path);
    Py_XDECREF(scheme);
    return answer == SLOW ? failed() : answer;
}

/* ------------------------------------------------------------------ ObservabilityMiddleware._finish */

/* Return the route that a request was resolved to, new; NULL where that is not common, or with an exception. */
static PyObject *
route_of(PyObject *request)
{
    PyObject *match = PyObject_GetAttr(request, s_resolver_match), *route = NULL;
    if (match == NULL || match == Py_None) {
        return match;
    }
    PyObject *pattern = PyObject_GetAttr(match, s_route), *meta = pattern == NULL ? NULL : dict_of(request, s_META);
    PyObject *mount = meta == NULL ? NULL : get(meta, s_SCRIPT_NAME);
    if (meta != NULL && (mount == NULL ? !PyErr_Occurred() : mount == Py_None || IS(mount, ""))) {
        route = PyObject_CallOneArg(without_anchors, pattern);
    }
    Py_DECREF(match);
    Py_XDECREF(pattern);
    Py_XDECREF(meta);
    return route;
}

static int
note_route(PyObject *exchange, PyObject *request)
{
    PyObject *route = HELD(exchange, exchange, route);
    if (route == Py_None) {
        Py_SETREF(route, route_of(request));
        if (route != NULL) {
            put(&EXCHANGE_(route), Py_NewRef(route));
        }
    }
    Py_XDECREF(route);
    return route == NULL ? -1 : 0;
}

/* Add a header of ours, unless there is one of its name. */
static int
add_header(PyObject *store, PyObject *lower, PyObject *name, PyObject *value) /* steals the value */
{
    int has = value == NULL ? -1 : PyDict_Contains(store, lower);
    if (has == 0) {
        PyObject *field = PyTuple_Pack(2, name, value);
        has = field == NULL ? -1 : PyDict_SetItem(store, lower, field);
        Py_XDECREF(field);
    }
    Py_XDECREF(value);
    return has < 0 ? -1 : 0;
}

/* Add those of ours that the response lacks; -1 where its headers are not kept as they mostly are. */
static int
add_headers(PyObject *response, PyObject *exchange, PyObject *lower)
{
    PyObject *owner = HELD(exchange, exchange, _owner);
    PyObject *own = owner == NULL ? NULL : PyObject_GetAttr(owner, s_response_header_names);
    PyObject *headers = own == NULL ? NULL : PyObject_GetAttr(response, s_headers);
    PyObject *store = headers == NULL ? NULL : dict_of(headers, s__store);
    int done = -1;
    if (store != NULL && PyTuple_CheckExact(own) && PyTuple_GET_SIZE(own) == 2 && PyTuple_CheckExact(lower) &&
        PyTuple_GET_SIZE(lower) == 2 &&
        add_header(store, PyTuple_GET_ITEM(lower, 0), PyTuple_GET_ITEM(own, 0),
                   HELD(exchange, exchange, request_id)) == 0) {
        done = add_header(store, PyTuple_GET_ITEM(lower, 1), PyTuple_GET_ITEM(own, 1),
                          HELD(exchange, exchange, correlation_id));
    }
    Py_XDECREF(owner);
    Py_XDECREF(own);
    Py_XDECREF(headers);
    Py_XDECREF(store);
    return done;
}

/* Note the bytes of a response that is all there. */
static int
note_bytes(PyObject *exchange, PyObject *response)
{
    int has = has_body(exchange);
    if (has != 1) {
        return has;
    }
    PyObject *content = PyObject_GetAttr(response, s_content);
    Py_ssize_t length = content == NULL ? -1 : PyObject_Size(content);
    PyObject *size = length < 0 ? NULL : PyLong_FromSsize_t(length);
    Py_XDECREF(content);
    if (size == NULL) {
        return -1;
    }
    put(&EXCHANGE_(response_bytes), size);
    return 0;
}

/* What is done here and then once more by the Python function, where something is not common, has the same end. */
static PyObject *
middleware_finish(PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (!is_ready || count != 4 || names != NULL || Py_TYPE(args[1]) != exchange_type ||
        !PyObject_TypeCheck(args[3], (PyTypeObject *)response_class)) {
        return SLOW;
    }
    PyObject *middleware = args[0], *exchange = args[1], *request = args[2], *response = args[3];
    PyObject *status = PyObject_GetAttr(response, s_status_code), *lower = NULL;
    if (status == NULL) {
        return failed();
    }
    put(&EXCHANGE_(status), status);
    if (note_route(exchange, request) < 0 || (lower = HELD(middleware, middleware, _names)) == NULL ||
        add_headers(response, exchange, lower) < 0 || note_bytes(exchange, response) < 0 || first_byte(exchange) < 0) {
        Py_XDECREF(lower);
        return failed();
    }
    Py_DECREF(lower);
    PyObject *done = PyObject_CallMethodNoArgs(exchange, s_finish);
    Py_XDECREF(done);
    return done == NULL ? NULL : Py_NewRef(response);
}

/* ------------------------------------------------------------------ the module */

static const Twin twins[] = {
    {"ObservabilityMiddleware._start", middleware_start},
    {"ObservabilityMiddleware._finish", middleware_finish},
    {NULL, NULL},
};

static int
intern_names(void)
{
    NAMES(INTERN)
    return 0;
}

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "obs_django._native",
    .m_doc = "The common request's way between Django and its first middleware.",
    .m_size = -1,
    .m_methods = adapter_functions,
};

PyMODINIT_FUNC
PyInit__native(void)
{
    return prepare_adapter(twins, layouts, constants) < 0 || intern_names() < 0 ? NULL : PyModule_Create(&module);
}
