"""A results file keeps what was written, for one run at a time, and never mixes the results of two."""

from __future__ import annotations

import errno
import json
import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from io import FileIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from graders_engine import DataSetError, Engine
from graders_engine.dataset.results import file as results_file
from graders_engine.dataset.results.file import ResultsFile
from graders_engine.dataset.results.line import ResultLine, encode_results
from graders_engine.dataset.scoring.score import score_file
from tests.dataset.files import cats, command, timeless, write_rows

LINE = ResultLine(1, 1.0, "scored", {}, {}, 0.0)
OTHER = ResultLine(2, 0.5, "scored", {}, {}, 0.0)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.jsonl", cats(10))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def meta_of(out: Path) -> Path:
    return out.with_name(out.name + ".meta.json")


def edit_meta(out: Path, **changes: Any) -> None:
    """Change the recorded values; None removes one."""
    meta = {**json.loads(meta_of(out).read_text()), **changes}
    meta_of(out).write_text(json.dumps({k: v for k, v in meta.items() if v is not None}))


def test_results_of_another_run_are_never_mixed_or_lost(
    engine: Engine, string_check: dict[str, Any], data: Path, out: Path
) -> None:
    score_file(engine, string_check, data, out)
    before = out.read_bytes()
    with pytest.raises(DataSetError, match="another run: other grader"):
        score_file(engine, {**string_check, "operation": "ne"}, data, out)
    write_rows(data, cats(11))
    with pytest.raises(DataSetError, match="another run: other data and settings"):
        score_file(engine, string_check, data, out, sample_field="model_sample")
    assert out.read_bytes() == before
    assert score_file(engine, string_check, data, out, overwrite=True).rows == 11


def test_every_part_of_a_grader_counts_whatever_its_name(
    engine: Engine, string_check: dict[str, Any], data: Path, out: Path
) -> None:
    def grader(operation: str) -> dict[str, Any]:
        parts = {"path": {**string_check, "operation": operation}}
        return {"type": "multi", "graders": parts, "calculate_output": "path"}

    score_file(engine, grader("eq"), data, out)
    with pytest.raises(DataSetError, match="another run: other grader"):
        score_file(engine, grader("ne"), data, out)


def test_a_file_that_is_no_results_file_is_not_touched(
    engine: Engine, string_check: dict[str, Any], data: Path, out: Path
) -> None:
    out.write_text("my notes\n")
    with pytest.raises(DataSetError, match="does not say that a run wrote it"):
        score_file(engine, string_check, data, out)
    assert out.read_text() == "my notes\n"


def test_a_results_file_with_a_foreign_line_is_refused(
    engine: Engine, string_check: dict[str, Any], data: Path, out: Path
) -> None:
    score_file(engine, string_check, data, out)
    with out.open("a") as file:
        file.write('{"line": "eleven"}\n')
    with pytest.raises(DataSetError, match="line 11, is not a result"):
        score_file(engine, string_check, data, out)


def test_a_second_run_on_the_same_results_is_refused(
    engine: Engine, string_check: dict[str, Any], data: Path, out: Path
) -> None:
    identity: dict[str, Any] = {"grader": {}, "data": {}}
    with ResultsFile(out, identity), pytest.raises(DataSetError, match="Another run is writing"):
        score_file(engine, string_check, data, out)


def test_a_run_of_another_version_of_the_package_resumes_with_a_warning(
    engine: Engine,
    string_check: dict[str, Any],
    data: Path,
    out: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = score_file(engine, string_check, data, out)
    expected = timeless(out)
    edit_meta(out, engine="0.0.9")
    with out.open("r+b") as file:
        file.truncate(300)
    with caplog.at_level(logging.WARNING, "graders_engine"):
        assert score_file(engine, string_check, data, out) == first
    assert timeless(out) == expected
    (warning,) = [record.getMessage() for record in caplog.records]
    assert warning.startswith(f"{out} was begun with version 0.0.9 of graders-engine")


def test_a_run_of_the_same_version_resumes_without_a_warning(
    engine: Engine,
    string_check: dict[str, Any],
    data: Path,
    out: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    score_file(engine, string_check, data, out)
    score_file(engine, string_check, data, out)
    assert not caplog.records


def test_results_whose_numbers_another_version_changed_are_not_mixed(
    engine: Engine, string_check: dict[str, Any], data: Path, out: Path
) -> None:
    score_file(engine, string_check, data, out)
    before = out.read_bytes()
    edit_meta(out, results_version=json.loads(meta_of(out).read_text())["results_version"] + 1)
    with pytest.raises(
        DataSetError, match=r"another run: other results_version\. Write to another"
    ):
        score_file(engine, string_check, data, out)
    assert out.read_bytes() == before


def test_the_command_shows_that_another_version_began_the_run(
    string_check: dict[str, Any], data: Path, out: Path, tmp_path: Path
) -> None:
    grader = tmp_path / "grader.json"
    grader.write_text(json.dumps(string_check))
    subprocess.run(command(grader, data, out, "--quiet"), check=True)
    edit_meta(out, engine="0.0.9")
    ended = subprocess.run(
        command(grader, data, out), capture_output=True, text=True, check=True, timeout=60
    )
    assert "was begun with version 0.0.9 of graders-engine" in ended.stderr
    assert ended.stdout.startswith("mean reward")


def test_a_full_disk_is_a_sentence_and_leaves_whole_lines(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = False

    class Disk(FileIO):
        def write(self, lines: Any) -> int:
            if full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(lines)

    monkeypatch.setattr(results_file, "FileIO", Disk)
    with ResultsFile(out, {}) as results:
        results.add(LINE)
        results.flush()
        full = True
        results.add(LINE)
        with pytest.raises(DataSetError, match="No space left on device"):
            results.flush()
        full = False
        results.add(LINE)
    assert len(out.read_bytes().splitlines()) == 1


def test_a_disk_that_fails_at_the_beginning_is_a_sentence_though_closing_fails_of_it_too(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Disk(FileIO):
        def truncate(self, size: int | None = None) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def close(self) -> None:
            is_first = not self.closed
            super().close()
            if is_first:  # as of a disk on the network, which says then what it could not write
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(results_file, "FileIO", Disk)
    with pytest.raises(DataSetError, match="No space left on device"):
        ResultsFile(out, {})
    assert not list(out.parent.iterdir())


def test_nothing_follows_a_line_that_was_torn_by_an_interrupt(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted = True

    class Disk(FileIO):
        def write(self, lines: Any) -> int:
            if not interrupted:
                return super().write(lines)
            super().write(lines[:10])  # half a line, as a signal may make it
            raise KeyboardInterrupt

    monkeypatch.setattr(results_file, "FileIO", Disk)
    with ResultsFile(out, {}) as results:
        results.add(LINE)
        with pytest.raises(KeyboardInterrupt):
            results.flush()
        interrupted = False
        results.add(LINE)
    assert out.read_bytes() == b'{"line":1,'
    with ResultsFile(out, {}) as results:
        results.add(LINE)
        results.flush()
        assert [result for _, result in results.read()] == [LINE]


class Disk:
    """What the system is asked to make durable, in order, and a clock that is set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.events: list[tuple[str, int]] = []
        sync, replace = os.fsync, os.replace

        def synced(descriptor: int) -> None:
            sync(descriptor)
            self.events.append(("sync", os.fstat(descriptor).st_ino))

        def replaced(source: Any, target: Any) -> None:
            self.events.append(("replace", os.stat(source).st_ino))
            replace(source, target)

        monkeypatch.setattr(os, "fsync", synced)
        monkeypatch.setattr(os, "replace", replaced)
        monkeypatch.setattr(results_file, "monotonic", lambda: self.now)


def test_a_power_cut_loses_the_results_of_two_seconds_at_most(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    with ResultsFile(out, {}) as results:
        synced_at = [disk.now]
        disk.events.clear()
        for _ in range(80):
            disk.now += 0.25
            results.add(LINE)
            if ("sync", out.stat().st_ino) in disk.events:
                synced_at.append(disk.now)
                disk.events.clear()
        assert max(b - a for a, b in pairwise(synced_at)) <= 2.0
        assert disk.now - synced_at[-1] <= 2.0
    assert disk.events == [("sync", out.stat().st_ino)]


@pytest.mark.skipif(sys.platform == "win32", reason="folders cannot be synced there")
def test_a_replacement_is_on_the_disk_before_it_gets_its_name_and_then_its_name_is(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ResultsFile(out, {}) as results:
        results.add(LINE)
        results.flush()
        disk = Disk(monkeypatch)
        results.replace([encode_results([OTHER])])
        new = out.stat().st_ino
        assert disk.events == [("sync", new), ("replace", new), ("sync", out.parent.stat().st_ino)]
        results.add(LINE)
    assert out.read_bytes() == encode_results([OTHER, LINE])


def test_a_second_run_is_refused_under_another_name_of_the_file(out: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.jsonl"
    with ResultsFile(out, {}) as results:
        results.add(LINE)
        link.symlink_to(out)
        with pytest.raises(DataSetError, match=f"Another run is writing to {link}: wait for it"):
            ResultsFile(link, {})


def test_the_results_stay_locked_after_they_were_replaced(out: Path) -> None:
    with ResultsFile(out, {}) as results:
        results.replace([encode_results([LINE])])
        with pytest.raises(DataSetError, match="Another run is writing"):
            ResultsFile(out, {})


def test_a_run_may_end_in_another_thread_than_it_began(out: Path) -> None:
    results = ResultsFile(out, {})
    with ThreadPoolExecutor(1) as thread:
        thread.submit(results.__exit__, None, None, None).result()
    with ResultsFile(out, {}):
        pass


def test_a_lock_that_a_killed_run_left_keeps_nobody_out_and_is_removed(out: Path) -> None:
    out.with_name(out.name + ".lock").touch()
    with ResultsFile(out, {}):
        pass
    assert sorted(path.name for path in out.parent.iterdir()) == [out.name, meta_of(out).name]


REPLACE = """
import sys
from pathlib import Path
from graders_engine.dataset.results.file import ResultsFile
with ResultsFile(Path(sys.argv[1]), {}) as results:
    results.replace([sys.argv[2].encode()])
"""
APPEND = """
import subprocess, sys
from pathlib import Path
from graders_engine.dataset.results.file import ResultsFile

out, replace, line = Path(sys.argv[1]), sys.argv[2:5], sys.argv[5].encode()
opened = tried = False

def replace_after_it_was_opened(event, arguments):
    global opened, tried
    if event != "open" or tried:
        return
    if opened:
        tried = True
        subprocess.run([sys.executable, "-c", *replace], stderr=subprocess.DEVNULL)
    opened = str(arguments[0]) == str(out)

sys.addaudithook(replace_after_it_was_opened)
with ResultsFile(out, {}) as results:
    results.add_lines(line)
print(tried)
"""


def test_a_run_never_writes_to_results_that_another_run_replaced_while_it_opened_them(
    out: Path,
) -> None:
    with ResultsFile(out, {}) as results:
        results.add(LINE)
    replacement, appended = (encode_results([result]).decode() for result in (OTHER, LINE))
    ended = subprocess.run(
        [sys.executable, "-c", APPEND, str(out), REPLACE, str(out), replacement, appended],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert ended.stdout == "True\n"
    assert out.read_text() in (appended + appended, replacement + appended)
