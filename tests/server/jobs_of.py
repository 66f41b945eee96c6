"""A server whose jobs a scripted trainer trains, and requests for jobs."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai

from tests.jobs.models import make_model
from tests.jobs.stores import GRADER, ROWS
from tests.server.serving import Server, eventually, serving

ROOT = Path(__file__).parents[2]
TRAINER = "tests.jobs.served:ServedTrainer"
ENDED = ("succeeded", "failed", "cancelled")
MODEL = "tiny"
STALLS, SLOW = 101, 102
"""Seeds of jobs whose third step does not end, and of those that take their time."""
SCRIPTS: dict[int, dict[str, Any]] = {
    STALLS: {"3": "stall"},
    SLOW: {"pace": 0.2},
}
CONFIG = """
[base_models]
tiny = "tiny"
large = "large"
[base_models.supervised-only]
path = "tiny"
methods = ["supervised"]
[training]
python = "python"
jobs = 2
"""


def lay_out(folder: Path) -> None:
    """The models, a graders.toml, and a Python that trains with the scripted trainer."""
    make_model(folder / "tiny")
    make_model(folder / "large", {f"{n}.weight": [1 << 20, 1 << 20] for n in range(64)})
    (folder / "graders.toml").write_text(CONFIG, encoding="utf-8")
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@" --trainer {TRAINER}\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    (folder / "store" / "jobs").mkdir(parents=True)
    for seed, script in SCRIPTS.items():
        (folder / "store" / f"script-{seed}.json").write_text(json.dumps(script))


@contextmanager
def jobs_server(folder: Path, *flags: str, **environment: str) -> Iterator[Server]:
    """A server that trains."""
    if not (folder / "graders.toml").exists():
        lay_out(folder)
    given = ("--jobs", str(folder / "store"), *flags)
    with serving(folder, *given, PYTHONPATH=str(ROOT), **environment) as running:
        yield running


def client_of(server: Server, **settings: Any) -> openai.OpenAI:
    """A client; its verbs are untyped: the package wants typed dicts."""
    given = {"api_key": "sk-any", "max_retries": 0, **settings}
    return openai.OpenAI(base_url=f"{server.url}/v1", **given)


def jsonl(rows: list[Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def upload(client: Any, rows: list[Any], purpose: str = "fine-tune") -> str:
    return str(client.files.create(file=("rows.jsonl", jsonl(rows)), purpose=purpose).id)


def job_body(client: Any, method: str = "supervised", **more: Any) -> dict[str, Any]:
    """A request for a job, with files of its own."""
    body: dict[str, Any] = {
        "model": MODEL,
        "training_file": upload(client, ROWS[method]),
        "seed": 7,
    }
    config: dict[str, Any] = {"hyperparameters": {"n_epochs": 2, "batch_size": 2}}
    if method == "reinforcement":
        body["validation_file"] = upload(client, ROWS["others"])
        config["grader"] = GRADER
    return {**body, "method": {"type": method, method: config}, **more}


def until(client: Any, job_id: str, *statuses: str) -> Any:
    """A job when it has one of these states; it must get there."""
    last: list[Any] = []

    def is_there() -> bool:
        last[:] = [client.fine_tuning.jobs.retrieve(job_id)]
        return last[0].status in statuses or last[0].status in ENDED

    assert eventually(is_there, 120), last[0]
    assert last[0].status in statuses, last[0]
    return last[0]
