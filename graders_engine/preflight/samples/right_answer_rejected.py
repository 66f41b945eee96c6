"""Samples hold the right answer, and earn little.

Why: such an answer is unlearned for its form; checks by rule are known to refuse one right answer in seven
or more (arXiv 2505.22203 finds a recall of 86 %, and 78 % on harder sets).

Example: `**42**`, `The answer is 42.` and `42.0` earn nothing where `42` is expected.

To mend it: take the form off before comparing: blanks, case, markdown, a sentence around the answer.

Ignore it when: the form is what the model is to learn.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.findings import Finding, Location, NotChecked
from graders_engine.preflight.inputs import GradedSample, Inputs
from graders_engine.preflight.reward_scale import RewardScale
from graders_engine.preflight.sample_parts import json_of, text_of
from graders_engine.preflight.samples.baseline import ROOTS, why_none
from graders_engine.preflight.showing import excerpt, number, percent

_HALF, _OF_HOLDERS = 0.5, 0.10
_FEWEST_HOLDERS = 5
_DRESS = " \t\r\n*_`\"'#.:;,()[]{}$\u201c\u201d\u2018\u2019"
"""What is taken off around an answer: blanks, markdown, quotes, brackets, full stops."""
_ANSWER = re.compile(r"(?:answer|solution|result)\s*(?:is|=|:)?\s*(.+)", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)*")
_SHOWN = 5


def _ask(inputs: Inputs) -> Answer:
    scale = inputs.scale
    if inputs.references is None:
        return NotChecked("no reference answers: name their field with --reference-field")
    if scale is None or not inputs.samples:
        return NotChecked(why_none(inputs))
    if inputs.references.confidence == "guessed" and not inputs.sure_references:
        return NotChecked(inputs.why_unsure)
    return _findings(inputs, scale)


def _findings(inputs: Inputs, scale: RewardScale) -> Iterator[Finding]:
    graded = [sample for sample in inputs.samples if sample.reward is not None]
    holding = [sample for sample in graded if _holds(inputs, sample)]
    rejected = [sample for sample in holding if scale.share(sample.reward or 0.0) < _HALF]
    if not graded or not rejected:
        return
    of_all, of_holders = len(rejected) / len(graded), len(rejected) / len(holding)
    many = of_holders >= _OF_HOLDERS and len(holding) >= _FEWEST_HOLDERS
    if of_all < inputs.options.limit("rejected_answers") and not many:
        return
    yield Finding(
        "right-answer-rejected", "warning",
        f"{len(rejected)} of {len(holding)} samples that hold the right answer earn less than half "
        f"({percent(of_all)} of all samples).",
        "Take off the form around an answer before comparing it.",
        where=[Location(inputs.samples_file, sample.line) for sample in rejected[:_SHOWN]],
        rows=len(rejected),
        numbers={"rejected": len(rejected), "holding": len(holding), "samples": len(graded)},
        details=[
            f"line {sample.line}: {excerpt(text_of(sample.sample)[-60:])} earns {number(reward)}"
            for sample in rejected[:_SHOWN]
            if (reward := sample.reward) is not None
        ],
    )  # fmt: skip


def _holds(inputs: Inputs, sample: GradedSample) -> bool:
    """Whether a sample is the reference answer of its row but for its form."""
    source = inputs.references
    reference = source.sample_of(sample.item) if source else None
    if not isinstance(reference, str) or not reference.strip():
        return False
    return holds(text_of(sample.sample), reference)


def holds(text: str, reference: str) -> bool:
    """Whether a text is an answer but for its form, or ends in it, or names it alone."""
    wanted = plain(reference)
    value = json_of(reference)
    if value is not None:
        found = json_of(text.strip())
        return found is not None and json.dumps(found, sort_keys=True) == json.dumps(
            value, sort_keys=True
        )
    if not wanted:
        return False
    lines = [line for line in text.splitlines() if line.strip()]
    candidates = [text, *lines[-1:]]
    if announced := _ANSWER.findall(text):
        candidates.append(announced[-1])
    numbers = _NUMBER.findall(text)
    if len(numbers) == 1 and _NUMBER.fullmatch(reference.strip()):
        candidates.append(numbers[0])
    return any(plain(candidate) == wanted for candidate in candidates)


def plain(text: str) -> str:
    """A text without what dresses it: blanks, case, markdown, quotes, thousands' commas."""
    bare = text.strip(_DRESS).lower()
    return re.sub(r"(?<=\d),(?=\d{3}\b)", "", bare)


CHECK = Check(
    "right-answer-rejected", "samples", _ask, frozenset({"samples", "grader"}),
    silenced_by=ROOTS,
)  # fmt: skip
