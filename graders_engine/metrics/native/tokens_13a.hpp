// The tokens of sacrebleu's default tokenizer, mteval-v13a: case kept, punctuation split off.
#pragma once

#include "tokens.hpp"

namespace graders {

// Substitutions that only ever shorten the text, done in place.
class Shortened {
  public:
    Shortened(const Byte* bytes, std::size_t size, Array<Byte>& store) : size_(size) {
        bytes_ = store.room(size);
        std::memcpy(bytes_, bytes, size);
    }

    // Python's text.replace(from, to): from left to right, and not in what was replaced.
    void replace(const char* from, const char* to) {
        const std::size_t cut = std::strlen(from), put = std::strlen(to);
        std::size_t out = 0;
        for (std::size_t in = 0; in < size_;) {
            if (size_ - in >= cut && std::memcmp(bytes_ + in, from, cut) == 0) {
                std::memcpy(bytes_ + out, to, put);
                in += cut;
                out += put;
            } else {
                bytes_[out++] = bytes_[in++];
            }
        }
        size_ = out;
    }

    Utf8 text(bool ascii) const { return {bytes_, size_, ascii}; }

  private:
    Byte* bytes_;
    std::size_t size_;
};

enum Sign : Byte {
    NONE = 0,
    ALWAYS = 1,  // always split off: [{-~\[-`!-&(-+:-@/]
    POINT = 2,   // [.,]
    DASH = 4,    // -
    DIGIT = 8,   // [0-9]
};

struct Signs {
    Byte of[256];

    constexpr Signs() : of() {
        for (int byte = 0; byte < 256; ++byte) of[byte] = kind(static_cast<Byte>(byte));
    }

    static constexpr Byte kind(Byte byte) {
        if (between(byte, '0', '9')) return DIGIT;
        if (byte == '.' || byte == ',') return POINT;
        if (byte == '-') return DASH;
        const bool always = between(byte, '{', '~') || between(byte, '[', '`') ||
                            between(byte, '!', '&') || between(byte, '(', '+') ||
                            between(byte, ':', '@') || byte == '/';
        return always ? ALWAYS : NONE;
    }
};

inline constexpr Signs SIGNS;

class Tokens13a {
  public:
    // The tokens of a text, which point into `text_store`.
    Tokens split(Utf8 text, Array<Byte>& text_store, Array<Token>& store) {
        const Separated words = prepared(text, text_store);
        size_ = 0;
        store_ = &store;
        each_word(words, [this](const Byte* start, const Byte* end) {
            split_word(start, static_cast<std::size_t>(end - start));
        });
        return {store.items(), size_};
    }

    std::size_t bytes() const { return shortened_.bytes() + cuts_.bytes(); }
    void release() {
        shortened_.release();
        cuts_.release();
    }

  private:
    // sacrebleu's first steps, in its order: the end stripped, "<skipped>", hyphens at the ends of
    // lines, entities. Then the text is split at white space: the four substitutions that follow treat
    // all of it alike and never match across it.
    Separated prepared(Utf8 text, Array<Byte>& store) {
        const Separated separated = separate_at_spaces<false>(text, store);
        std::size_t size = text.size;
        while (size && !separated.bytes[size - 1]) --size;
        if (!size || !has_replaced(text.bytes, size)) return separated;
        Shortened shortened(text.bytes, size, shortened_);
        shortened.replace("<skipped>", "");
        shortened.replace("-\n", "");
        shortened.replace("&quot;", "\"");
        shortened.replace("&amp;", "&");
        shortened.replace("&lt;", "<");
        shortened.replace("&gt;", ">");
        return separate_at_spaces<false>(shortened.text(text.ascii), store);
    }

    static bool has_replaced(const Byte* bytes, std::size_t size) {
        if (std::memchr(bytes, '<', size) || std::memchr(bytes, '&', size)) return true;
        const Byte* end = bytes + size;
        for (const Byte* at = bytes; at < end; ++at) {
            at = static_cast<const Byte*>(std::memchr(at, '\n', static_cast<std::size_t>(end - at)));
            if (!at) return false;
            if (at > bytes && at[-1] == '-') return true;
        }
        return false;
    }

    void split_word(const Byte* word, std::size_t size) {
        unsigned signs = NONE;
        for (std::size_t i = 0; i < size; ++i) signs |= SIGNS.of[word[i]];
        if (!(signs & (ALWAYS | POINT | DASH))) {
            *room(1) = make_token(word, size);
            ++size_;
        } else if (signs & DIGIT && signs & (POINT | DASH)) {
            cut_beside_digits(word, size);
        } else {
            cut_signs(word, size);
        }
    }

    // Without a digit, every sign and every full stop and comma is a token, and a dash is none.
    void cut_signs(const Byte* word, std::size_t size) {
        Token* out = room(size);
        std::size_t start = 0;
        for (std::size_t i = 0; i < size; ++i) {
            if (!(SIGNS.of[word[i]] & (ALWAYS | POINT))) continue;
            if (start < i) *out++ = make_token(word + start, i - start);
            *out++ = make_token(word + i, 1);
            start = i + 1;
        }
        if (start < size) *out++ = make_token(word + start, size - start);
        size_ = static_cast<std::size_t>(out - store_->items());
    }

    // The four substitutions, one after the other. All they do is to put spaces around signs: cuts[i] is
    // whether there is one before word[i].
    void cut_beside_digits(const Byte* word, std::size_t size) {
        Byte* cuts = cuts_.zeros(size + 1);
        cuts[0] = cuts[size] = 1;  // white space or an end of the text
        const auto is = [word](std::size_t at, Byte sign) { return (SIGNS.of[word[at]] & sign) != 0; };
        const auto cut_around = [cuts](std::size_t at) { cuts[at] = cuts[at + 1] = 1; };

        // ([{-~\[-`!-&(-+:-@/]) -> " \1 "
        for (std::size_t i = 0; i < size; ++i) {
            if (is(i, ALWAYS)) cut_around(i);
        }
        // ([^0-9])([.,]) -> "\1 \2 ". A point that was matched is no [^0-9] for the one behind it.
        bool used = false;
        for (std::size_t i = 0; i < size; ++i) {
            used = !used && is(i, POINT) && (cuts[i] || !is(i - 1, DIGIT));
            if (used) cut_around(i);
        }
        // ([.,])([^0-9]) -> " \1 \2". By now there is a space between any two points, so that no match
        // takes away another one's point.
        for (std::size_t i = 0; i < size; ++i) {
            if (is(i, POINT) && (cuts[i + 1] || !is(i + 1, DIGIT))) cut_around(i);
        }
        // ([0-9])(-) -> "\1 \2 "
        for (std::size_t i = 1; i < size; ++i) {
            if (is(i, DASH) && is(i - 1, DIGIT)) cut_around(i);
        }
        add_pieces(word, size, cuts);
    }

    void add_pieces(const Byte* word, std::size_t size, const Byte* cuts) {
        Token* out = room(size);
        std::size_t start = 0;
        for (std::size_t i = 1; i <= size; ++i) {
            if (!cuts[i]) continue;
            *out++ = make_token(word + start, i - start);
            start = i;
        }
        size_ = static_cast<std::size_t>(out - store_->items());
    }

    Token* room(std::size_t more) { return store_->extend(size_ + more) + size_; }

    Array<Byte> shortened_;
    Array<Byte> cuts_;
    Array<Token>* store_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace graders
