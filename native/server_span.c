/* tracing/server_span.py: the span of a request with nothing around it, whose trace is not kept. */

#include "fast.h"

/* Tell whether the global propagator is the one that is the default. Or an exception. */
static int
is_default_propagator(State *state, PyObject *spans)
{
    Held held;
    held.count = 0;
    PyObject *modules = HOLD(spans, ServerSpans__modules), *standard = HOLD(spans, ServerSpans__w3c), *found = Py_None;
    int is = standard != NULL && modules != NULL && PyDict_CheckExact(modules);
    if (is) {
        PyObject *module = keep(&held, Py_XNewRef(PyDict_GetItemWithError(modules, state->names.propagate)));
        if (module != NULL) {
            found = keep(&held, PyObject_CallMethodNoArgs(module, state->names.get_global_textmap));
        }
        is = found == standard && !PyErr_Occurred();
    }
    let_go(&held);
    return is;
}

/* Tell whether nothing is around: no exchange and no context. Or an exception. */
static int
is_alone(State *state)
{
    PyObject *outer = NULL, *context = NULL;
    int is = PyContextVar_Get(state->constants[CONSTANT_CURRENT], NULL, &outer) == 0 &&
             (outer == NULL || outer == Py_None) &&
             PyContextVar_Get(state->constants[CONSTANT_CONTEXT], NULL, &context) == 0 && context != NULL &&
             PyDict_Check(context) && PyDict_GET_SIZE(context) == 0;
    Py_XDECREF(outer);
    Py_XDECREF(context);
    return is;
}

/* Tell whether a new trace is surely not kept. */
static int
is_dropped(State *state, PyObject *spans, PyObject *ids)
{
    PyObject *is_enabled = FIELD(spans, ServerSpans__is_enabled), *sampling = FIELD(spans, ServerSpans_sampling), *bound;
    if (is_enabled != Py_True) {
        return is_enabled == Py_False;
    }
    if (sampling == NULL || !IS(sampling, Sampling) || (bound = FIELD(sampling, Sampling__bound)) == NULL ||
        !PyUnicode_CheckExact(bound) || !PyUnicode_IS_COMPACT_ASCII(bound) || !PyUnicode_IS_COMPACT_ASCII(ids)) {
        return 0;
    }
    Py_ssize_t size = PyUnicode_GET_LENGTH(bound), both = size < 16 ? size : 16;
    int order = memcmp((char *)PyUnicode_DATA(ids) + 16, PyUnicode_DATA(bound), both);
    return order > 0 || (order == 0 && size <= 16);
}

FAST_FUNCTION(spans_start)
{
    State *state = self->state;
    if (count != 2 || names != NULL || !IS(args[0], ServerSpans) || !IS(args[1], Exchange)) {
        return SLOW;
    }
    Held held;
    held.count = 0;
    PyObject *spans = args[0], *exchange = args[1];
    PyObject *info = HOLD(exchange, Exchange_info), *ids = HOLD(exchange, Exchange_ids), *span = NULL, *context = NULL;
    PyTypeObject *class = (PyTypeObject *)state->constants[CONSTANT_Context];
    if (info != NULL && IS(info, RequestInfo) && FIELD(info, RequestInfo_has_context_headers) == Py_False && ids != NULL &&
        PyUnicode_CheckExact(ids) && PyUnicode_GET_LENGTH(ids) == 48 && is_default_propagator(state, spans) &&
        is_alone(state) && is_dropped(state, spans, ids)) {
        span = keep(&held, PyBaseObject_Type.tp_new(state->classes[CLASS__Unrecorded], state->names.no_args, NULL));
        context = span == NULL ? NULL : keep(&held, PyDict_Type.tp_new(class, state->names.no_args, NULL));
    }
    if (context == NULL || PyDict_SetItem(context, state->constants[CONSTANT_SPAN_KEY], span) < 0) {
        let_go(&held);
        return failed();
    }
    put(&FIELD(span, _Unrecorded__ids), Py_NewRef(ids));
    put(&FIELD(exchange, Exchange_is_span_ours), Py_NewRef(Py_True));
    put(&FIELD(exchange, Exchange_span), Py_NewRef(span));
    put(&FIELD(exchange, Exchange_context), Py_NewRef(context));
    let_go(&held);
    return Py_NewRef(Py_False);
}
