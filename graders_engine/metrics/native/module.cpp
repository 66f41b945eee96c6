// The module `_core`: the metrics as functions of two str, and `batch` for lists of them.
//
// The pure Python functions of the same names define what each one returns.

#include <algorithm>

#include "python.hpp"

#include "batch.hpp"

namespace {

using namespace graders;

// Counts up when values or the module's functions change: `core.py` uses only the number it was
// written for, and never an older binary.
constexpr long VERSION = 1;

// Bytes of a pair from which other threads may run meanwhile; below, letting go of the lock would take
// a share of the time.
constexpr std::size_t LONG_PAIR = 20'000;

struct Compiled {
    const char* name;
    Metric metric;
    bool lower;
};

constexpr Compiled METRICS[] = {
    {"rouge_1", rouge_n<1>, true},     {"rouge_2", rouge_n<2>, true}, {"rouge_3", rouge_n<3>, true},
    {"rouge_4", rouge_n<4>, true},     {"rouge_5", rouge_n<5>, true}, {"rouge_l", rouge_l, true},
    {"sacrebleu", sacrebleu, false},   {"gleu", gleu, false},
};

// Calls `function` and turns what it throws into a Python error.
template <typename Function>
PyObject* guarded(Function function) {
    try {
        return function();
    } catch (const PythonError&) {
        return nullptr;
    } catch (const std::bad_alloc&) {
        return PyErr_NoMemory();
    }
}

double value_of(const Compiled& compiled, PyObject* answer, PyObject* reference) {
    thread_local Scratch scratch;
    const Text answer_text(answer, compiled.lower), reference_text(reference, compiled.lower);
    const Utf8 one = answer_text.utf8(), other = reference_text.utf8();
    const WithoutLock block(one.size + other.size > LONG_PAIR);
    const double value = compiled.metric(one, other, scratch);
    scratch.trim();
    return value;
}

template <std::size_t place>
PyObject* metric(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "a metric takes an answer and a reference");
        return nullptr;
    }
    return guarded([arguments] {
        return PyFloat_FromDouble(value_of(METRICS[place], arguments[0], arguments[1]));
    });
}

std::vector<Text> texts_of(PyObject* tuple, bool lower) {
    std::vector<Text> texts;
    const Py_ssize_t size = PyTuple_Size(tuple);
    texts.reserve(static_cast<std::size_t>(size));
    for (Py_ssize_t i = 0; i < size; ++i) texts.emplace_back(PyTuple_GetItem(tuple, i), lower);
    return texts;
}

std::vector<Utf8> bytes_of(const std::vector<Text>& texts) {
    std::vector<Utf8> bytes;
    bytes.reserve(texts.size());
    for (const Text& text : texts) bytes.push_back(text.utf8());
    return bytes;
}

PyObject* list_of(const std::vector<double>& values) {
    Owned list = checked(PyList_New(static_cast<Py_ssize_t>(values.size())));
    for (std::size_t i = 0; i < values.size(); ++i) {
        Owned value = checked(PyFloat_FromDouble(values[i]));
        PyList_SetItem(list.get(), static_cast<Py_ssize_t>(i), value.release());
    }
    return list.release();
}

PyObject* values_of(const Compiled& compiled, PyObject* answers, PyObject* references,
                    std::size_t threads) {
    // Tuples of their own, because other threads may change the lists meanwhile.
    const Owned answer_tuple = checked(PySequence_Tuple(answers));
    const Owned reference_tuple = checked(PySequence_Tuple(references));
    if (PyTuple_Size(answer_tuple.get()) != PyTuple_Size(reference_tuple.get())) {
        PyErr_SetString(PyExc_ValueError, "there must be a reference for each answer");
        return nullptr;
    }
    const std::vector<Text> answer_texts = texts_of(answer_tuple.get(), compiled.lower);
    const std::vector<Text> reference_texts = texts_of(reference_tuple.get(), compiled.lower);
    const std::vector<Utf8> answer_bytes = bytes_of(answer_texts);
    const std::vector<Utf8> reference_bytes = bytes_of(reference_texts);
    Batch batch(compiled.metric, answer_bytes, reference_bytes);
    {
        const WithoutLock block(true);
        batch.run(threads);
    }
    return list_of(batch.values());
}

PyObject* batch(PyObject*, PyObject* arguments) {
    const char* name;
    PyObject *answers, *references;
    Py_ssize_t threads;
    if (!PyArg_ParseTuple(arguments, "sOOn:batch", &name, &answers, &references, &threads)) {
        return nullptr;
    }
    const auto* compiled =
        std::find_if(std::begin(METRICS), std::end(METRICS),
                     [name](const Compiled& entry) { return std::strcmp(entry.name, name) == 0; });
    if (compiled == std::end(METRICS)) {
        return PyErr_Format(PyExc_ValueError, "there is no compiled metric '%s'", name);
    }
    return guarded([&] {
        return values_of(*compiled, answers, references,
                         static_cast<std::size_t>(threads < 1 ? 1 : threads));
    });
}

template <typename Function>
PyCFunction as_method(Function* function) {
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

template <std::size_t... places>
PyMethodDef* methods(std::index_sequence<places...>) {
    static PyMethodDef table[] = {
        {METRICS[places].name, as_method(metric<places>), METH_FASTCALL,
         "(answer: str, reference: str) -> float"}...,
        {"batch", batch, METH_VARARGS,
         "(name: str, answers: list[str], references: list[str], threads: int) -> list[float]"},
        {nullptr, nullptr, 0, nullptr},
    };
    return table;
}

// The names that `batch` knows.
Owned batch_names() {
    Owned names = checked(PyTuple_New(std::size(METRICS)));
    for (std::size_t i = 0; i < std::size(METRICS); ++i) {
        Owned name = checked(PyUnicode_FromString(METRICS[i].name));
        PyTuple_SetItem(names.get(), static_cast<Py_ssize_t>(i), name.release());
    }
    return names;
}

// Seeds from the system: texts cannot be written for collisions in tables whose places nobody knows.
// Drawn once in a process, because tables of other threads may be in use.
void draw_seeds() {
    if (seeds[1]) return;
    const Owned os = checked(PyImport_ImportModule("os"));
    const Owned random = checked(PyObject_CallMethod(os.get(), "urandom", "n", Py_ssize_t{16}));
    const char* bytes = PyBytes_AsString(random.get());
    if (!bytes) throw PythonError();
    seeds[0] = load_64(reinterpret_cast<const Byte*>(bytes));
    seeds[1] = load_64(reinterpret_cast<const Byte*>(bytes) + 8) | 1;
}

}  // namespace

PyMODINIT_FUNC PyInit__core() {
    static PyModuleDef definition = {
        PyModuleDef_HEAD_INIT, "_core", "The text metrics, compiled.", -1,
        methods(std::make_index_sequence<std::size(METRICS)>()),
        nullptr, nullptr, nullptr, nullptr,
    };
    return guarded([]() -> PyObject* {
        draw_seeds();
        compensated_sum = Py_Version >= 0x030C0000;
        Owned module = checked(PyModule_Create(&definition));
        if (PyModule_AddIntConstant(module.get(), "VERSION", VERSION) < 0) return nullptr;
        if (PyModule_AddObjectRef(module.get(), "BATCHES", batch_names().get()) < 0) return nullptr;
        return module.release();
    });
}
