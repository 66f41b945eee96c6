"""A text made of the right answer's words earns most of the reward without being the answer.

It is made from the right answer (its words sorted, one word of it, it among ten others), so a model cannot
write it without knowing the answer. It shows what the grader does not see.

Why: answers that say nothing, or several things at once, are rewarded like right ones, and training drifts
towards them.

Example: rapidfuzz's `token_set_ratio` is 1.0 for any single word of the reference; so is a check whether the
reference is somewhere in the output, for a list of all answers that one can think of.

To mend it: compare in both directions (`fuzzy_match`, which is rapidfuzz's `ratio`, or precision beside
recall), and accept one answer only.

Ignore it when: order does not matter, as for tags and keywords, and a list of guesses cannot be written.
"""

from __future__ import annotations

from graders_engine.preflight.attacks.reached import why_unmeasured
from graders_engine.preflight.attacks.verdicts import (
    SILENCED_BY,
    finding_of,
    guess_is_poor,
    paid_blindly,
    worth,
)
from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.findings import NotChecked
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.reward_scale import SAME

FIXES = {
    "keyword-salad": "Compare the order of the words, too, such as by `fuzzy_match` in place of a metric of "
    "words.",
    "one-word": "Require the whole answer: a metric that counts what is missing, such as `fuzzy_match`.",
    "hedge": "Accept one answer only: give nothing if the text names several.",
}


def _ask(inputs: Inputs) -> Answer:
    if poor := guess_is_poor(inputs):
        return poor
    serious = worth(inputs, ("informed",))
    if isinstance(serious, NotChecked):
        return serious
    if not serious:
        why = why_unmeasured(inputs, ("informed",))
        return NotChecked(why) if why else []
    blind = paid_blindly(inputs)
    serious = [(one, severity) for one, severity in serious if one.mean > blind + SAME]
    if not serious:
        return NotChecked("what is written without the right answer earns as much: see hackable")
    source, fix = inputs.references, FIXES[serious[0][0].attack.name]
    if source is None or source.confidence != "guessed" or not source.marked:
        return [finding_of("insensitive", serious, inputs, fix)]
    # Of a text with a mark, such as steps before a number, much is no answer.
    fix = f"If a part of `{source.field}` is the answer, give it with --reference-template. Else: {fix}"
    return [finding_of("insensitive", [(one, "info") for one, _ in serious], inputs, fix)]


CHECK = Check(
    "insensitive",
    "rows",
    _ask,
    frozenset({"train", "grader", "references"}),
    silenced_by=SILENCED_BY,
)
