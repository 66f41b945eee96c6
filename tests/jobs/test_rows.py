"""The rows of each method: what is taken, and what is said of a bad line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from graders_engine.jobs.requests.rows import FEWEST, fields_read, read_rows
from graders_engine.models.tables.training import METHODS, Method
from graders_engine.training.bad_rows import NAMED

ASK = {"role": "user", "content": "How many?"}
SAY = {"role": "assistant", "content": "Two."}
CALL = {"type": "function", "id": "c", "function": {"name": "count", "arguments": '{"n": 1}'}}
TOOL = {"type": "function", "function": {"name": "count", "parameters": {"type": "object"}}}
SUPERVISED = {"messages": [{"role": "system", "content": "Count."}, ASK, SAY]}
DPO = {
    "input": {"messages": [ASK], "tools": [TOOL], "parallel_tool_calls": True},
    "preferred_output": [SAY],
    "non_preferred_output": [{"role": "assistant", "content": "Three."}],
}
REINFORCEMENT = {"messages": [{"role": "developer", "content": "Count."}, ASK], "label": "2"}
GOOD: dict[Method, dict[str, Any]] = {
    "supervised": SUPERVISED, "dpo": DPO, "reinforcement": REINFORCEMENT,
}  # fmt: skip


def messages(*given: Any) -> dict[str, Any]:
    return {"messages": list(given)}


TAKEN: list[tuple[Method, Any]] = [
    *GOOD.items(),
    ("supervised", messages(ASK, {**SAY, "weight": 0}, ASK, {**SAY, "weight": 1})),
    ("supervised", {**messages(ASK, {"role": "assistant", "tool_calls": [CALL]},
                               {"role": "tool", "tool_call_id": "c", "content": "2"}, SAY),
                    "tools": [TOOL], "parallel_tool_calls": False}),
    ("supervised", messages({"role": "user", "content": [{"type": "text", "text": "Hi"}]}, SAY)),
    ("supervised", messages(ASK, {**SAY, "refusal": None, "annotations": []})),
    ("reinforcement", {**messages(ASK), "tools": [TOOL], "any": {"deep": [1]}, "other": None}),
    ("reinforcement", messages(ASK, SAY, ASK)),
]  # fmt: skip
BAD: list[tuple[Method, Any, str]] = [
    ("supervised", 5, "It is an integer, and not an object."),
    ("supervised", {"prompt": "a", "completion": "b"}, "There is no key `messages`."),
    ("supervised", messages(), "`messages` must be a list"),
    ("supervised", messages(ASK), "The last message is the user's, and not the assistant's."),
    ("supervised", messages(ASK, SAY, ASK), "The last message is the user's, and not the assistant's."),
    ("supervised", messages({**ASK, "weight": 1}, SAY), "only messages of the assistant have one"),
    ("supervised", messages(ASK, {**SAY, "weight": 0.5}), "must be 0 or 1"),
    ("supervised", messages(ASK, {**SAY, "weight": True}), "must be 0 or 1"),
    ("supervised", messages(ASK, {**SAY, "weight": 0}), "No message of the row is trained"),
    ("supervised", messages(ASK, {**SAY, "wieght": 0}), "wieght"),
    ("supervised", messages({"role": "human", "content": "a"}, SAY), "role"),
    ("supervised", messages(ASK, {**SAY, "content": "\ud800"}), "half of a character"),
    ("supervised", messages(ASK, {"role": "assistant", "tool_calls": [
        {**CALL, "function": {"name": "count", "arguments": '{"n": "\\udc00"}'}}]}),
     "half of a character"),
    ("dpo", {**DPO, "preferred_output": [{**SAY, "content": "\ud800"}]}, "half of a character"),
    ("reinforcement", {**messages(ASK), "tools": [{**TOOL, "type": "\ud800"}]}, "`tools` has half"),
    ("supervised", messages({"role": "user"}, SAY), "neither `content` nor `tool_calls`"),
    ("supervised", messages({"role": "user", "content": 5}, SAY), "must be text or a list"),
    ("supervised", messages(
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}, SAY
    ), "only text can be trained with"),
    ("supervised", messages(ASK, {"role": "assistant", "tool_calls": [{"id": "c"}]}), "`name`"),
    ("supervised", {**SUPERVISED, "tools": {}, "functions": [{}]}, "give them as `tools`"),
    ("supervised", {**SUPERVISED, "tools": ["count"]}, "must be a list of objects"),
    ("dpo", SUPERVISED, "There is no key `input`."),
    ("dpo", {**DPO, "input": [ASK]}, "`input` is an array"),
    ("dpo", {**DPO, "input": messages(ASK, SAY)}, "The last message of `input` is the assistant's"),
    ("dpo", {**DPO, "preferred_output": [ASK]}, "one message of the assistant"),
    ("dpo", {**DPO, "non_preferred_output": [SAY, SAY]}, "one message of the assistant"),
    ("dpo", {**DPO, "non_preferred_output": [SAY]}, "are equal"),
    ("dpo", {**DPO, "preferred_output": "Two."}, "must be a list"),
    ("reinforcement", messages(ASK, SAY), "The last message is the assistant's, and not the user's."),
    ("reinforcement", {"item": messages(ASK)}, "There is no key `messages`."),
]  # fmt: skip


def write(folder: Path, rows: list[Any]) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize(("method", "row"), TAKEN)
def test_a_row_of_the_methods_form_is_taken(tmp_path: Path, method: Method, row: Any) -> None:
    found = read_rows(write(tmp_path, [row] * 10), method)
    assert (found.rows, found.bad.count, found.mistake(FEWEST[method])) == (10, 0, "")


@pytest.mark.parametrize(("method", "row", "says"), BAD)
def test_a_bad_row_is_named_by_its_line(
    tmp_path: Path, method: Method, row: Any, says: str
) -> None:
    found = read_rows(write(tmp_path, [GOOD[method], row]), method)
    assert (found.rows, found.bad.count) == (2, 1)
    mistake = found.mistake(1)
    assert mistake.startswith("1 of 2 rows is wrong. Line 2: ")
    assert says in mistake


def test_the_first_bad_lines_are_named_and_all_are_counted(tmp_path: Path) -> None:
    found = read_rows(write(tmp_path, [SUPERVISED, *[messages(ASK)] * 25]), "supervised")
    mistake = found.mistake(10)
    assert mistake.startswith("25 of 26 rows are wrong. Lines 2, 3, 4, 5, 6, 7, 8, 9, 10, 11: ")
    assert len(found.bad.named) == NAMED
    assert mistake.endswith(" And 15 more.")


def test_a_key_of_any_length_makes_no_mistake_longer(tmp_path: Path) -> None:
    row = {"messages": [{**ASK, "k" * 100_000: 1}]}
    mistake = read_rows(write(tmp_path, [row]), "reinforcement").mistake(1)
    assert mistake.startswith("1 of 1 row is wrong. Line 1: `messages[0].kkk")
    assert mistake.endswith("kkk…")
    assert len(mistake) < 1_100


@pytest.mark.parametrize("method", METHODS)
def test_a_file_must_have_as_many_rows_as_the_hosted_service_wants(
    tmp_path: Path, method: Method
) -> None:
    fewest = FEWEST[method]
    short = read_rows(write(tmp_path, [GOOD[method]] * (fewest - 1)), method)
    assert f"must have at least {fewest}." in short.mistake(fewest)
    assert read_rows(write(tmp_path, [GOOD[method]] * fewest), method).mistake(fewest) == ""


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"not json\n", "Line 1: "),
        (
            json.dumps([SUPERVISED, SUPERVISED], indent=1).encode(),
            "34 of 34 rows are wrong. Line 1: ",
        ),
        (b'{"messages": \xff}\n', "Line 1: "),
        (gzip.compress(b'{"messages": []}\n', mtime=0), "It is compressed: upload it unpacked."),
        (b"", "It has 0 rows"),
    ],
)
def test_a_file_of_another_form_is_refused_with_a_sentence_without_paths(
    tmp_path: Path, content: bytes, says: str
) -> None:
    path = tmp_path / "file-0123"
    path.write_bytes(content)
    mistake = read_rows(path, "supervised").mistake(10)
    assert says in mistake
    assert str(tmp_path) not in mistake


@pytest.mark.parametrize(
    ("method", "row", "says"),
    [
        ("supervised", GOOD["dpo"], "Rows with `preferred_output` are those of dpo."),
        ("reinforcement", GOOD["dpo"], "Rows with `preferred_output` are those of dpo."),
        ("dpo", SUPERVISED, "Rows with `messages` are not those of dpo."),
    ],
)
def test_rows_of_another_method_are_called_so(
    tmp_path: Path, method: Method, row: Any, says: str
) -> None:
    assert read_rows(write(tmp_path, [row]), method).mistake(1).endswith(says)


def test_a_file_that_was_deleted_is_no_file_without_rows(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_rows(tmp_path / "file-0123", "supervised")


READS: dict[str, Any] = {
    "type": "multi",
    "graders": {
        "same": {
            "type": "string_check", "name": "same", "operation": "eq",
            "input": "{{sample.output_text}}", "reference": "{{item.facts.label}}",
        },
        "near": {
            "type": "text_similarity", "name": "near", "evaluation_metric": "rouge_l",
            "input": "{{ sample.output_json.text }}",
            "reference": "{{item.messages[0].content}} {{item.facts.label}}",
        },
    },
    "calculate_output": "same + near",
}  # fmt: skip


def test_a_row_without_what_the_graders_templates_read_is_named_by_its_line(
    tmp_path: Path,
) -> None:
    good = {**REINFORCEMENT, "facts": {"label": None}}
    rows = [good, {**good, "facts": {"lable": "a"}}, messages(ASK), good]
    found = read_rows(write(tmp_path, rows), "reinforcement", fields_read(READS))
    assert (found.rows, found.bad.count, found.unread.count) == (4, 0, 2)
    assert found.mistake(1) == (
        "2 of 4 rows are wrong. Line 2: The grader (graders.same.reference) reads what the row does not "
        "have: `item.facts.label`: `facts` has no key `label` (it has: lable). Did you mean `lable`? Line 3: "
        "The grader (graders.same.reference) reads what the row does not have: `item.facts.label`: `item` "
        "has no key `facts` (it has: messages)"
    )
