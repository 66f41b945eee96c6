// METEOR as a function of the module.
#pragma once

#include "python.hpp"

namespace graders {

// (answer: str, reference: str) -> float
PyObject* meteor(PyObject* module, PyObject* const* arguments, Py_ssize_t count);

}  // namespace graders
