// Tokens as small numbers: equal numbers for equal tokens only.
#pragma once

#include "tokens.hpp"

namespace graders {

using Id = std::uint32_t;

// A text as numbers. 0 stands for a token that the reference does not contain.
struct Ids {
    const Id* items;
    std::size_t size;
};

// The different tokens of a reference, numbered from 1 in the order of their first occurrences.
class Vocabulary {
  public:
    // Enters the tokens of a reference. The tokens must outlive the look-ups.
    Ids enter(Tokens reference, Array<Id>& store) {
        if (reference.size >= UINT32_MAX) throw std::bad_alloc();
        tokens_ = reference.items;
        size_ = 0;
        mask_ = table_size(reference.size) - 1;
        Slot* slots = slots_.zeros(mask_ + 1);
        Id* ids = store.room(reference.size);
        for (std::size_t place = 0; place < reference.size; ++place) {
            Slot& slot = slots[slot_of(reference.items[place])];
            if (!slot.id) {
                slot = {reference.items[place].key, static_cast<Id>(place), ++size_};
            }
            ids[place] = slot.id;
        }
        return {ids, reference.size};
    }

    // The numbers of an answer's tokens.
    Ids find(Tokens answer, Array<Id>& store) const {
        Id* ids = store.room(answer.size);
        for (std::size_t place = 0; place < answer.size; ++place) {
            ids[place] = slots_.items()[slot_of(answer.items[place])].id;
        }
        return {ids, answer.size};
    }

    // How many different tokens the reference has; this is also the highest number.
    Id size() const { return size_; }

    std::size_t bytes() const { return slots_.bytes(); }
    void release() { slots_.release(); }

  private:
    // `id` is 0 in a free slot. `first` is the place of the token's first occurrence.
    struct Slot {
        std::uint64_t key;
        Id first;
        Id id;
    };

    // The slot of this token, or the free one where it belongs.
    std::size_t slot_of(const Token& token) const {
        const Slot* slots = slots_.items();
        std::size_t at = scattered(token.key) & mask_;
        while (slots[at].id &&
               !(slots[at].key == token.key && same_token(tokens_[slots[at].first], token))) {
            at = (at + 1) & mask_;
        }
        return at;
    }

    Array<Slot> slots_;
    const Token* tokens_ = nullptr;
    std::size_t mask_ = 0;
    Id size_ = 0;
};

}  // namespace graders
