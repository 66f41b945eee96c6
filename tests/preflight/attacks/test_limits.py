"""When an attack is a finding: at each limit, just below it, and what is compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graders_engine import Engine
from graders_engine.outcome import Outcome, RowOutcome, rewarded
from graders_engine.preflight.attacks.catalog import BY_NAME
from graders_engine.preflight.attacks.results import Earned, is_noisy
from graders_engine.preflight.attacks.verdicts import severity_of
from graders_engine.preflight.inputs import GradedSample, Inputs
from graders_engine.preflight.options import Options
from graders_engine.preflight.reward_scale import RewardScale
from graders_engine.preflight.trials import Ask, Trial
from graders_engine.sandbox.base import Limits
from tests.preflight.ask import EXACT, SUMS, ask, found, only
from tests.preflight.attacks.graders import (
    DISEASES,
    JUDGE,
    OUTPUT,
    PEOPLE,
    PLAIN,
    TICKETS,
    check,
    judge_of,
    multi,
    python,
    row,
)

SCALE = RewardScale(0.0, 2.0, floor=0.4)
OPEN_SCALE = RewardScale(0.0, 2.0)
SMALL = RewardScale(0.0, 1.0, floor=0.45)


def trial(reward: float, *again: float) -> Trial:
    one = Ask("attacks", 1, {}, "x", ("empty", "nothing"))
    return Trial(
        one, RowOutcome(0, rewarded(reward)), tuple(RowOutcome(0, rewarded(r)) for r in again)
    )


def earned(name: str, mean: float, low: float, scale: RewardScale) -> Earned:
    return Earned(
        BY_NAME[name], "v", mean, low, mean, scale.share(mean), scale.share(low), scale.gain(mean),
        [trial(mean)] * 12,
    )  # fmt: skip


def sample(reward: float) -> GradedSample:
    return GradedSample(1, 0, {}, "x", reward, None, {}, {}, 1, "p")


def inputs(*baseline: float, noisy: bool = False, **options: Any) -> Inputs:
    again = {"references": [trial(1.0, 0.4)]} if noisy else {}
    return Inputs(Options(**options), samples=[sample(reward) for reward in baseline], trials=again)


@pytest.mark.parametrize(
    ("name", "mean", "low", "severity"),
    [
        ("empty", 1.0, 0.8, "warning"),  # half of the mark, with an interval that reaches 0.4 of it
        ("empty", 1.0, 0.78, "info"),
        ("empty", 0.98, 0.98, "info"),
        ("empty", 0.73, 0.73, "info"),  # a fifth of the way from what ignorance earns to full marks
        ("empty", 0.71, 0.71, None),
        ("prompt-copy", 1.0, 0.8, "warning"),
        ("prompt-copy", 0.98, 0.98, "info"),
        ("prompt-copy", 0.70, 0.70, None),
        ("one-word", 1.5, 1.5, "warning"),
        ("one-word", 1.48, 1.48, "info"),
        ("one-word", 0.88, 0.88, "info"),
        ("one-word", 0.86, 0.86, None),
    ],
)
def test_an_attack_is_as_grave_as_what_it_earns(
    name: str, mean: float, low: float, severity: str | None
) -> None:
    assert severity_of(earned(name, mean, low, SCALE), inputs(), SCALE) == severity


def test_what_needs_the_prompt_must_earn_more_than_ignorance_and_what_has_no_content_need_not() -> (
    None
):
    balanced = RewardScale(0.0, 1.0, floor=0.5, best_constant=0.5)
    assert severity_of(earned("all-candidates", 0.5, 0.45, balanced), inputs(), balanced) is None
    # Half of full marks, and more than ignorance earns, is told of, as `--explain hackable` says.
    assert severity_of(earned("all-candidates", 0.55, 0.5, balanced), inputs(), balanced) == "info"
    assert severity_of(earned("all-candidates", 0.49, 0.4, SMALL), inputs(), SMALL) is None
    assert severity_of(earned("all-candidates", 0.51, 0.4, SMALL), inputs(), SMALL) == "info"
    assert severity_of(earned("empty", 0.5, 0.45, balanced), inputs(), balanced) == "warning"
    assert (
        severity_of(earned("all-candidates", 0.63, 0.5, balanced), inputs(), balanced) == "warning"
    )
    assert severity_of(earned("all-candidates", 0.61, 0.5, balanced), inputs(), balanced) == "info"


def test_full_marks_for_an_attack_are_a_finding_also_where_other_rows_answers_earn_them() -> None:
    blind = RewardScale(0.0, 1.0, floor=1.0)
    assert severity_of(earned("all-tools", 1.0, 0.76, blind), inputs(), blind) == "warning"
    assert severity_of(earned("all-tools", 0.9, 0.76, blind), inputs(), blind) is None


def test_with_nothing_to_compare_to_a_blind_attack_must_earn_three_quarters() -> None:
    for mean, severity in ((1.5, "warning"), (1.48, "info")):
        one = earned("all-tools", mean, mean, OPEN_SCALE)
        assert severity_of(one, inputs(), OPEN_SCALE) == severity


@pytest.mark.parametrize(
    ("name", "mean", "severity"),
    [
        ("empty", 0.41, "warning"),  # above the base model's 0.2 by more than a tenth of the scale
        ("empty", 0.39, None),
        ("prompt-copy", 0.56, "warning"),
        ("prompt-copy", 0.54, None),  # not above other rows' answers
    ],
)
def test_what_earns_more_than_the_base_model_is_a_finding(
    name: str, mean: float, severity: str | None
) -> None:
    one = earned(name, mean, mean, SCALE)
    assert severity_of(one, inputs(0.1, 0.3), SCALE) == severity
    assert severity_of(one, inputs(), SCALE) is None


def test_a_limit_can_be_changed() -> None:
    one = earned("empty", 1.0, 0.9, SCALE)
    assert severity_of(one, inputs(limits={"attack": 0.6}), SCALE) == "info"


def test_with_noise_an_attack_speaks_only_if_the_interval_leaves_no_doubt() -> None:
    assert is_noisy(inputs(noisy=True))
    assert not is_noisy(inputs())
    doubtful, sure = earned("empty", 1.4, 1.1, SCALE), earned("empty", 1.4, 1.25, SCALE)
    assert severity_of(doubtful, inputs(), SCALE) == "warning"
    assert severity_of(doubtful, inputs(noisy=True), SCALE) == "info"
    assert severity_of(sure, inputs(noisy=True), SCALE) == "warning"


@pytest.mark.parametrize(("weight", "severity"), [(0.5, "warning"), (0.45, "info"), (0.15, None)])
def test_form_is_a_finding_if_it_earns_half_of_the_mark(
    weight: float, severity: str | None, tmp_path: Path
) -> None:
    formed = check("ne", "", "{{sample.output_json.name}}")
    right = check("eq", "{{item.expected.name}}", "{{sample.output_json.name}}")
    grader = multi(f"{weight} * formed + {1 - weight} * right", formed=formed, right=right)
    report = ask(
        tmp_path, grader, [{k: v for k, v in p.items() if k != "messages"} for p in PEOPLE]
    )
    severities = [one.severity for one in found(report, "hackable")]
    # Other rows' answers have the same form: what only form earns is compared with nothing else.
    assert severities == ([severity] if severity == "warning" else [])


def test_one_finding_holds_all_attacks_with_numbers_and_a_command(tmp_path: Path) -> None:
    finding = only(
        ask(tmp_path, check("like", OUTPUT, "{{item.answer}}"), DISEASES),
        "hackable",
    )
    assert finding.message == (
        "An empty answer earns 1.00 of 1.00 on 12 rows; a right answer earns 1.00, another row's 0.00."
    )
    assert finding.numbers["right"] == 1.0
    assert finding.numbers["attacks"][0]["attack"] == "empty"
    assert finding.details[0] == 'empty (nothing): 1.00 (0.76 to 1.00): ""'


def test_the_command_that_shows_a_finding_can_be_copied(tmp_path: Path) -> None:
    with Engine() as engine:
        report = engine.preflight(
            check("like", OUTPUT, "{{item.answer}}"),
            train=ask(tmp_path, EXACT, DISEASES).inputs.files[0].path,
            grader_file="my grader.json",
        )
    see = only(report, "hackable").see
    assert see.startswith("graders run --grader '@my grader.json' --item '{")
    assert see.endswith("--model-sample '' --explain")


def test_a_command_that_would_be_too_long_shows_the_attack_instead(tmp_path: Path) -> None:
    long = [row("Read this. " * 200, answer=one["answer"]) for one in DISEASES]
    path = ask(tmp_path, EXACT, long).inputs.files[0].path
    with Engine() as engine:
        report = engine.preflight(
            check("like", OUTPUT, "{{item.answer}}"),
            train=path,
            grader_file="g.json",
        )
    assert (
        only(report, "hackable").see
        == f"graders attack --grader @g.json --data {path} --only empty"
    )


def test_always_the_commonest_label_is_no_attack(tmp_path: Path) -> None:
    rows = [row(f"Is {n} prime?", answer="yes" if n % 2 else "no") for n in range(30)]
    report = ask(tmp_path, check("eq", "{{item.answer}}"), rows)
    assert "hackable" in report.fine


def test_a_guessed_answer_that_earns_nothing_makes_no_finding(tmp_path: Path) -> None:
    grader = python(
        "def grade(s, i):\n return float(s['output_text'] == str(i['sum'])[::-1] + '!')"
    )
    rows = [{"messages": row["messages"], "sum": row["answer"], "label": "x"} for row in SUMS]
    report = ask(tmp_path, grader, rows)
    assert "seems to be an input" in report.not_checked["insensitive"]
    assert "seems to be an input" in report.not_checked["corruption-unnoticed"]


def test_a_small_reward_for_form_is_no_full_mark_where_no_right_answer_is_known(
    tmp_path: Path,
) -> None:
    source = (
        "import json\ndef grade(s, i):\n try:\n  o = json.loads(s['output_text'])\n except ValueError:\n"
        "  return 0.0\n return 5.0 if o == i['goal'] else 0.5"
    )
    report = ask(
        tmp_path, python(source), [{**one, "goal": f"x{n}"} for n, one in enumerate(PLAIN)]
    )
    assert not found(report, "hackable")


def test_without_calls_of_judges_nothing_is_checked(tmp_path: Path) -> None:
    engine = Engine(judges=judge_of(lambda said: 10.0, 10.0))
    report = ask(tmp_path, JUDGE, DISEASES, engine=engine, max_calls=0)
    assert report.not_checked["hackable"] == "no calls of judges are left (--max-calls)"


def test_a_grader_that_hangs_on_long_texts_is_found(tmp_path: Path) -> None:
    grader = python(
        "import re\ndef grade(s, i):\n return float(bool(re.match('(a+)+$', s['output_text'])))"
    )
    engine = Engine(limits=Limits(wall_s=1.0))
    report = ask(tmp_path, grader, PLAIN, engine=engine, attacks=("huge",))
    finding = only(report, "hackable")
    assert finding.severity == "warning"
    assert finding.numbers["stopped"] == 1
    assert "passes a limit" in finding.message


def test_a_grader_that_raises_on_deep_brackets_is_no_finding(tmp_path: Path) -> None:
    grader = python(
        "import json\ndef grade(s, i):\n return float(json.loads(s['output_text']) == i['answer'])"
    )
    report = ask(tmp_path, grader, DISEASES, attacks=("huge", "empty"))
    assert not found(report, "hackable")


def test_the_table_has_every_attack_with_its_variants(tmp_path: Path) -> None:
    report = ask(tmp_path, check("ilike", "{{item.label}}"), TICKETS)
    attacks = {attack["name"]: attack for attack in report.measured["attacks"]}
    assert {"empty", "prompt-copy", "all-candidates", "huge"} <= set(attacks)
    assert attacks["all-candidates"]["kind"] == "blind"
    assert attacks["all-candidates"]["mean"] == 1.0
    variants = {one["name"]: one for one in attacks["all-candidates"]["variants"]}
    assert variants["joined by commas"]["sample"] == '"account, billing, shipping"'
    assert variants["joined by commas"]["rows"] == 12


def test_an_answer_that_was_put_together_and_earns_less_than_an_attack_is_no_full_mark(
    tmp_path: Path,
) -> None:
    grader = multi(
        "min(allowed, 0.3 * topic + 0.7 * text)",
        allowed=python("def grade(s, i):\n return 1.0"),
        topic=check("ilike", "{{item.topic}}"),
        text=check("eq", "{{item.text}}"),
    )
    rows = [
        row("q", topic=TICKETS[n]["label"], text=f"about {one['answer']}")
        for n, one in enumerate(DISEASES)
    ]
    assert not [
        one for one in found(ask(tmp_path, grader, rows), "hackable") if one.severity != "info"
    ]


def test_a_judge_that_repeats_itself_with_other_scores_is_noisy() -> None:
    repeated = Outcome(0.5, 0.5, repeats={"": [0.2, 0.8]})
    one = Trial(Ask("references", 1, {}, "x"), RowOutcome(0, repeated))
    assert is_noisy(Inputs(Options(), trials={"references": [one]}))
