/* metrics/http.py: records are measured, where the table has counted their like. */

#include "fast.h"

enum { HISTOGRAMS = 4, MOST_BOUNDS = 512 };

/* What all records of a call have in common. */
typedef struct {
    PyObject *table, *row_of, *active;
    Py_ssize_t cells, first[HISTOGRAMS], time_count, size_count;
    double times[MOST_BOUNDS], sizes[MOST_BOUNDS];
} Meter;

/* What is to be added for one record. */
typedef struct {
    PyObject *row, *active; /* of the table; the counts of active requests */
    Py_ssize_t cells[HISTOGRAMS];
    double values[HISTOGRAMS];
    int has_first_byte;
} Sample;

/* Read the bounds of a histogram; -1, maybe with an exception, where they are not as they should be. */
static Py_ssize_t
read_bounds(PyObject *bounds, double *numbers)
{
    if (bounds == NULL || !PyTuple_CheckExact(bounds) || PyTuple_GET_SIZE(bounds) > MOST_BOUNDS) {
        return -1;
    }
    for (Py_ssize_t at = 0; at < PyTuple_GET_SIZE(bounds); at++) {
        PyObject *number = PyTuple_GET_ITEM(bounds, at);
        if (!PyFloat_CheckExact(number) && !PyLong_CheckExact(number)) {
            return -1;
        }
        numbers[at] = PyFloat_AsDouble(number);
    }
    return PyErr_Occurred() ? -1 : PyTuple_GET_SIZE(bounds);
}

static Py_ssize_t
bucket_of(const double *bounds, Py_ssize_t count, double value) /* bisect_left */
{
    Py_ssize_t low = 0;
    while (count > 0) {
        Py_ssize_t half = count / 2;
        if (bounds[low + half] < value) {
            low += half + 1;
            count -= half + 1;
        }
        else {
            count = half;
        }
    }
    return low;
}

/* Read what all records have in common; 0 where it is not as it should be, then nothing was done. */
static int
meter_begin(State *state, Held *keeper, Meter *meter, PyObject *instruments)
{
    Held held;
    held.count = 0;
    PyObject *table = HOLD(instruments, Instruments_table), *active = HOLD(instruments, Instruments_active);
    PyObject *times = HOLD(instruments, Instruments_buckets), *sizes = HOLD(instruments, Instruments_bytes_buckets);
    int is_good = table != NULL && IS(table, HistogramTable) && active != NULL && PyDict_CheckExact(active) &&
                  (meter->time_count = read_bounds(times, meter->times)) >= 0 &&
                  (meter->size_count = read_bounds(sizes, meter->sizes)) >= 0;
    if (is_good) {
        PyObject *row_of = HOLD(table, HistogramTable_row_of), *firsts = HOLD(table, HistogramTable_firsts);
        PyObject *cells = HOLD(table, HistogramTable_cells);
        is_good = row_of != NULL && PyDict_CheckExact(row_of) && firsts != NULL && PyTuple_CheckExact(firsts) &&
                  PyTuple_GET_SIZE(firsts) == HISTOGRAMS && cells != NULL &&
                  (meter->cells = small_int(cells, 1 << 20)) >= 0;
        for (int at = 0; is_good && at < HISTOGRAMS; at++) {
            Py_ssize_t count = at < 2 ? meter->time_count : meter->size_count;
            meter->first[at] = small_int(PyTuple_GET_ITEM(firsts, at), 1 << 20);
            is_good = meter->first[at] >= 0 && meter->first[at] + count < meter->cells;
        }
        if (is_good) {
            meter->table = keep(keeper, Py_NewRef(table));
            meter->active = keep(keeper, Py_NewRef(active));
            meter->row_of = keep(keeper, Py_NewRef(row_of));
        }
    }
    let_go(&held);
    return is_good;
}

/* Read a time in seconds; None is none. Return 0 where it is anything else. */
static int
read_seconds(PyObject *number, double *seconds, int *is_there)
{
    *is_there = number != Py_None;
    *seconds = number != NULL && PyFloat_CheckExact(number) ? PyFloat_AS_DOUBLE(number) : 0.0;
    return number != NULL && (number == Py_None || PyFloat_CheckExact(number));
}

/* Look up where a record is counted; 0, maybe with an exception, where it is no common one. */
static int
sample_of(State *state, Held *keeper, const Meter *meter, PyObject *record, Sample *sample)
{
    Held held;
    held.count = 0;
    PyObject *method = HOLD(record, RequestRecord_method), *status = HOLD(record, RequestRecord_status);
    PyObject *error_type = HOLD(record, RequestRecord_error_type), *route = HOLD(record, RequestRecord_route);
    PyObject *key = HOLD(record, RequestRecord_active_key), *duration = HOLD(record, RequestRecord_duration);
    PyObject *first_byte = HOLD(record, RequestRecord_time_to_first_byte);
    PyObject *received = HOLD(record, RequestRecord_request_bytes), *sent = HOLD(record, RequestRecord_response_bytes);
    PyObject *is_sampled = FIELD(record, RequestRecord_is_sampled);
    long long sizes[2], most = (long long)1 << 53; /* up to there a double is exact */
    int has_duration = 0, is_common = 0;
    if (method != NULL && PyUnicode_CheckExact(method) && error_type != NULL && PyUnicode_CheckExact(error_type) &&
        status != NULL && (status == Py_None || (PyLong_CheckExact(status) && small_int(status, 1000) != 101)) &&
        route != NULL && (route == Py_None || PyUnicode_CheckExact(route)) && key != NULL && PyUnicode_CheckExact(key) &&
        read_seconds(duration, &sample->values[0], &has_duration) && has_duration &&
        read_seconds(first_byte, &sample->values[1], &sample->has_first_byte) &&
        is_sampled != NULL && PyBool_Check(is_sampled) && received != NULL && (sizes[0] = small_int(received, most)) >= 0 && sent != NULL &&
        (sizes[1] = small_int(sent, most)) >= 0) {
        PyObject *result = keep(&held, PyTuple_Pack(3, method, status, error_type)), *routes = NULL;
        if (result != NULL) {
            routes = keep(&held, Py_XNewRef(PyDict_GetItemWithError(meter->row_of, result)));
        }
        if (routes != NULL && PyDict_CheckExact(routes)) {
            PyObject *by = route == Py_None ? state->names.empty : route;
            sample->row = keep(keeper, Py_XNewRef(PyDict_GetItemWithError(routes, by)));
            sample->active = sample->row == NULL ? NULL : PyDict_GetItemWithError(meter->active, key);
            is_common = keep(keeper, Py_XNewRef(sample->active)) != NULL;
        }
        sample->values[2] = (double)sizes[0];
        sample->values[3] = (double)sizes[1];
    }
    let_go(&held);
    return is_common;
}

/* Count the request out, and add to its row. Nothing here can run Python; 0 where nothing was done. */
static int
add_sample(State *state, const Meter *meter, Sample *sample)
{
    long long row = small_int(sample->row, PY_SSIZE_T_MAX / ((Py_ssize_t)1 << 24)), out = -1;
    Py_buffer counts, sums; /* of arrays: with 4 or 8 bytes for a count, and of doubles */
    if (row < 0 || !PyList_CheckExact(sample->active) || PyList_GET_SIZE(sample->active) != 2 ||
        (out = small_int(PyList_GET_ITEM(sample->active, 1), PY_LLONG_MAX - 1)) < 0) {
        return 0;
    }
    PyObject *all_counts = FIELD(meter->table, HistogramTable_counts), *all_sums = FIELD(meter->table, HistogramTable_sums);
    if (all_counts == NULL || all_sums == NULL || PyObject_GetBuffer(all_counts, &counts, PyBUF_WRITABLE) < 0) {
        return 0;
    }
    if (PyObject_GetBuffer(all_sums, &sums, PyBUF_WRITABLE) < 0) {
        PyBuffer_Release(&counts);
        return 0;
    }
    int is_wide = counts.itemsize == sizeof(uint64_t);
    int fits = (is_wide || counts.itemsize == sizeof(uint32_t)) && sums.itemsize == sizeof(double) &&
               (row + 1) * meter->cells * counts.itemsize <= counts.len &&
               (row + 1) * HISTOGRAMS * sums.itemsize <= sums.len;
    uint32_t *narrow = (uint32_t *)counts.buf + row * meter->cells;
    uint64_t *wide = (uint64_t *)counts.buf + row * meter->cells;
    for (int at = 0; fits && at < HISTOGRAMS; at++) {
        const double *bounds = at < 2 ? meter->times : meter->sizes;
        Py_ssize_t count = at < 2 ? meter->time_count : meter->size_count;
        sample->cells[at] = meter->first[at] + bucket_of(bounds, count, sample->values[at]);
        fits = is_wide || narrow[sample->cells[at]] != UINT32_MAX;
    }
    PyObject *one_more = fits ? PyLong_FromLongLong(out + 1) : NULL;
    fits = one_more != NULL && PyList_SetItem(sample->active, 1, one_more) == 0;
    for (int at = 0; fits && at < HISTOGRAMS; at++) {
        if (at == 1 && !sample->has_first_byte) {
            continue;
        }
        if (is_wide) {
            wide[sample->cells[at]] += 1;
        }
        else {
            narrow[sample->cells[at]] += 1;
        }
        ((double *)sums.buf)[row * HISTOGRAMS + at] += sample->values[at];
    }
    PyBuffer_Release(&counts);
    PyBuffer_Release(&sums);
    return fits;
}

/* Keep the exemplars of a request that is sampled; -1 with an exception. */
static int
keep_exemplars(State *state, const Meter *meter, const Sample *sample, PyObject *record)
{
    PyObject *times = sample->has_first_byte ? Py_BuildValue("{ndnd}", sample->cells[0], sample->values[0],
                                                             sample->cells[1], sample->values[1])
                                             : Py_BuildValue("{nd}", sample->cells[0], sample->values[0]);
    if (times == NULL) {
        return -1;
    }
    PyObject *done =
        PyObject_CallMethodObjArgs(meter->table, state->names.keep_exemplars, sample->row, record, times, NULL);
    Py_DECREF(times);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Let the Python function measure one record; -1 with an exception. */
static int
measure_slowly(const Function *self, PyObject *metrics, PyObject *record)
{
    PyObject *list = Py_BuildValue("[O]", record), *records = list == NULL ? NULL : PyObject_GetIter(list), *done = NULL;
    if (records != NULL) {
        PyObject *args[] = {metrics, records};
        done = PyObject_Vectorcall(self->slow, args, 2, NULL);
    }
    Py_XDECREF(list);
    Py_XDECREF(records);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static int
measure(const Function *self, const Meter *meter, PyObject *metrics, PyObject *record)
{
    State *state = self->state;
    Held held;
    held.count = 0;
    Sample sample = {0};
    int is_done = 0, result;
    if (IS(record, RequestRecord)) {
        is_done = sample_of(state, &held, meter, record, &sample) && add_sample(state, meter, &sample);
    }
    if (!is_done) {
        result = failed() == NULL ? -1 : measure_slowly(self, metrics, record);
    }
    else if (FIELD(record, RequestRecord_is_sampled) == Py_True) {
        result = keep_exemplars(state, meter, &sample, record);
    }
    else {
        result = 0;
    }
    let_go(&held);
    return result;
}

FAST_FUNCTION(http_record)
{
    State *state = self->state;
    if (count != 2 || names != NULL || !IS(args[0], HttpMetrics) || !Py_IS_TYPE(args[1], &PyListIter_Type)) {
        return SLOW;
    }
    Held held;
    held.count = 0;
    Meter meter;
    PyObject *instruments = HOLD(args[0], HttpMetrics_instruments), *records = args[1], *record = NULL;
    if (instruments == NULL || !IS(instruments, Instruments) || !meter_begin(state, &held, &meter, instruments)) {
        let_go(&held);
        return failed();
    }
    PyObject *counted = keep(&held, PyObject_CallMethodNoArgs(instruments, state->names.count_in));
    while (counted != NULL && (record = PyIter_Next(records)) != NULL) {
        int is_done = measure(self, &meter, args[0], record);
        Py_DECREF(record);
        if (is_done < 0) {
            break;
        }
    }
    let_go(&held);
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}
