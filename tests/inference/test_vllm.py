"""Requests are passed to vLLM where graders.toml names it, and to nothing else where it is not installed."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from graders_engine.inference.errors import InvalidChat, ModelUnavailable
from graders_engine.inference.generator import GENERATORS
from graders_engine.inference.gpu import gpu_for_training
from graders_engine.inference.options import InferenceOptions
from graders_engine.inference.served import ServedModel
from tests.inference import fake_vllm
from tests.inference.conformance import Asked, joined, process_in, text_of
from tests.inference.waiting import until, until_free


def user(content: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": content}]


def test_without_vllm_a_request_is_refused_with_its_reason(tmp_path: Path) -> None:
    options = InferenceOptions(generator=GENERATORS["vllm"])
    model = ServedModel("m", tmp_path, 5, "one")
    refused = pytest.raises(ModelUnavailable, match="names vllm, which is not installed in")
    with process_in(tmp_path / "inference", options, model) as asked, refused:
        asked.complete()


@pytest.fixture
def asked(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    fake_vllm.install(tmp_path / "packages")
    path = f"{tmp_path / 'packages'}{os.pathsep}{os.environ['PYTHONPATH']}"
    monkeypatch.setenv("PYTHONPATH", path)
    options = InferenceOptions(generator=GENERATORS["vllm"])
    model = ServedModel("tiny", base, 5, "one")
    with process_in(tmp_path / "store" / "inference", options, model) as made:
        yield made


def engine(asked: Asked) -> int:
    number: int = json.loads((asked.folder / "vllm.json").read_text())["pid"]
    return number


def is_there(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_an_answer_is_passed_through_whole_and_in_pieces(asked: Asked) -> None:
    found = asked.complete(messages=user("one two three"), n=2)
    assert [text_of(found, choice) for choice in range(2)] == ["one two three "] * 2
    assert found["model"] == "tiny"
    assert found["usage"] == {"prompt_tokens": 7, "completion_tokens": 6, "total_tokens": 13}
    long = asked.complete(messages=user("1 2 3 4 5 6"))
    assert (text_of(long), long["choices"][0]["finish_reason"]) == ("1 2 3 4 5 ", "length")
    chunks = asked.chunks(messages=user("one two three"))
    assert (joined(chunks), len(chunks)) == ("one two three ", 4)
    for content in ("refuse", "cut"):
        with pytest.raises(ModelUnavailable, match="vLLM gave no answer"):
            asked.complete(messages=user(content))
    tools = [{"type": "function", "function": {"name": "f"}}]
    assert refused(asked, tools=tools) == "tools"
    assert refused(asked, messages=user("<|end|>")) == "messages"


def refused(asked: Asked, **body: Any) -> str | None:
    with pytest.raises(InvalidChat) as caught:
        asked.complete(**body)
    return caught.value.mistakes[0].param


def test_the_server_of_vllm_ends_with_the_process_that_answers(asked: Asked) -> None:
    asked.options = replace(asked.options, idle_s=0.3)
    asked.complete()
    process = engine(asked)
    until_free(asked.folder)
    until(lambda: not is_there(process))


def test_what_a_killed_process_has_left_of_vllm_is_ended_before_another_one_or_a_job(
    asked: Asked,
) -> None:
    asked.complete()
    first = engine(asked)
    os.kill(int((asked.folder / "lock").read_text()), signal.SIGKILL)
    until_free(asked.folder)
    assert is_there(first)
    asked.complete()
    assert not is_there(first)
    last = engine(asked)
    os.kill(int((asked.folder / "lock").read_text()), signal.SIGKILL)
    until_free(asked.folder)
    with gpu_for_training(asked.folder):
        assert not is_there(last)


def test_a_server_of_vllm_that_does_not_start_is_no_answer(asked: Asked) -> None:
    asked.folder.mkdir(parents=True)
    (asked.folder / "vllm-is-broken").touch()
    with pytest.raises(ModelUnavailable, match="vLLM cannot serve the model"):
        asked.complete()
    assert "there is no GPU" in (asked.folder / "worker.log").read_text()
