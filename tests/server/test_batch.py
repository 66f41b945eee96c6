"""`run_batch`: one grader, many rows, results in order."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graders_engine.compiled import scope_reader
from graders_engine.errors import InvalidRow
from graders_engine.language.scope import Scope
from graders_engine.server.batch import scope_of_text
from tests.server.serving import (
    BATCH,
    CHECK,
    RUN,
    SLEEPER,
    Server,
    eventually,
    python,
    raw_request,
    serving,
)

SUM = python("return item['n'] + len(sample['output_text'])")
NDJSON = "application/x-ndjson"


def rows_of(count: int) -> list[dict[str, Any]]:
    return [
        {"item": {"n": n, "label": "cat"}, "model_sample": "cat" * (n % 2)} for n in range(count)
    ]


def rewards(results: list[dict[str, Any]]) -> list[float]:
    return [result["reward"] for result in results]


VALUES = st.none() | st.integers(0, 9) | st.text(max_size=3) | st.just({"output_text": "x"})
KEYS = st.sampled_from(["item", "model_sample", "sample", "reference_answer", "other"])


def read_by(reader: Callable[[Any], Scope], row: Any) -> Any:
    try:
        scope = reader(row)
    except InvalidRow as error:
        return str(error)
    return scope.item, scope.output_text, scope.sample()


@given(st.dictionaries(KEYS, VALUES) | VALUES)
def test_a_row_is_read_as_data_sets_read_it_but_for_an_output_under_the_other_key(row: Any) -> None:
    text = msgspec.Raw(json.dumps(row).encode())
    given = row if isinstance(row, dict) else {}
    if isinstance(given.get("model_sample"), dict) or isinstance(given.get("sample"), str):
        with pytest.raises(InvalidRow):
            scope_of_text(text)
        return
    assert read_by(scope_of_text, text) == read_by(scope_reader(None), row)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"model_sample": {"output_text": "cat"}}, "a whole sample object goes into `sample`"),
        ({"sample": "cat"}, "text goes into `model_sample`"),
    ],
)
def test_a_batch_refuses_an_output_under_the_other_key_as_a_single_run_does(
    server: Server, row: dict[str, Any], words: str
) -> None:
    row = {"item": {"label": "cat"}, **row}
    (result,) = server.post(BATCH, {"grader": CHECK, "rows": [row]}).json["results"]
    assert words in result["error"]["message"]
    alone = server.post(RUN, {"grader": CHECK, **row})
    assert alone.status == 400
    assert words in alone.error["message"]


@pytest.mark.parametrize("grader", [CHECK, SUM], ids=["at once", "waiting"])
def test_the_results_are_those_of_single_runs_in_the_rows_order(
    server: Server, grader: dict[str, Any]
) -> None:
    rows = rows_of(40)
    singles = [server.post(RUN, {"grader": grader, **row}).json["reward"] for row in rows]
    answer = server.post(BATCH, {"grader": grader, "rows": rows})
    assert answer.status == 200
    assert rewards(answer.json["results"]) == singles


@pytest.mark.parametrize("grader", [CHECK, SUM], ids=["at once", "waiting"])
def test_asked_for_ndjson_it_sends_a_line_a_row(server: Server, grader: dict[str, Any]) -> None:
    rows = rows_of(300)
    whole = server.post(BATCH, {"grader": grader, "rows": rows}).json["results"]
    answer = server.post(BATCH, {"grader": grader, "rows": rows}, accept=NDJSON)
    assert answer.headers["content-type"] == NDJSON
    assert answer.headers["x-request-id"].startswith("req_")
    lines = [json.loads(line) for line in answer.body.splitlines()]
    assert rewards(lines) == rewards(whole)
    assert all(list(line) == list(whole[0]) for line in lines)


def test_lines_come_while_later_rows_are_still_graded(server: Server) -> None:
    body = json.dumps({"grader": SLEEPER, "rows": [
        {"item": {"seconds": 0}, "model_sample": ""}, {"item": {"seconds": 60}, "model_sample": ""},
    ]}).encode()  # fmt: skip
    with server.connect(timeout_s=30) as connection:  # long before the second row is done
        connection.sendall(raw_request(BATCH, body, f"Accept: {NDJSON}"))
        received = b""
        while b'"reward":1.0' not in received:
            received += connection.recv(65_536)
        assert received.count(b'"reward"') == 1
    assert eventually(lambda: server.metric("graders_sandbox_calls_running") == 0)


def test_a_row_that_is_none_has_an_error_for_a_result_and_the_others_keep_theirs(
    server: Server,
) -> None:
    good = {"item": {"label": "cat"}, "model_sample": "cat"}
    rows = [good, 7, {"item": {}}, {**good, "sample": {}}, {**good, "model_sample": 5}, good]
    for grader in (CHECK, python("return 1.0")):
        results = server.post(BATCH, {"grader": grader, "rows": rows}).json["results"]
        assert [result.get("reward") for result in results] == [1.0, None, None, None, None, 1.0]
        assert [result["error"]["param"] for result in results[1:5]] == [
            f"rows[{index}]" for index in range(1, 5)
        ]
        assert "but this is an integer" in results[1]["error"]["message"]


def test_a_row_that_only_the_standard_library_can_read_is_graded(server: Server) -> None:
    row = b'{"item": {"label": "\\ud800"}, "model_sample": "\\ud800"}'
    body = b'{"grader": %b, "rows": [%b]}' % (json.dumps(CHECK).encode(), row)
    assert rewards(server.post(BATCH, body).json["results"]) == [1.0]


def test_no_rows_are_no_results(server: Server) -> None:
    answer = server.post(BATCH, {"grader": CHECK, "rows": []}).json
    assert answer["results"] == []
    assert answer["counts"] == {
        "scored": 0, "invalid": 0, "failed": 0, "errors": 0,
        "blame": {"sample": 0, "grader": 0, "row": 0, "judge": 0, "infrastructure": 0},
    }  # fmt: skip
    assert server.post(BATCH, {"grader": CHECK, "rows": []}, accept=NDJSON).body == b""


def test_a_wrong_grader_refuses_the_whole_batch_before_its_first_row(server: Server) -> None:
    for grader in ({**CHECK, "operation": "bogus"}, python("return ((")):
        answer = server.post(BATCH, {"grader": grader, "rows": rows_of(3)}, accept=NDJSON)
        assert answer.status == 400
        assert answer.error["code"] == "invalid_value"


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"grader": CHECK}, "rows", "missing_required_parameter"),
        ({"rows": []}, "grader", "missing_required_parameter"),
        ({"grader": CHECK, "rows": {}}, "rows", "invalid_type"),
        ({"grader": CHECK, "rows": [], "row": 1}, "row", "unknown_parameter"),
        ([], "body", "invalid_type"),
    ],
    ids=str,
)
def test_a_body_of_another_shape_is_refused(
    server: Server, body: Any, param: str, code: str
) -> None:
    answer = server.post(BATCH, body)
    assert answer.status == 400
    assert (answer.error["param"], answer.error["code"]) == (param, code)


@pytest.mark.parametrize("accept", ["application/json", NDJSON])
def test_the_deadline_leaves_an_error_for_each_row_that_it_cuts_off(
    tmp_path: Path, accept: str
) -> None:
    seconds = (0, 60, 60)
    rows = [{"item": {"seconds": s}, "model_sample": ""} for s in seconds]
    with serving(tmp_path, "--deadline-s", "3") as server:
        answer = server.post(BATCH, {"grader": SLEEPER, "rows": rows}, accept=accept)
        results = (
            [json.loads(line) for line in answer.body.splitlines()]
            if accept == NDJSON
            else answer.json["results"]
        )
        assert answer.status == 200
        assert results[0]["reward"] == 1.0
        assert [result["error"]["code"] for result in results[1:]] == ["deadline_exceeded"] * 2
        assert eventually(lambda: server.metric("graders_sandbox_calls_running") == 0)
        assert server.is_well()


@pytest.mark.parametrize("accept", ["application/json", NDJSON])
def test_a_batch_graded_in_turn_has_one_result_a_row_when_the_deadline_cuts_it_off(
    tmp_path: Path, accept: str
) -> None:
    """The deadline has passed when it is looked at first, which is after the rows of the first 10 ms."""
    words = " ".join(f"word{number}" for number in range(800))
    grader = {
        "type": "text_similarity",
        "name": "slow",
        "input": "{{sample.output_text}}",
        "reference": "{{item.text}}",
        "evaluation_metric": "meteor",
    }
    rows = [{"item": {"text": words[::-1]}, "model_sample": words}] * 400
    with serving(tmp_path, "--deadline-s", "0.000001") as server:
        answer = server.post(BATCH, {"grader": grader, "rows": rows}, accept=accept)
        results = (
            [json.loads(line) for line in answer.body.splitlines()]
            if accept == NDJSON
            else answer.json["results"]
        )
    graded = [index for index, result in enumerate(results) if "reward" in result]
    cut_off = [result["error"]["param"] for result in results if "error" in result]
    assert graded == list(range(len(graded)))
    assert graded
    assert cut_off == [f"rows[{index}]" for index in range(len(graded), len(rows))]
    assert cut_off


def test_each_result_says_who_is_to_blame_and_the_answer_how_many(server: Server) -> None:
    good = {"item": {"label": "cat"}, "model_sample": '{"a": "cat"}'}
    rows = [good, {**good, "model_sample": "prose"}, {**good, "item": {}}, 7]
    for grader in (
        {**CHECK, "input": "{{sample.output_json.a}}"},
        python("return item['label'] == sample['output_json']['a']"),
    ):
        answer = server.post(BATCH, {"grader": grader, "rows": rows})
        blames = [result.get("blame", "an error") for result in answer.json["results"]]
        if grader["type"] == "python":
            assert blames == [None, "grader", "grader", "an error"]
        else:
            assert blames == [None, "sample", "row", "an error"]
        counts = answer.json["counts"]
        assert counts.pop("blame") == {
            blame: blames.count(blame) + (blame == "row")  # the one that is no row
            for blame in ("sample", "grader", "row", "judge", "infrastructure")
        }
        assert counts == {"scored": 1, "invalid": 2, "failed": 0, "errors": 1}
        lines = server.post(BATCH, {"grader": grader, "rows": rows}, accept=NDJSON).body
        assert [json.loads(line).get("blame", "an error") for line in lines.splitlines()] == blames


@pytest.mark.parametrize("grader", [CHECK, SUM], ids=["at once", "waiting"])
@pytest.mark.parametrize("key", ["samples", "model_samples", "model_sample", "sample"])
def test_a_row_with_a_list_of_samples_is_told_to_be_a_row_for_each(
    server: Server, grader: dict[str, Any], key: str
) -> None:
    rows = [{"item": {"label": "cat", "n": 0}, key: ["cat", "dog"]}, *rows_of(1)]
    answer = server.post(BATCH, {"grader": grader, "rows": rows}).json
    message = answer["results"][0]["error"]["message"]
    assert f"a list of them in `{key}`: send a row for each of them" in message
    assert (answer["counts"]["errors"], answer["counts"]["blame"]["row"]) == (1, 1)


def test_a_single_run_has_the_keys_of_the_hosted_service_only(server: Server) -> None:
    for sample in ("cat", "dog"):
        answer = server.post(RUN, {"grader": CHECK, "item": {}, "model_sample": sample})
        assert "blame" not in answer.json


def test_the_counts_are_those_of_the_results_when_the_deadline_cuts_rows_off(
    tmp_path: Path,
) -> None:
    """The last rows are graded while the second one runs, but the deadline takes their results."""
    rows = [{"item": {"seconds": s}, "model_sample": ""} for s in (0, 60, 0, 0)]
    with serving(tmp_path, "--deadline-s", "3") as server:
        answer = server.post(BATCH, {"grader": SLEEPER, "rows": rows})
    assert ["reward" in result for result in answer.json["results"]] == [True, False, False, False]
    counts = answer.json["counts"]
    assert not any(counts.pop("blame").values())
    assert counts == {"scored": 1, "invalid": 0, "failed": 0, "errors": 3}


def test_rows_that_change_each_others_rewards_refuse_the_whole_batch(tmp_path: Path) -> None:
    leaky = python("import sys; sys.runs = getattr(sys, 'runs', 0) + 1; return sys.runs")
    body = {"grader": leaky, "rows": rows_of(200)}
    with serving(tmp_path, "--python-isolation", "worker") as server:
        answer = server.post(BATCH, body)
        assert answer.status == 400, answer.json
        assert answer.json["error"]["code"] == "rewards_differ"
        assert answer.json["error"]["message"].startswith("Row ")
        again = server.post(BATCH, body)
        assert rewards(again.json["results"]) == [1.0] * 200
