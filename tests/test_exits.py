"""An exception that is no Exception, raised by other code, ends the call that met it and no other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from graders_engine import AsyncEngine, Engine, JudgeSettings, ModelReply, ModelRequest, Scripted
from graders_engine.dataset.scoring.score import score_file

EXITS = (SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError)
STRING_CHECK: dict[str, Any] = {
    "type": "string_check",
    "input": "{{sample.output_text}}",
    "reference": "{{item.label}}",
    "operation": "like",
}
JUDGED: dict[str, Any] = {
    "type": "score_model",
    "model": "m",
    "input": [{"role": "user", "content": "{{sample.output_text}}"}],
}
COSINE: dict[str, Any] = {
    "type": "text_similarity",
    "input": "{{sample.output_text}}",
    "reference": "{{item.label}}",
    "evaluation_metric": "cosine",
}
MULTI: dict[str, Any] = {
    "type": "multi",
    "graders": {"judged": JUDGED, "checked": STRING_CHECK},
    "calculate_output": "judged + checked",
}
GOOD: dict[str, Any] = {"model_sample": "good", "item": {"label": "good"}}
BAD: dict[str, Any] = {"model_sample": "bad", "item": {"label": "good"}}
OBSERVED: dict[str, Any] = {"model_sample": "observed", "item": {"label": "good"}}


class Leaving:
    """A judge, an observer and an embedding backend that leave when they are asked about "bad"."""

    signature, batch = "leaving", 8

    def __init__(self, leave: type[BaseException]) -> None:
        self.leave = leave

    async def complete(self, request: ModelRequest) -> ModelReply:
        await asyncio.sleep(0)
        if "bad" in str(request.messages):
            raise self.leave
        return await Scripted(0.5).complete(request)

    def observe(self, request: ModelRequest, reply: object) -> None:
        if "observed" in str(request.messages):
            raise self.leave

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        if "bad" in texts:
            raise self.leave
        return [[1.0, 0.0] for _ in texts]

    async def close(self) -> None: ...

    def settings(self, repeats: int = 1) -> dict[str, Any]:
        judges = JudgeSettings(endpoints={"default": self}, repeats=repeats)
        return {"judges": judges, "observe": self.observe, "embeddings": self, "concurrency": 4}


class Item(dict[str, Any]):
    """An item that leaves when a field of it is read."""

    def __init__(self, leave: type[BaseException]) -> None:
        super().__init__(label="good")
        self.leave = leave

    def __getitem__(self, key: str) -> Any:
        raise self.leave


CASES: dict[str, tuple[dict[str, Any], dict[str, Any], int]] = {
    "item": (STRING_CHECK, {}, 1),
    "judge": (JUDGED, BAD, 1),
    "judge asked three times": (JUDGED, BAD, 3),
    "observer": (JUDGED, OBSERVED, 1),
    "part of a multi": (MULTI, BAD, 1),
    "embeddings": (COSINE, BAD, 1),
}
cases = pytest.mark.parametrize("case", CASES)
exits = pytest.mark.parametrize("leave", EXITS)


def of(case: str, leave: type[BaseException]) -> tuple[dict[str, Any], dict[str, Any], int]:
    grader, row, repeats = CASES[case]
    return grader, row or {"model_sample": "good", "item": Item(leave)}, repeats


@exits
@cases
def test_it_ends_its_own_call(case: str, leave: type[BaseException]) -> None:
    grader, row, repeats = of(case, leave)
    with Engine(**Leaving(leave).settings(repeats)) as engine:
        with pytest.raises(leave):
            engine.run(grader, **row)
        with pytest.raises(leave):
            list(engine.score(grader, [GOOD, row, GOOD]))
        assert engine.run(grader, **GOOD).reward
        assert all(outcome.reward for outcome in engine.score(grader, [GOOD] * 3))


@exits
@cases
def test_it_ends_its_own_call_and_not_the_event_loop_of_the_caller(
    case: str, leave: type[BaseException]
) -> None:
    grader, row, repeats = of(case, leave)

    async def main() -> None:
        async with AsyncEngine(**Leaving(leave).settings(repeats)) as engine:
            with pytest.raises(leave):
                await engine.run(grader, **row)
            with pytest.raises(leave):
                [outcome async for outcome in engine.score(grader, [GOOD, row, GOOD])]
            assert (await engine.run(grader, **GOOD)).reward

    asyncio.run(main())


@exits
def test_a_call_beside_it_is_not_touched(leave: type[BaseException]) -> None:
    async def main() -> None:
        async with AsyncEngine(**Leaving(leave).settings()) as engine:

            async def left() -> bool:
                try:
                    await engine.run(JUDGED, **BAD)
                except leave:
                    return True
                return False

            ended, beside = await asyncio.gather(left(), engine.run(JUDGED, **GOOD))
            assert ended
            assert beside.reward == 0.5

    asyncio.run(main())


@exits
def test_it_ends_a_data_set_whose_rows_raise_it(leave: type[BaseException]) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        yield GOOD
        raise leave

    with Engine(**Leaving(leave).settings()) as engine:
        for grader in (STRING_CHECK, JUDGED):
            with pytest.raises(leave):
                list(engine.score(grader, rows()))
            assert engine.run(grader, **GOOD).reward


@exits
def test_it_ends_the_scoring_of_a_file_and_leaves_no_lock(
    leave: type[BaseException], tmp_path: Path
) -> None:
    data, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    row = '{"model_sample": "good", "item": {"label": "good"}}\n'
    data.write_text(row * 3 + row.replace('"good",', '"bad",'))

    def progress(*_: object) -> None:
        raise leave

    backend = Leaving(leave)
    with Engine(**backend.settings()) as engine:
        ways: list[Callable[[], object]] = [
            lambda: score_file(engine, JUDGED, data, out),
            lambda: score_file(engine, STRING_CHECK, data, tmp_path / "b", on_progress=progress),
        ]
        for way in ways:
            with pytest.raises(leave):
                way()
        data.write_text(row * 4)
        assert score_file(engine, JUDGED, data, out, overwrite=True).scored == 4
