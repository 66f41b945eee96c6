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


SERVED = """
import asyncio, sys
from graders_engine.engine import AsyncEngine
from graders_engine.models.scripted import Scripted
from graders_engine.server.serving import load_types
load_types()
before = set(sys.modules)
text = {"name": "n", "input": "a", "reference": "a"}
check = text | {"type": "string_check", "operation": "eq"}
judged = {"type": "score_model", "name": "j", "model": "m", "range": [0, 1],
          "input": [{"role": "user", "content": "{{sample.output_text}}"}]}
graders = [
    check,
    text | {"type": "text_similarity", "evaluation_metric": "fuzzy_match"},
    {"type": "multi", "name": "m", "graders": {"a": check, "j": judged}, "calculate_output": "a * j"},
]
async def all_of_them():
    async with AsyncEngine(judges=Scripted(lambda request: 1.0)) as engine:
        return [(await engine.run(grader, model_sample="a")).reward for grader in graders]
assert asyncio.run(all_of_them()) == [1.0, 1.0, 1.0]
print(*sorted(set(sys.modules) - before))
"""


def test_a_servers_first_requests_import_no_type_of_grader_and_no_policy() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SERVED], capture_output=True, text=True, check=False
    )
    assert not ended.returncode, ended.stderr
    names = [name for name in ended.stdout.split() if name.startswith("graders_engine.")]
    assert not {name for name in names if name.startswith("graders_engine.graders.")}
    assert not {"graders_engine.models.policies", "graders_engine.tasks"} & {*names}
