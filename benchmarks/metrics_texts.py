"""Text pairs for the metric benchmarks: seeded, like English, generated from a short word list."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import accumulate

_PLAIN = """the of and to a in is that it was for on are as with his they at be this from I have or by
one had not but what all were when we there can an your which their if will each about how up out
them then she many some so these would other into has more her two him see could no than been its
who now my over did down only way may such because through where most well also before must right
too any same under against between both during without again here why while never off own
""".split()  # noqa: SIM905 - a list of words reads best as text

_NOUNS = """man year youth eye time hand head face friend day soldier night house problem idea child
area boy woman nothing water type number kind school wife mind word room part body state tree
program arm week horse city century information effect mother government door form method road
period name action hour temperature side work surface study god foot society street officer morning
moment ground fact effort result minute wall question girl war voice place money reason job data
rifle purpose leg cost age patient material fear doctor difference battle window thing gun father
condition case training cell car wage thought size month level rate husband country town student
stress opportunity member election community animal situation life family enemy value smoke shoulder
region pressure letter figure attitude percent list religion process plant plan power office
interest event course blood army world literature company church audience hair experiment technique
summer statement lip employee shelter price need industry center attention river home evidence
distance text kid finger table product experience dictionary development site point object music
line knee individual existence earth bed afternoon report law importance emotion trial theory
automobile beginning illness error help reply answer garden market bridge engine island""".split()  # noqa: SIM905 - a list of words reads best as text

_VERBS = """say seem know make want begin try become come hear think look provide ask get include
let keep expect tell turn walk feel give stand start find happen leave continue require die put pay
show sit live remain lose decide build receive bring appear believe obtain add read write fight
return contain understand move cause explain talk determine consider run remember reach kill reduce
buy wait exist achieve spend offer create mean take call learn teach speak remove increase enter
attend wear stare occur choose smile send hold watch describe join base follow announce sell carry
win play grow produce indicate assume open improve imagine""".split()  # noqa: SIM905 - a list of words reads best as text

_ADJECTIVES = """new good little large possible high certain four long great several whole last
second old young big five best available next different general true social necessary few early six
normal single third tall dead ten able better complete religious economic difficult easy white
similar present strong ready likely modern simple low clear real late sure dominant bad public
quick fast rapid happy glad correct""".split()  # noqa: SIM905 - a list of words reads best as text


class Texts:
    """An endless source of pairs, the same for the same seed.

    Words follow Zipf's law over about 3,500 forms: function words, common nouns, verbs and
    adjectives with their endings, and invented rare words.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - texts, not secrets
        common = [
            *(noun + ending for noun in _NOUNS for ending in ("", "s")),
            *(verb + ending for verb in _VERBS for ending in ("", "s", "ed", "ing")),
            *(adjective + ending for adjective in _ADJECTIVES for ending in ("", "ly", "ness")),
        ]
        self._random.shuffle(common)
        syllables = [a + b for a in "bcdfglmnprstv" for b in ("a", "e", "i", "o", "u", "an", "er")]
        rare = ["".join(self._random.choices(syllables, k=3)) for _ in range(2_200)]
        self._words = [*_PLAIN, *common, *rare]
        self._weights = [*accumulate(1 / (rank + 2.7) for rank in range(len(self._words)))]

    def pair(self, tokens: int) -> tuple[str, str]:
        """A reference of this many tokens and an answer; a tenth of the answers are unrelated to it.

        The others lose 6 % of the words, change 10 %, gain 4 % and swap 5 %.
        """
        reference = self._text(tokens)
        if self._random.random() < 0.1:
            return " ".join(self._text(tokens)), " ".join(reference)
        answer = []
        for word in reference:
            dice = self._random.random()
            if dice < 0.06:
                continue
            answer.append(self._word() if dice < 0.16 else word)
            if dice > 0.96:
                answer.append(self._word())
        for _ in range(tokens // 20):
            place = self._random.randrange(1, len(answer))
            answer[place - 1], answer[place] = answer[place], answer[place - 1]
        return " ".join(answer), " ".join(reference)

    def vocabulary(self) -> Iterator[str]:
        """All words, a hundred per text."""
        for start in range(0, len(self._words), 100):
            yield " ".join(self._words[start : start + 100])

    def characters(self, length: int) -> tuple[str, str]:
        """Two unrelated texts of this many characters each, the most expensive pair of that size."""
        one, other = (" ".join(self._text(length // 4))[:length] for _ in range(2))
        return one, other

    def _word(self) -> str:
        return self._random.choices(self._words, cum_weights=self._weights)[0]

    def _text(self, tokens: int) -> list[str]:
        words = self._random.choices(self._words, cum_weights=self._weights, k=tokens)
        start = True
        for place, word in enumerate(words):
            spelled = word.capitalize() if start else word
            dice = self._random.random()
            start = dice < 0.06
            ending = "." if start else "," if dice < 0.12 else ";" if dice < 0.125 else ""
            words[place] = f"({spelled}){ending}" if dice > 0.99 else spelled + ending
        return words
