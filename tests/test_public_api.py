"""What `import graders_engine` exports, and what it loads."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import graders_engine

HEAVY = (
    "openai",
    "httpx",
    "aiohttp",
    "numpy",
    "nltk",
    "sacrebleu",
    "rouge_score",
    "pydantic",
    "ray",
    "model2vec",
)


def test_the_public_names_are_sorted_and_exactly_these() -> None:
    assert graders_engine.__all__ == sorted(graders_engine.__all__)
    assert graders_engine.__all__ == [
        "AsyncEngine", "Blame", "BudgetSpent", "CompiledGrader", "DataSetError", "Engine", "EngineSettings",
        "Failure", "Flag", "GraderReward", "GradersError", "InvalidGrader", "InvalidRequest", "InvalidRow",
        "JudgeSettings", "LifecycleError", "Limits", "Mistake", "ModelBackend", "ModelReply", "ModelRequest",
        "NoReward", "Outcome", "Price", "RetryPolicy", "RowOutcome", "RunGraderResponse", "Scripted",
        "UnavailableGrader", "Usage", "ValidateGraderResponse", "__version__", "to_arrow", "to_pandas",
    ]  # fmt: skip


def test_every_public_name_can_be_imported() -> None:
    for name in graders_engine.__all__:
        assert getattr(graders_engine, name) is not None
    assert dir(graders_engine) == graders_engine.__all__


def test_type_checkers_find_every_public_name_in_the_module_that_defines_it() -> None:
    source = Path(graders_engine.__file__).read_text(encoding="utf-8")
    checked = {
        alias.name: node.module
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
        if alias.asname == alias.name
    }
    assert sorted(checked) == graders_engine.__all__
    for name, module in checked.items():
        assert getattr(import_module(str(module)), name) is getattr(graders_engine, name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Motor'"):
        graders_engine.Motor  # type: ignore[attr-defined] # noqa: B018 - the access is what is tested


@pytest.mark.parametrize(
    "statement", ["import graders_engine", "from graders_engine import Engine"]
)
def test_importing_loads_nothing_heavy(statement: str) -> None:
    program = f"import sys; {statement}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    allowed = {"pydantic"} if "Engine" in statement.split() else set()
    assert not (set(HEAVY) & set(loaded)) - allowed
