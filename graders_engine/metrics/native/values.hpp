// The metrics: two texts -> a number from 0 to 1. Each one is the Python function of the same name, step
// by step; floating point operations are in the same order, so that values are equal to the last bit.
#pragma once

#include <cmath>

#include "lcs.hpp"
#include "ngrams.hpp"
#include "tokens_13a.hpp"

namespace graders {

// Whether Python's `sum` of floats is compensated: from 3.12 on. Set when the module is imported.
inline bool compensated_sum = false;

// Memory for one pair of texts; each thread has its own.
class Scratch {
  public:
    Array<Byte> answer_text, reference_text;
    Array<Token> answer_tokens, reference_tokens;
    Array<Id> answer_ids, reference_ids;
    Vocabulary vocabulary;
    Tokens13a tokens_13a;
    SharedGrams shared;
    CommonSubsequence common;

    // Gives the memory back if a long text has made it large.
    void trim() {
        if (bytes() <= KEPT_BYTES) return;
        answer_text.release();
        reference_text.release();
        answer_tokens.release();
        reference_tokens.release();
        answer_ids.release();
        reference_ids.release();
        vocabulary.release();
        tokens_13a.release();
        shared.release();
        common.release();
    }

  private:
    static constexpr std::size_t KEPT_BYTES = 1 << 20;

    std::size_t bytes() const {
        return answer_text.bytes() + reference_text.bytes() + answer_tokens.bytes() +
               reference_tokens.bytes() + answer_ids.bytes() + reference_ids.bytes() +
               vocabulary.bytes() + tokens_13a.bytes() + shared.bytes() + common.bytes();
    }
};

// Both texts as numbers.
struct Pair {
    Ids answer;
    Ids reference;
    Id highest;
};

inline Pair numbered_pair(Tokens answer, Tokens reference, Scratch& scratch) {
    const Ids reference_ids = scratch.vocabulary.enter(reference, scratch.reference_ids);
    const Ids answer_ids = scratch.vocabulary.find(answer, scratch.answer_ids);
    return {answer_ids, reference_ids, scratch.vocabulary.size()};
}

inline Pair latin_pair(Utf8 answer, Utf8 reference, Scratch& scratch) {
    return numbered_pair(
        words_of(separate_latin(answer, scratch.answer_text), scratch.answer_tokens),
        words_of(separate_latin(reference, scratch.reference_text), scratch.reference_tokens), scratch);
}

// rouge.py: _f_measure.
inline double f_measure(std::size_t matches, std::size_t answer_total, std::size_t reference_total) {
    if (!matches) return 0.0;
    const double precision = static_cast<double>(matches) / static_cast<double>(answer_total);
    const double recall = static_cast<double>(matches) / static_cast<double>(reference_total);
    return 2 * precision * recall / (precision + recall);
}

template <unsigned order>
double rouge_n(Utf8 answer, Utf8 reference, Scratch& scratch) {
    const Pair pair = latin_pair(answer, reference, scratch);
    const std::size_t matches =
        order == 1 ? scratch.shared.tokens(pair.answer, pair.reference, pair.highest)
                   : scratch.shared.grams(pair.answer, pair.reference, pair.highest, order);
    return f_measure(matches, pair.answer.size - (order - 1), pair.reference.size - (order - 1));
}

inline double rouge_l(Utf8 answer, Utf8 reference, Scratch& scratch) {
    const Pair pair = latin_pair(answer, reference, scratch);
    const std::size_t matches = scratch.common.length(pair.answer, pair.reference, pair.highest);
    return f_measure(matches, pair.answer.size, pair.reference.size);
}

constexpr unsigned ORDERS = 4;  // BLEU and GLEU count n-grams of 1 to 4 tokens

// ngrams.py: shared_by_order. If no n-gram of an order is shared, none of a higher order is.
inline void shared_by_order(Pair pair, SharedGrams& shared, std::size_t (&matches)[ORDERS]) {
    matches[0] = shared.tokens(pair.answer, pair.reference, pair.highest);
    for (unsigned order = 2; order <= ORDERS; ++order) {
        matches[order - 1] =
            matches[order - 2] ? shared.grams(pair.answer, pair.reference, pair.highest, order) : 0;
    }
}

// Python's sum; from 3.12 on, by Neumaier's algorithm: what an addition rounds away is added at the end.
inline double python_sum(const double* values, unsigned count) {
    double sum = 0.0, lost = 0.0;
    for (unsigned i = 0; i < count; ++i) {
        const double value = values[i], next = sum + value;
        lost += std::fabs(sum) >= std::fabs(value) ? (sum - next) + value : (value - next) + sum;
        sum = next;
    }
    return compensated_sum ? sum + lost : sum;
}

// bleu.py: sacrebleu.
inline double sacrebleu(Utf8 answer, Utf8 reference, Scratch& scratch) {
    const Tokens answer_tokens =
        scratch.tokens_13a.split(answer, scratch.answer_text, scratch.answer_tokens);
    const Tokens reference_tokens =
        scratch.tokens_13a.split(reference, scratch.reference_text, scratch.reference_tokens);
    const Pair pair = numbered_pair(answer_tokens, reference_tokens, scratch);
    std::size_t matches[ORDERS];
    shared_by_order(pair, scratch.shared, matches);
    if (!matches[0]) return 0.0;
    const double length = static_cast<double>(pair.answer.size);
    const double reference_length = static_cast<double>(pair.reference.size);
    const double penalty = length < reference_length ? std::exp(1 - reference_length / length) : 1.0;
    double smoothing = 1.0;
    double logs[ORDERS];
    unsigned orders = 0;
    for (; orders < ORDERS && orders < pair.answer.size; ++orders) {
        const double total = length - orders;
        if (matches[orders]) {
            logs[orders] = std::log(100.0 * static_cast<double>(matches[orders]) / total);
        } else {
            smoothing *= 2;
            logs[orders] = std::log(100.0 / (smoothing * total));
        }
    }
    const double score = penalty * std::exp(python_sum(logs, orders) / orders);
    // Identical texts give 100.00000000000004.
    return score / 100 > 1.0 ? 1.0 : score / 100;
}

// gleu.py: gleu.
inline double gleu(Utf8 answer, Utf8 reference, Scratch& scratch) {
    const Separated answer_words = separate_at_spaces<false>(answer, scratch.answer_text);
    const Separated reference_words = separate_at_spaces<false>(reference, scratch.reference_text);
    const Pair pair =
        numbered_pair(words_of(answer_words, scratch.answer_tokens),
                      words_of(reference_words, scratch.reference_tokens), scratch);
    std::size_t matches[ORDERS];
    shared_by_order(pair, scratch.shared, matches);
    const std::size_t longer =
        pair.answer.size > pair.reference.size ? pair.answer.size : pair.reference.size;
    std::size_t shared = 0, grams = 0;
    for (unsigned order = 1; order <= ORDERS; ++order) {
        shared += matches[order - 1];
        grams += longer >= order ? longer - order + 1 : 0;
    }
    return shared ? static_cast<double>(shared) / static_cast<double>(grams) : 0.0;
}

}  // namespace graders
