// The tokens of a separated text, each with a 64-bit key.
#pragma once

#include "hashing.hpp"
#include "text.hpp"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace graders {

// The key of a token of up to 8 bytes is those bytes; as none of them is 0, its low byte is not 0.
// The key of a longer one is a hash with 0 as its low byte. So tokens with different keys differ, and
// tokens with equal keys are equal unless both are long: then `same_bytes` decides.
struct Token {
    std::uint64_t key;
    const Byte* start;
    std::size_t size;
};

constexpr std::size_t SHORT_TOKEN = 8;

inline std::uint64_t long_key(const Byte* start, std::size_t size) {
    std::uint64_t hash = seeds[0] ^ size;
    std::size_t at = 0;
    for (; at + 8 < size; at += 8) hash = folded_product(hash ^ load_64(start + at), seeds[1]);
    // The last 8 bytes, whether or not some of them were read before.
    hash = folded_product(hash ^ load_64(start + size - 8), seeds[1]);
    return hash & ~std::uint64_t{255};
}

inline Token make_token(const Byte* start, std::size_t size) {
    const std::uint64_t key = size <= SHORT_TOKEN
                                  ? load_64(start) & (~std::uint64_t{0} >> (64 - 8 * size))
                                  : long_key(start, size);
    return {key, start, size};
}

inline bool same_bytes(const Token& one, const Token& other) {
    return one.size == other.size && std::memcmp(one.start, other.start, one.size) == 0;
}

inline bool same_token(const Token& one, const Token& other) {
    return one.key == other.key && (one.size <= SHORT_TOKEN || same_bytes(one, other));
}

// One bit for each of 64 bytes, the first one lowest: whether the byte is not 0.
inline std::uint64_t bytes_of_words(const Byte* at) {
    std::uint64_t mask = 0;
#ifdef __SSE2__
    for (int part = 0; part < 4; ++part) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + 16 * part));
        const int zeros = _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_setzero_si128()));
        mask |= static_cast<std::uint64_t>(~zeros & 0xFFFF) << (16 * part);
    }
#else
    constexpr std::uint64_t LOW_BITS = 0x7F7F7F7F7F7F7F7F;
    for (int part = 0; part < 8; ++part) {
        const std::uint64_t bytes = load_64(at + 8 * part);
        // The high bit of each byte that is not 0, moved to its low bit; the product gathers the eight.
        const std::uint64_t bits = ((((bytes & LOW_BITS) + LOW_BITS) | bytes) & ~LOW_BITS) >> 7;
        mask |= (bits * 0x0102040810204080 >> 56) << (8 * part);
    }
#endif
    return mask;
}

// Calls `found(start, end)` for every word. A mask's bit that differs from the one before it is where
// a word starts or ends; the zeros behind the text end the last word.
template <typename Found>
void each_word(Separated text, Found found) {
    const Byte* start = nullptr;
    bool inside = false;
    for (std::size_t block = 0; block <= text.size; block += 64) {
        const std::uint64_t words = bytes_of_words(text.bytes + block);
        std::uint64_t edges = words ^ (words << 1 | (inside ? 1 : 0));
        for (; edges; edges &= edges - 1) {
            const Byte* edge = text.bytes + block + __builtin_ctzll(edges);
            if (inside) found(start, edge);
            start = edge;
            inside = !inside;
        }
    }
}

struct Tokens {
    const Token* items;
    std::size_t size;
};

// The words of a text as tokens.
inline Tokens words_of(Separated text, Array<Token>& store) {
    // At most every other byte starts a word; pages of memory that are not written to cost nothing.
    Token* out = store.room(text.size / 2 + 1);
    each_word(text, [&out](const Byte* start, const Byte* end) {
        *out++ = make_token(start, static_cast<std::size_t>(end - start));
    });
    return {store.items(), static_cast<std::size_t>(out - store.items())};
}

}  // namespace graders
