"""A key that endpoints repeat wherever they can is in no file and in nothing printed."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.judges.judge_server import JudgeServer, judge_server
from tests.judges.rows import LABEL, SCORE
from tests.keys.echoes import KEY, Echoing, all_forms, files_with, left_in

DEBUG = (
    "import asyncio, logging, sys; logging.basicConfig(level=0); from graders_engine.cli.main import main; "
    "sys.argv[0] = 'graders'; main()"
)
"""The command line with all that any package logs."""
COSINE = {
    "type": "text_similarity", "name": "c", "evaluation_metric": "cosine",
    "input": "{{sample.output_text}}", "reference": "b",
}  # fmt: skip
PYTHON = """
import glob, os
def grade(sample, item):
    for path in ["/proc/self/environ", *glob.glob("/proc/*/environ"), *glob.glob("/proc/*/cmdline")]:
        try:
            print(path, open(path, "rb").read())
        except OSError:
            pass
    print(dict(os.environ))
    return 1.0
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[JudgeServer]:
    with judge_server() as opened:
        opened.script = Echoing()
        yield opened


def endpoint(server: JudgeServer) -> dict[str, Any]:
    address = server.url.replace("http://", "http://user:hidden-Pa55@")
    url = f"{address}/grade?code=query-Pa55w0rd"
    return {"type": "endpoint", "name": "e", "url": url, "headers": {"X-Key": KEY}}


class Commands:
    """Runs commands in a folder, and keeps what they print."""

    def __init__(self, folder: Path, server: JudgeServer) -> None:
        self.folder = folder
        self.printed = b""
        self.environment = {
            **os.environ, "OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.url, "PYTHONASYNCIODEBUG": "1",
            "GRADERS_CACHE": str(folder / "replies.sqlite"), "GRADERS_API_KEY": "served-CANARY-77",
            "PYTHONPATH": os.getcwd(),
        }  # fmt: skip

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", DEBUG, *arguments], cwd=self.folder, env=self.environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *arguments: str) -> tuple[int, str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=100)
        self.printed += out + err
        return process.returncode, out.decode()

    def found(self) -> dict[str, Any]:
        """The keys that can be seen, by where they are."""
        keys = (KEY, "hidden-Pa55", "query-Pa55w0rd", "served-CANARY-77")
        found = {"printed": [key for key in keys if left_in(self.printed, key)]}
        found |= {key: files_with(self.folder, key) for key in keys}
        return {place: what for place, what in found.items() if what}


@pytest.fixture
def commands(tmp_path: Path, server: JudgeServer) -> Commands:
    folder = tmp_path / "work"
    folder.mkdir()
    rows = [{"item": {"n": n}, "model_sample": f"answer {n}"} for n in range(12)]
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Commands(folder, server)


HASTY = ("--judge-attempts", "2", "--no-adaptive")
MULTI = {
    "type": "multi", "graders": {"score": SCORE, "tone": LABEL}, "calculate_output": "score + tone",
}  # fmt: skip


def test_judges_that_repeat_the_key_leave_it_nowhere(
    commands: Commands, server: JudgeServer
) -> None:
    score = json.dumps(SCORE)
    codes = [
        commands.run("run", "--grader", score, "--model-sample", "x", *HASTY)[0] for _ in range(3)
    ]
    assert codes == [0] * 3
    scored = commands.run(
        "score", "--grader", json.dumps(MULTI), "--data", "data.jsonl", "--out", "out.jsonl",
        "--cache", "cache.sqlite", "--record", "tape", "--workers", "1", "--keep-going", *HASTY,
    )  # fmt: skip
    assert scored[0] in (0, 1), commands.printed[-2000:]
    for arguments in (
        ["report", "out.jsonl"],
        ["explain", "out.jsonl", "1"],
        ["explain", "out.jsonl", "2", "--json"],
        ["cache", "info"],
    ):
        commands.run(*arguments)
    written = {path.name for path in commands.folder.iterdir()}
    assert {"out.jsonl", "out.jsonl.meta.json", "cache.sqlite"} <= written
    assert b"***" in (commands.folder / "tape" / "transcript.jsonl").read_bytes()
    assert b"***" in (commands.folder / "out.jsonl").read_bytes()
    assert list(commands.folder.glob("*.html"))
    assert len(server.asked) > 20
    assert commands.found() == {}


def test_embeddings_and_endpoint_graders_that_repeat_it_leave_it_nowhere(
    commands: Commands, server: JudgeServer
) -> None:
    (commands.folder.parent / "e.json").write_text(json.dumps(endpoint(server)))
    embeddings = f"openai:m@{server.url}?api-key=query-Pa55w0rd"
    for number, grader in enumerate((json.dumps(COSINE), "@../e.json")):
        scored = commands.run(
            "score", "--grader", grader, "--data", "data.jsonl", "--out", f"out{number}.jsonl",
            "--embeddings", embeddings, "--keep-going", *HASTY,
        )  # fmt: skip
        assert scored[0] in (0, 1), commands.printed[-2000:]
        commands.run("report", f"out{number}.jsonl")
        commands.run("explain", f"out{number}.jsonl", "1")
    commands.run(
        "diff-graders", "--old", "@../e.json", "--new", "@../e.json", "--data", "data.jsonl"
    )
    assert b"***" in (commands.folder / "out1.jsonl").read_bytes()
    assert len(server.asked) >= 16
    assert commands.found() == {}


def test_a_download_that_repeats_it_leaves_it_nowhere(commands: Commands) -> None:
    code, _ = commands.run("import", "evals", "--from-api", "--out", "evals")
    assert code == 0, commands.printed[-2000:]
    assert b"***" in (commands.folder / "evals" / "export.jsonl").read_bytes()
    assert commands.found() == {}


def test_a_server_whose_judges_repeat_it_gives_it_to_nobody(
    commands: Commands, server: JudgeServer
) -> None:
    process = commands.start("serve", "--port", "0", "--allow-endpoints", *HASTY)
    assert process.stdout is not None
    line = process.stdout.readline()
    commands.printed += line
    port = int(line.split(b" ")[3].rpartition(b":")[2])

    def ask(method: str, path: str, body: Any = None, key: str = "served-CANARY-77") -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
        connection.request(method, path, json.dumps(body).encode(), headers)
        commands.printed += connection.getresponse().read()
        connection.close()

    run = "/v1/fine_tuning/alpha/graders/run"
    for grader in (SCORE, LABEL, endpoint(server)):
        for _ in range(8):
            ask("POST", run, {"grader": grader, "model_sample": "x", "item": {}})
    ask("POST", run, {"grader": SCORE}, key="served-CANARY-7")
    for path in ("/metrics", "/docs", "/openapi.json", "/healthz", "/nothing?key=x"):
        ask("GET", path)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    commands.printed += out + err
    assert process.returncode == 0
    assert b"graders_judge_retries" in commands.printed
    assert b"***" in commands.printed
    assert commands.found() == {}


@pytest.mark.parametrize("tier", ["namespaces", "landlock"])
def test_graded_code_finds_no_key(commands: Commands, tier: str) -> None:
    grader = {"type": "python", "name": "p", "source": PYTHON}
    code, out = commands.run(
        "run",
        "--grader",
        json.dumps(grader),
        "--model-sample",
        "x",
        "--sandbox",
        tier,
        "--show-output",
    )
    if "sandbox" in out and code != 0:
        pytest.skip(f"{tier} is not available here")
    assert b"PYTHONUTF8" in commands.printed  # the environment that it does find
    assert commands.found() == {}


def test_the_search_finds_what_it_is_for(tmp_path: Path) -> None:
    for form in all_forms(KEY).split(" | "):
        (tmp_path / "file").write_text(json.dumps({"a": form}))
        assert files_with(tmp_path) == ["file"], form
