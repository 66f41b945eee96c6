"""What the line `gameable?` says, which stands for all that was found under that question."""

from __future__ import annotations

from pathlib import Path

from graders_engine.preflight.report import PreflightReport
from graders_engine.report.preflight_verdicts import Verdict, verdicts
from tests.preflight.ask import ask, only
from tests.preflight.attacks.graders import DISEASES, check, multi, row
from tests.preflight.attacks.test_filled_fields import TICKETS


def gameable(report: PreflightReport) -> Verdict:
    (found,) = (one for one in verdicts(report) if one.question == "Gameable?")
    return found


def test_the_line_names_the_worst_that_was_found_also_where_it_takes_the_right_answer(
    tmp_path: Path,
) -> None:
    report = ask(tmp_path, check("like", "{{item.answer}}"), DISEASES)
    assert only(report, "insensitive").severity == "warning"
    line = gameable(report).line
    assert "insensitive: hedge, made of the right answer, 1.00 of 1; without that answer, " in line
    assert line.index("hedge") < line.index("best of ")


def test_half_of_full_marks_is_never_fine_where_ignorance_earns_less(tmp_path: Path) -> None:
    grader = multi(
        "0.4 * kind + 0.3 * place + 0.3 * name",
        kind=check("ilike", "{{item.out.kind}}", "{{sample.output_json.kind}}"),
        place=check("eq", "{{item.out.place}}", "{{sample.output_json.place}}"),
        name=check("eq", "{{item.out.name}}", "{{sample.output_json.name}}"),
    )
    out = [
        {"kind": "ab"[n % 7 == 1], "place": "xy"[n % 3 == 1], "name": f"n{n}"} for n in range(40)
    ]
    rows = [row(f"q {n}", out=one) for n, one in enumerate(out)]
    report = ask(tmp_path, grader, rows)
    best = max(report.measured["attacks"], key=lambda one: one["mean"])
    assert best["name"] == "all-candidates"
    assert best["share"] >= 0.5
    assert 0.01 < best["gain"] < 0.2
    assert only(report, "hackable").severity == "info"
    assert gameable(report).state == "info"
    assert f"(ignorance {report.measured['scale']['honest']:.2f})" in gameable(report).line


def test_the_line_says_what_the_base_model_earns_where_an_attack_earns_more(tmp_path: Path) -> None:
    grader = check("ilike", "{{item.team}}", "{{sample.output_json.team}}")
    samples = [{**one, "model_sample": '{"team": "billing"}'} for one in TICKETS]
    report = ask(tmp_path, grader, TICKETS, samples=samples)
    assert "1.00 of 1 (base model 0.3" in gameable(report).line
