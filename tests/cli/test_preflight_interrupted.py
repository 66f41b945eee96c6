"""Ctrl-C in the middle of `graders preflight`: its exit code, what it says, and what it keeps."""

from __future__ import annotations

import itertools
import json
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from tests.environment import unmeasured
from tests.preflight.ask import SUMS, write_rows
from tests.preflight.graders import judge
from tests.preflight.seeded import judge as judges

ANSWERED = 40
INTERRUPTIBLE = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL);"
    "os.execv(sys.argv[1], sys.argv[1:])"
)
"""A shell's background job ignores SIGINT, and so would its children."""


class Waiting(judges.Judge):
    """A judge that lets all requests after the first ones wait until it is closed."""

    def __init__(self) -> None:
        super().__init__({"default": 1})
        self.is_waiting, self.may_answer = threading.Event(), threading.Event()
        self.order = itertools.count(1)

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """A chat completion for a request."""
        reply = super().answer(request)
        if next(self.order) > ANSWERED and not self.may_answer.is_set():
            self.is_waiting.set()
            self.may_answer.wait(60)
        return reply


class Server(judges.Server):
    """A server that does not complain of connections that the command closes."""

    def handle_error(self, *_: object) -> None:
        """Say nothing."""


def serving(found: judges.Judge) -> Server:
    handler = type("Bound", (judges.Conversation,), {"judge": found})
    server = Server(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server


def wait_for_replies(store: Path, count: int) -> None:
    """Return when a store holds this many replies."""
    for _ in range(600):
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
            (kept,) = connection.execute("SELECT count(*) FROM replies").fetchone()
        if kept >= count:
            return
        sleep(0.1)
    raise AssertionError(f"{kept} replies are kept after a minute, and not {count}")


def test_an_interrupt_among_calls_of_judges_keeps_the_replies_that_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADERS_CACHE", str(tmp_path / "replies.sqlite"))
    write_rows(tmp_path / "train.jsonl", SUMS[:24])
    grader = tmp_path / "grader.json"
    grader.write_text(json.dumps(judge()), encoding="utf-8")
    waiting = Waiting()
    with serving(waiting) as server:
        command = [
            sys.executable, "-m", "graders_engine", "preflight", "--grader", f"@{grader}",
            "--train", str(tmp_path / "train.jsonl"), "--report", str(tmp_path / "page.html"),
            "--base-url", f"http://127.0.0.1:{server.server_address[1]}/v1", "--json",
        ]  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, "-c", INTERRUPTIBLE, *command],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=unmeasured(),
        )  # fmt: skip
        assert waiting.is_waiting.wait(60)
        wait_for_replies(tmp_path / "replies.sqlite", ANSWERED)
        process.send_signal(signal.SIGINT)
        printed, said = process.communicate(timeout=60)
        waiting.may_answer.set()
        assert (process.returncode, printed) == (130, "")
        assert said.splitlines()[-1] == "Interrupted."
        assert not (tmp_path / "page.html").exists()  # half of a report is none
        before = waiting.asked
        again = subprocess.run(
            command, capture_output=True, text=True, env=unmeasured(), check=False, timeout=120
        )
        server.shutdown()
    assert json.loads(again.stdout)["findings"]
    (planned,) = (int(found) for found in re.findall(r"up to (\d+) calls", said))
    kept = planned - (waiting.asked - before)
    assert kept == ANSWERED
