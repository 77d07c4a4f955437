/* What the compiled modules share: methods with a fast and a slow way, and the slots of Python classes.

   The Python code is the whole truth: each function here does what one of there does, for the common request alone,
   and returns SLOW, with nothing done, where it sees anything else; then the Python function runs. What an object
   holds is declared in Python, as slots of its class, and read and written here at the slots' own places. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <structmember.h>

#ifdef Py_GIL_DISABLED
#error "the compiled request path needs the GIL; without it the Python code does the same"
#endif

static char slow_marker;
#define SLOW ((PyObject *)&slow_marker)

typedef PyObject *(*Fast)(PyObject *const *args, Py_ssize_t count, PyObject *names);

/* ------------------------------------------------------------------ a function with a fast and a slow way */

typedef struct {
    PyObject_HEAD
    vectorcallfunc call;
    Fast fast;
    PyObject *slow; /* the Python function */
} Function;

static PyObject *
function_call(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *names)
{
    Function *function = (Function *)self;
    PyObject *result = function->fast(args, PyVectorcall_NARGS(nargsf), names);
    return result == SLOW ? PyObject_Vectorcall(function->slow, args, nargsf, names) : result;
}

static PyObject *
function_bind(PyObject *self, PyObject *owner, PyObject *Py_UNUSED(kind))
{
    if (owner == NULL || owner == Py_None) {
        return Py_NewRef(self);
    }
    return PyMethod_New(self, owner);
}

static PyObject *
function_getattr(PyObject *self, PyObject *name)
{
    PyObject *slow = ((Function *)self)->slow;
    if (PyUnicode_CompareWithASCIIString(name, "__wrapped__") == 0) {
        return Py_NewRef(slow);
    }
    if (PyUnicode_CompareWithASCIIString(name, "__class__") == 0 ||
        PyUnicode_CompareWithASCIIString(name, "__get__") == 0 ||
        PyUnicode_CompareWithASCIIString(name, "__call__") == 0) {
        return PyObject_GenericGetAttr(self, name);
    }
    return PyObject_GetAttr(slow, name);
}

static int
function_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(((Function *)self)->slow);
    return 0;
}

static void
function_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    Py_DECREF(((Function *)self)->slow);
    PyObject_GC_Del(self);
}

static PyTypeObject function_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "obs_middleware.compiled_function",
    .tp_doc = "A Python function with a compiled way for the common request.",
    .tp_basicsize = sizeof(Function),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR,
    .tp_vectorcall_offset = offsetof(Function, call),
    .tp_call = PyVectorcall_Call,
    .tp_getattro = function_getattr,
    .tp_descr_get = function_bind,
    .tp_traverse = function_traverse, /* no tp_clear: what it can't do without is cleared by others in its cycle */
    .tp_dealloc = function_dealloc,
};

typedef struct {
    const char *name; /* the Python function's __qualname__ */
    Fast fast;
} Twin;

/* Return the function of that twin with the Python function behind it; the Python function itself where it has none. */
static PyObject *
twin_of(const Twin *twins, PyObject *slow)
{
    PyObject *name = PyObject_GetAttrString(slow, "__qualname__");
    if (name == NULL) {
        return NULL;
    }
    for (; twins->name != NULL && PyUnicode_CompareWithASCIIString(name, twins->name) != 0; twins++) {
    }
    if (twins->name == NULL) {
        PyErr_Format(PyExc_LookupError, "no compiled function is named %R", name);
        Py_DECREF(name);
        return NULL;
    }
    Py_DECREF(name);
    Function *function = PyObject_GC_New(Function, &function_type);
    if (function == NULL) {
        return NULL;
    }
    function->call = function_call;
    function->fast = twins->fast;
    function->slow = Py_NewRef(slow);
    PyObject_GC_Track(function);
    return (PyObject *)function;
}

/* ------------------------------------------------------------------ the slots of Python classes */

typedef struct {
    const char *name;
    Py_ssize_t *place;
} Field;

typedef struct {
    const char *name; /* the class's __name__ */
    PyTypeObject **type;
    const Field *fields;
    int is_late; /* of a module that is imported when it is needed: the functions work without */
} Layout;

#define AT(field) Py_ssize_t field;
#define ROW(kind, field) {#field, &kind##_at.field},
#define SLOT(kind, object, field) (*(PyObject **)((char *)(object) + kind##_at.field))

/* Learn where a class keeps its fields.  Raises TypeError: not in slots. */
static int
learn_layout(const Layout *layout, PyTypeObject *type)
{
    Py_CLEAR(*layout->type); /* what is known of another class is not known of this one */
    for (const Field *field = layout->fields; field->name != NULL; field++) {
        PyObject *member = PyObject_GetAttrString((PyObject *)type, field->name);
        if (member == NULL) {
            return -1;
        }
        int is_slot = Py_TYPE(member) == &PyMemberDescr_Type;
        PyMemberDef *found = is_slot ? ((PyMemberDescrObject *)member)->d_member : NULL;
        Py_DECREF(member);
        if (found == NULL || found->type != T_OBJECT_EX) {
            PyErr_Format(PyExc_TypeError, "%s.%s is no slot", layout->name, field->name);
            return -1;
        }
        *field->place = found->offset;
    }
    *layout->type = (PyTypeObject *)Py_NewRef(type);
    return 0;
}

/* Tell whether an object is of that class and nobody has deleted one of its fields. */
static inline int
is_whole(const Layout *layout, PyObject *object)
{
    if (Py_TYPE(object) != *layout->type) {
        return 0;
    }
    for (const Field *field = layout->fields; field->name != NULL; field++) {
        if (*(PyObject **)((char *)object + *field->place) == NULL) {
            return 0;
        }
    }
    return 1;
}

/* Return a field, new: at its place where the object is of just that class, else by its name. */
static inline PyObject *
held(PyObject *object, PyTypeObject *type, Py_ssize_t place, PyObject *name)
{
    PyObject *value = Py_TYPE(object) == type ? *(PyObject **)((char *)object + place) : NULL;
    return value == NULL ? PyObject_GetAttr(object, name) : Py_NewRef(value);
}

#define HELD(kind, object, field) held(object, kind##_type, kind##_at.field, s_##field)

/* Put a new reference into a slot. */
static inline void
put(PyObject **slot, PyObject *value)
{
    Py_XSETREF(*slot, value);
}

/* ------------------------------------------------------------------ constants that Python tells */

typedef struct {
    const char *name;
    PyObject **place;
} Constant;

/* Tell whether all that the functions need is known. */
static int
is_all_known(const Layout *layouts, const Constant *constants)
{
    for (; layouts->name != NULL; layouts++) {
        if (*layouts->type == NULL && !layouts->is_late) {
            return 0;
        }
    }
    for (; constants->name != NULL; constants++) {
        if (*constants->place == NULL) {
            return 0;
        }
    }
    return 1;
}

static PyObject *
learn(const Layout *layouts, const Constant *constants, PyObject *names)
{
    PyObject *name, *value;
    Py_ssize_t at = 0;
    while (PyDict_Next(names, &at, &name, &value)) {
        const Layout *layout = layouts;
        const Constant *constant = constants;
        for (; layout->name != NULL && PyUnicode_CompareWithASCIIString(name, layout->name) != 0; layout++) {
        }
        for (; constant->name != NULL && PyUnicode_CompareWithASCIIString(name, constant->name) != 0; constant++) {
        }
        if (layout->name != NULL && PyType_Check(value)) {
            if (learn_layout(layout, (PyTypeObject *)value) < 0) {
                return NULL;
            }
        }
        else if (constant->name != NULL) {
            Py_INCREF(value);
            Py_XSETREF(*constant->place, value);
        }
        else {
            PyErr_Format(PyExc_LookupError, "%R means nothing here", name);
            return NULL;
        }
    }
    Py_RETURN_NONE;
}

/* ------------------------------------------------------------------ small things */

/* An exception here is no answer: forget it and take the slow way. What is no Exception (KeyboardInterrupt) goes on. */
static PyObject *
failed(void)
{
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_Exception)) {
        return NULL;
    }
    PyErr_Clear();
    return SLOW;
}

/* Take the exception that is set, with its traceback; new. */
static PyObject *
taken(void)
{
    PyObject *kind, *error, *trace;
    PyErr_Fetch(&kind, &error, &trace);
    PyErr_NormalizeException(&kind, &error, &trace);
    if (trace != NULL) {
        PyException_SetTraceback(error, trace);
    }
    Py_XDECREF(kind);
    Py_XDECREF(trace);
    return error;
}

/* Call `report` with the component and the exception that is set; -1 where that is no Exception, and goes on. */
static inline int
reported(PyObject *report, PyObject *component)
{
    if (report == NULL || !PyErr_ExceptionMatches(PyExc_Exception)) {
        return -1;
    }
    PyObject *error = taken(), *done = PyObject_CallFunctionObjArgs(report, component, error, NULL);
    Py_DECREF(error);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Names that are interned once: NAMES(NAME) declares them, NAMES(INTERN) makes them. */
#define NAME(name) static PyObject *s_##name;
#define INTERN(name)                                                                                                \
    if ((s_##name = PyUnicode_InternFromString(#name)) == NULL) {                                                   \
        return -1;                                                                                                  \
    }

static inline PyObject *
get(PyObject *dict, PyObject *key) /* borrowed; NULL where there is none, or an exception */
{
    return PyDict_GetItemWithError(dict, key);
}

/* Look an attribute up; 0 without an exception where there is none. */
static inline int
find(PyObject *object, PyObject *name, PyObject **value)
{
#if PY_VERSION_HEX >= 0x030D0000
    return PyObject_GetOptionalAttr(object, name, value);
#else
    return _PyObject_LookupAttr(object, name, value);
#endif
}

/* Call a function of the module time, as it is there now. */
static PyObject *time_globals;

static inline PyObject *
clock_now(PyObject *name)
{
    PyObject *function = PyDict_GetItemWithError(time_globals, name);
    if (function == NULL) {
        PyErr_SetObject(PyExc_LookupError, name);
        return NULL;
    }
    return PyObject_CallNoArgs(function);
}

/* Return the seconds since a moment of perf_counter's, new. */
static inline PyObject *
since(PyObject *started, PyObject *perf_counter)
{
    PyObject *now = clock_now(perf_counter);
    if (now == NULL) {
        return NULL;
    }
    PyObject *seconds = PyNumber_Subtract(now, started);
    Py_DECREF(now);
    return seconds;
}

/* Compare a str with ASCII text. */
static inline int
is_text(PyObject *text, const char *ascii, Py_ssize_t size)
{
    return PyUnicode_CheckExact(text) && PyUnicode_IS_COMPACT_ASCII(text) &&
           PyUnicode_GET_LENGTH(text) == size && memcmp(PyUnicode_DATA(text), ascii, size) == 0;
}
#define IS(text, ascii) is_text(text, ascii, sizeof(ascii) - 1)

/* Add to the int in a slot. */
static inline int
add_to(PyObject **slot, PyObject *number)
{
    PyObject *sum = PyNumber_Add(*slot, number);
    if (sum == NULL) {
        return -1;
    }
    Py_SETREF(*slot, sum);
    return 0;
}

/* Static state serves one interpreter: others, as mod_wsgi's, take the Python code.  An import there does not run
   PyInit__native once the main interpreter has (m_size is -1), so each way in asks. */
static int
is_main(void)
{
    return PyInterpreterState_Get() == PyInterpreterState_Main();
}

static int is_ready; /* all of it is known that the functions need */

static PyObject *
module_is_ready(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    return PyBool_FromLong(is_ready && is_main());
}

/* What each module begins with; -1 with an exception. */
static int
prepare(void)
{
    if (!is_main()) {
        PyErr_SetString(PyExc_ImportError, "the compiled request path serves the main interpreter alone");
        return -1;
    }
    PyObject *time = PyImport_ImportModule("time");
    time_globals = time == NULL ? NULL : Py_XNewRef(PyModule_GetDict(time));
    Py_XDECREF(time);
    return time_globals == NULL ? -1 : PyType_Ready(&function_type);
}
