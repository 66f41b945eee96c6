"""What the tests of the cookbook's scripts share: both servers, and how the scripts wait and read."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai

from tests.evals.cookbook_models import replies
from tests.judges.judge_server import Asked, JudgeServer, judge_server
from tests.server.serving import serving

STRONG = "gpt-4.1"
TOML = """
[endpoints.chat]
base_url = "{url}"
[endpoints.responses]
base_url = "{url}"
api = "responses"
[models]
"gpt-4.1" = "gpt-4.1@chat"
"gpt-4.1-mini" = "gpt-4.1-mini@responses"
"o3" = "o3@chat"
"""


@dataclass
class Place:
    """Both servers, and a client of each."""

    evals: Any
    files: Any
    models: JudgeServer
    chat: openai.OpenAI
    url: str

    def asked(self, model: str) -> list[Asked]:
        return [one for one in self.models.asked if one.body["model"] == model]


@contextmanager
def opened_place(folder: Path) -> Iterator[Place]:
    """The servers, with a store in a folder."""
    with judge_server() as models:
        models.script = replies
        (folder / "graders.toml").write_text(TOML.format(url=models.url))
        with (
            serving(folder, "--jobs", "store") as server,
            openai.OpenAI(base_url=f"{server.url}/v1", api_key="sk-any") as client,
            openai.OpenAI(base_url=models.url, api_key="sk-any") as chat,
        ):
            yield Place(client.evals, client.files, models, chat, server.url)


def poll_runs(evals: Any, eval_id: str, *run_ids: str) -> list[Any]:
    """As the scripts wait: until all runs are completed or failed."""
    end = time.monotonic() + 120
    while True:
        runs = [evals.runs.retrieve(run_id, eval_id=eval_id) for run_id in run_ids]
        if all(run.status in ("completed", "failed") for run in runs):
            return runs
        assert time.monotonic() < end, runs
        time.sleep(0.1)


def items_of(evals: Any, run: Any) -> list[Any]:
    return list(evals.runs.output_items.list(run_id=run.id, eval_id=run.eval_id))


def counts(run: Any) -> tuple[str, int, int, int]:
    found = run.result_counts
    return run.status, found.passed, found.failed, found.errored


def message(role: str, text: str) -> dict[str, Any]:
    return {
        "type": "message",
        "role": role,
        "content": {"type": "input_text", "text": text},
    }


def template(*messages: dict[str, Any]) -> dict[str, Any]:
    return {"type": "template", "template": list(messages)}


def content(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "file_content", "content": [{"item": item} for item in items]}


def scores(items: list[Any]) -> list[float]:
    return [item.results[0].score for item in items]
