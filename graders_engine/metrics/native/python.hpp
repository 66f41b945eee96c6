// What the metrics need of Python: the UTF-8 of a str, ownership, and a lock that is let go.
#pragma once

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <utility>

#include "text.hpp"

namespace graders {

// A Python error is set; the function that Python called returns nullptr.
struct PythonError {};

// A reference that is given back.
class Owned {
  public:
    explicit Owned(PyObject* object = nullptr) : object_(object) {}
    Owned(Owned&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
    Owned& operator=(Owned&& other) noexcept {
        std::swap(object_, other.object_);
        return *this;
    }
    ~Owned() { Py_XDECREF(object_); }
    PyObject* get() const { return object_; }
    PyObject* release() { return std::exchange(object_, nullptr); }

  private:
    PyObject* object_;
};

// The result of a call of Python, or its error.
inline Owned checked(PyObject* result) {
    if (!result) throw PythonError();
    return Owned(result);
}

// The characters of a str in UTF-8. The str must outlive it.
class Text {
  public:
    // With `lower`, those of the lower-cased str, except that ASCII letters keep their case if the whole
    // text is ASCII: the metrics lower-case ASCII while they look for words.
    Text(PyObject* text, bool lower) {
        if (!PyUnicode_Check(text)) {
            PyErr_SetString(PyExc_TypeError, "a metric compares two str");
            throw PythonError();
        }
        read(text);
        if (lower && !utf8_.ascii) {
            lowered_ = checked(PyObject_CallMethod(text, "lower", nullptr));
            read(lowered_.get());
        }
    }

    Utf8 utf8() const { return utf8_; }

  private:
    void read(PyObject* text) {
        Py_ssize_t size;
        const char* bytes = PyUnicode_AsUTF8AndSize(text, &size);
        if (!bytes) {
            if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) throw PythonError();
            // A lone surrogate.
            PyErr_Clear();
            encoded_ = checked(PyUnicode_AsEncodedString(text, "utf-8", "surrogatepass"));
            char* encoded;
            if (PyBytes_AsStringAndSize(encoded_.get(), &encoded, &size) < 0) throw PythonError();
            bytes = encoded;
        }
        utf8_ = {reinterpret_cast<const Byte*>(bytes), static_cast<std::size_t>(size),
                 size == PyUnicode_GetLength(text)};
    }

    Owned lowered_;
    Owned encoded_;
    Utf8 utf8_{};
};

// Other threads run Python until the end of the block.
class WithoutLock {
  public:
    explicit WithoutLock(bool released) : state_(released ? PyEval_SaveThread() : nullptr) {}
    WithoutLock(const WithoutLock&) = delete;
    WithoutLock& operator=(const WithoutLock&) = delete;
    ~WithoutLock() {
        if (state_) PyEval_RestoreThread(state_);
    }

  private:
    PyThreadState* state_;
};

}  // namespace graders
