/* queue.py: a record is taken in. */

#include "fast.h"

/* Call a method for what it does; -1 with an exception. */
static int
call(PyObject *object, PyObject *method, PyObject *arg)
{
    PyObject *done = arg == NULL ? PyObject_CallMethodNoArgs(object, method) : PyObject_CallMethodOneArg(object, method, arg);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

PyObject *
add_to_queue(State *state, PyObject *queue, PyObject *record)
{
    Held held;
    held.count = 0;
    PyObject *waiting, *flusher, *queues, *worker;
    if (!IS(queue, RecordQueue) || (waiting = HOLD(queue, RecordQueue__waiting)) == NULL ||
        (flusher = HOLD(queue, RecordQueue_flusher)) == NULL || !IS(flusher, Flusher) ||
        (queues = HOLD(flusher, Flusher_queues)) == NULL || !PySet_Check(queues) ||
        (worker = HOLD(flusher, Flusher_worker)) == NULL || !IS(worker, Worker)) {
        let_go(&held);
        return SLOW;
    }
    PyObject *result = NULL;
    Py_ssize_t size;
    if (call(waiting, state->names.append, record) == 0 && PySet_Add(queues, queue) == 0 &&
        (size = PyObject_Size(waiting)) >= 0) {
        int is_done = 0;
        if (size >= small_int(state->constants[CONSTANT_BATCH], PY_SSIZE_T_MAX)) {
            is_done = call(queue, state->names._make_room, NULL);
        }
        else if (FIELD(worker, Worker_is_asleep) != Py_False) {
            is_done = call(queue, state->names._wake_worker, NULL);
        }
        result = is_done < 0 ? NULL : Py_NewRef(Py_None);
    }
    let_go(&held);
    return result;
}

FAST_FUNCTION(queue_add)
{
    return count != 2 || names != NULL ? SLOW : add_to_queue(self->state, args[0], args[1]);
}
