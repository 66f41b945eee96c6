"""The parts of answering that need no process: growing texts, turns, and the table of graders.toml."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from graders_engine.errors import InvalidRequest
from graders_engine.inference import turns
from graders_engine.inference.errors import ModelBusy
from graders_engine.inference.generators.choice_text import ChoiceText
from graders_engine.inference.generators.growing_text import BROKEN, GrowingText
from graders_engine.inference.options import options_of
from graders_engine.inference.request import read_chat
from graders_engine.inference.turns import Turns
from graders_engine.models.config import read_config


def of_bytes(tokens: list[int]) -> str:
    return bytes(tokens).decode("utf-8", "replace")


def grown(text: str | bytes, *stops: str) -> tuple[list[str], GrowingText]:
    """The pieces of a text that comes byte by byte."""
    growing = GrowingText(of_bytes, stops)
    pieces = []
    for byte in text.encode() if isinstance(text, str) else text:
        pieces.append(growing.add(byte))
        if growing.stopped:
            break
    pieces.append(growing.finish())
    return pieces, growing


@pytest.mark.parametrize("text", ["", "a", "née", "日本語 🙂!", "e\u0301", "👩‍👩‍👧"])
def test_pieces_are_whole_characters_and_together_the_text(text: str) -> None:
    pieces, growing = grown(text)
    assert "".join(pieces) == growing.text == text
    assert not any("\ufffd" in piece for piece in pieces)


def of_pieces(tokens: list[int]) -> str:
    """As a decoder of sentencepiece with bytes: each byte of a run that is no text is a sign of its own."""
    try:
        return bytes(tokens).decode()
    except UnicodeDecodeError:
        return BROKEN * len(tokens)


@pytest.mark.parametrize("text", ["né", "日本語", "🙂", "a🙂é"])
def test_a_decoder_with_a_sign_for_each_byte_of_a_broken_character_makes_no_difference(
    text: str,
) -> None:
    growing = GrowingText(of_pieces)
    pieces = [growing.add(byte) for byte in text.encode()]
    assert "".join(pieces) + growing.finish() == growing.text == text
    assert not any(BROKEN in piece for piece in pieces)


def test_tokens_that_make_no_character_are_not_kept_for_ever() -> None:
    growing = GrowingText(of_bytes)
    pieces = [growing.add(0xFF) for _ in range(300)]
    assert len("".join(pieces)) > 200
    assert "".join(pieces) + growing.finish() == BROKEN * 300


def test_a_special_token_within_a_text_takes_no_blank_away() -> None:
    words = ["one", "", "\u2581two"]  # the second one is a special token

    def decode(tokens: list[int]) -> str:
        return "".join(words[token] for token in tokens).replace("\u2581", " ").removeprefix(" ")

    growing = GrowingText(decode)
    assert "".join(map(growing.add, (0, 1, 2))) + growing.finish() == "one two"


def test_a_text_that_is_cut_within_a_character_is_the_same_whole_and_in_pieces() -> None:
    found = []
    for stream in (False, True):
        request = read_chat({"messages": [{"role": "user", "content": "-"}], "stream": stream})
        text = ChoiceText(0, request, Deaf(), of_pieces, None)
        row = [*"é🙂".encode()][:4]
        for token in row if text.follows else ():
            text.add(token, [-1])
        found.append(text.choice(row, [-1]))
    assert found[0] == found[1]
    assert found[0].text == f"é{BROKEN * 2}"


class Deaf:
    """A listener that keeps nothing."""

    gone = False

    def text(self, choice: int, text: str) -> None: ...

    def call(self, choice: int, call: dict[str, Any]) -> None: ...


def test_pieces_of_any_bytes_are_together_what_they_are_at_once() -> None:
    chance = random.Random(5)  # noqa: S311 - not for secrets
    for _ in range(300):
        data = bytes(chance.choice([chance.randrange(256), 0xF0, 0x9F, 65]) for _ in range(30))
        pieces, growing = grown(data)
        assert "".join(pieces) == growing.text == data.decode("utf-8", "replace")


@pytest.mark.parametrize(
    ("text", "stops", "before"),
    [
        ("one END two", ("END",), "one "),
        ("one EEND two", ("END",), "one E"),
        ("aab aaab", ("aaab",), "aab "),
        ("one two", ("two", "ne"), "o"),
        ("née 🙂 x", ("🙂",), "née "),
        ("no stop EN", ("END",), "no stop EN"),
        ("END", ("END",), ""),
    ],
)
def test_a_text_ends_before_its_first_stop_and_no_piece_has_a_part_of_it(
    text: str, stops: tuple[str, ...], before: str
) -> None:
    pieces, growing = grown(text, *stops)
    assert "".join(pieces) == growing.text == before
    assert growing.stopped == (before != text)


def test_a_decoder_that_drops_the_blank_before_a_text_makes_no_difference() -> None:
    words = [" It", " is", " so", "!"]

    def decode(tokens: list[int]) -> str:
        return "".join(words[token] for token in tokens).lstrip(" ")

    growing = GrowingText(decode)
    assert [growing.add(token) for token in range(4)] == ["It", " is", " so", "!"]


async def _in_turn(turns_: Turns, model: str, order: list[str], go: asyncio.Event) -> None:
    async with turns_.turn(model):
        order.append(model)
        await go.wait()


def test_requests_for_the_model_that_is_loaded_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    async def order_of(models: str) -> list[str]:
        queue, go, order = Turns(), asyncio.Event(), list[str]()
        working = [asyncio.ensure_future(_in_turn(queue, one, order, go)) for one in models]
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(*working)
        return order

    assert asyncio.run(order_of("abacab")) == ["a", "a", "a", "b", "b", "c"]
    monkeypatch.setattr(turns, "SWITCH_S", 0.0)  # all have waited for long
    assert asyncio.run(order_of("abacab")) == ["a", "b", "a", "c", "a", "b"]


def test_too_many_that_wait_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MAX_WAITING", 2)

    async def crowd() -> None:
        queue, go, order = Turns(), asyncio.Event(), list[str]()
        working = [asyncio.ensure_future(_in_turn(queue, "a", order, go)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(ModelBusy):
            await _in_turn(queue, "a", order, go)
        go.set()
        await asyncio.gather(*working)
        assert len(order) == 3

    asyncio.run(crowd())


def test_a_request_that_is_given_up_takes_nobody_s_turn() -> None:
    async def given_up() -> list[str]:
        queue, go, order = Turns(), asyncio.Event(), list[str]()
        working = [asyncio.ensure_future(_in_turn(queue, one, order, go)) for one in "abc"]
        await asyncio.sleep(0)
        working[1].cancel()
        await asyncio.sleep(0)
        working[0].cancel()
        await asyncio.sleep(0)
        working[2].cancel()  # it is its turn just now
        await asyncio.gather(*working, return_exceptions=True)
        go.set()
        await _in_turn(queue, "d", order, go)
        return order

    assert asyncio.run(given_up())[-1] == "d"


def test_requests_that_are_given_up_as_a_turn_ends_leave_it_to_the_next() -> None:
    async def given_up() -> list[str]:
        queue, go, order = Turns(), asyncio.Event(), list[str]()
        working = [asyncio.ensure_future(_in_turn(queue, one, order, go)) for one in "abcd"]
        await asyncio.sleep(0)
        go.set()
        await asyncio.sleep(0)  # the first one goes on in the next round, and before the others
        for one in working[1:3]:
            one.cancel()
        await asyncio.gather(*working, return_exceptions=True)
        return order

    assert asyncio.run(given_up()) == ["a", "d"]


def test_turns_that_are_refused_while_some_are_given_up_are_refused() -> None:
    async def refused() -> list[BaseException | None]:
        queue, go, order = Turns(), asyncio.Event(), list[str]()
        working = [asyncio.ensure_future(_in_turn(queue, one, order, go)) for one in "abc"]
        await asyncio.sleep(0)
        working[1].cancel()
        queue.refuse(ModelBusy("Over."))
        go.set()
        return await asyncio.gather(*working, return_exceptions=True)

    first, second, third = asyncio.run(refused())
    assert first is None
    assert isinstance(second, asyncio.CancelledError)
    assert isinstance(third, ModelBusy)


def test_the_table_says_how_models_answer(tmp_path: Path) -> None:
    path = tmp_path / "graders.toml"
    path.write_text("")
    options = options_of(read_config(path))
    assert (options.idle_s, options.python, options.device) == (300.0, sys.executable, "auto")
    assert options.generator.endswith(":TransformersGenerator")
    path.write_text(
        '[training]\npython = "other/python"\n[inference]\nidle_s = 5\nengine = "vllm"\n'
    )
    options = options_of(read_config(path))
    assert (options.idle_s, options.python) == (5, str(tmp_path / "other/python"))
    assert options.generator.endswith(":VLLMGenerator")
    path.write_text('[inference]\npython = "own/python"\ndevice = "cuda:1"\n')
    options = options_of(read_config(path))
    assert (options.python, options.device) == (str(tmp_path / "own/python"), "cuda:1")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("idle_s = 0", "idle_s must be above 0"),
        ('engine = "llama.cpp"', "engine is one of transformers, vllm"),
        ('device = "tpu"', "device is auto, cpu, mps or cuda:NUMBER"),
        ("idle = 3", "unknown key idle"),
    ],
)
def test_a_mistake_in_the_table_is_named(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "graders.toml"
    path.write_text(f"[inference]\n{line}\n")
    with pytest.raises(InvalidRequest, match=reason):
        read_config(path)
