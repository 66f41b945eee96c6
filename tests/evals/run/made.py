"""Evals, runs and their work, made in few words."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from graders_engine.evals.run.items import OutputItems
from graders_engine.evals.run.supervisor import Supervisor
from graders_engine.models.judges import JudgeSettings
from graders_engine.models.retry import RetryPolicy
from graders_engine.settings import EngineSettings
from graders_engine.storage.evals import StoredEval
from graders_engine.storage.ids import new_eval_id, new_run_id
from graders_engine.storage.pages import Page
from graders_engine.storage.runs import StoredRun
from graders_engine.storage.store import Store
from tests.judges.judge_server import Asked, JudgeServer, Reply, answer, said

PROJECT = "default"
QUICK = RetryPolicy(attempts=3, wait_initial_s=0.01, wait_max_s=0.02)
ECHO = {"type": "template", "template": [{"role": "user", "content": "{{item.question}}"}]}


def string_check(name: str = "match", **more: Any) -> dict[str, Any]:
    return {
        "type": "string_check",
        "name": name,
        "id": f"{name}-{uuid.uuid4()}",
        "operation": "eq",
        "input": "{{sample.output_text}}",
        "reference": "{{item.label}}",
        **more,
    }


def judge(kind: str, name: str = "judge", **more: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "name": name,
        "id": f"{name}-{uuid.uuid4()}",
        "model": "judge-1",
        "input": [{"role": "user", "content": "Good? {{sample.output_text}}"}],
        **more,
    }


def jsonl(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"type": "jsonl", "source": {"type": "file_content", "content": list(rows)}}


def row(label: str, text: str | None = None, **item: Any) -> dict[str, Any]:
    return {
        "item": {"label": label, **item},
        "sample": {"output_text": label if text is None else text},
    }


def completions(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    content = [{"item": item} for item in items]
    return {
        "type": "completions",
        "model": "asked-1",
        "input_messages": ECHO,
        "source": {"type": "file_content", "content": content},
        **more,
    }


def echo(asked: Asked) -> Reply:
    """The model repeats what it was asked."""
    return answer(said(asked.body["messages"][-1]["content"]))


def settings_for(server: JudgeServer | None = None, **more: Any) -> EngineSettings:
    endpoints = {} if server is None else {"default": server.url}
    return EngineSettings(judges=JudgeSettings(endpoints=endpoints, retry=QUICK, **more))


@dataclass
class Bench:
    """A store, and what is done in it."""

    folder: Path
    settings: EngineSettings = field(default_factory=EngineSettings)

    def __post_init__(self) -> None:
        self.store = Store(self.folder)

    def run(
        self, criteria: Sequence[dict[str, Any]], source: dict[str, Any], **more: Any
    ) -> StoredRun:
        """A new eval with a queued run."""
        body = {"testing_criteria": list(criteria)}
        stored = StoredEval(new_eval_id(), PROJECT, "an eval", None, 1, 1, body)
        self.store.evals.add(stored)
        queued = StoredRun(
            new_run_id(), stored.id, PROJECT, "a run", "", "queued", None, 2, source, {}
        )
        queued = replace(queued, **more)
        assert self.store.runs.add(queued)
        return queued

    def upload(self, rows: Sequence[Any]) -> str:
        part = self.store.files.new_part()
        part.write(b"".join(json.dumps(one).encode() + b"\n" for one in rows))
        return self.store.files.add(part, project=PROJECT, purpose="evals", name="rows.jsonl").id

    def supervisor(self, **more: Any) -> Supervisor:
        return Supervisor(self.store, self.settings, **more)

    def finish(self, run: StoredRun) -> StoredRun:
        done = self.supervisor().finish(run.id)
        assert done is not None
        return done

    def completed(self, criteria: Sequence[dict[str, Any]], source: dict[str, Any]) -> StoredRun:
        done = self.finish(self.run(criteria, source))
        assert done.status == "completed", done.error
        return done

    def items(self, run: StoredRun, **asked: Any) -> list[dict[str, Any]]:
        found = OutputItems(self.store).page(run, Page(limit=1000), **asked)
        assert not found.has_more
        return list(found.data)

    def files(self, run: StoredRun) -> Path:
        return self.store.run_folder(run.id)


def counts(run: StoredRun) -> tuple[int, int, int, int]:
    """Total, passed, failed, errored."""
    found = run.result["result_counts"]
    return found["total"], found["passed"], found["failed"], found["errored"]


def without_ids(items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Items but for what names their run."""
    named = ("id", "run_id", "eval_id", "created_at")
    return [{key: part for key, part in item.items() if key not in named} for item in items]


Script = Callable[[Asked], Reply]
