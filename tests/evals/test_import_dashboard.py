"""Lines of the dashboard's download in a store: outputs, verdicts, and what is not known of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from graders_engine.cli.main import graders
from graders_engine.evals.hosted.dashboard import GivenGrader
from graders_engine.evals.hosted.into_store import StoreImport, import_into
from graders_engine.evals.run.items import OutputItems
from graders_engine.outputs.hosted import hosted_item_and_sample
from graders_engine.storage.pages import Page
from graders_engine.storage.runs import StoredRun
from graders_engine.storage.store import Store
from tests.dataset.test_evals_dashboard import MATCH, line

UUID = "-0b0b0b0b-1111-2222-3333-444444444444"
MESSAGE = {"role": "assistant", "content": "Cusco"}
COMPLETION = {"choices": [{"message": MESSAGE, "finish_reason": "length"}], "model": "m"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as opened:
        yield opened


def put(store: Store, lines: list[Any], *given: GivenGrader) -> StoreImport:
    file = store.folder.parent / "export.jsonl"
    texts = (one if isinstance(one, str) else json.dumps(one) for one in lines)
    file.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return import_into(store, "default", [file], given, now=1_800_000_000)


def run_of(store: Store) -> StoredRun:
    found = store.runs.find("evalrun_7")
    assert found is not None
    return found


def items_of(store: Store) -> list[dict[str, Any]]:
    return list(OutputItems(store).page(run_of(store), Page(limit=1000)).data)


def bare(grades: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A line without verdicts."""
    kept = line(0, "4", grades, **more)
    return {key: value for key, value in kept.items() if key != "passes"}


@pytest.mark.parametrize(
    ("sample", "finish_reason", "model"),
    [
        ({**COMPLETION, "output_text": "Cusco"}, "length", "m"),
        (COMPLETION, "length", "m"),
        ({"output_text": "Cusco", "sampled_model_name": "m", "finish_reason": "stop"}, "stop", "m"),
        ({"outputs": [MESSAGE], "finish_reason": "stop"}, "stop", ""),
        ({"trajectory": [{"role": "user", "content": "asked"}, MESSAGE]}, "stop", ""),
    ],
    ids=["choices and text", "choices", "text", "outputs", "trajectory"],
)
def test_what_is_graded_of_a_line_is_the_output_of_its_item(
    store: Store, sample: dict[str, Any], finish_reason: str, model: str
) -> None:
    given = line(0, "", {"Match": 1.0}, sample=sample)
    assert hosted_item_and_sample(given)[1]
    put(store, [given])
    (item,) = items_of(store)
    (message,) = item["sample"]["output"]
    assert (message["role"], message["content"]) == ("assistant", "Cusco")
    assert (item["sample"]["finish_reason"], item["sample"]["model"]) == (finish_reason, model)
    assert MESSAGE not in item["sample"]["input"]
    assert item["sample"]["error"] is None
    assert run_of(store).model == model


def test_a_sample_that_cannot_be_read_is_an_error_and_is_named(store: Store) -> None:
    done = put(store, [line(0, "", {"Match": 1.0}, sample={"strange": {"form": 1}})])
    (item,) = items_of(store)
    assert item["sample"]["error"]["code"] == "unknown_form"
    assert "run evalrun_7: 1 output item has a sample that cannot be read" in "\n".join(done.notes)


@pytest.mark.parametrize(
    ("grade", "score", "passed"),
    [
        (1.0, 1.0, True),
        (0, 0, False),
        (True, 1.0, True),
        (False, 0.0, False),
        ({"score": 1, "passed": True}, 1, True),
        ({"score": 0.5}, 0.5, False),
    ],
    ids=str,
)
def test_a_grade_without_a_verdict_has_that_of_the_criterions_threshold(
    store: Store, grade: Any, score: float, *, passed: bool
) -> None:
    done = put(store, [bare({f"Match{UUID}": grade})], GivenGrader("g.json", MATCH))
    (item,) = items_of(store)
    (result,) = item["results"]
    assert (result["score"], result["passed"]) == (score, passed)
    assert item["status"] == ("pass" if passed else "fail")
    assert run_of(store).result["result_counts"]["passed" if passed else "failed"] == 1
    assert "verdict" not in "\n".join(done.notes)


def test_the_threshold_of_a_criterion_is_its_own(store: Store) -> None:
    judge = {
        "type": "score_model", "name": "Judge", "model": "m", "range": [0, 10], "pass_threshold": 6,
        "input": [{"role": "user", "content": "x"}],
    }  # fmt: skip
    lines = [bare({"Judge": score}) for score in (5, 6)]
    put(store, lines, GivenGrader("g.json", judge))
    assert [one["status"] for one in items_of(store)] == ["fail", "pass"]


def test_the_lines_own_verdict_counts_more_than_the_threshold(store: Store) -> None:
    put(store, [line(0, "4", {"Match": 0.0})], GivenGrader("g.json", MATCH))
    assert [one["status"] for one in items_of(store)] == ["pass"]


@pytest.mark.parametrize(
    ("given", "grade", "why"),
    [
        ((), 1.0, "no criterion that says what passes"),
        ((GivenGrader("g.json", MATCH),), None, "there is no score"),
        ((GivenGrader("g.json", MATCH),), "good", "there is no score"),
    ],
    ids=["no criterion", "no score", "a word"],
)
def test_a_verdict_that_nothing_says_is_named_and_its_criterion_is_listed(
    store: Store, given: tuple[GivenGrader, ...], grade: Any, why: str
) -> None:
    notes = "\n".join(put(store, [bare({"Match": grade})], *given).notes)
    assert "run evalrun_7: 1 output item has no verdict of 'Match', and counts as errored" in notes
    assert why in notes
    result = run_of(store).result
    assert result["result_counts"] == {"total": 1, "passed": 0, "failed": 0, "errored": 1}
    assert result["per_testing_criteria_results"] == [
        {"testing_criteria": "Match", "passed": 0, "failed": 0}
    ]


def test_lines_of_an_export_that_are_nothing_known_are_named_with_their_count(store: Store) -> None:
    unknown = [{"foo": 1}, {"object": "eval.thing", "id": "x"}, [], "s"]
    page = {"object": "list", "data": [], "has_more": False}
    done = put(store, [line(0, "4", {"Match": 1.0}), page, *({"foo": 1}, *unknown[1:]), "{"])
    said = "\n".join(done.notes)
    assert "line 3 (and " in said
    assert "There is no eval, no run and no output item in it." in said
    assert "not JSON" in said


UNKNOWN = {"object": "eval.thing", "id": "x"}


def page(*parts: object) -> dict[str, object]:
    return {"object": "list", "data": parts, "has_more": False}


@pytest.mark.parametrize(
    ("value", "lost"),
    [
        (page(line(0, "4", {"Match": 1.0}), UNKNOWN), 1),
        (page(UNKNOWN, {"foo": 1}, line(0, "4", {"Match": 1.0})), 2),
        ({"items": page(line(0, "4", {"Match": 1.0})), "others": page(UNKNOWN, UNKNOWN)}, 2),
        ({"pages": [page(line(0, "4", {"Match": 1.0})), page(UNKNOWN), page()]}, 1),
        ({"lists": [[line(0, "4", {"Match": 1.0})], [UNKNOWN]]}, 1),
        ({"items": page(line(0, "4", {"Match": 1.0})), "about": {"made": [{"by": "me"}]}}, 0),
        (page(line(0, "4", {"Match": 1.0})), 0),
    ],
)
def test_what_is_unknown_beside_objects_in_a_list_is_counted(
    store: Store, value: object, lost: int
) -> None:
    said = "\n".join(put(store, [value]).notes)
    sentence = "An object in a list of them is no eval, no run and no output item."
    assert (sentence in said) == bool(lost)
    assert ("(and 1 more like it)" in said) == (lost == 2)
    assert len(items_of(store)) == 1


@pytest.mark.parametrize("option", ["--into", "--out"])
def test_an_import_that_lost_lines_ends_as_failed(option: str, tmp_path: Path) -> None:
    export = tmp_path / "export.jsonl"
    values = [line(0, "4", {"Match": 1.0}), {"foo": 1}]
    export.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    ended = CliRunner().invoke(
        graders, ["import", "evals", str(export), option, str(tmp_path / "evals")]
    )
    assert ended.exit_code == 1
    assert "1 line of the export could not be read" in ended.stderr
    assert "line 2" in (tmp_path / "evals" / "IMPORT.md").read_text(encoding="utf-8")
