"""A run of an eval over 100,000 rows beside `graders score` on the same file, and its output items' pages."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measurement import Measurement
from graders_engine.evals.run.items import OutputItems
from graders_engine.evals.run.supervisor import Supervisor
from graders_engine.settings import EngineSettings
from graders_engine.storage.evals import StoredEval
from graders_engine.storage.ids import new_eval_id, new_run_id
from graders_engine.storage.pages import Page
from graders_engine.storage.runs import StoredRun
from graders_engine.storage.store import Store

ROWS = 100_000
TIMES = 5
PAGES, LIMIT = 5_000, 20
GRADER = {
    "type": "string_check",
    "name": "label",
    "operation": "eq",
    "input": "{{sample.output_text}}",
    "reference": "{{item.label}}",
}
GRADERS = [sys.executable, "-m", "graders_engine"]
PROJECT = "default"


def write_rows(path: Path, count: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        for n in range(count):
            label = "billing" if n % 2 else "delivery"
            item = {"id": n, "text": f"Where is order {n}? I paid for it twice.", "label": label}
            sample = {"output_text": "billing"}
            file.write(json.dumps({"item": item, "sample": sample}) + "\n")


def score_s(rows: Path, out: Path) -> float:
    """Seconds of `graders score`, from its start to its end."""
    command = ["score", "--quiet", "--grader", json.dumps(GRADER), "--data", rows, "--out", out]
    began = time.perf_counter()
    subprocess.run([*GRADERS, *map(str, command)], check=True)
    return time.perf_counter() - began


def upload(store: Store, rows: Path) -> str:
    part = store.files.new_part()
    part.write(rows.read_bytes())
    return store.files.add(part, project=PROJECT, purpose="evals", name=rows.name).id


def new_run(store: Store, file_id: str) -> StoredRun:
    criterion = {**GRADER, "id": "label-0"}
    body: dict[str, Any] = {"testing_criteria": [criterion]}
    stored = StoredEval(new_eval_id(), PROJECT, "labels", None, 1, 1, body)
    source = {"type": "jsonl", "source": {"type": "file_id", "id": file_id}}
    run = StoredRun(new_run_id(), stored.id, PROJECT, "run", "", "queued", None, 1, source, {})
    store.evals.add(stored)
    store.runs.add(run)
    return run


def run_s(store: Store, supervisor: Supervisor, file_id: str) -> tuple[float, StoredRun]:
    """Seconds of a run, from its creation to its end."""
    began = time.perf_counter()
    done = supervisor.finish(new_run(store, file_id).id)
    took = time.perf_counter() - began
    assert done is not None
    assert done.status == "completed", done.error
    assert done.result["result_counts"]["total"] == ROWS
    return took, done


def page_ms(items: OutputItems, run: StoredRun, status: str | None, start: int) -> float:
    """Milliseconds of a page that begins behind this item."""
    after = f"outputitem_{run.id.rpartition('_')[2]}_{start}"
    began = time.perf_counter()
    found = items.page(run, Page(after, LIMIT), status)
    took = time.perf_counter() - began
    assert len(found.data) == LIMIT or start + LIMIT >= ROWS
    return took * 1000


def measurements() -> Iterator[Measurement]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        rows = folder / "rows.jsonl"
        write_rows(rows, ROWS)
        with Store(folder / "store") as store:
            supervisor, file_id = Supervisor(store, EngineSettings()), upload(store, rows)
            scores, runs = [], []
            for time_ in range(TIMES):
                scores.append(score_s(rows, folder / f"results{time_}.jsonl"))
                took, run = run_s(store, supervisor, file_id)
                runs.append(took)
            yield Measurement("graders score, 100,000 rows, median of 5", median(scores), "s")
            yield Measurement("an eval's run of the same file", median(runs), "s")
            yield Measurement("the run's share", median(runs) / median(scores), "x", bar=1.5)
            items = OutputItems(store)
            for status in (None, "pass"):
                deep = min(PAGES * LIMIT, ROWS) - LIMIT - 1
                found = [page_ms(items, run, status, deep - 50 * n) for n in range(2, 27)]
                name = f"page {PAGES:,} of the items{'' if status is None else ' that pass'}"
                yield Measurement(name, max(found), "ms", bar=20)
