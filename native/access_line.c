/* logs/access_line.py: a record is written by the plan of its formatter. */

#include "fast.h"

#include <math.h>

enum { ROOM = 4096 }; /* a longer line is Python's */

/* As in logs/fields.py. */
enum { TEXT, INTEGER, MILLISECONDS, TIMESTAMP, TRACE_ID, SPAN_ID, SPELLED };

typedef struct {
    char text[ROOM];
    Py_ssize_t size;
} Line;

/* These write, and tell whether they could. */

static int
write_bytes(Line *line, const char *text, Py_ssize_t size)
{
    if (size > ROOM - line->size) {
        return 0;
    }
    memcpy(line->text + line->size, text, size);
    line->size += size;
    return 1;
}
#define WRITE(line, literal) write_bytes(line, literal, sizeof(literal) - 1)

static int
write_text(Line *line, PyObject *text)
{
    if (!PyUnicode_CheckExact(text)) {
        return 0;
    }
    if (PyUnicode_IS_COMPACT_ASCII(text)) {
        return write_bytes(line, PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text));
    }
    PyObject *bytes = PyUnicode_AsUTF8String(text);
    int is_written = bytes != NULL && write_bytes(line, PyBytes_AS_STRING(bytes), PyBytes_GET_SIZE(bytes));
    Py_XDECREF(bytes);
    return is_written;
}

static int
write_number(Line *line, unsigned long long value, int digits) /* at least so many */
{
    char text[24];
    int at = sizeof text;
    do {
        text[--at] = (char)('0' + value % 10);
        value /= 10;
        digits--;
    } while (value != 0 || digits > 0);
    return write_bytes(line, text + at, (Py_ssize_t)sizeof text - at);
}

static int
write_integer(Line *line, PyObject *number)
{
    long long value = small_int(number, PY_LLONG_MAX);
    return value >= 0 && write_number(line, (unsigned long long)value, 1);
}

/* Write seconds as milliseconds with three digits, rounded as Python rounds them. */
static int
write_milliseconds(Line *line, PyObject *seconds)
{
    if (seconds == Py_None) {
        return WRITE(line, "null");
    }
    double us = PyFloat_CheckExact(seconds) ? PyFloat_AS_DOUBLE(seconds) * 1e3 * 1e3 : -1.0;
    if (!(us >= 0.0 && us < 1e12) || signbit(us)) {
        return 0;
    }
    double rounded = nearbyint(us);
    if (fabs(fabs(us - rounded) - 0.5) < 1e-3) { /* halfway, as far as a product can tell */
        char *text = PyOS_double_to_string(PyFloat_AS_DOUBLE(seconds) * 1e3, 'f', 3, 0, NULL);
        int is_written = text != NULL && write_bytes(line, text, (Py_ssize_t)strlen(text));
        PyMem_Free(text);
        return is_written;
    }
    unsigned long long whole = (unsigned long long)rounded;
    return write_number(line, whole / 1000, 1) && WRITE(line, ".") && write_number(line, whole % 1000, 3);
}

/* Write seconds since 1970 as RFC 3339 has them, in UTC.
   The date: https://howardhinnant.github.io/date_algorithms.html#civil_from_days */
static int
write_timestamp(Line *line, PyObject *seconds)
{
    double us = PyFloat_CheckExact(seconds) ? nearbyint(PyFloat_AS_DOUBLE(seconds) * 1e6) : -1.0;
    if (!(us >= 0.0 && us < 2.5e17)) { /* before the year 9892 */
        return 0;
    }
    unsigned long long ms = (unsigned long long)us / 1000, second = ms / 1000, minutes = second / 60;
    unsigned long long day = minutes / 1440 + 719468, era = day / 146097, of_era = day % 146097; /* 400 years */
    unsigned long long year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned long long of_year = of_era - (365 * year + year / 4 - year / 100); /* from the first of March */
    unsigned long long from_march = (5 * of_year + 2) / 153, month = from_march < 10 ? from_march + 3 : from_march - 9;
    return write_number(line, year + era * 400 + (month <= 2), 4) && WRITE(line, "-") && write_number(line, month, 2) &&
           WRITE(line, "-") && write_number(line, of_year - (153 * from_march + 2) / 5 + 1, 2) && WRITE(line, "T") &&
           write_number(line, minutes / 60 % 24, 2) && WRITE(line, ":") && write_number(line, minutes % 60, 2) &&
           WRITE(line, ":") && write_number(line, second % 60, 2) && WRITE(line, ".") && write_number(line, ms % 1000, 3) &&
           WRITE(line, "Z");
}

static int
write_id(Line *line, PyObject *ids, Py_ssize_t first, Py_ssize_t size)
{
    if (IS_TEXT(ids, "")) {
        return WRITE(line, "null");
    }
    return PyUnicode_CheckExact(ids) && PyUnicode_IS_COMPACT_ASCII(ids) && PyUnicode_GET_LENGTH(ids) == 48 &&
           WRITE(line, "\"") && write_bytes(line, (char *)PyUnicode_DATA(ids) + first, size) && WRITE(line, "\"");
}

/* Write the text of a value: the one that is remembered, or the one that Python makes. */
static int
write_spelled(Line *line, PyObject *value, PyObject *texts, PyObject *spell)
{
    PyObject *text = PyDict_Check(texts) ? Py_XNewRef(PyDict_GetItemWithError(texts, value)) : NULL;
    if (text == NULL && !PyErr_Occurred()) {
        text = PyObject_CallOneArg(spell, value);
    }
    int is_written = text != NULL && write_text(line, text);
    Py_XDECREF(text);
    return is_written;
}

/* Return a field of the record by its name, new; NULL where there is none of that name.
   `last` is the one before: most follow it closely. */
static PyObject *
field_of(State *state, PyObject *record, PyObject *name, int *last)
{
    int field = *last;
    for (int left = RequestRecord_COUNT; left > 0; left--) {
        if (state->field_names[field] == name) {
            *last = field;
            return Py_XNewRef(FIELD(record, field));
        }
        field = field == RequestRecord_LAST ? RequestRecord_FIRST : field + 1;
    }
    return NULL;
}

static int
write_step(State *state, Line *line, PyObject *record, PyObject *step, int *last)
{
    if (!PyTuple_CheckExact(step) || PyTuple_GET_SIZE(step) != 5 || !write_text(line, PyTuple_GET_ITEM(step, 0))) {
        return 0;
    }
    PyObject *value = field_of(state, record, PyTuple_GET_ITEM(step, 1), last);
    int is_written = 0;
    switch (value == NULL ? -1 : small_int(PyTuple_GET_ITEM(step, 2), SPELLED)) {
    case TEXT:
        is_written = write_text(line, value);
        break;
    case INTEGER:
        is_written = write_integer(line, value);
        break;
    case MILLISECONDS:
        is_written = write_milliseconds(line, value);
        break;
    case TIMESTAMP:
        is_written = write_timestamp(line, value);
        break;
    case TRACE_ID:
        is_written = write_id(line, value, 0, 32);
        break;
    case SPAN_ID:
        is_written = write_id(line, value, 32, 16);
        break;
    case SPELLED:
        is_written = write_spelled(line, value, PyTuple_GET_ITEM(step, 3), PyTuple_GET_ITEM(step, 4));
        break;
    }
    Py_XDECREF(value);
    return is_written;
}

FAST_FUNCTION(access_line)
{
    State *state = self->state;
    if (count != 2 || names != NULL || !IS(args[0], AccessLine) || !IS(args[1], RequestRecord)) {
        return SLOW;
    }
    Held held;
    held.count = 0;
    PyObject *plan = HOLD(args[0], AccessLine_plan), *closing = HOLD(args[0], AccessLine_closing);
    Line line; /* not all of it zeros: 4 kB */
    line.size = 0;
    int last = RequestRecord_FIRST, is_written = plan != NULL && PyTuple_CheckExact(plan) && closing != NULL;
    for (Py_ssize_t at = 0; is_written && at < PyTuple_GET_SIZE(plan); at++) {
        is_written = write_step(state, &line, args[1], PyTuple_GET_ITEM(plan, at), &last);
    }
    is_written = is_written && write_text(&line, closing);
    let_go(&held);
    PyObject *result = is_written ? PyBytes_FromStringAndSize(line.text, line.size) : NULL;
    return result == NULL ? failed() : result;
}
