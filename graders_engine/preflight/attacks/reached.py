"""Whether hostile samples reached what a grader compares: where none did, they measured nothing."""

from __future__ import annotations

from collections.abc import Sequence

from graders_engine.outcome import details_line
from graders_engine.preflight.attacks.catalog import BY_NAME
from graders_engine.preflight.attacks.context import Context
from graders_engine.preflight.attacks.plan import NAME
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.reward_scale import SAME, rewards_in
from graders_engine.preflight.trials import Trial

_FEWEST = 0.1
"""Share of the hostile samples that must be graded without a failure where no right answer shows the form."""
_MOST_LOST = 0.1
"""Share of the hostile samples that may lack a reward, for a judge or the infrastructure failed."""
_SHOW = "show the form of a right answer with --reference-template"
_OR_SAMPLES = ", or of the model's answers with preflight's --samples"
_MEND = "let it give 0 to text that it cannot read"


def why_unmeasured(inputs: Inputs, kinds: Sequence[str]) -> str:
    """Why that attacks of these kinds earn little says nothing of the grader; empty if it does.

    A grader that fails gives a reward of 0 in training, but only for this text: a text of the right form that
    says as little may be paid. The same holds where the grader reads JSON and no text had the keys it wants.
    """
    of_kinds = [
        trial for trial in inputs.trials.get(NAME, ()) if BY_NAME[trial.ask.label[0]].kind in kinds
    ]
    trials = [trial for trial in of_kinds if trial.reward is not None]
    if why := why_lost(of_kinds):
        return why
    failed = sum(trial.outcome.blame == "grader" for trial in trials)
    known = inputs.sure_references
    hint = _MEND if known else _SHOW + ("" if inputs.samples_file else _OR_SAMPLES)
    if failed and failed == len(trials):
        return f"every hostile sample makes the grader fail, so that none measures it: {hint}"
    if failed > (1 - _FEWEST) * len(trials) and not known:
        return f"{failed:,} of {len(trials):,} hostile samples make the grader fail: {hint}"
    if _has_no_form(inputs) and _earns_nothing(inputs, trials):
        return f"the grader reads JSON, and nothing says with which keys: {hint}"
    return ""


def why_lost(trials: Sequence[Trial]) -> str:
    """Why hostile samples say nothing of the grader: too many got no reward; empty if few did not."""
    lost = [trial for trial in trials if trial.reward is None]
    if not lost or len(lost) <= _MOST_LOST * len(trials):
        return ""
    count = "none" if len(lost) == len(trials) else f"{len(trials) - len(lost):,}"
    line = next((line for trial in lost for line in trial.outcome.flags.values() if line), "")
    reason = f": {details_line(line).rstrip('.')}" if line else ""
    return f"{count} of {len(trials):,} hostile samples got a reward{reason}"


def _has_no_form(inputs: Inputs) -> bool:
    """Whether the grader reads JSON alone, of a form that neither rows nor samples nor schema show."""
    context = Context.of(inputs)
    if context is None or inputs.sure_references or not context.reads_json_only:
        return False
    return all(context.skeleton(row) is None for row in context.rows)


def _earns_nothing(inputs: Inputs, trials: Sequence[Trial]) -> bool:
    lowest = inputs.scale.lowest if inputs.scale else 0.0
    return all(reward <= lowest + SAME for reward in rewards_in(trials))
