"""The page of a fine-tuning job under /view/: who sees it, what is sent of it, and that it does no harm."""

from __future__ import annotations

import html
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from graders_engine.jobs.page.watch import page_of_job
from graders_engine.settings import EngineSettings
from graders_engine.storage import unopened
from graders_engine.storage.store import Store
from graders_engine.view.app import view_of_store
from graders_engine.view.context import Request
from graders_engine.view.trees import ATTRIBUTES, ELEMENTS
from tests.jobs.graded import GradedJob
from tests.jobs.made import Bench
from tests.view import hostile_jobs
from tests.view.asking import Page
from tests.view.hostile_rows import OUTSIDE
from tests.view.test_jobs import ENDLESS, TABLES, add_job, add_steps

MAX_PAGE_BYTES = 300_000


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GradedJob]:
    bench = Bench(tmp_path_factory.mktemp("opened") / "jobs")
    job = GradedJob(bench, steps=12, outages={2: 2})
    job.work(6)
    yield job
    job.close()
    bench.store.close()


def texts_in(tree: Any) -> str:
    """The text of a tree."""
    return tree if isinstance(tree, str) else "".join(map(texts_in, tree[2]))


def test_a_project_sees_its_own_jobs_only(tmp_path: Path) -> None:
    with Store(tmp_path / "jobs") as store:
        own, others = add_job(store, "own"), add_job(store, "others", project="other")
        add_steps(store, own, [0.5], 4)
        page = Page(view=view_of_store(store, EngineSettings()))
        assert page.json(f"jobs/{own}")["id"] == own
        for unknown in (others, "ftjob-none", "..%2Fjobs", "%00"):
            assert page.get(f"jobs/{unknown}").status == 404
        assert (
            page.ask("GET", f"/view/api/jobs/{own}", headers={"authorization": "Bearer x"}).status
            == 401
        )
        view = view_of_store(store, EngineSettings())
        assert view.source(Request("other", {})).job(others).read(0, lambda *_: None) is not None
        assert view.source(Request("other", {})).job(own).read(0, lambda *_: None) is None


def test_a_folder_has_the_page_of_a_job_of_each_of_its_stores(graded: GradedJob) -> None:
    opened = Page(graded.bench.folder.parent)
    served = Page(view=view_of_store(graded.bench.store, EngineSettings()))
    found = opened.json(f"jobs/{graded.id}")
    assert found == served.json(f"jobs/{graded.id}")
    assert (found["name"], found["method"], found["is_going"]) == ("sums", "reinforcement", True)
    said = " ".join(texts_in(one["tree"]) for one in found["sections"])
    assert "Step 6 of 12" in said
    assert opened.get("jobs/ftjob-none").status == 404


def test_the_file_says_what_the_page_in_the_browser_says(graded: GradedJob) -> None:
    store = graded.bench.store
    read = partial(store.jobs.watch, "default", graded.id)
    whole = page_of_job(store.job_folder(graded.id), read, EngineSettings())
    assert whole is not None
    found = Page(graded.bench.folder.parent).json(f"jobs/{graded.id}")["sections"]
    parts = re.findall(r'<section id="([a-z]+)".*?</h2>(.*?)</section>', whole, re.DOTALL)
    assert [one["id"] for one in found] == [name for name, _ in parts]
    assert len(parts) == 10
    for one, (_, content) in zip(found, parts, strict=True):
        said = html.unescape(re.sub(r"<[^>]+>", "", content))
        assert "".join(texts_in(one["tree"]).split()) == "".join(said.split())


def test_only_what_the_browser_does_not_have_is_sent(graded: GradedJob) -> None:
    page = Page(graded.bench.folder.parent)
    sections = page.json(f"jobs/{graded.id}")["sections"]
    assert all(one["tree"] for one in sections)
    have = ",".join(one["digest"] for one in sections)
    again = page.get(f"jobs/{graded.id}?have={have}")
    assert [one["tree"] for one in again.json["sections"]] == [None] * len(sections)
    assert len(again.body) < 2_000
    kept = ",".join(one["digest"] for one in sections if one["id"] != "time")
    sent = page.json(f"jobs/{graded.id}?have={kept}")["sections"]
    assert [one["id"] for one in sent if one["tree"]] == ["time"]


def test_a_page_opens_before_all_rollouts_are_read_and_says_so(
    graded: GradedJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graders_engine.jobs.page.rollouts.CHUNK", 500)
    for name in ("FIRST_S", "AGAIN_S"):
        monkeypatch.setattr(f"graders_engine.view.jobs.page.{name}", 0.0)
    page, looks = Page(graded.bench.folder.parent), 0
    while (found := page.json(f"jobs/{graded.id}"))["is_reading"]:
        looks += 1
        said = texts_in(next(one["tree"] for one in found["sections"] if one["id"] == "rollouts"))
        assert said.startswith("The rollouts are being read: ")
    assert looks > 3
    said = texts_in(next(one["tree"] for one in found["sections"] if one["id"] == "rollouts"))
    assert said.startswith("BestThe highest rewards of all rollouts")


@pytest.mark.parametrize("script", [TABLES, ENDLESS, "CREATE TABLE job (id);"])
def test_a_store_that_somebody_made_up_has_no_page_and_keeps_nobody_waiting(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unopened, "MAX_S", 0.1)
    with closing(sqlite3.connect(tmp_path / "store.sqlite3")) as file, file:
        file.executescript(script)
    answer = Page(tmp_path).get("jobs/ftjob-1")
    assert answer.status in (404, 422)
    assert str(tmp_path) not in answer.body.decode()


def test_no_link_leads_out_of_what_was_opened(tmp_path: Path) -> None:
    with Store(tmp_path / "outside" / "jobs") as store:
        job_id = add_job(store, "linked")
    folder = tmp_path / "outside" / "jobs"
    opened = tmp_path / "opened"
    opened.mkdir()
    os.link(folder / "store.sqlite3", opened / "store.sqlite3")
    (opened / "jobs").mkdir()
    (opened / "jobs" / job_id).symlink_to(tmp_path / "outside")
    assert Page(opened).get(f"jobs/{job_id}").status == 404


class _Elements(HTMLParser):
    """The names of the elements and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.values: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {tag, *(f"@{name}" for name, _ in attrs)}
        self.values |= {value or "" for name, value in attrs if name == "href"}


def test_hostile_values_are_texts_in_the_file_and_in_what_is_sent(tmp_path: Path) -> None:
    head = {
        "html",
        "head",
        "body",
        "meta",
        "link",
        "style",
        "header",
        "nav",
        "main",
        "footer",
        "h1",
        "title",
    }
    more = {
        f"@{name}"
        for name in (
            "charset",
            "http-equiv",
            "content",
            "name",
            "rel",
            "lang",
            "href",
            "aria-labelledby",
        )
    }
    allowed = ELEMENTS | head | {"h2"} | {f"@{name}" for name in ATTRIBUTES} | more
    with Store(tmp_path / "jobs") as store:
        for job_id in hostile_jobs.add_jobs(store):
            read = partial(store.jobs.watch, "default", job_id)
            page = page_of_job(store.job_folder(job_id), read, EngineSettings())
            assert page is not None
            assert len(page.encode()) < MAX_PAGE_BYTES
            elements = _Elements()
            elements.feed(page)
            assert elements.found - allowed == set()
            assert all(value.startswith("#") or value == "data:," for value in elements.values)
            assert OUTSIDE in html.unescape(page)  # it is there, as a text
            answer = Page(tmp_path).get(f"jobs/{job_id}")
            assert answer.status == 200
            assert len(answer.body) < MAX_PAGE_BYTES
            for char in "\u202e\u2066\u200b\x00\x1b":
                assert char not in page
