/* What every file here works with: the module's state, functions with a fast and a slow way, fields, references.

   The Python code is the whole truth. A function here does what the Python function of `@fast("file.c: name")` does, for
   the common request alone. Where it sees anything else it returns SLOW, with nothing done, and the Python function runs.

   Rules, each of which was a crash once:
   - What is read from an object is held (`HOLD`) before anything runs that could be Python's, and let go at the end.
   - What Python could have changed is read again after such a call, and its class is looked at again.
   - Nothing is at a fixed place: a class tells where its fields are (`share_layout`), by their names.
   - No Python code is called with an exception set. */

#ifndef OBS_FAST_H
#define OBS_FAST_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <structmember.h>

#include "layout.h"

#ifdef Py_GIL_DISABLED
#error "the C functions need the GIL; without it the Python code does the same"
#endif

/* ------------------------------------------------------------------ what the module knows */

#define AS_CLASS(class, first, last) CLASS_##class,
#define AS_FIELD(class, field) class##_##field,
#define AS_FIRST(class, first, last)                                                                                \
    class##_FIRST = class##_##first, class##_LAST = class##_##last, class##_COUNT = class##_##last - class##_##first + 1,
#define NOT_THIS(...)
enum { LAYOUT(AS_CLASS, NOT_THIS) CLASS_COUNT };
enum { LAYOUT(NOT_THIS, AS_FIELD) FIELD_COUNT };
enum { LAYOUT(AS_FIRST, NOT_THIS) };

/* Objects that a Python module hands over when it is imported (`share`). */
#define CONSTANTS(X) X(CURRENT) X(CONTEXT) X(CARRIER_KEY) X(OK) X(BATCH) X(header) X(scope_header) X(Context) X(SPAN_KEY)
#define AS_CONSTANT(name) CONSTANT_##name,
enum { CONSTANTS(AS_CONSTANT) CONSTANT_COUNT };

/* Interned names of attributes and keys. */
#define NAMES(X)                                                                                                    \
    X(add) X(append) X(count_in) X(keep_exemplars) X(report) X(start)\
    X(pop) X(get_global_textmap) X(_make_room) X(_put_back) X(_wake_worker) X(REQUEST_METHOD) X(SCRIPT_NAME) X(PATH_INFO) X(QUERY_STRING)           \
    X(GET) X(client) X(headers) X(http_version) X(method) X(path) X(query_string) X(scheme) X(type) X(ws)               \
    X(REMOTE_ADDR) X(REMOTE_PORT) X(SERVER_PROTOCOL) X(HTTP_USER_AGENT)
#define AS_NAME(name) PyObject *name;

typedef struct {
    PyTypeObject *function_type;
    PyTypeObject *classes[CLASS_COUNT];
    Py_ssize_t offsets[FIELD_COUNT];
    PyObject *field_names[FIELD_COUNT]; /* interned, as Python's are */
    PyObject *constants[CONSTANT_COUNT];
    uint64_t present; /* a bit for each class and each constant that is here, see NEEDS */
    struct {
        NAMES(AS_NAME)
        PyObject *user_agent, *user_agent_bytes, *url_scheme, *propagate, *empty, *http, *ok, *no_args;
    } names;
} State;

#define NEEDS(class) ((uint64_t)1 << CLASS_##class)
#define NEEDS_CONSTANT(name) ((uint64_t)1 << (CLASS_COUNT + CONSTANT_##name))

int state_begin(State *state);
int state_traverse(State *state, visitproc visit, void *arg);
void state_clear(State *state);
int state_share_layout(State *state, PyTypeObject *class);
int state_share(State *state, PyObject *constants);

/* ------------------------------------------------------------------ functions with a fast and a slow way */

typedef struct Function Function;
typedef PyObject *(*Fast)(const Function *self, PyObject *const *args, Py_ssize_t count, PyObject *names);

struct Function {
    PyObject_HEAD
    vectorcallfunc call;
    Fast fast;
    uint64_t needs;
    State *state;
    PyObject *module; /* which has the state */
    PyObject *slow;   /* the Python function */
    PyObject *dict;
};

typedef struct {
    const char *where; /* as Python's `@fast` names it */
    Fast fast;
    uint64_t needs;
} Entry;

extern PyType_Spec function_spec;
PyObject *function_new(PyObject *module, State *state, const Entry *entry, PyObject *slow);

extern char slow_marker;
#define SLOW ((PyObject *)&slow_marker)

/* An exception on the way is no answer: forget it and take the slow way. What is no Exception goes on (Ctrl-C). */
PyObject *failed(void);

/* Hand the exception that is set to `report(component, error)`; -1 where it is no Exception, or that fails too. */
int reported(State *state, PyObject *owner, PyObject *component);

/* ------------------------------------------------------------------ fields and references */

/* The references that a function holds; they are let go together. */
typedef struct {
    int count;
    PyObject *objects[40];
} Held;

/* Take a new reference over; NULL is passed on. */
static inline PyObject *
keep(Held *held, PyObject *object)
{
    if (object != NULL) {
        assert(held->count < (int)(sizeof held->objects / sizeof *held->objects));
        held->objects[held->count++] = object;
    }
    return object;
}

static inline void
let_go(Held *held)
{
    while (held->count > 0) {
        Py_DECREF(held->objects[--held->count]);
    }
}

#define IS(object, class) (Py_TYPE(object) == state->classes[CLASS_##class])
#define FIELD(object, field) (*(PyObject **)((char *)(object) + state->offsets[field]))
/* Hold what is in a field of an object that is of just its class; NULL without an exception where it was deleted. */
#define HOLD(object, field) keep(&held, Py_XNewRef(FIELD(object, field)))

/* Put a new reference into a field of an object that the caller holds. */
static inline void
put(PyObject **field, PyObject *value)
{
    Py_XSETREF(*field, value);
}

/* Make a Struct of all its fields, or of those that have no default, in the order of its class. */
static inline PyObject *
struct_of(State *state, int class, PyObject *const *fields, Py_ssize_t count)
{
    for (Py_ssize_t at = 0; at < count; at++) {
        if (fields[at] == NULL) {
            return SLOW;
        }
    }
    return PyObject_Vectorcall((PyObject *)state->classes[class], fields, count, NULL);
}

#define AS_BOOL(is) Py_NewRef((is) ? Py_True : Py_False)

/* Compare a str with ASCII text. */
static inline int
is_text(PyObject *text, const char *ascii, Py_ssize_t size)
{
    return PyUnicode_CheckExact(text) && PyUnicode_IS_COMPACT_ASCII(text) && PyUnicode_GET_LENGTH(text) == size &&
           memcmp(PyUnicode_DATA(text), ascii, size) == 0;
}
#define IS_TEXT(text, ascii) is_text(text, ascii, sizeof(ascii) - 1)

/* Return an int's value where it is one, and is between 0 and `most`; else -1, and no exception. */
static inline long long
small_int(PyObject *number, long long most)
{
    int is_too_big = 0;
    long long value = PyLong_CheckExact(number) ? PyLong_AsLongLongAndOverflow(number, &is_too_big) : -1;
    return is_too_big || value > most ? -1 : value;
}

/* ------------------------------------------------------------------ the functions, by file */

#define FAST_FUNCTION(name) PyObject *name(const Function *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
FAST_FUNCTION(access_line);
FAST_FUNCTION(environ_request_info);
FAST_FUNCTION(exchange_enter);
FAST_FUNCTION(exchange_exit);
FAST_FUNCTION(exchange_finish);
FAST_FUNCTION(exchange_leave);
FAST_FUNCTION(exchange_record);
FAST_FUNCTION(gateway_enqueue);
FAST_FUNCTION(gateway_start);
FAST_FUNCTION(header_values);
FAST_FUNCTION(http_record);
FAST_FUNCTION(queue_add);
FAST_FUNCTION(request_id_draw);
FAST_FUNCTION(scope_request_info);
FAST_FUNCTION(spans_start);

/* What one file does for another: the same functions without the Python around them. */
PyObject *record_of(State *state, PyObject *exchange, PyObject *is_logged);
PyObject *add_to_queue(State *state, PyObject *queue, PyObject *record);
PyObject *draw_ids(State *state, PyObject *source, long long now_ns, PyObject **request_id);

#endif
