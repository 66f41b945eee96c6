"""The library as somebody new to it uses it: rows in, outcomes out, mistakes said in a sentence."""

from __future__ import annotations

import dataclasses
import io
import json
import pydoc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from graders_engine import (
    AsyncEngine,
    Engine,
    EngineSettings,
    InvalidGrader,
    InvalidRequest,
    JudgeSettings,
    RowOutcome,
    Scripted,
    to_arrow,
    to_pandas,
)
from graders_engine.errors import BackendFailure

CHECK = {
    "type": "string_check",
    "operation": "eq",
    "input": "{{sample.output_text}}",
    "reference": "{{item.label}}",
}
JUDGE = {
    "type": "score_model",
    "model": "m",
    "input": [{"role": "user", "content": "{{item.label}}"}],
}
MULTI = {
    "type": "multi",
    "graders": {
        "a": {**CHECK, "input": "{{sample.output_json.a}}"},
        "b": CHECK,
    },
    "calculate_output": "a + b",
    "invalid_grade": -1.0,
}
ITEM = {"label": "a"}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(judges=Scripted(0.5)) as opened:
        yield opened


def places(outcomes: Iterator[RowOutcome]) -> list[tuple[int, int | None, float | None]]:
    return [(row.index, row.sample, row.reward) for row in outcomes]


class Table:
    """As a data frame, it gives its columns."""

    columns = ("item", "model_sample")

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("rows.jsonl", "a text, a path or an open file"),
        (b"{}", "a text, a path or an open file"),
        (Path("rows.jsonl"), "a text, a path or an open file"),
        (io.StringIO("{}\n"), "a text, a path or an open file"),
        ({"item": ITEM, "model_sample": "a"}, "this is one object"),
        (Table(), "a table, which gives its columns"),
        (None, "of type NoneType"),
        (7, "of type int"),
    ],
    ids=["text", "bytes", "path", "file", "object", "table", "nothing", "number"],
)
def test_score_refuses_what_is_no_rows(engine: Engine, rows: Any, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        engine.score(CHECK, rows)


async def _first_of(rows: Any) -> None:
    async with AsyncEngine() as engine:
        async for _ in engine.score(CHECK, rows):
            return


def test_score_with_async_refuses_what_is_no_rows() -> None:
    import asyncio

    with pytest.raises(InvalidRequest, match="a text, a path or an open file"):
        asyncio.run(_first_of("rows.jsonl"))


ROWS = [
    {"item": ITEM, "model_sample": "a"},
    {"item": ITEM, "samples": ["a", "b"]},
    {"item": ITEM, "model_sample": [{"role": "assistant", "content": "a"}, 7]},
    {"item": ITEM, "sample": [{"output_text": "a"}]},
    {"item": ITEM, "model_samples": ("b", "a")},
    {"item": ITEM, "samples": "a"},
    {"item": ITEM, "samples": []},
    {"item": ITEM, "samples": ["a"], "model_sample": "a"},
    {"reference_answer": "a", "samples": ["a"]},
    {"item": ITEM, "model_sample": "b"},
]
PLACES = [
    (0, None), (1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (4, 1), (4, 2), (5, None), (6, None), (7, None),
    (8, 1), (9, None),
]  # fmt: skip


def test_a_row_with_several_samples_gives_an_outcome_for_each(engine: Engine) -> None:
    found = list(engine.score(CHECK, ROWS))
    assert [(row.index, row.sample) for row in found] == PLACES
    assert [row.reward for row in found[:9]] == [1, 1, 0, 1, None, 1, 0, 1, 1]
    assert "nothing to grade" in found[9].flags["other_error"]
    assert "both `samples` and `model_sample`" in found[10].flags["other_error"]
    assert found[-1].reward == 0.0


def test_graders_that_wait_place_samples_alike(engine: Engine) -> None:
    found = list(engine.score(JUDGE, (row for row in ROWS * 40)))
    assert [(row.index, row.sample) for row in found] == [
        (index + 10 * repeat, sample) for repeat in range(40) for index, sample in PLACES
    ]


def test_async_places_samples_alike() -> None:
    import asyncio

    async def places_of(grader: Any) -> list[tuple[int, int | None]]:
        async with AsyncEngine(judges=Scripted(0.5)) as engine:
            return [(row.index, row.sample) async for row in engine.score(grader, ROWS)]

    assert asyncio.run(places_of(CHECK)) == asyncio.run(places_of(JUDGE)) == PLACES


def test_flat_rows_may_have_lists_too(engine: Engine) -> None:
    rows = [{"label": "a", "out": ["a", {"output_text": "b"}]}, {"label": "a", "out": "a"}]
    found = places(engine.score(CHECK, rows, sample_field="out"))
    assert found == [(0, 1, 1.0), (0, 2, 0.0), (1, None, 1.0)]


def test_a_row_gives_one_outcome_where_that_is_asked_for(engine: Engine) -> None:
    found = list(engine.score_single(CHECK, ROWS[:2]))
    assert [row.status for row in found] == ["scored", "invalid"]


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("127.0.0.1:1", "must start with http:// or https://"),
        ("localhost", "must start with http:// or https://"),
        ("ftp://h/v1", "must start with http:// or https://"),
        ("", "must start with http:// or https://"),
        ("http://", "names no host"),
        ("http://h:99999/v1", "has a port above 65535"),
        ("http://a b/v1", "must not hold blanks"),
    ],
)
def test_an_address_that_is_none_is_refused_when_the_engine_is_made(
    address: str, says: str
) -> None:
    for judges in (address, JudgeSettings(endpoints={"mine": address})):
        with pytest.raises(InvalidRequest, match=says):
            Engine(judges=judges)
    if address:
        with pytest.raises(InvalidRequest):
            Engine(embeddings=f"openai:m@{address}")
        with Engine() as engine, pytest.raises(InvalidGrader):
            engine.compile({"type": "endpoint", "url": address})


def test_judges_and_embeddings_of_another_kind_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="not a int"):
        Engine(judges=7)  # type: ignore[arg-type] # the mistake
    with pytest.raises(InvalidRequest, match="not a int"):
        Engine(embeddings=7)  # type: ignore[arg-type] # the mistake


TWICE = (
    '{"type": "string_check", "operation": "eq", "input": "a", "reference": "b", "reference": "a"}'
)


@pytest.mark.parametrize(
    "grader",
    ["grade.py", Path("grade.py"), "import re\n\ndef grade(sample, item):\n    return 1.0\n"],
)
def test_python_source_in_place_of_a_grader_is_told_from_the_path_of_one(
    engine: Engine, grader: Any
) -> None:
    with pytest.raises(InvalidGrader, match=r'pass `\{"type": "python", "source": Path'):
        engine.compile(grader)


@pytest.mark.parametrize("grader", ["grader.json", Path("grader.json")])
def test_the_path_of_a_grader_is_not_read_and_that_is_said(engine: Engine, grader: Any) -> None:
    with pytest.raises(InvalidGrader, match="path of a file is not read here"):
        engine.run(grader, model_sample="a")


def test_a_yaml_text_in_place_of_a_grader_says_who_reads_yaml() -> None:
    text = "type: string_check\nname: x\noperation: eq\ninput: a\nreference: b\n"
    with Engine() as engine, pytest.raises(InvalidGrader, match="the command line alone reads"):
        engine.validate(text)
    grader = YAML(typ="safe").load(text)
    with Engine() as engine:
        assert engine.validate(grader).grader["reference"] == "b"


def test_faulty_json_is_shown_with_a_caret(engine: Engine) -> None:
    with pytest.raises(InvalidGrader) as refused:
        engine.validate('{"type": "string_check" "input": ""}')
    (mistake,) = refused.value.mistakes
    assert mistake.message.startswith("Invalid body: failed to parse JSON value.")
    assert "a comma is missing after" in mistake.detail
    assert mistake.detail.endswith("^")


def test_a_key_that_is_there_twice_in_json_text_is_a_mistake(engine: Engine) -> None:
    for text in (TWICE, TWICE.encode()):
        with pytest.raises(InvalidGrader, match="a key is there twice in one object") as refused:
            engine.run(text, model_sample="a")
    assert "Invalid body" in str(refused.value)
    with pytest.raises(InvalidGrader) as refused:
        engine.validate(TWICE)
    assert "the key 'reference' is used twice in one object" in refused.value.mistakes[0].detail


def test_faulty_json_that_may_hold_a_key_is_not_shown(engine: Engine) -> None:
    text = (
        '{"headers": {"Authorization": "Bearer sk-0123456789abcdef0123456789"} "type": "endpoint"}'
    )
    with pytest.raises(InvalidGrader) as refused:
        engine.validate(text)
    assert "sk-0123456789" not in str(refused.value)


def test_a_pasted_job_is_not_unwrapped_but_its_grader_is_named(engine: Engine) -> None:
    method = {"type": "reinforcement", "reinforcement": {"grader": CHECK}}
    for pasted, path in ((method, "reinforcement"), ({"method": method}, "method.reinforcement")):
        with pytest.raises(InvalidGrader) as refused:
            engine.validate(pasted)
        assert f"The grader is under `{path}.grader`" in refused.value.mistakes[0].hint


def test_help_says_everything_about_both_engines() -> None:
    for kind in (Engine, AsyncEngine):
        text = pydoc.plain(pydoc.render_doc(kind))
        for setting in dataclasses.fields(EngineSettings):
            assert f"    {setting.name}: " in text
        assert "see `AsyncEngine" not in text
        for method in ("run", "score", "validate", "compile"):
            described = getattr(kind, method).__doc__
            assert "Args:" in described or method == "validate"
            assert "Raises:" in described


def outcomes(engine: Engine) -> Iterator[RowOutcome]:
    texts = [json.dumps({"a": "a"}), "prose"]
    return engine.score(
        MULTI, [{"item": ITEM, "samples": texts}, {"item": ITEM, "model_sample": "a"}]
    )


def test_outcomes_are_an_arrow_table_in_one_call(engine: Engine) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    table = to_arrow(outcomes(engine))
    assert table.column_names == [
        "index", "sample", "reward", "served", "counted", "status", "blame", "seconds",
        "sub_rewards.a", "sub_rewards.b", "flags",
    ]  # fmt: skip
    rows = table.to_pylist()
    assert [(row["index"], row["sample"]) for row in rows] == [(0, 1), (0, 2), (1, None)]
    assert [row["served"] for row in rows] == [1.0, -1.0, -1.0]
    assert [row["blame"] for row in rows] == [None, "sample", "sample"]
    assert [row["sub_rewards.a"] for row in rows] == [1.0, None, None]
    assert [row["sub_rewards.b"] for row in rows] == [0.0, 0.0, 1.0]
    assert [name for name, _ in rows[1]["flags"]] == ["sample_parse_error"]


def test_a_row_counts_as_what_training_would_see_of_the_model(engine: Engine) -> None:
    with Engine(judges=Scripted("no number")) as unsure:
        (judge,) = unsure.score(JUDGE, [{"item": ITEM, "model_sample": "a"}])
    with Engine(judges=Scripted(BackendFailure("down"))) as alone:
        (outage,) = alone.score(JUDGE, [{"item": ITEM, "model_sample": "a"}])
    (row,) = engine.score(MULTI, [{"item": {}, "model_sample": '{"a": 1}'}])
    scored, sample = engine.score(MULTI, [{"item": ITEM, "samples": ['{"a": "a"}', "prose"]}])
    found = [(one.blame, one.served, one.counted) for one in (scored, sample, row, judge, outage)]
    assert found == [
        (None, 1.0, 1.0), ("sample", -1.0, -1.0), ("row", -1.0, None), ("judge", 0.0, None),
        ("infrastructure", None, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "kind", "says"),
    [
        ({"worker": 2}, TypeError, "An engine has no setting 'worker'. Its settings are "),
        ({"judge": "m"}, TypeError, "no setting 'judge'. Did you mean 'judges'?"),
        ({"concurrency": "many"}, TypeError, "concurrency must be an integer"),
        ({"max_text_chars": 0}, ValueError, "max_text_chars must be at least 1"),
        ({"limits": {"wall_s": 1}}, TypeError, "limits must be a Limits"),
        ({"metric_variants": "bleu"}, TypeError, "metric_variants must be a mapping"),
        ({"sandbox": 7}, TypeError, "sandbox must be a name or an object"),
        ({"sandbox": "nope"}, ValueError, "use one of auto, namespaces, landlock, none"),
    ],
)
def test_a_wrong_setting_is_named_with_what_there_is(
    settings: dict[str, Any], kind: type[Exception], says: str
) -> None:
    for engine in (Engine, AsyncEngine):
        with pytest.raises(kind, match=says.replace(".", r"\.").replace("?", r"\?")):
            engine(**settings)


def test_a_wrong_setting_of_judges_is_named_with_what_there_is() -> None:
    given: dict[str, Any] = {"endpoint": "http://127.0.0.1:8000/v1"}
    with pytest.raises(TypeError, match=r"no setting 'endpoint'\. Did you mean 'endpoints'\?"):
        JudgeSettings(**given)


def test_what_are_no_outcomes_is_refused_by_tables(engine: Engine) -> None:
    (outcome,) = engine.score(CHECK, [{"item": ITEM, "model_sample": "a"}])
    for name, convert in (("pyarrow", to_arrow), ("pandas", to_pandas)):
        pytest.importorskip(name, reason=f"{name} is not installed")
        wrongs: list[Any] = [[1], None, [outcome, {}], "a"]
        for wrong in wrongs:
            with pytest.raises(InvalidRequest, match="A table is made of the outcomes"):
                convert(wrong)


def test_halves_of_surrogate_pairs_are_escaped_in_tables(engine: Engine) -> None:
    rows = [{"item": {"\udc80": 1}, "model_sample": "a"}]
    for name, convert in (("pyarrow", to_arrow), ("pandas", to_pandas)):
        pytest.importorskip(name, reason=f"{name} is not installed")
        assert "\\ud" in str(convert(engine.score(CHECK, rows))["flags"][0])


def test_no_outcomes_are_an_arrow_table_too() -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    assert to_arrow([]).num_rows == 0


def test_outcomes_are_a_pandas_frame_in_one_call(engine: Engine) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    frame = to_pandas(outcomes(engine))
    assert list(frame["served"]) == [1.0, -1.0, -1.0]
    assert frame["sub_rewards.a"].isna().tolist() == [False, True, True]
    assert frame["reward"].dtype == "float64"


def test_a_missing_package_for_tables_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name, convert in (("pyarrow", to_arrow), ("pandas", to_pandas)):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(ImportError, match=f"pip install {name}"):
            convert([])
