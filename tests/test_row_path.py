"""How rows that wait for nothing are graded: in batches or one by one, the outcomes are the same."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from graders_engine import AsyncEngine, Engine
from graders_engine.errors import InvalidRow, SampleNotJson
from graders_engine.language.scope import Scope
from graders_engine.outcome import RowOutcome
from graders_engine.outputs.forms import sample_scope
from graders_engine.outputs.row_scope import scope_reader

ROUGE: dict[str, Any] = {
    "type": "text_similarity",
    "input": "{{sample.output_text}}",
    "reference": "{{item.text}}",
    "evaluation_metric": "rouge_l",
}
WORDS = (
    "the",
    "cat",
    "sat",
    "on",
    "a",
    "mat",
    "and",
    "saw",
    "other",
    "cats",
    "of",
    "theirs",
    "there",
)


def text(seed: int, words: int) -> str:
    return " ".join(WORDS[(seed * seed + n * (seed % 7 + 1)) % len(WORDS)] for n in range(words))


def row(n: int, words: int = 300) -> dict[str, Any]:
    return {"item": {"text": text(n + 1, words)}, "model_sample": text(n, words)}


ROWS: list[Any] = [
    *(row(n) for n in range(300)),
    {"item": {}, "model_sample": text(1, 150)},
    {"item": {"text": "x"}},
    "no row",
    {"item": {"text": text(1, 150)}, "samples": [text(2, 150), "", text(3, 150)]},
    {"item": {"text": "x"}, "model_sample": text(3, 2000)},
    {"item": {"text": "猫"}, "model_sample": "猫" * 500},
    *(row(n, 3) for n in range(20)),
    *(row(n) for n in range(20)),
]


def compared(outcomes: list[RowOutcome]) -> list[Any]:
    return [msgspec.structs.replace(outcome, seconds=0.0) for outcome in outcomes]


async def in_a_loop() -> list[RowOutcome]:
    async with AsyncEngine(max_text_chars=5_000) as engine:
        return [outcome async for outcome in engine.score(ROUGE, ROWS)]


def test_rows_in_a_list_have_the_outcomes_of_rows_one_by_one() -> None:
    with Engine(max_text_chars=5_000) as engine:
        one_by_one = compared(list(engine.score(ROUGE, iter(ROWS))))
        in_list = list(engine.score(ROUGE, ROWS))
    assert compared(in_list) == one_by_one == compared(asyncio.run(in_a_loop()))
    assert len({outcome.reward for outcome in one_by_one}) > 10
    unscored = [outcome.index for outcome in in_list if outcome.status != "scored"]
    assert unscored == [300, 301, 302, 304]
    assert all(outcome.seconds > 0 for outcome in in_list if outcome.status == "scored")


def test_a_row_of_an_iterator_is_taken_when_its_outcome_is_asked_for() -> None:
    taken = 0

    def rows() -> Iterator[Any]:
        nonlocal taken
        for n in range(50):
            taken = n + 1
            yield row(n)

    with Engine() as engine:
        outcomes = engine.score(ROUGE, rows())
        for n in range(1, 10):
            next(outcomes)
            assert taken == n


class Broken(dict[str, Any]):
    def get(self, key: str, default: Any = None) -> Any:
        raise OSError("the disk is gone")


def test_a_row_that_cannot_be_looked_into_ends_a_run_after_the_outcomes_before_it() -> None:
    with Engine() as engine:
        outcomes = engine.score_single(ROUGE, [*ROWS[:40], Broken(), *ROWS[:40]])
        assert [next(outcomes).index for _ in range(40)] == list(range(40))
        with pytest.raises(OSError, match="the disk is gone"):
            next(outcomes)


def test_a_text_of_a_subclass_of_str_is_read_as_json() -> None:
    class Text(str):
        __slots__ = ()

    grader = {**ROUGE, "input": "{{item.answer.said}}"}
    given = {"item": {"answer": Text('{"said": "cat"}'), "text": "cat"}, "model_sample": "x"}
    with Engine() as engine:
        (outcome,) = engine.score(grader, [given])
    assert outcome.reward == 1.0


def test_the_empty_parts_of_an_outcome_cannot_be_filled_for_all_rows_at_once() -> None:
    with Engine() as engine:
        first, second = engine.score(ROUGE, [row(1), row(2)])
    with pytest.raises(TypeError, match="an outcome is not changed"):
        first.sub_rewards["mine"] = 1.0
    assert second.sub_rewards == {} == first.outcome.usage
    for again in (pickle.loads(pickle.dumps(first)), copy.deepcopy(first)):  # noqa: S301 - our own
        assert again == first
        assert again.outcome.usage is second.outcome.usage


class Text(str):
    """A text of another type."""

    __slots__ = ()


@pytest.mark.parametrize(
    "value",
    [
        None,
        1,
        0,
        False,
        "",
        "text",
        Text("text"),
        [],
        [1],
        {},
        {"a": (1, 2)},
        {"a": {"b": [Text()]}},
    ],
    ids=repr,
)
@pytest.mark.parametrize("said", ["text", "", " ", Text("text"), ["text"], None], ids=repr)
def test_a_text_with_json_beside_it_is_read_alike_on_the_short_way(value: Any, said: Any) -> None:
    sample = {"output_text": said, "output_json": value}

    def read(make: Callable[[], Scope]) -> Any:
        try:
            scope = make()
            found = repr((scope.output_text, type(scope.output_text), scope.given, scope.flags()))
            return found, scope.output_json()
        except (InvalidRow, SampleNotJson) as error:
            return str(error)

    short = read(lambda: scope_reader(None, lambda: True)({"item": {}, "sample": sample}))
    assert short == read(lambda: sample_scope({}, sample=sample))
