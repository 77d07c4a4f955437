/* gateway.py: an exchange begins, and its record is queued. */

#include "fast.h"

#define PLACE(field) [Exchange_##field - Exchange_FIRST]

static int
is_ascii(PyObject *text)
{
    return text != NULL && PyUnicode_CheckExact(text) && PyUnicode_IS_COMPACT_ASCII(text);
}

/* Return method and scheme with a blank between, new. */
static PyObject *
active_key_of(PyObject *method, PyObject *scheme)
{
    Py_ssize_t size = PyUnicode_GET_LENGTH(method), rest = PyUnicode_GET_LENGTH(scheme);
    PyObject *key = PyUnicode_New(size + 1 + rest, 127);
    if (key != NULL) {
        char *text = PyUnicode_DATA(key);
        memcpy(text, PyUnicode_DATA(method), size);
        text[size] = ' ';
        memcpy(text + size + 1, PyUnicode_DATA(scheme), rest);
    }
    return key;
}

/* Begin the span, and note that the request is active, as `start` does with the exchange that it has made. */
static int
begin(State *state, PyObject *exchange, PyObject *spans, PyObject *on_finish, PyObject *active_key, PyObject *note)
{
    PyObject *has_span = PyObject_CallMethodOneArg(spans, state->names.start, exchange);
    int is_on = has_span == NULL ? -1 : PyObject_IsTrue(has_span);
    Py_XDECREF(has_span);
    if (is_on < 0) {
        return -1;
    }
    PyObject *list = FIELD(exchange, Exchange__on_finish);
    if (is_on && list != NULL && PyList_CheckExact(list) && PyList_SetItem(list, 0, Py_NewRef(on_finish)) < 0) {
        return -1;
    }
    put(&FIELD(exchange, Exchange_active_key), Py_NewRef(active_key));
    PyObject *done = PyObject_CallOneArg(note, active_key);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

FAST_FUNCTION(gateway_start)
{
    State *state = self->state;
    if (count != 2 || names != NULL || !IS(args[0], Gateway) || !IS(args[1], RequestInfo)) {
        return SLOW;
    }
    Held held;
    held.count = 0;
    PyObject *gateway = args[0], *info = args[1], *exchange = SLOW, *own = NULL;
    PyObject *method = HOLD(info, RequestInfo_method), *scheme = HOLD(info, RequestInfo_scheme);
    PyObject *methods = HOLD(gateway, Gateway__methods), *metrics = HOLD(gateway, Gateway__metrics);
    PyObject *source = HOLD(gateway, Gateway__ids), *spans = HOLD(gateway, Gateway__spans), *note;
    PyObject *with_span = HOLD(gateway, Gateway__on_finish), *without = HOLD(gateway, Gateway__on_finish_without_span);
    PyObject *time_ns = HOLD(gateway, Gateway_time_ns), *perf_counter = HOLD(gateway, Gateway_perf_counter);
    if (FIELD(info, RequestInfo_has_context_headers) != Py_False || !is_ascii(method) || !is_ascii(scheme) ||
        methods == NULL || !PyFrozenSet_CheckExact(methods) || metrics == NULL || !IS(metrics, HttpMetrics) ||
        (note = HOLD(metrics, HttpMetrics_begin)) == NULL || source == NULL || spans == NULL || with_span == NULL ||
        without == NULL || time_ns == NULL || perf_counter == NULL || !PySet_Contains(methods, method)) {
        let_go(&held);
        return failed();
    }
    PyObject *now = keep(&held, PyObject_CallNoArgs(time_ns)), *started, *ids, *key;
    if (now == NULL || (started = keep(&held, PyObject_CallNoArgs(perf_counter))) == NULL ||
        (key = keep(&held, active_key_of(method, scheme))) == NULL ||
        (ids = draw_ids(state, source, small_int(now, PY_LLONG_MAX), &own)) == NULL || ids == SLOW) {
        let_go(&held);
        return failed();
    }
    keep(&held, ids);
    keep(&held, own);
    PyObject *fields[] = {
        PLACE(info) = info,
        PLACE(_on_finish) = keep(&held, Py_BuildValue("[O]", without)),
        PLACE(_owner) = gateway,
        PLACE(method) = method,
        PLACE(request_id) = own,
        PLACE(correlation_id) = own,
        PLACE(started_ns) = now,
        PLACE(started) = started,
        PLACE(ids) = ids,
    };
    exchange = PyErr_Occurred() ? NULL : struct_of(state, CLASS_Exchange, fields, sizeof fields / sizeof *fields);
    if (exchange == NULL || exchange == SLOW) {
        let_go(&held);
        return failed();
    }
    if (begin(state, exchange, spans, with_span, key, note) < 0) { /* what was done can't be done again */
        Py_DECREF(exchange);
        exchange = reported(state, gateway, state->names.start) < 0 ? NULL : Py_NewRef(Py_None);
    }
    let_go(&held);
    return exchange;
}

FAST_FUNCTION(gateway_enqueue)
{
    State *state = self->state;
    if (count != 2 || names != NULL || !IS(args[0], Gateway) || !IS(args[1], Exchange)) {
        return SLOW;
    }
    PyObject *gateway = args[0], *exchange = args[1];
    PyObject *access_log = FIELD(gateway, Gateway__access_log), *queue = FIELD(gateway, Gateway__queue);
    PyObject *error_type = FIELD(exchange, Exchange_error_type), *fields = FIELD(exchange, Exchange_fields);
    int has_log = access_log != Py_None;
    if (access_log == NULL || queue == NULL || !IS(queue, RecordQueue) || error_type == NULL || fields == NULL ||
        (has_log && (!IS(access_log, AccessLog) || FIELD(access_log, AccessLog_may_wait) != Py_True ||
                     !IS_TEXT(error_type, "") || !PyDict_CheckExact(fields) || PyDict_GET_SIZE(fields) != 0))) {
        return SLOW;
    }
    Py_INCREF(queue);
    PyObject *record = record_of(state, exchange, Py_False), *done = record;
    if (record != NULL && record != SLOW) {
        done = add_to_queue(state, queue, record);
        if (done == SLOW) { /* the record is made already */
            done = PyObject_CallMethodOneArg(queue, state->names.add, record);
        }
        Py_DECREF(record);
    }
    Py_DECREF(queue);
    return done;
}
