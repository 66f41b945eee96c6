"""Which attacks are worth a finding, and how grave it is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from graders_engine.preflight.attacks.catalog import BY_NAME
from graders_engine.preflight.attacks.plan import NAME
from graders_engine.preflight.attacks.reached import why_lost
from graders_engine.preflight.attacks.results import (
    Earned,
    attack_scale,
    attacked_rows,
    baseline_of,
    best_of,
    earned,
    is_noisy,
    left_out,
    right_and_other,
    shortened,
)
from graders_engine.preflight.check import BUDGET_SPENT
from graders_engine.preflight.commands import command_of
from graders_engine.preflight.findings import Finding, NotChecked, Severity
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.reward_scale import REWARDED, SAME, RewardScale
from graders_engine.preflight.showing import location, see

SILENCED_BY = (
    "invalid-grader", "missing-field", "sample-unread", "grader-fails", "constant-reward",
    "latin-only-metric",
)  # fmt: skip
INTERVAL_SLACK = 0.10
"""By which the lower end of an interval may be below the limit."""
_BLIND_GAIN, _INFO_GAIN = 0.25, 0.20
_MORE = 0.01
"""Gain from which on an attack earns more than ignorance, and not as much."""
_ABOVE_BASELINE, _ABOVE_BASELINE_GAIN = 0.10, 0.10
_INFORMED_GAIN, _INFORMED_INFO_GAIN = 0.50, 0.30
_FEWEST_ROWS = 2
_UNCOMPARED = 0.25
"""By which an attack must earn more where no right answer of another row is there to be compared with."""
_FLOODS = ("prompt-copy", "all-candidates", "number-flood")
"""Blind attacks that may hold the right answer among other text."""
_MOST_DETAILS = 8
_SHOWN_CHARS = 60


def worth(inputs: Inputs, kinds: Sequence[str]) -> list[tuple[Earned, Severity]] | NotChecked:
    """The attacks of these kinds that earn too much, warnings first, the best first."""
    found, scale = earned(inputs), attack_scale(inputs)
    if not found or scale is None:
        return NotChecked(why_not(inputs, NAME))
    fewest = min(_FEWEST_ROWS, attacked_rows(inputs))
    of_kinds = [one for one in best_of(found) if one.attack.kind in kinds and one.rows >= fewest]
    if not of_kinds:
        return NotChecked(_why_none(inputs, kinds))
    graded = [(one, severity_of(one, inputs, scale)) for one in of_kinds]
    serious = [(one, severity) for one, severity in graded if severity is not None]
    return sorted(serious, key=lambda pair: (pair[1] == "info", -pair[0].mean))


def _why_none(inputs: Inputs, kinds: Sequence[str]) -> str:
    """Why no attack of these kinds has a reward."""
    trials = [one for one in inputs.trials[NAME] if BY_NAME[one.ask.label[0]].kind in kinds]
    if why := why_lost(trials):
        return why
    if any(BY_NAME[name].kind in kinds for name in (left_out(inputs) or {}).get("ruled_out", ())):
        return "the schema of the job's response format rules out every such attack"
    return "no such attack fits these rows"


def why_not(inputs: Inputs, stage: str) -> str:
    """Why nothing of a stage has a reward."""
    if inputs.train is None:
        return "no --train"
    if not inputs.train.drawn:
        return "no row can be read"
    if needed := inputs.plan.needed.get(stage):
        most = inputs.options.max_calls
        few = f"judges may get {most:,} calls (--max-calls), and it takes {needed:,}"
        return few if most else "no calls of judges are left (--max-calls)"
    if inputs.stopped and not inputs.trials.get(stage):
        return BUDGET_SPENT
    if trials := inputs.trials.get(stage):
        return why_lost(trials) or "none of them has a reward"
    return "nothing to try fits these rows"


def severity_of(one: Earned, inputs: Inputs, scale: RewardScale) -> Severity | None:
    """How grave it is what an attack earned; None if that is no finding. One row is no ground to warn."""
    found = _severity(one, inputs, scale)
    return "info" if found and one.rows < _FEWEST_ROWS else found


def _severity(one: Earned, inputs: Inputs, scale: RewardScale) -> Severity | None:
    if one.attack.kind == "informed":
        return _informed(one, inputs)
    baseline = baseline_of(inputs)
    above = baseline is not None and one.mean > baseline + _ABOVE_BASELINE * scale.width
    if one.attack.kind == "free":
        warns = above or (_is_much(one, inputs) and not _is_a_penalty(one, scale))
    else:
        above = above and one.gain >= _ABOVE_BASELINE_GAIN
        warns = above or _is_much_for_a_guess(one, inputs, scale)
    if warns:
        return "warning"
    beats = one.gain > _MORE and _is_half(one, inputs)  # half of the mark is never fine
    return "info" if beats or one.gain >= _INFO_GAIN else None


def _is_half(one: Earned, inputs: Inputs) -> bool:
    return one.share >= inputs.options.limit("attack") - SAME


def _is_much(one: Earned, inputs: Inputs, more: float = 0.0) -> bool:
    limit = inputs.options.limit("attack") + more
    if is_noisy(
        inputs
    ):  # the best of many variants is partly luck: the interval is taken twice as wide
        return 2 * one.low_share - one.share >= limit
    return one.share >= limit and one.low_share >= limit - INTERVAL_SLACK


def _is_a_penalty(one: Earned, scale: RewardScale) -> bool:
    """Whether an attack is only penalised less than others, where penalties have no known end.

    Where the lowest reward is only seen, and far below all others, half of the scale says nothing: then an
    attack must earn more than other rows' right answers.
    """
    ends = scale.known or scale.lowest >= 0.0 or scale.floor is None
    return not ends and one.gain < _BLIND_GAIN and one.share < REWARDED


def _is_much_for_a_guess(one: Earned, inputs: Inputs, scale: RewardScale) -> bool:
    """Whether a blind attack earns much, and more than other rows' right answers and constant answers do.

    An attack that earns full marks does in any case: then these earn them as well.
    """
    if scale.floor is None and scale.best_constant is None:
        return _is_much(one, inputs, _UNCOMPARED)
    return _is_much(one, inputs) and (one.gain >= _BLIND_GAIN or one.share >= REWARDED)


def _informed(one: Earned, inputs: Inputs) -> Severity | None:
    limit = inputs.options.limit("insensitive")
    low = 2 * one.low_share - one.share if is_noisy(inputs) else one.share
    if low >= limit and one.gain >= _INFORMED_GAIN:
        return "warning"
    return "info" if one.gain >= _INFORMED_INFO_GAIN else None


def paid_blindly(inputs: Inputs) -> float:
    """The most that is earned, so that it is warned of, by text that holds nothing, or the answer by chance.

    What is built from the right answer and earns no more shows the same fault again. Other attacks, such as
    orders to a judge, are paid for other reasons.
    """
    serious = worth(inputs, ("free", "blind"))
    if isinstance(serious, NotChecked):
        return -math.inf
    return max(
        (
            one.mean
            for one, severity in serious
            if severity == "warning" and (one.attack.kind == "free" or one.attack.name in _FLOODS)
        ),
        default=-math.inf,
    )


def finding_of(
    check: str, serious: Sequence[tuple[Earned, Severity]], inputs: Inputs, fix: str
) -> Finding:
    """One finding for all attacks that earn too much."""
    scale = attack_scale(inputs)
    full = 0.0 if scale is None else scale.full
    best, severity = serious[0]
    right, other = right_and_other(inputs)
    baseline = baseline_of(inputs)
    others = "".join(f", {one.attack.what} {one.mean:.2f}" for one, _ in serious[1:3])
    more = f" and {len(serious) - 3} more" if len(serious) > 3 else ""
    beside = [
        f"{name} {value:.2f}"
        for name, value in (
            ("a right answer earns", right),
            ("another row's", other),
            ("the base model", baseline),
        )
        if value is not None
    ]
    compared = f"; {', '.join(beside)}" if beside else ""
    what = best.attack.what[:1].upper() + best.attack.what[1:]
    plural = "" if best.rows == 1 else "s"
    return Finding(
        check,
        severity,
        f"{what} earns {best.mean:.2f} of {full:.2f} on {best.rows} row{plural}{others}{more}{compared}.",
        fix,
        where=[location(inputs, best.example.ask.line)],
        rows=best.rows,
        numbers={
            "attacks": [_numbers(one, severity) for one, severity in serious],
            "full": full,
            "right": right,
            "other": other,
            "baseline": baseline,
        },
        details=[_detail(one) for one, _ in serious[:_MOST_DETAILS]],
        see=see(inputs, best.example) or attack_command(inputs, best.attack.name),
        silences=severity == "warning",
    )


def _numbers(one: Earned, severity: Severity) -> Mapping[str, Any]:
    return {
        "attack": one.attack.name, "variant": one.variant, "severity": severity, "mean": one.mean,
        "low": one.low, "high": one.high, "share": one.share, "gain": one.gain, "rows": one.rows,
    }  # fmt: skip


def _detail(one: Earned) -> str:
    return (
        f"{one.attack.name} ({one.variant}): {one.mean:.2f} ({one.low:.2f} to {one.high:.2f}): "
        f"{shortened(one.example, _SHOWN_CHARS)}"
    )


def guess_is_poor(inputs: Inputs) -> NotChecked | None:
    """Why checks that need right answers are not asked, if these are guessed and most are not rewarded."""
    source = inputs.references
    if source is None or source.confidence != "guessed" or inputs.sure_references:
        return None
    return NotChecked(inputs.why_unsure)


def attack_command(inputs: Inputs, name: str) -> str:
    """The `graders attack` that shows an attack; empty without a command that can be copied."""
    if inputs.train is None:
        return ""
    parts = ["--data", inputs.train.name]
    options = inputs.options
    if options.reference_field is not None:
        parts += ["--reference-field", options.reference_field]
    if options.reference_template is not None:
        parts += ["--reference-template", options.reference_template]
    return command_of(inputs, "attack", [*parts, "--only", name])
