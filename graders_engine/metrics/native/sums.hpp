// Sums of floats as Python computes them.
#pragma once

#include <cmath>

namespace graders {

// Whether `sum` is compensated: from Python 3.12 on. Set when the module is imported.
inline bool compensated_sum = false;

// sum(values). From 3.12 on by Neumaier's algorithm: what the additions round away is added at the end.
inline double python_sum(const double* values, unsigned count) {
    double sum = 0.0, lost = 0.0;
    for (unsigned i = 0; i < count; ++i) {
        const double value = values[i], next = sum + value;
        lost += std::fabs(sum) >= std::fabs(value) ? (sum - next) + value : (value - next) + sum;
        sum = next;
    }
    return compensated_sum ? sum + lost : sum;
}

// math.fsum(values), for up to 8 of them: the exact sum, rounded once (Shewchuk, "Adaptive Precision
// Floating-Point Arithmetic and Fast Robust Geometric Predicates", 1997). The sum is kept as parts that
// do not overlap, in ascending order of their sizes.
inline double exact_sum(const double* values, unsigned count) {
    double parts[8];
    unsigned size = 0;
    for (unsigned i = 0; i < count; ++i) {
        double sum = values[i];
        unsigned kept = 0;
        for (unsigned j = 0; j < size; ++j) {
            const double part = parts[j], next = sum + part;
            const double rest = std::fabs(sum) < std::fabs(part) ? sum - (next - part)
                                                                 : part - (next - sum);
            if (rest != 0.0) parts[kept++] = rest;
            sum = next;
        }
        parts[kept++] = sum;
        size = kept;
    }
    double sum = 0.0, rest = 0.0;
    while (size && rest == 0.0) {
        const double before = sum;
        sum = before + parts[--size];
        rest = parts[size] - (sum - before);
    }
    // `rest` may be exactly half of the last place; then a part below decides to which side it rounds.
    if (size && ((rest < 0) == (parts[size - 1] < 0))) {
        const double further = sum + 2 * rest;
        if (further - sum == 2 * rest) return further;
    }
    return sum;
}

}  // namespace graders
