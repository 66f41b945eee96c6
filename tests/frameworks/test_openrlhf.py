"""OpenRLHF's own executor fetches rewards from a file; an outage leaves no reward."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from tests.frameworks.conftest import score_model, two_checks
from tests.frameworks.heads import examples

PROMPT = "<|im_start|>user\\nThe capital?<|im_end|>\\n<|im_start|>assistant\\n"
ANSWER = "paris<|im_end|>"


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The class, from its file alone: the package imports what needs a GPU."""
    found = importlib.util.find_spec("openrlhf")
    assert found
    folder = next(iter(found.submodule_search_locations or ()))
    logs = ModuleType("openrlhf.utils.logging_utils")
    logs.init_logger = logging.getLogger  # type: ignore[attr-defined] # its only name
    for name in ("openrlhf", "openrlhf.utils"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, logs.__name__, logs)
    spec = importlib.util.spec_from_file_location("agent", Path(folder) / "utils" / "agent.py")
    assert spec
    assert spec.loader
    agent = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(agent)
    return agent.SingleTurnAgentExecutor


class Tokens:
    """A tokenizer and an engine: one token is the prompt, another one the answer."""

    def __call__(self, **_: Any) -> dict[str, Any]:
        return {"input_ids": torch.tensor([[0]])}

    def decode(self, tokens: list[int], *, skip_special_tokens: bool) -> str:
        assert not skip_special_tokens
        return "".join((PROMPT, ANSWER)[token] for token in tokens)

    async def generate(self, *_: Any, **__: Any) -> Any:
        answer = SimpleNamespace(token_ids=[1], finish_reason="stop", logprobs=None, text=ANSWER)
        return SimpleNamespace(outputs=[answer])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the head's grader and its `reward.py`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reward.py").write_text(examples("openrlhf", tmp_path)[0])
    return tmp_path


def fetched(executor: Any) -> Any:
    sampling = SimpleNamespace(max_tokens=8, logprobs=None)
    tokens = Tokens()
    running = executor("reward.py").execute(PROMPT, "Paris", sampling, 64, tokens, tokens)
    return asyncio.run(running)


def test_the_example_of_the_head_is_the_file_that_is_fetched_from(
    executor: Any, folder: Path
) -> None:
    assert fetched(executor)["reward"].tolist() == [0.0]
    (folder / "grader.json").write_text(
        (folder / "grader.json").read_text().replace('"eq"', '"ilike"')
    )
    assert fetched(executor)["reward"].tolist() == [1.0]


def test_the_call_of_the_head_runs(folder: Path) -> None:
    (folder / "example.py").write_text(examples("openrlhf", folder)[1])
    command = [sys.executable, "example.py"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr


def test_a_file_gives_rewards_and_parts(executor: Any, folder: Path) -> None:
    (folder / "grader.json").write_text(json.dumps(two_checks("{{item.label}}")))
    output = fetched(executor)
    assert (output["reward"].tolist(), output["scores"].tolist()) == ([0.5], [0.5])
    logs = {key: values.tolist() for key, values in output["extra_logs"].items()}
    assert logs == {
        "exact": [0.0], "loose": [1.0], "scored": [1.0], "invalid": [0.0], "failed": [0.0],
    }  # fmt: skip


def test_an_outage_leaves_no_reward(executor: Any, folder: Path) -> None:
    (folder / "grader.json").write_text(json.dumps(score_model("{{item.label}}")))
    file, given = folder / "reward.py", '"@grader.json"'
    text = file.read_text()
    assert given in text
    file.write_text(text.replace(given, f'{given}, judges="http://127.0.0.1:9/v1"'))
    output = fetched(executor)
    assert output["reward"] is None
