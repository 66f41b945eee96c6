"""Lines of the Batch API are joined by `custom_id`, and ids that both files have are never mixed up."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from graders_engine import Engine
from graders_engine.cli import main as cli
from graders_engine.dataset.rows.read import open_data
from graders_engine.errors import InvalidRequest
from tests.dataset.files import graded_with_outputs, write_rows
from tests.dataset.shapes_cases import CALL, completion

CHECK = {
    "type": "string_check",
    "operation": "eq",
    "input": "{{sample.output_text}}",
    "reference": "{{item.label}}",
}
graded = partial(graded_with_outputs, CHECK)


def line(custom_id: str, text: str, **more: Any) -> dict[str, Any]:
    body = completion(text)
    response = {"status_code": 200, "request_id": "r", "body": body}
    return {
        "id": f"batch_req_{custom_id}",
        "custom_id": custom_id,
        "response": response,
        "error": None,
        **more,
    }


def response(*output: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "model": "m",
        "output": list(output),
        **more,
    }


def said(*texts: str) -> dict[str, Any]:
    parts = [{"type": "output_text", "text": text, "annotations": []} for text in texts]
    return {"type": "message", "role": "assistant", "status": "completed", "content": parts}


REASONING = {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "why"}]}


ROWS = [{"custom_id": f"r{number}", "label": str(number)} for number in range(1, 4)]


def test_lines_in_any_order_belong_to_the_rows_with_their_id(tmp_path: Path) -> None:
    outputs = [line("r3", "3"), line("r1", "1"), line("r2", "2")]
    assert graded(tmp_path, ROWS, outputs) == [("scored", 1.0, "")] * 3


def test_the_requests_of_a_batch_may_be_the_rows(tmp_path: Path) -> None:
    rows = [
        {
            **row,
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"messages": []},
        }
        for row in ROWS
    ]
    outputs = [line("r2", "2"), line("r3", "3"), line("r1", "1")]
    assert graded(tmp_path, rows, outputs) == [("scored", 1.0, "")] * 3


def test_the_id_may_be_in_the_item_of_a_row(tmp_path: Path) -> None:
    rows = [{"item": row} for row in ROWS[:2]]
    assert graded(tmp_path, rows, [line("r2", "2"), line("r1", "1")]) == [("scored", 1.0, "")] * 2


def test_lines_without_rows_of_their_ids_are_not_joined_by_position(tmp_path: Path) -> None:
    rows = [{"key": row["custom_id"], "label": row["label"]} for row in ROWS]
    outputs = [line("r2", "2"), line("r1", "1"), line("r3", "3")]
    with pytest.raises(InvalidRequest) as refused:
        graded(tmp_path, rows, outputs)
    assert "--join-on KEY=custom_id" in str(refused.value)
    assert "their keys: key, label" in str(refused.value)
    assert graded(tmp_path, rows, outputs, join_on="key=custom_id") == [("scored", 1.0, "")] * 3


FAILED = {
    "error of the line": {"response": None, "error": {"code": "expired", "message": "expired"}},
    "status code": {
        "response": {"status_code": 500, "body": {"error": {"message": "server is down"}}}
    },
    "status code alone": {"response": {"status_code": 503, "body": {}}},
}


@pytest.mark.parametrize("failure", FAILED.values(), ids=FAILED)
def test_a_failed_request_is_a_row_without_an_output_and_no_zero(
    failure: dict[str, Any], tmp_path: Path
) -> None:
    first, second, third = graded(
        tmp_path, ROWS, [line("r3", "3"), line("r2", "", **failure), line("r1", "1")]
    )
    assert first == third == ("scored", 1.0, "")
    assert second[0] == "failed"
    assert "There is no output, but an error" in second[2]


def test_a_missing_line_is_named_and_its_neighbours_keep_their_outputs(tmp_path: Path) -> None:
    first, second, third = graded(tmp_path, ROWS, [line("r3", "3"), line("r1", "1")])
    assert first == third == ("scored", 1.0, "")
    assert second[0] == "invalid"
    assert "No output has the id 'r2'" in second[2]
    assert "error file" in second[2]


def test_of_two_lines_with_one_id_the_one_with_an_output_counts_and_two_are_refused(
    tmp_path: Path,
) -> None:
    failed = line("r1", "", response=None, error={"message": "expired"})
    assert graded(tmp_path, ROWS[:1], [failed, line("r1", "1")]) == [("scored", 1.0, "")]
    ((status, _, reason),) = graded(tmp_path, ROWS[:1], [line("r1", "1"), line("r1", "2")])
    assert status == "invalid"
    assert "Several different outputs have the `custom_id` of this row" in reason
    several = graded(tmp_path, ROWS[:1], [line("r1", "1"), line("r1", "2")], join_on="custom_id")
    assert [reward for _, reward, _ in several] == [1.0, 0.0]


@pytest.mark.parametrize("join_on", [None, "custom_id", "key=custom_id"])
def test_a_line_that_is_there_twice_is_one_sample(join_on: str | None, tmp_path: Path) -> None:
    rows = [{**row, "key": row["custom_id"]} for row in ROWS]
    outputs = [line("r1", "1"), line("r2", "2"), line("r3", "no")]
    found = graded(tmp_path, rows, outputs * 2, join_on=join_on)
    assert [reward for _, reward, _ in found] == [1.0, 1.0, 0.0]


@pytest.mark.parametrize("join_on", [None, "key=custom_id"])
def test_of_two_lines_with_one_id_none_is_preferred(join_on: str | None, tmp_path: Path) -> None:
    """Without a key that is named nothing says that both are samples; with one they are."""
    rows = [{**ROWS[0], "key": "r1"}]
    failed = line("r1", "", response=None, error={"message": "expired"})
    outputs = [failed, line("r1", "1"), line("r1", "1"), failed]
    assert graded(tmp_path, rows, outputs, join_on=join_on) == [("scored", 1.0, "")]
    found = graded(tmp_path, rows, [line("r1", "1"), line("r1", "2")], join_on=join_on)
    if join_on:
        assert [reward for _, reward, _ in found] == [1.0, 0.0]
        return
    ((status, _, reason),) = found
    assert status == "invalid"
    assert reason.endswith("If they are samples of one prompt, pass --join-on custom_id.")


def test_a_wrong_key_for_lines_of_a_batch_is_told_the_right_one(tmp_path: Path) -> None:
    rows = [{"id": "r1", "label": "1"}]
    found = graded(tmp_path, rows, [line("r1", "1")], join_on="id")
    assert "No output has the id 'r1'" in found[0][2]
    assert "pass --join-on id=custom_id." in found[0][2]


def test_an_output_without_a_row_is_not_counted_as_a_row_in_the_warning(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", ROWS[:2])
    outputs = write_rows(tmp_path / "outputs.jsonl", [line(f"r{n}", str(n)) for n in (1, 2, 3)])
    said = CliRunner().invoke(
        cli.graders,
        ["score", "--grader", json.dumps(CHECK), "--data", str(rows), "--outputs", str(outputs),
         "--out", str(tmp_path / "out.jsonl")],
    ).stdout  # fmt: skip
    assert said.startswith("33.3 % of 2 rows and the outputs without a row have no reward because")


def test_ids_that_both_files_have_in_another_order_are_not_joined_by_position(
    tmp_path: Path,
) -> None:
    rows = [{"id": number, "label": str(number)} for number in range(30)]
    outputs = [{"id": number, "text": str(number)} for number in range(30)]
    assert graded(tmp_path, rows, outputs) == [("scored", 1.0, "")] * 30
    for shuffled in (outputs[::-1], outputs[25:] + outputs[:25]):
        with pytest.raises(InvalidRequest, match="--join-on id"):
            graded(tmp_path, rows, shuffled)
    assert graded(tmp_path, rows, outputs[::-1], join_on="id") == [("scored", 1.0, "")] * 30


def test_a_missing_output_is_told_in_its_place_where_both_files_have_ids(tmp_path: Path) -> None:
    rows = [{"id": number, "label": str(number)} for number in range(30)]
    outputs = [{"id": number, "text": str(number)} for number in range(30) if number != 25]
    found = graded(tmp_path, rows, outputs)
    assert [status for status, _, _ in found] == ["scored"] * 25 + ["invalid"] * 5
    assert "the `id` 26, but the row has 25: join them with --join-on id" in found[25][2]


def test_ids_that_an_api_gives_to_its_answers_are_no_ids_of_rows(tmp_path: Path) -> None:
    rows = [{"id": "a", "label": "1"}, {"id": "b", "label": "2"}]
    assert graded(tmp_path, rows, [completion("1"), completion("2")]) == [("scored", 1.0, "")] * 2
    others = [{"id": "x7", "text": "1"}, {"id": "x8", "text": "2"}]
    assert graded(tmp_path, rows, others) == [("scored", 1.0, "")] * 2


RESPONSES = {
    "alone": response(said("1")),
    "after its reasoning": response(REASONING, said("1")),
    "with parts": response(said("", "1")),
    "without its object": {"output": [REASONING, said("1")]},
    "in a line of a batch": line(
        "r1", "", response={"status_code": 200, "body": response(said("1"))}
    ),
    "in a sample": {"sample": response(REASONING, said("1"))},
    "its items alone": [REASONING, said("1")],
    "one item": said("1"),
}


@pytest.mark.parametrize("output", RESPONSES.values(), ids=RESPONSES)
def test_a_response_is_one_sample(output: Any, tmp_path: Path) -> None:
    rows = [{"custom_id": "r1", "label": "1"}]
    assert graded(tmp_path, rows, [output]) == [("scored", 1.0, "")]
    flat = write_rows(tmp_path / "flat.jsonl", [{"label": "1", "out": output}])
    data_set = open_data(flat, sample_field="out")
    (raw,) = data_set.records.read()
    (ref,) = data_set.shape.split(raw)
    assert (ref.sample, ref.group) == (0, None)
    with Engine() as engine:
        (row,) = engine.score(CHECK, [{"label": "1", "out": output}], sample_field="out")
        assert (row.reward, row.sample) == (1.0, None)
        if isinstance(output, dict):
            assert engine.run(CHECK, item={"label": "1"}, sample=output).reward == 1.0
            (row,) = engine.score(CHECK, [{"item": {"label": "1"}, "sample": output}])
            assert row.reward == 1.0


def test_the_calls_and_the_summary_of_a_response_are_kept() -> None:
    function = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a": 1}'}
    custom = {"type": "custom_tool_call", "call_id": "c2", "name": "g", "input": "x"}
    mcp = {"type": "mcp_call", "id": "c3", "name": "h", "arguments": "{}", "server_label": "s"}
    sample = response(REASONING, function, custom, mcp)
    for path, expected in {
        "output_tools[0].function.arguments.a": "1",
        "output_tools[1].custom.input": "x",
        "output_tools[2].function.name": "h",
        "output_reasoning_summary": "why",
        "output_text": "",
    }.items():
        grader = {**CHECK, "input": f"{{{{sample.{path}}}}}", "reference": expected}
        with Engine() as engine:
            graded_row = engine.run(grader, sample=sample)
        assert graded_row.reward == 1.0, path
        assert not graded_row.flags


def test_a_response_that_was_cut_off_is_flagged_and_one_that_failed_is_no_sample() -> None:
    cut = response(
        said("1"), status="incomplete", incomplete_details={"reason": "max_output_tokens"}
    )
    rows = [
        {"item": {"label": "1"}, "sample": sample}
        for sample in (
            cut,
            response(status="failed", error={"code": "server_error", "message": "boom"}),
            response(status="in_progress"),
        )
    ]
    with Engine() as engine:
        first, *others = engine.score(CHECK, rows)
    assert (first.reward, list(first.flags)) == (1.0, ["truncated_observation_error"])
    assert [(row.status, row.served) for row in others] == [("failed", None)] * 2
    assert "an error: boom" in others[0].flags["other_error"]


def test_calls_of_older_messages_are_calls_too() -> None:
    legacy = {"role": "assistant", "content": None, "function_call": CALL["function"]}
    use = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    grader = {**CHECK, "input": "{{sample.output_tools[0].function.name}}", "reference": "f"}
    with Engine() as engine:
        for sample in (
            legacy,
            {"choices": [{"message": legacy}]},
            {"role": "assistant", "content": [use]},
        ):
            assert engine.run(grader, sample=sample).reward == 1.0
