// The stem variants of ROUGE: each word's stem is asked of Python once, see lexicon.hpp.

#include "stems.hpp"

#include "lexicon.hpp"

namespace graders {
namespace {

// What is kept from one call to the next. A call has the memory for itself while it lasts, because Python
// may run another one meanwhile.
std::unique_ptr<Scratch> kept_scratch;
KeptLexicon kept_lexicon("graders_engine.metrics.tokens", "rouge_stem_cache", nullptr);

// The stems of a text's words. A token's key is then the number of the stem, which is all that its
// comparison with others looks at: numbers are equal for equal stems only.
Tokens stems_of(Utf8 text, Array<Byte>& text_store, Array<Token>& store, Lexicon& lexicon) {
    const Tokens words = words_of(separate_latin(text, text_store), store);
    for (std::size_t i = 0; i < words.size; ++i) {
        Token& token = store.items()[i];
        token = {lexicon.stem_of(lexicon.number_of(token)), token.start, 1};
    }
    return words;
}

}  // namespace

double of_stems(OfPair of_pair, PyObject* answer, PyObject* reference) {
    const Text answer_text(answer, true), reference_text(reference, true);
    const Utf8 one = answer_text.utf8(), other = reference_text.utf8();
    const std::shared_ptr<Lexicon> lexicon = kept_lexicon.get();
    std::unique_ptr<Scratch> scratch = std::move(kept_scratch);
    if (!scratch) scratch = std::make_unique<Scratch>();
    const Pair pair = numbered_pair(
        stems_of(one, scratch->answer_text, scratch->answer_tokens, *lexicon),
        stems_of(other, scratch->reference_text, scratch->reference_tokens, *lexicon), *scratch);
    kept_lexicon.replace_if_full();
    double value;
    {
        const WithoutLock block(one.size + other.size > LONG_PAIR);
        value = of_pair(pair, *scratch);
    }
    scratch->trim();
    kept_scratch = std::move(scratch);
    return value;
}

}  // namespace graders
