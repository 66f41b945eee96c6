// Words, their stems and the synonyms of those, as small numbers, for METEOR and the stem variants of ROUGE.
//
// What a word's stem is, and what its synonyms are, Python decides (porter.py, tokens.py, wordnet.py): each word and
// each stem is asked for once, and the answer kept. Only the thread that has Python's lock uses a lexicon.
// While Python answers, others may use it: it grows then, but a number keeps its meaning.
#pragma once

#include <memory>
#include <vector>

#include "python.hpp"
#include "tokens.hpp"

namespace graders {

using Id = std::uint32_t;

class Lexicon {
  public:
    // `stems[word]` is a str, and `synonyms[stem]` a set of str; `synonyms` is nullptr where nothing asks
    // for them. Both must outlive the lexicon.
    Lexicon(PyObject* stems, PyObject* synonyms) : stems_(stems), synonyms_(synonyms) { grow(); }

    // The number of a word: from 1 on, equal for equal words only.
    Id number_of(const Token& word) {
        if (2 * (words_.size() + 1) > slots_.size()) grow();
        Id* slot = slot_of(word);
        if (!*slot) {
            if (words_.size() == UINT32_MAX) throw std::bad_alloc();
            const std::size_t start = bytes_.size();
            bytes_.insert(bytes_.end(), word.start, word.start + word.size);
            words_.push_back({word.key, start, word.size});
            *slot = static_cast<Id>(words_.size());
        }
        return *slot;
    }

    // The number of the stem of a word.
    Id stem_of(Id word) {
        if (!entry(word).stem) {
            const Owned stem = ask(stems_, word);
            const Id number = number_of(stem.get());
            entry(word).stem = number;
        }
        return entry(word).stem;
    }

    // Calls `found(number)` for each synonym of a stem. It must not call Python.
    template <typename Found>
    void each_synonym(Id stem, Found found) {
        if (!entry(stem).has_synonyms) find_synonyms(stem);
        const std::size_t end = entry(stem).synonyms_end;
        for (std::size_t i = entry(stem).synonyms_start; i < end; ++i) found(numbers_[i]);
    }

    // Whether it should give way to an empty one. Words follow Zipf's law: the useful ones are soon back.
    bool full() const {
        return words_.size() > MOST_WORDS || numbers_.size() > 4 * MOST_WORDS ||
               bytes_.size() > 16 * MOST_WORDS;
    }

  private:
    static constexpr std::size_t MOST_WORDS = 1 << 17;

    struct Entry {
        std::uint64_t key;
        std::size_t start;  // of its bytes
        std::size_t size;
        Id stem = 0;
        bool has_synonyms = false;
        std::size_t synonyms_start = 0;
        std::size_t synonyms_end = 0;
    };

    Entry& entry(Id number) { return words_[number - 1]; }

    // The slot with this word's number, or the free one where that belongs: it holds 0.
    Id* slot_of(const Token& word) {
        std::size_t at = scattered(word.key) & (slots_.size() - 1);
        for (; slots_[at]; at = (at + 1) & (slots_.size() - 1)) {
            const Entry& there = entry(slots_[at]);
            if (there.key != word.key || there.size != word.size) continue;
            if (same_token({there.key, bytes_.data() + there.start, there.size}, word)) break;
        }
        return &slots_[at];
    }

    void grow() {
        std::vector<Id> larger(slots_.empty() ? 1024 : 4 * slots_.size());
        for (std::size_t i = 0; i < words_.size(); ++i) {
            std::size_t at = scattered(words_[i].key) & (larger.size() - 1);
            while (larger[at]) at = (at + 1) & (larger.size() - 1);
            larger[at] = static_cast<Id>(i + 1);
        }
        slots_.swap(larger);
    }

    Id number_of(PyObject* text) {
        const Text owner(text, false);
        const Utf8 utf8 = owner.utf8();
        std::vector<Byte> padded(utf8.size + PADDING);
        for (std::size_t i = 0; i < utf8.size; ++i) padded[i] = utf8.bytes[i] ? utf8.bytes[i] : 255;
        return number_of(utf8.size ? make_token(padded.data(), utf8.size) : Token{0, padded.data(), 0});
    }

    void find_synonyms(Id stem) {
        const Owned set = ask(synonyms_, stem);
        const Owned iterator = checked(PyObject_GetIter(set.get()));
        std::vector<Id> found;
        for (;;) {
            const Owned word(PyIter_Next(iterator.get()));
            if (!word.get()) break;
            found.push_back(number_of(word.get()));
        }
        if (PyErr_Occurred()) throw PythonError();
        const std::size_t start = numbers_.size();
        numbers_.insert(numbers_.end(), found.begin(), found.end());
        Entry& known = entry(stem);
        known.synonyms_start = start;
        known.synonyms_end = start + found.size();
        known.has_synonyms = true;
    }

    // What one of Python's caches has for a word.
    Owned ask(PyObject* cache, Id number) {
        const Byte* start = bytes_.data() + entry(number).start;
        std::vector<char> utf8(start, start + entry(number).size);
        for (char& byte : utf8) byte = byte == '\xFF' ? '\0' : byte;
        const Owned word = checked(PyUnicode_DecodeUTF8(
            utf8.data(), static_cast<Py_ssize_t>(utf8.size()), "surrogatepass"));
        return checked(PyObject_GetItem(cache, word.get()));
    }

    PyObject* stems_;
    PyObject* synonyms_;
    std::vector<Entry> words_;  // by number, less 1
    std::vector<Byte> bytes_;   // of all words, one after another
    std::vector<Id> slots_;     // a hash table of numbers
    std::vector<Id> numbers_;   // the synonyms of all stems, one list after another
};

// The lexicon of one of Python's modules, from one call to the next. A call may use what `get` gave it
// after another one has replaced it.
class KeptLexicon {
  public:
    // `synonyms` may be nullptr. The module is imported when the lexicon is first used.
    constexpr KeptLexicon(const char* module, const char* stems, const char* synonyms)
        : module_(module), stems_name_(stems), synonyms_name_(synonyms) {}

    std::shared_ptr<Lexicon> get() {
        if (!stems_) stems_ = attribute(stems_name_);
        if (!synonyms_ && synonyms_name_) synonyms_ = attribute(synonyms_name_);
        if (!lexicon_) lexicon_ = std::make_shared<Lexicon>(stems_, synonyms_);
        return lexicon_;
    }

    void replace_if_full() {
        if (lexicon_ && lexicon_->full()) lexicon_.reset();
    }

  private:
    // An attribute of the module, for the life of the process.
    PyObject* attribute(const char* name) const {
        const Owned module = checked(PyImport_ImportModule(module_));
        return checked(PyObject_GetAttrString(module.get(), name)).release();
    }

    const char* module_;
    const char* stems_name_;
    const char* synonyms_name_;
    PyObject* stems_ = nullptr;
    PyObject* synonyms_ = nullptr;
    std::shared_ptr<Lexicon> lexicon_;
};

}  // namespace graders
