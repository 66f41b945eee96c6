// How many n-grams two texts share, counted with clipping: one that occurs x times in one text and y
// times in the other is shared min(x, y) times. BLEU, GLEU and ROUGE-N are built on this count.
//
// The n-grams of the reference are counted, and each one of the answer takes one away. An n-gram with
// a token that the reference does not contain (number 0) is not looked up. There are no hash values
// in place of n-grams: a key is the whole n-gram, so the count is exact.
#pragma once

#include "ids.hpp"

namespace graders {

class SharedGrams {
  public:
    // For n-grams of one token. `highest` is the highest number of a token.
    std::size_t tokens(Ids answer, Ids reference, Id highest) {
        Id* left = left_.zeros(std::size_t{highest} + 1);
        for (std::size_t i = 0; i < reference.size; ++i) ++left[reference.items[i]];
        std::size_t shared = 0;
        // left[0] is 0 and stays so: the reference has no token with this number.
        for (std::size_t i = 0; i < answer.size; ++i) shared += take(left[answer.items[i]]);
        return shared;
    }

    // For n-grams of `order` tokens, from 2 on.
    std::size_t grams(Ids answer, Ids reference, Id highest, unsigned order) {
        if (answer.size < order || reference.size < order) return 0;
        const unsigned bits = 32 - static_cast<unsigned>(__builtin_clz(highest));
        return order * bits <= 64 ? packed(answer, reference, order, bits)
                                  : numbered(answer, reference, order);
    }

    std::size_t bytes() const {
        return left_.bytes() + slots_.bytes() + answer_starts_.bytes() + reference_starts_.bytes();
    }
    void release() {
        left_.release();
        slots_.release();
        answer_starts_.release();
        reference_starts_.release();
    }

  private:
    // `key` is 0 in a free slot: no n-gram that is looked up consists of zeros. `value` is how often
    // the n-gram is left in the reference, or its number in `numbered`.
    struct Slot {
        std::uint64_t key;
        Id value;
    };

    static Id take(Id& left) {
        const Id taken = left ? 1 : 0;
        left -= taken;
        return taken;
    }

    // The n-grams fit in 64 bits: one number after the other, `bits` each.
    std::size_t packed(Ids answer, Ids reference, unsigned order, unsigned bits) {
        clear(reference.size);
        each_packed(reference, order, bits, [this](std::uint64_t key) { ++entered(key).value; });
        std::size_t shared = 0;
        each_packed(answer, order, bits, [&](std::uint64_t key) { shared += take(found(key).value); });
        return shared;
    }

    template <typename Use>
    static void each_packed(Ids text, unsigned order, unsigned bits, Use use) {
        const std::uint64_t kept = ~std::uint64_t{0} >> (64 - order * bits);
        std::uint64_t key = 0;
        std::size_t run = 0;  // of tokens without a 0, up to here
        for (std::size_t i = 0; i < text.size; ++i) {
            const Id id = text.items[i];
            key = (key << bits | id) & kept;
            run = id ? run + 1 : 0;
            if (run >= order) use(key);
        }
    }

    // They do not: an n-gram is then the number of its beginning (all but the last token) and its last
    // token. First the pairs are numbered, with them the triples, and so on.
    std::size_t numbered(Ids answer, Ids reference, unsigned order) {
        Id* answer_starts = copied(answer, answer_starts_);
        Id* reference_starts = copied(reference, reference_starts_);
        for (unsigned length = 2; length < order; ++length) {
            clear(reference.size);
            Id highest = 0;
            each_extended(reference_starts, reference, length, [&](Id& start, std::uint64_t key) {
                Slot& slot = entered(key);
                if (!slot.value) slot.value = ++highest;
                start = slot.value;
            });
            each_extended(answer_starts, answer, length, [&](Id& start, std::uint64_t key) {
                start = key ? found(key).value : 0;
            });
        }
        clear(reference.size);
        each_extended(reference_starts, reference, order,
                      [&](Id&, std::uint64_t key) { ++entered(key).value; });
        std::size_t shared = 0;
        each_extended(answer_starts, answer, order, [&](Id&, std::uint64_t key) {
            if (key) shared += take(found(key).value);
        });
        return shared;
    }

    static Id* copied(Ids text, Array<Id>& store) {
        Id* items = store.room(text.size);
        std::memcpy(items, text.items, text.size * sizeof(Id));
        return items;
    }

    // `use(start, key)` for every place with `length` tokens: `start` is the number of the first
    // length - 1 of them, the key is 0 if one of them is unknown.
    template <typename Use>
    static void each_extended(Id* starts, Ids text, unsigned length, Use use) {
        for (std::size_t i = 0; i + length <= text.size; ++i) {
            const Id last = text.items[i + length - 1];
            use(starts[i], starts[i] && last ? std::uint64_t{starts[i]} << 32 | last : 0);
        }
    }

    void clear(std::size_t entries) {
        const std::size_t size = table_size(entries);
        slots_.zeros(size);
        mask_ = size - 1;
    }

    // The n-gram's slot, or the free one where it belongs (its value is 0).
    Slot& found(std::uint64_t key) {
        Slot* slots = slots_.items();
        std::size_t at = scattered(key) & mask_;
        while (slots[at].key && slots[at].key != key) at = (at + 1) & mask_;
        return slots[at];
    }

    Slot& entered(std::uint64_t key) {
        Slot& slot = found(key);
        slot.key = key;
        return slot;
    }

    Array<Id> left_;
    Array<Slot> slots_;
    Array<Id> answer_starts_;
    Array<Id> reference_starts_;
    std::size_t mask_ = 0;
};

}  // namespace graders
