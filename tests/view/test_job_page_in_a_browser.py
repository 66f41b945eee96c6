"""The page of a fine-tuning job in a browser: it follows its job without moving what somebody looks at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from graders_engine.jobs.page.watch import page_of_job
from graders_engine.settings import EngineSettings
from graders_engine.storage.store import Store
from tests.jobs.graded import GradedJob
from tests.jobs.made import Bench
from tests.report import browser
from tests.report.browser import visit
from tests.view import hostile_jobs
from tests.view.browsing import BROWSER, FAULTS, Tab, browsing
from tests.view.test_hostile_in_a_browser import is_harmless

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome on the PATH")
STEP = "document.querySelector('.job-step').textContent"
OPEN_ALL = "document.querySelectorAll('main details').forEach(one => one.open = true)"
REQUESTS = "/view/api/jobs/"
SETTLED = "document.querySelector('#events')"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench(tmp_path_factory.mktemp("jobs") / "opened" / "jobs")
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def tab(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browsing(bench.folder.parent, tmp_path_factory.mktemp("profile")) as opened:
        opened.look(1280)
        opened.start()
        yield opened


@pytest.fixture(scope="module")
def graded(bench: Bench) -> Iterator[GradedJob]:
    job = GradedJob(bench, steps=12, outages={2: 2, 3: 8})
    job.work(6)
    yield job
    job.close()


def asked(tab: Tab) -> int:
    return sum(REQUESTS in url for url in tab.page.requested)


def test_a_job_is_opened_from_the_list_and_read_by_keys(tab: Tab, graded: GradedJob) -> None:
    tab.go("")
    tab.click(f"[data-job={graded.id}] th a")
    tab.until("document.querySelector('h1')?.textContent === 'sums'")
    assert tab.until(STEP).startswith("Step 6 of 12")
    tab.value("document.querySelector('.job-card summary').focus()")
    tab.press("Enter")
    tab.until("document.querySelector('.job-card').open")
    assert tab.value("document.title") == "sums · running"
    assert "graders.total.input" in tab.text(".job-card .inside")
    tab.is_quiet()


def test_a_page_follows_its_job_and_keeps_what_is_open_in_focus_and_scrolled(
    tab: Tab, bench: Bench
) -> None:
    job = GradedJob(bench, steps=12)
    job.work(6)
    tab.look(1280)
    tab.go(f"jobs/{job.id}")
    tab.until(SETTLED)
    tab.value(
        "(() => { window.card = document.querySelector('#settings details'); card.open = true;"
        " window.summary = card.querySelector('summary'); summary.focus(); window.scrollTo(0, 500);"
        " window.chart = document.querySelector('#chart-reward-mean-title').parentNode; })()"
    )
    before = tab.value("scrollY")
    job.work(1)
    tab.until(f"{STEP}.startsWith('Step 7 of 12')")
    assert tab.value("card.isConnected && card.open && document.activeElement === summary")
    assert tab.value("chart.isConnected && chart === document.querySelector('#curve svg')")
    assert tab.value("scrollY") == before
    assert "at step 7" in tab.text(".curves desc")
    # A rollout whose place changes stays as it is: it is the same one.
    first = tab.value("document.querySelector('.job-card').id")
    tab.value(
        f"(() => {{ window.open = document.getElementById({json.dumps(first)}); open.open = true }})()"
    )
    job.work(5)
    tab.until(f"{STEP}.startsWith('Step 12 of 12')")
    assert tab.value("!open.isConnected || (open.open && open.id !== '')")
    job.close()
    assert bench.store.jobs.move(job.id, "succeeded", ["running"], fine_tuned_model="ft:tiny")
    tab.until("document.title === 'sums · succeeded'")
    assert tab.text("#status [role=status]") == "succeeded"
    assert tab.value("card.isConnected && card.open")
    count = asked(tab)
    bench.store.jobs.add_event(job.id, "info", "Nobody looks at this any more.")
    tab.value(
        "new Promise(done => setTimeout(done, 2500))"
    )  # longer than from one look to the next
    assert asked(tab) == count
    tab.is_quiet()


def test_a_page_that_is_patched_is_the_page_that_is_loaded(tab: Tab, bench: Bench) -> None:
    job = GradedJob(bench, steps=12, outages={5: 1, 8: 8})
    tab.go(f"jobs/{job.id}")
    tab.until("document.querySelector('#settings dl')")
    for step in (1, 4, 9, 10):
        job.work(step - job.step)
        tab.until(f"{STEP}.startsWith('Step {step} of 12')")
    bench.store.jobs.add_event(job.id, "warn", "Last of all.")
    tab.until("document.querySelector('#events').textContent.includes('Last of all.')")
    patched = tab.value("document.querySelector('.report').outerHTML")
    tab.go(f"jobs/{job.id}")
    tab.until(SETTLED)
    assert tab.value("document.querySelector('.report').outerHTML") == patched
    job.close()


def test_every_state_fits_screens_of_every_width_and_can_be_read_by_all(
    tab: Tab, bench: Bench, graded: GradedJob, axe: str
) -> None:
    ids = [graded.id, *(bench.job(status=status) for status in ("validating_files", "queued"))]
    failed = bench.job(status="failed")
    bench.store.jobs.note(failed, error={"code": "bad", "message": "x" * 400})
    for job_id in (*ids, failed):
        for width, scheme in ((420, "light"), (420, "dark"), (1280, "light"), (1280, "dark")):
            tab.look(width, scheme)
            tab.go(f"jobs/{job_id}")
            tab.until("document.querySelector('#settings dl')")
            tab.value(OPEN_ALL)
            tab.is_quiet()
            assert tab.value("document.querySelectorAll('h1').length") == 1
            tab.value(f"{axe}; null")
            assert tab.value(FAULTS) == []
    tab.look(1280)


def test_the_file_fits_screens_of_every_width_and_can_be_read_by_all(
    graded: GradedJob, axe: str, tmp_path: Path
) -> None:
    read = partial(graded.bench.store.jobs.watch, "default", graded.id)
    page = page_of_job(graded.bench.store.job_folder(graded.id), read, EngineSettings())
    (tmp_path / "job.html").write_text(page or "", encoding="utf-8")

    async def look(shown: browser.Page) -> None:
        for width, scheme in ((420, "light"), (420, "dark"), (1280, "light"), (1280, "dark")):
            await shown.look(width, scheme=scheme)
            await shown.evaluate(OPEN_ALL)
            assert await shown.evaluate("document.documentElement.scrollWidth <= innerWidth")
            await shown.evaluate(f"{axe}; null")
            assert await shown.evaluate(FAULTS) == []

    visit(tmp_path / "job.html", look)


def test_a_project_without_the_job_is_told_so(tab: Tab) -> None:
    tab.go("jobs/ftjob-none")
    assert "ftjob-none" in tab.text("[role=alert]")
    tab.page.messages.clear()  # the browser logs the 404


@pytest.mark.parametrize(("width", "scheme"), [(420, "dark"), (1280, "light")])
def test_hostile_jobs_do_no_harm(width: int, scheme: str, tmp_path: Path) -> None:
    with Store(tmp_path / "opened" / "jobs") as store:
        ids = hostile_jobs.add_jobs(store)
    with browsing(tmp_path / "opened", tmp_path / "profile") as tab:
        tab.look(width, scheme)
        tab.start()
        for job_id in ids:
            tab.go(f"jobs/{job_id}")
            tab.until(SETTLED)
            tab.value(OPEN_ALL)
            is_harmless(tab)
            assert tab.value("document.querySelectorAll('.job-card').length") > 3
