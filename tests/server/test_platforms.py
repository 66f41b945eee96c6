"""The server starts, answers and stops where the system lacks what Linux has."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.serving import GOOD, RUN, Server

LACKING = (
    "import asyncio, sys\n"
    "sys.modules['resource'] = sys.modules['fcntl'] = None\n"
    "def missing(self, *arguments):\n"
    "    raise NotImplementedError\n"  # as Windows' event loops do
    "for class_ in asyncio.SelectorEventLoop, asyncio.BaseEventLoop, asyncio.AbstractEventLoop:\n"
    "    class_.add_signal_handler = class_.remove_signal_handler = missing\n"
    "from graders_engine.cli.main import main\n"
    "main()\n"
)
"""`graders` as if on Windows: without `resource` and `fcntl`, and with no signal handlers of the loop's."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_system_without_resource_and_the_loops_signal_handlers_is_served(
    tmp_path: Path, number: int
) -> None:
    log_file = tmp_path / "log"
    with (
        log_file.open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-c", LACKING, "serve", "--port", "0"],
            stdout=subprocess.PIPE, stderr=log, text=True, cwd=tmp_path, env=dict(os.environ),
        ) as process,
    ):  # fmt: skip
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("Serving graders on http://"), log_file.read_text()
            server = Server(process, line.split(" ")[3], log_file)
            answer = server.post(RUN, GOOD)
            assert (answer.status, answer.json["reward"]) == (200, 1.0)
            process.send_signal(number)
            assert process.wait(60) == 0, log_file.read_text()
        finally:
            process.kill()
    assert [json.loads(entry)["status"] for entry in log_file.read_text().splitlines()] == [200]


def test_the_commands_help_needs_none_of_the_servers_packages() -> None:
    code = (
        "import sys\n"
        "for name in 'uvicorn', 'httptools', 'prometheus_client', 'starlette':\n"
        "    sys.modules[name] = None\n"
        "from graders_engine.cli.main import main\n"
        "main()\n"
    )
    asked = [sys.executable, "-c", code, "serve"]
    shown = subprocess.run([*asked, "--help"], capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert "33554432" in shown.stdout
    refused = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "pip install '.[server]'" in refused.stderr
