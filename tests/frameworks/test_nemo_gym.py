"""NeMo Gym's own server verifies responses by a grader; an outage masks the sample."""

from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock

import pytest
from fastapi.testclient import TestClient
from nemo_gym.server_utils import ServerClient

from graders_engine.adapters.nemo_gym import GraderConfig, GraderResourcesServer
from tests.frameworks.conftest import score_model, two_checks


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
    message = {
        "id": "m", "type": "message", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": "paris", "annotations": []}],
    }  # fmt: skip
    response = {
        "id": "r", "object": "response", "created_at": 0, "model": "m", "output": [message],
        "parallel_tool_calls": False, "tool_choice": "auto", "tools": [],
    }  # fmt: skip
    body = {"responses_create_params": {"input": "The capital?"}, "response": response, **fields}
    with TestClient(server.setup_webserver()) as client:
        answer = client.post("/verify", json=body)
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
