// The stem variants of ROUGE.
#pragma once

#include "python.hpp"
#include "values.hpp"

namespace graders {

// ROUGE of rouge_score's words with use_stemmer=True: `of_pair` is `rouge_n_of` or `rouge_l_of`.
double of_stems(OfPair of_pair, PyObject* answer, PyObject* reference);

}  // namespace graders
