/* exchange.py: an exchange becomes current, is left, and ends. */

#include "fast.h"

/* Return OpenTelemetry's current context, new; NULL, maybe with an exception, where there is none. */
static PyObject *
current_context(State *state)
{
    PyObject *context = NULL;
    return PyContextVar_Get(state->constants[CONSTANT_CONTEXT], NULL, &context) < 0 ? NULL : context;
}

FAST_FUNCTION(exchange_enter)
{
    State *state = self->state;
    if (count != 1 || names != NULL || !IS(args[0], Exchange)) {
        return SLOW;
    }
    Held held;
    held.count = 0;
    PyObject *exchange = args[0], *former = HOLD(exchange, Exchange__before), *context = HOLD(exchange, Exchange_context);
    if (context == Py_None) {
        context = keep(&held, current_context(state));
    }
    if (context == NULL || former == NULL) {
        let_go(&held);
        return failed();
    }
    PyObject *own = keep(&held, PyContextVar_Set(state->constants[CONSTANT_CURRENT], exchange));
    PyObject *attached = own == NULL ? NULL : keep(&held, PyContextVar_Set(state->constants[CONSTANT_CONTEXT], context));
    PyObject *before = attached == NULL ? NULL : PyTuple_Pack(3, own, attached, former);
    if (before != NULL) {
        put(&FIELD(exchange, Exchange__before), before);
    }
    let_go(&held);
    return before == NULL ? NULL : Py_NewRef(exchange);
}

/* Put back what was before, as `__exit__` does. */
static PyObject *
put_back(State *state, PyObject *exchange)
{
    Held held;
    held.count = 0;
    PyObject *on_finish = HOLD(exchange, Exchange__on_finish), *before = HOLD(exchange, Exchange__before);
    if (on_finish == NULL || !PyList_CheckExact(on_finish) || before == NULL || !PyTuple_CheckExact(before) ||
        PyTuple_GET_SIZE(before) != 3) {
        let_go(&held);
        return SLOW;
    }
    if (PyList_GET_SIZE(on_finish) != 0) {
        PyObject *context = current_context(state);
        if (context == NULL) {
            let_go(&held);
            return failed();
        }
        put(&FIELD(exchange, Exchange_context), context);
    }
    PyObject *own = PyTuple_GET_ITEM(before, 0), *attached = PyTuple_GET_ITEM(before, 1);
    put(&FIELD(exchange, Exchange__before), Py_NewRef(PyTuple_GET_ITEM(before, 2)));
    PyObject *result = Py_None;
    if (PyContextVar_Reset(state->constants[CONSTANT_CURRENT], own) < 0 ||
        PyContextVar_Reset(state->constants[CONSTANT_CONTEXT], attached) < 0) {
        result = NULL;
        if (PyErr_ExceptionMatches(PyExc_ValueError) || PyErr_ExceptionMatches(PyExc_RuntimeError)) {
            PyErr_Clear();
            result = keep(&held, PyObject_CallMethodObjArgs(exchange, state->names._put_back, own, attached, NULL));
        }
    }
    let_go(&held);
    return result == NULL ? NULL : Py_NewRef(Py_None);
}

FAST_FUNCTION(exchange_exit)
{
    State *state = self->state;
    return count < 1 || count > 4 || names != NULL || !IS(args[0], Exchange) ? SLOW : put_back(state, args[0]);
}

FAST_FUNCTION(exchange_leave)
{
    State *state = self->state;
    if (count != 1 || names != NULL || !IS(args[0], Exchange)) {
        return SLOW;
    }
    if (FIELD(args[0], Exchange__before) == Py_None) {
        return Py_NewRef(Py_False);
    }
    PyObject *done = put_back(state, args[0]);
    if (done == NULL || done == SLOW) {
        return done;
    }
    Py_DECREF(done);
    return Py_NewRef(Py_True);
}

/* Tell whether an exchange that is complete has gone well: it has a status, below 500. */
static int
has_gone_well(State *state, PyObject *exchange)
{
    PyObject *status = FIELD(exchange, Exchange_status);
    return status != NULL && small_int(status, 499) >= 0;
}

/* Tell whether it is a tuple of pairs, a component and what is called. */
static int
are_pairs(PyObject *on_finish)
{
    int are = PyTuple_CheckExact(on_finish);
    for (Py_ssize_t at = 0; are && at < PyTuple_GET_SIZE(on_finish); at++) {
        PyObject *pair = PyTuple_GET_ITEM(on_finish, at);
        are = PyTuple_CheckExact(pair) && PyTuple_GET_SIZE(pair) == 2;
    }
    return are;
}

/* Call all of them with the exchange, each guarded; -1 with an exception. */
static int
call_all(State *state, PyObject *on_finish, PyObject *exchange)
{
    for (Py_ssize_t at = 0; at < PyTuple_GET_SIZE(on_finish); at++) {
        PyObject *pair = PyTuple_GET_ITEM(on_finish, at); /* as tuples in tuples do not change, these are held */
        PyObject *done = PyObject_CallOneArg(PyTuple_GET_ITEM(pair, 1), exchange);
        if (done == NULL) {
            PyObject *owner = Py_XNewRef(FIELD(exchange, Exchange__owner));
            int is_reported = owner != NULL && reported(state, owner, PyTuple_GET_ITEM(pair, 0)) == 0;
            Py_XDECREF(owner);
            if (!is_reported) {
                return -1;
            }
        }
        Py_XDECREF(done);
    }
    return 0;
}

/* Let go of what would hold the exchange; -1 with an exception. */
static int
leave_no_cycle(State *state, PyObject *exchange)
{
    put(&FIELD(exchange, Exchange_error), Py_NewRef(Py_None));
    put(&FIELD(exchange, Exchange_routed), Py_NewRef(Py_None));
    PyObject *carrier = PyObject_GetAttr(exchange, state->field_names[Exchange_carrier]); /* which says so where it was deleted */
    if (carrier == NULL) {
        return -1;
    }
    PyObject *done = Py_None;
    if (carrier != Py_None) {
        PyObject *key = state->constants[CONSTANT_CARRIER_KEY];
        done = PyObject_CallMethodObjArgs(carrier, state->names.pop, key, Py_None, NULL);
        Py_XDECREF(done);
        if (done != NULL) {
            put(&FIELD(exchange, Exchange_carrier), Py_NewRef(Py_None));
        }
    }
    Py_DECREF(carrier);
    return done == NULL ? -1 : 0;
}

FAST_FUNCTION(exchange_finish)
{
    State *state = self->state;
    int is_complete = count == 1 && (names == NULL || (PyTuple_GET_SIZE(names) == 1 && args[1] == Py_True &&
                                                       IS_TEXT(PyTuple_GET_ITEM(names, 0), "is_complete")));
    if (!is_complete || !IS(args[0], Exchange)) {
        return SLOW;
    }
    Held held;
    held.count = 0;
    PyObject *exchange = args[0], *list = HOLD(exchange, Exchange__on_finish), *owner = HOLD(exchange, Exchange__owner);
    PyObject *started = HOLD(exchange, Exchange_started), *clock = NULL, *on_finish = NULL;
    if (list == NULL || !PyList_CheckExact(list)) {
        let_go(&held);
        return SLOW;
    }
    Py_ssize_t last = PyList_GET_SIZE(list) - 1;
    if (last < 0) { /* somebody has ended it */
        let_go(&held);
        return Py_NewRef(Py_None);
    }
    on_finish = keep(&held, Py_NewRef(PyList_GET_ITEM(list, last)));
    if (owner == NULL || !IS(owner, Gateway) || (clock = HOLD(owner, Gateway_perf_counter)) == NULL || started == NULL ||
        !has_gone_well(state, exchange) || !are_pairs(on_finish) || PyList_SetSlice(list, last, last + 1, NULL) < 0) {
        let_go(&held);
        return failed();
    }
    /* It is taken out first: whoever comes while the clock is read finds nothing left to do. */
    PyObject *now = keep(&held, PyObject_CallNoArgs(clock));
    PyObject *duration = now == NULL ? NULL : PyNumber_Subtract(now, started), *result = NULL;
    if (duration != NULL) {
        put(&FIELD(exchange, Exchange_duration), duration);
        if (!has_gone_well(state, exchange)) { /* since the clock was read */
            result = PyList_Append(list, on_finish) < 0 ? NULL : SLOW;
        }
        else {
            put(&FIELD(exchange, Exchange_outcome), Py_NewRef(state->constants[CONSTANT_OK]));
            int is_done = call_all(state, on_finish, exchange) == 0 && leave_no_cycle(state, exchange) == 0;
            result = is_done ? Py_NewRef(Py_None) : NULL;
        }
    }
    let_go(&held);
    return result;
}
