// METEOR of two str: meteor.py, step by step. It keeps Python's lock, because it asks Python for stems and
// synonyms of words that it has not met.

#include "meteor.hpp"

#include <cmath>
#include <memory>

#include "ids.hpp"
#include "lexicon.hpp"

namespace graders {
namespace {

constexpr double ALPHA = 0.9;
constexpr double BETA = 3.0;
constexpr double GAMMA = 0.5;

// The place of a token in its text, or of its partner in the other one.
using Place = std::int64_t;

// The partner of a token without a match: neither a place nor next to one.
constexpr Place UNMATCHED = -2;

// A token of the answer that has no partner with the same word.
struct Left {
    Place place;
    Id stem;
};

// The free places of the reference by the stems of their words; of each stem, the last one first.
class FreeStems {
  public:
    // For at most so many stems, of places below `places`.
    void clear(std::size_t stems, std::size_t places) {
        mask_ = table_size(stems) - 1;
        slots_.zeros(mask_ + 1);
        before_.room(places);
    }

    // Places are added in ascending order.
    void add(Id stem, Place place) {
        Slot& slot = slot_of(stem);
        before_.items()[place] = slot.stem ? slot.last : UNMATCHED;
        slot = {stem, place};
    }

    // The last free place of this stem; UNMATCHED if there is none.
    Place last(Id stem) {
        const Slot& slot = slot_of(stem);
        return slot.stem ? slot.last : UNMATCHED;
    }

    // The same, and it is no longer free.
    Place take(Id stem) {
        Slot& slot = slot_of(stem);
        if (!slot.stem || slot.last == UNMATCHED) return UNMATCHED;
        const Place place = slot.last;
        slot.last = before_.items()[place];
        return place;
    }

    std::size_t bytes() const { return slots_.bytes() + before_.bytes(); }

  private:
    // `stem` is 0 in a free slot.
    struct Slot {
        Id stem;
        Place last;
    };

    // The slot of this stem, or the free one where it belongs.
    Slot& slot_of(Id stem) {
        std::size_t at = scattered(stem) & mask_;
        while (slots_.items()[at].stem && slots_.items()[at].stem != stem) at = (at + 1) & mask_;
        return slots_.items()[at];
    }

    Array<Slot> slots_;
    Array<Place> before_;  // by place: the free place of the same stem before it
    std::size_t mask_ = 0;
};

// One pair of texts, in memory that the next pair uses again.
class Matching {
  public:
    double value(Utf8 answer, Utf8 reference, Lexicon& lexicon) {
        answer_ = words_of(separate_at_spaces<true>(answer, answer_text_), answer_tokens_);
        reference_ = words_of(separate_at_spaces<true>(reference, reference_text_), reference_tokens_);
        std::size_t matches = same_words();
        if (matches < answer_.size && matches < reference_.size) matches += same_meaning(lexicon);
        return matches ? score(matches) : 0.0;
    }

    std::size_t bytes() const {
        return answer_text_.bytes() + reference_text_.bytes() + answer_tokens_.bytes() +
               reference_tokens_.bytes() + answer_ids_.bytes() + reference_ids_.bytes() +
               vocabulary_.bytes() + last_.bytes() + before_.bytes() + partners_.bytes() +
               taken_.bytes() + left_.bytes() + free_.bytes();
    }

  private:
    // Finds partners that are the same word; returns how many. As in nltk, tokens choose in order from the
    // last to the first, and each takes the last free partner.
    std::size_t same_words() {
        const Ids reference = vocabulary_.enter(reference_, reference_ids_);
        const Ids answer = vocabulary_.find(answer_, answer_ids_);
        Place* last = last_.room(vocabulary_.size() + std::size_t{1});  // by number: its last free place
        for (std::size_t id = 0; id <= vocabulary_.size(); ++id) last[id] = UNMATCHED;
        Place* before = before_.room(reference.size);  // by place: the free place of its word before it
        for (std::size_t place = 0; place < reference.size; ++place) {
            before[place] = last[reference.items[place]];
            last[reference.items[place]] = static_cast<Place>(place);
        }
        Place* partners = partners_.room(answer.size);
        bool* taken = taken_.zeros(reference.size);
        std::size_t matches = 0;
        for (std::size_t place = answer.size; place-- > 0;) {
            const Place partner = partners[place] = last[answer.items[place]];
            if (partner == UNMATCHED) continue;
            last[answer.items[place]] = before[partner];
            taken[partner] = true;
            ++matches;
        }
        return matches;
    }

    // Finds partners for the tokens that have none; returns how many. First by equal stems, then by
    // WordNet's synonyms of the stem; again from the last to the first, each taking the last free one.
    std::size_t same_meaning(Lexicon& lexicon) {
        std::size_t free_places = free_reference(lexicon);
        Place* partners = partners_.items();
        Left* left = left_.room(answer_.size);
        std::size_t found = 0, still_left = 0;
        for (std::size_t place = answer_.size; place-- > 0;) {
            if (partners[place] != UNMATCHED) continue;
            const Id stem = lexicon.stem_of(lexicon.number_of(answer_.items[place]));
            partners[place] = free_.take(stem);
            if (partners[place] != UNMATCHED) {
                ++found;
            } else {
                left[still_left++] = {static_cast<Place>(place), stem};
            }
        }
        for (std::size_t i = 0; i < still_left && found < free_places; ++i) {
            partners[left[i].place] = synonym(left[i].stem, lexicon);
            found += partners[left[i].place] != UNMATCHED;
        }
        return found;
    }

    // Enters the free places of the reference by their stems; returns how many there are.
    std::size_t free_reference(Lexicon& lexicon) {
        const bool* taken = taken_.items();
        std::size_t places = 0;
        for (std::size_t place = 0; place < reference_.size; ++place) places += !taken[place];
        free_.clear(places, reference_.size);
        for (std::size_t place = 0; place < reference_.size; ++place) {
            if (taken[place]) continue;
            const Id stem = lexicon.stem_of(lexicon.number_of(reference_.items[place]));
            free_.add(stem, static_cast<Place>(place));
        }
        return places;
    }

    // Takes the last free place whose stem is a synonym of this one; UNMATCHED if there is none.
    Place synonym(Id stem, Lexicon& lexicon) {
        Place last = UNMATCHED;
        Id chosen = 0;
        lexicon.each_synonym(stem, [&](Id other) {
            const Place place = free_.last(other);
            if (place > last) {
                last = place;
                chosen = other;
            }
        });
        return chosen ? free_.take(chosen) : UNMATCHED;
    }

    // Operations are in the same order as in meteor.py.
    double score(std::size_t matches) const {
        // Each match opens a chunk unless both of its tokens directly follow those of another match.
        std::size_t chunks = matches;
        const Place* partners = partners_.items();
        for (std::size_t place = 1; place < answer_.size; ++place) {
            chunks -= partners[place] - partners[place - 1] == 1;
        }
        const double matched = static_cast<double>(matches);
        const double precision = matched / static_cast<double>(answer_.size);
        const double recall = matched / static_cast<double>(reference_.size);
        const double mean = (precision * recall) / (ALPHA * precision + (1 - ALPHA) * recall);
        const double penalty = GAMMA * std::pow(static_cast<double>(chunks) / matched, BETA);
        return (1 - penalty) * mean;
    }

    Array<Byte> answer_text_, reference_text_;
    Array<Token> answer_tokens_, reference_tokens_;
    Array<Id> answer_ids_, reference_ids_;
    Vocabulary vocabulary_;
    Array<Place> last_, before_, partners_;
    Array<bool> taken_;  // by place of the reference
    Array<Left> left_;
    FreeStems free_;
    Tokens answer_{}, reference_{};
};

// Memory that is kept for the next pair is at most this large.
constexpr std::size_t KEPT_BYTES = 1 << 20;

// What is kept from one call to the next. A call has both for itself while it lasts, because Python may
// run another one meanwhile: in another thread, or in this one for a signal.
std::unique_ptr<Matching> kept_matching;
KeptLexicon kept_lexicon("graders_engine.metrics.meteor", "stem_cache", "synonym_cache");

double value(PyObject* answer, PyObject* reference) {
    const Text answer_text(answer, true), reference_text(reference, true);
    const std::shared_ptr<Lexicon> words = kept_lexicon.get();
    std::unique_ptr<Matching> matching = std::move(kept_matching);
    if (!matching) matching = std::make_unique<Matching>();
    const double found = matching->value(answer_text.utf8(), reference_text.utf8(), *words);
    if (matching->bytes() <= KEPT_BYTES) kept_matching = std::move(matching);
    kept_lexicon.replace_if_full();
    return found;
}

}  // namespace

PyObject* meteor(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
    return of_two(arguments, count, value);
}

}  // namespace graders
