"""Jobs whose names, messages, rows, answers and graders try to run, to hide or to break."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

from graders_engine.storage.job_records import NewEvent, StoredCheckpoint
from graders_engine.storage.jobs import StoredJob
from graders_engine.storage.store import Store
from tests.view.hostile_rows import GRADER, ROWS, HostileRow

SHOWN_AT_ONCE = 10
"""Rollouts that a page has: the five best and the five worst."""
TEXTS = [
    row for row in ROWS if isinstance(row.item, dict) and isinstance(row.item.get("text"), str)
]


def add_jobs(store: Store) -> list[str]:
    """Jobs that have all hostile rows among their best and worst rollouts; their ids."""
    parts = [ROWS[start : start + SHOWN_AT_ONCE] for start in range(0, len(ROWS), SHOWN_AT_ONCE)]
    return [_add_job(store, number, part) for number, part in enumerate(parts)]


def _add_job(store: Store, number: int, rows: tuple[HostileRow, ...]) -> str:
    texts = [str(row.item["text"]) for row in TEXTS[number::3]]

    def name(at: int) -> str:
        """A text, as far as a store can have it."""
        return texts[at % len(texts)][:3_000].encode("utf-8", "replace").decode()

    job_id = f"ftjob-hostile{number}"
    job = StoredJob(
        id=job_id, project="default", status="failed", created_at=1_900_000_000,
        request={"model": name(0), "suffix": name(1), "training_file": name(2),
                 "method": {"type": "reinforcement", "reinforcement": {"grader": GRADER}}},
        spec={"grader": GRADER, "hyperparameters": {name(3): name(4), "eval_interval": name(5)},
              "seed": name(6), "lora": {"r": name(7)}, "validation_file": name(8).replace("\x00", "")},
        metadata={name(at)[:64]: name(at + 1)[:512] for at in range(16)},
        error={"code": name(0), "message": name(1), "param": None}, fine_tuned_model=name(2),
    )  # fmt: skip
    assert store.jobs.add(job)
    for at in range(14):
        event = NewEvent("warn" if at % 2 else "info", name(at), {})
        store.jobs.add_event(job_id, event.level, event.message, event.data)
    for step in range(1, 5):
        store.jobs.add_event(job_id, "info", name(step), _step(step, name), "metrics", step)
    _break_levels(store, job_id, name(3))
    metrics: dict[str, Any] = {"valid_reward_mean": name(1), name(2): 1.0}
    kept = StoredCheckpoint(job_id, 4, name(5), "step-4", "", metrics)
    assert store.jobs.add_checkpoint(kept)
    folder = store.job_folder(job_id)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "rollouts.jsonl").open("wb") as file:
        for at, row in enumerate(rows):
            file.write(_rollout(at, row) + b"\n")
    return job_id


def _step(step: int, name: Callable[[int], str]) -> dict[str, Any]:
    graders = [
        {"name": name(at), f"train_{name(at)}_count": at + 1, "train_reward_mean": 0.5}
        for at in range(6)
    ]
    return {
        "step": step, "total_steps": 4, "train_reward_mean": step / 4, "valid_reward_mean": name(step),
        "timing": {"step": {name(at): 1.0 for at in range(6)}},
        "errors": {"graders": graders}, "scores": {"graders": graders},
        "local": {"train_blames": {"sample": 1, name(1): 2}, "frac_zero_std": name(2)},
        "model_graders_token_usage": {name(3): {"total_tokens": 5}, name(4): name(5)},
    }  # fmt: skip


def _break_levels(store: Store, job_id: str, text: str) -> None:
    """Give the first event a level that no event has."""
    with closing(sqlite3.connect(store.folder / "store.sqlite3")) as file, file:
        first = (
            "UPDATE event SET level = ? WHERE seq = (SELECT min(seq) FROM event WHERE job_id = ?)"
        )
        file.execute(first, (text, job_id))


def _rollout(at: int, row: HostileRow) -> bytes:
    found = {
        "step": at + 1, "split": "train", "row": at + 1, "item": row.item, "sample": row.sample,
        "reward": at / 10, "sub_rewards": dict.fromkeys(GRADER["graders"], 0.5),
        "flags": {f"<img onerror={at}>": "<script>"},
    }  # fmt: skip
    if not row.line:
        return json.dumps(found).encode()
    found["sample"] = row.line
    return json.dumps(found).encode()
