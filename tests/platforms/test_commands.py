"""`graders` where Linux is not: what needs no python grader does the same, and the rest says why not."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from openai import OpenAI

from tests.platforms.conftest import CHECK, EVAL, LABELS, ROWS
from tests.platforms.there import There

LINE = ("--model-sample", "a", "--item", '{"label": "a"}')


def succeeded(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def rewards(path: Path) -> list[Any]:
    return [
        json.loads(line).get("reward") for line in path.read_text(encoding="utf-8").splitlines()
    ]


def test_a_row_is_graded(there: There) -> None:
    found = json.loads(succeeded(there.run("run", "@check.json", *LINE)))
    assert found["reward"] == 1.0


def test_graders_are_validated(there: There) -> None:
    succeeded(there.run("validate", "@check.json"))
    succeeded(there.run("validate", "@python.json"))
    wrong = there.run("validate", given='{"type": "string_check", "operation": "is"}')
    assert wrong.returncode == 2
    assert "operation" in wrong.stderr


def test_a_data_set_is_scored_continued_reported_and_compared(there: There) -> None:
    whole = (there.folder / "rows.jsonl").read_text(encoding="utf-8")
    (there.folder / "rows.jsonl").write_text("".join(whole.splitlines(keepends=True)[:2]))
    score = ("score", "@check.json", "--data", "rows.jsonl", "--out")
    succeeded(there.run(*score, "one.jsonl"))
    (there.folder / "rows.jsonl").write_text(whole)
    assert "over 5 rows" in succeeded(there.run(*score, "two.jsonl", "--workers", "2"))
    assert "nothing was graded" in succeeded(there.run(*score, "two.jsonl"))
    assert rewards(there.folder / "two.jsonl") == [float(label == "a") for label in LABELS]
    assert "one.jsonl.html" in succeeded(there.run("report", "one.jsonl"))
    succeeded(there.run("compare", "two.jsonl", "two.jsonl"))
    succeeded(there.run("explain", "two.jsonl", "1"))
    left = {path.name for path in there.folder.iterdir() if path.name.startswith("two")}
    assert left == {"two.jsonl", "two.jsonl.index.sqlite", "two.jsonl.meta.json"}


class Judge(ThreadingHTTPServer):
    """A judge that keeps who asks it waiting until it may fail."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Unavailable)
        self.asked, self.fails = Event(), Event()


class Unavailable(BaseHTTPRequestHandler):
    server: Judge

    def do_POST(self) -> None:
        self.server.asked.set()
        self.server.fails.wait()
        self.send_error(503)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def judge() -> Iterator[Judge]:
    with Judge() as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.fails.set()
        server.shutdown()
        thread.join()


def judged(judge: Judge) -> tuple[str, ...]:
    """A command that asks it about each row."""
    grader = {
        "type": "score_model", "name": "j", "model": "m",
        "input": [{"role": "user", "content": "{{sample.output_text}}"}],
    }  # fmt: skip
    return (
        *("score", "--grader", json.dumps(grader), "--data", "rows.jsonl", "--out", "o.jsonl"),
        *(
            "--base-url",
            f"http://127.0.0.1:{judge.server_port}/v1",
            "--judge-attempts",
            "1",
            "--no-cache",
        ),
    )


def test_a_run_that_was_killed_is_continued(there: There, judge: Judge) -> None:
    with there.start(*judged(judge)) as first:
        assert judge.asked.wait(60)
        first.kill()
    judge.fails.set()
    again = there.run(*judged(judge))
    assert again.returncode == 1
    assert "Traceback" not in again.stderr
    assert rewards(there.folder / "o.jsonl") == [None] * len(ROWS)


_IS_LOCKED = """
from pathlib import Path
from graders_engine.view.folders import locks
locks.LOCKS = Path("nowhere")  # Linux's list, which is not there
print(locks.is_locked(Path("o.jsonl.lock")))
"""


def test_a_run_is_seen_to_go_on_until_it_is_killed_and_not_afterwards(
    there: There, judge: Judge
) -> None:
    with there.start(*judged(judge)) as first:
        assert judge.asked.wait(60)
        going = there.python_code(_IS_LOCKED)
        assert going.stdout == "True\n", going.stderr
        first.kill()
    assert (there.folder / "o.jsonl.lock").exists()
    ended = there.python_code(_IS_LOCKED)
    assert ended.stdout == "False\n", ended.stderr


def test_rows_that_failed_are_graded_again_in_place(there: There, judge: Judge) -> None:
    judge.fails.set()
    assert there.run(*judged(judge)).returncode == 1
    again = there.run(*judged(judge), "--retry-failed")
    assert again.returncode == 1
    assert "Traceback" not in again.stderr
    assert rewards(there.folder / "o.jsonl") == [None] * len(ROWS)


def test_a_second_run_is_kept_off_the_results_of_one_that_goes_on(
    there: There, judge: Judge
) -> None:
    with there.start(*judged(judge)) as first:
        try:
            assert judge.asked.wait(60)
            second = there.run(*judged(judge))
            assert second.returncode == 1, second.stdout
            assert "Another run is writing to o.jsonl" in second.stderr
            judge.fails.set()
            assert first.wait(60) == 1
        finally:
            first.kill()
    assert rewards(there.folder / "o.jsonl") == [None] * len(ROWS)
    assert not (there.folder / "o.jsonl.lock").exists()


@contextmanager
def serving(there: There, *options: str) -> Iterator[str]:
    log = there.folder / "log"
    with (
        log.open("w") as errors,
        there.start("serve", "--port", "0", *options, errors=errors) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("Serving graders on http://"), log.read_text()
            yield line.split(" ")[3]
            process.send_signal(signal.SIGINT)  # Ctrl-C
            assert process.wait(60) == 0, log.read_text()
        finally:
            process.kill()
    assert "Traceback" not in log.read_text()


def test_a_server_keeps_files_and_runs_evals_and_ends_by_an_interrupt(there: There) -> None:
    with serving(there, "--jobs", "kept") as url:
        client = OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
        grader: Any = CHECK
        graded = client.fine_tuning.alpha.graders.run(
            grader=grader, model_sample="a", item={"label": "a"}
        )
        assert graded.reward == 1.0
        file = client.files.create(file=there.folder / "rows.jsonl", purpose="evals")
        assert client.files.content(file.id).content == (there.folder / "rows.jsonl").read_bytes()
        made = client.evals.create(**EVAL)
        content = [{"item": {"label": label}, "sample": {"output_text": "a"}} for label in "ab"]
        source: Any = {"type": "jsonl", "source": {"type": "file_content", "content": content}}
        run: Any = client.evals.runs.create(made.id, name="r", data_source=source)
        while run.status in ("queued", "in_progress"):
            run = client.evals.runs.retrieve(run.id, eval_id=made.id)
        assert (run.status, run.result_counts.passed, run.result_counts.total) == (
            "completed",
            1,
            2,
        )
        items = client.evals.runs.output_items.list(run.id, eval_id=made.id).data
        assert sorted(item.status for item in items) == ["fail", "pass"]
        other = there.run("serve", "--port", "0", "--jobs", "kept")
        assert other.returncode != 0
        assert "Another server uses" in other.stderr
        client.evals.runs.delete(run.id, eval_id=made.id)
        assert client.files.delete(file.id).deleted
    with serving(there, "--jobs", "kept"):
        assert list((there.folder / "kept" / "runs").iterdir()) == []


def test_an_eval_is_run_without_a_server(there: There) -> None:
    run = there.run("evals", "run", "eval.json", "--data", "rows.jsonl", "--jobs", "kept", "--json")
    assert json.loads(succeeded(run))["result_counts"]["passed"] == 3


_SHOWN = """
import json, sys
from graders_engine.files import without_paths
print(json.dumps([without_paths(text) for text in json.load(sys.stdin)]))
"""
_WINDOWS_TEXTS = {
    r"The cache C:\srv\a\b.sqlite cannot be read.": "The cache b.sqlite cannot be read.",
    r"C:\Program Files\Python 3\python.exe ended": "python.exe ended",
    r"'D:\my jobs\x y.jsonl': gone": "'x y.jsonl': gone",
    "[WinError 2] cannot find: 'C:\\\\Users\\\\me\\\\rows.jsonl'": "[WinError 2] cannot find: 'rows.jsonl'",
    'File "c:/opt/x/worker.py", line 3': 'File "worker.py", line 3',
    r"(\\server\share\store\runs\)": "(runs)",
    r"\\?\C:\store\runs\r.jsonl, and C:/a/b.jsonl": "r.jsonl, and b.jsonl",
    "['C:\\\\venv\\\\Scripts\\\\python.exe', '-m', 'x'] failed": "['python.exe', '-m', 'x'] failed",
    r"C:\a.txt or D:\b\c.txt": "a.txt or c.txt",
    "http://127.0.0.1:80/v1/evals answered 1/2/3": None,
    r"it does not match \d+:\w*, nor a\b, C:x and 10:30": None,
}


def test_a_text_for_clients_has_no_folders_of_windows_either(windows: There) -> None:
    done = windows.python_code(_SHOWN, given=json.dumps(list(_WINDOWS_TEXTS)))
    assert done.returncode == 0, done.stderr
    seen = dict(zip(_WINDOWS_TEXTS, json.loads(done.stdout), strict=True))
    assert seen == {text: wanted or text for text, wanted in _WINDOWS_TEXTS.items()}


@pytest.mark.parametrize("tier", ["auto", "none", "namespaces"])
def test_python_graders_are_refused_on_windows_with_any_sandbox(windows: There, tier: str) -> None:
    done = windows.run("run", "@python.json", *LINE, "--sandbox", tier)
    found = json.loads(succeeded(done))
    assert found["metadata"]["errors"]["python_grader_server_error_type"] == "sandbox_unavailable"
    assert "python graders do not run on Windows" in done.stderr
    assert "WSL 2" in done.stderr
    assert "Linux container" in done.stderr


@pytest.mark.parametrize("isolation", ["call", "worker"])
def test_a_data_set_of_python_grades_has_no_reward_on_windows(
    windows: There, isolation: str
) -> None:
    score = ("score", "@python.json", "--data", "rows.jsonl", "--out", "o.jsonl")
    done = windows.run(*score, "--python-isolation", isolation)
    assert done.returncode == 1
    assert "do not run on Windows" in done.stdout
    assert rewards(windows.folder / "o.jsonl") == [None] * len(ROWS)


def test_an_image_for_python_graders_is_not_built_on_windows(windows: There) -> None:
    done = windows.run("image", "build", "2025-05-08")
    assert done.returncode == 2
    assert "do not run on Windows" in done.stderr
    assert "no image" not in succeeded(windows.run("image", "list"))


def test_the_sandboxes_of_another_system_are_none_and_name_it(there: There) -> None:
    done = there.run("sandbox", "--json")
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert not found["proved"]
    name = {"win32": "Windows", "darwin": "macOS"}[there.platform]
    for tier in found["tiers"]:
        assert not tier["available"]
        assert name in tier["unavailable_because"]
        assert "Linux container" in tier["unavailable_because"]


def test_macos_offers_what_it_has_no_sandbox_for_and_says_what_is_not_limited(macos: There) -> None:
    refused = macos.run("run", "@python.json", *LINE)
    assert json.loads(succeeded(refused))["metadata"]["errors"]["python_grader_server_error"]
    assert "this is macOS" in refused.stderr
    assert "does not limit memory and disk" in refused.stderr
    trusted = macos.run("run", "@python.json", *LINE, "--sandbox", "none")
    assert json.loads(succeeded(trusted))["reward"] == 0.5
    assert "without a sandbox" in trusted.stderr


def test_a_python_grade_without_an_end_is_ended_on_macos(macos: There) -> None:
    endless = {
        "type": "python",
        "name": "p",
        "source": "def grade(sample, item):\n    while True: pass",
    }
    done = macos.run(
        *("run", "--grader", json.dumps(endless), *LINE, "--sandbox", "none", "--limit", "wall_s=1")
    )
    found = json.loads(succeeded(done))
    assert found["metadata"]["errors"]["python_grader_runtime_error"]
    assert "Traceback" not in done.stderr


def test_models_do_not_answer_on_windows_and_say_so(windows: There) -> None:
    (windows.folder / "graders.toml").write_text('[base_models]\nsmall = "model"\n')
    (windows.folder / "model").mkdir()
    (windows.folder / "model" / "config.json").write_text("{}")
    with serving(windows, "--jobs", "kept") as url:
        client = OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
        with pytest.raises(Exception, match=r"Windows") as caught:
            client.chat.completions.create(
                model="small", messages=[{"role": "user", "content": "x"}]
            )
        assert "WSL 2" in str(caught.value)
