"""A download of hosted evals keeps what came, whatever fails, and goes on when it is repeated."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from graders_engine.errors import DataSetError
from graders_engine.evals.hosted.conversion import import_evals
from graders_engine.evals.hosted.download import Download, EvalsApi
from graders_engine.models.retry import RetryPolicy
from graders_engine.storage.pages import Page
from graders_engine.storage.store import Store
from tests.dataset import evals_service
from tests.dataset.evals_service import EVALS, ITEMS, KEY, RUNS, Service, output_item, run, service

FEW = RetryPolicy(attempts=2, wait_initial_s=0.01)
COUNTS = {"evalrun_1": 6, "evalrun_2": 0, "evalrun_3": 1}
OF_RUN_1, OF_RUN_3 = "/evalrun_1/output_items", "/evalrun_3/output_items"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    runs = [{**one, "result_counts": {"total": COUNTS[one["id"]]}} for one in RUNS]
    monkeypatch.setattr(evals_service, "RUNS", runs)
    with service() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "evals"


def downloaded(served: Service, folder: Path) -> list[str]:
    """Download; gives what could not be."""
    getting = Download(EvalsApi(KEY, served.url, FEW), folder / "export.jsonl")

    async def main() -> None:
        async for _ in getting.objects():
            pass

    asyncio.run(main())
    return getting.failures


def command(served: Service, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "graders_engine", "import", "evals", "--from-api", "--into", str(folder)],
        env={**os.environ, "OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": served.url},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def objects_in(path: Path) -> list[str]:
    """The ids in an export, without the ends of lists."""
    found: list[dict[str, Any]] = [json.loads(line) for line in path.read_bytes().splitlines()]
    return sorted(one["id"] for one in found if one["object"] != "list")


def all_ids() -> list[str]:
    return sorted(one["id"] for one in [*EVALS, *evals_service.RUNS, *ITEMS])


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_fails_is_named_the_rest_is_kept_and_a_repeat_asks_for_it_alone(
    served: Service, folder: Path
) -> None:
    served.refused = {OF_RUN_1: 404}
    first = command(served, folder)
    printed, errors = first.communicate(timeout=120)
    report = (folder / "IMPORT.md").read_text(encoding="utf-8")
    assert first.returncode == 1
    assert "3 evals, 3 runs, 1 output item added" in printed
    for text in (" ".join(errors.split()), report):
        assert (
            "mini (run evalrun_1) of the eval eval_1: its output items could not all be downloaded"
            in text
        )
        assert "HTTP 404: " in text
        assert "It was deleted." in text
    assert "the export has 0 of its 6 output items" in report
    assert (mode(folder), mode(folder / "export.jsonl"), mode(folder / "IMPORT.md")) == (
        0o700, 0o600, 0o600,
    )  # fmt: skip

    served.refused = {}
    served.asked.clear()
    again = command(served, folder)
    printed, errors = again.communicate(timeout=120)
    assert again.returncode == 0, errors
    assert "6 output items added" in printed
    assert "are not asked for again: 2." in " ".join(errors.split())
    assert any(OF_RUN_1 in path for path in served.asked)
    assert not any(OF_RUN_3 in path for path in served.asked)
    assert "of its 6" not in (folder / "IMPORT.md").read_text(encoding="utf-8")
    assert objects_in(folder / "export.jsonl") == all_ids()
    with Store(folder) as store:
        assert len(store.items.page("evalrun_1", Page(None, 100)).data) == 6


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_an_interrupted_download_keeps_what_came_and_goes_on(
    number: str, served: Service, folder: Path
) -> None:
    def interrupt(path: str) -> None:
        if OF_RUN_3 in path:
            interrupted.send_signal(getattr(signal, number))
            interrupted.wait(60)

    served.on_asked = interrupt
    interrupted = command(served, folder)
    with suppress(subprocess.TimeoutExpired):
        _, errors = interrupted.communicate(timeout=120)
    assert interrupted.returncode != 0
    part = folder / "export.jsonl.part"
    assert set(objects_in(part)) >= {"outputitem_0", "outputitem_5", "evalrun_1", "evalrun_3"}
    if number != "SIGKILL":
        assert "the same command continues there" in " ".join(errors.split())
    with part.open("ab") as file:
        file.write(b'{"object": "eval.run.output_item", "id": "outputi')  # as a kill may leave it

    served.on_asked = lambda path: None
    served.asked.clear()
    assert downloaded(served, folder) == []
    assert not any(OF_RUN_1 in path for path in served.asked)
    assert objects_in(folder / "export.jsonl") == all_ids()
    assert not part.exists()


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_ends_at_once_and_leaves_an_earlier_download(
    status: int, served: Service, folder: Path
) -> None:
    downloaded(served, folder)
    before = (folder / "export.jsonl").read_bytes()
    served.refused, served.asked[:] = {"/v1/evals": status}, []
    with pytest.raises(DataSetError, match=f"HTTP {status}"):
        downloaded(served, folder)
    assert len(served.asked) == 1
    assert (folder / "export.jsonl").read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["export.jsonl"]


@pytest.mark.parametrize("refused", ["evals/eval_1/runs", OF_RUN_1])
def test_a_list_that_breaks_off_is_named_and_what_came_of_it_stays(
    refused: str, served: Service, folder: Path
) -> None:
    def end(path: str) -> None:
        broken = f"{refused}?" in path and "after=" in path
        served.refused = {refused: 500} if broken else {}

    served.on_asked = end
    evals_service.RUNS.insert(2, {**run("evalrun_4", "eval_1", "late"), "result_counts": None})
    [failure] = downloaded(served, folder)
    assert ("eval_1" in failure, "HTTP 500" in failure) == (True, True)
    kept = objects_in(folder / "export.jsonl")
    assert {"outputitem_0", "outputitem_6", "evalrun_3"} <= set(kept)
    if refused == OF_RUN_1:
        imported = import_evals([folder / "export.jsonl"], folder / "out")
        assert "mini (evalrun_1): the export has 2 of its 6 output items." in imported.left_out

    served.on_asked, served.refused = lambda path: None, {}
    assert downloaded(served, folder) == []
    assert objects_in(folder / "export.jsonl") == all_ids()


def test_a_repeat_keeps_what_is_deleted_meanwhile_and_asks_again_for_what_changed(
    served: Service, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evals_service.RUNS[0]["status"] = "in_progress"
    downloaded(served, folder)
    ended = {**evals_service.RUNS[0], "status": "completed", "result_counts": {"total": 7}}
    new = output_item(7, "evalrun_1", "eval_1", "Markets")
    monkeypatch.setattr(evals_service, "RUNS", [ended])
    monkeypatch.setattr(evals_service, "ITEMS", [*ITEMS[1:6], new])
    assert downloaded(served, folder) == []
    export = folder / "export.jsonl"
    assert objects_in(export) == sorted(one["id"] for one in [*EVALS, *RUNS, *ITEMS, new])
    runs = [json.loads(line) for line in export.read_bytes().splitlines() if b'"evalrun_1"' in line]
    assert [one["status"] for one in runs if one["object"] == "eval.run"] == ["completed"]


def test_a_file_that_the_download_cannot_go_on_in_is_left_as_it_is(
    served: Service, folder: Path
) -> None:
    folder.mkdir()
    (folder / "export.jsonl").write_text('[\n{"id": "eval_1"}]\n', encoding="utf-8")
    with pytest.raises(DataSetError, match="line 1: this is no JSON object"):
        downloaded(served, folder)
    assert (folder / "export.jsonl").read_text(encoding="utf-8").startswith("[")
    assert served.asked == []
