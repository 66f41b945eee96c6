"""ROUGE compares texts in another script than the Latin one, of which it sees the digits at most.

Why: ROUGE's tokens are the letters a-z and the digits. Of a text in another script nothing is left but
its numbers: without any, the right answer earns 0.0; with some, so does each text with these numbers.

Example: `rouge_l` over references in Japanese.

To mend it: use `fuzzy_match`, or the engine's variant `unicode` of ROUGE, whose numbers differ from
those of the hosted service.

Ignore it when: the few rows in another script may earn nothing.
"""

from __future__ import annotations

import re

from graders_engine.errors import GradersError
from graders_engine.graders.text_similarity import TextSimilarityGrader
from graders_engine.language.scope import Scope
from graders_engine.language.template import Template
from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.data_file import TrainingRow
from graders_engine.preflight.findings import Finding, Location, NotChecked
from graders_engine.preflight.grader_facts import GraderFacts
from graders_engine.preflight.inputs import Inputs

_LETTERS = re.compile(r"[a-z]", re.IGNORECASE | re.ASCII)
_DIGITS = re.compile(r"[0-9]")
_MOST_LINES = 5


def rouge_parts(facts: GraderFacts | None) -> list[tuple[str, str, Template]]:
    """(path, metric, reference) of each comparison by ROUGE whose reference does not depend on the sample."""
    found: list[tuple[str, str, Template]] = []
    for path, spec in facts.leaves if facts else ():
        if not isinstance(spec, TextSimilarityGrader) or not facts:
            continue
        metric = spec.evaluation_metric
        unicode = facts.compiled.metric_variants.get(metric) == "unicode"
        if not metric.startswith("rouge") or unicode:
            continue
        for side in (spec.reference, spec.input):
            namespaces = {variable.namespace for variable in side.variables}
            if namespaces == {"item"}:
                found.append((path, metric, side))
                break
    return found


class UnseenTexts:
    """Counts the references in which ROUGE sees no word.

    Attributes:
        texts: how many references are no blanks, by path.
        unseen: in how many of them it sees no word.
        lines: the first lines of these.
    """

    def __init__(self, facts: GraderFacts | None) -> None:
        self._parts = rouge_parts(facts)
        self.texts = {path: 0 for path, *_ in self._parts}
        self.unseen = dict(self.texts)
        self.lines: list[int] = []

    def add(self, row: TrainingRow) -> None:
        """Look at a row's references."""
        if row.unreadable or not self._parts:
            return
        scope = Scope(row.item, "", absent=True)
        for path, _, reference in self._parts:
            try:
                text = reference.render(scope)
            except GradersError:
                continue
            if not text.strip():
                continue
            self.texts[path] += 1
            if not is_seen(text):
                self.unseen[path] += 1
                if len(self.lines) < _MOST_LINES:
                    self.lines.append(row.line)


def is_seen(text: str) -> bool:
    """Whether ROUGE sees more of a text than its numbers, if it has more."""
    if _LETTERS.search(text):
        return True
    return bool(_DIGITS.search(text)) and not any(map(str.isalpha, text))


def _ask(inputs: Inputs) -> Answer:
    parts = rouge_parts(inputs.grader)
    if not parts:
        return NotChecked("the grader does not use ROUGE on the rows' texts")
    if not inputs.files:
        return NotChecked("no --train")
    if not any(file.readable for file in inputs.files):
        return NotChecked("no row can be read")
    seen = [(file, file.collected(UnseenTexts)) for file in inputs.files]
    findings = []
    for path, metric, _ in parts:
        texts = sum(found.texts[path] for _, found in seen)
        unseen = sum(found.unseen[path] for _, found in seen)
        if texts and unseen / texts > inputs.options.limit("latin_only"):
            lines = [Location(file.name, line) for file, found in seen for line in found.lines[:3]]
            findings.append(
                Finding(
                    "latin-only-metric",
                    "warning",
                    f"{unseen:,} of {texts:,} references ({unseen / texts:.0%}) have no letter from a to z: "
                    f"`{metric}` compares their digits only, and gives 0 without any, also to an equal text.",
                    "Use `fuzzy_match`, or set the metric's variant to `unicode` in this engine.",
                    where=[
                        *lines,
                        Location(inputs.grader_file, 0, f"{path}.evaluation_metric".lstrip(".")),
                    ],
                    rows=unseen,
                    numbers={"unseen": unseen, "of": texts},
                    silences=not path
                    and unseen > texts / 2,  # else other parts, or rows, may be to blame
                )
            )
    return findings


CHECK = Check(
    "latin-only-metric",
    "grader",
    _ask,
    frozenset({"grader"}),
    collects=lambda inputs: UnseenTexts(inputs.grader),
    silenced_by=("invalid-grader",),
)
