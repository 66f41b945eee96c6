"""NeMo Gym's own server verifies responses by a grader; an outage masks the sample."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import httpx
import pytest
from fastapi.testclient import TestClient
from nemo_gym.server_utils import ServerClient

from graders_engine.adapters.nemo_gym import GraderConfig, GraderResourcesServer
from tests.frameworks.conftest import score_model, two_checks
from tests.frameworks.heads import examples


def body(**fields: Any) -> dict[str, Any]:
    """A request to verify an answer, with a data row's fields."""
    message = {
        "id": "m", "type": "message", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": "paris", "annotations": []}],
    }  # fmt: skip
    response = {
        "id": "r", "object": "response", "created_at": 0, "model": "m", "output": [message],
        "parallel_tool_calls": False, "tool_choice": "auto", "tools": [],
    }  # fmt: skip
    return {"responses_create_params": {"input": "The capital?"}, "response": response, **fields}


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The address of the server of the head, which its own `app.py` serves with its configuration."""
    app, configuration = examples("nemo_gym", tmp_path)
    (tmp_path / "app.py").write_text(app)
    (tmp_path / "capitals.yaml").write_text(configuration)
    command = [sys.executable, "-u", "app.py", "+config_paths=[capitals.yaml]"]
    with subprocess.Popen(
        command, cwd=tmp_path, env={**os.environ, "NEMO_GYM_CONFIG_PATH": "capitals"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as server:  # fmt: skip
        assert server.stdout
        try:
            printed = ""
            while not (found := re.search(r"running on (\S+)", printed)):
                line = server.stdout.readline()
                assert line, printed
                printed += line
            yield found[1]
        finally:
            server.terminate()
    assert "Ray" not in printed  # a grader needs no cluster, and none is started for it


def test_the_example_of_the_head_serves(address: str) -> None:
    for answer, reward in (("paris", 1.0), ("Oslo", 0.0)):
        found = httpx.post(f"{address}/verify", json=body(answer=answer), timeout=60).json()
        assert (found["reward"], found["mask_sample"]) == (reward, False)


def verified(grader: dict[str, Any], settings: dict[str, Any], **fields: Any) -> dict[str, Any]:
    config = GraderConfig(
        host="127.0.0.1",
        port=1,
        entrypoint="app.py",
        name="graders",
        grader=grader,
        settings=settings,
    )
    server = GraderResourcesServer(config=config, server_client=MagicMock(spec=ServerClient))
    with TestClient(server.setup_webserver()) as client:
        answer = client.post("/verify", json=body(**fields))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_response_has_a_reward_and_its_parts_on_top() -> None:
    found = verified(two_checks("{{item.answer}}"), {}, answer="Paris")
    assert (found["reward"], found["mask_sample"]) == (0.5, False)
    assert found["reward_components"] == {"exact": 0.0, "loose": 1.0}
    assert (found["exact"], found["loose"], found["answer"]) == (0.0, 1.0, "Paris")


def test_a_part_overwrites_no_field() -> None:
    names = ("response", "reward", "mask_sample", "answer", "plain")
    check = two_checks("{{item.answer}}")["graders"]["loose"]
    grader = {
        "type": "multi", "name": "mix", "graders": dict.fromkeys(names, check),
        "calculate_output": "(response + reward + mask_sample + answer + plain) / 10",
    }  # fmt: skip
    found = verified(grader, {}, answer="Paris")
    assert (found["reward"], found["mask_sample"], found["answer"]) == (0.5, False, "Paris")
    assert found["response"]["id"] == "r"
    assert found["reward_components"] == dict.fromkeys(names, 1.0)
    assert [found[f"mix/{name}"] for name in names[:-1]] == [1.0] * 4
    assert (found["plain"], "mix/plain" in found) == (1.0, False)


def test_fields_of_the_data_are_not_the_answers() -> None:
    data = {"answer": "Paris", "reward": 9.0, "mask_sample": True, "failure_kind": "judge_failed"}
    found = verified(two_checks("{{item.answer}}"), {}, **data)
    assert (found["reward"], found["mask_sample"], found["failure_kind"]) == (0.5, False, None)


@pytest.mark.parametrize("failed", ["none", "nan"])
def test_an_outage_masks_the_sample(failed: str) -> None:
    judges = {"judges": "http://127.0.0.1:9/v1", "failed": failed}
    found = verified(score_model("{{item.answer}}"), judges, answer="Paris")
    assert (found["reward"], found["mask_sample"]) == (0.0, True)
    assert (found["judge/failed"], found["judge/scored"]) == (1.0, 0.0)
    assert found["failure_kind"] == "verifier_error"
    assert "127.0.0.1:9" in found["failure_reason"]
