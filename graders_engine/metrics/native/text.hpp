// From UTF-8 to bytes in which 0 separates the words.
//
// A word never contains the byte 0: the character NUL becomes 255, a byte that UTF-8 does not use, so
// that equal words stay equal and different words different.
#pragma once

#include "memory.hpp"

namespace graders {

using Byte = std::uint8_t;

// Zeros behind a separated text: words are searched in blocks of 64 bytes and read 8 bytes at a time.
constexpr std::size_t PADDING = 72;

// A text in UTF-8 (a lone surrogate is encoded like any other character). Whoever has it keeps the
// bytes alive.
struct Utf8 {
    const Byte* bytes;
    std::size_t size;
    bool ascii;
};

// A text after one of the functions below, with its padding.
struct Separated {
    const Byte* bytes;
    std::size_t size;
};

constexpr bool between(Byte byte, Byte low, Byte high) {
    return static_cast<Byte>(byte - low) <= static_cast<Byte>(high - low);
}

constexpr Byte ascii_lower(Byte byte) {
    return static_cast<Byte>(byte | (between(byte, 'A', 'Z') ? 0x20 : 0));
}

// The bytes of the ASCII characters at which str.split splits.
constexpr bool is_ascii_space(Byte byte) { return between(byte, 9, 13) || between(byte, 28, 32); }

// How many bytes the white space character beyond ASCII at `at` takes, or 0 if there is none.
// Those of str.split: U+0085, 00A0, 1680, 2000 to 200A, 2028, 2029, 202F, 205F and 3000.
inline std::size_t wide_space(const Byte* at, const Byte* end) {
    if (at[0] == 0xC2 && end - at >= 2) return at[1] == 0x85 || at[1] == 0xA0 ? 2 : 0;
    if (end - at < 3) return 0;
    const unsigned rest = at[1] << 8 | at[2];
    bool space = false;
    switch (at[0]) {
        case 0xE1: space = rest == 0x9A80; break;
        case 0xE2:
            space = (rest >= 0x8080 && rest <= 0x808A) || rest == 0x80A8 || rest == 0x80A9 ||
                    rest == 0x80AF || rest == 0x819F;
            break;
        case 0xE3: space = rest == 0x8080; break;
        default: break;
    }
    return space ? 3 : 0;
}

// The loops over bytes have no branch, so that the compiler handles 16 of them at a time.
template <typename Translate>
Separated translate(Utf8 text, Array<Byte>& store, Translate translated) {
    Byte* __restrict out = store.room(text.size + PADDING);
    const Byte* __restrict in = text.bytes;
    for (std::size_t i = 0; i < text.size; ++i) out[i] = translated(in[i]);
    std::memset(out + text.size, 0, PADDING);
    return {out, text.size};
}

// rouge_score's words: runs of a-z and 0-9. Characters beyond ASCII must be lower-cased before (as
// rouge_score does: the Kelvin sign becomes a k); what is left of them separates words.
inline Separated separate_latin(Utf8 text, Array<Byte>& store) {
    return translate(text, store, [](Byte byte) -> Byte {
        const Byte low = ascii_lower(byte);
        return between(low, 'a', 'z') || between(low, '0', '9') ? low : 0;
    });
}

// str.split's words: runs of anything but white space. With `lower`, of a text that was lower-cased
// before or is ASCII.
template <bool lower>
Separated separate_at_spaces(Utf8 text, Array<Byte>& store) {
    const Separated separated = translate(text, store, [](Byte byte) -> Byte {
        const Byte kept = byte ? (lower ? ascii_lower(byte) : byte) : Byte{255};
        return is_ascii_space(byte) ? Byte{0} : kept;
    });
    if (text.ascii) return separated;
    Byte* out = store.items();
    const Byte* end = text.bytes + text.size;
    for (std::size_t i = 0; i < text.size; ++i) {
        if (!between(text.bytes[i], 0xC2, 0xE3)) continue;
        for (std::size_t left = wide_space(text.bytes + i, end); left; --left) out[i + left - 1] = 0;
    }
    return separated;
}

}  // namespace graders
