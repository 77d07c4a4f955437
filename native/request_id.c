/* request_id.py: what names an exchange, of digits that Python has drawn. */

#include "fast.h"

enum { DIGITS = 60, IDS = 48, REQUEST_ID = 36 };

static void
write_hex(char *text, unsigned long long bits, int digits)
{
    while (digits-- > 0) {
        text[digits] = "0123456789abcdef"[bits & 0xF];
        bits >>= 4;
    }
}

/* Tell whether the process was forked and has not noticed it (process.py). */
static int
is_forked(PyObject *mark)
{
    if (mark == NULL || !PyMemoryView_Check(mark)) {
        return 1;
    }
    const Py_buffer *bytes = PyMemoryView_GET_BUFFER(mark);
    return bytes->buf == NULL || bytes->len != 1 || *(const volatile char *)bytes->buf == 0;
}

/* Return the digits of a trace and a span ID, new, and put a request ID, new, into `request_id`; or SLOW. */
PyObject *
draw_ids(State *state, PyObject *source, long long now_ns, PyObject **request_id)
{
    if (!IS(source, IdSource) || now_ns < 0 || is_forked(FIELD(source, IdSource__mark))) {
        return SLOW;
    }
    PyObject *drawn = FIELD(source, IdSource__drawn), *number = FIELD(source, IdSource__node);
    long long node = number == NULL ? -1 : small_int(number, 0xFFFFFF);
    Py_ssize_t last = drawn != NULL && PyList_CheckExact(drawn) ? PyList_GET_SIZE(drawn) - 1 : -1;
    if (node < 0 || last < 0) {
        return SLOW;
    }
    PyObject *digits = Py_NewRef(PyList_GET_ITEM(drawn, last)), *ids = NULL, *own = NULL;
    if (!PyUnicode_CheckExact(digits) || !PyUnicode_IS_COMPACT_ASCII(digits) || PyUnicode_GET_LENGTH(digits) != DIGITS) {
        Py_DECREF(digits);
        return SLOW;
    }
    if (PyList_SetSlice(drawn, last, last + 1, NULL) == 0 && (ids = PyUnicode_New(IDS, 127)) != NULL &&
        (own = PyUnicode_New(REQUEST_ID, 127)) != NULL) {
        unsigned long long ms = (unsigned long long)now_ns / 1000000;
        char *text = PyUnicode_DATA(own);
        memcpy(PyUnicode_DATA(ids), PyUnicode_DATA(digits), IDS);
        memcpy(text, "00000000-0000-7000-8000-", REQUEST_ID - (DIGITS - IDS));
        write_hex(text, ms >> 16, 8);
        write_hex(text + 9, ms, 4);
        write_hex(text + 15, node >> 12, 3);
        write_hex(text + 20, node, 3);
        memcpy(text + REQUEST_ID - (DIGITS - IDS), (char *)PyUnicode_DATA(digits) + IDS, DIGITS - IDS);
        *request_id = own;
    }
    else {
        Py_CLEAR(ids);
    }
    Py_DECREF(digits);
    return ids;
}

FAST_FUNCTION(request_id_draw)
{
    if (count != 2 || names != NULL) {
        return SLOW;
    }
    PyObject *request_id = NULL, *ids = draw_ids(self->state, args[0], small_int(args[1], PY_LLONG_MAX), &request_id);
    if (ids == NULL || ids == SLOW) {
        return ids;
    }
    PyObject *both = PyTuple_Pack(2, ids, request_id);
    Py_DECREF(ids);
    Py_DECREF(request_id);
    return both;
}
