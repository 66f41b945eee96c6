// The length of a longest common subsequence.
//
// Hyyrö, "Bit-parallel LCS-length computation revisited" (2004). One text's places are the columns, a
// bit each; the tokens of the other one are the rows. `row` has a 0 for each column at which the length
// grows, so that the result is the number of zeros after the last row. One step, as long integers:
//     matches = row & columns_with(token);  row = (row + matches) | (row - matches)
// Long texts are handled in strips of 256 columns. All that a strip passes on to its right neighbour
// is the carry of each row's addition; so memory grows with the texts, and not with their product.
#pragma once

#include "ids.hpp"

#ifdef __x86_64__
#include <x86intrin.h>
#endif

namespace graders {

inline std::uint64_t add_with_carry(std::uint64_t one, std::uint64_t other, unsigned char& carry) {
#ifdef __x86_64__
    unsigned long long sum;
    carry = _addcarry_u64(carry, one, other, &sum);
    return sum;
#else
    std::uint64_t sum = one + other;
    const bool first = sum < one;
    sum += carry;
    carry = first || sum < carry;
    return sum;
#endif
}

class CommonSubsequence {
  public:
    // `highest` is the highest number of a token.
    std::size_t length(Ids answer, Ids reference, Id highest) {
        answer = without_unknown(answer);
        const std::size_t alike = cut_equal_ends(answer, reference);
        const Ids columns = answer.size < reference.size ? answer : reference;
        const Ids rows = answer.size < reference.size ? reference : answer;
        if (!columns.size) return alike;
        column_of_.zeros(std::size_t{highest} + 1);
        if (columns.size <= 64) return alike + strips<1>(columns, rows);
        return alike + strips<4>(columns, rows);
    }

    std::size_t bytes() const { return known_.bytes() + column_of_.bytes() + carries_.bytes(); }
    void release() {
        known_.release();
        column_of_.release();
        carries_.release();
    }

  private:
    static constexpr std::size_t WIDEST = 256;

    Ids without_unknown(Ids text) {
        Id* known = known_.room(text.size);
        std::size_t size = 0;
        for (std::size_t i = 0; i < text.size; ++i) {
            known[size] = text.items[i];
            size += text.items[i] ? 1 : 0;
        }
        return {known, size};
    }

    // Cuts off equal beginnings and ends, which belong to a longest subsequence; returns their length.
    static std::size_t cut_equal_ends(Ids& one, Ids& other) {
        const std::size_t shorter = one.size < other.size ? one.size : other.size;
        std::size_t first = 0;
        while (first < shorter && one.items[first] == other.items[first]) ++first;
        std::size_t last = 0;
        while (last < shorter - first &&
               one.items[one.size - 1 - last] == other.items[other.size - 1 - last]) {
            ++last;
        }
        one = {one.items + first, one.size - first - last};
        other = {other.items + first, other.size - first - last};
        return first + last;
    }

    template <unsigned Words>
    std::size_t strips(Ids columns, Ids rows) {
        unsigned char* carries = carries_.zeros(rows.size);
        std::size_t length = 0;
        for (std::size_t start = 0; start < columns.size; start += 64 * Words) {
            const std::size_t left = columns.size - start;
            const std::size_t size = left < 64 * Words ? left : 64 * Words;
            length += strip<Words>({columns.items + start, size}, rows, carries);
        }
        return length;
    }

    // Reads the carries of the strip before, and leaves its own.
    template <unsigned Words>
    std::size_t strip(Ids columns, Ids rows, unsigned char* carries) {
        enter<Words>(columns);
        std::uint64_t row[Words];
        for (unsigned word = 0; word < Words; ++word) row[word] = ~std::uint64_t{0};
        const std::uint16_t* column_of = column_of_.items();
        for (std::size_t i = 0; i < rows.size; ++i) {
            const std::uint64_t* with_token = matches_[column_of[rows.items[i]]];
            unsigned char carry = carries[i];
            for (unsigned word = 0; word < Words; ++word) {
                const std::uint64_t matches = row[word] & with_token[word];
                const std::uint64_t sum = add_with_carry(row[word], matches, carry);
                row[word] = sum | (row[word] - matches);
            }
            carries[i] = carry;
        }
        forget(columns);
        return zeros<Words>(row, columns.size);
    }

    // Fills `matches_`: for each different token of the strip, the columns where it stands.
    template <unsigned Words>
    void enter(Ids columns) {
        std::uint16_t* column_of = column_of_.items();
        std::uint16_t different = 0;
        std::memset(matches_[0], 0, sizeof matches_[0]);
        for (std::size_t i = 0; i < columns.size; ++i) {
            std::uint16_t& column = column_of[columns.items[i]];
            if (!column) {
                column = ++different;
                std::memset(matches_[column], 0, sizeof matches_[column]);
            }
            matches_[column][i / 64] |= std::uint64_t{1} << (i % 64);
        }
    }

    void forget(Ids columns) {
        for (std::size_t i = 0; i < columns.size; ++i) column_of_.items()[columns.items[i]] = 0;
    }

    template <unsigned Words>
    static std::size_t zeros(const std::uint64_t* row, std::size_t columns) {
        std::size_t found = 0;
        for (unsigned word = 0; word < Words && word * 64 < columns; ++word) {
            const std::size_t used = columns - word * 64;
            const std::uint64_t ours = used < 64 ? (std::uint64_t{1} << used) - 1 : ~std::uint64_t{0};
            found += static_cast<std::size_t>(__builtin_popcountll(~row[word] & ours));
        }
        return found;
    }

    Array<Id> known_;
    // Token -> its index in `matches_`; 0 for one that the strip does not contain.
    Array<std::uint16_t> column_of_;
    Array<unsigned char> carries_;
    std::uint64_t matches_[WIDEST + 1][WIDEST / 64];
};

}  // namespace graders
