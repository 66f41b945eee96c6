"""The list of runs and a report of preflight in a browser: what is listed leads to where it says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from graders_engine.report.stored_preflight import preflight_json
from graders_engine.storage.evals import StoredEval
from graders_engine.storage.store import Store
from tests.preflight.ask import EXACT, SUMS, ask
from tests.view.browsing import BROWSER, browsing
from tests.view.test_eval_runs import COUNTS, results, stored
from tests.view.test_runs import RUN, copy_run

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome on the PATH")
LINES = """Object.fromEntries([...document.querySelectorAll("tbody tr")].map((line) =>
  [line.querySelector("th :is(a, b)").textContent, line.innerText]))"""
HOSTILE = "<img src=x onerror=alert(1)> \u202e"


def fill(base: Path, folder: Path) -> None:
    """Runs of evals in some states, results that are cut off, and a report of preflight with its rows."""
    with Store(base / "jobs") as store:
        store.evals.add(StoredEval("eval_default", "default", HOSTILE, None, 1, 1, {}))
        store.runs.add(stored("whole", "completed", attempt=1, result=results(COUNTS)))
        error = {"code": "data_error", "message": HOSTILE}
        store.runs.add(stored("failed", "failed", attempt=1, error=error))
        copy_run(folder, store.run_folder("evalrun_whole") / "results.jsonl")
    shutil.copy(folder / RUN, base / "alone.jsonl")
    rows = [*SUMS, {**SUMS[5], "answer": HOSTILE}]
    report = preflight_json(ask(base, {**EXACT, "operation": "ilike"}, rows))
    (base / "preflight.json").write_text(json.dumps(report))


# One browser for all of it: each takes seconds to start.
def test_the_list_leads_to_rows_and_findings_to_theirs_on_screens_of_every_width(
    folder: Path, tmp_path: Path
) -> None:
    opened = tmp_path / "opened"
    opened.mkdir()
    (opened / "our grader.json").write_text(json.dumps(EXACT))
    (opened / "sums.jsonl").write_text(json.dumps(SUMS[0]))
    with browsing(opened, tmp_path / "profile") as tab:
        tab.look(1280)
        tab.start()
        tab.until("document.querySelector('pre.formula')")
        assert "graders score 'our grader.json' --data sums.jsonl --out" in tab.text("pre.formula")
        tab.is_quiet()
        fill(opened, folder)
        tab.until(
            "document.querySelectorAll('.mean-cell b').length >= 3"
            " && document.querySelector('a[href*=preflight]')"
        )
        tab.is_quiet()
        listed = tab.value(LINES)
        assert "60.0 %" in listed["whole"]
        assert "90 of 150" in listed["whole"]
        assert "Correct the rows" in listed["failed"]
        assert "onerror=alert(1)" in listed["failed"]
        assert "nor whether these are all of its rows" in listed["alone.jsonl"]
        assert "warning" in listed["preflight.json"]
        assert tab.value("document.images.length") == 0
        tab.look(420, "dark")
        tab.is_quiet()
        tab.click("a[href*=evalrun_whole]")
        tab.until("document.querySelector('.rows tbody a')")
        tab.go("")
        tab.click("a[href*=preflight]")
        tab.until("document.querySelector('.finding')")
        tab.is_quiet()
        tab.look(1280)
        assert tab.value("document.querySelectorAll('h1').length") == 1
        assert "Gameable?" in tab.text(".verdicts")
        tab.is_quiet()
        tab.click(".finding a[href*='line=61']")
        assert "onerror=alert(1)" in tab.text(".file-row")
        assert "conflicting-references" in tab.text(".file-row .finding")
        tab.is_quiet()
        tab.press("k")
        tab.until("document.querySelector('h1').textContent === 'train.jsonl:6'")
        tab.look(420)
        tab.is_quiet()
        tab.press("Escape")
        tab.until("document.querySelector('.verdicts')")
