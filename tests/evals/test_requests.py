"""Runs the cases of tests/compliance/eval_requests.json: bodies of the Evals API, and their mistakes.

A case is a whole request (`base`) with some values set or removed by their paths, which are those of `param`.
Without an `error` it is taken; `also` has the paths of further mistakes, in their order.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graders_engine.body_fields import InvalidBody
from graders_engine.conformance.cases import expanded
from graders_engine.errors import Mistake
from graders_engine.evals.requests.eval_body import eval_update, new_eval
from graders_engine.evals.requests.item_schema import ItemSchema, data_schema, item_schema
from graders_engine.evals.requests.rows import check_content, check_file
from graders_engine.evals.requests.run_body import MAX_ITEMS, new_run, split_run

Case = dict[str, Any]
FILE = Path(__file__).parents[1] / "compliance" / "eval_requests.json"
LOADED = json.loads(FILE.read_text(encoding="utf-8"))
BASES: dict[str, Any] = LOADED["bases"]
CASES: list[Case] = LOADED["cases"]
SCHEMA = ItemSchema(BASES["eval"]["data_source_config"]["item_schema"])


def read_run(body: Any) -> None:
    """As the server does: from the text of the body, with the rows."""
    run = new_run(split_run(json.dumps(body).encode()))
    if run.rows is not None:
        list(check_content(run.rows, SCHEMA))


READ: dict[str, Callable[[Any], Any]] = {"eval": new_eval, "update": eval_update}


def steps(path: str) -> list[str | int]:
    """`a[1].b` as its keys and positions."""
    return [int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", path)]


def holder(body: Any, path: str) -> tuple[Any, str | int]:
    *before, last = steps(path)
    for step in before:
        body = body[step]
    return body, last


def body_of(case: Case) -> Any:
    if "body" in case:
        return case["body"]
    body = copy.deepcopy(BASES[case["base"]])
    for path, value in case.get("set", {}).items():
        inside, step = holder(body, path)
        inside[step] = expanded(value)
    for path in case.get("remove", ()):
        inside, step = holder(body, path)
        del inside[step]
    return body


def read(case: Case) -> None:
    how: Callable[[Any], Any] = READ.get(case["base"], read_run)
    how(body_of(case))


def mistakes_in(case: Case) -> tuple[Mistake, ...]:
    with pytest.raises(InvalidBody) as refused:
        read(case)
    return refused.value.mistakes


ids = [case["name"] for case in CASES]


def test_every_case_has_a_name_of_its_own() -> None:
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_a_body_is_taken_or_refused_with_the_place_of_each_mistake(case: Case) -> None:
    if "error" not in case:
        read(case)
        return
    first, *others = mistakes_in(case)
    error = case["error"]
    assert (first.param, first.code) == (error["param"], error["code"]), first
    assert error.get("says", "") in str(first)
    assert [other.param for other in others] == case.get("also", [])


def test_criteria_of_equal_names_get_ids_of_their_own_and_keep_what_they_have() -> None:
    body = copy.deepcopy(BASES["eval"])
    body["testing_criteria"] = [body["testing_criteria"][0], dict(body["testing_criteria"][0])]
    body["testing_criteria"][1]["id"] = "match-of-before"
    first, second = new_eval(body).testing_criteria
    assert re.fullmatch(r"match-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", first["id"])
    assert second["id"] == "match-of-before"
    assert {**first, "id": ""} == {**second, "id": ""}


@pytest.mark.parametrize("with_sample", [True, False])
def test_the_schema_of_an_eval_has_the_item_and_where_asked_for_the_sample(
    with_sample: bool,
) -> None:
    item = {"type": "object", "properties": {"a": {}}}
    schema = data_schema(item, with_sample=with_sample)
    assert schema["properties"]["item"] == item
    assert schema["required"] == (["item", "sample"] if with_sample else ["item"])
    assert item_schema({"type": "custom", "schema": schema}) == item


def test_an_eval_that_was_imported_without_a_schema_takes_any_item() -> None:
    assert ItemSchema(item_schema({"type": "logs"})).fits({"anything": [1]})


def test_the_limit_on_tokens_has_one_name_however_it_was_spelt() -> None:
    run = new_run(copy.deepcopy(BASES["responses"]))
    assert run.data_source["sampling_params"]["max_completion_tokens"] == 10000
    assert "max_completions_tokens" not in run.data_source["sampling_params"]


def test_the_items_of_a_request_are_split_off_its_data_source() -> None:
    run = new_run(copy.deepcopy(BASES["jsonl"]))
    assert run.data_source == {"type": "jsonl", "source": {"type": "file_content"}}
    assert run.rows is not None
    lines = list(check_content(run.rows, SCHEMA))
    assert [json.loads(line) for line in lines] == run.rows
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines)


def test_rows_keep_lone_surrogates_long_numbers_and_line_breaks_between_tokens() -> None:
    rows = (
        '[{"item": {"label": "\\ud800", "n": 123456789012345678901234567890}},'
        '\n {"item":\n{"label": "b"}}]'
    )
    source = '{"type": "file_content", "content": ' + rows + "}"
    body = '{"data_source": {"type": "jsonl", "source": ' + source + "}}"
    run = new_run(split_run(body.encode()))
    assert run.rows is not None
    lines = list(check_content(run.rows, SCHEMA))
    assert [json.loads(line) for line in lines] == json.loads(rows)


@pytest.mark.parametrize("text", [b"", b"{", b'{"data_source": nul}', b"\xff", b'{"a": 1}}'])
def test_a_text_that_is_not_json_is_no_body(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        split_run(text)


def test_more_items_than_a_request_may_have_are_refused() -> None:
    content: list[Any] = [{"item": {}}] * (MAX_ITEMS + 1)
    body = {
        "data_source": {"type": "jsonl", "source": {"type": "file_content", "content": content}}
    }
    with pytest.raises(InvalidBody) as refused:
        new_run(body)
    (mistake,) = refused.value.mistakes
    assert (mistake.param, mistake.code) == (
        "data_source.source.content",
        "array_above_max_length",
    )


FAULTY: dict[str, tuple[str, str]] = {
    "not JSON": ('{"item": {"label": "a"}}\n{"item": \n', "line 2"),
    "no item": ('{"item": {"label": "a"}}\n\n{"label": "b"}\n', "line 3"),
    "an item that does not fit": ('\ufeff{"item": {"label": 1}}\n', "line 1"),
    "no object": ('{"item": {"label": "a"}}\n[]\n', "line 2"),
    "empty": ("", "no rows"),
    "blank": ("\n \n", "no rows"),
}


@pytest.mark.parametrize("name", FAULTY)
def test_a_file_is_refused_with_the_line_of_its_mistake(tmp_path: Path, name: str) -> None:
    text, says = FAULTY[name]
    path = tmp_path / "file-1"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidBody) as refused:
        check_file(path, "file-1", SCHEMA)
    first = refused.value.mistakes[0]
    assert first.param == "data_source.source.id"
    assert says in first.message
    assert "file-1" in first.message


def test_a_file_of_rows_that_fit_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "file-1"
    path.write_text('{"item": {"label": "a"}}\n' * 3)
    assert check_file(path, "file-1", SCHEMA) == 3


def test_a_pattern_that_other_engines_take_for_ever_over_is_searched_at_once() -> None:
    schema = ItemSchema({"properties": {"a": {"pattern": "^(a+)+$"}}})
    assert not schema.fits({"a": "a" * 5000 + "b"})


TREES = {"properties": {"a": {"$ref": "#"}, "n": {"type": "integer"}}, "type": "object"}


def test_rows_of_a_schema_that_refers_to_itself_are_refused_with_their_places() -> None:
    rows = [{"item": {"a": {"a": {"n": n}}}} for n in (1, "\ud800", 3, 4.5)]
    with pytest.raises(InvalidBody) as refused:
        list(check_content(rows, ItemSchema(TREES)))
    found = [mistake.param for mistake in refused.value.mistakes]
    assert found == [f"data_source.source.content[{row}].item.a.a.n" for row in (1, 3)]
    assert len(list(check_content(rows[::2], ItemSchema(TREES)))) == 2


@pytest.mark.parametrize("beside", ["metadata", "name"])
def test_a_text_of_too_many_values_beside_its_items_is_no_body(beside: str) -> None:
    many = "[" + "1," * 1_100_000 + "1]"
    source = '{"type": "jsonl", "source": {"type": "file_content", "content": [{"item": {}}]}}'
    with pytest.raises(ValueError, match="commas"):
        split_run(f'{{"data_source": {source}, "{beside}": {many}}}'.encode())
