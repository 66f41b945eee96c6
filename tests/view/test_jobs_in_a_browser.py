"""The fine-tuning jobs of a store in a browser, below its runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from graders_engine.storage.job_records import StoredCheckpoint
from graders_engine.storage.store import Store
from tests.view.browsing import BROWSER, browsing
from tests.view.test_jobs import REQUEST, add_job, add_steps
from tests.view.test_list_in_a_browser import HOSTILE

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome on the PATH")
CELL = "[data-job=ftjob-{}] [data-label='{}']"
CURVE = (
    "[...document.querySelectorAll('[data-job=ftjob-{}] .curve polyline')]"
    ".map((one) => one.getAttribute('points'))"
)


# One browser for all of it: each takes seconds to start.
def test_jobs_stand_below_the_runs_with_their_last_values_and_curves_on_screens_of_every_width(
    tmp_path: Path,
) -> None:
    with Store(tmp_path / "opened" / "jobs") as store:
        running = add_job(store, "running")
        add_steps(store, running, [0.1, 0.2, 0.15, None, 0.3, 0.625], 12)
        kept = StoredCheckpoint(running, 5, "m", "step-5", "", {"valid_reward_mean": 0.375})
        assert store.jobs.add_checkpoint(kept)
        add_job(
            store,
            "hostile",
            "failed",
            request={**REQUEST, "suffix": HOSTILE, "model": HOSTILE},
            error={"code": "x", "message": f"{HOSTILE}{'x' * 300}"},
            fine_tuned_model=f"ft:{'y' * 300}",
        )
        wide = add_job(store, "wide", "succeeded")
        add_steps(store, wide, [-1.5e308, 1.5e308], 2)
        constant = add_job(store, "constant", "paused")
        add_steps(store, constant, [0.5], 2)
    with browsing(tmp_path / "opened", tmp_path / "profile") as tab:
        tab.look(1280)
        tab.start()
        assert tab.text(CELL.format("running", "Train")) == "0.625reward"
        assert tab.text(CELL.format("running", "Step")) == "6 of 12"
        assert tab.text(CELL.format("running", "Valid")) == "0.375reward"
        assert [tab.text("h1"), tab.text("h2")] == ["Runs", "Fine-tuning jobs"]
        assert tab.value(CURVE.format("running")) == [
            "2.00,20.00 21.20,16.57 40.40,18.29", "78.80,13.14 98.00,2.00",
        ]  # fmt: skip
        assert tab.value(CURVE.format("wide")) == ["2.00,20.00 98.00,2.00"]
        assert tab.value(CURVE.format("constant")) == ["50.00,11.00 50.00,11.00"]
        assert tab.value(CURVE.format("hostile")) == []
        label = (
            "document.querySelector('[data-job=ftjob-running] .curve').getAttribute('aria-label')"
        )
        assert tab.value(label) == (
            "Training reward by step: 0.1 at step 1, 0.625 at step 6, between 0.1 and 0.625"
        )
        assert "onerror=alert(1)" in tab.text("[data-job=ftjob-hostile] th")
        assert tab.value("document.images.length") == 0
        tab.is_quiet()
        for scheme in ("light", "dark"):
            tab.look(420, scheme)
            tab.is_quiet()
            fits = "document.querySelector('.jobs').getBoundingClientRect().right <= innerWidth"
            assert tab.value(fits)
            assert tab.value("document.querySelector('.curve').getBoundingClientRect().width > 80")
