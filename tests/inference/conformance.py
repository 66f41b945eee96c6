"""What models that answer do, whatever generates: asked through `LocalModels`, by a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from graders_engine.inference.client import LocalModels
from graders_engine.inference.errors import InvalidChat, ModelUnavailable
from graders_engine.inference.gpu import leave
from graders_engine.inference.options import InferenceOptions
from graders_engine.inference.served import ServedModel
from tests.inference.taught import QUESTION
from tests.inference.waiting import until_free

T = TypeVar("T")
ASKED = [{"role": "user", "content": QUESTION}]


class Asked:
    """A model that can be asked, each time in an event loop of its own.

    Args:
        folder: of the process that answers.
        options: for it.
        model: the model.
    """

    def __init__(self, folder: Path, options: InferenceOptions, model: ServedModel) -> None:
        self.folder, self.options, self.model = folder, options, model

    def run(self, work: Callable[[LocalModels], Coroutine[Any, Any, T]]) -> T:
        async def worked() -> T:
            models = LocalModels(self.folder, self.options)
            try:
                return await work(models)
            finally:
                await models.aclose()

        return asyncio.run(worked())

    def complete(self, **body: Any) -> dict[str, Any]:
        sent = {"messages": ASKED, **body}
        return self.run(lambda models: models.complete(self.model, sent))

    def greedy(self, **body: Any) -> dict[str, Any]:
        return self.complete(temperature=0, **body)

    def chunks(self, **body: Any) -> list[dict[str, Any]]:
        sent = {"messages": ASKED, **body}

        async def all_of(models: LocalModels) -> list[dict[str, Any]]:
            return [chunk async for chunk in models.stream(self.model, sent)]

        return self.run(all_of)


@contextmanager
def process_in(folder: Path, options: InferenceOptions, model: ServedModel) -> Iterator[Asked]:
    """A model that can be asked; the process that answers is ended."""
    yield Asked(folder, options, model)
    leave(folder)
    until_free(folder)


def text_of(completion: dict[str, Any], choice: int = 0) -> str:
    text: str = completion["choices"][choice]["message"]["content"]
    return text


def joined(chunks: list[dict[str, Any]], choice: int = 0) -> str:
    return "".join(
        one["delta"].get("content") or ""
        for chunk in chunks
        for one in chunk["choices"]
        if one["index"] == choice
    )


class GeneratorConformance:
    """The tests. The model's greedy answer has at least eight tokens, and twenty characters."""

    @pytest.fixture
    def asked(self) -> Asked:
        raise NotImplementedError

    def test_an_answer_is_a_chat_completion_with_true_counts(self, asked: Asked) -> None:
        found = asked.greedy(max_completion_tokens=5)
        assert found["object"] == "chat.completion"
        assert found["model"] == asked.model.name
        usage = found["usage"]
        assert usage["completion_tokens"] == 5
        assert usage["prompt_tokens"] > 0
        assert usage["total_tokens"] == usage["prompt_tokens"] + 5
        assert found["choices"][0]["finish_reason"] == "length"
        assert found["choices"][0]["message"]["role"] == "assistant"

    def test_greedy_answers_are_the_same_each_time_and_in_each_choice(self, asked: Asked) -> None:
        first = text_of(asked.greedy())
        again = asked.greedy(n=3)
        assert [text_of(again, choice) for choice in range(3)] == [first] * 3
        assert [choice["index"] for choice in again["choices"]] == [0, 1, 2]

    def test_a_seed_makes_sampled_answers_the_same_and_choices_differ(self, asked: Asked) -> None:
        first, again, other = (asked.complete(n=4, seed=seed) for seed in (7, 7, 8))
        texts = [text_of(first, choice) for choice in range(4)]
        assert texts == [text_of(again, choice) for choice in range(4)]
        assert texts != [text_of(other, choice) for choice in range(4)]
        assert len(set(texts)) > 1

    def test_a_stream_has_the_same_text_in_several_pieces(self, asked: Asked) -> None:
        for body in ({"temperature": 0}, {"n": 3, "seed": 4}):
            whole = asked.complete(**body)
            chunks = asked.chunks(**body, stream_options={"include_usage": True})
            for choice in range(len(whole["choices"])):
                assert joined(chunks, choice) == text_of(whole, choice)
                own = [
                    one for chunk in chunks for one in chunk["choices"] if one["index"] == choice
                ]
                assert len(own) > 3
                assert own[0]["delta"]["role"] == "assistant"
                assert not any("role" in one["delta"] for one in own[1:])
                reasons = [one["finish_reason"] for one in own]
                assert reasons[-1] == whole["choices"][choice]["finish_reason"]
                assert not any(reasons[:-1])
            assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
            assert len({chunk["id"] for chunk in chunks}) == 1
            assert chunks[-1]["choices"] == []
            assert chunks[-1]["usage"] == whole["usage"]
            assert not any(chunk["usage"] for chunk in chunks[:-1])

    def test_an_answer_ends_before_a_stop(self, asked: Asked) -> None:
        whole = text_of(asked.greedy())
        stop = whole[9:14]
        assert stop
        before = whole[: whole.index(stop)]
        for given in (stop, ["never in it", stop]):
            found = asked.greedy(stop=given)
            assert text_of(found) == before
            assert found["choices"][0]["finish_reason"] == "stop"
            assert joined(asked.chunks(temperature=0, stop=given)) == before
        assert found["usage"]["completion_tokens"] < asked.greedy()["usage"]["completion_tokens"]

    def test_a_stop_that_does_not_come_changes_nothing(self, asked: Asked) -> None:
        assert text_of(asked.greedy(stop="never in it")) == text_of(asked.greedy())

    def test_a_longer_answer_than_the_model_gives_is_refused(self, asked: Asked) -> None:
        with pytest.raises(InvalidChat) as caught:
            asked.complete(max_tokens=asked.model.max_completion_tokens + 1)
        assert caught.value.mistakes[0].param == "max_completion_tokens"

    def test_a_stream_that_is_left_lets_the_next_request_be_answered(self, asked: Asked) -> None:
        async def leave_it(models: LocalModels) -> None:
            async with aclosing(models.stream(asked.model, {"messages": ASKED, "n": 8})) as chunks:
                async for _ in chunks:
                    break

        asked.run(leave_it)
        assert text_of(asked.greedy())

    def test_several_requests_at_once_are_all_answered(self, asked: Asked) -> None:
        whole = text_of(asked.greedy())

        async def all_at_once(models: LocalModels) -> list[dict[str, Any]]:
            body = {"messages": ASKED, "temperature": 0}
            return await asyncio.gather(*(models.complete(asked.model, body) for _ in range(6)))

        assert [text_of(one) for one in asked.run(all_at_once)] == [whole] * 6

    def test_weights_that_are_gone_are_no_empty_answer(self, asked: Asked, tmp_path: Path) -> None:
        lost = replace(asked.model, folder=tmp_path / "gone", identity="other")
        with pytest.raises(ModelUnavailable):
            Asked(asked.folder, asked.options, lost).complete()
        with pytest.raises(ModelUnavailable):
            Asked(asked.folder, asked.options, lost).chunks()
        assert text_of(asked.greedy())
