// Places in hash tables that no text can be made to collide in.
#pragma once

#include <cstdint>
#include <cstring>

namespace graders {

// Random numbers, drawn once when the module is imported, before any text is read.
inline std::uint64_t seeds[2] = {0, 0};

// Both halves of a 128-bit product, folded: each bit of the result depends on every bit of both.
inline std::uint64_t folded_product(std::uint64_t one, std::uint64_t other) {
    const unsigned __int128 product = static_cast<unsigned __int128>(one) * other;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

inline std::uint64_t scattered(std::uint64_t key) {
    return folded_product(key ^ seeds[0], seeds[1]);
}

// Eight bytes, the first one lowest on every machine.
inline std::uint64_t load_64(const std::uint8_t* at) {
    std::uint64_t value;
    std::memcpy(&value, at, sizeof value);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    value = __builtin_bswap64(value);
#endif
    return value;
}

// The smallest power of two that leaves three of four places of a table free.
inline std::size_t table_size(std::size_t entries) {
    std::size_t size = 8;
    while (size < 4 * entries) size *= 2;
    return size;
}

}  // namespace graders
