"""Every block of the guide to moving from the hosted evals runs, in one shell, beside a hosted service."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import graders_engine.evals
from tests.dataset import evals_service
from tests.dataset.evals_service import KEY, eval_, output_item, run, service

FOLDER = Path(graders_engine.evals.__file__).parent
GUIDE = (FOLDER / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
CAPITAL: dict[str, Any] = {
    "type": "string_check",
    "name": "capital",
    "id": f"capital-{evals_service.UUID}",
    "operation": "eq",
    "input": "{{sample.output_text}}",
    "reference": "{{item.ground_truth}}",
}
WAIT = """python - << 'PYTHON'
import socket, time
for _ in range(600):
    try:
        socket.create_connection(("127.0.0.1", PORT)).close()
        break
    except OSError:
        time.sleep(0.05)
PYTHON
"""


@pytest.fixture
def hosted(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a hosted service with one eval, whose run has two items."""
    owner, owned = "eval_68a1", "evalrun_68b2"
    items = [output_item(n, owned, owner, text) for n, text in enumerate(["Markets", "World"])]
    monkeypatch.setattr(evals_service, "EVALS", [eval_(owner, "Capitals", [CAPITAL])])
    monkeypatch.setattr(evals_service, "RUNS", [run(owned, owner, "baseline")])
    monkeypatch.setattr(evals_service, "ITEMS", items)
    with service() as running:
        yield running.url


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def script(port: int) -> str:
    parts = ["set -eo pipefail"]
    for language, text in BLOCKS:
        if language == "sh":
            parts.append(text)
            if "graders serve" in text:
                parts.append(WAIT.replace("PORT", str(port)))
        elif language == "python":
            parts.append(f"python -W error - << 'PYTHON'\n{text}PYTHON\n")
    return "\n".join(parts).replace("8801", str(port))


def test_the_guide_leads_from_the_export_to_a_local_run(hosted: str, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": hosted,
    }
    ended = subprocess.run(
        ["bash", "-c", script(free_port())], cwd=tmp_path, env=environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=200, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout
    assert "1 eval, 1 run, 2 output items added to evals" in ended.stdout
    assert "Capitals baseline completed 1 2\n" in ended.stdout
    assert "completed 1 of 2\n" in ended.stdout
    assert "pass rate   50.0 %  of 2 graded" in ended.stdout
    places = GUIDE.partition("## Where everything is")[2].partition("\n## ")[0]
    named = re.findall(
        r"`([\w.]+)/?(?:ID/)?`(?=[,| ])", "".join(re.findall(r"^\|.*? \|", places, re.MULTILINE))
    )
    assert len(named) == 6
    assert {path.name for path in (tmp_path / "evals").iterdir()} >= set(named)


def test_the_script_differs_from_that_before_in_one_line() -> None:
    (change,) = [text for language, text in BLOCKS if language == "diff"]
    before, after = (
        [line[1:] for line in change.splitlines() if line.startswith(sign)] for sign in "-+"
    )
    (whole,) = [text for language, text in BLOCKS if language == "python"]
    assert [line for line in whole.splitlines() if "openai.OpenAI(" in line] == after
    assert before == ["client = openai.OpenAI()"]
