"""Every number of a comparison equals an obvious computation from the result lines alone."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from graders_engine.cli import main as cli
from tests.examples import examples

Line = dict[str, Any]
KEYS = ("one", "other key")
BLAMES = ("sample", "grader", "row", "judge", "infrastructure")
rewards = st.sampled_from((-2.5, 0.0, 0.25, 0.5, 1.0, 8.0)) | st.floats(-10, 10)


@st.composite
def results(draw: st.DrawFn, line: int, sample: int, group: str | None) -> Line:
    """One result of any status, as it stands in a file."""
    blame = draw(st.sampled_from((None, None, None, *BLAMES)))
    found: Line = {
        "line": line,
        "reward": draw(rewards) if blame is None else None,
        "status": "scored",
        "sub_rewards": draw(st.dictionaries(st.sampled_from(KEYS), st.none() | rewards)),
        "flags": {},
        "seconds": 0.0,
    }
    if blame is not None:
        found |= {"status": "failed" if blame == "infrastructure" else "invalid", "blame": blame}
        if draw(st.booleans()):
            found["blames"] = draw(st.dictionaries(st.sampled_from(KEYS), st.sampled_from(BLAMES)))
        if blame != "infrastructure":
            found["served"] = draw(st.just(0.0) | rewards)
    if sample:
        found["sample"] = sample
    return found if group is None else {**found, "group": group}


@st.composite
def runs(draw: st.DrawFn) -> tuple[list[Line], list[Line]]:
    """Two runs over one data set; some rows are in one of them only."""
    sides: tuple[list[Line], list[Line]] = ([], [])
    for line in range(1, draw(st.integers(1, 8)) + 1):
        samples = draw(st.sampled_from((0, 0, 1, 3)))
        group = draw(st.sampled_from(("p", "q", str(line)))) if samples else None
        for sample in range(1, samples + 1) if samples else (0,):
            for side in sides:
                if line == 1 or draw(st.integers(0, 5)):
                    side.append(draw(results(line, sample, group)))
    return sides


def counted(result: Line) -> float | None:
    """What training would see of the model."""
    if result["status"] == "scored":
        return float(result["reward"])
    return float(result["served"]) if result["blame"] in ("sample", "grader") else None


def counted_part(result: Line, key: str) -> float | None:
    """What training would see of the model in one part: a fault of the model or the grader is a 0."""
    value: float | None = result["sub_rewards"].get(key)
    if value is not None or key not in result["sub_rewards"] or result["status"] == "scored":
        return value
    blame = result.get("blames", {}).get(key, result["blame"])
    return 0.0 if blame in ("sample", "grader") else None


def scored(result: Line) -> float | None:
    return result["reward"] if result["status"] == "scored" else None


def hosted(result: Line) -> float | None:
    return result["served"] if result["status"] == "invalid" else scored(result)


def standing(result: Line) -> str:
    return f"invalid by {result['blame']}" if result["status"] == "invalid" else result["status"]


def place(result: Line) -> tuple[int, int]:
    return result["line"], result.get("sample", 0)


def check_mean(shown: Any, values: Sequence[float | None]) -> None:
    known = [value for value in values if value is not None]
    assert (shown is None) == (not known)
    if known:
        assert shown["rows"] == len(known)
        assert shown["value"] == pytest.approx(sum(known) / len(known), abs=1e-9)
        if shown["low"] is not None:
            assert shown["low"] - 1e-9 <= shown["value"] <= shown["high"] + 1e-9


def check_pairs(shown: Any, pairs: Sequence[tuple[float | None, float | None]]) -> None:
    both = [(old, new) for old, new in pairs if old is not None and new is not None]
    assert (shown is None) == (not both)
    if not both:
        return
    check_mean(shown["before"], [old for old, _ in both])
    check_mean(shown["after"], [new for _, new in both])
    changes = [new - old if abs(new - old) > 1e-9 else 0.0 for old, new in both]
    assert shown["difference"]["rows"] == len(both)
    assert shown["difference"]["value"] == pytest.approx(sum(changes) / len(both), abs=1e-9)
    signs = Counter((change > 0) - (change < 0) for change in changes)
    assert (shown["wins"], shown["ties"], shown["losses"]) == (signs[1], signs[0], signs[-1])
    assert 0 <= shown["p_value"] <= 1


def check_against_report(found: Any, side: str, path: Path) -> None:
    """The means of a run are those of its report, with their intervals."""
    report = json.loads(CliRunner().invoke(cli.graders, ["report", str(path), "--json"]).stdout)
    assert found[side]["mean"] == pytest.approx(report["mean"], abs=1e-9)
    for name in ("scored_mean", "hosted_mean"):
        shown = found[side][name]
        expected = report[name]
        assert (shown is None) == (expected is None)
        if expected:
            assert shown["rows"] == expected["rows"]
            assert shown["value"] == pytest.approx(expected["value"], abs=1e-9)
    for key, part in report["sub_rewards"].items():
        assert found["sub_rewards"][key][side] == pytest.approx(part, abs=1e-9)


def shown_for(before: list[Line], after: list[Line]) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("a.jsonl", "b.jsonl")]
        for path, lines in zip(paths, (before, after), strict=True):
            path.write_text("".join(json.dumps(line) + "\n" for line in lines))
            data = {"path": "rows.jsonl", "form": "jsonl", "size": 1, "head": "0"}
            meta = {"grader": {}, "data": data, "settings": {}}
            path.with_name(f"{path.name}.meta.json").write_text(json.dumps(meta))
        arguments = ["compare", *map(str, paths), "--json", "--top", "100", "--force"]
        ended = CliRunner().invoke(cli.graders, arguments)
        found = json.loads(ended.stdout)
        for side, path in zip(("before", "after"), paths, strict=True):
            check_against_report(found, side, path)
    assert ended.exit_code == (1 if found["difference"] is None else 0), ended.output
    return found


@given(runs())
@settings(max_examples=examples(40, 100))
def test_every_number_of_a_comparison_is_the_obvious_one(
    two: tuple[list[Line], list[Line]],
) -> None:
    before, after = two
    shown = shown_for(before, after)
    for side, lines in (("before", before), ("after", after)):
        facts = shown[side]
        statuses = Counter(line["status"] for line in lines)
        assert facts["rows"] == len(lines)
        assert facts["statuses"] == {
            name: statuses[name] for name in ("scored", "invalid", "failed")
        }
        assert facts["blames"] == Counter(line["blame"] for line in lines if "blame" in line)
        check_mean(facts["mean"], [counted(line) for line in lines])
        check_mean(facts["scored_mean"], [scored(line) for line in lines])
        check_mean(facts["hosted_mean"], [hosted(line) for line in lines])
    partners = {place(line): line for line in after}
    pairs = [(line, partners[place(line)]) for line in before if place(line) in partners]
    assert shown["pairs"]["matched"] == len(pairs)
    assert shown["pairs"]["only_before"] == len(before) - len(pairs)
    assert shown["pairs"]["only_after"] == len(after) - len(pairs)
    names = [(standing(old), standing(new)) for old, new in pairs]
    assert shown["moved"] == Counter(f"{old} -> {new}" for old, new in names if old != new)
    assert shown["left_out"] == Counter(
        f"{standing(old)} -> {standing(new)}"
        for old, new in pairs
        if counted(old) is None or counted(new) is None
    )
    check_pairs(shown["difference"], [(counted(old), counted(new)) for old, new in pairs])
    check_pairs(shown["scored"], [(scored(old), scored(new)) for old, new in pairs])
    assert len(shown["status_changes"]) == sum(shown["moved"].values())
    assert set(shown["sub_rewards"]) == {
        key for line in (*before, *after) for key in line["sub_rewards"]
    }
    for key, part in shown["sub_rewards"].items():
        check_mean(part["before"], [counted_part(line, key) for line in before])
        check_mean(part["after"], [counted_part(line, key) for line in after])
        values = [(counted_part(old, key), counted_part(new, key)) for old, new in pairs]
        changes = [new - old for old, new in values if old is not None and new is not None]
        check_mean(part["difference"], changes)
