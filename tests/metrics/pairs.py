"""Pairs of texts for the property tests: small pools, so that much matches, and hostile signs."""

from __future__ import annotations

import random

from hypothesis import strategies as st

WORDS = """the The THE cat cats Cat dog dogs sat sitting on mat mats a quick fast car automobile
running ran runs happy happily glad better good well is was are be organization organize mice mouse
dying lying skies flies died agreed feed hopping filing falling geologi fulli radicalli enjoy
happiness national rational relational I'm don't state-of-the-art e.g. U.S. cat, cat. (cat) [cat]
"cat" cat; cat! 3.14 1,000 1,000. 5. .5 10- -10 10-12 1.,2 ..5 5..6 a.b a,b ,, .. ... , . - -- '
& &amp; &lt; &gt; &quot; &amp;lt; &amp;amp; &amp;quot; &#39; <skipped> &lt;skipped&gt; <skip a>b
x^2 a_b __ $5 50% @me #tag {x} ~ ` | \\ / * + = ? : naïve café CAFÉ Straße ΣΑΣ Σ ß İ i K k ﬁ ½ ² ٣
кошка Кошка 今天 天气 今天天气很好 😀 👍🏽 é e\u0301 हिन्दी ไทย 한국어 yyyy sky yes\u200bno
new_york New_York z-z aaaa aaaaa""".split()  # noqa: SIM905 - a list of words reads best as text

# What str.split treats as white space, and some signs that only look like it.
BLANKS = [
    *([" "] * 8),
    "  ",
    "\n",
    "\r\n",
    "-\n",
    "- \n",
    "\t",
    "\x0b",
    "\x0c",
    "\x1c",
    "\x1f",
    "\x85",
    "\u00a0",
    "\u2003",
    "\u2028",
    "\u3000",
    "\u200b",
    "\ufeff",
    "\x00",
    "",
]

words = st.sampled_from(WORDS)
some_words = st.lists(words, max_size=24)
few_words = st.lists(st.sampled_from(WORDS[:7]), max_size=40)
any_text = st.text(st.characters(exclude_categories=()), max_size=40)
dense_text = st.text(st.sampled_from("ab1 .,-&;<y\n\u00e9\ud800\x00"), max_size=40)


@st.composite
def joined(draw: st.DrawFn, parts: st.SearchStrategy[list[str]]) -> str:
    """Words with blanks between and around them."""
    chosen = draw(parts)
    blanks = draw(st.lists(st.sampled_from(BLANKS), min_size=1, max_size=6))
    text = "".join(word + blanks[place % len(blanks)] for place, word in enumerate(chosen))
    return draw(st.sampled_from(["", "", blanks[0]])) + text


@st.composite
def edited(draw: st.DrawFn) -> tuple[str, str]:
    """A text and an edited copy of it, of up to a few hundred words, for the code for long texts."""
    dice = random.Random(draw(st.integers(0, 2**32)))  # noqa: S311 - texts, not secrets
    pool = dice.sample(WORDS, dice.choice((3, 10, 40, len(WORDS))))
    length = dice.choice((5, 20, 60, 200, 300))
    reference = dice.choices(pool, k=length)
    answer = [word for word in reference if dice.random() > 0.1]
    for _ in range(dice.randrange(length)):
        answer.insert(dice.randrange(len(answer) + 1), dice.choice(pool))
    if dice.random() < 0.3:
        dice.shuffle(answer)
    blank = dice.choice((" ", " ", "\n", "\u00a0 "))
    return blank.join(answer), blank.join(reference)


texts = st.one_of(joined(some_words), joined(few_words), any_text, dense_text)
pairs = st.one_of(
    st.tuples(joined(some_words), joined(some_words)),
    st.tuples(joined(few_words), joined(few_words)),
    st.tuples(dense_text, dense_text),
    st.tuples(texts, texts),
    texts.map(lambda text: (text, text)),
    edited(),
)
