/* What the compiled adapters share: the exchange and its request as they see them, and what such a module is made of. */

#include "common.h"

/* ------------------------------------------------------------------ what Python tells */

#define EXCHANGE(X)                                                                                                 \
    X(_owner) X(correlation_id) X(info) X(is_client_gone) X(is_span_ours) X(outcome) X(request_id)                  \
    X(response_bytes) X(route) X(routed) X(started) X(status) X(time_to_first_byte)
#define INFO(X) X(method)

#define EXCHANGE_ROW(field) ROW(exchange, field)
#define INFO_ROW(field) ROW(info, field)

static struct { EXCHANGE(AT) } exchange_at;
static struct { INFO(AT) } info_at;

static const Field exchange_fields[] = {EXCHANGE(EXCHANGE_ROW){NULL, NULL}};
static const Field info_fields[] = {INFO(INFO_ROW){NULL, NULL}};

static PyTypeObject *exchange_type, *info_type;

/* The first rows of an adapter's layouts, and their places. */
#define ADAPTER_LAYOUTS {"Exchange", &exchange_type, exchange_fields}, {"RequestInfo", &info_type, info_fields}
enum { OF_EXCHANGE, OF_INFO, OF_OWN };

static PyObject *carried_as, *whole_request_info; /* request_info with both of its ways */

#define ADAPTER_CONSTANTS {"CARRIED_AS", &carried_as}, {"request_info", &whole_request_info}

EXCHANGE(NAME)
INFO(NAME)
static PyObject *s_finish, *s_has_body, *s_perf_counter, *s_report, *s_start;

#define EXCHANGE_(field) SLOT(exchange, exchange, field)

/* ------------------------------------------------------------------ the exchange */

/* Tell whether a body follows; -1 with an exception. */
static inline int
has_body(PyObject *exchange)
{
    PyObject *info = EXCHANGE_(info), *status = EXCHANGE_(status), *method = NULL;
    if (info != NULL && Py_TYPE(info) == info_type && status != NULL &&
        (status == Py_None || PyLong_CheckExact(status)) && (method = SLOT(info, info, method)) != NULL &&
        PyUnicode_CheckExact(method)) {
        int is_too_big;
        long code = status == Py_None ? 0 : PyLong_AsLongAndOverflow(status, &is_too_big);
        return code != 204 && code != 304 && !IS(method, "HEAD");
    }
    PyObject *has = PyObject_GetAttr(exchange, s_has_body);
    int is = has == NULL ? -1 : PyObject_IsTrue(has);
    Py_XDECREF(has);
    return is;
}

/* Note that the response begins now; -1 with an exception. */
static inline int
first_byte(PyObject *exchange)
{
    PyObject *noted = HELD(exchange, exchange, time_to_first_byte);
    Py_XDECREF(noted);
    if (noted != Py_None) {
        return noted == NULL ? -1 : 0;
    }
    PyObject *started = HELD(exchange, exchange, started);
    PyObject *seconds = started == NULL ? NULL : since(started, s_perf_counter);
    Py_XDECREF(started);
    if (seconds == NULL) {
        return -1;
    }
    put(&EXCHANGE_(time_to_first_byte), seconds);
    return 0;
}

/* Begin an exchange of what request_info says of these; None where we fail, NULL with an exception. */
static inline PyObject *
begin(PyObject *observer, PyObject *const *asked, size_t count)
{
    PyObject *info = PyObject_Vectorcall(whole_request_info, asked, count, NULL);
    PyObject *exchange = info == NULL ? NULL : PyObject_CallMethodOneArg(observer, s_start, info);
    Py_XDECREF(info);
    return exchange;
}

/* ------------------------------------------------------------------ the module */

static struct {
    const Twin *twins;
    const Layout *layouts;
    const Constant *constants;
} parts;

static PyObject *
module_compiled(PyObject *Py_UNUSED(module), PyObject *slow)
{
    return is_main() ? twin_of(parts.twins, slow) : Py_NewRef(slow);
}

static PyObject *
module_learn(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args), PyObject *names)
{
    if (!is_main()) {
        Py_RETURN_NONE;
    }
    PyObject *done = names == NULL ? Py_NewRef(Py_None) : learn(parts.layouts, parts.constants, names);
    is_ready = done != NULL && is_all_known(parts.layouts, parts.constants);
    return done;
}

static PyMethodDef adapter_functions[] = {
    {"compiled", module_compiled, METH_O, "Return the Python function with its compiled way before it."},
    {"learn", (PyCFunction)(void (*)(void))module_learn, METH_VARARGS | METH_KEYWORDS,
     "Take in classes, whose slots are used, and constants, by name."},
    {"is_ready", module_is_ready, METH_NOARGS, "Tell whether all is known that the functions need."},
    {NULL, NULL, 0, NULL},
};

/* What each adapter begins with; -1 with an exception. */
static int
prepare_adapter(const Twin *twins, const Layout *layouts, const Constant *constants)
{
    parts.twins = twins;
    parts.layouts = layouts;
    parts.constants = constants;
    EXCHANGE(INTERN)
    INFO(INTERN)
    INTERN(finish)
    INTERN(has_body)
    INTERN(perf_counter)
    INTERN(report)
    INTERN(start)
    return prepare();
}
