"""`graders score --jobs DIR`: what jobs have trained is a judge, without a server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from graders_engine.cli.main import graders
from graders_engine.inference.gpu import leave
from graders_engine.storage.store import Store
from tests.dataset.files import write_rows
from tests.inference.echoing import ROOT, answered, lay_out
from tests.inference.tuned import names_of, trained_job


def scored(folder: Path, model: str, *flags: str) -> Result:
    asked = [{"role": "user", "content": "How good? {{sample.output_text}}"}]
    grader = {"type": "score_model", "model": model, "input": asked, "range": [0, 10]}
    rows: list[Any] = [{"item": {}, "model_sample": text} for text in ("7", "3")]
    data = write_rows(folder / "rows.jsonl", rows)
    place = ["--data", str(data), "--out", str(folder / "results.jsonl"), "--json", "--no-cache"]
    given = ["--config", str(folder / "graders.toml"), *place, *flags]
    return CliRunner().invoke(graders, ["score", "--grader", json.dumps(grader), *given])


def test_a_tuned_model_of_a_folder_is_a_judge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    lay_out(tmp_path)
    store = tmp_path / "store"
    with Store(store) as opened:
        name = names_of(trained_job(opened, "research"))[0]
    foreign = scored(tmp_path, name, "--jobs", str(store))
    assert foreign.exit_code == 2
    assert "this project may not use it" in foreign.stderr
    by_ray = scored(tmp_path, name, "--jobs", str(store), "--backend", "ray")
    assert by_ray.exit_code == 2
    assert "leave out one of --jobs and --backend ray" in " ".join(by_ray.stderr.split())
    try:
        done = scored(tmp_path, name, "--jobs", str(store), "--project", "research")
    finally:
        leave(store / "inference")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["mean"]["value"] == 5.0
    assert sorted(answered(store)) == [f"{name} 3", f"{name} 7"]
