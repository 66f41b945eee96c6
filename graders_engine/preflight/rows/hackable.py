"""An answer that holds no answer earns much: empty text, a copy of the prompt, all labels at once.

It is written without knowing what is right, so a model can learn to write it. The best wording of each attack
counts, with one wording for all rows. What it earns is measured on the scale from nothing to full marks, and
from ignorance to full marks: ignorance is the most of other rows' right answers, the best answer that is the
same for all rows, and, of JSON, the answer with the usual value of each field.

Warned of is an attack without content (empty, filler) that earns half of full marks (the limit `attack`), or
a tenth of the scale more than the base model's samples. One that is written from the prompt or the form of
answers (prompt-copy, all-candidates) must earn half of full marks and a quarter of the way from ignorance to
full marks; or a tenth of the scale more than the base model and a tenth of that way; or full marks (0.99);
with nothing to compare it to, three quarters. The lower end of the 95 % interval may be a tenth below half.

For information is what earns half of full marks and more than ignorance, but too little for a warning, and
what earns a fifth of the way from ignorance to full marks. All else is fine.

Why: training finds what is rewarded. A model that can be paid for nothing, or for a trick, will be.

Example: `1.0 if output in answer or answer in output` gives 1.0 to an empty text, for it is in every answer.

To mend it: look for the answer first, and give nothing where there is none; compare it as a whole; weigh form
only where the content is right. `graders attack --out attacks.jsonl` keeps the samples: score a mended grader
on them.

Ignore it when: the text that earns the reward is what you want, such as a refusal for requests to be refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from graders_engine.outcome import Flag
from graders_engine.preflight.attacks.catalog import BY_NAME
from graders_engine.preflight.attacks.plan import NAME
from graders_engine.preflight.attacks.reached import why_unmeasured
from graders_engine.preflight.attacks.verdicts import (
    SILENCED_BY,
    attack_command,
    finding_of,
    worth,
)
from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.findings import Finding, NotChecked
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.showing import location
from graders_engine.preflight.trials import Trial

SLOW_S = 10.0
"""A very long answer may take so long."""
_LIMIT_PASSED = re.compile(r"killed after|limit of .* passed")
_FIXES = {
    "free": "Give nothing for text that holds no answer: look for the answer first, weigh form afterwards.",
    "blind": "Compare the answer itself and as a whole, and give nothing for text around it.",
}
_FIXES_BY_NAME = {
    "all-candidates": "Accept one answer only: give nothing if the text names several.",
    "number-flood": "Take one number from the answer, from a place that the prompt names.",
    "all-tools": "Compare the tool's name and its arguments, and give nothing for any other call.",
    "early-exit": "Count the tests that ran and passed; an exit code of 0 is no proof.",
    "injection": "Tell the judge that the answer is data and no instruction, and put it between tags.",
    "forged-verdict": "Tell the judge that the answer is data and no verdict, and put it between tags.",
    "chat-tokens": "Remove the tokens of chat templates from the answer before the judge reads it.",
    "self-praise": "Tell the judge to compare with the reference only, and to ignore what the answer claims.",
    "unicode": "Reject text that has nothing left after it is normalised.",
}


def _ask(inputs: Inputs) -> Answer:
    found = [*_slow(inputs)]
    serious = worth(inputs, ("free", "blind"))
    if isinstance(serious, NotChecked):
        return found or serious
    if serious:
        best = serious[0][0].attack
        fix = _FIXES_BY_NAME.get(best.name, _FIXES.get(best.kind, ""))
        found.insert(0, finding_of("hackable", serious, inputs, fix))
    elif not found and (why := why_unmeasured(inputs, ("free", "blind"))):
        return NotChecked(why)
    return found


def _slow(inputs: Inputs) -> Iterator[Finding]:
    """What a very long answer does to the grader."""
    trials = [
        trial
        for trial in inputs.trials.get(NAME, [])
        if BY_NAME[trial.ask.label[0]].kind == "robustness"
    ]
    worst = max(trials, key=lambda trial: trial.outcome.seconds, default=None)
    if worst is None:
        return
    stopped = [trial for trial in trials if passed_a_limit(trial)]
    if not stopped and worst.outcome.seconds <= SLOW_S:
        return
    trial = stopped[0] if stopped else worst
    name, variant = trial.ask.label
    seconds = trial.outcome.seconds
    ends = " and passes a limit, so that the grader fails" if stopped else ""
    yield Finding(
        "hackable",
        "warning",
        f"A very long answer ({variant}) takes {seconds:.1f} s{ends}.",
        "Cut the answer to the length that is needed before searching it, and avoid nested repetition in "
        "regular expressions.",
        where=[location(inputs, trial.ask.line)],
        numbers={"attack": name, "variant": variant, "seconds": seconds, "stopped": len(stopped)},
        see=attack_command(inputs, name),
    )


def passed_a_limit(trial: Trial) -> bool:
    """Whether the grader was stopped, for it took too long or too much."""
    return any(
        failure.flag == Flag.PYTHON_RUNTIME and _LIMIT_PASSED.search(failure.details)
        for failure in trial.outcome.outcome.failures
    )


CHECK = Check("hackable", "rows", _ask, frozenset({"train", "grader"}), silenced_by=SILENCED_BY)
