"""The page of what preflight found."""

from __future__ import annotations

import json
import re
from pathlib import Path

from graders_engine.report.html.ladder import as_written, ladder_of
from graders_engine.report.html.preflight import preflight_page
from tests.preflight.ask import EXACT, SUMS, ask

CONTAINS = {**EXACT, "operation": "ilike"}
HOSTILE = "</pre><script>document.title = 'taken'</script> \u202e"


def test_the_strip_answers_the_five_questions_and_tells_found_fine_and_not_checked_apart(
    tmp_path: Path,
) -> None:
    page = preflight_page(ask(tmp_path, CONTAINS))
    strip = re.search(r'<dl class="verdicts">(.*?)</dl>', page, re.DOTALL)
    assert strip
    states = re.findall(r'<div class="(\w+)"><dt>(.*?)</dt>', strip[1])
    assert [question for _, question in states] == [
        "Valid?", "Fair?", "Anything to learn?", "Gameable?", "Cost?",
    ]  # fmt: skip
    found = {question: state for state, question in states}
    assert found["Valid?"] == "fine"
    assert found["Anything to learn?"] == "unknown"
    assert found["Gameable?"] == "warning"
    assert "No --samples." in strip[1]


def test_hostile_texts_are_shown_escaped_and_nothing_is_loaded(tmp_path: Path) -> None:
    rows = [{**row, "answer": f"{HOSTILE} {row['answer']}"} for row in SUMS]
    page = preflight_page(ask(tmp_path, {**EXACT, "name": HOSTILE}, rows))
    assert "<script" not in page
    assert "\u202e" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"""(?:src|href)=["'](?!#|data:)""", page)
    assert " style=" not in page
    assert "script-src" not in page  # `default-src 'none'` refuses scripts


def test_ignored_findings_stand_on_the_page_with_their_reason(tmp_path: Path) -> None:
    page = preflight_page(ask(tmp_path, CONTAINS, ignore={"hackable": "meant <so>"}))
    assert "meant &lt;so&gt;" in page
    assert 'id="ignored"' in page


def test_a_grader_that_cannot_be_used_has_a_page_too(tmp_path: Path) -> None:
    page = preflight_page(ask(tmp_path, {**EXACT, "operation": "eqq"}))
    assert "invalid-grader" in page
    assert 'id="ladder"' not in page


def test_the_ladder_has_one_scale_for_negative_rewards_too() -> None:
    measured = {
        "scale": {"lowest": -1.0, "full": 3.0},
        "references": {"mean": 3.0, "low": 2.0, "high": 3.0},
        "floor": {"mean": -1.0},
        "corruptions": [
            {"operator": "number", "mean": 1.0, "count": 3},
            {"operator": "number", "mean": 2.0, "count": 1},
        ],
        "attacks": [
            {"name": "empty", "kind": "free", "mean": 0.5, "low": 0.0, "high": 1.0},
            {"name": "huge", "kind": "robustness", "mean": 0.0, "low": 0.0, "high": 1.0},
        ],
    }
    ladder = ladder_of(measured)
    assert ladder
    assert [(rung.label, rung.mean) for rung in ladder.rungs] == [
        ("right answers", 3.0), ("number", 1.25), ("other rows' answers", -1.0), ("empty", 0.5),
    ]  # fmt: skip
    right, _, other, _ = map(ladder.bar, ladder.rungs)
    assert right == (25.0, 75.0)
    assert other == (0.0, 25.0)


def test_samples_are_shown_as_a_model_writes_them() -> None:
    text = 'say "x" \\ '
    assert as_written(json.dumps(text)) == text
    assert as_written('"a \\"b\\…') == 'a "b…'
    assert as_written('""') == "(nothing)"
    assert as_written("[1]") == "[1]"
