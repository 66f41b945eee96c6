"""A job that is looked at again and again: each look reads what is new."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Collection
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from graders_engine.files import READING
from graders_engine.jobs.page.explaining import Explaining
from graders_engine.jobs.page.rollouts import Rollouts
from graders_engine.jobs.page.seen import Seen
from graders_engine.jobs.page.settings import grader_of
from graders_engine.jobs.page.steps import Steps
from graders_engine.jobs.page.summary import moment, summary_of
from graders_engine.jobs.place import ROLLOUTS
from graders_engine.report.html.job import (
    CardTexts,
    JobSummary,
    job_page,
    section_html,
    sections_of,
)
from graders_engine.settings import EngineSettings
from graders_engine.storage.watched_jobs import Watched, WatchedJob

Reader = Callable[[int, Callable[[int, str | bytes], object]], Watched | None]
"""Reads a job, and what has happened to it after one of its events; see `storage.jobs.Jobs.watch`."""
_MAX_ROWS_BYTES = 256 << 20
"""The rows of a longer validation file are not counted."""
_CHUNK = 1 << 20


class SectionHtml(NamedTuple):
    """A section of the page.

    Attributes:
        id: its id on the page.
        heading: its heading.
        digest: of its content: it is another one whenever that changes.
        html: its content; None where that is known.
    """

    id: str
    heading: str
    digest: str
    html: str | None


class JobWatch:
    """A job that is looked at. Threads may share it.

    Args:
        folder: of the job.
        settings: of the engine that grades rollouts again.
    """

    def __init__(self, folder: Path, settings: EngineSettings) -> None:
        self._folder, self._settings = folder, settings
        self._steps, self._rollouts = Steps(), Rollouts(folder / ROLLOUTS)
        self._explaining: tuple[Any, Explaining] | None = None
        self._cards = CardTexts()
        self._valid_rows: tuple[str, int | None] | None = None
        self._lock = Lock()

    def summary(
        self, read: Reader, seconds: float | None = None, *, to_file: bool = False
    ) -> JobSummary | None:
        """What the page says now; None if there is no such job.

        Args:
            read: reads the job.
            seconds: for about so long rollouts are read, which may need several looks; None for all.
            to_file: whether the page is a file, which says when it was written.
        """
        with self._lock:
            return self._summary(read, seconds, to_file)

    def _summary(self, read: Reader, seconds: float | None, to_file: bool) -> JobSummary | None:
        found = read(self._steps.seq, self._steps.add)
        if found is None:
            return None
        job = found.job
        self._steps.happened(found.events)
        self._rollouts.look(seconds)
        explaining = self._explains(grader_of(job))
        picked: list[Any] = []
        if self._rollouts.is_whole:
            picked = [self._rollouts.best, self._rollouts.worst, self._rollouts.without]
        cards = explaining.cards(self._rollouts, [one for some in picked for one in some])
        sizes = [len(some) for some in picked] or [0, 0, 0]
        best, worst = sizes[0], sizes[0] + sizes[1]
        now = time.time()
        seen = Seen(
            job, self._steps, self._rollouts, explaining, (cards[:best], cards[best:worst], cards[worst:]),
            self._rows(job), now,
        )  # fmt: skip
        as_of = ""
        if to_file:
            state = "it has not ended" if job.finished_at is None else "it has ended"
            as_of = f"The job as of {moment(now)}: {state}."
        return summary_of(seen, as_of)

    def sections(self, summary: JobSummary, known: Collection[str] = ()) -> list[SectionHtml]:
        """The sections of the page.

        Args:
            summary: what it says.
            known: digests of contents that are known.
        """
        with self._lock:
            found = []
            for section in sections_of(summary):
                html = section_html(summary, section, self._cards)
                digest = hashlib.sha256(html.encode("utf-8", "surrogatepass")).hexdigest()[:20]
                found.append(
                    SectionHtml(
                        section.id, section.heading, digest, None if digest in known else html
                    )
                )
            self._cards.keep([card for _, _, cards in summary.cards for card in cards])
        return found

    @property
    def is_reading(self) -> bool:
        """Whether there are rollouts that were not read yet."""
        return not self._rollouts.is_whole

    def _explains(self, grader: Any) -> Explaining:
        """What explains with a grader; it is compiled once."""
        if self._explaining is None or self._explaining[0] != grader:
            self._explaining = grader, Explaining(grader, self._settings)
        return self._explaining[1]

    def _rows(self, job: WatchedJob) -> int | None:
        """The rows of the job's validation file; None without it."""
        name = Path(str(job.spec.get("validation_file") or "")).name
        if not name:
            return None
        if self._valid_rows is None or self._valid_rows[0] != name:
            self._valid_rows = name, _rows_in(self._folder / name)
        return self._valid_rows[1]


def _rows_in(path: Path) -> int | None:
    """The lines of a file that are not empty; None if it cannot be read, or is long."""
    try:
        descriptor = os.open(path, READING)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        if os.fstat(descriptor).st_size > _MAX_ROWS_BYTES:
            return None
        return sum(1 for line in file if not line.isspace())


def page_of_job(folder: Path, read: Reader, settings: EngineSettings) -> str | None:
    """The page of a job as one file, as text to be encoded as UTF-8; None if there is no such job.

    Args:
        folder: of the job.
        read: reads it.
        settings: of the engine that grades rollouts again.
    """
    summary = JobWatch(folder, settings).summary(read, to_file=True)
    return None if summary is None else job_page(summary)
