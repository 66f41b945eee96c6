"""A folder with runs, and the page over it."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graders_engine import Engine
from graders_engine.dataset.scoring.score import score_file
from tests.view import hostile_rows
from tests.view.asking import Page
from tests.view.browsing import AXE

INVOICE: dict[str, Any] = {
    "type": "multi",
    "name": "invoice",
    "graders": {
        "total": {
            "type": "string_check",
            "name": "total",
            "input": "{{sample.output_json.total}}",
            "reference": "{{item.total}}",
            "operation": "eq",
        },
        "vendor": {
            "type": "text_similarity",
            "name": "vendor",
            "input": "{{sample.output_json.vendor}}",
            "reference": "{{item.vendor}}",
            "evaluation_metric": "fuzzy_match",
        },
    },
    "calculate_output": "0.75 * total + 0.25 * vendor",
}


def write_invoices(data: Path, prompts: int = 40, samples: int = 4) -> None:
    draw = random.Random(3)  # noqa: S311 - no secret
    with data.open("w", encoding="utf-8") as file:
        for number in range(prompts):
            total = f"{draw.randint(100, 9999) / 100:.2f}"
            item = {
                "id": f"inv-{number}",
                "total": total,
                "vendor": draw.choice(["ACME", "株式会社"]),
            }
            outputs = [
                "no JSON"
                if draw.random() < 0.1
                else json.dumps({"total": total if draw.random() < 0.7 else "0", "vendor": "ACME"})
                for _ in range(samples)
            ]
            file.write(json.dumps({"item": item, "samples": outputs}) + "\n")


@pytest.fixture(scope="session", autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test touches the cache or the key of the user."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME"):
            patch.setenv(name, str(tmp_path_factory.mktemp(name.lower())))
        yield


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run of invoices in a folder of runs, with its data set and its grader."""
    base = tmp_path_factory.mktemp("opened")
    (base / "sub").mkdir()
    write_invoices(base / "rows.jsonl")
    (base / "grader.json").write_text(json.dumps(INVOICE))
    with Engine() as engine:
        score_file(engine, INVOICE, base / "rows.jsonl", base / "sub" / "run.jsonl")
    return base


@pytest.fixture(scope="session")
def page(folder: Path) -> Page:
    return Page(folder)


@pytest.fixture(scope="session")
def hostile_page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    base = tmp_path_factory.mktemp("hostile")
    hostile_rows.write(base)
    return Page(base)


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, which finds what cannot be read or reached."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not on this machine")
    folder = tmp_path_factory.mktemp("axe")
    command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), AXE]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("npm's registry did not answer")
    source = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not source.is_file():
        pytest.skip(f"npm could not install {AXE}: {done.stderr.strip()[-300:]}")
    return source.read_text(encoding="utf-8")
