"""The examples in docstrings run: those of public names as programs, those with `>>>` as they print."""

from __future__ import annotations

import ast
import asyncio
import doctest
import inspect
import json
import re
import textwrap
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import graders_engine
from graders_engine import Engine, GraderReward, Scripted
from tests.api.table import PAGES
from tests.conftest import STRING_CHECK

PACKAGE = Path(graders_engine.__file__).parent
EXAMPLE = re.compile(r"^( *)Example::\n\n((?:\1 {4}.*\n|\n)+)", re.MULTILINE)
FRAMEWORKS = "adapters."
"""The heads of their files have the examples, which tests/frameworks runs."""
JUDGE = {
    "type": "score_model", "name": "judge", "model": "m", "range": [0, 1],
    "input": [{"role": "user", "content": "{{sample.output_text}}"}],
}  # fmt: skip


def modules() -> list[str]:
    entries = [entry for page in PAGES.values() for entry in page.names]
    named = {f"graders_engine.{entry.partition(':')[0]}" for entry in entries}
    return sorted(name for name in named if f".{FRAMEWORKS}" not in name or name.endswith("reward"))


def examples() -> Iterator[Any]:
    for module in modules():
        source = inspect.getsource(import_module(module))
        for number, found in enumerate(EXAMPLE.finditer(source), 1):
            yield pytest.param(textwrap.dedent(found[2]), id=f"{module}-{number}")


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What examples take for granted, in a folder with the files that they name."""
    monkeypatch.chdir(tmp_path)
    row = {"item": {"label": "cat", "answer": "cat"}, "model_sample": "cat"}
    prompt = {"messages": [{"role": "user", "content": "A cat?"}], "label": "cat", "answer": "cat"}
    Path("train.jsonl").write_text(f"{json.dumps(prompt)}\n")
    Path("grader.json").write_text(json.dumps(STRING_CHECK | {"reference": "{{item.answer}}"}))
    public = {name: getattr(graders_engine, name) for name in graders_engine.__all__}
    with Engine(judges=Scripted(1.0)) as engine, GraderReward("@grader.json") as reward:
        yield public | {
            "engine": engine, "reward": reward, "compiled": engine.compile(STRING_CHECK),
            "grader": STRING_CHECK, "rows": [row], "batches": [[row], [row]], "samples": ["cat"],
            "item": row["item"], "text": "cat", "path": "train.jsonl",
        }  # fmt: skip


@pytest.mark.parametrize("example", [*examples()])
def test_an_example_of_a_public_name_runs(
    example: str, names: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    if "Scripted(" in example:
        names["grader"] = JUDGE
    code = compile(example, "example", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    waiting = eval(code, names)  # noqa: S307 - the package's own docstrings
    if inspect.iscoroutine(waiting):
        asyncio.run(waiting)
    assert capsys.readouterr().err == ""


def with_prompts() -> list[str]:
    found = [path for path in PACKAGE.rglob("*.py") if "    >>> " in path.read_text("utf-8")]
    return sorted(
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in found
    )


@pytest.mark.parametrize("module", with_prompts())
def test_an_example_with_prompts_prints_what_it_shows(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = doctest.testmod(import_module(module), optionflags=doctest.ELLIPSIS)
    assert outcome.attempted
    assert not outcome.failed
