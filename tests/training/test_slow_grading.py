"""While a step is graded for long, its job says so; without a model."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from graders_engine.training import slow_grading
from graders_engine.training.slow_grading import warned_of
from graders_engine.training.trainer import Stopped
from tests.training.recorder import Recorder


class Heard(Recorder):
    """A report whose first warning can be waited for."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.heard = threading.Event()

    def warn(self, message: str, data: dict[str, Any] | None = None) -> None:
        super().warn(f"{message} {data}")
        self.heard.set()


def test_grading_that_does_not_end_is_warned_of_while_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow_grading, "SLOW_S", 0.05)
    report = Heard(tmp_path)
    with warned_of(report, 3, 16):
        assert report.heard.wait(60)
    (warning,) = report.warnings
    assert warning.startswith("To grade a step's rollouts takes more than 0.05 s, and the model")
    assert warning.endswith("{'step': 3, 'rollouts': 16}")


def test_nothing_is_said_of_grading_that_has_ended(tmp_path: Path) -> None:
    report = Heard(tmp_path)
    before = threading.active_count()
    with warned_of(report, 3, 16):
        assert threading.active_count() == before + 1
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(60)
    assert threading.active_count() == before
    assert not report.warnings


def test_a_job_that_was_stopped_meanwhile_ends_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow_grading, "SLOW_S", 0.05)
    failed: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)

    class Ended(Heard):
        def warn(self, message: str, data: dict[str, Any] | None = None) -> None:
            self.heard.set()
            raise Stopped

    report = Ended(tmp_path)
    with warned_of(report, 3, 16):
        assert report.heard.wait(60)
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(60)
    assert not failed
