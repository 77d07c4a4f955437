/* obs_middleware._native: the common request's way through the core.

   Each function stands beside the Python function of the same name (see common.h); what it does and why is told there. */

#include "common.h"

#include <math.h>

/* ------------------------------------------------------------------ what Python tells */

#define EXCHANGE(X)                                                                                                 \
    X(info) X(_recorders) X(_owner) X(method) X(request_id) X(correlation_id) X(started_ns) X(started) X(ids)       \
    X(begun) X(is_sampled) X(span) X(is_span_ours) X(context) X(route) X(status) X(error) X(request_bytes)          \
    X(response_bytes) X(carrier) X(routed) X(time_to_first_byte) X(fields) X(duration) X(outcome) X(error_type)     \
    X(_before)
#define INFO(X) X(method) X(path) X(query) X(scheme) X(header) X(peer) X(http_version) X(is_marked)
#define ENTRY(X)                                                                                                    \
    X(begun) X(method) X(path) X(route) X(status) X(outcome) X(error_type) X(duration) X(time_to_first_byte)        \
    X(request_bytes) X(response_bytes) X(request_id) X(correlation_id) X(ids) X(is_sampled) X(client) X(user_agent) \
    X(ended) X(is_line_due) X(is_measured)
#define SPAN(X) X(_ids)
#define TABLE(X) X(cells) X(counts) X(firsts) X(known) X(sums)
#define PACKED(X)                                                                                                   \
    X(kind) X(flags) X(state) X(parent_id) X(is_parent_remote) X(parent_flags) X(code) X(description) X(events) X(scope)

#define OBSERVER(X) X(_access_log) X(_ledger) X(_ledger_alone) X(_methods) X(_metrics) X(_recorders) X(_spans)
#define SPANS(X) X(_is_enabled) X(_w3c) X(sampling)
#define SAMPLING(X) X(_bound)
#define ACCESS(X) X(may_wait)
#define LEDGER(X) X(_waiting)
#define CLERK(X) X(is_asleep)

#define EXCHANGE_ROW(field) ROW(exchange, field)
#define INFO_ROW(field) ROW(info, field)
#define ENTRY_ROW(field) ROW(entry, field)
#define SPAN_ROW(field) ROW(span, field)
#define TABLE_ROW(field) ROW(table, field)
#define PACKED_ROW(field) ROW(packed, field)
#define OBSERVER_ROW(field) ROW(observer, field)
#define SPANS_ROW(field) ROW(spans, field)
#define SAMPLING_ROW(field) ROW(sampling, field)
#define ACCESS_ROW(field) ROW(access, field)
#define LEDGER_ROW(field) ROW(ledger, field)
#define CLERK_ROW(field) ROW(clerk, field)

static struct { EXCHANGE(AT) } exchange_at;
static struct { INFO(AT) } info_at;
static struct { ENTRY(AT) } entry_at;
static struct { SPAN(AT) } span_at;
static struct { TABLE(AT) } table_at;
static struct { PACKED(AT) } packed_at;
static struct { OBSERVER(AT) } observer_at;
static struct { SPANS(AT) } spans_at;
static struct { SAMPLING(AT) } sampling_at;
static struct { ACCESS(AT) } access_at;
static struct { LEDGER(AT) } ledger_at;
static struct { CLERK(AT) } clerk_at;

static const Field exchange_fields[] = {EXCHANGE(EXCHANGE_ROW){NULL, NULL}};
static const Field info_fields[] = {INFO(INFO_ROW){NULL, NULL}};
static const Field entry_fields[] = {ENTRY(ENTRY_ROW){NULL, NULL}};
static const Field span_fields[] = {SPAN(SPAN_ROW){NULL, NULL}};
static const Field table_fields[] = {TABLE(TABLE_ROW){NULL, NULL}};
static const Field packed_fields[] = {PACKED(PACKED_ROW){NULL, NULL}};
static const Field observer_fields[] = {OBSERVER(OBSERVER_ROW){NULL, NULL}};
static const Field spans_fields[] = {SPANS(SPANS_ROW){NULL, NULL}};
static const Field sampling_fields[] = {SAMPLING(SAMPLING_ROW){NULL, NULL}};
static const Field access_fields[] = {ACCESS(ACCESS_ROW){NULL, NULL}};
static const Field ledger_fields[] = {LEDGER(LEDGER_ROW){NULL, NULL}};
static const Field clerk_fields[] = {CLERK(CLERK_ROW){NULL, NULL}};

static PyTypeObject *exchange_type, *info_type, *entry_type, *span_type, *table_type, *packed_type,
    *observer_type, *spans_type, *sampling_type, *access_type, *ledger_type, *clerk_type;

enum { OF_EXCHANGE, OF_INFO, OF_PACKED, OF_ENTRY, OF_SPAN, OF_TABLE };

static const Layout layouts[] = {
    {"Exchange", &exchange_type, exchange_fields},
    {"RequestInfo", &info_type, info_fields},
    {"Packed", &packed_type, packed_fields, .is_late = 1},
    {"Entry", &entry_type, entry_fields},
    {"_Unrecorded", &span_type, span_fields},
    {"Table", &table_type, table_fields},
    {"Observer", &observer_type, observer_fields},
    {"ServerSpans", &spans_type, spans_fields},
    {"Sampling", &sampling_type, sampling_fields, .is_late = 1},
    {"AccessLog", &access_type, access_fields},
    {"Ledger", &ledger_type, ledger_fields},
    {"_Clerk", &clerk_type, clerk_fields},
    {NULL, NULL, NULL},
};

/* Globals of Python modules are dictionaries, so that what is replaced there is replaced here. */
static PyObject *carried_as, *current, *otel_context, *outcome_ok, *ledger_globals, *modules,
    *context_type, *span_key, *invalid_span, *nothing, *told_type, *bytes_buckets, *variable_of;

static const Constant constants[] = {
    {"CARRIED_AS", &carried_as},
    {"CURRENT", &current},
    {"otel_context", &otel_context},
    {"OK", &outcome_ok},
    {"ledger", &ledger_globals},
    {"modules", &modules},
    {"Context", &context_type},
    {"SPAN", &span_key},
    {"INVALID", &invalid_span},
    {"NOTHING", &nothing},
    {"Told", &told_type},
    {"BYTES_BUCKETS", &bytes_buckets},
    {"variable_of", &variable_of},
    {NULL, NULL},
};

static PyObject *one, *none_args, *no_text;

#define NAMES(X)                                                                                                    \
    X(PATH_INFO) X(QUERY_STRING) X(REMOTE_ADDR) X(REMOTE_PORT) X(REQUEST_METHOD) X(SCRIPT_NAME)                     \
    X(SERVER_PROTOCOL) X(_HTTP_TEXT_FORMAT) X(_MOST) X(_access_log) X(_alone) X(_attributes) X(_began) X(_blank)    \
    X(_bound) X(_busy) X(_caller) X(_callers) X(_class) X(_clerk) X(_end_time) X(_ids) X(_is_ascii)                 \
    X(_is_enabled) X(_kind) X(_kinds) X(_ledger) X(_ledger_alone) X(_line) X(_lock) X(_methods)                     \
    X(_metrics) X(_name) X(_parent) X(_path) X(_paths) X(_put) X(_put_back) X(_record) X(_recorders)                \
    X(_redactor) X(_resource) X(_route) X(_routes) X(_span_processors) X(_spans) X(_start_time) X(_told)            \
    X(_tracer) X(_value_) X(_w3c) X(_waiting) X(active) X(add) X(append) X(begin) X(buckets) X(clock)               \
    X(count_in) X(direct) X(end) X(example) X(instruments) X(is_asleep) X(known) X(may_wait)                        \
    X(metrics) X(perf_counter) X(pop) X(report) X(resource) X(sampling) X(span_processor) X(start) X(table)         \
    X(time_ns)
NAMES(NAME)
static PyObject *s_host, *s_user_agent, *s_url_scheme, *http, *propagate;

#define EXCHANGE_(field) SLOT(exchange, exchange, field)
#define INFO_(field) SLOT(info, info, field)
#define ENTRY_(field) SLOT(entry, entry, field)

/* ------------------------------------------------------------------ IDs */

/* xoshiro256**, https://prng.di.unimi.it/ (Blackman and Vigna, public domain): what is random in an ID names a request,
   it protects nothing. Seeded by Python, anew in each process. */
static unsigned long long state[4];
static unsigned int node;

static inline unsigned long long
rotated(unsigned long long bits, int by)
{
    return bits << by | bits >> (64 - by);
}

static unsigned long long
random_bits(void)
{
    unsigned long long result = rotated(state[1] * 5, 7) * 9, shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotated(state[3], 45);
    return result;
}

static void
write_hex(char *text, unsigned long long bits, int digits)
{
    while (digits-- > 0) {
        text[digits] = "0123456789abcdef"[bits & 0xF];
        bits >>= 4;
    }
}

/* Return the digits of a trace and a span ID, new, and put a request ID, new, into `request_id`. */
static PyObject *
draw_at(long long now_ns, PyObject **request_id)
{
    static long long last = -1;
    static char beginning[] = "00000000-0000-7000-8000-"; /* of the IDs made in that millisecond by that node */
    static unsigned int last_node;
    long long now = now_ns / 1000000;
    if (now != last || node != last_node) {
        last = now;
        last_node = node;
        write_hex(beginning, (unsigned long long)now >> 16, 8);
        write_hex(beginning + 9, (unsigned long long)now, 4);
        write_hex(beginning + 15, node >> 12, 3);
        write_hex(beginning + 20, node, 3);
    }
    PyObject *ids = PyUnicode_New(48, 127), *own = ids == NULL ? NULL : PyUnicode_New(36, 127);
    if (own == NULL) {
        Py_XDECREF(ids);
        return NULL;
    }
    char *digits = PyUnicode_DATA(ids), *text = PyUnicode_DATA(own);
    write_hex(digits, random_bits(), 16);
    write_hex(digits + 16, random_bits(), 16);
    write_hex(digits + 32, random_bits(), 16);
    memcpy(text, beginning, 24);
    write_hex(text + 24, random_bits() >> 16, 12);
    *request_id = own;
    return ids;
}

static PyObject *
module_seed(PyObject *Py_UNUSED(module), PyObject *args) /* the node's number and four of 64 bits, not all 0 */
{
    if (!is_main()) {
        Py_RETURN_NONE;
    }
    if (!PyArg_ParseTuple(args, "IKKKK", &node, &state[0], &state[1], &state[2], &state[3])) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
draw(PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (!is_ready || count != 1 || names != NULL) {
        return SLOW;
    }
    long long now_ns = PyLong_AsLongLong(args[0]);
    PyObject *request_id = NULL, *ids = NULL;
    if (now_ns < 0 || (ids = draw_at(now_ns, &request_id)) == NULL) {
        return failed();
    }
    PyObject *both = PyTuple_Pack(2, ids, request_id);
    Py_DECREF(ids);
    Py_DECREF(request_id);
    return both;
}

/* ------------------------------------------------------------------ Exchange */

static PyObject *
context_now(void) /* OpenTelemetry's, new */
{
    PyObject *context = NULL;
    if (PyContextVar_Get(otel_context, NULL, &context) == 0 && context == NULL) {
        PyErr_SetString(PyExc_LookupError, "no context");
    }
    return context;
}

static PyObject *
exchange_enter(PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (count != 1 || names != NULL) {
        return SLOW;
    }
    PyObject *exchange = args[0];
    if (!is_ready || !is_whole(&layouts[OF_EXCHANGE], exchange)) {
        return SLOW;
    }
    PyObject *context = EXCHANGE_(context);
    context = context == Py_None ? context_now() : Py_NewRef(context);
    if (context == NULL) {
        return NULL;
    }
    PyObject *own = PyContextVar_Set(current, exchange);
    PyObject *theirs = own == NULL ? NULL : PyContextVar_Set(otel_context, context);
    Py_DECREF(context);
    if (theirs == NULL) {
        Py_XDECREF(own);
        return NULL;
    }
    PyObject *before = PyTuple_Pack(3, own, theirs, EXCHANGE_(_before));
    Py_DECREF(own);
    Py_DECREF(theirs);
    if (before == NULL) {
        return NULL;
    }
    put(&EXCHANGE_(_before), before);
    return Py_NewRef(exchange);
}

/* What `Exchange.__exit__` does; -1 with an exception. */
static int
leave(PyObject *exchange)
{
    PyObject *recorders = EXCHANGE_(_recorders), *before = Py_NewRef(EXCHANGE_(_before));
    if (PyList_GET_SIZE(recorders) != 0) {
        PyObject *context = context_now();
        if (context == NULL) {
            Py_DECREF(before);
            return -1;
        }
        put(&EXCHANGE_(context), context);
    }
    PyObject *own = PyTuple_GET_ITEM(before, 0), *theirs = PyTuple_GET_ITEM(before, 1);
    put(&EXCHANGE_(_before), Py_NewRef(PyTuple_GET_ITEM(before, 2)));
    int result = 0;
    if (PyContextVar_Reset(current, own) < 0 || PyContextVar_Reset(otel_context, theirs) < 0) {
        result = -1;
        if (PyErr_ExceptionMatches(PyExc_ValueError) || PyErr_ExceptionMatches(PyExc_RuntimeError)) {
            PyErr_Clear();
            PyObject *done = PyObject_CallMethodObjArgs(exchange, s__put_back, own, theirs, NULL);
            result = done == NULL ? -1 : 0;
            Py_XDECREF(done);
        }
    }
    Py_DECREF(before);
    return result;
}

static int
can_leave(PyObject *exchange)
{
    return is_ready && is_whole(&layouts[OF_EXCHANGE], exchange) && PyList_CheckExact(EXCHANGE_(_recorders)) &&
           PyTuple_CheckExact(EXCHANGE_(_before)) && PyTuple_GET_SIZE(EXCHANGE_(_before)) == 3;
}

static PyObject *
exchange_exit(PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (count < 1 || count > 4 || names != NULL || !can_leave(args[0])) {
        return SLOW;
    }
    if (leave(args[0]) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
exchange_leave(PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (count != 1 || names != NULL) {
        return SLOW;
    }
    PyObject *exchange = args[0];
    if (is_ready && Py_TYPE(exchange) == exchange_type && EXCHANGE_(_before) == Py_None) {
        Py_RETURN_FALSE;
    }
    if (!can_leave(exchange)) {
        return SLOW;
    }
    if (leave(exchange) < 0) {
        return NULL;
    }
    Py_RETURN_TRUE;
}

/* Run one recorder, guarded; -1 where what it raised is no Exception. */
static int
run_recorder(PyObject *exchange, PyObject *component, PyObject *record)
{
    PyObject *done = PyObject_CallOneArg(record, exchange);
    if (done != NULL) {
        Py_DECREF(done);
        return 0;
    }
    if (!PyErr_ExceptionMatches(PyExc_Exception)) {
        return -1;
    }
    PyObject *error = taken();
    done = PyObject_CallMethodObjArgs(EXCHANGE_(_owner), s_report, component, error, NULL);
    Py_DECREF(error);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static int
is_success(PyObject *status)
{
    int is_too_big = 0;
    return PyLong_CheckExact(status) && PyLong_AsLongAndOverflow(status, &is_too_big) < 500 && !is_too_big;
}

static int
are_recorders(PyObject *recorders)
{
    int are = PyTuple_CheckExact(recorders);
    for (Py_ssize_t at = 0; are && at < PyTuple_GET_SIZE(recorders); at++) {
        PyObject *recorder = PyTuple_GET_ITEM(recorders, at);
        are = PyTuple_CheckExact(recorder) && PyTuple_GET_SIZE(recorder) == 2;
    }
    return are;
}

static PyObject *
exchange_finish(PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (count != 1) {
        return SLOW;
    }
    PyObject *exchange = args[0];
    if (!is_ready || !is_whole(&layouts[OF_EXCHANGE], exchange) || !PyList_CheckExact(EXCHANGE_(_recorders))) {
        return SLOW;
    }
    if (names != NULL && (PyTuple_GET_SIZE(names) != 1 || !IS(PyTuple_GET_ITEM(names, 0), "is_complete") ||
                          args[1] != Py_True)) {
        return SLOW;
    }
    PyObject *list = EXCHANGE_(_recorders);
    Py_ssize_t left = PyList_GET_SIZE(list);
    if (left == 0) {
        Py_RETURN_NONE;
    }
    if (left != 1 || !is_success(EXCHANGE_(status)) || !are_recorders(PyList_GET_ITEM(list, 0))) {
        return SLOW;
    }
    PyObject *recorders = Py_NewRef(PyList_GET_ITEM(list, 0));
    PyObject *duration = since(EXCHANGE_(started), s_perf_counter);
    if (duration == NULL || PyList_SetSlice(list, 0, 1, NULL) < 0) {
        Py_DECREF(recorders);
        Py_XDECREF(duration);
        return failed();
    }
    Py_INCREF(exchange);
    put(&EXCHANGE_(duration), duration);
    put(&EXCHANGE_(outcome), Py_NewRef(outcome_ok));
    int result = 0;
    for (Py_ssize_t at = 0; at < PyTuple_GET_SIZE(recorders) && result == 0; at++) {
        PyObject *recorder = PyTuple_GET_ITEM(recorders, at);
        result = run_recorder(exchange, PyTuple_GET_ITEM(recorder, 0), PyTuple_GET_ITEM(recorder, 1));
    }
    Py_DECREF(recorders);
    if (result == 0) {
        put(&EXCHANGE_(error), Py_NewRef(Py_None));
        put(&EXCHANGE_(routed), Py_NewRef(Py_None));
        PyObject *carrier = Py_NewRef(EXCHANGE_(carrier));
        if (carrier != Py_None) {
            PyObject *carried = PyObject_CallMethodObjArgs(carrier, s_pop, carried_as, Py_None, NULL);
            put(&EXCHANGE_(carrier), Py_NewRef(Py_None));
            result = carried == NULL ? -1 : 0;
            Py_XDECREF(carried);
        }
        Py_DECREF(carrier);
    }
    Py_DECREF(exchange);
    if (result < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
exchange_entry(PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (count != 1 || names != NULL) {
        return SLOW;
    }
    PyObject *exchange = args[0];
    if (!is_ready || !is_whole(&layouts[OF_EXCHANGE], exchange) || EXCHANGE_(outcome) != outcome_ok) {
        return SLOW;
    }
    PyObject *info = EXCHANGE_(info), *ended = NULL, *agent = NULL, *told = NULL, *entry = NULL;
    if (!is_whole(&layouts[OF_INFO], info) || !PyFloat_CheckExact(EXCHANGE_(duration))) {
        return SLOW;
    }
    PyObject *peer = INFO_(peer), *client = Py_None;
    if (peer != Py_None) {
        if (!PyTuple_CheckExact(peer)) {
            return SLOW;
        }
        client = PyTuple_GET_SIZE(peer) == 0 ? Py_None : PyTuple_GET_ITEM(peer, 0);
    }
    double started = PyLong_AsDouble(EXCHANGE_(started_ns)) / 1e9;
    if (!PyErr_Occurred() && (ended = PyFloat_FromDouble(started + PyFloat_AS_DOUBLE(EXCHANGE_(duration)))) != NULL &&
        (agent = PyObject_CallOneArg(INFO_(header), s_user_agent)) != NULL &&
        (told = PyObject_GetAttr(outcome_ok, s__value_)) != NULL) {
        PyObject *fields[] = {
            EXCHANGE_(begun),          EXCHANGE_(method),         INFO_(path),
            EXCHANGE_(route),          EXCHANGE_(status),         told,
            EXCHANGE_(error_type),     EXCHANGE_(duration),       EXCHANGE_(time_to_first_byte),
            EXCHANGE_(request_bytes),  EXCHANGE_(response_bytes), EXCHANGE_(request_id),
            EXCHANGE_(correlation_id), EXCHANGE_(ids),            EXCHANGE_(is_sampled),
            client,                    agent,                     ended,
        };
        entry = PyObject_Vectorcall((PyObject *)entry_type, fields, sizeof fields / sizeof *fields, NULL);
    }
    Py_XDECREF(ended);
    Py_XDECREF(agent);
    Py_XDECREF(told);
    return entry == NULL ? failed() : entry;
}

/* ------------------------------------------------------------------ Observer and Ledger */

/* Return a context with a span alone in it, new. */
static PyObject *
context_of(PyObject *span)
{
    PyObject *context = PyDict_Type.tp_new((PyTypeObject *)context_type, none_args, NULL);
    if (context != NULL && PyDict_SetItem(context, span_key, span) < 0) {
        Py_CLEAR(context);
    }
    return context;
}

/* Give the exchange a span that records nothing; -1 with an exception. */
static int
start_unrecorded(PyObject *exchange)
{
    PyObject *span = PyBaseObject_Type.tp_new(span_type, none_args, NULL), *context;
    if (span == NULL) {
        return -1;
    }
    put(&SLOT(span, span, _ids), Py_NewRef(EXCHANGE_(ids)));
    if ((context = context_of(span)) == NULL) {
        Py_DECREF(span);
        return -1;
    }
    put(&EXCHANGE_(span), span);
    put(&EXCHANGE_(context), context);
    return 0;
}

enum Fate { FAILED = -1, DROPPED, KEPT, UNKNOWN };

/* Tell whether a new trace is kept: dropped, whatever the SDK would say, kept unless the SDK says no, or to be asked. */
static enum Fate
fate(PyObject *spans, PyObject *ids)
{
    PyObject *is_enabled = HELD(spans, spans, _is_enabled);
    if (is_enabled == NULL) {
        return FAILED;
    }
    int is_off = is_enabled == Py_False, is_on = is_enabled == Py_True;
    Py_DECREF(is_enabled);
    if (!is_on) {
        return is_off ? DROPPED : UNKNOWN;
    }
    PyObject *sampling = HELD(spans, spans, sampling);
    if (sampling == NULL || sampling == Py_None) {
        Py_XDECREF(sampling);
        return sampling == NULL ? FAILED : KEPT;
    }
    PyObject *bound = HELD(sampling, sampling, _bound);
    Py_DECREF(sampling);
    if (bound == NULL) {
        return FAILED;
    }
    enum Fate told = UNKNOWN;
    if (PyUnicode_CheckExact(bound) && PyUnicode_IS_COMPACT_ASCII(bound) && PyUnicode_IS_COMPACT_ASCII(ids)) {
        Py_ssize_t size = PyUnicode_GET_LENGTH(bound) < 16 ? PyUnicode_GET_LENGTH(bound) : 16;
        told = memcmp((char *)PyUnicode_DATA(ids) + 16, PyUnicode_DATA(bound), size) < 0 ? KEPT : DROPPED;
    }
    Py_DECREF(bound);
    return told;
}

/* Tell whether nothing is around the request: no exchange, no OpenTelemetry context, no propagator but W3C's. */
static int
is_alone(PyObject *spans)
{
    PyObject *value = NULL;
    if (PyContextVar_Get(current, NULL, &value) < 0) {
        return -1;
    }
    int is_outside = value == NULL || value == Py_None;
    Py_XDECREF(value);
    if (!is_outside) {
        return 0;
    }
    if ((value = context_now()) == NULL) {
        return -1;
    }
    int is_empty = PyDict_Check(value) && PyDict_GET_SIZE(value) == 0;
    Py_DECREF(value);
    if (!is_empty) {
        return 0;
    }
    PyObject *module = get(modules, propagate), *propagator = Py_None;
    if (module != NULL) {
        propagator = PyModule_Check(module) ? get(PyModule_GetDict(module), s__HTTP_TEXT_FORMAT) : NULL;
    }
    if (PyErr_Occurred() || (value = HELD(spans, spans, _w3c)) == NULL) {
        return -1;
    }
    Py_DECREF(value);
    return value == propagator;
}

/* Report the exception that is set, and return None, with which the app runs without us. */
static PyObject *
without_us(PyObject *observer)
{
    PyObject *kind, *error, *trace;
    PyErr_Fetch(&kind, &error, &trace);
    PyObject *report = PyObject_GetAttr(observer, s_report);
    PyErr_Restore(kind, error, trace);
    int is_reported = reported(report, s_start) == 0;
    Py_XDECREF(report);
    return is_reported ? Py_NewRef(Py_None) : NULL;
}

/* Return the method and the scheme in one text: the last one again where they are the same (1000 instructions less). */
static PyObject *
begun_by(PyObject *method, PyObject *scheme)
{
    static PyObject *last = NULL;
    Py_ssize_t size = PyUnicode_GET_LENGTH(method), rest = PyUnicode_GET_LENGTH(scheme);
    if (last != NULL && PyUnicode_GET_LENGTH(last) == size + 1 + rest && PyUnicode_IS_COMPACT_ASCII(method) &&
        PyUnicode_IS_COMPACT_ASCII(scheme)) {
        const char *text = PyUnicode_DATA(last);
        if (memcmp(text, PyUnicode_DATA(method), size) == 0 && text[size] == ' ' &&
            memcmp(text + size + 1, PyUnicode_DATA(scheme), rest) == 0) {
            return Py_NewRef(last);
        }
    }
    PyObject *begun = PyUnicode_FromFormat("%U %U", method, scheme);
    if (begun != NULL && PyUnicode_IS_COMPACT_ASCII(begun)) {
        Py_XSETREF(last, Py_NewRef(begun));
    }
    return begun;
}

static PyObject *
observer_start(PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (!is_ready || count != 2 || names != NULL || !is_whole(&layouts[OF_INFO], args[1])) {
        return SLOW;
    }
    PyObject *observer = args[0], *info = args[1];
    PyObject *method = INFO_(method), *scheme = INFO_(scheme);
    PyObject *spans = NULL, *methods = NULL, *alone = NULL, *recorders = NULL, *now = NULL, *started = NULL, *ids = NULL,
             *own = NULL, *begun = NULL, *exchange = NULL, *metrics = NULL, *answer = NULL;
    int is_late = 0; /* what was done can't be done again */
    if (INFO_(is_marked) != Py_False || !PyUnicode_CheckExact(method) || !PyUnicode_CheckExact(scheme)) {
        return SLOW;
    }
    if ((spans = HELD(observer, observer, _spans)) == NULL || is_alone(spans) != 1 ||
        (methods = HELD(observer, observer, _methods)) == NULL || !PyAnySet_Check(methods) ||
        PySet_Contains(methods, method) != 1 ||
        (alone = HELD(observer, observer, _ledger_alone)) == NULL ||
        (recorders = PyList_New(1)) == NULL) {
        goto done;
    }
    PyList_SET_ITEM(recorders, 0, Py_NewRef(alone));
    if ((now = clock_now(s_time_ns)) == NULL || (started = clock_now(s_perf_counter)) == NULL) {
        goto done;
    }
    long long now_ns = PyLong_AsLongLong(now);
    if (now_ns < 0 || (ids = draw_at(now_ns, &own)) == NULL ||
        (begun = begun_by(method, scheme)) == NULL) {
        goto done;
    }
    PyObject *fields[] = {info, recorders, observer, method, own, own, now, started, ids, begun};
    PyObject *made = PyObject_Vectorcall((PyObject *)exchange_type, fields, sizeof fields / sizeof *fields, NULL);
    if (made == NULL) {
        goto done;
    }
    exchange = made;
    enum Fate told = fate(spans, ids);
    if (told == FAILED) {
        goto done;
    }
    if (told != UNKNOWN) {
        put(&EXCHANGE_(is_span_ours), Py_NewRef(Py_True));
    }
    if (told == DROPPED) {
        if (start_unrecorded(exchange) < 0) {
            goto done;
        }
    }
    else {
        PyObject *done = told == KEPT ? PyObject_CallMethodObjArgs(spans, s__record, exchange, invalid_span, nothing, NULL)
                                      : PyObject_CallMethodOneArg(spans, s_start, exchange);
        if (done == NULL) {
            answer = without_us(observer);
            goto begun_late;
        }
        int has_end = told == KEPT || done == Py_True;
        PyObject *all = has_end ? HELD(observer, observer, _recorders) : NULL;
        Py_DECREF(done);
        if (has_end && (all == NULL || PyList_SetItem(recorders, 0, all) < 0)) {
            answer = without_us(observer);
            goto begun_late;
        }
    }
    if ((metrics = HELD(observer, observer, _metrics)) != NULL) {
        PyObject *noted = PyObject_CallMethodOneArg(metrics, s_begin, begun);
        answer = noted == NULL ? without_us(observer) : Py_NewRef(exchange);
        Py_XDECREF(noted);
    }
begun_late:
    is_late = 1;
done:
    Py_XDECREF(spans);
    Py_XDECREF(methods);
    Py_XDECREF(alone);
    Py_XDECREF(recorders);
    Py_XDECREF(now);
    Py_XDECREF(started);
    Py_XDECREF(ids);
    Py_XDECREF(own);
    Py_XDECREF(begun);
    Py_XDECREF(exchange);
    Py_XDECREF(metrics);
    return answer == NULL && !is_late ? failed() : answer;
}

static PyObject *
observer_enter(PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (!is_ready || count != 2 || names != NULL || !is_whole(&layouts[OF_EXCHANGE], args[1])) {
        return SLOW;
    }
    PyObject *observer = args[0], *exchange = args[1];
    if (!IS(EXCHANGE_(error_type), "") || !PyDict_CheckExact(EXCHANGE_(fields)) ||
        PyDict_GET_SIZE(EXCHANGE_(fields)) != 0) {
        return SLOW;
    }
    PyObject *access_log = HELD(observer, observer, _access_log), *may_wait = NULL, *ledger = NULL, *done = NULL;
    if (access_log == NULL) {
        return failed();
    }
    int is_line_due = access_log != Py_None;
    if (is_line_due) {
        may_wait = HELD(access, access_log, may_wait);
        Py_XDECREF(may_wait);
    }
    Py_DECREF(access_log);
    if (is_line_due && may_wait != Py_True) {
        return failed();
    }
    PyObject *entry = exchange_entry(&args[1], 1, NULL);
    if (entry == SLOW || entry == NULL) {
        return entry;
    }
    if (is_line_due) {
        put(&ENTRY_(is_line_due), Py_NewRef(Py_True));
    }
    ledger = HELD(observer, observer, _ledger);
    if (ledger != NULL) {
        done = PyObject_CallMethodOneArg(ledger, s_add, entry);
        Py_DECREF(ledger);
    }
    Py_DECREF(entry);
    return done;
}

static PyObject *
ledger_add(PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (!is_ready || count != 2 || names != NULL) {
        return SLOW;
    }
    PyObject *ledger = args[0], *busy = get(ledger_globals, s__busy), *most = get(ledger_globals, s__MOST),
             *clerk = get(ledger_globals, s__clerk);
    if (busy == NULL || most == NULL || clerk == NULL || !PySet_CheckExact(busy)) {
        return failed();
    }
    PyObject *waiting = HELD(ledger, ledger, _waiting), *is_asleep = HELD(clerk, clerk, is_asleep);
    Py_XDECREF(is_asleep);
    if (waiting == NULL || is_asleep != Py_False || PyObject_Size(waiting) + 1 >= PyLong_AsLong(most)) {
        Py_XDECREF(waiting);
        return failed(); /* there is more to do */
    }
    PyObject *done = PyObject_CallMethodOneArg(waiting, s_append, args[1]);
    Py_DECREF(waiting);
    if (done != NULL && PySet_Add(busy, ledger) < 0) {
        Py_CLEAR(done);
    }
    return done;
}

/* ------------------------------------------------------------------ ServerSpans and DirectTracer */

/* Return what starts and ends spans past the SDK, new; NULL where there is nothing of the kind. */
static PyObject *
direct_of(PyObject *spans)
{
    PyObject *sampling = HELD(spans, spans, sampling), *direct = NULL;
    if (sampling != NULL && sampling != Py_None) {
        direct = PyObject_GetAttr(sampling, s_direct);
    }
    Py_XDECREF(sampling);
    if (direct == Py_None) {
        Py_CLEAR(direct);
    }
    return direct;
}

static PyObject *
spans_record(PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (!is_ready || count != 4 || names != NULL || !is_whole(&layouts[OF_EXCHANGE], args[1]) ||
        args[2] != invalid_span || args[3] != nothing) {
        return SLOW;
    }
    PyObject *exchange = args[1], *direct = direct_of(args[0]);
    PyObject *redactor = direct == NULL ? NULL : PyObject_GetAttr(args[0], s__redactor);
    if (redactor == NULL) {
        Py_XDECREF(direct);
        return failed();
    }
    PyObject *span = PyObject_CallMethodObjArgs(direct, s_start, exchange, invalid_span, nothing, redactor, NULL);
    Py_DECREF(direct);
    Py_DECREF(redactor);
    if (span == NULL) {
        return NULL;
    }
    PyObject *context = span == Py_None ? NULL : context_of(span);
    if (context == NULL) {
        Py_DECREF(span);
        return failed();
    }
    put(&EXCHANGE_(span), span);
    put(&EXCHANGE_(is_sampled), Py_NewRef(Py_True));
    put(&EXCHANGE_(context), context);
    Py_RETURN_NONE;
}

/* Return the attributes of the span that is of that class, new; NULL where it has one that says somebody was at it. */
static PyObject *
untouched(PyObject *span, PyObject *kind)
{
    if ((PyObject *)Py_TYPE(span) != kind) {
        return NULL;
    }
    PyObject *own = PyObject_GenericGetDict(span, NULL), *signs[] = {s__lock, s__attributes, s__parent};
    for (size_t at = 0; own != NULL && at < sizeof signs / sizeof *signs; at++) {
        if (PyDict_Contains(own, signs[at]) != 0) {
            Py_CLEAR(own);
        }
    }
    return own;
}

/* Return what a span that ends tells, new. */
static PyObject *
told_by(PyObject *exchange, PyObject *redactor)
{
    PyObject *info = Py_NewRef(EXCHANGE_(info)), *peer = INFO_(peer), *host = NULL, *agent = NULL, *told = NULL;
    if ((peer == Py_None || (PyTuple_CheckExact(peer) && PyTuple_GET_SIZE(peer) == 2)) &&
        (host = PyObject_CallOneArg(INFO_(header), s_host)) != NULL &&
        (agent = PyObject_CallOneArg(INFO_(header), s_user_agent)) != NULL) {
        PyObject *fields[] = {
            redactor,
            EXCHANGE_(method),
            INFO_(method),
            INFO_(scheme),
            INFO_(path),
            INFO_(query),
            INFO_(http_version),
            host,
            agent,
            peer == Py_None ? Py_None : PyTuple_GET_ITEM(peer, 0),
            peer == Py_None ? Py_None : PyTuple_GET_ITEM(peer, 1),
            EXCHANGE_(route),
            EXCHANGE_(status),
            EXCHANGE_(error_type),
        };
        told = PyObject_Vectorcall(told_type, fields, sizeof fields / sizeof *fields, NULL);
    }
    Py_DECREF(info);
    Py_XDECREF(host);
    Py_XDECREF(agent);
    return told;
}

static PyObject *
name_of(PyObject *exchange, PyObject *redactor) /* a span's, new; NULL where it is not a common one */
{
    PyObject *method = EXCHANGE_(method), *route = EXCHANGE_(route);
    if (!PyUnicode_CheckExact(method) || IS(method, "_OTHER") || !PyUnicode_CheckExact(route) ||
        PyUnicode_GET_LENGTH(route) == 0) {
        return NULL;
    }
    Py_INCREF(method);
    PyObject *shown = PyObject_CallMethodOneArg(redactor, s_known, route);
    PyObject *name = shown != NULL && PyUnicode_Check(shown) ? PyUnicode_FromFormat("%U %U", method, shown) : NULL;
    Py_DECREF(method);
    Py_XDECREF(shown);
    return name;
}

static PyObject *
end_time(PyObject *exchange) /* in nanoseconds, new */
{
    PyObject *taken = PyLong_FromDouble(nearbyint(PyFloat_AS_DOUBLE(EXCHANGE_(duration)) * 1e9));
    PyObject *end = taken == NULL ? NULL : PyNumber_Add(EXCHANGE_(started_ns), taken);
    Py_XDECREF(taken);
    return end;
}

static PyObject *
spans_end(PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (!is_ready || count != 2 || names != NULL || !is_whole(&layouts[OF_EXCHANGE], args[1])) {
        return SLOW;
    }
    PyObject *exchange = args[1];
    if (EXCHANGE_(is_span_ours) != Py_True || !IS(EXCHANGE_(error_type), "") || !PyFloat_CheckExact(EXCHANGE_(duration)) ||
        !is_whole(&layouts[OF_INFO], EXCHANGE_(info))) {
        return SLOW;
    }
    PyObject *direct = direct_of(args[0]), *span = Py_NewRef(EXCHANGE_(span)), *kind = NULL, *own = NULL,
             *redactor = NULL, *name = NULL, *told = NULL, *end = NULL, *done = NULL;
    int is_late = 0;
    if (direct != NULL && (kind = PyObject_GetAttr(direct, s__class)) != NULL &&
        (own = untouched(span, kind)) != NULL && (redactor = PyObject_GetAttr(args[0], s__redactor)) != NULL &&
        (name = name_of(exchange, redactor)) != NULL && (told = told_by(exchange, redactor)) != NULL &&
        (end = end_time(exchange)) != NULL) {
        done = PyObject_CallMethodObjArgs(direct, s_end, span, name, told, end, NULL);
        is_late = done == NULL || done == Py_True; /* else nothing was done, and the SDK has to */
        Py_XDECREF(done);
    }
    Py_XDECREF(direct);
    Py_DECREF(span);
    Py_XDECREF(kind);
    Py_XDECREF(own);
    Py_XDECREF(redactor);
    Py_XDECREF(name);
    Py_XDECREF(told);
    Py_XDECREF(end);
    return !is_late ? failed() : done == NULL ? NULL : Py_NewRef(Py_None);
}

/* Tell whether the provider's only processor is still ours. */
static int
is_only(PyObject *direct, PyObject *tracer)
{
    PyObject *processor = PyObject_GetAttr(tracer, s_span_processor);
    PyObject *all = processor == NULL ? NULL : PyObject_GetAttr(processor, s__span_processors);
    PyObject *alone = all == NULL ? NULL : PyObject_GetAttr(direct, s__alone);
    int is_same = all != NULL && all == alone;
    Py_XDECREF(processor);
    Py_XDECREF(all);
    Py_XDECREF(alone);
    return is_same;
}

static PyObject *
tracer_start(PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (!is_ready || count != 5 || names != NULL || !is_whole(&layouts[OF_EXCHANGE], args[1]) ||
        args[2] != invalid_span || args[3] != nothing) {
        return SLOW;
    }
    PyObject *direct = args[0], *exchange = args[1], *span = NULL, *own = NULL, *began = NULL, *is_on = NULL;
    PyObject *tracer = PyObject_GetAttr(direct, s__tracer), *kind = PyObject_GetAttr(direct, s__class);
    PyObject *resource = tracer == NULL ? NULL : PyObject_GetAttr(tracer, s_resource);
    if (resource != NULL && kind != NULL && PyType_Check(kind) && is_only(direct, tracer) &&
        (is_on = PyObject_CallMethodNoArgs(direct, s__is_enabled)) == Py_True &&
        (began = PyTuple_Pack(3, EXCHANGE_(method), EXCHANGE_(info), args[4])) != NULL &&
        (span = PyBaseObject_Type.tp_new((PyTypeObject *)kind, none_args, NULL)) != NULL &&
        ((own = PyObject_GenericGetDict(span, NULL)) == NULL || PyDict_SetItem(own, s__ids, EXCHANGE_(ids)) < 0 ||
         PyDict_SetItem(own, s__name, EXCHANGE_(method)) < 0 ||
         PyDict_SetItem(own, s__start_time, EXCHANGE_(started_ns)) < 0 || PyDict_SetItem(own, s__began, began) < 0 ||
         PyDict_SetItem(own, s__resource, resource) < 0)) {
        Py_CLEAR(span);
    }
    Py_XDECREF(tracer);
    Py_XDECREF(kind);
    Py_XDECREF(resource);
    Py_XDECREF(is_on);
    Py_XDECREF(began);
    Py_XDECREF(own);
    return span == NULL ? failed() : span;
}

#define BLANK_(field) SLOT(packed, blank, field)

/* Return a span that begins a trace as it waits for its export, new; NULL where it lacks something. */
static PyObject *
packed(PyObject *own, PyObject *name, PyObject *told, PyObject *end, PyObject *blank)
{
    PyObject *ids = get(own, s__ids), *start = get(own, s__start_time), *resource = get(own, s__resource);
    if (ids == NULL || start == NULL || resource == NULL || !is_whole(&layouts[OF_PACKED], blank)) {
        return NULL;
    }
    PyObject *fields[] = {
        name,
        BLANK_(kind),
        ids,
        BLANK_(flags),
        BLANK_(state),
        BLANK_(parent_id),
        BLANK_(is_parent_remote),
        BLANK_(parent_flags),
        start,
        end,
        BLANK_(code),
        BLANK_(description),
        told,
        BLANK_(events),
        resource,
        BLANK_(scope),
    };
    return PyObject_Vectorcall((PyObject *)packed_type, fields, sizeof fields / sizeof *fields, NULL);
}

static PyObject *
tracer_end(PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (!is_ready || count != 5 || names != NULL || (PyObject *)Py_TYPE(args[3]) != told_type) {
        return SLOW;
    }
    PyObject *direct = args[0], *span = args[1], *name = args[2], *told = args[3], *end = args[4];
    PyObject *tracer = PyObject_GetAttr(direct, s__tracer), *kind = PyObject_GetAttr(direct, s__class);
    PyObject *own = NULL, *blank = NULL, *queue = NULL, *waits = NULL, *done = NULL;
    int is_late = 0;
    if (tracer != NULL && kind != NULL && is_only(direct, tracer) && (own = untouched(span, kind)) != NULL &&
        (queue = PyObject_GetAttr(direct, s__put)) != NULL && (blank = PyObject_GetAttr(direct, s__blank)) != NULL &&
        (waits = packed(own, name, told, end, blank)) != NULL) {
        is_late = 1;
        if (PyDict_SetItem(own, s__name, name) == 0 && PyDict_SetItem(own, s__end_time, end) == 0 &&
            PyDict_SetItem(own, s__told, told) == 0) {
            done = PyObject_CallOneArg(queue, waits);
        }
    }
    Py_XDECREF(tracer);
    Py_XDECREF(kind);
    Py_XDECREF(own);
    Py_XDECREF(blank);
    Py_XDECREF(queue);
    Py_XDECREF(waits);
    Py_XDECREF(done);
    return !is_late ? failed() : done == NULL ? NULL : Py_NewRef(Py_True);
}

/* ------------------------------------------------------------------ HttpMetrics */

#define MOST_BUCKETS 64

#define HISTOGRAMS 4

typedef struct {
    PyObject *table, *active;
    Py_ssize_t count, sizes, first[HISTOGRAMS], cells;
    double bounds[MOST_BUCKETS], bytes[MOST_BUCKETS];
} Books;

static Py_ssize_t
read_bounds(PyObject *tuple, double *bounds)
{
    if (tuple == NULL || !PyTuple_CheckExact(tuple) || PyTuple_GET_SIZE(tuple) > MOST_BUCKETS) {
        return -1;
    }
    for (Py_ssize_t at = 0; at < PyTuple_GET_SIZE(tuple); at++) {
        bounds[at] = PyFloat_AsDouble(PyTuple_GET_ITEM(tuple, at));
    }
    return PyErr_Occurred() ? -1 : PyTuple_GET_SIZE(tuple);
}

static inline Py_ssize_t
bucket(const double *bounds, Py_ssize_t count, double value) /* bisect_left */
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

/* Add what was seen to a row of the table; 0 where it has no room for it and nothing was done, -1 with an exception. */
static int
add_to_row(const Books *books, Py_ssize_t row, const double *seen, Py_ssize_t *cells)
{
    PyObject *table = books->table;
    Py_buffer counts, sums; /* of arrays, of 4 or 8 bytes and of doubles */
    if (PyObject_GetBuffer(SLOT(table, table, counts), &counts, PyBUF_WRITABLE) < 0) {
        return -1;
    }
    if (PyObject_GetBuffer(SLOT(table, table, sums), &sums, PyBUF_WRITABLE) < 0) {
        PyBuffer_Release(&counts);
        return -1;
    }
    int is_wide = counts.itemsize == 8;
    int fits = row >= 0 && (is_wide || counts.itemsize == 4) && sums.itemsize == sizeof(double) &&
               (row + 1) * books->cells * counts.itemsize <= counts.len &&
               (row + 1) * HISTOGRAMS * sums.itemsize <= sums.len;
    uint32_t *narrow = (uint32_t *)counts.buf + row * books->cells;
    uint64_t *wide = (uint64_t *)counts.buf + row * books->cells;
    for (int at = 0; fits && at < HISTOGRAMS; at++) {
        const double *bounds = at < 2 ? books->bounds : books->bytes;
        cells[at] = books->first[at] + bucket(bounds, at < 2 ? books->count : books->sizes, seen[at]);
        fits = cells[at] < books->cells && (is_wide || narrow[cells[at]] != UINT32_MAX);
    }
    for (int at = 0; fits && at < HISTOGRAMS; at++) {
        if (is_wide) {
            wide[cells[at]] += 1;
        }
        else {
            narrow[cells[at]] += 1;
        }
        ((double *)sums.buf)[row * HISTOGRAMS + at] += seen[at];
    }
    PyBuffer_Release(&counts);
    PyBuffer_Release(&sums);
    return fits;
}

/* Record an entry; 0 where it is not a common one and nothing was done, -1 with an exception. */
static int
record_one(const Books *books, PyObject *entry)
{
    PyObject *status = ENTRY_(status), *begun = ENTRY_(begun), *duration = ENTRY_(duration), *table = books->table,
             *first_byte = ENTRY_(time_to_first_byte), *route = ENTRY_(route);
    int is_too_big = 0;
    if (begun == Py_None || !PyLong_CheckExact(status) || PyLong_AsLongAndOverflow(status, &is_too_big) == 101 ||
        !PyFloat_CheckExact(duration) || !PyFloat_CheckExact(first_byte) ||
        !PyLong_CheckExact(ENTRY_(request_bytes)) || !PyLong_CheckExact(ENTRY_(response_bytes))) {
        return 0;
    }
    double seen[HISTOGRAMS] = {PyFloat_AS_DOUBLE(duration), PyFloat_AS_DOUBLE(first_byte),
                               PyLong_AsDouble(ENTRY_(request_bytes)), PyLong_AsDouble(ENTRY_(response_bytes))};
    PyObject *kind = PyErr_Occurred() ? NULL : PyTuple_Pack(3, ENTRY_(method), status, ENTRY_(error_type));
    if (kind == NULL) {
        return -1;
    }
    PyObject *routes = PyDict_GetItemWithError(SLOT(table, table, known), kind);
    PyObject *row = routes == NULL ? NULL : PyDict_GetItemWithError(routes, route == Py_None ? no_text : route);
    PyObject *cell = PyDict_GetItemWithError(books->active, begun);
    Py_DECREF(kind);
    if (PyErr_Occurred()) {
        return -1;
    }
    if (row == NULL || !PyLong_CheckExact(row) || cell == NULL || !PyList_CheckExact(cell) || PyList_GET_SIZE(cell) != 2) {
        return 0;
    }
    Py_ssize_t cells[HISTOGRAMS];
    int is_added = add_to_row(books, PyLong_AsSsize_t(row), seen, cells);
    if (is_added <= 0) {
        return is_added;
    }
    put(&ENTRY_(is_measured), Py_NewRef(Py_True));
    if (add_to(&PyList_GET_ITEM(cell, 1), one) < 0) {
        return -1;
    }
    if (ENTRY_(is_sampled) == Py_True) {
        PyObject *values = Py_BuildValue("{nOnO}", cells[0], duration, cells[1], first_byte), *done = NULL;
        if (values != NULL) {
            Py_INCREF(row);
            done = PyObject_CallMethodObjArgs(table, s_example, row, entry, values, NULL);
            Py_DECREF(row);
        }
        Py_XDECREF(values);
        Py_XDECREF(done);
        return done == NULL ? -1 : 1;
    }
    return 1;
}

static PyObject *slow_record; /* HttpMetrics.record, for single entries */

static PyObject *
metrics_record(PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (!is_ready || slow_record == NULL || count != 3 || names != NULL || !PyList_CheckExact(args[1])) {
        return SLOW;
    }
    PyObject *own = PyObject_GetAttr(args[0], s_instruments), *entries = args[1], *report = args[2], *answer = NULL;
    if (own == NULL) {
        return failed();
    }
    Books books = {.table = NULL};
    PyObject *table = PyObject_GetAttr(own, s_table), *active = PyObject_GetAttr(own, s_active),
             *bounds = PyObject_GetAttr(own, s_buckets), *firsts = NULL;
    if (table == NULL || active == NULL || !is_whole(&layouts[OF_TABLE], table) || !PyDict_CheckExact(active) ||
        !PyDict_CheckExact(SLOT(table, table, known)) || !PyTuple_CheckExact(firsts = SLOT(table, table, firsts)) ||
        PyTuple_GET_SIZE(firsts) != HISTOGRAMS || (books.count = read_bounds(bounds, books.bounds)) < 0 ||
        (books.sizes = read_bounds(bytes_buckets, books.bytes)) < 0) {
        answer = failed();
        goto done;
    }
    for (int at = 0; at < HISTOGRAMS; at++) {
        books.first[at] = PyLong_AsSsize_t(PyTuple_GET_ITEM(firsts, at));
    }
    books.cells = PyLong_AsSsize_t(SLOT(table, table, cells));
    books.table = table;
    books.active = active;
    PyObject *counted = PyErr_Occurred() ? NULL : PyObject_CallMethodNoArgs(own, s_count_in);
    if (counted == NULL) {
        goto done;
    }
    Py_DECREF(counted);
    for (Py_ssize_t at = 0; at < PyList_GET_SIZE(entries); at++) {
        PyObject *entry = Py_NewRef(PyList_GET_ITEM(entries, at));
        int is_done = Py_TYPE(entry) != entry_type ? 0 : ENTRY_(is_measured) == Py_True ? 1 : record_one(&books, entry);
        if (is_done == 0) {
            PyObject *single = PyList_New(1), *done = NULL;
            if (single != NULL) {
                PyList_SET_ITEM(single, 0, Py_NewRef(entry));
                PyObject *given[] = {args[0], single, report};
                done = PyObject_Vectorcall(slow_record, given, 3, NULL);
                Py_DECREF(single);
            }
            Py_XDECREF(done);
            is_done = done == NULL ? -2 : 1;
        }
        Py_DECREF(entry);
        if (is_done == -2 || (is_done == -1 && reported(report, s_metrics) < 0)) {
            goto done;
        }
    }
    answer = Py_NewRef(Py_None);
done:
    Py_XDECREF(table);
    Py_XDECREF(active);
    Py_XDECREF(bounds);
    Py_DECREF(own);
    return answer;
}

/* ------------------------------------------------------------------ AccessLog */

#define ROOM 4096 /* what a pipe takes in one piece (handler.py) */
#define SECOND 20 /* "2026-01-31T12:00:00." */

typedef struct {
    char text[2 * ROOM];
    Py_ssize_t size;
    int is_full;
} Piece;

static inline void
write_bytes(Piece *piece, const char *text, Py_ssize_t size)
{
    if (size > (Py_ssize_t)sizeof piece->text - piece->size) {
        piece->is_full = 1;
        return;
    }
    memcpy(piece->text + piece->size, text, size);
    piece->size += size;
}
#define WRITE(piece, literal) write_bytes(piece, literal, sizeof(literal) - 1)

/* Write a str; -1 with an exception where it is none, or no text. */
static inline int
write_text(Piece *piece, PyObject *text)
{
    if (!PyUnicode_CheckExact(text)) {
        PyErr_SetString(PyExc_TypeError, "no text");
        return -1;
    }
    if (PyUnicode_IS_COMPACT_ASCII(text)) {
        write_bytes(piece, PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text));
        return 0;
    }
    PyObject *bytes = PyUnicode_AsUTF8String(text);
    if (bytes == NULL) {
        return -1;
    }
    write_bytes(piece, PyBytes_AS_STRING(bytes), PyBytes_GET_SIZE(bytes));
    Py_DECREF(bytes);
    return 0;
}

static void
write_number(Piece *piece, unsigned long long value, int digits) /* at least so many */
{
    char text[24];
    int at = sizeof text;
    do {
        text[--at] = (char)('0' + value % 10);
        value /= 10;
        digits--;
    } while (value != 0 || digits > 0);
    write_bytes(piece, text + at, sizeof text - at);
}

static int
write_ms(Piece *piece, PyObject *seconds) /* to three digits */
{
    double us = PyFloat_CheckExact(seconds) ? nearbyint(PyFloat_AS_DOUBLE(seconds) * 1e6) : -1;
    if (!(us >= 0 && us < 1e18)) {
        PyErr_SetString(PyExc_ValueError, "no duration");
        return -1;
    }
    write_number(piece, (unsigned long long)us / 1000, 1);
    WRITE(piece, ".");
    write_number(piece, (unsigned long long)us % 1000, 3);
    return 0;
}

static int
write_int(Piece *piece, PyObject *number)
{
    long long value = PyLong_AsLongLong(number);
    if (value < 0) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_ValueError, "no size");
        }
        return -1;
    }
    write_number(piece, (unsigned long long)value, 1);
    return 0;
}

/* Write a moment as the formatter's clock does, which is asked once a second. */
static int
write_moment(Piece *piece, PyObject *ended, PyObject *clock)
{
    static long long last = -1;
    static char beginning[SECOND];
    if (!PyFloat_CheckExact(ended) || !(PyFloat_AS_DOUBLE(ended) >= 0 && PyFloat_AS_DOUBLE(ended) < 1e11)) {
        PyErr_SetString(PyExc_ValueError, "no moment");
        return -1;
    }
    long long now = (long long)nearbyint(PyFloat_AS_DOUBLE(ended) * 1e6) / 1000;
    if (now / 1000 != last) {
        PyObject *text = PyObject_CallOneArg(clock, ended);
        if (text == NULL) {
            return -1;
        }
        if (!PyUnicode_CheckExact(text) || !PyUnicode_IS_COMPACT_ASCII(text) ||
            PyUnicode_GET_LENGTH(text) != SECOND + 4) {
            Py_DECREF(text);
            PyErr_SetString(PyExc_ValueError, "no clock");
            return -1;
        }
        memcpy(beginning, PyUnicode_DATA(text), SECOND);
        last = now / 1000;
        Py_DECREF(text);
    }
    write_bytes(piece, beginning, SECOND);
    write_number(piece, (unsigned long long)now % 1000, 3);
    WRITE(piece, "Z");
    return 0;
}

/* Return what is remembered of a part, or what the method makes of its key; new. */
static PyObject *
part(PyObject *access_log, PyObject *parts, PyObject *key, PyObject *method)
{
    PyObject *found = PyDict_GetItemWithError(parts, key);
    if (found != NULL) {
        return Py_NewRef(found);
    }
    if (PyErr_Occurred()) {
        return NULL;
    }
    PyObject *make = PyObject_GetAttr(access_log, method);
    if (make == NULL) {
        return NULL;
    }
    found = PyTuple_CheckExact(key) ? PyObject_Call(make, key, NULL) : PyObject_CallOneArg(make, key);
    Py_DECREF(make);
    return found;
}

typedef struct {
    PyObject *access_log, *formatter, *clock, *level, *fixed, *kinds, *routes, *callers, *paths;
} Desk;

static int
write_line(Piece *piece, PyObject *entry, const Desk *desk)
{
    PyObject *key = PyTuple_Pack(4, ENTRY_(method), ENTRY_(status), ENTRY_(outcome), ENTRY_(error_type));
    PyObject *who = PyTuple_Pack(2, ENTRY_(client), ENTRY_(user_agent));
    PyObject *kind = NULL, *route = NULL, *caller = NULL, *path = NULL, *ids = ENTRY_(ids);
    int result = -1;
    if (key == NULL || who == NULL || (kind = part(desk->access_log, desk->kinds, key, s__kind)) == NULL ||
        (route = part(desk->access_log, desk->routes, ENTRY_(route), s__route)) == NULL ||
        (caller = part(desk->access_log, desk->callers, who, s__caller)) == NULL ||
        (path = part(desk->access_log, desk->paths, ENTRY_(path), s__path)) == NULL) {
        goto done;
    }
    if (!PyTuple_CheckExact(kind) || PyTuple_GET_SIZE(kind) != 4 || !PyUnicode_CheckExact(ids) ||
        !PyUnicode_IS_COMPACT_ASCII(ids) || (PyUnicode_GET_LENGTH(ids) != 48 && PyUnicode_GET_LENGTH(ids) != 0)) {
        PyErr_SetString(PyExc_TypeError, "not as known");
        goto done;
    }
    PyObject *method = PyTuple_GET_ITEM(kind, 0), *status = PyTuple_GET_ITEM(kind, 1), *told = PyTuple_GET_ITEM(kind, 2),
             *error = PyTuple_GET_ITEM(kind, 3);
    WRITE(piece, "{\"timestamp\":\"");
    if (write_moment(piece, ENTRY_(ended), desk->clock) < 0 || write_text(piece, desk->level) < 0 ||
        write_text(piece, method) < 0) {
        goto done;
    }
    WRITE(piece, " ");
    if (write_text(piece, path) < 0) {
        goto done;
    }
    WRITE(piece, " ");
    if (write_text(piece, status) < 0 || write_text(piece, desk->fixed) < 0 ||
        write_text(piece, ENTRY_(request_id)) < 0) {
        goto done;
    }
    WRITE(piece, "\",\"correlation_id\":\"");
    if (write_text(piece, ENTRY_(correlation_id)) < 0) {
        goto done;
    }
    if (PyUnicode_GET_LENGTH(ids) == 48) {
        WRITE(piece, "\",\"trace_id\":\"");
        write_bytes(piece, PyUnicode_DATA(ids), 32);
        WRITE(piece, "\",\"span_id\":\"");
        write_bytes(piece, (char *)PyUnicode_DATA(ids) + 32, 16);
        WRITE(piece, "\",\"method\":\"");
    }
    else {
        WRITE(piece, "\",\"trace_id\":null,\"span_id\":null,\"method\":\"");
    }
    if (write_text(piece, method) < 0) {
        goto done;
    }
    WRITE(piece, "\",\"path\":\"");
    if (write_text(piece, path) < 0) {
        goto done;
    }
    WRITE(piece, "\",\"route\":");
    if (write_text(piece, route) < 0 || write_text(piece, told) < 0 || write_ms(piece, ENTRY_(duration)) < 0) {
        goto done;
    }
    WRITE(piece, ",\"ttfb_ms\":");
    if (ENTRY_(time_to_first_byte) == Py_None) {
        WRITE(piece, "null");
    }
    else if (write_ms(piece, ENTRY_(time_to_first_byte)) < 0) {
        goto done;
    }
    WRITE(piece, ",\"request_bytes\":");
    if (write_int(piece, ENTRY_(request_bytes)) < 0) {
        goto done;
    }
    WRITE(piece, ",\"response_bytes\":");
    if (write_int(piece, ENTRY_(response_bytes)) < 0 || write_text(piece, caller) < 0 || write_text(piece, error) < 0) {
        goto done;
    }
    WRITE(piece, "\n");
    result = 0;
done:
    Py_XDECREF(key);
    Py_XDECREF(who);
    Py_XDECREF(kind);
    Py_XDECREF(route);
    Py_XDECREF(caller);
    Py_XDECREF(path);
    return result;
}

/* Write the lines from `at` on that fit; return where the next piece begins, -1 with an exception. */
static Py_ssize_t
write_lines(Piece *piece, PyObject *entries, Py_ssize_t at, const Desk *desk, PyObject **alone)
{
    for (; at < PyList_GET_SIZE(entries); at++) {
        PyObject *entry = PyList_GET_ITEM(entries, at);
        Py_ssize_t before = piece->size;
        if (ENTRY_(is_line_due) != Py_True) {
            continue;
        }
        if (write_line(piece, entry, desk) < 0) {
            if (failed() == NULL) {
                return -1;
            }
            piece->is_full = 1;
        }
        if (piece->size > ROOM || piece->is_full) {
            piece->size = before;
            if (before > 0) {
                return at;
            }
            /* One that is longer than a piece, or that is no text: the Python function has an answer to everything. */
            *alone = PyObject_CallMethodObjArgs(desk->access_log, s__line, entry, desk->formatter, desk->level,
                                                desk->fixed, NULL);
            if (*alone == NULL) {
                return -1;
            }
        }
        put(&ENTRY_(is_line_due), Py_NewRef(Py_False));
        if (*alone != NULL) {
            return at + 1;
        }
    }
    return at;
}

static PyObject *
access_piece(PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (!is_ready || count != 6 || names != NULL || !PyList_CheckExact(args[1]) || !PyLong_CheckExact(args[2])) {
        return SLOW;
    }
    PyObject *entries = args[1];
    for (Py_ssize_t at = 0; at < PyList_GET_SIZE(entries); at++) {
        if (Py_TYPE(PyList_GET_ITEM(entries, at)) != entry_type) {
            return SLOW;
        }
    }
    Desk desk = {.access_log = args[0], .formatter = args[3], .level = args[4], .fixed = args[5]};
    Piece piece; /* not all of it zeros: 8 kB */
    piece.size = piece.is_full = 0;
    PyObject *is_ascii = PyObject_GetAttr(desk.formatter, s__is_ascii), *alone = NULL, *answer = SLOW;
    desk.clock = PyObject_GetAttr(desk.formatter, s_clock);
    desk.kinds = PyObject_GetAttr(desk.access_log, s__kinds);
    desk.routes = PyObject_GetAttr(desk.access_log, s__routes);
    desk.callers = PyObject_GetAttr(desk.access_log, s__callers);
    desk.paths = PyObject_GetAttr(desk.access_log, s__paths);
    if (is_ascii == Py_False && desk.clock != NULL && desk.kinds != NULL && desk.routes != NULL &&
        desk.callers != NULL && desk.paths != NULL) {
        Py_ssize_t next = write_lines(&piece, entries, PyLong_AsSsize_t(args[2]), &desk, &alone);
        answer = next < 0        ? NULL
                 : alone != NULL ? Py_BuildValue("Nn", alone, next)
                                 : Py_BuildValue("y#n", piece.text, piece.size, next);
    }
    Py_XDECREF(is_ascii);
    Py_XDECREF(desk.clock);
    Py_XDECREF(desk.kinds);
    Py_XDECREF(desk.routes);
    Py_XDECREF(desk.callers);
    Py_XDECREF(desk.paths);
    return answer == SLOW ? failed() : answer;
}

/* ------------------------------------------------------------------ cgi.request_info */

typedef struct {
    PyObject_HEAD
    vectorcallfunc call;
    PyObject *variables;
} Header;

/* Look a header up by its lower-case name. */
static PyObject *
header_call(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *names)
{
    if (PyVectorcall_NARGS(nargsf) != 1 || names != NULL) {
        PyErr_SetString(PyExc_TypeError, "header() takes the name of a header");
        return NULL;
    }
    PyObject *variable = PyObject_CallOneArg(variable_of, args[0]);
    if (variable == NULL) {
        return NULL;
    }
    PyObject *value = PyDict_GetItemWithError(((Header *)self)->variables, variable);
    Py_DECREF(variable);
    return value != NULL ? Py_NewRef(value) : PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

static int
header_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(((Header *)self)->variables);
    return 0;
}

static int
header_clear(PyObject *self)
{
    PyObject *variables = ((Header *)self)->variables;
    ((Header *)self)->variables = PyDict_New(); /* it may be asked once more */
    Py_XDECREF(variables);
    return ((Header *)self)->variables == NULL ? -1 : 0;
}

static void
header_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    Py_XDECREF(((Header *)self)->variables);
    PyObject_GC_Del(self);
}

static PyTypeObject header_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "obs_middleware.Header",
    .tp_doc = "Look a request's header up by its lower-case name.",
    .tp_basicsize = sizeof(Header),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_vectorcall_offset = offsetof(Header, call),
    .tp_call = PyVectorcall_Call,
    .tp_traverse = header_traverse, /* the variables hold the exchange, which holds this */
    .tp_clear = header_clear,
    .tp_dealloc = header_dealloc,
};

/* Return a str of the variables, borrowed; `no_text` where it is missing or empty; NULL where it is no str. */
static PyObject *
said(PyObject *variables, PyObject *name)
{
    PyObject *value = PyDict_GetItemWithError(variables, name);
    if (value == NULL) {
        return PyErr_Occurred() ? NULL : no_text;
    }
    return PyUnicode_CheckExact(value) ? value : value == Py_None ? no_text : NULL;
}

/* Return (address, port), None where there is no address; new. NULL without an exception where it is not common. */
static PyObject *
peer_of(PyObject *variables)
{
    PyObject *address = said(variables, s_REMOTE_ADDR), *port = PyDict_GetItemWithError(variables, s_REMOTE_PORT);
    if (address == NULL || PyErr_Occurred()) {
        return NULL;
    }
    if (PyUnicode_GET_LENGTH(address) == 0) {
        return Py_NewRef(Py_None);
    }
    if (port != NULL && PyLong_CheckExact(port) && PyObject_RichCompareBool(port, one, Py_GE) == 1) { /* as Django's is */
        return PyTuple_Pack(2, address, port);
    }
    if ((port = said(variables, s_REMOTE_PORT)) == NULL || PyUnicode_GET_LENGTH(port) > 5 || !PyUnicode_IS_ASCII(port)) {
        return NULL;
    }
    if (PyUnicode_GET_LENGTH(port) == 0) {
        return PyTuple_Pack(2, address, Py_None);
    }
    const char *digits = PyUnicode_DATA(port);
    long number = 0;
    for (Py_ssize_t at = 0; at < PyUnicode_GET_LENGTH(port); at++) {
        if (digits[at] < '0' || digits[at] > '9') {
            return NULL;
        }
        number = 10 * number + (digits[at] - '0');
    }
    return Py_BuildValue("Ol", address, number);
}

/* Tell whether a caller's mark is among the variables; -1 with an exception. */
static int
has_mark(PyObject *variables, PyObject *marks)
{
    static PyObject *known = NULL, *all = NULL; /* the marks last seen, as a set and as a tuple */
    if (marks != known) {
        PyObject *tuple = PySequence_Tuple(marks);
        if (tuple == NULL) {
            return -1;
        }
        Py_XSETREF(all, tuple);
        Py_INCREF(marks);
        Py_XSETREF(known, marks);
    }
    int has = 0;
    for (Py_ssize_t at = 0; has == 0 && at < PyTuple_GET_SIZE(all); at++) {
        has = PyDict_Contains(variables, PyTuple_GET_ITEM(all, at));
    }
    return has;
}

static PyObject *
request_info(PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (!is_ready || variable_of == Py_None || count < 2 || count > 6 || names != NULL || !PyDict_CheckExact(args[0]) ||
        !PyFrozenSet_CheckExact(args[1])) {
        return SLOW;
    }
    PyObject *given[4] = {NULL, NULL, NULL, NULL}, *variables = args[0]; /* method, path, scheme, version */
    for (Py_ssize_t at = 2; at < count; at++) {
        if (args[at] != Py_None && (!PyUnicode_CheckExact(args[at]) || PyUnicode_GET_LENGTH(args[at]) == 0)) {
            return SLOW;
        }
        given[at - 2] = args[at] == Py_None ? NULL : args[at];
    }
    PyObject *method = given[0] == NULL ? said(variables, s_REQUEST_METHOD) : given[0];
    PyObject *query = said(variables, s_QUERY_STRING), *mount = said(variables, s_SCRIPT_NAME);
    PyObject *below = said(variables, s_PATH_INFO), *protocol = said(variables, s_SERVER_PROTOCOL);
    PyObject *scheme = given[2] == NULL ? said(variables, s_url_scheme) : given[2];
    if (method == NULL || query == NULL || mount == NULL || below == NULL || protocol == NULL || scheme == NULL ||
        (given[1] == NULL && (!PyUnicode_IS_ASCII(mount) || !PyUnicode_IS_ASCII(below)))) {
        return failed();
    }
    if (PyUnicode_GET_LENGTH(scheme) == 0) {
        scheme = http;
    }
    PyObject *path = given[1] != NULL ? Py_NewRef(given[1]) : PyUnicode_Concat(mount, below);
    Py_ssize_t size = PyUnicode_GET_LENGTH(protocol);
    int has_prefix = size >= 5 && PyUnicode_IS_ASCII(protocol) && memcmp(PyUnicode_DATA(protocol), "HTTP/", 5) == 0;
    PyObject *version = given[3] != NULL ? Py_NewRef(given[3])
                        : has_prefix     ? PyUnicode_Substring(protocol, 5, size)
                                         : Py_NewRef(protocol);
    PyObject *peer = peer_of(variables), *info = NULL;
    Header *header = PyObject_GC_New(Header, &header_type);
    int is_marked = has_mark(variables, args[1]);
    if (header != NULL) {
        header->call = header_call;
        header->variables = Py_NewRef(variables);
        PyObject_GC_Track(header);
        if (path != NULL && version != NULL && peer != NULL && is_marked >= 0) {
            PyObject *fields[] = {method, path, query,   scheme, (PyObject *)header,
                                  peer,   version, is_marked ? Py_True : Py_False};
            info = PyObject_Vectorcall((PyObject *)info_type, fields, sizeof fields / sizeof *fields, NULL);
        }
        Py_DECREF(header);
    }
    Py_XDECREF(path);
    Py_XDECREF(version);
    Py_XDECREF(peer);
    return info == NULL ? failed() : info;
}

/* ------------------------------------------------------------------ the module */

static const Twin twins[] = {
    {"draw", draw},
    {"Exchange.__enter__", exchange_enter},
    {"Exchange.__exit__", exchange_exit},
    {"Exchange.leave", exchange_leave},
    {"Exchange.finish", exchange_finish},
    {"Exchange.entry", exchange_entry},
    {"Observer.start", observer_start},
    {"Observer._enter", observer_enter},
    {"ServerSpans._record", spans_record},
    {"ServerSpans.end", spans_end},
    {"DirectTracer.start", tracer_start},
    {"DirectTracer.end", tracer_end},
    {"Ledger.add", ledger_add},
    {"HttpMetrics.record", metrics_record},
    {"AccessLog._piece", access_piece},
    {"request_info", request_info},
    {NULL, NULL},
};

static PyObject *
module_compiled(PyObject *Py_UNUSED(module), PyObject *slow)
{
    if (!is_main()) {
        return Py_NewRef(slow);
    }
    PyObject *function = twin_of(twins, slow);
    if (function != NULL && ((Function *)function)->fast == metrics_record) {
        Py_INCREF(slow);
        Py_XSETREF(slow_record, slow);
    }
    return function;
}

static PyObject *
module_learn(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args), PyObject *names)
{
    if (!is_main()) {
        Py_RETURN_NONE;
    }
    PyObject *done = names == NULL ? Py_NewRef(Py_None) : learn(layouts, constants, names);
    is_ready = done != NULL && is_all_known(layouts, constants) && (state[0] | state[1] | state[2] | state[3]) != 0;
    return done;
}

static PyMethodDef functions[] = {
    {"compiled", module_compiled, METH_O, "Return the Python function with its compiled way before it."},
    {"learn", (PyCFunction)(void (*)(void))module_learn, METH_VARARGS | METH_KEYWORDS,
     "Take in classes, whose slots are used, and constants, by name."},
    {"seed", module_seed, METH_VARARGS, "Begin another row of random IDs."},
    {"is_ready", module_is_ready, METH_NOARGS, "Tell whether all is known that the functions need."},
    {NULL, NULL, 0, NULL},
};

static int
intern_names(void)
{
    NAMES(INTERN)
    s_host = PyUnicode_InternFromString("host");
    s_user_agent = PyUnicode_InternFromString("user-agent");
    s_url_scheme = PyUnicode_InternFromString("wsgi.url_scheme");
    http = PyUnicode_InternFromString("http");
    propagate = PyUnicode_InternFromString("opentelemetry.propagate");
    return propagate == NULL || s_host == NULL || s_user_agent == NULL || s_url_scheme == NULL || http == NULL ? -1 : 0;
}

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "obs_middleware._native",
    .m_doc = "The common request's way through the core.",
    .m_size = -1,
    .m_methods = functions,
};

PyMODINIT_FUNC
PyInit__native(void)
{
    if (prepare() < 0 || PyType_Ready(&header_type) < 0 || intern_names() < 0 || (one = PyLong_FromLong(1)) == NULL ||
        (none_args = PyTuple_New(0)) == NULL || (variable_of = Py_NewRef(Py_None)) == NULL ||
        (no_text = PyUnicode_FromStringAndSize(NULL, 0)) == NULL) {
        return NULL;
    }
    return PyModule_Create(&module);
}
