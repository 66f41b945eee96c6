"""Outputs that are graded, refused or told of because they may not be all that the model answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from graders_engine import Engine
from graders_engine.cli import main as cli
from graders_engine.dataset.rows.paths import check_paths
from graders_engine.dataset.rows.read import open_data
from graders_engine.dataset.rows.records import RowRef
from graders_engine.dataset.rows.shapes import Flat
from graders_engine.dataset.rows.shards import Shard, encode_row
from graders_engine.dataset.scoring.score import score_file
from graders_engine.errors import InvalidRequest, InvalidRow
from graders_engine.evals.hosted.conversion import import_evals
from tests.dataset.evals_service import EVALS, RUNS
from tests.dataset.files import rows_of, write_rows
from tests.dataset.shapes_cases import completion
from tests.dataset.test_evals_dashboard import line

CHECK: dict[str, Any] = {
    "type": "string_check",
    "operation": "eq",
    "input": "{{sample.output_text}}",
    "reference": "{{item.a}}",
}
ITEM = {"a": "x"}
BESIDE = "an error beside it"


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine() as opened:
        yield opened


def score(grader: dict[str, Any], data: Path, *more: Any) -> Result:
    given = [json.dumps(grader), "--data", data, "--out", data.with_suffix(".out.jsonl"), *more]
    return CliRunner().invoke(cli.graders, ["score", *map(str, given)])


@pytest.mark.parametrize("error", ["boom", {"message": "boom"}, {"code": None, "type": "boom"}])
@pytest.mark.parametrize(
    "output",
    [
        {"output_text": "x"},
        {"text": "x"},
        {"choices": [{"message": {"role": "assistant", "content": "x"}}]},
        {"outputs": [{"role": "assistant", "content": "x"}]},
        {"object": "chat.completion", **completion("x")},
    ],
)
def test_an_output_with_an_error_beside_it_is_graded_and_told_of(
    engine: Engine, output: dict[str, Any], error: Any
) -> None:
    output = {**output, "error": error}
    for row in ({"sample": output}, {"samples": [output]}, {"samples": output}):
        (graded,) = engine.score(CHECK, [{"item": ITEM, **row}])
        assert (graded.status, graded.reward, graded.blame) == ("scored", 1.0, None)
        assert BESIDE in graded.flags["other_error"]
    answer = engine.run(CHECK, item=ITEM, sample=output)
    assert (answer.reward, answer.metadata.errors.other_error) == (1.0, True)


@pytest.mark.parametrize("error", [None, "", {}, {"code": None, "message": None}, False])
def test_an_error_that_says_nothing_is_none(engine: Engine, error: Any) -> None:
    (graded,) = engine.score(
        CHECK, [{"item": ITEM, "sample": {"output_text": "x", "error": error}}]
    )
    assert (graded.reward, graded.flags) == (1.0, {})


def test_the_report_of_a_run_counts_outputs_with_an_error_beside_them(tmp_path: Path) -> None:
    exported = line(1, "x", {"s": 1.0})
    exported["sample"]["error"] = {"message": "boom"}
    rows = {
        "rows": {"item": ITEM, "sample": {"output_text": "x", "error": "boom"}},
        "evals": {**exported, "item": ITEM},
    }
    for name, row in rows.items():
        ran = score(CHECK, write_rows(tmp_path / f"{name}.jsonl", [row] * 3))
        assert "mean reward  1.0000  over 3 rows" in ran.stdout
        assert "other_error  3, first on line 1: the sample has an output" in ran.stdout


def test_an_import_counts_outputs_with_an_error_beside_them_and_keeps_it(tmp_path: Path) -> None:
    item = {
        "id": "i", "object": "eval.run.output_item", "run_id": RUNS[0]["id"], "eval_id": EVALS[0]["id"],
        "datasource_item": ITEM, "results": [], "status": "pass",
        "sample": {"output": [{"role": "assistant", "content": "x"}], "error": {"message": "boom"}},
    }  # fmt: skip
    export = write_rows(tmp_path / "export.jsonl", [EVALS[0], RUNS[0], item])
    imported = import_evals([export], tmp_path / "out")
    assert any("1 output item with an error beside the output" in one for one in imported.left_out)
    (written,) = (tmp_path / "out").rglob("*.rows.jsonl")
    (row,) = map(json.loads, written.read_text().splitlines())
    assert row["sample"]["error"] == "boom"


EMPTY = "an empty object; if the model said nothing, give an empty text"


def test_an_empty_object_is_no_empty_answer(engine: Engine, tmp_path: Path) -> None:
    rows = [{"item": ITEM, "sample": {}}, {"item": ITEM, "samples": [{}]}]
    for graded in engine.score(CHECK, rows):
        assert (graded.status, graded.blame, graded.served) == ("invalid", "row", 0.0)
        assert EMPTY in graded.flags["other_error"]
    with pytest.raises(InvalidRow, match=EMPTY):
        engine.run(CHECK, item=ITEM, sample={})
    with pytest.raises(InvalidRequest, match=EMPTY):
        open_data(write_rows(tmp_path / "rows.jsonl", rows[:1] * 3))
    data = write_rows(tmp_path / "items.jsonl", [ITEM])
    with pytest.raises(InvalidRequest, match=EMPTY):
        open_data(data, outputs=write_rows(tmp_path / "outputs.jsonl", [{}]))
    answer = engine.run({**CHECK, "input": "{{item.a}}"}, item=ITEM, sample={})
    assert answer.reward == 1.0  # this grader reads no output


PRINTED = (
    "ChatCompletion(id='chatcmpl-1', choices=[Choice(finish_reason='stop', index=0)])",
    "ParsedChatCompletion[Answer](id='chatcmpl-1', choices=[])",
    "ChatCompletionMessage(content='x', refusal=None, role='assistant')",
    "Response(id='resp_1', created_at=1.0, error=None)",
    "Message(id='msg_1', content=[TextBlock(text='x', type='text')])",
    "ModelResponse(id='chatcmpl-1', created=1)",
    "AIMessage(content='x', additional_kwargs={})",
    "{'id': 'chatcmpl-1', 'choices': [{'index': 0, 'message': {'content': 'x'}}]}",
    "{'id': 'resp_1', 'object': 'response', 'output': []}",
    "<openai.Stream object at 0x7f0000000000>",
)


@pytest.mark.parametrize("text", PRINTED)
def test_what_python_prints_of_a_response_is_no_output(text: str, tmp_path: Path) -> None:
    said = "what Python prints of a response"
    with pytest.raises(InvalidRequest, match=said):
        open_data(write_rows(tmp_path / "rows.jsonl", [{"item": ITEM, "model_sample": text}] * 3))
    data = write_rows(tmp_path / "items.jsonl", [ITEM])
    for output in (json.dumps(text), {"output": text}):
        with pytest.raises(InvalidRequest, match=said):
            open_data(data, outputs=write_rows(tmp_path / "outputs.jsonl", [output]))


@pytest.mark.parametrize(
    "text",
    [
        "Response(status=200)",
        "{'choices': ['a', 'b']}",
        "Message(text='x')",
        "see ChatCompletion(id=1)",
    ],
)
def test_code_that_a_model_writes_is_an_output(text: str, tmp_path: Path) -> None:
    open_data(write_rows(tmp_path / "rows.jsonl", [{"item": ITEM, "model_sample": text}]))


def test_the_text_that_a_sample_names_is_graded_whatever_else_it_has(engine: Engine) -> None:
    sample = {"output_text": "x", "generated_text": "y"}
    assert engine.run(CHECK, item=ITEM, sample=sample).reward == 1.0


def batch_line(number: int, **more: Any) -> dict[str, Any]:
    response = {"status_code": 200, "body": completion("x")}
    return {"id": f"b{number}", "custom_id": f"r{number}", "response": response, **more}


def test_batch_lines_alone_are_sent_to_the_option_for_outputs(tmp_path: Path) -> None:
    alone = [batch_line(number) for number in range(3)]
    ran = score(CHECK, write_rows(tmp_path / "lines.jsonl", alone))
    said = " ".join(ran.stderr.split())
    assert "note: the rows are outputs of a batch, which have no `item.a`" in said
    assert "lines.jsonl as --outputs" in said
    for grader, rows in (
        ({**CHECK, "reference": "x"}, alone),
        ({**CHECK, "reference": "{{item.custom_id}}"}, alone),
        (CHECK, [batch_line(1, a="x")]),
        (CHECK, [batch_line(1, item=ITEM)]),
    ):
        ran = score(grader, write_rows(tmp_path / "lines.jsonl", rows), "--overwrite")
        assert "note" not in ran.stderr
        assert "Nothing was scored" not in ran.stderr


def test_a_grader_of_the_item_alone_sees_the_response_that_a_row_has(tmp_path: Path) -> None:
    answer = {"object": "chat.completion", **completion("x")}
    failed = {"status_code": 500, "body": {"error": {"message": "boom"}}}
    path = "{{item.response.choices[0].message.content}}"
    for grader, row in (
        ({**CHECK, "input": path}, {**ITEM, "response": answer}),
        (
            {**CHECK, "input": "{{item.response.status_code}}"},
            {"a": "500", "custom_id": "r", "response": failed},
        ),
        (CHECK, {**ITEM, "response": answer}),
    ):
        data = write_rows(tmp_path / "rows.jsonl", [row])
        with Engine() as engine:
            tally = score_file(
                engine, grader, data, tmp_path / "o.jsonl", workers=1, overwrite=True
            )
            assert check_paths(engine.compile(grader), data).fit
        assert (tally.scored, tally.mean) == (1, 1.0)


def test_a_whole_response_in_a_template_is_told_of(tmp_path: Path) -> None:
    answer = {"object": "chat.completion", **completion("x")}
    data = write_rows(tmp_path / "rows.jsonl", [{**ITEM, "response": answer}])
    said = "`item.response` is a whole response in these rows"
    ran = score({**CHECK, "input": "{{item.response}}"}, data)
    assert said in " ".join(ran.stderr.split())
    for grader, row in (
        ({**CHECK, "input": "{{item.response.object}}"}, {**ITEM, "response": answer}),
        ({**CHECK, "input": "{{item.response}}"}, {**ITEM, "response": "x"}),
        (CHECK, {**ITEM, "response": answer}),
    ):
        data = write_rows(tmp_path / "rows.jsonl", [row])
        assert "note" not in score(grader, data, "--overwrite").stderr


def test_the_field_of_a_flat_row_is_kept_where_rows_are_sent_one_by_one() -> None:
    for row in ({"a": "x", "out": "y"}, {"a": "x", "out": ["y", "z"]}):
        for ref in Flat("out").split(RowRef(1, row)):
            (sent,) = rows_of(Shard(1, 1, 0, 0, rows=encode_row(ref.row) + b"\n", marked=True))
            assert sent.row == ref.row


def test_the_commonest_reason_stands_in_the_sentence_before_the_mean(tmp_path: Path) -> None:
    rows = [{"item": ITEM, "model_sample": "x"}, *[{"item": ITEM, "sample": {}}] * 3]
    data = write_rows(tmp_path / "rows.jsonl", rows)
    said = score(CHECK, data).stdout.partition("mean reward")[0]
    assert "75.0 % of 4 rows have no reward because of the row" in said
    assert EMPTY in " ".join(said.split())
    page = tmp_path / "page.html"
    shown = CliRunner().invoke(
        cli.graders, ["report", str(data.with_suffix(".out.jsonl")), "--out", str(page)]
    )
    assert shown.exit_code == 0, shown.output
    assert page.read_text(encoding="utf-8").count(EMPTY) >= 2
