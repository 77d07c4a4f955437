/* Functions with a fast and a slow way, and where the fields of Python's classes are. */

#include "fast.h"

char slow_marker;

/* ------------------------------------------------------------------ the function */

static PyObject *
function_call(PyObject *object, PyObject *const *args, size_t nargsf, PyObject *names)
{
    Function *self = (Function *)object;
    if ((self->state->present & self->needs) == self->needs) {
        PyObject *result = self->fast(self, args, PyVectorcall_NARGS(nargsf), names);
        if (result != SLOW) {
            assert((result == NULL) == (PyErr_Occurred() != NULL));
            return result;
        }
    }
    assert(!PyErr_Occurred());
    return PyObject_Vectorcall(self->slow, args, nargsf, names);
}

static PyObject *
function_bind(PyObject *self, PyObject *owner, PyObject *Py_UNUSED(class))
{
    return owner == NULL || owner == Py_None ? Py_NewRef(self) : PyMethod_New(self, owner);
}

/* `copy` and `pickle` take it for a function: the same one, found again by its name. */
static PyObject *
function_reduce(PyObject *self, PyObject *Py_UNUSED(none))
{
    return PyObject_GetAttrString(((Function *)self)->slow, "__qualname__");
}

static PyObject *
function_is_on(PyObject *object, void *Py_UNUSED(closure))
{
    Function *self = (Function *)object;
    return AS_BOOL((self->state->present & self->needs) == self->needs);
}

static int
function_traverse(PyObject *object, visitproc visit, void *arg)
{
    Function *self = (Function *)object;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->module);
    Py_VISIT(self->slow);
    Py_VISIT(self->dict);
    return 0;
}

static int
function_clear(PyObject *object)
{
    Py_CLEAR(((Function *)object)->dict); /* the others it can't do without: what holds it in their cycle has a clear */
    return 0;
}

static void
function_dealloc(PyObject *object)
{
    Function *self = (Function *)object;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->dict);
    Py_DECREF(self->slow);
    Py_DECREF(self->module);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef function_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Function, call), READONLY, NULL},
    {"__dictoffset__", T_PYSSIZET, offsetof(Function, dict), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef function_getset[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {"is_on", function_is_on, NULL, "Whether all is here that the fast way needs.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef function_methods[] = {
    {"__reduce__", function_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot function_slots[] = {
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_descr_get, function_bind},
    {Py_tp_traverse, function_traverse},
    {Py_tp_clear, function_clear},
    {Py_tp_dealloc, function_dealloc},
    {Py_tp_members, function_members},
    {Py_tp_getset, function_getset},
    {Py_tp_methods, function_methods},
    {0, NULL},
};

PyType_Spec function_spec = {
    .name = "obs_middleware._native.FastFunction",
    .basicsize = sizeof(Function),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR,
    .slots = function_slots,
};

PyObject *
function_new(PyObject *module, State *state, const Entry *entry, PyObject *slow)
{
    Function *self = PyObject_GC_New(Function, state->function_type);
    if (self == NULL) {
        return NULL;
    }
    self->call = function_call;
    self->fast = entry->fast;
    self->needs = entry->needs;
    self->state = state;
    self->module = Py_NewRef(module);
    self->slow = Py_NewRef(slow);
    self->dict = NULL;
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

PyObject *
failed(void)
{
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_Exception)) {
        return NULL;
    }
    PyErr_Clear();
    return SLOW;
}

int
reported(State *state, PyObject *owner, PyObject *component)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception)) {
        return -1;
    }
    PyObject *class, *error, *trace;
    PyErr_Fetch(&class, &error, &trace);
    PyErr_NormalizeException(&class, &error, &trace);
    if (trace != NULL) {
        PyException_SetTraceback(error, trace);
    }
    PyObject *done = PyObject_CallMethodObjArgs(owner, state->names.report, component, error, NULL);
    Py_XDECREF(class);
    Py_XDECREF(error);
    Py_XDECREF(trace);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* ------------------------------------------------------------------ the state */

#define CLASS_ROW(class, first, last) {#class, class##_##first, class##_##last},
#define FIELD_ROW(class, field) #field,
#define CONSTANT_ROW(name) #name,
static const struct {
    const char *name;
    int first, last;
} class_rows[] = {LAYOUT(CLASS_ROW, NOT_THIS)};
static const char *const field_rows[] = {LAYOUT(NOT_THIS, FIELD_ROW)};
static const char *const constant_rows[] = {CONSTANTS(CONSTANT_ROW)};

static int
intern_field_names(State *state)
{
    for (int at = 0; at < FIELD_COUNT; at++) {
        if ((state->field_names[at] = PyUnicode_InternFromString(field_rows[at])) == NULL) {
            return -1;
        }
    }
    return 0;
}

#define INTERN(name) (state->names.name = PyUnicode_InternFromString(#name)) == NULL ||
int
state_begin(State *state)
{
    return intern_field_names(state) < 0 || NAMES(INTERN)(state->names.user_agent = PyUnicode_InternFromString("user-agent")) == NULL ||
                   (state->names.user_agent_bytes = PyBytes_FromString("user-agent")) == NULL ||
                   (state->names.url_scheme = PyUnicode_InternFromString("wsgi.url_scheme")) == NULL ||
                   (state->names.propagate = PyUnicode_InternFromString("opentelemetry.propagate")) == NULL ||
                   (state->names.no_args = PyTuple_New(0)) == NULL ||
                   (state->names.http = PyUnicode_InternFromString("http")) == NULL ||
                   (state->names.ok = PyUnicode_InternFromString("ok")) == NULL ||
                   (state->names.empty = PyUnicode_FromStringAndSize(NULL, 0)) == NULL
               ? -1
               : 0;
}

int
state_traverse(State *state, visitproc visit, void *arg)
{
    Py_VISIT(state->function_type);
    for (int at = 0; at < CLASS_COUNT; at++) {
        Py_VISIT(state->classes[at]);
    }
    for (int at = 0; at < CONSTANT_COUNT; at++) {
        Py_VISIT(state->constants[at]);
    }
    return 0;
}

void
state_clear(State *state)
{
    PyObject **names = (PyObject **)&state->names;
    state->present = 0; /* whoever still calls gets the Python functions */
    Py_CLEAR(state->function_type);
    for (int at = 0; at < CLASS_COUNT; at++) {
        Py_CLEAR(state->classes[at]);
    }
    for (int at = 0; at < CONSTANT_COUNT; at++) {
        Py_CLEAR(state->constants[at]);
    }
    for (size_t at = 0; at < sizeof state->names / sizeof *names; at++) {
        Py_CLEAR(names[at]);
    }
    for (int at = 0; at < FIELD_COUNT; at++) {
        Py_CLEAR(state->field_names[at]);
    }
}

/* Note where a field is; -1 with an exception where it is in no slot. */
static int
learn_offset(State *state, PyTypeObject *class, int field)
{
    PyObject *member = PyObject_GetAttrString((PyObject *)class, field_rows[field]);
    if (member == NULL) {
        return -1;
    }
    PyMemberDef *found = Py_IS_TYPE(member, &PyMemberDescr_Type) ? ((PyMemberDescrObject *)member)->d_member : NULL;
    int is_slot = found != NULL && found->type == T_OBJECT_EX && PyType_IsSubtype(class, ((PyDescrObject *)member)->d_type);
    if (is_slot) {
        state->offsets[field] = found->offset;
    }
    else {
        PyErr_Format(PyExc_TypeError, "%s.%s is in no slot", class->tp_name, field_rows[field]);
    }
    Py_DECREF(member);
    return is_slot ? 0 : -1;
}

/* Compare the fields of a class with those that the C was compiled for: all, in their order. */
static int
check_fields(PyTypeObject *class, int row)
{
    PyObject *names = PyObject_GetAttrString((PyObject *)class, "__struct_fields__");
    if (names == NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
        names = PyObject_GetAttrString((PyObject *)class, "__slots__");
    }
    PyObject *all = names == NULL ? NULL : PySequence_Tuple(names);
    Py_XDECREF(names);
    if (all == NULL) {
        return -1;
    }
    int field = class_rows[row].first, last = class_rows[row].last;
    for (Py_ssize_t at = 0; at < PyTuple_GET_SIZE(all); at++) {
        PyObject *name = PyTuple_GET_ITEM(all, at);
        if (!PyUnicode_Check(name) || IS_TEXT(name, "__dict__") || IS_TEXT(name, "__weakref__")) {
            continue;
        }
        if (field > last || PyUnicode_CompareWithASCIIString(name, field_rows[field]) != 0) {
            PyErr_Format(PyExc_TypeError, "%s.%U is not in native/layout.h, or not there", class->tp_name, name);
            Py_DECREF(all);
            return -1;
        }
        field++;
    }
    Py_DECREF(all);
    if (field <= last) {
        PyErr_Format(PyExc_TypeError, "%s.%s is in native/layout.h alone", class->tp_name, field_rows[field]);
        return -1;
    }
    return 0;
}

int
state_share_layout(State *state, PyTypeObject *class)
{
    PyObject *name = PyObject_GetAttrString((PyObject *)class, "__name__");
    if (name == NULL) {
        return -1;
    }
    int row = 0;
    while (row < CLASS_COUNT && PyUnicode_CompareWithASCIIString(name, class_rows[row].name) != 0) {
        row++;
    }
    Py_DECREF(name);
    if (row == CLASS_COUNT) {
        PyErr_Format(PyExc_TypeError, "%s is not in native/layout.h", class->tp_name);
        return -1;
    }
    state->present &= ~((uint64_t)1 << row); /* what was learnt of another class does not hold for this one */
    Py_CLEAR(state->classes[row]);
    if (check_fields(class, row) < 0) {
        return -1;
    }
    for (int field = class_rows[row].first; field <= class_rows[row].last; field++) {
        if (learn_offset(state, class, field) < 0) {
            return -1;
        }
    }
    state->classes[row] = (PyTypeObject *)Py_NewRef(class);
    state->present |= (uint64_t)1 << row;
    return 0;
}

int
state_share(State *state, PyObject *constants)
{
    PyObject *name, *value;
    Py_ssize_t place = 0;
    while (PyDict_Next(constants, &place, &name, &value)) {
        int at = 0;
        while (at < CONSTANT_COUNT && PyUnicode_CompareWithASCIIString(name, constant_rows[at]) != 0) {
            at++;
        }
        if (at == CONSTANT_COUNT) {
            PyErr_Format(PyExc_TypeError, "no C function needs %R", name);
            return -1;
        }
        put(&state->constants[at], Py_NewRef(value));
        state->present |= (uint64_t)1 << (CLASS_COUNT + at);
    }
    return 0;
}
