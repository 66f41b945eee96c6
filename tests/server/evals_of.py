"""Evals, runs and models for the tests of the Evals API."""

from __future__ import annotations

import json
from typing import Any

import openai

from tests.models.endpoint import Reply
from tests.server.serving import Server, eventually
from tests.server.test_sdk_clients import judged

MATCH: dict[str, Any] = {
    "type": "string_check",
    "name": "match",
    "input": "{{sample.output_text}}",
    "reference": "{{item.label}}",
    "operation": "eq",
}
SCORE: dict[str, Any] = {
    "type": "score_model",
    "name": "rated",
    "model": "judge",
    "input": [{"role": "user", "content": "Is {{sample.output_text}} a {{item.label}}?"}],
    "range": [0, 10],
    "pass_threshold": 7,
}
SLOW: dict[str, Any] = {
    "type": "python",
    "name": "slow",
    "source": "import time\ndef grade(sample, item):\n    time.sleep(0.5)\n    return 1.0\n",
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"label": {"type": "string"}},
    "required": ["label"],
}
CONFIG: dict[str, Any] = {
    "type": "custom",
    "item_schema": SCHEMA,
    "include_sample_schema": True,
}
ROWS: list[dict[str, Any]] = [
    {"item": {"label": "cat"}, "sample": {"output_text": "cat"}},
    {"item": {"label": "cat"}, "sample": {"output_text": "dog"}},
    {"item": {"label": "emu"}, "sample": {"output_text": "emu"}},
]
ENDED = ("completed", "failed", "canceled")
MISSING = "0" * 32


def eval_body(*criteria: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"data_source_config": CONFIG, "testing_criteria": list(criteria) or [MATCH], **more}


def jsonl(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "jsonl", "source": {"type": "file_content", "content": rows}}


def evals_of(client: openai.OpenAI | openai.AsyncOpenAI) -> Any:
    """The package's verbs, untyped: it wants typed dicts."""
    return client.evals


def client_of(server: Server, **settings: Any) -> openai.OpenAI:
    given = {"api_key": "sk-any", "max_retries": 0, **settings}
    return openai.OpenAI(base_url=f"{server.url}/v1", **given)


def ended(evals: Any, run: Any, seconds: float = 60.0) -> Any:
    """A run when it has ended."""
    last: list[Any] = [run]

    def is_over() -> bool:
        last[0] = evals.runs.retrieve(run.id, eval_id=run.eval_id)
        return last[0].status in ENDED

    assert eventually(is_over, seconds), last[0]
    return last[0]


def new_eval(server: Server, *criteria: dict[str, Any], **more: Any) -> str:
    answer = server.post("/v1/evals", eval_body(*criteria, **more))
    assert answer.status == 200, answer.body
    return str(answer.json["id"])


def new_run(server: Server, eval_id: str, source: dict[str, Any]) -> str:
    answer = server.post(f"/v1/evals/{eval_id}/runs", {"data_source": source})
    assert answer.status == 200, answer.body
    return str(answer.json["id"])


def modelled(body: dict[str, Any]) -> Reply:
    """What the endpoint answers: a verdict where one is asked for, else the last word that it was sent."""
    if "steps" in json.dumps(body.get("response_format", {})):
        return judged(body)
    content = body["messages"][-1]["content"]
    text = content if isinstance(content, str) else content[-1]["text"]
    message = {"role": "assistant", "content": text.split()[-1]}
    answer = {
        "id": "c",
        "object": "chat.completion",
        "created": 0,
        "model": "small-1",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10},
    }
    return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()
