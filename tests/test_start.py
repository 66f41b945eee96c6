"""What a process loads before it does what it is for: a command must start at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
before = set(sys.modules)
from graders_engine.__main__ import main
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
print("\\n", *sorted(set(sys.modules) - before))
"""
NETWORK = {"asyncio", "ssl", "aiohttp", "http.client", "urllib.request", "concurrent.futures"}
HEAVY = {"jinja2", "numpy", "scipy", "simpleeval", "sqlite3", "cachetools"}
NOT_FOR_HELP = {
    "dataclasses", "difflib", "json", "logging", "msgspec", "pathlib", "pydantic", "pydantic_core", "shlex",
    "copy", "subprocess", "importlib.metadata",
}  # fmt: skip
MODELS = {
    f"graders_engine.models.{name}" for name in ("http", "policies", "endpoint", "embeddings")
}
TYPES = {
    f"graders_engine.graders.{name}"
    for name in ("endpoint", "label_model", "messages", "multi", "python", "score_model", "verdict")
}
CHECK = '{"type": "string_check", "name": "n", "operation": "eq", "input": "a", "reference": "b"}'
ROUGE = CHECK.replace("string_check", "text_similarity").replace(
    '"operation": "eq"', '"evaluation_metric": "rouge_l"'
)


def loaded(*arguments: str) -> set[str]:
    """The modules that a command loads."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(ended.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_the_list_of_commands_loads_click_and_little_else(option: str) -> None:
    modules = loaded(option)
    assert "click" in modules
    if option == "--version":  # click reads what is installed
        modules -= {"importlib.metadata"}
    assert sorted(modules & (NETWORK | HEAVY | NOT_FOR_HELP)) == []
    assert not {name for name in modules if name.startswith("graders_engine.graders")}


@pytest.mark.parametrize("grader", [CHECK, ROUGE])
@pytest.mark.parametrize("command", ["run", "validate"])
def test_a_grader_that_waits_for_nothing_loads_no_loop_no_network_and_no_other_type(
    command: str, grader: str
) -> None:
    sample = ["--model-sample", "a"] if command == "run" else []
    modules = loaded(command, *sample, "--grader", grader)
    assert "graders_engine.compiled" in modules
    assert sorted(modules & (NETWORK | HEAVY | MODELS | TYPES)) == []


def test_the_collector_works_again_when_a_command_is_imported() -> None:
    program = PROGRAM + "import gc\nassert gc.isenabled() and gc.get_freeze_count() > 10_000"
    command = [sys.executable, "-c", program, "run", "--model-sample", "a", "--grader", CHECK]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert not ended.returncode, ended.stderr
