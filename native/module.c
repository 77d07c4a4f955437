/* obs_middleware._native: the common request's way through the core (see fast.h). */

#include "fast.h"

#define EXCHANGE (NEEDS(Exchange) | NEEDS_CONSTANT(CURRENT) | NEEDS_CONSTANT(CONTEXT))
#define RECORD (NEEDS(Exchange) | NEEDS(RequestInfo) | NEEDS(RequestRecord) | NEEDS_CONSTANT(OK))
#define SPANS                                                                                                       \
    (EXCHANGE | NEEDS(RequestInfo) | NEEDS(ServerSpans) | NEEDS(_Unrecorded) |                                      \
     NEEDS_CONSTANT(Context) | NEEDS_CONSTANT(SPAN_KEY))
#define QUEUE (NEEDS(RecordQueue) | NEEDS(Flusher) | NEEDS(Worker) | NEEDS_CONSTANT(BATCH))

static const Entry entries[] = {
    {"exchange.c: exchange_enter", exchange_enter, EXCHANGE},
    {"exchange.c: exchange_exit", exchange_exit, EXCHANGE},
    {"exchange.c: exchange_leave", exchange_leave, EXCHANGE},
    {"exchange.c: exchange_finish", exchange_finish,
     NEEDS(Exchange) | NEEDS(Gateway) | NEEDS_CONSTANT(OK) | NEEDS_CONSTANT(CARRIER_KEY)},
    {"record.c: exchange_record", exchange_record, RECORD},
    {"queue.c: queue_add", queue_add, QUEUE},
    {"gateway.c: gateway_start", gateway_start,
     NEEDS(Exchange) | NEEDS(RequestInfo) | NEEDS(Gateway) | NEEDS(HttpMetrics) | NEEDS(IdSource)},
    {"gateway.c: gateway_enqueue", gateway_enqueue, RECORD | QUEUE | NEEDS(Gateway) | NEEDS(AccessLog)},
    {"http.c: http_record", http_record,
     NEEDS(HttpMetrics) | NEEDS(Instruments) | NEEDS(HistogramTable) | NEEDS(RequestRecord)},
    {"server_span.c: spans_start", spans_start, SPANS},
    {"access_line.c: access_line", access_line, NEEDS(AccessLine) | NEEDS(RequestRecord)},
    {"environ.c: environ_request_info", environ_request_info, NEEDS(RequestInfo) | NEEDS_CONSTANT(header)},
    {"scope.c: scope_request_info", scope_request_info, NEEDS(RequestInfo) | NEEDS_CONSTANT(scope_header)},
    {"headers.c: header_values", header_values, 0},
    {"request_id.c: request_id_draw", request_id_draw, NEEDS(IdSource)},
};

static PyObject *
module_fast(PyObject *module, PyObject *args)
{
    PyObject *where, *slow;
    if (!PyArg_ParseTuple(args, "UO:fast", &where, &slow)) {
        return NULL;
    }
    for (size_t at = 0; at < sizeof entries / sizeof *entries; at++) {
        if (PyUnicode_CompareWithASCIIString(where, entries[at].where) == 0) {
            return function_new(module, PyModule_GetState(module), &entries[at], slow);
        }
    }
    PyErr_Format(PyExc_LookupError, "no C function is named %R", where);
    return NULL;
}

static PyObject *
module_share_layout(PyObject *module, PyObject *class)
{
    if (!PyType_Check(class)) {
        PyErr_SetString(PyExc_TypeError, "share_layout() takes a class");
        return NULL;
    }
    return state_share_layout(PyModule_GetState(module), (PyTypeObject *)class) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *
module_share(PyObject *module, PyObject *args, PyObject *constants)
{
    if (PyTuple_GET_SIZE(args) != 0) {
        PyErr_SetString(PyExc_TypeError, "share() takes keywords alone");
        return NULL;
    }
    return constants != NULL && state_share(PyModule_GetState(module), constants) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyMethodDef methods[] = {
    {"fast", module_fast, METH_VARARGS, "Return a function that tries the named C function first."},
    {"share_layout", module_share_layout, METH_O, "Look where a class has its fields."},
    {"share", (PyCFunction)(void (*)(void))module_share, METH_VARARGS | METH_KEYWORDS, "Take objects in, by name."},
    {NULL, NULL, 0, NULL},
};

static int
module_exec(PyObject *module)
{
    State *state = PyModule_GetState(module);
    PyObject *names = PyList_New(0);
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_ImportError, "the C functions serve the main interpreter alone");
        Py_CLEAR(names);
    }
    for (size_t at = 0; names != NULL && at < sizeof entries / sizeof *entries; at++) {
        PyObject *name = PyUnicode_FromString(entries[at].where);
        if (name == NULL || PyList_Append(names, name) < 0) {
            Py_CLEAR(names);
        }
        Py_XDECREF(name);
    }
    if (names == NULL || state_begin(state) < 0 || PyModule_AddObjectRef(module, "FUNCTIONS", names) < 0) {
        Py_XDECREF(names);
        return -1;
    }
    Py_DECREF(names);
    state->function_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &function_spec, NULL);
    return state->function_type == NULL ? -1 : 0;
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    return state_traverse(PyModule_GetState(module), visit, arg);
}

static int
module_clear(PyObject *module)
{
    state_clear(PyModule_GetState(module));
    return 0;
}

static void
module_free(void *module)
{
    state_clear(PyModule_GetState(module));
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, module_exec},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "obs_middleware._native",
    .m_doc = "The common request's way through the core.",
    .m_size = sizeof(State),
    .m_methods = methods,
    .m_slots = slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC
PyInit__native(void)
{
    return PyModuleDef_Init(&definition);
}
